//! What a journal costs: bytes and CPU a transfer, and the time to open it.
//!
//! ```text
//! cargo run --release -p azuring-journal --example cost [transfers to write] [transfers to open]
//! ```
#[path = "../tests/behaviour/names.rs"]
mod names;

use std::error::Error;
use std::time::{Duration, Instant};

use azuring_journal::{JobId, Jobs};
use names::{Names, facts};
use rustix::time::{ClockId, clock_gettime};

/// Transfers that the engine hands over at a time.
const BATCH: u64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let mut counts = std::env::args().skip(1).map(|count| count.parse::<u64>());
    let to_write = counts.next().transpose()?.unwrap_or(1_000_000);
    let to_open = counts.next().transpose()?.unwrap_or(5_000_000);
    println!("{to_write} transfers found and done; CPU of the process without making up names, per transfer");
    for names in Names::ALL {
        for with_facts in [false, true] {
            let cost = write(names, to_write, with_facts)?;
            let per = |total: Duration| total.as_secs_f64() * 1e6 / to_write as f64;
            println!(
                "{names:?}, {:2} bytes of facts: {:4.1} bytes on disk, {:.3} us CPU, {:.3} us of it the callers'; {:.2} s in all",
                if with_facts { 16 } else { 0 },
                cost.bytes as f64 / to_write as f64,
                per(cost.process),
                per(cost.callers),
                cost.wall.as_secs_f64(),
            );
        }
    }
    open(to_open)
}

struct Cost {
    bytes: u64,
    process: Duration,
    callers: Duration,
    wall: Duration,
}

fn write(names: Names, transfers: u64, with_facts: bool) -> Result<Cost, Box<dyn Error>> {
    let state = tempfile::tempdir_in(".")?;
    let jobs = Jobs::new(state.path());
    let id = JobId::from_bytes([1; 16]);
    // Making up names costs more than recording them: it is done once before, and taken off.
    let making = made(names, transfers, with_facts, |_| Ok(()))?;
    let start = Instant::now();
    let before = cpu(ClockId::ProcessCPUTime);
    let journal = jobs.create(id, b"cost")?;
    let callers = made(names, transfers, with_facts, |batch| {
        let mut entry = journal.write()?;
        let mut first = None;
        for (name, facts) in batch {
            let number = entry.transfer(name, facts)?;
            first.get_or_insert(number);
        }
        drop(entry);
        let first = first.unwrap_or_default();
        let mut entry = journal.write()?;
        // In some disorder, as they end.
        for number in 0..batch.len() as u64 {
            entry.done(first + (number ^ 5).min(batch.len() as u64 - 1));
        }
        entry.count(0, batch.len() as i64);
        Ok(())
    })?;
    journal.write()?.scanned();
    journal.commit()?;
    let process = cpu(ClockId::ProcessCPUTime) - before - making;
    let wall = start.elapsed();
    let bytes = jobs.list()?[0].len_bytes;
    Ok(Cost { bytes, process, callers: callers.saturating_sub(making), wall })
}

type Batch = Vec<(Vec<u8>, Vec<u8>)>;

/// Makes up transfers and hands them over in batches; the calling thread's CPU time.
fn made(
    names: Names,
    transfers: u64,
    with_facts: bool,
    mut take: impl FnMut(&Batch) -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(5);
    let mut batch: Batch = vec![(Vec::new(), Vec::new()); BATCH as usize];
    let before = cpu(ClockId::ThreadCPUTime);
    let mut n = 0;
    while n < transfers {
        batch.truncate((transfers - n).min(BATCH) as usize);
        for (name, known) in &mut batch {
            names.nth(n, &mut random, name);
            known.clear();
            if with_facts {
                known.extend_from_slice(&facts(n, &mut random));
            }
            n += 1;
        }
        take(&batch)?;
    }
    Ok(cpu(ClockId::ThreadCPUTime) - before)
}

fn open(transfers: u64) -> Result<(), Box<dyn Error>> {
    let state = tempfile::tempdir_in(".")?;
    let jobs = Jobs::new(state.path());
    let id = JobId::from_bytes([1; 16]);
    let journal = jobs.create(id, b"cost")?;
    made(Names::Photos, transfers, true, |batch| {
        let mut entry = journal.write()?;
        for (name, facts) in batch {
            let number = entry.transfer(name, facts)?;
            // All but the last of 64: nearly every part has some left.
            if number % BATCH != BATCH - 1 {
                entry.done(number);
            }
        }
        Ok(())
    })?;
    journal.commit()?;
    drop(journal);
    let before = resident_kib()?;
    let start = Instant::now();
    let (recovered, _journal) = jobs.resume(id)?;
    let opened = start.elapsed();
    let held = resident_kib()?.saturating_sub(before);
    let first = (0..recovered.parts()).find(|part| recovered.left_in_part(*part) > 0);
    let mut part = recovered.part(first.ok_or("something is left")?)?;
    part.next()?;
    println!(
        "{} transfers opened in {:.3} s, {:.1} MiB held; the first name after {:.3} s",
        recovered.counts().found,
        opened.as_secs_f64(),
        held as f64 / 1024.0,
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    let mut read = 0_u64;
    for part in 0..recovered.parts() {
        let mut part = recovered.part(part)?;
        while part.next()?.is_some() {
            read += 1;
        }
    }
    println!("all {read} names read in {:.3} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn cpu(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_ascii_whitespace().nth(1).ok_or("no number")?.parse()?)
}
