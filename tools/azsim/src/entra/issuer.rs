//! What the authority and a storage server share: a key, a clock, and who has which role.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use serde_json::json;

use super::jwt::{self, Jwt};
use super::model::Role;
use super::random;

/// The audiences that stand for storage in general.
const STORAGE: &str = "https://storage.azure.com";

/// Time as tokens count it: it begins with the wall clock and may run faster.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    start_ms: u64,
    speed: u32,
    ahead_ms: AtomicU64,
}

impl Clock {
    pub(super) fn new(speed: u32) -> Clock {
        let ahead_ms = AtomicU64::new(0);
        Clock { start: Instant::now(), start_ms: wall_ms(), speed, ahead_ms }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.after(self.start.elapsed())
    }

    /// The time when so much real time has passed.
    fn after(&self, real: Duration) -> u64 {
        let gone = real.as_millis() as u64 * u64::from(self.speed);
        self.start_ms + gone + self.ahead_ms.load(Ordering::Relaxed)
    }

    pub(super) fn now_s(&self) -> u64 {
        self.now_ms() / 1000
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Seconds since 1970 by the wall clock, which the clients of the authority share.
pub(super) fn wall_s() -> u64 {
    wall_ms() / 1000
}

/// Who is named in a token, and by which tenant and application.
pub(super) struct Principal<'a> {
    pub(super) tenant: &'a str,
    pub(super) object_id: &'a str,
    pub(super) client_id: &'a str,
}

/// A token as it is handed out.
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) not_before_s: u64,
    pub(super) expires_on_s: u64,
    pub(super) expires_in_s: u64,
}

/// Who a verified token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) object_id: String,
    pub(crate) tenant: String,
    /// The roles that the caller has now.
    pub(crate) roles: Vec<Role>,
}

/// Signs tokens and verifies them.
pub(crate) struct Issuer {
    pub(super) tenant: String,
    pub(super) clock: Clock,
    url: String,
    key: hmac::Key,
    roles: RwLock<BTreeMap<String, Vec<Role>>>,
}

impl Issuer {
    pub(super) fn new(tenant: &str, url: &str, speed: u32) -> Issuer {
        Issuer {
            tenant: tenant.to_owned(),
            clock: Clock::new(speed),
            url: url.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>()),
            roles: RwLock::default(),
        }
    }

    /// Replaces the roles of a principal.
    pub(super) fn assign(&self, object_id: &str, roles: &[Role]) {
        let mut all = self.roles.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(object_id.to_owned(), roles.to_vec());
    }

    /// The roles that a principal has now.
    pub(crate) fn roles(&self, object_id: &str) -> Vec<Role> {
        let all = self.roles.read().unwrap_or_else(PoisonError::into_inner);
        all.get(object_id).cloned().unwrap_or_default()
    }

    /// Signs what a test made up.
    pub(super) fn sign(&self, claims: &serde_json::Value) -> String {
        jwt::sign(claims, &self.key)
    }

    /// A token for `lifetime_s` seconds from now, or one whose hour has just ended.
    pub(super) fn issue(
        &self,
        who: &Principal<'_>,
        audience: &str,
        lifetime_s: u32,
        expired: bool,
    ) -> Issued {
        let now = self.clock.now_s();
        let (start, end) = if expired { (now - 3600, now - 1) } else { (now, now + u64::from(lifetime_s)) };
        let token = self.sign(&json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{}/", who.tenant),
            "iat": start,
            "nbf": start,
            "exp": end,
            "oid": who.object_id,
            "sub": who.object_id,
            "tid": who.tenant,
            "appid": who.client_id,
            "ver": "1.0",
        }));
        let lifetime = u64::from(lifetime_s);
        Issued { token, not_before_s: now, expires_on_s: now + lifetime, expires_in_s: lifetime }
    }

    /// Judges a token that was sent to a storage account of a tenant.
    ///
    /// # Errors
    /// The service's words for what is wrong with it.
    fn verify(&self, token: &str, account: &str, tenant: &str) -> Result<Caller, &'static str> {
        let signature = "Signature validation failed. Signature verification failed.";
        let jwt = Jwt::read(token).ok_or(signature)?;
        if !jwt.is_signed_with(&self.key) {
            return Err(signature);
        }
        if jwt.text("iss") != Some(&format!("https://sts.windows.net/{tenant}/")) {
            return Err("Issuer validation failed. Issuer did not match.");
        }
        let audience = jwt.text("aud").unwrap_or_default().trim_end_matches('/');
        if audience != STORAGE && audience != format!("https://{account}.blob.core.windows.net") {
            return Err("Audience validation failed. Audience did not match.");
        }
        let lifetime = "Lifetime validation failed. The token has no lifetime.";
        let now = self.clock.now_s();
        if now < jwt.time("nbf").ok_or(lifetime)? {
            return Err("Lifetime validation failed. The token is not yet valid.");
        }
        if now >= jwt.time("exp").ok_or(lifetime)? {
            return Err("Lifetime validation failed. The token is expired.");
        }
        let (Some(object_id), Some(tenant)) = (jwt.text("oid"), jwt.text("tid")) else {
            return Err("The token names no principal.");
        };
        let (object_id, tenant) = (object_id.to_owned(), tenant.to_owned());
        Ok(Caller { roles: self.roles(&object_id), object_id, tenant })
    }
}

/// Who issues the tokens that an account takes.
#[derive(Clone, Copy)]
pub(crate) struct Trusted<'a> {
    issuer: &'a Issuer,
    account: &'a str,
    tenant: &'a str,
}

impl<'a> Trusted<'a> {
    /// `tenant`: the account's; `None`: that of the authority.
    pub(crate) fn new(issuer: &'a Issuer, account: &'a str, tenant: Option<&'a str>) -> Self {
        Self { issuer, account, tenant: tenant.unwrap_or(&issuer.tenant) }
    }

    /// Where clients are sent that come without credentials.
    pub(crate) fn authorization_uri(self) -> String {
        format!("{}/{}/oauth2/authorize", self.issuer.url, self.tenant)
    }

    /// As [`Issuer::roles`].
    pub(crate) fn roles(self, object_id: &str) -> Vec<Role> {
        self.issuer.roles(object_id)
    }

    /// Judges a token that was sent to the account.
    ///
    /// # Errors
    /// The service's words for what is wrong with it.
    pub(crate) fn verify(self, token: &str) -> Result<Caller, &'static str> {
        self.issuer.verify(token, self.account, self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_as_fast_as_it_is_told_and_jumps() {
        let clock = Clock::new(60);
        let start = clock.after(Duration::ZERO);
        assert_eq!(clock.after(Duration::from_millis(1500)) - start, 90_000);
        clock.advance(Duration::from_secs(7));
        assert_eq!(clock.after(Duration::ZERO) - start, 7000);
    }
}
