//! Names are taken to the letter on the way from the command line to the request.

use std::collections::BTreeSet;

use azuring_tests::{Fixture, azuring};

use super::plant;

/// Names that a rule of some file system, URL or text would take for one another.
const NAMES: &[&str] = &[
    "dir//in",
    "dir//deep/in",
    "dir/keep",
    "dir/",
    "dir",
    "dirt",
    "x/",
    "y/",
    "y//",
    "/",
    "//",
    "/lead",
    "/lead/in",
    "lead",
    "a%2Fb",
    "a/b",
    "p+q",
    "p q",
    "p%2Bq",
    "dot.",
    "dot",
    "dots./in",
    "dots/in",
    "back\\slash",
    "back/slash",
    "\u{e9}/in",
    "e\u{301}/in",
    "UP",
    "up",
];

fn fixture() -> Fixture {
    let fixture = Fixture::new(azuring!());
    plant(&fixture, NAMES.iter().map(|name| (*name, "content")));
    fixture
}

/// A path of a URL with `--recursive`, and the names that it means.
const PATHS: &[(&str, &[&str])] = &[
    ("dir//", &["dir//in", "dir//deep/in"]),
    ("dir//*", &["dir//in", "dir//deep/in"]),
    ("dir//deep", &["dir//deep/in"]),
    ("dir/", &["dir/", "dir//in", "dir//deep/in", "dir/keep"]),
    ("x/", &["x/"]),
    ("y//", &["y//"]),
    ("/", &["/", "//", "/lead", "/lead/in"]),
    ("/*", &["/", "//", "/lead", "/lead/in"]),
    ("//", &["//"]),
    ("/lead/", &["/lead/in"]),
    ("/lead", &["/lead"]),
    ("a%252Fb", &["a%2Fb"]),
    ("a%2Fb", &["a/b"]),
    ("p+q", &["p+q"]),
    ("p%20q", &["p q"]),
    ("p%252Bq", &["p%2Bq"]),
    ("dot.", &["dot."]),
    ("dots.", &["dots./in"]),
    ("dots", &["dots/in"]),
    ("back%5Cslash", &["back\\slash"]),
    ("%C3%A9", &["\u{e9}/in"]),
    ("e%CC%81", &["e\u{301}/in"]),
    ("UP", &["UP"]),
];

fn without(gone: &[&str]) -> BTreeSet<String> {
    NAMES.iter().filter(|name| !gone.contains(name)).map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_a_url_names_is_removed_and_nothing_beside_it() {
    for (path, names) in PATHS {
        let fixture = fixture();
        let url = fixture.url_of("data", path);
        let outcome = fixture.run(["remove", &url, "--recursive"]);
        outcome.expect_code(0);
        let left: BTreeSet<String> = fixture.names().into_iter().collect();
        assert_eq!(left, without(names), "{path}\n{}", outcome.stderr);
    }
}

#[test]
fn listings_dry_runs_and_changes_select_the_same() {
    let fixture = fixture();
    for (path, names) in PATHS {
        let url = fixture.url_of("data", path);
        let listed = fixture.run(["list", &url, "--machine-readable"]);
        let listed = listed.expect_code(0).stdout.lines().count();
        assert_eq!(listed, names.len(), "list {path}");
        for command in ["remove", "set-properties", "copy"] {
            let mut args = vec![command, &url, "--recursive", "--dry-run", "--output-type=ndjson"];
            match command {
                "copy" => args.insert(2, "/tmp/nowhere"),
                "set-properties" => args.push("--metadata=k=v"),
                _ => {}
            }
            let outcome = fixture.run(args);
            // Of a blob and what is below it only one is copied: the other one is selected, and refused.
            assert!(outcome.code == Some(0) || command == "copy", "{command} {path}: {}", outcome.stdout);
            let planned: Vec<String> = outcome
                .stdout
                .lines()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
                .filter(|line| matches!(line["type"].as_str(), Some("planned" | "failed")))
                .map(|line| line["object"].as_str().unwrap_or_default().to_owned())
                .collect();
            assert!(!planned.contains(&String::new()), "{command} {path}: {}", outcome.stdout);
            assert_eq!(planned.len(), names.len(), "{command} {path}: {}", outcome.stdout);
        }
    }
    assert_eq!(fixture.names().len(), NAMES.len());
}

#[test]
fn a_list_names_blobs_to_the_letter() {
    let fixture = fixture();
    let lines = ["dir//in", "dir/", "x/", "y//", "/", "//", "/lead", "a%2Fb", "p+q", "dot.", "back\\slash"];
    let list = fixture.file("list", lines.join("\n").as_bytes());
    let list = format!("--list-of-files={}", list.display());
    // Without --recursive each line is the blob of that name alone.
    let outcome = fixture.run(["remove", &fixture.url(), &list]);
    outcome.expect_code(0);
    let left: BTreeSet<String> = fixture.names().into_iter().collect();
    assert_eq!(left, without(&lines), "{}", outcome.stderr);
    // What is not there is told by its name, a directory by what it needs.
    let missing = fixture.file("missing", b"/gone\ndots./\n");
    let outcome = fixture.run(["remove", &fixture.url(), &format!("--list-of-files={}", missing.display())]);
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("/gone: there is no such blob"), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("dots./: a directory in a list of files needs --recursive"),
        "{}",
        outcome.stderr
    );
    // With it, a line ending in a slash is all that is below.
    let below = fixture.file("below", b"/lead/\ndots./\n");
    fixture
        .run(["remove", &fixture.url(), "--recursive", &format!("--list-of-files={}", below.display())])
        .expect_code(0);
    let gone: Vec<&str> = lines.iter().copied().chain(["/lead/in", "dots./in"]).collect();
    let left: BTreeSet<String> = fixture.names().into_iter().collect();
    assert_eq!(left, without(&gone));
}

#[test]
fn what_goes_up_below_slashes_comes_down_from_below_them() {
    for (path, prefix) in
        [("dir//", "dir//"), ("/lead", "/lead/"), ("/", "/"), ("//", "//"), ("plain", "plain/")]
    {
        let fixture = Fixture::new(azuring!());
        fixture.file("up/one", b"1");
        fixture.file("up/sub/two", b"2");
        let (up, down) = (fixture.path().join("up"), fixture.path().join("down"));
        let url = fixture.url_of("data", path);
        let flags = ["--recursive", "--as-subdir=false", "--include-directory-stub"];
        fixture.run(["copy", up.to_str().unwrap(), &url].iter().chain(&flags)).expect_code(0);
        let expected = ["", "one", "sub", "sub/two"].map(|name| format!("{prefix}{name}"));
        // The stub of the directory itself is called as what is below it begins, without the slash between.
        let stub = prefix[..prefix.len() - 1].to_owned();
        let names = fixture.names();
        assert!(expected[1..].iter().all(|name| names.contains(name)), "{path}: {names:?}");
        assert!(names.iter().all(|name| expected.contains(name) || *name == stub), "{path}: {names:?}");
        let from = fixture.url_of("data", &format!("{prefix}*"));
        fixture.run(["copy", &from, down.to_str().unwrap(), "--recursive"]).expect_code(0);
        assert_eq!(std::fs::read(down.join("one")).unwrap(), b"1", "{path}");
        assert_eq!(std::fs::read(down.join("sub/two")).unwrap(), b"2", "{path}");
        fixture.run(["remove", &from, "--recursive"]).expect_code(0);
        assert!(fixture.names().iter().all(|name| *name == stub), "{path}: {:?}", fixture.names());
    }
}

#[test]
fn a_name_that_is_told_is_never_empty() {
    let fixture = fixture();
    let down = fixture.path().join("down");
    let outcome = fixture.run(["copy", &fixture.url_of("data", "x/"), down.to_str().unwrap(), "--recursive"]);
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("x/: its name ends in a slash"), "{}", outcome.stderr);
    let outcome = fixture.run(["list", &fixture.url_of("data", "x/")]);
    assert!(outcome.expect_code(0).stdout.starts_with("x/; "), "{}", outcome.stdout);
    // Refused by the service.
    let url = format!("{}/data/x/", fixture.server().url("devstoreaccount1"));
    let sas = fixture.server().account_sas("devstoreaccount1", "rl", std::time::Duration::from_secs(600));
    let outcome = fixture.run(["remove", &format!("{url}?{sas}"), "--recursive"]);
    assert_ne!(outcome.code, Some(0));
    assert_eq!(fixture.names().len(), NAMES.len());
}

#[test]
fn included_paths_that_begin_alike_take_each_blob_once() {
    let fixture = Fixture::new(azuring!());
    plant(&fixture, ["a", "a-b", "a-b/1", "a/1", "a0"].map(|name| (name, "content")));
    let args = ["copy", &fixture.url(), "/dev/null", "--recursive", "--include-path=a;a-b"];
    let outcome = fixture.run(args);
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("4"), "{}", outcome.stdout);
}

#[test]
fn paths_of_filters_are_names_too() {
    for (flag, gone) in [
        // A path is itself and what is below it: `dir/` is that directory's own name.
        ("--include-path=dir//", &["dir/", "dir//in", "dir//deep/in"][..]),
        ("--include-path=/lead;dir//in", &["/lead", "/lead/in", "dir//in"]),
        ("--include-path=dots.", &["dots./in"]),
        ("--include-path=p+q;a%2Fb", &["p+q", "a%2Fb"]),
    ] {
        let fixture = fixture();
        fixture.run(["remove", &fixture.url(), "--recursive", flag]).expect_code(0);
        let left: BTreeSet<String> = fixture.names().into_iter().collect();
        assert_eq!(left, without(gone), "{flag}");
    }
    let fixture = fixture();
    fixture.run(["remove", &fixture.url(), "--recursive", "--exclude-path=dir//;/lead"]).expect_code(0);
    let left: BTreeSet<String> = fixture.names().into_iter().collect();
    let kept = ["dir/", "dir//in", "dir//deep/in", "/lead", "/lead/in"].map(str::to_owned);
    assert_eq!(left, kept.into_iter().collect());
}
