//! One process at a time writes a job.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use azuring_journal::{Jobs, JournalError};

use crate::model::{DESCRIPTION, ID};

const STATE: &str = "AZURING_JOURNAL_TEST_STATE";

/// A process that creates the job, says so, and holds it until its input ends.
#[test]
#[ignore = "the other process of the test below"]
fn other_process() {
    let state = std::env::var_os(STATE).expect("the test below sets it");
    let journal = Jobs::new(Path::new(&state)).create(ID, DESCRIPTION).unwrap();
    journal.write().unwrap().transfer(b"a", b"").unwrap();
    journal.commit().unwrap();
    println!("\nholding");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A process that resumes the job, commits again and again, and says how far it is.
#[test]
#[ignore = "the process that the last test below kills"]
fn busy_process() {
    let state = std::env::var_os(STATE).expect("the test below sets it");
    let (recovered, journal) = Jobs::new(Path::new(&state)).resume(ID).unwrap();
    let mut found = recovered.counts().found;
    loop {
        let mut entry = journal.write().unwrap();
        for n in 0..100 {
            let number = entry.transfer(format!("{found:010}/{n}").as_bytes(), b"facts").unwrap();
            entry.done(number);
            entry.count(0, 1);
        }
        drop(entry);
        found += 100;
        // The thread commits what is said between.
        if found.is_multiple_of(1_000) {
            journal.commit().unwrap();
            println!("\ncommitted {found}");
        }
    }
}

fn start(state: &Path, test: &str) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(STATE, state)
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
    let (mut child, mut lines) = start(state.path(), "processes::other_process");
    assert!(lines.any(|line| line == "holding"));
    let in_use = JournalError::InUse(ID);
    assert_eq!(jobs.resume(ID).unwrap_err(), in_use);
    assert_eq!(jobs.create(ID, DESCRIPTION).unwrap_err(), in_use);
    assert_eq!(jobs.remove(ID).unwrap_err(), in_use);
    assert_eq!(jobs.shrink(ID).unwrap_err(), in_use);
    assert_eq!(jobs.read(ID).unwrap().counts().found, 1, "reading is free");
    child.kill().unwrap();
    child.wait().unwrap();
    let (recovered, journal) = jobs.resume(ID).unwrap();
    assert_eq!(recovered.counts().found, 1);
    assert_eq!(jobs.resume(ID).unwrap_err(), in_use, "this process holds it now");
    drop(journal);
    jobs.remove(ID).unwrap();
}

#[test]
fn what_a_killed_process_had_committed_is_there() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    drop(jobs.create(ID, DESCRIPTION).unwrap());
    let mut random = fastrand::Rng::with_seed(60);
    for round in 1..=12 {
        let (mut child, lines) = start(state.path(), "processes::busy_process");
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
