//! How many copies at a time the service is asked for, once their source says that it is too much.
//!
//! The source of a copy and its destination are throttled each for itself, but a client hears of both from the
//! destination. What the source says slows the requests that read it, and no other request to the destination.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::rate::PAUSE_STEP;

/// A limit that is larger than this is none.
const ENOUGH: f64 = 1024.0;

/// The copies of a job that a service makes by itself. Shared by all lanes.
#[derive(Debug, Default)]
pub(crate) struct SourcePace {
    in_flight: AtomicU32,
    /// Whether there is a limit: until then nobody takes the lock.
    is_limited: AtomicBool,
    limit: Mutex<Limit>,
    freed: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    /// In flight at most; 0: any number.
    most: f64,
    /// None is begun before this.
    until: Option<Instant>,
}

/// A copy in flight.
pub(crate) struct Turn<'a>(&'a SourcePace);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_limited.load(Ordering::Relaxed) {
            self.0.freed.notify_one();
        }
    }
}

impl SourcePace {
    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().expect("nothing panics while the lock is held")
    }

    /// Begins a copy, if it is one's turn.
    pub(crate) fn begin(&self) -> Option<Turn<'_>> {
        if !self.is_limited.load(Ordering::Relaxed) {
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            return Some(Turn(self));
        }
        let limit = self.limit();
        let waits = limit.until.is_some_and(|until| Instant::now() < until);
        let is_full =
            limit.most >= 1.0 && f64::from(self.in_flight.load(Ordering::SeqCst)) + 1.0 > limit.most;
        (!waits && !is_full).then(|| {
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            Turn(self)
        })
    }

    /// Waits until it may be one's turn, a while at most.
    pub(crate) async fn wait(&self) {
        let left = self.limit().until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.filter(|left| !left.is_zero());
        tokio::select! {
            () = self.freed.notified(), if left.is_none() => {}
            () = tokio::time::sleep(left.unwrap_or(PAUSE_STEP).min(PAUSE_STEP)) => {}
        }
    }

    /// The source says that it is too much: none is begun during this pause, and half as many after it. What was begun
    /// before and is refused in that time says nothing new.
    pub(crate) fn throttled(&self, pause: Duration) {
        let mut limit = self.limit();
        let now = Instant::now();
        if limit.until.is_none_or(|until| until <= now) {
            // The one that was refused is not counted any more.
            let in_flight = f64::from(self.in_flight.load(Ordering::SeqCst)) + 1.0;
            let before = if limit.most >= 1.0 { limit.most.min(in_flight) } else { in_flight };
            limit.most = (before / 2.0).max(1.0);
        }
        let until = now + pause;
        limit.until = Some(limit.until.map_or(until, |before| before.max(until)));
        self.is_limited.store(true, Ordering::SeqCst);
    }

    /// A copy was made: one more for each round of them.
    pub(crate) fn went_well(&self) {
        if !self.is_limited.load(Ordering::Relaxed) {
            return;
        }
        let mut limit = self.limit();
        limit.most += 1.0 / limit.most.max(1.0);
        if limit.most > ENOUGH {
            *limit = Limit::default();
            self.is_limited.store(false, Ordering::SeqCst);
        }
        self.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(pace: &SourcePace) -> Vec<Turn<'_>> {
        (0..100).map_while(|_| pace.begin()).collect()
    }

    #[test]
    fn what_the_source_refuses_halves_the_copies_and_what_it_grants_brings_them_back() {
        let pace = SourcePace::default();
        let mut turns = begun(&pace);
        assert_eq!(turns.len(), 100, "there is no limit");
        turns.truncate(32);
        drop(turns.pop());
        pace.throttled(Duration::ZERO);
        drop(turns);
        assert_eq!(begun(&pace).len(), 16);
        let mut turns = begun(&pace);
        drop(turns.pop());
        // All that was in flight is refused: that is one answer.
        pace.throttled(Duration::from_secs(3600));
        turns.truncate(5);
        pace.throttled(Duration::from_secs(1800));
        drop(turns);
        assert_eq!(begun(&pace).len(), 0, "none is begun during the pause");
        pace.limit().until = None;
        assert_eq!(begun(&pace).len(), 8);
        (0..9).for_each(|_| pace.went_well());
        assert_eq!(begun(&pace).len(), 9);
        for _ in 0..20 {
            pace.throttled(Duration::ZERO);
        }
        assert_eq!(begun(&pace).len(), 1, "one goes on");
        (0..600_000).for_each(|_| pace.went_well());
        assert_eq!(begun(&pace).len(), 100, "the limit is gone");
    }
}
