//! Ctrl-C: what is in flight is finished, nothing new is begun, and the summary tells how it stands.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Operation;
use azuring_bench::workload::large_file;
use azuring_tests::{Fixture, azuring, wait_until};

/// Waits until the process catches SIGINT: before that the signal ends it.
fn wait_until_it_listens(id: u32) {
    wait_until("the process catches SIGINT", || {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        // Signal n is bit n - 1, and SIGINT is 2.
        u64::from_str_radix(mask.trim(), 16).unwrap() & 2 != 0
    });
}

#[test]
fn the_first_signal_drains_and_the_counts_are_exact() {
    for terminate in [false, true] {
        let fixture = Fixture::new(azuring!());
        for n in 0..1000 {
            fixture.file(&format!("tree/{n:04}"), format!("{n}").as_bytes());
        }
        fixture.hold(Operation::PutBlob, "", 20);
        let args = fixture.upload_args(&fixture.path().join("tree"), &["--concurrency=4"]);
        let running = fixture.azuring().start(args);
        fixture.wait_for_held(4);
        if terminate {
            running.terminate();
        } else {
            running.interrupt();
        }
        running.wait_for_stderr("finishing what is in flight");
        fixture.release();
        let outcome = running.wait().unwrap();
        outcome.expect_code(6);
        assert_eq!(outcome.field("Final Job Status"), Some("Cancelled"));
        let field = |name: &str| outcome.field(name).unwrap().parse::<usize>().unwrap();
        let done = field("Number of File Transfers Completed");
        assert_eq!(done, fixture.names().len(), "what is told done is there, and nothing else");
        assert_eq!(done, 24, "what was in flight, and nothing that was not");
        assert_eq!(
            field("Total Number of Transfers"),
            done + field("Number of File Transfers Failed") + field("Number of File Transfers Skipped")
        );
        assert!(outcome.stderr.contains("not started"), "{}", outcome.stderr);
        assert_eq!(field("Number of File Transfers Failed"), 0, "what was not begun has not failed");
    }
}

#[test]
fn a_large_file_that_is_interrupted_stays_invisible() {
    let fixture = Fixture::new(azuring!());
    let path = fixture.path().join("large.bin");
    large_file(&path, 32 << 20).unwrap();
    fixture.hold(Operation::PutBlock, "large.bin", 6);
    let args = fixture.upload_args(&path, &["--block-size-mb=0.25", "--concurrency=2"]);
    let running = fixture.azuring().start(args);
    fixture.wait_for_held(2);
    running.interrupt_and_see();
    fixture.release();
    let outcome = running.wait().unwrap();
    outcome.expect_code(6);
    assert!(fixture.names().is_empty());
    assert!(outcome.stderr.contains("large.bin") && outcome.stderr.contains("stopped before"));
}

#[test]
fn a_second_signal_ends_at_once() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("x", b"x");
    fixture.hold(Operation::PutBlob, "x", 0);
    let running = fixture.azuring().start(fixture.upload_args(&file, &[]));
    fixture.wait_for_held(1);
    running.interrupt_and_see();
    running.interrupt();
    let outcome = running.wait().unwrap();
    outcome.expect_code(6);
    assert_eq!(outcome.field("Final Job Status"), None, "it did not wait until it could sum up");
}

#[test]
fn what_takes_too_long_is_given_up_after_five_seconds() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("x", b"x");
    fixture.hold(Operation::PutBlob, "x", 0);
    // Nothing else ends the wait for an answer that never comes.
    let running = fixture.azuring().start(fixture.upload_args(&file, &["--stall-seconds=3600"]));
    fixture.wait_for_held(1);
    running.interrupt();
    let outcome = running.wait().unwrap();
    outcome.expect_code(6);
    assert_eq!(outcome.field("Final Job Status"), Some("Cancelled"));
}

#[test]
fn a_walk_that_finds_no_files_is_interrupted_too() {
    let fixture = Fixture::new(azuring!());
    let tree = fixture.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    for n in 0..60_000 {
        std::os::unix::fs::symlink("nowhere", tree.join(format!("{n}"))).unwrap();
    }
    let running = fixture.azuring().start(fixture.upload_args(&tree, &[]));
    wait_until_it_listens(running.id());
    running.interrupt();
    let outcome = running.wait().unwrap();
    // Either it was faster than the signal, or it stopped before the end.
    let skipped: u64 = outcome.field("Number of Symbolic Links Skipped").unwrap().parse().unwrap();
    match outcome.code {
        Some(6) => assert!(skipped < 60_000, "{skipped}"),
        code => assert_eq!((code, skipped), (Some(0), 60_000)),
    }
}
