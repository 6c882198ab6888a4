//! Answers: the headers that every one has, and errors as the service writes them.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, SERVER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::body::{Body, Broken};
use crate::error::{ApiError, INTERNAL_ERROR, Kind, More};
use crate::headers::{COPY_SOURCE_ERROR_CODE, COPY_SOURCE_STATUS_CODE, ERROR_CODE};
use crate::time;

pub(crate) type Answer = Response<Body>;

/// Why an operation has no answer of its own.
pub(crate) enum Failure {
    /// An error to be answered.
    Api(ApiError),
    /// Nobody is left to answer to.
    Gone,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure::Api(error)
    }
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Failure {
        Failure::Api(kind.into())
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Failure {
        match broken {
            Broken::Connection => Failure::Gone,
            Broken::Store(e) => INTERNAL_ERROR.detail("ExceptionMessage", e.to_string()).into(),
        }
    }
}

/// An answer with a status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = status;
    answer
}

/// An answer with an XML document.
pub(crate) fn xml(document: String) -> Answer {
    let mut answer = Response::new(Body::bytes(Bytes::from(document)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// Sets a header to text that this server made.
pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_str(value).expect("only visible ASCII is written here"));
}

/// Sets a header to text that may not be fit for one.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// An error as the service answers it.
pub(crate) fn error(error: &ApiError, request_id: &str, method: &Method) -> Answer {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = empty(status);
    // A 304 has no body by its nature; a HEAD has none, but hyper needs the length of what GET would say.
    if status != StatusCode::NOT_MODIFIED && !error.code.is_empty() {
        let body = error.body(request_id, &time::iso(time::now()));
        if method != Method::HEAD {
            answer = xml(body);
            *answer.status_mut() = status;
        }
    }
    let headers = answer.headers_mut();
    if let Ok(code) = HeaderValue::from_str(&error.code)
        && !error.code.is_empty()
    {
        headers.insert(ERROR_CODE, code);
    }
    if let Some(seconds) = error.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    match error.more.as_deref() {
        None => {}
        Some(More::ContentRange(range)) => put(headers, CONTENT_RANGE, range),
        Some(More::Challenge(uri)) => {
            let challenge = format!("Bearer authorization_uri={uri} resource_id=https://storage.azure.com");
            put(headers, WWW_AUTHENTICATE, &challenge);
        }
        Some(More::Source(source)) => {
            headers.insert(COPY_SOURCE_STATUS_CODE, HeaderValue::from(source.status));
            if !source.code.is_empty() {
                put(headers, COPY_SOURCE_ERROR_CODE, &source.code);
            }
        }
    }
    answer
}

/// The value of the `Server` header.
pub(crate) fn server() -> (HeaderName, HeaderValue) {
    (SERVER, HeaderValue::from_static(concat!("Azsim-Blob/", env!("CARGO_PKG_VERSION"))))
}

/// Request ids: unique, in the shape of a GUID.
pub(crate) struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> RequestIds {
        RequestIds { start: time::now(), next: AtomicU64::new(1) }
    }

    /// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`
    pub(crate) fn next(&self) -> RequestId {
        let number = u128::from(self.next.fetch_add(1, Ordering::Relaxed));
        let value = u128::from(self.start) << 64 | number;
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (i, byte) in text.iter_mut().enumerate() {
            if !matches!(i, 8 | 13 | 18 | 23) {
                shift -= 4;
                *byte = b"0123456789abcdef"[(value >> shift) as usize & 15];
            }
        }
        RequestId(text)
    }
}

/// One request id.
pub(crate) struct RequestId([u8; 36]);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hexadecimal digits are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_guids_and_unique() {
        let ids = RequestIds::new();
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a.as_str(), b.as_str());
        let groups: Vec<usize> = a.as_str().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }
}
