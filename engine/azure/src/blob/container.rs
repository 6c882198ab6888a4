//! Containers themselves.

use azuring_link::Payload;
use azuring_store::{Item, Page};
use http::Method;

use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::xml::Xml;

/// Containers of a page. Whoever copies them has one page of them in memory, and in his journal, at a time.
const PAGE_CONTAINERS: u32 = 100;
/// A page: what the service tells of a container is less than 16 KiB, of which metadata may be 8 KiB and are not asked
/// for.
const PAGE_LIMIT_BYTES: usize = PAGE_CONTAINERS as usize * (16 << 10);

/// What the service keeps for itself. It lists these only to those who ask for them.
const OF_SYSTEM: [&str; 2] = ["$logs", "$blobchangefeed"];

/// Whether only the service writes to a container of this name.
pub fn is_of_system(container: &str) -> bool {
    OF_SYSTEM.contains(&container)
}

impl BlobClient {
    /// Create Container: the one of the URL, or, of an account, the one of this name.
    ///
    /// # Errors
    /// [`RequestError`]; 409 `ContainerAlreadyExists` when it exists.
    pub async fn create_container(&self, name: &str) -> Result<(), RequestError> {
        let query = vec![("restype", "container")];
        let head = Head::put(Operation::CreateContainer, name, query, self.target().common.clone());
        self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Ok(())
    }

    /// Get Container Properties, of the same: whether it is there.
    ///
    /// # Errors
    /// [`RequestError`]; 404 `ContainerNotFound`.
    pub async fn look_at_container(&self, name: &str) -> Result<(), RequestError> {
        let (operation, headers) = (Operation::GetContainerProperties, self.target().common.clone());
        let head =
            Head { operation, method: Method::HEAD, name, query: vec![("restype", "container")], headers };
        self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Ok(())
    }

    /// List Containers: those that the URL of the account means, each as what the names of its blobs begin with.
    pub(crate) async fn list_containers(&self, marker: Option<&str>) -> Result<Page, RequestError> {
        let (url, max) = (self.target().url(), PAGE_CONTAINERS.to_string());
        let mut query = vec![("comp", "list"), ("maxresults", &*max)];
        let optional = [("prefix", Some(url.container_prefix())), ("marker", marker)];
        query.extend(
            optional.into_iter().filter_map(|(name, text)| Some((name, text.filter(|t| !t.is_empty())?))),
        );
        let (operation, headers) = (Operation::ListContainers, self.target().common.clone());
        let head = Head { operation, method: Method::GET, name: "", query, headers };
        let answer = self.exchange_with_service(head, Payload::default(), PAGE_LIMIT_BYTES).await?;
        let mut page = read(&answer.body).map_err(|reason| {
            let marker = marker.unwrap_or_default();
            RequestError::Answer {
                request: format!("List Containers (marker {marker:?})"),
                reason,
                passing: false,
            }
        })?;
        page.items.retain(|item| {
            let name = item.name().trim_end_matches('/');
            url.means_container(name) && !is_of_system(name)
        });
        Ok(page)
    }
}

/// Takes a page apart.
fn read(document: &[u8]) -> Result<Page, String> {
    let mut page = Page::default();
    let (mut xml, root) = Xml::open(document, "EnumerationResults")?;
    let mut listed = false;
    xml.each(&root, |xml, child| match child.name() {
        b"Containers" => {
            listed = true;
            xml.each(&child, |xml, container| {
                if container.name() != b"Container" {
                    return xml.skip(&container);
                }
                xml.each(&container, |xml, fact| {
                    if fact.name() != b"Name" {
                        return xml.skip(&fact);
                    }
                    let name = xml.text(&fact)?;
                    // It will stand in the path of requests.
                    if name.is_empty() || name.contains('/') {
                        return Err(format!("`{}` is no name of a container", name.escape_debug()));
                    }
                    page.items.push(Item::Prefix(format!("{name}/")));
                    Ok(())
                })
            })
        }
        b"NextMarker" => {
            page.next = Some(xml.text(&child)?.into_owned()).filter(|next| !next.is_empty());
            Ok(())
        }
        _ => xml.skip(&child),
    })?;
    if listed { Ok(page) } else { Err("it has no list of containers".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_containers_is_read() {
        let page =
            |inside: &str| read(format!("<EnumerationResults>{inside}</EnumerationResults>").as_bytes());
        let one = "<Containers><Container><Name>a-b</Name><Properties><Etag>x</Etag></Properties></Container>\
                   <Container><Name>$web</Name></Container></Containers><NextMarker>m</NextMarker>";
        let found = page(one).unwrap();
        assert_eq!(found.items.iter().map(Item::name).collect::<Vec<_>>(), ["a-b/", "$web/"]);
        assert_eq!(found.next.as_deref(), Some("m"));
        assert!(page("<Containers/><NextMarker/>").unwrap().next.is_none());
        assert!(page("<Blobs/>").unwrap_err().contains("no list of containers"));
        assert!(page("<Containers><Container><Name>a/b</Name></Container></Containers>").is_err());
        assert!(read(b"<html/>").is_err());
    }
}
