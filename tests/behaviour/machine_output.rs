//! What programs read: every line of every job is as the schema says.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::os::unix::fs::symlink;

use azuring_tests::{Fixture, Outcome, azuring};
use serde_json::Value;

#[path = "../../tools/azuring/src/view/ndjson/schema.rs"]
mod schema;

/// The lines of stdout by their type, each as the schema says.
#[track_caller]
fn lines(outcome: &Outcome) -> Vec<(String, Value)> {
    let line = |line: &str| {
        let kind = schema::type_of(line).unwrap_or_else(|wrong| panic!("{wrong}"));
        (kind, serde_json::from_str(line).unwrap())
    };
    outcome.stdout.lines().map(line).collect()
}

/// The types, sorted, without `progress`, of which there are as many as a job lasts.
fn types(lines: &[(String, Value)]) -> Vec<&str> {
    let mut types: Vec<_> =
        lines.iter().map(|(kind, _)| kind.as_str()).filter(|kind| *kind != "progress").collect();
    types.sort_unstable();
    types
}

#[track_caller]
fn first<'a>(lines: &'a [(String, Value)], kind: &str) -> &'a Value {
    let found = lines.iter().find(|(it, _)| it == kind);
    &found.unwrap_or_else(|| panic!("no {kind} in {lines:?}")).1
}

/// A name that the service does not take.
fn too_long() -> String {
    "long/".repeat(260) + "x"
}

/// `tree` with two files, one that fails, and a link that is left out.
fn tree(fixture: &Fixture) -> String {
    fixture.file("tree/a b", b"12345");
    fixture.file("tree/sub/c", b"1");
    fixture.file(&format!("tree/{}", too_long()), b"1234567");
    symlink("a b", fixture.path().join("tree/link")).unwrap();
    fixture.path().join("tree").to_str().unwrap().to_owned()
}

#[test]
fn every_line_of_every_job_is_as_the_schema_says() {
    let fixture = Fixture::new(azuring!());
    let (tree, url) = (tree(&fixture), fixture.url());
    let run = |args: &[&str], code: i32| {
        let args = args.iter().copied().chain(["--output-type=ndjson"]);
        lines(fixture.run(args).expect_code(code))
    };

    let planned = run(&["copy", &tree, &url, "--recursive", "--dry-run"], 0);
    assert_eq!(types(&planned), ["planned", "planned", "planned", "skipped", "start", "summary"]);
    let up = run(&["copy", &tree, &url, "--recursive"], 1);
    assert_eq!(types(&up), ["done", "done", "failed", "skipped", "start", "summary"]);
    let failed = first(&up, "failed");
    assert_eq!((&failed["bytes"], &failed["kind"]), (&7.into(), &"name".into()), "{failed}");
    assert_eq!(first(&up, "skipped")["reason"], "symlink");
    assert_eq!(first(&up, "summary")["exit_code"], 1);
    let again = run(&["copy", &tree, &url, "--recursive", "--overwrite=false", "--include-path=a b"], 0);
    let skipped = first(&again, "skipped");
    assert_eq!((&skipped["bytes"], &skipped["reason"]), (&5.into(), &"exists".into()), "{skipped}");

    let target = fixture.path().join("down");
    let target = target.to_str().unwrap();
    let down = run(&["copy", &url, target, "--recursive"], 0);
    assert_eq!(types(&down), ["done", "done", "start", "summary"]);
    assert_eq!(first(&down, "start")["verb"], "download");
    let kept = run(&["copy", &url, target, "--recursive", "--overwrite=false"], 0);
    assert_eq!(types(&kept), ["skipped", "skipped", "start", "summary"]);

    let listed = run(&["list", &url, "--running-tally", "--properties=LastModifiedTime;ContentType"], 0);
    assert_eq!(types(&listed), ["list_summary", "object", "object"]);
    assert_eq!(first(&listed, "list_summary")["bytes"], 6);
    // Lengths are numbers of bytes whatever the text would show.
    for flag in ["--machine-readable", "--mega-units"] {
        let listed = run(&["list", &fixture.url_of("data", "tree/a%20b"), flag], 0);
        assert_eq!(first(&listed, "object")["bytes"], 5, "{flag}");
    }

    let tagged = run(&["set-properties", &url, "--recursive", "--blob-tags=k=v"], 0);
    assert_eq!(types(&tagged), ["done", "done", "start", "summary"]);
    assert_eq!(
        types(&run(&["set-properties", &url, "--recursive", "--blob-tags=k=v", "--dry-run"], 0))[..1],
        ["planned"]
    );
    assert_eq!(types(&run(&["remove", &url, "--recursive", "--dry-run"], 0))[..2], ["planned"; 2]);
    let removed = run(&["remove", &url, "--recursive"], 0);
    assert_eq!(types(&removed), ["done", "done", "start", "summary"]);

    assert_eq!(types(&run(&["make", &fixture.url_of("fresh", "")], 0)), ["made"]);
    assert_eq!(types(&run(&["make", &fixture.url_of("fresh", "")], 1)), ["error"]);
    assert!(types(&run(&["env"], 0)).iter().all(|kind| *kind == "variable"));
    assert_eq!(types(&run(&["copy", "/no/such/file", &url], 4)), ["error"]);
    let gone = run(&["copy", &tree, &fixture.url_of("gone", ""), "--recursive"], 1);
    assert!(first(&gone, "summary")["fatal"].as_str().unwrap().contains("ContainerNotFound"), "{gone:?}");

    let broken = "11111111-1111-4111-8111-111111111111";
    let directory = fixture.azuring().home().join(".azuring/jobs").join(broken);
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("journal"), "no journal").unwrap();
    let jobs = run(&["jobs", "list"], 0);
    assert!(types(&jobs).iter().all(|kind| *kind == "job"));
    assert!(jobs.iter().any(|(_, job)| job["job"] == broken && job["unreadable"].is_string()), "{jobs:?}");
    let id = |lines: &[(String, Value)]| first(lines, "start")["job"].as_str().unwrap().to_owned();
    let up = id(&up);
    let show = |id: &str, flag: &str| run(&["jobs", "show", id, flag], 0);
    assert_eq!(first(&show(&up, "--failed=false"), "job")["found"], 3);
    assert_eq!(types(&show(&up, "--failed")), ["failed"]);
    let cleaned = run(&["jobs", "clean"], 0);
    assert_eq!(types(&cleaned), vec!["removed"; jobs.len()]);
}

#[test]
fn azcopys_lists_tell_lengths() {
    let fixture = Fixture::new(azuring!());
    let (tree, url) = (tree(&fixture), fixture.url());
    let end = |args: &[&str], code: i32| -> Value {
        let outcome = fixture.run(args.iter().copied().chain(["--output-type=json"]));
        let last: Value =
            serde_json::from_str(outcome.expect_code(code).stdout.lines().last().unwrap()).unwrap();
        serde_json::from_str(last["MessageContent"].as_str().unwrap()).unwrap()
    };
    let up = end(&["copy", &tree, &url, "--recursive"], 1);
    assert_eq!(up["FailedTransfers"][0]["TransferSize"], 7, "{up}");
    let target = fixture.path().join("down");
    let down = ["copy", &fixture.url_of("data", "tree/a%20b"), target.to_str().unwrap(), "--overwrite=false"];
    assert_eq!(end(&down, 0)["SkippedTransfers"].as_array().unwrap().len(), 0);
    let kept = end(&down, 0);
    assert_eq!(kept["SkippedTransfers"][0]["TransferSize"], 5, "{kept}");
    assert_eq!(kept["TransfersSkipped"], "1");
}
