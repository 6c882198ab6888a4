//! Names of a list that turn out to be directories.
//!
//! Nothing is asked about a line of `--list-of-files` before its download. Where the service then says that there is no such
//! blob, and directories are wanted, what is below the name is listed and downloaded by the lane that found out. (Removals
//! and changes that want directories ask first: see `remote`.)

use std::rc::Rc;
use std::sync::atomic::Ordering;

use azuring_azure::{Course, ListInclude, ListItem, ListRequest};
use azuring_ring::FileRing;
use tokio::task::JoinSet;

use crate::durable::With;
use crate::entry::{BlobItem, Found, Known};
use crate::failure::Failure;
use crate::lane::{Lane, one};
use crate::outcome::TransferId;
use crate::remote::RemoteSource;
use crate::request::{Begin, request};

/// Blobs of one directory that a lane works on at a time.
const AT_ONCE: usize = 32;

/// Transfers what is below `item`, of which the service says that it is no blob.
///
/// # Errors
/// When there is nothing, or the listing fails.
pub(crate) async fn directory<R: FileRing>(
    lane: &Rc<Lane<R>>,
    id: TransferId,
    item: &BlobItem,
) -> Result<(), Box<Failure>> {
    let missing = || Failure::not_there(&item.object());
    let Some(source) = lane.shared.remote.clone().filter(|source| source.recursive) else {
        return Err(missing());
    };
    let mut running = JoinSet::new();
    let listed = list(lane, &source, id, item, &mut running).await;
    // Also after a failure: what was handed out is done.
    while let Some(ended) = running.join_next().await {
        joined(Some(ended));
    }
    if !listed? {
        return Err(missing());
    }
    if let Some(durable) = &lane.shared.durable {
        durable.expanded(id).map_err(|failure| lane.shared.broken(&failure, &item.object()))?;
    }
    // The directory itself is no transfer.
    lane.session().progress.found.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

/// Lists what is below `item` and begins to transfer it; `false`: there is nothing.
async fn list<R: FileRing>(
    lane: &Rc<Lane<R>>,
    source: &RemoteSource,
    id: TransferId,
    item: &BlobItem,
    running: &mut JoinSet<()>,
) -> Result<bool, Box<Failure>> {
    let prefix = format!("{}/", item.entry.name);
    // An earlier run may have listed a part of it: the blobs of that are transfers of their own. What follows the last page
    // is nothing.
    let before = lane.shared.durable.as_ref().and_then(|durable| durable.before.as_ref()?.large(id));
    let before = || before.map(|before| String::from_utf8_lossy(&before.facts).into_owned());
    let listed = || lane.shared.listed.lock().expect("nothing panics while the lock is held");
    // This run may have begun as well, and failed.
    let this_run = listed().get(&id).cloned();
    let mut marker = this_run.or_else(before);
    let mut seen = marker.is_some();
    let mut course = Course::default();
    while marker.as_deref() != Some("") {
        let list = ListRequest {
            prefix: &prefix,
            marker: marker.as_deref(),
            include: ListInclude { metadata: true, ..ListInclude::default() },
            wanted: source.wanted,
            ..ListRequest::default()
        };
        let ask = async |_| lane.client.list_blobs(&list, &mut course).await;
        let page = request(&lane.sender(), 0, Begin::UnlessStopping, ask).await;
        let page = page.map_err(|gave_up| gave_up.for_listing(lane.session(), &item.object()))?;
        seen |= !page.items.is_empty();
        let mut found = Vec::new();
        for entry in page.items {
            let ListItem::Blob(entry) = entry else { continue };
            if !entry.name.starts_with(&prefix) {
                continue;
            }
            let item = BlobItem { entry, relative_at: item.relative_at, known: Known::Listed };
            if source.wants(&item) {
                found.push(Found::Blob(Box::new(item)));
            }
        }
        if !seen {
            break;
        }
        lane.session().progress.found.fetch_add(found.len() as u64, Ordering::SeqCst);
        let next = page.next.unwrap_or_default();
        let numbered = lane.shared.number(found, &With::Below(id, next.as_bytes()));
        for entry in numbered.map_err(|failure| lane.shared.broken(&failure, &item.object()))? {
            while running.len() >= AT_ONCE {
                joined(running.join_next().await);
            }
            let lane = Rc::clone(lane);
            // A future inside itself has to be boxed.
            running.spawn_local(Box::pin(async move { one(&lane, entry).await }));
        }
        if !next.is_empty() {
            listed().insert(id, next.clone());
        }
        marker = Some(next);
    }
    listed().remove(&id);
    Ok(seen)
}

/// Whether the names of other blobs begin with this one's and a slash; `false` where that is not told.
pub(crate) async fn has_below<R: FileRing>(lane: &Lane<R>, item: &BlobItem) -> bool {
    let (prefix, mut marker) = (format!("{}/", item.entry.name), None);
    let mut course = Course::default();
    loop {
        let list = ListRequest {
            prefix: &prefix,
            marker: marker.as_deref(),
            max_results: Some(1),
            ..ListRequest::default()
        };
        let ask = async |_| lane.client.list_blobs(&list, &mut course).await;
        match request(&lane.sender(), 0, Begin::UnlessStopping, ask).await {
            Ok(page) if !page.items.is_empty() => return true,
            Ok(page) if page.next.is_some() => marker = page.next,
            _ => return false,
        }
    }
}

fn joined(ended: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
