//! A large blob, as the lanes that read it know it.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use azuring_azure::BlobFacts;
use azuring_job::entry::BlobItem;
use azuring_ring::NewFile;
use md5::Md5;

use super::in_order::InOrder;
use super::pieces::Pieces;
use super::target::Target;

/// What the lanes share about one large blob.
pub struct LargeBlob {
    pub(crate) item: BlobItem,
    pub(crate) target: Target,
    pub(crate) object: String,
    /// The blob's name, percent-encoded.
    pub(crate) blob: String,
    /// Every range is of the state that these tell of.
    pub(crate) facts: BlobFacts,
    pub(crate) ranges: Pieces,
    /// How often the blob was found changed before.
    pub(crate) changes: u32,
    /// It was found changed since.
    pub(crate) is_changed: AtomicBool,
    /// `None` when nothing is kept.
    pub(crate) file: Option<NewFile>,
    /// The checksum of the whole, where it is compared.
    pub(crate) md5: Option<InOrder<Md5>>,
    /// Where the bytes go in order, instead of to a file.
    pub(crate) pipe: Option<InOrder<Box<dyn Write + Send>>>,
}

impl std::fmt::Debug for LargeBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeBlob").field("object", &self.object).finish_non_exhaustive()
    }
}

impl LargeBlob {
    /// See `in_order`: what cannot be read again stays in one lane.
    pub(crate) fn stays_in_one_lane(&self) -> bool {
        self.file.is_none() && (self.md5.is_some() || self.pipe.is_some())
    }

    /// Waits until everything is in the pipe, if there is one.
    ///
    /// # Errors
    /// When its reader has gone away, and the like.
    pub(crate) async fn piped(&self) -> std::io::Result<()> {
        match &self.pipe {
            Some(pipe) => pipe.finish().await,
            None => Ok(()),
        }
    }

    /// The MD5 of all bytes, once every range is there; `None` where nobody compares it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn md5(&self) -> std::io::Result<Option<[u8; 16]>> {
        match &self.md5 {
            Some(md5) => md5.finish().await.map(Some),
            None => Ok(None),
        }
    }
}
