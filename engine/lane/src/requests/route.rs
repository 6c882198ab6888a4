//! Which way the bytes of a job between two stores go.
//!
//! **Direct**: the destination reads the source by itself, which costs this host one small request and no bandwidth.
//! **Relay**: through this host's memory. What a source says of its network holds for every object of a pair of
//! accounts, so the first such answer decides for all that is left.

use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::Credential;
use azuring_job::choices::{Encryption, RouteChoice};
use azuring_job::options::JobOptions;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::end::End;
use super::ends::{Ends, RemoteEnd};

/// The way of a job. Shared by all threads.
pub(crate) struct Route {
    choice: RouteChoice,
    is_direct: AtomicBool,
    /// A direct copy has succeeded.
    is_proven: AtomicBool,
    /// Until then there is one at a time: a network that is closed is found out by one request, and not by thousands.
    probes: Semaphore,
}

impl Route {
    pub(super) fn new(options: &JobOptions, ends: &Ends<RemoteEnd>) -> Self {
        let is_direct = options.route != RouteChoice::Relay && can_be_direct(options, ends);
        Self {
            choice: options.route,
            is_direct: AtomicBool::new(is_direct),
            is_proven: AtomicBool::new(false),
            probes: Semaphore::new(1),
        }
    }

    /// Whether the destination reads the source by itself, as far as is known by now.
    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct.load(Ordering::Relaxed)
    }

    /// Waits until it is known whether the direct way works, or until it is this one's turn to find out. What is known
    /// then may be that it does not: ask [`Self::is_direct`].
    pub(crate) async fn probe(&self) -> Option<SemaphorePermit<'_>> {
        if self.is_proven.load(Ordering::Relaxed) {
            return None;
        }
        let permit = self.probes.acquire().await.expect("the semaphore is never closed");
        let is_known = self.is_proven.load(Ordering::Relaxed) || !self.is_direct();
        (!is_known).then_some(permit)
    }

    /// The destination has read something at the source.
    pub(crate) fn works(&self) {
        if !self.is_proven.load(Ordering::Relaxed) {
            self.is_proven.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there may be another way than this one.
    pub(crate) fn may_change(&self) -> bool {
        self.choice == RouteChoice::Auto
    }

    /// All that is left goes through this host. `true` for the first one to find out.
    pub(crate) fn leave_direct(&self) -> bool {
        self.is_direct.swap(false, Ordering::SeqCst)
    }
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
