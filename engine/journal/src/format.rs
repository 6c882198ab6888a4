//! The bytes of a journal, format 2. Numbers of fixed width are little-endian; *number* is a LEB128 number, *string* a
//! number of bytes and then these; checksums are CRC-64/NVME.
//!
//! ```text
//! file      header, record 0, record 1, ...
//!
//! header    40 bytes, in this place in every format there will be
//!    0  8   "AZURJRNL"
//!    8  4   format: 2; 1 is read as well, and a journal that was begun in it goes on in it
//!   12  4   zero
//!   16 16   the job's id
//!   32  8   checksum of bytes 0 to 31
//!
//! record    one commit: it counts as a whole or not at all
//!    0  4   "\x8fREC"
//!    4  4   length of the body, at most 32 MiB
//!    8  8   the record's place in the file, from 0
//!   16  8   checksum of the body
//!   24  8   checksum of the job's id and of bytes 0 to 23
//!   32 ..   body: items, each a type (1 byte) and a string with its content
//!
//! items, in any order but for what one says of another; runs: how many (number), for each the gap
//! before it and its length less one (numbers)
//!    1  description: whatever the caller said of the job. In record 0, and there first.
//!    2  transfers that were found: the first one's number (number), how many (number); packing (1 byte: 0 plain, 1 zstd);
//!       length of heads, of tails and of facts (numbers); heads, tails, facts. They follow the last ones without a gap
//!       and lie in one part. For each transfer, heads has: how many bytes its name shares with the beginning of the one
//!       before (0 for the first), how many follow in tails, how many it has in facts (numbers).
//!    3  outcome: which (1 byte: 1 done, 2 skipped, 3 failed; its reason in the upper 6 bits), runs of transfers
//!    4  format 1: what failed, repeated: transfer's number + 1, or 0 for what is no transfer (number); reason (1 byte);
//!       text (string)
//!    5  a large object was begun, from nothing: its transfer (number), facts (string)
//!    6  pieces of a large object that are done: its transfer (number), runs of pieces
//!    7  where the scan stands: how many transfers were found before (number), position (string)
//!    8  the scan came to its end
//!    9  counters, repeated: which (1 byte), by how much it grows (number, zigzag)
//!   10  the job ended: whatever the caller said of it
//!   11  transfers that are no longer listed: how many are done, how many were skipped (numbers)
//!   12  format 2: a cause of failures (string); causes are numbered as they come, from 1
//!   13  format 2: what failed: packing (1 byte), length (number) of what is packed: repeated, transfer's number + 1, or 0
//!       (number); reason (1 byte); number of its cause, or 0 (number); text (string)
//! ```
//!
//! A file ends at the last record that is whole. What follows it is a torn write if no header of a record is found in
//! it, and damage if one is. The checksums of records contain the id, so bytes of another journal are never taken for
//! one.

use crc_fast::{CrcAlgorithm, Digest};

use crate::id::JobId;

/// The format that is written, and the latest that is read.
pub const FORMAT: u32 = 2;
/// The first format, in which every failure has all of its text.
pub(crate) const FORMAT_1: u32 = 1;
/// Transfers in a part. Names are compressed part by part.
pub const PART_TRANSFERS: u32 = 10_000;
/// Bytes of a record's body at most; what is packed in it is no longer either.
pub(crate) const BODY_MAX: usize = 32 << 20;
/// Bytes of a name, of facts, or of a text at most.
pub const STRING_MAX: usize = u16::MAX as usize;
/// Counters that a journal has room for; what each means is the caller's.
pub const COUNTERS: usize = 32;
/// Pieces of a large object at most: 4 MiB each of the largest blob there can be are a fifth of that.
pub const PIECES_MAX: u64 = 1 << 28;
/// Causes of failures that are told apart at most, and their bytes together: they are in memory.
pub(crate) const CAUSES_MAX: usize = 1_024;
pub(crate) const CAUSES_BYTES_MAX: usize = 256 << 10;
/// Reasons why something was skipped or failed are below this.
pub const REASONS: u8 = 64;

pub(crate) const FILE_HEADER: usize = 40;
pub(crate) const RECORD_HEADER: usize = 32;
const MAGIC: &[u8; 8] = b"AZURJRNL";
pub(crate) const MARKER: &[u8; 4] = b"\x8fREC";

/// Types of items.
pub(crate) mod item {
    pub(crate) const DESCRIPTION: u8 = 1;
    pub(crate) const TRANSFERS: u8 = 2;
    pub(crate) const OUTCOME: u8 = 3;
    pub(crate) const FAILURES: u8 = 4;
    pub(crate) const LARGE: u8 = 5;
    pub(crate) const PIECES: u8 = 6;
    pub(crate) const CURSOR: u8 = 7;
    pub(crate) const SCANNED: u8 = 8;
    pub(crate) const COUNTERS: u8 = 9;
    pub(crate) const SUMMARY: u8 = 10;
    pub(crate) const LEFT_OUT: u8 = 11;
    pub(crate) const CAUSE: u8 = 12;
    pub(crate) const FAILURES_PACKED: u8 = 13;
}

/// Checksum of several strings of bytes, one after the other.
fn checksum(parts: &[&[u8]]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    for part in parts {
        digest.update(part);
    }
    digest.finalize()
}

/// The first bytes of a file.
pub(crate) fn file_header(id: JobId) -> [u8; FILE_HEADER] {
    let mut bytes = [0; FILE_HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[16..32].copy_from_slice(id.as_bytes());
    let sum = checksum(&[&bytes[..32]]);
    bytes[32..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Why the first bytes of a file are none that can be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// They are no journal's.
    Foreign,
    /// They were changed.
    Damaged,
    /// A later format, this one.
    Newer(u32),
}

/// The job that a file belongs to, and its format.
pub(crate) fn read_file_header(bytes: &[u8; FILE_HEADER]) -> Result<(JobId, u32), BadHeader> {
    if &bytes[..8] != MAGIC {
        return Err(BadHeader::Foreign);
    }
    if checksum(&[&bytes[..32]]) != u64_at(bytes, 32) {
        return Err(BadHeader::Damaged);
    }
    match u32_at(bytes, 8) {
        0 => Err(BadHeader::Foreign),
        format @ FORMAT_1..=FORMAT => {
            let id = bytes[16..32].try_into().expect("sixteen bytes");
            Ok((JobId::from_bytes(id), format))
        }
        newer => Err(BadHeader::Newer(newer)),
    }
}

/// The first bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub(crate) body_len: u32,
    pub(crate) place: u64,
    pub(crate) body_sum: u64,
}

impl RecordHead {
    /// Reads it; `None`: these bytes are no head of a record of this job.
    pub(crate) fn read(id: JobId, bytes: &[u8; RECORD_HEADER]) -> Option<Self> {
        let head = Self { body_len: u32_at(bytes, 4), place: u64_at(bytes, 8), body_sum: u64_at(bytes, 16) };
        let whole = &bytes[..4] == MARKER
            && head.body_len as usize <= BODY_MAX
            && checksum(&[id.as_bytes(), &bytes[..24]]) == u64_at(bytes, 24);
        whole.then_some(head)
    }

    /// Whether `body` is what was written.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        self.body_len as usize == body.len() && self.body_sum == checksum(&[body])
    }
}

/// Writes the head of a record over its first bytes, which were kept free; the body follows them.
pub(crate) fn seal(id: JobId, place: u64, record: &mut [u8]) {
    let (head, body) = record.split_at_mut(RECORD_HEADER);
    let len = u32::try_from(body.len()).expect("bodies are at most BODY_MAX");
    head[..4].copy_from_slice(MARKER);
    head[4..8].copy_from_slice(&len.to_le_bytes());
    head[8..16].copy_from_slice(&place.to_le_bytes());
    head[16..24].copy_from_slice(&checksum(&[body]).to_le_bytes());
    let sum = checksum(&[id.as_bytes(), &head[..24]]);
    head[24..].copy_from_slice(&sum.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
