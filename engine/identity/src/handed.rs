//! `AZCOPY_OAUTH_TOKEN_INFO`: a token that a parent process hands down, as Storage Explorer does.

use std::time::{Duration, SystemTime};

use azuring_azure::Secret;
use serde_json::Value;

use crate::answer::whole_number;
use crate::clock::unix_s;
use crate::error::IdentityError;
use crate::login::{Login, LoginKind, PUBLIC_AUTHORITY};
use crate::token::AccessToken;

pub(crate) const VARIABLE: &str = "AZCOPY_OAUTH_TOKEN_INFO";

/// Reads the variable's JSON. The fields are those of AzCopy's `OAuthTokenInfo`: numbers may be strings.
pub(crate) fn parse(json: &str) -> Result<Login, IdentityError> {
    let wrong = |reason: &str| IdentityError::setting(VARIABLE, reason);
    // The parser's message may quote what it read.
    let info: Value = serde_json::from_str(json).map_err(|_| wrong("it is not JSON"))?;
    let text = |name: &str| info.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let refresh = text("refresh_token").map(Secret::new);
    let secret = text("access_token").unwrap_or_default();
    if secret.is_empty() && refresh.is_none() {
        return Err(wrong("it has neither access_token nor refresh_token"));
    }
    let obtained = SystemTime::now();
    let lifetime = match (info.get("expires_on"), info.get("expires_in")) {
        (Some(on), _) if whole_number(on).is_some_and(|on| on > 0) => {
            let end_s = whole_number(on).unwrap_or_default();
            Duration::from_secs(end_s.saturating_sub(unix_s(obtained)))
        }
        (_, Some(within)) => Duration::from_secs(whole_number(within).unwrap_or_default()),
        _ => Duration::ZERO,
    };
    let lifetime = if secret.is_empty() { Duration::ZERO } else { lifetime };
    if lifetime.is_zero() && refresh.is_none() {
        return Err(wrong("the token has expired, or does not say when it does (expires_on)"));
    }
    let token = AccessToken { secret: Secret::new(secret), obtained, lifetime };
    let mut login = Login::new(LoginKind::Given { token, refresh });
    let authority = text("_ad_endpoint").unwrap_or(PUBLIC_AUTHORITY);
    login = login.with_authority("AZCOPY_OAUTH_TOKEN_INFO, _ad_endpoint", authority)?;
    if let Some(tenant) = text("_tenant") {
        login = login.with_tenant("AZCOPY_OAUTH_TOKEN_INFO, _tenant", tenant)?;
    }
    if let Some(client) = text("_client_id").or_else(|| text("_application_id")) {
        login = login.with_client("AZCOPY_OAUTH_TOKEN_INFO, _client_id", client)?;
    }
    Ok(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_strings() {
        let end = unix_s(SystemTime::now()) + 3600;
        for json in [
            format!(r#"{{"access_token":"t","expires_on":"{end}","expires_in":"1"}}"#),
            format!(r#"{{"access_token":"t","expires_on":{end}}}"#),
            r#"{"access_token":"t","expires_in":3600,"expires_on":0}"#.to_owned(),
            r#"{"access_token":"t","expires_in":"3600"}"#.to_owned(),
        ] {
            let login = parse(&json).unwrap();
            let LoginKind::Given { token, refresh: None } = login.kind else { panic!("{login:?}") };
            assert!((3595..=3600).contains(&token.lifetime.as_secs()), "{json}");
            assert_eq!(token.secret.expose(), "t");
        }
    }

    #[test]
    fn a_life_without_an_end_has_one() {
        for name in ["expires_on", "expires_in"] {
            for value in ["18446744073709551615", "9223372036854775807"] {
                let login = parse(&format!(r#"{{"access_token":"t","{name}":"{value}"}}"#)).unwrap();
                let LoginKind::Given { token, .. } = login.kind else { panic!("{login:?}") };
                assert!((1..=30 * 24 * 3600).contains(&token.left().as_secs()), "{name} {value}");
            }
        }
    }

    #[test]
    fn a_refresh_token_stands_for_an_expired_token() {
        let json = r#"{"access_token":"t","refresh_token":"r","expires_on":"1","resource":"https://storage.azure.com",
            "token_type":"Bearer","_tenant":"2222","_ad_endpoint":"https://login.microsoftonline.us/","_client_id":"33"}"#;
        let login = parse(json).unwrap();
        assert_eq!(login.refresh_token().unwrap().expose(), "r");
        assert_eq!(
            (login.tenant.as_deref(), login.client.as_deref(), &*login.authority),
            (Some("2222"), Some("33"), "https://login.microsoftonline.us")
        );
        assert_eq!(login.describe(), "token handed down by the parent process of tenant 2222");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (json, reason) in [
            (r#"{"access_token":"hunter2""#, "it is not JSON"),
            (r#"{"resource":"hunter2"}"#, "it has neither access_token nor refresh_token"),
            (
                r#"{"access_token":"hunter2","expires_on":"1"}"#,
                "the token has expired, or does not say when it does (expires_on)",
            ),
        ] {
            assert_eq!(parse(json).unwrap_err(), IdentityError::setting(VARIABLE, reason));
        }
    }
}
