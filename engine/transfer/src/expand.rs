//! Names of a list that turn out to be directories.
//!
//! Nothing is asked about a line of `--list-of-files` before its download. Where the service then says that there is no such
//! blob, and directories are wanted, what is below the name is listed and downloaded by the lane that found out. (Removals
//! and changes that want directories ask first: see `remote`.)

use std::rc::Rc;
use std::sync::atomic::Ordering;

use azuring_azure::{ListInclude, ListItem, ListRequest};
use azuring_ring::FileRing;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::lane::{Lane, one};
use crate::queue::Entry;
use crate::request::{Begin, request};
use crate::task::{BlobItem, Found, Known};

/// Blobs of one directory that a lane works on at a time.
const AT_ONCE: usize = 32;

/// Transfers what is below `item`, of which the service says that it is no blob.
///
/// # Errors
/// When there is nothing, or the listing fails.
pub(crate) async fn directory<R: FileRing>(lane: &Rc<Lane<R>>, item: &BlobItem) -> Result<(), Box<Failure>> {
    let object = item.object();
    let missing = || Failure::not_there(&object);
    let Some(source) = lane.shared.remote.clone().filter(|source| source.recursive) else {
        return Err(missing());
    };
    let prefix = format!("{}/", item.entry.name);
    let mut marker: Option<String> = None;
    let mut seen = false;
    let mut running = JoinSet::new();
    loop {
        let list = ListRequest {
            prefix: &prefix,
            marker: marker.as_deref(),
            include: ListInclude { metadata: true, ..ListInclude::default() },
            wanted: source.wanted,
            ..ListRequest::default()
        };
        let ask = async |_| lane.client.list_blobs(&list).await;
        let page = request(&lane.sender(), 0, Begin::UnlessStopping, ask).await;
        let page = page.map_err(|gave_up| gave_up.for_object(lane.session(), &object))?;
        seen |= !page.items.is_empty();
        let mut entries = Vec::new();
        for entry in page.items {
            let ListItem::Blob(entry) = entry else { continue };
            if !entry.name.starts_with(&prefix) {
                continue;
            }
            let item = BlobItem { entry, relative_at: item.relative_at, known: Known::Listed };
            if source.wants(&item) {
                let id = lane.shared.next_id();
                entries.push(Entry { id, found: Found::Blob(Box::new(item)) });
            }
        }
        lane.session().progress.found.fetch_add(entries.len() as u64, Ordering::SeqCst);
        for entry in entries {
            while running.len() >= AT_ONCE {
                joined(running.join_next().await);
            }
            let lane = Rc::clone(lane);
            // A future inside itself has to be boxed.
            running.spawn_local(Box::pin(async move { one(&lane, entry).await }));
        }
        match page.next {
            Some(next) => marker = Some(next),
            None => break,
        }
    }
    while let Some(ended) = running.join_next().await {
        joined(Some(ended));
    }
    if !seen {
        return Err(missing());
    }
    // The directory itself is no transfer.
    lane.session().progress.found.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

fn joined(ended: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
