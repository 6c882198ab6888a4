//! Page blobs: Put Page, Get Page Ranges, resizing. They are made by Put Blob.

use std::fmt::Write as _;
use std::sync::Arc;

use http::HeaderValue;
use hyper::body::Incoming;

use crate::answer::{self, Answer, Failure};
use crate::block_blob::{content_length, created, take_body};
use crate::body::{Claimed, Received};
use crate::change::current;
use crate::conditions::Conditions;
use crate::encryption::{Encryption, write_rare};
use crate::error::{
    ACCESS_TIER_NOT_SUPPORTED, API_NOT_IMPLEMENTED, BLOB_TIER_INADEQUATE, CANNOT_CHANGE_TO_LOWER_TIER,
    INVALID_BLOB_TYPE, INVALID_HEADER_VALUE, INVALID_PAGE_RANGE, INVALID_QUERY_PARAMETER_VALUE,
    MISSING_REQUIRED_HEADER, OUT_OF_RANGE_QUERY_PARAMETER, REQUEST_BODY_TOO_LARGE, Result,
    SEQUENCE_NUMBER_CONDITION_NOT_MET,
};
use crate::headers::{self, nonempty, number};
use crate::past::Which;
use crate::properties::{BlobKind, Props};
use crate::service::{Rq, write_times};
use crate::store::{Blob, Content};
use crate::xml;

/// Everything about a page blob is a multiple of this.
const PAGE: u64 = 512;
/// Bytes of one Put Page that updates.
pub(crate) const MAX_UPDATE: u64 = 4 << 20;
/// The largest page blob.
const MAX_LEN: u64 = 8 << 40;
/// Ranges of one answer, and the default.
const MAX_RANGES: usize = 10_000;

const LENGTH: &str = "x-ms-blob-content-length";
const SEQUENCE: &str = "x-ms-blob-sequence-number";

fn length(rq: &Rq<'_>) -> Result<Option<u64>> {
    match number(rq.parts, LENGTH)? {
        Some(len) if len % PAGE != 0 || len > MAX_LEN => {
            Err(INVALID_HEADER_VALUE.header(LENGTH, &len.to_string()))
        }
        other => Ok(other),
    }
}

fn sequence(rq: &Rq<'_>) -> Result<Option<u64>> {
    match number(rq.parts, SEQUENCE)? {
        Some(n) if n > i64::MAX as u64 => Err(INVALID_HEADER_VALUE.header(SEQUENCE, &n.to_string())),
        other => Ok(other),
    }
}

/// Performance tiers of page blobs in premium accounts, by the size that each of them holds.
/// <https://learn.microsoft.com/azure/virtual-machines/disks-types>
const PAGE_TIERS: [(&str, u64); 9] = [
    ("P4", 32 << 30),
    ("P6", 64 << 30),
    ("P10", 128 << 30),
    ("P15", 256 << 30),
    ("P20", 512 << 30),
    ("P30", 1 << 40),
    ("P40", 2 << 40),
    ("P50", 4 << 40),
    ("P60", 8 << 40),
];

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PageTier(u8);

impl PageTier {
    pub(crate) fn parse(name: &str) -> Option<PageTier> {
        PAGE_TIERS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name)).map(|at| PageTier(at as u8))
    }

    /// The tier that a blob of this length has when none is set: P4 and P6 have to be asked for, as the tests of
    /// Microsoft's Python client expect it of the service.
    pub(crate) fn of(len: u64) -> PageTier {
        let at = PAGE_TIERS
            .iter()
            .position(|(name, max)| len <= *max && !matches!(*name, "P4" | "P6"))
            .unwrap_or(PAGE_TIERS.len() - 1);
        PageTier(at as u8)
    }

    pub(crate) fn name(self) -> &'static str {
        PAGE_TIERS[self.0 as usize].0
    }

    /// Judges a change to this tier: it has to hold the blob, and may not be below one that was set.
    pub(crate) fn check(self, set: Option<PageTier>, len: u64) -> Result<()> {
        if len > PAGE_TIERS[self.0 as usize].1 {
            return Err(BLOB_TIER_INADEQUATE.into());
        }
        if set.is_some_and(|set| self < set) { Err(CANNOT_CHANGE_TO_LOWER_TIER.into()) } else { Ok(()) }
    }
}

/// Judges the tier that Put Blob names: those of page blobs are for page blobs in premium accounts.
pub(crate) fn check_tier(rq: &Rq<'_>, props: &Props, kind: BlobKind, len: u64) -> Result<()> {
    match props.rare().page_tier {
        None => Ok(()),
        Some(tier) if kind == BlobKind::Page && rq.shared.premium_pages => tier.check(None, len),
        Some(tier) => Err(ACCESS_TIER_NOT_SUPPORTED.header("x-ms-access-tier", tier.name())),
    }
}

/// Length and sequence number of a page blob that Put Blob makes.
pub(crate) fn create(rq: &Rq<'_>) -> Result<(u64, u64)> {
    let len = length(rq)?.ok_or_else(|| MISSING_REQUIRED_HEADER.detail("HeaderName", LENGTH))?;
    Ok((len, sequence(rq)?.unwrap_or(0)))
}

/// What Set Blob Properties does to a sequence number.
#[derive(Clone, Copy)]
pub(crate) enum Count {
    Max(u64),
    Update(u64),
    Increment,
}

/// What Set Blob Properties asks of a page blob: a new length, a new sequence number.
pub(crate) fn changes(rq: &Rq<'_>) -> Result<(Option<u64>, Option<Count>)> {
    const ACTION: &str = "x-ms-sequence-number-action";
    let required = || MISSING_REQUIRED_HEADER.detail("HeaderName", SEQUENCE);
    let count = match (nonempty(rq.parts, ACTION), sequence(rq)?) {
        (None, None) => None,
        (None, Some(_)) => return Err(MISSING_REQUIRED_HEADER.detail("HeaderName", ACTION)),
        (Some(action), n) => Some(match action.to_ascii_lowercase().as_str() {
            "max" => Count::Max(n.ok_or_else(required)?),
            "update" => Count::Update(n.ok_or_else(required)?),
            "increment" if n.is_none() => Count::Increment,
            _ => return Err(INVALID_HEADER_VALUE.header(ACTION, action)),
        }),
    };
    Ok((length(rq)?, count))
}

/// Carries them out.
pub(crate) fn apply(
    blob: &mut Blob,
    props: &mut Props,
    resize: Option<u64>,
    count: Option<Count>,
) -> Result<()> {
    if let Some(len) = resize {
        let Content::Pages(pages) = &mut blob.content else { return Err(INVALID_BLOB_TYPE.into()) };
        if len < blob.len {
            Arc::make_mut(pages).clear(len, u64::MAX);
        }
        blob.len = len;
    }
    props.set_rare(|rare| match count {
        Some(Count::Max(n)) => rare.sequence = rare.sequence.max(n),
        Some(Count::Update(n)) => rare.sequence = n,
        Some(Count::Increment) => rare.sequence += 1,
        None => {}
    });
    Ok(())
}

/// `bytes=START-END` as `[start, end)`, in whole pages.
pub(crate) fn page_range(rq: &Rq<'_>) -> Result<Option<(u64, u64)>> {
    let own = nonempty(rq.parts, "x-ms-range").map(|r| ("x-ms-range", r));
    let Some((header, text)) = own.or_else(|| nonempty(rq.parts, "range").map(|r| ("Range", r))) else {
        return Ok(None);
    };
    let bad = || INVALID_HEADER_VALUE.header(header, text);
    let (start, last) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')).ok_or_else(bad)?;
    let (start, last): (u64, u64) = (start.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    let end = last.checked_add(1).ok_or_else(bad)?;
    if start >= end || start % PAGE != 0 || end % PAGE != 0 {
        return Err(INVALID_PAGE_RANGE.into());
    }
    Ok(Some((start, end)))
}

fn check_sequence(rq: &Rq<'_>, sequence: u64) -> Result<()> {
    let met = |name: &str, test: fn(&u64, &u64) -> bool| {
        Ok::<_, crate::error::ApiError>(number(rq.parts, name)?.is_none_or(|n| test(&sequence, &n)))
    };
    if met("x-ms-if-sequence-number-le", u64::le)?
        && met("x-ms-if-sequence-number-lt", u64::lt)?
        && met("x-ms-if-sequence-number-eq", u64::eq)?
    {
        return Ok(());
    }
    Err(SEQUENCE_NUMBER_CONDITION_NOT_MET.into())
}

pub(crate) async fn put_page(
    rq: &Rq<'_>,
    body: &mut Option<Incoming>,
) -> std::result::Result<Answer, Failure> {
    const WRITE: &str = "x-ms-page-write";
    let what =
        nonempty(rq.parts, WRITE).ok_or_else(|| MISSING_REQUIRED_HEADER.detail("HeaderName", WRITE))?;
    let update = match what.to_ascii_lowercase().as_str() {
        "update" => true,
        "clear" => false,
        _ => return Err(INVALID_HEADER_VALUE.header(WRITE, what).into()),
    };
    let range = page_range(rq)?;
    let (start, end) = range.ok_or_else(|| MISSING_REQUIRED_HEADER.detail("HeaderName", "x-ms-range"))?;
    let len = content_length(rq, MAX_UPDATE)?;
    if update && end - start > MAX_UPDATE {
        return Err(REQUEST_BODY_TOO_LARGE.detail("MaxLimit", MAX_UPDATE.to_string()).into());
    }
    if len != if update { end - start } else { 0 } {
        return Err(INVALID_HEADER_VALUE.header("Content-Length", &len.to_string()).into());
    }
    let claimed = Claimed::read(rq.parts)?;
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    let received = take_body(rq, body, len, claimed, false).await?;
    Ok(write(rq, &conditions, &encryption, claimed, (start, end), update.then_some(received))?)
}

/// Writes a range of pages that arrived whole, or clears it.
pub(crate) fn write(
    rq: &Rq<'_>,
    conditions: &Conditions<'_>,
    encryption: &Encryption<'_>,
    claimed: Claimed,
    (start, end): (u64, u64),
    received: Option<Received>,
) -> Result<Answer> {
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let blob = current(rq, &shard, conditions, encryption)?;
    if blob.props.rare().kind != BlobKind::Page {
        return Err(INVALID_BLOB_TYPE.into());
    }
    check_sequence(rq, blob.props.rare().sequence)?;
    if end > blob.len {
        return Err(INVALID_PAGE_RANGE.into());
    }
    let blob = shard.find_mut(name, Which::Current)?;
    let Content::Pages(pages) = &mut blob.content else { return Err(INVALID_BLOB_TYPE.into()) };
    // Copied only when a snapshot or a reader holds them.
    let pages = Arc::make_mut(pages);
    // Nothing has a CRC64 of 0.
    let crc64 = received.as_ref().map_or(0, |received| received.crc64);
    match received {
        Some(received) => pages.write(start, received.len, received.stored),
        None => pages.clear(start, end),
    }
    blob.modified = rq.shared.clock.tick();
    let mut answer = created(claimed, crc64);
    write_times(&mut answer, blob.modified);
    write_rare(&mut answer, blob.props.rare());
    answer.headers_mut().insert(headers::SEQUENCE_NUMBER, HeaderValue::from(blob.props.rare().sequence));
    shard.written(rq);
    Ok(answer)
}

pub(crate) fn get_page_ranges(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let query = &rq.target.query;
    if query.get("prevsnapshot").is_some() || rq.parts.headers.contains_key("x-ms-previous-snapshot-url") {
        return Err(API_NOT_IMPLEMENTED.into());
    }
    let max = match query.get("maxresults") {
        None => MAX_RANGES,
        Some(text) => match text.parse::<usize>() {
            Ok(0) => return Err(OUT_OF_RANGE_QUERY_PARAMETER.query("maxresults", text).into()),
            Ok(n) => n.min(MAX_RANGES),
            Err(_) => return Err(INVALID_QUERY_PARAMETER_VALUE.query("maxresults", text).into()),
        },
    };
    let conditions = Conditions::read(rq.parts)?;
    let which = Which::read(query)?;
    let range = page_range(rq)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let blob = {
        let shard = container.shard(name);
        shard.check_read_lease(rq, which)?;
        shard.find(name, which)?.clone()
    };
    conditions.check_read(&blob)?;
    let Content::Pages(pages) = &blob.content else { return Err(INVALID_BLOB_TYPE.into()) };
    let (mut start, end) = range.map_or((0, blob.len), |(start, end)| (start, end.min(blob.len)));
    if range.is_some() && start >= blob.len {
        return Err(INVALID_PAGE_RANGE.into());
    }
    if let Some(marker) = query.get("marker").filter(|m| !m.is_empty()) {
        let at = marker.strip_prefix("2!").and_then(|m| m.parse::<u64>().ok());
        let at = at.ok_or_else(|| INVALID_QUERY_PARAMETER_VALUE.query("marker", marker))?;
        start = start.max(at);
    }
    let ranges = pages.ranges(start, end);
    let mut out = String::from(xml::PROLOG);
    out.push_str("<PageList>");
    for (from, to) in ranges.iter().take(max) {
        let _ = write!(out, "<PageRange><Start>{from}</Start><End>{}</End></PageRange>", to - 1);
    }
    let next = ranges.get(max).map(|(from, _)| format!("2!{from}"));
    xml::element(&mut out, "NextMarker", &next.unwrap_or_default());
    out.push_str("</PageList>");
    let mut answer = answer::xml(out);
    write_times(&mut answer, blob.modified);
    answer.headers_mut().insert(headers::BLOB_CONTENT_LENGTH, HeaderValue::from(blob.len));
    Ok(answer)
}
