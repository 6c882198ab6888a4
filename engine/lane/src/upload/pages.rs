//! A file that becomes a page blob: made with its length, then written by all lanes, under a lease.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use azuring_azure::{BlobType as Kind, Body, Delete, MAX_PUT_PAGE_BYTES, PAGE_BYTES};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::TransferId;
use azuring_link::Payload;
use azuring_ring::{FileRing, OpenFile};

use crate::lane::{Ended, Lane};
use crate::pieces::Pieces;
use crate::request::{Begin, GaveUp, request};
use crate::task::{Task, Upload};

use super::hold::Hold;
use super::large::{self, LargeFile, Parts};
use super::look::Left;
use super::visible::{Made, Visible, another};
use super::{Place, content_type, put, read};

/// Sends a file as pages.
pub(super) async fn file<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    place: Place<'_>,
    file: OpenFile,
) -> Result<Ended, Box<Failure>> {
    let len = file.meta.len;
    let limit = |text: String| Failure::new(FailureKind::Limit, &place.object(), text);
    if !len.is_multiple_of(PAGE_BYTES) {
        let text =
            format!("a page blob's length is a multiple of {PAGE_BYTES}, and the file has {len} bytes");
        return Err(Box::new(limit(text).advise("use --blob-type=BlockBlob")));
    }
    let options = &lane.session().options;
    let size = options.blocks.block_size.unwrap_or(MAX_PUT_PAGE_BYTES).min(MAX_PUT_PAGE_BYTES);
    let size = (size / PAGE_BYTES).max(1) * PAGE_BYTES;
    let count = u32::try_from(len.div_ceil(size)).map_err(|_| {
        Box::new(limit(format!("{len} bytes are too many pieces of {size}")).advise("raise --block-size-mb"))
    })?;
    let hold = Hold::new(lane.shared.id, id, options.clock.clone());
    let visible = Visible { lane, task, place: &place, file: &file, kind: Kind::Page, hold: Some(&hold) };
    let over = match visible.over().await? {
        Ok(over) => over,
        Err(kind) => return Ok(Ended::Skipped(kind)),
    };
    let first = read::first_bytes(lane, &file).await.map_err(|error| place.not_read(&error))?;
    let found = content_type(&options.content_type, place.path, &first).map(str::to_owned);
    drop(first);
    let pieces = Pieces::new(len, size, count);
    let mut large = LargeFile::new(lane, task, id, &place, &file, Parts::Pages, pieces).await?;
    large.content_type.get_or_init(|| found);
    let tier = options.page_blob_tier.as_deref();
    let made = visible
        .make(&over, large.body(false), async |body| {
            lane.client.create_page_blob(&place.blob, len, tier, body).await
        })
        .await?;
    let etag = match made {
        Made::There(etag) => etag,
        Made::Skipped(kind) => return Ok(Ended::Skipped(kind)),
    };
    if hold.lease().is_none()
        && let Err(gave_up) = hold.acquire(lane, task, &place.blob, etag.as_deref()).await
    {
        if gave_up.is_of_another() {
            return Err(another(gave_up, lane, &place.object()));
        }
        let mut failure = gave_up.for_object(lane.session(), &place.object());
        let only = Delete { if_match: etag.as_deref(), ..Delete::default() };
        if let Err(left) = visible.look().remove(&only).await {
            tell(&mut failure, left);
        }
        return Err(failure);
    }
    large.hold = Some(hold);
    large.pieces.begin();
    if count > 0 {
        return Ok(large::share(lane, large, file).await);
    }
    large::complete(lane, &large, &file).await
}

/// Writes pages, under the lease.
pub(super) async fn write<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    offset: u64,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), Box<Failure>> {
    let failed = |gave_up| failed(lane, large, gave_up);
    let Some(hold) = &large.hold else { unreachable!("page blobs are held") };
    hold.keep(lane, &large.blob).await.map_err(failed)?;
    let send = async || {
        request(&lane.sender(), payload.len(), Begin::UnlessStopping, async |with_crc64| {
            let body = Body { crc64: body.crc64.filter(|_| with_crc64), lease: hold.lease(), ..body };
            lane.client.put_page(&large.blob, offset, payload.clone(), body).await
        })
        .await
    };
    hold.under(lane, &large.blob, send).await.map(drop).map_err(failed)
}

/// The failure of what went on under the lease.
pub(super) fn failed<R: FileRing>(lane: &Lane<R>, large: &LargeFile, gave_up: GaveUp) -> Box<Failure> {
    match gave_up.is_of_another() {
        true => another(gave_up, lane, &large.object()),
        false => gave_up.for_object(lane.session(), &large.object()),
    }
}

/// Says that the blob is complete, and lets go of it.
pub(super) async fn complete<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    content_md5: Option<[u8; 16]>,
) -> Result<Ended, Box<Failure>> {
    let Some(hold) = &large.hold else { unreachable!("page blobs are held") };
    if content_md5.is_some() {
        let set = async || {
            let body = Body { content_md5, lease: hold.lease(), ..large.body(false) };
            large::set_md5(lane, &large.blob, body).await
        };
        hold.under(lane, &large.blob, set).await.map_err(|gave_up| failed(lane, large, gave_up))?;
    }
    let (bytes, place) = (large.meta.len, large.place());
    let check = put::check_length(lane, &place, bytes);
    hold.beside(lane, &large.blob, check).await.map_err(|gave_up| failed(lane, large, gave_up))??;
    hold.release(lane, &large.blob).await.map_err(|gave_up| another(gave_up, lane, &large.object()))?;
    Ok(Ended::Done { bytes })
}

/// Takes back what is visible of a blob that will not be complete, as far as it is this job's.
pub(super) async fn take_back<R: FileRing>(
    lane: &Rc<Lane<R>>,
    large: &LargeFile,
    file: &OpenFile,
    failure: &mut Failure,
) {
    let Some(hold) = &large.hold else { return };
    let place = large.place();
    let look = lane.look(&large.blob);
    // What was not renewed for long is removed all the same, unless somebody else has written to it.
    let _ = hold.keep(lane, &large.blob).await;
    let result = if let Some(lease) = hold.lease() {
        look.remove(&Delete { lease: Some(lease), ..Delete::default() }).await
    } else if let Task::Upload(task) = &lane.shared.task
        && task.no_leases.load(Ordering::Relaxed)
        && let Ok(there) = look.facts().await
    {
        // A server without leases: what is not this file's alone is left.
        let visible = Visible { lane, task, place: &place, file, kind: Kind::Page, hold: None };
        match visible.is_of_file(&there).await {
            Ok(true) => look.remove(&Delete { if_match: there.etag.as_deref(), ..Delete::default() }).await,
            _ => Err(Left::Unknown),
        }
    } else {
        Err(Left::Unknown)
    };
    if let Err(left) = result {
        tell(failure, left);
    }
}

/// Adds to a failure what is still there.
pub(super) fn tell(failure: &mut Failure, left: Left) {
    // Said already.
    if left != Left::Another || failure.kind != FailureKind::Service {
        failure.reason = format!("{}; {}", failure.reason, left.told());
    }
}
