//! The threads of a job.

use std::sync::Arc;
use std::thread::JoinHandle;

use azuring_job::failure::{Failure, FailureKind};
use azuring_job::messages::Message;
use azuring_lane::budget::LaneShare;
use azuring_lane::shared::Shared;
use azuring_lane::{LaneResult, Turn, gather, settle};
use azuring_ring::IoPath;
use crossbeam::channel::{self, Receiver, Sender};
use crossbeam::sync::WaitGroup;
use tokio::sync::mpsc;
use tracing::info_span;

use crate::finding;
use crate::source::Finder;

/// Stops a job at once that is refused a thread.
pub(crate) fn refused(shared: &Shared, error: &std::io::Error) {
    let text = format!("the system refuses to start a thread: {error}");
    let failure = Failure::new(FailureKind::Limit, "", text).advise("raise the limit of processes or memory");
    shared.session.verdict.stop_for(&failure);
    shared.queue.close();
}

/// Lanes: they wait for turns, and end when this is dropped.
pub(crate) struct Lanes(Vec<LaneThread>);

struct LaneThread {
    turns: mpsc::UnboundedSender<Turn>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Lanes {
    /// Starts them; `refused` is told if the system refuses one.
    pub(crate) fn start(shares: &[LaneShare], io: &IoPath, refused: impl Fn(&std::io::Error)) -> Self {
        let mut lanes = Vec::with_capacity(shares.len());
        let ready = WaitGroup::new();
        for (index, &share) in shares.iter().enumerate() {
            let (turns, receive) = mpsc::unbounded_channel();
            let (io, ready) = (io.clone(), ready.clone());
            let lane = move || azuring_lane::run(index, share, &io, receive, ready);
            let thread = std::thread::Builder::new().name(format!("lane-{index}"));
            // Not optimised, a mover lies on the stack many times over.
            let thread = if cfg!(debug_assertions) { thread.stack_size(8 << 20) } else { thread };
            match thread.spawn(lane) {
                Ok(thread) => lanes.push(LaneThread { turns, thread }),
                Err(error) => refused(&error),
            }
        }
        // Every lane has its runtime and ring before the first file is opened: where descriptors are few, the files and
        // sockets of one lane would leave none for the next.
        ready.wait();
        Self(lanes)
    }

    /// Gives each a turn. They tell how it went when it has ended.
    pub(crate) fn turn(&self, shared: &Arc<Shared>, messages: &Sender<Message>) -> Receiver<LaneResult> {
        let (ended, results) = channel::unbounded();
        for lane in &self.0 {
            let (shared, messages, ended) = (Arc::clone(shared), messages.clone(), ended.clone());
            // A lane that could not start tells its first turn, and is gone.
            let _ = lane.turns.send(Turn { shared, messages, ended });
        }
        results
    }

    /// Whether so many can be given another turn: all of them.
    pub(crate) fn are(&self, staying: usize) -> bool {
        staying == self.0.len()
    }

    /// Waits for their end.
    ///
    /// # Panics
    /// When one of them did.
    pub(crate) fn end(mut self) {
        let ended: Vec<_> = self.close().collect();
        for ended in ended {
            // An error was told through the verdict, if the job could not do without this lane.
            if let Err(panic) = ended {
                std::panic::resume_unwind(panic);
            }
        }
    }

    fn close(&mut self) -> impl Iterator<Item = std::thread::Result<std::io::Result<()>>> {
        let threads: Vec<_> = self.0.drain(..).map(|LaneThread { thread, .. }| thread).collect();
        threads.into_iter().map(JoinHandle::join)
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        // What they have is given back when they are gone.
        self.close().for_each(drop);
    }
}

/// Starts who makes parts of at most `most` transfers, from this number on, in the place of lanes.
pub(crate) fn gather(
    shared: &Arc<Shared>,
    (most, first): (usize, u32),
    messages: &Sender<Message>,
) -> Option<JoinHandle<std::io::Result<()>>> {
    let (theirs, messages) = (Arc::clone(shared), messages.clone());
    let gather = move || gather::run(&theirs, (most, first), messages);
    let thread = std::thread::Builder::new().name("gather".to_owned()).spawn(gather);
    thread.inspect_err(|error| refused(shared, error)).ok()
}

/// Starts the planner. It ends by itself when the source is done or the job stops.
pub(crate) fn plan(
    finder: Finder,
    shared: &Arc<Shared>,
    messages: Sender<Message>,
) -> Option<JoinHandle<()>> {
    let theirs = Arc::clone(shared);
    let span = info_span!(parent: &shared.span, "planner");
    let plan = move || span.in_scope(|| finding::run(finder, &theirs, &messages));
    let thread = std::thread::Builder::new().name("planner".to_owned()).spawn(plan);
    thread.inspect_err(|error| refused(shared, error)).ok()
}

/// Starts the thread that has downloaded files written back, where that is recorded. Without it they are recorded as
/// written.
pub(crate) fn settle(shared: &Arc<Shared>) -> Option<JoinHandle<()>> {
    shared.durable.as_ref().filter(|durable| durable.settles())?;
    let theirs = Arc::clone(shared);
    std::thread::Builder::new().name("settle".to_owned()).spawn(move || settle::run(&theirs)).ok()
}
