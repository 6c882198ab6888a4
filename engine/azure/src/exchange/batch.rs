//! Blob Batch: many small requests in one.
//!
//! Source: "Blob Batch" in the REST documentation. The body is `multipart/mixed`; each part is a request of its own,
//! with path, date and credential, but without `x-ms-version`, which is that of the whole. The answer is built alike,
//! its parts matched by `Content-ID`.

use std::hash::{BuildHasher, Hasher, RandomState};

use azuring_link::Payload;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::exchange::client::{Authorized, BlobClient, Head};
use crate::exchange::error::{RequestError, ServiceError};
use crate::exchange::header::X_MS_REQUEST_ID;
use crate::exchange::operation::Operation;

/// Requests in one batch.
pub const MAX_BATCH: usize = 256;
/// An answer's part: a dozen headers, and an error in XML.
const PART_LIMIT_BYTES: usize = 4 << 10;

/// The answers to the parts, in their order.
type Answers = Vec<Result<(), ServiceError>>;

impl BlobClient {
    /// Sends requests without bodies together, all of one operation.
    pub(crate) async fn batch(&self, parts: Vec<Head<'_>>) -> Result<Answers, RequestError> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let (count, operation) = (parts.len(), parts[0].operation);
        let token = self.token_ready().await?;
        // Random, so that no name can contain it.
        let boundary = format!("batch_{:016x}", RandomState::new().build_hasher().finish());
        let mut document = String::with_capacity(count * 512);
        for (id, part) in parts.into_iter().enumerate() {
            write(&mut document, &boundary, id, &self.authorize(part, 0)?);
        }
        document.push_str("--");
        document.push_str(&boundary);
        document.push_str("--\r\n");
        let mut headers = self.target().common.clone();
        let kind = format!("multipart/mixed; boundary={boundary}");
        headers.insert(CONTENT_TYPE, HeaderValue::try_from(kind).expect("hexadecimal digits are valid"));
        let query = vec![("restype", "container"), ("comp", "batch")];
        let head = Head { operation: Operation::BlobBatch, method: Method::POST, name: "", query, headers };
        let payload = Payload::from(Bytes::from(document));
        let answer = self.exchange(head, payload, (count + 1) * PART_LIMIT_BYTES).await?;
        let kind = answer.header("content-type").unwrap_or_default();
        let document = String::from_utf8_lossy(&answer.body);
        let answers = read(operation, &document, &String::from_utf8_lossy(kind), count)?;
        // The token expired between the parts: those that were refused for it are asked again, with all others. Where
        // no token helps, they are refused one by one.
        let refusal =
            answers.iter().find_map(|answer| answer.as_ref().err().filter(|error| error.refuses_token()));
        let Some(refusal) = refusal.filter(|_| token.is_some()).cloned() else { return Ok(answers) };
        match self.refused(token, refusal, true).await {
            RequestError::Service(_) => Ok(answers),
            other => Err(other),
        }
    }
}

/// Appends one request.
fn write(out: &mut String, boundary: &str, id: usize, part: &Authorized) {
    use std::fmt::Write;
    write!(
        out,
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {id}\r\n\r\n\
         {} {} HTTP/1.1\r\n",
        part.method, part.path
    )
    .expect("writing to a string works");
    for (name, value) in &part.headers {
        out.push_str(name.as_str());
        out.push_str(": ");
        out.push_str(&String::from_utf8_lossy(value.as_bytes()));
        out.push_str("\r\n");
    }
    out.push_str("Content-Length: 0\r\n\r\n");
}

/// Reads the answers to `count` requests of `operation`.
fn read(
    operation: Operation,
    document: &str,
    content_type: &str,
    count: usize,
) -> Result<Answers, RequestError> {
    let fault = |reason: &str| RequestError::Answer {
        request: format!("Blob Batch of {count} requests"),
        reason: reason.to_owned(),
        passing: false,
    };
    let boundary = boundary(content_type).ok_or_else(|| fault("it is not multipart/mixed"))?;
    let delimiter = format!("--{boundary}");
    let mut answers: Vec<Option<Result<(), ServiceError>>> = vec![None; count];
    for piece in document.split(delimiter.as_str()).skip(1) {
        if piece.starts_with("--") {
            break;
        }
        let (about, response) = split_head(piece.trim_start());
        let (head, body) = split_head(response);
        let status = status(head).ok_or_else(|| fault("a part of it has no status"))?;
        let headers_of_part = headers(head);
        let result = if operation.succeeds_with(status) {
            // Something in between may have carried out the parts one by one, with an answer of its own for some.
            if !headers_of_part.contains_key(X_MS_REQUEST_ID) {
                return Err(fault("a part of it has no x-ms-request-id, so that it is not the service's"));
            }
            Ok(())
        } else if status.is_client_error() || status.is_server_error() {
            Err(ServiceError::read(status, &headers_of_part, body.trim().as_bytes()))
        } else {
            let name = operation.name();
            return Err(fault(&format!("a part of it has the status {status}, which {name} does not have")));
        };
        let id =
            headers(about).get("content-id").and_then(|id| id.to_str().ok()?.trim().parse::<usize>().ok());
        match (id.and_then(|id| answers.get_mut(id)), result) {
            (Some(place), result) => *place = Some(result),
            // An error that belongs to no request is one of the whole batch.
            (None, Err(error)) => return Err(error.into()),
            (None, Ok(())) => return Err(fault("a part of it has no id")),
        }
    }
    let answers: Option<Answers> = answers.into_iter().collect();
    answers.ok_or_else(|| fault("a request has no answer"))
}

/// The boundary of `multipart/mixed; boundary=...`.
fn boundary(content_type: &str) -> Option<&str> {
    let mut fields = content_type.split(';').map(str::trim);
    fields.next().filter(|kind| kind.eq_ignore_ascii_case("multipart/mixed"))?;
    let boundary = fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    });
    boundary.filter(|boundary| !boundary.is_empty())
}

/// Header lines, and what comes behind the empty one.
fn split_head(text: &str) -> (&str, &str) {
    text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n")).unwrap_or((text, ""))
}

/// The status of `HTTP/1.1 202 Accepted`.
fn status(head: &str) -> Option<StatusCode> {
    let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    StatusCode::from_bytes(code.as_bytes()).ok()
}

/// Header lines as a map; what is no header is left out.
fn headers(lines: &str) -> HeaderMap {
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?))
    };
    lines.lines().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::uri::PathAndQuery;

    const KIND: &str = "multipart/mixed; boundary=r_1";

    fn part(id: Option<usize>, response: &str) -> String {
        let id = id.map(|id| format!("Content-ID: {id}\r\n")).unwrap_or_default();
        format!("--r_1\r\nContent-Type: application/http\r\n{id}\r\n{response}\r\n\r\n")
    }

    fn outcome(document: &str, count: usize) -> Result<Vec<String>, String> {
        let told =
            |answer: Result<(), ServiceError>| answer.map_or_else(|e| e.to_string(), |()| "ok".to_owned());
        read(Operation::DeleteBlob, document, KIND, count)
            .map(|answers| answers.into_iter().map(told).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_part_is_a_request_without_version() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-date", HeaderValue::from_static("now"));
        let part =
            Authorized { method: Method::DELETE, path: PathAndQuery::from_static("/c/a%20b?sig=x"), headers };
        let mut out = String::new();
        write(&mut out, "b", 7, &part);
        assert_eq!(
            out,
            "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 7\r\n\r\n\
             DELETE /c/a%20b?sig=x HTTP/1.1\r\nx-ms-date: now\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn answers_are_matched_by_id() {
        let ok = "HTTP/1.1 202 Accepted\r\nx-ms-request-id: 1";
        let error = "HTTP/1.1 404 The specified blob does not exist.\r\nx-ms-error-code: BlobNotFound\r\n\
                     x-ms-request-id: r2\r\nContent-Length: 77\r\n\r\n\u{feff}<?xml version=\"1.0\"?><Error><Code>BlobNotFound\
                     </Code><Message>No blob.\nTime:</Message></Error>";
        let document = format!("{}{}--r_1--", part(Some(1), error), part(Some(0), ok));
        assert_eq!(outcome(&document, 2).unwrap(), ["ok", "404 BlobNotFound: No blob."]);
        let Ok(answers) = read(Operation::DeleteBlob, &document, KIND, 2) else { panic!() };
        let error = answers[1].as_ref().unwrap_err();
        assert!(error.not_found());
        assert_eq!(error.request_id.as_deref(), Some("r2"));
        assert_eq!(outcome(&document.replace("\r\n", "\n"), 2).unwrap()[0], "ok");
    }

    #[test]
    fn what_answers_no_request_is_an_error_of_the_whole() {
        let ok = "HTTP/1.1 202 Accepted\r\nx-ms-request-id: 1";
        let one = part(Some(0), ok);
        assert!(outcome(&format!("{one}--r_1--"), 2).unwrap_err().contains("a request has no answer"));
        assert!(outcome(&format!("{}--r_1--", part(None, ok)), 1).unwrap_err().contains("no id"));
        assert!(outcome(&format!("{}--r_1--", part(Some(5), ok)), 1).unwrap_err().contains("no id"));
        assert!(
            outcome(&format!("{}--r_1--", part(Some(0), "garbage")), 1).unwrap_err().contains("no status")
        );
        // Success is what is documented for the operation, and said by the service.
        let page = part(Some(0), "HTTP/1.1 200 OK\r\nx-ms-request-id: 1");
        assert!(
            outcome(&format!("{page}--r_1--"), 1)
                .unwrap_err()
                .contains("200 OK, which Delete Blob does not have")
        );
        let foreign = part(Some(0), "HTTP/1.1 202 Accepted");
        assert!(outcome(&format!("{foreign}--r_1--"), 1).unwrap_err().contains("no x-ms-request-id"));
        let whole = part(None, "HTTP/1.1 400 Bad\r\nx-ms-error-code: ExceedsMaxBatchRequestCount");
        let error = read(Operation::DeleteBlob, &format!("{whole}--r_1--"), KIND, 3).unwrap_err();
        assert_eq!(error.service().unwrap().code, "ExceedsMaxBatchRequestCount");
        assert!(
            read(Operation::DeleteBlob, "", "application/xml", 1)
                .unwrap_err()
                .to_string()
                .contains("not multipart/mixed")
        );
        assert_eq!(boundary("Multipart/Mixed; boundary=\"a b\""), Some("a b"));
    }
}
