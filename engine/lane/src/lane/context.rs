//! What the tasks of a lane share: its ring, buffers, links and budgets. A lane knows no mover.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use azuring_azure::Which;
use azuring_job::entry::{Entry, Found};
use azuring_job::failure::{Failure, Side};
use azuring_job::messages::Message;
use azuring_job::outcome::{Done, Event, Outcome, SkippedKind, TransferId};
use azuring_job::progress::{LaneCounters, add};
use azuring_job::way::Decision;
use azuring_link::Links;
use azuring_ring::{FileRing, Pool};
use crossbeam::channel;
use hdrhistogram::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::common::shared::Shared;
use crate::limits::budget::LaneShare;
use crate::limits::control::{BlockWindow, ConcurrencyControl, Fixed, Sample};
use crate::object::large::Large;
use crate::requests::client::Client;
use crate::requests::ends::Ends;
use crate::requests::look::Look;
use crate::requests::request::{Cut, Sender, new_histogram};
use crate::requests::session::Session;
use crate::requests::staging::Staging;

use super::load::Load;

/// How often outcomes are handed over even when they are few.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// Outcomes that are gathered before they are handed over.
const OUTBOX: usize = 64;
/// Large objects with an MD5 that a lane has under way at a time: each has a thread, which does as much as the lane
/// itself.
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
    /// Whether it waits for another turn.
    pub stays: bool,
}

/// What a lane keeps from one turn to the next.
pub(crate) struct Kept<R> {
    ring: R,
    pool: Pool,
    /// Made in the first turn.
    clients: Option<Ends<Client>>,
}

impl<R> Kept<R> {
    /// Nothing but a ring.
    pub(crate) fn new(ring: R, share: LaneShare) -> Self {
        Self { ring, pool: Pool::new(share.pool_bytes), clients: None }
    }
}

/// What the tasks of a lane share.
pub(crate) struct Lane<R> {
    pub(crate) ring: R,
    pub(crate) pool: Pool,
    clients: Ends<Client>,
    staging: Option<Client>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
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
    outbox: RefCell<Vec<Outcome>>,
    messages: channel::Sender<Message>,
    notice: Box<dyn Fn(&str)>,
    latency_us: RefCell<Histogram<u64>>,
    cut: Cut,
    /// Connections that were made before.
    links_before: u64,
}

/// Connections that clients have made.
fn opened(clients: &Ends<Client>) -> u64 {
    clients.each().filter_map(Client::links).map(|links| links.stats().opened).sum()
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

impl<R: FileRing> Lane<R> {
    /// The `index`th lane of a job. Needs the lane's runtime.
    pub(crate) fn new(
        index: usize,
        share: LaneShare,
        Kept { ring, pool, clients }: Kept<R>,
        shared: Arc<Shared>,
        messages: channel::Sender<Message>,
    ) -> Rc<Self> {
        let clients = clients.unwrap_or_else(|| shared.session.clients());
        Rc::new(Self {
            ring,
            pool,
            links_before: opened(&clients),
            staging: shared.session.staging_client(),
            clients,
            index,
            share,
            permits: Semaphore::new(share.in_flight),
            sums: Arc::new(Semaphore::new(SUMS_AT_ONCE)),
            window: RefCell::new(BlockWindow::new(share.in_flight)),
            load: Load::new(),
            blocks: Cell::new(0),
            window_sum: Cell::new((0, 0)),
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
        })
    }

    /// What it leaves when it has nothing to do any more, and what it keeps, if nobody else holds it.
    pub(crate) fn end(self: Rc<Self>) -> (LaneResult, Option<Kept<R>>) {
        let mut result = LaneResult {
            latency_us: self.latency_us.replace(new_histogram()),
            links_opened: opened(&self.clients) - self.links_before,
            pool_bytes: self.pool.mapped_bytes() as u64,
            stays: false,
        };
        let kept = Rc::into_inner(self);
        let kept = kept.map(|Self { ring, pool, clients, .. }| Kept { ring, pool, clients: Some(clients) });
        result.stays = kept.is_some();
        (result, kept)
    }

    /// Hands outcomes over in time, and asks the controller once a second.
    pub(crate) async fn tick(self: Rc<Self>) {
        let mut control = Fixed(self.share.in_flight);
        let mut limit = self.share.in_flight;
        let (mut answered, mut throttled) = (0, 0);
        let mut every = tokio::time::interval(FLUSH_EVERY);
        let load = Load::new();
        for n in 1u64.. {
            every.tick().await;
            self.flush();
            self.cut.look(&self.session().verdict);
            if n.is_multiple_of(10) {
                let counters = self.counters();
                let now = |counter: &std::sync::atomic::AtomicU64| {
                    counter.load(std::sync::atomic::Ordering::Relaxed)
                };
                let (a, t) = (now(&counters.requests), now(&counters.throttled));
                let sample =
                    Sample { answered: a - answered, throttled: t - throttled, busy: load.since_last() };
                (answered, throttled) = (a, t);
                let wanted = control.limit(&sample).max(1);
                if wanted > limit {
                    self.permits.add_permits(wanted - limit);
                } else if wanted < limit {
                    self.permits.forget_permits(limit - wanted);
                }
                limit = wanted;
            }
        }
    }

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

    /// The client of the end that objects are read from.
    pub(crate) fn from(&self) -> &Client {
        self.clients.from()
    }

    /// The client of the end that objects are written to, changed or removed.
    pub(crate) fn to(&self) -> &Client {
        self.clients.to()
    }

    /// The account between both ends, if there is one.
    pub(crate) fn staging(&self) -> Option<(&Staging, &Client)> {
        self.shared.session.staging.as_ref().zip(self.staging.as_ref())
    }

    /// The links of all ends.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Links> + Clone {
        self.clients.each().chain(&self.staging).filter_map(Client::links)
    }

    fn sender(&self, side: Side) -> Sender<'_> {
        Sender {
            session: self.session(),
            side,
            reads_source: false,
            counters: self.counters(),
            permits: &self.permits,
            latency_us: &self.latency_us,
            notice: &self.notice,
            cut: &self.cut,
        }
    }

    /// Sends this lane's requests to the end that objects are read from.
    pub(crate) fn reading(&self) -> Sender<'_> {
        self.sender(Side::Source)
    }

    /// Sends this lane's requests to the end that objects are written to, changed or removed.
    pub(crate) fn writing(&self) -> Sender<'_> {
        self.sender(Side::Destination)
    }

    /// The same of requests for which the service reads the source.
    pub(crate) fn copying(&self) -> Sender<'_> {
        Sender { reads_source: true, ..self.writing() }
    }

    /// Tells a person something.
    pub(crate) fn notice(&self, text: &str) {
        (self.notice)(text);
    }

    /// Records and tells which way bytes go from now on.
    pub(crate) fn tell_way(&self, decision: Decision) {
        if let Some(durable) = &self.shared.durable
            && let Err(failure) = durable.way(&decision)
        {
            self.session().verdict.stop_for(&failure);
        }
        self.send(Message::Event(Event::Way(Box::new(decision))));
    }

    /// Asks about an object of this percent-encoded name where objects are written.
    pub(crate) fn look<'a>(&'a self, blob: &'a str) -> Look<'a> {
        Look { client: self.to(), sender: self.writing(), blob, which: Which::default() }
    }

    /// The same where objects are read, of this state.
    pub(crate) fn look_at_source<'a>(&'a self, blob: &'a str, which: Which<'a>) -> Look<'a> {
        Look { client: self.from(), sender: self.reading(), blob, which }
    }

    /// Waits until another large object of this lane may be summed up. Whoever waits holds no buffers: those under way
    /// need them to come to their end.
    pub(crate) async fn turn_to_sum(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.sums).acquire_owned().await.expect("the semaphore is never closed")
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
                Outcome::new(id, entity, Ok(Done::Whole)).bytes(bytes).length(length).object(object)
            }
            Ok(Ended::Skipped(kind)) => {
                add(&counters.skipped, 1);
                let (length, object) = (task.length(&found), Some(transfer()));
                Outcome::new(id, entity, Ok(Done::Skipped(kind))).length(length).object(object)
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

    /// Hands over what is waiting.
    pub(crate) fn flush(&self) {
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
