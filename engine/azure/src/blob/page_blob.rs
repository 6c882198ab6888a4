//! Page blobs: a fixed length, written in any order.

use std::ops::Range;

use azuring_link::Payload;
use azuring_store::Which;
use http::header::HeaderName;
use http::{HeaderValue, Method};

use crate::account::which::query_of;
use crate::blob::change::X_MS_ACCESS_TIER;
use crate::blob::condition::add_if_match;
use crate::blob::put_blob::{Body, Written, X_MS_BLOB_TYPE};
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::properties::value;
use crate::exchange::xml::Xml;

/// Everything about a page blob is a multiple of this.
pub const PAGE_BYTES: u64 = 512;
/// The largest body of Put Page.
pub const MAX_PUT_PAGE_BYTES: u64 = 4 << 20;
/// Get Page Ranges gives 10,000 ranges at a time, each in two elements with numbers of at most 20 digits.
const RANGES_LIMIT_BYTES: usize = 10_000 * 128 + ANSWER_LIMIT_BYTES;

const X_MS_BLOB_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-ms-blob-content-length");
pub(crate) const X_MS_PAGE_WRITE: HeaderName = HeaderName::from_static("x-ms-page-write");
pub(crate) const X_MS_RANGE: HeaderName = HeaderName::from_static("x-ms-range");

/// Some of the ranges of a page blob that were written to; the rest are zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRanges {
    /// In bytes, in their order.
    pub ranges: Vec<Range<u64>>,
    /// Where the next page of them begins, to be handed back as it is; `None` after the last one.
    pub next: Option<String>,
}

impl BlobClient {
    /// Put Blob for a page blob: makes one of `len` zero bytes, a multiple of [`PAGE_BYTES`] and at most 8 TiB, in the
    /// place of what was there. The job's tier is left out, being one of block blobs; `tier` is one of page blobs
    /// (`P10`), on a premium account.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn create_page_blob(
        &self,
        name: &str,
        len: u64,
        tier: Option<&str>,
        body: Body<'_>,
    ) -> Result<Written, RequestError> {
        let mut headers = self.blob_headers(&Body { crc64: None, ..body })?;
        headers.remove(X_MS_ACCESS_TIER);
        if let Some(tier) = tier {
            headers.insert(X_MS_ACCESS_TIER, value(X_MS_ACCESS_TIER.as_str(), tier)?);
        }
        headers.insert(X_MS_BLOB_TYPE, HeaderValue::from_static("PageBlob"));
        headers.insert(X_MS_BLOB_CONTENT_LENGTH, HeaderValue::from(len));
        self.write(Head::put(Operation::PutBlob, name, vec![], headers), Payload::default(), None).await
    }

    /// Put Page: writes pages at `offset`. Offset and length are multiples of [`PAGE_BYTES`], the length is at least
    /// one page and at most [`MAX_PUT_PAGE_BYTES`].
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn put_page(
        &self,
        name: &str,
        offset: u64,
        payload: Payload,
        body: Body<'_>,
    ) -> Result<Written, RequestError> {
        let mut headers = self.data_headers(&body)?;
        let last = (offset + payload.len()).saturating_sub(1);
        let range = format!("bytes={offset}-{last}");
        headers.insert(X_MS_RANGE, HeaderValue::try_from(range).expect("digits make a valid header"));
        headers.insert(X_MS_PAGE_WRITE, HeaderValue::from_static("update"));
        let head = Head::put(Operation::PutPage, name, vec![("comp", "page")], headers);
        self.write(head, payload, body.crc64).await
    }

    /// Get Page Ranges: up to 10,000 of them, of the blob with the ETag `if_match`, where one is given. `marker` is
    /// [`PageRanges::next`] of the call before.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn get_page_ranges(
        &self,
        name: &str,
        which: Which<'_>,
        if_match: Option<&str>,
        marker: Option<&str>,
    ) -> Result<PageRanges, RequestError> {
        let marker = marker.map(|marker| ("marker", marker));
        let query = std::iter::once(("comp", "pagelist")).chain(query_of(which)).chain(marker).collect();
        let (operation, mut headers) = (Operation::GetPageRanges, self.target().common.clone());
        add_if_match(&mut headers, if_match)?;
        let head = Head { operation, method: Method::GET, name, query, headers };
        let answer = self.exchange(head, Payload::default(), RANGES_LIMIT_BYTES).await?;
        parse(&answer.body).map_err(|reason| operation.answered_otherwise(reason, false))
    }
}

fn parse(document: &[u8]) -> Result<PageRanges, String> {
    let (mut xml, root) = Xml::open(document, "PageList")?;
    let mut found = PageRanges::default();
    xml.each(&root, |xml, child| {
        match child.name() {
            b"PageRange" => {
                let (mut first, mut last) = (None, None);
                xml.each(&child, |xml, bound| {
                    let text = xml.text(&bound)?;
                    let number = text.trim().parse::<u64>().ok();
                    match bound.name() {
                        b"Start" => first = number,
                        b"End" => last = number,
                        _ => {}
                    }
                    Ok(())
                })?;
                match (first, last.and_then(|last| last.checked_add(1))) {
                    (Some(start), Some(end)) if start < end => found.ranges.push(start..end),
                    _ => return Err("a range has no valid bounds".to_owned()),
                }
            }
            b"NextMarker" => {
                found.next = Some(xml.text(&child)?.into_owned()).filter(|marker| !marker.is_empty());
            }
            _ => xml.skip(&child)?,
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_behind_their_last_byte() {
        let range = |start, end| format!("<PageRange><Start>{start}</Start><End>{end}</End></PageRange>");
        let document = |ranges: &str, next: &str| {
            format!(
                "<?xml version=\"1.0\"?><PageList>{ranges}<ClearRange><Start>1</Start></ClearRange>{next}</PageList>"
            )
        };
        let two = document(&(range("0", "511") + &range("1024", "2047")), "<NextMarker>2!4096</NextMarker>");
        let found = parse(two.as_bytes()).unwrap();
        assert_eq!(found, PageRanges { ranges: vec![0..512, 1024..2048], next: Some("2!4096".to_owned()) });
        assert_eq!(parse(b"<PageList><NextMarker /></PageList>").unwrap(), PageRanges::default());
        for (start, end) in [("512", "10"), ("a", "511"), ("0", "18446744073709551615"), ("0", "")] {
            let told = parse(document(&range(start, end), "").as_bytes()).unwrap_err();
            assert_eq!(told, "a range has no valid bounds", "{start}-{end}");
        }
    }
}
