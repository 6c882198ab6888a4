//! Reading blobs.

use azuring_link::{Answer, Payload, Reply};
use azuring_store::Which;
use azuring_store::{Facts as BlobFacts, Wanted};
use http::header::{HeaderName, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::account::which::query_of;
use crate::blob::condition::add_if_match;
use crate::blob::facts::Told;
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;

const X_MS_RANGE_GET_CONTENT_CRC64: HeaderName = HeaderName::from_static("x-ms-range-get-content-crc64");

/// The largest range whose CRC64 the service computes for [`Get::range_crc64`].
pub const MAX_CRC64_RANGE_BYTES: u64 = 4 << 20;

/// What Get Blob reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Get<'a> {
    /// First and last byte; all of the blob otherwise.
    pub range: Option<(u64, u64)>,
    /// The length of the whole blob, where it is known: another one is [`RequestError::Changed`].
    pub len: Option<u64>,
    /// Only the blob with this ETag, with or without quotes; otherwise
    /// [`precondition_failed`](crate::ServiceError::precondition_failed).
    pub if_match: Option<&'a str>,
    /// The snapshot or version.
    pub which: Which<'a>,
    /// Ask for the CRC64 of the range (`x-ms-range-get-content-crc64`). The service refuses it without a range and for
    /// ranges of more than [`MAX_CRC64_RANGE_BYTES`].
    pub range_crc64: bool,
}

impl BlobClient {
    /// Get Blob. The body of the reply is read by the caller.
    ///
    /// # Errors
    /// [`RequestError`]; [`RequestError::Answer`] for another range or another ETag than was asked for, which a cache
    /// in between may answer; 416 `InvalidRange` for a range that begins behind the end, as every range of an empty
    /// blob does.
    pub async fn get_blob(&self, name: &str, get: &Get<'_>) -> Result<Reply, RequestError> {
        let mut headers = self.read_headers();
        if let Some((first, last)) = get.range {
            let text = format!("bytes={first}-{last}");
            headers.insert(RANGE, HeaderValue::try_from(text).expect("digits make a valid header"));
        }
        if get.range_crc64 {
            headers.insert(X_MS_RANGE_GET_CONTENT_CRC64, HeaderValue::from_static("true"));
        }
        add_if_match(&mut headers, get.if_match)?;
        let query = query_of(get.which).collect();
        let head = Head { operation: Operation::GetBlob, method: Method::GET, name, query, headers };
        // How much there is of a whole blob nobody knows: it may be much.
        let answer_len = get.range.map(|(first, last)| last.saturating_sub(first) + 1).or(get.len);
        let reply = self.send_for(head, Payload::default(), answer_len.unwrap_or(u64::MAX)).await?;
        check_len(&reply, get.len)?;
        check_range(reply.status(), reply.header("content-range"), get.range)?;
        check_etag(reply.header("etag"), get.if_match)?;
        Ok(reply)
    }

    /// Get Blob Properties.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn head_blob(&self, name: &str, which: Which<'_>) -> Result<BlobFacts, RequestError> {
        Ok(self.head(name, which).await?.0)
    }

    /// [`Self::head_blob`], with the answer itself.
    pub(crate) async fn head(
        &self,
        name: &str,
        which: Which<'_>,
    ) -> Result<(BlobFacts, Answer), RequestError> {
        let query = query_of(which).collect();
        let (operation, headers) = (Operation::GetBlobProperties, self.read_headers());
        let head = Head { operation, method: Method::HEAD, name, query, headers };
        let answer = self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        let facts = BlobFacts::of_answer(&answer, &Wanted::ALL)
            .and_then(|facts| match facts.len_is_unknown {
                true => Err("it tells no length (Content-Length)".to_owned()),
                false => Ok(facts),
            })
            .map_err(|reason| operation.answered_otherwise(reason, false))?;
        Ok((facts, answer))
    }

    fn read_headers(&self) -> HeaderMap {
        let mut headers = self.target().common.clone();
        headers.extend(self.target().encryption.read.iter().map(|(k, v)| (k.clone(), v.clone())));
        headers
    }
}

fn other_answer(reason: String, passing: bool) -> RequestError {
    Operation::GetBlob.answered_otherwise(reason, passing)
}

/// Whether the blob is as long as it was known to be: by its ETag it may be the same where there is none, and an answer
/// of a part says how much the whole is.
fn check_len(reply: &Reply, known: Option<u64>) -> Result<(), RequestError> {
    let Some(was) = known else { return Ok(()) };
    let told = if reply.status() == StatusCode::PARTIAL_CONTENT {
        let range = String::from_utf8_lossy(reply.header("content-range").unwrap_or_default());
        content_range(&range).and_then(|(_, _, total)| total)
    } else {
        reply.header("content-length").and_then(|len| std::str::from_utf8(len).ok()?.parse().ok())
    };
    match told {
        Some(is) if is != was => Err(RequestError::Changed { was, is }),
        _ => Ok(()),
    }
}

/// Whether the body is the range that was asked for; it may end early where the blob ends (RFC 9110 section 14.4).
fn check_range(
    status: StatusCode,
    told: Option<&[u8]>,
    asked: Option<(u64, u64)>,
) -> Result<(), RequestError> {
    if status != StatusCode::PARTIAL_CONTENT {
        // All of the blob begins like a range that begins at 0. Who does not know ranges will not know them next time.
        return match asked {
            Some((first @ 1.., last)) => {
                Err(other_answer(format!("it is not the range {first}-{last} but the whole blob"), false))
            }
            _ => Ok(()),
        };
    }
    let Some((first, last)) = asked else {
        return Err(other_answer("it is a range, and the whole blob was asked for".to_owned(), true));
    };
    let told = String::from_utf8_lossy(told.unwrap_or_default());
    let is_it = content_range(&told).is_some_and(|(from, to, len)| {
        let end = len.map_or(last, |len| last.min(len.saturating_sub(1)));
        (from, to) == (first, end)
    });
    if is_it {
        return Ok(());
    }
    Err(other_answer(format!("its range is `{}` instead of {first}-{last}", told.escape_debug()), true))
}

/// First and last byte of `bytes 0-9/100`, and the blob's length where it does not say `*`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, len) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let len = if len == "*" { None } else { Some(len.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, len))
}

/// Whether the blob is the one that was asked for, where the answer tells its ETag. Something in between may have made
/// it a weak one.
fn check_etag(told: Option<&[u8]>, asked: Option<&str>) -> Result<(), RequestError> {
    fn bare(etag: &str) -> &str {
        etag.trim_start_matches("W/").trim_matches('"')
    }
    let (Some(told), Some(asked)) = (told, asked.filter(|&etag| etag != "*")) else { return Ok(()) };
    let told = String::from_utf8_lossy(told);
    let (told, asked) = (bare(&told), bare(asked));
    if told == asked {
        return Ok(());
    }
    Err(other_answer(format!("its ETag is `{}` instead of `{asked}`", told.escape_debug()), true))
}
