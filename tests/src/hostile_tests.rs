//! The hostile server does what it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use azsim::{Seed, Server};

use crate::DEVSTORE_ACCOUNT;
use crate::hostile::{Answer, End, Gate, Hostile, Rule};

fn connected(hostile: &Hostile) -> TcpStream {
    let client = TcpStream::connect(hostile.address()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client
}

/// What comes until the connection ends, for these bytes.
fn told(hostile: &Hostile, request: &str) -> String {
    let mut client = connected(hostile);
    client.write_all(request.as_bytes()).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    all
}

#[test]
fn the_first_rule_that_fits_and_is_not_used_up_answers() {
    let hostile = Hostile::start(vec![
        Rule::on("PUT", "/a").nth(2).answer(Answer::status(503).end(End::Close)),
        Rule::on("PUT", "/a").query("comp=block").answer(Answer::status(201).end(End::Close)),
        Rule::on("", "/b").after(1).times(1).answer(Answer::status(500).end(End::Close)),
        Rule::on("", "").answer(Answer::status(404).end(End::Close)),
    ]);
    let status = |request: &str| told(&hostile, request)[9..12].to_owned();
    let block = "PUT /c/a?comp=block&x=1 HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
    assert_eq!([block; 3].map(status), ["201", "503", "201"]);
    assert_eq!(["GET /c/b HTTP/1.1\r\n\r\n"; 3].map(status), ["404", "500", "404"]);
    let asked = hostile.requests_of("PUT", "/a");
    assert_eq!((asked.len(), asked[1].body.as_slice(), asked[1].query()), (3, &b"abc"[..], "comp=block&x=1"));
    hostile.add(Rule::on("GET", "").answer(Answer::status(418).end(End::Close)));
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "418");
    hostile.wait_until(|all| all.len() == 7);
}

#[test]
fn lengths_ends_and_bytes_are_as_they_were_ordered() {
    let body = Answer::status(200).header("x", "1").header("x", "2").body("hello");
    let closed = body.clone().end(End::Close);
    let gate = Gate::new();
    let answers = [
        ("/told", closed.clone().told_len(99)),
        ("/chunks", closed.clone().chunked()),
        ("/until", body.until_close()),
        ("/cut", closed.clone().cut_after(12)),
        ("/raw", Answer::raw("220 mail ready\r\n", End::Close)),
        ("/flood", closed.clone().flood(100_000)),
        ("/slow", closed.gated(&gate, true)),
        ("/early", Answer::status(413).early()),
        ("/reset", Answer::status(200).end(End::Reset)),
    ];
    let rules = answers.into_iter().map(|(path, answer)| Rule::on("", path).answer(answer)).collect();
    let hostile = Hostile::start(rules);
    let get = |path: &str| told(&hostile, &format!("GET {path} HTTP/1.1\r\n\r\n"));
    let head = "HTTP/1.1 200 Hostile\r\nx: 1\r\nx: 2\r\n";
    let close = "connection: close\r\n\r\n";
    assert_eq!(get("/told"), format!("{head}content-length: 99\r\n{close}hello"));
    assert_eq!(get("/chunks"), format!("{head}transfer-encoding: chunked\r\n{close}5\r\nhello\r\n0\r\n\r\n"));
    assert_eq!(get("/until"), format!("{head}{close}hello"));
    assert_eq!(get("/cut"), "HTTP/1.1 200");
    assert_eq!(get("/raw"), "220 mail ready\r\n");
    let flooded = get("/flood");
    assert!(flooded.contains("content-length: 100005\r\n"), "{}", &flooded[..200]);
    assert!(flooded.ends_with(&"x".repeat(100_000)) && flooded.contains("\r\n\r\nhello"));
    assert!(told(&hostile, "PUT /early HTTP/1.1\r\ncontent-length: 9\r\n\r\n").contains("413"));

    let mut slow = connected(&hostile);
    slow.write_all(b"GET /slow HTTP/1.1\r\n\r\n").unwrap();
    gate.wait_for_somebody();
    gate.pass(8);
    let mut first = [0; 8];
    slow.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1");
    gate.open();
    let mut rest = String::new();
    slow.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("hello"), "{rest}");

    let mut reset = connected(&hostile);
    reset.write_all(b"GET /reset HTTP/1.1\r\n\r\n").unwrap();
    let ended = reset.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn what_is_behind_is_asked_and_its_answer_altered() {
    let server = Arc::new(Server::builder().threads(1).start().unwrap());
    server.create_container(DEVSTORE_ACCOUNT, "data");
    let sas = server.account_sas(DEVSTORE_ACCOUNT, "rwdl", Duration::from_secs(600));
    let behind = Arc::clone(&server);
    let other = move || {
        let (name, content) = ("lost".to_owned(), vec!["longer".into()]);
        behind.plant(DEVSTORE_ACCOUNT, "data", [Seed { name, content, ..Seed::default() }]);
    };
    let hostile = Hostile::before(
        server.addr(),
        vec![
            Rule::on("PUT", "lost").answer(Answer::error(503, "Gone").after_it_was_done().end(End::Close)),
            Rule::on("GET", "lost").nth(1).answer(
                Answer::passed()
                    .without("x-ms-version")
                    .set("etag", "\"other\"")
                    .replace("text", "test")
                    .end(End::Close),
            ),
            Rule::on("GET", "lost").answer(Answer::passed().meanwhile(move |_| other()).end(End::Close)),
        ],
    );
    let path = format!("/{DEVSTORE_ACCOUNT}/data/lost?{sas}");
    assert_eq!(hostile.via(&server.url("x")), format!("{}/x", hostile.url()));
    let version = "host: h\r\nx-ms-version: 2025-07-05\r\n";
    let put =
        format!("PUT {path} HTTP/1.1\r\n{version}x-ms-blob-type: BlockBlob\r\ncontent-length: 4\r\n\r\ntext");
    assert!(told(&hostile, &put).starts_with("HTTP/1.1 503 "));
    assert_eq!(server.content(DEVSTORE_ACCOUNT, "data", "lost").unwrap(), "text");
    let get = format!("GET {path} HTTP/1.1\r\n{version}\r\n");
    let got = told(&hostile, &get);
    assert!(got.starts_with("HTTP/1.1 200 ") && got.ends_with("\r\n\r\ntest"), "{got}");
    assert!(got.contains("etag: \"other\"") && !got.contains("x-ms-version"), "{got}");
    assert!(told(&hostile, &get).ends_with("\r\n\r\nlonger"), "it was replaced meanwhile");
}
