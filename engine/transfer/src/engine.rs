//! What several jobs of one process share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use azuring_job::job_error::JobError;
use azuring_job::options::{JobOptions, Limits, MIN_MEMORY_BYTES};
use azuring_lane::budget;
use azuring_lane::budget::LaneShare;
use azuring_lane::commons::Commons;

/// A stop is noticed this soon by a job that waits for its turn.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Jobs at a time where nothing else is said.
const JOBS: usize = 4;

/// What an engine's jobs may use, all together.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EngineLimits {
    /// Memory and requests in flight of all jobs together. Lanes are not shared: each job has at most so many, because
    /// they are threads, and the kernel shares the cores.
    pub limits: Limits,
    /// Jobs that run at the same time; others wait for their turn. The least memory is kept for each of them.
    pub jobs: usize,
    /// Bytes per second on all links of all jobs; `None` is no limit.
    pub cap_bytes_per_second: Option<f64>,
    /// Requests per second of all jobs together; `None` is no limit.
    pub cap_requests_per_second: Option<f64>,
}

impl EngineLimits {
    /// Four jobs at a time within `limits`, and no limit per second.
    pub fn new(limits: Limits) -> Self {
        Self { limits, jobs: JOBS, cap_bytes_per_second: None, cap_requests_per_second: None }
    }

    /// Sets how many jobs run at the same time, at least 1.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs.max(1);
        self
    }

    /// Limits bytes per second of all jobs together; more than 0.
    pub fn cap_bytes_per_second(mut self, bytes: f64) -> Self {
        self.cap_bytes_per_second = Some(bytes);
        self
    }

    /// Limits requests per second of all jobs together; more than 0.
    pub fn cap_requests_per_second(mut self, requests: f64) -> Self {
        self.cap_requests_per_second = Some(requests);
        self
    }
}

/// Budgets that several jobs share. Clones are the same engine.
///
/// - **Memory.** A job leases memory when it begins, and gives it back at its end. It gets what it wants from what is
///   free. The least that a job needs is kept for each job that could still begin. If too little is free, the job
///   waits; first come, first served.
/// - **Requests in flight.** One pool of permits for all jobs; first come, first served. A job that is alone has all.
///   Two kinds of request need no permit: renewals of a page blob's lease, which the requests in flight depend on, and
///   commands such as [`crate::list`].
/// - **Bytes and requests per second.** One limit for all jobs, in addition to each job's own.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: EngineLimits,
    commons: Arc<Commons>,
    free: Mutex<Free>,
    /// Something was given back, or somebody does not wait any more.
    changed: Condvar,
}

#[derive(Debug)]
struct Free {
    memory_bytes: u64,
    jobs: usize,
    /// Tickets of those who wait, in their order.
    waiting: std::collections::VecDeque<u64>,
    next_ticket: u64,
}

impl Engine {
    /// An engine that is idle.
    ///
    /// # Errors
    /// [`JobError::Limit`]: a limit is out of its range.
    pub fn new(limits: EngineLimits) -> Result<Self, JobError> {
        budget::check(&limits.limits)?;
        let bytes = limits.cap_bytes_per_second;
        let commons = Commons::new(limits.limits.concurrency, bytes, limits.cap_requests_per_second);
        let free = Free {
            memory_bytes: limits.limits.memory_bytes,
            jobs: limits.jobs.max(1),
            waiting: std::collections::VecDeque::new(),
            next_ticket: 0,
        };
        let (commons, free) = (Arc::new(commons), Mutex::new(free));
        Ok(Self(Arc::new(Shared { limits, commons, free, changed: Condvar::new() })))
    }

    /// What its jobs may use.
    pub fn limits(&self) -> &EngineLimits {
        &self.0.limits
    }

    pub(crate) fn commons(&self) -> Arc<Commons> {
        Arc::clone(&self.0.commons)
    }

    /// Bounds a job by the engine's limits.
    pub(crate) fn bound(&self, limits: &mut Limits) {
        let most = &self.0.limits.limits;
        limits.memory_bytes = limits.memory_bytes.min(most.memory_bytes);
        limits.concurrency = limits.concurrency.min(most.concurrency);
        limits.lanes = limits.lanes.min(most.lanes);
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.0.free.lock().expect("nothing panics while the lock is held")
    }

    /// Waits for the turn of a job and gives it `wanted` bytes, or what there is, `least` at least: the others are
    /// taken to need as much. `None`: it was stopped before.
    fn memory(&self, least: u64, wanted: u64, stopping: impl Fn() -> bool) -> Option<u64> {
        let mut free = self.free();
        let ticket = free.next_ticket;
        free.next_ticket += 1;
        free.waiting.push_back(ticket);
        let given = loop {
            if stopping() {
                break None;
            }
            if free.waiting.front() == Some(&ticket) && free.jobs > 0 && free.memory_bytes >= least {
                free.jobs -= 1;
                let kept_back = free.jobs as u64 * least.max(MIN_MEMORY_BYTES);
                let given = wanted.min(free.memory_bytes.saturating_sub(kept_back)).max(least);
                free.memory_bytes -= given;
                break Some(given);
            }
            let waited = self.0.changed.wait_timeout(free, LOOK_EVERY);
            free = waited.expect("nothing panics while the lock is held").0;
        };
        free.waiting.retain(|waiting| *waiting != ticket);
        drop(free);
        self.0.changed.notify_all();
        given
    }

    fn give_back(&self, bytes: u64) {
        let mut free = self.free();
        free.memory_bytes += bytes;
        free.jobs += 1;
        drop(free);
        self.0.changed.notify_all();
    }

    /// Waits for the turn of a job that was made for `shares`, and for what it can be given of them. Where it is
    /// stopped before that, it gets the least: it begins nothing.
    pub(crate) fn begin(
        &self,
        options: &JobOptions,
        journal: bool,
        shares: &[LaneShare],
        stopping: impl Fn() -> bool,
    ) -> (Lease, Vec<LaneShare>) {
        let (least, wanted) = (budget::least(options, journal), options.limits.memory_bytes);
        let least = least.min(wanted);
        let given = self.memory(least, wanted, stopping);
        let memory = given.unwrap_or(least);
        let shares = budget::smaller(options, journal, shares, memory).unwrap_or_else(|_| shares.to_vec());
        (Lease { engine: self.clone(), given }, shares)
    }
}

/// What a job has of its engine, until it is dropped.
pub(crate) struct Lease {
    engine: Engine,
    given: Option<u64>,
}

impl Lease {
    /// Whether its turn came.
    pub(crate) fn is_given(&self) -> bool {
        self.given.is_some()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(given) = self.given {
            self.engine.give_back(given);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Standing;

    const MIB: u64 = 1 << 20;

    fn engine(memory: u64, jobs: usize) -> Engine {
        let limits = Limits::here().memory_bytes(memory * MIB).concurrency(64).lanes(2);
        Engine::new(EngineLimits::new(limits).jobs(jobs)).unwrap()
    }

    #[test]
    fn a_job_alone_gets_nearly_all_and_others_still_find_their_least() {
        let engine = engine(1024, 3);
        let one = |least, wanted| engine.memory(least * MIB, wanted * MIB, || false).map(|n| n / MIB);
        assert_eq!(one(64, 1024), Some(896));
        assert_eq!(one(64, 1024), Some(64));
        assert_eq!(one(64, 1024), Some(64));
        // There is no fourth, whatever it wants.
        assert_eq!(engine.memory(0, 0, || true), None);
        engine.give_back(896 * MIB);
        assert_eq!(one(100, 200), Some(200));
    }

    #[test]
    fn the_sum_is_never_more_than_there_is_and_everybody_comes_to_a_turn() {
        let engine = engine(256, 4);
        let (used, most) = (Mutex::new(0), Mutex::new(0));
        std::thread::scope(|scope| {
            for n in 0..16u64 {
                let (engine, used, most) = (&engine, &used, &most);
                scope.spawn(move || {
                    for round in 0..50 {
                        let least = 64 + (n * 7 + round) % 128;
                        let given = engine.memory(least * MIB, 256 * MIB, || false).unwrap();
                        assert!(given >= least * MIB);
                        let now = {
                            let mut used = used.lock().unwrap();
                            *used += given;
                            *used
                        };
                        let mut most = most.lock().unwrap();
                        *most = now.max(*most);
                        drop(most);
                        std::thread::yield_now();
                        *used.lock().unwrap() -= given;
                        engine.give_back(given);
                    }
                });
            }
        });
        let most = *most.lock().unwrap();
        assert!(most <= 256 * MIB && most > 128 * MIB, "{most}");
        let free = engine.free();
        assert_eq!((free.memory_bytes, free.jobs, free.waiting.len()), (256 * MIB, 4, 0));
    }

    #[test]
    fn after_a_job_that_was_stopped_before_its_turn_the_next_of_its_crew_has_a_lease() {
        let engine = engine(256, 1);
        let options = JobOptions::default().limits(engine.limits().limits.clone());
        let shares = budget::shares(&options, false).unwrap();
        let mut standing = Standing::default();
        standing.leased(|| engine.begin(&options, false, &shares, || true));
        assert!(standing.lease.is_none());
        for _ in 0..2 {
            standing.leased(|| engine.begin(&options, false, &shares, || false));
            assert_eq!(engine.free().jobs, 0);
        }
        drop(standing);
        let free = engine.free();
        assert_eq!((free.jobs, free.memory_bytes), (1, 256 * MIB));
    }

    #[test]
    fn whoever_is_stopped_while_it_waits_does_not_hold_up_those_behind() {
        let engine = engine(64, 1);
        let held = engine.memory(64 * MIB, 64 * MIB, || false).unwrap();
        let stopped = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                let stopping = || stopped.load(std::sync::atomic::Ordering::SeqCst);
                engine.memory(64 * MIB, 64 * MIB, stopping)
            });
            while engine.free().waiting.len() != 1 {
                std::thread::yield_now();
            }
            let second = scope.spawn(|| engine.memory(64 * MIB, 64 * MIB, || false));
            while engine.free().waiting.len() != 2 {
                std::thread::yield_now();
            }
            stopped.store(true, std::sync::atomic::Ordering::SeqCst);
            assert_eq!(first.join().unwrap(), None);
            engine.give_back(held);
            assert_eq!(second.join().unwrap(), Some(64 * MIB));
        });
    }
}
