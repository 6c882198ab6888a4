//! People: device codes (RFC 8628) and refresh tokens (RFC 6749 section 6).

use std::time::Duration;

use azuring_azure::{Clock, Secret};
use serde_json::Value;
use tokio::sync::watch;
use url::Url;

use crate::answer::{self, TokenAnswer, whole_number};
use crate::clock::unix_s;
use crate::error::IdentityError;
use crate::login::{Login, LoginKind, digest};
use crate::network::{Network, Outgoing, Wire, authority, on_a_thread};
use crate::patience::{chance, patiently, pause};
use crate::token::AccessToken;

/// Between two questions whether the person is done, where the service does not say (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// More for each `slow_down` (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// A code without a lifetime.
const EXPIRES_IN: Duration = Duration::from_secs(900);
/// A code that lives longer, or is asked about less often, than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long the service may be out of reach before there is a code.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a person is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DevicePrompt {
    /// The code to enter.
    pub user_code: String,
    /// Where to enter it.
    pub verification_uri: String,
    /// How long there is time for it.
    pub expires_in: Duration,
    /// What to tell them, in the service's words where it has any.
    pub message: String,
}

/// Ends a login that waits for a person; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(watch::Sender<bool>);

impl Cancel {
    /// Ends it. May be called from any thread.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    async fn cancelled(&self) {
        // An error is impossible: `self` holds the sender.
        let _ = self.0.subscribe().wait_for(|cancelled| *cancelled).await;
    }
}

impl Login {
    /// Has a person log in: `prompt` is told what they are to do, then this waits until they have done it. Returns the
    /// first token and the login with the refresh token for those after it.
    ///
    /// # Errors
    /// [`IdentityError`]: refused, expired, or [`IdentityError::Cancelled`].
    pub fn with_device_code(
        &self,
        network: &Network,
        scope: &str,
        clock: &Clock,
        prompt: &(dyn Fn(&DevicePrompt) + Sync),
        cancel: &Cancel,
    ) -> Result<(Login, AccessToken), IdentityError> {
        let token = on_a_thread(network, async |wire| {
            tokio::select! {
                done = device_code(self, &wire, scope, clock, prompt) => done,
                () = cancel.cancelled() => Err(IdentityError::Cancelled),
            }
        })?;
        let mut login = self.clone();
        login.kind = LoginKind::DeviceCode { refresh: token.refresh };
        login.session = Some(session()?);
        Ok((login, AccessToken::by(clock, token.secret, token.lifetime)))
    }
}

fn session() -> Result<String, IdentityError> {
    let mut id = [0; 16];
    let random = aws_lc_rs::rand::fill(&mut id);
    random.map_err(|_| IdentityError::Machine("there is no randomness".to_owned()))?;
    Ok(digest([id]))
}

fn address(login: &Login, what: &str) -> Result<Url, IdentityError> {
    let text = format!("{}/{}/oauth2/v2.0/{what}", login.authority, login.tenant_or_common());
    Url::parse(&text).map_err(|_| IdentityError::setting("the authority", format!("{text} is not a URL")))
}

/// With `offline_access` there is a refresh token.
fn wide(scope: &str) -> String {
    format!("{scope} offline_access")
}

async fn device_code(
    login: &Login,
    wire: &Wire,
    scope: &str,
    clock: &Clock,
    prompt: &(dyn Fn(&DevicePrompt) + Sync),
) -> Result<TokenAnswer, IdentityError> {
    let begun = clock.now();
    let (device_code, interval, shown) =
        patiently(PATIENCE, clock, async || begin(login, wire, scope).await).await?;
    prompt(&shown);
    let url = address(login, "token")?;
    let host = authority(&url);
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", login.public_client()),
        ("device_code", device_code.expose()),
    ];
    let (mut interval, mut failures) = (interval, 0);
    loop {
        // Connection errors: "exponential backoff" (RFC 8628 section 3.5).
        let extra = if failures == 0 { Duration::ZERO } else { pause(failures, None, chance()) };
        clock.sleep(interval + extra).await;
        if clock.now() - begun > shown.expires_in {
            return Err(expired());
        }
        let incoming = match wire.send(Outgoing::form(url.clone(), &fields)).await {
            Ok(incoming) => incoming,
            Err(error) if error.is_passing() => {
                failures += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let json: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
        let said = json.get("error").and_then(Value::as_str).unwrap_or_default();
        match said {
            "authorization_pending" => failures = 0,
            "slow_down" => {
                failures = 0;
                interval += SLOWER;
            }
            "expired_token" | "code_expired" => return Err(expired()),
            "access_denied" | "authorization_declined" => {
                return Err(IdentityError::not_logged_in("the login was declined"));
            }
            _ => match answer::read(&host, &incoming, false, unix_s(clock.wall())) {
                Err(error) if error.is_passing() => failures += 1,
                done => return done,
            },
        }
    }
}

fn expired() -> IdentityError {
    IdentityError::not_logged_in("the code was not entered in time")
}

async fn begin(
    login: &Login,
    wire: &Wire,
    scope: &str,
) -> Result<(Secret, Duration, DevicePrompt), IdentityError> {
    let url = address(login, "devicecode")?;
    let host = authority(&url);
    let scope = wide(scope);
    let form = Outgoing::form(url, &[("client_id", login.public_client()), ("scope", &scope)]);
    let incoming = wire.send(form).await?;
    if !incoming.status.is_success() {
        return Err(answer::refusal(&host, &incoming, false));
    }
    let json: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
    code(&json).ok_or_else(|| IdentityError::Answer { host, reason: "there is no code in it".to_owned() })
}

/// The code to ask with, how often to ask, and what people are shown (RFC 8628 section 3.2).
fn code(json: &Value) -> Option<(Secret, Duration, DevicePrompt)> {
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let seconds =
        |name: &str| json.get(name).and_then(whole_number).map(|s| Duration::from_secs(s).min(LONGEST));
    // People see these: no control characters reach their terminal.
    let plain = |name: &str| text(name).chars().filter(|c| !c.is_control()).collect::<String>();
    let (user_code, verification_uri, message) =
        (plain("user_code"), plain("verification_uri"), plain("message"));
    if text("device_code").is_empty() || user_code.is_empty() {
        return None;
    }
    // The message is Entra ID's addition to the protocol.
    let message = if message.is_empty() {
        format!("To sign in, open the page {verification_uri} and enter the code {user_code}.")
    } else {
        message
    };
    let expires_in = seconds("expires_in").unwrap_or(EXPIRES_IN);
    let interval = seconds("interval").filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL);
    let shown = DevicePrompt { user_code, verification_uri, expires_in, message };
    Some((Secret::new(text("device_code")), interval, shown))
}

/// The next token of a person who logged in before.
pub(crate) async fn refresh(
    login: &Login,
    wire: &Wire,
    scope: &str,
    now_s: u64,
) -> Result<TokenAnswer, IdentityError> {
    let Some(refresh) = login.refresh_token() else {
        return Err(IdentityError::not_logged_in("nobody has logged in yet, or there is no refresh token"));
    };
    let url = address(login, "token")?;
    let host = authority(&url);
    let scope = wide(scope);
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", login.public_client()),
        ("refresh_token", refresh.expose()),
        ("scope", &scope),
    ];
    let incoming = wire.send(Outgoing::form(url, &fields)).await?;
    answer::read(&host, &incoming, false, now_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_what_to_do_though_the_service_has_no_words() {
        let read = |text: &str| code(&serde_json::from_str(text).unwrap());
        let bare = r#"{"device_code":"d","user_code":"ABC","verification_uri":"https://h/device"}"#;
        let (_, interval, shown) = read(bare).unwrap();
        assert_eq!(shown.message, "To sign in, open the page https://h/device and enter the code ABC.");
        assert_eq!((interval, shown.expires_in), (INTERVAL, EXPIRES_IN));
        let full = r#"{"device_code":"d","user_code":"ABC","message":"Go\u001b on",
            "interval":"18446744073709551615","expires_in":18446744073709551615}"#;
        let (_, interval, shown) = read(full).unwrap();
        assert_eq!((&*shown.message, interval, shown.expires_in), ("Go on", LONGEST, LONGEST));
        assert!(read(r#"{"device_code":"d"}"#).is_none() && read(r#"{"user_code":"ABC"}"#).is_none());
    }
}
