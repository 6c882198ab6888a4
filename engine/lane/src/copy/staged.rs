//! By a third account: it reads the source, and the destination reads it. Two requests an object and one to clean up,
//! and nothing of the bytes passes here.
//!
//! What is there between has a name of this job and this transfer, so that two jobs never meet and a job that goes on
//! finds what an earlier run has left. It is removed by its ETag.

use azuring_azure::{BlobClient, BlobType, Body, Copied, Delete, RequestError};
use azuring_job::end_error::EndError;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::TransferId;
use azuring_job::progress::add;
use azuring_job::way::{Way, WayReason};
use azuring_ring::FileRing;
use azuring_store::{Grant, Which};

use crate::lane::context::Lane;
use crate::put::place::Place;
use crate::requests::request::{Begin, GaveUp, request};
use crate::requests::route::closed;
use crate::requests::staging::MOST_BYTES;

use super::direct::{self, Whole};
use super::source::{NotCopied, body_of, with_tier};

/// One of the two requests: who reads what, and who writes it where.
struct Hop<'a> {
    reader: &'a BlobClient,
    from: (&'a str, Which<'a>, Option<&'a str>),
    writer: &'a BlobClient,
    to: &'a str,
    bytes: u64,
    md5: Option<[u8; 16]>,
}

async fn hop<R: FileRing>(lane: &Lane<R>, hop: &Hop<'_>, body: Body<'_>) -> Result<Copied, GaveUp> {
    let (name, which, etag) = hop.from;
    request(&lane.copying(), 0, Begin::UnlessStopping, async |_| {
        lane.session().pace(hop.bytes).await;
        let granted = hop.reader.grant(name, which).await?;
        let grant = Grant { md5: hop.md5, ..granted.to(etag, None) };
        let copied = match hop.writer.put_blob_from_url(hop.to, &grant, body).await {
            Ok(copied) => copied,
            Err(error) => return Err(hop.reader.grant_refused(&granted, error).await.into()),
        };
        match (hop.md5, copied.md5) {
            (Some(known), Some(read)) if known != read => Err(EndError::from(RequestError::Integrity)),
            _ => Ok(copied),
        }
    })
    .await
}

/// Why an object cannot go by the staging account; `None`: it can.
pub(super) fn unfit<R: FileRing>(lane: &Lane<R>, item: &BlobItem) -> Option<&'static str> {
    let (facts, (staging, _)) = (&item.entry.facts, lane.staging()?);
    match facts.len {
        _ if facts.blob_type != BlobType::Block => {
            Some("only block blobs go by a staging account in this version")
        }
        len if len > MOST_BYTES => Some("it has more than 5,000 MiB, which no staging account passes on yet"),
        len if !staging.holds(len) => {
            Some("it is larger than what may be in the staging account (--staging-limit)")
        }
        _ => None,
    }
}

/// Refuses an object that cannot, where nothing may go through this host.
pub(super) fn refuse<R: FileRing>(lane: &Lane<R>, item: &BlobItem, why: &str) -> Result<(), NotCopied> {
    if lane.session().route.may_change() {
        return Ok(());
    }
    let failure = Failure::new(FailureKind::Limit, &item.object(), why);
    Err(NotCopied::Failed(Box::new(failure.advise("copy it with --route=relay"))))
}

/// Says once that some objects go through this host, which costs more than the others.
pub(super) fn tell_round<R: FileRing>(lane: &Lane<R>, item: &BlobItem) {
    let is_open = lane.session().route.way() == Way::Staging;
    if let Some((staging, _)) = lane.staging().filter(|_| is_open)
        && let Some(why) = unfit(lane, item)
        && staging.is_first_round()
    {
        let object = item.object();
        lane.notice(&format!("{object}: {why}: it goes through this host, and so does all that is like it"));
    }
}

/// Copies an object by the staging account.
pub(super) async fn whole<R: FileRing>(
    lane: &Lane<R>,
    (item, from): (&BlobItem, &str),
    place: &Place<'_>,
    only_new: bool,
) -> Result<Whole, NotCopied> {
    let (session, facts) = (lane.session(), &item.entry.facts);
    let Some((staging, client)) = lane.staging() else { return Err(NotCopied::Rerouted) };
    if unfit(lane, item).is_some() {
        return Err(NotCopied::Rerouted);
    }
    let _probe = session.route.probe().await;
    if session.route.way() != Way::Staging {
        return Err(NotCopied::Rerouted);
    }
    let _room = staging.room(facts.len).await;
    let name = staging.name(place.id.number());
    let md5 = direct::md5_of(session, facts);
    let blobs = (lane.from().blob(), client.blob(), lane.to().blob());
    let (Ok(source), Ok(between), Ok(to)) = blobs else { return Err(NotCopied::Rerouted) };
    let first = Hop {
        reader: source,
        from: (from, item.which(), facts.etag.as_deref()),
        writer: between,
        to: &name,
        bytes: facts.len,
        md5,
    };
    let staged = match hop(lane, &first, Body::default()).await {
        Ok(staged) => staged,
        Err(gave_up) => {
            if gave_up.maybe_done() {
                remove(lane, place.id, None).await;
            }
            return Err(refused(lane, gave_up, item, true));
        }
    };
    // What the staging account is told to hand on is what it has just taken.
    let second = Hop {
        reader: between,
        from: (&name, Which::default(), staged.etag.as_deref()),
        writer: to,
        to: &place.blob,
        bytes: facts.len,
        md5,
    };
    let body = body_of(session, &item.entry, only_new);
    let sent = with_tier(lane, body, async |body: Body<'_>| hop(lane, &second, body).await).await;
    remove(lane, place.id, staged.etag.as_deref()).await;
    match sent {
        Ok(copied) => {
            direct::check(lane, place, &copied, facts.len).await?;
            direct::works(lane);
            add(&lane.counters().bytes, facts.len);
            add(&lane.counters().bytes_by_service, facts.len);
            Ok(Whole::Done)
        }
        Err(gave_up) if only_new && gave_up.already_exists() => {
            Ok(Whole::Exists { maybe_ours: gave_up.maybe_done() })
        }
        Err(gave_up) => Err(refused(lane, gave_up, item, false)),
    }
}

/// Removes what a transfer has in the staging account, if it has something there. Also while the job stops.
pub(super) async fn remove<R: FileRing>(lane: &Lane<R>, id: TransferId, etag: Option<&str>) {
    let Some((staging, client)) = lane.staging() else { return };
    let name = staging.name(id.number());
    let removed = request(&lane.writing(), 0, Begin::Always, async |_| {
        let blob = client.blob()?;
        let there;
        let etag = match etag {
            Some(etag) => etag,
            // Nobody else writes under this name.
            None => match blob.head_blob(&name, Which::default()).await {
                Ok(facts) => {
                    there = facts.etag;
                    there.as_deref().unwrap_or_default()
                }
                Err(error) if error.not_found() => return Ok(()),
                Err(error) => return Err(EndError::from(error)),
            },
        };
        let delete = Delete { if_match: Some(etag), ..Delete::default() };
        match blob.delete_blob(&name, &delete).await {
            Err(error) if !error.not_found() => Err(EndError::from(error)),
            _ => Ok(()),
        }
    })
    .await;
    if let Err(GaveUp { error, .. }) = removed {
        let why = error.map_or_else(|| "the job was cut short".to_owned(), |error| error.to_string());
        lane.notice(&format!("{} may still be there: {why}", staging.remote.end.url_of(&name)));
    }
}

/// Why nothing was copied, and what that means for the way of all others. `first`: the staging account was to read the
/// source; else the destination was to read the staging account.
fn refused<R: FileRing>(lane: &Lane<R>, gave_up: GaveUp, item: &BlobItem, first: bool) -> NotCopied {
    let (session, object) = (lane.session(), item.object());
    let of_source = gave_up.service().is_some_and(|refusal| refusal.is_of_copy_source());
    let closed_by = gave_up.service().filter(|refusal| refusal.is_copy_source_closed()).cloned();
    if first && gave_up.service().is_some_and(|refusal| refusal.is_copy_source_changed()) {
        return NotCopied::Changed;
    }
    let Some(staging) = &session.staging else { return NotCopied::Rerouted };
    let mut failure = match gave_up.service() {
        // Who refused is the staging account, of which the failure of an end would tell the wrong name.
        Some(_) if first != of_source => {
            let error = gave_up.error.as_ref().map(ToString::to_string).unwrap_or_default();
            let mut failure = Failure::new(FailureKind::Service, &object, format!("staging: {error}"));
            (failure.status, failure.code) =
                gave_up.service().map_or((None, None), |it| (Some(it.status), Some(it.code.clone())));
            let advice = format!("see to it that {} lets both accounts and this host in", staging.remote.end);
            Box::new(failure.advise(advice))
        }
        _ => gave_up.for_object(session, &object),
    };
    let Some(refusal) = closed_by else { return NotCopied::Failed(failure) };
    let by = if first { azuring_job::failure::Side::Source } else { azuring_job::failure::Side::Destination };
    let evidence = direct::evidence(lane, &refusal, by, &object);
    if let Some(decision) = session.route.leave_staging(closed(WayReason::Closed, evidence, &session.ends)) {
        lane.tell_way(decision);
    }
    if session.route.may_change() {
        return NotCopied::Rerouted;
    }
    failure.advice = Some("let the bytes go through this host (--route=relay)".to_owned());
    session.verdict.stop_for(&failure);
    NotCopied::Failed(failure)
}
