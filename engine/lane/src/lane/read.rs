//! Ranges of a file into buffers.

use std::io;

use azuring_azure::{Crc64, Crc64Digest};
use azuring_link::Payload;
use azuring_ring::{BLOCK_SLOT_BYTES, FileRing, Lease, OpenFile, SlotClass};

use crate::limits::join::join_all;

use super::context::Lane;

/// Bytes that tell a content type.
const SNIFFED_BYTES: u64 = 512;

/// The first bytes of a file, for those who cannot wait for its first block.
pub(crate) async fn first_bytes<R: FileRing>(lane: &Lane<R>, file: &OpenFile) -> io::Result<Lease> {
    let lease = lane.pool.acquire_one(SlotClass::Small).await?;
    let len = file.meta.len.min(SNIFFED_BYTES) as usize;
    if len == 0 {
        return Ok(lease);
    }
    lane.ring.read_at(file, lease, 0, len).await
}

/// Reads a range into block slots and computes its checksum.
///
/// From the page cache piece by piece, each checksummed while it is in the CPU's cache; around the page cache a few
/// pieces at a time, for the disk's sake.
pub(crate) async fn read_range<R: FileRing>(
    lane: &Lane<R>,
    file: &OpenFile,
    offset: u64,
    len: u64,
) -> io::Result<(Payload, Option<Crc64>)> {
    let slots = len.div_ceil(BLOCK_SLOT_BYTES as u64) as usize;
    if slots > lane.pool.capacity(SlotClass::Block) {
        let needed = (len.div_ceil(1 << 20) * lane.lanes() as u64 * 8).div_ceil(7) + 32;
        let text =
            format!("a block of {len} bytes does not fit into the buffers: --memory {needed}M would do");
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
    }
    let leases = lane.pool.acquire(SlotClass::Block, slots).await?;
    let mut pieces = leases.into_iter().enumerate().map(|(i, lease)| {
        let at = (i * BLOCK_SLOT_BYTES) as u64;
        let piece = (len - at).min(BLOCK_SLOT_BYTES as u64) as usize;
        lane.ring.read_at(file, lease, offset + at, piece)
    });
    let at_a_time = if file.is_direct() { DIRECT_READS } else { 1 };
    let mut parts = Vec::with_capacity(slots);
    let mut crc64 = lane.session().options.crc64.then(Crc64Digest::new);
    loop {
        let reads: Vec<_> = pieces.by_ref().take(at_a_time).collect();
        if reads.is_empty() {
            return Ok((Payload::from_parts(parts), crc64.map(Crc64Digest::finish)));
        }
        for lease in join_all(reads).await {
            let lease = lease?;
            if let Some(digest) = &mut crc64 {
                digest.update(&lease);
            }
            parts.push(lease.freeze());
        }
    }
}

/// Reads under way at a time for one block that is not in the page cache: with two blocks a lane, 4 MiB.
const DIRECT_READS: usize = 8;
