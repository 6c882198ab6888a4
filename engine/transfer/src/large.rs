//! A file that is sent in blocks, by all lanes together.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use azuring_plan::blocks::{BlockId, block_range};
use azuring_ring::FileMeta;

use crate::failure::Failure;
use crate::outcome::TransferId;

/// What the lanes share about one large file.
///
/// Each lane claims the next block, sends it, and reports it; whoever reports the last one commits the list, or
/// reports the failure. A failed block makes the others pass quickly: they are claimed and reported without being sent.
#[derive(Debug)]
pub(crate) struct LargeFile {
    pub(crate) id: TransferId,
    /// The path below the source, for messages.
    pub(crate) object: String,
    /// The path below the source, for the kernel.
    pub(crate) path: CString,
    /// The blob's name, percent-encoded.
    pub(crate) blob: String,
    /// What the file was when it was found to be large; every lane compares.
    pub(crate) meta: FileMeta,
    pub(crate) block_size: u64,
    pub(crate) blocks: u32,
    /// Known from the name, or set by whoever reads the first block.
    pub(crate) content_type: OnceLock<Option<String>>,
    job: [u8; 16],
    next: AtomicU32,
    reported: AtomicU32,
    failed: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

impl LargeFile {
    #[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
    pub(crate) fn new(
        id: TransferId,
        object: String,
        path: CString,
        blob: String,
        meta: FileMeta,
        block_size: u64,
        blocks: u32,
        job: [u8; 16],
    ) -> Self {
        Self {
            id,
            object,
            path,
            blob,
            meta,
            block_size,
            blocks,
            content_type: OnceLock::new(),
            job,
            next: AtomicU32::new(0),
            reported: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// The next block nobody has claimed.
    pub(crate) fn claim(&self) -> Option<u32> {
        // Checked first so that the counter cannot run away however often lanes ask.
        if self.next.load(Ordering::Relaxed) >= self.blocks {
            return None;
        }
        let block = self.next.fetch_add(1, Ordering::Relaxed);
        (block < self.blocks).then_some(block)
    }

    /// Offset and length of a block.
    pub(crate) fn range(&self, block: u32) -> (u64, u64) {
        block_range(self.meta.len, self.block_size, block).expect("a claimed block lies inside the file")
    }

    /// The service's name for a block.
    pub(crate) fn block_id(&self, block: u32) -> String {
        let mut id = String::with_capacity(BlockId::LEN);
        BlockId::new(self.job, self.id.part, self.id.index, block).encode_into(&mut id);
        id
    }

    /// Whether the remaining blocks need not be sent.
    pub(crate) fn is_lost(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Records why the file cannot be completed; the first reason stays.
    pub(crate) fn lose(&self, failure: Failure) {
        let mut slot = self.failure.lock().expect("nothing panics while the lock is held");
        slot.get_or_insert(failure);
        self.failed.store(true, Ordering::SeqCst);
    }

    /// Reports a claimed block. `true` for exactly one caller: the one with the last block.
    pub(crate) fn report(&self) -> bool {
        self.reported.fetch_add(1, Ordering::SeqCst) + 1 == self.blocks
    }

    /// Why the file was lost, if it was.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.failure.lock().expect("nothing panics while the lock is held").take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(len: u64, block_size: u64, blocks: u32) -> LargeFile {
        let meta = FileMeta { len, mtime_ns: 0, ctime_ns: 0, identity: (0, 0), regular: true };
        let id = TransferId { part: 0, index: 0 };
        LargeFile::new(id, "x".into(), c"x".into(), "x".into(), meta, block_size, blocks, [7; 16])
    }

    #[test]
    fn lanes_claim_each_block_once_and_one_of_them_finishes() {
        let file = file(1000, 7, 143);
        let claimed = Mutex::new(Vec::new());
        let finishers = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(block) = file.claim() {
                        claimed.lock().unwrap().push(block);
                        if file.report() {
                            finishers.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        let mut claimed = claimed.into_inner().unwrap();
        claimed.sort_unstable();
        assert_eq!(claimed, (0..143).collect::<Vec<_>>());
        assert_eq!(finishers.into_inner(), 1);
        assert_eq!(file.range(142), (994, 6));
        assert_ne!(file.block_id(1), file.block_id(2));
        assert_eq!(file.block_id(1).len(), file.block_id(49_999).len());
    }

    #[test]
    fn the_first_reason_stays() {
        use crate::failure::FailureKind;
        let file = file(10, 5, 2);
        file.lose(Failure::new(FailureKind::Network, "x", "first"));
        file.lose(Failure::new(FailureKind::Network, "x", "second"));
        assert!(file.is_lost());
        assert_eq!(file.take_failure().unwrap().reason, "first");
    }
}
