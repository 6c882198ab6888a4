//! The MD5 of a file that is sent in parts.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use azuring_azure::Body;
use azuring_job::end_error::EndError;
use azuring_ring::{FileRing, OpenFile};
use bytes::Bytes;
use md5::Md5;

use crate::lane::context::Lane;
use crate::object::in_order::{InOrder, ReadAgain};
use crate::requests::request::{Begin, GaveUp, request};
use crate::task::upload::Upload;

/// Begins to sum up a file, if that is wanted, when it is its turn.
pub(super) async fn start<R: FileRing>(
    lane: &Lane<R>,
    task: &Upload,
    file: &OpenFile,
) -> io::Result<Option<InOrder<Md5>>> {
    if !lane.session().options.put_md5 {
        return Ok(None);
    }
    let turn = lane.turn_to_sum().await;
    let again = std::fs::File::from(file.as_fd().try_clone_to_owned()?);
    let read_again: ReadAgain = Box::new(move |out, at| again.read_exact_at(out, at));
    InOrder::md5(Some(read_again), &task.held, turn).map(Some)
}

/// Hands over the parts that begin at `offset`. What goes wrong is told when the sum is asked for.
pub(super) fn take(md5: Option<&InOrder<Md5>>, mut offset: u64, parts: &[Bytes]) {
    let Some(md5) = md5 else { return };
    for part in parts {
        md5.take(offset, part.clone());
        offset += part.len() as u64;
    }
}

/// Stores the MD5 of a blob that is complete.
pub(super) async fn set<R: FileRing>(lane: &Lane<R>, blob: &str, body: Body<'_>) -> Result<(), GaveUp> {
    let set = async |_| Ok::<_, EndError>(lane.to().blob()?.set_properties(blob, body).await?);
    request(&lane.writing(), 0, Begin::Always, set).await.map(drop)
}
