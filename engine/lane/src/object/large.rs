//! A large object that lanes hand to each other.

use std::sync::Arc;

use super::blob::LargeBlob;
use super::file::LargeFile;
use super::relay::LargeRelay;

/// A large object that lanes do together.
#[derive(Clone, Debug)]
pub enum Large {
    /// A file, sent in blocks.
    Up(Arc<LargeFile>),
    /// A blob, read in ranges.
    Down(Arc<LargeBlob>),
    /// An object of another store, read in ranges and sent in pieces.
    Across(Arc<LargeRelay>),
}
