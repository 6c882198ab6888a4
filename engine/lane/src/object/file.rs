//! A large file, as the lanes that send it know it.

use std::ffi::CString;
use std::io;
use std::sync::OnceLock;

use azuring_azure::Body;
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_ring::FileMeta;
use md5::{Digest, Md5};

use super::assembly::Assembly;
use super::hold::Hold;
use super::in_order::InOrder;
use super::pieces::Pieces;

/// What the lanes share about one large file.
pub struct LargeFile {
    pub(crate) id: TransferId,
    /// The path below the source, for the kernel.
    pub(crate) path: CString,
    /// The blob's name.
    pub(crate) name: String,
    /// The same, percent-encoded.
    pub(crate) blob: String,
    pub(crate) parts: Parts,
    /// The lease under which pages are written.
    pub(crate) hold: Option<Hold>,
    /// What the file was when it was found to be large; every lane compares.
    pub(crate) meta: FileMeta,
    pub(crate) pieces: Pieces,
    /// Known from the name, or set by whoever reads the first block.
    pub(crate) content_type: OnceLock<Option<String>>,
    /// The blob's own, beside the job's.
    pub(crate) metadata: Vec<(String, String)>,
    /// The checksum of the whole, where it is stored.
    pub(crate) md5: Option<InOrder<Md5>>,
}

/// What a large file is sent as.
#[derive(Debug)]
pub(crate) enum Parts {
    /// Pieces that nobody sees before the store has put them together.
    Unseen {
        /// How it does that.
        assembly: Assembly,
        /// Only if there is no object of the name by then.
        only_new: bool,
    },
    /// Pages of a blob that is there already.
    Pages,
}

impl std::fmt::Debug for LargeFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeFile")
            .field("blob", &self.blob)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

impl LargeFile {
    /// The path below the source, for messages.
    pub(crate) fn object(&self) -> String {
        azuring_plan::name::escape(self.path.as_bytes())
    }

    pub(crate) fn not_read(&self, error: &io::Error) -> Box<Failure> {
        Box::new(Failure::read(&self.object(), error))
    }

    /// What the whole blob is given.
    pub(crate) fn body(&self, only_new: bool) -> Body<'_> {
        Body {
            content_type: self.content_type.get().and_then(Option::as_deref),
            metadata: &self.metadata,
            if_none_match_any: only_new,
            ..Body::default()
        }
    }
}

/// Stands for what a job reads from a file in this state, cut into pieces of this size: a block of that name holds
/// nothing else, whichever run of the job has sent it.
pub(crate) fn content_key(job: [u8; 16], meta: &FileMeta, piece_bytes: u64) -> [u8; 16] {
    let mut key = Md5::new();
    key.update(job);
    // Not the device: its number may be another after a reboot.
    for number in [meta.len, meta.identity.1, piece_bytes] {
        key.update(number.to_le_bytes());
    }
    for time in [meta.mtime_ns, meta.ctime_ns] {
        key.update(time.to_le_bytes());
    }
    key.finalize().into()
}
