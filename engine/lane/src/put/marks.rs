//! What is no file and becomes a blob all the same: symbolic links, directories, pipes, sockets and devices; and the
//! POSIX properties of everything.

use std::rc::Rc;

use azuring_azure::Crc64;
use azuring_job::failure::Failure;
use azuring_job::outcome::TransferId;
use azuring_link::Payload;
use azuring_plan::posix::{PosixProperties, PosixType};
use azuring_ring::{FileMeta, FileRing, SourceDir};
use bytes::Bytes;
use rustix::fs::{Mode, OFlags};

use crate::lane::context::{Ended, Lane};
use crate::task::upload::Upload;

use super::place::Place;
use super::whole;

/// A symbolic link: its blob holds the path that it holds.
pub(super) async fn link<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    path: &[u8],
) -> Result<Ended, Box<Failure>> {
    let place = Place::new(lane, task, id, path)?;
    let text = rustix::fs::readlinkat(&task.origin.tree().root, &*place.c_path, Vec::new());
    let text = text.map_err(|error| place.not_read(&error.into()))?;
    marked(lane, task, &place, Bytes::from(text.into_bytes()), PosixType::Symlink).await
}

/// A directory, or a file that has no content: a blob without bytes.
pub(super) async fn stub<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    path: &[u8],
) -> Result<Ended, Box<Failure>> {
    let place = Place::new(lane, task, id, path)?;
    marked(lane, task, &place, Bytes::new(), PosixType::Directory).await
}

/// Sends a blob whose metadata says what it stands for: `kind`, unless its properties are wanted and know better.
async fn marked<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    place: &Place<'_>,
    content: Bytes,
    kind: PosixType,
) -> Result<Ended, Box<Failure>> {
    let found = properties(&task.origin.tree().root, place, OFlags::NOFOLLOW)?;
    let metadata = match lane.session().options.preserve_posix {
        Some(style) => found.to_metadata(style),
        None => PosixProperties { kind: Some(kind), ..PosixProperties::default() }
            .to_metadata(azuring_plan::posix::PosixStyle::Standard),
    };
    let payload = Payload::from(content);
    let crc64 = lane.session().options.crc64.then(|| Crc64::of(&payload));
    let mtime_ns = found.mtime_ns.unwrap_or_default();
    whole::Whole { payload, crc64, mtime_ns, content: None, metadata, md5: None, tier: None, tags: &[] }
        .send(lane, place)
        .await
}

/// The properties of a file that was read and closed, as long as it is still the same.
pub(super) fn of_file(
    root: &SourceDir,
    place: &Place<'_>,
    meta: &FileMeta,
) -> Result<PosixProperties, Box<Failure>> {
    let follow = if root.follows_links() { OFlags::empty() } else { OFlags::NOFOLLOW };
    let found = properties(root, place, follow)?;
    if found.dev.zip(found.ino) != Some(meta.identity) || found.mtime_ns != Some(meta.mtime_ns) {
        let other = std::io::Error::other("the file was replaced or modified while it was read");
        return Err(place.not_read(&other));
    }
    Ok(found)
}

fn properties(root: &SourceDir, place: &Place<'_>, follow: OFlags) -> Result<PosixProperties, Box<Failure>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | follow;
    let opened = rustix::fs::openat(root, &*place.c_path, flags, Mode::empty());
    let opened = opened.map_err(|error| place.not_read(&error.into()))?;
    azuring_local::read_posix(opened).map_err(|error| place.not_read(&error))
}
