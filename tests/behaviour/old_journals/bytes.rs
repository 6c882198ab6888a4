//! A journal taken apart by code that shares nothing with the engine: what old journals mean stays what it was.

use std::path::Path;

use azuring_azure::Crc64Digest;
use md5::{Digest as _, Md5};

/// Types of items (`engine/journal/src/format.rs`).
pub(crate) mod item {
    pub(crate) const DESCRIPTION: u8 = 1;
    pub(crate) const TRANSFERS: u8 = 2;
    pub(crate) const OUTCOME: u8 = 3;
    pub(crate) const LARGE: u8 = 5;
    pub(crate) const PIECES: u8 = 6;
    pub(crate) const CURSOR: u8 = 7;
    pub(crate) const COUNTERS: u8 = 9;
    pub(crate) const SUMMARY: u8 = 10;
    pub(crate) const CAUSE: u8 = 12;
    pub(crate) const FAILURES_PACKED: u8 = 13;
}

/// The counter that tells which run of the machine the job was in.
pub(crate) const BOOT: u8 = 15;

const FILE_HEADER: usize = 40;
const RECORD_HEADER: usize = 32;

/// A journal as it lies on disk.
pub(crate) struct Journal {
    pub(crate) header: [u8; FILE_HEADER],
    /// The items of each record: type and content.
    pub(crate) records: Vec<Vec<(u8, Vec<u8>)>>,
    /// What follows the last whole record.
    pub(crate) tail: Vec<u8>,
}

impl Journal {
    /// Takes it apart.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (header, mut rest) = bytes.split_at(FILE_HEADER);
        let header: [u8; FILE_HEADER] = header.try_into().unwrap();
        let mut journal = Self { header, records: Vec::new(), tail: Vec::new() };
        while let Some(body) = whole_record(rest) {
            let mut items = Vec::new();
            let mut reader = Reader(body);
            while !reader.0.is_empty() {
                let kind = reader.byte();
                items.push((kind, reader.string().to_vec()));
            }
            rest = &rest[RECORD_HEADER + body.len()..];
            journal.records.push(items);
        }
        journal.tail = rest.to_vec();
        journal
    }

    pub(crate) fn id(&self) -> [u8; 16] {
        self.header[16..32].try_into().unwrap()
    }

    /// The id as directories have it.
    pub(crate) fn id_text(&self) -> String {
        let hex: String = self.id().iter().map(|byte| format!("{byte:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    pub(crate) fn description(&self) -> serde_json::Value {
        let (kind, content) = &self.records[0][0];
        assert_eq!(*kind, item::DESCRIPTION);
        serde_json::from_slice(content).unwrap()
    }

    pub(crate) fn set_description(&mut self, description: &serde_json::Value) {
        self.records[0][0].1 = serde_json::to_vec(description).unwrap();
    }

    /// All items, in their order.
    pub(crate) fn items(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.records.iter().flatten().map(|(kind, content)| (*kind, &**content))
    }

    /// Changes the facts of large objects, by the numbers of their transfers.
    pub(crate) fn change_large(&mut self, change: impl Fn(u64, &[u8]) -> Vec<u8>) {
        for (kind, content) in self.records.iter_mut().flatten() {
            if *kind == item::LARGE {
                let mut reader = Reader(content);
                let (number, facts) = (reader.number(), reader.string());
                let mut changed = Vec::new();
                put_number(&mut changed, number);
                put_string(&mut changed, &change(number, facts));
                *content = changed;
            }
        }
    }

    /// Replaces texts of one length in the names and facts of transfers.
    pub(crate) fn replace_in_transfers(&mut self, replacements: &[(String, String)]) {
        for (kind, content) in self.records.iter_mut().flatten() {
            if *kind != item::TRANSFERS {
                continue;
            }
            let mut reader = Reader(content);
            let (first, count, packing) = (reader.number(), reader.number(), reader.byte());
            let lens = [0; 3].map(|_| reader.number());
            let len = usize::try_from(lens.iter().sum::<u64>()).unwrap();
            let mut raw = if packing == 0 {
                reader.0.to_vec()
            } else {
                zstd::bulk::Decompressor::new().unwrap().decompress(reader.0, len).unwrap()
            };
            for (from, to) in replacements {
                assert_eq!(from.len(), to.len());
                while let Some(at) = raw.windows(from.len()).position(|text| text == from.as_bytes()) {
                    raw[at..at + from.len()].copy_from_slice(to.as_bytes());
                }
            }
            let mut changed = Vec::new();
            [first, count].iter().for_each(|number| put_number(&mut changed, *number));
            changed.push(0);
            lens.iter().for_each(|len| put_number(&mut changed, *len));
            changed.extend(raw);
            *content = changed;
        }
    }

    /// Says that the job's last run was in this run of the machine.
    pub(crate) fn set_boot(&mut self, boot: i64) {
        let was = counter(self, BOOT);
        let mut missing = boot.wrapping_sub(was);
        for (kind, content) in self.records.iter_mut().flatten() {
            if *kind != item::COUNTERS {
                continue;
            }
            let mut reader = Reader(content);
            let mut changed = Vec::new();
            while !reader.0.is_empty() {
                let (which, by) = (reader.byte(), unzigzag(reader.number()));
                let by = if which == BOOT { by.wrapping_add(std::mem::take(&mut missing)) } else { by };
                changed.push(which);
                put_number(&mut changed, zigzag(by));
            }
            *content = changed;
        }
        assert_eq!(counter(self, BOOT), boot);
    }

    /// Puts it together, with its checksums.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header.to_vec();
        let sum = checksum(&[&out[..32]]);
        out[32..].copy_from_slice(&sum.to_le_bytes());
        for (place, items) in (0u64..).zip(&self.records) {
            let mut body = Vec::new();
            for (kind, content) in items {
                body.push(*kind);
                put_string(&mut body, content);
            }
            let mut head = b"\x8fREC".to_vec();
            head.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
            head.extend_from_slice(&place.to_le_bytes());
            head.extend_from_slice(&checksum(&[&body]).to_le_bytes());
            let sum = checksum(&[&self.id(), &head]);
            head.extend_from_slice(&sum.to_le_bytes());
            out.extend(head);
            out.extend(body);
        }
        out.extend_from_slice(&self.tail);
        out
    }
}

/// The value of a counter.
pub(crate) fn counter(journal: &Journal, which: u8) -> i64 {
    let mut sum = 0_i64;
    for (_, content) in journal.items().filter(|(kind, _)| *kind == item::COUNTERS) {
        let mut reader = Reader(content);
        while !reader.0.is_empty() {
            let (one, by) = (reader.byte(), unzigzag(reader.number()));
            sum = if one == which { sum.wrapping_add(by) } else { sum };
        }
    }
    sum
}

fn whole_record(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..RECORD_HEADER).filter(|head| head.starts_with(b"\x8fREC"))?;
    let len = usize::try_from(u32::from_le_bytes(head[4..8].try_into().unwrap())).unwrap();
    let body = bytes.get(RECORD_HEADER..RECORD_HEADER + len)?;
    (checksum(&[body]).to_le_bytes() == head[16..24]).then_some(body)
}

fn checksum(parts: &[&[u8]]) -> u64 {
    let mut digest = Crc64Digest::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finish().0
}

/// Which run of the machine this is: as text, and as journals have it.
pub(crate) fn boot() -> (Vec<u8>, i64) {
    let text = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap();
    let number = checksum(&[&text]).cast_signed();
    (text, number)
}

/// The facts of a large file that is sent in blocks, and what stands for its content in the names of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) len: u64,
    pub(crate) inode: u64,
    pub(crate) block: u64,
    pub(crate) mtime_ns: i128,
    pub(crate) ctime_ns: i128,
}

impl Blocks {
    pub(crate) fn read(facts: &[u8]) -> Self {
        let mut reader = Reader(facts);
        assert_eq!(reader.byte(), b'B');
        let [len, inode, block] = [0; 3].map(|_| reader.number());
        let mut time = || i128::from_le_bytes(reader.take(16).try_into().unwrap());
        Self { len, inode, block, mtime_ns: time(), ctime_ns: time() }
    }

    /// The same of a file that is there now.
    pub(crate) fn of(&self, path: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let meta = std::fs::metadata(path).unwrap();
        let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        Self {
            len: meta.len(),
            inode: meta.ino(),
            block: self.block,
            mtime_ns: ns(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: ns(meta.ctime(), meta.ctime_nsec()),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![b'B'];
        [self.len, self.inode, self.block].iter().for_each(|number| put_number(&mut out, *number));
        [self.mtime_ns, self.ctime_ns].iter().for_each(|time| out.extend_from_slice(&time.to_le_bytes()));
        out
    }

    /// The raw name of a block.
    pub(crate) fn name(&self, job: [u8; 16], block: u32) -> Vec<u8> {
        let mut key = Md5::new();
        key.update(job);
        [self.len, self.inode, self.block].iter().for_each(|number| key.update(number.to_le_bytes()));
        [self.mtime_ns, self.ctime_ns].iter().for_each(|time| key.update(time.to_le_bytes()));
        let mut name = b"azuring2".to_vec();
        name.extend_from_slice(&key.finalize());
        name.extend_from_slice(&[0; 8]);
        name.extend_from_slice(&block.to_be_bytes());
        name
    }
}

/// The facts of a large blob that is read in ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges {
    pub(crate) len: u64,
    pub(crate) range: u64,
    pub(crate) etag: Vec<u8>,
    /// Which run of the machine, and how often the job began in doubt.
    pub(crate) era: Vec<u8>,
    /// Of the unfinished file, when it was made.
    pub(crate) inode: Option<u64>,
}

impl Ranges {
    pub(crate) fn read(facts: &[u8]) -> Self {
        let mut reader = Reader(facts);
        assert_eq!(reader.byte(), b'R');
        let (len, range) = (reader.number(), reader.number());
        let (etag, era) = (reader.string().to_vec(), reader.string().to_vec());
        let inode = (!reader.0.is_empty()).then(|| reader.number());
        Self { len, range, etag, era, inode }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![b'R'];
        put_number(&mut out, self.len);
        put_number(&mut out, self.range);
        put_string(&mut out, &self.etag);
        put_string(&mut out, &self.era);
        if let Some(inode) = self.inode {
            put_number(&mut out, inode);
        }
        out
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    put_number(out, string.len() as u64);
    out.extend_from_slice(string);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Reads numbers and strings; panics where there are none.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(crate) fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return number;
            }
            shift += 7;
        }
    }

    pub(crate) fn string(&mut self) -> &'a [u8] {
        let len = usize::try_from(self.number()).unwrap();
        self.take(len)
    }
}
