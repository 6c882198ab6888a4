//! What a job reports: one event type, which progress, summaries and tests all consume.

use std::time::Duration;

use azuring_azure::BlobFacts;
use hdrhistogram::Histogram;

use crate::failure::{Failure, FailureKind};
use crate::way::Decision;

/// Which transfer of the job: its part and its place in it. The same when the job is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId {
    /// The part, from 0.
    pub part: u32,
    /// The place in the part, from 0 to 9,999.
    pub index: u32,
}

const PART: u64 = azuring_journal::PART_TRANSFERS as u64;

impl TransferId {
    /// The `n`th transfer of a job, from 0.
    pub fn nth(n: u64) -> Self {
        Self { part: (n / PART) as u32, index: (n % PART) as u32 }
    }

    /// Its number in the job, from 0.
    pub fn number(self) -> u64 {
        u64::from(self.part) * PART + u64::from(self.index)
    }
}

azuring_plan::growing! {
    /// An object, its source and its destination. They are full paths, or percent-encoded URLs without SAS; empty if
    /// there is none.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Transfer {
        /// Its path below the source, escaped to one line.
        pub object: String,
        /// Where it comes from; of a removal or a change the object itself.
        pub source: String,
        /// Where it goes.
        pub destination: String,
    }
}

/// What kind of object a transfer is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entity {
    /// A file, or a blob with content.
    #[default]
    File,
    /// A directory, or the stub of one.
    Folder,
    /// A symbolic link, or the stub of one.
    Symlink,
}

azuring_plan::growing! {
    /// How one transfer ended.
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct Outcome {
        /// The number of the transfer.
        pub id: TransferId,
        /// What kind of object it is.
        pub entity: Entity,
        /// Bytes that were transferred.
        pub bytes: u64,
        /// Length of the object, as far as it is known.
        pub length: u64,
        /// The object, when [`crate::options::JobOptions::report_objects`] asks for it.
        pub object: Option<Box<Transfer>>,
        /// Done or skipped; a failure has the reason.
        pub result: Result<Done, Box<Failure>>,
    }
}

impl Outcome {
    /// An end of which no more is said: no bytes, no length, no object.
    pub fn new(id: TransferId, entity: Entity, result: Result<Done, Box<Failure>>) -> Self {
        Self { id, entity, bytes: 0, length: 0, object: None, result }
    }
}

/// What a transfer that did not fail has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The object was transferred, removed or changed.
    Whole,
    /// The object was not touched, for this reason.
    Skipped(SkippedKind),
}

/// Why an object was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkippedKind {
    /// A symbolic link.
    Symlink,
    /// A socket, a pipe or a device.
    Special,
    /// The destination already has it, and must not be overwritten.
    Exists,
    /// The object at the destination was modified later, or at the same time.
    NotNewer,
    /// It should be removed, but has snapshots, and [`DeleteSnapshots`](crate::choices::DeleteSnapshots) is not set.
    HasSnapshots,
}

/// What a dry run would do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Upload or download it.
    Copy,
    /// Remove it from the store.
    Remove,
    /// Change tier, metadata or tags.
    SetProperties,
}

impl Action {
    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Remove => "remove",
            Self::SetProperties => "set-properties",
        }
    }
}

azuring_plan::growing! {
    /// One object of a dry run.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Planned {
        /// What would be done.
        pub action: Action,
        /// The object, with source and destination.
        pub transfer: Transfer,
        /// Length of the object, if the listing tells it. A local file has it only with
        /// [`plan_facts`](crate::options::JobOptions::plan_facts).
        pub bytes: Option<u64>,
        /// Modification time in seconds since 1970, if it is known.
        pub modified_s: Option<i64>,
        /// What a listing tells of a blob; its content properties only with [`crate::options::JobOptions::plan_facts`].
        pub facts: Option<Box<BlobFacts>>,
    }
}

impl Planned {
    /// What would be done with an object of which no more is known.
    pub fn new(action: Action, transfer: Transfer) -> Self {
        Self { action, transfer, bytes: None, modified_s: None, facts: None }
    }
}

/// Something that happened in a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A transfer was done. (Failed ones come as [`Event::Failed`].)
    Done(Outcome),
    /// An object was not transferred, or a directory could not be read.
    Failed(Failure),
    /// An object was skipped.
    Skipped {
        /// The object, with source and destination.
        transfer: Box<Transfer>,
        /// Its length, as far as it is known.
        bytes: u64,
        /// The reason.
        kind: SkippedKind,
    },
    /// What a dry run would do with some objects.
    Planned(Vec<Planned>),
    /// Which way the bytes of a copy go, from now on.
    Way(Box<Decision>),
    /// One line that a person should read. Its wording may change.
    Notice(String),
}

/// What a job did, counted over all of its runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Objects found, of all kinds.
    pub found: u64,
    /// How many of `found` are directories.
    pub found_folders: u64,
    /// How many of `found` are symbolic links.
    pub found_links: u64,
    /// Files and links transferred.
    pub done: u64,
    /// Files and links that failed.
    pub failed: u64,
    /// Directories transferred.
    pub folders_done: u64,
    /// Directories that failed.
    pub folders_failed: u64,
    /// How many of `found` were skipped: they stay as they are.
    pub skipped_existing: u64,
    /// Directories that could not be read, and other problems that belong to no object.
    pub problems: u64,
    /// Symbolic links that were skipped.
    pub skipped_symlinks: u64,
    /// Sockets, pipes and devices that were skipped.
    pub skipped_special: u64,
    /// Bytes of the files that were transferred.
    pub bytes: u64,
    /// Bytes of all files that were found, as far as they are known.
    pub bytes_found: u64,
    /// Bytes sent in request bodies, including retries.
    pub bytes_sent: u64,
    /// Bytes that the destination has read at the source by itself, so that they did not pass this host.
    pub bytes_by_service: u64,
    /// Requests sent, including retries.
    pub requests: u64,
    /// How many of `requests` were retries.
    pub retries: u64,
}

impl Counts {
    /// Objects found that were not transferred, did not fail and were not skipped: the job stopped first.
    pub fn not_started(&self) -> u64 {
        let ended = self.done + self.failed + self.folders_done + self.folders_failed + self.skipped_existing;
        self.found.saturating_sub(ended)
    }
}

/// How a job ended, in AzCopy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobStatus {
    /// Everything that was found was transferred, or there was nothing.
    Completed,
    /// Everything but links and special files.
    CompletedWithSkipped,
    /// Some files failed.
    CompletedWithErrors,
    /// Some failed, some were left out.
    CompletedWithErrorsAndSkipped,
    /// Nothing was transferred although something should have been, or the job gave up.
    Failed,
    /// The job was interrupted.
    Cancelled,
}

impl std::fmt::Display for JobStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// How a job ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Counted over all runs of the job.
    pub counts: Counts,
    /// Counts of the earlier runs; all 0 if the job was not resumed.
    pub before: Counts,
    /// Wall time of this run.
    pub elapsed: Duration,
    /// Why the whole job stopped, if it did.
    pub fatal: Option<Failure>,
    /// Whether somebody stopped the job ([`StopHandle`](crate::verdict::StopHandle)).
    pub interrupted: bool,
    /// Transfers that failed and do so again when the job is resumed ([`Failure::is_final`]).
    pub finals: u64,
    /// Which kinds of failure occurred.
    pub kinds: Vec<FailureKind>,
    /// Of a copy: which way the bytes went at last, as far as that was found out.
    pub way: Option<Box<Decision>>,
    /// Latency of requests in microseconds, from handing one over to its answer.
    pub latency_us: Histogram<u64>,
    /// Connections that were opened.
    pub links_opened: u64,
    /// Bytes of memory that the lanes mapped for buffers.
    pub pool_bytes: u64,
}

impl Report {
    /// Of a job that has done nothing, with where its latencies are counted.
    pub fn new(latency_us: Histogram<u64>) -> Self {
        Self {
            counts: Counts::default(),
            before: Counts::default(),
            elapsed: Duration::ZERO,
            fatal: None,
            interrupted: false,
            finals: 0,
            kinds: Vec::new(),
            way: None,
            latency_us,
            links_opened: 0,
            pool_bytes: 0,
        }
    }

    /// The job's state in AzCopy's words.
    pub fn status(&self) -> JobStatus {
        let counts = &self.counts;
        let skipped = counts.skipped_symlinks + counts.skipped_special + counts.skipped_existing > 0;
        // Whatever the reason is: a job that has left something is not completed.
        let left = counts.not_started();
        let errors = counts.failed + counts.folders_failed + counts.problems + left > 0;
        match () {
            () if self.interrupted => JobStatus::Cancelled,
            () if self.fatal.is_some() || (errors && counts.done == 0) => JobStatus::Failed,
            () if errors && skipped => JobStatus::CompletedWithErrorsAndSkipped,
            () if errors => JobStatus::CompletedWithErrors,
            () if skipped => JobStatus::CompletedWithSkipped,
            () => JobStatus::Completed,
        }
    }
}
