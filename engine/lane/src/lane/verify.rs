//! What was transferred is read back and compared, byte by byte, when the caller asks for it: the file as it is now
//! with the blob as it is now. A few MiB at a time.

use std::ffi::CStr;

use azuring_azure::Which;
use azuring_job::failure::{Failure, FailureKind};
use azuring_link::Payload;
use azuring_ring::{FileRing, OpenFile, SourceDir};

use crate::limits::patience::patiently;
use crate::requests::look::{Agree, Look};
use crate::requests::request::GaveUp;

use super::context::Lane;
use super::read::read_range;

/// Bytes that are compared with one request.
const COMPARED_BYTES: u64 = 4 << 20;

pub(crate) fn differs(object: &str) -> Box<Failure> {
    let text = "read back and compared, the blob and the file are not the same";
    let failure = Failure::new(FailureKind::Integrity, object, text);
    Box::new(failure.advise(
        "transfer it again when nobody writes to either, and have the network and the disk looked at",
    ))
}

pub(crate) fn not_asked<R: FileRing>(lane: &Lane<R>, gave_up: GaveUp, object: &str) -> Box<Failure> {
    // It was replaced meanwhile, or is gone.
    if gave_up.precondition_failed() || gave_up.not_found() {
        return differs(object);
    }
    let failure = gave_up.for_object(lane.session(), object);
    Box::new(failure.advise("if the credential may write and not read, leave out --verify"))
}

/// Compares a blob with the bytes that were sent as the whole of it.
pub(crate) async fn bytes<R: FileRing>(
    lane: &Lane<R>,
    look: &Look<'_>,
    payload: &Payload,
    object: &str,
) -> Result<(), Box<Failure>> {
    let there = look.facts().await.map_err(|gave_up| not_asked(lane, gave_up, object))?;
    let is_same = there.len == payload.len()
        && look
            .has(0, payload, there.etag.as_deref(), Agree::Whole)
            .await
            .map_err(|gave_up| not_asked(lane, gave_up, object))?;
    if is_same { Ok(()) } else { Err(differs(object)) }
}

/// Compares a blob with an open file.
pub(crate) async fn open_file<R: FileRing>(
    lane: &Lane<R>,
    look: &Look<'_>,
    file: &OpenFile,
    object: &str,
) -> Result<(), Box<Failure>> {
    let there = look.facts().await.map_err(|gave_up| not_asked(lane, gave_up, object))?;
    if there.len != file.meta.len {
        return Err(differs(object));
    }
    let mut at = 0;
    while at < there.len {
        let len = COMPARED_BYTES.min(there.len - at);
        let (payload, _) =
            read_range(lane, file, at, len).await.map_err(|error| Failure::read(object, &error))?;
        let has = look.has(at, &payload, there.etag.as_deref(), Agree::Whole).await;
        if !has.map_err(|gave_up| not_asked(lane, gave_up, object))? {
            return Err(differs(object));
        }
        at += len;
    }
    Ok(())
}

/// Compares a blob, or this earlier state of it, with the file that it has become.
pub(crate) async fn named_file<R: FileRing>(
    lane: &Lane<R>,
    (blob, which): (&str, Which<'_>),
    dir: &SourceDir,
    name: &CStr,
    object: &str,
) -> Result<(), Box<Failure>> {
    let file = patiently(lane.links(), async || lane.ring.open(dir, name).await).await;
    let file = file.map_err(|error| Failure::read(object, &error))?;
    open_file(lane, &lane.look_at_source(blob, which), &file, object).await
}
