//! What all threads of a job share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use azuring_azure::BlobFacts;
use azuring_job::again::Again;
use azuring_job::durable::{Durable, With};
use azuring_job::entry::{Entry, Found};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::{Outcome, TransferId};

use crate::object::large::Large;
use crate::requests::session::Session;
use crate::task::verb::Task;

use super::lines::Lines;
use super::queue::WorkQueue;

/// What a part knows of runs before this one. They have left no journal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Earlier {
    /// Whether there were some: they may have worked on any of its transfers.
    pub tried: bool,
    /// When the job was begun.
    pub begun: Option<SystemTime>,
}

/// What all threads of a job share.
pub struct Shared {
    /// The job's id.
    pub id: [u8; 16],
    /// The number of lanes, from 1 to 16.
    pub lanes: usize,
    /// What is done with each object.
    pub task: Task,
    /// Where requests go.
    pub session: Session,
    /// From the planner to the lanes.
    pub queue: Arc<WorkQueue<Large>>,
    /// The lines of a list of blobs, when that is the source.
    pub lines: Option<Lines>,
    /// The job's journal, if it has one.
    pub durable: Option<Durable>,
    /// Of a part: what is known of its earlier runs.
    pub earlier: Earlier,
    /// What failed and is tried again.
    pub again: Again,
    /// Objects found by a job without a journal.
    pub found: AtomicU64,
    /// Why what a job without a journal has written may be damaged.
    pub not_kept: OnceLock<Failure>,
    /// What its threads tell belongs to this.
    pub span: tracing::Span,
}

impl Shared {
    /// Gives objects their numbers; with a journal, records them and what belongs to them.
    ///
    /// # Errors
    /// The journal's.
    pub fn number(&self, found: Vec<Found>, with: &With<'_>) -> Result<Vec<Entry>, Box<Failure>> {
        let first = match &self.durable {
            Some(durable) => durable.found(&found, with)?,
            None => self.found.fetch_add(found.len() as u64, Ordering::Relaxed),
        };
        let entry = |(number, found)| Entry { id: TransferId::nth(number), found };
        Ok((first..).zip(found).map(entry).collect())
    }

    /// The same for something that cannot be transferred.
    pub fn number_refused(&self, failure: &Failure) -> Result<TransferId, Box<Failure>> {
        let number = match &self.durable {
            Some(durable) => durable.refused(failure)?,
            None => self.found.fetch_add(1, Ordering::Relaxed),
        };
        Ok(TransferId::nth(number))
    }

    /// Stops the job since its journal cannot be written; the object at hand has not failed for that, nor has any
    /// other.
    pub(crate) fn broken(&self, failure: &Failure, object: &str) -> Box<Failure> {
        self.session.verdict.stop_for(failure);
        Box::new(Failure::interrupted(object))
    }

    /// Whether an attempt of which this one knows nothing may have done the transfer: in an earlier run, or before this
    /// pass.
    pub(crate) fn may_be_done(&self, id: TransferId) -> bool {
        self.is_resumed(id) || self.again.was_tried(id)
    }

    /// Whether an earlier run may have worked on the transfer, also if it could not even record that it was found: what
    /// it has found since its last commit is found again first.
    pub(crate) fn may_be_resumed(&self, id: TransferId) -> bool {
        let before = self.durable.as_ref().and_then(|durable| durable.before.as_ref());
        self.earlier.tried || before.is_some_and(|before| before.may_have_found(id))
    }

    /// Whether an attempt of which this one knows nothing may have made what is there.
    pub(crate) fn may_be_made(&self, id: TransferId) -> bool {
        self.may_be_resumed(id) || self.again.was_tried(id)
    }

    /// Whether an object that was changed then, by the clock of this machine or give or take a quarter of an hour by
    /// another's (the most that the service allows), may be of this job.
    pub(crate) fn is_since_begun(&self, changed: SystemTime) -> bool {
        let begun = self.durable.as_ref().map_or(self.earlier.begun, Durable::begun);
        begun.is_none_or(|begun| changed + Duration::from_secs(15 * 60) >= begun)
    }

    /// Whether a blob that an earlier run may have made, and could not record, was written since the job was begun.
    pub(crate) fn is_recent(&self, id: TransferId, there: &BlobFacts) -> bool {
        let modified = u64::try_from(there.last_modified).unwrap_or_default();
        self.may_be_made(id) && self.is_since_begun(SystemTime::UNIX_EPOCH + Duration::from_secs(modified))
    }

    /// Whether an earlier run has written the transfer's file, which the machine may have lost.
    pub(crate) fn is_lost(&self, id: TransferId) -> bool {
        let before = self.durable.as_ref().and_then(|durable| durable.before.as_ref());
        before.is_some_and(|before| before.is_lost(id))
    }

    /// What a transfer that failed comes to; `None`: nothing yet, since it counts as not started, or is tried again.
    pub fn not_done(&self, entry: Entry, failure: Box<Failure>) -> Option<Outcome> {
        // Nothing of it was sent before the job stopped. (A stream is read once.)
        if failure.kind == FailureKind::Interrupted && failure.tries == 0 {
            return None;
        }
        if matches!(entry.found, Found::Stream) {
            return Some(self.failed(entry, failure));
        }
        let (entry, failure) = self.again.take(entry, failure).err()?;
        Some(self.failed(entry, failure))
    }

    /// The outcome of a transfer that has failed for good.
    pub fn failed(&self, Entry { id, found }: Entry, mut failure: Box<Failure>) -> Outcome {
        let transfer = self.task.transfer(&self.session, &found);
        failure.source = transfer.source;
        failure.destination = transfer.destination;
        failure.bytes = self.task.length(&found);
        let (entity, length) = (found.entity(), failure.bytes);
        Outcome::new(id, entity, Err(failure)).length(length)
    }

    /// Waits until everything that was recorded is durable.
    pub(crate) async fn commit(self: &Arc<Self>) -> Result<(), Box<Failure>> {
        let theirs = Arc::clone(self);
        let commit = move || theirs.durable.as_ref().map_or(Ok(()), Durable::commit);
        match tokio::task::spawn_blocking(commit).await {
            Ok(committed) => committed,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Whether no object has been found yet.
    pub fn nothing_found(&self) -> bool {
        self.session.progress.found.load(Ordering::SeqCst) == 0
    }

    /// Whether an earlier run of the job may have worked on the transfer.
    pub(crate) fn is_resumed(&self, id: TransferId) -> bool {
        let before = self.durable.as_ref().and_then(|durable| durable.before.as_ref());
        self.earlier.tried || before.is_some_and(|before| before.knows(id))
    }
}
