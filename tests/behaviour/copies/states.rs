//! Snapshots and versions as sources.

use azsim::{Operation, Seed};
use azuring_tests::{AzCopy, CONTAINER, azuring};

use super::{Accounts, BLOCK, BLOCKS, FROM, ROUTES, TO, bytes, number, seed};

const BLOBS: [(&str, usize); 2] = [("dir/small", 9), ("large", 5 * BLOCK + 3)];

/// An account that keeps versions. There are two of each blob and a snapshot of the second, and what is now.
fn versioned() -> Accounts {
    let accounts = Accounts::with(azuring!(), |server| server.versioning(true));
    for (n, mark) in ["first", "second", "now"].into_iter().enumerate() {
        for (name, len) in BLOBS {
            let metadata = vec![("mark".to_owned(), mark.to_owned())];
            accounts.plant(FROM, [Seed { metadata, ..seed(name, &bytes(len + n, n)) }]);
            if mark == "second" {
                assert!(accounts.fixture.server().snapshot(FROM, CONTAINER, name));
            }
        }
    }
    accounts
}

/// Snapshots and versions of a blob.
fn states(accounts: &Accounts, blob: &str) -> [Vec<String>; 2] {
    let states = accounts.fixture.server().states(FROM, CONTAINER, blob);
    assert_eq!((states[0].len(), states[1].len()), (1, 2));
    states
}

/// A URL of one state of a blob.
fn url_of(accounts: &Accounts, blob: &str, what: &str, id: &str) -> String {
    let id = id.replace(':', "%3A");
    accounts.url(FROM, blob).replace('?', &format!("?{what}={id}&"))
}

#[test]
fn a_snapshot_or_version_becomes_the_blob_at_the_destination() {
    for route in ROUTES {
        for (blob, len) in BLOBS {
            let accounts = versioned();
            let [snapshots, versions] = states(&accounts, blob);
            for (what, id, n, mark) in [
                ("snapshot", &snapshots[0], 1, "second"),
                ("versionid", &versions[0], 0, "first"),
                ("versionid", &versions[1], 1, "second"),
            ] {
                let (from, to) = (url_of(&accounts, blob, what, id), accounts.url(TO, "copy"));
                let line = [&["copy", &*from, &*to, route, "--verify"][..], &BLOCKS].concat();
                accounts.fixture.run(line).expect_code(0);
                assert!(accounts.content(TO, "copy") == bytes(len + n, n), "{route} {blob} {what}");
                let copied = &accounts.blobs(TO)[0];
                assert_eq!(copied.metadata, [("mark".to_owned(), mark.to_owned())], "{route} {blob} {what}");
            }
            // Over the blob itself, in the same place.
            let (from, to) = (url_of(&accounts, blob, "snapshot", &snapshots[0]), accounts.url(FROM, blob));
            let line = [&["copy", &*from, &*to, route][..], &BLOCKS].concat();
            accounts.fixture.run(line).expect_code(0);
            assert!(accounts.content(FROM, blob) == bytes(len + 1, 1), "{route} {blob}");
        }
    }
}

#[test]
fn listed_versions_are_copied_beside_each_other() {
    for route in ROUTES {
        for (blob, len) in BLOBS {
            for (to, prefix) in [("", ""), ("sub", "sub/"), ("sub/", "sub/")] {
                let accounts = versioned();
                let [_, versions] = states(&accounts, blob);
                let list = accounts.fixture.file("ids", versions.join("\n").as_bytes());
                let list = format!("--list-of-versions={}", list.display());
                let outcome = accounts.run(blob, to, &[&[&*list, route][..], &BLOCKS].concat());
                outcome.expect_code(0);
                assert_eq!(number(&outcome, "Number of File Transfers Completed"), 2);
                let last = blob.rsplit('/').next().unwrap();
                let name = |id: &String| format!("{prefix}{}-{last}", id.replace(':', "-"));
                assert_eq!(accounts.names(TO), versions.iter().map(name).collect::<Vec<_>>());
                for (n, id) in versions.iter().enumerate() {
                    assert!(accounts.content(TO, &name(id)) == bytes(len + n, n), "{route} {blob} {n}");
                }
            }
        }
    }
}

#[test]
fn a_version_that_is_not_there_fails_alone_and_so_does_a_state_that_is_named() {
    let accounts = versioned();
    let [snapshots, versions] = states(&accounts, "large");
    let gone = "2020-01-01T00:00:00.0000000Z".to_owned();
    let list = accounts.fixture.file("ids", format!("{}\n{gone}\n{}", versions[0], versions[1]).as_bytes());
    let outcome = accounts.run("large", "", &[&format!("--list-of-versions={}", list.display())]);
    outcome.expect_code(1);
    assert_eq!(number(&outcome, "Number of File Transfers Completed"), 2);
    assert_eq!(number(&outcome, "Number of File Transfers Failed"), 1);
    let to = accounts.url(TO, "x");
    let outcome = accounts.fixture.run(["copy", &url_of(&accounts, "large", "versionid", &gone), &to]);
    outcome.expect_code(4);
    assert!(outcome.stderr.contains("there is no such snapshot or version"), "{}", outcome.stderr);
    // Neither a directory nor a container has versions, nor is one written.
    let line = [
        "copy",
        &accounts.url(FROM, ""),
        &to,
        "--recursive",
        &format!("--list-of-versions={}", list.display()),
    ];
    let outcome = accounts.fixture.run(line);
    assert!(
        outcome.code != Some(0) && outcome.stderr.contains("versions are listed for one blob"),
        "{}",
        outcome.stderr
    );
    let snapshot = to.replace('?', &format!("?snapshot={}&", snapshots[0].replace(':', "%3A")));
    let outcome = accounts.fixture.run(["copy", &accounts.url(FROM, "large"), &snapshot]);
    outcome.expect_code(2);
    assert!(outcome.stderr.contains("cannot be written"), "{}", outcome.stderr);
}

/// A large state is read in several blocks, all of one state, and a job that stopped goes on with it.
#[test]
fn a_copy_of_a_version_goes_on_with_that_version() {
    for (route, piece) in
        [("--route=direct", Operation::PutBlockFromUrl), ("--route=relay", Operation::PutBlock)]
    {
        let accounts = versioned();
        let [_, versions] = states(&accounts, "large");
        accounts.fixture.hold(piece, "", 3);
        let (from, to) = (url_of(&accounts, "large", "versionid", &versions[0]), accounts.url(TO, "copy"));
        let line = [&["copy", &*from, &*to, "--concurrency=1", route][..], &BLOCKS].concat();
        let running = accounts.fixture.azuring().start(line);
        accounts.fixture.wait_for_held(1);
        running.kill();
        running.wait().unwrap();
        accounts.fixture.release();
        accounts.plant(FROM, [seed("large", b"other")]);
        let id = accounts.fixture.run(["jobs", "list"]).stdout;
        let id = id.lines().find_map(|line| line.strip_prefix("JobId: ")).unwrap().to_owned();
        let sas = |url: String| url.split_once('?').unwrap().1.to_owned();
        let flags = [
            format!("--source-sas={}", sas(accounts.url(FROM, ""))),
            format!("--destination-sas={}", sas(accounts.url(TO, ""))),
        ];
        accounts.fixture.run(["jobs", "resume", &id, &flags[0], &flags[1]]).expect_code(0);
        assert!(accounts.content(TO, "copy") == bytes(5 * BLOCK + 3, 0), "{route}");
    }
}

/// AzCopy as judge: it copies one state too.
#[test]
fn azcopy_copies_the_same_states() {
    for (what, n) in [("snapshot", 0), ("versionid", 0), ("versionid", 1)] {
        for to in ["copy", "sub/"] {
            let there = |ours: bool| {
                let accounts = versioned();
                let [snapshots, versions] = states(&accounts, "dir/small");
                let id = if what == "snapshot" { &snapshots[n] } else { &versions[n] };
                let (from, to) = (url_of(&accounts, "dir/small", what, id), accounts.url(TO, to));
                let line = ["copy", &*from, &*to, "--from-to=BlobBlob"];
                if ours { accounts.fixture.run(line) } else { AzCopy::new().run(line) }.expect_code(0);
                super::contents(&accounts, TO)
            };
            assert_eq!(there(true), there(false), "azuring, AzCopy: {what} {to}");
        }
    }
}
