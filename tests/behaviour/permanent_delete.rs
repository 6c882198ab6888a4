//! What soft delete keeps and is removed for good, versions by their ids, and what filters leave of it, through the
//! command line.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;
use std::time::Duration;

use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, Outcome, azuring};

/// Permissions for everything, versions (`x`) and permanent deletion (`y`) included.
const ALL: &str = "rwdxylact";

fn url(fixture: &Fixture, blob: &str, permissions: &str) -> String {
    let server = fixture.server();
    let sas = server.account_sas(DEVSTORE_ACCOUNT, permissions, Duration::from_secs(3600));
    format!("{}/{CONTAINER}{blob}?{sas}", server.url(DEVSTORE_ACCOUNT))
}

fn versioned() -> Fixture {
    let fixture = Fixture::with(azuring!(), |server| server.versioning(true).soft_delete(7));
    for content in ["1", "2", "now"] {
        fixture.file("tree/a.txt", content.as_bytes());
        fixture.file("tree/dir/b.txt", content.as_bytes());
        fixture.upload(&fixture.path().join("tree"), &["--as-subdir=false"]).expect_code(0);
    }
    fixture
}

/// The ids of a blob's versions, oldest first, as `list` tells them.
fn ids(fixture: &Fixture, blob: &str) -> Vec<String> {
    let outcome = fixture.run(["list", &url(fixture, "", ALL), "--properties=VersionId"]);
    let id = |line: &str| {
        let (name, rest) = line.split_once("; VersionId: ")?;
        (name == blob).then(|| rest.split(';').next().unwrap().to_owned())
    };
    let mut ids: Vec<_> = outcome.expect_code(0).stdout.lines().filter_map(id).collect();
    ids.sort();
    ids
}

fn write_list(fixture: &Fixture, ids: &[String]) -> String {
    let list = fixture.file("ids", ids.join("\n").as_bytes());
    format!("--list-of-versions={}", list.display())
}

/// Names, and how many deleted snapshots and versions of each are kept.
fn kept(fixture: &Fixture) -> Vec<(String, usize, usize)> {
    let deleted = fixture.server().deleted(DEVSTORE_ACCOUNT, CONTAINER).into_iter();
    deleted.map(|deleted| (deleted.name, deleted.snapshots, deleted.versions)).collect()
}

#[track_caller]
fn removed(outcome: &Outcome, count: &str) {
    assert_eq!(
        outcome.expect_code(0).field("Number of File Transfers Completed"),
        Some(count),
        "{}",
        outcome.stdout
    );
}

#[test]
fn what_is_deleted_is_removed_for_good_and_what_lives_stays() {
    let fixture = versioned();
    for name in ["a.txt", "dir/b.txt"] {
        let oldest = write_list(&fixture, &ids(&fixture, name)[..1]);
        removed(&fixture.run(["remove", &url(&fixture, &format!("/{name}"), ALL), &oldest]), "1");
        assert!(fixture.server().snapshot(DEVSTORE_ACCOUNT, CONTAINER, name));
    }
    let container = url(&fixture, "", ALL);
    removed(&fixture.run(["remove", &container, "--recursive", "--delete-snapshots=only"]), "2");
    let all = |snapshots, versions| {
        [("a.txt".to_owned(), snapshots, versions), ("dir/b.txt".to_owned(), snapshots, versions)]
    };
    assert_eq!(kept(&fixture), all(1, 1));

    // A dry run and a SAS without the permission remove nothing.
    let dry = fixture.run(["remove", &container, "--recursive", "--permanent-delete=snapshots", "--dry-run"]);
    assert!(dry.expect_code(0).stdout.contains("b.txt"), "{}", dry.stdout);
    let weak = url(&fixture, "", "rwdxl");
    let weak = fixture.run(["remove", &weak, "--recursive", "--permanent-delete=snapshotsandversions"]);
    assert!(weak.expect_code(3).stderr.contains("deleting for good needs `y`"), "{}", weak.stderr);
    assert_eq!(kept(&fixture), all(1, 1));

    let remove = |path: &str, what: &str| {
        let which = format!("--permanent-delete={what}");
        let outcome = fixture.run(["remove", &url(&fixture, path, ALL), "--recursive", &which]);
        assert!(outcome.stderr.contains("cannot be undone"), "{}", outcome.stderr);
        outcome
    };
    removed(&remove("/a.txt", "snapshots"), "1");
    assert_eq!(kept(&fixture), [("a.txt".to_owned(), 0, 1), ("dir/b.txt".to_owned(), 1, 1)]);
    removed(&remove("", "Versions"), "2");
    assert_eq!(kept(&fixture), [("dir/b.txt".to_owned(), 1, 0)]);
    removed(&remove("/dir", "SnapshotsAndVersions"), "1");
    assert_eq!(kept(&fixture), []);
    assert_eq!(fixture.names(), ["a.txt", "dir/b.txt"]);
    for name in ["a.txt", "dir/b.txt"] {
        assert_eq!(fixture.content(name), b"now", "{name}");
        assert_eq!(ids(&fixture, name).len(), 2, "{name}");
    }
}

#[test]
fn listed_versions_are_downloaded() {
    let fixture = versioned();
    let ids = ids(&fixture, "dir/b.txt");
    let list = write_list(&fixture, &ids[..2]);
    let to = fixture.path().join("to");
    let blob = url(&fixture, "/dir/b.txt", ALL);
    removed(&fixture.run(["copy", &blob, to.to_str().unwrap(), &list]), "2");
    let files: BTreeMap<String, Vec<u8>> = std::fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    let name = |id: &String| format!("{}-b.txt", id.replace(':', "-"));
    assert_eq!(files, [(name(&ids[0]), b"1".to_vec()), (name(&ids[1]), b"2".to_vec())].into());
}

#[test]
fn listed_versions_are_removed_and_no_others() {
    let fixture = versioned();
    let before = ids(&fixture, "dir/b.txt");
    let list = write_list(&fixture, &before[1..2]);
    removed(&fixture.run(["remove", &url(&fixture, "/dir/b.txt", ALL), &list]), "1");
    assert_eq!(ids(&fixture, "dir/b.txt"), [before[0].clone(), before[2].clone()]);
    assert_eq!((fixture.content("dir/b.txt"), ids(&fixture, "a.txt").len()), (b"now".to_vec(), 3));
    // The blob as it is now is no earlier version of itself.
    let list = write_list(&fixture, &before[2..]);
    let outcome = fixture.run(["remove", &url(&fixture, "/dir/b.txt", ALL), &list]);
    assert_eq!(outcome.field("Number of File Transfers Failed"), Some("1"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("OperationNotAllowedOnRootBlob"), "{}", outcome.stderr);
    assert_eq!(fixture.content("dir/b.txt"), b"now");
}

#[test]
fn blobs_of_an_excluded_type_are_not_downloaded() {
    let fixture = Fixture::new(azuring!());
    for (name, kind) in [("block", "BlockBlob"), ("page", "PageBlob"), ("append", "AppendBlob")] {
        let file = fixture.file(name, &[7; 512]);
        fixture.upload(&file, &[&format!("--blob-type={kind}")]).expect_code(0);
    }
    for (excluded, left) in [
        ("PageBlob", &["append", "block"][..]),
        ("pageblob;AppendBlob", &["block"]),
        ("BlockBlob", &["append", "page"]),
    ] {
        let to = fixture.path().join(excluded.replace(';', "-"));
        let (from, which) = (fixture.url(), format!("--exclude-blob-type={excluded}"));
        let args = ["copy", &from, to.to_str().unwrap(), "--recursive", "--as-subdir=false", &which];
        removed(&fixture.run(args), &left.len().to_string());
        let entries = std::fs::read_dir(&to).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, left, "{excluded}");
    }
}

#[test]
fn properties_of_an_excluded_pattern_are_left_alone() {
    let fixture = Fixture::new(azuring!());
    for name in ["a.txt", "a.log", "dir/b.log", "dir/b.txt"] {
        fixture.file(&format!("tree/{name}"), b"x");
    }
    fixture.upload(&fixture.path().join("tree"), &["--as-subdir=false"]).expect_code(0);
    let url = fixture.url();
    let args = ["set-properties", &url, "--recursive", "--exclude-pattern=*.log", "--block-blob-tier=Cool"];
    removed(&fixture.run(args), "2");
    let tiers: Vec<_> = fixture.blobs().into_iter().map(|blob| (blob.name, blob.tier)).collect();
    let expected = [("a.log", "Hot"), ("a.txt", "Cool"), ("dir/b.log", "Hot"), ("dir/b.txt", "Cool")];
    assert_eq!(tiers, expected.map(|(name, tier)| (name.to_owned(), tier.to_owned())));
}
