//! Blobs that are removed, or get other properties.

/// Blobs in one batch request, at most what the service takes.
pub(crate) const MAX_BATCH: usize = 256;

/// What a removal takes along.
pub(crate) struct Remove {}
