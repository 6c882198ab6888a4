//! The log of a job: where it is, what is in it, and that a job without one is the same.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_tests::{Azuring, Fixture, azuring};
use serde_json::Value;

/// A tree of one file that fails, one that does not, and a link.
fn failing(azuring: Azuring) -> (Fixture, String) {
    let fixture = Fixture::new(azuring);
    fixture.file("tree/bad.txt", b"bad");
    fixture.file("tree/good.txt", b"good");
    std::os::unix::fs::symlink("good.txt", fixture.path().join("tree/link")).unwrap();
    let rule = Rule {
        name: NameMatch::Contains("bad".to_owned()),
        operation: Some(Operation::PutBlob),
        fault: Fault::error(503, "ServerBusy"),
        skip: 0,
        count: u64::MAX,
    };
    fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let tree = fixture.path().join("tree").to_str().unwrap().to_owned();
    (fixture, tree)
}

/// The logs in a directory.
fn logs(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

/// The one log there is in `~/.azuring`.
#[track_caller]
fn the_log(fixture: &Fixture) -> PathBuf {
    let logs = logs(&fixture.azuring().home().join(".azuring"));
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs[0].clone()
}

fn content(text: &str, kind: &str) -> Value {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.into_iter().find(|line| line["MessageType"] == kind).unwrap();
    serde_json::from_str(line["MessageContent"].as_str().unwrap()).unwrap()
}

#[test]
fn each_level_has_its_lines() {
    for (level, want) in [
        ("debug", &["DEBUG", "ERROR", "INFO", "WARNING"][..]),
        ("INFO", &["ERROR", "INFO", "WARNING"]),
        ("Warning", &["ERROR", "INFO", "WARNING"]),
        ("ERROR", &["ERROR", "INFO"]),
    ] {
        let (fixture, tree) = failing(azuring!());
        let url = fixture.url();
        let level_flag = format!("--log-level={level}");
        fixture.upload(Path::new(&tree), &["--max-tries=2", &level_flag]).expect_code(5);
        let text = fs::read_to_string(the_log(&fixture)).unwrap();
        let of = |wanted: &str| -> Vec<&str> {
            text.lines().filter(|line| line.split(' ').nth(1) == Some(wanted)).collect()
        };
        let levels: BTreeSet<_> = text.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
        assert_eq!(levels, want.iter().copied().collect(), "{level}");
        // The head is always there.
        assert!(text.lines().next().unwrap().contains(" INFO azuring "), "{text}");
        let failed = of("ERROR");
        assert_eq!(failed.len(), 1, "{text}");
        let destination = format!("to {}/tree/bad.txt", url.split_once('?').unwrap().0);
        let source = format!("from {tree}/bad.txt");
        for part in [
            "failed: bad.txt: ",
            "status 503",
            "code ServerBusy",
            "request id ",
            "tries 2",
            &source,
            &destination,
            "advice: ",
        ] {
            assert!(failed[0].contains(part), "{part} in {}", failed[0]);
        }
        let infos = of("INFO").join("\n");
        let is_info = ["debug", "INFO"].contains(&level);
        for part in [
            "command: ",
            "?REDACTED' --recursive --max-tries=2",
            "upload ",
            "skipped: link: symlink",
            "Number of File Transfers Failed: 1",
            "ended: CompletedWithErrorsAndSkipped, exit code 5",
        ] {
            assert_eq!(infos.contains(part), is_info, "{part} at {level}: {infos}");
        }
        if level == "debug" {
            assert!(of("DEBUG")[0].contains("done: good.txt: 4 bytes; from "), "{text}");
        }
    }
}

#[test]
fn a_job_tells_where_its_log_is() {
    let dir = tempfile::tempdir().unwrap();
    let logs_dir = dir.path().join("a/b");
    let fixture = Fixture::new(azuring!().env("AZCOPY_LOG_LOCATION", &logs_dir));
    let file = fixture.file("x", b"x");
    let mut seen = BTreeSet::new();
    for form in ["text", "json", "ndjson"] {
        let outcome = fixture.upload(&file, &["--output-type", form]);
        let text = &outcome.expect_code(0).stdout;
        let told = match form {
            "text" => outcome.field("Log file is located at").unwrap().to_owned(),
            "json" => content(text, "Init")["LogFileLocation"].as_str().unwrap().to_owned(),
            _ => {
                let line = text.lines().find(|line| line.contains("\"start\"")).unwrap();
                serde_json::from_str::<Value>(line).unwrap()["log"].as_str().unwrap().to_owned()
            }
        };
        let last = fs::read_to_string(&told).unwrap().lines().last().unwrap().to_owned();
        assert!(last.ends_with("INFO ended: Completed, exit code 0"), "{last}");
        assert_eq!(Path::new(&told).parent(), Some(&*logs_dir));
        seen.insert(told);
    }
    assert_eq!(seen.len(), 3, "each job has its own");
    assert_eq!(logs(&fixture.azuring().home().join(".azuring")), [] as [PathBuf; 0]);
}

#[test]
fn what_moves_nothing_writes_no_log() {
    let fixture = Fixture::new(azuring!());
    let (file, url) = (fixture.file("x", b"x"), fixture.url());
    let file = file.to_str().unwrap();
    for args in [
        &["copy", file, &url, "--dry-run"][..],
        &["copy", file, &url, "--log-level=NONE"],
        &["list", &url],
        &["remove", &url, "--recursive", "--dry-run"],
        &["copy", &fixture.url_of("data", "x"), "-"],
        &["env"],
    ] {
        let outcome = fixture.run(args);
        assert!(!outcome.expect_code(0).stdout.contains("Log file"), "{args:?}: {}", outcome.stdout);
    }
    assert_eq!(logs(&fixture.azuring().home().join(".azuring")), [] as [PathBuf; 0]);
}

#[test]
fn a_job_without_a_place_for_its_log_is_told_so_once_and_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for (azuring, want) in [
        (azuring!().env("HOME", ""), "no log is written: HOME is not set"),
        (azuring!().env("AZCOPY_LOG_LOCATION", &file), "no log is written: "),
    ] {
        let fixture = Fixture::new(azuring);
        let file = fixture.file("x", b"x");
        let outcome = fixture.upload(&file, &[]);
        outcome.expect_code(0);
        assert_eq!(outcome.stderr.matches("no log is written").count(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(want), "{}", outcome.stderr);
        assert!(!outcome.stdout.contains("Log file"), "{}", outcome.stdout);
        assert_eq!(fixture.names(), ["x"]);
    }
}
