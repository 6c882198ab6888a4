//! What a task knows of page and append blobs: everybody sees them before they are complete.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use azuring_job::outcome::TransferId;

/// Blobs that are written in place.
#[derive(Debug, Default)]
pub struct InPlace {
    /// Transfers whose blobs this run has begun to make.
    pub(crate) begun: Mutex<HashSet<TransferId>>,
    /// Set when the server turns out not to know leases.
    pub(crate) no_leases: AtomicBool,
}
