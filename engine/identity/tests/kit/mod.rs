//! An authority, and the network that leads to it.
#![allow(dead_code, reason = "no test needs all of it")]

use azsim::Authority;
use azuring_azure::Secret;
use azuring_identity::{Environment, IdentityError, Login, LoginKind, Network, STORAGE_SCOPE};
use azuring_link::{LinkSettings, TlsSetup};

pub const CLIENT: &str = "11111111-0000-0000-0000-000000000001";
/// Grepped for in everything that is said.
pub const SECRET: &str = "hunter2-canary~8Q";

/// A network that trusts what is in `pem`, with these variables and no others.
pub fn network(pem: &str, variables: &[(&str, String)]) -> Network {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let tls = Some(TlsSetup::new(Some(&file)).unwrap());
    let stall = std::time::Duration::from_secs(30);
    let links = LinkSettings::default().stall(stall).tls(tls);
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let environment = Environment::of(move |wanted| {
        variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    });
    let mut network = Network::new(links);
    network.environment = environment;
    network
}

/// The network of `authority`.
pub fn network_of(authority: &Authority) -> Network {
    network(authority.ca_pem().unwrap(), &[])
}

/// An application of the authority's tenant.
pub fn login(authority: &Authority, kind: LoginKind) -> Login {
    let login = Login::new(kind).with_authority("", &authority.url()).unwrap();
    login.with_tenant("", authority.tenant()).unwrap().with_client("", CLIENT).unwrap()
}

pub fn with_secret(authority: &Authority, secret: &str) -> Login {
    login(authority, LoginKind::ServicePrincipalSecret { secret: Secret::new(secret) })
}

/// What a login without a token says, which is no secret.
pub fn refused(login: &Login, network: &Network) -> String {
    let error: IdentityError = login.token(network, STORAGE_SCOPE).unwrap_err();
    assert!(!format!("{error} {error:?} {login:?}").contains(SECRET));
    error.to_string()
}

/// No request has broken the protocol.
pub fn assert_strict(authority: &Authority) {
    assert_eq!(authority.deviations(), Vec::<String>::new());
}

/// Waits until `condition` holds; what never holds is a fault that this ends with.
#[track_caller]
pub fn wait_until(condition: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(180), "it does not come");
        std::thread::yield_now();
    }
}
