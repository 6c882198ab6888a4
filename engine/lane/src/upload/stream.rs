//! A stream whose length nobody knows becomes a blob.
//!
//! A thread of its own reads the stream into buffers of the pool, one block after the other; the blocks are sent at the
//! same time, as many as buffers and requests allow, and listed when the stream has ended. What fits into one block is one
//! Put Blob. A stream that breaks off, or a job that is stopped, leaves no blob; an append blob that others have written
//! to meanwhile is theirs. It is read once: nothing of it can be tried again later.

mod reader;

use std::io::Read;
use std::rc::Rc;
use std::sync::Mutex;

use azuring_azure::{BlobFacts, BlobType, Body, Crc64, Crc64Digest, MAX_APPEND_BYTES, Which};
use azuring_job::choices::{BlobTypeChoice, Overwrite};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::options::ContentTypePolicy;
use azuring_job::outcome::SkippedKind;
use azuring_job::progress::add;
use azuring_link::Payload;
use azuring_plan::blocks::{DEFAULT_BLOCK_SIZE, MAX_BLOCK_SIZE, MAX_BLOCKS};
use azuring_plan::name::{encode_path, escape};
use azuring_ring::{BLOCK_SLOT_BYTES, FileRing, SlotClass};
use tokio::task::JoinSet;

use crate::lane::{Ended, Lane};
use crate::rate::PAUSE_STEP;
use crate::request::{Begin, GaveUp, request};
use crate::task::blob_url;

use super::append::Appended;
use super::blocks::{self, Way};
use super::look::Look;
use super::{pages, put, visible};
use reader::{Filled, Reader};

/// After so many blocks their size is doubled: 50,000 of them hold 31 times what as many of the first size would.
const DOUBLE_EVERY: u64 = MAX_BLOCKS / 5;

/// What a stream becomes: the whole of a job.
pub struct Stream {
    /// The blob's name.
    pub(crate) name: String,
    input: Mutex<Option<Box<dyn Read + Send>>>,
}

impl Stream {
    /// What `input` gives, as the blob of this name.
    pub fn new(name: String, input: Box<dyn Read + Send>) -> Self {
        Self { name, input: Mutex::new(Some(input)) }
    }

    /// The name on one line.
    pub(crate) fn object(&self) -> String {
        escape(self.name.as_bytes())
    }
}

/// Sends what the stream gives as its blob. The blob is there when all of it is; a stop, or an error of the stream, leaves
/// what was there before (an append blob grows before everybody's eyes, and is removed again, as long as nobody else has
/// written to it).
pub(super) async fn object<R: FileRing>(lane: &Rc<Lane<R>>, stream: &Stream) -> Result<Ended, Box<Failure>> {
    let (options, object) = (&lane.session().options, stream.object());
    if let Some(stored) = lane.session().target.url().takes_for(&stream.name) {
        return Err(Box::new(Failure::other_name(&object, &stored)));
    }
    if options.blob_type == BlobTypeChoice::Page {
        let text = "a page blob is made with its length, which a stream does not tell: use a file";
        return Err(Box::new(Failure::new(FailureKind::Usage, "", text)));
    }
    let input = stream.input.lock().expect("nothing panics while the lock is held").take();
    let input = input.ok_or_else(|| broken(&std::io::Error::other("it was read already")))?;
    let largest = match options.blob_type {
        BlobTypeChoice::Append => MAX_APPEND_BYTES,
        _ => MAX_BLOCK_SIZE,
    };
    let held = lane.pool.capacity(SlotClass::Block) as u64 * BLOCK_SLOT_BYTES as u64;
    let input = Input {
        reader: Reader::start(input, options.put_md5).map_err(|error| broken(&error))?,
        first: options.blocks.block_size.unwrap_or(DEFAULT_BLOCK_SIZE),
        largest: largest.min(held),
        blob: encode_path(&stream.name),
        name: stream.name.clone(),
        object,
        lane: Rc::clone(lane),
    };
    input.send().await
}

fn broken(error: &std::io::Error) -> Box<Failure> {
    Box::new(Failure::new(FailureKind::Source, "", format!("reading the input: {error}")))
}

/// A stream on its way.
struct Input<R> {
    reader: Reader,
    /// Bytes of the first blocks, and of the largest there can be.
    first: u64,
    largest: u64,
    name: String,
    /// The same, percent-encoded.
    blob: String,
    /// The same on one line.
    object: String,
    lane: Rc<Lane<R>>,
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

impl<R: FileRing> Input<R> {
    async fn send(self) -> Result<Ended, Box<Failure>> {
        let options = &self.lane.session().options;
        let skipped = Ended::Skipped(SkippedKind::Exists);
        let Some(only_new) = self.verdict().await? else { return Ok(skipped) };
        let first = self.next(0).await?;
        // A pipe has no name that could tell, and AzCopy does not look at its bytes.
        let content_type = match &options.content_type {
            ContentTypePolicy::Fixed(fixed) => Some(fixed.clone()),
            _ => None,
        };
        let body =
            Body { content_type: content_type.as_deref(), if_none_match_any: only_new, ..Body::default() };
        let made = if options.blob_type == BlobTypeChoice::Append {
            self.append(first, body).await?
        } else if first.is_last {
            self.whole(first, body).await?
        } else {
            // Freed with its block: the pool may hold no more than two.
            self.blocks(first, body).await?
        };
        let Some(bytes) = made else { return Ok(skipped) };
        self.check_length(bytes).await?;
        Ok(Ended::Done { bytes })
    }

    /// Whether the blob is to be written, and if so whether only as a new one.
    async fn verdict(&self) -> Result<Option<bool>, Box<Failure>> {
        let session = self.lane.session();
        let only_new = match &session.options.overwrite {
            // A stream is of now.
            Overwrite::Always | Overwrite::IfSourceNewer => return Ok(Some(false)),
            Overwrite::Never => true,
            Overwrite::Ask => false,
        };
        match self.facts().await {
            Ok(_) if session.options.overwrite == Overwrite::Ask => {
                let replaces = session.replaces(blob_url(session, &self.name), &self.object).await?;
                Ok(replaces.then_some(false))
            }
            Ok(_) => Ok(None),
            Err(gave_up) if gave_up.not_found() => Ok(Some(only_new)),
            Err(gave_up) => Err(self.failed(gave_up)),
        }
    }

    async fn facts(&self) -> Result<BlobFacts, GaveUp> {
        let ask = async || self.lane.client.head_blob(&self.blob, Which::default()).await;
        self.ask(Begin::UnlessStopping, ask).await
    }

    fn failed(&self, gave_up: GaveUp) -> Box<Failure> {
        gave_up.for_object(self.lane.session(), &self.object)
    }

    /// Reads the `n`th block.
    async fn next(&self, n: u64) -> Result<Block, Box<Failure>> {
        let session = self.lane.session();
        let too_long = |what: String| {
            let failure = Failure::new(FailureKind::Limit, &self.object, what);
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
                    return Err(Box::new(Failure::interrupted(&self.object)));
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

    /// Asks about the blob.
    fn look(&self) -> Look<'_> {
        self.lane.look(&self.blob)
    }

    /// Sends what makes a blob; where one of another type stands in the way, that is removed first if the caller says so.
    async fn cleared<T>(
        &self,
        body: Body<'_>,
        mut send: impl AsyncFnMut() -> Result<T, GaveUp>,
    ) -> Result<T, GaveUp> {
        match send().await {
            Err(gave_up)
                if self.lane.session().options.delete_destination
                    && !body.if_none_match_any
                    && gave_up.has_code("InvalidBlobType")
                    && self.look().discard_blocks(true).await.unwrap_or_default() =>
            {
                send().await
            }
            sent => sent,
        }
    }

    /// Returns the length of the blob; so do the other shapes. `None`: it was there.
    async fn whole(&self, block: Block, body: Body<'_>) -> Result<Option<u64>, Box<Failure>> {
        let Block { payload, crc64, .. } = block;
        let bytes = payload.len();
        let content_md5 = self.reader.md5();
        let send = async || {
            request(&self.lane.sender(), bytes, Begin::UnlessStopping, async |with_crc64| {
                let body = Body { crc64: crc64.filter(|_| with_crc64), content_md5, ..body };
                self.lane.client.put_blob(&self.blob, payload.clone(), body).await
            })
            .await
        };
        if let Err(gave_up) = self.cleared(body, send).await {
            if !(body.if_none_match_any && gave_up.already_exists()) {
                return Err(self.failed(gave_up));
            }
            let there = if gave_up.maybe_done() { self.look().facts().await.ok() } else { None };
            return Ok(match there {
                Some(there) if put::is_this_one(&self.look(), &there, &payload).await => Some(bytes),
                _ => None,
            });
        }
        add(&self.lane.counters().bytes, bytes);
        Ok(Some(bytes))
    }

    async fn blocks(&self, first: Block, body: Body<'_>) -> Result<Option<u64>, Box<Failure>> {
        let content = uuid::Uuid::new_v4().into_bytes();
        let way = Rc::new(Way::of_pipe());
        let (mut bytes, mut count) = (0, 0);
        let mut tasks: JoinSet<Result<(), GaveUp>> = JoinSet::new();
        let mut block = first;
        loop {
            bytes += block.payload.len();
            let (lane, blob) = (Rc::clone(&self.lane), self.blob.clone());
            let Block { payload, crc64, is_last } = block;
            if !payload.is_empty() {
                let (n, way) = (count as u32, Rc::clone(&way));
                count += 1;
                // Bounded by the pool: each holds its buffers.
                tasks.spawn_local(async move {
                    let len = payload.len();
                    let look = lane.look(&blob);
                    let body = Body { crc64, ..Body::default() };
                    blocks::send(&look, &way, || way.block_id(content, n), &payload, body).await?;
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
        let content_md5 = self.reader.md5();
        let ids = || (0..count as u32).map(|n| way.block_id(content, n));
        let listed = request(&self.lane.sender(), 0, Begin::Always, async |with_crc64| {
            let body = Body { content_md5, ..body };
            self.lane.client.put_block_list(&self.blob, ids(), body, with_crc64).await
        })
        .await;
        let Err(gave_up) = listed else { return Ok(Some(bytes)) };
        let exists = body.if_none_match_any && gave_up.already_exists();
        // The blocks' names are this run's own.
        if gave_up.maybe_done() && self.look().consists_of(ids()).await.unwrap_or_default() {
            return Ok(Some(bytes));
        }
        if exists { Ok(None) } else { Err(self.failed(gave_up)) }
    }

    /// The failure of a block.
    fn not_taken(&self, gave_up: GaveUp) -> Box<Failure> {
        let is_full = gave_up.has_code("BlockCountExceedsLimit");
        match self.failed(gave_up) {
            failure if is_full => Box::new(failure.advise(
                "uncommitted blocks of earlier runs lie under this name: send the stream again, which discards them \
                 before its first block (another program's with --delete-destination-file)",
            )),
            failed => failed,
        }
    }

    async fn append(&self, first: Block, body: Body<'_>) -> Result<Option<u64>, Box<Failure>> {
        let options = &self.lane.session().options;
        let in_place = !matches!(options.overwrite, Overwrite::Always) || options.overwrite_in_place;
        let body = Body { if_none_match_any: body.if_none_match_any || !in_place, ..body };
        let make = async || {
            self.ask(Begin::UnlessStopping, async || {
                self.lane.client.create_append_blob(&self.blob, body).await
            })
            .await
        };
        let made = self.cleared(body, make).await;
        let etag = match made {
            Ok(written) => written.etag,
            Err(gave_up) if body.if_none_match_any && gave_up.already_exists() => {
                let there = if gave_up.maybe_done() { self.look().facts().await.ok() } else { None };
                match there {
                    // An earlier attempt has made it.
                    Some(there) if there.blob_type == BlobType::Append && there.len == 0 => there.etag,
                    _ if in_place => return Ok(None),
                    _ => {
                        let session = self.lane.session();
                        let failure = gave_up.for_object(session, &self.object);
                        return Err(visible::would_be_gone(*failure));
                    }
                }
            }
            Err(gave_up) => return Err(self.failed(gave_up)),
        };
        let mut appended = Appended::new(etag);
        let result = self.append_all(first, body, &mut appended).await;
        if let Err(mut failure) = result {
            if let Err(left) = appended.take_back(&self.look()).await {
                pages::tell(&mut failure, left);
            }
            return Err(failure);
        }
        Ok(Some(appended.len))
    }

    async fn append_all(
        &self,
        first: Block,
        body: Body<'_>,
        appended: &mut Appended,
    ) -> Result<(), Box<Failure>> {
        let (mut count, mut block) = (0, first);
        let failed = |gave_up: GaveUp| {
            let is_of_another = gave_up.is_of_another();
            let failure = gave_up.for_object(self.lane.session(), &self.object);
            if is_of_another { visible::another_writer(*failure) } else { failure }
        };
        loop {
            let Block { payload, crc64, is_last } = block;
            let len = payload.len();
            if len > 0 {
                count += 1;
                appended.append(&self.look(), payload, crc64).await.map_err(failed)?;
                add(&self.lane.counters().bytes, len);
            }
            if is_last {
                break;
            }
            block = self.next(count).await?;
        }
        let content_md5 = self.reader.md5();
        if content_md5.is_some() {
            let body = Body { content_md5, if_match: appended.etag(), if_none_match_any: false, ..body };
            let set = self
                .ask(Begin::Always, async || self.lane.client.set_properties(&self.blob, body).await)
                .await;
            set.map_err(failed)?;
        }
        Ok(())
    }

    async fn ask<T>(
        &self,
        begin: Begin,
        mut send: impl AsyncFnMut() -> Result<T, azuring_azure::RequestError>,
    ) -> Result<T, GaveUp> {
        request(&self.lane.sender(), 0, begin, async |_| send().await).await
    }

    async fn check_length(&self, bytes: u64) -> Result<(), Box<Failure>> {
        let session = self.lane.session();
        if !put::is_length_checked(session) {
            return Ok(());
        }
        let there = self.look().facts().await.map_err(|gave_up| self.failed(gave_up))?.len;
        if there == bytes {
            return Ok(());
        }
        let text = format!("the blob has {there} bytes and the input had {bytes}");
        Err(Box::new(Failure::new(FailureKind::Integrity, &self.object, text)))
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
