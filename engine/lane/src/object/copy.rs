//! A large object on its way from one store to another, as the lanes that relay it know it.

use std::sync::atomic::AtomicBool;

use azuring_job::entry::BlobItem;
use azuring_job::outcome::TransferId;

use super::assembly::Assembly;
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

impl std::fmt::Debug for LargeCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeCopy").field("from", &self.from).finish_non_exhaustive()
    }
}
