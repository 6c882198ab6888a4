//! The time that tokens live in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How fast tokens age. Tests against a token service whose time runs faster use a clock that does the same.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    factor: u32,
    begun: Instant,
    epoch: SystemTime,
}

impl Clock {
    /// The time of this machine.
    pub fn system() -> Self {
        Self::sped_up(1)
    }

    /// A second of this machine is `factor` seconds of a token's life.
    pub fn sped_up(factor: u32) -> Self {
        Self { factor: factor.max(1), begun: Instant::now(), epoch: SystemTime::now() }
    }

    /// How long `span` of a token's life takes on this machine.
    pub fn span(&self, span: Duration) -> Duration {
        span / self.factor
    }

    /// Seconds since 1970, as the token service counts them.
    pub(crate) fn unix_s(&self) -> u64 {
        if self.factor == 1 {
            return unix_s(SystemTime::now());
        }
        unix_s(self.epoch + self.begun.elapsed() * self.factor)
    }
}

/// Seconds since 1970; 0 for times before.
pub(crate) fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
