//! List Blobs.

use azuring_link::{LinkError, Payload};
use azuring_store::{
    Course, Include as ListInclude, Item as ListItem, List as ListRequest, MAX_PAGE_ENTRIES, Page as ListPage,
};
use http::Method;

use crate::blob::list_page::{ENTRY_LIMIT_BYTES, PageReader};
use crate::exchange::client::{BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;

/// A common entry, with its twenty or so properties.
const ENTRY_BYTES: usize = 1 << 10;

impl BlobClient {
    /// List Blobs: one page, read as it comes. `course` is that of this listing (prefix, delimiter and include), of
    /// which this is the next page, or the same again after a failure.
    ///
    /// # Errors
    /// [`RequestError`]; [`RequestError::Answer`] names prefix and marker of a page that cannot be read, or that does
    /// not go on ([`Course`]).
    ///
    /// Of an account everything below no prefix is its containers, as prefixes: in pages of a hundred, whatever is
    /// asked for. Below the name of one and a slash are its blobs.
    pub async fn list_blobs(
        &self,
        list: &ListRequest<'_>,
        course: &mut Course,
    ) -> Result<ListPage, RequestError> {
        let account = self.target().url().is_account();
        let (container, prefix) = match list.prefix.split_once('/') {
            Some((container, prefix)) if account => (container, prefix),
            None if account => {
                let mut page = self.list_containers(list.marker).await?;
                course.take(list, &mut page).map_err(|reason| RequestError::Answer {
                    request: "List Containers".to_owned(),
                    reason,
                    passing: false,
                })?;
                return Ok(page);
            }
            _ => ("", list.prefix),
        };
        let (include, max) = (include_text(list.include), list.max_results.map(|max| max.to_string()));
        let mut query = vec![("restype", "container"), ("comp", "list")];
        let optional = [
            ("prefix", Some(prefix)),
            ("delimiter", list.delimiter.then_some("/")),
            ("marker", list.marker),
            ("include", Some(include.as_str())),
            ("maxresults", max.as_deref()),
        ];
        query.extend(
            optional.into_iter().filter_map(|(name, text)| Some((name, text.filter(|t| !t.is_empty())?))),
        );
        let (operation, headers) = (Operation::ListBlobs, self.target().common.clone());
        let head = Head { operation, method: Method::GET, name: container, query, headers };
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
        if account {
            put_below(container, &mut page);
        }
        course.take(list, &mut page).map_err(wrong)?;
        Ok(page)
    }
}

/// Puts the name of its container before each name.
fn put_below(container: &str, page: &mut ListPage) {
    for item in &mut page.items {
        let name = match item {
            ListItem::Entry(entry) => &mut entry.name,
            ListItem::Prefix(name) => name,
        };
        *name = [container, "/", name].concat();
    }
}

/// The value of the parameter `include`.
fn include_text(include: ListInclude) -> String {
    let names = [
        (include.metadata, "metadata"),
        (include.tags, "tags"),
        (include.snapshots, "snapshots"),
        (include.versions, "versions"),
        (include.deleted, "deleted"),
        (include.uncommitted, "uncommittedblobs"),
    ];
    let chosen: Vec<&str> = names.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
    chosen.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_is_one_parameter() {
        assert_eq!(include_text(ListInclude::default()), "");
        let include =
            ListInclude { metadata: true, snapshots: true, uncommitted: true, ..Default::default() };
        assert_eq!(include_text(include), "metadata,snapshots,uncommittedblobs");
    }
}
