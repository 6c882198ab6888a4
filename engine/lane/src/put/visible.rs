//! Page and append blobs: everybody sees them while they are written, so what is there before has to go first, and what
//! is there afterwards has to be this job's.

use std::rc::Rc;

use azuring_azure::{BlobFacts, BlobType as Kind, Body, Which, Written};
use azuring_job::choices::Overwrite;
use azuring_job::end_error::EndError;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::SkippedKind;
use azuring_link::Payload;
use azuring_ring::{FileRing, OpenFile};

use crate::lane::context::Lane;
use crate::lane::read;
use crate::object::hold::Hold;
use crate::requests::look::{Agree, Look};
use crate::requests::request::{Begin, GaveUp, request};
use crate::task::in_place::InPlace;

use super::place::Place;
use super::resume;
use super::whole::{self, Verdict};

/// Bytes of a blob that are compared with the file's at a time.
const COMPARED_BYTES: u64 = 4 << 20;

/// Which blob a new one may take the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// None.
    Nothing,
    /// Any: it is to be replaced.
    Any,
    /// The one with this ETag and length, whose content is the one that is meant: an attempt of this job has left it.
    This {
        /// Its ETag.
        etag: Option<Box<str>>,
        /// Its length.
        len: u64,
    },
    /// The one whose lease this job has.
    Held,
}

/// What came of making a blob.
pub(crate) enum Made {
    /// It is there, with this ETag, and has no content yet.
    There(Option<Box<str>>),
    /// It stays as it is.
    Skipped(SkippedKind),
}

/// A blob that is about to be made.
pub(crate) struct Visible<'a, R, C> {
    pub(crate) lane: &'a Rc<Lane<R>>,
    pub(crate) in_place: &'a InPlace,
    pub(crate) place: &'a Place<'a>,
    pub(crate) content: C,
    pub(crate) kind: Kind,
    /// The lease, of a page blob.
    pub(crate) hold: Option<&'a Hold>,
}

/// What a blob is to hold.
pub(crate) trait Content<R> {
    /// Its length; `None`: it is a stream, which is read once.
    fn len(&self) -> Option<u64>;

    /// When it was written, nanoseconds since 1970.
    fn mtime_ns(&self) -> i128;

    /// Reads some of it once more, in the state that is meant.
    async fn read(&self, lane: &Lane<R>, at: u64, len: u64) -> Result<Payload, Box<Failure>>;
}

/// That of a stream.
pub(super) struct Once;

impl<R: FileRing> Content<R> for Once {
    fn len(&self) -> Option<u64> {
        None
    }

    fn mtime_ns(&self) -> i128 {
        0
    }

    async fn read(&self, _: &Lane<R>, _: u64, _: u64) -> Result<Payload, Box<Failure>> {
        unreachable!("a stream has no length that anything could be compared with")
    }
}

/// That of an open file.
pub(super) struct OfFile<'a>(pub(super) &'a Place<'a>, pub(super) &'a OpenFile);

impl<R: FileRing> Content<R> for OfFile<'_> {
    fn len(&self) -> Option<u64> {
        Some(self.1.meta.len)
    }

    fn mtime_ns(&self) -> i128 {
        self.1.meta.mtime_ns
    }

    async fn read(&self, lane: &Lane<R>, at: u64, len: u64) -> Result<Payload, Box<Failure>> {
        let read = read::read_range(lane, self.1, at, len).await;
        Ok(read.map_err(|error| self.0.not_read(&error))?.0)
    }
}

impl<R: FileRing, C: Content<R>> Visible<'_, R, C> {
    /// Asks about the blob.
    pub(crate) fn look(&self) -> Look<'_> {
        self.lane.look(&self.place.blob)
    }

    fn failed(&self, gave_up: GaveUp) -> Box<Failure> {
        gave_up.for_object(self.lane.session(), &self.place.object())
    }

    /// Decides whether the blob is written, and over what. One that an earlier attempt of this job has begun is written
    /// again; that this one begins it is recorded.
    pub(crate) async fn over(&self) -> Result<Result<Over, SkippedKind>, Box<Failure>> {
        let Self { lane, in_place, place, .. } = self;
        if resume::is_ours(lane, in_place, place.id)
            && let Some(ours) = self.left_before().await?
        {
            return Ok(Ok(ours));
        }
        let options = &lane.session().options;
        let over = match whole::verdict(lane, place, self.content.mtime_ns(), u64::MAX).await? {
            Verdict::Keep { kind, .. } => return Ok(Err(kind)),
            Verdict::Write { only_new: true } => Over::Nothing,
            Verdict::Write { only_new: false } => match options.overwrite {
                Overwrite::Always if !options.overwrite_in_place => Over::Nothing,
                _ => Over::Any,
            },
        };
        resume::visible(lane, in_place, place, over == Over::Nothing).await?;
        Ok(Ok(over))
    }

    /// What an earlier attempt of this job has left, if what is there is that.
    async fn left_before(&self) -> Result<Option<Over>, Box<Failure>> {
        if let Some(hold) = self.hold
            && hold.take_up(&self.look()).await.map_err(|gave_up| self.failed(gave_up))?
        {
            return Ok(Some(Over::Held));
        }
        let there = match self.look().facts().await {
            Ok(there) => there,
            // What may not be looked at is not known to be this job's: the conditions of the write decide.
            Err(gave_up) if gave_up.not_found() || gave_up.forbidden() => return Ok(None),
            Err(gave_up) => return Err(self.failed(gave_up)),
        };
        let is_of_content = self.is_of_content(&there).await?;
        Ok(is_of_content.then_some(Over::This { etag: there.etag, len: there.len }))
    }

    /// Whether a blob holds nothing but what is to be put there: it is a beginning of it, or pages of it. What
    /// goes on with it, or replaces it, loses nothing.
    pub(crate) async fn is_of_content(&self, there: &BlobFacts) -> Result<bool, Box<Failure>> {
        let Some(len) = self.content.len() else { return Ok(false) };
        let agree = match self.kind {
            _ if there.blob_type != self.kind || there.etag.is_none() => return Ok(false),
            Kind::Append if there.len <= len => Agree::Whole,
            Kind::Page if there.len == len => Agree::Pages,
            _ => return Ok(false),
        };
        let mut at = 0;
        while at < there.len {
            let some = COMPARED_BYTES.min(there.len - at);
            let payload = self.content.read(self.lane, at, some).await?;
            match self.look().has(at, &payload, there.etag.as_deref(), agree).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                // Somebody writes to it.
                Err(gave_up) if gave_up.precondition_failed() => return Ok(false),
                Err(gave_up) => return Err(self.failed(gave_up)),
            }
            at += some;
        }
        Ok(true)
    }

    /// Makes the blob, without content.
    pub(crate) async fn make(
        &self,
        over: &Over,
        body: Body<'_>,
        mut create: impl AsyncFnMut(Body<'_>) -> Result<Written, EndError>,
    ) -> Result<Made, Box<Failure>> {
        let body = Body {
            if_none_match_any: *over == Over::Nothing,
            if_match: match over {
                Over::This { etag, .. } => etag.as_deref(),
                _ => None,
            },
            lease: self.hold.and_then(Hold::lease),
            ..body
        };
        let sender = self.lane.writing();
        let mut send =
            async || request(&sender, 0, Begin::UnlessStopping, async |_| create(body).await).await;
        let mut sent = match self.hold {
            // The turn to be summed up may have taken longer than it lasts.
            Some(hold) => hold.under(&self.look(), &mut send).await,
            None => send().await,
        };
        let options = &self.lane.session().options;
        if let Err(gave_up) = &sent
            && gave_up.has_code("InvalidBlobType")
            && options.delete_destination
            && *over != Over::Nothing
            && self.look().discard_blocks(true).await.unwrap_or_default()
        {
            sent = send().await;
        }
        let gave_up = match sent {
            Ok(written) => return Ok(Made::There(written.etag)),
            Err(gave_up) => gave_up,
        };
        if !gave_up.already_exists() {
            // Its lease was this job's, and is not any more.
            let is_lost = gave_up.lease_lost() || (*over == Over::Held && gave_up.is_of_another());
            return Err(match is_lost {
                true => another(gave_up, self.lane, &self.place.object()),
                false => self.failed(gave_up),
            });
        }
        // An earlier attempt may have made it, its answer having been lost.
        if gave_up.maybe_done()
            && let Ok(there) = self.look().facts().await
            && self.is_untouched(&there).await
        {
            return Ok(Made::There(there.etag));
        }
        match (over, &options.overwrite) {
            (Over::Nothing, Overwrite::Always) => Err(would_be_gone(*self.failed(gave_up))),
            (Over::Nothing, _) => Ok(Made::Skipped(SkippedKind::Exists)),
            _ if ["UnauthorizedBlobOverwrite", "LeaseIdMissing"]
                .iter()
                .any(|code| gave_up.has_code(code)) =>
            {
                Err(self.failed(gave_up))
            }
            _ => Err(another(gave_up, self.lane, &self.place.object())),
        }
    }

    /// Whether a blob is of this kind and nothing was written to it.
    async fn is_untouched(&self, there: &BlobFacts) -> bool {
        if there.blob_type != self.kind {
            return false;
        }
        if self.kind == Kind::Append {
            return there.len == 0;
        }
        let ask = async |_| {
            let blob = self.lane.to().blob()?;
            Ok::<_, EndError>(blob.get_page_ranges(&self.place.blob, Which::default(), None, None).await?)
        };
        self.content.len() == Some(there.len)
            && request(&self.lane.writing(), 0, Begin::Always, ask)
                .await
                .is_ok_and(|pages| pages.ranges.is_empty())
    }
}

/// The failure of a page or append blob that is there and would be gone as soon as the upload begins.
fn would_be_gone(failure: Failure) -> Box<Failure> {
    let reason = "there is a blob of this name; page and append blobs are written in place, so it would be gone even if \
                  the new one fails"
        .to_owned();
    let failure = failure.kind(FailureKind::Service).reason(reason);
    Box::new(failure.advise_anew("give --overwrite=true to replace it all the same"))
}

/// The failure of what was to be written to a blob that this job has begun.
pub(crate) fn not_written<R: FileRing>(gave_up: GaveUp, lane: &Lane<R>, object: &str) -> Box<Failure> {
    match gave_up.is_of_another() {
        true => another(gave_up, lane, object),
        false => gave_up.for_object(lane.session(), object),
    }
}

/// The failure of a blob that this job has begun and somebody else has written to.
pub(crate) fn another<R: FileRing>(gave_up: GaveUp, lane: &Lane<R>, object: &str) -> Box<Failure> {
    let failure = *gave_up.for_object(lane.session(), object);
    let reason =
        "another writer has written to the blob, or removed it, since this job began to write it".to_owned();
    let failure = failure.kind(FailureKind::Service).reason(reason);
    let advice = "the existing blob was not changed: let only one writer at a time write to a blob, then run the job again";
    Box::new(failure.advise(advice))
}
