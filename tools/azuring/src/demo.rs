//! `azuring demo`: the main job on a built-in server, checked byte for byte.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use azuring_bench::workload::{large_file, small_tree};
use azuring_transfer::{BlobUrl, Credential, Job, JobOptions, Report};
use indicatif::{HumanBytes, HumanCount};

use crate::cli::other::{DemoArgs, DemoServerArgs};
use crate::exit::Exit;
use crate::leftovers::Leftovers;
use crate::output::{say, tell};
use crate::redact::redact;
use crate::{run, view};

const ACCOUNT: &str = azuring_transfer::DEVSTORE_ACCOUNT;
const CONTAINER: &str = "demo";
const SMALL_DIRS: usize = 100;
const SMALL_BYTES: usize = 4096;

type Fault = Box<dyn std::error::Error>;

/// The demo: server, tree, upload, comparison, figures. Leaves nothing behind.
pub(crate) fn run(args: &DemoArgs) -> Exit {
    let leftovers = Leftovers::default();
    let outcome = demo(args, &leftovers);
    leftovers.wait_if_ending();
    outcome.unwrap_or_else(|fault| {
        tell!("azuring demo: {}", redact(&fault.to_string()));
        Exit::Failures
    })
}

fn demo(args: &DemoArgs, leftovers: &Leftovers) -> Result<Exit, Fault> {
    let stop = run::stop_on_signals({
        let leftovers = leftovers.clone();
        move || leftovers.clear()
    });
    let scratch = tempfile::Builder::new().prefix("azuring-demo-").tempdir()?;
    leftovers.scratch(scratch.path());
    let (source, store) = match &args.dir {
        // A tree of unknown size: its blobs go to disk, not to memory.
        Some(dir) => (dir.clone(), Some(scratch.path().join("blobs"))),
        None => (generate(&scratch.path().join("tree"), args)?, None),
    };
    if stop.is_stopped() {
        return Ok(Exit::Interrupted);
    }
    let server = Server::start(store.as_deref(), leftovers.clone())?;
    let url = format!("{}/{CONTAINER}", server.url);

    say!("uploading {} to {url}", redact(&source.to_string_lossy()));
    let before = cpu_time();
    let (_plan, report) = run::watch(job(&source, &url)?, &stop, &mut view::Silent, true);
    let cpu = cpu_time() - before;
    if stop.is_stopped() {
        return Ok(Exit::Interrupted);
    }
    show(&report, cpu);
    if let Some(fatal) = &report.fatal {
        return Err(fatal.to_string().into());
    }

    say!("reading every blob back and comparing bytes");
    let back = job(&source, &url)?.read_back()?;
    for difference in &back.differences {
        tell!("differs: {difference}");
    }
    say!(
        "compared: {} blobs equal ({}), {} differ",
        HumanCount(back.equal),
        HumanBytes(back.bytes),
        HumanCount(back.different)
    );
    let good = back.different == 0
        && report.counts.failed == 0
        && report.counts.problems == 0
        && back.equal == report.counts.done
        && back.bytes == report.counts.bytes;
    say!(
        "\nthe same against a real account:\n  azuring copy '{}' 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' --recursive",
        args.dir.as_deref().unwrap_or(Path::new("DIR")).display()
    );
    Ok(if good { Exit::Done } else { Exit::Integrity })
}

fn job(source: &Path, url: &str) -> Result<Job, Fault> {
    let url = BlobUrl::parse(url)?;
    // The emulator's published key; a key in the environment is for other accounts.
    let credential = Credential::find(&url, |_| None)?;
    Ok(Job::upload(source, url, credential).recursive(true).options(JobOptions::default()).build()?)
}

fn generate(root: &Path, args: &DemoArgs) -> Result<PathBuf, Fault> {
    say!(
        "making {} files of {} and one of {}",
        HumanCount(args.files as u64),
        HumanBytes(SMALL_BYTES as u64),
        HumanBytes(args.large_mib << 20)
    );
    small_tree(root, args.files, SMALL_DIRS, SMALL_BYTES)?;
    large_file(&root.join("large.bin"), args.large_mib << 20)?;
    Ok(root.to_owned())
}

fn show(report: &Report, cpu: Duration) {
    let counts = &report.counts;
    let seconds = report.elapsed.as_secs_f64().max(1e-9);
    let files = counts.done.max(1) as f64;
    say!(
        "uploaded: {} files, {} in {seconds:.2} s\n  {:.0} files/s, {:.0} MiB/s\n  {:.1} us of CPU time per file ({:.2} s in all, client only)",
        HumanCount(counts.done),
        HumanBytes(counts.bytes),
        counts.done as f64 / seconds,
        counts.bytes as f64 / seconds / f64::from(1 << 20),
        cpu.as_secs_f64() * 1e6 / files,
        cpu.as_secs_f64(),
    );
    if let Some(peak) = peak_memory() {
        say!("  {} of memory at most ({} of it buffers)", HumanBytes(peak), HumanBytes(report.pool_bytes));
    }
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The most memory this process has had resident, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// The built-in server in a process of its own, so that the figures are the client's. It ends when its
/// standard input does, and so with this process however that ends.
struct Server {
    leftovers: Leftovers,
    url: String,
}

impl Server {
    fn start(disk: Option<&Path>, leftovers: Leftovers) -> Result<Self, Fault> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("demo-server").stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(disk) = disk {
            command.arg("--disk").arg(disk);
        }
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("stdout was piped");
        leftovers.server(child);
        let mut server = Self { leftovers, url: String::new() };
        BufReader::new(stdout).read_line(&mut server.url)?;
        server.url.truncate(server.url.trim_end().len());
        if server.url.is_empty() {
            return Err("the built-in server did not start".into());
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.leftovers.end_server();
    }
}

/// The server's side: prints where it listens, serves until its standard input ends.
pub(crate) fn serve(args: &DemoServerArgs) -> Exit {
    let store = match &args.disk {
        Some(dir) => azsim::Store::Disk(dir.clone()),
        None => azsim::Store::Memory,
    };
    let server = match azsim::Server::builder().store(store).start() {
        Ok(server) => server,
        Err(error) => {
            tell!("azuring demo: the built-in server cannot listen: {error}");
            return Exit::Failures;
        }
    };
    server.create_container(ACCOUNT, CONTAINER);
    // Ctrl-C goes to the whole group: the server stays until the client has ended.
    run::ignore_interrupts();
    say!("{}", server.url(ACCOUNT));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Exit::Done
}
