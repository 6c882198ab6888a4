//! A file system that could not write back what it took: an error of `syncfs(2)`, which says nothing of which file.

use std::io::Write as _;

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_tests::{Call, Outcome, wait_until};

use crate::scene::{EIO, Scene, small, there};

/// Runs the job with `flags`; while one of its blobs is not given, the file system loses something: its last error is the
/// whole system's, and is told to everybody who watches.
fn with_an_error_of_writing_back(scene: &Scene, flags: &[&str]) -> Outcome {
    let hold = Rule {
        name: NameMatch::Contains("dir 4/019".to_owned()),
        operation: Some(Operation::GetBlob),
        fault: Fault::error(503, "ServerBusy"),
        skip: 0,
        count: u64::MAX,
    };
    scene.fixture.server().set_faults(Faults { rules: vec![hold], ..Faults::default() });
    let running = scene.fixture.azuring().start(scene.command(flags));
    wait_until("all files but one", || there(scene.disk.path()).len() >= scene.files.len() - 1);
    // Another program's file. Its own error is told to it, and to whoever asks for the whole file system.
    let mut file = std::fs::File::create(scene.disk.path().join("other")).unwrap();
    file.write_all(&[1; 5000]).unwrap();
    scene.disk.fail(Call::Write, EIO, 1, 0);
    file.sync_all().unwrap_err();
    scene.disk.heal();
    drop(file);
    std::fs::remove_file(scene.disk.path().join("other")).unwrap();
    scene.fixture.server().set_faults(Faults::default());
    running.wait().unwrap()
}

#[test]
fn what_was_written_before_the_error_has_failed_and_is_downloaded_again() {
    let scene = Scene::new(small(20), &["tmpfile", "writeback"]);
    let stopped = with_an_error_of_writing_back(&scene, &["--lanes=1"]);
    stopped.expect_code(1);
    assert!(stopped.stderr.contains("writing back failed: Input/output error"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("azuring jobs resume"), "{}", stopped.stderr);
    let count = |outcome: &Outcome, label: &str| outcome.field(label).unwrap().parse::<u64>().unwrap();
    let (failed, done) = (
        count(&stopped, "Number of File Transfers Failed"),
        count(&stopped, "Number of File Transfers Completed"),
    );
    // All but what the disk had before, when it was asked between two files.
    assert!(failed > 0 && failed + done <= 20, "{}", stopped.stdout);
    assert_eq!(stopped.field("Final Job Status"), Some("Failed"));
    // Those that are there are written once more: nobody knows what they hold.
    for name in scene.files.keys() {
        if let Ok(file) = std::fs::OpenOptions::new().write(true).open(scene.disk.path().join(name)) {
            file.set_len(1).unwrap();
        }
    }
    scene.heals();
}

#[test]
fn without_a_journal_all_of_the_job_has_failed() {
    let scene = Scene::new(small(20), &["tmpfile", "writeback"]);
    let stopped = with_an_error_of_writing_back(&scene, &["--lanes=1", "--no-journal"]);
    stopped.expect_code(1);
    assert_eq!(stopped.field("Number of File Transfers Failed"), Some("20"), "{}", stopped.stdout);
    assert_eq!(stopped.field("Number of File Transfers Completed"), Some("0"));
    assert!(stopped.stderr.contains("may be damaged"), "{}", stopped.stderr);
}
