//! What an earlier run of the job left.

use std::collections::HashMap;

use azuring_journal::{JournalError, Recovered, State};

use crate::entry::Found;
use crate::failure::{Failure, FailureKind};
use crate::outcome::{Counts, TransferId};
use crate::way::Decision;

use super::codec::{self, Key};
use super::counters::{self, Counter};
use super::settling::Written;
use super::ways;

const PART: u64 = azuring_journal::PART_TRANSFERS as u64;

/// Transfers that a run can have found since it last committed: what a second brings, and more.
const UNRECORDED: u64 = 100_000;

/// What an earlier run left.
pub struct Before {
    recovered: Recovered,
    /// What it wrote of which it is not known that it is on the disk.
    written: Written,
    /// Whether the machine was restarted since: then that is lost.
    restarted: bool,
    /// How often the file system was asked whether it has all that and did not say yes, or nobody lived to hear it:
    /// then that may be lost too.
    asked: i64,
    /// What a run before it has lost so.
    lost: Vec<u64>,
}

/// A transfer that an earlier run found and did not end, or that failed.
pub enum Resumed {
    /// It is to be done.
    Todo(TransferId, Found),
    /// It has failed for its name, and does so again. It is not tried: of names that disappear into each other, the one
    /// whose file is there may not be known any more.
    Failed(TransferId, Found, Failure),
    /// It cannot be done.
    Refused(TransferId, Failure),
}

/// Transfers that lie behind the recorded position of the scan, which will find them again: how many of each.
pub type FoundAgain = HashMap<Key, u32>;

impl Before {
    /// What a journal that was opened again tells.
    pub fn new(recovered: Recovered) -> Self {
        let restarted = recovered.counter(Counter::Boot as usize) != super::boot_number();
        let numbers: Vec<u64> = recovered.numbers(State::Skipped(codec::WRITTEN)).collect();
        let of = |counter: Counter| counter.of(&recovered) as i64;
        let written =
            Written { numbers, bytes: of(Counter::BytesWritten), lengths: of(Counter::FoundWritten) };
        let lost = recovered.numbers(State::Failed(codec::LOST)).collect();
        let asked = recovered.counter(Counter::Asked as usize).max(0);
        Self { recovered, written, restarted, asked, lost }
    }

    /// Whether the machine was restarted since.
    pub(super) fn is_restarted(&self) -> bool {
        self.restarted
    }

    pub(super) fn asked(&self) -> i64 {
        self.asked
    }

    /// Whether the file system may have failed to write back what was written, without this being recorded file by
    /// file.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.asked > 0
    }

    /// How many runs began in such doubt, the one that goes on included.
    pub(super) fn doubts(&self) -> u64 {
        Counter::Doubts.of(&self.recovered) + u64::from(self.is_in_doubt())
    }

    /// What counts of the earlier runs: what failed is done again, and what was lost.
    pub fn counts(&self) -> Counts {
        let mut counts = counters::counts(&self.recovered);
        counts.failed = 0;
        counts.bytes_found = counts.bytes_found.saturating_sub(self.failed_bytes());
        if self.is_written_lost() {
            let written = &self.written;
            counts.done = counts.done.saturating_sub(written.numbers.len() as u64);
            counts.bytes = counts.bytes.saturating_sub(written.bytes as u64);
            counts.bytes_found = counts.bytes_found.saturating_sub(written.lengths as u64);
        }
        counts
    }

    /// Which run of the machine it was in.
    pub(super) fn boot(&self) -> i64 {
        self.recovered.counter(Counter::Boot as usize)
    }

    /// What it wrote, and whether that may be lost; otherwise it is still to reach the disk.
    pub(super) fn written(&self) -> (&Written, bool) {
        (&self.written, self.is_written_lost())
    }

    /// The counters of a journal that has shrunk speak of what it no longer lists, and that has ended.
    fn is_written_lost(&self) -> bool {
        self.doubts_written() && !self.written.numbers.is_empty()
    }

    fn doubts_written(&self) -> bool {
        self.restarted || self.is_in_doubt()
    }

    /// Whether a run wrote the transfer's file, which may be lost.
    pub fn is_lost(&self, id: TransferId) -> bool {
        let is_in = |numbers: &[u64]| numbers.binary_search(&id.number()).is_ok();
        is_in(&self.lost) || (self.doubts_written() && is_in(&self.written.numbers))
    }

    /// The lengths of what failed, which are counted when it ends again.
    pub(crate) fn failed_bytes(&self) -> u64 {
        Counter::BytesFailed.of(&self.recovered)
    }

    /// Transfers it found.
    pub fn found(&self) -> u64 {
        self.recovered.counts().found
    }

    /// Whether it found this transfer.
    pub fn knows(&self, id: TransferId) -> bool {
        id.number() < self.found()
    }

    /// Whether it may have found this transfer, recorded or not.
    pub fn may_have_found(&self, id: TransferId) -> bool {
        id.number() < self.found() + UNRECORDED
    }

    /// Whether it found everything.
    pub fn scanned(&self) -> bool {
        self.recovered.scanned()
    }

    /// Where its scan stood.
    pub fn position(&self) -> Option<&[u8]> {
        self.recovered.cursor().map(|cursor| &cursor.position[..])
    }

    /// Kinds of the problems it met, which are not looked at again.
    pub fn kinds(&self) -> Vec<FailureKind> {
        let mut kinds = Vec::new();
        // Whoever cannot read them says so where they are needed.
        let _ = self.recovered.problems(|kind, _| {
            if kind == codec::WAY {
                return;
            }
            let kind = codec::kind_of(kind);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        });
        kinds
    }

    /// Which way bytes went at last, if that is known.
    pub fn way(&self) -> Option<Decision> {
        ways::last(&self.recovered)
    }

    /// Whether names were collapsed.
    pub fn collapsed(&self) -> bool {
        Counter::Collapsed.of(&self.recovered) > 0
    }

    /// What it recorded of a large object.
    pub fn large(&self, id: TransferId) -> Option<&azuring_journal::Large> {
        self.recovered.large(id.number())
    }

    /// Calls `take` for each transfer that is to be done, in the order they were found, until it says `false`.
    pub fn todo(&self, mut take: impl FnMut(Resumed) -> bool) -> Result<(), Box<Failure>> {
        let lost: &[u64] = if self.doubts_written() { &self.written.numbers } else { &[] };
        let mut lost = lost.iter().copied().peekable();
        for index in 0..self.recovered.parts() {
            let end = (index as u64 + 1) * PART;
            let none_lost = lost.peek().is_none_or(|number| *number >= end);
            if self.recovered.left_in_part(index) == 0 && none_lost {
                continue;
            }
            let mut part = self.recovered.part(index).map_err(unreadable)?;
            while let Some(transfer) = part.next().map_err(unreadable)? {
                let is_lost = lost.next_if_eq(&transfer.number).is_some();
                if !is_lost && matches!(transfer.state, State::Done | State::Skipped(_)) {
                    continue;
                }
                let id = TransferId::nth(transfer.number);
                let kind = if let State::Failed(kind) = transfer.state { kind } else { 0 };
                let told = || codec::failure_told(kind, transfer.cause, transfer.failure);
                let resumed = match codec::restore(transfer.name, transfer.facts) {
                    Ok(Some(found)) if kind != 0 && codec::kind_of(kind) == FailureKind::Name => {
                        Resumed::Failed(id, found, told())
                    }
                    Ok(Some(found)) => Resumed::Todo(id, found),
                    Ok(None) => Resumed::Refused(id, told()),
                    Err(text) => Resumed::Refused(id, Failure::new(FailureKind::Limit, "", text)),
                };
                if !take(resumed) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Calls `take` with all blobs it found, in that order, but for lines of a list that turned out to be directories.
    pub fn blobs(&self, mut take: impl FnMut(&crate::entry::BlobItem)) -> Result<(), Box<Failure>> {
        for index in 0..self.recovered.parts() {
            let mut part = self.recovered.part(index).map_err(unreadable)?;
            while let Some(transfer) = part.next().map_err(unreadable)? {
                if !matches!(transfer.state, State::Skipped(codec::EXPANDED))
                    && let Ok(Some(Found::Blob(blob))) = codec::restore(transfer.name, transfer.facts)
                {
                    take(&blob);
                }
            }
        }
        Ok(())
    }

    /// The transfers that the scan finds again when it goes on from the recorded position.
    pub fn found_again(&self) -> Result<FoundAgain, Box<Failure>> {
        let from = self.recovered.cursor().map_or(0, |cursor| cursor.found);
        let mut again = FoundAgain::new();
        for index in (from / PART) as usize..self.recovered.parts() {
            let mut part = self.recovered.part(index).map_err(unreadable)?;
            while let Some(transfer) = part.next().map_err(unreadable)? {
                if transfer.number >= from && codec::is_scanned(transfer.facts) {
                    let key = match codec::restore(transfer.name, transfer.facts) {
                        Ok(Some(found)) => Key::of(&found),
                        Ok(None) => Key::of_refused(transfer.name),
                        Err(_) => continue,
                    };
                    *again.entry(key).or_default() += 1;
                }
            }
        }
        Ok(again)
    }
}

fn unreadable(error: JournalError) -> Box<Failure> {
    Box::new(Failure::new(FailureKind::Source, "", format!("the job's journal cannot be read: {error}")))
}
