//! What is below a prefix.

use azuring_azure::ListItem;
use azuring_plan::order::OrderKey;

use crate::pages::Pages;
use crate::scan::Halt;

use super::{Listed, Listings, Remote};

/// The blobs below a prefix, page by page, in the service's order; without those below excluded directories.
pub(super) struct Tree {
    /// Listings still to be read, the next one last. At most a page of prefixes for each level.
    stack: Vec<Pages>,
    /// There is something, be it only a prefix.
    pub(super) seen: bool,
    /// A listing kept no known order.
    disordered: bool,
    /// A level was listed by itself.
    has_levels: bool,
    /// An included path: of the names that begin with it only itself and what is below it. `a-b` may be another one.
    path: Option<String>,
}

#[derive(Default)]
pub(super) struct Page {
    pub(super) blobs: Vec<Listed>,
    /// What begins the names below the directories of its level; none where all that is below is listed.
    pub(super) directories: Vec<String>,
    /// One level was listed, and not all below the prefix.
    pub(super) is_level: bool,
    /// It begins a listing.
    pub(super) is_first: bool,
    /// More of the same listing follows.
    pub(super) goes_on: bool,
    /// The order of all blobs of the tree up to here: none where levels are listed, each by itself.
    pub(super) order: Option<OrderKey>,
}

impl Tree {
    /// What is below a prefix; where an earlier run had listings under way, these go on. It has found something.
    pub(super) fn new(prefix: String, going_on: Listings, path: Option<String>) -> Self {
        let seen = !going_on.is_empty();
        let going_on = if seen { going_on } else { vec![(prefix, None)] };
        let stack = going_on.into_iter().map(|(prefix, marker)| Pages::at(prefix, marker)).collect();
        Self { stack, seen, disordered: false, has_levels: false, path }
    }

    /// Listings still to be read.
    pub(super) fn listings(&self) -> Listings {
        let place = |listing: &Pages| (listing.prefix().to_owned(), listing.marker().map(str::to_owned));
        self.stack.iter().map(place).collect()
    }

    /// Whether there is no further page.
    pub(super) fn is_done(&self) -> bool {
        self.stack.is_empty()
    }

    /// Whether a listing kept no known order.
    pub(super) fn is_disordered(&self) -> bool {
        self.disordered
    }

    /// Whether the scan may go on from here after a crash. Where the names keep no known order nothing tells what a
    /// marker leads to: all of it is listed again, and what was found is known by its name.
    pub(super) fn may_stand(&self) -> bool {
        !self.disordered || self.is_done()
    }

    /// The next page, whose blobs may be none; `None` after the last one.
    pub(super) async fn next_page(&mut self, remote: &Remote<'_>) -> Result<Option<Page>, Halt> {
        let Some(mut listing) = self.stack.pop() else { return Ok(None) };
        let is_first = listing.marker().is_none();
        let recursive = remote.source.recursive || remote.source.permanent.is_some();
        // The service refuses a delimiter where snapshots are listed.
        let is_level =
            !recursive || (remote.source.permanent.is_none() && remote.excludes_below(listing.prefix()));
        // Containers are a level, whatever is asked for.
        let is_level = is_level || remote.lists_containers(listing.prefix());
        if is_level {
            listing = listing.level();
        }
        self.has_levels |= is_level || !self.stack.is_empty();
        let mut page = match remote.page(&mut listing, &remote.pages()).await {
            Ok(page) => page,
            Err(halt) => {
                remote.unless_alone(listing.prefix(), halt).await?;
                return Ok(Some(Page { is_level, is_first, ..Page::default() }));
            }
        };
        self.seen |= !page.items.is_empty();
        if remote.lists_containers(listing.prefix()) {
            page.items = remote.containers(page.items).await?;
        }
        if let Some(disorder) = listing.disorder() {
            self.disordered = true;
            remote.tell_disorder(disorder).await;
        }
        let (goes_on, order) = (!listing.is_done(), listing.order().filter(|_| !self.has_levels));
        if goes_on {
            self.stack.push(listing);
        }
        let begin = self.stack.len();
        let (mut blobs, mut directories) = (Vec::with_capacity(page.items.len()), Vec::new());
        for item in page.items {
            match item {
                ListItem::Entry(entry) if self.is_outside(&entry.name) => {}
                ListItem::Entry(entry) => blobs.push(entry),
                ListItem::Prefix(name) => {
                    if recursive && !remote.prunes(&name) {
                        self.stack.push(Pages::all(name.clone()));
                    }
                    directories.push(name);
                }
            }
        }
        self.stack[begin..].reverse();
        Ok(Some(Page { blobs, directories, is_level, is_first, goes_on, order }))
    }

    /// Whether a name merely begins with the letters of an included path.
    fn is_outside(&self, name: &str) -> bool {
        let Some(path) = &self.path else { return false };
        name.strip_prefix(path.as_str()).is_none_or(|rest| !(rest.is_empty() || rest.starts_with('/')))
    }
}
