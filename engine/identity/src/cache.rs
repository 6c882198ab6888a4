//! Logins and tokens that outlive a process: one file, which only its owner may read.
//!
//! ```text
//!   identity          the login of `azuring login`, and access tokens, sealed with AES-256-GCM under a key in the kernel's keyring
//!   identity.lock     held while the file is changed
//!   identity.asking.* held by the one process that asks for a token; the others wait, and find it in the file
//! ```
//!
//! Where there is no keyring (containers often forbid it), or the user wants a login to outlive a restart of the
//! machine, the file is not sealed, and its mode alone protects it. [`Cache::check`] says which it is.

mod file;
mod keyring;
mod record;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use azuring_azure::Clock;

use crate::error::IdentityError;
use crate::login::{Login, digest};
use crate::token::AccessToken;
use file::{Contents, Stored};

/// How long to wait for another process that asks for a token. It gives up after a minute itself.
const TURN: Duration = Duration::from_secs(75);
/// Lock and file are looked at again after this long; the one who holds the lock waits for a network. A thousand
/// processes that wait cost half a core.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long to wait for another process to change the file. It takes milliseconds; one that was stopped while it did so
/// has it for ever.
const CHANGE: Duration = Duration::from_secs(5);
/// How often to look whether it is done.
const LOOK_FOR_CHANGE: Duration = Duration::from_millis(10);
/// More tokens than anybody's scripts use; the oldest go.
const MAX_TOKENS: usize = 64;

/// How a cache is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// Seal it with a key in the kernel's keyring, which is gone after a restart of the machine and when it was not
    /// used for some days.
    pub keyring: bool,
}

impl CacheOptions {
    /// Sets [`keyring`](Self::keyring).
    #[must_use]
    pub fn keyring(mut self, keyring: bool) -> Self {
        self.keyring = keyring;
        self
    }
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { keyring: true }
    }
}

/// What protects the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheProtection {
    /// A key in the kernel's keyring, and the file's mode.
    Keyring,
    /// The file's mode alone.
    FileOnly {
        /// Why there is no key.
        reason: String,
    },
}

/// The cache of logins and tokens.
#[derive(Clone, Debug)]
pub struct Cache {
    place: Option<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    dir: PathBuf,
    options: CacheOptions,
    /// How long to wait for the lock.
    patience: Duration,
}

impl Cache {
    /// The cache in `dir`, which is made if need be, for its owner alone. Nothing is read yet.
    ///
    /// # Errors
    /// [`IdentityError::Cache`]: the directory cannot be made, is another user's, or everybody may write into it.
    pub fn open(dir: &Path, options: CacheOptions) -> Result<Self, IdentityError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        let facts = made.and_then(|()| dir.metadata()).map_err(|error| file::fault(dir, error))?;
        if facts.uid() != rustix::process::geteuid().as_raw() {
            return Err(file::fault(dir, "it belongs to somebody else"));
        }
        if facts.mode() & 0o002 != 0 {
            return Err(file::fault(dir, "everybody may write into it: chmod 700"));
        }
        Ok(Self { place: Some(Place { dir: dir.to_owned(), options, patience: CHANGE }) })
    }

    /// A cache that keeps nothing.
    pub fn none() -> Self {
        Self { place: None }
    }

    /// What protects what is in it; `None` if there is nothing.
    ///
    /// # Errors
    /// [`IdentityError::Cache`]: the file is damaged. Logins from the environment work nevertheless.
    pub fn check(&self) -> Result<Option<CacheProtection>, IdentityError> {
        let Some(place) = &self.place else { return Ok(None) };
        Ok(place.read()?.map(|stored| stored.protection))
    }

    /// Whether a login can be saved: to be asked before a person goes through one.
    ///
    /// # Errors
    /// [`IdentityError::Cache`]: the directory or the lock cannot be written.
    pub fn check_writable(&self) -> Result<(), IdentityError> {
        let Some(place) = &self.place else { return Ok(()) };
        let _lock = place.lock()?;
        file::try_out(&place.file())
    }

    /// The login that was saved.
    ///
    /// # Errors
    /// [`IdentityError::NotLoggedIn`]: there was one, and the key to it is gone. [`IdentityError::Cache`]: the file is
    /// damaged.
    pub fn login(&self) -> Result<Option<Login>, IdentityError> {
        let Some(place) = &self.place else { return Ok(None) };
        let Some(stored) = place.read()? else { return Ok(None) };
        match stored.contents.login {
            Some(login) => login.restore().map(Some).ok_or_else(|| place.fault("an unknown login")),
            None if stored.login_lost => Err(IdentityError::not_logged_in(
                "the key of the saved login is not in the kernel's keyring (restarted, not used for days, or saved on another machine or in another container)",
            )),
            None => Ok(None),
        }
    }

    /// Saves a login in place of the one before, protected as this cache was opened, and says what protects it.
    ///
    /// # Errors
    /// [`IdentityError::Cache`]; [`IdentityError::Unsupported`] for a token that was handed down.
    pub fn save_login(&self, login: &Login) -> Result<CacheProtection, IdentityError> {
        let record = record::StoredLogin::of(login).ok_or_else(|| {
            IdentityError::Unsupported("a token that was handed down is not saved".to_owned())
        })?;
        let Some(place) = &self.place else {
            return Err(IdentityError::Unsupported("without a cache no login is saved".to_owned()));
        };
        let _lock = place.lock()?;
        // A damaged file is what logging in again is the remedy for.
        let mut stored = place.read().ok().flatten().unwrap_or_else(|| Stored::empty(place.options.keyring));
        stored.protection = Stored::empty(place.options.keyring).protection;
        stored.contents.login = Some(record);
        stored.login_lost = false;
        place.write(stored)
    }

    /// Puts the refresh token of `login` in place of the one of the login that is saved, if that is the same one. What
    /// protects it stays: whoever logged in has chosen it.
    ///
    /// # Errors
    /// [`IdentityError::Cache`].
    pub(crate) fn renew_login(&self, login: &Login) -> Result<(), IdentityError> {
        let Some(place) = &self.place else { return Ok(()) };
        let _lock = place.lock()?;
        let Some(mut stored) = place.read()? else { return Ok(()) };
        if !stored.holds(login) {
            return Ok(());
        }
        stored.contents.login = record::StoredLogin::of(login);
        place.write(stored).map(drop)
    }

    /// Forgets the login, the tokens and the key. Returns whether there was a file.
    ///
    /// # Errors
    /// [`IdentityError::Cache`].
    pub fn forget(&self) -> Result<bool, IdentityError> {
        let Some(place) = &self.place else { return Ok(false) };
        let _lock = place.lock()?;
        keyring::remove(&place.key_name());
        match std::fs::remove_file(place.file()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(file::fault(&place.file(), error)),
        }
    }

    /// A token that is good for a while yet. What cannot be read is no token.
    pub fn token(&self, key: &str) -> Option<AccessToken> {
        self.token_by(key, &Clock::system())
    }

    pub(crate) fn token_by(&self, key: &str, clock: &Clock) -> Option<AccessToken> {
        let stored = self.place.as_ref()?.read().ok()??;
        let token = stored.contents.tokens.get(key)?.restore();
        (!token.renew_in(clock).is_zero()).then_some(token)
    }

    /// Keeps a token for other processes. Not in a file with a login that cannot be opened here: it may be opened
    /// elsewhere, and writing would end it.
    ///
    /// # Errors
    /// [`IdentityError::Cache`].
    pub fn put_token(&self, key: &str, token: &AccessToken) -> Result<(), IdentityError> {
        self.put_token_of(None, key, token)
    }

    /// The same for a token of the saved login: not when that is another one by now, or is forgotten.
    pub(crate) fn put_token_of(
        &self,
        saved: Option<&Login>,
        key: &str,
        token: &AccessToken,
    ) -> Result<(), IdentityError> {
        let Some(place) = &self.place else { return Ok(()) };
        let _lock = place.lock()?;
        let mut stored = place.read()?.unwrap_or_else(|| Stored::empty(place.options.keyring));
        if stored.login_lost || saved.is_some_and(|login| !stored.holds(login)) {
            return Ok(());
        }
        let Contents { tokens, .. } = &mut stored.contents;
        tokens.retain(|_, token| !token.restore().left(&Clock::system()).is_zero());
        while tokens.len() >= MAX_TOKENS {
            let oldest = tokens.iter().min_by_key(|(_, token)| token.obtained_ms).map(|(key, _)| key.clone());
            tokens.remove(&oldest.unwrap_or_default());
        }
        tokens.insert(key.to_owned(), record::StoredToken::of(token));
        place.write(stored).map(drop)
    }

    /// Waits until `known` finds a token, or no other process asks for one: then it is this one's turn, until the lock
    /// is dropped. Without a cache, or when that takes too long, it is its turn without a lock.
    pub(crate) async fn turn(&self, key: &str, known: impl Fn() -> Option<AccessToken>) -> Turn {
        let shared = self.place.as_ref().filter(|place| place.keeps_tokens());
        let lock = shared.and_then(|place| place.lock_file(&asking(key)).ok());
        let begun = Instant::now();
        loop {
            let tried = lock.as_ref().map(File::try_lock);
            if let Some(token) = known() {
                return Turn::Found(token);
            }
            match tried {
                Some(Ok(())) => return Turn::Mine(lock),
                Some(Err(TryLockError::WouldBlock)) if begun.elapsed() < TURN => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                _ => return Turn::Mine(None),
            }
        }
    }
}

/// What came of waiting for other processes.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Another one has got a token.
    Found(AccessToken),
    /// This one asks; the lock, where there is one, is held until it is dropped.
    Mine(Option<File>),
}

/// The lock of those who ask for the same token, and by chance of a few others: one of sixteen, so that files do not
/// gather.
pub(crate) fn asking(key: &str) -> String {
    format!("identity.asking.{}", &digest([key])[..1])
}

impl Place {
    fn file(&self) -> PathBuf {
        self.dir.join("identity")
    }

    /// The name of this directory's key in the keyring.
    fn key_name(&self) -> String {
        let dir = std::fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        format!("azuring identity {}", dir.display())
    }

    fn lock_file(&self, name: &str) -> Result<File, IdentityError> {
        let path = self.dir.join(name);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600).custom_flags(file::DO_NOT_WAIT);
        options.open(&path).map_err(|error| file::fault(&path, error))
    }

    /// Held for a few reads and writes at a time.
    fn lock(&self) -> Result<File, IdentityError> {
        let file = self.lock_file("identity.lock")?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if begun.elapsed() < self.patience => {
                    std::thread::sleep(LOOK_FOR_CHANGE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(self.fault("another process does not let go of identity.lock"));
                }
                Err(TryLockError::Error(error)) => return Err(file::fault(&self.dir, error)),
            }
        }
    }

    /// Whether a token that is put would be found.
    fn keeps_tokens(&self) -> bool {
        self.read().is_ok_and(|stored| stored.is_none_or(|stored| !stored.login_lost))
    }

    fn read(&self) -> Result<Option<Stored>, IdentityError> {
        file::read(&self.file(), || keyring::find(&self.key_name()))
    }

    /// Writes what is stored, and says what protects it: where a key is wanted, and there can be none, the file's mode.
    fn write(&self, mut stored: Stored) -> Result<CacheProtection, IdentityError> {
        let mut key = None;
        if stored.protection == CacheProtection::Keyring {
            match keyring::find_or_make(&self.key_name()) {
                Ok(made) => key = Some(made),
                Err(reason) => stored.protection = CacheProtection::FileOnly { reason },
            }
        }
        file::write(&self.file(), &stored, key.as_ref())?;
        Ok(stored.protection)
    }

    fn fault(&self, reason: &str) -> IdentityError {
        file::fault(&self.file(), reason)
    }
}

#[cfg(test)]
mod tests;
