//! Faults on demand: what the client sees on the wire, and what the store holds afterwards.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use azsim::{Fault, Faults, NameMatch, Operation, Rate, Rule};
use common::{ACCOUNT, Client, connect, sas, server};

fn every(set: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    set(&mut faults);
    faults
}

/// Sends a Put Blob on a connection of its own and returns all that comes back until its end.
fn raw_put(server: &azsim::Server, name: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = connect(server);
    let head = format!(
        "PUT /{ACCOUNT}/con/{name}?{} HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 5\r\n\r\nhello",
        sas(server)
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut out = Vec::new();
    let error = stream.read_to_end(&mut out).err().map(|e| e.kind());
    (out, error)
}

#[test]
fn error_answers_leave_the_store_alone() {
    let server = server();
    let mut client = Client::new(&server);
    server.set_faults(every(|f| f.internal_error = Rate::Every(2)));
    assert_eq!(client.put("a", b"1").verdict(), (201, ""));
    assert_eq!(client.put("b", b"1").verdict(), (500, "InternalError"));
    server.set_faults(every(|f| f.bare_500 = Rate::Every(1)));
    let bare = client.put("c", b"1");
    assert_eq!((bare.verdict(), bare.body.len(), bare.header("content-type")), ((500, ""), 0, ""));
    server.set_faults(every(|f| {
        f.server_busy = Rate::Probability(1.0);
        f.retry_after_s = Some(7);
    }));
    let busy = client.put("d", b"1");
    assert_eq!((busy.verdict(), busy.header("retry-after")), ((503, "ServerBusy"), "7"));
    assert!(busy.text().contains("<Code>ServerBusy</Code>"));
    server.set_faults(Faults::default());
    assert_eq!(server.blobs(ACCOUNT, "con").len(), 1);
    let stats = server.stats();
    assert_eq!((stats.connections, stats.errors["500"], stats.faults["503 ServerBusy"]), (1, 1, 1));
}

#[test]
fn a_reset_is_a_reset() {
    let server = server();
    server.set_faults(every(|f| f.reset = Rate::Every(1)));
    assert_eq!(raw_put(&server, "x"), (Vec::new(), Some(ErrorKind::ConnectionReset)));
    assert!(server.blobs(ACCOUNT, "con").is_empty());
}

#[test]
fn a_cut_answer_comes_after_the_deed() {
    let server = server();
    server.set_faults(every(|f| f.cut_headers = Rate::Every(1)));
    assert_eq!(raw_put(&server, "x"), (b"HTTP/1.1 20".to_vec(), None));
    assert_eq!(server.content(ACCOUNT, "con", "x").unwrap(), "hello");
    server.set_faults(Faults::default());
    let mut client = Client::new(&server);
    let content = vec![7; 1 << 20];
    client.put("big", &content);

    server.set_faults(every(|f| f.cut_body = Rate::Every(1)));
    let mut stream = connect(&server);
    let head = format!("GET /{ACCOUNT}/con/big?{} HTTP/1.1\r\nHost: h\r\n\r\n", sas(&server));
    stream.write_all(head.as_bytes()).unwrap();
    let mut out = Vec::new();
    let end = stream.read_to_end(&mut out);
    let body = out.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(out.len() - body, content.len() / 2);
    assert!(String::from_utf8_lossy(&out[..body]).contains("content-length: 1048576"));
    // An answer without body is cut in its head.
    assert_eq!(raw_put(&server, "y").0, b"HTTP/1.1 20");
    assert_eq!(server.content(ACCOUNT, "con", "y").unwrap(), "hello");
}

#[test]
fn a_stall_never_answers() {
    let server = server();
    server.set_faults(every(|f| f.stall = Rate::Every(1)));
    let mut stream = connect(&server);
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    write!(stream, "GET /{ACCOUNT}/con/x?{} HTTP/1.1\r\nHost: h\r\n\r\n", sas(&server)).unwrap();
    let mut byte = [0];
    assert_eq!(stream.read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
    // Others are served meanwhile, and the server stops although one request hangs.
    server.set_faults(Faults::default());
    assert_eq!(Client::new(&server).put("x", b"1").status, 201);
    // It would wait for ever otherwise, and the test with it.
    drop(server);
}

#[test]
fn latency_and_cap_hold() {
    let server = server();
    let mut client = Client::new(&server);
    server.set_faults(every(|f| f.latency = Duration::from_millis(50)));
    let begin = Instant::now();
    client.put("x", b"1");
    assert!(begin.elapsed() >= Duration::from_millis(50));
    // Only a machine that does not manage a request a second would never see it.
    server.set_faults(every(|f| f.requests_per_second = Some(1)));
    assert_eq!(client.put("first", b"1").status, 201);
    while client.put("next", b"1").verdict() != (503, "ServerBusy") {}
}

#[test]
fn a_rule_fails_the_second_block_of_one_blob() {
    let server = server();
    let mut client = Client::new(&server);
    let rule = |fault| Rule {
        name: NameMatch::Exact("x".into()),
        operation: Some(Operation::PutBlock),
        fault,
        skip: 1,
        count: 1,
    };
    for fault in [
        (403, "AuthorizationPermissionMismatch"),
        (404, "ContainerNotFound"),
        (409, "LeaseIdMissing"),
        (412, "ConditionNotMet"),
    ] {
        server.set_faults(every(|f| f.rules = vec![rule(Fault::error(fault.0, fault.1))]));
        assert_eq!(client.put_block("y", "02", b"1").status, 201);
        assert_eq!(client.put_block("x", "01", b"1").status, 201);
        assert_eq!(client.put_block("x", "02", b"2").verdict(), fault);
        assert_eq!(client.put_block("x", "03", b"3").status, 201);
        assert_eq!(client.commit("x", &[("Latest", "02")]).verdict(), (400, "InvalidBlockList"));
    }
}
