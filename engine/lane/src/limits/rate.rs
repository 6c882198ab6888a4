//! A limit on requests per second, shared by all lanes.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// A stop that comes during a pause is noticed this soon.
pub(crate) const PAUSE_STEP: Duration = Duration::from_millis(100);
/// Requests that were not sent in this time may follow at once; older ones are forgotten.
const BURST: Duration = Duration::from_millis(20);
/// The longest time between two requests: an hour.
const LONGEST_S: f64 = 3600.0;

/// Each request takes the next free moment; the moments are one interval apart, in the order of asking.
#[derive(Debug)]
pub(crate) struct RequestRate {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl RequestRate {
    /// So many requests per second, more than 0.
    pub(crate) fn new(per_second: f64) -> Self {
        let interval = Duration::from_secs_f64((1.0 / per_second).min(LONGEST_S));
        Self { interval, next: Mutex::new(None) }
    }

    /// The moment of a request that is asked for at `now`.
    fn reserve(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().expect("nothing panics while the lock is held");
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let mine = next.map_or(now, |next| next.max(earliest));
        *next = Some(mine + self.interval);
        mine
    }

    /// Waits for the moment of one request, or until the job stops.
    pub(crate) async fn wait(&self, stopping: impl Fn() -> bool) {
        let mine = self.reserve(Instant::now());
        while !stopping() {
            let now = Instant::now();
            if mine <= now {
                return;
            }
            tokio::time::sleep_until(mine.min(now + PAUSE_STEP)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_an_interval_apart_and_little_is_saved_up() {
        let rate = RequestRate::new(200.0);
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        for n in 0..10 {
            assert_eq!(rate.reserve(begin), at(5 * n));
        }
        // After a second of silence four requests may go at once, and the fifth.
        for ms in [980, 985, 990, 995, 1000, 1005] {
            assert_eq!(rate.reserve(at(1000)), at(ms));
        }
        RequestRate::new(f64::MIN_POSITIVE).reserve(begin);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_go_at_the_rate_in_their_order_and_a_stop_frees_them() {
        let rate = RequestRate::new(10.0);
        let begin = Instant::now();
        for _ in 0..21 {
            rate.wait(|| false).await;
        }
        assert_eq!(begin.elapsed().as_millis(), 2000);
        rate.reserve(begin + Duration::from_secs(3600));
        let stops = begin + Duration::from_secs(3);
        rate.wait(|| Instant::now() >= stops).await;
        assert!(Instant::now() <= stops + PAUSE_STEP);
    }
}
