//! Blobs are removed, or get other properties.

use std::sync::atomic::{AtomicBool, Ordering};

use azuring_job::choices::PropertyChange;

/// Blobs are removed.
#[derive(Default)]
pub struct Remove {
    pub(crate) batches: Batches,
}

/// Blobs get other properties.
pub struct SetProperties {
    pub(crate) change: PropertyChange,
    pub(crate) batches: Batches,
}

impl SetProperties {
    /// What is to be changed.
    pub fn new(change: PropertyChange) -> Self {
        Self { change, batches: Batches::default() }
    }

    /// Whether tags are among what changes.
    pub(crate) fn changes_tags(&self) -> bool {
        self.change.tags.is_some()
    }
}

/// Whether the server takes batches.
#[derive(Default)]
pub(crate) struct Batches {
    refused: AtomicBool,
}

impl Batches {
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// `true` for the first one to find out.
    pub(crate) fn refuse(&self) -> bool {
        !self.refused.swap(true, Ordering::SeqCst)
    }
}
