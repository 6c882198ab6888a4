//! Proxies and certificate authorities, between azuring and an account under its real name.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Tls;
use azuring_tests::{Azuring, CONTAINER, ConnectProxy, DEVSTORE_ACCOUNT, Fixture, Outcome, azuring};

const HOST: &str = "devstoreaccount1.blob.core.windows.net";

/// An account, and azuring with a proxy in `variable`.
fn behind(
    variable: &str,
    proxy: impl FnOnce(&azsim::Server) -> (ConnectProxy, String),
) -> (Fixture, ConnectProxy, Azuring) {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned));
    let (proxy, url) = proxy(fixture.server());
    let azuring = azuring!().trust(&fixture.ca_file()).env(variable, url);
    (fixture, proxy, azuring)
}

fn url(fixture: &Fixture) -> String {
    let (_, sas) = fixture.url().split_once('?').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    format!("https://{HOST}/{CONTAINER}?{sas}")
}

fn upload(fixture: &Fixture, azuring: &Azuring, more: &[&str]) -> Outcome {
    let file = fixture.file("a b", b"content");
    let mut args = vec!["copy".to_owned(), file.to_str().unwrap().to_owned(), url(fixture)];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    azuring.run(args)
}

#[test]
fn a_proxy_leads_to_the_account() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let open = |server: &azsim::Server| {
            let proxy = ConnectProxy::start(server.addr());
            let url = proxy.url();
            (proxy, url)
        };
        let (fixture, proxy, azuring) = behind(variable, open);
        upload(&fixture, &azuring, &[]).expect_code(0);
        assert_eq!(fixture.content("a b"), b"content");
        let connects = proxy.connects();
        assert!(
            !connects.is_empty() && connects.iter().all(|to| to == &format!("{HOST}:443")),
            "{connects:?}"
        );
    }
    // For http:// alone: the name is looked up, and there is no such host here.
    let open = |server: &azsim::Server| {
        let proxy = ConnectProxy::start(server.addr());
        let url = proxy.url();
        (proxy, url)
    };
    let (fixture, proxy, azuring) = behind("HTTP_PROXY", open);
    upload(&fixture, &azuring, &["--max-tries=1"]).expect_code(5);
    assert_eq!(proxy.connects().len(), 0);
}

#[test]
fn a_proxy_may_want_a_password_which_nobody_sees() {
    let locked = |server: &azsim::Server| {
        let proxy = ConnectProxy::with_login(server.addr(), "me", "CanaryPassword");
        let url = proxy.url();
        (proxy, url)
    };
    let (fixture, proxy, azuring) = behind("HTTPS_PROXY", locked);
    upload(&fixture, &azuring, &[]).expect_code(0);
    let bare = azuring!().trust(&fixture.ca_file()).env("HTTPS_PROXY", proxy.bare_url());
    let refused = upload(&fixture, &bare, &["--max-tries=2"]);
    assert!(
        refused.code != Some(0) && refused.stderr.contains("wants a user and password"),
        "{}",
        refused.stderr
    );
    let wrong = azuring!()
        .trust(&fixture.ca_file())
        .env("HTTPS_PROXY", proxy.url().replace("CanaryPassword", "CanaryPassw0rd"));
    let refused = upload(&fixture, &wrong, &["--max-tries=2", "--log-level=debug"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("HTTPS_PROXY"), "{}", refused.stderr);
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains("CanaryPassw"), "{}", refused.stderr);
    let gone =
        azuring!().trust(&fixture.ca_file()).env("HTTPS_PROXY", "http://me:CanaryPassword@127.0.0.1:1");
    let gone = upload(&fixture, &gone, &["--max-tries=2"]);
    assert!(gone.expect_code(5).stderr.contains("HTTPS_PROXY"), "{}", gone.stderr);
    assert!(!gone.stderr.contains("CanaryPassword"), "{}", gone.stderr);
    let odd = azuring!().env("HTTPS_PROXY", "ftp://me:CanaryPassword@proxy");
    let odd = upload(&fixture, &odd, &[]);
    assert!(
        odd.expect_code(2).stderr.contains("HTTPS_PROXY") && !odd.stderr.contains("CanaryPassword"),
        "{}",
        odd.stderr
    );
}

#[test]
fn hosts_may_be_reached_without_the_proxy() {
    let open = |server: &azsim::Server| {
        let proxy = ConnectProxy::start(server.addr());
        let url = proxy.url();
        (proxy, url)
    };
    let (fixture, proxy, azuring) = behind("HTTPS_PROXY", open);
    // This machine's own addresses never need one.
    let file = fixture.file("x", b"1");
    azuring.run(["copy", file.to_str().unwrap(), &fixture.url()]).expect_code(0);
    assert_eq!(proxy.connects().len(), 0);
    let azuring = azuring.env("NO_PROXY", "example.org,.core.windows.net");
    upload(&fixture, &azuring, &["--max-tries=1"]).expect_code(5);
    assert_eq!(proxy.connects().len(), 0);
    let _ = DEVSTORE_ACCOUNT;
}

#[test]
fn authorities_are_the_platforms_or_those_that_are_named() {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned));
    let file = fixture.file("x", b"1");
    let (file, url) = (file.to_str().unwrap().to_owned(), fixture.url());
    let copy = |azuring: Azuring, more: &[&str]| {
        let mut args = vec!["copy", &file, &url];
        args.extend(more);
        azuring.run(args)
    };
    let ca = format!("--ca-file={}", fixture.ca_file().display());
    let platform = copy(azuring!(), &[]);
    assert!(
        platform.expect_code(5).stderr.contains("not issued by an authority this machine trusts"),
        "{}",
        platform.stderr
    );
    copy(azuring!(), &[&ca]).expect_code(0);
    copy(azuring!().trust(&fixture.ca_file()), &[]).expect_code(0);
    let dir = fixture.path().join("certs");
    std::fs::create_dir(&dir).unwrap();
    // As c_rehash names them: a hash of the subject, and a number.
    std::fs::copy(fixture.ca_file(), dir.join("0a1b2c3d.0")).unwrap();
    copy(azuring!().env("SSL_CERT_DIR", &dir), &[]).expect_code(0);
    let nowhere = copy(azuring!().env("SSL_CERT_FILE", "/nowhere.pem"), &[]);
    assert!(nowhere.code != Some(0) && nowhere.stderr.contains("/nowhere.pem"), "{}", nowhere.stderr);
}
