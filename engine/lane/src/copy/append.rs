//! An append blob becomes an append blob: range after range of the source, by one lane, in the chain of ETags that an
//! upload has. Each goes the way that is open when its turn comes.

use std::rc::Rc;

use azuring_azure::{BlobType, Body};
use azuring_job::end_error::EndError;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::progress::add;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;

use crate::get::large::without_etag;
use crate::lane::context::{Ended, Lane};
use crate::lane::verify;
use crate::object::pieces::Pieces;
use crate::put::append::{Appended, block_size};
use crate::put::place::Place;
use crate::put::visible::{Made, Over, Visible, not_written};
use crate::put::{resume, whole};
use crate::requests::look::Look;
use crate::requests::request::Begin;
use crate::task::copy::Copying;

use super::content::OfObject;
use super::source::{NotCopied, body_of};
use super::{direct, large, relay};

/// Copies an append blob.
pub(super) async fn object<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Copying,
    item: &BlobItem,
    place: &Place<'_>,
) -> Result<Ended, NotCopied> {
    let (facts, object, from) = (&item.entry.facts, item.object(), encode_path(&item.entry.name));
    if facts.etag.is_none() {
        return Err(NotCopied::Failed(without_etag(&object)));
    }
    let size = block_size(&lane.session().options.blocks, facts.len).map_err(|(text, advice)| {
        let failure = Failure::new(FailureKind::Limit, &object, text).advise_anew(advice);
        NotCopied::Failed(Box::new(failure))
    })?;
    let (content, in_place) = (OfObject::new(item, &from), &task.in_place);
    let visible = Visible { lane, in_place, place, content: &content, kind: BlobType::Append, hold: None };
    let over = match visible.over().await.map_err(|failure| content.not_copied(failure))? {
        Ok(over) => over,
        Err(kind) => return Ok(Ended::Skipped(kind)),
    };
    let whole_body = body_of(lane.session(), &item.entry, false);
    let body = Body { content_md5: None, tier: None, ..whole_body };
    let create = async |body: Body<'_>| Ok(lane.to().blob()?.create_append_blob(&place.blob, body).await?);
    let mut appended = match over {
        // It is a beginning of the source, byte for byte.
        Over::This { etag, len } if len > 0 => Appended::of(etag, len),
        over => match visible.make(&over, body, create).await.map_err(NotCopied::Failed)? {
            Made::There(etag) => Appended::new(etag),
            Made::Skipped(kind) => return Ok(Ended::Skipped(kind)),
        },
    };
    let counters = lane.counters();
    add(&counters.large_begun, facts.len - appended.len);
    add(&counters.bytes, appended.len);
    let begun = appended.len;
    let mut copy = Copy { lane, object: (item, &from), place, size, is_unproven: false };
    let mut copied = copy.ranges(&mut appended).await;
    add(&counters.large_ended, facts.len - begun);
    if copied.is_ok() {
        let body = Body { content_md5: whole_body.content_md5, ..body };
        let summed = appended.sum_up(lane, place, body).await;
        copied = summed.map_err(|gave_up| NotCopied::Failed(not_written(gave_up, lane, &object)));
    }
    if let Err(error) = copied {
        return Err(taken_back(lane, appended, place, error).await);
    }
    resume::is_complete(in_place, place.id);
    let checked = match copy.is_unproven {
        true => direct::check_length(lane, place, facts.len).await,
        false => whole::check_length(lane, place, facts.len).await,
    };
    checked.map_err(NotCopied::Failed)?;
    if lane.session().options.verify {
        let pieces = Pieces::new(facts.len, size, facts.len.div_ceil(size) as u32);
        let is_same = large::is_same(lane, item, &from, &place.blob, &pieces).await;
        if !is_same.map_err(NotCopied::Failed)? {
            return Err(NotCopied::Failed(verify::differs(&object)));
        }
    }
    Ok(Ended::Done { bytes: facts.len })
}

/// Removes what will not be complete, as far as it is this job's. If it is gone, a source that was changed may be
/// copied as it is now.
async fn taken_back<R: FileRing>(
    lane: &Lane<R>,
    mut appended: Appended,
    place: &Place<'_>,
    error: NotCopied,
) -> NotCopied {
    let left = appended.take_back(&lane.look(&place.blob)).await.err();
    if left.is_none() && matches!(error, NotCopied::Changed) {
        return error;
    }
    let mut failure = error.failure(&place.object());
    if let Some(left) = left {
        left.tell(&mut failure);
    }
    // What is visible of it was begun, and is not there any more.
    if failure.kind == FailureKind::Interrupted {
        failure.tries = failure.tries.max(1);
    }
    NotCopied::Failed(failure)
}

/// The copy of one blob.
struct Copy<'a, R> {
    lane: &'a Lane<R>,
    object: (&'a BlobItem, &'a str),
    place: &'a Place<'a>,
    /// Bytes of a range.
    size: u64,
    /// The destination has read some of them by itself, and told no checksum.
    is_unproven: bool,
}

impl<R: FileRing> Copy<'_, R> {
    /// Appends what is missing.
    async fn ranges(&mut self, appended: &mut Appended) -> Result<(), NotCopied> {
        let whole = self.object.0.entry.facts.len;
        while appended.len < whole {
            let len = self.size.min(whole - appended.len);
            if !self.lane.session().route.is_direct() {
                self.relayed(appended, len).await?;
            } else if let Err(error) = self.by_service(appended, len).await {
                if !matches!(error, NotCopied::Rerouted) {
                    return Err(error);
                }
                self.relayed(appended, len).await?;
            }
            add(&self.lane.counters().bytes, len);
        }
        Ok(())
    }

    /// Has the destination append a range that it reads by itself.
    async fn by_service(&mut self, appended: &mut Appended, len: u64) -> Result<(), NotCopied> {
        let (lane, blob, at) = (self.lane, &self.place.blob, appended.len);
        let failed = |gave_up| not_written(gave_up, lane, &self.place.object());
        let proven = direct::range(lane, self.object, (at, len), failed, async |source| {
            let send = async |_, position, body: Body<'_>| {
                let copied = source
                    .read(async |to, grant| to.append_block_from_url(blob, position, grant, body).await);
                Ok::<_, EndError>(copied.await?.etag)
            };
            let again = async || {
                let read = relay::range(lane, self.object, at, len, Begin::Always).await;
                read.ok().map(|(payload, _)| payload)
            };
            let look = Look { sender: lane.copying(), ..lane.look(blob) };
            appended.append_by(&look, (len, 0), send, again).await
        });
        self.is_unproven |= !proven.await?;
        Ok(())
    }

    /// Sends a range through this host.
    async fn relayed(&self, appended: &mut Appended, len: u64) -> Result<(), NotCopied> {
        let (lane, at) = (self.lane, appended.len);
        let (payload, crc64) = relay::range(lane, self.object, at, len, Begin::UnlessStopping).await?;
        let sent = appended.append(&lane.look(&self.place.blob), payload, crc64).await;
        sent.map_err(|gave_up| NotCopied::Failed(not_written(gave_up, lane, &self.place.object())))
    }
}
