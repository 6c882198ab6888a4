//! Where the service tells a CRC64.

use azuring_link::Reply;
use azuring_store::Crc64;
use http::HeaderName;

pub(crate) const X_MS_CONTENT_CRC64: HeaderName = HeaderName::from_static("x-ms-content-crc64");

/// The checksum of the body that is to come, which the service adds when [`crate::Get::range_crc64`] asks for it.
pub fn crc64_of(reply: &Reply) -> Option<Crc64> {
    Crc64::of_header(reply.header(X_MS_CONTENT_CRC64.as_str())?)
}
