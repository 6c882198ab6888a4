//! Blocking threads of a lane, and the choice of when to use them.

use std::cell::{Cell, OnceCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Sender, bounded};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Threads per lane. Reads that miss the page cache sleep in the kernel, so several are needed to keep a
/// disk busy; on a warm cache two are enough.
const THREADS: usize = 8;
/// Jobs that may wait for a thread; a lane has fewer file tasks than this, so a send does not block.
const WAITING_JOBS: usize = 4096;

/// A lane's blocking threads; they end when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Workers {
    jobs: Sender<Job>,
}

impl Workers {
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, work) = bounded::<Job>(WAITING_JOBS);
        for n in 0..THREADS {
            let work = work.clone();
            std::thread::Builder::new().name(format!("files-{n}")).spawn(move || {
                for job in work {
                    job();
                }
            })?;
        }
        Ok(Self { jobs })
    }

    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, wait) = oneshot::channel();
        self.jobs
            .send(Box::new(move || drop(answer.send(job()))))
            .expect("the threads live as long as this handle");
        wait.await.expect("a job answers: it does not panic")
    }
}

/// A file system that answers in this time is asked on the lane's own thread: handing a job to another thread and back
/// costs 17 us, creating and writing a small file in memory 10 to 40. A slower one (a network file system, a journal
/// that is full) would stop everything else the lane does.
const SLOW: Duration = Duration::from_micros(1000);
/// A file system that was slow is trusted again from here on.
const QUICK: Duration = Duration::from_micros(400);

/// Carries out blocking operations where they cost least, as measured on the last few.
#[derive(Clone, Default)]
pub(crate) struct Blocking(Rc<State>);

#[derive(Default)]
struct State {
    /// Mean time of an operation, weighted 1 to 7 in favour of the past, nanoseconds.
    mean_ns: Cell<u64>,
    slow: Cell<bool>,
    workers: OnceCell<Option<Workers>>,
}

impl Blocking {
    /// With threads that are there already.
    pub(crate) fn with(workers: Workers) -> Self {
        let this = Self::default();
        let _ = this.0.workers.set(Some(workers));
        this
    }

    /// Runs `job`, whose cost is that of `units` ordinary operations.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        units: u32,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let timed = move || {
            let begun = Instant::now();
            (job(), begun.elapsed())
        };
        // Where the system refuses threads, the lane waits itself.
        let workers =
            self.0.slow.get().then(|| self.0.workers.get_or_init(|| Workers::start().ok()).as_ref());
        let (result, took) = match workers.flatten() {
            Some(workers) => workers.run(timed).await,
            None => timed(),
        };
        self.note(took / units.max(1));
        result
    }

    fn note(&self, took: Duration) {
        let state = &*self.0;
        let took = took.as_nanos().min(u128::from(u32::MAX) * 16) as u64;
        let mean = (state.mean_ns.get() * 7 + took) / 8;
        state.mean_ns.set(mean);
        let limit = if state.slow.get() { QUICK } else { SLOW };
        state.slow.set(u128::from(mean) > limit.as_nanos());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_operations_move_to_threads_and_quick_ones_come_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let blocking = Blocking::default();
            let here = std::thread::current().id();
            let who = || std::thread::current().id();
            assert_eq!(blocking.run(1, who).await, here);
            blocking.note(Duration::from_millis(100));
            assert_ne!(blocking.run(1, who).await, here);
            for _ in 0..60 {
                blocking.note(Duration::from_micros(10));
            }
            assert_eq!(blocking.run(1, who).await, here);
        });
    }
}
