//! One object of a local source becomes a blob.
//!
//! A small file is read whole and sent as one request; what is larger, or of a type that is written piece by piece, is
//! opened and sent in parts. Block blobs appear when they are complete. Page and append blobs cannot: one that fails is
//! removed again, as long as it is this job's alone.

mod append;
mod blocks;
mod hold;
mod large;
mod look;
mod marks;
mod pages;
mod put;
mod read;
mod resume;
mod stream;
mod visible;

use std::ffi::CString;
use std::io;
use std::rc::Rc;

use azuring_azure::Crc64;
use azuring_job::choices::BlobTypeChoice;
use azuring_job::entry::Found;
use azuring_job::failure::Failure;
use azuring_job::options::ContentTypePolicy;
use azuring_job::outcome::TransferId;
use azuring_link::Payload;
use azuring_plan::blob_type::BlobType;
use azuring_plan::blocks::UploadShape;
use azuring_plan::name::{encode_path, escape};
use azuring_ring::{FileRing, Loaded, OpenFile, SlotClass};

use crate::lane::{Ended, Lane};
use crate::patience::patiently;
use crate::task::Upload;

pub(crate) use large::{LargeFile, help};
pub use look::{Agree, Look};
use put::Verdict;
pub(crate) use read::read_range;
pub use stream::Stream;

/// An object and its blob.
struct Place<'a> {
    /// Which transfer it is.
    id: TransferId,
    /// The path below the source.
    path: &'a [u8],
    /// The same for the kernel.
    c_path: CString,
    /// The blob's name.
    name: String,
    /// The same, percent-encoded.
    blob: String,
}

impl<'a> Place<'a> {
    fn new<R: FileRing>(
        lane: &Lane<R>,
        task: &Upload,
        id: TransferId,
        path: &'a [u8],
    ) -> Result<Self, Box<Failure>> {
        let object = || escape(path);
        let mut name =
            task.origin.tree().naming.blob_name_for(path).map_err(|e| Failure::name(&object(), &e))?;
        if path.is_empty() {
            // The source itself, for its stub: what the names below it begin with, without the slash between.
            name.truncate(name.strip_suffix('/').unwrap_or(&name).len());
        }
        if let Some(stored) = lane.session().target.url().takes_for(&name) {
            return Err(Box::new(Failure::other_name(&object(), &stored).advise("rename the file")));
        }
        let blob = encode_path(&name);
        let in_root: &[u8] = if path.is_empty() { b"." } else { path };
        let c_path = CString::new(in_root).expect("a path from the file system has no NUL");
        Ok(Self { id, path, c_path, name, blob })
    }

    /// The object's name in messages.
    fn object(&self) -> String {
        escape(self.path)
    }

    fn not_read(&self, error: &io::Error) -> Box<Failure> {
        Box::new(Failure::read(&self.object(), error))
    }
}

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
        Found::Stream => stream::object(lane, task.origin.stream()).await,
        Found::Blob(_) => unreachable!("the source of an upload is local"),
    }
}

async fn file<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    path: &[u8],
) -> Result<Ended, Box<Failure>> {
    let place = Place::new(lane, task, id, path)?;
    let kind = match lane.session().options.blob_type {
        BlobTypeChoice::Detect => BlobType::detect(path),
        BlobTypeChoice::Block => BlobType::Block,
        BlobTypeChoice::Page => BlobType::Page,
        BlobTypeChoice::Append => BlobType::Append,
    };
    if kind != BlobType::Block {
        let opened = patiently(lane.client.links(), async || {
            lane.ring.open(&task.origin.tree().root, &place.c_path).await
        })
        .await;
        let file = opened.map_err(|error| place.not_read(&error))?;
        return match kind {
            BlobType::Append => append::file(lane, task, id, &place, file).await,
            _ => pages::file(lane, task, id, place, file).await,
        };
    }
    let loaded = patiently(lane.client.links(), async || {
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
            put::Whole { payload, crc64, mtime_ns: meta.mtime_ns, metadata, sniff: true }
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
    let shape = lane.session().options.blocks.shape(file.meta.len);
    match shape.map_err(|error| Failure::plan(&place.object(), &error))? {
        UploadShape::PutBlob => {
            let (len, mtime_ns) = (file.meta.len, file.meta.mtime_ns);
            // Asked before it is read.
            let verdict = put::verdict(lane, &place, mtime_ns, len).await?;
            if let Verdict::Keep { kind, there } = &verdict
                && !(there.len == len && look::is_recent(&lane.shared, id, there))
            {
                return Ok(Ended::Skipped(*kind));
            }
            let not_read = |error: io::Error| place.not_read(&error);
            let metadata = metadata_of(lane, &place, &file)?;
            let (payload, crc64) = read::read_range(lane, &file, 0, len).await.map_err(not_read)?;
            file.check_unchanged().map_err(not_read)?;
            let whole = put::Whole { payload, crc64, mtime_ns, metadata, sniff: true };
            match verdict {
                Verdict::Write { only_new } => whole.put(lane, &place, only_new).await,
                Verdict::Keep { kind, there } => whole.kept(lane, &place, kind, &there).await,
            }
        }
        UploadShape::Blocks { block_size, count } => {
            blocks::file(lane, task, id, place, file, block_size, count).await
        }
    }
}

/// What an open file's blob is given as metadata of its own.
fn metadata_of<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    file: &OpenFile,
) -> Result<Vec<(String, String)>, Box<Failure>> {
    let Some(style) = lane.session().options.preserve_posix else { return Ok(Vec::new()) };
    let properties = azuring_local::read_posix(file).map_err(|error| place.not_read(&error))?;
    Ok(properties.to_metadata(style))
}

/// The content type of a file whose first bytes are `first`.
fn content_type<'a>(policy: &'a ContentTypePolicy, path: &[u8], first: &[u8]) -> Option<&'a str> {
    match policy {
        ContentTypePolicy::Guess(types) => Some(types.guess(path, first)),
        ContentTypePolicy::Fixed(fixed) => Some(fixed),
        ContentTypePolicy::None => None,
    }
}

/// The first piece of a payload.
fn first_of(payload: &Payload) -> &[u8] {
    payload.parts().first().map_or(&[][..], |part| &part[..])
}
