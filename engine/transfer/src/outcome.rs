//! What a job reports: one event type, which progress, summaries and tests all consume.

use std::time::Duration;

use azuring_local::SkippedKind;
use hdrhistogram::Histogram;

use crate::failure::{Failure, FailureKind};

/// Transfers in a part. A part is the unit of journalling and resume.
pub(crate) const PART_TRANSFERS: u32 = 10_000;

/// Which transfer of the job: its part and its place in it. Stable for a given source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId {
    /// The part, from 0.
    pub part: u32,
    /// The place in the part, from 0 to 9,999.
    pub index: u32,
}

impl TransferId {
    /// The `n`th transfer of a job, from 0.
    pub(crate) fn nth(n: u64) -> Self {
        let size = u64::from(PART_TRANSFERS);
        Self { part: (n / size) as u32, index: (n % size) as u32 }
    }
}

/// How one transfer ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub id: TransferId,
    /// Bytes of the object, when it was transferred.
    pub bytes: u64,
    /// Done, or why not.
    pub result: Result<(), Box<Failure>>,
}

/// Something that happened in a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A transfer was done. (Failed ones come as [`Event::Failed`].)
    Done(Outcome),
    /// An object was not transferred, or a directory could not be read.
    Failed(Failure),
    /// Something without content was left out.
    Skipped {
        /// Its path below the source, escaped to one line.
        object: String,
        /// What it is.
        kind: SkippedKind,
    },
    /// Something a person should know.
    Notice(String),
}

/// What a job did, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files found.
    pub found: u64,
    /// Files transferred.
    pub done: u64,
    /// Files that failed.
    pub failed: u64,
    /// Directories that could not be read, and other problems that are no file's.
    pub problems: u64,
    /// Symbolic links left out.
    pub skipped_symlinks: u64,
    /// Sockets, pipes and devices left out.
    pub skipped_special: u64,
    /// Bytes of the files that were transferred.
    pub bytes: u64,
    /// Bytes sent in request bodies, repeats included.
    pub bytes_sent: u64,
    /// Requests sent, repeats included.
    pub requests: u64,
    /// Repeats.
    pub retries: u64,
}

impl Counts {
    /// Files found that were neither transferred nor failed: the job stopped first.
    pub fn not_started(&self) -> u64 {
        self.found.saturating_sub(self.done + self.failed)
    }
}

/// How a job ended, in AzCopy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
pub struct Report {
    /// Counted.
    pub counts: Counts,
    /// From start to end.
    pub elapsed: Duration,
    /// Why the whole job stopped, if it did.
    pub fatal: Option<Failure>,
    /// Whether it was told to stop.
    pub interrupted: bool,
    /// Which kinds of failure occurred.
    pub kinds: Vec<FailureKind>,
    /// From handing over a request to its answer, microseconds.
    pub latency_us: Histogram<u64>,
    /// Connections made.
    pub links_opened: u64,
    /// Buffer memory mapped, bytes.
    pub pool_bytes: u64,
}

impl Report {
    /// The job's state in AzCopy's words.
    pub fn status(&self) -> JobStatus {
        let counts = &self.counts;
        let skipped = counts.skipped_symlinks + counts.skipped_special > 0;
        let errors = counts.failed + counts.problems > 0;
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
