//! A file that is sent in blocks, by all lanes together.

use std::ffi::CString;
use std::sync::OnceLock;

use azuring_plan::blocks::BlockId;
use azuring_ring::FileMeta;

use crate::outcome::TransferId;
use crate::pieces::Pieces;

/// What the lanes share about one large file.
#[derive(Debug)]
pub(crate) struct LargeFile {
    pub(crate) id: TransferId,
    /// The job, part of every block's name.
    pub(crate) job: [u8; 16],
    /// The path below the source, for messages.
    pub(crate) object: String,
    /// The path below the source, for the kernel.
    pub(crate) path: CString,
    /// The blob's name, percent-encoded.
    pub(crate) blob: String,
    /// What the file was when it was found to be large; every lane compares.
    pub(crate) meta: FileMeta,
    pub(crate) blocks: Pieces,
    /// Known from the name, or set by whoever reads the first block.
    pub(crate) content_type: OnceLock<Option<String>>,
}

impl LargeFile {
    /// The service's name for a block.
    pub(crate) fn block_id(&self, block: u32) -> String {
        let mut id = String::with_capacity(BlockId::LEN);
        BlockId::new(self.job, self.id.part, self.id.index, block).encode_into(&mut id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_blocks_differ_and_have_one_length() {
        let file = LargeFile {
            id: TransferId { part: 0, index: 0 },
            job: [7; 16],
            object: "x".into(),
            path: c"x".into(),
            blob: "x".into(),
            meta: FileMeta { len: 10, mtime_ns: 0, ctime_ns: 0, identity: (0, 0), regular: true },
            blocks: Pieces::new(10, 5, 2),
            content_type: OnceLock::new(),
        };
        assert_ne!(file.block_id(1), file.block_id(2));
        assert_eq!(file.block_id(1).len(), file.block_id(49_999).len());
    }
}
