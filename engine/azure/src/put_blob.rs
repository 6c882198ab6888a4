//! Writing block blobs.

use azuring_link::{Answer, Payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{HeaderName, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use crate::checksum::{Crc64, X_MS_CONTENT_CRC64};
use crate::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::error::RequestError;
use crate::operation::Operation;
use crate::properties::{PropertyError, add_metadata};

pub(crate) const X_MS_BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const X_MS_BLOB_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-content-type");
const X_MS_BLOB_CONTENT_MD5: HeaderName = HeaderName::from_static("x-ms-blob-content-md5");

/// What goes with the bytes of one request. A request uses what it has a place for: a block is given its checksum alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body<'a> {
    /// The blob's content type.
    pub content_type: Option<&'a str>,
    /// The checksum the service compares the body with.
    pub crc64: Option<Crc64>,
    /// The MD5 of the whole blob, which the service stores as its `Content-MD5`. Put Blob compares it with the body;
    /// Put Block List takes it as it is.
    pub content_md5: Option<[u8; 16]>,
    /// Metadata of this blob beside the job's; where both have a name, this one counts.
    pub metadata: &'a [(String, String)],
    /// Only make a blob that is not there yet; otherwise the answer is an error that
    /// [`already_exists`](crate::ServiceError::already_exists).
    pub if_none_match_any: bool,
}

impl BlobClient {
    /// Put Blob: the whole block blob in one request.
    ///
    /// # Errors
    /// [`RequestError`]. The blob that was there before is untouched by an error the service answered with.
    pub async fn put_blob(&self, name: &str, payload: Payload, body: Body<'_>) -> Result<(), RequestError> {
        let mut headers = self.blob_headers(&body)?;
        headers.insert(X_MS_BLOB_TYPE, HeaderValue::from_static("BlockBlob"));
        self.write(Head::put(Operation::PutBlob, name, vec![], headers), payload, body.crc64).await
    }

    /// Put Block: one block of a blob, invisible until it is listed. At most 4,000 MiB.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn put_block(
        &self,
        name: &str,
        block_id: &str,
        payload: Payload,
        body: Body<'_>,
    ) -> Result<(), RequestError> {
        let headers = self.data_headers(body.crc64);
        let query = vec![("comp", "block"), ("blockid", block_id)];
        self.write(Head::put(Operation::PutBlock, name, query, headers), payload, body.crc64).await
    }

    /// Put Block List: makes a blob of its blocks, atomically. `crc64`: send the checksum of the list, which takes the
    /// place of the body's.
    ///
    /// # Errors
    /// [`RequestError`]. The blob that was there before is untouched by an error the service answered with.
    pub async fn put_block_list(
        &self,
        name: &str,
        block_ids: impl Iterator<Item = String>,
        body: Body<'_>,
        crc64: bool,
    ) -> Result<(), RequestError> {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for id in block_ids {
            // Base64 has no character that XML would want escaped. `Latest` and not `Uncommitted`: when the
            // answer to a commit is lost, the repeated one finds its blocks already committed. The ids are
            // this job's own, so no block of an older blob can be meant.
            xml.push_str("<Latest>");
            xml.push_str(&id);
            xml.push_str("</Latest>");
        }
        xml.push_str("</BlockList>");
        let payload = Payload::from(Bytes::from(xml));
        let headers = self.blob_headers(&Body { crc64: crc64.then(|| Crc64::of(&payload)), ..body })?;
        // The list is compared by the service alone; what comes back would only say so again.
        let head = Head::put(Operation::PutBlockList, name, vec![("comp", "blocklist")], headers);
        self.write(head, payload, None).await
    }

    /// A PUT whose body the service checks.
    pub(crate) async fn write(
        &self,
        head: Head<'_>,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<(), RequestError> {
        let answer = self.exchange(head, payload, ANSWER_LIMIT_BYTES).await?;
        check_crc64(&answer, crc64)
    }

    /// Headers of a request that changes a blob.
    pub(crate) fn write_headers(&self) -> HeaderMap {
        let mut headers = self.target().common.clone();
        headers.extend(self.target().encryption.write.iter().map(|(k, v)| (k.clone(), v.clone())));
        headers
    }

    /// Headers of a request that carries a blob's bytes.
    pub(crate) fn data_headers(&self, crc64: Option<Crc64>) -> HeaderMap {
        let mut headers = self.write_headers();
        if let Some(crc64) = crc64 {
            let text = Bytes::from(crc64.to_header());
            headers.insert(
                X_MS_CONTENT_CRC64,
                HeaderValue::from_maybe_shared(text).expect("base64 makes a valid header"),
            );
        }
        headers
    }

    /// Headers of a request that makes a blob.
    pub(crate) fn blob_headers(&self, body: &Body<'_>) -> Result<HeaderMap, PropertyError> {
        let mut headers = self.data_headers(body.crc64);
        headers.extend(self.target().properties.iter().map(|(k, v)| (k.clone(), v.clone())));
        if let Some(content_type) = body.content_type
            && let Ok(content_type) = HeaderValue::from_str(content_type)
        {
            headers.insert(X_MS_BLOB_CONTENT_TYPE, content_type);
        }
        if let Some(md5) = body.content_md5 {
            let text = Bytes::from(BASE64_STANDARD.encode(md5));
            headers.insert(
                X_MS_BLOB_CONTENT_MD5,
                HeaderValue::from_maybe_shared(text).expect("base64 makes a valid header"),
            );
        }
        add_metadata(&mut headers, body.metadata)?;
        if body.if_none_match_any {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        Ok(headers)
    }
}

/// The service returns the checksum it computed. A proxy that changes bodies shows here.
fn check_crc64(answer: &Answer, sent: Option<Crc64>) -> Result<(), RequestError> {
    match (sent, answer.header(X_MS_CONTENT_CRC64.as_str())) {
        (Some(sent), Some(got)) if got != sent.to_header().as_bytes() => Err(RequestError::Integrity),
        _ => Ok(()),
    }
}
