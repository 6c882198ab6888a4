//! A stream whose length nobody knows becomes a blob.
//!
//! A thread of its own reads the stream into buffers of the pool, one block after the other; the blocks are sent at the
//! same time, as many as buffers and requests allow, and listed when the stream has ended. What fits into one block is one
//! Put Blob. All of that is sent as the bytes of a file are; only where they come from is another matter. A stream that
//! breaks off, or a job that is stopped, leaves no blob; an append blob that others have written to meanwhile is theirs. It
//! is read once: nothing of it can be tried again later.

mod reader;

use std::rc::Rc;

use azuring_azure::{BlobType, Body, Crc64, Crc64Digest, MAX_APPEND_BYTES};
use azuring_job::choices::{BlobTypeChoice, Overwrite};
use azuring_job::end_error::EndError;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::options::ContentTypePolicy;
use azuring_job::outcome::TransferId;
use azuring_job::progress::add;
use azuring_link::Payload;
use azuring_plan::blocks::{DEFAULT_BLOCK_SIZE, MAX_BLOCK_SIZE, MAX_BLOCKS};
use azuring_ring::{BLOCK_SLOT_BYTES, FileRing, SlotClass};
use tokio::task::JoinSet;

use crate::lane::context::{Ended, Lane};
use crate::limits::rate::PAUSE_STEP;
use crate::object::way::{self, Way};
use crate::requests::request::GaveUp;
use crate::task::upload::{Stream, Upload};

use super::append::{Appended, append_all};
use super::blocks;
use super::place::Place;
use super::visible::{Made, Over, Visible};
use super::whole::{self, Verdict, Whole};
use reader::{Filled, Reader};

/// After so many blocks their size is doubled: 50,000 of them hold 31 times what as many of the first size would.
const DOUBLE_EVERY: u64 = MAX_BLOCKS / 5;

/// Sends what the stream gives as its blob. The blob is there when all of it is; a stop, or an error of the stream, leaves
/// what was there before (an append blob grows before everybody's eyes, and is removed again, as long as nobody else has
/// written to it).
pub(super) async fn object<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    stream: &Stream,
) -> Result<Ended, Box<Failure>> {
    let options = &lane.session().options;
    let place = Place::of_stream(lane, id, stream)?;
    if options.blob_type == BlobTypeChoice::Page {
        let text = "a page blob is made with its length, which a stream does not tell: use a file";
        return Err(Box::new(Failure::new(FailureKind::Usage, "", text)));
    }
    let input = stream.input().ok_or_else(|| broken(&std::io::Error::other("it was read already")))?;
    let largest = match options.blob_type {
        BlobTypeChoice::Append => MAX_APPEND_BYTES,
        _ => MAX_BLOCK_SIZE,
    };
    let held = lane.pool.capacity(SlotClass::Block) as u64 * BLOCK_SLOT_BYTES as u64;
    let input = Input {
        reader: Reader::start(input, options.put_md5).map_err(|error| broken(&error))?,
        first: options.blocks.block_size.unwrap_or(DEFAULT_BLOCK_SIZE),
        largest: largest.min(held),
        place,
        task,
        lane,
    };
    input.send().await
}

fn broken(error: &std::io::Error) -> Box<Failure> {
    Box::new(Failure::new(FailureKind::Source, "", format!("reading the input: {error}")))
}

/// A stream on its way.
struct Input<'a, R> {
    reader: Reader,
    /// Bytes of the first blocks, and of the largest there can be.
    first: u64,
    largest: u64,
    place: Place<'a>,
    task: &'a Upload,
    lane: &'a Rc<Lane<R>>,
}

/// A block that was read.
struct Block {
    payload: Payload,
    crc64: Option<Crc64>,
    is_last: bool,
}

/// Bytes of the `n`th block.
fn block_size(first: u64, largest: u64, n: u64) -> u64 {
    (first << (n / DOUBLE_EVERY).min(5)).min(largest)
}

impl<R: FileRing> Input<'_, R> {
    async fn send(self) -> Result<Ended, Box<Failure>> {
        let options = &self.lane.session().options;
        let only_new = match &options.overwrite {
            // A stream is of now.
            Overwrite::IfSourceNewer => false,
            _ => match whole::verdict(self.lane, &self.place, 0, u64::MAX).await? {
                Verdict::Write { only_new } => only_new,
                Verdict::Keep { kind, .. } => return Ok(Ended::Skipped(kind)),
            },
        };
        let first = self.next(0).await?;
        let content_type = match &options.content_type {
            ContentTypePolicy::Fixed(fixed) => Some(&**fixed),
            _ => None,
        };
        let body = Body { content_type, if_none_match_any: only_new, ..Body::default() };
        if options.blob_type == BlobTypeChoice::Append {
            self.append(first, only_new, body).await
        } else if first.is_last {
            let Block { payload, crc64, .. } = first;
            let md5 = self.reader.md5();
            let whole = Whole { payload, crc64, mtime_ns: 0, metadata: Vec::new(), md5 };
            whole.put(self.lane, &self.place, only_new).await
        } else {
            // Freed with its block: the pool may hold no more than two.
            self.blocks(first, body).await
        }
    }

    /// Reads the `n`th block.
    async fn next(&self, n: u64) -> Result<Block, Box<Failure>> {
        let session = self.lane.session();
        let too_long = |what: String| {
            let failure = Failure::new(FailureKind::Limit, &self.place.object(), what);
            Box::new(failure.advise("raise --block-size-mb"))
        };
        if n >= MAX_BLOCKS {
            return Err(too_long(format!("the input is longer than {MAX_BLOCKS} blocks")));
        }
        let size = block_size(self.first, self.largest, n);
        let slots = size.div_ceil(BLOCK_SLOT_BYTES as u64) as usize;
        let leases = self.lane.pool.acquire(SlotClass::Block, slots).await;
        let leases = leases.map_err(|error| broken(&error))?;
        let mut answer = self.reader.fill(leases, size, n == 0);
        let filled = loop {
            match tokio::time::timeout(PAUSE_STEP, &mut answer).await {
                Ok(filled) => break filled.expect("the reader answers every request"),
                Err(_) if session.verdict.stopping() => {
                    return Err(Box::new(Failure::interrupted(&self.place.object())));
                }
                Err(_) => {}
            }
        };
        let Filled { leases, is_last } = filled.map_err(|error| broken(&error))?;
        let mut crc64 = session.options.crc64.then(Crc64Digest::new);
        let parts = leases.into_iter().map(|lease| {
            if let Some(digest) = &mut crc64 {
                digest.update(&lease);
            }
            lease.freeze()
        });
        let payload = Payload::from_parts(parts.collect());
        Ok(Block { payload, crc64: crc64.map(Crc64Digest::finish), is_last })
    }

    async fn blocks(&self, first: Block, body: Body<'_>) -> Result<Ended, Box<Failure>> {
        let content = uuid::Uuid::new_v4().into_bytes();
        let way = Rc::new(Way::of_pipe());
        let (mut bytes, mut count) = (0, 0);
        let mut tasks: JoinSet<Result<(), GaveUp>> = JoinSet::new();
        let mut block = first;
        loop {
            bytes += block.payload.len();
            let (lane, blob) = (Rc::clone(self.lane), self.place.blob.clone());
            let Block { payload, crc64, is_last } = block;
            if !payload.is_empty() {
                let (n, way) = (count as u32, Rc::clone(&way));
                count += 1;
                // Bounded by the pool: each holds its buffers.
                tasks.spawn_local(async move {
                    let len = payload.len();
                    let look = lane.look(&blob);
                    let body = Body { crc64, ..Body::default() };
                    way::send(&look, &way, || way.block_id(content, n), &payload, body).await?;
                    add(&lane.counters().bytes, len);
                    Ok(())
                });
            }
            // What has failed is told before more is read; after the last block all are waited for.
            while let Some(sent) = if is_last { tasks.join_next().await } else { tasks.try_join_next() } {
                match sent {
                    Ok(sent) => sent.map_err(|gave_up| self.not_taken(gave_up))?,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
            if is_last {
                break;
            }
            block = self.next(count).await?;
        }
        let ids = || (0..count as u32).map(|n| way.block_id(content, n));
        let body = Body { content_md5: self.reader.md5(), ..body };
        blocks::list(self.lane, &self.place, ids, body, bytes).await
    }

    /// The failure of a block.
    fn not_taken(&self, gave_up: GaveUp) -> Box<Failure> {
        let is_full = gave_up.has_code("BlockCountExceedsLimit");
        match gave_up.for_object(self.lane.session(), &self.place.object()) {
            failure if is_full => Box::new(failure.advise(
                "uncommitted blocks of earlier runs lie under this name: send the stream again, which discards them \
                 before its first block (another program's with --delete-destination-file)",
            )),
            failed => failed,
        }
    }

    async fn append(&self, first: Block, only_new: bool, body: Body<'_>) -> Result<Ended, Box<Failure>> {
        let (lane, place, options) = (self.lane, &self.place, &self.lane.session().options);
        let replaces = !matches!(options.overwrite, Overwrite::Always) || options.overwrite_in_place;
        let over = if only_new || !replaces { Over::Nothing } else { Over::Any };
        let visible =
            Visible { lane, task: self.task, place, file: None, kind: BlobType::Append, hold: None };
        let create = async |body: Body<'_>| {
            Ok::<_, EndError>(lane.to().blob()?.create_append_blob(&place.blob, body).await?)
        };
        let mut appended = match visible.make(&over, body, create).await? {
            Made::There(etag) => Appended::new(etag),
            Made::Skipped(kind) => return Ok(Ended::Skipped(kind)),
        };
        let (mut block, mut count) = (Some(first), 0);
        let next = async |_| {
            let read = match block.take() {
                None if count == 0 => return Ok(None),
                None => self.next(count).await?,
                Some(first) => first,
            };
            count = if read.is_last { 0 } else { count + 1 };
            Ok((!read.payload.is_empty()).then_some((read.payload, read.crc64)))
        };
        append_all(lane, place, body, &mut appended, next, async || Ok(self.reader.md5())).await?;
        let bytes = appended.len;
        whole::check_length(lane, place, bytes).await?;
        Ok(Ended::Done { bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_before_there_are_too_many() {
        assert_eq!(block_size(8, 1000, 0), 8);
        assert_eq!(block_size(8, 1000, 9_999), 8);
        assert_eq!(block_size(8, 1000, 10_000), 16);
        assert_eq!(block_size(8, 1000, 49_999), 128);
        assert_eq!(block_size(8, 100, 49_999), 100);
    }
}
