//! Blob Batch: parts, their credentials, their answers, and how they are counted.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use common::{ACCOUNT, Client, Reply, server, sign};

const KIND: (&str, &str) = ("Content-Type", "multipart/mixed; boundary=bound");

fn body(parts: &[(String, String)]) -> Vec<u8> {
    let mut out = String::new();
    for (i, (line, headers)) in parts.iter().enumerate() {
        out += &format!(
            "--bound\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {i}\r\n\r\n{line} HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n"
        );
    }
    (out + "--bound--\r\n").into_bytes()
}

fn delete(name: &str) -> (String, String) {
    (format!("DELETE /{ACCOUNT}/con/{name}"), String::new())
}

/// Status and code of each part.
fn verdicts(reply: &Reply) -> Vec<(u16, String)> {
    let text = reply.text();
    let boundary = reply.header("content-type").split_once("boundary=").unwrap().1.to_owned();
    assert!(text.ends_with(&format!("--{boundary}--\r\n")), "{text}");
    let delimiter = format!("--{boundary}\r\n");
    text.split(&delimiter)
        .skip(1)
        .enumerate()
        .map(|(i, part)| {
            assert!(part.contains(&format!("\r\nContent-ID: {i}\r\n\r\nHTTP/1.1 ")), "{part}");
            let status = part.split("HTTP/1.1 ").nth(1).unwrap()[..3].parse().unwrap();
            let code = part.split("x-ms-error-code: ").nth(1).map_or("", |c| c.lines().next().unwrap());
            (status, code.to_owned())
        })
        .collect()
}

fn own(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn a_batch_deletes_under_its_sas_and_counts_as_one_request() {
    let server = server();
    let mut client = Client::new(&server);
    for i in 0..255 {
        client.put(&format!("b{i}"), b"1");
    }
    let before = server.stats();
    let mut parts: Vec<_> = (0..255).map(|i| delete(&format!("b{i}"))).collect();
    parts.push(delete("nope"));
    let reply = client.send("POST", "?comp=batch", &[KIND], &body(&parts));
    assert_eq!(reply.status, 202, "{}", reply.text());
    let verdicts = verdicts(&reply);
    assert_eq!(verdicts.len(), 256);
    assert!(verdicts[..255].iter().all(|v| *v == own(202, "")), "{verdicts:?}");
    assert_eq!(verdicts[255], own(404, "BlobNotFound"));
    assert!(server.blobs(ACCOUNT, "con").is_empty());
    let stats = server.stats();
    assert_eq!((stats.requests - before.requests, stats.batch_parts), (1, 256));
    assert_eq!(stats.by_operation[&Operation::DeleteBlob], 256);
    assert_eq!(stats.by_operation[&Operation::BlobBatch], 1);
    assert_eq!(stats.errors["BlobNotFound"], 1);

    parts.push(delete("x"));
    let reply = client.send("POST", "?comp=batch", &[KIND], &body(&parts));
    assert_eq!(reply.verdict(), (400, "ExceedsMaxBatchRequestCount"));
    assert_eq!(client.send("POST", "?comp=batch", &[KIND], b"--bound--").verdict(), (400, "InvalidInput"));
    let reply = client.send("POST", "?comp=batch", &[("Content-Type", "text/plain")], b"x");
    assert_eq!(reply.verdict(), (400, "InvalidHeaderValue"));
}

#[test]
fn a_batch_of_one_container_stays_in_it_and_sets_tiers() {
    let server = server();
    server.create_container(ACCOUNT, "other");
    let mut client = Client::new(&server);
    client.put("a%20b", b"1");
    let tier = |path: &str, tier: &str| {
        (format!("PUT /{ACCOUNT}/{path}?comp=tier"), format!("x-ms-access-tier: {tier}\r\n"))
    };
    let parts = [tier("con/a%20b", "Cool"), tier("con/a%20b", "Warm"), tier("other/x", "Cool")];
    let reply = client.send("POST", "/con?restype=container&comp=batch", &[KIND], &body(&parts));
    assert_eq!(reply.status, 202);
    assert_eq!(verdicts(&reply), [own(200, ""), own(400, "InvalidHeaderValue"), own(400, "InvalidInput")]);
    assert_eq!(server.blobs(ACCOUNT, "con")[0].tier, "Cool");
    let mixed = [tier("con/a%20b", "Cool"), delete("a%20b")];
    let reply = client.send("POST", "/con?restype=container&comp=batch", &[KIND], &body(&mixed));
    assert_eq!(reply.verdict(), (400, "InvalidInput"));
    let put = [(format!("PUT /{ACCOUNT}/con/new"), "x-ms-blob-type: BlockBlob\r\n".to_owned())];
    let reply = client.send("POST", "?comp=batch", &[KIND], &body(&put));
    assert_eq!(verdicts(&reply), [own(400, "InvalidInput")]);
    let reply = client.send("POST", "/nocon?restype=container&comp=batch", &[KIND], &body(&mixed));
    assert_eq!(reply.verdict(), (404, "ContainerNotFound"));
}

#[test]
fn each_part_has_its_own_credential() {
    let server = server();
    let mut client = Client::new(&server);
    for name in ["key", "sas", "weak", "none"] {
        client.put(name, b"1");
    }
    let date = http_date();
    let signed = |name: &str, over: &str| {
        let text = format!("DELETE\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\n/{ACCOUNT}/{ACCOUNT}/con/{over}");
        let header = format!("x-ms-date: {date}\r\nAuthorization: SharedKey {ACCOUNT}:{}\r\n", sign(&text));
        (format!("DELETE /{ACCOUNT}/con/{name}"), header)
    };
    let sas = |name: &str, permissions: &str| {
        let sas = server.account_sas(ACCOUNT, permissions, Duration::from_secs(3600));
        (format!("DELETE /{ACCOUNT}/con/{name}?{sas}"), String::new())
    };
    let parts =
        [signed("key", "key"), signed("none", "key"), sas("sas", "d"), sas("weak", "r"), delete("none")];
    // The batch itself is signed with the key, which speaks for no part.
    let content = body(&parts);
    let text = format!(
        "POST\n\n\n{}\n\n{}\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2025-11-05\n/{ACCOUNT}/{ACCOUNT}/\ncomp:batch",
        content.len(),
        KIND.1
    );
    let authorization = format!("SharedKey {ACCOUNT}:{}", sign(&text));
    client.sas = String::new();
    let headers =
        [KIND, ("x-ms-date", &*date), ("x-ms-version", "2025-11-05"), ("Authorization", &authorization)];
    let reply = client.send("POST", "/?comp=batch", &headers, &content);
    assert_eq!(reply.status, 202, "{}", reply.text());
    let expected = [
        own(202, ""),
        own(403, "AuthenticationFailed"),
        own(202, ""),
        own(403, "AuthorizationPermissionMismatch"),
        own(401, "NoAuthenticationInformation"),
    ];
    assert_eq!(verdicts(&reply), expected);
    let left: Vec<String> = server.blobs(ACCOUNT, "con").into_iter().map(|b| b.name).collect();
    assert_eq!(left, ["none", "weak"]);

    client.sas = server.account_sas(ACCOUNT, "r", Duration::from_secs(3600));
    let reply = client.send("POST", "?comp=batch", &[KIND], &body(&[delete("weak")]));
    assert_eq!(verdicts(&reply), [own(403, "AuthorizationPermissionMismatch")]);
    client.sas = String::new();
    assert_eq!(client.send("POST", "?comp=batch", &[KIND], &body(&[delete("weak")])).status, 401);
}

#[test]
fn a_rule_strikes_one_part() {
    let server = server();
    let mut client = Client::new(&server);
    for name in ["a", "b"] {
        client.put(name, b"1");
    }
    let rule = Rule {
        name: NameMatch::Exact("b".into()),
        operation: Some(Operation::DeleteBlob),
        fault: Fault::error(503, "ServerBusy"),
        skip: 0,
        count: 1,
    };
    server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let parts = body(&[delete("a"), delete("b")]);
    let reply = client.send("POST", "?comp=batch", &[KIND], &parts);
    assert_eq!(verdicts(&reply), [own(202, ""), own(503, "ServerBusy")]);
    let reply = client.send("POST", "?comp=batch", &[KIND], &parts);
    assert_eq!(verdicts(&reply), [own(404, "BlobNotFound"), own(202, "")]);
}

/// The time now, as in `x-ms-date`: the server says it in every answer.
fn http_date() -> String {
    let server = server();
    Client::new(&server).get("nope").header("date").to_owned()
}

#[test]
fn an_account_in_the_path_is_no_container_whatever_the_client_thinks() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let reply = client.send("POST", "?restype=container&comp=batch", &[KIND], &body(&[delete("x")]));
    assert_eq!(verdicts(&reply), [own(202, "")]);
}
