//! What a lane has taken from the queue and its tasks have not begun.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use azuring_job::entry::Entry;
use azuring_ring::FileRing;

use crate::common::queue::{Busy, Work};
use crate::lane::context::Lane;
use crate::object::large::Large;

/// A piece of work for one task of the lane.
pub(super) enum Item {
    One(Entry, Rc<Busy<Large>>),
    Batch(Vec<Entry>, Busy<Large>),
    Help(Large, Busy<Large>),
}

/// Filled from the queue by one task for all of the lane.
#[derive(Default)]
pub(super) struct Items {
    waiting: RefCell<VecDeque<(Entry, Rc<Busy<Large>>)>>,
    refill: tokio::sync::Mutex<()>,
}

impl Items {
    /// Work for one task; `None` when the job has no more, or is stopping.
    pub(super) async fn next<R: FileRing>(&self, lane: &Lane<R>) -> Option<Item> {
        loop {
            if lane.shared.session.verdict.stopping() {
                // What is not started is counted as such; the guards tell the queue that nobody works on it.
                self.waiting.borrow_mut().clear();
                return None;
            }
            if let Some((entry, busy)) = self.waiting.borrow_mut().pop_front() {
                return Some(Item::One(entry, busy));
            }
            // One task fetches for all.
            let _fetching = self.refill.lock().await;
            if !self.waiting.borrow().is_empty() {
                continue;
            }
            match lane.shared.queue.next(lane.index).await? {
                (Work::Help(large), busy) => return Some(Item::Help(large, busy)),
                (Work::Files(batch), busy) if lane.shared.task.takes_batches() => {
                    return Some(Item::Batch(batch, busy));
                }
                (Work::Files(batch), busy) => {
                    let busy = Rc::new(busy);
                    let entries = batch.into_iter().map(|entry| (entry, Rc::clone(&busy)));
                    self.waiting.borrow_mut().extend(entries);
                }
            }
        }
    }
}
