//! One process at a time writes a job.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use azuring_journal::{JobId, Jobs, JournalError};

use crate::model::{DESCRIPTION, ID};

/// Starts the other process in a role; what it says, line by line.
fn start(state: &Path, role: &str) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_journal-process"))
        .arg(role)
        .arg(state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output.lines().map_while(Result::ok))
}

#[test]
fn a_job_in_use_is_refused_and_free_again_when_its_process_is_killed() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let (mut child, mut lines) = start(state.path(), "hold");
    assert!(lines.any(|line| line == "holding"));
    let in_use = JournalError::InUse(ID);
    assert_eq!(jobs.resume(ID).unwrap_err(), in_use);
    assert_eq!(jobs.create(ID, DESCRIPTION).unwrap_err(), in_use);
    assert_eq!(jobs.remove(ID).unwrap_err(), in_use);
    assert_eq!(jobs.shrink(ID).unwrap_err(), in_use);
    assert!(jobs.is_running(ID));
    assert_eq!(jobs.read(ID).unwrap().counts().found, 1, "reading is free");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!jobs.is_running(ID));
    let (recovered, journal) = jobs.resume(ID).unwrap();
    assert_eq!(recovered.counts().found, 1);
    assert_eq!(jobs.resume(ID).unwrap_err(), in_use, "this process holds it now");
    assert!(jobs.is_running(ID), "whoever holds it");
    drop(journal);
    jobs.remove(ID).unwrap();
    assert!(!jobs.is_running(ID), "there is no such job");
}

#[test]
fn what_a_killed_process_had_committed_is_there() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    drop(jobs.create(ID, DESCRIPTION).unwrap());
    let mut random = fastrand::Rng::with_seed(60);
    for round in 1..=12 {
        let (mut child, lines) = start(state.path(), "busy");
        let mut committed = lines.filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
        let told = committed.nth(random.usize(..30)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died.
        let told = committed.last().unwrap_or(told);
        let recovered = jobs.read(ID).unwrap();
        let counts = recovered.counts();
        assert!(counts.found >= told, "round {round}: {told} were committed, {} are there", counts.found);
        assert!(counts.found <= told + 1_000 && counts.found.is_multiple_of(100), "{}", counts.found);
        assert_eq!((counts.done, recovered.counter(0)), (counts.found, counts.found as i64));
    }
}

#[test]
fn the_state_directory_may_be_relative() {
    let directory = tempfile::tempdir().unwrap();
    for state in ["new", "new/below", ""] {
        let status = Command::new(env!("CARGO_BIN_EXE_journal-process"))
            .args(["hold", state])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{state:?}");
        assert_eq!(Jobs::new(&directory.path().join(state)).read(ID).unwrap().counts().found, 1);
    }
}

#[test]
fn what_was_never_begun_is_swept_away_and_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    assert_eq!(jobs.sweep(), Ok(0));
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    let never = JobId::from_bytes([9; 16]);
    std::fs::create_dir(jobs.directory(never)).unwrap();
    for name in ["lock", "journal.new"] {
        std::fs::write(jobs.directory(never).join(name), "").unwrap();
    }
    std::fs::create_dir(state.path().join("jobs/other")).unwrap();
    assert_eq!(jobs.sweep(), Ok(1));
    assert!(!jobs.directory(never).exists() && state.path().join("jobs/other").exists());
    drop(journal);
    assert_eq!(jobs.list().unwrap().len(), 1);
}
