//! The journal's counters, and what is counted of a job of several runs.

use std::time::Duration;

use azuring_journal::{Entry, Recovered};

use crate::outcome::{Counts, Report};

use super::settling::Written;

/// What each counter of a journal means. The numbers never change.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counter {
    FoldersFound = 0,
    LinksFound = 1,
    FoldersDone = 2,
    SkippedSymlinks = 3,
    SkippedSpecial = 4,
    Problems = 5,
    /// Of transfers that are done.
    Bytes = 6,
    /// Lengths of transfers that are done or were skipped.
    BytesFound = 7,
    /// Lengths of transfers that failed; of a run that goes on, of those that failed since.
    BytesFailed = 8,
    BytesSent = 9,
    Requests = 10,
    Retries = 11,
    /// Lines of a list that turned out to be directories.
    Expanded = 12,
    /// Whether local names are shorter than those of their blobs.
    Collapsed = 13,
    ElapsedMs = 14,
    /// Which run of the machine the last run of the job was in.
    Boot = 15,
    /// Transfers that were written and are not known to be on the disk, their bytes and their lengths.
    Written = 16,
    BytesWritten = 17,
    FoundWritten = 18,
    /// Whether the file system was asked to write everything back and has not said since that it has.
    Asked = 19,
    /// How many runs began in doubt of what an earlier one has written.
    Doubts = 20,
    BytesByService = 21,
}

impl Counter {
    pub(super) fn add(self, entry: &mut Entry<'_>, by: i64) {
        if by != 0 {
            entry.count(self as usize, by);
        }
    }

    /// Counts what was written, or takes it back.
    pub(super) fn count_written(entry: &mut Entry<'_>, written: &Written, sign: i64) {
        Self::Written.add(entry, sign * written.numbers.len() as i64);
        Self::BytesWritten.add(entry, sign * written.bytes);
        Self::FoundWritten.add(entry, sign * written.lengths);
    }

    pub(super) fn of(self, recovered: &Recovered) -> u64 {
        recovered.counter(self as usize).max(0) as u64
    }
}

/// What the journal has counted.
pub(super) fn counts(recovered: &Recovered) -> Counts {
    let (transfers, of) = (recovered.counts(), |counter: Counter| counter.of(recovered));
    let expanded = of(Counter::Expanded);
    let folders_done = of(Counter::FoldersDone);
    let written = of(Counter::Written);
    Counts {
        found: transfers.found.saturating_sub(expanded),
        found_folders: of(Counter::FoldersFound),
        found_links: of(Counter::LinksFound),
        done: (transfers.done + written).saturating_sub(folders_done),
        failed: transfers.failed,
        folders_done,
        folders_failed: 0,
        skipped_existing: transfers.skipped.saturating_sub(expanded + written),
        problems: of(Counter::Problems),
        skipped_symlinks: of(Counter::SkippedSymlinks),
        skipped_special: of(Counter::SkippedSpecial),
        bytes: of(Counter::Bytes) + of(Counter::BytesWritten),
        bytes_found: of(Counter::BytesFound) + of(Counter::FoundWritten) + of(Counter::BytesFailed),
        bytes_sent: of(Counter::BytesSent),
        bytes_by_service: of(Counter::BytesByService),
        requests: of(Counter::Requests),
        retries: of(Counter::Retries),
    }
}

/// The time of all runs that came to an end of their own.
pub(super) fn elapsed(recovered: &Recovered) -> Duration {
    Duration::from_millis(Counter::ElapsedMs.of(recovered))
}

/// What a run adds at its end. `report` counts the earlier runs too.
pub(super) fn of_run(entry: &mut Entry<'_>, report: &Report) {
    let added = |now: u64, before: u64| now.saturating_sub(before) as i64;
    let (now, before) = (&report.counts, &report.before);
    Counter::BytesSent.add(entry, added(now.bytes_sent, before.bytes_sent));
    Counter::BytesByService.add(entry, added(now.bytes_by_service, before.bytes_by_service));
    Counter::Requests.add(entry, added(now.requests, before.requests));
    Counter::Retries.add(entry, added(now.retries, before.retries));
    Counter::ElapsedMs.add(entry, report.elapsed.as_millis() as i64);
}
