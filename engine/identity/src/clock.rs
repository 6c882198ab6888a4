//! Times of day as token services write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 for times before.
pub(crate) fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
