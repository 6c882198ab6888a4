//! Which way the bytes of a copy go, why, and what that costs.

use std::fmt::{self, Display};

use crate::failure::Side;

/// How bytes go from one store to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// The destination reads the source by itself.
    Direct,
    /// Through this host's memory.
    Relay,
    /// By a third account.
    Staging,
}

impl Way {
    /// All of them, in the order of their codes in a journal.
    pub(crate) const ALL: [Self; 3] = [Self::Direct, Self::Relay, Self::Staging];

    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Staging => "staging",
        }
    }
}

/// Why bytes go a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WayReason {
    /// The destination has read the source.
    Proven,
    /// The job was told so.
    Asked,
    /// The destination has no operation that reads such a source, or must not see the credential for it.
    Unable,
    /// The source does not admit the destination.
    Closed,
    /// The destination's server does not have the operation.
    NotImplemented,
    /// It knows no version of the protocol in which it can be given the key of the source.
    KeyUnknown,
    /// The destination takes copies from some accounts alone.
    ScopeClosed,
    /// The destination does not reach the source.
    Unreachable,
    /// The source does not take the token that the destination shows it: the accounts may be of two tenants.
    TokenRefused,
}

impl WayReason {
    /// All of them, in the order of their codes in a journal.
    pub(crate) const ALL: [Self; 9] = [
        Self::Proven,
        Self::Asked,
        Self::Unable,
        Self::Closed,
        Self::NotImplemented,
        Self::KeyUnknown,
        Self::ScopeClosed,
        Self::Unreachable,
        Self::TokenRefused,
    ];

    /// A word for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Asked => "asked",
            Self::Unable => "unable",
            Self::Closed => "closed",
            Self::NotImplemented => "not_implemented",
            Self::KeyUnknown => "key_unknown",
            Self::ScopeClosed => "scope_closed",
            Self::Unreachable => "unreachable",
            Self::TokenRefused => "token_refused",
        }
    }

    /// Whether an answer has shown that the direct way is closed, as it would be for every object.
    pub fn is_found_closed(self) -> bool {
        !matches!(self, Self::Proven | Self::Asked | Self::Unable)
    }
}

/// The answer by which a way was found closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// Who refused: the source the destination (and it on behalf of the client), or the destination the client.
    pub by: Side,
    /// What the destination answered to the client.
    pub answer: (u16, String),
    /// What the source answered to the destination: status and code, as far as they were told.
    pub source: (Option<u16>, Option<String>),
    /// The version of the protocol that was spoken. What a source answered is told from 2025-11-05 on.
    pub version: String,
    /// The object that was asked for.
    pub object: String,
    /// `x-ms-request-id` of the answer, which Microsoft's support asks for.
    pub request_id: Option<String>,
}

impl Evidence {
    /// Nothing but who refused, and what the destination answered.
    pub fn new(by: Side, status: u16, code: &str) -> Self {
        Self {
            by,
            answer: (status, code.to_owned()),
            source: (None, None),
            version: String::new(),
            object: String::new(),
            request_id: None,
        }
    }

    /// Status and code of who refused, as far as they are known.
    pub fn refusal(&self) -> (Option<u16>, Option<&str>) {
        match self.by {
            Side::Source => (self.source.0, self.source.1.as_deref()),
            Side::Destination => (Some(self.answer.0), Some(&self.answer.1)),
        }
    }
}

impl Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.answer.0, self.answer.1)?;
        if self.by == Side::Destination {
            return Ok(());
        }
        match &self.source {
            (Some(status), code) => {
                write!(f, ": the source answered {status}")?;
                code.iter().try_for_each(|code| write!(f, " {code}"))?;
                write!(f, " to it, and to it on behalf of this host; told by version {}", self.version)
            }
            (None, _) => {
                write!(f, "; what the source answered is not told by version {}", self.version)
            }
        }
    }
}

/// Which way the bytes of a job go, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The way.
    pub way: Way,
    /// Why this one.
    pub reason: WayReason,
    /// The answer that shows it.
    pub evidence: Option<Box<Evidence>>,
    /// Source and destination, as messages name them.
    pub ends: [String; 2],
    /// An earlier run of the job has found it out.
    pub known_before: bool,
}

impl Decision {
    /// A decision without an answer that shows it.
    pub fn new(way: Way, reason: WayReason, ends: [String; 2]) -> Self {
        Self { way, reason, evidence: None, ends, known_before: false }
    }

    /// Where who refused is, if somebody did.
    pub fn refused_at(&self) -> Option<&str> {
        let evidence = self.evidence.as_deref()?;
        Some(&self.ends[usize::from(evidence.by == Side::Destination)])
    }

    /// Whether a person has to hear of it: it costs something.
    pub fn costs(&self) -> bool {
        self.way != Way::Direct && self.reason != WayReason::Unable
    }

    /// What the way costs. No answer of the service names a region.
    pub fn cost(&self) -> Option<String> {
        let relayed = || {
            format!("Azure charges egress of {} for it, unless this host is in the same region", self.ends[0])
        };
        let staged =
            "Azure charges egress where the staging account is in another region, and its requests and room";
        self.costs().then(|| if self.way == Way::Staging { staged.to_owned() } else { relayed() })
    }
}

impl Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = &self.ends;
        let what = match self.way {
            Way::Direct if self.reason.is_found_closed() => "the job stops, as no other way is allowed",
            Way::Direct => "nothing of it passes this host",
            Way::Staging => "the staging account reads it, and the destination reads that",
            Way::Relay if self.reason == WayReason::Asked => "all goes through this host's memory",
            Way::Relay => "all that is left goes through this host's memory",
        };
        if self.known_before {
            f.write_str("as an earlier run has found out: ")?;
        }
        match self.reason {
            WayReason::Proven => write!(f, "{to} reads {from} by itself"),
            WayReason::Asked => write!(f, "as it was asked for"),
            WayReason::Unable => write!(f, "{to} cannot read {from} by itself"),
            WayReason::Closed => write!(f, "{to} is not admitted to {from}"),
            WayReason::NotImplemented => write!(f, "{to} has no operation that copies from {from}"),
            WayReason::ScopeClosed => write!(f, "{to} takes no copies from {from}"),
            WayReason::Unreachable => write!(f, "{to} does not reach {from}"),
            WayReason::TokenRefused => {
                write!(f, "{from} does not take from {to} the token that it takes from here")
            }
            WayReason::KeyUnknown => {
                write!(f, "{to} knows no version of the protocol in which it can be given the key of {from}")
            }
        }?;
        if let Some(evidence) = &self.evidence {
            write!(f, " ({evidence})")?;
        }
        write!(f, ": {what}")?;
        self.cost().map_or(Ok(()), |cost| write!(f, "; {cost}"))
    }
}
