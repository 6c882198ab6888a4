//! Blobs are removed, or get other properties.

mod batch;
pub(crate) mod blobs;
mod part;
