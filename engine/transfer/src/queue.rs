//! The way from the planner to the lanes: bounded, in batches.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use azuring_local::RelPath;
use crossbeam::queue::ArrayQueue;
use tokio::sync::Notify;

use crate::large::LargeFile;
use crate::outcome::TransferId;
use crate::verdict::Verdict;

/// Files in a batch. Large enough that handing it over costs nothing per file, small enough that the last
/// batches of a job spread over the lanes.
pub(crate) const BATCH_FILES: usize = 64;
/// Batches that wait for a lane: 16,384 files, some 2 MB of names.
const WAITING_BATCHES: usize = 256;
/// Large files whose blocks other lanes may help with. A lane that finds no room sends the blocks alone.
const WAITING_LARGE: usize = 64;

/// One file to transfer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: TransferId,
    pub(crate) path: RelPath,
}

/// What a lane takes from the queue.
#[derive(Debug)]
pub(crate) enum Work {
    /// Files in the order of the walk.
    Files(Vec<Entry>),
    /// A file whose blocks another lane has begun to send.
    Help(Arc<LargeFile>),
}

/// Kept as long as a piece of work is being done.
pub(crate) struct Busy {
    queue: Arc<WorkQueue>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let queue = &self.queue;
        if queue.unfinished.fetch_sub(1, Ordering::SeqCst) == 1 && queue.closed.load(Ordering::SeqCst) {
            queue.ready.notify_waiters();
            queue.ready.notify_one();
        }
    }
}

/// Bounded hand-over from one planner thread to the lanes.
pub(crate) struct WorkQueue {
    files: ArrayQueue<Vec<Entry>>,
    large: ArrayQueue<Arc<LargeFile>>,
    closed: AtomicBool,
    /// Pieces of work taken and not finished. While there are any, a large file may still ask for help, so no
    /// lane leaves.
    unfinished: AtomicUsize,
    /// Wakes one lane that found nothing.
    ready: Notify,
    /// Wakes the planner that found no room.
    room: Condvar,
    room_lock: Mutex<()>,
}

impl WorkQueue {
    pub(crate) fn new() -> Self {
        Self {
            files: ArrayQueue::new(WAITING_BATCHES),
            large: ArrayQueue::new(WAITING_LARGE),
            closed: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
            ready: Notify::new(),
            room: Condvar::new(),
            room_lock: Mutex::new(()),
        }
    }

    /// Hands over a batch; blocks while there is no room. `false`: the job is stopping and the batch was dropped.
    pub(crate) fn push(&self, batch: Vec<Entry>, verdict: &Verdict) -> bool {
        let mut batch = batch;
        loop {
            if verdict.stopping() {
                return false;
            }
            match self.files.push(batch) {
                Ok(()) => {
                    self.ready.notify_one();
                    return true;
                }
                Err(back) => batch = back,
            }
            let guard = self.room_lock.lock().expect("nothing panics while the lock is held");
            if self.files.is_full() {
                // The time limit covers a stop that nobody signals here.
                let _ = self
                    .room
                    .wait_timeout(guard, Duration::from_millis(50))
                    .expect("nothing panics while the lock is held");
            }
        }
    }

    /// Asks `lanes` other lanes to help with a large file. They are told at once.
    pub(crate) fn offer(&self, file: &Arc<LargeFile>, lanes: usize) {
        for _ in 0..lanes {
            if self.large.push(Arc::clone(file)).is_err() {
                return;
            }
            self.ready.notify_one();
        }
    }

    /// Says that no further batch will come.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.ready.notify_waiters();
        self.ready.notify_one();
    }

    /// The next piece of work; `None` once the queue is closed, empty, and nothing taken from it is unfinished.
    ///
    /// Large files first: their blocks are what the job may have to wait for at its end.
    pub(crate) async fn next(self: &Arc<Self>) -> Option<(Work, Busy)> {
        loop {
            let notified = self.ready.notified();
            tokio::pin!(notified);
            // Registered before looking, so that a hand-over in between is not missed.
            notified.as_mut().enable();
            // Counted before looking: a lane that sees nothing unfinished may leave.
            self.unfinished.fetch_add(1, Ordering::SeqCst);
            if let Some(work) = self.pop() {
                return Some((work, Busy { queue: Arc::clone(self) }));
            }
            let last = self.unfinished.fetch_sub(1, Ordering::SeqCst) == 1;
            if last && self.closed.load(Ordering::SeqCst) {
                // Another lane may wait as well.
                self.ready.notify_waiters();
                self.ready.notify_one();
                return None;
            }
            notified.await;
        }
    }

    fn pop(&self) -> Option<Work> {
        if let Some(file) = self.large.pop() {
            return Some(Work::Help(file));
        }
        let batch = self.files.pop()?;
        let _guard = self.room_lock.lock().expect("nothing panics while the lock is held");
        self.room.notify_one();
        Some(Work::Files(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::StopHandle;

    fn batch(n: u64) -> Vec<Entry> {
        vec![Entry { id: TransferId::nth(n), path: RelPath::new(&b"x"[..]) }]
    }

    #[test]
    fn every_batch_reaches_exactly_one_lane_and_the_planner_is_held_back() {
        let queue = Arc::new(WorkQueue::new());
        let total = 5 * WAITING_BATCHES as u64;
        let lanes: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let mut got = Vec::new();
                        while let Some((Work::Files(batch), _busy)) = queue.next().await {
                            got.extend(batch.into_iter().map(|entry| entry.id));
                        }
                        got
                    })
                })
            })
            .collect();
        let verdict = Verdict::default();
        for n in 0..total {
            assert!(queue.push(batch(n), &verdict));
        }
        queue.close();
        let mut all: Vec<_> = lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect();
        all.sort();
        assert_eq!(all, (0..total).map(TransferId::nth).collect::<Vec<_>>());
    }

    #[test]
    fn a_stop_frees_a_planner_that_waits_for_room() {
        let queue = Arc::new(WorkQueue::new());
        let stop = StopHandle::new();
        let verdict = Verdict::new(stop.clone());
        for n in 0..WAITING_BATCHES as u64 {
            assert!(queue.push(batch(n), &verdict));
        }
        let waiting = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.push(batch(0), &verdict))
        };
        stop.stop();
        assert!(!waiting.join().unwrap());
    }
}
