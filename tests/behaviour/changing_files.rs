//! Files that change, shrink, grow or vanish while they are transferred.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use azsim::Operation;
use azuring_bench::workload::large_file;
use azuring_tests::{Fixture, azuring};

/// Uploads a file of 32 blocks and calls `change` when four of them have been sent.
fn changed_under_way(change: impl Fn(&Path), expected: &str) {
    let fixture = Fixture::new(azuring!());
    let path = fixture.file("tree/changing.bin", b"the old version");
    fixture.upload(&fixture.path().join("tree"), &[]).expect_code(0);
    fs::remove_file(&path).unwrap();
    large_file(&path, 8 << 20).unwrap();
    fixture.file("tree/steady.bin", b"steady");
    fixture.hold(Operation::PutBlock, "changing", 4);

    let args = fixture.upload_args(
        &fixture.path().join("tree"),
        &["--block-size-mb=0.25", "--put-blob-size-mb=0.25", "--concurrency=2", "--retry-failed=0"],
    );
    let running = fixture.azuring().start(args);
    fixture.wait_for_held(1);
    change(&path);
    fixture.release();
    let outcome = running.wait().unwrap();
    outcome.expect_code(1);
    let line = outcome.stderr.lines().find(|line| line.starts_with("failed:")).unwrap();
    // The kernel changes a file's time and its length one after the other, and a lane may look in between.
    let is_told = line.contains(expected) || line.contains("modified while it was read");
    assert!(line.contains("changing.bin") && is_told, "{line}");
    assert_eq!(fixture.content("tree/changing.bin"), b"the old version", "nothing mixed becomes visible");
    assert_eq!(fixture.content("tree/steady.bin"), b"steady", "the rest of the job goes on");
}

#[test]
fn a_file_that_grows_fails_alone() {
    changed_under_way(
        |path| OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap(),
        "grew",
    );
}

#[test]
fn a_file_that_is_steady_again_is_sent_in_the_second_attempt() {
    let fixture = Fixture::new(azuring!());
    let path = fixture.path().join("tree/changing.bin");
    fs::create_dir(fixture.path().join("tree")).unwrap();
    large_file(&path, 8 << 20).unwrap();
    fixture.hold(Operation::PutBlock, "changing", 4);
    let args = fixture.upload_args(
        &fixture.path().join("tree"),
        &["--block-size-mb=0.25", "--put-blob-size-mb=0.25", "--concurrency=2"],
    );
    let running = fixture.azuring().start(args);
    fixture.wait_for_held(1);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    fixture.release();
    running.wait().unwrap().expect_code(0);
    assert_eq!(fixture.content("tree/changing.bin"), fs::read(&path).unwrap());
}

#[test]
fn a_file_that_shrinks_fails_alone() {
    changed_under_way(
        |path| OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 20).unwrap(),
        "became shorter",
    );
}

#[test]
fn a_file_that_is_rewritten_in_place_fails_alone() {
    changed_under_way(
        |path| {
            let mut file = OpenOptions::new().write(true).open(path).unwrap();
            file.write_all(b"other bytes at the beginning").unwrap();
        },
        "modified",
    );
}

#[test]
fn files_that_vanish_after_they_were_listed_fail_alone() {
    let fixture = Fixture::new(azuring!());
    for n in 0..400 {
        fixture.file(&format!("tree/{n:03}.txt"), format!("{n}").as_bytes());
    }
    fixture.hold(Operation::PutBlob, "", 5);
    let args = fixture.upload_args(&fixture.path().join("tree"), &["--concurrency=1"]);
    let running = fixture.azuring().start(args);
    fixture.wait_for_held(1);
    // Listed long ago, and far from being opened: the first 64 are read ahead.
    for n in 390..400 {
        fs::remove_file(fixture.path().join(format!("tree/{n:03}.txt"))).unwrap();
    }
    fixture.release();
    let outcome = running.wait().unwrap();
    outcome.expect_code(1);
    assert_eq!(fixture.names().len(), 390);
    assert_eq!(outcome.field("Number of File Transfers Failed"), Some("10"));
    let lines = outcome.stderr.lines().filter(|line| line.contains("removed after it was listed")).count();
    assert_eq!(lines, 10, "{}", outcome.stderr);
}

#[test]
fn a_pipe_in_the_place_of_a_file_stops_nobody() {
    for io in ["auto", "threads"] {
        let fixture = Fixture::new(azuring!());
        for n in 0..300 {
            fixture.file(&format!("tree/{n:03}.txt"), format!("{n}").as_bytes());
        }
        fixture.hold(Operation::PutBlob, "", 5);
        let args = fixture.upload_args(
            &fixture.path().join("tree"),
            &["--concurrency=1", "--lanes=1", &format!("--io={io}")],
        );
        let running = fixture.azuring().start(args);
        fixture.wait_for_held(1);
        let replaced = fixture.path().join("tree/299.txt");
        fs::remove_file(&replaced).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&replaced).status().unwrap();
        assert!(made.success());
        fixture.release();
        let outcome = running.wait().unwrap();
        outcome.expect_code(1);
        assert_eq!(fixture.names().len(), 299);
        assert!(outcome.stderr.contains("299.txt: no longer a regular file"), "{}", outcome.stderr);
    }
}

#[test]
fn a_change_of_permissions_is_no_change_of_content() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new(azuring!());
    let path = fixture.path().join("file.bin");
    let facts = large_file(&path, 8 << 20).unwrap();
    fixture.hold(Operation::PutBlock, "", 2);
    let args = fixture.upload_args(&path, &["--block-size-mb=0.5", "--concurrency=4"]);
    let running = fixture.azuring().start(args);
    fixture.wait_for_held(1);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fixture.release();
    running.wait().unwrap().expect_code(0);
    assert_eq!(fixture.blobs()[0].crc64, facts.crc64);
}
