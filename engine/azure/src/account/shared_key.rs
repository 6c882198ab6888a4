//! Shared Key authorization.
//!
//! Source: "Authorize with Shared Key", version 2009-09-19 and later, for Blob. The string to sign is the method,
//! eleven standard headers, the `x-ms-` headers in order of name, and the resource with its query in order of name.
//! What the service takes for the order of names is found in Microsoft's own clients only: [`in_the_services_order`].

use std::cmp::Ordering;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, Method};

use crate::account::error::CredentialError;
use crate::account::secret::Secret;

/// An account's name with its key, ready to sign.
#[derive(Clone)]
pub struct AccountKey {
    account: String,
    key: hmac::Key,
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountKey").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The standard headers of the string to sign, in its order. Content-Length is written by the caller.
const STANDARD: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

impl AccountKey {
    /// Takes a key in base64, as the portal shows it.
    ///
    /// # Errors
    /// [`CredentialError::Key`] when it is not base64.
    pub fn new(account: &str, base64_key: &Secret) -> Result<Self, CredentialError> {
        let plain =
            account.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if account.is_empty() || !plain {
            return Err(CredentialError::Account { account: account.escape_debug().to_string() });
        }
        let bytes = BASE64_STANDARD
            .decode(base64_key.expose().trim())
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| CredentialError::Key { account: account.to_owned() })?;
        Ok(Self { account: account.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }

    /// The account this key belongs to.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The signature of a text, in base64.
    pub(crate) fn signature(&self, text: &str) -> String {
        BASE64_STANDARD.encode(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }

    /// The value of the `Authorization` header.
    ///
    /// `path` is the request's path as it is sent (percent-encoded), `query` its decoded parameters. `headers`
    /// holds everything that is sent, `x-ms-date` included; `content_length` is the body's.
    pub fn sign(
        &self,
        method: &Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &HeaderMap,
        content_length: u64,
    ) -> String {
        let text = string_to_sign(&self.account, method, path, query, headers, content_length);
        format!("SharedKey {}:{}", self.account, self.signature(&text))
    }
}

fn string_to_sign(
    account: &str,
    method: &Method,
    path: &str,
    query: &[(&str, &str)],
    headers: &HeaderMap,
    content_length: u64,
) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(512);
    text.push_str(method.as_str());
    text.push('\n');
    for name in STANDARD {
        if name == "content-length" {
            // Empty for a body of zero bytes, since version 2015-02-21.
            if content_length > 0 {
                write!(text, "{content_length}").expect("writing to a string works");
            }
        } else if let Some(value) = headers.get(name) {
            text.push_str(&String::from_utf8_lossy(value.as_bytes()));
        }
        text.push('\n');
    }
    let mut own: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    own.sort_unstable_by(|(one, _), (other, _)| in_the_services_order(one, other));
    for (name, value) in own {
        text.push_str(name);
        text.push(':');
        text.push_str(String::from_utf8_lossy(value).trim());
        text.push('\n');
    }
    text.push('/');
    text.push_str(account);
    text.push_str(path);
    let mut query: Vec<(String, &str)> = query.iter().map(|(k, v)| (k.to_ascii_lowercase(), *v)).collect();
    query.sort_unstable();
    for (name, value) in query {
        text.push('\n');
        text.push_str(&name);
        text.push(':');
        text.push_str(value);
    }
    text
}

/// The order of names of headers as the service's .NET sorts them, and not by their bytes: hyphens count only between
/// names that are the same without them, and then the later hyphen comes first; punctuation, `_` among it, comes before
/// digits and these before letters. Names of metadata make the difference: `i_` stands before `i0`.
///
/// Source: `SharedKeyComparator` of Microsoft's clients; reduced to the characters a header's name can have.
fn in_the_services_order(one: &str, other: &str) -> Ordering {
    fn ranks(name: &str) -> impl Iterator<Item = u8> {
        name.bytes().map(|byte| RANKS[usize::from(byte)]).filter(|&rank| rank > 0)
    }
    fn hyphens(name: &str) -> impl Iterator<Item = bool> {
        name.bytes().map(|byte| byte == b'-')
    }
    // All of them begin so.
    let [one, other] = [one, other].map(|name| name.strip_prefix("x-ms-").unwrap_or(name));
    ranks(one).cmp(ranks(other)).then_with(|| hyphens(one).cmp(hyphens(other)))
}

/// Where each character stands in the order; 0 for the hyphen, and for what a header's name does not have.
const RANKS: [u8; 256] = {
    let order = b"!#$%&*.^_`|~+0123456789abcdefghijklmnopqrstuvwxyz";
    let (mut ranks, mut at) = ([0; 256], 0);
    while at < order.len() {
        ranks[order[at] as usize] = at as u8 + 1;
        at += 1;
    }
    ranks
};

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_string_to_sign_follows_the_documentation() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", HeaderValue::from_static("2025-07-05"));
        headers.insert("x-ms-date", HeaderValue::from_static("Sun, 22 Nov 2026 04:00:00 GMT"));
        headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
        headers.insert("content-md5", HeaderValue::from_static("bWQ1"));
        let query = [("timeout", "30"), ("comp", "block"), ("blockid", "a b=")];
        let text = string_to_sign("acc", &Method::PUT, "/acc/cont/a%20b", &query, &headers, 7);
        assert_eq!(
            text,
            "PUT\n\n\n7\nbWQ1\n\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\nx-ms-date:Sun, 22 Nov 2026 04:00:00 GMT\n\
             x-ms-version:2025-07-05\n/acc/acc/cont/a%20b\nblockid:a b=\ncomp:block\ntimeout:30"
        );
        let empty = string_to_sign("acc", &Method::PUT, "/c/b", &[], &HeaderMap::new(), 0);
        assert_eq!(empty, "PUT\n\n\n\n\n\n\n\n\n\n\n\n/acc/c/b");
    }

    /// The order that the service expected, as Microsoft's issue trackers have it.
    #[test]
    fn names_are_in_the_services_order() {
        let tail = |tail: &&str| format!("x-ms-meta-{tail}");
        for names in [
            &["i_", "i0"][..],
            &["foo_bar", "foo2_bar"],
            &["foo", "foo2", "foo3"],
            &[
                "test", "test-", "test--", "test_-", "test-_", "test__", "test_a", "test_a-", "test-_a",
                "test_a_", "test_a-_", "test_z", "test-a",
            ],
        ] {
            let want: Vec<_> = names.iter().map(tail).collect();
            let mut sorted = want.clone();
            sorted.reverse();
            sorted.sort_by(|one, other| in_the_services_order(one, other));
            assert_eq!(sorted, want);
        }
        assert_eq!(in_the_services_order("x-ms-date", "x-ms-version"), Ordering::Less);
    }

    #[test]
    fn neither_key_nor_signature_is_printed() {
        let key = AccountKey::new("acc", &Secret::new("c2VjcmV0")).unwrap();
        assert_eq!(format!("{key:?}"), "AccountKey { account: \"acc\", .. }");
        assert!(AccountKey::new("acc", &Secret::new("no base64!")).is_err());
    }
}
