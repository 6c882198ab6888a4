//! Which way the bytes of a job between two stores go.
//!
//! **Direct**: the destination reads the source by itself, which costs this host one small request and no bandwidth.
//! **Relay**: through this host's memory. What a source says of its network holds for every object of a pair of
//! accounts, so the first such answer decides for all that is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use azuring_azure::Credential;
use azuring_job::choices::{Encryption, RouteChoice};
use azuring_job::options::JobOptions;
use azuring_job::way::{Decision, Evidence, Way, WayReason};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::end::End;
use super::ends::{Ends, RemoteEnd};

/// The way of a job. Shared by all threads.
pub(crate) struct Route {
    choice: RouteChoice,
    is_direct: AtomicBool,
    /// Whether there is a staging account, for what cannot go directly.
    is_staged: AtomicBool,
    /// A copy by a service has succeeded.
    is_proven: AtomicBool,
    /// What is told of it, once that is known.
    decided: Mutex<Option<Decision>>,
    /// Until a copy has succeeded there is one at a time: a network that is closed is found out by one request, and not
    /// by thousands.
    probes: Semaphore,
}

impl Route {
    pub(super) fn new(options: &JobOptions, ends: &Ends<RemoteEnd>, staging: bool) -> Self {
        let can_be = can_be_direct(options, ends);
        let is_direct = matches!(options.route, RouteChoice::Auto | RouteChoice::Direct) && can_be;
        let reason = if can_be { WayReason::Asked } else { WayReason::Unable };
        let is_staged = staging && matches!(options.route, RouteChoice::Auto | RouteChoice::Staging);
        let way = if is_staged { Way::Staging } else { Way::Relay };
        let decided = (ends.are_two() && !is_direct).then(|| Decision::new(way, reason, named(ends)));
        Self {
            choice: options.route,
            is_direct: AtomicBool::new(is_direct),
            is_staged: AtomicBool::new(is_staged),
            is_proven: AtomicBool::new(false),
            decided: Mutex::new(decided),
            probes: Semaphore::new(1),
        }
    }

    fn decided(&self) -> MutexGuard<'_, Option<Decision>> {
        self.decided.lock().expect("nothing panics while the lock is held")
    }

    /// What is known of it by now.
    pub(crate) fn decision(&self) -> Option<Decision> {
        self.decided().clone()
    }

    /// Goes on as an earlier run of the job has found out, if that still counts. What it has found open is asked again.
    pub(crate) fn go_on(&self, mut before: Decision) {
        if self.may_change() && self.is_direct() && before.reason.is_found_closed() {
            self.is_direct.store(false, Ordering::SeqCst);
            (before.way, before.known_before) = (self.way(), true);
            *self.decided() = Some(before);
        }
    }

    /// Which way is open, as far as is known by now.
    pub(crate) fn way(&self) -> Way {
        match (self.is_direct(), self.is_staged.load(Ordering::Relaxed)) {
            (true, _) => Way::Direct,
            (false, true) => Way::Staging,
            (false, false) => Way::Relay,
        }
    }

    /// Whether the destination reads the source by itself, as far as is known by now.
    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct.load(Ordering::Relaxed)
    }

    /// Waits until it is known whether the direct way works, or until it is this one's turn to find out. What is known
    /// then may be that it does not: ask [`Self::is_direct`].
    pub(crate) async fn probe(&self) -> Option<SemaphorePermit<'_>> {
        if self.has_worked() {
            return None;
        }
        let permit = self.probes.acquire().await.expect("the semaphore is never closed");
        let is_known = self.has_worked() || self.way() == Way::Relay;
        (!is_known).then_some(permit)
    }

    /// The destination has read something at the source. `Some` for the first one to find out.
    pub(crate) fn works(&self, ends: &Ends<RemoteEnd>) -> Option<Decision> {
        if self.has_worked() || self.is_proven.swap(true, Ordering::SeqCst) {
            return None;
        }
        let mut decided = self.decided();
        // Why it is not the direct way stays known.
        if self.way() != Way::Direct {
            return None;
        }
        let decision = Decision::new(Way::Direct, WayReason::Proven, named(ends));
        *decided = Some(decision.clone());
        Some(decision)
    }

    /// Whether the destination has read something at the source.
    pub(crate) fn has_worked(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    /// Whether there may be another way than this one.
    pub(crate) fn may_change(&self) -> bool {
        self.choice == RouteChoice::Auto
    }

    /// The direct way is closed: all that is left goes another one, or nowhere. `Some` for the first one to find out.
    pub(crate) fn leave_direct(&self, mut decision: Decision) -> Option<Decision> {
        let mut decided = self.decided();
        if decided.as_ref().is_some_and(|decided| decided.reason.is_found_closed()) {
            return None;
        }
        if self.may_change() {
            self.is_direct.store(false, Ordering::SeqCst);
            decision.way = self.way();
            if decision.way == Way::Staging {
                // A source may have been found open before it was closed: the next way is not proven by that.
                self.is_proven.store(false, Ordering::SeqCst);
            }
        } else {
            // Nobody goes another way meanwhile.
            decision.way = Way::Direct;
        }
        *decided = Some(decision.clone());
        Some(decision)
    }
}

impl Route {
    /// The staging account cannot be used: all that is left goes through this host, or nowhere. `Some` for the first
    /// one to find out.
    pub(crate) fn leave_staging(&self, mut decision: Decision) -> Option<Decision> {
        let mut decided = self.decided();
        if self.way() != Way::Staging {
            return None;
        }
        if self.may_change() {
            self.is_staged.store(false, Ordering::SeqCst);
        } else if decided.as_ref().is_some_and(|decided| decided.reason.is_found_closed()) {
            return None;
        } else {
            decision.way = Way::Staging;
        }
        *decided = Some(decision.clone());
        Some(decision)
    }
}

/// What comes of an answer that shows that the direct way is closed.
pub(crate) fn closed(reason: WayReason, evidence: Evidence, ends: &Ends<RemoteEnd>) -> Decision {
    let mut decision = Decision::new(Way::Relay, reason, named(ends));
    decision.evidence = Some(Box::new(evidence));
    decision
}

/// Source and destination, as messages name them.
fn named(ends: &Ends<RemoteEnd>) -> [String; 2] {
    [ends.from(), ends.to()].map(|remote| remote.end.to_string())
}

/// Whether the destination has an operation that reads from such a source. It is given no tokens if its host is not one
/// that may be sent some, nor the key that a customer's blobs are encrypted with where others can listen.
pub fn can_be_direct(options: &JobOptions, ends: &Ends<RemoteEnd>) -> bool {
    let (End::Blob(from), End::Blob(to)) = (&ends.from().end, &ends.to().end) else { return false };
    let may_read = match from.credential() {
        Credential::Token(token) => token.may_be_lent_to(to.url()),
        _ => true,
    };
    // The destination is told the key that the source is read with.
    let may_know = options.source_key.is_none() || Encryption::may_send_key(to.url());
    ends.are_two() && may_read && may_know
}
