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
use azuring_plan::name::{encode_path, escape, stored_as};
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
                // Nothing of it was sent before the job stopped: it counts as not started.
                Err(failure) if failure.kind == FailureKind::Interrupted && failure.tries == 0 => {}
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
    let stored = stored_as(&name);
    if lane.shared.is_service && stored != name {
        let text = format!("the service would store this name as `{stored}`, which may be another file's");
        return Err(Box::new(Failure::new(FailureKind::Name, &object(), text).advise("rename the file")));
    }
    let blob = encode_path(&name);
    let c_path = CString::new(path).expect("a path from the file system has no NUL");

    let read = |e: io::Error| Box::new(Failure::read(&object(), &e));
    let lease = lane.pool.acquire_one(SlotClass::Small).await.map_err(read)?;
    let loaded = match lane.ring.load(&lane.shared.root, &c_path, lease).await {
        // Other files will be closed: wait for that instead of failing this one.
        Err(error) if is_out_of_descriptors(&error) => load_patiently(lane, &c_path).await,
        loaded => loaded,
    };
    let file = match loaded.map_err(read)? {
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
            file.check_unchanged().map_err(read)?;
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
            add(&lane.counters().large_begun, large.meta.len);
            lane.shared.queue.offer(lane.index(), &large, (lane.lanes() - 1).min(count as usize - 1));
            send_blocks(lane, &large, file).await;
            Ok(Sent::InBlocks)
        }
    }
}

/// Times a file is tried again while the process is out of descriptors, a tenth of a second apart.
const DESCRIPTOR_TRIES: u32 = 300;

fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| {
        use rustix::io::Errno;
        [Errno::MFILE, Errno::NFILE].contains(&Errno::from_raw_os_error(errno))
    })
}

async fn load_patiently<R: FileRing>(lane: &Lane<R>, path: &CString) -> io::Result<Loaded> {
    let mut tries = 0;
    loop {
        tokio::time::sleep(PAUSE_STEP).await;
        let lease = lane.pool.acquire_one(SlotClass::Small).await?;
        match lane.ring.load(&lane.shared.root, path, lease).await {
            Err(error) if is_out_of_descriptors(&error) && tries < DESCRIPTOR_TRIES => tries += 1,
            loaded => return loaded,
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
    request(lane, bytes, Begin::UnlessStopping, async |with_crc64| {
        let body = Body { content_type, crc64: crc64.filter(|_| with_crc64) };
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
    if !file.meta.same_content(&large.meta) {
        let other = io::Error::other("the file was replaced or modified while it was read");
        large.lose(Failure::read(&large.object, &other));
    }
    let file = Rc::new(file);
    let mut tasks = JoinSet::new();
    let mut last = false;
    loop {
        // One block at least, so that no file waits for the others of its lane.
        while (tasks.is_empty() || lane.has_room_for_block())
            && let Some(block) = large.claim()
        {
            lane.blocks().update(|blocks| blocks + 1);
            let (lane, large, file) = (Rc::clone(lane), Arc::clone(large), Rc::clone(&file));
            tasks.spawn_local(async move {
                if !large.is_lost() {
                    if lane.shared.verdict.stopping() {
                        large.lose(Failure::interrupted(&large.object));
                    } else if let Err(failure) = send_block(&lane, &large, &file, block).await {
                        large.lose(*failure);
                    }
                }
                lane.blocks().update(|blocks| blocks - 1);
                add(&lane.counters().large_ended, large.range(block).1);
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
    request(lane, len, Begin::UnlessStopping, async |with_crc64| {
        let body = Body { content_type: None, crc64: crc64.filter(|_| with_crc64) };
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
    file.check_unchanged().map_err(|error| Failure::read(&large.object, &error))?;
    let content_type = large.content_type.get().and_then(Option::as_deref);
    // Also while the job stops: everything is there but the list.
    request(lane, 0, Begin::Always, async |with_crc64| {
        let ids = (0..large.blocks).map(|block| large.block_id(block));
        lane.client.put_block_list(&large.blob, ids, content_type, with_crc64).await
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

/// A request that will not be repeated any more.
struct GaveUp {
    error: Option<RequestError>,
    tries: u32,
    stop_job: bool,
}

impl GaveUp {
    fn for_object<R: FileRing>(self, lane: &Lane<R>, object: &str) -> Box<Failure> {
        let Some(error) = self.error else {
            let mut failure = Failure::interrupted(object);
            failure.tries = self.tries;
            return Box::new(failure);
        };
        let failure = Failure::request(object, &error, self.tries);
        if self.stop_job {
            lane.shared.verdict.fatal(&failure);
        } else if failure.kind == FailureKind::Authentication {
            lane.shared.verdict.refused(&failure);
        }
        Box::new(failure)
    }
}

/// Whether a request is begun while the job stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// Not any more.
    UnlessStopping,
    /// It completes what was begun.
    Always,
}

/// Sends a request until it is accepted, hopeless, or out of attempts. Holds a permit only while it is in flight.
async fn request<R: FileRing>(
    lane: &Lane<R>,
    body_bytes: u64,
    begin: Begin,
    send: impl AsyncFn(bool) -> Result<(), RequestError>,
) -> Result<(), GaveUp> {
    let shared = &lane.shared;
    let counters = lane.counters();
    let mut tries = 0;
    loop {
        let with_crc64 = shared.sends_crc64();
        let attempt = {
            let _permit = lane.permits().acquire().await.expect("the semaphore is never closed");
            if begin == Begin::UnlessStopping && shared.verdict.stopping() {
                return Err(GaveUp { error: None, tries, stop_job: false });
            }
            add(&counters.in_flight, 1);
            add(&counters.requests, 1);
            add(&counters.bytes_sent, body_bytes);
            let begun = Instant::now();
            let attempt = send(with_crc64).await;
            lane.record(begun.elapsed());
            add(&counters.in_flight, 1u64.wrapping_neg());
            attempt
        };
        tries += 1;
        let error = match attempt {
            Ok(()) => {
                shared.verdict.accepted();
                if with_crc64 && !shared.crc64_taken.load(Ordering::Relaxed) {
                    shared.crc64_taken.store(true, Ordering::Relaxed);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        if with_crc64
            && matches!(&error, RequestError::Service(refusal) if refusal.refuses_crc64())
            && !shared.crc64_taken.load(Ordering::Relaxed)
        {
            // Told once; every request that was refused for it goes again without.
            if shared.crc64.swap(false, Ordering::SeqCst) {
                lane.notice("the server does not take CRC64 checksums: going on without them");
            }
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
