//! A file that becomes an append blob: block after block, by one lane.

use std::rc::Rc;

use azuring_azure::{Body, MAX_APPEND_BYTES};
use azuring_plan::blocks::{BlockRules, DEFAULT_BLOCK_SIZE, MAX_BLOCKS};
use azuring_ring::{FileRing, OpenFile};
use md5::Md5;

use crate::collector::add;
use crate::failure::{Failure, FailureKind};
use crate::in_order::InOrder;
use crate::lane::{Ended, Lane};
use crate::outcome::TransferId;
use crate::request::{Begin, GaveUp, request};
use crate::task::Upload;

use super::put::{self, Verdict};
use super::{Place, content_type, large, metadata_of, read, resume};

pub(super) async fn file<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    place: &Place<'_>,
    file: OpenFile,
) -> Result<Ended, Box<Failure>> {
    let len = file.meta.len;
    let size = block_size(&lane.session().options.blocks, len)
        .map_err(|(text, advice)| Failure::new(FailureKind::Limit, &place.object(), text).advise(advice))?;
    let only_new = match put::verdict_of_visible(lane, task, id, place, file.meta.mtime_ns).await? {
        Verdict::Write { only_new } => only_new,
        Verdict::Keep(kind) => return Ok(Ended::Skipped(kind)),
    };
    let metadata = metadata_of(lane, place, &file)?;
    let first = read::first_bytes(lane, &file).await.map_err(|error| place.not_read(&error))?;
    let content_type = content_type(&lane.session().options.content_type, place.path, &first);
    drop(first);
    let md5 = large::start_md5(lane, task, &file).await.map_err(|error| place.not_read(&error))?;
    let body = Body { content_type, metadata: &metadata, if_none_match_any: only_new, ..Body::default() };
    let made = request(&lane.sender(), 0, Begin::UnlessStopping, async |_| {
        lane.client.create_append_blob(&place.blob, body).await
    })
    .await;
    if let Err(gave_up) = made
        && let Ended::Skipped(kind) = put::not_made(lane, place, gave_up, 0, None).await?
    {
        return Ok(Ended::Skipped(kind));
    }
    add(&lane.counters().large_begun, len);
    let mut position = 0;
    let result = append_all(lane, place, &file, md5, size, body, &mut position).await;
    add(&lane.counters().large_ended, len - position);
    match result {
        Ok(()) => {
            resume::is_complete(lane, id);
            Ok(Ended::Done { bytes: len })
        }
        Err(lost) => {
            if !lost.to_another {
                large::discard(lane, &place.blob).await;
            }
            let mut failure = lost.failure;
            // What is visible of it was begun, and is not there any more.
            if failure.kind == FailureKind::Interrupted {
                failure.tries = failure.tries.max(1);
            }
            Err(failure)
        }
    }
}

/// Why an append blob is not complete.
struct Lost {
    failure: Box<Failure>,
    /// Somebody else writes to it: it is not removed.
    to_another: bool,
}

impl From<Box<Failure>> for Lost {
    fn from(failure: Box<Failure>) -> Self {
        Self { failure, to_another: false }
    }
}

async fn append_all<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    file: &OpenFile,
    md5: Option<InOrder<Md5>>,
    size: u64,
    body: Body<'_>,
    position: &mut u64,
) -> Result<(), Lost> {
    let not_read = |error: std::io::Error| place.not_read(&error);
    while *position < file.meta.len {
        let len = size.min(file.meta.len - *position);
        let (payload, crc64) = read::read_range(lane, file, *position, len).await.map_err(not_read)?;
        large::sum_up(md5.as_ref(), *position, payload.parts());
        let sent = request(&lane.sender(), len, Begin::UnlessStopping, async |with_crc64| {
            let body = Body { crc64: crc64.filter(|_| with_crc64), ..Body::default() };
            lane.client.append_block(&place.blob, payload.clone(), *position, body).await
        })
        .await;
        if let Err(gave_up) = sent
            && !is_there(lane, place, &gave_up, *position + len).await
        {
            let to_another = gave_up.append_position_differs();
            return Err(Lost { failure: gave_up.for_object(lane.session(), &place.object()), to_another });
        }
        *position += len;
        add(&lane.counters().bytes, len);
        add(&lane.counters().large_ended, len);
    }
    file.check_unchanged().map_err(not_read)?;
    if let Some(md5) = md5 {
        let content_md5 = Some(md5.finish().await.map_err(not_read)?);
        large::set_md5(lane, place.object(), &place.blob, Body { content_md5, ..body }).await?;
    }
    Ok(())
}

/// Whether a block that was refused is there all the same: the answer to an earlier attempt was lost, and the blob is
/// as long as it would be after it.
async fn is_there<R: FileRing>(lane: &Lane<R>, place: &Place<'_>, gave_up: &GaveUp, end: u64) -> bool {
    gave_up.maybe_done()
        && gave_up.append_position_differs()
        && put::facts(lane, place, Begin::Always).await.is_ok_and(|there| there.len == end)
}

/// Bytes of each block but the last: what was asked for, or 8 MiB, doubled as long as 50,000 of them would not do.
///
/// # Errors
/// What is wrong with the size, and what to do about it.
fn block_size(rules: &BlockRules, len: u64) -> Result<u64, (String, String)> {
    let mut size = rules.block_size.unwrap_or(DEFAULT_BLOCK_SIZE);
    if size > MAX_APPEND_BYTES {
        let text = format!("the blocks of append blobs have at most {} MiB", MAX_APPEND_BYTES >> 20);
        return Err((text, "lower --block-size-mb".to_owned()));
    }
    if rules.block_size.is_none() {
        while len > MAX_BLOCKS * size && size < MAX_APPEND_BYTES {
            size = MAX_APPEND_BYTES.min(size * 2);
        }
    }
    if len <= MAX_BLOCKS * size {
        return Ok(size);
    }
    let text =
        format!("{len} bytes are more than {MAX_BLOCKS} blocks of {size}, the most that an append blob has");
    let needed = len.div_ceil(MAX_BLOCKS).div_ceil(1 << 20);
    let advice = if needed <= MAX_APPEND_BYTES >> 20 {
        format!("use at least --block-size-mb={needed}")
    } else {
        "use a block blob".to_owned()
    };
    Err((text, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_large_enough_for_the_file_and_small_enough_for_the_service() {
        const MIB: u64 = 1 << 20;
        let size = |given, len| block_size(&BlockRules { block_size: given, put_blob_size: None }, len);
        assert_eq!(size(None, 0), Ok(8 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 8 * MIB), Ok(8 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 8 * MIB + 1), Ok(16 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 100 * MIB), Ok(100 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 100 * MIB + 1).unwrap_err().1, "use a block blob");
        assert_eq!(size(Some(MIB), MAX_BLOCKS * MIB), Ok(MIB));
        assert_eq!(size(Some(MIB), MAX_BLOCKS * MIB + 1).unwrap_err().1, "use at least --block-size-mb=2");
        assert_eq!(size(Some(101 * MIB), 1).unwrap_err().1, "lower --block-size-mb");
    }
}
