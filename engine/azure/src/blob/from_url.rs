//! Writing blobs from bytes that the service reads elsewhere by itself.
//!
//! Source: "Put Blob From URL", "Put Block From URL", "Append Block From URL", "Put Page From URL".

use azuring_link::Answer;
use azuring_store::{Crc64, Grant};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::account::version::KEY_COPY_VERSION;
use crate::blob::append_blob::X_MS_CONDITION_APPENDPOS;
use crate::blob::page_blob::{X_MS_PAGE_WRITE, X_MS_RANGE};
use crate::blob::put_blob::{Body, Written, X_MS_BLOB_TYPE};
use crate::exchange::checksum::X_MS_CONTENT_CRC64;
use crate::exchange::client::{BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::properties::value;

const X_MS_COPY_SOURCE: HeaderName = HeaderName::from_static("x-ms-copy-source");
const X_MS_COPY_SOURCE_AUTHORIZATION: HeaderName = HeaderName::from_static("x-ms-copy-source-authorization");
const X_MS_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-ms-source-if-match");
const X_MS_SOURCE_CONTENT_MD5: HeaderName = HeaderName::from_static("x-ms-source-content-md5");
const X_MS_SOURCE_ENCRYPTION_KEY: HeaderName = HeaderName::from_static("x-ms-source-encryption-key");
const X_MS_SOURCE_ENCRYPTION_KEY_SHA256: HeaderName =
    HeaderName::from_static("x-ms-source-encryption-key-sha256");
const X_MS_SOURCE_ENCRYPTION_ALGORITHM: HeaderName =
    HeaderName::from_static("x-ms-source-encryption-algorithm");
const X_MS_SOURCE_RANGE: HeaderName = HeaderName::from_static("x-ms-source-range");
const X_MS_COPY_SOURCE_BLOB_PROPERTIES: HeaderName =
    HeaderName::from_static("x-ms-copy-source-blob-properties");

/// What the service says of what it has read elsewhere and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The ETag of the blob, without quotes; `None` of a block of a block blob.
    pub etag: Option<Box<str>>,
    /// The CRC64 of the bytes that it has read.
    pub crc64: Option<Crc64>,
    /// Their MD5.
    pub md5: Option<[u8; 16]>,
}

impl Copied {
    fn of(answer: &Answer) -> Self {
        let text = |name: &str| answer.header(name).and_then(|value| std::str::from_utf8(value).ok());
        let md5 = text("content-md5").and_then(|md5| BASE64_STANDARD.decode(md5).ok());
        Self {
            etag: Written::of(answer).etag,
            crc64: answer.header(X_MS_CONTENT_CRC64.as_str()).and_then(Crc64::of_header),
            md5: md5.and_then(|md5| md5.try_into().ok()),
        }
    }
}

impl BlobClient {
    /// Put Blob From URL: a block blob of at most 5,000 MiB in one request, all of the source. It is given what `body`
    /// says and, of metadata, the source's where that says none; no other property goes with it.
    ///
    /// # Errors
    /// [`RequestError`]; [`is_of_copy_source`](crate::ServiceError::is_of_copy_source) if the source has refused. The
    /// blob that was there before is untouched by an error the service answered with.
    pub async fn put_blob_from_url(
        &self,
        name: &str,
        from: &Grant<'_>,
        body: Body<'_>,
    ) -> Result<Copied, RequestError> {
        let mut headers = self.blob_headers(&Body { crc64: None, ..body })?;
        headers.insert(X_MS_BLOB_TYPE, HeaderValue::from_static("BlockBlob"));
        headers.insert(X_MS_COPY_SOURCE_BLOB_PROPERTIES, HeaderValue::from_static("false"));
        let operation = Operation::PutBlobFromUrl;
        self.copy(from, headers, |headers| Head::put(operation, name, vec![], headers)).await
    }

    /// Put Block From URL: a range of the source becomes a block, invisible until it is listed.
    ///
    /// # Errors
    /// As for [`Self::put_blob_from_url`].
    pub async fn put_block_from_url(
        &self,
        name: &str,
        block_id: &str,
        from: &Grant<'_>,
    ) -> Result<Copied, RequestError> {
        let query = || vec![("comp", "block"), ("blockid", block_id)];
        let operation = Operation::PutBlockFromUrl;
        let headers = self.write_headers();
        self.copy(from, headers, |headers| Head::put(operation, name, query(), headers)).await
    }

    /// Append Block From URL: a range of the source is appended, as long as the blob is `position` bytes long, and
    /// under the conditions that `body` names: see [`Self::append_block`], whose limits are those of the range.
    ///
    /// # Errors
    /// As for [`Self::put_blob_from_url`].
    pub async fn append_block_from_url(
        &self,
        name: &str,
        position: u64,
        from: &Grant<'_>,
        body: Body<'_>,
    ) -> Result<Copied, RequestError> {
        let mut headers = self.data_headers(&Body { crc64: None, ..body })?;
        headers.insert(X_MS_CONDITION_APPENDPOS, HeaderValue::from(position));
        let (operation, query) = (Operation::AppendBlockFromUrl, || vec![("comp", "appendblock")]);
        self.copy(from, headers, |headers| Head::put(operation, name, query(), headers)).await
    }

    /// Put Page From URL: a range of the source becomes the pages at the same place. Its bounds are those of
    /// [`Self::put_page`], whose conditions `body` names.
    ///
    /// # Errors
    /// As for [`Self::put_blob_from_url`].
    pub async fn put_page_from_url(
        &self,
        name: &str,
        (first, last): (u64, u64),
        from: &Grant<'_>,
        body: Body<'_>,
    ) -> Result<Copied, RequestError> {
        let mut headers = self.data_headers(&Body { crc64: None, ..body })?;
        let range = format!("bytes={first}-{last}");
        headers.insert(X_MS_RANGE, HeaderValue::try_from(range).expect("digits make a valid header"));
        headers.insert(X_MS_PAGE_WRITE, HeaderValue::from_static("update"));
        let (operation, query) = (Operation::PutPageFromUrl, || vec![("comp", "page")]);
        self.copy(from, headers, |headers| Head::put(operation, name, query(), headers)).await
    }

    /// [`Self::put_from`], with what the service says of the bytes that it has read.
    async fn copy<'a>(
        &self,
        from: &Grant<'_>,
        headers: HeaderMap,
        head: impl Fn(HeaderMap) -> Head<'a>,
    ) -> Result<Copied, RequestError> {
        Ok(Copied::of(&self.put_from(from, headers, head).await?))
    }

    /// A PUT without a body, whose bytes the service has or reads at `from`.
    pub(crate) async fn put_from<'a>(
        &self,
        from: &Grant<'_>,
        mut headers: HeaderMap,
        head: impl Fn(HeaderMap) -> Head<'a>,
    ) -> Result<Answer, RequestError> {
        let mut secret = |name: HeaderName, text: &str| {
            let mut value = value(name.as_str(), text)?;
            value.set_sensitive(true);
            headers.insert(name, value);
            Ok::<_, RequestError>(())
        };
        secret(X_MS_COPY_SOURCE, from.url)?;
        if let Some(authorization) = from.authorization {
            secret(X_MS_COPY_SOURCE_AUTHORIZATION, authorization)?;
        }
        if let Some((key, sha256)) = from.key {
            secret(X_MS_SOURCE_ENCRYPTION_KEY, key)?;
            headers.insert(
                X_MS_SOURCE_ENCRYPTION_KEY_SHA256,
                value("x-ms-source-encryption-key-sha256", sha256)?,
            );
            headers.insert(X_MS_SOURCE_ENCRYPTION_ALGORITHM, HeaderValue::from_static("AES256"));
        }
        if let Some(tag) = from.tag {
            let quoted = format!("\"{}\"", tag.trim_matches('"'));
            headers.insert(X_MS_SOURCE_IF_MATCH, value("x-ms-source-if-match", &quoted)?);
        }
        if let Some(md5) = from.md5 {
            let md5 = HeaderValue::from_maybe_shared(Bytes::from(BASE64_STANDARD.encode(md5)));
            headers.insert(X_MS_SOURCE_CONTENT_MD5, md5.expect("base64 makes a valid header"));
        }
        if let Some((first, last)) = from.range {
            let range = Bytes::from(format!("bytes={first}-{last}"));
            let range = HeaderValue::from_maybe_shared(range).expect("digits make a valid header");
            headers.insert(X_MS_SOURCE_RANGE, range);
        }
        match from.key {
            None => self.exchange_newest(headers, head).await,
            Some(_) => self.exchange_in(KEY_COPY_VERSION, headers, head).await,
        }
    }
}
