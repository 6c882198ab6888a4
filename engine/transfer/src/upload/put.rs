//! A blob in one request, and what the blob that is there already means.

use std::rc::Rc;

use azuring_azure::{BlobFacts, Body, Crc64, Which};
use azuring_link::Payload;
use azuring_ring::{FileRing, SMALL_SLOT_BYTES};

use crate::choices::Overwrite;
use crate::collector::add;
use crate::failure::{Failure, FailureKind};
use crate::in_order::md5_of_parts;
use crate::lane::{Ended, Lane};
use crate::options::ContentTypePolicy;
use crate::outcome::{SkippedKind, TransferId};
use crate::request::{Begin, GaveUp, request};
use crate::task::{Upload, blob_url};

use super::{Place, content_type, first_of, resume};

/// Up to this length the bytes are sent at once, on the condition that there is no such blob; before longer ones it is
/// asked first.
const SENT_UNASKED_BYTES: u64 = SMALL_SLOT_BYTES as u64;
/// More than this is summed up by another thread: MD5 does 0.7 GiB/s, and the lane has other requests.
const SUMMED_HERE_BYTES: u64 = 1 << 20;

/// Whether a blob is written.
pub(super) enum Verdict {
    Write {
        /// Only if it is not there by then.
        only_new: bool,
    },
    Keep(SkippedKind),
}

/// Decides whether a blob is written. Asks the service only where the answer depends on it.
pub(super) async fn verdict<R: FileRing>(
    lane: &Lane<R>,
    task: &Upload,
    place: &Place<'_>,
    mtime_ns: i128,
    len: u64,
) -> Result<Verdict, Box<Failure>> {
    let overwrite = &lane.session().options.overwrite;
    let only_new = match overwrite {
        Overwrite::Always => return Ok(Verdict::Write { only_new: false }),
        Overwrite::Never if len <= SENT_UNASKED_BYTES => return Ok(Verdict::Write { only_new: true }),
        Overwrite::Never => true,
        Overwrite::IfSourceNewer | Overwrite::Ask(_) => false,
    };
    let there = match facts(lane, place, Begin::UnlessStopping).await {
        Ok(there) => there,
        Err(gave_up) if gave_up.not_found() => return Ok(Verdict::Write { only_new }),
        Err(gave_up) => return Err(gave_up.for_object(lane.session(), &place.object())),
    };
    let kept = match overwrite {
        Overwrite::Always => None,
        Overwrite::Never => Some(SkippedKind::Exists),
        // AzCopy's rule (`ste/xfer-anyToRemote-file.go`): the file has to be newer than the blob's time, which has
        // whole seconds.
        Overwrite::IfSourceNewer => {
            let modified_ns = i128::from(there.last_modified) * 1_000_000_000;
            (mtime_ns <= modified_ns).then_some(SkippedKind::NotNewer)
        }
        Overwrite::Ask(ask) => {
            let _one = task.asking.lock().expect("nothing panics while the lock is held");
            (!ask(&blob_url(lane.session(), &place.name))).then_some(SkippedKind::Exists)
        }
    };
    Ok(kept.map_or(Verdict::Write { only_new: false }, Verdict::Keep))
}

/// The same for a blob that is visible before it is complete. One that an earlier run of the job has begun is written
/// again; that this run begins one is recorded.
pub(super) async fn verdict_of_visible<R: FileRing>(
    lane: &Lane<R>,
    task: &Upload,
    id: TransferId,
    place: &Place<'_>,
    mtime_ns: i128,
) -> Result<Verdict, Box<Failure>> {
    if resume::is_ours(lane, task, id) {
        return Ok(Verdict::Write { only_new: false });
    }
    let verdict = verdict(lane, task, place, mtime_ns, u64::MAX).await?;
    if let Verdict::Write { only_new } = verdict {
        resume::visible(lane, task, place, only_new).await?;
    }
    Ok(verdict)
}

/// What the service knows of the blob.
pub(super) async fn facts<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    begin: Begin,
) -> Result<BlobFacts, GaveUp> {
    request(&lane.sender(), 0, begin, async |_| lane.client.head_blob(&place.blob, Which::default()).await)
        .await
}

/// What follows when a blob that should be new was not made: it was there, or it is this very one and the answer to an
/// earlier attempt was lost. `md5` is that of a blob whose length says too little.
pub(super) async fn not_made<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    gave_up: GaveUp,
    len: u64,
    md5: Option<[u8; 16]>,
) -> Result<Ended, Box<Failure>> {
    if !gave_up.already_exists() {
        return Err(gave_up.for_object(lane.session(), &place.object()));
    }
    // What an attempt has made that this one knows nothing of is told by more than its length.
    let unknown = md5.is_some() && lane.shared.may_be_done(place.id);
    if (gave_up.maybe_done() || unknown)
        && let Ok(there) = facts(lane, place, Begin::Always).await
        && is_this_one(&there, len, md5)
    {
        return Ok(Ended::Done { bytes: len });
    }
    Ok(Ended::Skipped(SkippedKind::Exists))
}

/// Whether a blob that is there is the one that an attempt may have made. `md5` is that of a blob whose length says too
/// little.
pub(super) fn is_this_one(there: &BlobFacts, len: u64, md5: Option<[u8; 16]>) -> bool {
    there.len == len && (md5.is_none() || there.content_md5 == md5)
}

/// Compares the blob's length with the file's, where nothing has proven it yet.
pub(super) async fn check_length<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    len: u64,
) -> Result<(), Box<Failure>> {
    let session = lane.session();
    // A service that has compared checksums has seen every byte.
    if !session.options.check_length || (session.options.crc64 && session.sends_crc64()) {
        return Ok(());
    }
    let there = facts(lane, place, Begin::Always).await.map_err(|gave_up| {
        let failure = gave_up.for_object(session, &place.object());
        Box::new(failure.advise("if the credential may write and not read, use --check-length=false"))
    })?;
    if there.len == len {
        return Ok(());
    }
    let text = format!("the blob has {} bytes and the file {len}", there.len);
    let failure = Failure::new(FailureKind::Integrity, &place.object(), text);
    Err(Box::new(failure.advise("run the job again when nobody else writes to the blob")))
}

/// A blob that fits into one request.
pub(super) struct Whole {
    pub(super) payload: Payload,
    pub(super) crc64: Option<Crc64>,
    pub(super) mtime_ns: i128,
    /// Its own, beside the job's.
    pub(super) metadata: Vec<(String, String)>,
    /// Whether its bytes and name tell its content type.
    pub(super) sniff: bool,
}

impl Whole {
    /// Sends it if it is to be sent.
    pub(super) async fn send<R: FileRing>(
        &self,
        lane: &Rc<Lane<R>>,
        task: &Upload,
        place: &Place<'_>,
    ) -> Result<Ended, Box<Failure>> {
        match verdict(lane, task, place, self.mtime_ns, self.payload.len()).await? {
            Verdict::Write { only_new } => self.put(lane, place, only_new).await,
            Verdict::Keep(kind) => Ok(Ended::Skipped(kind)),
        }
    }

    /// Sends it.
    pub(super) async fn put<R: FileRing>(
        &self,
        lane: &Lane<R>,
        place: &Place<'_>,
        only_new: bool,
    ) -> Result<Ended, Box<Failure>> {
        let Self { payload, crc64, .. } = self;
        let bytes = payload.len();
        let options = &lane.session().options;
        let content_type = match &options.content_type {
            ContentTypePolicy::Guess(_) if !self.sniff => None,
            policy => content_type(policy, place.path, first_of(payload)),
        };
        let content_md5 = if options.put_md5 { Some(md5_of(payload).await) } else { None };
        let metadata = &self.metadata[..];
        let sent = request(&lane.sender(), bytes, Begin::UnlessStopping, async |with_crc64| {
            let crc64 = crc64.filter(|_| with_crc64);
            let body = Body { content_type, crc64, content_md5, metadata, if_none_match_any: only_new };
            lane.client.put_blob(&place.blob, payload.clone(), body).await
        })
        .await;
        match sent {
            Ok(()) => {}
            Err(gave_up) if only_new => {
                // The service computes the MD5 of what comes in one request.
                let md5 = Some(md5_of(payload).await);
                return not_made(lane, place, gave_up, bytes, md5).await;
            }
            Err(gave_up) => return Err(gave_up.for_object(lane.session(), &place.object())),
        }
        add(&lane.counters().bytes, bytes);
        check_length(lane, place, bytes).await?;
        Ok(Ended::Done { bytes })
    }
}

pub(super) async fn md5_of(payload: &Payload) -> [u8; 16] {
    let sum = |payload: &Payload| md5_of_parts(payload.parts().iter().map(|part| &part[..]));
    if payload.len() <= SUMMED_HERE_BYTES {
        return sum(payload);
    }
    let theirs = payload.clone();
    match tokio::task::spawn_blocking(move || sum(&theirs)).await {
        Ok(sum) => sum,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
