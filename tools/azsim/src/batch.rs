//! Blob Batch: up to 256 deletions or changes of tier in one request.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/blob-batch>. The body is `multipart/mixed`; each part is a
//! request of its own with its own credential, or without one under the batch's SAS, and gets its own answer in the
//! 202.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;

use crate::answer::{self, Answer, Failure};
use crate::auth::{self, Grant};
use crate::body::{Body, receive_small};
use crate::error::{
    ApiError, EXCEEDS_MAX_BATCH_REQUEST_COUNT, INVALID_HEADER_VALUE, INVALID_INPUT, REQUEST_BODY_TOO_LARGE,
    Result,
};
use crate::headers::{self, nonempty, text};
use crate::route::{Operation, route};
use crate::service::{Rq, allowed};
use crate::target::Target;
use crate::{change, delete};

/// Requests of one batch.
const MAX_PARTS: usize = 256;
/// Bytes of one batch.
const MAX_BYTES: usize = 4 << 20;

/// One part, read.
struct Part {
    content_id: Option<String>,
    request: Parts,
}

pub(crate) async fn batch(rq: &Rq<'_>, body: &mut Option<Incoming>) -> std::result::Result<Answer, Failure> {
    let kind = nonempty(rq.parts, "content-type").unwrap_or_default();
    let boundary = boundary(kind).ok_or_else(|| INVALID_HEADER_VALUE.header("Content-Type", kind))?;
    let document = receive_small(body.take().ok_or(Failure::Gone)?, MAX_BYTES).await?;
    let document =
        document.ok_or_else(|| REQUEST_BODY_TOO_LARGE.detail("MaxLimit", MAX_BYTES.to_string()))?;
    rq.counters.received(document.len() as u64);
    if rq.target.container.is_some() {
        rq.container()?;
    }
    let parts = parse(&document, boundary, rq.parts.headers.get(HOST))?;
    let id = rq.shared.request_ids.next();
    let boundary = format!("batchresponse_{}", id.as_str());
    let mut out = String::with_capacity(parts.len() * 400);
    for part in &parts {
        let _ = write!(out, "--{boundary}\r\nContent-Type: application/http\r\n");
        if let Some(id) = &part.content_id {
            let _ = write!(out, "Content-ID: {id}\r\n");
        }
        out.push_str("\r\n");
        write(&mut out, &one(rq, part)?);
    }
    let _ = write!(out, "--{boundary}--\r\n");
    let mut answer = answer::empty(StatusCode::ACCEPTED);
    answer::set(&mut answer, CONTENT_TYPE, &format!("multipart/mixed; boundary={boundary}"));
    *answer.body_mut() = Body::bytes(Bytes::from(out));
    Ok(answer)
}

/// The answer to one part.
fn one(rq: &Rq<'_>, part: &Part) -> std::result::Result<Answer, Failure> {
    let request = &part.request;
    let target = Target::parse(request, &rq.shared.accounts, rq.shared.names);
    let routed = target.as_ref().map_err(Clone::clone).and_then(|target| route(request, target));
    let operation = routed.as_ref().map_or(Operation::Other, |o| *o);
    rq.counters.part(operation);
    let (container, blob) = target.as_ref().map_or(("", ""), Target::names);
    let outcome = match rq.shared.switch.judge_part(container, blob, operation) {
        Some(error) => Err(Failure::Api(error)),
        None => match &target {
            Ok(target) => carry_out(rq, request, target, routed),
            Err(e) => Err(e.clone().into()),
        },
    };
    let id = rq.shared.request_ids.next();
    let mut answer = match outcome {
        Ok(answer) => answer,
        Err(Failure::Gone) => return Err(Failure::Gone),
        Err(Failure::Api(error)) => {
            rq.counters.error(&error.code, error.status);
            answer::error(&error, id.as_str(), &request.method)
        }
    };
    let headers = answer.headers_mut();
    headers.insert(headers::REQUEST_ID, id.header());
    if let Ok(version) = HeaderValue::from_str(rq.version) {
        headers.insert(headers::VERSION, version);
    }
    if let Some(id) = request.headers.get(headers::CLIENT_REQUEST_ID) {
        headers.insert(headers::CLIENT_REQUEST_ID, id.clone());
    }
    Ok(answer)
}

fn carry_out(
    rq: &Rq<'_>,
    request: &Parts,
    target: &Target<'_>,
    routed: Result<Operation>,
) -> std::result::Result<Answer, Failure> {
    let has_own = request.headers.contains_key(AUTHORIZATION) || target.query.get("sig").is_some();
    let same_account = target.account.name == rq.target.account.name;
    let grant = match &rq.grant {
        // The batch's SAS speaks for its parts; its key does not, since nothing of theirs was signed.
        Grant::AccountSas { .. } | Grant::ServiceSas { .. } | Grant::DelegationSas { .. }
            if !has_own && same_account =>
        {
            rq.grant.clone()
        }
        _ => {
            auth::authenticate(request, target, rq.peer, Some(rq.version), rq.shared.issuer(&target.account))?
        }
    };
    if grant == Grant::Anonymous {
        return Err(auth::challenge(rq.shared.issuer(&target.account)).into());
    }
    let operation = routed?;
    let in_container = rq.target.container.is_none() || rq.target.container == target.container;
    if !same_account || !in_container {
        return Err(INVALID_INPUT.detail("Reason", "the part is about another account or container").into());
    }
    auth::authorize(&grant, operation)?;
    allowed(request, target, &grant, operation)?;
    let part = Rq { parts: request, target, grant, metadata_names: &[], ..*rq };
    match operation {
        Operation::DeleteBlob => delete::delete(&part),
        Operation::SetBlobTier => change::set_tier(&part),
        _ => Err(INVALID_INPUT.detail("Reason", "a batch deletes blobs or sets tiers").into()),
    }
}

/// Writes one answer as HTTP/1.1.
fn write(out: &mut String, answer: &Answer) {
    let status = answer.status();
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    for (name, value) in answer.headers() {
        let _ = write!(out, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    let body = answer.body().small();
    if !body.is_empty() {
        let _ = write!(out, "Content-Length: {}\r\n", body.len());
    }
    out.push_str("\r\n");
    out.push_str(&String::from_utf8_lossy(body));
    if !body.is_empty() {
        out.push_str("\r\n");
    }
}

/// The boundary of `multipart/mixed; boundary=...`.
fn boundary(content_type: &str) -> Option<&str> {
    let mut fields = content_type.split(';').map(str::trim);
    if !fields.next()?.eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let boundary = fields.find_map(|f| {
        let (name, value) = f.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    })?;
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// The parts of the body.
fn parse(document: &[u8], boundary: &str, host: Option<&HeaderValue>) -> Result<Vec<Part>> {
    let bad = |why: &str| INVALID_INPUT.detail("Reason", why);
    let text = std::str::from_utf8(document).map_err(|_| bad("the body is not UTF-8"))?;
    let delimiter = format!("--{boundary}");
    let mut pieces = text.split(delimiter.as_str());
    pieces.next();
    let (mut parts, mut closed) = (Vec::new(), false);
    for piece in pieces {
        if piece.starts_with("--") {
            closed = true;
            break;
        }
        if parts.len() == MAX_PARTS {
            return Err(EXCEEDS_MAX_BATCH_REQUEST_COUNT.into());
        }
        parts.push(parse_part(piece, host)?);
    }
    if !closed || parts.is_empty() {
        return Err(bad("the body has no parts or does not end"));
    }
    let first = &parts[0].request.method;
    if parts.iter().any(|p| p.request.method != first) {
        return Err(bad("all parts of a batch are of one kind"));
    }
    Ok(parts)
}

/// `name: value` lines to the empty one.
fn header_lines<'t>(lines: &mut std::str::Lines<'t>) -> Result<Vec<(&'t str, &'t str)>> {
    let mut headers = Vec::new();
    for line in lines {
        if line.is_empty() {
            break;
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| INVALID_INPUT.detail("Reason", "no header"))?;
        headers.push((name.trim(), value.trim()));
    }
    Ok(headers)
}

fn parse_part(piece: &str, host: Option<&HeaderValue>) -> Result<Part> {
    let bad = |why: &str| -> ApiError { INVALID_INPUT.detail("Reason", why) };
    let piece = piece.strip_prefix("\r\n").or_else(|| piece.strip_prefix('\n'));
    let mut lines = piece.ok_or_else(|| bad("a boundary ends its line"))?.lines();
    let about = header_lines(&mut lines)?;
    let field =
        |wanted: &str| about.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, v)| *v);
    if !field("content-type").is_some_and(|t| t.to_ascii_lowercase().starts_with("application/http")) {
        return Err(bad("a part is application/http"));
    }
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(uri), Some("HTTP/1.1"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("a part begins with METHOD PATH HTTP/1.1"));
    };
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in header_lines(&mut lines)? {
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad("a header is malformed"))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("a header is malformed"))?;
        request = request.header(name, value);
    }
    let mut request = request.body(()).map_err(|_| bad("a request line is malformed"))?.into_parts().0;
    if let (None, Some(host)) = (text(&request, "host"), host) {
        request.headers.insert(HOST, host.clone());
    }
    Ok(Part { content_id: field("content-id").map(str::to_owned), request })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(document: &str) -> String {
        parse(document.as_bytes(), "b", None).map_or_else(|e| e.code.to_string(), |p| p.len().to_string())
    }

    #[test]
    fn parts_are_read() {
        let part = "--b\r\nContent-Type: application/http\r\nContent-ID: 3\r\n\r\nDELETE /a/c/x HTTP/1.1\r\nx-ms-date: d\r\n\r\n";
        let parts = parse(format!("{part}{part}--b--").as_bytes(), "b", None).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[1].content_id.as_deref(), Some("3"));
        assert_eq!((parts[1].request.method.as_str(), parts[1].request.uri.path()), ("DELETE", "/a/c/x"));
        assert_eq!(text(&parts[1].request, "x-ms-date"), Some("d"));
        assert_eq!(code(&format!("{}--b--", part.repeat(256))), "256");
        assert_eq!(code(&format!("{}--b--", part.repeat(257))), "ExceedsMaxBatchRequestCount");
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let part = "--b\r\nContent-Type: application/http\r\n\r\nDELETE /a/c/x HTTP/1.1\r\n\r\n";
        let put = part.replace("DELETE", "PUT");
        for bad in ["", "--b--", part, &format!("{part}{put}--b--"), "--b\r\n\r\nDELETE /x HTTP/1.1\r\n--b--"]
        {
            assert_eq!(code(bad), "InvalidInput", "{bad}");
        }
        assert_eq!(boundary("multipart/mixed; boundary=\"x\""), Some("x"));
        assert_eq!(boundary("application/json"), None);
    }
}
