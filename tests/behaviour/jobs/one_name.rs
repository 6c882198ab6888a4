//! Blobs of a list that have one local name, because empty segments disappear: whichever comes first has it, and the
//! others are told as failed, in whatever order and of whatever lines they come. None is lost in silence.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use azsim::{Fault, Faults, NameMatch, Operation, Rule, Seed};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, Outcome, azuring};
use serde_json::Value;

use super::the_job;

const LAST: &str = "last";

const BLOBS: [&str; 10] = ["d/!", "d//!", "d//a", "d/a", "d//z/y", "d/z//y", "d/only", "e//b", "e/b", LAST];

/// Lines, and the beginnings of what they mean.
const LISTS: [(&str, &[&str]); 14] = [
    ("d", &["d/"]),
    ("d/", &["d/"]),
    ("d\nd//", &["d/"]),
    ("d//\nd", &["d/"]),
    ("d/\nd//", &["d/"]),
    ("d//\nd/", &["d/"]),
    ("d\ne\nd", &["d/", "e/"]),
    ("d//a\nd/a", &["d//a", "d/a"]),
    ("d/a\nd//a", &["d//a", "d/a"]),
    ("d/a\nd/!\nd//", &["d//", "d/a", "d/!"]),
    ("d//\nd/!\nd/a", &["d//", "d/a", "d/!"]),
    // Both are directories: neither has the other's name.
    ("d//z\nd/z", &["d//z", "d/z"]),
    ("d/z\nd//z", &["d//z", "d/z"]),
    // Nobody else wants it.
    ("d//a\ne//b", &["d//a", "e//b"]),
];

/// Each blob holds its name.
fn fixture(list: &str) -> Fixture {
    let fixture = Fixture::new(azuring!());
    let seed = |name: &str| Seed {
        name: name.to_owned(),
        content: vec![name.as_bytes().to_vec().into()],
        ..Seed::default()
    };
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, BLOBS.map(seed));
    fixture.file("list", list.as_bytes());
    fixture
}

fn words(fixture: &Fixture) -> Vec<String> {
    let at = |name: &str| fixture.path().join(name).to_str().unwrap().to_owned();
    let list = format!("--list-of-files={}", at("list"));
    let words = ["copy", &fixture.url(), &at("to"), "--recursive", &list, "--output-type=ndjson"];
    words.map(str::to_owned).to_vec()
}

/// What all files below a directory hold.
fn held(directory: &Path, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            held(&path, all);
        } else {
            assert!(all.insert(fs::read_to_string(&path).unwrap()), "twice: {}", path.display());
        }
    }
}

/// Every blob of the list is a file of its own bytes, or was told.
#[track_caller]
fn expect_none_lost(fixture: &Fixture, outcome: &Outcome, list: &str, meant: &[&str]) {
    let mut files = BTreeSet::new();
    held(&fixture.path().join("to"), &mut files);
    let lines = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let failed = lines.filter(|line| line["type"] == "failed");
    let failed: BTreeSet<String> = failed
        .map(|line| {
            assert_eq!(line["kind"], "name", "{list:?}: {line}");
            line["object"].as_str().unwrap().to_owned()
        })
        .collect();
    let meant = BLOBS.iter().filter(|name| meant.iter().any(|beginning| name.starts_with(beginning)));
    let lost: Vec<_> =
        meant.clone().filter(|name| !files.contains(**name) && !failed.contains(**name)).collect();
    assert!(lost.is_empty(), "{list:?}: {lost:?} neither is there nor was told: {files:?}, {failed:?}");
    assert!(files.is_disjoint(&failed), "{list:?}: {files:?}, {failed:?}");
    assert_eq!(files.len() + failed.len(), meant.count(), "{list:?}: {files:?}, {failed:?}");
    let local = |name: &String| name.replace("//", "/");
    let has_a_file: BTreeSet<String> = files.iter().map(local).collect();
    assert!(failed.iter().all(|name| has_a_file.contains(&local(name))), "{list:?}: {files:?}, {failed:?}");
    outcome.expect_code(i32::from(!failed.is_empty()));
}

#[test]
fn whichever_comes_first_has_it() {
    for (list, meant) in LISTS {
        let fixture = fixture(list);
        let outcome = fixture.run(words(&fixture));
        expect_none_lost(&fixture, &outcome, list, meant);
    }
}

#[test]
fn a_job_that_goes_on_knows_who_has_it() {
    for (list, meant) in LISTS {
        for (operation, passed) in
            [(Operation::GetBlob, 1), (Operation::GetBlob, 3), (Operation::ListBlobs, 0)]
        {
            let list = &format!("{list}\n{LAST}");
            let meant = &[meant, &[LAST]].concat();
            let fixture = fixture(list);
            // Whatever the lines are, the last one is held.
            let rule = |operation, name: &str, skip| Rule {
                name: NameMatch::Contains(name.to_owned()),
                operation: Some(operation),
                fault: Fault::Hold,
                skip,
                count: u64::MAX,
            };
            let rules = vec![rule(Operation::GetBlob, LAST, 0), rule(operation, "", passed)];
            fixture.server().set_faults(Faults { rules, ..Faults::default() });
            let words = words(&fixture).into_iter().chain(["--lanes=1".to_owned()]);
            let running = fixture.azuring().start(words);
            fixture.wait_for_held(1);
            running.kill();
            running.wait().unwrap();
            fixture.release();
            let url = fixture.url();
            let sas = format!("--source-sas={}", url.split_once('?').unwrap().1);
            let outcome = fixture.run(["jobs", "resume", &the_job(&fixture), &sas, "--output-type=ndjson"]);
            expect_none_lost(&fixture, &outcome, list, meant);
        }
    }
}
