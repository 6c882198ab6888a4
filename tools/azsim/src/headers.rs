//! Header names of the service, and reading request headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use http::request::Parts;

use crate::error::{INVALID_HEADER_VALUE, INVALID_MD5, Result};

/// Of a request that a server makes itself, as the destination of a copy: that account's name. Whoever sends it is
/// taken for one. `azsim-*` headers are between servers of this kind.
pub(crate) const COPY_BY: HeaderName = HeaderName::from_static("azsim-copy-by");
/// Of such a request on behalf of the copy's client: its address, and the network of the private endpoint it came by.
pub(crate) const COPY_FOR: HeaderName = HeaderName::from_static("azsim-copy-for");
/// Of the answer to such a request: names of metadata in their case, which headers lose on their way.
pub(crate) const METADATA_NAMES: HeaderName = HeaderName::from_static("azsim-metadata-names");

macro_rules! names {
    ($($name:ident = $text:literal;)*) => {
        $(pub(crate) const $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    ACCESS_TIER = "x-ms-access-tier";
    ACCESS_TIER_CHANGE_TIME = "x-ms-access-tier-change-time";
    ACCESS_TIER_INFERRED = "x-ms-access-tier-inferred";
    APPEND_OFFSET = "x-ms-blob-append-offset";
    ARCHIVE_STATUS = "x-ms-archive-status";
    BLOB_CONTENT_LENGTH = "x-ms-blob-content-length";
    BLOB_CONTENT_MD5 = "x-ms-blob-content-md5";
    BLOB_SEALED = "x-ms-blob-sealed";
    BLOB_TYPE = "x-ms-blob-type";
    CLIENT_REQUEST_ID = "x-ms-client-request-id";
    COMMITTED_BLOCK_COUNT = "x-ms-blob-committed-block-count";
    CONTENT_CRC64 = "x-ms-content-crc64";
    CONTENT_MD5 = "content-md5";
    COPY_ID = "x-ms-copy-id";
    COPY_SOURCE_ERROR_CODE = "x-ms-copy-source-error-code";
    COPY_SOURCE_STATUS_CODE = "x-ms-copy-source-status-code";
    COPY_STATUS = "x-ms-copy-status";
    CREATION_TIME = "x-ms-creation-time";
    DELETE_PERMANENT = "x-ms-delete-type-permanent";
    ENCRYPTION_SCOPE = "x-ms-encryption-scope";
    ERROR_CODE = "x-ms-error-code";
    IS_CURRENT_VERSION = "x-ms-is-current-version";
    KEY_SHA256 = "x-ms-encryption-key-sha256";
    LEASE_DURATION = "x-ms-lease-duration";
    LEASE_ID = "x-ms-lease-id";
    LEASE_STATE = "x-ms-lease-state";
    LEASE_STATUS = "x-ms-lease-status";
    LEASE_TIME = "x-ms-lease-time";
    PUBLIC_ACCESS = "x-ms-blob-public-access";
    REHYDRATE_PRIORITY = "x-ms-rehydrate-priority";
    REQUEST_ENCRYPTED = "x-ms-request-server-encrypted";
    REQUEST_ID = "x-ms-request-id";
    SEQUENCE_NUMBER = "x-ms-blob-sequence-number";
    SERVER_ENCRYPTED = "x-ms-server-encrypted";
    SNAPSHOT = "x-ms-snapshot";
    TAG_COUNT = "x-ms-tag-count";
    VERSION = "x-ms-version";
    VERSION_ID = "x-ms-version-id";
}

/// A header as text, when it is there and is visible ASCII or UTF-8.
pub(crate) fn text<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    parts.headers.get(name).and_then(|v| std::str::from_utf8(v.as_bytes()).ok())
}

/// A header as text, an empty one counting as absent.
pub(crate) fn nonempty<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    text(parts, name).map(str::trim).filter(|v| !v.is_empty())
}

/// A header that is a whole number.
pub(crate) fn number(parts: &Parts, name: &str) -> Result<Option<u64>> {
    let Some(value) = nonempty(parts, name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| INVALID_HEADER_VALUE.header(name, value))
}

/// An MD5 in base64.
pub(crate) fn md5(parts: &Parts, name: &str) -> Result<Option<[u8; 16]>> {
    let Some(value) = nonempty(parts, name) else { return Ok(None) };
    let bytes = STANDARD.decode(value).ok().and_then(|b| <[u8; 16]>::try_from(b).ok());
    bytes.map(Some).ok_or_else(|| INVALID_MD5.header(name, value))
}

/// A CRC-64/NVME: base64 of its 8 bytes, the low byte first.
pub(crate) fn crc64(parts: &Parts, name: &str) -> Result<Option<u64>> {
    let Some(value) = nonempty(parts, name) else { return Ok(None) };
    let bytes = STANDARD.decode(value).ok().and_then(|b| <[u8; 8]>::try_from(b).ok());
    bytes.map(|b| Some(u64::from_le_bytes(b))).ok_or_else(|| INVALID_HEADER_VALUE.header(name, value))
}

/// A CRC64 as the service writes it.
pub(crate) fn write_crc64(crc64: u64) -> String {
    STANDARD.encode(crc64.to_le_bytes())
}

/// An MD5 as the service writes it.
pub(crate) fn write_md5(md5: &[u8; 16]) -> String {
    STANDARD.encode(md5)
}
