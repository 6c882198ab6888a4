//! What azuring itself keeps (journals, logs) or hands on (stdout) on a file system that fails.

use std::path::Path;

use azsim::Operation;
use azuring_tests::{Azuring, CONTAINER, Call, FaultyFs, Fixture, azuring, faulty_fs};
use tempfile::TempDir;

use crate::scene::{EDQUOT, EIO, Files, noise, plant};

fn disk() -> (TempDir, FaultyFs) {
    let directory = tempfile::tempdir().unwrap();
    let disk = faulty_fs!(directory.path(), &["tmpfile"]);
    (directory, disk)
}

/// `close(2)` of the log: the job is the same, and it is said.
#[test]
fn a_log_that_is_not_kept_is_told_of() {
    let (_directory, disk) = disk();
    let fixture = Fixture::new(azuring!().env("AZCOPY_LOG_LOCATION", disk.path()));
    let file = fixture.file("a.txt", b"content");
    let logs = || std::fs::read_dir(disk.path()).unwrap().count();
    let kept = fixture.upload(&file, &[]);
    assert!(!kept.expect_code(0).stderr.contains("not complete"), "{}", kept.stderr);
    assert_eq!(logs(), 1);
    fixture.hold(Operation::PutBlob, "a.txt", 0);
    let running = fixture.azuring().start(fixture.upload_args(&file, &[]));
    fixture.wait_for_held(1);
    disk.fail(Call::Close, EIO, 1, 0);
    fixture.release();
    let lost = running.wait().unwrap();
    lost.expect_code(0);
    let told = "Input/output error (os error 5): the log is not complete";
    assert_eq!(lost.stderr.matches(told).count(), 1, "{}", lost.stderr);
    assert_eq!(fixture.content("a.txt"), b"content");
}

/// `azuring copy URL - > FILE`: what the file system says when the file is closed is the job's.
#[test]
fn a_blob_that_stdout_has_not_kept_has_failed() {
    let (_directory, disk) = disk();
    let to = disk.path().join("out");
    let fixture = Fixture::new(Azuring::new("sh").env("OUT", &to));
    let files = Files::from([("small".to_owned(), noise(1, 5000)), ("large".to_owned(), noise(2, 1 << 20))]);
    plant(&fixture, &files);
    let run = |name: &str| {
        let source = fixture.url_of(CONTAINER, &format!("tree/{name}"));
        let script = "exec \"$0\" \"$@\" > \"$OUT\"";
        let program = env!("CARGO_BIN_EXE_azuring-under-test");
        fixture.run(["-c", script, program, "copy", &source, "-", "--block-size-mb=0.25"])
    };
    for (name, bytes) in &files {
        run(name).expect_code(0);
        assert!(std::fs::read(&to).unwrap() == *bytes, "{name}");
        for (errno, code) in [(EIO, 1), (EDQUOT, 8)] {
            disk.fail(Call::Close, errno, 1, 0);
            run(name).expect_code(code);
            disk.heal();
        }
    }
}

/// What cannot be made durable is not recorded: the job stops, and goes on when it can be.
#[test]
fn a_journal_that_is_not_durable_stops_the_job() {
    let (_directory, disk) = disk();
    let fixture = Fixture::new(azuring!().env("AZCOPY_JOB_PLAN_LOCATION", disk.path()));
    for n in 0..40 {
        fixture.file(&format!("tree/{n:02}"), &noise(n, 1000));
    }
    let tree = fixture.path().join("tree");
    fixture.hold(Operation::PutBlob, "", 20);
    let running = fixture.azuring().start(fixture.upload_args(&tree, &["--lanes=1", "--concurrency=2"]));
    fixture.wait_for_held(2);
    disk.fail(Call::Sync, EIO, 1, 0);
    fixture.release();
    let stopped = running.wait().unwrap();
    stopped.expect_code(1);
    assert!(stopped.stderr.contains("the job's journal cannot be written"), "{}", stopped.stderr);
    assert_eq!(stopped.field("Final Job Status"), Some("Failed"), "{}", stopped.stdout);
    assert!(disk.counts(Call::Sync).1 > 0);
    // Nor is another one begun.
    assert!(fixture.upload(&tree, &[]).code.is_some_and(|code| code != 0));
    disk.heal();
    resumed(&fixture, &tree);
}

fn resumed(fixture: &Fixture, tree: &Path) {
    let listed = fixture.run(["jobs", "list"]);
    let id = listed.stdout.lines().find_map(|line| line.strip_prefix("JobId: ")).expect("there is a job");
    let url = fixture.url();
    let sas = format!("--destination-sas={}", url.split_once('?').unwrap().1);
    let done = fixture.run(["jobs", "resume", id, &sas]);
    assert_eq!(
        done.expect_code(0).field("Number of File Transfers Completed"),
        Some("40"),
        "{}",
        done.stdout
    );
    for entry in std::fs::read_dir(tree).unwrap() {
        let entry = entry.unwrap();
        let name = format!("tree/{}", entry.file_name().to_str().unwrap());
        assert_eq!(fixture.content(&name), std::fs::read(entry.path()).unwrap(), "{name}");
    }
}
