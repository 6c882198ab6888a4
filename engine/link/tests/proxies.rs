//! Requests through proxies, which are real programs on real sockets.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::error::Error;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use azuring_link::{Endpoint, LinkError};
use kit::{Authority, HOST, connect_proxy, exchange, get, http, https, https_server, listen, socks_proxy};

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What comes of a CONNECT that is answered so.
fn refusal(answer: &str) -> LinkError {
    let (proxy, _) = connect_proxy(nowhere(), answer);
    let vars = [("HTTPS_PROXY", format!("http://user:hidden@{proxy}"))];
    get(https(), &vars, Some(Authority::new().trusted()), 1).unwrap_err()
}

#[test]
fn https_goes_through_a_tunnel_that_only_the_proxy_can_resolve() {
    let authority = Arc::new(Authority::new());
    let (proxy, heard) = connect_proxy(https_server(&authority), OPEN);
    let vars = [("HTTPS_PROXY", format!("us%40er:p%3Ass@{proxy}"))];
    let got = get(https(), &vars, Some(authority.trusted()), 3).unwrap();
    // Inside the tunnel nothing tells of the proxy.
    assert_eq!(got, format!("200 GET /c/b?x=y HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
    let connect = format!(
        "CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443\r\nproxy-authorization: Basic dXNAZXI6cDpzcw==\r\n\r\n"
    );
    assert_eq!(*heard.lock().unwrap(), [connect], "one tunnel for three requests");
    // What comes before the answer is passed over.
    let (proxy, _) = connect_proxy(https_server(&authority), &format!("HTTP/1.1 100 Wait\r\n\r\n{OPEN}"));
    let got = get(https(), &[("HTTPS_PROXY", proxy.to_string())], Some(authority.trusted()), 1).unwrap();
    assert!(got.starts_with("200 GET"), "{got}");
}

#[test]
fn the_proxy_itself_may_speak_tls() {
    let authority = Arc::new(Authority::new());
    let server = https_server(&authority);
    let (plain, heard) = connect_proxy(server, OPEN);
    let front = Arc::clone(&authority);
    let proxy = listen(move |socket| front.unwrap_tls(socket, plain));
    let vars = [("HTTPS_PROXY", format!("https://localhost:{}", proxy.port()))];
    let got = get(https(), &vars, Some(authority.trusted()), 2).unwrap();
    assert!(got.starts_with("200 GET /c/b?x=y"), "{got}");
    assert_eq!(heard.lock().unwrap().len(), 1);

    let front = Arc::clone(&authority);
    let relay = listen(move |socket| kit::echo(&mut front.tls(socket)));
    let relay = [("HTTP_PROXY", format!("https://localhost:{}", relay.port()))];
    let got = get(http(), &relay, Some(authority.trusted()), 2).unwrap();
    assert!(got.starts_with(&format!("200 GET http://{HOST}:80/c/b?x=y HTTP/1.1")), "{got}");

    let stranger = Authority::new().trusted();
    let error = get(https(), &vars, Some(stranger), 1).unwrap_err();
    assert!(matches!(&error, LinkError::Certificate { host, .. } if host == "localhost"), "{error}");
    let error = get(http(), &[("HTTP_PROXY", format!("https://{proxy}"))], None, 1).unwrap_err();
    assert!(error.to_string().contains("no TLS configuration"), "{error}");
}

#[test]
fn http_is_sent_on_by_the_proxy() {
    let server = listen(|mut socket| kit::echo(&mut socket));
    let vars = [("HTTP_PROXY", format!("http://user:pass@{server}"))];
    // The server plays the proxy: what it is told is what a proxy would be.
    let got = get(http(), &vars, None, 2).unwrap();
    let want = format!(
        "200 GET http://{HOST}:80/c/b?x=y HTTP/1.1\r\nhost: {HOST}\r\nproxy-authorization: Basic dXNlcjpwYXNz\r\n\r\n"
    );
    assert_eq!(got, want);
    let refusing = listen(|mut socket| {
        kit::head(&mut socket);
        let _ = socket.write_all(b"HTTP/1.1 407 Who?\r\ncontent-length: 0\r\n\r\n");
    });
    let error = get(http(), &[("HTTP_PROXY", refusing.to_string())], None, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the proxy http://{refusing} (from HTTP_PROXY) wants a user and password")
    );
    assert!(error.is_permanent());
}

#[test]
fn what_needs_no_proxy_goes_directly() {
    let server = listen(|mut socket| kit::echo(&mut socket));
    let direct = Endpoint { tls: false, host: "127.0.0.1".to_owned(), port: server.port() };
    let proxy = ("HTTP_PROXY", format!("http://{}", nowhere()));
    let got = get(direct, std::slice::from_ref(&proxy), None, 1).unwrap();
    assert!(got.starts_with("200 GET /c/b?x=y HTTP/1.1"), "{got}");
    // With NO_PROXY the name is looked up here, where it must not lead anywhere.
    let host = "acc.blob.invalid".to_owned();
    let named = Endpoint { tls: false, host, port: server.port() };
    let through = get(named.clone(), std::slice::from_ref(&proxy), None, 1).unwrap_err();
    assert!(matches!(through, LinkError::Proxy { .. }), "{through}");
    let without = get(named, &[proxy, ("NO_PROXY", "blob.invalid".to_owned())], None, 1).unwrap_err();
    assert!(matches!(without, LinkError::Resolve { .. }), "{without}");
}

#[test]
fn what_the_proxy_refuses_is_told_with_its_reason() {
    for (answer, told, permanent) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "does not take the user and password", true),
        (
            "HTTP/1.1 403 Filtered by policy\r\nx: y\r\n\r\nblah",
            "connection to acc.blob.core.windows.net:443: 403 Filtered by policy",
            true,
        ),
        ("HTTP/1.1 405 \r\n\r\n", ": 405", true),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", ": 502 Bad Gateway", false),
        ("HTTP/1.0 503 No DNS\r\n\r\n", ": 503 No DNS", false),
        ("HTTP/1.1 501 Not\r\n\r\n", ": 501 Not", true),
        ("HTTP/1.1 429 Slowly\r\n\r\n", ": 429 Slowly", false),
        ("HTTP/1.1 200 OK\r\ncontent-le", "in the middle of its answer", false),
        ("", "before it answered", false),
        ("HTTP/1.1 200 OK\r\n\r\nwelcome", "more than its answer", false),
        ("\u{1}\u{2}garbage\r\n\r\n", "not HTTP", false),
        ("SSH-2.0-OpenSSH_9\r\n", "not HTTP", false),
    ] {
        let error = refusal(answer);
        let text = error.to_string();
        assert!(text.contains(told) && text.contains("(from HTTPS_PROXY)"), "{answer:?}: {text}");
        assert!(!text.contains("hidden") && !format!("{error:?}").contains("hidden"), "{text}");
        assert_eq!(error.is_permanent(), permanent, "{answer:?}");
        assert!(error.is_unreachable());
    }
}

#[test]
fn a_head_without_end_is_not_read_for_ever() {
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(128 << 10));
    assert!(refusal(&endless).to_string().contains("its answer's head does not end"));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000));
    assert!(refusal(&many).to_string().contains("not HTTP: too many headers"));
    let interim = "HTTP/1.1 100 Wait\r\n\r\n".repeat(100);
    assert!(refusal(&interim).to_string().contains("1xx"));
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let address = nowhere();
    let vars = [("all_proxy", format!("http://user:hidden@{address}"))];
    let error = get(https(), &vars, Some(Authority::new().trusted()), 1).unwrap_err();
    let told = format!("cannot go through the proxy http://{address} (from all_proxy): Connection refused");
    assert!(error.to_string().starts_with(&told), "{error}");
    assert!(!error.is_permanent() && error.source().is_some());
    let vars = [("HTTPS_PROXY", "http://proxy.invalid:1".to_owned())];
    let error = get(https(), &vars, Some(Authority::new().trusted()), 1).unwrap_err();
    assert!(error.to_string().contains("its name cannot be resolved"), "{error}");
}

/// The clock stands still until the proxy has heard the request, and then runs as fast as it can.
#[test]
fn a_proxy_that_never_answers_is_given_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = tokio::task::spawn_local(async move {
            let (socket, _) = listener.accept().await.unwrap();
            socket.readable().await.unwrap();
            tokio::time::pause();
            socket
        });
        let vars = [("HTTPS_PROXY", address.to_string())];
        let tls = Some(Authority::new().trusted());
        let error = exchange(https(), &vars, tls, 1).await.unwrap_err();
        assert!(error.to_string().ends_with("no answer within 30 s"), "{error}");
        drop(silent.await.unwrap());
    });
}

#[test]
fn socks5_connects_by_name() {
    let authority = Arc::new(Authority::new());
    let server = https_server(&authority);
    let (proxy, asked) = socks_proxy(server, None, 0);
    let vars = [("ALL_PROXY", format!("socks5h://user:pass@{proxy}"))];
    let got = get(https(), &vars, Some(authority.trusted()), 2).unwrap();
    assert!(got.starts_with("200 GET /c/b?x=y"), "{got}");
    let mut want = vec![5, 1, 0, 3, HOST.len() as u8];
    want.extend(HOST.as_bytes());
    want.extend([1, 187]);
    assert_eq!(asked.recv().unwrap(), want);

    // The requests to an http endpoint go through as they are.
    let (proxy, _asked) = socks_proxy(listen(|mut socket| kit::echo(&mut socket)), Some(("user", "p:s")), 0);
    let got = get(http(), &[("HTTP_PROXY", format!("socks5://user:p%3As@{proxy}"))], None, 1).unwrap();
    assert_eq!(got, format!("200 GET /c/b?x=y HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
}

#[test]
fn socks5_refusals() {
    let refused = |login, reply, url: &str| {
        let (proxy, _asked) = socks_proxy(nowhere(), login, reply);
        get(http(), &[("HTTP_PROXY", format!("socks5://{url}{proxy}"))], None, 1).unwrap_err()
    };
    let error = refused(Some(("user", "pass")), 0, "");
    assert!(error.to_string().ends_with("wants a user and password") && error.is_permanent(), "{error}");
    let error = refused(Some(("user", "pass")), 0, "user:wrong@");
    assert!(error.to_string().contains("does not take the user") && error.is_permanent(), "{error}");
    let error = refused(None, 2, "");
    assert!(
        error.to_string().ends_with("not allowed by its rules (SOCKS 2)") && error.is_permanent(),
        "{error}"
    );
    let error = refused(None, 4, "");
    assert!(error.to_string().ends_with("host unreachable (SOCKS 4)") && !error.is_permanent(), "{error}");
    let http_proxy = listen(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = get(http(), &[("HTTP_PROXY", format!("socks5://{http_proxy}"))], None, 1).unwrap_err();
    assert!(error.to_string().ends_with("its answer is not SOCKS 5"), "{error}");
}
