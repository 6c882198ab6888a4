//! Repeating requests that may succeed the next time.

use std::time::Duration;

use azuring_azure::{Class, RequestError};
use azuring_link::LinkError;
use azuring_store::ErrorKind;

use crate::end_error::EndError;
use crate::options::RetryPolicy;

/// Attempts at a service that has never accepted anything: a wrong name or port should be told soon.
fn tries_unreached(error: &EndError) -> u32 {
    let error = match error {
        EndError::Blob(error) => error,
        EndError::Store(error) => {
            return match error.kind() {
                ErrorKind::NoHost => 2,
                ErrorKind::Broken => 8,
                ErrorKind::Unreachable => 4,
                _ => u32::MAX,
            };
        }
    };
    match error {
        // A name that does not exist will not begin to within seconds.
        RequestError::Link(LinkError::Resolve { .. }) => 2,
        RequestError::Link(LinkError::Broken(_)) => 8,
        RequestError::Link(error) if error.is_unreachable() => 4,
        _ => u32::MAX,
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this long.
    After(Duration),
    /// This object cannot be transferred.
    GiveUp,
    /// Nor can any other.
    StopJob,
}

/// Decides what follows attempt number `tries` (the first is 1). `reached`: the service has accepted a request
/// of this job before. `jitter` is a random number from 0 to 1.
pub fn next(policy: &RetryPolicy, error: &EndError, tries: u32, reached: bool, jitter: f64) -> Next {
    if error.concerns_all() {
        // Nobody has a token: not for this object, and for no other. Nor does another object make a web server the
        // service.
        return Next::StopJob;
    }
    match error.class() {
        Class::Skip => return Next::GiveUp,
        Class::Fatal => return if reached { Next::GiveUp } else { Next::StopJob },
        Class::Retry | Class::Throttle => {}
    }
    let unreached = tries_unreached(error);
    if !reached && unreached < u32::MAX && tries >= unreached.min(policy.max_tries) {
        return Next::StopJob;
    }
    if tries >= policy.max_tries {
        return Next::GiveUp;
    }
    let doubled = policy.first_pause.saturating_mul(1u32.checked_shl(tries - 1).unwrap_or(u32::MAX));
    // Between half and all of it, so that requests that failed together do not come back together.
    let pause = doubled.min(policy.max_pause).mul_f64(0.5 + jitter / 2.0);
    Next::After(pause.max(error.retry_after().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_azure::{ServiceError, TokenError};

    fn service(status: u16, code: &str, retry_after: Option<u64>) -> EndError {
        let error = ServiceError {
            retry_after: retry_after.map(Duration::from_secs),
            ..ServiceError::new(status, code)
        };
        RequestError::from(error).into()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_honour_retry_after() {
        let policy = RetryPolicy::default();
        let busy = service(503, "ServerBusy", None);
        let pause = |tries, jitter| match next(&policy, &busy, tries, true, jitter) {
            Next::After(pause) => pause,
            other => panic!("attempt {tries} is not the last, got {other:?}"),
        };
        assert_eq!(pause(1, 1.0), Duration::from_millis(500));
        assert_eq!(pause(1, 0.0), Duration::from_millis(250));
        assert_eq!(pause(4, 1.0), Duration::from_secs(4));
        assert_eq!(pause(19, 1.0), Duration::from_secs(60));
        assert_eq!(next(&policy, &busy, 20, true, 0.0), Next::GiveUp);
        let asked = service(503, "ServerBusy", Some(9));
        assert_eq!(next(&policy, &asked, 1, true, 0.0), Next::After(Duration::from_secs(9)));
    }

    #[test]
    fn what_concerns_everything_stops_only_a_job_that_never_succeeded() {
        let policy = RetryPolicy::default();
        let auth = service(403, "AuthenticationFailed", None);
        assert_eq!(next(&policy, &auth, 1, false, 0.0), Next::StopJob);
        assert_eq!(next(&policy, &auth, 1, true, 0.0), Next::GiveUp);
        let gone = TokenError::new("me", "revoked", false);
        assert_eq!(next(&policy, &RequestError::Token(gone).into(), 1, true, 0.0), Next::StopJob);
        let denied = service(403, "AuthorizationPermissionMismatch", None);
        assert_eq!(next(&policy, &denied, 1, false, 0.0), Next::GiveUp);
    }

    #[test]
    fn an_unreachable_service_is_told_soon_unless_it_was_reached_before() {
        let policy = RetryPolicy::default();
        let refused = || {
            EndError::from(RequestError::Link(LinkError::Connect {
                peer: "h:1".into(),
                source: std::io::ErrorKind::ConnectionRefused.into(),
            }))
        };
        assert!(matches!(next(&policy, &refused(), 3, false, 0.0), Next::After(_)));
        assert_eq!(next(&policy, &refused(), 4, false, 0.0), Next::StopJob);
        assert!(matches!(next(&policy, &refused(), 4, true, 0.0), Next::After(_)));
    }
}
