//! What keeps every file from being written: the job stops after a few, says it once, and goes on when it can.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use azuring_tests::{Azuring, Call, Fixture};

use crate::scene::{EDQUOT, EIO, ENOSPC, EROFS, Scene, download, plant, small, there};

#[test]
fn a_full_or_broken_file_system_stops_the_job_after_a_few_files() {
    for (call, errno, reason, code) in [
        (Call::Write, ENOSPC, "No space left on device", 8),
        (Call::Write, EDQUOT, "quota exceeded", 8),
        (Call::Create, EROFS, "Read-only file system", 1),
        (Call::Write, EIO, "Input/output error", 1),
        (Call::MakeDirectory, ENOSPC, "No space left on device", 8),
    ] {
        let scene = Scene::new(small(300), &[]);
        scene.disk.fail(call, errno, 1, 0);
        let stopped = scene.run(&["--concurrency=4", "--lanes=1"]);
        stopped.expect_code(code);
        let told = stopped.stderr.matches(reason).count();
        assert!((2..=14).contains(&told), "{told} times {reason}: {}", stopped.stderr);
        let root = scene.disk.path().display();
        assert!(
            stopped.stderr.contains(&format!("the job was stopped: nothing more can be written to {root}")),
            "{}",
            stopped.stderr
        );
        // Ten end the job. Each of a lane's 64 tasks may have fetched one more, and wait for a disk that is slow to
        // refuse it.
        let asked = scene.fixture.server().stats().by_operation.get(&azsim::Operation::GetBlob).copied();
        let asked = asked.unwrap_or_default();
        assert!(asked <= 10 + 64, "{asked} blobs were fetched in vain");
        assert_eq!(stopped.field("Final Job Status"), Some("Failed"));
        assert_eq!(there(scene.disk.path()).len(), 0);
        scene.heals();
    }
}

/// The program as somebody who is not almighty: in a namespace of its own even root's process may do no more than
/// others.
fn somebody() -> (Azuring, Vec<String>) {
    let program = env!("CARGO_BIN_EXE_azuring-under-test");
    (Azuring::new("unshare"), vec!["--user".to_owned(), program.to_owned()])
}

fn unwritable(directory: &std::path::Path) {
    fs::create_dir_all(directory).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).unwrap();
}

#[test]
fn a_destination_that_may_not_be_written_is_said_once_and_a_directory_below_it_fails_alone() {
    let (azuring, own) = somebody();
    let fixture = Fixture::new(azuring);
    plant(&fixture, &small(300));
    let to = fixture.path().join("to");
    unwritable(&to);
    let run = |more: &[&str]| {
        let line = own.iter().cloned().chain(download(&fixture, &to, more));
        fixture.run(line)
    };
    let stopped = run(&["--concurrency=4", "--lanes=1"]);
    stopped.expect_code(1);
    assert!(
        stopped.stderr.contains("the job was stopped: nothing more can be written to"),
        "{}",
        stopped.stderr
    );
    assert!(stopped.stderr.matches("ermission denied").count() <= 14, "{}", stopped.stderr);

    fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
    unwritable(&to.join("dir 0"));
    let done = run(&[]);
    done.expect_code(1);
    assert_eq!(done.field("Number of File Transfers Failed"), Some("60"), "{}", done.stderr);
    assert_eq!(done.field("Number of File Transfers Completed"), Some("240"));
    assert_eq!(there(&to).len(), 240);
}

/// `ulimit -f`: a signal that would end the process, and an error of one file.
#[test]
fn a_limit_of_file_sizes_fails_the_files_that_are_larger() {
    let fixture = Fixture::new(Azuring::new("sh"));
    let mut files = small(20);
    files.insert("large".to_owned(), crate::scene::noise(7, 3 << 20));
    files.insert("larger than a buffer".to_owned(), crate::scene::noise(8, 9 << 20));
    plant(&fixture, &files);
    let to = fixture.path().join("to");
    let program = env!("CARGO_BIN_EXE_azuring-under-test").to_owned();
    // Blocks of 512 bytes, 2 MiB.
    let limited = ["-c".to_owned(), "ulimit -f 4096; exec \"$0\" \"$@\"".to_owned(), program];
    let done = fixture.run(limited.into_iter().chain(download(&fixture, &to, &[])));
    done.expect_code(8);
    assert_eq!(done.field("Number of File Transfers Failed"), Some("2"), "{}", done.stderr);
    assert_eq!(done.field("Number of File Transfers Completed"), Some("20"));
    assert!(done.stderr.contains("ulimit -f"), "{}", done.stderr);
    assert_eq!(there(&to).len(), 20);
}

/// A directory that others own, with directories in it that are one's own: what lies at the top comes first, and is not
/// all.
#[test]
fn where_only_directories_below_may_be_written_they_are() {
    let (azuring, own) = somebody();
    let fixture = Fixture::new(azuring);
    let mut files = small(20);
    files.extend((0..15).map(|n| (format!("at the top {n:02}"), vec![7])));
    plant(&fixture, &files);
    let to = fixture.path().join("to");
    for n in 0..5 {
        fs::create_dir_all(to.join(format!("dir {n}"))).unwrap();
    }
    unwritable(&to);
    let line = download(&fixture, &to, &["--concurrency=1", "--lanes=1"]);
    let done = fixture.run(own.iter().cloned().chain(line));
    done.expect_code(1);
    assert_eq!(done.field("Number of File Transfers Failed"), Some("15"), "{}", done.stderr);
    assert_eq!(done.field("Number of File Transfers Completed"), Some("20"));
    assert_eq!(there(&to).len(), 20);
}
