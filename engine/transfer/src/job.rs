//! A job: what is to be done, checked; and its run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use azuring_azure::{BlobProperties, BlobUrl, Credential, CredentialError, PropertyError, Target, UrlError};
use azuring_link::{TlsError, TlsSetup};
use azuring_local::LocalError;
use azuring_plan::PlanError;
use azuring_plan::destination::{Naming, NamingOptions};
use azuring_ring::{CHUNK_BYTES, IoPath, SourceDir, probe};
use crossbeam::sync::WaitGroup;

use crate::collector::{self, Progress};
use crate::failure::{Failure, FailureKind};
use crate::lane::{self, LaneShare, new_histogram};
use crate::options::{ContentTypePolicy, JobOptions, Limits, MAX_CONCURRENCY, MAX_LANES, MIN_MEMORY_BYTES};
use crate::outcome::{Event, Report};
use crate::queue::WorkQueue;
use crate::source::{Finder, Source};
use crate::verdict::{StopHandle, Verdict};
use crate::{planner, read_back};

/// Why a job cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The source is missing or cannot be read.
    #[error(transparent)]
    Source(#[from] LocalError),
    /// Source, destination and options do not go together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The URL is wrong.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The credential cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A property cannot be sent.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// No TLS configuration can be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A limit is out of its range.
    #[error("{0}")]
    Limit(String),
}

/// What all threads of a job share.
pub(crate) struct Shared {
    pub(crate) id: [u8; 16],
    pub(crate) lanes: usize,
    pub(crate) root: SourceDir,
    pub(crate) naming: Naming,
    pub(crate) options: JobOptions,
    pub(crate) target: Target,
    pub(crate) tls: Option<TlsSetup>,
    pub(crate) queue: Arc<WorkQueue>,
    pub(crate) verdict: Verdict,
    pub(crate) progress: Arc<Progress>,
    /// Cleared when the server turns out not to take checksums.
    pub(crate) crc64: AtomicBool,
    /// Set when it has taken one: later refusals have other reasons.
    pub(crate) crc64_taken: AtomicBool,
    /// Whether the destination is the service itself, which changes some names.
    pub(crate) is_service: bool,
}

impl Shared {
    pub(crate) fn sends_crc64(&self) -> bool {
        self.crc64.load(Ordering::Relaxed)
    }
}

/// Collects what a job needs; made by [`Job::builder`].
#[derive(Debug)]
pub struct JobBuilder {
    source: PathBuf,
    destination: BlobUrl,
    credential: Credential,
    naming: NamingOptions,
    options: JobOptions,
}

impl JobBuilder {
    /// Whether directories below the source are entered. Default: no.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.naming.recursive = recursive;
        self
    }

    /// Everything else.
    pub fn options(mut self, options: JobOptions) -> Self {
        self.options = options;
        self
    }

    /// Looks up the source and checks everything that can be checked without the network.
    ///
    /// # Errors
    /// [`JobError`].
    pub fn build(self) -> Result<Job, JobError> {
        let limits = &self.options.limits;
        if limits.memory_bytes < MIN_MEMORY_BYTES {
            let least = MIN_MEMORY_BYTES >> 20;
            return Err(JobError::Limit(format!("a job needs at least {least} MiB of memory")));
        }
        if !(1..=MAX_CONCURRENCY).contains(&limits.concurrency) {
            return Err(JobError::Limit(format!("concurrency is from 1 to {MAX_CONCURRENCY}")));
        }
        if let ContentTypePolicy::Fixed(fixed) = &self.options.content_type {
            BlobProperties::check_content_type(fixed)?;
        }
        let source =
            Source::resolve(&self.source, self.destination.path(), self.naming, names_bytes(limits))?;
        let endpoint = self.destination.endpoint();
        let tls = if endpoint.tls { Some(TlsSetup::new(self.options.ca_file.as_deref())?) } else { None };
        let target = Target::new(self.destination, self.credential, &self.options.properties)?;
        let shares = shares(&self.options)?;
        let lanes = shares.len();
        let io = probe(self.options.io);
        let id = uuid::Uuid::new_v4();
        Ok(Job {
            plan: JobPlan {
                id: id.to_string(),
                source: self.source,
                is_pattern: source.is_pattern,
                destination: target.url().to_string(),
                credential: target.credential().describe(),
                lanes,
                concurrency: limits.concurrency,
                memory_bytes: limits.memory_bytes,
                io,
            },
            id: id.into_bytes(),
            source,
            target,
            tls,
            shares,
            progress: Arc::new(Progress::new(lanes)),
            options: self.options,
        })
    }
}

/// Memory that is not buffers: the program itself, the walk's names, the queues.
const BASE_BYTES: u64 = 24 << 20;
/// Memory of a link with TLS: records and hyper's buffers.
const LINK_BYTES: u64 = 96 << 10;

/// Memory for the walk's names.
fn names_bytes(limits: &Limits) -> usize {
    (limits.memory_bytes / 16).min(azuring_local::walk::NAMES_BUDGET as u64) as usize
}

/// Splits the budgets over lanes. Fewer lanes when the memory would not give each of them the largest block and a little
/// more.
fn shares(options: &JobOptions) -> Result<Vec<LaneShare>, JobError> {
    let limits = &options.limits;
    let default = azuring_plan::blocks::DEFAULT_BLOCK_SIZE;
    let block = options.blocks.block_size.unwrap_or(default);
    let largest = block.max(options.blocks.put_blob_size.unwrap_or(block));
    let fixed = BASE_BYTES + limits.concurrency as u64 * LINK_BYTES + names_bytes(limits) as u64;
    let pool = limits.memory_bytes.saturating_sub(fixed);
    let least = largest + 2 * CHUNK_BYTES as u64;
    if pool < least {
        let needed = (least + fixed).div_ceil(15 << 16).max(MIN_MEMORY_BYTES >> 20);
        return Err(JobError::Limit(format!(
            "blocks of {} MiB and {} requests in flight need more memory: --memory {needed}M would do",
            largest.div_ceil(1 << 20),
            limits.concurrency,
        )));
    }
    let lanes = limits.lanes.clamp(1, MAX_LANES).min(limits.concurrency).min((pool / least) as usize).max(1);
    let pool_bytes = (pool / lanes as u64) as usize;
    // What does not divide goes to the first lanes.
    let in_flight = |lane| limits.concurrency / lanes + usize::from(lane < limits.concurrency % lanes);
    Ok((0..lanes).map(|lane| LaneShare { pool_bytes, in_flight: in_flight(lane) }).collect())
}

/// What a job is about to do, for a person to read before it begins.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// The job's id, a UUID.
    pub id: String,
    /// The source as it was given.
    pub source: PathBuf,
    /// Whether the source is a pattern, which may match nothing.
    pub is_pattern: bool,
    /// The destination without its SAS.
    pub destination: String,
    /// What authorizes it; never a secret.
    pub credential: String,
    /// Threads.
    pub lanes: usize,
    /// Requests in flight at most.
    pub concurrency: usize,
    /// Memory budget in bytes.
    pub memory_bytes: u64,
    /// How files are read.
    pub io: IoPath,
}

/// A job that can be run.
pub struct Job {
    plan: JobPlan,
    id: [u8; 16],
    source: Source,
    target: Target,
    tls: Option<TlsSetup>,
    shares: Vec<LaneShare>,
    progress: Arc<Progress>,
    options: JobOptions,
}

impl Job {
    /// A job that uploads `source` to `destination`.
    pub fn builder(source: impl AsRef<Path>, destination: BlobUrl, credential: Credential) -> JobBuilder {
        JobBuilder {
            source: source.as_ref().to_owned(),
            destination,
            credential,
            naming: NamingOptions::default(),
            options: JobOptions::default(),
        }
    }

    /// What it is about to do.
    pub fn plan(&self) -> &JobPlan {
        &self.plan
    }

    /// The job's state, to be looked at from another thread while it runs.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Runs the job on threads of its own and returns when it has ended. `tell` is called on this thread for
    /// every event; a slow `tell` slows the job.
    pub fn run(self, stop: &StopHandle, tell: impl FnMut(Event)) -> Report {
        let begun = Instant::now();
        let (lanes, io) = (self.plan.lanes, self.plan.io.clone());
        allow_descriptors(lane::descriptors(&self.shares));
        let Source { root, naming, finder, .. } = self.source;
        let shared = Arc::new(Shared {
            id: self.id,
            lanes,
            root,
            naming,
            is_service: self.target.url().is_service(),
            target: self.target,
            tls: self.tls,
            queue: Arc::new(WorkQueue::new(lanes)),
            verdict: Verdict::new(stop.clone()),
            progress: Arc::clone(&self.progress),
            crc64: AtomicBool::new(self.options.crc64),
            crc64_taken: AtomicBool::new(false),
            options: self.options,
        });
        let (messages, inbox) = collector::channel();
        let (running, planner) = start_threads(finder, &self.shares, &io, &shared, messages);
        let (counts, kinds) = collector::collect(&inbox, &self.progress, tell);
        let mut report = Report {
            counts,
            elapsed: begun.elapsed(),
            fatal: shared.verdict.fatal_failure().cloned(),
            interrupted: shared.verdict.interrupted(),
            kinds,
            latency_us: new_histogram(),
            links_opened: 0,
            pool_bytes: 0,
        };
        for lane in running {
            match lane.join() {
                Ok(Ok(result)) => {
                    report.latency_us.add(&result.latency_us).expect("the histograms have the same bounds");
                    report.links_opened += result.links_opened;
                    report.pool_bytes += result.pool_bytes;
                }
                // Told through the verdict, if the job could not do without this lane.
                Ok(Err(_)) => {}
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        if let Some(Err(panic)) = planner.map(std::thread::JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        report.elapsed = begun.elapsed();
        report
    }

    /// Reads every blob of this job's source back and compares it with its file. See [`read_back`].
    ///
    /// # Errors
    /// When no lane could be started.
    pub fn read_back(self) -> std::io::Result<read_back::ReadBack> {
        let lanes = self.plan.lanes;
        read_back::run(self.source, &self.target, self.tls.as_ref(), &self.options, lanes)
    }
}

/// Raises this process's soft limit of open descriptors to what the job may need, as far as the hard limit allows. Short
/// of it, opens and connects wait and are repeated.
fn allow_descriptors(needed: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(limit.maximum.map_or(needed, |most| most.min(needed)));
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

type LaneThread = std::thread::JoinHandle<std::io::Result<lane::LaneResult>>;
type Threads = (Vec<LaneThread>, Option<std::thread::JoinHandle<()>>);

/// Starts the lanes and the planner. They end by themselves when the source is done or the job stops; it stops at once
/// if the system refuses a thread.
fn start_threads(
    finder: Finder,
    shares: &[LaneShare],
    io: &IoPath,
    shared: &Arc<Shared>,
    messages: crossbeam::channel::Sender<collector::Message>,
) -> Threads {
    let refused = |error: std::io::Error| {
        let text = format!("the system refuses to start a thread: {error}");
        let failure =
            Failure::new(FailureKind::Limit, "", text).advise("raise the limit of processes or memory");
        shared.verdict.fatal(&failure);
        shared.verdict.give_up();
        shared.queue.close();
    };
    let mut lanes = Vec::with_capacity(shares.len());
    let ready = WaitGroup::new();
    for (index, &share) in shares.iter().enumerate() {
        let (io, shared, messages) = (io.clone(), Arc::clone(shared), messages.clone());
        let ready = ready.clone();
        let lane = move || lane::run(index, share, &io, shared, messages, ready);
        match std::thread::Builder::new().name(format!("lane-{index}")).spawn(lane) {
            Ok(lane) => lanes.push(lane),
            Err(error) => refused(error),
        }
    }
    // Every lane has its runtime and ring before the first file is opened: where descriptors are few, the files and
    // sockets of one lane would leave none for the next.
    ready.wait();
    let theirs = Arc::clone(shared);
    let plan = move || planner::run(finder, &theirs, &messages);
    match std::thread::Builder::new().name("planner".to_owned()).spawn(plan) {
        Ok(planner) => (lanes, Some(planner)),
        Err(error) => {
            refused(error);
            (lanes, None)
        }
    }
}
