//! Bytes of the source, for the destination.

use azuring_azure::Crc64;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_link::Payload;
use azuring_ring::FileRing;

use crate::get::receive::{self, NotReceived, Range};
use crate::lane::context::Lane;
use crate::requests::request::Begin;

/// Why nothing was read.
pub(super) enum NotRead {
    /// The object is not in the state any more that it was listed in.
    Changed,
    /// Anything else.
    Failed(Box<Failure>),
}

impl NotRead {
    /// The failure of the object.
    pub(super) fn failure(self, object: &str) -> Box<Failure> {
        match self {
            Self::Changed => changed(object),
            Self::Failed(failure) => failure,
        }
    }
}

/// Why an object was not copied that somebody writes to.
pub(super) fn changed(object: &str) -> Box<Failure> {
    let mut failure = Failure::new(FailureKind::Source, object, "the source was changed while it was copied");
    failure.side = Some(Side::Source);
    Box::new(failure.advise("run the job again when nobody writes to it"))
}

/// Reads a range of the object in the state that `item` tells of, verified where the source tells its checksum, and
/// sums it up for the destination.
pub(super) async fn range<R: FileRing>(
    lane: &Lane<R>,
    (item, from): (&BlobItem, &str),
    offset: u64,
    len: u64,
    begin: Begin,
) -> Result<(Payload, Option<Crc64>), NotRead> {
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
        NotReceived::Request(gave_up) if gave_up.precondition_failed() => NotRead::Changed,
        NotReceived::Request(gave_up) => NotRead::Failed(gave_up.for_object(lane.session(), &item.object())),
        NotReceived::Memory(error) => {
            let failure = Failure::new(FailureKind::Limit, &item.object(), error.to_string());
            NotRead::Failed(Box::new(failure.advise("give the job more --memory")))
        }
    })?;
    let parts = received.parts.into_iter().map(azuring_ring::Lease::freeze).collect();
    let crc64 = received.crc64.filter(|_| lane.session().options.crc64);
    Ok((Payload::from_parts(parts), crc64))
}
