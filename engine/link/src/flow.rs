//! The least rate of an exchange: what curl calls `--speed-limit` and `--speed-time`.
//!
//! Silence alone is no sign of an end: an answer of one byte every 25 s is never silent for 30, and would hold its
//! exchange for days. So the bytes of an exchange are compared with the time in which somebody waited for them.
//!
//! The exchanges of a job have to move [`LEAST_BYTES_PER_SECOND`] together, each its share: on a thin line hundreds of
//! them are slow without any of them being stuck, and a lane with few is on the same line as the others. Only seconds
//! count in which the exchange waited for the network: not those of a slow disk or reader, of a stopped process, or of
//! a limit that the user has set (`--cap-mbps`).

use std::cell::Cell;
use std::time::Duration;

use crate::error::LinkError;

/// What the exchanges of a job move together at least, on average over the time that [`window_s`] says.
const LEAST_BYTES_PER_SECOND: u64 = 1024;

/// Seconds of waiting over which the rate is looked at: twice those after which silence is too long.
pub(crate) fn window_s(stall: Duration) -> u32 {
    2 * stall_s(stall)
}

/// Seconds after which silence is too long.
pub(crate) fn stall_s(stall: Duration) -> u32 {
    u32::try_from(stall.as_secs()).unwrap_or(u32::MAX / 4).clamp(1, u32::MAX / 4)
}

/// Why an exchange was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// No byte has moved for too long.
    Silent,
    /// So few bytes have moved in so many seconds.
    Slow { bytes: u64, seconds: u32 },
}

impl Cut {
    pub(crate) fn explain(self, stall: Duration) -> LinkError {
        match self {
            Cut::Silent => LinkError::Stalled(stall),
            Cut::Slow { bytes, seconds } => LinkError::TooSlow { bytes, seconds },
        }
    }
}

/// What an exchange has moved, and how long it was waited for.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    bytes: Cell<u64>,
    waited_s: Cell<u32>,
}

impl Flow {
    /// An exchange begins.
    pub(crate) fn begin(&self) {
        self.bytes.set(0);
        self.waited_s.set(0);
    }

    /// Bytes since the window began.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    pub(crate) fn moved(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    /// Somebody has waited so many seconds more. `among`: exchanges of the job that are under way. Tells when the
    /// window is over and too little has moved in it.
    pub(crate) fn waited(&self, seconds: u32, window_s: u32, among: u32) -> Option<Cut> {
        let waited_s = self.waited_s.get().saturating_add(seconds);
        self.waited_s.set(waited_s);
        if waited_s < window_s {
            return None;
        }
        let bytes = self.bytes.get();
        let least = LEAST_BYTES_PER_SECOND * u64::from(waited_s) / u64::from(among.max(1));
        self.begin();
        (bytes < least).then_some(Cut::Slow { bytes, seconds: waited_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_an_average_that_the_exchanges_of_a_job_share() {
        let flow = Flow::default();
        let minute = |bytes, among| {
            flow.begin();
            for _ in 0..59 {
                assert_eq!(flow.waited(1, 60, among), None);
            }
            flow.moved(bytes);
            flow.waited(1, 60, among)
        };
        assert_eq!(minute(60 * 1024, 1), None);
        assert_eq!(minute(60 * 1024 - 1, 1), Some(Cut::Slow { bytes: 60 * 1024 - 1, seconds: 60 }));
        assert_eq!(minute(1024, 60), None);
        assert_eq!(minute(1023, 60), Some(Cut::Slow { bytes: 1023, seconds: 60 }));
        // However many there are, a byte every 25 s is too few.
        assert!(minute(3, 1000).is_some());
        // A window begins anew after each.
        assert_eq!(flow.waited(59, 60, 1), None);
    }

    #[test]
    fn the_window_is_twice_the_longest_silence() {
        assert_eq!((window_s(Duration::from_secs(30)), stall_s(Duration::ZERO)), (60, 1));
        assert!(window_s(Duration::MAX) > 1 << 30);
    }
}
