//! A large object on its way from one store to another, as the lanes that relay it know it.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use azuring_job::entry::BlobItem;
use azuring_job::outcome::TransferId;

use super::assembly::Assembly;
use super::hold::Hold;
use super::pieces::Pieces;

/// What the lanes share about one large object.
pub struct LargeCopy {
    pub(crate) id: TransferId,
    /// What it is at the source; every range is of the state that these facts tell of.
    pub(crate) item: BlobItem,
    /// Its name at the source, percent-encoded.
    pub(crate) from: String,
    /// Its name at the destination.
    pub(crate) name: String,
    /// How the destination puts it together.
    pub(crate) assembly: Assembly,
    /// Only if there is no object of the name by then.
    pub(crate) only_new: bool,
    pub(crate) pieces: Pieces,
    /// The destination has read some of them by itself, and told no checksum.
    pub(crate) is_unproven: AtomicBool,
    /// The source was found changed since.
    pub(crate) is_changed: AtomicBool,
}

/// What the lanes share about a page blob that becomes one.
pub struct PagesCopy {
    pub(crate) id: TransferId,
    /// What it is at the source; every range is of the state that these facts tell of.
    pub(crate) item: BlobItem,
    /// Its name at the source, percent-encoded.
    pub(crate) from: String,
    /// Its name at the destination.
    pub(crate) name: String,
    /// The same, percent-encoded.
    pub(crate) blob: String,
    /// The lease under which pages are written.
    pub(crate) hold: Hold,
    pub(crate) pieces: Pieces,
    /// The bytes that somebody has written to, in their order; the rest are zeros.
    pub(crate) written: Vec<Range<u64>>,
    /// The destination has read some of them by itself, and told no checksum.
    pub(crate) is_unproven: AtomicBool,
    /// The source was found changed since.
    pub(crate) is_changed: AtomicBool,
}

impl std::fmt::Debug for PagesCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagesCopy").field("from", &self.from).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for LargeCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeCopy").field("from", &self.from).finish_non_exhaustive()
    }
}
