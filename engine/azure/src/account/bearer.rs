//! A bearer token that all lanes share and somebody else keeps fresh.
//!
//! ```text
//!   TokenFeed (who gets tokens) ── put, fail ──> State ── number, header, good until ──> Bearer (each lane's copy)
//!             ^                                                                            │
//!             └──────────────────────── the service refused token number n ────────────────┘
//! ```
//!
//! Reading costs a lane one atomic load for each request; a lock is taken when there is a new token.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use azuring_link::secrets;
use http::HeaderValue;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use crate::account::clock::Clock;
use crate::account::secret::Secret;

/// A pair of ends: who holds the feed gets tokens, who holds the bearer sends them. `identity` says in a few words
/// whose tokens they are, without a secret.
pub fn bearer(identity: impl Into<Arc<str>>) -> (TokenFeed, Bearer) {
    bearer_by(identity, Clock::system())
}

/// As [`bearer`], with the clock that tokens age by.
pub fn bearer_by(identity: impl Into<Arc<str>>, clock: Clock) -> (TokenFeed, Bearer) {
    let state = watch::Sender::new(State::default());
    let shared = Arc::new(Shared {
        identity: identity.into(),
        accepted: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        wanted: Notify::new(),
        renewals: Mutex::new(Renewals { left: MAX_RENEWALS, since: clock.now() }),
        clock,
    });
    let bearer = Bearer { shared: Arc::clone(&shared), state: state.subscribe() };
    (TokenFeed { shared, state }, bearer)
}

struct Shared {
    identity: Arc<str>,
    /// The newest token that the service has taken.
    accepted: AtomicU64,
    /// The newest token that it has refused.
    refused: AtomicU64,
    wanted: Notify,
    /// Renewals that refusals may still ask for.
    renewals: Mutex<Renewals>,
    clock: Clock,
}

/// Refusals in a row that are each met by a new token.
const MAX_RENEWALS: u32 = 4;
/// Afterwards one is, each time this has passed. A server that always refuses what another one takes (a gateway, one
/// blob of a batch) must not make a storm of requests for tokens.
const RENEWAL_EVERY: Duration = Duration::from_secs(60);

struct Renewals {
    left: u32,
    /// When the last one was given back.
    since: Instant,
}

impl Renewals {
    fn take(&mut self, now: Instant) -> bool {
        let whole = now.duration_since(self.since).as_secs() / RENEWAL_EVERY.as_secs();
        if whole > 0 {
            self.since = now;
            self.left = MAX_RENEWALS.min(self.left.saturating_add(u32::try_from(whole).unwrap_or(u32::MAX)));
        }
        let some = self.left > 0;
        self.left -= u32::from(some);
        some
    }
}

#[derive(Clone, Default)]
struct State {
    /// Counted from 1; 0 while there is none.
    number: u64,
    header: Option<HeaderValue>,
    good_until: Option<Instant>,
    /// It was fetched because the one before was refused.
    after_refusal: bool,
    /// Why there is no newer one.
    failure: Option<Failed>,
}

#[derive(Clone)]
struct Failed {
    reason: Arc<str>,
    passing: bool,
}

impl State {
    fn is_good(&self, clock: &Clock) -> bool {
        self.good_until.is_some_and(|until| clock.now() < until)
    }
}

/// Why there is no token to send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no token for {identity}: {reason}")]
#[non_exhaustive]
pub struct TokenError {
    /// The identity in words for a message, as the caller of [`bearer`] named it; no secret.
    pub identity: Arc<str>,
    /// The last attempt's error.
    pub reason: Arc<str>,
    /// Whether it may be had later, without anybody changing anything.
    pub passing: bool,
}

impl TokenError {
    /// No token for `identity`, for this reason.
    pub fn new(identity: impl Into<Arc<str>>, reason: impl Into<Arc<str>>, passing: bool) -> Self {
        Self { identity: identity.into(), reason: reason.into(), passing }
    }
}

/// The end that gets tokens. When it is dropped, the last token is used until it expires.
pub struct TokenFeed {
    shared: Arc<Shared>,
    state: watch::Sender<State>,
}

impl TokenFeed {
    /// Puts a token in, which is good for `lifetime` from now.
    pub fn put(&self, token: &Secret, lifetime: Duration) {
        // A token is made of letters, digits and `-._~+/=` (RFC 6750 section 2.1).
        let Ok(mut header) = HeaderValue::try_from(format!("Bearer {}", token.expose())) else {
            self.fail("the token that was issued has characters that no token has", false);
            return;
        };
        header.set_sensitive(true);
        self.state.send_modify(|state| {
            state.after_refusal = state.number > 0 && self.is_refused(state.number);
            state.number += 1;
            state.header = Some(header);
            state.good_until = Some(self.shared.clock.now() + lifetime);
            state.failure = None;
            let (number, after_refusal) = (state.number, state.after_refusal);
            info!(number, lifetime_s = lifetime.as_secs(), after_refusal, "a new token");
        });
    }

    /// Says that no new token can be had; `passing`: for now. Requests fail once the last one has expired or been
    /// refused.
    pub fn fail(&self, reason: impl Into<Arc<str>>, passing: bool) {
        let failed = Failed { reason: reason.into(), passing };
        warn!(reason = %secrets::conceal(&failed.reason), passing, "no token");
        self.state.send_modify(|state| state.failure = Some(failed));
    }

    /// Waits until the service has refused the newest token.
    pub async fn refused(&self) {
        loop {
            let wanted = self.shared.wanted.notified();
            if self.is_refused(self.state.borrow().number) {
                return;
            }
            wanted.await;
        }
    }

    /// Waits until nobody sends tokens any more.
    pub async fn unused(&self) {
        self.state.closed().await;
    }

    fn is_refused(&self, number: u64) -> bool {
        self.shared.refused.load(Ordering::SeqCst) >= number.max(1)
    }
}

/// The end that sends tokens; clones share it. What it sends goes into one header, `Authorization`.
#[derive(Clone)]
pub struct Bearer {
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bearer").field("identity", &self.identity()).finish_non_exhaustive()
    }
}

impl Bearer {
    /// Whose tokens they are: never a secret.
    pub fn identity(&self) -> &str {
        &self.shared.identity
    }

    /// Waits until there is a token that has not expired.
    ///
    /// # Errors
    /// [`TokenError`] when there will be none.
    pub async fn ready(&self) -> Result<(), TokenError> {
        self.wait(|state| state.is_good(&self.shared.clock)).await.map(drop)
    }

    async fn wait(&self, good: impl Fn(&State) -> bool) -> Result<State, TokenError> {
        let mut state = self.state.clone();
        let ended = match state.wait_for(|state| good(state) || state.failure.is_some()).await {
            Ok(state) if good(&state) => return Ok(state.clone()),
            Ok(state) => state.failure.clone(),
            Err(_) => None,
        };
        let nobody = || Failed { reason: "the token has expired and is not renewed".into(), passing: false };
        let Failed { reason, passing } = ended.unwrap_or_else(nobody);
        Err(TokenError { identity: Arc::clone(&self.shared.identity), reason, passing })
    }

    /// Says that the service refused token `number`, and waits for another. `false`: it would be refused as well, since
    /// this one was new and the service has taken none, or since there were many refusals of late.
    async fn refuse(&self, number: u64) -> Result<bool, TokenError> {
        let state = self.state.borrow().clone();
        let taken = self.shared.accepted.load(Ordering::SeqCst) >= number;
        if state.number == number {
            if state.after_refusal && !taken {
                return Ok(false);
            }
            let mut renewals = self.shared.renewals.lock().unwrap_or_else(PoisonError::into_inner);
            if self.shared.refused.load(Ordering::SeqCst) < number {
                if !renewals.take(self.shared.clock.now()) {
                    return Ok(false);
                }
                self.shared.refused.store(number, Ordering::SeqCst);
                debug!(number, "the service has refused a token");
                self.shared.wanted.notify_waiters();
            }
        }
        self.wait(|state| state.number > number).await.map(|_| true)
    }
}

/// A lane's copy of the newest token.
pub(crate) struct HeldToken {
    bearer: Bearer,
    news: RefCell<watch::Receiver<State>>,
    state: RefCell<State>,
}

impl HeldToken {
    pub(crate) fn new(bearer: Bearer) -> Self {
        let news = RefCell::new(bearer.state.clone());
        Self { bearer, news, state: RefCell::default() }
    }

    /// Waits until there is a token that has not expired; returns its number.
    pub(crate) async fn ready(&self) -> Result<u64, TokenError> {
        {
            let state = self.state.borrow();
            // An error: there will be none any more.
            if state.is_good(&self.bearer.shared.clock) && !self.news.borrow().has_changed().unwrap_or(false)
            {
                return Ok(state.number);
            }
        }
        self.news.borrow_mut().mark_unchanged();
        let clock = &self.bearer.shared.clock;
        let mut newest = self.bearer.wait(|state| state.is_good(clock)).await?;
        // A copy of its own: clones of one header would count their references on one place for all lanes.
        newest.header = newest.header.as_ref().and_then(|header| {
            let mut copy = HeaderValue::from_bytes(header.as_bytes()).ok()?;
            copy.set_sensitive(true);
            Some(copy)
        });
        let number = newest.number;
        *self.state.borrow_mut() = newest;
        Ok(number)
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        self.state.borrow().header.clone()
    }

    /// The service has taken token `number`.
    pub(crate) fn accepted(&self, number: u64) {
        let accepted = &self.bearer.shared.accepted;
        if accepted.load(Ordering::Relaxed) < number {
            accepted.fetch_max(number, Ordering::SeqCst);
        }
    }

    /// The service has refused it: see [`Bearer::refuse`].
    pub(crate) async fn refused(&self, number: u64) -> Result<bool, TokenError> {
        self.bearer.refuse(number).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn a_token_is_waited_for_and_renewed_once_for_all() {
        run(async {
            let (feed, bearer) = bearer("me");
            let (one, two) = (HeldToken::new(bearer.clone()), HeldToken::new(bearer.clone()));
            let first = async { feed.put(&Secret::new("t1"), HOUR) };
            let (held, ()) = tokio::join!(one.ready(), first);
            assert_eq!((held, two.ready().await), (Ok(1), Ok(1)));
            assert_eq!(one.header().unwrap(), "Bearer t1");
            assert!(one.header().unwrap().is_sensitive());
            one.accepted(1);
            // Both lanes are refused; one renewal serves them.
            let renew = async {
                feed.refused().await;
                feed.put(&Secret::new("t2"), HOUR);
            };
            let (a, b, ()) = tokio::join!(one.refused(1), two.refused(1), renew);
            assert_eq!((a, b), (Ok(true), Ok(true)));
            assert_eq!(one.ready().await, Ok(2));
            assert_eq!(one.header().unwrap(), "Bearer t2");
            // A late answer to the first token asks for nothing.
            assert_eq!(two.refused(1).await, Ok(true));
            // The second was fetched because of a refusal, and was never taken: a third would be refused as well.
            assert_eq!(one.refused(2).await, Ok(false));
            one.accepted(2);
            let renew = async {
                feed.refused().await;
                feed.fail("AADSTS700082", false);
            };
            let (refused, ()) = tokio::join!(one.refused(2), renew);
            let error = refused.unwrap_err();
            assert_eq!(error.to_string(), "no token for me: AADSTS700082");
            drop(feed);
            assert_eq!(one.ready().await, Ok(2));
        });
    }

    #[test]
    fn refusals_without_end_make_no_storm() {
        run(async {
            let (feed, bearer) = bearer("me");
            feed.put(&Secret::new("t"), HOUR);
            let held = HeldToken::new(bearer);
            let mut renewed = 0;
            // Other requests are taken all the while.
            for number in 1..100 {
                held.accepted(number);
                let renew = async {
                    feed.refused().await;
                    feed.put(&Secret::new("t"), HOUR);
                };
                let refused = tokio::select! {
                    biased;
                    refused = held.refused(number) => refused,
                    () = renew => Ok(true),
                };
                if refused == Ok(false) {
                    break;
                }
                renewed += 1;
            }
            assert_eq!(renewed, MAX_RENEWALS);
        });
    }

    #[test]
    fn an_expired_token_is_not_sent() {
        run(async {
            let (feed, bearer) = bearer("me");
            feed.put(&Secret::new("t1"), Duration::ZERO);
            let held = HeldToken::new(bearer.clone());
            let renew = async { feed.put(&Secret::new("t2"), HOUR) };
            let (number, ()) = tokio::join!(held.ready(), renew);
            assert_eq!((number, held.header().unwrap()), (Ok(2), HeaderValue::from_static("Bearer t2")));
            feed.put(&Secret::new("t3"), Duration::ZERO);
            drop(feed);
            assert_eq!(held.ready().await, Ok(2), "it is good still");
            let late = HeldToken::new(bearer);
            assert!(late.ready().await.unwrap_err().to_string().contains("is not renewed"));
        });
    }

    #[test]
    fn nothing_of_a_token_is_printed() {
        let (feed, bearer) = bearer("me");
        feed.put(&Secret::new("hush\n"), HOUR);
        feed.put(&Secret::new("hush"), HOUR);
        assert_eq!(format!("{bearer:?}"), "Bearer { identity: \"me\", .. }");
    }
}
