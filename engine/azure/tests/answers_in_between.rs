//! What comes when something between here and the service answers in its place: a real socket says what the case wants.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use azuring_azure::{BlobClient, BlobProperties, BlobUrl, Class, Credential, Get, RequestError, Target};
use azuring_link::{HttpChoice, LinkSettings, Links};

/// A server that answers each connection with the next head, and a body of two bytes.
fn answering(heads: Vec<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for head in heads {
            let (mut socket, _) = listener.accept().unwrap();
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            while !seen.ends_with(b"\r\n\r\n") {
                let got = socket.read(&mut buffer).unwrap();
                seen.extend_from_slice(&buffer[..got]);
            }
            let rest = "connection: close\r\ncontent-length: 2\r\n\r\nok";
            // A client that has seen enough hangs up.
            let _ = write!(socket, "HTTP/1.1 {head}\r\n{rest}");
        }
    });
    address
}

/// What becomes of each of these answers: `None` when it is taken, or its reason and class.
fn outcomes(cases: &[(&str, Get<'_>)]) -> Vec<Option<(String, Class)>> {
    let address = answering(cases.iter().map(|(head, _)| (*head).to_owned()).collect());
    let url = BlobUrl::parse(&format!("http://{address}/account/cont")).unwrap();
    let target = Target::new(url, Credential::Anonymous, &BlobProperties::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (http, stall) = (HttpChoice::Auto, Duration::from_secs(30));
        let links = Links::new(
            target.url().endpoint(),
            LinkSettings { http, stall, tls: None, pacer: None, proxies: None },
        );
        let client = BlobClient::new(Rc::new(target), links);
        let mut outcomes = Vec::new();
        for (_, get) in cases {
            outcomes.push(match client.get_blob("blob", get).await {
                Ok(reply) => {
                    assert_eq!(reply.collect(2).await.unwrap().body, "ok");
                    None
                }
                Err(error) => {
                    let class = error.class();
                    let RequestError::Answer { reason, .. } = error else { panic!("{error}") };
                    Some((reason, class))
                }
            });
        }
        outcomes
    })
}

fn wrong(reason: &str, class: Class) -> Option<(String, Class)> {
    Some((reason.to_owned(), class))
}

#[test]
fn another_range_than_was_asked_for_is_not_taken() {
    let whole = Get::default();
    let from = |first, last| Get { range: Some((first, last)), ..whole };
    let cases = [
        ("206 Partial Content\r\nContent-Range: bytes 4-5/100", from(4, 5), None),
        ("206 Partial Content\r\nContent-Range: bytes 4-5/*", from(4, 5), None),
        // The blob ends there.
        ("206 Partial Content\r\nContent-Range: bytes 4-5/6", from(4, 99), None),
        (
            "206 Partial Content\r\nContent-Range: bytes 4-5/7",
            from(4, 99),
            wrong("its range is `bytes 4-5/7` instead of 4-99", Class::Retry),
        ),
        (
            "206 Partial Content\r\nContent-Range: bytes 4-5/*",
            from(4, 99),
            wrong("its range is `bytes 4-5/*` instead of 4-99", Class::Retry),
        ),
        (
            "206 Partial Content\r\nContent-Range: bytes 2-3/100",
            from(4, 5),
            wrong("its range is `bytes 2-3/100` instead of 4-5", Class::Retry),
        ),
        (
            "206 Partial Content\r\nContent-Range: bytes 4-6/100",
            from(4, 5),
            wrong("its range is `bytes 4-6/100` instead of 4-5", Class::Retry),
        ),
        ("206 Partial Content", from(4, 5), wrong("its range is `` instead of 4-5", Class::Retry)),
        (
            "206 Partial Content\r\nContent-Range: bytes 0-1/2",
            whole,
            wrong("it is a range, and the whole blob was asked for", Class::Retry),
        ),
        ("200 OK", whole, None),
        ("200 OK", from(0, 99), None),
        ("200 OK", from(4, 5), wrong("it is not the range 4-5 but the whole blob", Class::Skip)),
    ];
    let asked: Vec<_> = cases.iter().map(|(head, get, _)| (*head, *get)).collect();
    for ((head, _, want), got) in cases.iter().zip(outcomes(&asked)) {
        assert_eq!(&got, want, "{head}");
    }
}

#[test]
fn another_state_of_the_blob_than_was_asked_for_is_not_taken() {
    let get = |etag| Get { if_match: Some(etag), ..Get::default() };
    let cases = [
        ("200 OK\r\nETag: \"0x1\"", get("0x1"), None),
        ("200 OK\r\nETag: \"0x1\"", get("\"0x1\""), None),
        ("200 OK\r\nETag: W/\"0x1\"", get("0x1"), None),
        ("200 OK\r\nETag: \"0x2\"", get("*"), None),
        ("200 OK\r\nETag: \"0x2\"", Get::default(), None),
        ("200 OK", get("0x1"), None),
        ("200 OK\r\nETag: \"0x2\"", get("0x1"), wrong("its ETag is `0x2` instead of `0x1`", Class::Retry)),
    ];
    let asked: Vec<_> = cases.iter().map(|(head, get, _)| (*head, *get)).collect();
    for ((head, _, want), got) in cases.iter().zip(outcomes(&asked)) {
        assert_eq!(&got, want, "{head}");
    }
}
