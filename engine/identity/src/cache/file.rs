//! The cache's file: an envelope in JSON, with the contents in it sealed or not.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::CacheProtection;
use super::keyring::SealKey;
use super::record::{StoredLogin, StoredToken};
use crate::error::IdentityError;
use crate::login::Login;

/// 64 tokens of at most a few KiB each.
const MAX_FILE_BYTES: u64 = 4 << 20;
const FORMAT: u32 = 1;
/// Opening what is no file, and has nobody at its other end, must not take for ever.
pub(super) const DO_NOT_WAIT: i32 = OFlags::NONBLOCK.bits().cast_signed();
const NONCE_BYTES: usize = 12;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Contents {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) login: Option<StoredLogin>,
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, StoredToken>,
}

/// What the file says.
pub(super) struct Stored {
    pub(super) protection: CacheProtection,
    /// There was a login, and its key is gone.
    pub(super) login_lost: bool,
    pub(super) contents: Contents,
}

impl Stored {
    pub(super) fn empty(keyring: bool) -> Self {
        let protection = if keyring {
            CacheProtection::Keyring
        } else {
            CacheProtection::FileOnly { reason: "it was asked to outlive a restart".to_owned() }
        };
        Self { protection, login_lost: false, contents: Contents::default() }
    }
}

impl Stored {
    /// Whether the saved login is this one.
    pub(super) fn holds(&self, login: &Login) -> bool {
        let saved = self.contents.login.clone().and_then(StoredLogin::restore);
        saved.is_some_and(|saved| saved.is_same(login))
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    format: u32,
    /// Whether there is a login in it, for when the key is gone.
    login: bool,
    /// Nonce and sealed contents, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Contents>,
    /// Why they are not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn fault(path: &Path, reason: impl ToString) -> IdentityError {
    IdentityError::Cache { path: path.display().to_string(), reason: reason.to_string() }
}

/// Reads the file; `None` if there is none. `key` is asked for only where it is needed.
pub(super) fn read(
    path: &Path,
    key: impl FnOnce() -> Option<SealKey>,
) -> Result<Option<Stored>, IdentityError> {
    let damaged = || fault(path, "it is damaged: remove it, or log in again");
    let mut bytes = Vec::new();
    match OpenOptions::new().read(true).custom_flags(DO_NOT_WAIT).open(path) {
        Ok(file) => {
            let facts = file.metadata().map_err(|error| fault(path, error))?;
            if !facts.is_file() {
                return Err(fault(path, "it is no file: remove it, and log in again"));
            }
            if facts.uid() != rustix::process::geteuid().as_raw() {
                return Err(fault(path, "it belongs to somebody else: remove it, and log in again"));
            }
            if facts.permissions().mode() & 0o077 != 0 {
                return Err(fault(path, "others may read or change it: remove it, and log in again"));
            }
            file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|error| fault(path, error))?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(path, error)),
    }
    let envelope: Envelope = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    if envelope.format != FORMAT {
        return Err(fault(path, "it is of another version: remove it, or log in again"));
    }
    let login = envelope.login;
    let (protection, contents) = match (envelope.sealed, envelope.open) {
        (Some(sealed), None) => {
            let mut sealed = STANDARD.decode(sealed).map_err(|_| damaged())?;
            let contents = match key().map(|key| open(&key, login, &mut sealed)) {
                // Another key of this name is as good as none: the old one is gone.
                None | Some(None) => Contents::default(),
                Some(Some(plain)) => serde_json::from_slice(plain).map_err(|_| damaged())?,
            };
            (CacheProtection::Keyring, contents)
        }
        (None, Some(contents)) => {
            (CacheProtection::FileOnly { reason: envelope.reason.unwrap_or_default() }, contents)
        }
        _ => return Err(damaged()),
    };
    let login_lost = login && contents.login.is_none();
    Ok(Some(Stored { protection, login_lost, contents }))
}

/// Replaces the file; whoever reads sees the old one or the new one. The caller holds the lock.
pub(super) fn write(path: &Path, stored: &Stored, key: Option<&SealKey>) -> Result<(), IdentityError> {
    let login = stored.contents.login.is_some() || stored.login_lost;
    let contents = serde_json::to_vec(&stored.contents).map_err(|error| fault(path, error))?;
    let (sealed, open, reason) = match (key, &stored.protection) {
        (Some(key), _) => {
            let sealed = seal(key, login, contents).ok_or_else(|| fault(path, "it cannot be sealed"))?;
            (Some(STANDARD.encode(sealed)), None, None)
        }
        (None, CacheProtection::FileOnly { reason }) => {
            let contents = serde_json::from_slice(&contents).map_err(|error| fault(path, error))?;
            (None, Some(contents), Some(reason.clone()))
        }
        (None, CacheProtection::Keyring) => return Err(fault(path, "there is no key to seal it with")),
    };
    let envelope = Envelope { format: FORMAT, login, sealed, open, reason };
    let bytes = serde_json::to_vec(&envelope).map_err(|error| fault(path, error))?;
    let put = || {
        let (mut file, new) = create(path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    put().map_err(|error: std::io::Error| fault(path, error))
}

/// Finds out whether the file could be replaced. The caller holds the lock.
pub(super) fn try_out(path: &Path) -> Result<(), IdentityError> {
    let tried = create(path).and_then(|(_, new)| std::fs::remove_file(new));
    tried.map_err(|error| fault(path, error))
}

/// A new file beside `path`, and its name.
fn create(path: &Path) -> std::io::Result<(File, PathBuf)> {
    let new = path.with_extension("new");
    // Left by a process that was killed.
    let _ = std::fs::remove_file(&new);
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
    Ok((file, new))
}

/// What is sealed along with the contents, and not hidden.
fn beside(login: bool) -> Aad<[u8; 5]> {
    let [a, b, c, d] = FORMAT.to_le_bytes();
    Aad::from([a, b, c, d, u8::from(login)])
}

/// The nonce, then what it sealed.
fn seal(key: &SealKey, login: bool, mut contents: Vec<u8>) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let nonce = key.seal_in_place_append_tag(beside(login), &mut contents).ok()?;
    Some([&nonce.as_ref()[..], &contents].concat())
}

fn open<'a>(key: &SealKey, login: bool, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let (nonce, contents) = sealed.split_at_mut_checked(NONCE_BYTES)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    key.open_in_place(nonce, beside(login), contents).ok().map(|plain| &*plain)
}
