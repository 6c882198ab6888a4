//! What is asked of a listing, and what a page of it has.

use crate::facts::{Facts, Wanted};

/// Entries of a page when nothing else is asked for; the service gives no more.
pub const MAX_PAGE_ENTRIES: u32 = 5_000;

/// What a listing shows beside the blobs and their properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// Metadata of each blob. Pages get longer; stubs of directories are only recognised with it.
    pub metadata: bool,
    /// Index tags. The credential needs the permission `t`.
    pub tags: bool,
    /// Snapshots, as entries of their own.
    pub snapshots: bool,
    /// Earlier versions, as entries of their own.
    pub versions: bool,
    /// What was deleted and is still kept (soft delete).
    pub deleted: bool,
    /// Names of which there are only blocks, with a length of 0.
    pub uncommitted: bool,
}

/// Which page of which listing.
#[derive(Clone, Copy, Debug, Default)]
pub struct List<'a> {
    /// Only names that begin with this; decoded.
    pub prefix: &'a str,
    /// Give what stands up to the next slash behind the prefix once, instead of all the blobs below it.
    pub delimiter: bool,
    /// [`Page::next`] of the page before.
    pub marker: Option<&'a str>,
    /// What else to show.
    pub include: Include,
    /// Entries at most, up to [`MAX_PAGE_ENTRIES`], which is the default too. Of the page no more than its entries is
    /// in memory: some 0.4 KiB each; with the longest names 3 KiB, and with all metadata 8 KiB more.
    pub max_results: Option<u32>,
    /// Properties to read.
    pub wanted: Wanted,
}

/// One answer to [`List`]: entries, and where the next page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The entries, in the service's order: see [`azuring_plan::order`]. May be empty though there is a next page.
    pub items: Vec<Item>,
    /// Where the next page begins, to be handed back as it is; `None` after the last one.
    pub next: Option<String>,
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An object, or an earlier state of one.
    Entry(Box<Entry>),
    /// What several names have in common up to a slash, that slash included; only with
    /// [`delimiter`](List::delimiter).
    Prefix(String),
}

impl Item {
    /// The object's name, or what the names have in common.
    pub fn name(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.name,
            Self::Prefix(name) => name,
        }
    }
}

/// An object in a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name, decoded.
    pub name: String,
    /// The time stamp that names a snapshot; `None` for a blob or version.
    pub snapshot: Option<Box<str>>,
    /// Whether this is the blob itself; of several versions, the newest. Always true where versions were not asked for.
    pub is_current_version: bool,
    /// Deleted and still kept.
    pub deleted: bool,
    /// A directory of an account with a hierarchical namespace.
    pub is_directory: bool,
    /// Length, times, ETag, type and so on, as far as [`List::wanted`] asks for them.
    pub facts: Facts,
    /// Index tags, when they were asked for.
    pub tags: Vec<(String, String)>,
}

impl Entry {
    /// An object of this name, which is not deleted, a snapshot or an earlier version.
    pub fn new(name: String, facts: Facts) -> Self {
        Self { name, facts, is_current_version: true, ..Self::default() }
    }

    /// Whether it stands for a directory: one of a hierarchical namespace, or a stub with `hdi_isfolder`, for which
    /// metadata has to be included.
    pub fn is_folder(&self) -> bool {
        self.is_directory || self.facts.hdi_isfolder()
    }
}
