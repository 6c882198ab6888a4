//! A large object: ranges of the source become pieces of the destination, by all lanes together. Each goes the way that
//! is open when its turn comes.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::Body;
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::progress::add;
use azuring_job::way::Way;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;
use azuring_store::At;

use crate::get::large::without_etag;
use crate::lane::context::{Ended, Lane};
use crate::lane::driver::{self, InPieces, drive};
use crate::lane::verify;
use crate::object::copy::LargeCopy;
use crate::object::large::Large;
use crate::object::pieces::Pieces;
use crate::put::assembly;
use crate::put::place::Place;
use crate::put::state::State;
use crate::put::whole::{self, Verdict};
use crate::requests::look::Agree;
use crate::requests::request::Begin;

use super::source::{NotCopied, body_of, goes_without_tier};
use super::{direct, relay, staged};

/// Copies a large object of `count` pieces.
pub(super) async fn object<R: FileRing>(
    lane: &Rc<Lane<R>>,
    item: &BlobItem,
    place: &Place<'_>,
    verdict: Verdict,
    (piece_bytes, count): (u64, u32),
) -> Result<Ended, Box<Failure>> {
    let (facts, object, from) = (&item.entry.facts, item.object(), encode_path(&item.entry.name));
    let Some(etag) = facts.etag.as_deref() else { return Err(without_etag(&object)) };
    let pieces = Pieces::new(facts.len, piece_bytes, count);
    let state = || State::of_object(lane.shared.id, item, etag, piece_bytes);
    let only_new = match verdict {
        Verdict::Write { only_new } => only_new,
        Verdict::Keep { kind, there } => {
            // It may be the object of an earlier run that could not record it.
            let usual = assembly::usual(lane, state().content);
            let is_same = async || is_same(lane, item, &from, &place.blob, &pieces).await.unwrap_or_default();
            let is_ours = lane.shared.may_be_made(place.id)
                && there.len == facts.len
                && assembly::is_there(lane, &usual, place, count, is_same).await;
            if !is_ours {
                return Ok(Ended::Skipped(kind));
            }
            whole::check_length(lane, place, facts.len).await?;
            return verified(lane, item, &from, &place.blob, &pieces).await;
        }
    };
    let (pieces, assembly) =
        assembly::begin(lane, place, state(), pieces, body_of(lane.session(), &item.entry, only_new)).await?;
    let large = Arc::new(LargeCopy {
        id: place.id,
        item: item.clone(),
        from,
        name: place.name.clone(),
        assembly,
        only_new,
        pieces,
        is_unproven: AtomicBool::new(false),
        is_changed: AtomicBool::new(false),
    });
    driver::begin(lane, &large.pieces);
    if large.pieces.is_complete() {
        complete(lane, &large).await;
        return Ok(Ended::Elsewhere);
    }
    if !assembly::is_in_order(lane) {
        lane.offer(&Large::Across(Arc::clone(&large)), large.pieces.count);
    }
    help(lane, large).await;
    Ok(Ended::Elsewhere)
}

/// Copies pieces of `large`; completes it if this lane reports the last one.
pub(crate) async fn help<R: FileRing>(lane: &Rc<Lane<R>>, large: Arc<LargeCopy>) {
    if drive(lane, &large).await {
        complete(lane, &large).await;
    }
}

impl<R: FileRing> InPieces<R> for Arc<LargeCopy> {
    fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    fn object(&self) -> String {
        self.item.object()
    }

    fn is_in_order(&self, lane: &Lane<R>) -> bool {
        assembly::is_in_order(lane)
    }

    async fn piece(&self, lane: &Lane<R>, n: u32) -> Result<(), Box<Failure>> {
        let (offset, len) = self.pieces.range(n);
        let at = At { piece: n, offset };
        let (object, to) = ((&self.item, &*self.from), encode_path(&self.name));
        let mut copied = Err(NotCopied::Rerouted);
        if lane.session().route.is_direct() {
            let proven = direct::piece(lane, object, (&self.assembly, &to), at, len).await;
            self.is_unproven.fetch_or(matches!(proven, Ok(false)), Ordering::SeqCst);
            copied = proven.map(drop);
        }
        let is_staged =
            lane.session().route.way() == Way::Staging && staged::unfit(lane, &self.item).is_none();
        if matches!(copied, Err(NotCopied::Rerouted)) && is_staged {
            let text = "its source was found closed: another attempt goes by the staging account";
            return Err(Box::new(Failure::new(FailureKind::Source, &self.item.object(), text)));
        }
        if matches!(copied, Err(NotCopied::Rerouted)) {
            copied = self.relayed(lane, &to, at, len).await;
        }
        copied.map_err(|error| error.of_piece(&self.item, &self.is_changed))?;
        add(&lane.counters().bytes, len);
        Ok(())
    }
}

impl LargeCopy {
    /// Sends a piece through this host.
    async fn relayed<R: FileRing>(
        &self,
        lane: &Lane<R>,
        to: &str,
        at: At,
        len: u64,
    ) -> Result<(), NotCopied> {
        let object = (&self.item, &*self.from);
        let (payload, crc64) = relay::range(lane, object, at.offset, len, Begin::UnlessStopping).await?;
        let body = Body { crc64, ..Body::default() };
        let sent = assembly::put(lane, &self.assembly, to, at, &payload, body).await;
        sent.map_err(|gave_up| NotCopied::Failed(gave_up.for_object(lane.session(), &self.item.object())))
    }
}

/// Completes an object whose pieces are all reported, and reports its outcome.
async fn complete<R: FileRing>(lane: &Rc<Lane<R>>, large: &LargeCopy) {
    let place = Place::of_object(large.id, large.item.relative(), large.name.clone());
    let result = match large.pieces.take_failure() {
        Some(failure) => Err(Box::new(failure)),
        None => commit(lane, large, &place).await,
    };
    assembly::release(lane, &large.assembly, &place.blob, &result).await;
    let mut item = large.item.clone();
    if large.is_changed.load(Ordering::SeqCst) {
        // Whoever tries it again asks what it is now.
        item.known = Known::Before;
    }
    lane.finish(large.id, Found::Blob(Box::new(item)), result);
}

async fn commit<R: FileRing>(
    lane: &Rc<Lane<R>>,
    large: &LargeCopy,
    place: &Place<'_>,
) -> Result<Ended, Box<Failure>> {
    let mut body = body_of(lane.session(), &large.item.entry, large.only_new);
    let size = (large.pieces.count, large.pieces.len);
    let is_same = async || {
        let same = is_same(lane, &large.item, &large.from, &place.blob, &large.pieces).await;
        same.unwrap_or_default()
    };
    let mut ended = assembly::commit(lane, &large.assembly, place, size, body, &is_same).await;
    if let Err(failure) = &ended
        && goes_without_tier(lane, body.tier, failure.code.as_deref())
    {
        body.tier = None;
        ended = assembly::commit(lane, &large.assembly, place, size, body, &is_same).await;
    }
    let ended = ended?;
    if large.is_unproven.load(Ordering::SeqCst) {
        direct::check_length(lane, place, large.pieces.len).await?;
    }
    match ended {
        Ended::Done { .. } => verified(lane, &large.item, &large.from, &place.blob, &large.pieces).await,
        ended => Ok(ended),
    }
}

/// The object is there: it is compared with the source, if that is wanted.
async fn verified<R: FileRing>(
    lane: &Lane<R>,
    item: &BlobItem,
    from: &str,
    to: &str,
    pieces: &Pieces,
) -> Result<Ended, Box<Failure>> {
    if lane.session().options.verify && !is_same(lane, item, from, to, pieces).await? {
        return Err(verify::differs(&item.object()));
    }
    Ok(Ended::Done { bytes: pieces.len })
}

/// Whether source and destination have the same bytes now. Asked although the job stops: it says what is true of them.
///
/// # Errors
/// Why it is not known.
pub(super) async fn is_same<R: FileRing>(
    lane: &Lane<R>,
    item: &BlobItem,
    from: &str,
    to: &str,
    pieces: &Pieces,
) -> Result<bool, Box<Failure>> {
    let look = lane.look(to);
    let not_asked = |gave_up| verify::not_asked(lane, gave_up, &item.object());
    let there = look.facts().await.map_err(not_asked)?;
    if there.len != pieces.len {
        return Ok(false);
    }
    for n in 0..pieces.count {
        let (offset, len) = pieces.range(n);
        let read = relay::range(lane, (item, from), offset, len, Begin::Always).await;
        let (payload, _) = read.map_err(|error| error.failure(&item.object()))?;
        let same = look.has(offset, &payload, there.etag.as_deref(), Agree::Whole).await;
        if !same.map_err(not_asked)? {
            return Ok(false);
        }
    }
    Ok(true)
}
