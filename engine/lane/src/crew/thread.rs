//! The thread of a lane: its runtime, its tasks, and which mover does what they take.

use std::rc::Rc;
use std::sync::Arc;

use azuring_job::entry::{Entry, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::messages::Message;
use azuring_ring::{FileRing, IoPath, LaneRuntime, ThreadFiles, UringFiles};
use crossbeam::channel;
use crossbeam::sync::WaitGroup;
use tokio::task::JoinSet;

use crate::change::blobs;
use crate::common::shared::Shared;
use crate::get::one;
use crate::lane::context::{Lane, LaneResult};
use crate::limits::budget::LaneShare;
use crate::object::large::Large;
use crate::put::{large, object};
use crate::relay;
use crate::task::verb::Task;

use super::items::{Item, Items};

/// Transfers one object and reports its outcome.
async fn one<R: FileRing>(lane: &Rc<Lane<R>>, Entry { id, found }: Entry) {
    let result = match (&lane.shared.task, &found) {
        (Task::Upload(task), found) => object::object(lane, task, id, found).await,
        (Task::Download(task), Found::Blob(blob)) => one::blob(lane, task, id, blob).await,
        (Task::Relay(task), Found::Blob(blob)) => relay::one::object(lane, task, id, blob).await,
        _ => unreachable!("the planner of a task finds what the task works on"),
    };
    match (result, found) {
        // A line of a list that names no blob: the planner looks what else it is.
        (Err(failure), Found::Blob(blob)) if failure.is_missing() && blob.known == Known::Named => {
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

/// Does one piece of work and reports its outcome.
async fn perform<R: FileRing>(lane: &Rc<Lane<R>>, item: Item) {
    match (&lane.shared.task, item) {
        (Task::Upload(_) | Task::Download(_) | Task::Relay(_), Item::One(entry, _busy)) => {
            one(lane, entry).await;
        }
        (Task::Upload(task), Item::Help(Large::Up(file), _busy)) => large::help(lane, task, file).await,
        (Task::Download(task), Item::Help(Large::Down(blob), _busy)) => {
            one::help(lane, task, blob).await;
        }
        (Task::Relay(_), Item::Help(Large::Across(large), _busy)) => relay::large::help(lane, large).await,
        (Task::Remove(_) | Task::SetProperties(_), Item::Batch(entries, _busy)) => {
            blobs::blobs(lane, entries).await;
        }
        _ => unreachable!("the planner of a task finds what the task works on"),
    }
}

/// Runs a lane on the calling thread until there is no more work. Where its ring cannot be made (locked memory
/// may be used up by other lanes) it reads with threads. `ready` is let go of when the lane has what it needs, or has failed.
pub fn run(
    index: usize,
    share: LaneShare,
    path: &IoPath,
    shared: Arc<Shared>,
    messages: channel::Sender<Message>,
    ready: WaitGroup,
) -> std::io::Result<LaneResult> {
    // If this lane dies, nobody may wait for it.
    let _guard = StopOnPanic(Arc::clone(&shared));
    let runtime = LaneRuntime::new(path)
        .or_else(|error| LaneRuntime::new(&IoPath::Threads { reason: error.to_string() }));
    let started = runtime.and_then(|runtime| {
        let files = if runtime.has_ring() { None } else { Some(ThreadFiles::start()?) };
        Ok((runtime, files))
    });
    drop(ready);
    match started {
        Ok((runtime, None)) => {
            Ok(runtime.block_on(drive(index, share, UringFiles::default(), shared, messages)))
        }
        Ok((runtime, Some(files))) => Ok(runtime.block_on(drive(index, share, files, shared, messages))),
        Err(error) => {
            let text = format!("a lane could not be started: {error}");
            shared.session.verdict.stop_for(&Failure::new(FailureKind::Limit, "", text));
            Err(error)
        }
    }
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
    shared: Arc<Shared>,
    messages: channel::Sender<Message>,
) -> LaneResult {
    let lane = Lane::new(index, share, ring, shared, messages);
    let items = Rc::new(Items::default());
    let ticker = tokio::task::spawn_local(Rc::clone(&lane).tick());
    let mut tasks = JoinSet::new();
    for _ in 0..share.tasks {
        let (lane, items) = (Rc::clone(&lane), Rc::clone(&items));
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
    lane.flush();
    lane.result()
}
