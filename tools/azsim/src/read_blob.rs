//! Reading blobs: Get Blob with ranges, Get Blob Properties, Get Blob Metadata.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE,
};
use http::{HeaderValue, StatusCode};

use crate::answer::{self, Answer, Failure};
use crate::append_blob::block_count;
use crate::auth::Grant;
use crate::body::{Body, crc64, md5};
use crate::change::archive_status;
use crate::conditions::Conditions;
use crate::encryption::{Encryption, write_rare};
use crate::error::{
    ApiError, BLOB_ARCHIVED, BLOB_CONTENT_DISCARDED, INTERNAL_ERROR, INVALID_HEADER_VALUE, INVALID_RANGE,
    More, Result,
};
use crate::headers::{self, nonempty};
use crate::lease::State;
use crate::past::Which;
use crate::properties::{BlobKind, Rare, Tier, put, write_metadata};
use crate::service::{Rq, write_times};
use crate::store::Blob;
use crate::time;

/// The largest range whose checksum the service computes on the fly.
const MAX_CHECKED_RANGE: u64 = 4 << 20;

/// Finds the blob and its lease, and judges the conditions of a read.
fn find(rq: &Rq<'_>) -> Result<(Blob, State)> {
    let conditions = Conditions::read(rq.parts)?;
    let (_, name) = rq.target.names();
    let which = Which::read(&rq.target.query)?;
    let encryption = Encryption::read(rq.parts)?;
    let (blob, lease) = {
        let container = rq.container()?;
        let shard = container.shard(name);
        let blob = shard.find(name, which)?;
        shard.check_read_lease(rq, which)?;
        (blob.clone(), shard.lease_state(rq, which))
    };
    conditions.check_read(&blob)?;
    encryption.check(blob.props.rare().key.as_ref())?;
    Ok((blob, lease))
}

/// The range that is asked for, `[start, end)`; `x-ms-range` goes before `Range`.
fn range(rq: &Rq<'_>, len: u64) -> Result<Option<(u64, u64)>> {
    let own = nonempty(rq.parts, "x-ms-range").map(|r| ("x-ms-range", r));
    let Some((header, text)) = own.or_else(|| nonempty(rq.parts, "range").map(|r| ("Range", r))) else {
        return Ok(None);
    };
    let bad = || INVALID_HEADER_VALUE.header(header, text);
    let (start, end) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')).ok_or_else(bad)?;
    let start: u64 = start.trim().parse().map_err(|_| bad())?;
    let last: u64 = match end.trim() {
        "" => u64::MAX,
        end => end.parse().map_err(|_| bad())?,
    };
    if last < start {
        return Err(bad());
    }
    if start >= len {
        let mut error = ApiError::from(INVALID_RANGE);
        error.more = Some(Box::new(More::ContentRange(format!("bytes */{len}"))));
        return Err(error);
    }
    Ok(Some((start, last.saturating_add(1).min(len))))
}

pub(crate) fn get(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let (blob, lease) = find(rq)?;
    if blob.props.tier == Tier::Archive {
        return Err(BLOB_ARCHIVED.into());
    }
    let range = range(rq, blob.len)?;
    let (start, end) = range.unwrap_or((0, blob.len));
    let pieces = blob.pieces(start, end).ok_or(BLOB_CONTENT_DISCARDED)?;
    let mut answer = answer::empty(StatusCode::OK);
    write_properties(&mut answer, rq, &blob, lease, range.is_some());
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(end - start));
    if range.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        answer::set(&mut answer, CONTENT_RANGE, &format!("bytes {start}-{}/{}", end - 1, blob.len));
        checksum_of_range(rq, &mut answer, &blob, start, end)?;
    } else {
        for name in ["x-ms-range-get-content-md5", "x-ms-range-get-content-crc64"] {
            if wants(rq, name) {
                return Err(INVALID_HEADER_VALUE.header(name, "true").into());
            }
        }
    }
    override_headers(rq, &mut answer);
    *answer.body_mut() = Body::pieces(pieces);
    Ok(answer)
}

fn wants(rq: &Rq<'_>, name: &str) -> bool {
    nonempty(rq.parts, name).is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// Adds the checksum of the range when it was asked for.
fn checksum_of_range(
    rq: &Rq<'_>,
    answer: &mut Answer,
    blob: &Blob,
    start: u64,
    end: u64,
) -> std::result::Result<(), Failure> {
    let with_md5 = wants(rq, "x-ms-range-get-content-md5");
    let with_crc64 = wants(rq, "x-ms-range-get-content-crc64");
    if !with_md5 && !with_crc64 {
        return Ok(());
    }
    if end - start > MAX_CHECKED_RANGE || (with_md5 && with_crc64) {
        let name = if with_md5 { "x-ms-range-get-content-md5" } else { "x-ms-range-get-content-crc64" };
        return Err(INVALID_HEADER_VALUE.header(name, "true").into());
    }
    let mut bytes = Vec::with_capacity((end - start) as usize);
    for (stored, mut offset, mut left) in blob.pieces(start, end).unwrap_or_default() {
        while left > 0 {
            let data =
                stored.read(offset, left).map_err(|e| INTERNAL_ERROR.detail("Store", e.to_string()))?;
            if data.is_empty() {
                return Err(INTERNAL_ERROR.detail("Store", "the content is shorter than the blob").into());
            }
            offset += data.len() as u64;
            left -= data.len() as u64;
            bytes.extend_from_slice(&data);
        }
    }
    if with_md5 {
        answer::set(answer, headers::CONTENT_MD5, &headers::write_md5(&md5(&bytes)));
    } else {
        answer::set(answer, headers::CONTENT_CRC64, &headers::write_crc64(crc64(&bytes)));
    }
    Ok(())
}

/// Headers of the response that a SAS for a container or blob sets in place of the blob's: of GET and HEAD.
fn override_headers(rq: &Rq<'_>, answer: &mut Answer) {
    if !matches!(rq.grant, Grant::ServiceSas { .. } | Grant::DelegationSas { .. }) {
        return;
    }
    for (parameter, name) in [
        ("rscc", CACHE_CONTROL),
        ("rscd", CONTENT_DISPOSITION),
        ("rsce", CONTENT_ENCODING),
        ("rscl", CONTENT_LANGUAGE),
        ("rsct", CONTENT_TYPE),
    ] {
        if let Some(value) = rq.target.query.get(parameter).filter(|v| !v.is_empty()) {
            put(answer.headers_mut(), name, value);
        }
    }
}

pub(crate) fn properties(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let (blob, lease) = find(rq)?;
    let mut answer = answer::empty(StatusCode::OK);
    if rq.target.query.get("comp").is_some() {
        write_times(&mut answer, blob.modified);
        write_metadata(&blob.props.metadata, &mut answer);
        return Ok(answer);
    }
    write_properties(&mut answer, rq, &blob, lease, false);
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(blob.len));
    let headers = answer.headers_mut();
    if let Some((tier, inferred)) = blob.props.shown_tier(blob.len, rq.tiers()) {
        headers.insert(headers::ACCESS_TIER, HeaderValue::from_static(tier));
        if inferred {
            headers.insert(headers::ACCESS_TIER_INFERRED, HeaderValue::from_static("true"));
        }
    }
    if let Some((status, priority)) = archive_status(&blob.props) {
        answer::set(&mut answer, headers::ARCHIVE_STATUS, &status);
        answer::set(&mut answer, headers::REHYDRATE_PRIORITY, priority);
    }
    let changed = blob.props.rare().tier_changed;
    if changed != 0 {
        answer::set(&mut answer, headers::ACCESS_TIER_CHANGE_TIME, &time::http_date(changed));
    }
    override_headers(rq, &mut answer);
    Ok(answer)
}

fn write_properties(answer: &mut Answer, rq: &Rq<'_>, blob: &Blob, lease: State, is_range: bool) {
    write_times(answer, blob.modified);
    blob.props.write(answer);
    if let Some(md5) = &blob.md5 {
        let name = if is_range { headers::BLOB_CONTENT_MD5 } else { headers::CONTENT_MD5 };
        put(answer.headers_mut(), name, &md5.text());
    }
    if rq.version >= "2017-11-09" {
        answer::set(answer, headers::CREATION_TIME, &time::http_date(blob.created));
    }
    for (name, value) in [
        (ACCEPT_RANGES, "bytes"),
        (headers::BLOB_TYPE, blob.props.rare().kind.name()),
        (headers::SERVER_ENCRYPTED, "true"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    lease.write(answer);
    if let Some(rare) = &blob.props.rare {
        write_rare_properties(answer, rq, blob, rare);
    }
}

fn write_rare_properties(answer: &mut Answer, rq: &Rq<'_>, blob: &Blob, rare: &Rare) {
    write_rare(answer, rare);
    if let Some(copied) = &rare.copied {
        copied.write(answer);
    }
    let headers = answer.headers_mut();
    if rare.version != 0 && rq.target.query.get("snapshot").is_none() {
        let (_, name) = rq.target.names();
        let container = rq.container().ok();
        let newest = container
            .and_then(|c| c.shard(name).blobs.get(name).map(|b| b.props.rare().version == rare.version));
        if newest == Some(true) {
            headers.insert(headers::IS_CURRENT_VERSION, HeaderValue::from_static("true"));
        }
    }
    match rare.kind {
        BlobKind::Block => {}
        BlobKind::Append => {
            headers.insert(headers::COMMITTED_BLOCK_COUNT, HeaderValue::from(block_count(blob)));
            if rare.sealed {
                headers.insert(headers::BLOB_SEALED, HeaderValue::from_static("true"));
            }
        }
        BlobKind::Page => {
            headers.insert(headers::SEQUENCE_NUMBER, HeaderValue::from(rare.sequence));
        }
    }
}
