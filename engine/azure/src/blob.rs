//! Requests to one container.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use azuring_link::{Answer, Links, Payload, Reply};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use http::header::{HOST, HeaderName, RANGE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use crate::credential::Credential;
use crate::error::{RequestError, ServiceError};
use crate::properties::{BlobProperties, PropertyError, value};
use crate::url::BlobUrl;

/// The REST version every request names. The one AzCopy 10.32 uses; Azurite 3.37 knows it too.
pub const SERVICE_VERSION: &str = "2025-07-05";

/// Error bodies and small answers are read up to this size.
const ANSWER_LIMIT_BYTES: usize = 64 << 10;

const X_MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const X_MS_DATE: HeaderName = HeaderName::from_static("x-ms-date");
const X_MS_BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const X_MS_BLOB_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-content-type");
const X_MS_CONTENT_CRC64: HeaderName = HeaderName::from_static("x-ms-content-crc64");
const AUTHORIZATION: HeaderName = http::header::AUTHORIZATION;

/// CRC-64/NVME, the checksum Azure calls `x-ms-content-crc64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc64(pub u64);

impl Crc64 {
    /// The checksum of everything in `payload`.
    pub fn of(payload: &Payload) -> Self {
        let mut digest = Crc64Digest::new();
        for part in payload.parts() {
            digest.update(part);
        }
        digest.finish()
    }

    /// As the header has it: base64 of the eight bytes, lowest first.
    pub fn to_header(self) -> String {
        BASE64_STANDARD.encode(self.0.to_le_bytes())
    }
}

/// A [`Crc64`] under way.
#[derive(Clone, Debug)]
pub struct Crc64Digest(Digest);

impl Crc64Digest {
    /// The checksum of nothing.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all that was taken.
    pub fn finish(self) -> Crc64 {
        Crc64(self.0.finalize())
    }
}

impl Default for Crc64Digest {
    fn default() -> Self {
        Self::new()
    }
}

/// Where and as whom a job's requests go; what they have in common, rendered once. Shared by all lanes.
#[derive(Clone, Debug)]
pub struct Target {
    url: BlobUrl,
    scheme: Scheme,
    authority: Authority,
    container_path: String,
    credential: Credential,
    common: HeaderMap,
    properties: HeaderMap,
}

impl Target {
    /// # Errors
    /// [`PropertyError`] when a property cannot be put into a header.
    pub fn new(
        url: BlobUrl,
        credential: Credential,
        properties: &BlobProperties,
    ) -> Result<Self, PropertyError> {
        let authority = url.authority();
        let mut common = HeaderMap::new();
        common.insert(HOST, value("host", &authority)?);
        let agent = concat!("azuring/", env!("CARGO_PKG_VERSION"));
        common.insert(USER_AGENT, HeaderValue::from_static(agent));
        common.insert(X_MS_VERSION, HeaderValue::from_static(SERVICE_VERSION));
        Ok(Self {
            scheme: if url.endpoint().tls { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority.parse().expect("a parsed URL has a valid authority"),
            container_path: url.container_path(),
            properties: properties.headers()?,
            url,
            credential,
            common,
        })
    }

    /// The URL the target was made from.
    pub fn url(&self) -> &BlobUrl {
        &self.url
    }

    /// What authorizes the requests.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }
}

/// What goes with the bytes of one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body<'a> {
    /// The blob's content type.
    pub content_type: Option<&'a str>,
    /// The checksum the service compares the body with.
    pub crc64: Option<Crc64>,
}

/// Sends requests of one lane to one container.
#[derive(Clone)]
pub struct BlobClient {
    target: Rc<Target>,
    links: Links,
    clock: Rc<RefCell<Clock>>,
}

/// The `x-ms-date` of this second.
struct Clock {
    second: u64,
    header: HeaderValue,
}

impl BlobClient {
    /// A client for `target` over `links`, which lead to the target's endpoint.
    pub fn new(target: Rc<Target>, links: Links) -> Self {
        let clock = Clock { second: 0, header: HeaderValue::from_static("") };
        Self { target, links, clock: Rc::new(RefCell::new(clock)) }
    }

    /// The links requests go over.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Put Blob: the whole block blob in one request. `name` is percent-encoded.
    ///
    /// # Errors
    /// [`RequestError`]. The blob that was there before is untouched by an error the service answered with.
    pub async fn put_blob(&self, name: &str, payload: Payload, body: Body<'_>) -> Result<(), RequestError> {
        let mut headers = self.write_headers(&body);
        headers.insert(X_MS_BLOB_TYPE, HeaderValue::from_static("BlockBlob"));
        headers.extend(self.target.properties.iter().map(|(k, v)| (k.clone(), v.clone())));
        let answer = self.exchange(Method::PUT, name, &[], headers, payload).await?;
        check_crc64(&answer, body.crc64)
    }

    /// Put Block: one block of a blob, invisible until it is listed.
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
        let headers = self.write_headers(&body);
        let query = [("comp", "block"), ("blockid", block_id)];
        let answer = self.exchange(Method::PUT, name, &query, headers, payload).await?;
        check_crc64(&answer, body.crc64)
    }

    /// Put Block List: makes a blob of its blocks, atomically. `crc64`: send the checksum of the list.
    ///
    /// # Errors
    /// [`RequestError`]. The blob that was there before is untouched by an error the service answered with.
    pub async fn put_block_list(
        &self,
        name: &str,
        block_ids: impl Iterator<Item = String>,
        content_type: Option<&str>,
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
        let mut headers =
            self.write_headers(&Body { content_type, crc64: crc64.then(|| Crc64::of(&payload)) });
        headers.extend(self.target.properties.iter().map(|(k, v)| (k.clone(), v.clone())));
        self.exchange(Method::PUT, name, &[("comp", "blocklist")], headers, payload).await?;
        Ok(())
    }

    /// Create Container.
    ///
    /// # Errors
    /// [`RequestError`]; 409 `ContainerAlreadyExists` when it exists.
    pub async fn create_container(&self) -> Result<(), RequestError> {
        let query = [("restype", "container")];
        self.exchange(Method::PUT, "", &query, self.target.common.clone(), Payload::default()).await?;
        Ok(())
    }

    /// Get Blob: the answer's body is read by the caller. `range` is first and last byte.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn get_blob(&self, name: &str, range: Option<(u64, u64)>) -> Result<Reply, RequestError> {
        let mut headers = self.target.common.clone();
        if let Some((first, last)) = range {
            let text = format!("bytes={first}-{last}");
            headers.insert(RANGE, HeaderValue::try_from(text).expect("digits make a valid header"));
        }
        let reply = self.send(Method::GET, name, &[], headers, Payload::default()).await?;
        if reply.status().is_success() {
            return Ok(reply);
        }
        Err(refusal(reply).await)
    }

    fn write_headers(&self, body: &Body<'_>) -> HeaderMap {
        let mut headers = self.target.common.clone();
        if let Some(content_type) = body.content_type
            && let Ok(content_type) = HeaderValue::from_str(content_type)
        {
            headers.insert(X_MS_BLOB_CONTENT_TYPE, content_type);
        }
        if let Some(crc64) = body.crc64 {
            let text = Bytes::from(crc64.to_header());
            headers.insert(
                X_MS_CONTENT_CRC64,
                HeaderValue::from_maybe_shared(text).expect("base64 makes a valid header"),
            );
        }
        headers
    }

    /// Sends a request whose answer is small, and reads the answer.
    async fn exchange(
        &self,
        method: Method,
        name: &str,
        query: &[(&str, &str)],
        headers: HeaderMap,
        payload: Payload,
    ) -> Result<Answer, RequestError> {
        let reply = self.send(method, name, query, headers, payload).await?;
        if !reply.status().is_success() {
            return Err(refusal(reply).await);
        }
        Ok(reply.collect(ANSWER_LIMIT_BYTES).await?)
    }

    async fn send(
        &self,
        method: Method,
        name: &str,
        query: &[(&str, &str)],
        mut headers: HeaderMap,
        payload: Payload,
    ) -> Result<Reply, RequestError> {
        let target = &*self.target;
        let path_len = target.container_path.len() + 1 + name.len();
        let mut path = String::with_capacity(path_len + 256);
        path.push_str(&target.container_path);
        if !name.is_empty() {
            path.push('/');
            path.push_str(name);
        }
        let path_end = path.len();
        let mut mark = '?';
        for (key, text) in query {
            path.push(mark);
            path.push_str(key);
            path.push('=');
            path.extend(percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC));
            mark = '&';
        }
        match &target.credential {
            Credential::Anonymous => {}
            Credential::Sas(sas) => {
                path.push(mark);
                path.push_str(sas.expose());
            }
            Credential::SharedKey(key) => {
                headers.insert(X_MS_DATE, self.now());
                let signed = key.sign(&method, &path[..path_end], query, &headers, payload.len());
                let mut signed = HeaderValue::try_from(signed).expect("base64 makes a valid header");
                signed.set_sensitive(true);
                headers.insert(AUTHORIZATION, signed);
            }
        }
        let path = PathAndQuery::from_maybe_shared(Bytes::from(path))
            .map_err(|error| RequestError::Name(error.to_string()))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(target.scheme.clone());
        parts.authority = Some(target.authority.clone());
        parts.path_and_query = Some(path);
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are there");
        *request.headers_mut() = headers;
        Ok(self.links.send(request, payload).await?)
    }

    /// The date header, rendered once a second.
    fn now(&self) -> HeaderValue {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut clock = self.clock.borrow_mut();
        if clock.second != second {
            clock.second = second;
            clock.header =
                HeaderValue::try_from(httpdate::fmt_http_date(now)).expect("a date is a valid header");
        }
        clock.header.clone()
    }
}

/// Reads what the service says with an error, as far as it is readable: a gateway's page may be long, or cut off, and
/// its status counts all the same.
async fn refusal(reply: Reply) -> RequestError {
    let answer = reply.collect_up_to(ANSWER_LIMIT_BYTES).await;
    ServiceError::read(answer.status(), &answer.headers(), &answer.body).into()
}

/// The service returns the checksum it computed. A proxy that changes bodies shows here.
fn check_crc64(answer: &Answer, sent: Option<Crc64>) -> Result<(), RequestError> {
    match (sent, answer.header(X_MS_CONTENT_CRC64.as_str())) {
        (Some(sent), Some(got)) if got != sent.to_header().as_bytes() => Err(RequestError::Integrity),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc64_is_the_one_azure_computes() {
        // The value in Microsoft's storage SDK tests.
        let whole = Payload::from(Bytes::from_static(b"Hello Azure!"));
        assert_eq!(Crc64::of(&whole).to_header(), "DtjZpL9/o8c=");
        let parts = Payload::from_parts(vec![Bytes::from_static(b"Hello "), Bytes::from_static(b"Azure!")]);
        assert_eq!(Crc64::of(&parts), Crc64::of(&whole));
        assert_eq!(Crc64::of(&Payload::default()).0, 0);
    }
}
