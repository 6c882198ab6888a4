//! What stands in the way of the blocks of one upload.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use azuring_job::choices::Overwrite;
use azuring_job::end_error::EndError;
use azuring_plan::blocks::{BlockId, block_id_len, block_id_of_len};
use tokio::sync::OnceCell;

use crate::requests::look::Look;
use crate::requests::request::{Begin, GaveUp, request};

/// What stands in the way of the blocks of one upload, and what was done about it: once, whichever lane finds it out.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// Raw bytes of the blocks' ids, where they cannot be the usual ones.
    pub(crate) id_len: OnceLock<usize>,
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

/// Sends a block by `put`, which is told its id and whether to send checksums. Blocks that nobody has committed may
/// stand in its way; what can be done about them is done once. `id` makes the block's id, of the length that `way`
/// says.
pub(crate) async fn send(
    look: &Look<'_>,
    way: &Way,
    id: impl Fn() -> String,
    body_bytes: u64,
    mut put: impl AsyncFnMut(&str, bool) -> Result<(), EndError>,
) -> Result<(), GaveUp> {
    let mut tried = false;
    loop {
        let (id, was_clear) = (id(), way.is_clear.initialized());
        let put = async |with_crc64| put(&id, with_crc64).await;
        let sent = request(&look.sender, body_bytes, Begin::UnlessStopping, put).await;
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
    pub(crate) fn of_pipe() -> Self {
        Self { is_pipe: true, ..Self::default() }
    }

    /// Does what can be done about blocks, or a blob of another type, in the way of a Put Block; `false`: nothing.
    ///
    /// Blocks with ids of another length (another program was cut off) only want ids of that length. Too many of this
    /// program's own are discarded, if there is no blob of the name; if blocks of this very upload are among them, it
    /// has to begin anew, which a pipe cannot. What else stands in the way is removed when the caller says so
    /// (`force`).
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
    pub(crate) fn block_id(&self, content: [u8; 16], block: u32) -> String {
        let raw_len = self.id_len.get().copied().unwrap_or(BlockId::RAW_LEN);
        block_id_of_len(content, block, raw_len).expect("a length for which there are ids")
    }
}

impl Look<'_> {
    /// The length of the ids of blocks that are there and wait for a list, if it is not this program's own and one can
    /// be made of it.
    async fn other_id_len(&self) -> Option<usize> {
        let ask = async |_| Ok::<_, EndError>(self.client.blob()?.get_block_list(self.blob).await?);
        let lists = request(&self.sender, 0, Begin::UnlessStopping, ask).await.ok()?;
        let block = lists.uncommitted.first().or(lists.committed.first())?;
        let len = block_id_len(&block.id)?;
        let fits = block_id_of_len([0; 16], 0, len).is_some();
        (fits && len != BlockId::RAW_LEN).then_some(len)
    }
}
