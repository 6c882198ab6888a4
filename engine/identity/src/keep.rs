//! A token that stays fresh for as long as anybody sends it.

use std::fs::File;
use std::sync::mpsc;
use std::time::Duration;

use azuring_azure::{Bearer, Clock, Secret, TokenFeed, bearer_by};

use crate::acquire::{FIRST_PATIENCE, acquire};
use crate::cache::{Cache, Turn};
use crate::error::IdentityError;
use crate::login::Login;
use crate::network::{Network, Wire, in_runtime, on_a_thread};
use crate::patience::{chance, patiently, pause};
use crate::token::AccessToken;

/// How long a job without a token waits for a service that is out of reach before its requests fail.
const GIVE_UP: Duration = Duration::from_secs(600);

/// Gets the first token, unless there is one, and keeps it fresh on a thread of its own until nobody sends it any more.
/// The next token is asked for when a fifth of the life is left, and at once when the service refuses the one there is.
///
/// # Errors
/// [`IdentityError`]: there is no first token. What goes wrong later is told to whoever sends: see [`Bearer::ready`].
pub fn keep(
    login: Login,
    network: Network,
    scope: &str,
    clock: Clock,
    first: Option<AccessToken>,
    cache: Cache,
) -> Result<Bearer, IdentityError> {
    let (feed, bearer) = bearer_by(login.describe(), clock.clone());
    let (began, begun) = mpsc::sync_channel(1);
    let keeper = Keeper::new(login, network, scope, clock, cache);
    std::thread::Builder::new()
        .name("identity".to_owned())
        .spawn(move || {
            let network = keeper.network.clone();
            let told = began.clone();
            let kept = in_runtime(&network, async |wire| keeper.run(&wire, feed, first, &began).await);
            if let Err(error) = kept {
                // Nobody listens if the first token was there before.
                let _ = told.send(Err(error));
            }
        })
        .map_err(|error| IdentityError::Machine(error.to_string()))?;
    let ended = || Err(IdentityError::Machine("it ended without a word".to_owned()));
    begun.recv().unwrap_or_else(|_| ended()).map(|()| bearer)
}

/// Asks for a token now, whatever the cache has, and keeps it there: whether the login works today.
///
/// # Errors
/// [`IdentityError`]: it does not.
pub fn check(login: Login, network: &Network, scope: &str, cache: Cache) -> Result<(), IdentityError> {
    let mut keeper = Keeper::new(login, network.clone(), scope, Clock::system(), cache);
    let known = keeper.cache.token(&keeper.key()).map(|token| token.secret);
    let clock = keeper.clock.clone();
    on_a_thread(network, async |wire| {
        patiently(FIRST_PATIENCE, &clock, async || keeper.fetch(&wire, known.as_ref()).await.map(drop)).await
    })
}

/// Gets tokens of a login, one after the other.
pub(crate) struct Keeper {
    login: Login,
    network: Network,
    scope: String,
    clock: Clock,
    cache: Cache,
    /// The login is the one in the cache: what comes of it is kept for as long as it is there.
    saved: bool,
    /// The right to ask, after an attempt for which the service had no time: whoever is let in next would be one more.
    turn: Option<File>,
}

impl Keeper {
    pub(crate) fn new(login: Login, network: Network, scope: &str, clock: Clock, cache: Cache) -> Self {
        // Programs keep their own tokens, and may have logged in somebody else since; so may a parent process.
        let cache = if login.is_lent() || login.is_read_once() { Cache::none() } else { cache };
        let saved = matches!(cache.login(), Ok(Some(saved)) if saved.is_same(&login));
        Self { login, network, scope: scope.to_owned(), clock, cache, saved, turn: None }
    }

    async fn run(
        mut self,
        wire: &Wire,
        feed: TokenFeed,
        first: Option<AccessToken>,
        began: &mpsc::SyncSender<Result<(), IdentityError>>,
    ) -> Result<(), IdentityError> {
        let clock = self.clock.clone();
        let mut token = match first.filter(|token| !token.left(&clock).is_zero()) {
            Some(first) => first,
            None => patiently(FIRST_PATIENCE, &clock, async || self.fetch(wire, None).await).await?,
        };
        feed.put(&token.secret, token.left(&clock));
        // The receiver waits.
        let _ = began.send(Ok(()));
        loop {
            let refused = tokio::select! {
                () = feed.unused() => return Ok(()),
                () = feed.refused() => true,
                () = clock.sleep(token.renew_in(&clock)) => false,
            };
            let renewed = tokio::select! {
                () = feed.unused() => return Ok(()),
                renewed = self.renew(wire, &feed, &token, refused) => renewed,
            };
            token = renewed;
            feed.put(&token.secret, token.left(&clock));
        }
    }

    /// Tries until there is another token. Says that there is none when the old one is of no use any more, and the
    /// reason is not one that passes or has lasted too long; and goes on trying.
    async fn renew(
        &mut self,
        wire: &Wire,
        feed: &TokenFeed,
        old: &AccessToken,
        mut refused: bool,
    ) -> AccessToken {
        let clock = self.clock.clone();
        let begun = clock.now();
        let mut failures = 0;
        loop {
            let error = match self.fetch(wire, Some(&old.secret)).await {
                Ok(token) => return token,
                Err(error) => error,
            };
            failures += 1;
            let lasting = !error.is_passing() || clock.now() - begun > GIVE_UP;
            if lasting && (refused || old.left(&clock).is_zero()) {
                feed.fail(error.to_string(), error.is_passing());
            }
            let wait = self.wait(failures, &error, old, refused);
            tokio::select! {
                () = clock.sleep(wait) => {}
                () = feed.refused(), if !refused => refused = true,
            }
        }
    }

    /// Until the next attempt: no longer than the old token is good, unless the service asks for more.
    fn wait(&self, failures: u32, error: &IdentityError, old: &AccessToken, refused: bool) -> Duration {
        let wait = pause(failures, error.retry_after(), chance());
        let left = old.left(&self.clock);
        let soon = !refused && !left.is_zero() && error.retry_after().is_none();
        if soon { wait.min(left.max(Duration::from_millis(100))) } else { wait }
    }

    /// A token from the cache or, with all other processes waiting for it, from the service. Not `old`.
    pub(crate) async fn fetch(
        &mut self,
        wire: &Wire,
        old: Option<&Secret>,
    ) -> Result<AccessToken, IdentityError> {
        let key = self.key();
        let another = |token: &AccessToken| Some(&token.secret) != old;
        let known = || self.cache.token_by(&key, &self.clock).filter(another);
        let held = self.turn.take();
        let turn = match known() {
            Some(token) => return Ok(token),
            None if held.is_some() => held,
            None => match self.cache.turn(&key, known).await {
                Turn::Found(token) => return Ok(token),
                Turn::Mine(lock) => lock,
            },
        };
        if old.is_some() {
            self.login.spend_given();
        }
        if let Some(newer) = self.cached_refresh_token() {
            self.login.set_refresh_token(newer);
        }
        let issued = match acquire(&self.login, wire, &self.network, &self.clock, &self.scope).await {
            Ok(issued) => issued,
            Err(error) => {
                // A command that waits for its first token is done within a minute. A job goes on for ever: others may
                // ask.
                self.turn = turn.filter(|_| old.is_none() && matches!(error, IdentityError::Busy { .. }));
                return Err(error);
            }
        };
        // A cache that cannot be written costs requests, not the job; whoever opened it has been told.
        if let Some(refresh) = issued.refresh {
            let rotated = self.cached_refresh_token().is_some();
            self.login.set_refresh_token(refresh);
            if rotated {
                let _ = self.cache.renew_login(&self.login);
            }
        }
        let _ = self.cache.put_token_of(self.saved.then_some(&self.login), &key, &issued.token);
        Ok(issued.token)
    }

    /// The refresh token in the cache, if it is this login's: another process may have got a newer one.
    fn cached_refresh_token(&self) -> Option<Secret> {
        let cached = self.cache.login().ok()??;
        cached.refresh_token().filter(|_| cached.is_same(&self.login)).cloned()
    }

    fn key(&self) -> String {
        self.login.token_key(&self.network, &self.scope)
    }
}

#[cfg(test)]
mod tests {
    use azuring_link::LinkSettings;

    use super::*;
    use crate::cache::{CacheOptions, asking};
    use crate::login::LoginKind;
    use crate::one_answer::says;

    /// Whether others may ask after the answer `status` to who has the token `old`.
    fn others_may_ask(status: &'static str, old: Option<&Secret>) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let mut login = Login::new(LoginKind::DeviceCode { refresh: Some(Secret::new("r")) });
        login.authority = says(status, "{}".to_owned()).0.origin().ascii_serialization();
        let cache = Cache::open(dir.path(), CacheOptions { keyring: false }).unwrap();
        let network = Network::new(LinkSettings::default());
        let mut keeper = Keeper::new(login, network.clone(), "s/.default", Clock::system(), cache);
        let lock = dir.path().join(asking(&keeper.key()));
        let asking = || File::open(&lock).unwrap().try_lock().is_ok();
        let may = in_runtime(&network, async |wire| {
            keeper.fetch(&wire, old).await.unwrap_err();
            Ok(asking())
        });
        drop(keeper);
        assert!(asking());
        may.unwrap()
    }

    #[test]
    fn a_busy_service_is_asked_by_one() {
        assert!(!others_may_ask("429 Too Many Requests", None));
        assert!(others_may_ask("400 Bad Request", None));
        // A job that renews its token asks for ever, and pauses for long.
        assert!(others_may_ask("429 Too Many Requests", Some(&Secret::new("old"))));
    }
}
