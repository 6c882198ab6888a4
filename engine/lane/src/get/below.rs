//! Whether a name is that of a directory.

use azuring_azure::{Course, ListRequest};
use azuring_job::entry::BlobItem;
use azuring_ring::FileRing;

use crate::lane::context::Lane;
use crate::requests::request::{Begin, request};

/// Whether the names of other blobs begin with this one's and a slash; `false` where that is not told.
pub(super) async fn has_below<R: FileRing>(lane: &Lane<R>, item: &BlobItem) -> bool {
    let (prefix, mut marker) = (format!("{}/", item.entry.name), None);
    let mut course = Course::default();
    loop {
        let list = ListRequest {
            prefix: &prefix,
            marker: marker.as_deref(),
            max_results: Some(1),
            ..ListRequest::default()
        };
        let ask = async |_| lane.from().list(&list, &mut course).await;
        match request(&lane.reading(), 0, Begin::UnlessStopping, ask).await {
            Ok(page) if !page.items.is_empty() => return true,
            Ok(page) if page.next.is_some() => marker = page.next,
            _ => return false,
        }
    }
}
