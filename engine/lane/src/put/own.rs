//! A large file in pieces to somebody's own store, as its traits want them.

use std::sync::Mutex;

use azuring_azure::Body;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::{SkippedKind, TransferId};
use azuring_link::Payload;
use azuring_plan::blocks::{BlockRules, UploadShape};
use azuring_ring::{FileRing, OpenFile};
use azuring_store::{At, Receipt, Traits};

use crate::lane::context::{Ended, Lane};
use crate::lane::verify;
use crate::object::file::{LargeFile, OwnPieces, content_key};
use crate::object::pieces::Pieces;
use crate::requests::client::Own;
use crate::requests::request::{Begin, request};

use super::place::Place;
use super::resume;

/// How a file of `len` bytes is sent.
///
/// # Errors
/// What the store cannot take.
pub(super) fn shape(traits: &Traits, rules: &BlockRules, len: u64) -> Result<UploadShape, String> {
    let wanted = rules.shape(len).map_err(|error| error.to_string())?;
    let Some(pieces) = traits.pieces else {
        return match len <= traits.whole_max {
            true => Ok(UploadShape::PutBlob),
            false => Err(format!("{} takes objects of {} bytes at most", traits.name, traits.whole_max)),
        };
    };
    let size = match wanted {
        UploadShape::PutBlob if len <= traits.whole_max => return Ok(UploadShape::PutBlob),
        UploadShape::PutBlob => traits.whole_max.max(1),
        UploadShape::Blocks { block_size, .. } => block_size,
    };
    let aligned = |size: u64| size.next_multiple_of(pieces.align.max(1));
    let least = aligned(len.div_ceil(u64::from(pieces.max_count.max(1))));
    let size =
        aligned(size.clamp(pieces.min_bytes.max(1), pieces.max_bytes)).max(least).min(pieces.max_bytes);
    match u32::try_from(len.div_ceil(size)) {
        Ok(count) if count <= pieces.max_count => Ok(UploadShape::Blocks { block_size: size, count }),
        _ => Err(format!(
            "{len} bytes are more than {} pieces of {}, the most that {} takes",
            pieces.max_count, pieces.max_bytes, traits.name
        )),
    }
}

/// Begins the object, or goes on with what an earlier run of the job has sent of it.
pub(super) async fn begin<R: FileRing>(
    lane: &Lane<R>,
    own: &Own,
    id: TransferId,
    place: &Place<'_>,
    file: &OpenFile,
    pieces: Pieces,
    body: Body<'_>,
) -> Result<(Pieces, OwnPieces), Box<Failure>> {
    let content = content_key(lane.shared.id, &file.meta, pieces.size);
    let earlier = resume::own_token(lane, id, &file.meta, pieces.size);
    let goes_on = earlier.is_some();
    let token = match earlier {
        Some(token) => token,
        None => {
            let begin = async |_| own.begin(&place.blob, (pieces.len, pieces.size), content, body).await;
            let begun = request(&lane.writing(), 0, Begin::UnlessStopping, begin).await;
            begun.map_err(|gave_up| gave_up.for_object(lane.session(), &place.object()))?
        }
    };
    resume::own_begun(lane, id, place, (&file.meta, pieces.size), &token)?;
    let mut receipts = vec![None; pieces.count as usize];
    if !goes_on {
        return Ok((pieces, OwnPieces { token, receipts: Mutex::new(receipts) }));
    }
    let ask = async |_| own.pieces(&place.blob, &token).await;
    let there = match request(&lane.writing(), 0, Begin::UnlessStopping, ask).await {
        Ok(there) => there,
        // It has none of them any more, or does not tell.
        Err(gave_up) if gave_up.not_found() || gave_up.forbidden() => Vec::new(),
        Err(gave_up) => return Err(gave_up.for_object(lane.session(), &place.object())),
    };
    for there in there {
        if there.piece < pieces.count && pieces.range(there.piece).1 == there.len {
            receipts[there.piece as usize] = Some(there.receipt);
        }
    }
    let done: Vec<bool> = receipts.iter().map(Option::is_some).collect();
    Ok((pieces.going_on(done.into()), OwnPieces { token, receipts: Mutex::new(receipts) }))
}

/// Sends a piece.
pub(super) async fn put<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    (own, parts): (&Own, &OwnPieces),
    piece: u32,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), Box<Failure>> {
    let at = At { piece, offset: large.pieces.range(piece).0 };
    let sent = request(&lane.writing(), payload.len(), Begin::UnlessStopping, async |with_crc64| {
        let crc64 = body.crc64.filter(|_| with_crc64 && own.traits().checksums.crc64_in);
        own.piece(&large.blob, &parts.token, at, payload.clone(), crc64).await
    })
    .await;
    let receipt = sent.map_err(|gave_up| gave_up.for_object(lane.session(), &large.object()))?;
    parts.receipts.lock().expect("nothing panics while the lock is held")[piece as usize] = Some(receipt);
    Ok(())
}

/// Makes the object of its pieces.
pub(super) async fn commit<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    (own, parts): (&Own, &OwnPieces),
    only_new: bool,
    content_md5: Option<[u8; 16]>,
    file: &OpenFile,
) -> Result<Ended, Box<Failure>> {
    let receipts: Option<Vec<Receipt>> =
        parts.receipts.lock().expect("nothing panics while the lock is held").iter().cloned().collect();
    let Some(receipts) = receipts else { unreachable!("it is committed when all pieces are reported") };
    let body = Body { content_md5, ..large.body(only_new) };
    // Also while the job stops: everything is there.
    let made = request(&lane.writing(), 0, Begin::Always, async |_| {
        own.commit(&large.blob, &parts.token, &receipts, body).await
    })
    .await;
    let bytes = large.meta.len;
    let Err(gave_up) = made else { return Ok(Ended::Done { bytes }) };
    // An attempt that this one knows nothing of may have made it: then the bytes are these.
    let unknown = gave_up.maybe_done() || lane.shared.may_be_made(large.id);
    if unknown && verify::open_file(lane, &lane.look(&large.blob), file, &large.object()).await.is_ok() {
        return Ok(Ended::Done { bytes });
    }
    if only_new && gave_up.already_exists() {
        return Ok(Ended::Skipped(SkippedKind::Exists));
    }
    Err(gave_up.for_object(lane.session(), &large.object()))
}

/// Gives up what will not be complete. What it leaves is told by nobody: the store's own rules remove it.
pub(super) async fn abort<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    (own, parts): (&Own, &OwnPieces),
    failure: &Failure,
) {
    // Whoever goes on with the job takes it up.
    if failure.kind == FailureKind::Interrupted && lane.shared.durable.is_some() {
        return;
    }
    let abort = async |_| own.abort(&large.blob, &parts.token).await;
    let _ = request(&lane.writing(), 0, Begin::Always, abort).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_store::{PieceTraits, Sequence};

    const MIB: u64 = 1 << 20;

    #[test]
    fn pieces_are_as_the_store_wants_them() {
        let mut traits = Traits::new("here", 10 * MIB);
        let rules = |block_size| BlockRules { block_size, put_blob_size: None };
        let shape = |traits: &Traits, block, len| shape(traits, &rules(block), len);
        assert_eq!(shape(&traits, None, 9 * MIB), Ok(UploadShape::PutBlob));
        assert!(shape(&traits, None, 11 * MIB).unwrap_err().contains("10485760 bytes at most"));
        let pieces = PieceTraits {
            min_bytes: 5 * MIB,
            max_bytes: 100 * MIB,
            max_count: 1_000,
            align: 512,
            sequence: Sequence::Any,
        };
        traits.pieces = Some(pieces);
        let blocks = |block_size, count| Ok(UploadShape::Blocks { block_size, count });
        assert_eq!(shape(&traits, Some(MIB), MIB), Ok(UploadShape::PutBlob));
        assert_eq!(shape(&traits, Some(MIB), 20 * MIB), blocks(5 * MIB, 4));
        assert_eq!(shape(&traits, Some(6_000_000), 20_000_000), blocks(6_000_128, 4));
        // Small pieces would be too many.
        assert_eq!(shape(&traits, Some(8 * MIB), 16_000 * MIB), blocks(16 * MIB, 1_000));
        assert!(shape(&traits, Some(8 * MIB), 200_000 * MIB).is_err());
    }
}
