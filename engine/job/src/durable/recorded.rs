//! What a journal tells of a job, for those who list and show jobs.

use std::time::Duration;

use azuring_journal::{JobId, Jobs, JournalError, Recovered, State};

use crate::failure::Failure;
use crate::outcome::{Counts, Entity, JobStatus, SkippedKind};

use crate::way::Decision;

use super::{codec, counters, ways};

/// A job as its journal tells it. It may be running.
#[derive(Debug)]
pub struct RecordedJob {
    /// The job's id; commands accept its beginning.
    pub id: JobId,
    /// How it ended; `None` when it has not, or goes on.
    pub status: Option<JobStatus>,
    /// Counted over all of its runs. Requests, repeats and bytes sent only of runs that came to an end of their own.
    pub counts: Counts,
    /// Whether everything was found.
    pub scanned: bool,
    /// The time of all runs that came to an end of their own.
    pub elapsed: Duration,
    /// Bytes at the journal's end that are no whole record: a crash cut them off.
    pub cut_off_bytes: u64,
    recovered: Recovered,
}

/// How a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordedState {
    /// It was found, and has not ended.
    Pending,
    /// It is done, and no run looks at it again.
    Done,
    /// It was left out.
    Skipped(SkippedKind),
    /// It failed; a resumed job tries it again.
    Failed,
}

/// One transfer of a recorded job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedTransfer<'a> {
    /// Its number in the job, from 0.
    pub number: u64,
    /// A local file's path below the source, or a blob's whole name; of something that was refused as it was asked for,
    /// that.
    pub name: &'a [u8],
    /// What kind of object it is.
    pub entity: Entity,
    /// How it stands.
    pub state: RecordedState,
    /// Why it failed.
    pub failure: Option<Failure>,
}

impl RecordedJob {
    /// Reads a job.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn read(jobs: &Jobs, id: JobId) -> Result<Self, JournalError> {
        let recovered = jobs.read(id)?;
        Ok(Self {
            id,
            status: recovered.summary().and_then(codec::status_of),
            counts: counters::counts(&recovered),
            scanned: recovered.scanned(),
            elapsed: counters::elapsed(&recovered),
            cut_off_bytes: recovered.cut_off(),
            recovered,
        })
    }

    /// What was given to `JobBuilder::journal`.
    pub fn description(&self) -> &[u8] {
        self.recovered.description()
    }

    /// Calls `tell` for each transfer that is listed. Of a finished job these are the ones that failed.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn transfers(&self, mut tell: impl FnMut(RecordedTransfer<'_>)) -> Result<(), JournalError> {
        for part in 0..self.recovered.parts() {
            let mut part = self.recovered.part(part)?;
            while let Some(transfer) = part.next()? {
                let state = match transfer.state {
                    State::Pending => RecordedState::Pending,
                    State::Done | State::Skipped(codec::WRITTEN) => RecordedState::Done,
                    State::Skipped(codec::EXPANDED) => continue,
                    State::Skipped(code) => RecordedState::Skipped(codec::skipped_of(code)),
                    State::Failed(_) => RecordedState::Failed,
                };
                let failure = match transfer.state {
                    State::Failed(kind) => Some(codec::failure_told(kind, transfer.cause, transfer.failure)),
                    _ => None,
                };
                let found = codec::restore(transfer.name, transfer.facts).ok().flatten();
                let entity = found.map_or(Entity::File, |found| found.entity());
                tell(RecordedTransfer {
                    number: transfer.number,
                    name: transfer.name,
                    entity,
                    state,
                    failure,
                });
            }
        }
        Ok(())
    }

    /// Which way the bytes of a copy go, as far as that has been found out.
    pub fn way(&self) -> Option<Decision> {
        ways::last(&self.recovered)
    }

    /// How many large objects were begun and have not ended. Of a download each has an unfinished file in the directory
    /// where it was to be, whose name begins with `.azuring-` and the job's id without hyphens.
    pub fn unfinished(&self) -> usize {
        self.recovered.large_count()
    }

    /// Calls `tell` for each problem that is no transfer's: directories that could not be read, and the like.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn problems(&self, mut tell: impl FnMut(Failure)) -> Result<(), JournalError> {
        self.recovered.problems(|kind, text| {
            if kind != codec::WAY {
                tell(codec::failure_of(kind, text));
            }
        })
    }
}
