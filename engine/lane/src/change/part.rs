//! A blob under way, and what is done to it with one request, alone or in a batch.

use std::rc::Rc;

use azuring_azure::{Delete, RequestError, ServiceError, SetTier};
use azuring_job::choices::{DeleteSnapshots, RehydratePriority};
use azuring_job::end_error::EndError;
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::Failure;
use azuring_job::options::JobOptions;
use azuring_job::outcome::{SkippedKind, TransferId};
use azuring_ring::FileRing;
use azuring_store::ErrorKind;
use tokio::task::JoinSet;

use crate::lane::context::{Ended, Lane};
use crate::requests::client::Client;
use crate::requests::request::{Begin, GaveUp, request};
use crate::task::change::Batches;
use crate::task::verb::Task;

/// Blobs of one batch that are worked on singly at a time. The lane's permits bound the requests.
const AT_ONCE: usize = 64;

/// A blob under way.
pub(super) struct Part {
    pub(super) id: TransferId,
    pub(super) blob: Box<BlobItem>,
    /// Percent-encoded.
    pub(super) name: String,
    /// An earlier attempt may have been carried out, its answer having been lost.
    pub(super) maybe_done: bool,
}

/// What is done to each blob with one request, alone or in a batch.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Delete { snapshots: Option<azuring_azure::DeleteSnapshots>, permanent: bool },
    Tier { tier: &'a str, priority: Option<azuring_azure::RehydratePriority> },
}

impl<'a> Step<'a> {
    /// What the task asks for; `None` when it asks for nothing of this kind.
    pub(super) fn of(task: &'a Task, options: &JobOptions) -> Option<(Self, &'a Batches)> {
        match task {
            Task::Remove(task) => {
                let snapshots = options.delete_snapshots.map(|which| match which {
                    DeleteSnapshots::Include => azuring_azure::DeleteSnapshots::Include,
                    DeleteSnapshots::Only => azuring_azure::DeleteSnapshots::Only,
                });
                let permanent = options.permanent_delete.is_some();
                Some((Self::Delete { snapshots, permanent }, &task.batches))
            }
            Task::SetProperties(task) => {
                let priority = task.change.rehydrate_priority.map(|priority| match priority {
                    RehydratePriority::Standard => azuring_azure::RehydratePriority::Standard,
                    RehydratePriority::High => azuring_azure::RehydratePriority::High,
                });
                let tier = task.change.tier.as_deref()?;
                Some((Self::Tier { tier, priority }, &task.batches))
            }
            Task::Upload(_) | Task::Download(_) | Task::Copy(_) => None,
        }
    }

    fn delete(
        blob: &BlobItem,
        snapshots: Option<azuring_azure::DeleteSnapshots>,
        permanent: bool,
    ) -> Delete<'_> {
        match blob.known {
            // One state of the blob has no snapshots of its own.
            Known::Version => Delete { which: blob.which(), permanent, ..Delete::default() },
            _ => Delete { snapshots, ..Delete::default() },
        }
    }

    async fn one(self, client: &Client, part: &Part) -> Result<(), EndError> {
        match self {
            Self::Delete { snapshots, permanent } => {
                client.delete(&part.name, &Self::delete(&part.blob, snapshots, permanent)).await
            }
            Self::Tier { tier, priority } => {
                let set = SetTier { tier, priority, which: part.blob.which() };
                Ok(client.blob()?.set_tier(&part.name, &set).await?)
            }
        }
    }

    pub(super) async fn many(
        self,
        client: &Client,
        parts: &[Part],
    ) -> Result<Vec<Result<(), EndError>>, EndError> {
        match self {
            Self::Delete { snapshots, permanent } => {
                let delete = |part| Self::delete(part, snapshots, permanent);
                let names: Vec<_> = parts.iter().map(|part| (&*part.name, delete(&part.blob))).collect();
                client.delete_many(&names).await
            }
            Self::Tier { tier, priority } => {
                let set = |part| SetTier { tier, priority, which: BlobItem::which(part) };
                let names: Vec<_> = parts.iter().map(|part| (&*part.name, set(&part.blob))).collect();
                let answers = client.blob()?.set_tier_batch(&names).await?;
                let of_blob = |error| EndError::from(RequestError::from(error));
                Ok(answers.into_iter().map(|answer| answer.map_err(of_blob)).collect())
            }
        }
    }

    /// What an answer means for the blob; `None`: it failed.
    pub(super) fn ended(self, blob: &BlobItem, answer: Result<(), &EndError>) -> Option<Ended> {
        let bytes = match self {
            Self::Delete { .. } => blob.entry.facts.len,
            Self::Tier { .. } => 0,
        };
        match (self, answer) {
            (_, Ok(())) => Some(Ended::Done { bytes }),
            // Whoever removed it since it was listed, it is not there any more; perhaps it was an attempt whose answer
            // was lost. What somebody only named may never have been there.
            (Self::Delete { .. }, Err(refusal)) if is_gone(refusal) && blob.known != Known::Named => {
                Some(Ended::Done { bytes })
            }
            (Self::Delete { .. }, Err(refusal))
                if refusal.service().is_some_and(ServiceError::snapshots_present) =>
            {
                Some(Ended::Skipped(SkippedKind::HasSnapshots))
            }
            _ => None,
        }
    }
}

/// Whether there is no such blob, though there is its container.
fn is_gone(refusal: &EndError) -> bool {
    match refusal.service() {
        Some(refusal) => refusal.not_found() && refusal.code != "ContainerNotFound",
        None => refusal.kind() == Some(ErrorKind::NotFound),
    }
}

impl Part {
    /// Reports how it ended.
    pub(super) fn finish<R: FileRing>(self, lane: &Lane<R>, result: Result<Ended, Box<Failure>>) {
        let is_removal = matches!(lane.shared.task, Task::Remove(_));
        let result = match result {
            Err(failure) if failure.is_missing() && self.blob.known == Known::Named => {
                if is_removal && (self.maybe_done || lane.shared.may_be_done(self.id)) {
                    // The attempt whose answer was lost has removed it, or an earlier run that could not record it.
                    Ok(Ended::Done { bytes: 0 })
                } else {
                    Err(Failure::not_there(&self.blob.object()))
                }
            }
            result => result,
        };
        lane.finish(self.id, Found::Blob(self.blob), result);
    }
}

/// Does `one` to each blob, some at a time; returns those that `one` has not finished.
pub(super) async fn each<R: FileRing, F>(
    lane: &Rc<Lane<R>>,
    parts: Vec<Part>,
    one: impl Fn(Rc<Lane<R>>, Part) -> F,
) -> Vec<Part>
where
    F: Future<Output = Option<Part>> + 'static,
{
    let mut running = JoinSet::new();
    let mut parts = parts.into_iter();
    let mut left = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(part) = parts.next()
        {
            running.spawn_local(one(Rc::clone(lane), part));
        }
        match running.join_next().await {
            None => return left,
            Some(Ok(part)) => left.extend(part),
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Does the step to one blob with a request of its own.
pub(super) async fn singly<R: FileRing>(lane: &Lane<R>, step: Step<'_>, begin: Begin, mut part: Part) {
    let sent = request(&lane.writing(), 0, begin, async |_| step.one(lane.to(), &part).await).await;
    part.maybe_done |= sent.as_ref().is_err_and(GaveUp::maybe_done);
    let ended = match &sent {
        Ok(()) => step.ended(&part.blob, Ok(())),
        Err(gave_up) => gave_up.error.as_ref().and_then(|refusal| step.ended(&part.blob, Err(refusal))),
    };
    let result = match (ended, sent) {
        (Some(ended), _) => Ok(ended),
        (None, Err(gave_up)) => Err(gave_up.for_object(lane.session(), &part.blob.object())),
        (None, Ok(())) => unreachable!("what was accepted has ended"),
    };
    part.finish(lane, result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_azure::{BlobEntry, BlobFacts};

    fn blob(name: &str, known: Known) -> BlobItem {
        let entry = BlobEntry::new(name.to_owned(), BlobFacts::default());
        BlobItem { entry: Box::new(entry), relative_at: 0, known }
    }

    #[test]
    fn a_version_or_snapshot_is_deleted_alone_and_for_good_only_when_asked() {
        let include = Some(azuring_azure::DeleteSnapshots::Include);
        let mut old = blob("a", Known::Version);
        old.entry.facts.version_id = Some("v".into());
        let delete = Step::delete(&old, include, true);
        assert_eq!((delete.which.version, delete.snapshots, delete.permanent), (Some("v"), None, true));
        assert!(!Step::delete(&old, None, false).permanent);
        old.entry.snapshot = Some("s".into());
        let delete = Step::delete(&old, include, true);
        assert_eq!((delete.which.snapshot, delete.which.version), (Some("s"), None));
        // A listing tells the version of every blob; the blob itself is meant all the same.
        let mut whole = blob("a", Known::Listed);
        whole.entry.facts.version_id = Some("v".into());
        let delete = Step::delete(&whole, include, true);
        assert_eq!((delete.which.version, delete.snapshots, delete.permanent), (None, include, false));
    }

    #[test]
    fn what_is_gone_is_removed_unless_the_container_is_gone() {
        let delete = Step::Delete { snapshots: None, permanent: false };
        let tier = Step::Tier { tier: "Cool", priority: None };
        let service = ServiceError::new;
        let item = blob("a", Known::Listed);
        let ended = |step: Step<'_>, status, code: &str| {
            step.ended(&item, Err(&EndError::from(RequestError::from(service(status, code))))).is_some()
        };
        assert!(ended(delete, 404, "BlobNotFound") && !ended(tier, 404, "BlobNotFound"));
        assert!(!ended(delete, 404, "ContainerNotFound") && !ended(delete, 404, "Not Found"));
        assert!(ended(delete, 409, "SnapshotsPresent") && !ended(delete, 409, "LeaseIdMissing"));
    }
}
