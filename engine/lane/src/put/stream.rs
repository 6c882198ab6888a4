//! A stream whose length nobody knows becomes a blob.
//!
//! A thread of its own reads the stream into buffers of the pool, one block after the other; the blocks are sent at the
//! same time, as many as buffers and requests allow, and listed when the stream has ended. What fits into one block is
//! one Put Blob. All of that is sent as the bytes of a file are; only where they come from is another matter. A stream
//! that breaks off, or a job that is stopped, leaves no blob; an append blob that others have written to meanwhile is
//! theirs. It is read once: nothing of it can be tried again later.

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
use azuring_store::{At, Traits};
use tokio::task::JoinSet;

use crate::lane::context::{Ended, Lane};
use crate::limits::rate::PAUSE_STEP;
use crate::object::assembly::Assembly;
use crate::requests::request::GaveUp;
use crate::task::upload::{Stream, Upload};

use super::append::{Appended, append_all};
use super::assembly;
use super::place::Place;
use super::visible::{Made, Once, Over, Visible};
use super::whole::{self, Verdict, Whole};
use reader::{Filled, Reader};

/// After so many blocks their size is doubled: 50,000 of them hold 31 times what as many of the first size would.
const DOUBLE_EVERY: u64 = MAX_BLOCKS / 5;

/// Sends what the stream gives as its blob. The blob is there when all of it is; a stop, or an error of the stream,
/// leaves what was there before (an append blob grows before everybody's eyes, and is removed again, as long as nobody
/// else has written to it).
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
    let held = lane.pool.capacity(SlotClass::Block) as u64 * BLOCK_SLOT_BYTES as u64;
    let first = options.blocks.block_size.unwrap_or(DEFAULT_BLOCK_SIZE);
    let sizes = match (options.blob_type, lane.to().own()) {
        (BlobTypeChoice::Append, None) => Sizes::of_blob(first, MAX_APPEND_BYTES.min(held)),
        (_, None) => Sizes::of_blob(first, MAX_BLOCK_SIZE.min(held)),
        (_, Some(own)) => Sizes::of_store(own.traits(), first, held)
            .map_err(|text| Failure::new(FailureKind::Limit, &place.object(), text))?,
    };
    let input = Input {
        reader: Reader::start(input, options.put_md5).map_err(|error| broken(&error))?,
        sizes,
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
    sizes: Sizes,
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

/// How a stream is cut, whose length nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    /// Bytes of the first blocks, and of the largest there can be.
    first: u64,
    largest: u64,
    /// Blocks at most.
    count: u64,
    /// Bytes of what goes in one request.
    whole: u64,
}

impl Sizes {
    /// Blob storage takes blocks of different sizes, and as much in one request as in a block.
    fn of_blob(first: u64, largest: u64) -> Self {
        Self { first, largest, count: MAX_BLOCKS, whole: u64::MAX }
    }

    /// Others want all pieces but the last to have one size. `held`: bytes that a lane can hold.
    fn of_store(traits: &Traits, first: u64, held: u64) -> Result<Self, String> {
        let whole = traits.whole_max;
        let Some(pieces) = traits.pieces else {
            // Whatever the wanted size: all of it is one request, or nothing.
            let size = whole.min(held);
            return Ok(Self { first: size, largest: size, count: 1, whole });
        };
        let size = pieces.fitting(first, held);
        if size < pieces.min_bytes.max(1) {
            let (name, least) = (traits.name, pieces.min_bytes);
            return Err(format!(
                "{name} takes pieces of {least} bytes at least, and a lane's memory holds {held}"
            ));
        }
        Ok(Self { first: size, largest: size, count: pieces.max_count.into(), whole })
    }

    /// Bytes of the `n`th block.
    fn of(self, n: u64) -> u64 {
        (self.first << (n / DOUBLE_EVERY).min(5)).min(self.largest)
    }
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
        if !first.is_last && self.sizes.count == 1 {
            return Err(self.too_long());
        }
        let content_type = match &options.content_type {
            ContentTypePolicy::Fixed(fixed) => Some(&**fixed),
            _ => None,
        };
        let body = Body { content_type, if_none_match_any: only_new, ..Body::default() };
        if options.blob_type == BlobTypeChoice::Append {
            self.append(first, only_new, body).await
        } else if first.is_last && first.payload.len() <= self.sizes.whole {
            let Block { payload, crc64, .. } = first;
            let md5 = self.reader.md5();
            let whole = Whole {
                payload,
                crc64,
                mtime_ns: 0,
                content: None,
                metadata: Vec::new(),
                md5,
                tier: None,
                tags: &[],
            };
            whole.put(self.lane, &self.place, only_new).await
        } else {
            // Freed with its block: the pool may hold no more than two.
            self.blocks(first, body).await
        }
    }

    fn too_long(&self) -> Box<Failure> {
        let Sizes { first, count, .. } = self.sizes;
        let (text, advice) = match count {
            1 => (
                format!(
                    "the input is longer than {first} bytes, the most that the store takes at once and a lane's memory holds"
                ),
                "if the store takes more, raise the limit of memory; otherwise use a store that takes pieces",
            ),
            _ => (format!("the input is longer than {count} blocks"), "raise --block-size-mb"),
        };
        Box::new(Failure::new(FailureKind::Limit, &self.place.object(), text).advise(advice))
    }

    /// Reads the `n`th block.
    async fn next(&self, n: u64) -> Result<Block, Box<Failure>> {
        let session = self.lane.session();
        if n >= self.sizes.count {
            return Err(self.too_long());
        }
        let size = self.sizes.of(n);
        let slots = size.div_ceil(BLOCK_SLOT_BYTES as u64) as usize;
        let leases = self.lane.pool.acquire(SlotClass::Block, slots).await;
        let leases = leases.map_err(|error| broken(&error))?;
        // Nothing may be behind the last one.
        let mut answer = self.reader.fill(leases, size, n == 0 || n + 1 == self.sizes.count);
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
        let (lane, place) = (self.lane, &self.place);
        let assembly = Rc::new(assembly::begin_stream(lane, place, self.sizes.first, body).await?);
        let sent = self.pieces(first, &assembly).await;
        let ended = match sent {
            Ok(size) => {
                let body = Body { content_md5: self.reader.md5(), ..body };
                // It cannot be read again: what is there is not known to be this.
                assembly::commit(lane, &assembly, place, size, body, async || false).await
            }
            Err(failure) => Err(failure),
        };
        assembly::release(lane, &assembly, &place.blob, &ended).await;
        ended
    }

    /// Sends all pieces; how many they are, and their bytes.
    async fn pieces(&self, first: Block, assembly: &Rc<Assembly>) -> Result<(u32, u64), Box<Failure>> {
        let in_order = assembly::is_in_order(self.lane);
        let (mut bytes, mut count) = (0, 0);
        let mut tasks: JoinSet<Result<(), GaveUp>> = JoinSet::new();
        let mut block = first;
        loop {
            let at = At { piece: count as u32, offset: bytes };
            bytes += block.payload.len();
            let (lane, blob, assembly) = (Rc::clone(self.lane), self.place.blob.clone(), Rc::clone(assembly));
            let Block { payload, crc64, is_last } = block;
            if !payload.is_empty() {
                count += 1;
                // Bounded by the pool: each holds its buffers.
                tasks.spawn_local(async move {
                    let body = Body { crc64, ..Body::default() };
                    assembly::put(&lane, &assembly, &blob, at, &payload, body).await?;
                    add(&lane.counters().bytes, payload.len());
                    Ok(())
                });
            }
            // What has failed is told before more is read; after the last block all are waited for.
            let waits = is_last || in_order;
            while let Some(sent) = if waits { tasks.join_next().await } else { tasks.try_join_next() } {
                match sent {
                    Ok(sent) => sent.map_err(|gave_up| self.not_taken(gave_up))?,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
            if is_last {
                return Ok((count as u32, bytes));
            }
            block = self.next(count).await?;
        }
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
        let (in_place, kind) = (&self.task.in_place, BlobType::Append);
        let visible = Visible { lane, in_place, place, content: Once, kind, hold: None };
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
    use azuring_store::PieceTraits;

    #[test]
    fn blocks_grow_before_there_are_too_many() {
        let size = |largest, n| Sizes::of_blob(8, largest).of(n);
        assert_eq!(size(1000, 0), 8);
        assert_eq!(size(1000, 9_999), 8);
        assert_eq!(size(1000, 10_000), 16);
        assert_eq!(size(1000, 49_999), 128);
        assert_eq!(size(100, 49_999), 100);
    }

    #[test]
    fn pieces_of_another_store_have_one_size() {
        let mut traits = Traits::new("here", 10);
        let of = |traits: &Traits, first, held| Sizes::of_store(traits, first, held);
        assert_eq!(of(&traits, 8, 100), Ok(Sizes { first: 10, largest: 10, count: 1, whole: 10 }));
        assert_eq!(of(&traits, 8, 9), Ok(Sizes { first: 9, largest: 9, count: 1, whole: 10 }));
        traits.pieces = Some(PieceTraits::new(50, 30_000).min_bytes(5).align(4));
        for (first, held, want) in [(1, 100, 8), (9, 100, 12), (90, 100, 48), (90, 30, 28)] {
            let sizes = of(&traits, first, held).unwrap();
            assert_eq!((sizes.of(0), sizes.of(29_999), sizes.count), (want, want, 30_000));
        }
        assert_eq!(
            of(&traits, 9, 4).unwrap_err(),
            "here takes pieces of 5 bytes at least, and a lane's memory holds 4"
        );
    }
}
