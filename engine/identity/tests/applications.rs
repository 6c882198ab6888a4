//! Service principals and workloads against an authority that checks every request.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, reason = "it is a test")]

mod kit;

use std::time::Duration;

use azsim::{Application, Authority, Behaviour, Trouble};
use azuring_azure::Secret;
use azuring_identity::{LoginKind, STORAGE_SCOPE};
use kit::{CLIENT, SECRET, assert_strict, login, network_of, refused, with_secret};

fn authority() -> Authority {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(CLIENT).secret(SECRET).expired_secret("old"));
    authority
}

fn certificate(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

#[test]
fn a_secret_gets_a_new_token_each_time() {
    let authority = authority();
    let (login, network) = (with_secret(&authority, SECRET), network_of(&authority));
    let one = login.token(&network, STORAGE_SCOPE).unwrap();
    let two = login.token(&network, STORAGE_SCOPE).unwrap();
    assert_eq!(one.lifetime, Duration::from_secs(3599));
    // What was refused is not handed out again from somebody's memory.
    assert_eq!(authority.requests().len(), 2);
    assert!(one.secret.expose().len() > 100 && two.secret.expose().len() > 100);
    assert_strict(&authority);
}

#[test]
fn a_certificate_proves_the_application() {
    let authority = Authority::builder().start().unwrap();
    let own = std::fs::read_to_string(certificate("no-key.pem")).unwrap();
    authority.register(Application::new(CLIENT).certificate_pem(&own));
    let network = network_of(&authority);
    for (file, password) in [("plain.pem", None), ("modern.p12", Some("hunter2"))] {
        let password = password.map(Secret::new);
        let kind = LoginKind::ServicePrincipalCertificate { path: certificate(file), password };
        login(&authority, kind).token(&network, STORAGE_SCOPE).unwrap();
    }
    authority.register(Application::new(CLIENT).certificate_pem(&other_certificate()));
    let kind = LoginKind::ServicePrincipalCertificate { path: certificate("plain.pem"), password: None };
    let said = refused(&login(&authority, kind), &network);
    assert!(said.contains("AADSTS700027") && said.ends_with("AZCOPY_SPA_CERT_PATH"), "{said}");
    assert_strict(&authority);
}

/// The authority's of the fixtures: the first in a file of which the key is another's.
fn other_certificate() -> String {
    let text = std::fs::read_to_string(certificate("no-certificate.pem")).unwrap();
    text[text.find("-----BEGIN CERTIFICATE").unwrap()..].to_owned()
}

#[test]
fn a_workloads_token_is_read_anew_for_each_request() {
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(CLIENT).federated_token("second"));
    let network = network_of(&authority);
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    let login = login(&authority, LoginKind::WorkloadIdentity { token_file: token_file.clone() });
    assert!(refused(&login, &network).ends_with("token: No such file or directory (os error 2)"));
    std::fs::write(&token_file, "first").unwrap();
    assert!(refused(&login, &network).contains("AADSTS70021"));
    std::fs::write(&token_file, "second").unwrap();
    login.token(&network, STORAGE_SCOPE).unwrap();
    assert_strict(&authority);
}

#[test]
fn a_refusal_names_the_remedy_and_no_secret() {
    let authority = authority();
    let network = network_of(&authority);
    let said = refused(&with_secret(&authority, "wrong"), &network);
    assert_eq!(
        said,
        format!(
            "{} refused: AADSTS7000215: Invalid client secret provided; check the secret's value (not its id): AZCOPY_SPA_CLIENT_SECRET or AZURE_CLIENT_SECRET",
            authority.addr()
        )
    );
    assert!(refused(&with_secret(&authority, "old"), &network).contains("the secret has expired"));
    let other = with_secret(&authority, SECRET).with_client("", "2222").unwrap();
    assert!(refused(&other, &network).contains("AADSTS700016"));
    let other = with_secret(&authority, SECRET).with_tenant("", "nowhere.example").unwrap();
    assert!(refused(&other, &network).ends_with("check the tenant: AZCOPY_TENANT_ID or --tenant-id"));
    let error =
        with_secret(&authority, SECRET).token(&network, "https://unknown.example/.default").unwrap_err();
    assert!(error.to_string().contains("AADSTS500011"), "{error}");
    // Each was refused once: what is definite is not asked again.
    assert_eq!(authority.requests().len(), 5);
    assert_strict(&authority);
}

#[test]
fn a_busy_authority_is_asked_again() {
    let authority = authority();
    let troubles = vec![
        Trouble::TooManyRequests(Some(0)),
        Trouble::Unavailable(Some(0)),
        Trouble::TenantThrottled,
        Trouble::ServerError,
    ];
    authority.set_behaviour(Behaviour { troubles, ..Behaviour::default() });
    with_secret(&authority, SECRET).token(&network_of(&authority), STORAGE_SCOPE).unwrap();
    let statuses: Vec<_> = authority.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [429, 503, 429, 500, 200]);
    assert_strict(&authority);
}

#[test]
fn an_authority_that_cannot_be_verified_gets_nothing() {
    let authority = authority();
    let other = Authority::builder().start().unwrap();
    let said = refused(&with_secret(&authority, SECRET), &network_of(&other));
    assert!(said.contains("does not verify"), "{said}");
    assert_eq!(authority.requests(), []);
}
