//! What a job's journal costs: CPU and bytes for each file of an upload, and the time until a large job that goes on
//! sends its first request.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use azuring_tests::{Stdin, run};
use azuring_transfer::Jobs;
use clap::Args;

use crate::Error;
use crate::planted::Planted;
use crate::report::{Case, Tool, Transport, median};
use crate::sink::Sink;
use crate::tools::Tools;
use crate::workload::{Size, Workload};

const DEADLINE: Duration = Duration::from_secs(600);
/// Transfers that the planner of a real job records at a time.
const BATCH: u64 = 64;
/// Of so many recorded transfers one is left to be done.
const ONE_LEFT_OF: u64 = 1000;

/// How much is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Runs with and without a journal
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Transfers of the job that goes on
    #[arg(long, default_value_t = 5_000_000)]
    transfers: u64,
    /// Where the files to upload are made and kept [default: perf under cargo's target directory]
    #[arg(long)]
    work: Option<PathBuf>,
}

/// Measures and prints.
pub(crate) fn measure(options: &Options) -> Result<bool, Error> {
    let scratch = tempfile::tempdir()?;
    let work = options.work.clone().unwrap_or_else(|| azuring_tests::target_dir().join("perf"));
    let workload = Workload::prepare(Case::Small, Size::FULL, &work)?;
    let tools = Tools::find(&[Tool::Azuring], scratch.path())?;
    let mut text = String::new();
    upload(&tools, &workload, options.runs, scratch.path(), &mut text)?;
    resume(&tools, options, scratch.path(), &mut text)?;
    println!("{text}");
    Ok(true)
}

/// The small files, in turns with a journal and without.
fn upload(
    tools: &Tools,
    workload: &Workload,
    runs: u32,
    scratch: &Path,
    out: &mut String,
) -> Result<(), Error> {
    let (mut differences, mut with, mut without, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut files = 0;
    for round in 0..runs {
        let mut cpu = [0.0; 2];
        for turn in 0..2 {
            let has_journal = (round + turn) % 2 == 0;
            let manifest = workload.begin()?;
            files = Workload::totals(&manifest).0;
            let mut sink = Sink::start(Transport::Http, Planted::default(), false, scratch)?;
            let mut prepared = tools.command(Tool::Azuring, workload, Transport::Http, &sink)?;
            if !has_journal {
                prepared.command.arg("--no-journal");
            }
            let watch = Watch::start(scratch.join("home/.azuring/jobs"));
            let outcome = run(&mut prepared.command, Stdin::Blocking, DEADLINE)?;
            let most = watch.end();
            if let Some(wrong) = workload.check(&manifest, &sink.holds()?, &outcome.stdout)? {
                return Err(wrong.into());
            }
            cpu[usize::from(!has_journal)] = (outcome.user + outcome.sys).as_secs_f64() / files as f64 * 1e6;
            if has_journal {
                bytes = bytes.max(most);
            }
        }
        with.push(cpu[0]);
        without.push(cpu[1]);
        differences.push(cpu[0] - cpu[1]);
        eprintln!("round {}: {:.2} us a file with a journal, {:.2} without", round + 1, cpu[0], cpu[1]);
    }
    let median = |values: Vec<f64>| median(values).unwrap_or_default();
    writeln!(
        out,
        "upload of {files} files, http: {:.2} us of CPU a file with a journal, {:.2} without; difference of the same round, \
         median: {:.2} us; the journal had at most {:.1} bytes a file before it shrank",
        median(with),
        median(without),
        median(differences),
        bytes as f64 / files as f64,
    )?;
    Ok(())
}

/// Looks how long the journals are while a job runs: at its end they shrink.
struct Watch {
    most: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start(jobs: PathBuf) -> Self {
        let (most, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (theirs, stop) = (Arc::clone(&most), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let entries = std::fs::read_dir(&jobs).into_iter().flatten().flatten();
                let lengths = entries.filter_map(|job| std::fs::metadata(job.path().join("journal")).ok());
                theirs.fetch_max(lengths.map(|meta| meta.len()).max().unwrap_or_default(), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { most, ended, thread }
    }

    fn end(self) -> u64 {
        self.ended.store(true, Ordering::SeqCst);
        // It cannot panic.
        let _ = self.thread.join();
        self.most.load(Ordering::SeqCst)
    }
}

/// A job of many transfers, nearly all done, goes on.
fn resume(tools: &Tools, options: &Options, scratch: &Path, out: &mut String) -> Result<(), Error> {
    let home = tempfile::tempdir_in(scratch)?;
    let tree = scratch.join("tree");
    std::fs::create_dir(&tree)?;
    std::fs::write(tree.join("first"), b"x")?;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/devstoreaccount1/cont", server.local_addr()?);
    // A job of the program's own, killed at its first request; the transfers are added to its journal.
    let copy = ["copy".into(), tree.into_os_string(), url.into(), "--recursive".into()];
    first_request(tools, &server, home.path(), &copy)?;
    let jobs = Jobs::new(&home.path().join(".azuring"));
    let id = jobs.list()?.first().ok_or("the job has left no journal")?.id;
    let (_, journal) = jobs.resume(id)?;
    let mut numbers = 0..options.transfers;
    loop {
        let mut entry = journal.write()?;
        let batch: Vec<u64> = numbers.by_ref().take(BATCH as usize).collect();
        for n in &batch {
            // Ends that look random, as those of object stores do: what follows a number would cost nearly nothing.
            let end = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let name = format!("data/2024/{:02}/part-{:05}/{end:016x}.parquet", n / 500_000, n / 500);
            let number = entry.transfer(name.as_bytes(), b"")?;
            if number == 0 || !number.is_multiple_of(ONE_LEFT_OF) {
                entry.done(number);
            }
        }
        if batch.is_empty() {
            entry.scanned();
            break;
        }
    }
    journal.commit()?;
    drop(journal);
    let len = std::fs::metadata(jobs.directory(id).join("journal"))?.len();
    let mut seconds = Vec::new();
    for _ in 0..options.runs {
        let resume = ["jobs".into(), "resume".into(), OsString::from(id.to_string())];
        seconds.push(first_request(tools, &server, home.path(), &resume)?);
        eprintln!("first request after {:.3} s", seconds.last().copied().unwrap_or_default());
    }
    writeln!(
        out,
        "job of {} transfers: {:.1} bytes a transfer in its journal; `jobs resume` sends its first request after {:.3} s \
         (median)",
        options.transfers,
        len as f64 / options.transfers as f64,
        median(seconds).unwrap_or_default(),
    )?;
    Ok(())
}

/// Runs azuring until it sends the first bytes of a request, and kills it; the seconds until then.
fn first_request(tools: &Tools, server: &TcpListener, home: &Path, args: &[OsString]) -> Result<f64, Error> {
    let program = tools.azuring_program().ok_or("azuring was not asked for")?;
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let got = server.accept().and_then(|(mut link, _): (TcpStream, _)| {
        link.set_read_timeout(Some(DEADLINE))?;
        link.read(&mut [0])
    });
    let seconds = begun.elapsed().as_secs_f64();
    // What it found is in its journal by then: see `COMMIT_EVERY`.
    std::thread::sleep(azuring_transfer::COMMIT_EVERY * 3);
    child.kill()?;
    child.wait()?;
    // Links it has opened meanwhile.
    server.set_nonblocking(true)?;
    while server.accept().is_ok() {}
    server.set_nonblocking(false)?;
    got?;
    Ok(seconds)
}
