//! Brings what the lanes report to the caller, and counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::utils::CachePadded;

use crate::failure::FailureKind;
use crate::job::Shared;
use crate::outcome::{Counts, Done, Entity, Event, Outcome, SkippedKind};

/// Messages that may wait for the caller. A lane that finds no room waits: a caller that cannot take events
/// slows the job instead of filling the memory.
const WAITING_MESSAGES: usize = 192;

/// What lanes and planner send.
#[derive(Debug)]
pub(crate) enum Message {
    Outcomes(Vec<Outcome>),
    Event(Event),
}

/// The same for a dry run, whose messages are full of names: 64 batches of 64 are some 2 MB.
const WAITING_PLANS: usize = 64;

pub(crate) fn channel(dry_run: bool) -> (Sender<Message>, Receiver<Message>) {
    bounded(if dry_run { WAITING_PLANS } else { WAITING_MESSAGES })
}

/// Counters of one lane. It alone writes them, so they cost a store each.
#[derive(Debug, Default)]
pub(crate) struct LaneCounters {
    pub(crate) done: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) throttled: AtomicU64,
    /// Bytes of large files that were begun, and of these what is accepted or given up.
    pub(crate) large_begun: AtomicU64,
    pub(crate) large_ended: AtomicU64,
    pub(crate) in_flight: AtomicU64,
}

/// Adds to a counter that only the calling thread writes.
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// The state of a running job, readable from any thread at any time.
#[derive(Debug)]
pub struct Progress {
    lanes: Vec<CachePadded<LaneCounters>>,
    pub(crate) found: AtomicU64,
    pub(crate) found_folders: AtomicU64,
    pub(crate) found_links: AtomicU64,
    pub(crate) scanned: AtomicBool,
}

/// A look at a running job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressView {
    /// Files found so far.
    pub found: u64,
    /// Whether all have been found.
    pub scanned: bool,
    /// Files transferred.
    pub done: u64,
    /// Files failed.
    pub failed: u64,
    /// Files that the destination keeps as they are.
    pub skipped: u64,
    /// Bytes the service has accepted.
    pub bytes: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests repeated.
    pub retries: u64,
    /// Bytes of large files that are being sent and not yet accepted.
    pub large_left_bytes: u64,
}

impl Progress {
    pub(crate) fn new(lanes: usize) -> Self {
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
    pub(crate) fn go_on_from(&self, before: &Counts) {
        let planner = self.planner();
        for (counter, n) in [
            (&self.found, before.found),
            (&self.found_folders, before.found_folders),
            (&self.found_links, before.found_links),
            (&planner.done, before.done + before.folders_done),
            (&planner.skipped, before.skipped_existing),
            (&planner.bytes, before.bytes),
            (&planner.bytes_sent, before.bytes_sent),
            (&planner.requests, before.requests),
            (&planner.retries, before.retries),
        ] {
            counter.store(n, Ordering::SeqCst);
        }
    }

    /// The counters of the planner, which asks for listings.
    pub(crate) fn planner(&self) -> &LaneCounters {
        self.lanes.last().expect("the planner's counters are always there")
    }

    pub(crate) fn lane(&self, index: usize) -> &LaneCounters {
        &self.lanes[index]
    }

    fn sum(&self, of: impl Fn(&LaneCounters) -> &AtomicU64) -> u64 {
        self.lanes.iter().map(|lane| of(lane).load(Ordering::Relaxed)).sum()
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

/// Reads messages until every sender is gone; calls `tell` for each event; returns the exact counts, those of earlier runs
/// included; `kinds` are those of failures that are counted there. What it reads is in the journal before it is told.
pub(crate) fn collect(
    messages: &Receiver<Message>,
    shared: &Shared,
    before: Counts,
    mut kinds: Vec<FailureKind>,
    mut tell: impl FnMut(Event),
) -> (Counts, Vec<FailureKind>) {
    let progress = &shared.session.progress;
    let mut counts = before;
    let mut seen = |kind| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    for message in messages {
        match message {
            Message::Outcomes(outcomes) => {
                if let Some(durable) = &shared.durable
                    && let Err(failure) = durable.ended(&outcomes)
                {
                    // Whoever goes on with the job does them again.
                    shared.session.verdict.stop_for(&failure);
                }
                for outcome in outcomes {
                    let is_folder = outcome.entity == Entity::Folder;
                    counts.bytes_found += outcome.length;
                    match outcome.result {
                        Ok(Done::Whole) => {
                            *(if is_folder { &mut counts.folders_done } else { &mut counts.done }) += 1;
                            counts.bytes += outcome.bytes;
                            tell(Event::Done(outcome));
                        }
                        Ok(Done::Skipped(kind)) => {
                            counts.skipped_existing += 1;
                            let (transfer, bytes) = (outcome.object.unwrap_or_default(), outcome.length);
                            tell(Event::Skipped { transfer, bytes, kind });
                        }
                        Err(failure) => {
                            *(if is_folder { &mut counts.folders_failed } else { &mut counts.failed }) += 1;
                            seen(failure.kind);
                            tell(Event::Failed(*failure));
                        }
                    }
                }
            }
            Message::Event(event) => {
                match &event {
                    Event::Failed(failure) => {
                        counts.problems += 1;
                        seen(failure.kind);
                    }
                    Event::Skipped { kind: SkippedKind::Symlink, .. } => counts.skipped_symlinks += 1,
                    Event::Skipped { .. } => counts.skipped_special += 1,
                    Event::Done(_) | Event::Notice(_) | Event::Planned(_) => {}
                }
                tell(event);
            }
        }
    }
    counts.found = progress.found.load(Ordering::SeqCst);
    counts.found_folders = progress.found_folders.load(Ordering::SeqCst);
    counts.found_links = progress.found_links.load(Ordering::SeqCst);
    counts.bytes_sent = progress.sum(|lane| &lane.bytes_sent);
    counts.requests = progress.sum(|lane| &lane.requests);
    counts.retries = progress.sum(|lane| &lane.retries);
    (counts, kinds)
}
