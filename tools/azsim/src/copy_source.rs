//! What a request says of the source that it copies from, and what the source's answer means for the destination's.
//!
//! The source is read by a Get Blob of the service's own, through whatever the request brings of credentials for it: a
//! SAS in the URL, a token, or nothing. The account that is asked is told nothing of the destination's credential, also
//! when both are the same account.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, response};
use http_body_util::Empty;

use crate::answer::Failure;
use crate::auth;
use crate::block_blob::content_length;
use crate::body::{Broken, Claimed, Received};
use crate::error::{
    AUTHORIZATION_FAILURE, AUTHORIZATION_PERMISSION_MISMATCH, ApiError, CANNOT_VERIFY_COPY_SOURCE,
    INTERNAL_ERROR, INVALID_HEADER_VALUE, INVALID_RANGE, More, OPERATION_TIMED_OUT,
    PUBLIC_ACCESS_NOT_PERMITTED, REQUEST_BODY_TOO_LARGE, Result, SERVER_BUSY, SOURCE_CONDITION_NOT_MET,
    SourceAnswer, UNSUPPORTED_HEADER,
};
use crate::fetch::{Fetched, Lost};
use crate::firewall::Caller;
use crate::headers::{self, nonempty};
use crate::properties::Props;
use crate::service::Rq;
use crate::xml;

const SOURCE: &str = "x-ms-copy-source";
const TOKEN: &str = "x-ms-copy-source-authorization";
pub(crate) const SOURCE_RANGE: &str = "x-ms-source-range";
/// Bytes of the source's URL.
const MAX_URL: usize = 2 << 10;
/// From this version on an answer tells what the source answered.
const TELLS: &str = "2025-11-05";

/// The version of the service's own requests: one that every server of today knows.
const READS_AS: &str = "2021-12-02";

/// What a request says of its source. What is asked of the source is asked in headers of its own.
pub(crate) struct CopySource {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// First byte, and the byte behind the last.
    pub(crate) range: Option<(u64, Option<u64>)>,
    pub(crate) claimed: Claimed,
}

/// Headers of a request and what they are for the source; the version that knows them.
const FOR_SOURCE: [(&str, &str, &str); 9] = [
    ("x-ms-source-if-match", "if-match", ""),
    ("x-ms-source-if-none-match", "if-none-match", ""),
    ("x-ms-source-if-modified-since", "if-modified-since", ""),
    ("x-ms-source-if-unmodified-since", "if-unmodified-since", ""),
    ("x-ms-source-if-tags", "x-ms-if-tags", ""),
    ("x-ms-source-encryption-key", "x-ms-encryption-key", "2026-04-06"),
    ("x-ms-source-encryption-key-sha256", "x-ms-encryption-key-sha256", "2026-04-06"),
    ("x-ms-source-encryption-algorithm", "x-ms-encryption-algorithm", "2026-04-06"),
    (TOKEN, "authorization", "2020-10-02"),
];

/// Refuses a header that the request's version does not know yet.
fn since(rq: &Rq<'_>, name: &str, version: &str) -> Result<()> {
    if rq.version < version && rq.parts.headers.contains_key(name) {
        return Err(UNSUPPORTED_HEADER.header(name, "").naming(name));
    }
    Ok(())
}

impl CopySource {
    /// Reads it. The request has no body of its own.
    pub(crate) fn read(rq: &Rq<'_>, version: &str) -> Result<CopySource> {
        since(rq, SOURCE, version)?;
        if content_length(rq, u64::MAX)? != 0 {
            return Err(INVALID_HEADER_VALUE.detail("HeaderName", "Content-Length"));
        }
        // The URL itself is never shown: it may hold a signature.
        let bad = || INVALID_HEADER_VALUE.detail("HeaderName", SOURCE);
        let url = nonempty(rq.parts, SOURCE).filter(|url| url.len() <= MAX_URL).ok_or_else(bad)?;
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().filter(|a| !a.as_str().contains('@')).ok_or_else(bad)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad());
        }
        check_scope(rq, &uri)?;
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| bad())?;
        headers.insert(HOST, host);
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("azsim-copy/", env!("CARGO_PKG_VERSION"))));
        let by = HeaderValue::from_str(&rq.target.account.name).map_err(|_| bad())?;
        headers.insert(headers::COPY_BY, by);
        headers.insert(headers::VERSION, HeaderValue::from_static(READS_AS));
        for (name, theirs, version) in FOR_SOURCE {
            let Some(value) = rq.parts.headers.get(name).filter(|v| !v.is_empty()) else { continue };
            since(rq, name, version)?;
            headers.insert(HeaderName::from_static(theirs), value.clone());
        }
        let token = headers.get(AUTHORIZATION);
        if token.is_some_and(|token| !token.as_bytes().starts_with(b"Bearer ")) {
            return Err(INVALID_HEADER_VALUE.detail("HeaderName", TOKEN));
        }
        let range = source_range(rq)?;
        if let Some((first, end)) = range {
            let last = end.map(|end| (end - 1).to_string()).unwrap_or_default();
            let range = HeaderValue::from_str(&format!("bytes={first}-{last}"));
            headers.insert(RANGE, range.expect("digits are visible"));
        }
        Ok(CopySource { uri, headers, range, claimed: Claimed::of_source(rq.parts)? })
    }

    /// The source's URL as it is shown: without a credential.
    pub(crate) fn shown(&self) -> String {
        let which = |pair: &&str| pair.starts_with("snapshot=") || pair.starts_with("versionid=");
        let query = self.uri.query().unwrap_or_default().split('&').find(which);
        let (scheme, authority) = (self.uri.scheme_str(), self.uri.authority());
        let authority = authority.map(http::uri::Authority::as_str).unwrap_or_default();
        let url = format!("{}://{authority}{}", scheme.unwrap_or("http"), self.uri.path());
        query.map_or_else(|| url.clone(), |query| format!("{url}?{query}"))
    }

    /// Asks the source as the service itself. Where its network refuses that, as the client of the copy.
    async fn send<'r>(&self, rq: &Rq<'r>, uri: Uri) -> std::result::Result<Fetched<'r>, Failure> {
        let fetched = self.ask(rq, uri.clone(), false).await?;
        let code = fetched.parts.headers.get(headers::ERROR_CODE);
        let refused = fetched.parts.status == StatusCode::FORBIDDEN;
        if !refused || code.is_none_or(|code| code != AUTHORIZATION_FAILURE.code) {
            return Ok(fetched);
        }
        fetched.small().await;
        self.ask(rq, uri, true).await
    }

    async fn ask<'r>(
        &self,
        rq: &Rq<'r>,
        uri: Uri,
        as_client: bool,
    ) -> std::result::Result<Fetched<'r>, Failure> {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        if as_client {
            let client = Caller::on_behalf(rq.peer, &rq.target.account.network());
            request
                .headers_mut()
                .insert(headers::COPY_FOR, HeaderValue::from_str(&client).map_err(|_| INTERNAL_ERROR)?);
        }
        rq.shared.fetching.send(rq.worker, &rq.shared.accounts, request).await.map_err(lost)
    }

    /// Reads the source, up to so many bytes, and compares it with what the request says of it.
    pub(crate) async fn fetch(
        &self,
        rq: &Rq<'_>,
        limit: u64,
        with_md5: bool,
    ) -> std::result::Result<(Received, response::Parts), Failure> {
        let fetched = self.send(rq, self.uri.clone()).await?;
        let expected = if self.range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        if !fetched.parts.status.is_success() {
            return Err(refused(rq, fetched).await.into());
        }
        let len =
            fetched.parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        let (Some(len), true) = (len, fetched.parts.status == expected) else {
            return Err(ApiError { status: 409, ..CANNOT_VERIFY_COPY_SOURCE.into() }.into());
        };
        if let Some((first, Some(end))) = self.range
            && len != end - first
        {
            return Err(INVALID_RANGE.into());
        }
        if len > limit {
            return Err(REQUEST_BODY_TOO_LARGE.detail("MaxLimit", limit.to_string()).into());
        }
        let writer = rq.shared.backend.writer(len).map_err(Broken::Store)?;
        let parts = fetched.parts.clone();
        let received = fetched.receive(writer, with_md5 || self.claimed.md5.is_some()).await.map_err(lost)?;
        rq.counters.fetched(received.len);
        self.claimed.check(&received)?;
        Ok((received, parts))
    }

    /// Asks for the tags of the source, by a request of its own.
    pub(crate) async fn tags(&self, rq: &Rq<'_>) -> std::result::Result<Vec<(Box<str>, Box<str>)>, Failure> {
        let query = self.uri.query().map_or_else(|| "comp=tags".to_owned(), |q| format!("comp=tags&{q}"));
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = format!("{}?{query}", self.uri.path()).parse().ok();
        let uri = Uri::from_parts(parts).map_err(|_| INVALID_HEADER_VALUE.detail("HeaderName", SOURCE))?;
        let fetched = self.send(rq, uri).await?;
        if fetched.parts.status != StatusCode::OK {
            return Err(refused(rq, fetched).await.into());
        }
        let document = fetched.small().await;
        Ok(xml::parse_tags(&document)
            .map_err(|_| ApiError { status: 409, ..CANNOT_VERIFY_COPY_SOURCE.into() })?)
    }
}

/// Judges whether copies to the destination may come from the source's account, by its host or by the path.
fn check_scope(rq: &Rq<'_>, uri: &Uri) -> Result<()> {
    let host = uri.host().unwrap_or_default();
    let label = host.split_once('.').filter(|_| host.parse::<std::net::IpAddr>().is_err());
    let in_path = uri.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    let account = label.map_or(in_path, |(label, _)| label);
    if rq.target.account.network().may_copy_from(account) {
        return Ok(());
    }
    // Nobody asked the source: there is no status of its own.
    let message = AUTHORIZATION_FAILURE.message.into();
    Err(ApiError { status: 403, message, ..CANNOT_VERIFY_COPY_SOURCE.into() })
}

/// `bytes=FIRST-` or `bytes=FIRST-LAST`.
fn source_range(rq: &Rq<'_>) -> Result<Option<(u64, Option<u64>)>> {
    let Some(text) = nonempty(rq.parts, SOURCE_RANGE) else { return Ok(None) };
    let bad = || INVALID_HEADER_VALUE.header(SOURCE_RANGE, text);
    let (first, last) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')).ok_or_else(bad)?;
    let first: u64 = first.parse().map_err(|_| bad())?;
    let end = match last {
        "" => None,
        last => Some(last.parse::<u64>().ok().and_then(|last| last.checked_add(1)).ok_or_else(bad)?),
    };
    if end.is_some_and(|end| end <= first) { Err(bad()) } else { Ok(Some((first, end))) }
}

/// Whether the tags of the source are to be those of the blob.
pub(crate) fn copies_tags(rq: &Rq<'_>) -> Result<bool> {
    const OPTION: &str = "x-ms-copy-source-tag-option";
    since(rq, OPTION, "2021-04-10")?;
    match nonempty(rq.parts, OPTION) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("replace") => Ok(false),
        // Never beside tags of the request's own.
        Some(text) if text.eq_ignore_ascii_case("copy") && !rq.parts.headers.contains_key("x-ms-tags") => {
            match auth::may_tag(&rq.grant) {
                true => Ok(true),
                false => Err(AUTHORIZATION_PERMISSION_MISMATCH.into()),
            }
        }
        Some(text) => Err(INVALID_HEADER_VALUE.header(OPTION, text)),
    }
}

/// What is answered when the source said nothing.
fn lost(lost: Lost) -> Failure {
    match lost {
        Lost::Unreachable => CANNOT_VERIFY_COPY_SOURCE.into(),
        Lost::Broken => INTERNAL_ERROR.into(),
        Lost::Late => OPERATION_TIMED_OUT.into(),
        Lost::Store(e) => INTERNAL_ERROR.detail("ExceptionMessage", e.to_string()).into(),
    }
}

/// What is answered when the source refused.
async fn refused(rq: &Rq<'_>, fetched: Fetched<'_>) -> ApiError {
    let status = fetched.parts.status;
    let code = fetched.parts.headers.get(headers::ERROR_CODE).and_then(|code| code.to_str().ok());
    let mut answer = SourceAnswer {
        status: status.as_u16(),
        code: code.unwrap_or_default().to_owned(),
        message: String::new(),
    };
    let elements = xml::parse_elements(&fetched.small().await).unwrap_or_default();
    let element = |name: &str| elements.iter().find(|(path, _)| path == name).map(|(_, text)| text.as_str());
    // Behind the first line stand the request's id and time.
    let message = element("Error/Message").and_then(|message| message.lines().next());
    answer.message = message.or(status.canonical_reason()).unwrap_or_default().to_owned();
    if answer.code.is_empty() {
        answer.code = element("Error/Code").unwrap_or_default().to_owned();
    }
    telling(rq, answer)
}

/// What is answered when a source that needs no network refused.
pub(crate) fn judged(rq: &Rq<'_>, error: &ApiError) -> ApiError {
    let (status, code, message) = (error.status, error.code.to_string(), error.message.to_string());
    telling(rq, SourceAnswer { status, code, message })
}

/// The verdict, with what the source answered where the version tells it.
fn telling(rq: &Rq<'_>, answer: SourceAnswer) -> ApiError {
    let error = verdict(&answer);
    let more = (rq.version >= TELLS).then(|| Box::new(More::Source(answer)));
    ApiError { more, ..error }
}

/// The error that the destination makes of the source's.
fn verdict(source: &SourceAnswer) -> ApiError {
    let unverified = |status: u16, message: &str| {
        let error = ApiError { status, ..CANNOT_VERIFY_COPY_SOURCE.into() };
        if message.is_empty() { error } else { ApiError { message: message.to_owned().into(), ..error } }
    };
    match (source.status, source.code.as_str()) {
        (304 | 412, _) => SOURCE_CONDITION_NOT_MET.into(),
        (416, _) => INVALID_RANGE.into(),
        (409, "PublicAccessNotPermitted") => PUBLIC_ACCESS_NOT_PERMITTED.into(),
        // So the service says it, whoever is puzzled by it.
        (409, "BlobArchived" | "BlobBeingRehydrated") => {
            unverified(409, "The copy source blob has been modified.")
        }
        (409, "BlobContentDiscarded") => unverified(409, &source.message),
        (409, _) => unverified(409, ""),
        (status @ 400..=499, _) => unverified(status, &source.message),
        (503, _) => SERVER_BUSY.into(),
        (500..=599, "OperationTimedOut") => OPERATION_TIMED_OUT.into(),
        (500..=599, _) => INTERNAL_ERROR.into(),
        _ => unverified(409, ""),
    }
}

/// Sets the content headers to those of the source, except what the request gives.
pub(crate) fn inherit(rq: Option<&Rq<'_>>, props: &mut Props, from: &HeaderMap) {
    for (own, theirs, slot) in [
        ("x-ms-blob-content-type", "content-type", &mut props.content_type),
        ("x-ms-blob-content-encoding", "content-encoding", &mut props.content_encoding),
        ("x-ms-blob-content-language", "content-language", &mut props.content_language),
        ("x-ms-blob-content-disposition", "content-disposition", &mut props.content_disposition),
        ("x-ms-blob-cache-control", "cache-control", &mut props.cache_control),
    ] {
        let theirs = from.get(theirs).and_then(|v| std::str::from_utf8(v.as_bytes()).ok());
        let given = rq.and_then(|rq| nonempty(rq.parts, own));
        if let (None, Some(theirs)) = (given, theirs) {
            *slot = theirs.into();
        }
    }
}

/// The metadata of a source.
pub(crate) fn metadata_of(from: &HeaderMap) -> Vec<(Box<str>, Box<str>)> {
    let spelled = from.get(headers::METADATA_NAMES).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut pairs = Vec::new();
    for (name, value) in from {
        let Some(short) = name.as_str().strip_prefix("x-ms-meta-") else { continue };
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else { continue };
        let short = spelled.split(',').find(|s| s.eq_ignore_ascii_case(short)).unwrap_or(short);
        pairs.push((short.into(), value.into()));
    }
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn each_answer_of_a_source_has_its_meaning() {
        for (status, code, expected) in [
            (304, "ConditionNotMet", (412, "SourceConditionNotMet", "")),
            (412, "ConditionNotMet", (412, "SourceConditionNotMet", "")),
            (416, "InvalidRange", (416, "InvalidRange", "")),
            (401, "NoAuthenticationInformation", (401, "CannotVerifyCopySource", "said")),
            (403, "AuthorizationFailure", (403, "CannotVerifyCopySource", "said")),
            (404, "BlobNotFound", (404, "CannotVerifyCopySource", "said")),
            (409, "BlobArchived", (409, "CannotVerifyCopySource", "The copy source blob has been modified.")),
            (409, "Else", (409, "CannotVerifyCopySource", "Could not verify copy source.")),
            (409, "PublicAccessNotPermitted", (409, "PublicAccessNotPermitted", "")),
            (429, "", (429, "CannotVerifyCopySource", "said")),
            (500, "InternalError", (500, "InternalError", "")),
            (500, "OperationTimedOut", (500, "OperationTimedOut", "")),
            (503, "ServerBusy", (503, "ServerBusy", "")),
            (302, "", (409, "CannotVerifyCopySource", "Could not verify copy source.")),
        ] {
            let source = SourceAnswer { status, code: code.to_owned(), message: "said".to_owned() };
            let error = verdict(&source);
            assert_eq!((error.status, &*error.code), (expected.0, expected.1), "{status} {code}");
            assert!(
                expected.2.is_empty() || error.message == expected.2,
                "{status} {code}: {}",
                error.message
            );
        }
    }

    #[test]
    fn metadata_comes_in_its_case() {
        let mut from = HeaderMap::new();
        from.insert("x-ms-meta-mixedcase", HeaderValue::from_static("1"));
        from.insert("x-ms-meta-b", HeaderValue::from_static("2"));
        from.insert(CONTENT_TYPE, HeaderValue::from_static("a/b"));
        from.insert(headers::METADATA_NAMES, HeaderValue::from_static("MixedCase"));
        let expected: [(Box<str>, Box<str>); 2] =
            [("MixedCase".into(), "1".into()), ("b".into(), "2".into())];
        assert_eq!(metadata_of(&from), expected);
    }
}
