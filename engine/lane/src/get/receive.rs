//! One range of a blob into memory.

use azuring_azure::{BlobFacts, Crc64, Crc64Digest, Get, RequestError, ServiceError, Which};
use azuring_job::end_error::EndError;
use azuring_job::failure::Failure;
use azuring_job::progress::add;
use azuring_ring::{FileRing, Lease, SlotClass};

use crate::lane::context::Lane;
use crate::requests::client::Incoming;
use crate::requests::request::{Begin, GaveUp, request};
use crate::requests::session::Session;

use crate::task::download::wanted;

/// The largest range: the service computes checksums of ranges up to this size.
const RANGE_BYTES: u64 = azuring_azure::MAX_CRC64_RANGE_BYTES;

/// What is to be read.
pub(crate) struct Range<'a> {
    /// The blob's name, percent-encoded.
    pub(crate) blob: &'a str,
    pub(crate) which: Which<'a>,
    /// Only this state of the blob.
    pub(crate) etag: Option<&'a str>,
    pub(crate) offset: u64,
    /// Bytes wanted.
    pub(crate) len: u64,
    /// The length of the whole blob, within which the range lies. Where it is not known, the blob may end before, and
    /// what it is has to be told.
    pub(crate) whole: Option<u64>,
    /// The bytes go to another store: they are summed up for it, and counted when they are there.
    pub(crate) relays: bool,
    /// Whether it is asked for while the job stops.
    pub(crate) begin: Begin,
}

/// What came.
pub(crate) struct Received {
    /// The bytes in order.
    pub(crate) parts: Vec<Lease>,
    /// What the blob is, where that was not known.
    pub(crate) facts: Option<BlobFacts>,
    /// The checksum of the bytes, where they were summed up.
    pub(crate) crc64: Option<Crc64>,
}

/// Why nothing came.
pub(crate) enum NotReceived {
    /// The pool could not map memory for a slot.
    Memory(std::io::Error),
    /// The request failed.
    Request(GaveUp),
}

impl NotReceived {
    pub(crate) fn for_object(self, session: &Session, object: &str) -> Box<Failure> {
        match self {
            Self::Memory(error) => Box::new(Failure::write(object, &error)),
            Self::Request(gave_up) => gave_up.for_object(session, object),
        }
    }
}

/// Reads a range, verified where the service tells its checksum.
pub(crate) async fn range<R: FileRing>(lane: &Lane<R>, range: &Range<'_>) -> Result<Received, NotReceived> {
    let (class, slots) = slots_for(range.len);
    let mut leases = lane.pool.acquire(class, slots).await.map_err(NotReceived::Memory)?;
    let sender = lane.reading();
    // Of a blob of which nothing is known the beginning is asked for; an empty one has none. One that is known to be
    // empty is asked all the same: it may have been written to since, and then that is known by its length.
    let mut is_empty = range.whole == Some(0);
    let remote = lane.session().ends.from();
    let (facts, crc64) = request(&sender, 0, range.begin, async |_| {
        let get = Get {
            range: (!is_empty).then(|| (range.offset, range.offset + range.len.max(1) - 1)),
            len: range.whole,
            if_match: range.etag,
            which: range.which,
            range_crc64: remote.asks_crc64() && range.len <= RANGE_BYTES && !is_empty,
        };
        let reply = match lane.from().open(range.blob, &get).await {
            Err(error) if error.behind_end() && range.whole.is_none() && !is_empty => {
                is_empty = true;
                lane.from().open(range.blob, &Get { range: None, range_crc64: false, ..get }).await?
            }
            // Told once; every range that was refused for it is asked for again without.
            Err(error) if get.range_crc64 && error.service().is_some_and(ServiceError::refuses_crc64) => {
                if remote.asks_no_crc64() {
                    (sender.notice)("the server does not compute CRC64 checksums: going on without them");
                }
                lane.from().open(range.blob, &Get { range_crc64: false, ..get }).await?
            }
            reply => reply?,
        };
        receive(reply, range, &mut leases).await
    })
    .await
    .map_err(NotReceived::Request)?;
    leases.retain(|lease| !lease.is_empty());
    if !range.relays {
        add(&lane.counters().bytes, leases.iter().map(|lease| lease.len() as u64).sum());
    }
    Ok(Received { parts: leases, facts, crc64 })
}

/// Slots for so many bytes.
fn slots_for(len: u64) -> (SlotClass, usize) {
    if len <= azuring_ring::SMALL_SLOT_BYTES as u64 {
        (SlotClass::Small, usize::from(len > 0))
    } else {
        (SlotClass::Block, len.div_ceil(azuring_ring::BLOCK_SLOT_BYTES as u64) as usize)
    }
}

/// The metadata that decides what a blob becomes.
const METADATA: &[&str] = &[
    "is_symlink",
    "hdi_isfolder",
    "permissions",
    "modtime",
    "posix_atime",
    "posix_owner",
    "posix_group",
    "owner",
    "group",
];

/// Reads the body into `leases`, whose lengths then say how much there was.
async fn receive(
    mut reply: Incoming,
    range: &Range<'_>,
    leases: &mut [Lease],
) -> Result<(Option<BlobFacts>, Option<Crc64>), EndError> {
    let wrong = |reason: String| {
        EndError::from(RequestError::Answer { request: "Get Blob".to_owned(), reason, passing: true })
    };
    let mut wanted_len = range.len;
    let mut facts = None;
    // The server knows no ranges and gives all there is, more than was asked for: what is behind is not waited for.
    let mut is_beginning = false;
    if range.whole.is_none() {
        let told = reply.facts(&wanted(), METADATA).map_err(wrong)?;
        if told.len_is_unknown {
            let told = unmeasured(reply, told, range, leases).await?;
            return Ok((Some(told), None));
        }
        let there = told.len.saturating_sub(range.offset);
        is_beginning = reply.is_all() && there > wanted_len;
        wanted_len = wanted_len.min(there);
        facts = Some(told);
    }
    let sent = reply.crc64().filter(|_| !is_beginning);
    let mut digest = (sent.is_some() || range.relays).then(Crc64Digest::new);
    let mut left = wanted_len;
    for lease in leases {
        let room = lease.capacity().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut filled = 0;
        while filled < room {
            let got = reply.read(&mut lease.space_mut()[filled..room]).await?;
            if got == 0 {
                return Err(wrong(format!("its body ends {} bytes early", left - filled as u64)));
            }
            filled += got;
        }
        lease.set_len(filled);
        left -= filled as u64;
        if let Some(digest) = &mut digest {
            digest.update(lease);
        }
    }
    if is_beginning {
        return Ok((facts, digest.map(Crc64Digest::finish)));
    }
    // The end of the body frees the connection.
    if reply.read(&mut [0]).await? != 0 {
        return Err(wrong(format!("its body is longer than {wanted_len} bytes")));
    }
    match (sent, digest.map(Crc64Digest::finish)) {
        (Some(sent), Some(got)) if sent != got => Err(RequestError::Integrity.into()),
        (_, got) => Ok((facts, got)),
    }
}

/// Reads the beginning of a blob whose length nobody tells: it has to end within the range, and to say that it does.
async fn unmeasured(
    mut reply: Incoming,
    mut told: BlobFacts,
    range: &Range<'_>,
    leases: &mut [Lease],
) -> Result<BlobFacts, EndError> {
    let refused = |reason: &str| {
        EndError::from(RequestError::Answer {
            request: "Get Blob".to_owned(),
            reason: reason.to_owned(),
            passing: false,
        })
    };
    if !reply.tells_its_end() {
        return Err(refused(
            "it has neither a length nor an end, so it is not known whether all of it arrived",
        ));
    }
    let sent = reply.crc64();
    let mut digest = Crc64Digest::new();
    let mut ended = false;
    told.len = 0;
    for lease in leases {
        let room = lease.capacity().min(usize::try_from(range.len - told.len).unwrap_or(usize::MAX));
        let mut filled = 0;
        while filled < room && !ended {
            let got = reply.read(&mut lease.space_mut()[filled..room]).await?;
            ended = got == 0;
            filled += got;
        }
        lease.set_len(filled);
        told.len += filled as u64;
        digest.update(lease);
    }
    if !ended && reply.read(&mut [0]).await? != 0 {
        let text = format!("it tells no length, and the blob is longer than {} bytes", range.len);
        return Err(refused(&text));
    }
    told.len_is_unknown = false;
    match sent {
        Some(sent) if sent != digest.finish() => Err(RequestError::Integrity.into()),
        _ => Ok(told),
    }
}
