//! A blob that is read in ranges, by all lanes together.

use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::{BlobFacts, BlobType};
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::name::encode_path;
use azuring_ring::{FileRing, NewFile};
use md5::Md5;
use tokio::sync::OwnedSemaphorePermit;

use crate::driver::{self, InPieces, drive};
use crate::in_order::{InOrder, ReadAgain};
use crate::lane::{Ended, Lane};
use crate::pieces::Pieces;
use crate::queue::Large;

use super::one::{anew, changed, verified, waits_for_peace};
use super::{Download, Parts, Target, finish, holes, receive, resume};

/// What the lanes share about one large blob.
pub(crate) struct LargeBlob {
    pub(crate) item: BlobItem,
    pub(crate) target: Target,
    pub(crate) object: String,
    /// The blob's name, percent-encoded.
    blob: String,
    /// Every range is of the state that these tell of.
    pub(crate) facts: BlobFacts,
    pub(crate) ranges: Pieces,
    /// How often the blob was found changed before.
    changes: u32,
    /// It was found changed since.
    is_changed: AtomicBool,
    /// `None` when nothing is kept.
    file: Option<NewFile>,
    /// The checksum of the whole, where it is compared.
    md5: Option<InOrder<Md5>>,
    /// Where the bytes go in order, instead of to a file.
    pipe: Option<InOrder<Box<dyn Write + Send>>>,
}

impl std::fmt::Debug for LargeBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeBlob").field("object", &self.object).finish_non_exhaustive()
    }
}

/// Makes the file and reads the ranges, with the other lanes' help.
pub(super) async fn begin<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    item: &BlobItem,
    target: Target,
    facts: BlobFacts,
    changes: u32,
) -> Result<Ended, Box<Failure>> {
    let object = item.object();
    let too_large = || {
        let text = format!("{} bytes in ranges of {} are too many ranges", facts.len, task.range_bytes);
        Box::new(Failure::new(FailureKind::Limit, &object, text).advise("raise --block-size-mb"))
    };
    let count = u32::try_from(facts.len.div_ceil(task.range_bytes)).map_err(|_| too_large())?;
    let turn = if finish::md5_wanted(lane.session(), &facts, &object, lane.sender().notice)? {
        Some(lane.turn_to_sum().await)
    } else {
        None
    };
    let ranges = Pieces::new(facts.len, task.range_bytes, count);
    let Some((file, ranges)) = resume::file(lane, task, &target, &facts, &object, ranges).await? else {
        return Ok(Ended::Done { bytes: facts.len });
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
    // See `in_order`: what cannot be read again stays in one lane.
    let alone = file.is_none() && (md5.is_some() || pipe.is_some());
    let large = Arc::new(LargeBlob {
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
    });
    if let Some(md5) = &large.md5 {
        large.ranges.done_before().for_each(|(at, len)| md5.take_from_disk(at, len));
    }
    driver::begin(lane, &large.ranges);
    if large.ranges.is_complete() {
        complete(lane, task, &large).await;
        return Ok(Ended::Elsewhere);
    }
    if !alone {
        lane.offer(&Large::Down(Arc::clone(&large)), count);
    }
    help(lane, task, large).await;
    Ok(Ended::Elsewhere)
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

/// Reads ranges of `large`; completes the file if this lane reports the last one.
pub(crate) async fn help<R: FileRing>(lane: &Rc<Lane<R>>, task: &Download, large: Arc<LargeBlob>) {
    if drive(lane, &large).await {
        complete(lane, task, &large).await;
    }
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
    parts: Parts,
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

/// Records a range that is in the file.
fn record<R: FileRing>(lane: &Lane<R>, large: &LargeBlob, range: u32) -> Result<(), Box<Failure>> {
    match &lane.shared.durable {
        Some(durable) if large.file.is_some() => {
            let recorded = durable.piece(large.target.id, range);
            recorded.map_err(|failure| lane.shared.broken(&failure, &large.object))
        }
        _ => Ok(()),
    }
}

async fn complete<R: FileRing>(lane: &Rc<Lane<R>>, task: &Download, large: &Arc<LargeBlob>) {
    let mut result = finish::large(lane, task, large).await;
    if result.is_ok() {
        let blob = (&large.blob[..], large.item.which());
        result = verified(lane, blob, &large.target, &large.object).await;
    }
    if let Some(md5) = &large.md5 {
        md5.close();
    }
    if let Some(pipe) = &large.pipe {
        pipe.close();
    }
    let is_changed = large.is_changed.load(Ordering::SeqCst);
    let item = BlobItem {
        entry: large.item.entry.clone(),
        relative_at: large.item.relative_at,
        // Whoever tries it again asks what it is now.
        known: if is_changed { Known::Before } else { large.item.known },
    };
    let id = large.target.id;
    let mut ended = result.map(|()| Ended::Done { bytes: large.facts.len });
    // Nothing of it had come: what it is now counts, as of a small blob.
    if is_changed && large.pipe.is_none() && !large.ranges.is_begun() {
        let changes = large.changes + 1;
        if waits_for_peace(lane, changes).await {
            ended = Box::pin(anew(lane, task, id, &item, changes)).await;
        }
    }
    lane.finish(id, Found::Blob(Box::new(item)), ended);
}

impl LargeBlob {
    /// The file, if it is kept.
    pub(crate) fn file(&self) -> Option<&NewFile> {
        self.file.as_ref()
    }

    /// Waits until everything is in the pipe, if there is one.
    ///
    /// # Errors
    /// When its reader has gone away, and the like.
    pub(crate) async fn piped(&self) -> std::io::Result<()> {
        match &self.pipe {
            Some(pipe) => pipe.finish().await,
            None => Ok(()),
        }
    }

    /// The MD5 of all bytes, once every range is there; `None` where nobody compares it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn md5(&self) -> std::io::Result<Option<[u8; 16]>> {
        match &self.md5 {
            Some(md5) => md5.finish().await.map(Some),
            None => Ok(None),
        }
    }
}
