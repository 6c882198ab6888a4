//! A large object that lanes hand to each other.

use std::sync::Arc;

use super::blob::LargeBlob;
use super::copy::{LargeCopy, PagesCopy};
use super::file::LargeFile;

/// A large object that lanes do together.
#[derive(Clone, Debug)]
pub enum Large {
    /// A file, sent in blocks.
    Up(Arc<LargeFile>),
    /// A blob, read in ranges.
    Down(Arc<LargeBlob>),
    /// An object of another store, read in ranges and sent in pieces.
    Across(Arc<LargeCopy>),
    /// A page blob that becomes one.
    Pages(Arc<PagesCopy>),
}
