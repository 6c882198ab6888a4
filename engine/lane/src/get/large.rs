//! A blob that is read in ranges, by all lanes together.

use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::{BlobFacts, BlobType};
use azuring_job::entry::{BlobItem, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::name::encode_path;
use azuring_ring::{FileRing, Lease, NewFile};
use md5::Md5;
use tokio::sync::OwnedSemaphorePermit;

use crate::lane::context::Lane;
use crate::lane::driver::{self, InPieces};
use crate::object::blob::LargeBlob;
use crate::object::in_order::{InOrder, ReadAgain};
use crate::object::pieces::Pieces;
use crate::object::target::Target;
use crate::requests::request::Begin;
use crate::task::download::Download;

use super::{file, holes, receive, resume};

/// Makes the file of a blob, of which nobody else knows yet; `None`: an earlier run has completed it.
pub(super) async fn begin<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    item: &BlobItem,
    target: Target,
    facts: BlobFacts,
    changes: u32,
) -> Result<Option<LargeBlob>, Box<Failure>> {
    let object = item.object();
    let too_large = || {
        let text = format!("{} bytes in ranges of {} are too many ranges", facts.len, task.range_bytes);
        Box::new(Failure::new(FailureKind::Limit, &object, text).advise_anew("raise --block-size-mb"))
    };
    let count = u32::try_from(facts.len.div_ceil(task.range_bytes)).map_err(|_| too_large())?;
    let turn = if file::md5_wanted(lane.session(), &facts, &object, |text: &str| lane.notice(text))? {
        Some(lane.turn_to_sum().await)
    } else {
        None
    };
    let ranges = Pieces::new(facts.len, task.range_bytes, count);
    let Some((file, ranges)) = resume::file(lane, task, &target, &facts, &object, ranges).await? else {
        return Ok(None);
    };
    let blob = encode_path(&item.entry.name);
    let ranges = if file.is_some() && facts.blob_type == BlobType::Page {
        holes::without(lane, (&blob, item.which()), &facts, ranges).await
    } else {
        ranges
    };
    let started = start_consumers(task, turn, file.as_ref(), &object);
    let (md5, pipe) = match (started, &target.names) {
        (Ok(started), _) => started,
        (Err(failure), names) => {
            if let Some(names) = names {
                lane.ring.discard(names.clone()).await;
            }
            return Err(failure);
        }
    };
    let large = LargeBlob {
        item: BlobItem {
            entry: item.entry.clone(),
            relative_at: item.relative_at,
            known: if item.known == Known::Version { Known::Version } else { Known::Listed },
        },
        target,
        object,
        blob,
        ranges,
        changes,
        is_changed: AtomicBool::new(false),
        facts,
        file,
        md5,
        pipe,
    };
    if let Some(md5) = &large.md5 {
        large.ranges.done_before().for_each(|(at, len)| md5.take_from_disk(at, len));
    }
    driver::begin(lane, &large.ranges);
    Ok(Some(large))
}

type Consumers = (Option<InOrder<Md5>>, Option<InOrder<Box<dyn Write + Send>>>);

/// Starts what wants the bytes in order; `turn`: to sum them up, where that is wanted.
fn start_consumers(
    task: &Download,
    turn: Option<OwnedSemaphorePermit>,
    file: Option<&NewFile>,
    object: &str,
) -> Result<Consumers, Box<Failure>> {
    let refused = |error: std::io::Error| Failure::write(object, &error);
    let md5 = if let Some(turn) = turn {
        let file = file.cloned();
        let read_again =
            file.map(|file| -> ReadAgain { Box::new(move |out, at| file.read_exact_at(out, at)) });
        Some(InOrder::md5(read_again, &task.held, turn).map_err(refused)?)
    } else {
        None
    };
    let pipe = match task.pipe() {
        Some(pipe) => Some(InOrder::start(pipe, None, &task.held, None).map_err(refused)?),
        None => None,
    };
    Ok((md5, pipe))
}

impl<R: FileRing> InPieces<R> for Arc<LargeBlob> {
    fn pieces(&self) -> &Pieces {
        &self.ranges
    }

    fn object(&self) -> String {
        self.object.clone()
    }

    async fn piece(&self, lane: &Lane<R>, n: u32) -> Result<(), Box<Failure>> {
        let (offset, len) = self.ranges.range(n);
        let wanted = receive::Range {
            blob: &self.blob,
            which: self.item.which(),
            etag: self.facts.etag.as_deref(),
            offset,
            len,
            whole: Some(self.facts.len),
            relays: false,
            begin: Begin::UnlessStopping,
        };
        let received = receive::range(lane, &wanted).await.map_err(|failed| match failed {
            receive::NotReceived::Request(gave_up) if gave_up.precondition_failed() => {
                self.is_changed.store(true, Ordering::SeqCst);
                changed(&self.object)
            }
            failed => failed.for_object(lane.session(), &self.object),
        })?;
        keep(lane, self, offset, received.parts).await?;
        record(lane, self, n)
    }
}

/// Writes the bytes of a range to their place, from `offset` on.
async fn keep<R: FileRing>(
    lane: &Lane<R>,
    large: &LargeBlob,
    mut offset: u64,
    parts: Vec<Lease>,
) -> Result<(), Box<Failure>> {
    for part in parts {
        let at = offset;
        offset += part.len() as u64;
        let part = match &large.file {
            Some(file) => {
                let wrote = lane.ring.write_at(file, part, at).await;
                wrote.map_err(|error| Failure::write(&large.object, &error))?
            }
            None => part,
        };
        let part = part.freeze();
        // Whoever has failed says why at the end.
        let goes_on = large.pipe.as_ref().is_none_or(|pipe| pipe.take(at, part.clone()))
            && large.md5.as_ref().is_none_or(|md5| md5.take(at, part));
        if !goes_on {
            let text = "what comes after was not read";
            return Err(Box::new(Failure::new(FailureKind::Destination, &large.object, text)));
        }
    }
    Ok(())
}

fn record<R: FileRing>(lane: &Lane<R>, large: &LargeBlob, range: u32) -> Result<(), Box<Failure>> {
    match &lane.shared.durable {
        Some(durable) if large.file.is_some() => {
            let recorded = durable.piece(large.target.id, range);
            recorded.map_err(|failure| lane.shared.broken(&failure, &large.object))
        }
        _ => Ok(()),
    }
}

/// Completes the file of a blob whose ranges are all reported, or says why there is none.
pub(super) async fn complete<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    large: &LargeBlob,
) -> Result<(), Box<Failure>> {
    let mut result = file::large(lane, task, large).await;
    if result.is_ok() {
        let blob = (&large.blob[..], large.item.which());
        result = file::verified(lane, blob, &large.target, &large.object).await;
    }
    if let Some(md5) = &large.md5 {
        md5.close();
    }
    if let Some(pipe) = &large.pipe {
        pipe.close();
    }
    result
}

/// Why an object is not read that needs several requests.
pub(crate) fn without_etag(object: &str) -> Box<Failure> {
    let text = "the answers have no ETag, and the blob needs several: they could be of different states";
    let advice = "raise --block-size-mb above its length, or have the gateway in between pass ETags on";
    Box::new(Failure::new(FailureKind::Service, object, text).advise(advice))
}

/// Why a blob was not downloaded that somebody writes to.
pub(super) fn changed(object: &str) -> Box<Failure> {
    let text = "the blob was changed while it was downloaded";
    let failure = Failure::new(FailureKind::Source, object, text);
    Box::new(failure.advise("run the job again when nobody writes to it"))
}
