//! One file from disk to blob.

mod large;

use std::ffi::CString;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use azuring_azure::{Body, Crc64, Crc64Digest};
use azuring_link::Payload;
use azuring_local::RelPath;
use azuring_plan::blocks::UploadShape;
use azuring_plan::name::{encode_path, escape, stored_as};
use azuring_ring::{BLOCK_SLOT_BYTES, FileRing, Loaded, OpenFile, SlotClass, SourceDir};
use tokio::task::JoinSet;

use crate::collector::add;
use crate::failure::{Failure, FailureKind};
use crate::lane::{Ended, Lane};
use crate::options::ContentTypePolicy;
use crate::outcome::TransferId;
use crate::pieces::Pieces;
use crate::queue::Large;
use crate::request::{Begin, PAUSE_STEP, request};
use crate::task::{Found, Upload};

pub(crate) use large::LargeFile;

/// Uploads one file.
pub(crate) async fn file<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    path: &[u8],
) -> Result<Ended, Box<Failure>> {
    let object = || escape(path);
    let name = task.naming.blob_name_for(path).map_err(|e| Failure::name(&object(), &e))?;
    let stored = stored_as(&name);
    if lane.session().is_service() && stored != name {
        let text = format!("the service would store this name as `{stored}`, which may be another file's");
        return Err(Box::new(Failure::new(FailureKind::Name, &object(), text).advise("rename the file")));
    }
    let blob = encode_path(&name);
    let c_path = CString::new(path).expect("a path from the file system has no NUL");

    let read = |e: io::Error| Box::new(Failure::read(&object(), &e));
    let lease = lane.pool.acquire_one(SlotClass::Small).await.map_err(read)?;
    let loaded = match lane.ring.load(&task.root, &c_path, lease).await {
        // Other files will be closed: wait for that instead of failing this one.
        Err(error) if is_out_of_descriptors(&error) => load_patiently(lane, &task.root, &c_path).await,
        loaded => loaded,
    };
    let file = match loaded.map_err(read)? {
        Loaded::Whole(lease, meta) => {
            let payload = Payload::from(lease.freeze());
            let crc64 = lane.session().options.crc64.then(|| Crc64::of(&payload));
            put_blob(lane, path, &blob, payload, crc64).await?;
            return Ok(Ended::Done { bytes: meta.len });
        }
        Loaded::Larger(_, file) => file,
    };
    match lane.session().options.blocks.shape(file.meta.len).map_err(|e| Failure::plan(&object(), &e))? {
        UploadShape::PutBlob => {
            let (payload, crc64) = read_range(lane, &file, 0, file.meta.len).await.map_err(read)?;
            file.check_unchanged().map_err(read)?;
            put_blob(lane, path, &blob, payload, crc64).await?;
            Ok(Ended::Done { bytes: file.meta.len })
        }
        UploadShape::Blocks { block_size, count } => {
            let large = Arc::new(LargeFile {
                id,
                job: lane.shared.id,
                object: object(),
                path: c_path,
                blob,
                meta: file.meta,
                blocks: Pieces::new(file.meta.len, block_size, count),
                content_type: OnceLock::new(),
            });
            add(&lane.counters().large_begun, large.meta.len);
            lane.offer(&Large::Up(Arc::clone(&large)), count);
            send_blocks(lane, &large, file).await;
            Ok(Ended::Elsewhere)
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

async fn load_patiently<R: FileRing>(lane: &Lane<R>, root: &SourceDir, path: &CString) -> io::Result<Loaded> {
    let mut tries = 0;
    loop {
        tokio::time::sleep(PAUSE_STEP).await;
        let lease = lane.pool.acquire_one(SlotClass::Small).await?;
        match lane.ring.load(root, path, lease).await {
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
    let content_type = content_type(&lane.session().options.content_type, path, first);
    let bytes = payload.len();
    request(&lane.sender(), bytes, Begin::UnlessStopping, async |with_crc64| {
        let crc64 = crc64.filter(|_| with_crc64);
        let body = Body { content_type, crc64, ..Body::default() };
        lane.client.put_blob(blob, payload.clone(), body).await
    })
    .await
    .map_err(|gave_up| gave_up.for_object(lane.session(), &escape(path)))?;
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
/// Sends blocks of a large file that another lane has begun.
pub(crate) async fn help<R: FileRing>(lane: &Rc<Lane<R>>, task: &Upload, large: &Arc<LargeFile>) {
    // Where it cannot be opened any more, the lane that began it has it open and goes on.
    if let Ok(open) = lane.ring.open(&task.root, &large.path).await {
        send_blocks(lane, large, open).await;
    }
}

async fn send_blocks<R: FileRing>(lane: &Rc<Lane<R>>, large: &Arc<LargeFile>, file: OpenFile) {
    if !file.meta.same_content(&large.meta) {
        let other = io::Error::other("the file was replaced or modified while it was read");
        large.blocks.lose(Failure::read(&large.object, &other));
    }
    let file = Rc::new(file);
    let mut tasks = JoinSet::new();
    let mut last = false;
    loop {
        // One block at least, so that no file waits for the others of its lane.
        while (tasks.is_empty() || lane.has_room_for_block())
            && let Some(block) = large.blocks.claim()
        {
            lane.blocks().update(|blocks| blocks + 1);
            let (lane, large, file) = (Rc::clone(lane), Arc::clone(large), Rc::clone(&file));
            tasks.spawn_local(async move {
                if !large.blocks.is_lost() {
                    if lane.session().verdict.stopping() {
                        large.blocks.lose(Failure::interrupted(&large.object));
                    } else if let Err(failure) = send_block(&lane, &large, &file, block).await {
                        large.blocks.lose(*failure);
                    }
                }
                lane.blocks().update(|blocks| blocks - 1);
                add(&lane.counters().large_ended, large.blocks.range(block).1);
                large.blocks.report()
            });
        }
        match tasks.join_next().await {
            None => break,
            Some(Ok(was_last)) => {
                last |= was_last;
                lane.sample_window(large.blocks.size);
            }
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    if last {
        let result = commit(lane, large, &file).await;
        let bytes = large.meta.len;
        lane.finish(
            large.id,
            Found::File(RelPath::new(large.path.as_bytes())),
            result.map(|()| Ended::Done { bytes }),
        );
    }
}

async fn send_block<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeFile,
    file: &OpenFile,
    block: u32,
) -> Result<(), Box<Failure>> {
    let (offset, len) = large.blocks.range(block);
    let (payload, crc64) =
        read_range(lane, file, offset, len).await.map_err(|error| Failure::read(&large.object, &error))?;
    if block == 0 {
        let first = payload.parts().first().map_or(&[][..], |part| &part[..]);
        let found = content_type(&lane.session().options.content_type, large.path.as_bytes(), first);
        large.content_type.get_or_init(|| found.map(str::to_owned));
    }
    let id = large.block_id(block);
    request(&lane.sender(), len, Begin::UnlessStopping, async |with_crc64| {
        let body = Body { crc64: crc64.filter(|_| with_crc64), ..Body::default() };
        lane.client.put_block(&large.blob, &id, payload.clone(), body).await
    })
    .await
    .map_err(|gave_up| gave_up.for_object(lane.session(), &large.object))?;
    add(&lane.counters().bytes, len);
    Ok(())
}

async fn commit<R: FileRing>(lane: &Lane<R>, large: &LargeFile, file: &OpenFile) -> Result<(), Box<Failure>> {
    if let Some(failure) = large.blocks.take_failure() {
        return Err(Box::new(failure));
    }
    file.check_unchanged().map_err(|error| Failure::read(&large.object, &error))?;
    let content_type = large.content_type.get().and_then(Option::as_deref);
    // Also while the job stops: everything is there but the list.
    request(&lane.sender(), 0, Begin::Always, async |with_crc64| {
        let ids = (0..large.blocks.count).map(|block| large.block_id(block));
        let body = Body { content_type, ..Body::default() };
        lane.client.put_block_list(&large.blob, ids, body, with_crc64).await
    })
    .await
    .map_err(|gave_up| gave_up.for_object(lane.session(), &large.object))
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
    let mut crc64 = lane.session().options.crc64.then(Crc64Digest::new);
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
