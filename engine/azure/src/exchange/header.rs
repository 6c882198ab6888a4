//! The names of headers that all requests and answers of the service have.

/// On every answer of the service, for its support.
pub(crate) const X_MS_REQUEST_ID: &str = "x-ms-request-id";
/// On every answer of the service: the version of the protocol that it speaks.
pub(crate) const X_MS_VERSION: &str = "x-ms-version";
