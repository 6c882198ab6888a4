//! An access token and how long it is good.

use std::time::{Duration, SystemTime};

use azuring_azure::Secret;

use crate::clock::Clock;

/// Renew this long before the end.
const MARGIN: Duration = Duration::from_secs(300);
/// Tokens of a shorter life are renewed at four fifths of it.
const LONG: Duration = Duration::from_secs(1200);
/// No token is good for longer, whatever its issuer says: Entra ID's longest are good for 28 hours. It also keeps the sums of
/// times from overflowing.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// What goes into the header after `Bearer`.
    pub secret: Secret,
    /// When it was issued, or found.
    pub obtained: SystemTime,
    /// How long it is good from then on, in this machine's time. More than 30 days count as 30 days.
    pub lifetime: Duration,
}

impl AccessToken {
    /// A token that is good for `lifetime` from now.
    pub fn new(secret: Secret, lifetime: Duration) -> Self {
        Self { secret, obtained: SystemTime::now(), lifetime }
    }

    /// How long it is still good.
    pub fn left(&self) -> Duration {
        // A clock that was set back makes no token younger than new.
        let age = SystemTime::now().duration_since(self.obtained).unwrap_or_default();
        self.life().saturating_sub(age)
    }

    fn life(&self) -> Duration {
        self.lifetime.min(LONGEST)
    }

    /// How long to go on with it before asking for the next: until a fifth of its life is left, and for a long life at
    /// least 5 minutes.
    pub(crate) fn renew_in(&self, clock: &Clock) -> Duration {
        self.left().saturating_sub(margin(self.life(), clock))
    }
}

fn margin(lifetime: Duration, clock: &Clock) -> Duration {
    let fifth = lifetime / 5;
    if lifetime >= clock.span(LONG) { fifth.max(clock.span(MARGIN)) } else { fifth }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_ahead_of_their_end() {
        let margin = |lifetime_s, factor| {
            let clock = Clock::sped_up(factor);
            margin(clock.span(Duration::from_secs(lifetime_s)), &clock) * factor
        };
        let s = Duration::from_secs;
        assert_eq!(margin(86_400, 1), s(17_280));
        assert_eq!(margin(3600, 1), s(720));
        assert_eq!(margin(1200, 1), s(300));
        assert_eq!(margin(1000, 1), s(200));
        assert_eq!(margin(5, 1), s(1));
        assert_eq!(margin(3600, 60), s(720));
        assert_eq!(margin(1200, 60), s(300));
    }

    #[test]
    fn a_token_ages() {
        let hour = Duration::from_secs(3600);
        let mut token = AccessToken::new(Secret::new("t"), hour);
        assert!(token.left() <= hour && token.left() > hour / 2);
        token.obtained -= hour * 2;
        assert_eq!(token.left(), Duration::ZERO);
        token.obtained = SystemTime::now() + hour;
        assert_eq!(token.left(), hour);
    }

    #[test]
    fn no_token_is_good_for_ever() {
        let token = AccessToken::new(Secret::new("t"), Duration::MAX);
        assert!(token.left() <= LONGEST && token.left() > LONGEST - Duration::from_secs(60));
        assert!(token.renew_in(&Clock::system()) > LONGEST / 2);
    }
}
