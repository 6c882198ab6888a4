//! Leases on blobs and containers, and what a request may do where there is one.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/lease-blob> and `.../lease-container`, with their tables of
//! outcomes by state. Where those leave the error's code open, it is Azurite's.

use http::StatusCode;
use http::request::Parts;

use crate::answer::{self, Answer, Failure};
use crate::auth;
use crate::conditions::Conditions;
use crate::error::{
    AUTHORIZATION_PERMISSION_MISMATCH, INVALID_HEADER_VALUE, Kind, LEASE_ALREADY_PRESENT, LEASE_ID_MISMATCH,
    LEASE_ID_MISMATCH_CONTAINER, LEASE_ID_MISMATCH_LEASE, LEASE_ID_MISSING, LEASE_IS_BREAKING_NOT_ACQUIRED,
    LEASE_IS_BREAKING_NOT_CHANGED, LEASE_IS_BROKEN_NOT_RENEWED, LEASE_LOST, LEASE_NOT_PRESENT,
    LEASE_NOT_PRESENT_CONTAINER, LEASE_NOT_PRESENT_LEASE, MISSING_REQUIRED_HEADER, PENDING_COPY_OPERATION,
    Result,
};
use crate::headers::{self, nonempty};
use crate::past::Which;
use crate::service::{Rq, write_times};
use crate::store::Shard;
use crate::time::SECOND;

const ID: &str = "x-ms-lease-id";
const PROPOSED: &str = "x-ms-proposed-lease-id";
const DURATION: &str = "x-ms-lease-duration";
const PERIOD: &str = "x-ms-lease-break-period";

/// A lease, which may be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// A GUID, `8-4-4-4-12` digits in lower case.
    id: Box<str>,
    /// How long it was asked for; `None`: without an end.
    seconds: Option<u32>,
    /// When it ends, in ticks; counts while it is not broken.
    ends: u64,
    /// From when on it is broken.
    breaks: Option<u64>,
}

/// What a listing or a read shows of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum State {
    #[default]
    Available,
    Leased {
        infinite: bool,
    },
    Expired,
    Breaking,
    Broken,
}

impl State {
    pub(crate) fn of(lease: Option<&Lease>, now: u64) -> State {
        lease.map_or(State::Available, |lease| lease.state(now))
    }

    /// `x-ms-lease-state`
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Available => "available",
            State::Leased { .. } => "leased",
            State::Expired => "expired",
            State::Breaking => "breaking",
            State::Broken => "broken",
        }
    }

    /// `x-ms-lease-status`
    pub(crate) fn status(self) -> &'static str {
        if self.is_active() { "locked" } else { "unlocked" }
    }

    /// `x-ms-lease-duration`, which only a lease in force has.
    pub(crate) fn duration(self) -> Option<&'static str> {
        match self {
            State::Leased { infinite: true } => Some("infinite"),
            State::Leased { infinite: false } => Some("fixed"),
            _ => None,
        }
    }

    fn is_active(self) -> bool {
        matches!(self, State::Leased { .. } | State::Breaking)
    }

    /// The headers of a read.
    pub(crate) fn write(self, answer: &mut Answer) {
        answer::set(answer, headers::LEASE_STATUS, self.status());
        answer::set(answer, headers::LEASE_STATE, self.name());
        if let Some(duration) = self.duration() {
            answer::set(answer, headers::LEASE_DURATION, duration);
        }
    }
}

impl Lease {
    fn new(id: Box<str>, seconds: Option<u32>, now: u64) -> Lease {
        let ends = seconds.map_or(u64::MAX, |seconds| now + u64::from(seconds) * SECOND);
        Lease { id, seconds, ends, breaks: None }
    }

    fn state(&self, now: u64) -> State {
        match self.breaks {
            Some(at) if now < at => State::Breaking,
            Some(_) => State::Broken,
            None if now < self.ends => State::Leased { infinite: self.seconds.is_none() },
            None => State::Expired,
        }
    }
}

/// What is leased: the codes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Blob,
    Container,
}

impl On {
    fn mismatch(self) -> Kind {
        if self == On::Blob { LEASE_ID_MISMATCH } else { LEASE_ID_MISMATCH_CONTAINER }
    }

    fn not_present(self) -> Kind {
        if self == On::Blob { LEASE_NOT_PRESENT } else { LEASE_NOT_PRESENT_CONTAINER }
    }
}

/// Judges the lease that a request relies on; without one it may read.
pub(crate) fn check_read(parts: &Parts, lease: Option<&Lease>, on: On, now: u64) -> Result<()> {
    if nonempty(parts, ID).is_none() { Ok(()) } else { check_write(parts, lease, on, now) }
}

/// Judges a write: where a lease is in force its id has to come with it.
pub(crate) fn check_write(parts: &Parts, lease: Option<&Lease>, on: On, now: u64) -> Result<()> {
    if lease.is_none() && !parts.headers.contains_key(ID) {
        return Ok(());
    }
    let given = guid(parts, ID)?;
    let same = |lease: &Lease| given.as_ref() == Some(&lease.id);
    match (lease, &given) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(on.not_present().into()),
        (Some(lease), _) if lease.state(now).is_active() => match given {
            None => Err(LEASE_ID_MISSING.into()),
            Some(_) if same(lease) => Ok(()),
            Some(_) => Err(on.mismatch().into()),
        },
        (Some(_), None) => Ok(()),
        (Some(lease), Some(_)) if same(lease) => Err(LEASE_LOST.into()),
        (Some(_), Some(_)) => Err(on.not_present().into()),
    }
}

impl Shard {
    /// The lease of the blob that is meant; snapshots and earlier versions have none.
    fn lease(&self, rq: &Rq<'_>, which: Which) -> Option<&Lease> {
        if which == Which::Current { self.leases.get(rq.target.names().1) } else { None }
    }

    /// What is shown of the lease.
    pub(crate) fn lease_state(&self, rq: &Rq<'_>, which: Which) -> State {
        self.lease(rq, which).map_or(State::Available, |lease| lease.state(rq.shared.now()))
    }

    /// Judges the lease that a read relies on.
    pub(crate) fn check_read_lease(&self, rq: &Rq<'_>, which: Which) -> Result<()> {
        check_read(rq.parts, self.lease(rq, which), On::Blob, rq.shared.now())
    }

    /// Judges a write, which waits for no pending copy. When it has changed the blob it ends a lease that is over:
    /// [`Shard::written`].
    pub(crate) fn check_write_lease(&self, rq: &Rq<'_>, which: Which) -> Result<()> {
        self.check_lease(rq, which)?;
        if which == Which::Current && self.copying.get(rq.target.names().1).is_some() {
            return Err(PENDING_COPY_OPERATION.into());
        }
        Ok(())
    }

    /// Judges the lease that a write relies on.
    pub(crate) fn check_lease(&self, rq: &Rq<'_>, which: Which) -> Result<()> {
        check_write(rq.parts, self.lease(rq, which), On::Blob, rq.shared.now())
    }

    /// Forgets the lease of a blob that was written, if it is over: nobody can renew it any more.
    pub(crate) fn written(&mut self, rq: &Rq<'_>) {
        let name = rq.target.names().1;
        if self.leases.get(name).is_some_and(|lease| !lease.state(rq.shared.now()).is_active()) {
            self.leases.remove(name);
        }
    }
}

/// A GUID in any of .NET's formats N, D, B and P, as D in lower case.
fn guid(parts: &Parts, name: &str) -> Result<Option<Box<str>>> {
    let Some(text) = nonempty(parts, name) else { return Ok(None) };
    let bad = || INVALID_HEADER_VALUE.header(name, text);
    let bare = match text.as_bytes() {
        [b'{', .., b'}'] | [b'(', .., b')'] => &text[1..text.len() - 1],
        _ => text,
    };
    let dashes: Vec<usize> = bare.match_indices('-').map(|(at, _)| at).collect();
    let digits: String = bare.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    let hex = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex || !(dashes == [8, 13, 18, 23] || (dashes.is_empty() && bare.len() == text.len())) {
        return Err(bad());
    }
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(Some(groups.join("-").into()))
}

/// What Lease Blob or Lease Container asks for.
#[derive(Debug)]
enum Action {
    Acquire { seconds: Option<u32>, proposed: Option<Box<str>> },
    Renew { id: Box<str> },
    Change { id: Box<str>, proposed: Box<str> },
    Release { id: Box<str> },
    Break { period: Option<u32> },
}

/// What becomes of a lease, and what the answer says.
#[derive(Debug)]
struct Outcome {
    lease: Option<Lease>,
    status: StatusCode,
    id: Option<Box<str>>,
    /// Seconds until a broken lease is over.
    time: Option<u64>,
}

impl Action {
    fn read(parts: &Parts) -> Result<Action> {
        const ACTION: &str = "x-ms-lease-action";
        let missing = |name: &str| MISSING_REQUIRED_HEADER.detail("HeaderName", name);
        let required = |name: &str| guid(parts, name)?.ok_or_else(|| missing(name));
        let number = |name: &str| -> Result<Option<i64>> {
            let Some(text) = nonempty(parts, name) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| INVALID_HEADER_VALUE.header(name, text))
        };
        let wrong = |name: &str, n: i64| INVALID_HEADER_VALUE.header(name, &n.to_string());
        let action = nonempty(parts, ACTION).ok_or_else(|| missing(ACTION))?;
        Ok(match action.to_ascii_lowercase().as_str() {
            "acquire" => Action::Acquire {
                seconds: match number(DURATION)?.ok_or_else(|| missing(DURATION))? {
                    -1 => None,
                    n @ 15..=60 => Some(n as u32),
                    n => return Err(wrong(DURATION, n)),
                },
                proposed: guid(parts, PROPOSED)?,
            },
            "renew" => Action::Renew { id: required(ID)? },
            "change" => Action::Change { id: required(ID)?, proposed: required(PROPOSED)? },
            "release" => Action::Release { id: required(ID)? },
            "break" => Action::Break {
                period: match number(PERIOD)? {
                    None => None,
                    Some(n @ 0..=60) => Some(n as u32),
                    Some(n) => return Err(wrong(PERIOD, n)),
                },
            },
            _ => return Err(INVALID_HEADER_VALUE.header(ACTION, action)),
        })
    }

    /// The table of outcomes by state.
    fn apply(self, lease: Option<Lease>, now: u64, new_id: impl FnOnce() -> Box<str>) -> Result<Outcome> {
        let held = |status, lease: Lease| {
            let id = Some(lease.id.clone());
            Ok(Outcome { lease: Some(lease), status, id, time: None })
        };
        let state = State::of(lease.as_ref(), now);
        let is = |id: &str| lease.as_ref().is_some_and(|lease| &*lease.id == id);
        match self {
            Action::Acquire { seconds, proposed } => {
                let own = proposed.as_deref().is_some_and(is);
                match state {
                    State::Breaking if own => return Err(LEASE_IS_BREAKING_NOT_ACQUIRED.into()),
                    State::Breaking => return Err(LEASE_ALREADY_PRESENT.into()),
                    State::Leased { .. } if !own => return Err(LEASE_ALREADY_PRESENT.into()),
                    _ => {}
                }
                held(StatusCode::CREATED, Lease::new(proposed.unwrap_or_else(new_id), seconds, now))
            }
            Action::Renew { id } => {
                let lease = lease.filter(|lease| lease.id == id).ok_or(LEASE_ID_MISMATCH_LEASE)?;
                match state {
                    State::Breaking | State::Broken => Err(LEASE_IS_BROKEN_NOT_RENEWED.into()),
                    _ => held(StatusCode::OK, Lease::new(id, lease.seconds, now)),
                }
            }
            Action::Change { id, proposed } => {
                let own = is(&id);
                match (lease, state) {
                    // Changed already, and asked again: the answer was lost.
                    (Some(lease), State::Leased { .. }) if own || lease.id == proposed => {
                        held(StatusCode::OK, Lease { id: proposed, ..lease })
                    }
                    (Some(_), State::Breaking) if own => Err(LEASE_IS_BREAKING_NOT_CHANGED.into()),
                    (Some(_), State::Leased { .. } | State::Breaking) => Err(LEASE_ID_MISMATCH_LEASE.into()),
                    _ => Err(LEASE_NOT_PRESENT_LEASE.into()),
                }
            }
            Action::Release { id } if is(&id) => {
                Ok(Outcome { lease: None, status: StatusCode::OK, id: None, time: None })
            }
            Action::Release { .. } => Err(LEASE_ID_MISMATCH_LEASE.into()),
            Action::Break { period } => {
                let mut lease = lease.ok_or(LEASE_NOT_PRESENT_LEASE)?;
                let asked = period.map(|seconds| now + u64::from(seconds) * SECOND);
                let at = match state {
                    // The time that is left, or less where that is asked for; without an end, none is left.
                    State::Leased { infinite: true } => asked.unwrap_or(now),
                    State::Leased { infinite: false } => asked.unwrap_or(lease.ends).min(lease.ends),
                    State::Breaking => asked.unwrap_or(u64::MAX).min(lease.breaks.unwrap_or(now)),
                    _ => now,
                };
                lease.breaks = Some(at);
                let time = Some((at - now).div_ceil(SECOND));
                Ok(Outcome { lease: Some(lease), status: StatusCode::ACCEPTED, id: None, time })
            }
        }
    }
}

/// The answer to Lease Blob or Lease Container.
fn answer(outcome: &Outcome, modified: u64) -> Answer {
    let mut answer = answer::empty(outcome.status);
    write_times(&mut answer, modified);
    if let Some(id) = &outcome.id {
        answer::set(&mut answer, headers::LEASE_ID, id);
    }
    if let Some(time) = outcome.time {
        answer::set(&mut answer, headers::LEASE_TIME, &time.to_string());
    }
    answer
}

fn read(rq: &Rq<'_>) -> Result<Action> {
    let action = Action::read(rq.parts)?;
    // Who may delete may break a lease, and nothing else.
    if !matches!(action, Action::Break { .. }) && !auth::may(&rq.grant, b'w') {
        return Err(AUTHORIZATION_PERMISSION_MISMATCH.into());
    }
    Ok(action)
}

fn apply(rq: &Rq<'_>, action: Action, lease: Option<Lease>) -> Result<Outcome> {
    action.apply(lease, rq.shared.now(), || rq.shared.request_ids.next().as_str().into())
}

pub(crate) fn blob(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let action = read(rq)?;
    let conditions = Conditions::read(rq.parts)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let modified = {
        let blob = shard.find(name, Which::Current)?;
        conditions.check_change(blob)?;
        blob.modified
    };
    let outcome = apply(rq, action, shard.leases.get(name).cloned())?;
    match &outcome.lease {
        Some(lease) => drop(shard.leases.insert(name, lease.clone())),
        None => drop(shard.leases.remove(name)),
    }
    Ok(answer(&outcome, modified))
}

pub(crate) fn container(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let action = read(rq)?;
    let conditions = Conditions::read(rq.parts)?;
    let answer = rq.container()?.change(|facts| {
        conditions.check_change(facts.modified)?;
        let outcome = apply(rq, action, facts.lease.clone())?;
        facts.lease.clone_from(&outcome.lease);
        Ok(answer(&outcome, facts.modified))
    })?;
    Ok(answer)
}

#[cfg(test)]
mod tests;
