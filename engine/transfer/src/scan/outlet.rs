//! Scans that wait: a task that gives one thing after the other, and goes on when more is asked for.
//!
//! ```text
//!   task:    page ─> give, give, give .. (no room left) ┆ give .. ─> stands ┆ page ─> ..
//!   puller:  next ───────────────────────────────────────> next ────────────> next
//! ```
//!
//! Where the line is dotted the task is stopped, and no request of a single task is in flight: whoever pulls may take
//! its time.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use azuring_plan::order::OrderKey;

use super::{Halt, Met, Scan};

/// What a task gives to whoever pulls.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    met: RefCell<Vec<Met>>,
    /// How much more it may give.
    room: Cell<usize>,
    place: RefCell<Option<Vec<u8>>>,
    order: Cell<Option<OrderKey>>,
}

impl Outlet {
    /// Gives something, when there is room.
    pub(crate) async fn give(&self, met: Met) {
        self.wait().await;
        let stops = matches!(met, Met::Refused(_) | Met::Unfit(_) | Met::Begins);
        self.met.borrow_mut().push(met);
        self.room.update(|room| if stops { 0 } else { room - 1 });
        self.wait().await;
    }

    /// Says where the scan stands behind what was given.
    pub(crate) async fn stands(&self, place: Vec<u8>) {
        self.wait().await;
        self.place.replace(Some(place));
        self.pause().await;
    }

    /// Lets go of what was given: it may be long until there is more.
    pub(crate) async fn pause(&self) {
        self.room.set(0);
        self.wait().await;
    }

    /// Says in which order objects come from here on.
    pub(crate) fn rises(&self, order: Option<OrderKey>) {
        self.order.set(order);
    }

    async fn wait(&self) {
        let room = |_: &mut std::task::Context<'_>| {
            if self.room.get() == 0 { Poll::Pending } else { Poll::Ready(()) }
        };
        std::future::poll_fn(room).await;
    }
}

/// The task.
type Run<'a> = Pin<Box<dyn Future<Output = Result<(), Halt>> + 'a>>;

/// The scan that a task makes.
pub(crate) struct Pulled<'a> {
    /// `None` when it has ended.
    run: Option<Run<'a>>,
    outlet: Rc<Outlet>,
}

impl<'a> Pulled<'a> {
    /// `run` gives to `outlet`.
    pub(crate) fn new(outlet: Rc<Outlet>, run: impl Future<Output = Result<(), Halt>> + 'a) -> Self {
        Self { run: Some(Box::pin(run)), outlet }
    }
}

impl Scan for Pulled<'_> {
    const STANDS_EVERYWHERE: bool = false;

    async fn next(&mut self, room: usize, out: &mut Vec<Met>) -> Result<bool, Halt> {
        let Some(run) = &mut self.run else { return Ok(false) };
        self.outlet.place.replace(None);
        self.outlet.room.set(room);
        // What it gives goes into the caller's memory.
        self.outlet.met.replace(std::mem::take(out));
        let ended = std::future::poll_fn(|context| match run.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if self.outlet.room.get() == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let ended = ended.await;
        *out = self.outlet.met.take();
        if ended.is_some() {
            self.run = None;
        }
        ended.transpose().map(|ended| ended.is_none())
    }

    fn position(&self) -> Option<Vec<u8>> {
        self.outlet.place.borrow().clone()
    }

    fn order(&self) -> Option<OrderKey> {
        self.outlet.order.get()
    }
}
