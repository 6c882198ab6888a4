//! List Blobs.

use azuring_link::{LinkError, Payload};
use http::Method;

use crate::blob::course::Course;
use crate::blob::facts::{BlobFacts, Wanted};
use crate::blob::list_page::{ENTRY_LIMIT_BYTES, PageReader};
use crate::exchange::client::{BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;

/// Entries of a page when nothing else is asked for; the service gives no more.
pub const MAX_PAGE_ENTRIES: u32 = 5_000;
/// A common entry, with its twenty or so properties.
const ENTRY_BYTES: usize = 1 << 10;

/// What a listing shows beside the blobs and their properties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListInclude {
    /// Metadata.
    pub metadata: bool,
    /// Index tags. The credential needs the permission `t`.
    pub tags: bool,
    /// Snapshots.
    pub snapshots: bool,
    /// Earlier versions.
    pub versions: bool,
    /// What was deleted and is still kept (soft delete).
    pub deleted: bool,
    /// Names of which there are only blocks, with a length of 0.
    pub uncommitted: bool,
}

impl ListInclude {
    /// The value of the parameter `include`.
    fn text(self) -> String {
        let names = [
            (self.metadata, "metadata"),
            (self.tags, "tags"),
            (self.snapshots, "snapshots"),
            (self.versions, "versions"),
            (self.deleted, "deleted"),
            (self.uncommitted, "uncommittedblobs"),
        ];
        let chosen: Vec<&str> = names.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
        chosen.join(",")
    }
}

/// Which page of which listing.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListRequest<'a> {
    /// Only names that begin with this; decoded.
    pub prefix: &'a str,
    /// Give what stands up to the next slash behind the prefix once, instead of all the blobs below it.
    pub delimiter: bool,
    /// [`ListPage::next`] of the page before.
    pub marker: Option<&'a str>,
    /// What else to show.
    pub include: ListInclude,
    /// Entries at most, up to [`MAX_PAGE_ENTRIES`], which is the default too. Of the page no more than its entries is in
    /// memory: some 0.4 KiB each; with the longest names 3 KiB, and with all metadata 8 KiB more.
    pub max_results: Option<u32>,
    /// Properties to read.
    pub wanted: Wanted,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The entries, in the service's order: see [`azuring_plan::order`]. May be empty though there is a next page.
    pub items: Vec<ListItem>,
    /// Where the next page begins, to be handed back as it is; `None` after the last one.
    pub next: Option<String>,
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListItem {
    /// A blob, snapshot or version.
    Blob(Box<BlobEntry>),
    /// What several names have in common up to a slash, that slash included; only with
    /// [`delimiter`](ListRequest::delimiter).
    Prefix(String),
}

impl ListItem {
    /// The name of the blob, or what the names have in common.
    pub fn name(&self) -> &str {
        match self {
            Self::Blob(entry) => &entry.name,
            Self::Prefix(name) => name,
        }
    }
}

/// A blob in a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobEntry {
    /// Its name, decoded.
    pub name: String,
    /// The snapshot this is.
    pub snapshot: Option<Box<str>>,
    /// Whether this is the blob itself; of several versions, the newest. Always true where versions were not asked for.
    pub is_current_version: bool,
    /// Deleted and still kept.
    pub deleted: bool,
    /// A directory of an account with a hierarchical namespace.
    pub is_directory: bool,
    /// All else.
    pub facts: BlobFacts,
    /// Index tags, when they were asked for.
    pub tags: Vec<(String, String)>,
}

impl BlobEntry {
    /// Whether it stands for a directory: one of a hierarchical namespace, or a stub with `hdi_isfolder`, for which
    /// metadata has to be included.
    pub fn is_folder(&self) -> bool {
        self.is_directory || self.facts.hdi_isfolder()
    }
}

impl BlobClient {
    /// List Blobs: one page, read as it comes. `course` is that of this listing (prefix, delimiter and include), of which
    /// this is the next page, or the same again after a failure.
    ///
    /// # Errors
    /// [`RequestError`]; [`RequestError::Answer`] names prefix and marker of a page that cannot be read, or that does not go
    /// on ([`Course`]).
    pub async fn list_blobs(
        &self,
        list: &ListRequest<'_>,
        course: &mut Course,
    ) -> Result<ListPage, RequestError> {
        let (include, max) = (list.include.text(), list.max_results.map(|max| max.to_string()));
        let mut query = vec![("restype", "container"), ("comp", "list")];
        let optional = [
            ("prefix", Some(list.prefix)),
            ("delimiter", list.delimiter.then_some("/")),
            ("marker", list.marker),
            ("include", Some(include.as_str())),
            ("maxresults", max.as_deref()),
        ];
        query.extend(
            optional.into_iter().filter_map(|(name, text)| Some((name, text.filter(|t| !t.is_empty())?))),
        );
        let (operation, headers) = (Operation::ListBlobs, self.target().common.clone());
        let head = Head { operation, method: Method::GET, name: "", query, headers };
        let entries = list.max_results.unwrap_or(MAX_PAGE_ENTRIES).clamp(1, MAX_PAGE_ENTRIES) as usize;
        let mut reply = self.send_for(head, Payload::default(), (entries * ENTRY_BYTES) as u64).await?;
        let wrong = |reason| RequestError::Answer {
            request: format!(
                "List Blobs (prefix {:?}, marker {:?})",
                list.prefix,
                list.marker.unwrap_or_default()
            ),
            reason,
            passing: false,
        };
        let mut reader = PageReader::new(&list.wanted);
        // One more for the frame around the entries.
        let (limit, mut total) = ((entries + 1) * ENTRY_LIMIT_BYTES, 0);
        loop {
            let got = reply.read(reader.space()).await?;
            if got == 0 {
                break;
            }
            total += got;
            if total > limit {
                return Err(LinkError::TooLarge { limit }.into());
            }
            reader.filled(got).map_err(wrong)?;
        }
        let mut page = reader.finish().map_err(wrong)?;
        course.take(list, &mut page).map_err(wrong)?;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_is_one_parameter() {
        assert_eq!(ListInclude::default().text(), "");
        let include =
            ListInclude { metadata: true, snapshots: true, uncommitted: true, ..Default::default() };
        assert_eq!(include.text(), "metadata,snapshots,uncommittedblobs");
    }
}
