//! The service's own URLs through a proxy: no name is looked up here, no port is in the URL.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use azsim::{Server, Tls};
use azuring_azure::{
    AccountKey, BlobClient, BlobProperties, BlobUrl, Class, Credential, RequestError, Secret, Target,
};
use azuring_link::{HttpChoice, LinkError, LinkSettings, Links, Proxies, TlsSetup};
use azuring_tests::{ConnectProxy, DEVSTORE_ACCOUNT, DEVSTORE_KEY};

/// Makes a container at the service's URL through the proxy.
fn create_container(server: &Server, proxy_url: &str) -> Result<(), RequestError> {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, server.ca_pem().unwrap()).unwrap();
    let url = format!("https://{DEVSTORE_ACCOUNT}.blob.core.windows.net/through-a-proxy");
    let key = AccountKey::new(DEVSTORE_ACCOUNT, &Secret::new(DEVSTORE_KEY)).unwrap();
    let credential = Credential::SharedKey(Box::new(key));
    let target = Target::new(BlobUrl::parse(&url).unwrap(), credential, &BlobProperties::default()).unwrap();
    let env = |name: &str| (name == "HTTPS_PROXY").then(|| proxy_url.to_owned());
    let settings = LinkSettings {
        http: HttpChoice::Auto,
        stall: Duration::from_secs(30),
        tls: Some(TlsSetup::new(Some(&ca)).unwrap()),
        pacer: None,
        proxies: Some(Arc::new(Proxies::from_env(env).unwrap())),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let links = Links::new(target.url().endpoint(), settings);
        BlobClient::new(Rc::new(target), links).create_container().await
    })
}

#[test]
fn the_services_own_url_goes_through_the_proxy() {
    let server = Server::builder().tls(Tls::SelfSigned).start().unwrap();
    let proxy = ConnectProxy::start(server.addr());
    create_container(&server, &proxy.url()).unwrap();
    assert_eq!(proxy.connects(), [format!("{DEVSTORE_ACCOUNT}.blob.core.windows.net:443")]);
    assert!(!server.create_container(DEVSTORE_ACCOUNT, "through-a-proxy"), "it is there already");
}

#[test]
fn a_proxy_wants_its_password() {
    let server = Server::builder().tls(Tls::SelfSigned).start().unwrap();
    let proxy = ConnectProxy::with_login(server.addr(), "user", "pass");
    let error = create_container(&server, &proxy.bare_url()).unwrap_err();
    assert!(matches!(&error, RequestError::Link(LinkError::ProxyLogin { given: false, .. })), "{error}");
    assert_eq!((error.class(), proxy.refused(), proxy.connects().len()), (Class::Fatal, 1, 0));
    assert!(error.advice().contains("http://USER:PASSWORD@HOST:PORT"), "{}", error.advice());
    create_container(&server, &proxy.url()).unwrap();
    assert_eq!((proxy.refused(), proxy.connects().len()), (1, 1));
}
