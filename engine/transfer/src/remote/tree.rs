//! What is below a prefix.

use azuring_azure::{BlobEntry, ListItem};

use crate::planner::Planner;

use super::{Halt, Listings, Remote};

/// The blobs below a prefix, page by page, nearly in the order of their names; without those below excluded directories.
pub(super) struct Tree {
    /// Listings still to be read, with the marker of their next page; the next one last. At most a page of prefixes for
    /// each level.
    stack: Listings,
    /// There is something, be it only a prefix.
    pub(super) seen: bool,
}

impl Tree {
    pub(super) fn new(prefix: String) -> Self {
        Self { stack: vec![(prefix, None)], seen: false }
    }

    /// Goes on with listings of an earlier run, which has found something.
    pub(super) fn going_on(stack: Listings) -> Self {
        Self { stack, seen: true }
    }

    /// Listings still to be read.
    pub(super) fn listings(&self) -> &Listings {
        &self.stack
    }

    /// Whether there is no further page.
    pub(super) fn is_done(&self) -> bool {
        self.stack.is_empty()
    }

    /// The blobs of the next page, which may be none; `None` after the last one.
    pub(super) async fn next_page(
        &mut self,
        remote: &Remote<'_>,
        planner: &Planner<'_>,
    ) -> Result<Option<Vec<Box<BlobEntry>>>, Halt> {
        let Some((prefix, marker)) = self.stack.pop() else { return Ok(None) };
        let recursive = remote.source.recursive || remote.source.permanent.is_some();
        // The service refuses a delimiter where snapshots are listed.
        let delimiter = !recursive || (remote.source.permanent.is_none() && remote.excludes_below(&prefix));
        let page = remote.page(planner, &prefix, delimiter, marker.as_deref()).await?;
        self.seen |= !page.items.is_empty();
        if page.next.is_some() {
            self.stack.push((prefix, page.next));
        }
        let begin = self.stack.len();
        let mut blobs = Vec::with_capacity(page.items.len());
        for item in page.items {
            match item {
                ListItem::Blob(entry) => blobs.push(entry),
                ListItem::Prefix(name) if recursive && !remote.prunes(&name) => self.stack.push((name, None)),
                ListItem::Prefix(_) => {}
            }
        }
        self.stack[begin..].reverse();
        Ok(Some(blobs))
    }
}
