//! How long to wait between attempts, and how often.

use std::time::Duration;

use azuring_azure::Clock;

use crate::error::IdentityError;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pause after `failures` failed attempts: doubled each time, and never less than was asked for. `chance` is any
/// number; it spreads the attempts of many processes over half of the pause.
pub(crate) fn pause(failures: u32, asked: Option<Duration>, chance: u8) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    let spread = doubled / 2 + doubled / 2 * u32::from(chance) / 255;
    match asked {
        Some(asked) => asked + spread.min(Duration::from_secs(2)),
        None => spread,
    }
}

/// A random byte, for [`pause`].
pub(crate) fn chance() -> u8 {
    let mut byte = [0];
    // Without randomness the attempts are less spread, nothing else.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

/// Repeats `attempt` as long as it fails for a passing reason and the next one would begin within `limit`.
pub(crate) async fn patiently<T>(
    limit: Duration,
    clock: &Clock,
    mut attempt: impl AsyncFnMut() -> Result<T, IdentityError>,
) -> Result<T, IdentityError> {
    let begun = clock.now();
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if !error.is_passing() => return Err(error),
            Err(error) => error,
        };
        failures += 1;
        let pause = pause(failures, error.retry_after(), chance());
        if clock.now() - begun + pause > limit {
            return Err(error);
        }
        clock.sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_heed_what_was_asked() {
        let ms = Duration::from_millis;
        assert_eq!(pause(1, None, 0), ms(250));
        assert_eq!(pause(1, None, 255), ms(500));
        assert_eq!(pause(2, None, 255), ms(1000));
        assert_eq!(pause(7, None, 255), ms(30_000));
        assert_eq!(pause(1000, None, 255), ms(30_000));
        assert_eq!(pause(1, Some(ms(7000)), 0), ms(7250));
        assert_eq!(pause(9, Some(ms(7000)), 255), ms(9000));
    }
}
