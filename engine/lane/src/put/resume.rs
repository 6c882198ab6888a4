//! Blobs that are visible before they are complete, and that an earlier run of the job has begun.

use azuring_job::durable::Reader;
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_ring::FileRing;

use crate::lane::context::Lane;
use crate::task::in_place::InPlace;

use super::place::Place;

/// First byte of the facts of a large file that becomes a blob that is visible from its first byte on.
const VISIBLE: u8 = b'V';

/// Whether this job, in this run or an earlier one, may have made the blob that is there, which is not complete.
pub(super) fn is_ours<R: FileRing>(lane: &Lane<R>, in_place: &InPlace, id: TransferId) -> bool {
    if in_place.begun.lock().expect("nothing panics while the lock is held").contains(&id) {
        return true;
    }
    if lane.shared.earlier.tried {
        // It may have begun it: what is there tells.
        return true;
    }
    let before = lane.shared.durable.as_ref().and_then(|durable| durable.before.as_ref());
    before
        .and_then(|before| before.large(id))
        .is_some_and(|large| Reader(&large.facts).byte() == Some(VISIBLE))
}

/// Records that a blob is about to be made that is visible before it is complete. If only a new one may be made, that
/// has to be known for good before.
pub(super) async fn visible<R: FileRing>(
    lane: &Lane<R>,
    in_place: &InPlace,
    place: &Place<'_>,
    only_new: bool,
) -> Result<(), Box<Failure>> {
    in_place.begun.lock().expect("nothing panics while the lock is held").insert(place.id);
    let Some(durable) = &lane.shared.durable else { return Ok(()) };
    let recorded = durable.begin_large(place.id, &[VISIBLE]);
    let recorded = match recorded {
        Ok(()) if only_new => lane.shared.commit().await,
        recorded => recorded,
    };
    recorded.map_err(|failure| lane.shared.broken(&failure, &place.object()))
}

/// A blob that was visible before is complete now.
pub(crate) fn is_complete(in_place: &InPlace, id: TransferId) {
    in_place.begun.lock().expect("nothing panics while the lock is held").remove(&id);
}
