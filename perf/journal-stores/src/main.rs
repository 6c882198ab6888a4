//! What a file costs in the journal and in embedded stores: bytes, CPU, and the time to take up a job.
//!
//! ```text
//! cargo run --release [-- FILES RUNS]
//! ```
//!
//! Every run is a process of its own, on a directory of its own below `TMPDIR`, which must lie on a disk: on a tmpfs a
//! sync costs nothing. Runs of the stores alternate; medians are printed.
//!
//! A run records `FILES` transfers in the planner's order, in batches of 64, then that all but each 64th of them are
//! done, in nearly that order; closes; opens and reads the name of each one that is left; records that these are done
//! too, and closes. All stores make the same things durable at the same points: after every 8,192 transfers or
//! outcomes, which is what a fast job says in 100 ms.
#![forbid(unsafe_code)]

mod stores;
mod workload;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use stores::{STORES, Store};
use workload::{BATCH, COMMIT_EVERY, Name, Names, Phase};

/// Any failure ends the comparison.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a run found, by the title of the column.
type Figures = BTreeMap<String, f64>;

/// Columns in their order, and their digits.
const COLUMNS: [(&str, usize); 8] = [
    ("bytes/file, length", 1),
    ("bytes/file, du", 1),
    ("bytes/file, compacted", 1),
    ("CPU us/file", 2),
    ("wall us/file", 2),
    ("open s", 3),
    ("open and read what is left s", 3),
    ("peak MiB", 0),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["one", store, names, files] => one(store, names, files.parse()?),
        [] => all(2_000_000, 3),
        [files, runs] => all(files.parse()?, runs.parse()?),
        _ => Err("journal-stores [FILES RUNS]".into()),
    }
}

/// Runs every store `runs` times with every kind of names and prints the medians.
fn all(files: u64, runs: usize) -> Result<()> {
    if !files.is_multiple_of(BATCH) {
        return Err(format!("the number of files must be a multiple of {BATCH}").into());
    }
    println!("{files} files, medians of {runs} runs");
    for (names, _) in Names::ALL {
        let mut found: BTreeMap<&str, Vec<Figures>> = BTreeMap::new();
        for _ in 0..runs {
            for (store, _) in STORES {
                found.entry(store).or_default().push(run(store, names, files)?);
            }
        }
        println!("\n| {names} names | {} |", COLUMNS.map(|(title, _)| title).join(" | "));
        println!("|---|{}", "---:|".repeat(COLUMNS.len()));
        for (store, _) in STORES {
            println!("| {store} | {} |", COLUMNS.map(|column| median(&found[store], column)).join(" | "));
        }
    }
    Ok(())
}

/// The figures of one run, in a process of its own.
fn run(store: &str, names: &str, files: u64) -> Result<Figures> {
    let output =
        Command::new(std::env::current_exe()?).args(["one", store, names, &files.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("{store}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(title, figure)| Ok((title.to_owned(), figure.parse()?)))
        .collect()
}

fn median(runs: &[Figures], (title, digits): (&str, usize)) -> String {
    let mut figures: Vec<f64> = runs.iter().filter_map(|run| run.get(title).copied()).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).map_or_else(|| "-".to_owned(), |median| format!("{median:.digits$}"))
}

/// One run of one store, whose figures go to standard output.
fn one(store: &str, names: &str, files: u64) -> Result<()> {
    let (_, open) = STORES.iter().find(|(name, _)| *name == store).ok_or("there is no such store")?;
    let (_, names) = *Names::ALL.iter().find(|(name, _)| *name == names).ok_or("there are no such names")?;
    let directory = tempfile::tempdir()?;
    // Making up names costs more than the journal does: it is done once before, and taken off.
    let making = cpu_s(ClockId::ThreadCPUTime);
    let mut bytes = 0;
    for phase in [Phase::Found, Phase::MostDone, Phase::RestDone] {
        workload::say(names, files, phase, |_, batch| {
            bytes += batch.iter().map(|name| name.as_bytes().len()).sum::<usize>();
            Ok(())
        })?;
    }
    let making = cpu_s(ClockId::ThreadCPUTime) - making;
    assert!(bytes as u64 > files, "the names were made");

    let (before, start) = (cpu_s(ClockId::ProcessCPUTime), Instant::now());
    let mut store = open(directory.path())?;
    write(store.as_mut(), names, files, Phase::Found)?;
    write(store.as_mut(), names, files, Phase::MostDone)?;
    drop(store);
    let first = (cpu_s(ClockId::ProcessCPUTime) - before, start.elapsed().as_secs_f64());

    let start = Instant::now();
    let mut store = open(directory.path())?;
    let opened = start.elapsed().as_secs_f64();
    let (mut left, mut expected) = (0, Name::new(names));
    store.left(&mut |number, name| {
        expected.set(number);
        assert_eq!((number % BATCH, name), (BATCH - 1, expected.as_bytes()), "what is left is what was said");
        left += 1;
    })?;
    let read = start.elapsed().as_secs_f64();
    assert_eq!(left, files / BATCH);

    let (before, start) = (cpu_s(ClockId::ProcessCPUTime), Instant::now());
    write(store.as_mut(), names, files, Phase::RestDone)?;
    drop(store);
    let second = (cpu_s(ClockId::ProcessCPUTime) - before, start.elapsed().as_secs_f64());

    let (len, blocks) = size(directory.path())?;
    let per_file = |total: f64| total / files as f64;
    println!("bytes/file, length\t{}", per_file(len as f64));
    println!("bytes/file, du\t{}", per_file(blocks as f64));
    println!("CPU us/file\t{}", per_file((first.0 + second.0 - making) * 1e6));
    println!("wall us/file\t{}", per_file((first.1 + second.1) * 1e6));
    println!("open s\t{opened}");
    println!("open and read what is left s\t{read}");
    println!("peak MiB\t{}", peak_mib()?);
    if open(directory.path())?.compact()? {
        println!("bytes/file, compacted\t{}", per_file(size(directory.path())?.1 as f64));
    }
    let mut left = 0;
    open(directory.path())?.left(&mut |_, _| left += 1)?;
    assert_eq!(left, 0, "all is done");
    Ok(())
}

/// Hands a phase's batches to the store, and has them made durable where all stores do.
fn write(store: &mut dyn Store, names: Names, files: u64, phase: Phase) -> Result<()> {
    let mut waiting = 0;
    workload::say(names, files, phase, |numbers, batch| {
        match phase {
            Phase::Found => store.found(numbers, batch)?,
            Phase::MostDone | Phase::RestDone => store.done(numbers, batch)?,
        }
        waiting += numbers.len();
        if waiting >= COMMIT_EVERY {
            waiting = 0;
            store.commit()?;
        }
        Ok(())
    })?;
    store.commit()
}

/// Length of all files below a directory, and what they take on the disk, bytes.
fn size(directory: &Path) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let (len, blocks) =
            if meta.is_dir() { size(&entry.path())? } else { (meta.len(), meta.blocks() * 512) };
        sum = (sum.0 + len, sum.1 + blocks);
    }
    Ok(sum)
}

fn cpu_s(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn peak_mib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_ascii_whitespace().nth(1).ok_or("no number")?.parse::<f64>()? / 1024.0)
}
