//! The authority: what it issues, what it refuses in Entra's words, and what it remembers as a breach of the protocol.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, rand, signature};
use azsim::{Application, Authority, Behaviour, Endpoint, Role, SignIn, Trouble};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Client, Reply, escape, trusting};
use serde_json::{Value, json};

const APP: &str = "11111111-2222-3333-4444-555555555555";
const SCOPE: &str = "https%3A%2F%2Fstorage.azure.com%2F.default";

fn connect(authority: &Authority) -> Client {
    Client::dial(authority.addr(), Some(trusting(authority.ca_pem().unwrap(), &[b"http/1.1"])))
}

fn post(client: &mut Client, path: &str, form: &str) -> Reply {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    client.raw("POST", path, &[kind], form.as_bytes()).unwrap()
}

/// Posts to the token endpoint of the authority's own tenant.
fn ask(authority: &Authority, client: &mut Client, form: &str) -> Reply {
    post(client, &format!("/{}/oauth2/v2.0/token", authority.tenant()), form)
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

/// Status, `error`, and the number after AADSTS.
fn error(reply: &Reply) -> (u16, String, u64) {
    let body = body(reply);
    let code = body["error_codes"][0].as_u64().unwrap();
    assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{code}: ")));
    for field in ["timestamp", "trace_id", "correlation_id"] {
        assert!(body[field].is_string(), "{field}");
    }
    (reply.status, body["error"].as_str().unwrap().to_owned(), code)
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn secret_form(id: &str, secret: &str, scope: &str) -> String {
    format!("client_id={id}&client_secret={secret}&scope={scope}&grant_type=client_credentials")
}

#[test]
fn a_secret_gets_a_token() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APP).secret("s3~cret").role(Role::Reader));
    let mut client = connect(&authority);
    // Both ways to write a tilde and a space are in use.
    for secret in ["s3~cret", "s3%7Ecret"] {
        let scope = if secret.contains('%') { SCOPE.to_owned() } else { SCOPE.replace("%2E", ".") };
        let reply = ask(&authority, &mut client, &secret_form(APP, secret, &scope));
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("cache-control"), "no-store, no-cache");
        let body = body(&reply);
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3599)));
        let claims = claims(body["access_token"].as_str().unwrap());
        assert_eq!(claims["aud"], "https://storage.azure.com");
        assert_eq!(claims["iss"], format!("https://sts.windows.net/{}/", authority.tenant()));
        assert_eq!((&claims["appid"], &claims["tid"]), (&json!(APP), &json!(authority.tenant())));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3599);
        assert!(claims["oid"].is_string() && claims["nbf"] == claims["iat"]);
    }
    assert_eq!(authority.deviations(), Vec::<String>::new());
    let log = authority.requests();
    assert_eq!(log.len(), 2);
    let first = (log[0].endpoint, log[0].grant.as_str(), log[0].client.as_str(), log[0].status);
    assert_eq!(first, (Endpoint::Token, "client_credentials", APP, 200));
    assert!(log[0].at < log[1].at);
}

#[test]
fn refusals_are_entras() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APP).secret("good").expired_secret("old"));
    let mut client = connect(&authority);
    let own = format!("/{}/oauth2/v2.0/token", authority.tenant());
    let own = own.as_str();
    let good = secret_form(APP, "good", SCOPE);
    for (path, form, expected) in [
        (own, secret_form(APP, "bad", SCOPE), (401, "invalid_client", 7_000_215)),
        (own, secret_form(APP, "old", SCOPE), (401, "invalid_client", 7_000_222)),
        (own, good.replace("client_secret=good&", ""), (401, "invalid_client", 7_000_218)),
        (own, secret_form("nobody", "good", SCOPE), (400, "unauthorized_client", 700_016)),
        (own, secret_form(APP, "good", "https%3A%2F%2Fnope%2F.default"), (400, "invalid_resource", 500_011)),
        (own, secret_form(APP, "good", "user.read"), (400, "invalid_scope", 1_002_012)),
        ("/nowhere/oauth2/v2.0/token", good.clone(), (400, "invalid_request", 90_002)),
        ("/common/oauth2/v2.0/token", good.clone(), (400, "invalid_request", 50_059)),
    ] {
        let (status, name, code) = expected;
        assert_eq!(error(&post(&mut client, path, &form)), (status, name.to_owned(), code), "{path} {form}");
    }
    assert_eq!(authority.deviations(), Vec::<String>::new());
}

#[test]
fn breaches_of_the_protocol_are_remembered() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APP).secret("good"));
    let mut client = connect(&authority);
    let path = format!("/{}/oauth2/v2.0/token", authority.tenant());
    let (path, query) = (path.as_str(), format!("{path}?a=b"));
    let good = secret_form(APP, "good", SCOPE);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let mut expected = Vec::new();
    for (method, path, headers, body, why) in [
        ("POST", path, vec![form], good.replace("%3A", "%3a"), "the percent-encoding follows no rule"),
        ("POST", path, vec![form], format!("{good}&x=1"), "'x' does not belong here"),
        ("POST", path, vec![form], format!("{good}&scope=a"), "'scope' is given twice"),
        ("POST", path, vec![form], good.replace("&scope", "&scop"), "'scope' is missing"),
        ("POST", path, vec![form], good.replace("=good", "="), "'client_secret' is empty"),
        ("POST", path, vec![form], good.replace("client_c", "c"), "there is no grant_type 'credentials'"),
        ("POST", path, vec![], good.clone(), "the header content-type is missing"),
        ("POST", path, vec![form, form], good.clone(), "the header content-type is given twice"),
        ("POST", path, vec![("Content-Type", "text/plain")], good.clone(), "the content type is text/plain"),
        (
            "POST",
            path,
            vec![form, ("Authorization", "Basic x")],
            good.clone(),
            "the header authorization does not belong here",
        ),
        ("POST", &query, vec![form], good.clone(), "the URL has a query"),
        ("PUT", path, vec![form], good.clone(), "the method is PUT, not POST"),
        ("POST", "/token", vec![form], good.clone(), "there is nothing at this path"),
    ] {
        let reply = client.raw(method, path, &headers, body.as_bytes()).unwrap();
        assert_eq!(error(&reply), (400, "invalid_request".to_owned(), 9_002_313), "{why}");
        let path = path.split('?').next().unwrap();
        expected.push(format!("{method} {path}: {why}"));
    }
    assert_eq!(authority.deviations(), expected);
    assert_eq!(ask(&authority, &mut client, &good).status, 200);
}

/// An RSA key with its certificate, to make assertions.
struct Signer {
    key: signature::RsaKeyPair,
    pem: String,
    der: Vec<u8>,
}

impl Signer {
    fn new() -> Signer {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let cert = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
        let key = signature::RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap();
        Signer { key, pem: cert.pem(), der: cert.der().to_vec() }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let padding: &dyn signature::RsaEncoding =
            if header["alg"] == "PS256" { &signature::RSA_PSS_SHA256 } else { &signature::RSA_PKCS1_SHA256 };
        let mut signed = vec![0; self.key.public_modulus_len()];
        self.key.sign(padding, &rand::SystemRandom::new(), text.as_bytes(), &mut signed).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed))
    }

    fn thumbprint(&self, algorithm: &'static digest::Algorithm) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &self.der))
    }
}

fn assertion_form(assertion: &str) -> String {
    let kind = escape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    format!(
        "client_id={APP}&scope={SCOPE}&grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}"
    )
}

#[test]
fn assertions_are_verified() {
    let authority = Authority::builder().start().unwrap();
    let (signer, stranger) = (Signer::new(), Signer::new());
    authority.register(Application::new(APP).certificate_pem(&signer.pem));
    let mut client = connect(&authority);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let audience = format!("{}/{}/oauth2/v2.0/token", authority.url(), authority.tenant());
    let claims = json!({
        "aud": audience, "iss": APP, "sub": APP, "jti": "one", "nbf": now, "iat": now, "exp": now + 600,
    });
    let sha1 = signer.thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    let sha256 = signer.thumbprint(&digest::SHA256);
    let old = json!({ "alg": "RS256", "typ": "JWT", "x5t": sha1 });
    let new = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": sha256 });
    for header in [&old, &new] {
        let reply = ask(&authority, &mut client, &assertion_form(&signer.sign(header, &claims)));
        assert_eq!(reply.status, 200, "{header} {}", reply.text());
    }
    let with = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        signer.sign(&new, &claims)
    };
    let good = signer.sign(&new, &claims);
    // The last bits of the last character are padding: flip one in the middle.
    let flipped = {
        let at = good.rfind('.').unwrap() + 9;
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &good[..at], &good[at + 1..])
    };
    for (assertion, code) in [
        (flipped, 700_027),
        (stranger.sign(&new, &claims), 700_027),
        (stranger.sign(&json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": "x" }), &claims), 700_027),
        (with("aud", json!("https://login.microsoftonline.com/x/oauth2/v2.0/token")), 700_023),
        (with("iss", json!("other")), 700_021),
        (with("sub", json!("other")), 700_021),
        (with("exp", json!(now - 301)), 700_024),
        (with("nbf", json!(now + 900)), 700_024),
    ] {
        let reply = ask(&authority, &mut client, &assertion_form(&assertion));
        assert_eq!(error(&reply), (401, "invalid_client".to_owned(), code));
    }
    assert_eq!(authority.deviations(), Vec::<String>::new());
    // What is not even the right format is a breach.
    for (assertion, why) in [
        ("a.b".to_owned(), "is no JWT"),
        (with("jti", Value::Null), "breaks the rules: jti"),
        (with("exp", json!("soon")), "breaks the rules: nbf and exp"),
        (signer.sign(&json!({ "alg": "PS256", "typ": "JWT" }), &claims), "breaks the rules: x5t"),
        (signer.sign(&json!({ "alg": "none", "typ": "JWT", "x5t": sha1 }), &claims), "breaks the rules: alg"),
        (signer.sign(&json!({ "alg": "PS256", "x5t": sha1 }), &claims), "breaks the rules: typ"),
    ] {
        assert_eq!(ask(&authority, &mut client, &assertion_form(&assertion)).status, 400);
        let last = authority.deviations().pop().unwrap();
        assert!(last.ends_with(&format!("the client_assertion {why}")), "{last}");
    }
}

#[test]
fn a_federated_token_stands_for_a_secret() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APP).federated_token("aaa.bbb.ccc"));
    let mut client = connect(&authority);
    assert_eq!(ask(&authority, &mut client, &assertion_form("aaa.bbb.ccc")).status, 200);
    let refused = ask(&authority, &mut client, &assertion_form("aaa.bbb.ccd"));
    assert_eq!(error(&refused), (400, "invalid_request".to_owned(), 70_021));
    assert_eq!(authority.deviations(), Vec::<String>::new());
}

/// Asks for a device code and gives it with its answer.
fn device_code(client: &mut Client, tenant: &str) -> (String, Value) {
    let form = format!("client_id={APP}&scope={SCOPE}+offline_access");
    let reply = post(client, &format!("/{tenant}/oauth2/v2.0/devicecode"), &form);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = body(&reply);
    (body["device_code"].as_str().unwrap().to_owned(), body)
}

fn poll(client: &mut Client, code: &str) -> Reply {
    let grant = escape("urn:ietf:params:oauth:grant-type:device_code");
    post(
        client,
        "/organizations/oauth2/v2.0/token",
        &format!("grant_type={grant}&client_id={APP}&device_code={code}"),
    )
}

#[test]
fn a_device_code_waits_for_its_user() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APP).public().role(Role::Contributor));
    let mut client = connect(&authority);
    let (code, answer) = device_code(&mut client, "common");
    assert_eq!((&answer["interval"], &answer["expires_in"]), (&json!(5), &json!(900)));
    let user_code = answer["user_code"].as_str().unwrap();
    assert!(answer["message"].as_str().unwrap().contains(user_code));
    assert_eq!(authority.user_codes(), [user_code]);
    let pending = (400, "authorization_pending".to_owned(), 70_016);
    assert_eq!(error(&poll(&mut client, &code)), pending);
    authority.advance(Duration::from_secs(5));
    assert_eq!(error(&poll(&mut client, &code)), pending);
    assert_eq!(authority.deviations(), Vec::<String>::new());

    // Too early: slower from now on, and remembered.
    assert_eq!(error(&poll(&mut client, &code)).1, "slow_down");
    assert_eq!(authority.deviations().len(), 1);
    authority.advance(Duration::from_secs(5));
    assert_eq!(error(&poll(&mut client, &code)).1, "slow_down", "10 seconds are asked for now");
    authority.advance(Duration::from_secs(15));
    assert!(authority.approve_device(user_code) && !authority.approve_device("other"));
    let reply = poll(&mut client, &code);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(error(&poll(&mut client, &code)).1, "bad_verification_code", "a code is used once");

    // The refresh token goes on without the user.
    let refresh = body(&reply)["refresh_token"].as_str().unwrap().to_owned();
    let form = format!("grant_type=refresh_token&client_id={APP}&refresh_token={refresh}");
    let renewed = post(&mut client, "/common/oauth2/v2.0/token", &format!("{form}&scope={SCOPE}"));
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    assert_ne!(body(&renewed)["refresh_token"], refresh.as_str());
    assert_eq!(claims(body(&renewed)["access_token"].as_str().unwrap())["tid"], authority.tenant());
    authority.register(Application::new("other").public());
    let stolen = post(&mut client, "/common/oauth2/v2.0/token", &form.replace(APP, "other"));
    assert_eq!(error(&stolen).1, "invalid_grant", "it belongs to one application");
    authority.revoke_refresh_tokens();
    let revoked = post(&mut client, "/common/oauth2/v2.0/token", &form);
    assert_eq!(error(&revoked), (400, "invalid_grant".to_owned(), 70_000));
}

#[test]
fn device_codes_end_as_planned() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APP).public());
    let mut client = connect(&authority);
    for (sign_in, slow_down, expected) in [
        (SignIn::ApproveAfter(1), 0, vec!["authorization_pending", ""]),
        (SignIn::DeclineAfter(0), 1, vec!["slow_down", "authorization_declined"]),
        (SignIn::ExpireAfter(1), 0, vec!["authorization_pending", "expired_token"]),
    ] {
        authority.set_behaviour(Behaviour { sign_in, slow_down, ..Behaviour::default() });
        let (code, _) = device_code(&mut client, "common");
        let outcomes: Vec<String> = expected
            .iter()
            .map(|_| {
                authority.advance(Duration::from_secs(10));
                body(&poll(&mut client, &code))["error"].as_str().unwrap_or_default().to_owned()
            })
            .collect();
        assert_eq!(outcomes, expected, "{sign_in:?}");
    }
    // Without a plan: by the test, or by time.
    authority.set_behaviour(Behaviour { device_lifetime_s: 60, ..Behaviour::default() });
    let (declined, answer) = device_code(&mut client, "common");
    assert!(authority.decline_device(answer["user_code"].as_str().unwrap()));
    assert_eq!(error(&poll(&mut client, &declined)), (400, "authorization_declined".to_owned(), 65_004));
    let (late, _) = device_code(&mut client, "common");
    authority.advance(Duration::from_secs(60));
    assert_eq!(error(&poll(&mut client, &late)), (400, "expired_token".to_owned(), 70_019));
    assert_eq!(authority.deviations(), Vec::<String>::new());
}

#[test]
fn troubles_come_in_order_and_pass() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APP).secret("good"));
    let mut client = connect(&authority);
    let troubles = vec![
        Trouble::TooManyRequests(Some(7)),
        Trouble::TenantThrottled,
        Trouble::ServerError,
        Trouble::Unavailable(None),
    ];
    authority.set_behaviour(Behaviour { troubles, lifetime_s: Some(2), ..Behaviour::default() });
    let good = secret_form(APP, "good", SCOPE);
    for (status, code, retry_after) in
        [(429, 50_196, "7"), (429, 90_055, ""), (500, 90_020, ""), (503, 90_033, "")]
    {
        let reply = ask(&authority, &mut client, &good);
        let (got, _, number) = error(&reply);
        assert_eq!((got, number, reply.header("retry-after")), (status, code, retry_after));
    }
    assert_eq!(body(&ask(&authority, &mut client, &good))["expires_in"], 2);
    authority.set_behaviour(Behaviour { expired: true, ..Behaviour::default() });
    let body = body(&ask(&authority, &mut client, &good));
    assert_eq!(body["expires_in"], 3599);
    assert!(claims(body["access_token"].as_str().unwrap())["exp"].as_u64().unwrap() < authority.now_s());
    assert_eq!(authority.requests().iter().filter(|r| r.status == 429).count(), 2);
}
