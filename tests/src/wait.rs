//! Waiting for what has to come, and not for time.

use std::thread;
use std::time::{Duration, Instant};

/// What has not come by then never will: a machine that is busy with much else is slow, but not so slow.
const DEADLINE: Duration = Duration::from_secs(180);

/// Waits until `condition` holds. A test changes something in the middle of a job when it has seen the job there, and
/// holds it there meanwhile ([`Fixture::hold`](crate::Fixture::hold)): who is faster must not matter.
///
/// # Panics
/// With `what` when the condition never holds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "it does not come: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
