//! Customer-provided keys and encryption scopes. Nothing is encrypted here: what is kept is the key's SHA-256, and who
//! does not bring the key does not get the blob.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;

use crate::answer::{self, Answer};
use crate::error::{
    BLOB_DOES_NOT_USE_KEY, BLOB_KEY_MISMATCH, BLOB_USES_KEY, INVALID_HEADER_VALUE, MISSING_REQUIRED_HEADER,
    Result,
};
use crate::headers::{self, nonempty};
use crate::properties::{Props, Rare, put};
use crate::time;

const KEY: &str = "x-ms-encryption-key";
const SHA256: &str = "x-ms-encryption-key-sha256";
const ALGORITHM: &str = "x-ms-encryption-algorithm";
const SCOPE: &str = "x-ms-encryption-scope";

/// What a request says about encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Encryption<'p> {
    /// SHA-256 of the customer's key.
    pub(crate) key: Option<[u8; 32]>,
    pub(crate) scope: Option<&'p str>,
}

impl<'p> Encryption<'p> {
    /// Reads the headers; a key has to fit its SHA-256.
    pub(crate) fn read(parts: &'p Parts) -> Result<Encryption<'p>> {
        // One walk over the names is all that most requests pay.
        if !parts.headers.keys().any(|k| k.as_str().starts_with("x-ms-encryption-")) {
            return Ok(Encryption::default());
        }
        let scope = nonempty(parts, SCOPE);
        let Some(key) = nonempty(parts, KEY) else {
            for name in [SHA256, ALGORITHM] {
                if nonempty(parts, name).is_some() {
                    return Err(MISSING_REQUIRED_HEADER.detail("HeaderName", KEY));
                }
            }
            return Ok(Encryption { key: None, scope });
        };
        let claimed =
            nonempty(parts, SHA256).ok_or_else(|| MISSING_REQUIRED_HEADER.detail("HeaderName", SHA256))?;
        // The key itself is never shown in an answer.
        let key = STANDARD.decode(key).ok().filter(|k| k.len() == 32);
        let key = key.ok_or_else(|| INVALID_HEADER_VALUE.detail("HeaderName", KEY))?;
        let sha256 = digest::digest(&digest::SHA256, &key);
        let sha256: [u8; 32] = sha256.as_ref().try_into().expect("SHA-256 has 32 bytes");
        if STANDARD.encode(sha256) != claimed {
            return Err(INVALID_HEADER_VALUE.header(SHA256, claimed));
        }
        let algorithm = nonempty(parts, ALGORITHM);
        if algorithm != Some("AES256") {
            return Err(INVALID_HEADER_VALUE.header(ALGORITHM, algorithm.unwrap_or_default()));
        }
        match scope {
            Some(scope) => Err(INVALID_HEADER_VALUE.header(SCOPE, scope)),
            None => Ok(Encryption { key: Some(sha256), scope }),
        }
    }

    /// Judges a request for a blob, or for blocks, that were written with this key.
    pub(crate) fn check(&self, with: Option<&[u8; 32]>) -> Result<()> {
        match (with, &self.key) {
            (None, None) => Ok(()),
            (Some(with), Some(key)) if with == key => Ok(()),
            (Some(_), Some(_)) => Err(BLOB_KEY_MISMATCH.into()),
            (Some(_), None) => Err(BLOB_USES_KEY.into()),
            (None, Some(_)) => Err(BLOB_DOES_NOT_USE_KEY.into()),
        }
    }

    /// Notes it as a property of the blob.
    pub(crate) fn store(&self, props: &mut Props) {
        if *self != Encryption::default() {
            props.set_rare(|rare| {
                rare.key = self.key;
                rare.scope = self.scope.unwrap_or_default().into();
            });
        }
    }

    /// Repeats it in an answer that is about no committed blob.
    pub(crate) fn echo(&self, answer: &mut Answer) {
        if let Some(key) = &self.key {
            answer::set(answer, headers::KEY_SHA256, &write_key(key));
        }
        if let Some(scope) = self.scope {
            put(answer.headers_mut(), headers::ENCRYPTION_SCOPE, scope);
        }
    }
}

/// The SHA-256 of a key as the service writes it.
pub(crate) fn write_key(key: &[u8; 32]) -> String {
    STANDARD.encode(key)
}

/// Headers of a read or a write about a blob's version and encryption.
pub(crate) fn write_rare(answer: &mut Answer, rare: &Rare) {
    let scope = (!rare.scope.is_empty()).then_some(&*rare.scope);
    Encryption { key: rare.key, scope }.echo(answer);
    if rare.version != 0 {
        answer::set(answer, headers::VERSION_ID, &time::iso(rare.version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> std::result::Result<bool, String> {
        let mut builder = http::Request::builder();
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let parts = builder.body(()).unwrap().into_parts().0;
        Encryption::read(&parts).map(|e| e.key.is_some()).map_err(|e| e.code.to_string())
    }

    #[test]
    fn a_key_fits_its_sha256() {
        let key = STANDARD.encode([7; 32]);
        let sha = STANDARD.encode(digest::digest(&digest::SHA256, &[7; 32]));
        let all = [(KEY, &*key), (SHA256, &*sha), (ALGORITHM, "AES256")];
        assert_eq!(read(&all), Ok(true));
        assert_eq!(read(&[]), Ok(false));
        assert_eq!(read(&all[..2]).unwrap_err(), "InvalidHeaderValue");
        assert_eq!(read(&all[..1]).unwrap_err(), "MissingRequiredHeader");
        assert_eq!(read(&all[1..]).unwrap_err(), "MissingRequiredHeader");
        assert_eq!(read(&[(KEY, &*sha), all[1], all[2]]).unwrap_err(), "InvalidHeaderValue");
        assert_eq!(read(&[all[0], all[1], all[2], (SCOPE, "s")]).unwrap_err(), "InvalidHeaderValue");
    }

    #[test]
    fn a_blob_is_for_those_with_its_key() {
        let with = |key| Encryption { key, scope: None };
        let code = |e: Encryption<'_>, blob: Option<&[u8; 32]>| e.check(blob).map_err(|e| e.code.to_string());
        assert_eq!(code(with(Some([1; 32])), Some(&[1; 32])), Ok(()));
        assert_eq!(code(with(None), Some(&[1; 32])).unwrap_err(), "BlobUsesCustomerSpecifiedEncryption");
        assert_eq!(
            code(with(Some([2; 32])), Some(&[1; 32])).unwrap_err(),
            "BlobCustomerSpecifiedEncryptionMismatch"
        );
        assert_eq!(code(with(Some([2; 32])), None).unwrap_err(), "BlobDoesNotUseCustomerSpecifiedEncryption");
    }
}
