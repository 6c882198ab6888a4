//! A blob in one request, and what the blob that is there already means.

use std::rc::Rc;

use azuring_azure::{BlobFacts, Body, Crc64, Which};
use azuring_job::choices::{CheckLength, Overwrite};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::options::ContentTypePolicy;
use azuring_job::outcome::SkippedKind;
use azuring_job::progress::add;
use azuring_link::Payload;
use azuring_ring::{FileRing, SMALL_SLOT_BYTES};
use azuring_store::ContentFacts;

use crate::lane::context::{Ended, Lane};
use crate::lane::verify;
use crate::object::in_order::md5_of_parts;
use crate::requests::look::{Agree, Look};
use crate::requests::request::{Begin, GaveUp, request};
use crate::requests::session::Session;

use super::place::{Place, content_type, first_of};

/// Up to this length the bytes are sent at once, on the condition that there is no such blob; before longer ones it is
/// asked first.
const SENT_UNASKED_BYTES: u64 = SMALL_SLOT_BYTES as u64;
/// More than this is summed up by another thread: MD5 does 0.7 GiB/s, and the lane has other requests.
const SUMMED_HERE_BYTES: u64 = 1 << 20;

/// Whether a blob is written.
pub(crate) enum Verdict {
    Write {
        /// Only if it is not there by then.
        only_new: bool,
    },
    Keep {
        /// Why.
        kind: SkippedKind,
        /// What is there.
        there: Box<BlobFacts>,
    },
}

/// Decides whether a blob is written. Asks the service only where the answer depends on it.
pub(crate) async fn verdict<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    mtime_ns: i128,
    len: u64,
) -> Result<Verdict, Box<Failure>> {
    let overwrite = &lane.session().options.overwrite;
    // A store without this condition can only be asked before: what others write meanwhile is replaced.
    let keeps_new = lane.to().own().is_none_or(|own| own.traits().conditions.only_new);
    let only_new = match overwrite {
        Overwrite::Always => return Ok(Verdict::Write { only_new: false }),
        Overwrite::Never if keeps_new && len <= SENT_UNASKED_BYTES => {
            return Ok(Verdict::Write { only_new: true });
        }
        Overwrite::Never => keeps_new,
        Overwrite::IfSourceNewer | Overwrite::Ask => false,
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
        Overwrite::Ask => {
            let url = lane.session().ends.to().end.url_of(&place.name);
            let replaces = lane.session().replaces(url, &place.object()).await?;
            (!replaces).then_some(SkippedKind::Exists)
        }
    };
    Ok(match kept {
        Some(kind) => Verdict::Keep { kind, there: Box::new(there) },
        None => Verdict::Write { only_new: false },
    })
}

/// What the service knows of the blob.
pub(crate) async fn facts<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    begin: Begin,
) -> Result<BlobFacts, GaveUp> {
    request(&lane.writing(), 0, begin, async |_| lane.to().facts(&place.blob, Which::default()).await).await
}

/// Compares the blob's length with the file's, where nothing has proven it yet or the caller insists.
pub(crate) async fn check_length<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    len: u64,
) -> Result<(), Box<Failure>> {
    if !is_length_checked(lane.session()) {
        return Ok(());
    }
    compare_length(lane, place, len).await
}

/// Compares the length of the blob that is there.
pub(crate) async fn compare_length<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    len: u64,
) -> Result<(), Box<Failure>> {
    let session = lane.session();
    let there = facts(lane, place, Begin::Always).await.map_err(|gave_up| {
        let failure = gave_up.for_object(session, &place.object());
        Box::new(failure.advise("if the credential may write and not read, use --check-length=false"))
    })?;
    if there.len == len {
        return Ok(());
    }
    let source = if place.is_stream { "input had" } else { "file" };
    let text = format!("the blob has {} bytes and the {source} {len}", there.len);
    let failure = Failure::new(FailureKind::Integrity, &place.object(), text);
    Err(Box::new(failure.advise("run the job again when nobody else writes to the blob")))
}

/// Whether lengths are compared. A service that has compared checksums has seen every byte.
pub(crate) fn is_length_checked(session: &Session) -> bool {
    match session.options.check_length {
        CheckLength::Never => false,
        CheckLength::Unproven => !(session.options.crc64 && session.ends.to().sends_crc64()),
        CheckLength::Always => true,
    }
}

/// Whether the blob that is there is the one that an attempt may have made, whose answer was lost or which could not be
/// recorded: one of this content. The service knows the MD5 of what comes in one request; of another server the bytes
/// are read.
pub(crate) async fn is_this_one(look: &Look<'_>, there: &BlobFacts, payload: &Payload) -> bool {
    if there.len != payload.len() {
        return false;
    }
    match there.content_md5 {
        Some(md5) => md5 == md5_of(payload).await,
        None => look.has(0, payload, there.etag.as_deref(), Agree::Whole).await.unwrap_or_default(),
    }
}

/// A blob that fits into one request.
pub(crate) struct Whole<'a> {
    pub(crate) payload: Payload,
    pub(crate) crc64: Option<Crc64>,
    pub(crate) mtime_ns: i128,
    /// Content type and its kin, where its source has them; otherwise the type follows from name and bytes.
    pub(crate) content: Option<&'a ContentFacts>,
    /// Its own, beside the job's.
    pub(crate) metadata: Vec<(String, String)>,
    /// Its MD5, where that is known already.
    pub(crate) md5: Option<[u8; 16]>,
    /// Its tier, where it has one of its own.
    pub(crate) tier: Option<&'a str>,
    /// Its index tags, where it has some of its own.
    pub(crate) tags: &'a [(String, String)],
}

impl Whole<'_> {
    /// Sends it if it is to be sent.
    pub(crate) async fn send<R: FileRing>(
        &self,
        lane: &Rc<Lane<R>>,
        place: &Place<'_>,
    ) -> Result<Ended, Box<Failure>> {
        match verdict(lane, place, self.mtime_ns, self.payload.len()).await? {
            Verdict::Write { only_new } => self.put(lane, place, only_new).await,
            Verdict::Keep { kind, there } => self.kept(lane, place, kind, &there).await,
        }
    }

    /// What it means that the blob is there and stays: it is kept, or it is this very one, which an earlier run has
    /// sent and could not record.
    pub(crate) async fn kept<R: FileRing>(
        &self,
        lane: &Lane<R>,
        place: &Place<'_>,
        kind: SkippedKind,
        there: &BlobFacts,
    ) -> Result<Ended, Box<Failure>> {
        if lane.shared.is_recent(place.id, there)
            && is_this_one(&lane.look(&place.blob), there, &self.payload).await
        {
            return self.is_there(lane, place).await;
        }
        Ok(Ended::Skipped(kind))
    }

    /// The blob is there: what the caller wants to be compared is.
    async fn is_there<R: FileRing>(&self, lane: &Lane<R>, place: &Place<'_>) -> Result<Ended, Box<Failure>> {
        let bytes = self.payload.len();
        check_length(lane, place, bytes).await?;
        if lane.session().options.verify {
            verify::bytes(lane, &lane.look(&place.blob), &self.payload, &place.object()).await?;
        }
        Ok(Ended::Done { bytes })
    }

    /// Sends it.
    pub(crate) async fn put<R: FileRing>(
        &self,
        lane: &Lane<R>,
        place: &Place<'_>,
        only_new: bool,
    ) -> Result<Ended, Box<Failure>> {
        let Self { payload, crc64, .. } = self;
        let bytes = payload.len();
        let options = &lane.session().options;
        let content_type = match &options.content_type {
            ContentTypePolicy::Fixed(fixed) => Some(&**fixed),
            _ if self.content.is_some() => self.content.and_then(|content| content.content_type.as_deref()),
            // A pipe has no name that could tell, and AzCopy does not look at its bytes.
            ContentTypePolicy::Guess(_) if place.is_stream => None,
            policy => content_type(policy, place.path, first_of(payload)),
        };
        let content_md5 = match self.md5 {
            None if options.put_md5 => Some(md5_of(payload).await),
            known => known,
        };
        let metadata = &self.metadata[..];
        let body = Body {
            content_type,
            content: self.content,
            content_md5,
            metadata,
            tier: self.tier,
            tags: self.tags,
            if_none_match_any: only_new,
            ..Body::default()
        };
        let mut is_cleared = false;
        let mut crc64 = *crc64;
        loop {
            let sent = request(&lane.writing(), bytes, Begin::UnlessStopping, async |with_crc64| {
                let body = Body { crc64: crc64.filter(|_| with_crc64), ..body };
                lane.to().put(&place.blob, payload.clone(), body).await
            })
            .await;
            let Err(gave_up) = sent else { break };
            if crc64.is_some() && gave_up.has_code("BothCrc64AndMd5HeaderPresent") {
                // Azurite (3.37) takes the MD5 that is to be kept for the one of the body, which does as well.
                crc64 = None;
                continue;
            }
            let look = lane.look(&place.blob);
            if only_new && gave_up.already_exists() {
                // What an attempt has made that this one knows nothing of is told by its content.
                if (gave_up.maybe_done() || lane.shared.may_be_made(place.id))
                    && let Ok(there) = look.facts().await
                    && (gave_up.maybe_done() || lane.shared.is_recent(place.id, &there))
                    && is_this_one(&look, &there, payload).await
                {
                    return self.is_there(lane, place).await;
                }
                return Ok(Ended::Skipped(SkippedKind::Exists));
            }
            if options.delete_destination
                && !only_new
                && !is_cleared
                && gave_up.has_code("InvalidBlobType")
                && look.discard_blocks(true).await.unwrap_or_default()
            {
                is_cleared = true;
                continue;
            }
            return Err(gave_up.for_object(lane.session(), &place.object()));
        }
        add(&lane.counters().bytes, bytes);
        self.is_there(lane, place).await
    }
}

pub(crate) async fn md5_of(payload: &Payload) -> [u8; 16] {
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
