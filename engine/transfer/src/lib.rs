//! # azuring-transfer: the engine
//!
//! **Purpose.** Runs a job. It finds the objects and hands them to the lanes (`azuring-lane`). These move them within
//! fixed budgets, and retry what can be retried. It reports the outcome of every object. The words are in
//! `azuring-job`.
//!
//! ```text
//!   planner thread                     lanes, one thread each                        caller's thread
//!   walk ─> batches ─> WorkQueue ─┬─> workers: open, read ─> request ─> outcome ─┐
//!             (bounded)           └─> workers ...                                ├─> Collector ─> Event
//!        problems, skipped ──────────────────────────────────────────────────────┘   (bounded)
//!                 large file: its blocks are claimed by all lanes through one atomic counter
//! ```
//!
//! **Invariants.**
//! - Every object that was found ends in exactly one [`Outcome`], or is counted as not started when the job stops.
//! - Nothing becomes visible on the service before all of its bytes were accepted and the source was seen unchanged.
//!   Page and append blobs are the exception: the service shows them from their first byte. One that fails is removed
//!   again, if nobody else has written to it.
//! - The pools of all lanes together stay within [`Limits::memory_bytes`]; every queue is bounded.
//! - No lock and no wake-up of another thread on the path of a small file: work and outcomes travel in batches.
//! - With a journal ([`JobBuilder::journal`]) a job can be resumed after a crash at any moment
//!   ([`JobBuilder::resume`]). What is recorded as done is done. What is not recorded is done again.
//!
//! **Limits.** See [`Limits`].
//!
//! **Does not know** the command line, terminals, or how an event is shown.
//!
//! # For programs that embed it
//!
//! This crate is enough: it has everything that its functions take and return, also [`filter`].
//!
//! - With the feature `identity` it also has the logins of Microsoft Entra ID.
//! - A program that has its own tokens passes them in with [`bearer`] and [`Credential::token`].
//! - `examples/` has five programs: a backup that is resumed at start-up, a managed identity, a source in memory, jobs
//!   inside tokio, progress and cancellation.
//!
//! | from | to | made by |
//! |---|---|---|
//! | files | Blob storage | [`Job::upload`] |
//! | files | a store of one's own ([`store`]) | [`Job::upload_to_store`] |
//! | a stream | either | [`Job::upload_from`], [`Job::stream_to_store`] |
//! | either | files | [`Job::download`], [`Job::download_from_store`] |
//! | either | a stream | [`Job::download_to`], [`Job::stream_from_store`] |
//! | either | either | [`Job::relay`] |
//! | what is there | | [`Job::remove`], [`Job::remove_from_store`], [`Job::set_properties`] |
//!
//! | | blocks the calling thread | awaited, by any executor |
//! |---|---|---|
//! | a job | [`Job::run`] | [`Job::start`]: [`Running::next_event`], [`Running::outcome`] |
//! | a command | [`list`], [`make_container`], [`is_public`], [`user_delegation_key`] | [`nonblocking`] |
//! | stopping | [`StopHandle`] | the same, or dropping the future or handle |
//!
//! All of them may be called from a thread of a runtime. [`JobBuilder::build`] blocks: it reads the file system, and
//! logs in. Several jobs share their budgets through an [`Engine`].
//!
//! **What it tells a person who looks for a fault.** Spans and events of `tracing`. A subscriber of the process
//! switches them on. It has to be the global one, because the threads of a job do not inherit another.
//!
//! ```text
//! // With the crate tracing-subscriber:
//! let filter = "azuring_transfer=info,azuring_azure=debug,azuring_lane=debug,azuring_link=debug";
//! tracing_subscriber::fmt().with_env_filter(filter).init();
//! ```
//!
//! | span | target | level | fields |
//! |---|---|---|---|
//! | `job`, in the span that [`Job::run`] or [`Job::start`] is called in | `azuring_transfer` | INFO | `id`, `verb` |
//! | `planner`, in the job | `azuring_transfer` | INFO | |
//! | `lane`, in the job | `azuring_lane` | INFO | `lane` |
//! | `request` of Blob storage, in a lane or the planner | `azuring_azure::exchange` | DEBUG | `operation`, `method`, |
//! | | | | `container`, `body_len`; with the answer `status`, |
//! | | | | `request_id`, `answered_ms`, `fresh_link` |
//!
//! - Events at DEBUG: a refusal, a request that is sent again, a new connection, a dead one, a refused token.
//! - Events at WARN: an answer that is not of Azure Storage, an exchange that is cut, no token. At INFO: a new token.
//! - Names of objects are told at TRACE alone. Queries, keys, signatures and tokens are never told.
//!
//! **What it does to the process.**
//! - It starts threads. A job has one for each lane and `planner`. If it needs them, it also has `job`, `settle`,
//!   `asker`, `identity`, and threads that read directories and files and compute checksums of large objects. A command
//!   has one thread. Each thread ends with its job or command, except one that waits for a disk or for its caller's
//!   reader.
//! - It starts no process, except for a login by a program (`az`, `pwsh`).
//! - It raises the soft limit of open files (`RLIMIT_NOFILE`) to what a job can use, never above the hard limit, and
//!   leaves it there. After [`keep_descriptor_limit`] it does not: jobs then use only what may be opened.
//! - It keeps the values of secrets as long as the process lives, so that no message shows one.
//! - It handles no signal, sets no variable, writes to no standard stream, and installs no allocator or panic hook.
//!
//! ```no_run
//! use azuring_transfer::{BlobUrl, Credential, Event, Job, JobOptions, StopHandle};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let url = BlobUrl::parse("https://account.blob.core.windows.net/backup?sv=...&sig=...")?;
//! let credential = Credential::find(&url, |name| std::env::var(name).ok())?;
//! let job = Job::upload("/var/data", url, credential).recursive(true).options(JobOptions::default()).build()?;
//! let report = job.run(&StopHandle::new(), |event| {
//!     if let Event::Failed(failure) = event {
//!         eprintln!("{failure}");
//!     }
//! });
//! println!("{} files, {} bytes", report.counts.done, report.counts.bytes);
//! # Ok(())
//! # }
//! ```
//!
//! The same, but it can be resumed:
//!
//! ```no_run
//! use azuring_transfer::{BlobUrl, Credential, Job, JobId, Jobs, StopHandle};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let url = BlobUrl::parse("https://account.blob.core.windows.net/backup?sv=...&sig=...")?;
//! let credential = Credential::find(&url, |name| std::env::var(name).ok())?;
//! let jobs = Jobs::new("/var/lib/appliance".as_ref());
//! let upload = || Job::upload("/var/data", url.clone(), credential.clone()).recursive(true);
//! let job = upload().journal(jobs.clone(), b"whatever is needed to build it again".to_vec()).build()?;
//! let id: JobId = job.plan().id.parse()?;
//! if job.run(&StopHandle::new(), |_| {}).interrupted {
//!     upload().resume(jobs, id).build()?.run(&StopHandle::new(), |_| {});
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Run a part elsewhere
//!
//! A job can be split into values that other processes run, on this host or on others. [`Job::parts`] finds the
//! objects. It gives a [`Spec`] (what the job does; the same for all parts) and one [`Part`] after the other (at most
//! 10,000 transfers). Both can be written to bytes and read again. A [`Crew`] needs only these and a
//! credential. It runs one part after another, and returns one [`PartOutcome`] for each transfer; these can be written
//! to bytes too.
//!
//! ```no_run
//! use azuring_transfer::{BlobUrl, Credential, Crew, Job, JobOptions, Part, Spec, StopHandle};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // One process plans.
//! let url = BlobUrl::parse("https://account.blob.core.windows.net/backup?sv=...&sig=...")?;
//! let credential = Credential::find(&url, |name| std::env::var(name).ok())?;
//! let job = Job::upload("/mnt/shared/data", url, credential).recursive(true).build()?;
//! let write = |spec: &Spec, part: Part| {
//!     std::fs::write("/mnt/shared/job/spec", spec.to_bytes())?;
//!     std::fs::write(format!("/mnt/shared/job/part-{}", part.number()), part.to_bytes())
//! };
//! let report = job.parts(10_000, &StopHandle::new(), write, |_| {})?;
//! assert!(report.fatal.is_none() && !report.interrupted);
//!
//! // Others run the parts. No secret is in the files: each brings its own.
//! let spec = Spec::from_bytes(&std::fs::read("/mnt/shared/job/spec")?)?;
//! let url = BlobUrl::parse(&format!("{}?{}", spec.url(), std::env::var("SAS")?))?;
//! let credential = Credential::find(&url, |_| None)?;
//! let mut crew = Crew::open(&spec, credential, JobOptions::default())?;
//! for number in [0, 1] {
//!     let part = Part::from_bytes(&std::fs::read(format!("/mnt/shared/job/part-{number}"))?)?;
//!     let run = crew.run(part, &StopHandle::new(), |_| {})?;
//!     std::fs::write(format!("/mnt/shared/job/ends-{number}"), run.outcomes.to_bytes())?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - **When a part is done.** When its outcomes are stored, and not before. A process that dies leaves none. Its part
//!   is run again, as [`Part::again`], and every transfer still has one outcome.
//! - **One at a time.** The program that gives parts out makes sure that no two processes run the same part at once.
//! - **Last ones.** Parts that are [`Part::is_last`] (properties of directories) are run when all others are done.
//! - **Names that are no blobs** ([`PartEnd::NoBlob`]) are lines of a list that may be directories.
//!   [`Job::parts_below`] makes further parts of what is below them.
//! - **Not in a spec**: limits, retries, proxies, the HTTP version. They are those of the process that runs the part.
#![forbid(unsafe_code)]

mod at;
mod builder;
mod collector;
mod command;
mod crew;
mod delegate;
mod engine;
mod examine;
mod finding;
mod frame;
mod job;
mod list;
mod list_reader;
mod make;
mod pages;
mod parts;
mod planner;
mod public;
mod remote;
mod running;
mod scan;
mod source;
mod threads;
mod upload_from;
mod wait;

pub use at::Location;
#[doc(hidden)]
pub use azuring_azure::Clock;
pub use azuring_azure::{
    AccessTier, AccountFacts, AccountKey, Bearer, BlobEntry, BlobFacts, BlobProperties, BlobState, BlobUrl,
    ContentFacts, Cpk, Credential, CredentialError, DEVSTORE_ACCOUNT, EncryptionError, HostToken,
    PropertyError, Sas, SasBuildError, SasBuilder, SasFacts, SasFault, SasKind, SasNeeds, SasOperation,
    SasOverrides, SasResource, Secret, TargetError, TokenError, TokenFeed, TrustedSuffixes, UrlError,
    UserDelegationKey, Wanted, bearer,
};
pub use azuring_job::choices::{
    BlobTypeChoice, CheckLength, CheckMd5, DeleteSnapshots, Encryption, ListOfFiles, Overwrite,
    PermanentDelete, PosixStyle, PropertyChange, RehydratePriority, RouteChoice, Symlinks,
};
pub use azuring_job::durable::{RecordedJob, RecordedState, RecordedTransfer};
pub use azuring_job::failure::{Blocked, Failure, FailureKind, Side};
pub use azuring_job::job_error::JobError;
#[doc(hidden)]
pub use azuring_job::options::Boundary;
pub use azuring_job::options::{ContentTypePolicy, JobOptions, Limits, RetryPolicy};
pub use azuring_job::outcome::{
    Action, Counts, Done, Entity, Event, JobStatus, Outcome, Planned, Report, SkippedKind, Transfer,
    TransferId,
};
pub use azuring_job::part::{MAX_TRANSFERS, Part, PartEnd, PartError, PartOutcome, PartOutcomes};
pub use azuring_job::progress::{Progress, ProgressView};
pub use azuring_job::spec::{Spec, SpecError};
pub use azuring_job::verdict::StopHandle;
pub use azuring_job::way::{Decision, Evidence, Way, WayReason};
pub use azuring_journal::{COMMIT_EVERY, CommitBy, JobId, Jobs, JournalError, Storage};
pub use azuring_lane::task::leftovers::remove_unfinished;
pub use azuring_link::{
    Endpoint, HttpChoice, LinkError, LinkSettings, Probe, Proxies, ProxyError, TlsError, TlsSetup,
};
pub use azuring_local::LocalError;
pub use azuring_plan::PlanError;
pub use azuring_plan::blocks::{BlockRules, mib_to_bytes};
pub use azuring_plan::content_type::ContentTypes;
pub use azuring_ring::{IoChoice, IoPath, check_close, keep_descriptor_limit};
pub use azuring_store::CustomStore;
pub use builder::JobBuilder;
pub use command::CommandError;
pub use crew::{Crew, PartRun, run_part};
pub use delegate::user_delegation_key;
pub use engine::{Engine, EngineLimits};
pub use examine::{Examined, Sample, Tried, examine, try_copy};
pub use hdrhistogram::Histogram;
pub use job::{Job, JobPlan, Verb};
pub use list::{ListOptions, ListTotals, ListedBlob, Listing, list};
pub use make::make_container;
pub use parts::PartsBelow;
pub use public::is_public;
pub use running::{Running, RunningPart};
pub use upload_from::upload_from;

/// Which objects take part.
pub mod filter {
    pub use azuring_plan::blob_type::BlobType;
    pub use azuring_plan::filter::{Filter, FilterSpec};
}

/// What a store of one's own has to be, for [`Job::upload_to_store`] and its sisters.
pub mod store {
    pub use azuring_store::*;
}

/// Tokens of any identity of Microsoft Entra ID: logins, and the thread that keeps their tokens fresh.
#[cfg(feature = "identity")]
pub mod identity {
    pub use azuring_identity::*;
}

pub mod nonblocking;
pub mod read_back;
