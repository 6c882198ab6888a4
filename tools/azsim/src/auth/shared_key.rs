//! SharedKey: an HMAC over the request, with the account's key.
//!
//! Rules: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>, version 2015-02-21
//! and later (an empty `Content-Length` stands for zero).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;

use super::failed;
use crate::error::{INVALID_AUTHENTICATION_INFO, INVALID_HEADER_VALUE, MISSING_REQUIRED_HEADER, Result};
use crate::headers::text;
use crate::target::Target;
use crate::time::{self, SECOND};

/// How far the date of a request may be from the server's clock.
const SKEW: u64 = 15 * 60 * SECOND;

/// Verifies `ACCOUNT:SIGNATURE` against the request.
pub(crate) fn verify(
    parts: &Parts,
    target: &Target<'_>,
    credential: &str,
    version: Option<&str>,
    now: u64,
) -> Result<()> {
    let (account, signature) = credential.split_once(':').ok_or(INVALID_AUTHENTICATION_INFO)?;
    let signature = STANDARD.decode(signature.trim()).map_err(|_| INVALID_AUTHENTICATION_INFO)?;
    if version.is_none() {
        return Err(MISSING_REQUIRED_HEADER.detail("HeaderName", "x-ms-version"));
    }
    if account.trim() != target.account.name {
        return Err(failed(format!("The account {account:?} was used for a resource of another account.")));
    }
    let (name, date) = match text(parts, "x-ms-date") {
        Some(date) => ("x-ms-date", date),
        None => ("Date", text(parts, "date").ok_or_else(|| failed("No date was given."))?),
    };
    let sent = time::parse_http_date(date).ok_or_else(|| INVALID_HEADER_VALUE.header(name, date))?;
    if now.abs_diff(sent) > SKEW {
        return Err(failed(format!("Request date header too old: '{date}'")));
    }
    let to_sign = string_to_sign(parts, target);
    hmac::verify(&target.account.hmac, to_sign.as_bytes(), &signature).map_err(|_| {
        let shown = to_sign.replace('\n', "\\n");
        failed(format!("The MAC signature found in the HTTP request is not the same as any computed signature. Server used following string to sign: '{shown}'."))
    })
}

/// The string that both sides sign.
pub(crate) fn string_to_sign(parts: &Parts, target: &Target<'_>) -> String {
    let mut out = String::with_capacity(512);
    let has_ms_date = parts.headers.contains_key("x-ms-date");
    out.push_str(parts.method.as_str());
    for name in [
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
    ] {
        out.push('\n');
        match text(parts, name) {
            Some("0") if name == "content-length" => {}
            Some(_) if name == "date" && has_ms_date => {}
            Some(value) => out.push_str(value),
            None => {}
        }
    }
    out.push('\n');
    canonical_headers(&mut out, parts);
    canonical_resource(&mut out, target);
    out
}

/// Where a header stands among the signed ones. The service compares names as .NET does without a culture: hyphens
/// count only where all else is equal, the later one first; punctuation stands before digits, and these before letters.
fn place(name: &str) -> (Vec<Option<usize>>, Vec<bool>) {
    const ORDER: &str = "!#$%&*.^_`|~+0123456789abcdefghijklmnopqrstuvwxyz";
    let letters = name.chars().filter(|c| *c != '-').map(|c| ORDER.find(c)).collect();
    (letters, name.chars().map(|c| c == '-').collect())
}

/// `name:value\n` for each `x-ms-` header, sorted by name.
fn canonical_headers(out: &mut String, parts: &Parts) {
    let mut names: Vec<&str> =
        parts.headers.keys().map(http::HeaderName::as_str).filter(|n| n.starts_with("x-ms-")).collect();
    names.sort_by_cached_key(|name| place(name));
    for name in names {
        out.push_str(name);
        out.push(':');
        for (i, value) in parts.headers.get_all(name).iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str(std::str::from_utf8(value.as_bytes()).unwrap_or_default().trim());
        }
        out.push('\n');
    }
}

/// `/account/path`, and `\nname:value` for each query parameter, sorted by name.
fn canonical_resource(out: &mut String, target: &Target<'_>) {
    out.push('/');
    out.push_str(&target.account.name);
    out.push_str(target.raw_path);
    let mut query: Vec<(String, &str)> =
        target.query.pairs().iter().map(|(name, value)| (name.to_lowercase(), &**value)).collect();
    query.sort_unstable();
    let mut previous: Option<&str> = None;
    for (name, value) in &query {
        if previous == Some(name) {
            out.push(',');
        } else {
            out.push('\n');
            out.push_str(name);
            out.push(':');
        }
        out.push_str(value);
        previous = Some(name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Account;
    use crate::target::NameRules;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder().method("PUT").uri(uri).header("host", "127.0.0.1:1");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_string_to_sign_follows_the_documentation() {
        let parts = request(
            "/acct/con/a%20b?comp=block&BlockId=QQ%3D%3D&x=b&x=a",
            &[
                ("content-length", "0"),
                ("content-type", "text/plain"),
                ("date", "ignored"),
                ("x-ms-version", "2025-11-05"),
                ("x-ms-date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("x-ms-meta-b", " two words "),
                ("range", "bytes=0-1"),
            ],
        );
        let accounts = [Arc::new(Account::new("acct", &[7; 64]))];
        let target = Target::parse(&parts, &accounts, NameRules::Exact).unwrap();
        assert_eq!(
            string_to_sign(&parts, &target),
            "PUT\n\n\n\n\ntext/plain\n\n\n\n\n\nbytes=0-1\nx-ms-date:Sun, 06 Nov 1994 08:49:37 GMT\n\
             x-ms-meta-b:two words\nx-ms-version:2025-11-05\n/acct/acct/con/a%20b\nblockid:QQ==\ncomp:block\nx:a,b"
        );
    }

    #[test]
    fn a_signature_counts_for_15_minutes_and_one_request() {
        let accounts = [Arc::new(Account::new("acct", &[7; 64]))];
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let now = time::parse_http_date(date).unwrap();
        let headers = [("x-ms-version", "2025-11-05"), ("x-ms-date", date)];
        let parts = request("/acct/con/b", &headers);
        let target = Target::parse(&parts, &accounts, NameRules::Exact).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 64]);
        let signature = STANDARD.encode(hmac::sign(&key, string_to_sign(&parts, &target).as_bytes()));
        let check = |target: &Target<'_>, parts: &Parts, credential: &str, now: u64| {
            verify(parts, target, credential, Some("2025-11-05"), now).map_err(|e| e.code.to_string())
        };
        let good = format!("acct:{signature}");
        assert_eq!(check(&target, &parts, &good, now), Ok(()));
        assert_eq!(check(&target, &parts, &good, now + SKEW), Ok(()));
        for late in [now + SKEW + SECOND, now - SKEW - SECOND] {
            assert_eq!(check(&target, &parts, &good, late).unwrap_err(), "AuthenticationFailed");
        }
        let other = request("/acct/con/c", &headers);
        let other_target = Target::parse(&other, &accounts, NameRules::Exact).unwrap();
        assert_eq!(check(&other_target, &other, &good, now).unwrap_err(), "AuthenticationFailed");
        let wrong = format!("other:{signature}");
        assert_eq!(check(&target, &parts, &wrong, now).unwrap_err(), "AuthenticationFailed");
        assert_eq!(check(&target, &parts, "acct", now).unwrap_err(), "InvalidAuthenticationInfo");
    }
}
