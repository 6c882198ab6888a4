//! Large files that an earlier run of the job has begun.

use azuring_job::durable::{Reader, number};
use azuring_job::end_error::EndError;
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_plan::blocks::{BlockId, block_id_len};
use azuring_ring::{FileMeta, FileRing};
use azuring_store::Token;

use crate::lane::context::Lane;
use crate::object::file::content_key;
use crate::object::pieces::Pieces;
use crate::requests::request::{Begin, request};
use crate::task::upload::Upload;
use crate::task::verb::Task;

use super::place::Place;

/// First byte of the facts of a large file that is sent as blocks.
const BLOCKS: u8 = b'B';
/// The same of one that becomes a blob that is visible from its first byte on.
const VISIBLE: u8 = b'V';

/// Records the file that is to be sent as blocks; returns its pieces, and how long the ids of its blocks are where that is
/// not as usual. Of a file that an earlier run has begun, those are done
/// whose blocks the service has: a block's name stands for the state of the file.
pub(super) async fn pieces<R: FileRing>(
    lane: &Lane<R>,
    id: TransferId,
    place: &Place<'_>,
    meta: &FileMeta,
    pieces: Pieces,
) -> Result<(Pieces, Option<usize>), Box<Failure>> {
    if let Some(durable) = &lane.shared.durable {
        let state = state_of(meta, pieces.size);
        let before = durable.before.as_ref().and_then(|before| before.large(id));
        if before.is_some_and(|before| before.facts != state) {
            let text = format!(
                "{}: the file was changed since the job was interrupted: it is sent from its beginning",
                place.object()
            );
            lane.notice(&text);
        }
        durable.begin_large(id, &state).map_err(|failure| lane.shared.broken(&failure, &place.object()))?;
    }
    if !lane.shared.is_resumed(id) {
        return Ok((pieces, None));
    }
    let ask = async |_| Ok::<_, EndError>(lane.to().blob()?.get_block_list(&place.blob).await?);
    let listed = match request(&lane.writing(), 0, Begin::UnlessStopping, ask).await {
        Ok(listed) => listed,
        // It has none of them, or does not tell.
        Err(gave_up) if gave_up.not_found() || gave_up.forbidden() => return Ok((pieces, None)),
        Err(gave_up) => return Err(gave_up.for_object(lane.session(), &place.object())),
    };
    let content = content_key(lane.shared.id, meta, pieces.size);
    let mut done = vec![false; pieces.count as usize];
    let mut id_len = None;
    for block in listed.committed.into_iter().chain(listed.uncommitted) {
        let piece = BlockId::block_of(content, &block.id).filter(|piece| *piece < pieces.count);
        if let Some(piece) = piece
            && pieces.range(piece).1 == block.len
        {
            // All have one length, which another program's blocks may have decided.
            let len = block_id_len(&block.id);
            if *id_len.get_or_insert(len) == len {
                done[piece as usize] = true;
            }
        }
    }
    let id_len = id_len.flatten().filter(|len| *len != BlockId::RAW_LEN);
    Ok((pieces.going_on(done.into()), id_len))
}

/// What somebody's own store called the object when an earlier run of the job began it, if the file is the same.
pub(super) fn own_token<R: FileRing>(
    lane: &Lane<R>,
    id: TransferId,
    meta: &FileMeta,
    piece_bytes: u64,
) -> Option<Token> {
    let before = lane.shared.durable.as_ref()?.before.as_ref()?.large(id)?;
    before.facts.strip_prefix(&state_of(meta, piece_bytes)[..]).map(<[u8]>::to_vec)
}

/// Records what the store calls it.
pub(super) fn own_begun<R: FileRing>(
    lane: &Lane<R>,
    id: TransferId,
    place: &Place<'_>,
    (meta, piece_bytes): (&FileMeta, u64),
    token: &[u8],
) -> Result<(), Box<Failure>> {
    let Some(durable) = &lane.shared.durable else { return Ok(()) };
    let mut facts = state_of(meta, piece_bytes);
    facts.extend_from_slice(token);
    durable.begin_large(id, &facts).map_err(|failure| lane.shared.broken(&failure, &place.object()))
}

/// What makes the blocks of a file valid later.
fn state_of(meta: &FileMeta, block_bytes: u64) -> Vec<u8> {
    let mut state = vec![BLOCKS];
    for part in [meta.len, meta.identity.1, block_bytes] {
        number(part, &mut state);
    }
    for time in [meta.mtime_ns, meta.ctime_ns] {
        state.extend_from_slice(&time.to_le_bytes());
    }
    state
}

/// Whether this job, in this run or an earlier one, may have made the blob that is there, which is not complete.
pub(super) fn is_ours<R: FileRing>(lane: &Lane<R>, task: &Upload, id: TransferId) -> bool {
    if task.visible.lock().expect("nothing panics while the lock is held").contains(&id) {
        return true;
    }
    if lane.shared.earlier.tried {
        // It may have begun it: what is there tells.
        return true;
    }
    let before = lane.shared.durable.as_ref().and_then(|durable| durable.before.as_ref());
    before
        .and_then(|before| before.large(id))
        .is_some_and(|large| Reader(&large.facts).byte() == Some(VISIBLE))
}

/// Records that a blob is about to be made that is visible before it is complete. If only a new one may be made, that has to
/// be known for good before.
pub(super) async fn visible<R: FileRing>(
    lane: &Lane<R>,
    task: &Upload,
    place: &Place<'_>,
    only_new: bool,
) -> Result<(), Box<Failure>> {
    task.visible.lock().expect("nothing panics while the lock is held").insert(place.id);
    let Some(durable) = &lane.shared.durable else { return Ok(()) };
    let recorded = durable.begin_large(place.id, &[VISIBLE]);
    let recorded = match recorded {
        Ok(()) if only_new => lane.shared.commit().await,
        recorded => recorded,
    };
    recorded.map_err(|failure| lane.shared.broken(&failure, &place.object()))
}

/// A blob that was visible before is complete now.
pub(super) fn is_complete<R: FileRing>(lane: &Lane<R>, id: TransferId) {
    if let Task::Upload(task) = &lane.shared.task {
        task.visible.lock().expect("nothing panics while the lock is held").remove(&id);
    }
}
