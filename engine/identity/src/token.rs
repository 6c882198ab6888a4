//! An access token and how long it is good.

use std::time::{Duration, SystemTime};

use azuring_azure::{Clock, Secret};

/// Renew this long before the end.
const MARGIN: Duration = Duration::from_secs(300);
/// Tokens of a shorter life are renewed at four fifths of it.
const LONG: Duration = Duration::from_secs(1200);
/// No token is good for longer, whatever its issuer says: Entra ID's longest are good for 28 hours. It also keeps the
/// sums of times from overflowing.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// A bearer token for one resource, and how long it is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessToken {
    /// What goes into the header after `Bearer`.
    pub secret: Secret,
    /// When it was issued, or found.
    pub obtained: SystemTime,
    /// How long it is good from then on. More than 30 days count as 30 days.
    pub lifetime: Duration,
}

impl AccessToken {
    /// A token that is good for `lifetime` from now.
    pub fn new(secret: Secret, lifetime: Duration) -> Self {
        Self::by(&Clock::system(), secret, lifetime)
    }

    /// A token that is good for `lifetime` from the time that `clock` shows.
    pub(crate) fn by(clock: &Clock, secret: Secret, lifetime: Duration) -> Self {
        Self { secret, obtained: clock.wall(), lifetime }
    }

    /// How long it is still good.
    pub fn left(&self, clock: &Clock) -> Duration {
        // A clock that was set back makes no token younger than new.
        let age = clock.wall().duration_since(self.obtained).unwrap_or_default();
        self.life().saturating_sub(age)
    }

    fn life(&self) -> Duration {
        self.lifetime.min(LONGEST)
    }

    /// How long to go on with it before asking for the next: until a fifth of its life is left, and for a long life at
    /// least 5 minutes.
    pub(crate) fn renew_in(&self, clock: &Clock) -> Duration {
        self.left(clock).saturating_sub(margin(self.life()))
    }
}

fn margin(lifetime: Duration) -> Duration {
    let fifth = lifetime / 5;
    if lifetime >= LONG { fifth.max(MARGIN) } else { fifth }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_ahead_of_their_end() {
        let s = Duration::from_secs;
        for (lifetime_s, ahead_s) in [(86_400, 17_280), (3600, 720), (1200, 300), (1000, 200), (5, 1)] {
            assert_eq!(margin(s(lifetime_s)), s(ahead_s), "{lifetime_s}");
        }
    }

    #[test]
    fn a_token_ages() {
        let hour = Duration::from_secs(3600);
        let clock = Clock::standing();
        let mut token = AccessToken::by(&clock, Secret::new("t"), hour);
        assert_eq!((token.left(&clock), token.renew_in(&clock)), (hour, hour - hour / 5));
        clock.advance(hour / 2);
        assert_eq!((token.left(&clock), token.renew_in(&clock)), (hour / 2, hour / 2 - hour / 5));
        clock.advance(hour);
        assert_eq!(token.left(&clock), Duration::ZERO);
        token.obtained = clock.wall() + hour;
        assert_eq!(token.left(&clock), hour);
    }

    #[test]
    fn no_token_is_good_for_ever() {
        let clock = Clock::standing();
        let token = AccessToken::by(&clock, Secret::new("t"), Duration::MAX);
        assert_eq!((token.left(&clock), token.renew_in(&clock)), (LONGEST, LONGEST - LONGEST / 5));
    }
}
