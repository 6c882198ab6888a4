//! Large blobs that an earlier run of the job has begun.

use azuring_azure::BlobFacts;
use azuring_ring::{FileRing, Names, NewFile};
use rustix::fs::{AtFlags, FileType, statat};

use crate::durable::{boot_id, number, string};
use crate::failure::Failure;
use crate::lane::Lane;
use crate::outcome::TransferId;
use crate::patience::patiently;
use crate::pieces::Pieces;

use super::{Download, Target};

/// First byte of the facts of a large blob that is read in ranges.
const RANGES: u8 = b'R';

/// Makes the file of a large blob and records that it is begun. One that an earlier run has begun is taken up, if the blob is
/// still the same: what was written of it stays. `None`: that run has completed it, and could not record it.
pub(super) async fn file<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    target: &Target,
    facts: &BlobFacts,
    object: &str,
    ranges: Pieces,
) -> Result<Option<(Option<NewFile>, Pieces)>, Box<Failure>> {
    let Some(names) = &target.names else { return Ok(Some((None, ranges))) };
    if let Some(durable) = &lane.shared.durable {
        let state = state_of(facts, ranges.size);
        let before = durable.before.as_ref().and_then(|before| before.large(target.id));
        if let (Some(before), true) = (before, task.takes_up(target.id)) {
            if state.is_some() && state.as_ref() == Some(&before.facts) {
                if let Ok(file) = NewFile::reopen(names, facts.len) {
                    let done = (0..ranges.count).map(|range| before.pieces.contains(range.into()));
                    return Ok(Some((Some(file), ranges.going_on(done.collect()))));
                }
                if before.pieces.contains(ranges.count.into()) && is_named(names, facts.len) {
                    return Ok(None);
                }
            } else {
                let text = format!(
                    "{object}: the blob or this machine is not as it was when the job was interrupted: it is \
                     downloaded from its beginning"
                );
                (lane.sender().notice)(&text);
            }
        }
        // Whatever has its temporary name is of no use.
        lane.ring.discard(names.clone()).await;
        // Known for good before there is a file that would have to be removed by hand.
        let recorded = match durable.begin_large(target.id, &state.unwrap_or_default()) {
            Ok(()) => lane.shared.commit().await,
            failed => failed,
        };
        recorded.inspect_err(|failure| lane.session().verdict.stop_for(failure))?;
    }
    let made = patiently(async || lane.ring.create(names.clone(), facts.len).await).await;
    made.map(|file| Some((Some(file), ranges))).map_err(|error| Failure::write(object, &error).into())
}

/// Records for good that everything of the blob was written and compared, and that its file is about to get its name: when it
/// has it and that is not recorded, it is known to be this one.
pub(super) async fn complete<R: FileRing>(
    lane: &Lane<R>,
    id: TransferId,
    ranges: &Pieces,
) -> Result<(), Box<Failure>> {
    let Some(durable) = &lane.shared.durable else { return Ok(()) };
    let recorded = match durable.piece(id, ranges.count) {
        Ok(()) => lane.shared.commit().await,
        failed => failed,
    };
    recorded.inspect_err(|failure| lane.session().verdict.stop_for(failure))
}

/// Whether a file of this length has the name.
fn is_named(names: &Names, len: u64) -> bool {
    statat(&names.dir, &names.name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size as u64 == len
    })
}

/// What makes the ranges of a blob valid later; `None`: nothing does, since the service does not tell which state they are
/// of. After a restart of the machine it is not known what of the file has reached the disk.
fn state_of(facts: &BlobFacts, range_bytes: u64) -> Option<Vec<u8>> {
    let (etag, boot) = (facts.etag.as_deref()?, boot_id()?);
    let mut state = vec![RANGES];
    number(facts.len, &mut state);
    number(range_bytes, &mut state);
    string(etag.as_bytes(), &mut state);
    string(&boot, &mut state);
    Some(state)
}
