//! The pages of a page blob, which are written under a lease.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use azuring_azure::{BlobType as Kind, Body, Delete};
use azuring_job::end_error::EndError;
use azuring_job::failure::Failure;
use azuring_link::Payload;
use azuring_ring::{FileRing, OpenFile};

use crate::lane::context::{Ended, Lane};
use crate::object::file::LargeFile;
use crate::requests::look::Left;
use crate::requests::request::{Begin, GaveUp, request};
use crate::task::verb::Task;

use super::place::Place;
use super::visible::{OfFile, Visible, another};
use super::{sums, whole};

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
    let look = lane.look(&large.blob);
    hold.keep(&look).await.map_err(failed)?;
    let send = async || {
        request(&lane.writing(), payload.len(), Begin::UnlessStopping, async |with_crc64| {
            let body = Body { crc64: body.crc64.filter(|_| with_crc64), lease: hold.lease(), ..body };
            Ok::<_, EndError>(lane.to().blob()?.put_page(&large.blob, offset, payload.clone(), body).await?)
        })
        .await
    };
    hold.under(&look, send).await.map(drop).map_err(failed)
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
    let look = lane.look(&large.blob);
    if content_md5.is_some() {
        let set = async || {
            let body = Body { content_md5, lease: hold.lease(), ..large.body(false) };
            sums::set(lane, &large.blob, body).await
        };
        hold.under(&look, set).await.map_err(|gave_up| failed(lane, large, gave_up))?;
    }
    let (bytes, place) = (large.meta.len, Place::of(large));
    let check = whole::check_length(lane, &place, bytes);
    hold.beside(&look, check).await.map_err(|gave_up| failed(lane, large, gave_up))??;
    hold.release(&look).await.map_err(|gave_up| another(gave_up, lane, &large.object()))?;
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
    let place = Place::of(large);
    let look = lane.look(&large.blob);
    // What was not renewed for long is removed all the same, unless somebody else has written to it.
    let _ = hold.keep(&look).await;
    let result = if let Some(lease) = hold.lease() {
        look.remove(&Delete { lease: Some(lease), ..Delete::default() }).await
    } else if let Task::Upload(task) = &lane.shared.task
        && task.in_place.no_leases.load(Ordering::Relaxed)
        && let Ok(there) = look.facts().await
    {
        // A server without leases: what is not this file's alone is left.
        let (in_place, content) = (&task.in_place, OfFile(&place, file));
        let visible = Visible { lane, in_place, place: &place, content, kind: Kind::Page, hold: None };
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
