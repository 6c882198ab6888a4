//! The blocks of a file: invisible until their list is sent.

use azuring_azure::Body;
use azuring_job::end_error::EndError;
use azuring_job::failure::Failure;
use azuring_job::outcome::SkippedKind;
use azuring_link::Payload;
use azuring_ring::FileRing;

use crate::lane::context::{Ended, Lane};
use crate::object::file::LargeFile;
use crate::object::way;
use crate::requests::request::{Begin, request};

use super::place::Place;
use super::whole;

/// Sends a block.
pub(super) async fn put<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    piece: u32,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), Box<Failure>> {
    let (look, id) = (lane.look(&large.blob), || large.block_id(piece));
    let sent = way::send(&look, &large.way, id, payload, body).await;
    sent.map_err(|gave_up| gave_up.for_object(lane.session(), &large.object()))
}

/// Makes a blob of all blocks of a file.
pub(super) async fn commit<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    only_new: bool,
    content_md5: Option<[u8; 16]>,
) -> Result<Ended, Box<Failure>> {
    let ids = || (0..large.pieces.count).map(|block| large.block_id(block));
    let body = Body { content_md5, ..large.body(only_new) };
    list(lane, &Place::of(large), ids, body, large.meta.len).await
}

/// Makes a blob of the blocks, atomically. Their names are this job's, so that nobody else's blob consists of them.
pub(super) async fn list<R: FileRing, I: Iterator<Item = String>>(
    lane: &Lane<R>,
    place: &Place<'_>,
    ids: impl Fn() -> I,
    body: Body<'_>,
    bytes: u64,
) -> Result<Ended, Box<Failure>> {
    // Also while the job stops: everything is there but the list.
    let listed = request(&lane.writing(), 0, Begin::Always, async |with_crc64| {
        Ok::<_, EndError>(lane.to().blob()?.put_block_list(&place.blob, ids(), body, with_crc64).await?)
    })
    .await;
    if let Err(gave_up) = listed {
        let exists = body.if_none_match_any && gave_up.already_exists();
        let unknown = gave_up.maybe_done() || lane.shared.may_be_made(place.id);
        let is_there = unknown
            && (exists || gave_up.has_code("InvalidBlockList") || gave_up.leaves_open())
            && lane.look(&place.blob).consists_of(ids()).await.unwrap_or_default();
        if !is_there {
            return match exists {
                true => Ok(Ended::Skipped(SkippedKind::Exists)),
                false => Err(gave_up.for_object(lane.session(), &place.object())),
            };
        }
    }
    whole::check_length(lane, place, bytes).await?;
    Ok(Ended::Done { bytes })
}
