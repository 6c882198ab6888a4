//! The object at the source: why its bytes did not come, and what goes with them.

use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::{AccessTier, BlobEntry, BlobFacts, Body};
use azuring_job::end_error::EndError;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::options::ContentTypePolicy;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;

use crate::lane::context::Lane;
use crate::requests::request::{Begin, GaveUp, request};
use crate::requests::session::Session;

/// Why nothing was copied.
pub(super) enum NotCopied {
    /// The object is not in the state any more that it was listed in.
    Changed,
    /// The source does not admit the destination: what is left goes another way.
    Rerouted,
    /// Anything else.
    Failed(Box<Failure>),
}

impl NotCopied {
    /// The failure of the object, when there is no other way to try.
    pub(super) fn failure(self, object: &str) -> Box<Failure> {
        match self {
            Self::Changed => changed(object),
            Self::Failed(failure) => failure,
            Self::Rerouted => unreachable!("the other way is tried first"),
        }
    }

    /// The same of a piece. A source that has changed is noted for all pieces.
    pub(super) fn of_piece(self, item: &BlobItem, is_changed: &AtomicBool) -> Box<Failure> {
        if matches!(self, Self::Changed) {
            is_changed.store(true, Ordering::SeqCst);
        }
        self.failure(&item.object())
    }
}

/// Sends a request that gives the object a tier; without it, where the account has none.
pub(super) async fn with_tier<R: FileRing, T>(
    lane: &Lane<R>,
    mut body: Body<'_>,
    mut send: impl AsyncFnMut(Body<'_>) -> Result<T, GaveUp>,
) -> Result<T, GaveUp> {
    let sent = send(body).await;
    if let Err(gave_up) = &sent
        && goes_without_tier(lane, body.tier, gave_up.service().map(|refusal| &*refusal.code))
    {
        body.tier = None;
        return send(body).await;
    }
    sent
}

/// Why an object was not copied that somebody writes to.
pub(super) fn changed(object: &str) -> Box<Failure> {
    let mut failure = Failure::new(FailureKind::Source, object, "the source was changed while it was copied");
    failure.side = Some(Side::Source);
    Box::new(failure.advise("run the job again when nobody writes to it"))
}

/// The object with its tags, where it keeps them and only their number is known. `None`: as it is.
///
/// # Errors
/// Why they cannot be read.
pub(super) async fn with_tags<R: FileRing>(
    lane: &Lane<R>,
    item: &BlobItem,
) -> Result<Option<BlobItem>, Box<Failure>> {
    let (options, entry) = (&lane.session().options, &item.entry);
    let count = entry.facts.state.as_ref().map_or(0, |state| state.tag_count);
    let keeps = options.preserve_tags && options.properties.tags.is_none();
    if !keeps || count == 0 || !entry.tags.is_empty() {
        return Ok(None);
    }
    let name = encode_path(&entry.name);
    let ask = async |_| Ok::<_, EndError>(lane.from().blob()?.get_tags(&name, item.which()).await?);
    let tags = request(&lane.reading(), 0, Begin::UnlessStopping, ask).await;
    let tags = tags.map_err(|gave_up| gave_up.for_object(lane.session(), &item.object()))?;
    let mut item = item.clone();
    item.entry.tags = tags;
    Ok(Some(item))
}

/// The tier that the object keeps: not where the account of the destination has none.
pub(super) fn tier_of<'a>(session: &Session, facts: &'a BlobFacts) -> Option<&'a str> {
    let keeps = session.options.preserve_tier && session.ends.to().has_tiers();
    facts.tier.as_ref().filter(|_| keeps).map(AccessTier::name)
}

/// Whether an object that was sent with a tier is to be sent without: an account without tiers refuses the first ones,
/// and all later ones have none.
pub(super) fn goes_without_tier<R: FileRing>(lane: &Lane<R>, tier: Option<&str>, code: Option<&str>) -> bool {
    let refused = code.is_some_and(|code| code.contains("Tier") && code.contains("NotSupported"));
    if tier.is_none() || !refused || lane.session().options.properties.tier.is_some() {
        return false;
    }
    let remote = lane.session().ends.to();
    if remote.has_no_tiers() {
        lane.notice(&format!("{} takes no tiers: those of the source are left out", remote.end));
    }
    true
}

/// What the object is given at the destination: what it has at the source, but for a type that the job gives to all.
pub(super) fn body_of<'a>(session: &'a Session, entry: &'a BlobEntry, only_new: bool) -> Body<'a> {
    let facts = &entry.facts;
    let content = facts.content.as_deref();
    let own = content.and_then(|content| content.content_type.as_deref());
    Body {
        content_type: match &session.options.content_type {
            ContentTypePolicy::Fixed(fixed) => Some(fixed),
            _ => own,
        },
        content,
        content_md5: facts.content_md5,
        metadata: &facts.metadata,
        tier: tier_of(session, facts),
        tags: &entry.tags,
        if_none_match_any: only_new,
        ..Body::default()
    }
}
