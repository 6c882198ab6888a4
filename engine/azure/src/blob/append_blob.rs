//! Append blobs: written at their end only.

use azuring_link::Payload;
use http::HeaderValue;
use http::header::HeaderName;

use crate::blob::change::X_MS_ACCESS_TIER;
use crate::blob::put_blob::{Body, Written, X_MS_BLOB_TYPE};
use crate::exchange::client::{BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;

/// The largest body of Append Block.
pub const MAX_APPEND_BYTES: u64 = 100 << 20;

pub(crate) const X_MS_CONDITION_APPENDPOS: HeaderName =
    HeaderName::from_static("x-ms-blob-condition-appendpos");

impl BlobClient {
    /// Put Blob for an append blob: makes an empty one, in the place of what was there. The job's tier is left out:
    /// append blobs have none.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_append_blob(&self, name: &str, body: Body<'_>) -> Result<Written, RequestError> {
        let mut headers = self.blob_headers(&Body { crc64: None, ..body })?;
        headers.remove(X_MS_ACCESS_TIER);
        headers.insert(X_MS_BLOB_TYPE, HeaderValue::from_static("AppendBlob"));
        self.write(Head::put(Operation::PutBlob, name, vec![], headers), Payload::default(), None).await
    }

    /// Append Block: at most [`MAX_APPEND_BYTES`] and 50,000 times a blob, as long as the blob is `position` bytes
    /// long. So a repeated request whose first answer was lost appends nothing twice: it is refused with 412
    /// `AppendPositionConditionNotMet`, or with `ConditionNotMet` where `body` names an ETag.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn append_block(
        &self,
        name: &str,
        payload: Payload,
        position: u64,
        body: Body<'_>,
    ) -> Result<Written, RequestError> {
        let mut headers = self.data_headers(&body)?;
        headers.insert(X_MS_CONDITION_APPENDPOS, HeaderValue::from(position));
        let head = Head::put(Operation::AppendBlock, name, vec![("comp", "appendblock")], headers);
        self.write(head, payload, body.crc64).await
    }
}
