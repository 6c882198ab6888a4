//! The threads of a job.

use std::sync::Arc;

use azuring_job::failure::{Failure, FailureKind};
use azuring_job::messages;
use azuring_lane::LaneResult;
use azuring_lane::budget::LaneShare;
use azuring_lane::shared::Shared;
use azuring_lane::{gather, settle};
use azuring_ring::IoPath;
use crossbeam::sync::WaitGroup;

use crate::finding;
use crate::source::Finder;

type LaneThread = std::thread::JoinHandle<std::io::Result<LaneResult>>;
type Threads = (Vec<LaneThread>, Option<std::thread::JoinHandle<()>>);

/// Starts the lanes, or with `parts` (so many transfers each) who makes parts in their place, and the planner. They
/// end by themselves when the source is done or the job stops; it stops at once if the system refuses a thread.
pub(crate) fn start(
    finder: Finder,
    shares: &[LaneShare],
    io: &IoPath,
    shared: &Arc<Shared>,
    messages: crossbeam::channel::Sender<messages::Message>,
    parts: Option<usize>,
) -> Threads {
    let refused = |error: std::io::Error| {
        let text = format!("the system refuses to start a thread: {error}");
        let failure =
            Failure::new(FailureKind::Limit, "", text).advise("raise the limit of processes or memory");
        shared.session.verdict.stop_for(&failure);
        shared.queue.close();
    };
    let mut lanes = Vec::with_capacity(shares.len());
    let ready = WaitGroup::new();
    for (index, &share) in shares.iter().enumerate() {
        let (io, shared, messages) = (io.clone(), Arc::clone(shared), messages.clone());
        let ready = ready.clone();
        let lane = move || match parts {
            None => azuring_lane::run(index, share, &io, shared, messages, ready),
            Some(most) => {
                drop(ready);
                gather::run(&shared, most, messages)
            }
        };
        match std::thread::Builder::new().name(format!("lane-{index}")).spawn(lane) {
            Ok(lane) => lanes.push(lane),
            Err(error) => refused(error),
        }
    }
    // Every lane has its runtime and ring before the first file is opened: where descriptors are few, the files and
    // sockets of one lane would leave none for the next.
    ready.wait();
    let theirs = Arc::clone(shared);
    let plan = move || finding::run(finder, &theirs, &messages);
    match std::thread::Builder::new().name("planner".to_owned()).spawn(plan) {
        Ok(planner) => (lanes, Some(planner)),
        Err(error) => {
            refused(error);
            (lanes, None)
        }
    }
}

/// Starts the thread that has downloaded files written back, where that is recorded. Without it they are recorded as
/// written.
pub(crate) fn settle(shared: &Arc<Shared>) -> Option<std::thread::JoinHandle<()>> {
    shared.durable.as_ref().filter(|durable| durable.settles())?;
    let theirs = Arc::clone(shared);
    std::thread::Builder::new().name("settle".to_owned()).spawn(move || settle::run(&theirs)).ok()
}
