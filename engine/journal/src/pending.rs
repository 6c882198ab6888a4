//! What was said since the last commit.

use std::collections::BTreeMap;

use crate::bytes::{Reader, put_number, put_string, zigzag};
use crate::failures::{Failure, read_failure};
use crate::format::{COUNTERS, FORMAT_1, PART_TRANSFERS, RECORD_HEADER, item};
use crate::names::NamesWriter;
use crate::packing::Packer;
use crate::runs::Runs;
use crate::states::State;

/// What the next record will hold.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    names: Vec<NamesWriter>,
    /// In the order they were said: the last one of a transfer counts.
    outcomes: Vec<(u64, u8)>,
    /// As format 2 has them, not packed.
    failures: Vec<u8>,
    causes: Vec<Box<[u8]>>,
    large: BTreeMap<u64, LargeNews>,
    cursor: Option<(u64, Vec<u8>)>,
    scanned: bool,
    counters: [i64; COUNTERS],
    counted: bool,
    summary: Option<Vec<u8>>,
    description: Option<Vec<u8>>,
    left_out: Option<(u64, u64)>,
    /// Bytes that all this may need in a record.
    pub(crate) bytes: usize,
}

/// News of a large object.
#[derive(Debug, Default)]
struct LargeNews {
    begun: Option<Vec<u8>>,
    pieces: Vec<u64>,
}

/// Bytes that wait for a commit at most: who has more to say waits. Some 10,000 names. A commit needs as much again
/// twice, and all of it comes out of the memory of a job that may have 64 MiB.
const WAITING_BYTES: usize = 1 << 20;
/// Bytes that anything needs beside the strings in it: types, lengths and numbers.
pub(crate) const OVERHEAD: usize = 32;

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether it is better to write this than to gather more.
    pub(crate) fn is_enough(&self) -> bool {
        self.bytes >= WAITING_BYTES
    }

    pub(crate) fn describe(&mut self, description: &[u8]) {
        self.bytes += OVERHEAD + description.len();
        self.description = Some(description.to_vec());
    }

    pub(crate) fn transfer(&mut self, number: u64, name: &[u8], facts: &[u8]) {
        self.bytes += OVERHEAD + name.len() + facts.len();
        self.summary = None;
        let begins_part = number.is_multiple_of(PART_TRANSFERS.into());
        if self.names.is_empty() || begins_part {
            self.names.push(NamesWriter::new(number));
        }
        self.names.last_mut().expect("pushed just now if there was none").push(name, facts);
    }

    pub(crate) fn outcome(&mut self, number: u64, state: State) {
        self.bytes += OVERHEAD;
        self.summary = None;
        if !matches!(state, State::Failed(_)) {
            // A record tells of outcomes before large objects: what was said of this one before is over.
            self.large.remove(&number);
        }
        self.outcomes.push((number, state.to_code()));
    }

    /// Why a transfer failed, or something that is no transfer. `cause`: the number of what others have in common with
    /// it.
    pub(crate) fn failure(&mut self, number: Option<u64>, reason: u8, cause: Option<u32>, text: &[u8]) {
        self.bytes += OVERHEAD + text.len();
        put_number(&mut self.failures, number.map_or(0, |number| number + 1));
        self.failures.push(reason);
        put_number(&mut self.failures, cause.unwrap_or_default().into());
        put_string(&mut self.failures, text);
    }

    /// The next cause.
    pub(crate) fn cause(&mut self, cause: &[u8]) {
        self.bytes += OVERHEAD + cause.len();
        self.causes.push(cause.into());
    }

    pub(crate) fn large(&mut self, number: u64, facts: &[u8]) {
        self.bytes += OVERHEAD + facts.len();
        self.summary = None;
        self.large.insert(number, LargeNews { begun: Some(facts.to_vec()), pieces: Vec::new() });
    }

    pub(crate) fn piece(&mut self, number: u64, piece: u64) {
        self.bytes += OVERHEAD;
        self.large.entry(number).or_default().pieces.push(piece);
    }

    pub(crate) fn cursor(&mut self, found: u64, position: &[u8]) {
        self.bytes += OVERHEAD + position.len();
        self.cursor = Some((found, position.to_vec()));
    }

    pub(crate) fn scanned(&mut self) {
        self.bytes += OVERHEAD;
        self.scanned = true;
    }

    pub(crate) fn count(&mut self, counter: usize, by: i64) {
        if !std::mem::replace(&mut self.counted, true) {
            self.bytes += COUNTERS * OVERHEAD;
        }
        self.counters[counter] += by;
    }

    pub(crate) fn summary(&mut self, summary: &[u8]) {
        self.bytes += OVERHEAD + summary.len();
        self.summary = Some(summary.to_vec());
    }

    pub(crate) fn left_out(&mut self, done: u64, skipped: u64) {
        self.bytes += OVERHEAD;
        self.left_out = Some((done, skipped));
    }

    /// A record of this format without its head.
    pub(crate) fn encode(self, packer: &mut Packer, format: u32) -> Vec<u8> {
        let mut record = vec![0; RECORD_HEADER];
        let mut content = Vec::new();
        let mut put = |kind: u8, content: &mut Vec<u8>| {
            record.push(kind);
            put_string(&mut record, content);
            content.clear();
        };
        if let Some(mut description) = self.description {
            put(item::DESCRIPTION, &mut description);
        }
        if let Some((done, skipped)) = self.left_out {
            put_number(&mut content, done);
            put_number(&mut content, skipped);
            put(item::LEFT_OUT, &mut content);
        }
        for names in self.names {
            names.encode(packer, &mut content);
            put(item::TRANSFERS, &mut content);
        }
        for (code, numbers) in by_code(self.outcomes) {
            content.push(code);
            numbers.encode(&mut content);
            put(item::OUTCOME, &mut content);
        }
        for cause in self.causes {
            put(item::CAUSE, &mut cause.into_vec());
        }
        match &self.failures[..] {
            [] => {}
            failures if format == FORMAT_1 => {
                let mut failures = Reader(failures);
                while let Some(Failure { number, reason, text, .. }) = read_failure(&mut failures) {
                    put_number(&mut content, number.map_or(0, |number| number + 1));
                    content.push(reason);
                    put_string(&mut content, text);
                }
                put(item::FAILURES, &mut content);
            }
            failures => {
                let (packing, packed) = packer.pack(failures);
                content.push(packing as u8);
                put_number(&mut content, failures.len() as u64);
                content.extend_from_slice(packed);
                put(item::FAILURES_PACKED, &mut content);
            }
        }
        for (number, news) in self.large {
            if let Some(facts) = news.begun {
                put_number(&mut content, number);
                put_string(&mut content, &facts);
                put(item::LARGE, &mut content);
            }
            if !news.pieces.is_empty() {
                put_number(&mut content, number);
                sorted(news.pieces).encode(&mut content);
                put(item::PIECES, &mut content);
            }
        }
        if let Some((found, position)) = self.cursor {
            put_number(&mut content, found);
            put_string(&mut content, &position);
            put(item::CURSOR, &mut content);
        }
        if self.scanned {
            put(item::SCANNED, &mut content);
        }
        for (counter, by) in self.counters.into_iter().enumerate().filter(|(_, by)| *by != 0) {
            content.push(counter as u8);
            put_number(&mut content, zigzag(by));
        }
        if !content.is_empty() {
            put(item::COUNTERS, &mut content);
        }
        if let Some(mut summary) = self.summary {
            put(item::SUMMARY, &mut summary);
        }
        record
    }
}

fn sorted(mut numbers: Vec<u64>) -> Runs {
    numbers.sort_unstable();
    numbers.into_iter().collect()
}

/// The transfers of each code, by the last outcome of each transfer.
fn by_code(mut outcomes: Vec<(u64, u8)>) -> BTreeMap<u8, Runs> {
    // Stable: of two of the same transfer, the later stays behind the earlier.
    outcomes.sort_by_key(|(number, _)| *number);
    let mut sets: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
    for (at, (number, code)) in outcomes.iter().enumerate() {
        if outcomes.get(at + 1).is_none_or(|(next, _)| next != number) {
            sets.entry(*code).or_default().push(*number);
        }
    }
    sets.into_iter().map(|(code, numbers)| (code, numbers.into_iter().collect())).collect()
}
