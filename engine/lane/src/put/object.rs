//! One object of a local source becomes a blob.
//!
//! A small file is read whole and sent as one request; what is larger, or of a type that is written piece by piece, is
//! opened and sent in parts. Block blobs appear when they are complete. Page and append blobs cannot: one that fails is
//! removed again, as long as it is this job's alone.

use std::io;
use std::pin::Pin;
use std::rc::Rc;

use azuring_azure::Crc64;
use azuring_job::choices::BlobTypeChoice;
use azuring_job::entry::Found;
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_link::Payload;
use azuring_plan::blob_type::BlobType;
use azuring_plan::blocks::UploadShape;
use azuring_ring::{FileRing, Loaded, OpenFile, SlotClass};

use crate::lane::context::{Ended, Lane};
use crate::lane::read;
use crate::limits::patience::patiently;
use crate::task::upload::Upload;

use super::place::{Place, metadata_of};
use super::shape::shape;
use super::whole::{self, Verdict};
use super::{append, begin, marks, stream};

/// Uploads one object.
pub(crate) async fn object<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    found: &Found,
) -> Result<Ended, Box<Failure>> {
    match found {
        Found::File(path) => file(lane, task, id, path.as_bytes()).await,
        Found::Link(path) => marks::link(lane, task, id, path.as_bytes()).await,
        Found::Directory(path) | Found::Special(path) => marks::stub(lane, task, id, path.as_bytes()).await,
        Found::Stream => stream::object(lane, task, id, task.origin.stream()).await,
        Found::Blob(_) => unreachable!("the source of an upload is local"),
    }
}

/// Writes a page or append blob. That takes a lot of memory, and is seldom: no part of what each small file has.
fn in_place<'a, R: FileRing>(
    lane: &'a Rc<Lane<R>>,
    task: &'a Upload,
    kind: BlobType,
    place: Place<'a>,
    file: OpenFile,
) -> Pin<Box<dyn Future<Output = Result<Ended, Box<Failure>>> + 'a>> {
    Box::pin(async move {
        match kind {
            BlobType::Append => append::file(lane, task, place.id, &place, file).await,
            _ => begin::pages(lane, task, place.id, place, file).await,
        }
    })
}

async fn file<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    path: &[u8],
) -> Result<Ended, Box<Failure>> {
    let place = Place::new(lane, task, id, path)?;
    let kind = match lane.session().options.blob_type {
        BlobTypeChoice::Detect if lane.to().own().is_some() => BlobType::Block,
        BlobTypeChoice::Detect => BlobType::detect(path),
        BlobTypeChoice::Block => BlobType::Block,
        BlobTypeChoice::Page => BlobType::Page,
        BlobTypeChoice::Append => BlobType::Append,
    };
    if kind != BlobType::Block {
        let opened =
            patiently(lane.links(), async || lane.ring.open(&task.origin.tree().root, &place.c_path).await)
                .await;
        let file = opened.map_err(|error| place.not_read(&error))?;
        return in_place(lane, task, kind, place, file).await;
    }
    let loaded = patiently(lane.links(), async || {
        let lease = lane.pool.acquire_one(SlotClass::Small).await?;
        lane.ring.load(&task.origin.tree().root, &place.c_path, lease).await
    });
    match loaded.await.map_err(|error| place.not_read(&error))? {
        Loaded::Whole(lease, meta) => {
            let payload = Payload::from(lease.freeze());
            let crc64 = lane.session().options.crc64.then(|| Crc64::of(&payload));
            let metadata = match lane.session().options.preserve_posix {
                Some(style) => marks::of_file(&task.origin.tree().root, &place, &meta)?.to_metadata(style),
                None => Vec::new(),
            };
            whole::Whole {
                payload,
                crc64,
                mtime_ns: meta.mtime_ns,
                content: None,
                metadata,
                md5: None,
                tier: None,
                tags: &[],
            }
            .send(lane, &place)
            .await
        }
        Loaded::Larger(lease, file) => {
            drop(lease);
            larger(lane, task, id, place, file).await
        }
    }
}

async fn larger<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    place: Place<'_>,
    file: OpenFile,
) -> Result<Ended, Box<Failure>> {
    let (rules, len) = (&lane.session().options.blocks, file.meta.len);
    match shape(lane.to(), rules, len, &place.object())? {
        UploadShape::PutBlob => {
            let (len, mtime_ns) = (file.meta.len, file.meta.mtime_ns);
            // Asked before it is read.
            let verdict = whole::verdict(lane, &place, mtime_ns, len).await?;
            if let Verdict::Keep { kind, there } = &verdict
                && !(there.len == len && lane.shared.is_recent(id, there))
            {
                return Ok(Ended::Skipped(*kind));
            }
            let not_read = |error: io::Error| place.not_read(&error);
            let metadata = metadata_of(lane, &place, &file)?;
            let (payload, crc64) = read::read_range(lane, &file, 0, len).await.map_err(not_read)?;
            file.check_unchanged().map_err(not_read)?;
            let whole = whole::Whole {
                payload,
                crc64,
                mtime_ns,
                content: None,
                metadata,
                md5: None,
                tier: None,
                tags: &[],
            };
            match verdict {
                Verdict::Write { only_new } => whole.put(lane, &place, only_new).await,
                Verdict::Keep { kind, there } => whole.kept(lane, &place, kind, &there).await,
            }
        }
        UploadShape::Blocks { block_size, count } => {
            begin::blocks(lane, task, id, place, file, block_size, count).await
        }
    }
}
