use http::{HeaderMap, StatusCode};

use super::*;

fn incoming(status: u16, body: &'static str) -> Incoming {
    let status = StatusCode::from_u16(status).unwrap();
    Incoming { status, headers: HeaderMap::new(), body: body.into() }
}

fn refused(status: u16, body: &'static str) -> IdentityError {
    refusal("login", &incoming(status, body), false)
}

#[test]
fn a_refusal_says_code_sentence_and_remedy() {
    let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure the secret is the value, not hunter2.\r\nTrace ID: 1","error_codes":[7000215]}"#;
    assert_eq!(
        refused(401, body).to_string(),
        "login refused: AADSTS7000215: Invalid client secret provided; check the secret's value (not its id): AZCOPY_SPA_CLIENT_SECRET or AZURE_CLIENT_SECRET"
    );
    let remedy = |code: &str| {
        let body = format!(r#"{{"error":"x","error_description":"AADSTS{code}: S."}}"#);
        refused(400, body.leak()).to_string()
    };
    assert!(remedy("7000222").ends_with("make a new one, and set AZCOPY_SPA_CLIENT_SECRET"));
    assert!(remedy("700016").ends_with("AZCOPY_SPA_APPLICATION_ID, AZCOPY_TENANT_ID"));
    assert!(remedy("90002").ends_with("S; check the tenant: AZCOPY_TENANT_ID or --tenant-id"));
    assert!(remedy("50076").contains("another proof"));
    assert!(remedy("65001").contains("administrator"));
    assert!(remedy("700024").contains("clock"));
    assert_eq!(remedy("1234567"), "login refused: AADSTS1234567: S");
}

#[test]
fn a_body_that_is_not_entras_is_not_shown() {
    assert_eq!(refused(403, "<html>hunter2</html>").to_string(), "login refused: HTTP 403");
    assert_eq!(
        refused(400, r#"{"error":"invalid_grant"}"#).to_string(),
        "login refused: invalid_grant; log in again with `azuring login`"
    );
}

#[test]
fn what_passes_is_tried_again() {
    let mut busy = incoming(429, "");
    busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    let error = refusal("login", &busy, false);
    assert!(error.is_passing());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("86400"));
    assert_eq!(refusal("login", &busy, false).retry_after(), Some(MAX_RETRY_AFTER));
    assert!(refused(503, "").is_passing() && refused(500, "").is_passing());
    assert!(refused(400, r#"{"error_description":"AADSTS90055: Too many requests."}"#).is_passing());
    assert!(!refused(404, "").is_passing() && !refused(400, "").is_passing());
    assert!(refusal("imds", &incoming(410, ""), true).is_passing());
}

#[test]
fn a_token_says_how_long_it_is_good() {
    let read = |body| {
        super::read("login", &incoming(200, body), false, 1000).map(|token| {
            (token.secret.expose().to_owned(), token.lifetime.as_secs(), token.refresh.is_some())
        })
    };
    assert_eq!(read(r#"{"access_token":"t","expires_in":3599}"#), Ok(("t".to_owned(), 3599, false)));
    assert_eq!(
        read(r#"{"access_token":"t","expires_in":"60","refresh_token":"r"}"#),
        Ok(("t".to_owned(), 60, true))
    );
    assert_eq!(read(r#"{"access_token":"t","expires_on":"1500"}"#), Ok(("t".to_owned(), 500, false)));
    let error = |body| read(body).unwrap_err().to_string();
    assert_eq!(error("hunter2"), "the answer of login holds no token that can be used: it is not JSON");
    assert_eq!(error("{}"), "the answer of login holds no token that can be used: access_token is missing");
    assert!(error(r#"{"access_token":"t"}"#).ends_with("how long the token is good"));
    let past = r#"{"access_token":"t","expires_on":"999"}"#;
    assert!(error(past).ends_with("it has expired already: check this machine's clock"));
    let split = r#"{"access_token":"hunter2\nJ","expires_in":"60"}"#;
    assert!(
        error(split).ends_with("login holds no token that can be used: it has characters that no token has")
    );
}
