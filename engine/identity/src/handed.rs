//! `AZCOPY_OAUTH_TOKEN_INFO`: a token that a parent process hands down, as Storage Explorer does.

use std::time::{Duration, SystemTime};

use azuring_azure::Secret;
use serde_json::Value;

use crate::answer::whole_number;
use crate::clock::unix_s;
use crate::error::IdentityError;
use crate::login::{Login, LoginKind, ManagedIdentity, PUBLIC_AUTHORITY};
use crate::token::AccessToken;

pub(crate) const VARIABLE: &str = "AZCOPY_OAUTH_TOKEN_INFO";

/// Reads the variable's JSON. The fields are those of AzCopy's `OAuthTokenInfo`: numbers may be strings. Where it says
/// who can be asked for tokens, that is who is asked, as AzCopy does: the token beside it may be of any age.
pub(crate) fn parse(json: &str) -> Result<Login, IdentityError> {
    let wrong = |reason: &str| IdentityError::setting(VARIABLE, reason);
    // The parser's message may quote what it read.
    let info: Value = serde_json::from_str(json).map_err(|_| wrong("it is not JSON"))?;
    let text = |name: &str| text_of(&info, name);
    let kind = match source(&info)? {
        Some(kind) => kind,
        None => given(&info)?,
    };
    let mut login = Login::new(kind);
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

fn text_of<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Who gives tokens by `_token_refresh_source`; `None` if it is the refresh token, or whoever handed this down.
fn source(info: &Value) -> Result<Option<LoginKind>, IdentityError> {
    let part = |object: &str, name: &str| info.get(object).and_then(|object| text_of(object, name));
    let named = text_of(info, "_token_refresh_source").unwrap_or_default().to_ascii_lowercase();
    Ok(Some(match named.as_str() {
        "msi" => {
            let id = |name: &str| part("IdentityInfo", name).map(str::to_owned);
            LoginKind::ManagedIdentity(
                id("_identity_client_id")
                    .map(ManagedIdentity::ClientId)
                    .or_else(|| id("_identity_object_id").map(ManagedIdentity::ObjectId))
                    .or_else(|| id("_identity_msi_res_id").map(ManagedIdentity::ResourceId))
                    .unwrap_or_default(),
            )
        }
        "spn" => {
            // The certificate's password, where there is a certificate.
            let secret = part("SPNInfo", "_spn_secret").map(Secret::new);
            match (part("SPNInfo", "_spn_cert_path"), secret) {
                (Some(path), password) => {
                    LoginKind::ServicePrincipalCertificate { path: path.into(), password }
                }
                (None, Some(secret)) => LoginKind::ServicePrincipalSecret { secret },
                (None, None) => {
                    let reason = "SPNInfo has neither _spn_cert_path nor _spn_secret";
                    return Err(IdentityError::setting(VARIABLE, reason));
                }
            }
        }
        "azcli" => LoginKind::AzureCli,
        "pscred" => LoginKind::PowerShell,
        _ => return Ok(None),
    }))
}

/// The token itself, and the refresh token for those after it.
fn given(info: &Value) -> Result<LoginKind, IdentityError> {
    let wrong = |reason: &str| IdentityError::setting(VARIABLE, reason);
    let text = |name: &str| text_of(info, name);
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
    Ok(LoginKind::Given { token, refresh })
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
                assert!(
                    (1..=30 * 24 * 3600).contains(&token.left(&azuring_azure::Clock::system()).as_secs()),
                    "{name} {value}"
                );
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
    fn who_gives_tokens_is_asked_for_them() {
        let read = |source: &str, rest: &str| {
            parse(&format!(
                r#"{{"access_token":"t","expires_on":"1","_token_refresh_source":"{source}","_tenant":"2222",
                "_application_id":"1111","IdentityInfo":{{"_identity_client_id":"","_identity_object_id":"obj"}}{rest}}}"#
            ))
        };
        let kind = |source, rest| read(source, rest).unwrap().kind;
        let object = ManagedIdentity::ObjectId("obj".to_owned());
        assert_eq!(kind("MSI", ""), LoginKind::ManagedIdentity(object));
        assert_eq!(kind("AzCLI", ""), LoginKind::AzureCli);
        assert_eq!(kind("PsCred", ""), LoginKind::PowerShell);
        let secret = read("SPN", r#","SPNInfo":{"_spn_secret":"hunter2","_spn_cert_path":""}"#).unwrap();
        assert_eq!(secret.kind, LoginKind::ServicePrincipalSecret { secret: Secret::new("hunter2") });
        assert_eq!(secret.application("").unwrap(), ("2222", "1111"));
        let password = Some(Secret::new("hunter2"));
        assert_eq!(
            kind("spn", r#","SPNInfo":{"_spn_secret":"hunter2","_spn_cert_path":"/c.pem"}"#),
            LoginKind::ServicePrincipalCertificate { path: "/c.pem".into(), password }
        );
        let nothing = "SPNInfo has neither _spn_cert_path nor _spn_secret";
        assert_eq!(read("SPN", "").unwrap_err(), IdentityError::setting(VARIABLE, nothing));
        // Whoever stores tokens handed this one down.
        assert!(read("TokenStore", "").unwrap_err().to_string().contains("has expired"));
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
