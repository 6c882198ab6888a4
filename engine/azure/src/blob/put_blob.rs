//! Writing block blobs.

use azuring_link::{Answer, Payload};
use azuring_store::{ContentFacts, Crc64};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{Entry, HeaderName, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use crate::blob::condition::{add_if_match, add_lease};
use crate::exchange::checksum::X_MS_CONTENT_CRC64;
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::properties::{PropertyError, add_content, add_metadata, value};

pub(crate) const X_MS_BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const X_MS_ACCESS_TIER: HeaderName = HeaderName::from_static("x-ms-access-tier");
const X_MS_TAGS: HeaderName = HeaderName::from_static("x-ms-tags");
const X_MS_BLOB_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-content-type");
const X_MS_BLOB_CONTENT_MD5: HeaderName = HeaderName::from_static("x-ms-blob-content-md5");

/// What goes with the bytes of one request. A request uses what it has a place for: a block is given its checksum
/// alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body<'a> {
    /// The blob's content type.
    pub content_type: Option<&'a str>,
    /// The content type's kin of this blob, in the place of the job's.
    pub content: Option<&'a ContentFacts>,
    /// The checksum the service compares the body with.
    pub crc64: Option<Crc64>,
    /// The MD5 of the whole blob, which the service stores as its `Content-MD5`. Put Blob compares it with the body;
    /// Put Block List takes it as it is.
    pub content_md5: Option<[u8; 16]>,
    /// Metadata of this blob beside the job's; where both have a name, this one counts.
    pub metadata: &'a [(String, String)],
    /// The tier of this blob, unless the job has one for all.
    pub tier: Option<&'a str>,
    /// The index tags of this blob, unless the job has some for all.
    pub tags: &'a [(String, String)],
    /// Only make a blob that is not there yet; otherwise the answer is an error that
    /// [`already_exists`](crate::ServiceError::already_exists).
    pub if_none_match_any: bool,
    /// Only write to the blob with this ETag, with or without quotes; otherwise
    /// [`precondition_failed`](crate::ServiceError::precondition_failed).
    pub if_match: Option<&'a str>,
    /// The lease under which the blob is written to.
    pub lease: Option<&'a str>,
}

/// `key=value&key2=value2`, each part percent-encoded.
fn tags_header(tags: &[(String, String)]) -> String {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let pairs: Vec<String> =
        tags.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    pairs.join("&")
}

/// What the service says of a blob that it has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Its ETag without quotes; `None` where the server gives none.
    pub etag: Option<Box<str>>,
}

impl Written {
    pub(crate) fn of(answer: &Answer) -> Self {
        let etag = answer.header("etag").and_then(|etag| std::str::from_utf8(etag).ok());
        Self { etag: etag.map(|etag| etag.trim_matches('"').into()) }
    }
}

impl BlobClient {
    /// Put Blob: the whole block blob in one request.
    ///
    /// # Errors
    /// [`RequestError`]. The blob that was there before is untouched by an error the service answered with.
    pub async fn put_blob(
        &self,
        name: &str,
        payload: Payload,
        body: Body<'_>,
    ) -> Result<Written, RequestError> {
        let mut headers = self.blob_headers(&body)?;
        headers.insert(X_MS_BLOB_TYPE, HeaderValue::from_static("BlockBlob"));
        self.write(Head::put(Operation::PutBlob, name, vec![], headers), payload, body.crc64).await
    }

    /// Put Blob of a block blob without content and without the job's properties.
    ///
    /// # Errors
    /// As for [`Self::put_blob`].
    pub async fn make_empty_blob(&self, name: &str, body: Body<'_>) -> Result<Written, RequestError> {
        let mut headers = self.data_headers(&body)?;
        headers.insert(X_MS_BLOB_TYPE, HeaderValue::from_static("BlockBlob"));
        if body.if_none_match_any {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        self.write(Head::put(Operation::PutBlob, name, vec![], headers), Payload::default(), None).await
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
        let headers = self.data_headers(&Body { crc64: body.crc64, ..Body::default() })?;
        let query = vec![("comp", "block"), ("blockid", block_id)];
        self.send_body(Head::put(Operation::PutBlock, name, query, headers), payload, body.crc64).await?;
        Ok(())
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
    ) -> Result<Written, RequestError> {
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
    ) -> Result<Written, RequestError> {
        Ok(Written::of(&self.send_body(head, payload, crc64).await?))
    }

    async fn send_body(
        &self,
        head: Head<'_>,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<Answer, RequestError> {
        let answer = self.exchange(head, payload, ANSWER_LIMIT_BYTES).await?;
        check_crc64(&answer, crc64)?;
        Ok(answer)
    }

    /// Headers of a request that changes a blob.
    pub(crate) fn write_headers(&self) -> HeaderMap {
        let mut headers = self.target().common.clone();
        headers.extend(self.target().encryption.write.iter().map(|(k, v)| (k.clone(), v.clone())));
        headers
    }

    /// Headers of a request that carries a blob's bytes: its checksum and its conditions.
    pub(crate) fn data_headers(&self, body: &Body<'_>) -> Result<HeaderMap, PropertyError> {
        let mut headers = self.write_headers();
        if let Some(crc64) = body.crc64 {
            let text = Bytes::from(crc64.to_header());
            headers.insert(
                X_MS_CONTENT_CRC64,
                HeaderValue::from_maybe_shared(text).expect("base64 makes a valid header"),
            );
        }
        add_if_match(&mut headers, body.if_match)?;
        add_lease(&mut headers, body.lease)?;
        Ok(headers)
    }

    /// Headers of a request that makes a blob.
    pub(crate) fn blob_headers(&self, body: &Body<'_>) -> Result<HeaderMap, PropertyError> {
        let mut headers = self.data_headers(body)?;
        headers.extend(self.target().properties.iter().map(|(k, v)| (k.clone(), v.clone())));
        if let Some(content_type) = body.content_type
            && let Ok(content_type) = HeaderValue::from_str(content_type)
        {
            headers.insert(X_MS_BLOB_CONTENT_TYPE, content_type);
        }
        if let Some(content) = body.content {
            add_content(&mut headers, content)?;
        }
        if let Some(md5) = body.content_md5 {
            let text = Bytes::from(BASE64_STANDARD.encode(md5));
            headers.insert(
                X_MS_BLOB_CONTENT_MD5,
                HeaderValue::from_maybe_shared(text).expect("base64 makes a valid header"),
            );
        }
        if let (Some(tier), Entry::Vacant(vacant)) = (body.tier, headers.entry(X_MS_ACCESS_TIER)) {
            vacant.insert(value("x-ms-access-tier", tier)?);
        }
        if !body.tags.is_empty()
            && let Entry::Vacant(vacant) = headers.entry(X_MS_TAGS)
        {
            vacant.insert(value("x-ms-tags", &tags_header(body.tags))?);
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
