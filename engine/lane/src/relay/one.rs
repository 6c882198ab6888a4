//! One object: what it is, what it is called at the destination, and whether it is wanted there.

use std::rc::Rc;

use azuring_azure::BlobType;
use azuring_job::entry::{BlobItem, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::TransferId;
use azuring_plan::blocks::UploadShape;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;
use azuring_store::ContentFacts;

use crate::get::one::{ask, waits_for_peace};
use crate::lane::context::{Ended, Lane};
use crate::put::place::Place;
use crate::put::shape::shape;
use crate::put::whole::{self, Verdict, Whole};
use crate::requests::request::Begin;
use crate::task::relay::Relay;

use super::large;
use super::read::{self, NotRead, changed};

/// Copies one object.
pub(crate) async fn object<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Relay,
    id: TransferId,
    item: &BlobItem,
) -> Result<Ended, Box<Failure>> {
    let mut asked;
    let mut item = item;
    let mut changes = 0;
    loop {
        if item.known != Known::Listed || item.entry.facts.len_is_unknown {
            asked = ask(lane, item).await?;
            item = &asked;
        }
        match as_known(lane, task, id, item).await {
            Ok(ended) => return Ok(ended),
            Err(NotRead::Changed) => {}
            Err(NotRead::Failed(failure)) => return Err(failure),
        }
        // It was changed since it was listed: what it is now counts.
        changes += 1;
        if !waits_for_peace(lane, changes).await {
            return Err(changed(&item.object()));
        }
        asked = ask(lane, item).await?;
        item = &asked;
    }
}

/// Copies an object in the state that is known.
async fn as_known<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Relay,
    id: TransferId,
    item: &BlobItem,
) -> Result<Ended, NotRead> {
    let (object, facts) = (item.object(), &item.entry.facts);
    let refused = |kind, text: &str| NotRead::Failed(Box::new(Failure::new(kind, &object, text)));
    if facts.len_is_unknown {
        return Err(refused(FailureKind::Service, "the source does not tell how long it is"));
    }
    // Of another store everything is of one kind.
    let is_of_blobs = lane.from().own().is_none() && lane.to().own().is_none();
    if is_of_blobs && facts.blob_type != BlobType::Block {
        return Err(refused(FailureKind::Usage, "only block blobs are relayed, and this is of another type"));
    }
    let name = task.name_for(item).map_err(|error| NotRead::Failed(Failure::name(&object, &error).into()))?;
    if let Some(stored) = lane.session().ends.to().end.takes_for(&name) {
        let failure = Failure::other_name(&object, &stored).advise("rename the object");
        return Err(NotRead::Failed(Box::new(failure)));
    }
    let place = Place::of_object(id, item.relative(), name);
    let (len, mtime_ns) = (facts.len, i128::from(facts.last_modified) * 1_000_000_000);
    let rules = task.rules(&lane.session().options.blocks, len);
    let shape = shape(lane.to(), &rules, len, &object).map_err(NotRead::Failed)?;
    // Asked before it is read.
    let verdict = whole::verdict(lane, &place, mtime_ns, len).await.map_err(NotRead::Failed)?;
    match shape {
        UploadShape::Blocks { block_size, count } => {
            large::object(lane, item, &place, verdict, (block_size, count)).await.map_err(NotRead::Failed)
        }
        UploadShape::PutBlob => {
            if let Verdict::Keep { kind, there } = &verdict
                && !(there.len == len && lane.shared.is_recent(id, there))
            {
                return Ok(Ended::Skipped(*kind));
            }
            let (payload, crc64) =
                read::range(lane, (item, &encode_path(&item.entry.name)), 0, len, Begin::UnlessStopping)
                    .await?;
            let (metadata, md5) = (facts.metadata.clone(), facts.content_md5);
            let none = ContentFacts::default();
            let content = Some(facts.content.as_deref().unwrap_or(&none));
            let whole = Whole { payload, crc64, mtime_ns, content, metadata, md5 };
            let ended = match verdict {
                Verdict::Write { only_new } => whole.put(lane, &place, only_new).await,
                Verdict::Keep { kind, there } => whole.kept(lane, &place, kind, &there).await,
            };
            ended.map_err(NotRead::Failed)
        }
    }
}
