//! One object: what it is, what it is called at the destination, and whether it is wanted there.

use std::pin::Pin;
use std::rc::Rc;

use azuring_azure::{AccessTier, BlobType, MAX_CRC64_RANGE_BYTES};
use azuring_job::choices::{BlobTypeChoice, CheckMd5};
use azuring_job::entry::{BlobItem, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::{SkippedKind, TransferId};
use azuring_job::way::Way;
use azuring_plan::blocks::UploadShape;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;
use azuring_store::ContentFacts;

use crate::get::one::{ask, waits_for_peace};
use crate::lane::context::{Ended, Lane};
use crate::lane::verify;
use crate::object::pieces::Pieces;
use crate::put::place::Place;
use crate::put::shape::shape;
use crate::put::whole::{self, Verdict, Whole};
use crate::requests::request::Begin;
use crate::task::copy::Copying;

use super::source::{NotCopied, changed, goes_without_tier, tier_of, with_tags};
use super::{append, archive, direct, large, pages, relay, staged, within};

/// Copies one object.
pub(crate) async fn object<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Copying,
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
        let tagged = with_tags(lane, item).await?;
        let item_now = tagged.as_ref().unwrap_or(item);
        match as_known(lane, task, id, item_now).await {
            Ok(ended) => return Ok(ended),
            Err(NotCopied::Changed) => {}
            Err(NotCopied::Rerouted) => continue,
            Err(NotCopied::Failed(failure)) => return Err(failure),
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
    task: &Copying,
    id: TransferId,
    item: &BlobItem,
) -> Result<Ended, NotCopied> {
    let (object, facts) = (item.object(), &item.entry.facts);
    let refused = |kind, text: &str| NotCopied::Failed(Box::new(Failure::new(kind, &object, text)));
    if facts.len_is_unknown {
        return Err(refused(FailureKind::Service, "the source does not tell how long it is"));
    }
    // Of another store everything is of one kind.
    let is_of_blobs = lane.from().own().is_none() && lane.to().own().is_none();
    let is_in_place = is_of_blobs && facts.blob_type != BlobType::Block;
    if is_in_place && lane.session().options.blob_type == BlobTypeChoice::Block {
        let text = "it is no block blob, and a copy makes none of it: each blob keeps its type";
        return Err(refused(FailureKind::Usage, text));
    }
    let name =
        task.name_for(item).map_err(|error| NotCopied::Failed(Failure::name(&object, &error).into()))?;
    if let Some(stored) = lane.session().ends.to().end.takes_for(&name) {
        let failure = Failure::other_name(&object, &stored).advise("rename the object");
        return Err(NotCopied::Failed(Box::new(failure)));
    }
    let place = Place::of_object(id, item.relative(), name);
    if lane.staging().is_some() && lane.shared.may_be_resumed(id) {
        // Whatever becomes of it now, nothing of an earlier run stays between.
        staged::remove(lane, id, None).await;
    }
    if is_of_blobs && facts.tier == Some(AccessTier::Archive) {
        return Box::pin(archive::object(lane, task, item, &place)).await;
    }
    let mut way = lane.session().route.way();
    if way == Way::Staging
        && let Some(why) = staged::unfit(lane, item)
    {
        staged::refuse(lane, item, why)?;
        way = Way::Relay;
    }
    if is_in_place {
        return in_place(lane, task, item, place).await;
    }
    let (len, mtime_ns) = (facts.len, i128::from(facts.last_modified) * 1_000_000_000);
    // What is cut for one way is not sent whole on the other.
    let is_direct = way == Way::Direct;
    let rules = task.rules(&lane.session().options.blocks, len, is_direct);
    let shape = match way {
        Way::Staging => UploadShape::PutBlob,
        _ => shape(lane.to(), &rules, len, &object).map_err(NotCopied::Failed)?,
    };
    if is_of_blobs
        && matches!(shape, UploadShape::Blocks { .. })
        && within::is_open(lane.session(), task, item)
        && let Some(ended) = Box::pin(within::object(lane, task, item, &place)).await?
    {
        return Ok(ended);
    }
    // Asked before it is read.
    let verdict = whole::verdict(lane, &place, mtime_ns, len).await.map_err(NotCopied::Failed)?;
    match shape {
        UploadShape::Blocks { block_size, count } => {
            large::object(lane, item, &place, verdict, (block_size, count)).await.map_err(NotCopied::Failed)
        }
        UploadShape::PutBlob => {
            if let Verdict::Keep { kind, there } = &verdict
                && !(there.len == len && lane.shared.is_recent(id, there))
            {
                return Ok(Ended::Skipped(*kind));
            }
            let from = encode_path(&item.entry.name);
            if way != Way::Relay {
                return copied_by_service(lane, (item, &from), &place, verdict).await;
            }
            let (payload, crc64) = relay::range(lane, (item, &from), 0, len, Begin::UnlessStopping).await?;
            let (metadata, md5) = (facts.metadata.clone(), facts.content_md5);
            if let Some(stored) = md5
                && is_of_blobs
                && lane.session().options.check_md5 <= CheckMd5::LogOnly
                && whole::md5_of(&payload).await != stored
            {
                // Of a blob that is sent whole Blob storage compares it, of one that is put together it keeps it.
                drop(payload);
                let shape = (len.max(1), u32::from(len > 0));
                return large::object(lane, item, &place, verdict, shape).await.map_err(NotCopied::Failed);
            }
            let none = ContentFacts::default();
            let content = Some(facts.content.as_deref().unwrap_or(&none));
            let mut whole = Whole {
                payload,
                crc64,
                mtime_ns,
                content,
                metadata,
                md5,
                tier: None,
                tags: &item.entry.tags,
            };
            let only_new = match verdict {
                Verdict::Write { only_new } => only_new,
                Verdict::Keep { kind, there } => {
                    return whole.kept(lane, &place, kind, &there).await.map_err(NotCopied::Failed);
                }
            };
            whole.tier = tier_of(lane.session(), facts);
            let mut ended = whole.put(lane, &place, only_new).await;
            if let Err(failure) = &ended
                && goes_without_tier(lane, whole.tier, failure.code.as_deref())
            {
                whole.tier = None;
                ended = whole.put(lane, &place, only_new).await;
            }
            ended.map_err(NotCopied::Failed)
        }
    }
}

/// Copies a page or append blob. That takes a lot of memory, and is seldom: no part of what each small object has.
fn in_place<'a, R: FileRing>(
    lane: &'a Rc<Lane<R>>,
    task: &'a Copying,
    item: &'a BlobItem,
    place: Place<'a>,
) -> Pin<Box<dyn Future<Output = Result<Ended, NotCopied>> + 'a>> {
    Box::pin(async move {
        if within::is_open(lane.session(), task, item)
            && let Some(ended) = within::object(lane, task, item, &place).await?
        {
            return Ok(ended);
        }
        match item.entry.facts.blob_type {
            BlobType::Append => append::object(lane, task, item, &place).await,
            _ => match pages::begin(lane, task, item, place).await? {
                Ok(begun) => {
                    pages::share(lane, task, begun).await;
                    Ok(Ended::Elsewhere)
                }
                Err(ended) => Ok(ended),
            },
        }
    })
}

/// On the way that is open.
async fn by_service<R: FileRing>(
    lane: &Rc<Lane<R>>,
    object: (&BlobItem, &str),
    place: &Place<'_>,
    only_new: bool,
) -> Result<direct::Whole, NotCopied> {
    match lane.session().route.way() {
        // Seldom: no part of what each small object has.
        Way::Staging => Box::pin(staged::whole(lane, object, place, only_new)).await,
        _ => direct::whole(lane, object, place, only_new).await,
    }
}

/// Has the destination copy a whole object.
async fn copied_by_service<R: FileRing>(
    lane: &Rc<Lane<R>>,
    (item, from): (&BlobItem, &str),
    place: &Place<'_>,
    verdict: Verdict,
) -> Result<Ended, NotCopied> {
    let len = item.entry.facts.len;
    let pieces =
        Pieces::new(len, len.clamp(1, MAX_CRC64_RANGE_BYTES), len.div_ceil(MAX_CRC64_RANGE_BYTES) as u32);
    let is_same = async || large::is_same(lane, item, from, &place.blob, &pieces).await;
    let kept = match verdict {
        Verdict::Keep { kind, .. } => Some(kind),
        Verdict::Write { only_new } => match by_service(lane, (item, from), place, only_new).await? {
            direct::Whole::Exists { maybe_ours } if !maybe_ours && !lane.shared.may_be_made(place.id) => {
                return Ok(Ended::Skipped(SkippedKind::Exists));
            }
            direct::Whole::Exists { .. } => Some(SkippedKind::Exists),
            direct::Whole::Done if !lane.session().options.verify => None,
            direct::Whole::Done => match is_same().await.map_err(NotCopied::Failed)? {
                true => None,
                false => return Err(NotCopied::Failed(verify::differs(&item.object()))),
            },
        },
    };
    match kept {
        // It may be this very one, of an attempt whose answer was lost or that could not be recorded.
        Some(kind) if !is_same().await.unwrap_or_default() => Ok(Ended::Skipped(kind)),
        _ => Ok(Ended::Done { bytes: len }),
    }
}
