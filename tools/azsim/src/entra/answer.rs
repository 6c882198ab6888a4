//! Answers of the authority: JSON documents, and errors as Entra ID and the metadata services write them.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::random;
use crate::time;

/// A document with its status and headers.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Value,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request breaks the protocol; remembered for the test.
    Deviation(String),
    /// An answer of the protocol.
    Refused(Reply),
}

/// An error of Entra ID: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
#[derive(Debug, Clone)]
pub(super) struct EntraError {
    pub(super) status: u16,
    pub(super) error: &'static str,
    /// The number after `AADSTS`.
    pub(super) code: u32,
    pub(super) text: String,
}

impl EntraError {
    pub(super) fn new(status: u16, error: &'static str, code: u32, text: impl Into<String>) -> EntraError {
        EntraError { status, error, code, text: text.into() }
    }

    /// A request that cannot be carried out as it is.
    pub(super) fn bad(error: &'static str, code: u32, text: impl Into<String>) -> EntraError {
        EntraError::new(400, error, code, text)
    }

    /// An application that has not proved itself.
    pub(super) fn client(code: u32, text: impl Into<String>) -> EntraError {
        EntraError::new(401, "invalid_client", code, text)
    }

    pub(super) fn reply(&self) -> Reply {
        let mut timestamp = time::iso(time::now()).replacen('T', " ", 1);
        timestamp.truncate(19);
        timestamp.push('Z');
        let (trace, correlation) = (random::guid(), random::guid());
        let (code, text) = (self.code, &self.text);
        let body = json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
            ),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        Reply { status: self.status, headers: Vec::new(), body }
    }
}

impl From<EntraError> for Failure {
    fn from(error: EntraError) -> Failure {
        Failure::Refused(error.reply())
    }
}

impl Reply {
    pub(super) fn ok(body: Value) -> Reply {
        Reply { status: 200, headers: Vec::new(), body }
    }

    /// An error of a metadata service.
    pub(super) fn plain(status: u16, error: &str, description: &str) -> Reply {
        let body = json!({ "error": error, "error_description": description });
        Reply { status, headers: Vec::new(), body }
    }

    pub(super) fn retry_after(mut self, seconds: Option<u32>) -> Reply {
        self.headers.extend(seconds.map(|s| (RETRY_AFTER, s.to_string())));
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body.to_string())));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
        for (name, value) in self.headers {
            headers
                .insert(name, HeaderValue::from_str(&value).expect("a header is made of visible characters"));
        }
        response
    }
}
