//! The pages of a page blob, which are written under a lease.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use azuring_azure::{BlobType as Kind, Body, Delete, MAX_PUT_PAGE_BYTES, PAGE_BYTES};
use azuring_job::end_error::EndError;
use azuring_job::failure::Failure;
use azuring_job::outcome::SkippedKind;
use azuring_link::Payload;
use azuring_plan::blocks::BlockRules;
use azuring_ring::{FileRing, OpenFile};

use crate::lane::context::{Ended, Lane};
use crate::object::file::LargeFile;
use crate::object::hold::Hold;
use crate::requests::look::Left;
use crate::requests::request::{Begin, GaveUp, request};
use crate::task::verb::Task;

use super::place::Place;
use super::visible::{Content, Made, OfFile, Over, Visible, another, not_written};
use super::{sums, whole};

/// Bytes of each piece but the last, and how many pieces there are.
///
/// # Errors
/// What is wrong, and what to do about it.
pub(crate) fn shape(rules: &BlockRules, len: u64) -> Result<(u64, u32), (String, String)> {
    let size = rules.block_size.unwrap_or(MAX_PUT_PAGE_BYTES).min(MAX_PUT_PAGE_BYTES);
    let size = (size / PAGE_BYTES).max(1) * PAGE_BYTES;
    let Ok(count) = u32::try_from(len.div_ceil(size)) else {
        return Err((
            format!("{len} bytes are too many pieces of {size}"),
            "raise --block-size-mb".to_owned(),
        ));
    };
    Ok((size, count))
}

/// Makes the blob, of `len` zeros, and holds it. `Some`: it stays as it is.
pub(crate) async fn make<R: FileRing, C: Content<R>>(
    visible: &Visible<'_, R, C>,
    hold: &Hold,
    over: &Over,
    (len, tier): (u64, Option<&str>),
    body: Body<'_>,
) -> Result<Option<SkippedKind>, Box<Failure>> {
    let (lane, place) = (visible.lane, visible.place);
    let create = async |body: Body<'_>| {
        Ok::<_, EndError>(lane.to().blob()?.create_page_blob(&place.blob, len, tier, body).await?)
    };
    let etag = match visible.make(over, body, create).await? {
        Made::There(etag) => etag,
        Made::Skipped(kind) => return Ok(Some(kind)),
    };
    let no_leases = &visible.in_place.no_leases;
    if hold.lease().is_none()
        && let Err(gave_up) = hold.acquire(&visible.look(), no_leases, etag.as_deref()).await
    {
        if gave_up.is_of_another() {
            return Err(another(gave_up, lane, &place.object()));
        }
        let mut failure = gave_up.for_object(lane.session(), &place.object());
        let only = Delete { if_match: etag.as_deref(), ..Delete::default() };
        if let Err(left) = visible.look().remove(&only).await {
            left.tell(&mut failure);
        }
        return Err(failure);
    }
    Ok(None)
}

/// Writes pages, under the lease.
pub(super) async fn write<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    offset: u64,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), Box<Failure>> {
    let Some(hold) = &large.hold else { unreachable!("page blobs are held") };
    let sent = put(lane, (hold, &large.blob), offset, payload, body).await;
    sent.map_err(|gave_up| not_written(gave_up, lane, &large.object()))
}

/// Sends pages, under the lease.
pub(crate) async fn put<R: FileRing>(
    lane: &Lane<R>,
    (hold, blob): (&Hold, &str),
    offset: u64,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), GaveUp> {
    write_by(lane, (hold, blob), payload.len(), async |with_crc64, lease| {
        let body = Body { crc64: body.crc64.filter(|_| with_crc64), lease, ..body };
        lane.to().blob()?.put_page(blob, offset, payload.clone(), body).await?;
        Ok(())
    })
    .await
}

/// Has pages written by `send`, of whose request so many bytes are the body. It is told whether to send checksums, and
/// the lease.
pub(crate) async fn write_by<R: FileRing>(
    lane: &Lane<R>,
    (hold, blob): (&Hold, &str),
    sent: u64,
    mut send: impl AsyncFnMut(bool, Option<&str>) -> Result<(), EndError>,
) -> Result<(), GaveUp> {
    let look = lane.look(blob);
    hold.keep(&look).await?;
    // Without a body the service reads the pages elsewhere.
    let sender = if sent == 0 { lane.copying() } else { lane.writing() };
    let send = async || {
        request(&sender, sent, Begin::UnlessStopping, async |with_crc64| send(with_crc64, hold.lease()).await)
            .await
    };
    hold.under(&look, send).await
}

/// Says that the blob is complete, and lets go of it.
pub(super) async fn complete<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    content_md5: Option<[u8; 16]>,
) -> Result<Ended, Box<Failure>> {
    let Some(hold) = &large.hold else { unreachable!("page blobs are held") };
    let (bytes, place) = (large.meta.len, Place::of(large));
    let body = Body { content_md5, ..large.body(false) };
    let_go(lane, hold, &place, body, whole::check_length(lane, &place, bytes)).await?;
    Ok(Ended::Done { bytes })
}

/// Stores the MD5 that `body` names, if it names one, with all else of it, has the blob checked, and lets go of it.
pub(crate) async fn let_go<R: FileRing>(
    lane: &Lane<R>,
    hold: &Hold,
    place: &Place<'_>,
    body: Body<'_>,
    check: impl Future<Output = Result<(), Box<Failure>>>,
) -> Result<(), Box<Failure>> {
    let failed = |gave_up| not_written(gave_up, lane, &place.object());
    let look = lane.look(&place.blob);
    if body.content_md5.is_some() {
        let set = async || sums::set(lane, &place.blob, Body { lease: hold.lease(), ..body }).await;
        hold.under(&look, set).await.map_err(failed)?;
    }
    hold.beside(&look, check).await.map_err(failed)??;
    hold.release(&look).await.map_err(|gave_up| another(gave_up, lane, &place.object()))
}

/// Takes back what is visible of a file's blob that will not be complete, as far as it is this job's.
pub(super) async fn take_back<R: FileRing>(
    lane: &Rc<Lane<R>>,
    large: &LargeFile,
    file: &OpenFile,
    failure: &mut Failure,
) {
    let (Some(hold), Task::Upload(task)) = (&large.hold, &lane.shared.task) else { return };
    let place = Place::of(large);
    let (in_place, content) = (&task.in_place, OfFile(&place, file));
    let visible = Visible { lane, in_place, place: &place, content, kind: Kind::Page, hold: None };
    remove(&visible, hold, failure).await;
}

/// Removes a blob that will not be complete, as far as it is this job's.
pub(crate) async fn remove<R: FileRing, C: Content<R>>(
    visible: &Visible<'_, R, C>,
    hold: &Hold,
    failure: &mut Failure,
) {
    let look = visible.look();
    // What was not renewed for long is removed all the same, unless somebody else has written to it.
    let _ = hold.keep(&look).await;
    let result = if let Some(lease) = hold.lease() {
        look.remove(&Delete { lease: Some(lease), ..Delete::default() }).await
    } else if visible.in_place.no_leases.load(Ordering::Relaxed)
        && let Ok(there) = look.facts().await
    {
        // A server without leases: what is not of this content alone is left.
        match visible.is_of_content(&there).await {
            Ok(true) => look.remove(&Delete { if_match: there.etag.as_deref(), ..Delete::default() }).await,
            _ => Err(Left::Unknown),
        }
    } else {
        Err(Left::Unknown)
    };
    if let Err(left) = result {
        left.tell(failure);
    }
}
