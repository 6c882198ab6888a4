//! How busy a lane is.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How busy the lane's thread is: the runtime's own account of the time it was not parked.
pub(super) struct Load {
    last: Cell<(Instant, Duration)>,
}

impl Load {
    pub(super) fn new() -> Self {
        Self { last: Cell::new((Instant::now(), busy_time())) }
    }

    /// The share of time since the last call, 0 to 1.
    pub(super) fn since_last(&self) -> f64 {
        self.since(Duration::ZERO).map_or(1.0, |(busy, _)| busy)
    }

    /// The same with the seconds that have passed; `None` when they are less than `least`.
    pub(super) fn since(&self, least: Duration) -> Option<(f64, f64)> {
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
