//! The time that tokens live in: the machine's, or one that a test moves.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// Where the age of tokens and the pauses between attempts come from.
///
/// A test that waits for real time is a race against the machine's load. It takes a clock that stands still instead,
/// and moves it itself ([`Clock::standing`]), or one that is moved by whoever sleeps ([`Clock::moved_by_sleep`]).
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Standing>>);

type Moved = dyn Fn(Duration) + Send + Sync;

struct Standing {
    begun: Instant,
    epoch: SystemTime,
    passed: watch::Sender<Duration>,
    /// A sleep does not wait: it moves the clock, and tells this.
    sleep_moves: Option<Box<Moved>>,
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standing").field("passed", &*self.passed.borrow()).finish_non_exhaustive()
    }
}

impl Clock {
    /// The time of this machine.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that shows the time of now until [`Clock::advance`] moves it.
    pub fn standing() -> Self {
        Self::new(None)
    }

    /// A clock that shows the time of now. A sleep on it takes no time: it moves the clock by the time that it would
    /// have taken, and calls `moved` with it, which may move other clocks.
    pub fn moved_by_sleep(moved: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self::new(Some(Box::new(moved)))
    }

    fn new(sleep_moves: Option<Box<Moved>>) -> Self {
        let passed = watch::Sender::new(Duration::ZERO);
        Self(Some(Arc::new(Standing {
            begun: Instant::now(),
            epoch: SystemTime::now(),
            passed,
            sleep_moves,
        })))
    }

    /// Moves a clock that stands still, and wakes whoever has slept long enough. The machine's time cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Some(standing) = &self.0 {
            standing.passed.send_modify(|passed| *passed += by);
        }
    }

    /// How many sleep on a clock that stands still and have not been woken: before a test moves it, what is to see the
    /// move has to be asleep.
    pub fn sleepers(&self) -> usize {
        self.0.as_ref().map_or(0, |standing| standing.passed.receiver_count())
    }

    /// The time for measuring spans.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(standing) => standing.begun + *standing.passed.borrow(),
        }
    }

    /// The time of day.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(standing) => standing.epoch + *standing.passed.borrow(),
        }
    }

    /// Waits until `span` has passed.
    pub async fn sleep(&self, span: Duration) {
        let Some(standing) = &self.0 else { return tokio::time::sleep(span).await };
        if let Some(moved) = &standing.sleep_moves {
            self.advance(span);
            moved(span);
            return tokio::task::yield_now().await;
        }
        let mut news = standing.passed.subscribe();
        let due = *news.borrow() + span;
        // It fails when the clock is gone, which this borrows.
        let _ = news.wait_for(|passed| *passed >= due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn a_standing_clock_is_moved_by_its_owner_alone() {
        run(async {
            let clock = Clock::standing();
            let (begun, wall) = (clock.now(), clock.wall());
            let steps = async {
                assert_eq!((clock.sleepers(), clock.now()), (1, begun));
                clock.advance(HOUR - Duration::from_secs(1));
                tokio::task::yield_now().await;
                assert_eq!(clock.sleepers(), 1, "it is not time yet");
                clock.advance(Duration::from_secs(1));
            };
            tokio::join!(clock.sleep(HOUR), steps);
            assert_eq!((clock.now() - begun, clock.wall()), (HOUR, wall + HOUR));
            assert_eq!(clock.sleepers(), 0);
        });
    }

    #[test]
    fn a_sleep_can_move_clocks() {
        run(async {
            let other = Clock::standing();
            let moved = other.clone();
            let clock = Clock::moved_by_sleep(move |by| moved.advance(by));
            let (begun, others) = (clock.now(), other.now());
            clock.sleep(HOUR).await;
            assert_eq!((clock.now() - begun, other.now() - others), (HOUR, HOUR));
        });
    }
}
