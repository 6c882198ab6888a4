//! Large blobs that an earlier run of the job has begun.

use azuring_azure::{BlobFacts, BlobType};
use azuring_job::durable::{Reader, number, string};
use azuring_job::entry::BlobItem;
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_ring::{FileRing, Names, NewFile, Room};
use rustix::fs::{AtFlags, statat};

use crate::lane::context::Lane;
use crate::limits::patience::patiently;
use crate::object::pieces::Pieces;
use crate::object::target::Target;
use crate::task::download::Download;

/// First byte of the facts of a large blob that is read in ranges.
const RANGES: u8 = b'R';

/// Of a page blob only the ranges that were written to are read, and the rest of its file is a hole.
fn room_for(facts: &BlobFacts) -> Room {
    if facts.blob_type == BlobType::Page { Room::AsWritten } else { Room::Reserved }
}

/// Makes the file of a large blob and records that it is begun. One that an earlier run has begun is taken up, if the
/// blob is still the same: what was written of it stays. `None`: that run has completed it, and could not record it.
pub(super) async fn file<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    target: &Target,
    facts: &BlobFacts,
    object: &str,
    ranges: Pieces,
) -> Result<Option<(Option<NewFile>, Pieces)>, Box<Failure>> {
    let Some(names) = &target.names else { return Ok(Some((None, ranges))) };
    let object_not_made = |error: std::io::Error| Box::new(Failure::write(object, &error));
    let Some(durable) = &lane.shared.durable else {
        let made = patiently(lane.links(), async || {
            lane.ring.create(names.clone(), facts.len, room_for(facts)).await
        })
        .await;
        return made.map(|file| Some((Some(file), ranges))).map_err(object_not_made);
    };
    let state = state_of(facts, ranges.size, durable.era()).unwrap_or_default();
    let before = durable.before.as_ref().and_then(|before| before.large(target.id));
    if let (Some(before), true) = (before, task.takes_up(target.id)) {
        match before.facts.strip_prefix(&state[..]).filter(|_| !state.is_empty()) {
            Some(inode) => {
                let inode = Reader(inode).number();
                if let Ok(file) = NewFile::reopen(names, facts.len)
                    && inode.is_some()
                    && file.inode().ok() == inode
                {
                    let done = (0..ranges.count).map(|range| before.pieces.contains(range.into()));
                    return Ok(Some((Some(file), ranges.going_on(done.collect()))));
                }
                if before.pieces.contains(ranges.count.into()) && is_named(names, inode) {
                    return Ok(None);
                }
            }
            None => {
                let text = format!(
                    "{object}: the blob, this machine or its disk is not as it was when the job was interrupted: it \
                     is downloaded from its beginning"
                );
                lane.notice(&text);
            }
        }
    }
    let broken = |failure: Box<Failure>| lane.shared.broken(&failure, object);
    // Whatever has its temporary name is of no use.
    lane.ring.discard(names.clone()).await;
    // Known for good before there is a file that would have to be removed by hand.
    durable.begin_large(target.id, &state).map_err(broken)?;
    lane.shared.commit().await.map_err(broken)?;
    let made =
        patiently(lane.links(), async || lane.ring.create(names.clone(), facts.len, room_for(facts)).await)
            .await;
    let file = made.map_err(object_not_made)?;
    let mut made = state;
    number(file.inode().map_err(object_not_made)?, &mut made);
    durable.begin_large(target.id, &made).map_err(broken)?;
    Ok(Some((Some(file), ranges)))
}

/// Records for good that everything of the blob was written and compared, and that its file is about to get its name:
/// when it has it and that is not recorded, it is known to be this one.
pub(super) async fn complete<R: FileRing>(
    lane: &Lane<R>,
    id: TransferId,
    ranges: &Pieces,
    object: &str,
) -> Result<(), Box<Failure>> {
    let Some(durable) = &lane.shared.durable else { return Ok(()) };
    let recorded = match durable.piece(id, ranges.count) {
        Ok(()) => lane.shared.commit().await,
        failed => failed,
    };
    recorded.map_err(|failure| lane.shared.broken(&failure, object))
}

/// Removes the unfinished file of a blob that an earlier run has begun and that nobody wants any more.
pub(super) async fn forget<R: FileRing>(lane: &Lane<R>, task: &Download, id: TransferId, item: &BlobItem) {
    let before = lane.shared.durable.as_ref().and_then(|durable| durable.before.as_ref());
    if before.is_none_or(|before| before.large(id).is_none()) || !task.takes_up(id) {
        return;
    }
    // Where its directory cannot be opened any more, there is nothing to be removed.
    let Ok(local) = task.local_name(item) else { return };
    let mut target = Target { id, local, names: None, replace: false };
    if task.open(lane.links(), &mut target, "").await.is_ok()
        && let Some(names) = target.names
    {
        lane.ring.discard(names).await;
    }
}

/// Whether the file of this inode has its name.
fn is_named(names: &Names, inode: Option<u64>) -> bool {
    let there = statat(&names.dir, &names.name, AtFlags::SYMLINK_NOFOLLOW);
    there.is_ok_and(|there| Some(there.st_ino) == inode)
}

/// What makes the ranges of a blob valid later, together with the inode of their file; `None`: nothing does, since the
/// service does not tell which state they are of. After a restart of the machine, or an error of writing back, it is
/// not known what of the file has reached the disk: that is another `era`.
fn state_of(facts: &BlobFacts, range_bytes: u64, era: Option<Vec<u8>>) -> Option<Vec<u8>> {
    let (etag, era) = (facts.etag.as_deref()?, era?);
    let mut state = vec![RANGES];
    number(facts.len, &mut state);
    number(range_bytes, &mut state);
    string(etag.as_bytes(), &mut state);
    string(&era, &mut state);
    Some(state)
}
