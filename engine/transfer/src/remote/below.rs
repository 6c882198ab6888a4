//! Lines of a list that turned out to be no blobs: what is below them.
//!
//! A listing goes on where it stood, in this run and after a crash: each page is recorded with the blobs that it told.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use azuring_azure::{ListInclude, ListItem, ListPage};
use azuring_job::durable::With;
use azuring_job::entry::{BlobItem, Entry, Found, Known};
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_lane::request::GaveUp;
use azuring_lane::shared::Shared;
use azuring_lane::task::names::Claim;

use crate::pages::{PageOptions, Pages};
use crate::planner::Planner;
use crate::scan::Halt;

use super::{Remote, going};

/// Listings under way at a time.
const AT_ONCE: usize = 32;
/// Blobs of a page: all listings under way together keep some 10 MB of names.
const PAGE_BLOBS: u32 = 1_000;

/// What is below one line, as far as it is known.
struct Below {
    id: TransferId,
    item: Box<BlobItem>,
    listing: Pages,
    /// There is something.
    seen: bool,
    /// An earlier run has listed all of it.
    was_complete: bool,
}

type Asking<'a> = Pin<Box<dyn Future<Output = (Below, Result<ListPage, GaveUp>)> + 'a>>;

impl Remote<'_> {
    /// Lists what is below the lines that the lanes have reported, many at a time, and hands it over.
    pub(super) async fn expand(&self, planner: &mut Planner<'_>) -> Result<(), Halt> {
        let shared = planner.shared;
        let Some(lines) = &shared.lines else { return Ok(()) };
        let mut waiting: VecDeque<Below> =
            lines.take().into_iter().filter_map(|entry| self.begun_below(shared, entry)).collect();
        let mut asking: Vec<Asking<'_>> = Vec::new();
        loop {
            while asking.len() < AT_ONCE
                && let Some(below) = waiting.pop_front()
            {
                asking.push(Box::pin(self.next_below(below)));
            }
            if asking.is_empty() {
                return Ok(());
            }
            let (below, page) = first_of(&mut asking).await;
            match page {
                Ok(page) => waiting.extend(self.take_below(planner, below, page).await?),
                Err(gave_up) => {
                    let failure = gave_up.for_listing(&shared.session, &below.item.object());
                    let stands = below.listing.marker().map(|marker| (below.id, marker.to_owned()));
                    self.listed.borrow_mut().extend(stands);
                    planner.not_done(Entry { id: below.id, found: Found::Blob(below.item) }, failure);
                    going(!shared.session.verdict.stopping())?;
                }
            }
        }
    }

    /// Where the listing of a line stands.
    fn begun_below(&self, shared: &Shared, Entry { id, found }: Entry) -> Option<Below> {
        let Found::Blob(item) = found else { return None };
        let prefix = format!("{}/", item.entry.name);
        // An earlier run may have listed a part of it: the blobs of that are transfers of their own. What follows the
        // last page is nothing.
        let before = || {
            let before = shared.durable.as_ref()?.before.as_ref()?.large(id)?;
            Some(String::from_utf8_lossy(&before.facts).into_owned())
        };
        // This run may have begun as well, and failed.
        let marker = self.listed.borrow_mut().remove(&id).or_else(before);
        let (seen, was_complete) = (marker.is_some(), marker.as_deref() == Some(""));
        Some(Below { id, item, listing: Pages::at(prefix, marker), seen, was_complete })
    }

    async fn next_below(&self, mut below: Below) -> (Below, Result<ListPage, GaveUp>) {
        if below.was_complete {
            return (below, Ok(ListPage::default()));
        }
        let include = ListInclude { metadata: true, ..ListInclude::default() };
        let pages = PageOptions { include, wanted: self.source.wanted, entries: Some(PAGE_BLOBS) };
        let page = below.listing.next(&self.sender(), &self.client, &pages).await;
        (below, page)
    }

    /// Hands over what a page tells; the listing, if it goes on.
    async fn take_below(
        &self,
        planner: &mut Planner<'_>,
        mut below: Below,
        page: ListPage,
    ) -> Result<Option<Below>, Halt> {
        below.seen |= !page.items.is_empty();
        if !below.was_complete && below.seen {
            let (mut found, mut any_collapsed) = (Vec::new(), false);
            for entry in page.items {
                let ListItem::Entry(entry) = entry else { continue };
                if !entry.name.starts_with(below.listing.prefix()) {
                    continue;
                }
                let item = BlobItem { entry, relative_at: below.item.relative_at, known: Known::Listed };
                if self.source.wants(&item) {
                    // What may not have its local name is refused by its lane: it is recorded with the page.
                    any_collapsed |= self.claim_in_list(&item).await? != Claim::Free;
                    found.push(Found::Blob(Box::new(item)));
                }
            }
            if any_collapsed {
                going(planner.has_collapsed())?;
            }
            let next = below.listing.marker().unwrap_or_default();
            going(planner.push_below(found, &With::Below(below.id, next.as_bytes())))?;
        }
        if !below.was_complete && !below.listing.is_done() {
            return Ok(Some(below));
        }
        if below.seen {
            going(planner.expanded(below.id))?;
        } else {
            let failure = Failure::not_there(&below.item.object());
            planner.not_done(Entry { id: below.id, found: Found::Blob(below.item) }, failure);
        }
        Ok(None)
    }
}

/// The first of them that is ready, which is taken out.
async fn first_of<T>(running: &mut Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> T {
    std::future::poll_fn(|context| {
        for n in 0..running.len() {
            if let Poll::Ready(done) = running[n].as_mut().poll(context) {
                drop(running.swap_remove(n));
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    })
    .await
}
