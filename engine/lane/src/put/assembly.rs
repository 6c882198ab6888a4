//! The pieces of an object that nobody sees before all of them are there, whichever store puts them together and
//! wherever their bytes come from.

use azuring_azure::Body;
use azuring_job::end_error::EndError;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::{SkippedKind, TransferId};
use azuring_link::Payload;
use azuring_plan::blocks::{BlockId, block_id_len};
use azuring_ring::FileRing;
use azuring_store::{At, Sequence, There, Token};

use crate::lane::context::{Ended, Lane};
use crate::object::assembly::{Assembly, Begun, Blocks};
use crate::object::pieces::Pieces;
use crate::object::way::{self, Way};
use crate::requests::client::Own;
use crate::requests::look::Look;
use crate::requests::request::{Begin, GaveUp, request};

use super::place::Place;
use super::state::State;
use super::whole;

/// The longest token: it is kept in the journal.
const MAX_TOKEN_BYTES: usize = 1024;

/// Begins an object, and records that. What an earlier run of the job has sent of it in this state of the source is
/// done already.
pub(crate) async fn begin<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    state: State,
    pieces: Pieces,
    body: Body<'_>,
) -> Result<(Pieces, Assembly), Box<Failure>> {
    match lane.to().own() {
        None => blocks(lane, place, state, pieces).await,
        Some(own) => begun(lane, own, place, state, pieces, body).await,
    }
}

/// Blocks need no beginning: the service has those that it has.
async fn blocks<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    State { facts, content }: State,
    pieces: Pieces,
) -> Result<(Pieces, Assembly), Box<Failure>> {
    let earlier = earlier(lane, place.id);
    // What else the destination calls it may follow.
    if earlier.is_some_and(|earlier| !earlier.starts_with(&facts)) {
        let text = format!(
            "{}: it was changed since the job was interrupted: it is sent from its beginning",
            place.object()
        );
        lane.notice(&text);
    }
    record(lane, place, &facts)?;
    let way = Way::default();
    let new = |way| Assembly::Blocks(Blocks { content, way });
    if !lane.shared.is_resumed(place.id) {
        return Ok((pieces, new(way)));
    }
    let ask = async |_| Ok::<_, EndError>(lane.to().blob()?.get_block_list(&place.blob).await?);
    let listed = match request(&lane.writing(), 0, Begin::UnlessStopping, ask).await {
        Ok(listed) => listed,
        // It has none of them, or does not tell.
        Err(gave_up) if gave_up.not_found() || gave_up.forbidden() => return Ok((pieces, new(way))),
        Err(gave_up) => return Err(gave_up.for_object(lane.session(), &place.object())),
    };
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
    if let Some(id_len) = id_len.flatten().filter(|len| *len != BlockId::RAW_LEN) {
        way.id_len.get_or_init(|| id_len);
    }
    Ok((pieces.going_on(done.into()), new(way)))
}

/// Other stores say what they call it. What an earlier run was told is of use as long as the store has pieces of it: it
/// may have been committed or given up since, or be too old.
async fn begun<R: FileRing>(
    lane: &Lane<R>,
    own: &Own,
    place: &Place<'_>,
    State { mut facts, content }: State,
    pieces: Pieces,
    body: Body<'_>,
) -> Result<(Pieces, Assembly), Box<Failure>> {
    let fail = |gave_up: GaveUp| gave_up.for_object(lane.session(), &place.object());
    if let Some(earlier) = earlier(lane, place.id) {
        if let Some(token) = earlier.strip_prefix(&facts[..]) {
            let begun = Begun::new(token.to_vec());
            for there in there(lane, own, place, &begun).await.map_err(fail)? {
                if there.piece < pieces.count && pieces.range(there.piece).1 == there.len {
                    begun.take(there.piece, there.receipt);
                }
            }
            let done = begun.done(&pieces);
            if done.contains(&true) {
                return Ok((pieces.going_on(done), Assembly::Begun(begun)));
            }
        }
        // Nothing of it is of use any more.
        if let Some(token) = State::token_in(earlier) {
            let abort = async |_| own.abort(&place.blob, token).await;
            let _ = request(&lane.writing(), 0, Begin::UnlessStopping, abort).await;
        }
    }
    let begin = async |_| own.begin(&place.blob, (Some(pieces.len), pieces.size), content, body).await;
    let token = request(&lane.writing(), 0, Begin::UnlessStopping, begin).await.map_err(fail)?;
    let begun = Assembly::Begun(Begun::new(token));
    if let Assembly::Begun(Begun { token, .. }) = &begun {
        if token.len() > MAX_TOKEN_BYTES {
            let text = format!("the store calls it by {} bytes, more than {MAX_TOKEN_BYTES}", token.len());
            let failure = Box::new(Failure::new(FailureKind::Service, &place.object(), text));
            release(lane, &begun, &place.blob, &Err(failure.clone())).await;
            return Err(failure);
        }
        facts.extend_from_slice(token);
    }
    record(lane, place, &facts)?;
    Ok((pieces, begun))
}

/// The pieces that the store has; none where it does not know of them any more, or does not tell.
async fn there<R: FileRing>(
    lane: &Lane<R>,
    own: &Own,
    place: &Place<'_>,
    begun: &Begun,
) -> Result<Vec<There>, GaveUp> {
    let ask = async |_| own.pieces(&place.blob, &begun.token).await;
    match request(&lane.writing(), 0, Begin::UnlessStopping, ask).await {
        Err(gave_up) if gave_up.not_found() || gave_up.forbidden() => Ok(Vec::new()),
        there => there,
    }
}

/// What an earlier run has recorded of the object.
pub(crate) fn earlier<R: FileRing>(lane: &Lane<R>, id: TransferId) -> Option<&[u8]> {
    let before = lane.shared.durable.as_ref()?.before.as_ref()?;
    Some(&before.large(id)?.facts)
}

pub(crate) fn record<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    facts: &[u8],
) -> Result<(), Box<Failure>> {
    let Some(durable) = &lane.shared.durable else { return Ok(()) };
    durable.begin_large(place.id, facts).map_err(|failure| lane.shared.broken(&failure, &place.object()))
}

/// An object whose length nobody knows, and that is sent once: nothing of it is recorded.
pub(crate) async fn begin_stream<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    piece_bytes: u64,
    body: Body<'_>,
) -> Result<Assembly, Box<Failure>> {
    let content = uuid::Uuid::new_v4().into_bytes();
    let Some(own) = lane.to().own() else {
        return Ok(Assembly::Blocks(Blocks { content, way: Way::of_pipe() }));
    };
    let begin = async |_| own.begin(&place.blob, (None, piece_bytes), content, body).await;
    let begun = request(&lane.writing(), 0, Begin::UnlessStopping, begin).await;
    let token = begun.map_err(|gave_up| gave_up.for_object(lane.session(), &place.object()))?;
    Ok(Assembly::Begun(Begun::new(token)))
}

/// The object as a run of the job with this content would usually have begun it.
pub(crate) fn usual<R: FileRing>(lane: &Lane<R>, content: [u8; 16]) -> Assembly {
    match lane.to().own() {
        None => Assembly::Blocks(Blocks { content, way: Way::default() }),
        Some(_) => Assembly::Begun(Begun::new(Token::new())),
    }
}

/// Whether pieces have to come one after the other.
pub(crate) fn is_in_order<R: FileRing>(lane: &Lane<R>) -> bool {
    let pieces = lane.to().own().and_then(|own| own.traits().pieces);
    pieces.is_some_and(|pieces| pieces.sequence == Sequence::Appended)
}

/// Sends a piece to the object of this percent-encoded name.
pub(crate) async fn put<R: FileRing>(
    lane: &Lane<R>,
    assembly: &Assembly,
    blob: &str,
    at: At,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), GaveUp> {
    match (assembly, lane.to().own()) {
        (Assembly::Blocks(blocks), _) => {
            let put = async |id: &str, with_crc64| {
                let body = Body { crc64: body.crc64.filter(|_| with_crc64), ..body };
                Ok(lane.to().blob()?.put_block(blob, id, payload.clone(), body).await?)
            };
            way::send(&lane.look(blob), &blocks.way, || blocks.id(at.piece), payload.len(), put).await
        }
        (Assembly::Begun(begun), Some(own)) => {
            let receipt =
                request(&lane.writing(), payload.len(), Begin::UnlessStopping, async |with_crc64| {
                    let crc64 = body.crc64.filter(|_| with_crc64 && own.traits().checksums.crc64_in);
                    own.piece(blob, &begun.token, at, payload.clone(), crc64).await
                })
                .await?;
            begun.take(at.piece, receipt);
            Ok(())
        }
        (Assembly::Begun(_), None) => unreachable!("Blob storage begins nothing"),
    }
}

/// Has the store read a piece by itself: `copy` asks for that, and is told the block's id.
pub(crate) async fn put_from<R: FileRing>(
    lane: &Lane<R>,
    assembly: &Assembly,
    blob: &str,
    piece: u32,
    mut copy: impl AsyncFnMut(&str) -> Result<(), EndError>,
) -> Result<(), GaveUp> {
    let Assembly::Blocks(blocks) = assembly else {
        unreachable!("a store of somebody's own reads nothing by itself")
    };
    let put = async |id: &str, _| copy(id).await;
    let look = Look { sender: lane.copying(), ..lane.look(blob) };
    way::send(&look, &blocks.way, || blocks.id(piece), 0, put).await
}

/// Makes the object of its first `count` pieces, atomically. `is_same` compares what is there with the source, where an
/// answer that was lost, or an earlier run, leaves it open and the store cannot tell.
pub(crate) async fn commit<R: FileRing>(
    lane: &Lane<R>,
    assembly: &Assembly,
    place: &Place<'_>,
    (count, bytes): (u32, u64),
    body: Body<'_>,
    is_same: impl AsyncFnOnce() -> bool,
) -> Result<Ended, Box<Failure>> {
    // Also while the job stops: everything is there but the list.
    let made = match (assembly, lane.to().own()) {
        (Assembly::Blocks(blocks), _) => {
            let ids = || (0..count).map(|block| blocks.id(block));
            request(&lane.writing(), 0, Begin::Always, async |with_crc64| {
                let blob = lane.to().blob()?;
                blob.put_block_list(&place.blob, ids(), body, with_crc64).await?;
                Ok::<_, EndError>(())
            })
            .await
        }
        (Assembly::Begun(begun), Some(own)) => {
            let receipts = begun.receipts(count);
            request(&lane.writing(), 0, Begin::Always, async |_| {
                own.commit(&place.blob, &begun.token, &receipts, body).await
            })
            .await
        }
        (Assembly::Begun(_), None) => unreachable!("Blob storage begins nothing"),
    };
    if let Err(gave_up) = made {
        let exists = body.if_none_match_any && gave_up.already_exists();
        // An attempt that this one knows nothing of may have made it.
        let unknown = gave_up.maybe_done() || lane.shared.may_be_made(place.id);
        let is_there = unknown
            && match assembly {
                Assembly::Blocks(_) => {
                    (exists || gave_up.has_code("InvalidBlockList") || gave_up.leaves_open())
                        && is_there(lane, assembly, place, count, is_same).await
                }
                Assembly::Begun(_) => is_same().await,
            };
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

/// Whether the object that is there consists of these pieces. Blocks have this job's names, so that nobody else's blob
/// consists of them; other stores do not tell, and `is_same` compares the bytes.
pub(crate) async fn is_there<R: FileRing>(
    lane: &Lane<R>,
    assembly: &Assembly,
    place: &Place<'_>,
    count: u32,
    is_same: impl AsyncFnOnce() -> bool,
) -> bool {
    match assembly {
        Assembly::Blocks(blocks) => {
            let ids = (0..count).map(|block| blocks.id(block));
            lane.look(&place.blob).consists_of(ids).await.unwrap_or_default()
        }
        Assembly::Begun(_) => is_same().await,
    }
}

/// Gives up what `ended` without having been put together, unless whoever resumes the job takes it up. What that leaves
/// is told by nobody: the store's own rules remove it, as they do blocks that nobody lists.
pub(crate) async fn release<R: FileRing>(
    lane: &Lane<R>,
    assembly: &Assembly,
    blob: &str,
    ended: &Result<Ended, Box<Failure>>,
) {
    let (Assembly::Begun(begun), Some(own)) = (assembly, lane.to().own()) else { return };
    let stays = match ended {
        Ok(Ended::Done { .. } | Ended::Elsewhere) => true,
        Ok(Ended::Skipped(_)) => false,
        Err(failure) => failure.kind == FailureKind::Interrupted && lane.shared.durable.is_some(),
    };
    if stays {
        return;
    }
    let abort = async |_| own.abort(blob, &begun.token).await;
    let _ = request(&lane.writing(), 0, Begin::Always, abort).await;
}
