//! What token services answer.

use std::time::Duration;

use azuring_azure::Secret;
use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde_json::Value;

use crate::error::{IdentityError, first_sentence};
use crate::network::Incoming;

/// A service that asks for more than this is tried again anyway.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// A token as it was issued.
#[derive(Debug)]
pub(crate) struct TokenAnswer {
    pub(crate) secret: Secret,
    pub(crate) lifetime: Duration,
    /// For the next one.
    pub(crate) refresh: Option<Secret>,
}

impl TokenAnswer {
    /// The same, if it can be sent; or what is wrong with it.
    pub(crate) fn usable(self) -> Result<Self, &'static str> {
        // What no header can hold would fail each request, and be kept for other processes.
        if HeaderValue::try_from(self.secret.expose()).is_err() {
            return Err("it has characters that no token has");
        }
        if self.lifetime.is_zero() {
            return Err("it has expired already: check this machine's clock");
        }
        Ok(self)
    }
}

/// A number, or a string that holds one: both occur.
pub(crate) fn whole_number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_f64().map(|n| n as u64))
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// Reads a token, or why there is none. `now_s` is the time in which `expires_on` is meant.
pub(crate) fn read(
    host: &str,
    incoming: &Incoming,
    near: bool,
    now_s: u64,
) -> Result<TokenAnswer, IdentityError> {
    if !incoming.status.is_success() {
        return Err(refusal(host, incoming, near));
    }
    let wrong = |reason: &str| IdentityError::Answer { host: host.to_owned(), reason: reason.to_owned() };
    let json: Value = serde_json::from_slice(&incoming.body).map_err(|_| wrong("it is not JSON"))?;
    let text = |name: &str| json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let secret = text("access_token").map(Secret::new).ok_or_else(|| wrong("access_token is missing"))?;
    let lifetime =
        lifetime(&json, now_s).ok_or_else(|| wrong("it does not say how long the token is good"))?;
    let refresh = text("refresh_token").map(Secret::new);
    TokenAnswer { secret, lifetime, refresh }.usable().map_err(wrong)
}

/// `expires_in`, or else `expires_on`.
pub(crate) fn lifetime(json: &Value, now_s: u64) -> Option<Duration> {
    let within = json.get("expires_in").and_then(whole_number);
    let on = || json.get("expires_on").and_then(whole_number).map(|on| on.saturating_sub(now_s));
    within.or_else(on).map(Duration::from_secs)
}

/// What an answer that is no success means. `near`: it is the machine's own identity service that answered, where "not
/// found" and "gone" pass (learn.microsoft.com, "How to use managed identities on a VM", error handling).
pub(crate) fn refusal(host: &str, incoming: &Incoming, near: bool) -> IdentityError {
    let json: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let status = incoming.status.as_u16();
    let description = text("error_description");
    let entra = entra_code(description);
    let code = match (&entra, text("error")) {
        (Some(code), _) => code.clone(),
        (None, "") => format!("HTTP {status}"),
        (None, oauth) => first_sentence(oauth),
    };
    let number = code.strip_prefix("AADSTS").unwrap_or_default();
    let passing = matches!(status, 408 | 429 | 500..)
        || (near && matches!(status, 404 | 410))
        || matches!(number, "90055" | "90033" | "50196")
        || code == "temporarily_unavailable";
    if passing {
        return IdentityError::Busy { host: host.to_owned(), code, after: retry_after(incoming) };
    }
    let description = description.strip_prefix(&format!("{code}: ")).unwrap_or(description);
    IdentityError::Refused {
        host: host.to_owned(),
        advice: advice(number, text("error"), near),
        sentence: first_sentence(description),
        code,
    }
}

fn retry_after(incoming: &Incoming) -> Option<Duration> {
    let seconds = incoming.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// `AADSTS` and its digits at the beginning of a description.
fn entra_code(description: &str) -> Option<String> {
    let digits: String =
        description.strip_prefix("AADSTS")?.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("AADSTS{digits}"))
}

/// What a person can do about it (learn.microsoft.com, "Microsoft Entra authentication and authorization error codes").
fn advice(number: &str, oauth: &str, near: bool) -> &'static str {
    match number {
        "7000215" => "check the secret's value (not its id): AZCOPY_SPA_CLIENT_SECRET or AZURE_CLIENT_SECRET",
        "7000222" => "the secret has expired: make a new one, and set AZCOPY_SPA_CLIENT_SECRET",
        "700016" => "check the application's id and the tenant: AZCOPY_SPA_APPLICATION_ID, AZCOPY_TENANT_ID",
        "90002" | "900023" | "90013" => "check the tenant: AZCOPY_TENANT_ID or --tenant-id",
        "50076" | "50079" | "50158" | "53003" => {
            "the tenant wants another proof of who you are: use `azuring login`, or a service principal"
        }
        "65001" => "an administrator must consent to the application in this tenant",
        "700024" => "check this machine's clock, and how old the federated token is",
        "700027" | "7000213" => {
            "check that this certificate is registered for the application: AZCOPY_SPA_CERT_PATH"
        }
        "700211" | "700212" | "700213" => "check the federated credential of the application",
        "700082" | "70043" | "50173" | "70008" | "700084" => "log in again with `azuring login`",
        "70011" | "500011" => "check that the tenant has Azure Storage",
        "50057" | "50053" => "the account is locked or disabled",
        _ if oauth == "invalid_grant" => "log in again with `azuring login`",
        _ if near => "check that this identity is assigned to the machine: AZCOPY_MSI_CLIENT_ID",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
