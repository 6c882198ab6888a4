//! Encryption of what is stored with a key or scope of the customer.

use std::net::IpAddr;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::account::secret::Secret;
use crate::account::url::BlobUrl;
use crate::exchange::properties::{PropertyError, value};

/// Why an encryption setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptionError {
    /// The key is not 32 bytes in base64. Copy it whole.
    #[error("the encryption key is not 32 bytes in base64: copy it whole, with the `=` at its end")]
    Key,
    /// Key and checksum are of different keys, or one of them was cut off.
    #[error("the SHA-256 given with the encryption key is not that of the key")]
    Sha256,
    /// The service takes keys over TLS only. Use https.
    #[error("an encryption key is sent over https:// only")]
    NeedsTls,
    /// The scope's name cannot be put into a header.
    #[error(transparent)]
    Scope(#[from] PropertyError),
}

/// A customer-provided key: the service encrypts with it, keeps its SHA-256, and needs it again for every read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpk {
    key: Secret,
    sha256: String,
}

impl Cpk {
    /// Takes an AES-256 key in base64; `sha256`, in base64 as well, is computed where it is not given.
    ///
    /// # Errors
    /// [`EncryptionError::Key`], [`EncryptionError::Sha256`].
    pub fn new(key: Secret, sha256: Option<&str>) -> Result<Self, EncryptionError> {
        let bytes = BASE64_STANDARD.decode(key.expose().trim()).ok().filter(|bytes| bytes.len() == 32);
        let bytes = bytes.ok_or(EncryptionError::Key)?;
        let own = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, &bytes));
        if sha256.is_some_and(|given| given.trim() != own) {
            return Err(EncryptionError::Sha256);
        }
        Ok(Self { key: Secret::new(BASE64_STANDARD.encode(bytes)), sha256: own })
    }

    /// The SHA-256 of the key, in base64: it tells keys apart, and is no secret.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// What the service encrypts a job's blobs with, instead of the account's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// A key that comes with every request.
    Key(Cpk),
    /// An encryption scope of the account.
    Scope(String),
}

/// The headers that [`Encryption`] adds to requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct EncryptionHeaders {
    /// Get Blob and Get Blob Properties: the key, if there is one. The service knows a blob's scope.
    pub(crate) read: HeaderMap,
    /// Requests that write a blob, its blocks or its metadata.
    pub(crate) write: HeaderMap,
}

impl EncryptionHeaders {
    /// The key that blobs are read with, and its SHA-256.
    pub(crate) fn key(&self) -> Option<(&HeaderValue, &HeaderValue)> {
        Some((self.read.get("x-ms-encryption-key")?, self.read.get("x-ms-encryption-key-sha256")?))
    }
}

impl Encryption {
    /// Whether a key may be sent there: nobody can listen.
    pub fn may_send_key(url: &BlobUrl) -> bool {
        let endpoint = url.endpoint();
        endpoint.tls || is_loopback(&endpoint.host)
    }

    pub(crate) fn headers(&self, url: &BlobUrl) -> Result<EncryptionHeaders, EncryptionError> {
        let mut headers = HeaderMap::new();
        match self {
            Encryption::Key(cpk) => {
                if !Self::may_send_key(url) {
                    return Err(EncryptionError::NeedsTls);
                }
                let mut key = value("x-ms-encryption-key", cpk.key.expose())?;
                key.set_sensitive(true);
                headers.insert(HeaderName::from_static("x-ms-encryption-key"), key);
                let sha256 = value("x-ms-encryption-key-sha256", &cpk.sha256)?;
                headers.insert(HeaderName::from_static("x-ms-encryption-key-sha256"), sha256);
                let algorithm = HeaderName::from_static("x-ms-encryption-algorithm");
                headers.insert(algorithm, HeaderValue::from_static("AES256"));
                Ok(EncryptionHeaders { read: headers.clone(), write: headers })
            }
            Encryption::Scope(scope) => {
                let scope = value("x-ms-encryption-scope", scope)?;
                headers.insert(HeaderName::from_static("x-ms-encryption-scope"), scope);
                Ok(EncryptionHeaders { read: HeaderMap::new(), write: headers })
            }
        }
    }
}

/// Emulators on this machine speak plain HTTP, and nobody else can listen.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

    fn headers(encryption: &Encryption, url: &str) -> Result<EncryptionHeaders, EncryptionError> {
        encryption.headers(&BlobUrl::parse(url).unwrap())
    }

    #[test]
    fn a_key_has_32_bytes_and_its_own_checksum() {
        let cpk = Cpk::new(Secret::new(KEY), None).unwrap();
        assert_eq!(Cpk::new(Secret::new(KEY), Some(&cpk.sha256)).unwrap(), cpk);
        assert_eq!(Cpk::new(Secret::new(KEY), Some(KEY)).unwrap_err(), EncryptionError::Sha256);
        assert_eq!(Cpk::new(Secret::new("a2V5"), None).unwrap_err(), EncryptionError::Key);
        assert!(!format!("{cpk:?}").contains("BwcH"));
    }

    #[test]
    fn a_key_goes_over_tls_or_stays_on_this_machine() {
        let key = Encryption::Key(Cpk::new(Secret::new(KEY), None).unwrap());
        let service = headers(&key, "https://acc.blob.core.windows.net/cont").unwrap();
        assert_eq!(service.read, service.write);
        assert_eq!(service.write["x-ms-encryption-key"], KEY);
        assert_eq!(service.write["x-ms-encryption-algorithm"], "AES256");
        assert!(!format!("{service:?}").contains("BwcH"));
        for url in ["http://127.0.0.1:1/acc/cont", "http://[::1]:1/acc/cont", "http://localhost:1/acc/cont"] {
            assert!(headers(&key, url).is_ok(), "{url}");
        }
        let remote = headers(&key, "http://acc.blob.core.windows.net/cont").unwrap_err();
        assert_eq!(remote, EncryptionError::NeedsTls);
    }

    #[test]
    fn a_scope_is_named_where_something_is_written() {
        let scope = Encryption::Scope("finance".to_owned());
        let found = headers(&scope, "http://acc.blob.core.windows.net/cont").unwrap();
        assert_eq!(found.write["x-ms-encryption-scope"], "finance");
        assert!(found.read.is_empty());
    }
}
