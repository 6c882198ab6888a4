//! The service makes the copy by itself (Copy Blob): inside one account, where that is one request of any size and
//! moves no byte, and of what is in the archive, which nothing else can read.
//!
//! A copy may be pending. Until it is done everybody sees an empty blob, and stays with it if it fails. So inside an
//! account only new blobs are made this way, and what this job has begun and is not to be is removed: the copy's id,
//! which the journal keeps, tells whose it is. What is there already is replaced in the other ways.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use azuring_azure::{
    AccessTier, BlobProperties, BlobType, Body, Class, CopyBegun, CopyState, CopyStatus, Credential, Delete,
    MAX_CRC64_RANGE_BYTES,
};
use azuring_job::choices::{CheckLength, RouteChoice};
use azuring_job::end_error::EndError;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::options::ContentTypePolicy;
use azuring_job::progress::add;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;
use azuring_store::Grant;

use crate::get::large::without_etag;
use crate::lane::context::{Ended, Lane};
use crate::lane::verify;
use crate::object::pieces::Pieces;
use crate::put::assembly;
use crate::put::place::Place;
use crate::put::state::State;
use crate::requests::look::Left;
use crate::requests::request::{Begin, GaveUp, pause_for, request};
use crate::requests::session::Session;
use crate::task::copy::Copying;

use super::source::{NotCopied, body_of, with_tier};
use super::{direct, large};

/// How long a copy is pending before it is asked for first, and the longest time between two questions.
const LOOKS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Whether the service may copy this object by itself inside the account of both ends.
pub(super) fn is_open(session: &Session, task: &Copying, item: &BlobItem) -> bool {
    session.route.is_direct()
        && item.entry.facts.etag.is_some()
        && !task.no_copy_blob.load(Ordering::Relaxed)
        && obstacle(session).is_none()
        && is_one_account(session)
}

pub(super) fn is_one_account(session: &Session) -> bool {
    let (from, to) = (session.ends.from().end.target(), session.ends.to().end.target());
    from.zip(to).is_some_and(|(from, to)| from.url().is_of_account(to.url()))
}

/// What of the job Copy Blob cannot do.
pub(super) fn obstacle(session: &Session) -> Option<&'static str> {
    let BlobProperties { content_encoding, content_language, content_disposition, cache_control, .. } =
        &session.options.properties;
    let given = [content_encoding, content_language, content_disposition, cache_control];
    let is_typed = matches!(session.options.content_type, ContentTypePolicy::Fixed(_));
    if is_typed || given.iter().any(|given| given.is_some()) {
        return Some("it keeps the source's content type and its kin, and the job gives others");
    }
    if session.options.encryption.is_some() || session.options.source_key.is_some() {
        return Some("it takes no customer key and no encryption scope");
    }
    if session.options.route == RouteChoice::Relay {
        return Some("its bytes pass no host, and --route=relay wants that");
    }
    let (from, to) = (session.ends.from().end.credential(), session.ends.to().end.credential());
    // In one account the request's own credential counts for the source too.
    let counts = is_one_account(session) && matches!(to, Credential::Token(_) | Credential::SharedKey(_));
    if matches!(from, Credential::Token(_)) && !counts {
        return Some("it takes no token for the source: append a SAS to the source's URL");
    }
    None
}

/// Has the service copy an object inside its account. `None`: it goes another way.
pub(super) async fn object<R: FileRing>(
    lane: &Lane<R>,
    task: &Copying,
    item: &BlobItem,
    place: &Place<'_>,
) -> Result<Option<Ended>, NotCopied> {
    let copy = Copy::new(lane, item, place)?;
    let mut is_removed = false;
    loop {
        let current = match copy.ask(Only::New).await? {
            Asked::Begun(begun) => copy.record(begun).await?,
            Asked::NoWay(_) => {
                task.no_copy_blob.store(true, Ordering::Relaxed);
                return Ok(None);
            }
            Asked::Exists { maybe_ours: false } if !lane.shared.may_be_made(place.id) => return Ok(None),
            Asked::Exists { maybe_ours } => match copy.found(maybe_ours, &Only::New).await? {
                Found::Copy(current) => current,
                Found::Maybe(current) => return copy.end_of_unknown(current).await,
                Found::Stale(current) if !is_removed => {
                    is_removed = copy.take_back(&current).await == Taken::Gone;
                    if is_removed {
                        continue;
                    }
                    return Ok(None);
                }
                Found::Stale(_) | Found::Other(_) => return Ok(None),
            },
        };
        return copy.end(current).await;
    }
}

/// Over what the copy may be made.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Only {
    /// Nothing.
    New,
    /// The blob with this ETag.
    Tag(Box<str>),
    /// Whatever is there.
    Any,
}

/// What came of asking for a copy.
pub(super) enum Asked {
    Begun(CopyBegun),
    /// A blob is there that it was not to be made over.
    Exists {
        /// An attempt whose answer was lost may have made it.
        maybe_ours: bool,
    },
    /// The service does not make it.
    NoWay(GaveUp),
}

/// A copy that is there, or is being made.
pub(super) struct Current {
    pub(super) id: Box<str>,
    pub(super) status: CopyStatus,
    pub(super) etag: Option<Box<str>>,
    /// This job has begun it, for sure.
    is_ours: bool,
    /// What the service says of the blob, where it was asked.
    pub(super) state: Option<CopyState>,
}

/// What is there under the name.
pub(super) enum Found {
    /// The copy that is wanted.
    Copy(Current),
    /// A pending copy of this object, and nobody knows of which state: an earlier run may have asked for it, and could
    /// not record that.
    Maybe(Current),
    /// One that this job has begun and that is not wanted any more: it has failed, or is of another state.
    Stale(Current),
    /// Anything else, of this ETag.
    Other(Option<Box<str>>),
}

/// What became of a copy that was to be taken back.
#[derive(PartialEq, Eq)]
pub(super) enum Taken {
    Gone,
    /// It was done before.
    Done,
    Left(Left),
}

/// The copy of one blob.
pub(super) struct Copy<'a, R> {
    pub(super) lane: &'a Lane<R>,
    item: &'a BlobItem,
    place: &'a Place<'a>,
    /// Its name at the source, percent-encoded.
    from: String,
    /// The state that is copied, as the journal keeps it. The copy's id follows it there.
    facts: Vec<u8>,
}

impl<'a, R: FileRing> Copy<'a, R> {
    pub(super) fn new(
        lane: &'a Lane<R>,
        item: &'a BlobItem,
        place: &'a Place<'a>,
    ) -> Result<Self, NotCopied> {
        let etag = item.entry.facts.etag.as_deref();
        let etag = etag.ok_or_else(|| NotCopied::Failed(without_etag(&item.object())))?;
        let facts = State::of_object(lane.shared.id, item, etag, 0).facts;
        Ok(Self { lane, item, place, from: encode_path(&item.entry.name), facts })
    }

    /// Asks for the copy, in the state of the source that is known.
    pub(super) async fn ask(&self, only: Only) -> Result<Asked, NotCopied> {
        let (lane, facts) = (self.lane, &self.item.entry.facts);
        let whole = body_of(lane.session(), &self.item.entry, only == Only::New);
        let options = &lane.session().options;
        let own = match facts.blob_type {
            BlobType::Block => whole.tier,
            BlobType::Page => {
                options.page_blob_tier.as_deref().or(whole.tier.filter(|tier| tier.starts_with('P')))
            }
            BlobType::Append => None,
        };
        let if_match = if let Only::Tag(etag) = &only { Some(&**etag) } else { None };
        let body = Body { tier: own, if_match, ..whole };
        let must_have_it = facts.blob_type == BlobType::Page && options.page_blob_tier.is_some();
        let sent = match must_have_it {
            true => self.send(body).await,
            false => with_tier(lane, body, async |body: Body<'_>| self.send(body).await).await,
        };
        let gave_up = match sent {
            Ok(begun) => return Ok(Asked::Begun(begun)),
            Err(gave_up) => gave_up,
        };
        let Some(refusal) = gave_up.service() else {
            return Err(NotCopied::Failed(self.refused(gave_up)));
        };
        if refusal.is_copy_source_changed() {
            return Err(NotCopied::Changed);
        }
        let exists = (only == Only::New && gave_up.already_exists())
            || refusal.precondition_failed()
            || gave_up.has_code("PendingCopyOperation");
        if exists {
            return Ok(Asked::Exists { maybe_ours: gave_up.maybe_done() });
        }
        match refusal.class() {
            Class::Skip | Class::Fatal => Ok(Asked::NoWay(gave_up)),
            Class::Retry | Class::Throttle => Err(NotCopied::Failed(self.refused(gave_up))),
        }
    }

    async fn send(&self, body: Body<'_>) -> Result<CopyBegun, GaveUp> {
        let (lane, facts) = (self.lane, &self.item.entry.facts);
        request(&lane.writing(), 0, Begin::UnlessStopping, async |_| {
            let source = lane.from().blob()?;
            let granted = source.grant(&self.from, self.item.which()).await?;
            // The request's own credential counts for the source where that has a token.
            let grant = Grant { authorization: None, ..granted.to(facts.etag.as_deref(), None) };
            let copied = lane.to().blob()?.copy_blob(&self.place.blob, &grant, facts.blob_type, body).await;
            Ok::<_, EndError>(copied?)
        })
        .await
    }

    pub(super) fn refused(&self, gave_up: GaveUp) -> Box<Failure> {
        gave_up.for_object(self.lane.session(), &self.item.object())
    }

    /// Records a copy that was begun, for good if it is pending.
    pub(super) async fn record(&self, begun: CopyBegun) -> Result<Current, NotCopied> {
        let CopyBegun { id, status, etag } = begun;
        let current = Current { id, status, etag, is_ours: true, state: None };
        if current.status == CopyStatus::Pending && self.lane.shared.durable.is_some() {
            let facts = [&self.facts[..], current.id.as_bytes()].concat();
            assembly::record(self.lane, self.place, &facts).map_err(NotCopied::Failed)?;
            let broken = |failure: Box<Failure>| self.lane.shared.broken(&failure, &self.place.object());
            self.lane.shared.commit().await.map_err(|failure| NotCopied::Failed(broken(failure)))?;
        }
        Ok(current)
    }

    /// What the service says of the blob. Asked although the job stops.
    pub(super) async fn look(&self) -> Result<CopyState, GaveUp> {
        let ask = async |_| {
            let state = self.lane.to().blob()?.copy_state(&self.place.blob).await;
            Ok::<_, EndError>(state?)
        };
        request(&self.lane.writing(), 0, Begin::Always, ask).await
    }

    /// What is there under the name: perhaps the copy itself, of an attempt whose answer was lost or of an earlier run.
    pub(super) async fn found(&self, maybe_ours: bool, only: &Only) -> Result<Found, NotCopied> {
        let (lane, facts, id) = (self.lane, &self.item.entry.facts, self.place.id);
        let state = match self.look().await {
            Ok(state) => state,
            Err(gave_up) if gave_up.not_found() || gave_up.forbidden() => return Ok(Found::Other(None)),
            Err(gave_up) => return Err(NotCopied::Failed(self.refused(gave_up))),
        };
        let etag = state.facts.etag.clone();
        let modified = u64::try_from(state.facts.last_modified).unwrap_or_default();
        let source = lane.session().ends.from().end.target();
        let is_from = |source| state.is_from(source, &self.item.entry.name, self.item.which());
        let (Some(copy), Some(status), true) = (
            state.id.clone(),
            state.status,
            (maybe_ours || lane.shared.may_be_made(id))
                && lane.shared.is_since_begun(SystemTime::UNIX_EPOCH + Duration::from_secs(modified))
                && source.is_some_and(|source| is_from(source.url())),
        ) else {
            return Ok(Found::Other(etag));
        };
        let recorded = assembly::earlier(lane, id);
        let is_recorded = recorded.and_then(State::token_in).is_some_and(|token| token == copy.as_bytes());
        // The source was not touched since the blob was made; or the journal has the state that was copied; or there
        // was another blob when the copy was asked for.
        let mut is_this_state = state.facts.created.is_some_and(|created| facts.last_modified < created)
            || (is_recorded && recorded.is_some_and(|recorded| recorded.starts_with(&self.facts)))
            || (maybe_ours && matches!(only, Only::Tag(_)));
        let is_whole = status == CopyStatus::Success;
        let is_readable = facts.tier != Some(AccessTier::Archive);
        if !is_this_state && is_whole && is_readable && state.facts.len == facts.len {
            is_this_state = self.is_same().await.unwrap_or_default();
        }
        let is_alive = is_whole || status == CopyStatus::Pending;
        let is_ours = is_recorded || (maybe_ours && !is_whole);
        let current = Current { id: copy, status, etag, is_ours, state: Some(state) };
        Ok(match (is_this_state || (maybe_ours && !is_whole), current.is_ours) {
            (true, _) if is_alive => Found::Copy(current),
            (_, true) => Found::Stale(current),
            (_, false) if status == CopyStatus::Pending && is_readable => Found::Maybe(current),
            (_, false) => Found::Other(current.etag),
        })
    }

    /// Whether source and destination have the same bytes now.
    async fn is_same(&self) -> Result<bool, Box<Failure>> {
        let (lane, len) = (self.lane, self.item.entry.facts.len);
        let size = MAX_CRC64_RANGE_BYTES;
        let Ok(count) = u32::try_from(len.div_ceil(size)) else { return Ok(false) };
        let pieces = Pieces::new(len, size.min(len.max(1)), count);
        large::is_same(lane, self.item, &self.from, &self.place.blob, &pieces).await
    }

    /// Waits until a copy is done.
    pub(super) async fn wait(&self, mut current: Current) -> Result<Current, NotCopied> {
        let (lane, object) = (self.lane, self.item.object());
        let mut pause = LOOKS.0;
        while current.status == CopyStatus::Pending && !is_leaving_archive(&current) {
            let failure = if pause_for(pause, || lane.session().verdict.stopping()).await {
                pause = (pause * 3 / 2).min(LOOKS.1);
                match self.look().await {
                    Ok(state) if state.id.as_deref() == Some(&*current.id) => {
                        current.status = state.status.unwrap_or(current.status);
                        current.etag.clone_from(&state.facts.etag);
                        current.state = Some(state);
                        continue;
                    }
                    Ok(_) => return Err(NotCopied::Failed(another(&object))),
                    Err(gave_up) if gave_up.not_found() => return Err(NotCopied::Failed(another(&object))),
                    Err(gave_up) => {
                        let failure = self.refused(gave_up);
                        Box::new(
                            failure
                                .advise("the credential of the destination has to read: a copy is pending"),
                        )
                    }
                }
            } else {
                let mut failure = Failure::interrupted(&object);
                // It was begun.
                failure.tries = 1;
                Box::new(failure)
            };
            let mut failure = failure;
            match self.take_back(&current).await {
                Taken::Gone => return Err(NotCopied::Failed(failure)),
                Taken::Done => current.status = CopyStatus::Success,
                Taken::Left(left) => {
                    left.tell(&mut failure);
                    return Err(NotCopied::Failed(failure));
                }
            }
        }
        Ok(current)
    }

    /// Aborts a copy and removes what is left of it, if it is this job's and not done.
    pub(super) async fn take_back(&self, current: &Current) -> Taken {
        let (lane, blob) = (self.lane, &self.place.blob);
        if !current.is_ours {
            return Taken::Left(Left::Unknown);
        }
        if current.status == CopyStatus::Pending {
            // It may be over by now: what is there tells.
            let abort = async |_| Ok::<_, EndError>(lane.to().blob()?.abort_copy(blob, &current.id).await?);
            let _ = request(&lane.writing(), 0, Begin::Always, abort).await;
        }
        let etag = match self.look().await {
            Ok(state) if state.id.as_deref() != Some(&*current.id) => return Taken::Left(Left::Another),
            Ok(state) => {
                if state.status == Some(CopyStatus::Success) && current.status == CopyStatus::Pending {
                    return Taken::Done;
                }
                state.facts.etag
            }
            Err(gave_up) if gave_up.not_found() => return Taken::Gone,
            Err(_) => current.etag.clone(),
        };
        let only = Delete { if_match: etag.as_deref(), ..Delete::default() };
        match lane.look(blob).remove(&only).await {
            Ok(()) => Taken::Gone,
            Err(left) => Taken::Left(left),
        }
    }

    /// Waits for a copy inside the account, and compares what there is to compare. `None`: it goes another way.
    async fn end(&self, current: Current) -> Result<Option<Ended>, NotCopied> {
        let current = self.wait(current).await?;
        if current.status != CopyStatus::Success {
            let mut failure = self.not_made(&current);
            return match self.take_back(&current).await {
                Taken::Gone if current.status == CopyStatus::Failed => Ok(None),
                Taken::Left(left) => {
                    left.tell(&mut failure);
                    Err(NotCopied::Failed(failure))
                }
                Taken::Gone | Taken::Done => Err(NotCopied::Failed(failure)),
            };
        }
        self.check(current).await.map_err(NotCopied::Failed)?;
        if self.lane.session().options.verify && !self.is_same().await.map_err(NotCopied::Failed)? {
            return Err(NotCopied::Failed(verify::differs(&self.item.object())));
        }
        Ok(Some(self.done()))
    }

    /// Waits for a copy of a state that is not known. Its bytes tell whether it is the one that is wanted. `None`: it
    /// is not, and the object goes another way.
    async fn end_of_unknown(&self, current: Current) -> Result<Option<Ended>, NotCopied> {
        let current = self.wait(current).await?;
        let is_whole = current.status == CopyStatus::Success
            && current.state.as_ref().is_some_and(|state| state.facts.len == self.item.entry.facts.len);
        let is_it = is_whole && self.is_same().await.map_err(NotCopied::Failed)?;
        Ok(is_it.then(|| self.done()))
    }

    pub(super) fn done(&self) -> Ended {
        let (counters, bytes) = (self.lane.counters(), self.item.entry.facts.len);
        if self.lane.session().route.is_direct() {
            direct::works(self.lane);
        }
        add(&counters.bytes, bytes);
        add(&counters.bytes_by_service, bytes);
        Ended::Done { bytes }
    }

    /// Compares the copy with its source, as far as the service tells. It has told no checksum.
    pub(super) async fn check(&self, current: Current) -> Result<(), Box<Failure>> {
        let (session, facts, object) = (self.lane.session(), &self.item.entry.facts, self.item.object());
        if session.options.check_length == CheckLength::Never {
            return Ok(());
        }
        let state = match current.state.filter(|state| state.status == Some(CopyStatus::Success)) {
            Some(state) => state,
            None => self.look().await.map_err(|gave_up| {
                let advice = "if the credential may write and not read, use --check-length=false";
                Box::new(self.refused(gave_up).advise(advice))
            })?,
        };
        let is_other_md5 = facts.content_md5.zip(state.facts.content_md5).is_some_and(|(was, is)| was != is);
        let text = match state.facts.len {
            len if len != facts.len => format!("the blob has {len} bytes and the source {}", facts.len),
            _ if is_other_md5 => "the blob has another MD5 than the source".to_owned(),
            _ => return Ok(()),
        };
        let failure = Failure::new(FailureKind::Integrity, &object, text);
        Err(Box::new(failure.advise("run the job again when nobody else writes to the blob")))
    }

    /// Why there is no copy.
    pub(super) fn not_made(&self, current: &Current) -> Box<Failure> {
        let description = current.state.as_ref().and_then(|state| state.description.as_deref());
        let text = match (current.status, description) {
            (CopyStatus::Aborted, _) => "somebody has aborted the copy".to_owned(),
            (_, Some(description)) => format!("the service could not copy it: {description}"),
            (_, None) => "the service could not copy it".to_owned(),
        };
        Box::new(Failure::new(FailureKind::Service, &self.item.object(), text).advise("run the job again"))
    }
}

/// Whether a pending copy waits for nothing but the archive.
pub(super) fn is_leaving_archive(current: &Current) -> bool {
    let facts = current.state.as_ref().and_then(|state| state.facts.state.as_ref());
    facts.is_some_and(|facts| facts.archive_status.is_some())
}

/// The failure of a copy over which somebody else has written.
pub(super) fn another(object: &str) -> Box<Failure> {
    let text = "another writer has written to the blob, or removed it, since this job began to copy to it";
    let failure = Failure::new(FailureKind::Service, object, text);
    Box::new(failure.advise("let only one writer at a time write to a blob, then run the job again"))
}
