//! The way from the planner to the lanes: bounded, in batches.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use azuring_job::entry::Entry;
use azuring_job::verdict::Verdict;
use crossbeam::queue::ArrayQueue;
use tokio::sync::Notify;

/// Files in a batch. Large enough that handing it over costs nothing per file, small enough that the last
/// batches of a job spread over the lanes.
pub const BATCH_FILES: usize = 64;
/// Batches that wait for a lane: 16,384 files, some 2 MB of names.
const WAITING_BATCHES: usize = 256;
/// Large files that wait for one lane's help.
const WAITING_LARGE: usize = 64;

/// What a lane takes from the queue.
#[derive(Debug)]
pub(crate) enum Work<L> {
    /// Files in the order of the walk.
    Files(Vec<Entry>),
    /// A large object that another lane has begun.
    Help(L),
}

/// Kept as long as a piece of work is being done.
pub(crate) struct Busy<L> {
    queue: Arc<WorkQueue<L>>,
}

impl<L> Drop for Busy<L> {
    fn drop(&mut self) {
        let queue = &self.queue;
        if queue.unfinished.fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        if queue.closed.load(Ordering::SeqCst) {
            queue.wake_lanes();
        } else {
            // The planner may wait for the end of everything.
            queue.room.notify_one();
        }
    }
}

/// Where one lane waits.
struct Door<L> {
    /// Large objects that other lanes want help with.
    help: ArrayQueue<L>,
    /// Wakes the lane. Costs nothing while it is not waiting.
    ready: Notify,
}

/// Bounded hand-over from one planner thread to the lanes. `L`: a large object, which lanes hand to each other.
pub struct WorkQueue<L> {
    files: ArrayQueue<Vec<Entry>>,
    doors: Vec<Door<L>>,
    closed: AtomicBool,
    /// Pieces of work taken and not finished. While there are any, a large file may still ask for help, so no
    /// lane leaves.
    unfinished: AtomicUsize,
    /// Wakes the planner that found no room.
    room: Condvar,
    room_lock: Mutex<()>,
}

impl<L> WorkQueue<L> {
    /// A queue that so many lanes take from.
    pub fn new(lanes: usize) -> Self {
        let door = || Door { help: ArrayQueue::new(WAITING_LARGE), ready: Notify::new() };
        Self {
            files: ArrayQueue::new(WAITING_BATCHES),
            doors: (0..lanes).map(|_| door()).collect(),
            closed: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
            room: Condvar::new(),
            room_lock: Mutex::new(()),
        }
    }

    /// Hands over a batch; blocks while there is no room. `false`: the job is stopping and the batch was dropped.
    pub fn push(&self, mut batch: Vec<Entry>, verdict: &Verdict) -> bool {
        loop {
            if verdict.stopping() {
                return false;
            }
            match self.files.push(batch) {
                Ok(()) => {
                    self.wake_lanes();
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

    /// Waits until everything that was handed over is done; `false`: the job is stopping.
    pub fn wait_until_done(&self, verdict: &Verdict) -> bool {
        loop {
            if verdict.stopping() {
                return false;
            }
            // A lane counts itself before it takes something, so that what it has taken shows in the one or the other.
            if self.files.is_empty() && self.unfinished.load(Ordering::SeqCst) == 0 {
                return true;
            }
            let guard = self.room_lock.lock().expect("nothing panics while the lock is held");
            // The time limit covers a lane that is done just now, and a stop.
            let _ = self
                .room
                .wait_timeout(guard, Duration::from_millis(10))
                .expect("nothing panics while the lock is held");
        }
    }

    /// Asks the lanes other than `lane`, at most `most` of them, to help with a large object.
    pub(crate) fn offer(&self, lane: usize, large: &L, most: usize)
    where
        L: Clone,
    {
        // From the next lane on, so that not always the same are asked.
        let others = self.doors.iter().cycle().skip(lane + 1).take(self.doors.len() - 1);
        for door in others.take(most) {
            // A lane with so many to help with has enough to do.
            if door.help.push(large.clone()).is_ok() {
                door.ready.notify_one();
            }
        }
    }

    /// Says that no further batch will come.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake_lanes();
    }

    fn wake_lanes(&self) {
        for door in &self.doors {
            door.ready.notify_one();
        }
    }

    /// The next piece of work for `lane`; `None` once the queue is closed, empty, and nothing taken from it is
    /// unfinished. A lane has one caller of this at a time.
    ///
    /// Large files first: their blocks are what the job may have to wait for at its end.
    pub(crate) async fn next(self: &Arc<Self>, lane: usize) -> Option<(Work<L>, Busy<L>)> {
        loop {
            // Counted before looking: a lane that sees nothing unfinished may leave.
            self.unfinished.fetch_add(1, Ordering::SeqCst);
            if let Some(work) = self.pop(lane) {
                return Some((work, Busy { queue: Arc::clone(self) }));
            }
            let last = self.unfinished.fetch_sub(1, Ordering::SeqCst) == 1;
            if last && self.closed.load(Ordering::SeqCst) {
                // The others may have seen this lane's own count and wait.
                self.wake_lanes();
                return None;
            }
            // A wake-up since the look above is kept, so none is missed.
            self.doors[lane].ready.notified().await;
        }
    }

    fn pop(&self, lane: usize) -> Option<Work<L>> {
        if let Some(large) = self.doors[lane].help.pop() {
            return Some(Work::Help(large));
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
    use azuring_job::entry::Found;
    use azuring_job::outcome::TransferId;
    use azuring_job::verdict::StopHandle;

    fn batch(n: u64) -> Vec<Entry> {
        let path = azuring_local::RelPath::new(&b"x"[..]);
        vec![Entry { id: TransferId::nth(n), found: Found::File(path) }]
    }

    #[test]
    fn every_batch_reaches_exactly_one_lane_and_the_planner_is_held_back() {
        let queue = Arc::new(WorkQueue::<()>::new(3));
        let total = 5 * WAITING_BATCHES as u64;
        let lanes: Vec<_> = (0..3)
            .map(|lane| {
                let queue = Arc::clone(&queue);
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let mut got = Vec::new();
                        while let Some((Work::Files(batch), _busy)) = queue.next(lane).await {
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
        let queue = Arc::new(WorkQueue::<()>::new(1));
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
