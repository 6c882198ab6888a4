//! The thread of a lane: its runtime, its tasks, and which mover does what they take.

use std::rc::Rc;
use std::sync::Arc;

use azuring_job::entry::{Entry, Found, Known};
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::messages::Message;
use azuring_ring::{FileRing, IoPath, LaneRuntime, ThreadFiles, UringFiles};
use crossbeam::channel;
use crossbeam::sync::WaitGroup;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::info_span;

use crate::change::blobs;
use crate::common::shared::Shared;
use crate::copy;
use crate::get::one;
use crate::lane::context::{Kept, Lane, LaneResult};
use crate::limits::budget::LaneShare;
use crate::object::large::Large;
use crate::put::{large, object};
use crate::task::verb::Task;

use super::items::{Item, Items};

/// Transfers one object and reports its outcome.
async fn one<R: FileRing>(lane: &Rc<Lane<R>>, Entry { id, found }: Entry) {
    let result = match (&lane.shared.task, &found) {
        (Task::Upload(task), found) => object::object(lane, task, id, found).await,
        (Task::Download(task), Found::Blob(blob)) => one::blob(lane, task, id, blob).await,
        (Task::Copy(task), Found::Blob(blob)) => copy::one::object(lane, task, id, blob).await,
        _ => unreachable!("the planner of a task finds what the task works on"),
    };
    match (result, found) {
        // A line of a list that names no blob: the planner looks what else it is.
        (Err(failure), Found::Blob(blob))
            if failure.is_missing() && !of_destination(&failure) && blob.known == Known::Named =>
        {
            let missing = Failure::not_there(&blob.object());
            let entry = Entry { id, found: Found::Blob(blob) };
            let reported = match &lane.shared.lines {
                Some(lines) => lines.report(entry),
                None => Err(entry),
            };
            if let Err(Entry { id, found }) = reported {
                lane.finish(id, found, Err(missing));
            }
        }
        (result, found) => lane.finish(id, found, result),
    }
}

/// Whether the destination has said so: that says nothing of what is at the source.
fn of_destination(failure: &Failure) -> bool {
    failure.side == Some(Side::Destination)
}

/// Does one piece of work and reports its outcome.
async fn perform<R: FileRing>(lane: &Rc<Lane<R>>, item: Item) {
    match (&lane.shared.task, item) {
        (Task::Upload(_) | Task::Download(_) | Task::Copy(_), Item::One(entry, _busy)) => {
            one(lane, entry).await;
        }
        (Task::Upload(task), Item::Help(Large::Up(file), _busy)) => large::help(lane, task, file).await,
        (Task::Download(task), Item::Help(Large::Down(blob), _busy)) => {
            one::help(lane, task, blob).await;
        }
        (Task::Copy(_), Item::Help(Large::Across(large), _busy)) => copy::large::help(lane, large).await,
        (Task::Copy(task), Item::Help(Large::Pages(pages), _busy)) => {
            copy::pages::help(lane, task, pages).await;
        }
        (Task::Remove(_) | Task::SetProperties(_), Item::Batch(entries, _busy)) => {
            blobs::blobs(lane, entries).await;
        }
        _ => unreachable!("the planner of a task finds what the task works on"),
    }
}

/// What a lane has to do: a job, or a part of one. It ends when the queue has no more work.
pub struct Turn {
    /// What is to be done.
    pub shared: Arc<Shared>,
    /// Takes what it reports.
    pub messages: channel::Sender<Message>,
    /// Told at its end; nobody is told of a lane that dies.
    pub ended: channel::Sender<LaneResult>,
}

/// Runs a lane on the calling thread: one turn after the other, until nobody can give it one any more. Buffers and
/// links stay between turns, which all have to be of one end, and within the budgets of the first. Where its ring
/// cannot be made (locked memory may be used up by other lanes) it reads with threads. `ready` is let go of when the
/// lane has what it needs, or has failed.
pub fn run(
    index: usize,
    share: LaneShare,
    path: &IoPath,
    mut turns: mpsc::UnboundedReceiver<Turn>,
    ready: WaitGroup,
) -> std::io::Result<()> {
    let runtime = LaneRuntime::new(path)
        .or_else(|error| LaneRuntime::new(&IoPath::Threads { reason: error.to_string() }));
    let started = runtime.and_then(|runtime| {
        let files = if runtime.has_ring() { None } else { Some(ThreadFiles::start()?) };
        Ok((runtime, files))
    });
    drop(ready);
    match started {
        Ok((runtime, None)) => runtime.block_on(drive(index, share, UringFiles::default(), turns)),
        Ok((runtime, Some(files))) => runtime.block_on(drive(index, share, files, turns)),
        Err(error) => {
            let text = format!("a lane could not be started: {error}");
            if let Some(Turn { shared, .. }) = turns.blocking_recv() {
                shared.session.verdict.stop_for(&Failure::new(FailureKind::Limit, "", text));
            }
            return Err(error);
        }
    }
    Ok(())
}

struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.session.verdict.give_up();
        }
    }
}

async fn drive<R: FileRing>(
    index: usize,
    share: LaneShare,
    ring: R,
    mut turns: mpsc::UnboundedReceiver<Turn>,
) {
    let mut kept = Kept::new(ring, share);
    while let Some(Turn { shared, messages, ended }) = turns.recv().await {
        // All that runs on this thread during a turn is the turn's.
        let _in = info_span!(parent: &shared.span, "lane", lane = index).entered();
        // If this lane dies, nobody may wait for it.
        let guard = StopOnPanic(Arc::clone(&shared));
        let lane = Lane::new(index, share, kept, shared, messages);
        work(&lane, share.tasks).await;
        let (result, left) = lane.end();
        // Whoever hears of the end may be the last to hold what the threads share.
        drop(guard);
        let _ = ended.send(result);
        let Some(left) = left else { return };
        kept = left;
    }
}

/// One turn.
async fn work<R: FileRing>(lane: &Rc<Lane<R>>, at_once: usize) {
    let items = Rc::new(Items::default());
    let ticker = tokio::task::spawn_local(Rc::clone(lane).tick());
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (lane, items) = (Rc::clone(lane), Rc::clone(&items));
        // A task is never cancelled: an operation in flight keeps its buffer and descriptor to its end.
        tasks.spawn_local(async move {
            while let Some(item) = items.next(&lane).await {
                perform(&lane, item).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
    ticker.abort();
    // It holds the lane until it has noticed.
    let _ = ticker.await;
    lane.flush();
}
