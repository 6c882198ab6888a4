//! A file that is sent as blocks: invisible until their list is, and what stands in their way.

use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::Body;
use azuring_job::choices::Overwrite;
use azuring_job::failure::Failure;
use azuring_job::outcome::{SkippedKind, TransferId};
use azuring_link::Payload;
use azuring_plan::blocks::{BlockId, block_id_len, block_id_of_len};
use azuring_ring::{FileRing, OpenFile};
use tokio::sync::OnceCell;

use crate::lane::{Ended, Lane};
use crate::pieces::Pieces;
use crate::request::{Begin, GaveUp, request};
use crate::task::Upload;
use crate::verify;

use super::large::{self, LargeFile, Parts};
use super::look::Look;
use super::put::{self, Verdict};
use super::{Place, content_type, read, resume};

/// What stands in the way of the blocks of one upload, and what was done about it: once, whichever lane finds it out.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Raw bytes of the blocks' ids, where they cannot be the usual ones.
    pub(super) id_len: OnceLock<usize>,
    /// Raw bytes of the ids of others' blocks, asked for once.
    theirs: OnceCell<Option<usize>>,
    /// Whether others' blocks were discarded.
    is_clear: OnceCell<bool>,
    /// Whether that was begun: what comes before its end may be discarded with them, and is sent again.
    clears: AtomicBool,
    /// Whether a block of this upload waits for its list: it would be discarded with the others.
    has_sent: AtomicBool,
    /// What was sent cannot be read again.
    is_pipe: bool,
}

/// Sends a file as blocks.
pub(super) async fn file<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    place: Place<'_>,
    file: OpenFile,
    block_size: u64,
    count: u32,
) -> Result<Ended, Box<Failure>> {
    let len = file.meta.len;
    let only_new = match put::verdict(lane, &place, file.meta.mtime_ns, len).await? {
        Verdict::Write { only_new } => only_new,
        Verdict::Keep { kind, there } => {
            // It may be the blob of an earlier run that could not record it.
            let content = large::content_key(lane.shared.id, &file.meta, block_size);
            let usual = Way::default();
            let ids = (0..count).map(|block| usual.block_id(content, block));
            let is_ours = lane.shared.may_be_made(id)
                && there.len == len
                && lane.look(&place.blob).consists_of(ids).await.unwrap_or_default();
            if !is_ours {
                return Ok(Ended::Skipped(kind));
            }
            put::check_length(lane, &place, len).await?;
            if lane.session().options.verify {
                verify::open_file(lane, &lane.look(&place.blob), &file, &place.object()).await?;
            }
            return Ok(Ended::Done { bytes: len });
        }
    };
    let pieces = Pieces::new(len, block_size, count);
    let (pieces, id_len) = resume::pieces(lane, id, &place, &file.meta, pieces).await?;
    let large = LargeFile::new(lane, task, id, &place, &file, Parts::Blocks { only_new }, pieces).await?;
    if let Some(id_len) = id_len {
        large.way.id_len.get_or_init(|| id_len);
    }
    if large.pieces.is_done_before(0) {
        let first = read::first_bytes(lane, &file).await.map_err(|error| place.not_read(&error))?;
        let found = content_type(&lane.session().options.content_type, place.path, &first);
        large.content_type.get_or_init(|| found.map(str::to_owned));
    }
    if let Some(md5) = &large.md5 {
        large.pieces.done_before().for_each(|(at, len)| md5.take_from_disk(at, len));
    }
    if large.pieces.is_complete() {
        return large::complete(lane, &large, &file).await;
    }
    Ok(large::share(lane, large, file).await)
}

/// Sends a block. Blocks that nobody has committed may stand in its way; what can be done about them is done once.
pub(super) async fn put<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    piece: u32,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), Box<Failure>> {
    let (look, id) = (lane.look(&large.blob), || large.block_id(piece));
    let sent = send(&look, &large.way, id, payload, body).await;
    sent.map_err(|gave_up| gave_up.for_object(lane.session(), &large.object()))
}

/// The same for a file and a pipe. `id` makes the block's id, of the length that `way` says.
pub(super) async fn send(
    look: &Look<'_>,
    way: &Way,
    id: impl Fn() -> String,
    payload: &Payload,
    body: Body<'_>,
) -> Result<(), GaveUp> {
    let mut tried = false;
    loop {
        let (id, was_clear) = (id(), way.is_clear.initialized());
        let sent = request(&look.sender, payload.len(), Begin::UnlessStopping, async |with_crc64| {
            let body = Body { crc64: body.crc64.filter(|_| with_crc64), ..body };
            look.client.put_block(look.blob, &id, payload.clone(), body).await
        })
        .await;
        let Err(gave_up) = sent else {
            way.has_sent.store(true, Ordering::SeqCst);
            if was_clear || !way.clears.load(Ordering::SeqCst) {
                return Ok(());
            }
            // It came between, and may have gone with what was discarded.
            way.is_clear.get_or_init(async || false).await;
            continue;
        };
        let options = &look.sender.session.options;
        // What others have is not removed where it is not even to be overwritten.
        let force = options.delete_destination && !matches!(options.overwrite, Overwrite::Never);
        if tried || !way.make(look, &gave_up, force).await {
            return Err(gave_up);
        }
        tried = true;
    }
}

impl Way {
    pub(super) fn of_pipe() -> Self {
        Self { is_pipe: true, ..Self::default() }
    }

    /// Does what can be done about blocks, or a blob of another type, in the way of a Put Block; `false`: nothing.
    ///
    /// Blocks with ids of another length (another program was cut off) only want ids of that length. Too many of this
    /// program's own are discarded, if there is no blob of the name; if blocks of this very upload are among them, it has
    /// to begin anew, which a pipe cannot. What else stands in the way is removed when the caller says so (`force`).
    async fn make(&self, look: &Look<'_>, gave_up: &GaveUp, force: bool) -> bool {
        let (mut is_full, has_sent) = (false, || self.has_sent.load(Ordering::SeqCst));
        let discards = match gave_up.service().map(|refusal| &*refusal.code) {
            Some("InvalidBlobOrBlock") => {
                if let Some(len) = *self.theirs.get_or_init(|| look.other_id_len()).await {
                    return *self.id_len.get_or_init(|| len) == len;
                }
                force
            }
            Some("BlockCountExceedsLimit") => {
                is_full = true;
                !self.is_pipe || !has_sent() || self.clears.load(Ordering::SeqCst)
            }
            Some("InvalidBlobType") => force,
            _ => false,
        };
        if !discards {
            return false;
        }
        let discard = async || {
            self.clears.store(true, Ordering::SeqCst);
            // What was sent before is discarded too: there is no use in sending the rest.
            let goes_on = !is_full || !has_sent();
            look.discard_blocks(force).await.unwrap_or_default() && goes_on
        };
        *self.is_clear.get_or_init(discard).await
    }

    /// The name of a block.
    pub(super) fn block_id(&self, content: [u8; 16], block: u32) -> String {
        let raw_len = self.id_len.get().copied().unwrap_or(BlockId::RAW_LEN);
        block_id_of_len(content, block, raw_len).expect("a length for which there are ids")
    }
}

impl Look<'_> {
    /// The length of the ids of blocks that are there and wait for a list, if it is not this program's own and one can be
    /// made of it.
    async fn other_id_len(&self) -> Option<usize> {
        let ask = async |_| self.client.get_block_list(self.blob).await;
        let lists = request(&self.sender, 0, Begin::UnlessStopping, ask).await.ok()?;
        let block = lists.uncommitted.first().or(lists.committed.first())?;
        let len = block_id_len(&block.id)?;
        let fits = block_id_of_len([0; 16], 0, len).is_some();
        (fits && len != BlockId::RAW_LEN).then_some(len)
    }
}

/// Makes a blob of the blocks, atomically.
pub(super) async fn commit<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    only_new: bool,
    content_md5: Option<[u8; 16]>,
) -> Result<Ended, Box<Failure>> {
    let bytes = large.meta.len;
    let ids = || (0..large.pieces.count).map(|block| large.block_id(block));
    // Also while the job stops: everything is there but the list.
    let listed = request(&lane.sender(), 0, Begin::Always, async |with_crc64| {
        let body = Body { content_md5, ..large.body(only_new) };
        lane.client.put_block_list(&large.blob, ids(), body, with_crc64).await
    })
    .await;
    if let Err(gave_up) = listed {
        let exists = only_new && gave_up.already_exists();
        let unknown = gave_up.maybe_done() || lane.shared.may_be_made(large.id);
        let is_there = unknown
            && (exists || gave_up.has_code("InvalidBlockList") || gave_up.leaves_open())
            && lane.look(&large.blob).consists_of(ids()).await.unwrap_or_default();
        if !is_there {
            return match exists {
                true => Ok(Ended::Skipped(SkippedKind::Exists)),
                false => Err(gave_up.for_object(lane.session(), &large.object())),
            };
        }
    }
    put::check_length(lane, &large.place(), bytes).await?;
    Ok(Ended::Done { bytes })
}
