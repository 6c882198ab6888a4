//! Transfers one after the other, each name against the one before.

use crate::bytes::{Reader, put_number};
use crate::format::BODY_MAX;
use crate::packing::{Packer, Packing};

/// Transfers being gathered for a record, or for whoever is handed a part of them.
#[derive(Debug, Default)]
pub struct NamesWriter {
    /// Number of the first.
    pub(crate) first: u64,
    pub(crate) count: u32,
    heads: Vec<u8>,
    tails: Vec<u8>,
    facts: Vec<u8>,
    last: Vec<u8>,
}

impl NamesWriter {
    /// Transfers from this number on.
    pub fn new(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// Adds the next one.
    pub fn push(&mut self, name: &[u8], facts: &[u8]) {
        let shared = self.last.iter().zip(name).take_while(|(a, b)| a == b).count();
        let tail = &name[shared..];
        put_number(&mut self.heads, shared as u64);
        put_number(&mut self.heads, tail.len() as u64);
        put_number(&mut self.heads, facts.len() as u64);
        self.tails.extend_from_slice(tail);
        self.facts.extend_from_slice(facts);
        self.last.truncate(shared);
        self.last.extend_from_slice(tail);
        self.count += 1;
    }

    /// Appends what [`NamesReader::new`] reads.
    pub fn pack(self, out: &mut Vec<u8>) {
        self.encode(&mut Packer::default(), out);
    }

    /// The item's content.
    pub(crate) fn encode(mut self, packer: &mut Packer, out: &mut Vec<u8>) {
        let lens = [self.heads.len(), self.tails.len(), self.facts.len()];
        let mut raw = self.heads;
        raw.append(&mut self.tails);
        raw.append(&mut self.facts);
        put_number(out, self.first);
        put_number(out, self.count.into());
        let (packing, packed) = packer.pack(&raw);
        out.push(packing as u8);
        for len in lens {
            put_number(out, len as u64);
        }
        out.extend_from_slice(packed);
    }
}

/// First number and count of an item's transfers, and the rest of it.
pub(crate) fn open(content: &[u8]) -> Option<(u64, u32, Reader<'_>)> {
    let mut reader = Reader(content);
    let first = reader.number()?;
    let count = u32::try_from(reader.number()?).ok()?;
    Some((first, count, reader))
}

/// Transfers of an item, being read. Whatever the bytes are, nothing panics.
#[derive(Debug)]
pub struct NamesReader {
    raw: Vec<u8>,
    /// What comes next, and where it ends.
    heads: (usize, usize),
    tails: (usize, usize),
    facts: (usize, usize),
    name: Vec<u8>,
    left: u32,
}

impl NamesReader {
    /// Reads an item's content; `None` when it cannot be one.
    pub fn new(content: &[u8]) -> Option<Self> {
        let (_, left, mut reader) = open(content)?;
        let packing = Packing::of(reader.byte()?)?;
        let mut ends = [0_usize; 3];
        let mut end = 0_usize;
        for place in &mut ends {
            end = end.checked_add(usize::try_from(reader.number()?).ok()?)?;
            *place = end;
        }
        if end > BODY_MAX {
            return None;
        }
        let raw = packing.unpack(reader.0, end)?;
        let [heads, tails, facts] = ends;
        Some(Self {
            raw,
            heads: (0, heads),
            tails: (heads, tails),
            facts: (tails, facts),
            name: Vec::new(),
            left,
        })
    }

    /// How many are still to come.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Name and facts of the next one; `None` when the bytes cannot be right. Not called when none is left.
    #[expect(
        clippy::should_implement_trait,
        reason = "the name lies in a buffer that the next call overwrites"
    )]
    pub fn next(&mut self) -> Option<(&[u8], &[u8])> {
        let mut head = Reader(self.raw.get(self.heads.0..self.heads.1)?);
        let mut number = || usize::try_from(head.number()?).ok();
        let (shared, tail, facts) = (number()?, number()?, number()?);
        self.heads.0 = self.heads.1 - head.0.len();
        if shared > self.name.len()
            || tail > self.tails.1 - self.tails.0
            || facts > self.facts.1 - self.facts.0
        {
            return None;
        }
        self.name.truncate(shared);
        self.name.extend_from_slice(&self.raw[self.tails.0..][..tail]);
        self.tails.0 += tail;
        let facts_at = self.facts.0;
        self.facts.0 += facts;
        self.left -= 1;
        if self.left == 0
            && (self.heads.0, self.tails.0, self.facts.0) != (self.heads.1, self.tails.1, self.facts.1)
        {
            return None;
        }
        Some((&self.name, &self.raw[facts_at..][..facts]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_facts_come_back_in_any_order_of_names() {
        let mut random = fastrand::Rng::with_seed(3);
        let all: Vec<(Vec<u8>, Vec<u8>)> = (0..3_000)
            .map(|_| {
                let name = (0..random.usize(..6)).map(|_| random.u8(b'a'..=b'c')).collect();
                (name, (0..random.usize(..4)).map(|_| random.u8(..)).collect())
            })
            .collect();
        for take in [0, 1, 2, 3_000] {
            let mut writer = NamesWriter::new(77);
            all[..take].iter().for_each(|(name, facts)| writer.push(name, facts));
            let mut content = Vec::new();
            writer.encode(&mut Packer::default(), &mut content);
            assert_eq!(open(&content).map(|(first, count, _)| (first, count)), Some((77, take as u32)));
            let mut reader = NamesReader::new(&content).unwrap();
            for (name, facts) in &all[..take] {
                assert_eq!(reader.next(), Some((&name[..], &facts[..])));
            }
            assert_eq!(reader.left(), 0);
        }
    }

    #[test]
    fn content_that_cannot_be_is_refused() {
        // One transfer whose name shares a byte with nothing; one with a byte too much; too few bytes; a packing
        // unknown.
        for bad in [
            &[0, 1, 0, 3, 0, 0, 1, 0, 0][..],
            &[0, 1, 0, 3, 1, 0, 0, 0, 0, b'x'],
            &[0, 1, 0, 3, 1, 0, 0, 1, 0],
            &[0, 1, 9, 3, 1, 0, 0, 1, 0, b'x'],
        ] {
            let read = NamesReader::new(bad).map(|mut reader| reader.next().is_some());
            assert!(!read.unwrap_or_default(), "{bad:?}");
        }
    }
}
