//! Customer-provided keys and encryption scopes. Nothing is encrypted here: what is kept is the key's SHA-256, and who
//! does not bring the key does not get the blob.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;

use crate::answer::{self, Answer};
use crate::error::{
    AUTHORIZATION_FAILURE, BLOB_DOES_NOT_USE_KEY, BLOB_KEY_MISMATCH, BLOB_USES_KEY, INVALID_HEADER_VALUE,
    MISSING_REQUIRED_HEADER, REQUEST_FORBIDDEN_BY_POLICY, Result,
};
use crate::headers::{self, nonempty};
use crate::properties::{Props, Rare, put};
use crate::service::Rq;
use crate::time;

const KEY: &str = "x-ms-encryption-key";
const SHA256: &str = "x-ms-encryption-key-sha256";
const ALGORITHM: &str = "x-ms-encryption-algorithm";
const SCOPE: &str = "x-ms-encryption-scope";

/// The scope of what is encrypted with the account's own key.
pub(crate) const ACCOUNT_KEY: &str = "$account-encryption-key";

/// What a container says of the encryption of its blobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ScopePolicy {
    /// The scope of blobs that name none.
    pub(crate) default: Option<Box<str>>,
    /// Blobs may not name another one.
    pub(crate) deny_override: bool,
}

impl ScopePolicy {
    /// Reads the headers of Create Container, of which either none is there or both are.
    pub(crate) fn read(parts: &Parts) -> Result<ScopePolicy> {
        const DEFAULT: &str = "x-ms-default-encryption-scope";
        const DENY: &str = "x-ms-deny-encryption-scope-override";
        let (default, deny) = (nonempty(parts, DEFAULT), nonempty(parts, DENY));
        let deny_override = match (default, deny.map(str::to_ascii_lowercase).as_deref()) {
            (None, None) => return Ok(ScopePolicy::default()),
            (None, _) => return Err(MISSING_REQUIRED_HEADER.detail("HeaderName", DEFAULT)),
            (_, None) => return Err(MISSING_REQUIRED_HEADER.detail("HeaderName", DENY)),
            (_, Some("true")) => true,
            (_, Some("false")) => false,
            (_, Some(other)) => return Err(INVALID_HEADER_VALUE.header(DENY, other)),
        };
        Ok(ScopePolicy { default: default.map(Into::into), deny_override })
    }

    /// The default as it is shown.
    pub(crate) fn shown(&self) -> &str {
        self.default.as_deref().unwrap_or(ACCOUNT_KEY)
    }
}

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

    /// The same with the scope that a write falls under: its own, that of its SAS (`ses`), or the container's default.
    /// <https://learn.microsoft.com/azure/storage/blobs/encryption-scope-overview>; the code of a scope that does not
    /// exist is a guess.
    pub(crate) fn for_write<'a>(&self, rq: &'a Rq<'_>, policy: &'a ScopePolicy) -> Result<Encryption<'a>>
    where
        'p: 'a,
    {
        let asked = self.asked_scope(rq)?;
        let default = policy.default.as_deref();
        let other = self.key.is_some() || (asked.is_some() && asked != default);
        if policy.deny_override && other {
            return Err(REQUEST_FORBIDDEN_BY_POLICY.into());
        }
        let default = default.filter(|_| self.key.is_none());
        let scope = asked.or(default).filter(|scope| *scope != ACCOUNT_KEY);
        let known = &rq.shared.scopes;
        match scope {
            Some(scope) if !known.is_empty() && !known.iter().any(|k| k == scope) => {
                Err(INVALID_HEADER_VALUE.header(SCOPE, scope))
            }
            _ => Ok(Encryption { key: self.key, scope }),
        }
    }

    /// Judges a change of a blob with this scope: a request that names one has to name that.
    pub(crate) fn check_scope(&self, rq: &Rq<'_>, with: &str) -> Result<()> {
        match self.asked_scope(rq)? {
            Some(scope) if scope != with => Err(BLOB_KEY_MISMATCH.into()),
            _ => Ok(()),
        }
    }

    /// The scope that the request names, itself or by its SAS; both have to be the same.
    fn asked_scope<'a>(&self, rq: &'a Rq<'_>) -> Result<Option<&'a str>>
    where
        'p: 'a,
    {
        let of_sas = rq.target.query.get("ses").filter(|scope| !scope.is_empty());
        match (self.scope, of_sas) {
            (Some(own), Some(sas)) if own != sas => Err(AUTHORIZATION_FAILURE.into()),
            (own, sas) => Ok(own.or(sas)),
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
