//! The object at the source, as what a blob is to hold that is visible before it is complete.

use std::cell::Cell;

use azuring_job::entry::BlobItem;
use azuring_job::failure::Failure;
use azuring_link::Payload;
use azuring_ring::FileRing;

use crate::lane::context::Lane;
use crate::put::visible::Content;
use crate::requests::request::Begin;

use super::relay;
use super::source::NotCopied;

/// An object, and its name, percent-encoded, in the state that is known of it.
pub(super) struct OfObject<'a> {
    item: &'a BlobItem,
    from: &'a str,
    /// It is in another state.
    is_changed: Cell<bool>,
}

impl<'a> OfObject<'a> {
    pub(super) fn new(item: &'a BlobItem, from: &'a str) -> Self {
        Self { item, from, is_changed: Cell::new(false) }
    }

    /// What a failure comes to, before anything was written.
    pub(super) fn not_copied(&self, failure: Box<Failure>) -> NotCopied {
        if self.is_changed.get() { NotCopied::Changed } else { NotCopied::Failed(failure) }
    }
}

impl<R: FileRing> Content<R> for &OfObject<'_> {
    fn len(&self) -> Option<u64> {
        Some(self.item.entry.facts.len)
    }

    fn mtime_ns(&self) -> i128 {
        i128::from(self.item.entry.facts.last_modified) * 1_000_000_000
    }

    async fn read(&self, lane: &Lane<R>, at: u64, len: u64) -> Result<Payload, Box<Failure>> {
        let read = relay::range(lane, (self.item, self.from), at, len, Begin::UnlessStopping).await;
        let (payload, _) = read.map_err(|error| {
            self.is_changed.set(matches!(error, NotCopied::Changed));
            error.failure(&self.item.object())
        })?;
        Ok(payload)
    }
}
