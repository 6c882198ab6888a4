//! The object at the source: why its bytes did not come, and what goes with them.

use azuring_azure::{AccessTier, BlobFacts, Body};
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::options::ContentTypePolicy;

use azuring_ring::FileRing;

use crate::lane::context::Lane;
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
}

/// Why an object was not copied that somebody writes to.
pub(super) fn changed(object: &str) -> Box<Failure> {
    let mut failure = Failure::new(FailureKind::Source, object, "the source was changed while it was copied");
    failure.side = Some(Side::Source);
    Box::new(failure.advise("run the job again when nobody writes to it"))
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
pub(super) fn body_of<'a>(session: &'a Session, facts: &'a BlobFacts, only_new: bool) -> Body<'a> {
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
        if_none_match_any: only_new,
        ..Body::default()
    }
}
