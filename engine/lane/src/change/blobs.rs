//! Blobs that are removed, or get other properties.
//!
//! A task of a lane takes a whole batch of blobs from the queue. What the service does for many blobs at once (removal,
//! tier) goes as Blob Batch, the rest as one request each; every blob has its own outcome either way.

use std::cmp::Reverse;
use std::rc::Rc;

use azuring_job::entry::{BlobItem, Entry, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;

use crate::lane::context::{Ended, Lane};
use crate::requests::request::{Begin, request};
use crate::task::change::SetProperties;
use crate::task::verb::Task;

use super::batch;
use super::part::{Part, each};

/// Does what the task asks to a batch of blobs, and reports each.
pub(crate) async fn blobs<R: FileRing>(lane: &Rc<Lane<R>>, entries: Vec<Entry>) {
    let mut parts = Vec::with_capacity(entries.len());
    for Entry { id, found } in entries {
        let Found::Blob(blob) = found else { unreachable!("the planner finds blobs at a URL") };
        let part = Part { id, name: encode_path(&blob.entry.name), blob, maybe_done: false };
        match refused(lane, &part.blob) {
            Some(failure) => part.finish(lane, Err(failure)),
            None => parts.push(part),
        }
    }
    let mut begin = Begin::UnlessStopping;
    if let Task::SetProperties(SetProperties { change, .. }) = &lane.shared.task
        && (change.metadata.is_some() || change.tags.is_some())
    {
        // Before the tier: a blob in the archive keeps its metadata as they are.
        parts = each(lane, parts, describe).await;
        begin = Begin::Always;
    }
    parts.sort_by_key(|part| turn(&part.blob));
    batch::carry_out(lane, parts, begin).await;
}

/// When a blob's turn is: directories are last, and of these the deepest first, since one that is not empty is not
/// removed.
fn turn(blob: &BlobItem) -> (bool, Reverse<usize>) {
    let is_folder = blob.entry.is_folder();
    (is_folder, Reverse(if is_folder { blob.entry.name.len() } else { 0 }))
}

/// Why nothing can be asked of the service for this blob.
fn refused<R: FileRing>(lane: &Lane<R>, blob: &BlobItem) -> Option<Box<Failure>> {
    if let Some(stored) = lane.session().ends.to().end.takes_for(&blob.entry.name) {
        // Its part would fail the others of the batch.
        return Some(Box::new(Failure::other_name(&blob.object(), &stored)));
    }
    let Task::SetProperties(task) = &lane.shared.task else { return None };
    // The service would change those of the blob as it is now.
    (task.change.metadata.is_some() && blob.known == Known::Version).then(|| {
        let text = "the metadata of an earlier version cannot be changed";
        let failure = Failure::new(FailureKind::Usage, &blob.object(), text);
        Box::new(failure.advise("change those of the blob itself"))
    })
}

/// Sets metadata and tags. Returns the blob when its tier is still to be set.
async fn describe<R: FileRing>(lane: Rc<Lane<R>>, part: Part) -> Option<Part> {
    let Task::SetProperties(SetProperties { change, .. }) = &lane.shared.task else { return Some(part) };
    let mut begin = Begin::UnlessStopping;
    let mut result = Ok(());
    if let Some(metadata) = &change.metadata {
        let set = async |_| lane.to().set_metadata(&part.name, metadata).await;
        result = request(&lane.writing(), 0, begin, set).await;
        begin = Begin::Always;
    }
    if let (Ok(()), Some(tags)) = (&result, &change.tags) {
        let set = async |_| lane.to().set_tags(&part.name, tags, part.blob.which()).await;
        result = request(&lane.writing(), 0, begin, set).await;
    }
    match result {
        Ok(()) if change.tier.is_some() => return Some(part),
        Ok(()) => part.finish(&lane, Ok(Ended::Done { bytes: 0 })),
        Err(gave_up) => {
            let failure = gave_up.for_object(lane.session(), &part.blob.object());
            part.finish(&lane, Err(failure));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_azure::{BlobEntry, BlobFacts};

    fn blob(name: &str) -> BlobItem {
        let entry = BlobEntry::new(name.to_owned(), BlobFacts::default());
        BlobItem { entry: Box::new(entry), relative_at: 0, known: Known::Listed }
    }

    #[test]
    fn directories_come_after_what_is_below_them() {
        let folder = |name| {
            let mut folder = blob(name);
            folder.entry.is_directory = true;
            folder
        };
        let mut blobs = [folder("a"), blob("a/1"), folder("a/b"), blob("a/b/longer")];
        blobs.sort_by_key(turn);
        let names = blobs.map(|blob| blob.entry.name);
        assert_eq!(names, ["a/1", "a/b/longer", "a/b", "a"]);
    }
}
