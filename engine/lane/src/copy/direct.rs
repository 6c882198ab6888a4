//! The destination reads the source by itself: nothing of the bytes passes here.
//!
//! Every request names the state of the source that was listed, and the MD5 of the source where that is known: what is
//! not these bytes is not written. What the service says that it has read is compared too.

use std::cell::Cell;

use azuring_azure::{BlobClient, BlobFacts, Body, Copied, Crc64, Credential, RequestError, ServiceError};
use azuring_job::choices::{CheckLength, CheckMd5};
use azuring_job::end_error::EndError;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::progress::add;
use azuring_job::way::{Evidence, WayReason};
use azuring_link::Payload;
use azuring_ring::FileRing;
use azuring_store::{At, Grant};

use crate::lane::context::Lane;
use crate::object::assembly::Assembly;
use crate::put::assembly;
use crate::put::place::Place;
use crate::put::whole;
use crate::requests::end::End;
use crate::requests::request::{Begin, GaveUp, request};
use crate::requests::route::closed;
use crate::requests::session::Session;

use super::source::{NotCopied, body_of, with_tier};

/// The service is given the same bytes so often; then they are others than their MD5 says.
const MD5_TRIES: u32 = 3;
/// The MD5 of no byte.
const MD5_OF_NOTHING: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];

/// Copies an object in one request.
pub(super) async fn whole<R: FileRing>(
    lane: &Lane<R>,
    (item, from): (&BlobItem, &str),
    place: &Place<'_>,
    only_new: bool,
) -> Result<Whole, NotCopied> {
    let (session, facts) = (lane.session(), &item.entry.facts);
    let body = body_of(session, &item.entry, only_new);
    let md5 = md5_of(session, facts);
    let mut differed = 0;
    let _probe = session.route.probe().await;
    if !session.route.is_direct() {
        return Err(NotCopied::Rerouted);
    }
    let send = async |body: Body<'_>| copy(lane, (item, from, md5), place, body, &mut differed).await;
    let sent = with_tier(lane, body, send).await;
    let gave_up = match sent {
        Ok(copied) => {
            check(lane, place, &copied, facts.len).await?;
            works(lane);
            add(&lane.counters().bytes, facts.len);
            add(&lane.counters().bytes_by_service, facts.len);
            return Ok(Whole::Done);
        }
        Err(gave_up) => gave_up,
    };
    if only_new && gave_up.already_exists() {
        return Ok(Whole::Exists { maybe_ours: gave_up.maybe_done() });
    }
    if differed >= tries_of_md5(lane) {
        return Err(NotCopied::Failed(other_bytes(item, differed)));
    }
    Err(not_copied(lane, gave_up, item, failed(lane, item)))
}

/// The MD5 that is compared.
pub(super) fn md5_of(session: &Session, facts: &BlobFacts) -> Option<[u8; 16]> {
    facts.content_md5.filter(|_| session.options.check_md5 > CheckMd5::LogOnly)
}

/// Compares lengths of an object that was copied in one request, where nothing else proves it or that is wanted.
pub(super) async fn check<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    copied: &Copied,
    len: u64,
) -> Result<(), NotCopied> {
    let always = lane.session().options.check_length == CheckLength::Always;
    if always || !proves(copied, len) {
        check_length(lane, place, len).await.map_err(NotCopied::Failed)?;
    }
    Ok(())
}

/// How an object ended that was to be copied in one request.
pub(super) enum Whole {
    Done,
    /// It was to be new, and is there.
    Exists {
        /// An attempt whose answer was lost may have made it.
        maybe_ours: bool,
    },
}

async fn copy<R: FileRing>(
    lane: &Lane<R>,
    (item, from, md5): (&BlobItem, &str, Option<[u8; 16]>),
    place: &Place<'_>,
    body: Body<'_>,
    differed: &mut u32,
) -> Result<Copied, GaveUp> {
    request(&lane.copying(), 0, Begin::UnlessStopping, async |_| {
        lane.session().pace(item.entry.facts.len).await;
        let source = lane.from().blob()?;
        let granted = source.grant(from, item.which()).await?;
        let grant = Grant { md5, ..granted.to(item.entry.facts.etag.as_deref(), None) };
        let copied = match lane.to().blob()?.put_blob_from_url(&place.blob, &grant, body).await {
            Ok(copied) => Ok(copied),
            Err(error) => Err(source.grant_refused(&granted, error).await),
        };
        let copied = copied.and_then(|copied| match (md5, copied.md5) {
            (Some(known), Some(read)) if known != read => Err(RequestError::Integrity),
            _ => Ok(copied),
        });
        copied.map_err(|error| {
            *differed += u32::from(md5.is_some() && error.is_integrity());
            // No further attempt is made after it.
            if *differed < tries_of_md5(lane) { EndError::from(error) } else { others().into() }
        })
    })
    .await
}

/// How often the bytes may be others than their MD5 says.
fn tries_of_md5<R: FileRing>(lane: &Lane<R>) -> u32 {
    MD5_TRIES.min(lane.session().options.retry.max_tries)
}

/// Ends the attempts: the bytes are others than their MD5 says.
fn others() -> RequestError {
    let (request, reason) = ("Put Blob From URL".to_owned(), "they are other bytes".to_owned());
    RequestError::Answer { request, reason, passing: false }
}

/// The failure that comes of it.
fn other_bytes(item: &BlobItem, tries: u32) -> Box<Failure> {
    let text = "its bytes have another MD5 than the one that is stored with it";
    let mut failure = Failure::new(FailureKind::Integrity, &item.object(), text).of_side(Side::Source);
    failure.tries = tries;
    Box::new(failure.advise("find out which of them is right; --check-md5=NoCheck copies it as it is"))
}

/// A range of the source that the destination is to read.
pub(super) struct Reading<'a, R> {
    lane: &'a Lane<R>,
    object: (&'a BlobItem, &'a str),
    /// Its first and its last byte.
    range: (u64, u64),
    is_proven: Cell<bool>,
}

impl<R: FileRing> Reading<'_, R> {
    /// Grants access to it for one request, which is made by `send`.
    pub(super) async fn read(
        &self,
        send: impl AsyncFnOnce(&BlobClient, &Grant<'_>) -> Result<Copied, RequestError>,
    ) -> Result<Copied, EndError> {
        let (first, last) = self.range;
        self.lane.session().pace(last + 1 - first).await;
        let (source, (item, from)) = (self.lane.from().blob()?, self.object);
        let granted = source.grant(from, item.which()).await?;
        let grant = granted.to(item.entry.facts.etag.as_deref(), Some(self.range));
        match send(self.lane.to().blob()?, &grant).await {
            Ok(copied) => {
                self.is_proven.set(proves(&copied, last + 1 - first));
                Ok(copied)
            }
            Err(error) => Err(source.grant_refused(&granted, error).await.into()),
        }
    }
}

/// Has the destination read `len` bytes at an offset, and write them by `write`. `Ok(false)`: it has told no checksum
/// of that. `failed` tells what a refusal means that is neither the source's nor says anything of the way.
pub(super) async fn range<'a, R: FileRing>(
    lane: &'a Lane<R>,
    object: (&'a BlobItem, &'a str),
    (at, len): (u64, u64),
    failed: impl FnOnce(GaveUp) -> Box<Failure>,
    write: impl AsyncFnOnce(&Reading<'a, R>) -> Result<(), GaveUp>,
) -> Result<bool, NotCopied> {
    let _probe = lane.session().route.probe().await;
    if !lane.session().route.is_direct() {
        return Err(NotCopied::Rerouted);
    }
    let reading = Reading { lane, object, range: (at, at + len - 1), is_proven: Cell::new(false) };
    write(&reading).await.map_err(|gave_up| not_copied(lane, gave_up, object.0, failed))?;
    works(lane);
    add(&lane.counters().bytes_by_service, len);
    Ok(reading.is_proven.get())
}

/// Has the destination read a piece. `Ok(false)`: it has told no checksum of that.
pub(super) async fn piece<R: FileRing>(
    lane: &Lane<R>,
    object: (&BlobItem, &str),
    (assembly, blob): (&Assembly, &str),
    at: At,
    len: u64,
) -> Result<bool, NotCopied> {
    range(lane, object, (at.offset, len), failed(lane, object.0), async |source| {
        let put = async |id: &str| {
            source.read(async |to, grant| to.put_block_from_url(blob, id, grant).await).await.map(drop)
        };
        assembly::put_from(lane, assembly, blob, at.piece, put).await
    })
    .await
}

fn failed<R: FileRing>(lane: &Lane<R>, item: &BlobItem) -> impl FnOnce(GaveUp) -> Box<Failure> {
    |gave_up| gave_up.for_object(lane.session(), &item.object())
}

/// Why nothing was copied, and what that means for the way of all others.
fn not_copied<R: FileRing>(
    lane: &Lane<R>,
    gave_up: GaveUp,
    item: &BlobItem,
    failed: impl FnOnce(GaveUp) -> Box<Failure>,
) -> NotCopied {
    let (session, object) = (lane.session(), item.object());
    let Some(refusal) = gave_up.service() else {
        return NotCopied::Failed(failed(gave_up));
    };
    let (reason, by) = match refusal {
        refusal if refusal.is_not_implemented() => (WayReason::NotImplemented, Side::Destination),
        refusal if session.options.source_key.is_some() && refusal.is_of_version() => {
            (WayReason::KeyUnknown, Side::Destination)
        }
        refusal if refusal.is_copy_source_closed() => (WayReason::Closed, Side::Source),
        // Whoever has read the source before has another trouble now, of this one object.
        refusal if refusal.is_copy_scope_closed() && !session.route.has_worked() => {
            (WayReason::ScopeClosed, Side::Destination)
        }
        refusal if refusal.is_copy_source_unreachable() && !session.route.has_worked() => {
            (WayReason::Unreachable, Side::Destination)
        }
        // Here it was listed with such tokens: it takes them from this host, and not from the destination.
        refusal
            if refusal.is_copy_source_token_refused()
                && matches!(&session.ends.from().end, End::Blob(from) if matches!(from.credential(), Credential::Token(_)))
                && session.route.may_change()
                && !session.route.has_worked() =>
        {
            (WayReason::TokenRefused, Side::Source)
        }
        refusal => {
            if refusal.is_of_copy_source() && !refusal.is_copy_source_unreachable() {
                // It was reached, and has answered.
                works(lane);
            }
            return match refusal.is_copy_source_changed() {
                true => NotCopied::Changed,
                false => NotCopied::Failed(failed(gave_up)),
            };
        }
    };
    let decision = closed(reason, evidence(lane, refusal, by, &object), &session.ends);
    if let Some(decision) = session.route.leave_direct(decision) {
        lane.tell_way(decision);
    }
    if session.route.may_change() {
        return NotCopied::Rerouted;
    }
    let mut failure = gave_up.for_object(session, &object);
    if reason == WayReason::Closed {
        let advice =
            "have the source's firewall admit this machine's network, or let the bytes go through this host";
        failure = Box::new(failure.advise(advice));
    }
    session.verdict.stop_for(&failure);
    NotCopied::Failed(failure)
}

/// The answer by which a way was found closed.
pub(super) fn evidence<R: FileRing>(
    lane: &Lane<R>,
    refusal: &ServiceError,
    by: Side,
    object: &str,
) -> Evidence {
    let mut evidence = Evidence::new(by, refusal.status, &refusal.code);
    if let Some(source) = refusal.copy_source.as_deref() {
        evidence.source = (source.status, source.code.clone());
    }
    let with_key = lane.session().options.source_key.is_some();
    let spoken = lane.to().blob().map(|blob| blob.copy_version(with_key));
    evidence.version = spoken.unwrap_or_default().to_owned();
    (evidence.object, evidence.request_id) = (object.to_owned(), refusal.request_id.clone());
    evidence
}

/// The destination has read the source, or needs not to.
pub(super) fn works<R: FileRing>(lane: &Lane<R>) {
    let session = lane.session();
    if let Some(decision) = session.route.works(&session.ends) {
        lane.tell_way(decision);
    }
}

/// Whether a checksum was told of what the service has read. That of nothing proves nothing: a server that passes over
/// the source takes the empty body for the content.
fn proves(copied: &Copied, len: u64) -> bool {
    let told = copied.crc64.is_some_and(|crc64| len == 0 || crc64 != Crc64::of(&Payload::default()));
    told || copied.md5.is_some_and(|md5| len == 0 || md5 != MD5_OF_NOTHING)
}

/// Compares lengths, if the caller wants that to be done at all.
pub(super) async fn check_length<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    len: u64,
) -> Result<(), Box<Failure>> {
    match lane.session().options.check_length {
        CheckLength::Never => Ok(()),
        CheckLength::Unproven | CheckLength::Always => whole::compare_length(lane, place, len).await,
    }
}
