//! The other process of the tests: holds a job, keeps writing to it, or writes until the disk is full.
//!
//! `journal-process hold|busy|fill STATE`
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::Read as _;
use std::path::Path;

use azuring_journal::{CommitBy, JobId, Jobs, JournalError};

const ID: JobId = JobId::from_bytes(*b"0123456789abcdef");
const DESCRIPTION: &[u8] = b"copy a to b";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, state] = arguments.as_slice() else { return Err("hold|busy|fill STATE".into()) };
    let jobs = Jobs::new(Path::new(state));
    match role.as_str() {
        "hold" => hold(&jobs),
        "busy" => busy(&jobs),
        "fill" => fill(jobs),
        other => Err(format!("{other} is no role").into()),
    }
}

/// Creates the job, says so, and holds it until its input ends.
fn hold(jobs: &Jobs) -> Result<(), Box<dyn Error>> {
    let journal = jobs.create(ID, DESCRIPTION)?;
    journal.write()?.transfer(b"a", b"")?;
    journal.commit()?;
    println!("holding");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Resumes the job, commits again and again, and says how far it is.
fn busy(jobs: &Jobs) -> Result<(), Box<dyn Error>> {
    let (recovered, journal) = jobs.resume(ID)?;
    let mut found = recovered.counts().found;
    loop {
        let mut entry = journal.write()?;
        for n in 0..100 {
            let number = entry.transfer(format!("{found:010}/{n}").as_bytes(), b"facts")?;
            entry.done(number);
            entry.count(0, 1);
        }
        drop(entry);
        found += 100;
        // The thread commits what is said between.
        if found.is_multiple_of(1_000) {
            journal.commit()?;
            println!("committed {found}");
        }
    }
}

/// Writes until the system lets a file grow no further, and says how much was committed.
fn fill(jobs: Jobs) -> Result<(), Box<dyn Error>> {
    let jobs = jobs.commit_by(CommitBy::Caller);
    let journal = jobs.create(ID, DESCRIPTION)?;
    // Noise, so that nothing of it can be compressed (Marsaglia's xorshift).
    let mut noise = 1_u64;
    for committed in 0.. {
        let name: Vec<u8> = std::iter::repeat_with(|| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise.to_le_bytes()[3]
        })
        .take(500)
        .collect();
        journal.write()?.transfer(&name, b"")?;
        match journal.commit() {
            Ok(()) => {}
            Err(JournalError::Full { .. }) => {
                println!("committed {committed}");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
