//! A lane: one thread with its own runtime, ring, buffers and links.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azuring_azure::{BlobClient, Which};
use azuring_job::entry::Entry;
use azuring_job::entry::{Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::messages::Message;
use azuring_job::outcome::{Done, Event, Outcome, SkippedKind, TransferId};
use azuring_job::progress::{LaneCounters, add};
use azuring_ring::{FileRing, IoPath, LaneRuntime, Pool, ThreadFiles, UringFiles};
use crossbeam::channel;
use crossbeam::sync::WaitGroup;
use hdrhistogram::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::change;
use crate::control::{BlockWindow, ConcurrencyControl, Fixed, Sample};
use crate::download;
use crate::queue::{Busy, Large, Work};
use crate::request::{Cut, Sender};
use crate::session::Session;
use crate::shared::Shared;
use crate::task::Task;
use crate::upload;
use crate::upload::Look;

/// File tasks per lane at least: a cold cache needs this many opens and reads under way.
const MIN_TASKS: usize = 64;
/// Outcomes that are gathered before they are handed over.
const OUTBOX: usize = 64;
/// How often outcomes are handed over even when they are few.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// Large objects with an MD5 that a lane has under way at a time: each has a thread, which does as much as the lane itself.
const SUMS_AT_ONCE: usize = 8;

/// A sample of how blocks go spans at least this.
const SAMPLE_BLOCKS: Duration = Duration::from_millis(100);

/// What a lane leaves behind.
pub struct LaneResult {
    /// Of its requests.
    pub latency_us: Histogram<u64>,
    /// Connections made.
    pub links_opened: u64,
    /// Memory mapped.
    pub pool_bytes: u64,
}

/// Budget of one lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneShare {
    /// Memory of its buffers.
    pub pool_bytes: usize,
    /// Requests at a time.
    pub in_flight: usize,
    /// Objects that are worked on at a time.
    pub(crate) tasks: usize,
}

/// Tasks of a lane with so many requests in flight.
pub(crate) fn tasks_for(in_flight: usize) -> usize {
    MIN_TASKS.max(in_flight + in_flight / 4)
}

/// What the tasks of a lane share.
pub(crate) struct Lane<R> {
    pub(crate) ring: R,
    pub(crate) pool: Pool,
    pub(crate) client: BlobClient,
    pub(crate) shared: Arc<Shared>,
    index: usize,
    share: LaneShare,
    /// One permit per request that may be in flight, served in order.
    permits: Semaphore,
    /// One permit per thread that sums up a large object of this lane.
    sums: Arc<Semaphore>,
    window: RefCell<BlockWindow>,
    load: Load,
    /// Blocks under way, of all large files.
    blocks: Cell<usize>,
    /// Blocks and bytes done since the last sample.
    window_sum: Cell<(usize, u64)>,
    local: RefCell<VecDeque<(Entry, Rc<Busy>)>>,
    refill: tokio::sync::Mutex<()>,
    outbox: RefCell<Vec<Outcome>>,
    messages: channel::Sender<Message>,
    notice: Box<dyn Fn(&str)>,
    latency_us: RefCell<Histogram<u64>>,
    cut: Cut,
}

/// A piece of work for one task of the lane.
enum Item {
    One(Entry, Rc<Busy>),
    Batch(Vec<Entry>, Busy),
    Help(Large, Busy),
}

/// How a transfer ended that did not fail.
pub(crate) enum Ended {
    /// It is done.
    Done {
        /// The object's length.
        bytes: u64,
    },
    /// The object stays as it was.
    Skipped(SkippedKind),
    /// Several lanes worked on it; the one that did the last piece reports it.
    Elsewhere,
}

/// Transfers one object and reports its outcome.
pub(crate) async fn one<R: FileRing>(lane: &Rc<Lane<R>>, Entry { id, found }: Entry) {
    let result = match (&lane.shared.task, &found) {
        (Task::Upload(task), found) => upload::object(lane, task, id, found).await,
        (Task::Download(task), Found::Blob(blob)) => download::blob(lane, task, id, blob).await,
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
        (Task::Upload(_) | Task::Download(_), Item::One(entry, _busy)) => one(lane, entry).await,
        (Task::Upload(task), Item::Help(Large::Up(file), _busy)) => upload::help(lane, task, file).await,
        (Task::Download(task), Item::Help(Large::Down(blob), _busy)) => {
            download::help(lane, task, blob).await;
        }
        (Task::Remove(_) | Task::SetProperties(_), Item::Batch(entries, _busy)) => {
            change::blobs(lane, entries).await;
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
            shared.session.verdict.fatal(&Failure::new(FailureKind::Limit, "", text));
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
    let lane = Rc::new(Lane {
        ring,
        pool: Pool::new(share.pool_bytes),
        client: shared.session.client(),
        index,
        share,
        permits: Semaphore::new(share.in_flight),
        sums: Arc::new(Semaphore::new(SUMS_AT_ONCE)),
        window: RefCell::new(BlockWindow::new(share.in_flight)),
        load: Load::new(),
        blocks: Cell::new(0),
        window_sum: Cell::new((0, 0)),
        local: RefCell::default(),
        refill: tokio::sync::Mutex::new(()),
        outbox: RefCell::default(),
        notice: {
            let messages = messages.clone();
            // The collector outlives the lanes.
            Box::new(move |text| drop(messages.send(Message::Event(Event::Notice(text.to_owned())))))
        },
        messages,
        latency_us: RefCell::new(new_histogram()),
        cut: Cut::default(),
        shared,
    });
    let ticker = tokio::task::spawn_local(tick(Rc::clone(&lane)));
    let mut tasks = JoinSet::new();
    for _ in 0..share.tasks {
        let lane = Rc::clone(&lane);
        // A task is never cancelled: an operation in flight keeps its buffer and descriptor to its end.
        tasks.spawn_local(async move {
            while let Some(item) = lane.next_item().await {
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
    LaneResult {
        latency_us: lane.latency_us.borrow().clone(),
        links_opened: lane.client.links().stats().opened,
        pool_bytes: lane.pool.mapped_bytes() as u64,
    }
}

/// Microseconds from 1 to an hour, two digits exact: 20 KiB.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("the bounds are valid")
}

/// Hands outcomes over in time, and asks the controller once a second.
async fn tick<R: FileRing>(lane: Rc<Lane<R>>) {
    let mut control = Fixed(lane.share.in_flight);
    let mut limit = lane.share.in_flight;
    let (mut answered, mut throttled) = (0, 0);
    let mut every = tokio::time::interval(FLUSH_EVERY);
    let load = Load::new();
    for n in 1u64.. {
        every.tick().await;
        lane.flush();
        lane.cut.look(&lane.session().verdict);
        if n.is_multiple_of(10) {
            let counters = lane.counters();
            let now =
                |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
            let (a, t) = (now(&counters.requests), now(&counters.throttled));
            let sample = Sample { answered: a - answered, throttled: t - throttled, busy: load.since_last() };
            (answered, throttled) = (a, t);
            let wanted = control.limit(&sample).max(1);
            if wanted > limit {
                lane.permits.add_permits(wanted - limit);
            } else if wanted < limit {
                lane.permits.forget_permits(limit - wanted);
            }
            limit = wanted;
        }
    }
}

impl<R: FileRing> Lane<R> {
    pub(crate) fn counters(&self) -> &LaneCounters {
        self.shared.session.progress.lane(self.index)
    }

    pub(crate) fn lanes(&self) -> usize {
        self.shared.lanes
    }

    /// Asks other lanes for help with a large object of so many pieces.
    pub(crate) fn offer(&self, large: &Large, pieces: u32) {
        let most = (self.lanes() - 1).min(pieces as usize - 1);
        self.shared.queue.offer(self.index, large, most);
    }

    pub(crate) fn session(&self) -> &Session {
        &self.shared.session
    }

    /// Sends this lane's requests.
    pub(crate) fn sender(&self) -> Sender<'_> {
        Sender {
            session: self.session(),
            counters: self.counters(),
            permits: &self.permits,
            latency_us: &self.latency_us,
            notice: &self.notice,
            cut: &self.cut,
        }
    }

    /// Asks about a blob of this percent-encoded name.
    pub(crate) fn look<'a>(&'a self, blob: &'a str) -> Look<'a> {
        Look { client: &self.client, sender: self.sender(), blob, which: Which::default() }
    }

    /// Waits until another large object of this lane may be summed up. Whoever waits holds no buffers: those under way need
    /// them to come to their end.
    pub(crate) async fn turn_to_sum(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.sums).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Work for one task; `None` when the job has no more, or is stopping.
    async fn next_item(&self) -> Option<Item> {
        loop {
            if self.shared.session.verdict.stopping() {
                // What is not started is counted as such; the guards tell the queue that nobody works on it.
                self.local.borrow_mut().clear();
                return None;
            }
            if let Some((entry, busy)) = self.local.borrow_mut().pop_front() {
                return Some(Item::One(entry, busy));
            }
            // One task fetches for all.
            let _fetching = self.refill.lock().await;
            if !self.local.borrow().is_empty() {
                continue;
            }
            match self.shared.queue.next(self.index).await? {
                (Work::Help(large), busy) => return Some(Item::Help(large, busy)),
                (Work::Files(batch), busy) if self.shared.task.takes_batches() => {
                    return Some(Item::Batch(batch, busy));
                }
                (Work::Files(batch), busy) => {
                    let busy = Rc::new(busy);
                    let entries = batch.into_iter().map(|entry| (entry, Rc::clone(&busy)));
                    self.local.borrow_mut().extend(entries);
                }
            }
        }
    }

    /// Reports how a transfer ended.
    pub(crate) fn finish(&self, id: TransferId, found: Found, result: Result<Ended, Box<Failure>>) {
        let (counters, task, session) = (self.counters(), &self.shared.task, self.session());
        let transfer = || Box::new(task.transfer(session, &found));
        let entity = found.entity();
        let outcome = match result {
            Ok(Ended::Elsewhere) => return,
            Ok(Ended::Done { bytes }) => {
                add(&counters.done, 1);
                session.verdict.wrote();
                let object = session.options.report_objects.then(transfer);
                let length =
                    if matches!(found, Found::Blob(_)) { task.length(&found).max(bytes) } else { bytes };
                Outcome { id, entity, bytes, length, object, result: Ok(Done::Whole) }
            }
            Ok(Ended::Skipped(kind)) => {
                add(&counters.skipped, 1);
                let (length, object) = (task.length(&found), Some(transfer()));
                Outcome { id, entity, bytes: 0, length, object, result: Ok(Done::Skipped(kind)) }
            }
            // The job's end is not this object's failure: it is done when the job goes on.
            Err(failure) if task.is_blocked(session, &found, &failure) => return,
            Err(failure) => {
                let Some(outcome) = self.shared.not_done(Entry { id, found }, failure) else { return };
                add(&counters.failed, 1);
                outcome
            }
        };
        self.report(outcome);
    }

    /// Reports an outcome.
    pub(crate) fn report(&self, outcome: Outcome) {
        let mut outbox = self.outbox.borrow_mut();
        outbox.push(outcome);
        if outbox.len() >= OUTBOX {
            let full = std::mem::replace(&mut *outbox, Vec::with_capacity(OUTBOX));
            drop(outbox);
            self.send(Message::Outcomes(full));
        }
    }

    fn flush(&self) {
        let outcomes = std::mem::take(&mut *self.outbox.borrow_mut());
        if !outcomes.is_empty() {
            self.send(Message::Outcomes(outcomes));
        }
    }

    fn send(&self, message: Message) {
        // The collector outlives the lanes.
        let _ = self.messages.send(message);
    }

    /// Whether this lane should have another block of a large file under way.
    pub(crate) fn has_room_for_block(&self) -> bool {
        self.blocks.get() < self.window.borrow().blocks()
    }

    /// Counts blocks under way.
    pub(crate) fn blocks(&self) -> &Cell<usize> {
        &self.blocks
    }

    /// Called when a block is done.
    pub(crate) fn sample_window(&self, bytes: u64) {
        let (blocks, sum) = self.window_sum.get();
        self.window_sum.set((blocks + 1, sum + bytes));
        let mut window = self.window.borrow_mut();
        // Two rounds at least: a rate of single blocks says nothing.
        if blocks + 1 >= 2 * window.blocks()
            && let Some((busy, seconds)) = self.load.since(SAMPLE_BLOCKS)
        {
            let (_, sum) = self.window_sum.replace((0, 0));
            window.sample(busy, sum as f64 / seconds);
        }
    }
}

/// How busy the lane's thread is: the runtime's own account of the time it was not parked.
struct Load {
    last: Cell<(Instant, Duration)>,
}

impl Load {
    fn new() -> Self {
        Self { last: Cell::new((Instant::now(), busy_time())) }
    }

    /// The share of time since the last call, 0 to 1.
    fn since_last(&self) -> f64 {
        self.since(Duration::ZERO).map_or(1.0, |(busy, _)| busy)
    }

    /// The same with the seconds that have passed; `None` when they are less than `least`.
    fn since(&self, least: Duration) -> Option<(f64, f64)> {
        let (then, busy_then) = self.last.get();
        let wall = then.elapsed();
        if wall < least || wall.is_zero() {
            return None;
        }
        let busy = busy_time();
        self.last.set((Instant::now(), busy));
        let seconds = wall.as_secs_f64();
        Some((busy.saturating_sub(busy_then).as_secs_f64() / seconds, seconds))
    }
}

fn busy_time() -> Duration {
    tokio::runtime::Handle::current().metrics().worker_total_busy_duration(0)
}
