//! The state of a running job: counters that each lane keeps for itself, summed up by whoever looks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::utils::CachePadded;

use crate::outcome::Counts;

/// Counters of one lane. Only that lane writes them, so a change costs one store.
#[derive(Debug, Default)]
pub struct LaneCounters {
    /// Transfers done.
    pub done: AtomicU64,
    /// Transfers failed.
    pub failed: AtomicU64,
    /// Transfers that were skipped.
    pub skipped: AtomicU64,
    /// Bytes that have arrived at the destination.
    pub bytes: AtomicU64,
    /// Bytes of request bodies, including retries.
    pub bytes_sent: AtomicU64,
    /// Bytes that the destination has read at the source by itself.
    pub bytes_by_service: AtomicU64,
    /// Requests sent, including retries.
    pub requests: AtomicU64,
    /// How many of `requests` were retries.
    pub retries: AtomicU64,
    /// Retries after the service was too busy.
    pub throttled: AtomicU64,
    /// Bytes of large files that were begun, and of these what is accepted or given up.
    pub large_begun: AtomicU64,
    /// Bytes of large objects that were moved, or given up.
    pub large_ended: AtomicU64,
    /// Requests without an answer yet.
    pub in_flight: AtomicU64,
}

/// Adds to a counter that only the calling thread writes.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// The state of a running job, readable from any thread at any time.
#[derive(Debug)]
pub struct Progress {
    lanes: Vec<CachePadded<LaneCounters>>,
    /// Objects found so far.
    pub found: AtomicU64,
    /// How many of `found` are directories.
    pub found_folders: AtomicU64,
    /// How many of `found` are symbolic links.
    pub found_links: AtomicU64,
    /// The scan has ended: `found` does not change any more.
    pub scanned: AtomicBool,
}

/// A look at a running job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgressView {
    /// Files found so far.
    pub found: u64,
    /// The scan has ended: `found` does not change any more.
    pub scanned: bool,
    /// Files transferred.
    pub done: u64,
    /// Files failed.
    pub failed: u64,
    /// Files that were skipped: they stay as they are.
    pub skipped: u64,
    /// Bytes the service has accepted.
    pub bytes: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests that were retries.
    pub retries: u64,
    /// Bytes of large files that are being sent and not yet accepted.
    pub large_left_bytes: u64,
}

impl Progress {
    /// Nothing yet, of so many lanes.
    pub fn new(lanes: usize) -> Self {
        Self {
            // One more for the planner's own requests.
            lanes: (0..=lanes).map(|_| CachePadded::default()).collect(),
            found: AtomicU64::new(0),
            found_folders: AtomicU64::new(0),
            found_links: AtomicU64::new(0),
            scanned: AtomicBool::new(false),
        }
    }

    /// Begins with what earlier runs of the job have counted.
    pub fn go_on_from(&self, before: &Counts) {
        let planner = self.planner();
        for (counter, n) in [
            (&self.found, before.found),
            (&self.found_folders, before.found_folders),
            (&self.found_links, before.found_links),
            (&planner.done, before.done + before.folders_done),
            (&planner.skipped, before.skipped_existing),
            (&planner.bytes, before.bytes),
            (&planner.bytes_sent, before.bytes_sent),
            (&planner.bytes_by_service, before.bytes_by_service),
            (&planner.requests, before.requests),
            (&planner.retries, before.retries),
        ] {
            counter.store(n, Ordering::SeqCst);
        }
    }

    /// The counters of the planner, which asks for listings.
    pub fn planner(&self) -> &LaneCounters {
        self.lanes.last().expect("the planner's counters are always there")
    }

    /// The counters of lane `index`, which that lane alone changes. Panics beyond the last lane.
    pub fn lane(&self, index: usize) -> &LaneCounters {
        &self.lanes[index]
    }

    fn sum(&self, of: impl Fn(&LaneCounters) -> &AtomicU64) -> u64 {
        self.lanes.iter().map(|lane| of(lane).load(Ordering::Relaxed)).sum()
    }

    /// Sets what is counted here and not by outcomes: what was found, sent and asked for.
    pub fn count(&self, counts: &mut Counts) {
        counts.found = self.found.load(Ordering::SeqCst);
        counts.found_folders = self.found_folders.load(Ordering::SeqCst);
        counts.found_links = self.found_links.load(Ordering::SeqCst);
        counts.bytes_sent = self.sum(|lane| &lane.bytes_sent);
        counts.bytes_by_service = self.sum(|lane| &lane.bytes_by_service);
        counts.requests = self.sum(|lane| &lane.requests);
        counts.retries = self.sum(|lane| &lane.retries);
    }

    /// How it stands now. The numbers are read one after the other, not at one instant.
    pub fn view(&self) -> ProgressView {
        ProgressView {
            found: self.found.load(Ordering::Relaxed),
            scanned: self.scanned.load(Ordering::Relaxed),
            done: self.sum(|lane| &lane.done),
            failed: self.sum(|lane| &lane.failed),
            skipped: self.sum(|lane| &lane.skipped),
            bytes: self.sum(|lane| &lane.bytes),
            in_flight: self.sum(|lane| &lane.in_flight),
            retries: self.sum(|lane| &lane.retries),
            large_left_bytes: self
                .sum(|lane| &lane.large_begun)
                .saturating_sub(self.sum(|lane| &lane.large_ended)),
        }
    }
}
