//! One file from disk to blob.

use std::ffi::CString;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use azuring_azure::{Body, Crc64, Crc64Digest, RequestError};
use azuring_link::Payload;
use azuring_plan::blocks::UploadShape;
use azuring_plan::name::{encode_path, escape};
use azuring_ring::{BLOCK_SLOT_BYTES, FileRing, Loaded, OpenFile, SlotClass};
use tokio::task::JoinSet;

use crate::collector::add;
use crate::failure::{Failure, FailureKind};
use crate::lane::{Item, Lane};
use crate::large::LargeFile;
use crate::options::ContentTypePolicy;
use crate::outcome::Outcome;
use crate::queue::Entry;
use crate::retry::{self, Next};

/// A stop that comes during a pause is noticed this soon.
const PAUSE_STEP: Duration = Duration::from_millis(100);

/// Does one piece of work and reports its outcome.
pub(crate) async fn perform<R: FileRing>(lane: &Rc<Lane<R>>, item: Item) {
    match item {
        Item::File(entry, _busy) => {
            let id = entry.id;
            match upload(lane, entry).await {
                Ok(Sent::Whole(bytes)) => lane.finish(Outcome { id, bytes, result: Ok(()) }),
                Ok(Sent::InBlocks) => {}
                Err(failure) => lane.finish(Outcome { id, bytes: 0, result: Err(failure) }),
            }
        }
        Item::Help(file, _busy) => {
            // Where it cannot be opened any more, the lane that began it has it open and goes on.
            if let Ok(open) = lane.ring.open(&lane.shared.root, &file.path).await {
                send_blocks(lane, &file, open).await;
            }
        }
    }
}

enum Sent {
    /// In one request.
    Whole(u64),
    /// In blocks; the lane that sent the last one has reported the outcome.
    InBlocks,
}

async fn upload<R: FileRing>(lane: &Rc<Lane<R>>, entry: Entry) -> Result<Sent, Box<Failure>> {
    let path = entry.path.as_bytes();
    let object = || escape(path);
    let name = lane.shared.naming.blob_name_for(path).map_err(|e| Failure::name(&object(), &e))?;
    let blob = encode_path(&name);
    let c_path = CString::new(path).expect("a path from the file system has no NUL");

    let read = |e: io::Error| Box::new(Failure::read(&object(), &e));
    let lease = lane.pool.acquire_one(SlotClass::Small).await.map_err(read)?;
    let file = match lane.ring.load(&lane.shared.root, &c_path, lease).await.map_err(read)? {
        Loaded::Whole(lease, meta) => {
            let payload = Payload::from(lease.freeze());
            let crc64 = lane.shared.options.crc64.then(|| Crc64::of(&payload));
            put_blob(lane, path, &blob, payload, crc64).await?;
            return Ok(Sent::Whole(meta.len));
        }
        Loaded::Larger(_, file) => file,
    };
    match lane.shared.options.blocks.shape(file.meta.len).map_err(|e| Failure::plan(&object(), &e))? {
        UploadShape::PutBlob => {
            let (payload, crc64) = read_range(lane, &file, 0, file.meta.len).await.map_err(read)?;
            unchanged(&file).map_err(read)?;
            put_blob(lane, path, &blob, payload, crc64).await?;
            Ok(Sent::Whole(file.meta.len))
        }
        UploadShape::Blocks { block_size, count } => {
            let large = Arc::new(LargeFile::new(
                entry.id,
                object(),
                c_path,
                blob,
                file.meta,
                block_size,
                count,
                lane.shared.id,
            ));
            lane.shared.queue.offer(lane.index(), &large, (lane.lanes() - 1).min(count as usize - 1));
            send_blocks(lane, &large, file).await;
            Ok(Sent::InBlocks)
        }
    }
}

async fn put_blob<R: FileRing>(
    lane: &Lane<R>,
    path: &[u8],
    blob: &str,
    payload: Payload,
    crc64: Option<Crc64>,
) -> Result<(), Box<Failure>> {
    let first = payload.parts().first().map_or(&[][..], |part| &part[..]);
    let content_type = content_type(&lane.shared.options.content_type, path, first);
    let bytes = payload.len();
    request(lane, bytes, async || {
        let body = Body { content_type, crc64: crc64.filter(|_| lane.shared.sends_crc64()) };
        lane.client.put_blob(blob, payload.clone(), body).await
    })
    .await
    .map_err(|gave_up| gave_up.for_object(lane, &escape(path)))?;
    add(&lane.counters().bytes, bytes);
    Ok(())
}

fn content_type<'a>(policy: &'a ContentTypePolicy, path: &[u8], first: &[u8]) -> Option<&'a str> {
    match policy {
        ContentTypePolicy::Guess(types) => Some(types.guess(path, first)),
        ContentTypePolicy::Fixed(fixed) => Some(fixed),
        ContentTypePolicy::None => None,
    }
}

/// Sends blocks of `large` until none is left to claim; commits if this lane reports the last one.
async fn send_blocks<R: FileRing>(lane: &Rc<Lane<R>>, large: &Arc<LargeFile>, file: OpenFile) {
    if file.meta != large.meta {
        let other = io::Error::other("the file was replaced or modified while it was read");
        large.lose(Failure::read(&large.object, &other));
    }
    let file = Rc::new(file);
    let mut tasks = JoinSet::new();
    let mut last = false;
    loop {
        while tasks.len() < lane.block_window()
            && let Some(block) = large.claim()
        {
            let (lane, large, file) = (Rc::clone(lane), Arc::clone(large), Rc::clone(&file));
            tasks.spawn_local(async move {
                if !large.is_lost() {
                    if lane.shared.verdict.stopping() {
                        large.lose(Failure::interrupted(&large.object));
                    } else if let Err(failure) = send_block(&lane, &large, &file, block).await {
                        large.lose(*failure);
                    }
                }
                large.report()
            });
        }
        match tasks.join_next().await {
            None => break,
            Some(Ok(was_last)) => {
                last |= was_last;
                lane.sample_window(large.block_size);
            }
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    if last {
        let result = commit(lane, large, &file).await;
        let bytes = if result.is_ok() { large.meta.len } else { 0 };
        lane.finish(Outcome { id: large.id, bytes, result });
    }
}

async fn send_block<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    file: &OpenFile,
    block: u32,
) -> Result<(), Box<Failure>> {
    let (offset, len) = large.range(block);
    let (payload, crc64) =
        read_range(lane, file, offset, len).await.map_err(|error| Failure::read(&large.object, &error))?;
    if block == 0 {
        let first = payload.parts().first().map_or(&[][..], |part| &part[..]);
        let found = content_type(&lane.shared.options.content_type, large.path.as_bytes(), first);
        large.content_type.get_or_init(|| found.map(str::to_owned));
    }
    let id = large.block_id(block);
    request(lane, len, async || {
        let body = Body { content_type: None, crc64: crc64.filter(|_| lane.shared.sends_crc64()) };
        lane.client.put_block(&large.blob, &id, payload.clone(), body).await
    })
    .await
    .map_err(|gave_up| gave_up.for_object(lane, &large.object))?;
    add(&lane.counters().bytes, len);
    Ok(())
}

async fn commit<R: FileRing>(lane: &Lane<R>, large: &LargeFile, file: &OpenFile) -> Result<(), Box<Failure>> {
    if let Some(failure) = large.take_failure() {
        return Err(Box::new(failure));
    }
    unchanged(file).map_err(|error| Failure::read(&large.object, &error))?;
    let content_type = large.content_type.get().and_then(Option::as_deref);
    request(lane, 0, async || {
        let ids = (0..large.blocks).map(|block| large.block_id(block));
        lane.client.put_block_list(&large.blob, ids, content_type).await
    })
    .await
    .map_err(|gave_up| gave_up.for_object(lane, &large.object))
}

/// Reads a range into block slots and computes its checksum.
///
/// From the page cache piece by piece, each checksummed while it is in the CPU's cache; around the page cache a few
/// pieces at a time, for the disk's sake.
async fn read_range<R: FileRing>(
    lane: &Lane<R>,
    file: &OpenFile,
    offset: u64,
    len: u64,
) -> io::Result<(Payload, Option<Crc64>)> {
    let slots = len.div_ceil(BLOCK_SLOT_BYTES as u64) as usize;
    if slots > lane.pool.capacity(SlotClass::Block) {
        let needed = (len.div_ceil(1 << 20) * lane.lanes() as u64 * 8).div_ceil(7) + 32;
        let text =
            format!("a block of {len} bytes does not fit into the buffers: --memory {needed}M would do");
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
    }
    let leases = lane.pool.acquire(SlotClass::Block, slots).await?;
    let mut pieces = leases.into_iter().enumerate().map(|(i, lease)| {
        let at = (i * BLOCK_SLOT_BYTES) as u64;
        let piece = (len - at).min(BLOCK_SLOT_BYTES as u64) as usize;
        lane.ring.read_at(file, lease, offset + at, piece)
    });
    let at_a_time = if file.is_direct() { DIRECT_READS } else { 1 };
    let mut parts = Vec::with_capacity(slots);
    let mut crc64 = lane.shared.options.crc64.then(Crc64Digest::new);
    loop {
        let reads: Vec<_> = pieces.by_ref().take(at_a_time).collect();
        if reads.is_empty() {
            return Ok((Payload::from_parts(parts), crc64.map(Crc64Digest::finish)));
        }
        for lease in join_all(reads).await? {
            if let Some(digest) = &mut crc64 {
                digest.update(&lease);
            }
            parts.push(lease.freeze());
        }
    }
}

/// Reads under way at a time for one block that is not in the page cache: with two blocks a lane, 4 MiB.
const DIRECT_READS: usize = 8;

/// Polls all futures together and returns their results in order; the first error wins, but every future is
/// driven to its end (a file operation must not be dropped in flight).
async fn join_all<T, F: Future<Output = io::Result<T>>>(futures: Vec<F>) -> io::Result<Vec<T>> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut results: Vec<Option<io::Result<T>>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (slot, result) in waiting.iter_mut().zip(&mut results) {
            if let Some(future) = slot {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(ready) => {
                        *result = Some(ready);
                        *slot = None;
                    }
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    results.into_iter().map(|result| result.expect("all futures are done")).collect()
}

fn unchanged(file: &OpenFile) -> io::Result<()> {
    let now = file.stat_now()?;
    if now.len == file.meta.len && now.mtime_ns == file.meta.mtime_ns {
        return Ok(());
    }
    let text = match now.len.cmp(&file.meta.len) {
        std::cmp::Ordering::Less => "the file became shorter while it was read",
        std::cmp::Ordering::Greater => "the file grew while it was read",
        std::cmp::Ordering::Equal => "the file was modified while it was read",
    };
    Err(io::Error::other(text))
}

/// A request that will not be repeated any more.
struct GaveUp {
    error: Option<RequestError>,
    tries: u32,
    stop_job: bool,
}

impl GaveUp {
    fn for_object<R: FileRing>(self, lane: &Lane<R>, object: &str) -> Box<Failure> {
        let Some(error) = self.error else { return Box::new(Failure::interrupted(object)) };
        let failure = Failure::request(object, &error, self.tries);
        if self.stop_job {
            lane.shared.verdict.fatal(&failure);
        } else if failure.kind == FailureKind::Authentication {
            lane.shared.verdict.refused(&failure);
        }
        Box::new(failure)
    }
}

/// Sends a request until it is accepted, hopeless, or out of attempts. Holds a permit only while it is in flight.
async fn request<R: FileRing>(
    lane: &Lane<R>,
    body_bytes: u64,
    send: impl AsyncFn() -> Result<(), RequestError>,
) -> Result<(), GaveUp> {
    let shared = &lane.shared;
    let counters = lane.counters();
    let mut tries = 0;
    loop {
        let attempt = {
            let _permit = lane.permits().acquire().await.expect("the semaphore is never closed");
            if shared.verdict.stopping() {
                return Err(GaveUp { error: None, tries, stop_job: false });
            }
            add(&counters.in_flight, 1);
            add(&counters.requests, 1);
            add(&counters.bytes_sent, body_bytes);
            let begun = Instant::now();
            let attempt = send().await;
            lane.record(begun.elapsed());
            add(&counters.in_flight, 1u64.wrapping_neg());
            attempt
        };
        tries += 1;
        let error = match attempt {
            Ok(()) => {
                shared.verdict.accepted();
                return Ok(());
            }
            Err(error) => error,
        };
        if let RequestError::Service(refusal) = &error
            && refusal.refuses_crc64()
            && shared.crc64.swap(false, Ordering::SeqCst)
        {
            lane.notice("the server does not take CRC64 checksums: going on without them");
            continue;
        }
        match retry::next(
            &shared.options.retry,
            &error,
            tries,
            shared.verdict.ever_accepted(),
            fastrand::f64(),
        ) {
            Next::GiveUp => return Err(GaveUp { error: Some(error), tries, stop_job: false }),
            Next::StopJob => return Err(GaveUp { error: Some(error), tries, stop_job: true }),
            Next::After(pause) => {
                add(&counters.retries, 1);
                if matches!(error.class(), azuring_azure::Class::Throttle) {
                    add(&counters.throttled, 1);
                }
                if !pause_for(pause, || shared.verdict.stopping()).await {
                    return Err(GaveUp { error: Some(error), tries, stop_job: false });
                }
            }
        }
    }
}

/// Waits; `false` when the job stopped meanwhile.
async fn pause_for(pause: Duration, stopping: impl Fn() -> bool) -> bool {
    let until = Instant::now() + pause;
    while !stopping() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        tokio::time::sleep(left.min(PAUSE_STEP)).await;
    }
    false
}
