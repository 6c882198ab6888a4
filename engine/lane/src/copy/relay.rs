//! Bytes of the source, for the destination.

use azuring_azure::{Crc64, MAX_CRC64_RANGE_BYTES};
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_link::Payload;
use azuring_ring::FileRing;
use bytes::Bytes;

use crate::get::receive::{self, NotReceived, Range};
use crate::lane::context::Lane;
use crate::requests::request::Begin;

use super::source::NotCopied;
use super::staged;

/// Reads a piece of the object in the state that `item` tells of, verified where the source tells checksums, and sums
/// it up for the destination. One that was meant for another way may be larger than a range that has a checksum.
pub(super) async fn range<R: FileRing>(
    lane: &Lane<R>,
    object: (&BlobItem, &str),
    offset: u64,
    len: u64,
    begin: Begin,
) -> Result<(Payload, Option<Crc64>), NotCopied> {
    staged::tell_round(lane, object.0);
    if len <= MAX_CRC64_RANGE_BYTES {
        let (parts, crc64) = one_range(lane, object, offset, len, begin).await?;
        return Ok((Payload::from_parts(parts), crc64));
    }
    let (mut parts, end) = (Vec::new(), offset + len);
    let mut at = offset;
    while at < end {
        let some = MAX_CRC64_RANGE_BYTES.min(end - at);
        parts.extend(one_range(lane, object, at, some, begin).await?.0);
        at += some;
    }
    let payload = Payload::from_parts(parts);
    let crc64 = lane.session().options.crc64.then(|| Crc64::of(&payload));
    Ok((payload, crc64))
}

async fn one_range<R: FileRing>(
    lane: &Lane<R>,
    (item, from): (&BlobItem, &str),
    offset: u64,
    len: u64,
    begin: Begin,
) -> Result<(Vec<Bytes>, Option<Crc64>), NotCopied> {
    let facts = &item.entry.facts;
    let range = Range {
        blob: from,
        which: item.which(),
        etag: facts.etag.as_deref(),
        offset,
        len,
        whole: Some(facts.len),
        relays: true,
        begin,
    };
    let received = receive::range(lane, &range).await.map_err(|error| match error {
        NotReceived::Request(gave_up) if gave_up.precondition_failed() => NotCopied::Changed,
        NotReceived::Request(gave_up) => {
            NotCopied::Failed(gave_up.for_object(lane.session(), &item.object()))
        }
        NotReceived::Memory(error) => {
            let failure = Failure::new(FailureKind::Limit, &item.object(), error.to_string());
            NotCopied::Failed(Box::new(failure.advise("give the job more --memory")))
        }
    })?;
    let parts = received.parts.into_iter().map(azuring_ring::Lease::freeze).collect();
    let crc64 = received.crc64.filter(|_| lane.session().options.crc64);
    Ok((parts, crc64))
}
