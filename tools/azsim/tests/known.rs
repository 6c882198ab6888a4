//! What an operation does not know is refused, and nothing is done: headers and query parameters.

#![allow(clippy::unwrap_used)] // A panic is the report.

mod common;

use common::{ACCOUNT, Client, server};

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

#[test]
fn an_unknown_header_is_refused_by_its_name() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    client.put_block("x", "01", b"2");
    let before = server.blobs(ACCOUNT, "con");
    for (method, path) in [
        ("PUT", "/con/x"),
        ("PUT", "/con/x?comp=block&blockid=MDI%3D"),
        ("PUT", "/con/x?comp=blocklist"),
        ("PUT", "/con/x?comp=metadata"),
        ("PUT", "/con/x?comp=properties"),
        ("PUT", "/con/x?comp=tier"),
        ("PUT", "/con/x?comp=snapshot"),
        ("DELETE", "/con/x"),
        ("GET", "/con/x"),
        ("HEAD", "/con/x"),
        ("GET", "/con?restype=container&comp=list"),
        ("DELETE", "/con?restype=container"),
        ("PUT", "/new?restype=container"),
        ("GET", "/?comp=list"),
    ] {
        for name in ["x-ms-leaseid", "x-ms-copy-action", "x-ms-permissions", "x-ms-acces-tier"] {
            let mut headers = vec![(name, "1")];
            if method == "PUT" && path == "/con/x" {
                headers.push(BLOCK);
            }
            let reply = client.send(method, path, &headers, b"<BlockList></BlockList>");
            assert_eq!(reply.verdict(), (400, "UnsupportedHeader"), "{method} {path} {name}");
            if method != "HEAD" {
                assert_eq!(reply.elements("HeaderName"), [name]);
                assert!(
                    reply.elements("Message")[0].contains(&format!("not supported: {name}.")),
                    "{reply:?}"
                );
            }
        }
    }
    assert_eq!(server.blobs(ACCOUNT, "con"), before);
    assert_eq!(client.send("GET", "/new?restype=container", &[], b"").verdict(), (404, "ContainerNotFound"));
}

#[test]
fn a_header_of_another_operation_is_refused() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    for (method, path, header) in [
        ("PUT", "/con/x?comp=block&blockid=MDE%3D", ("x-ms-access-tier", "Cool")),
        ("PUT", "/con/x?comp=tier", ("x-ms-meta-a", "1")),
        ("PUT", "/con/x?comp=metadata", ("x-ms-blob-content-type", "a/b")),
        ("PUT", "/con/x?comp=properties", ("x-ms-meta-a", "1")),
        ("PUT", "/con/x?comp=tier", ("x-ms-tags", "a=b")),
        ("GET", "/con/x", ("x-ms-delete-snapshots", "include")),
        ("GET", "/con/x", ("x-ms-access-tier-if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")),
        ("GET", "/con?restype=container&comp=list", ("x-ms-if-tags", "a = 'b'")),
        ("GET", "/con?restype=container&comp=list", ("x-ms-lease-id", "1")),
    ] {
        let reply = client.send(method, path, &[header], b"1");
        assert_eq!(reply.verdict(), (400, "UnsupportedHeader"), "{method} {path} {header:?}");
    }
    assert_eq!(client.get("x").body, b"1");
}

#[test]
fn an_unknown_parameter_is_refused_by_its_name() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let before = server.blobs(ACCOUNT, "con");
    for (method, path) in [
        ("PUT", "/con/x?"),
        ("PUT", "/con/x?comp=block&blockid=MDI%3D&"),
        ("PUT", "/con/x?comp=tier&"),
        ("DELETE", "/con/x?"),
        ("GET", "/con/x?"),
        ("GET", "/con?restype=container&comp=list&"),
        ("DELETE", "/con?restype=container&"),
        ("GET", "/?comp=list&"),
    ] {
        for name in ["snapshots", "prefx", "v", "where"] {
            let headers = if method == "PUT" && path == "/con/x?" { &[BLOCK][..] } else { &[] };
            let reply = client.send(method, &format!("{path}{name}=1"), headers, b"1");
            assert_eq!(reply.verdict(), (400, "UnsupportedQueryParameter"), "{method} {path}{name}");
            assert_eq!(reply.elements("QueryParameterName"), [name]);
            assert!(reply.elements("Message")[0].contains(&format!("not supported: {name}.")), "{reply:?}");
        }
    }
    assert_eq!(server.blobs(ACCOUNT, "con"), before);
    // Names are case-insensitive, and a time limit is everybody's.
    assert_eq!(client.send("GET", "/con?Restype=container&COMP=list&Timeout=30", &[], b"").status, 200);
}

#[test]
fn a_part_of_a_batch_is_held_to_the_same() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let part = |header: &str| {
        format!(
            "--b\r\nContent-Type: application/http\r\n\r\nDELETE /{ACCOUNT}/con/x HTTP/1.1\r\n{header}\
             Content-Length: 0\r\n\r\n--b--\r\n"
        )
    };
    let kind = [("content-type", "multipart/mixed; boundary=b")];
    let path = "/con?restype=container&comp=batch";
    let reply = client.send("POST", path, &kind, part("x-ms-delete-snapshot: include\r\n").as_bytes());
    assert!(reply.text().contains("UnsupportedHeader"), "{}", reply.text());
    assert_eq!(client.get("x").status, 200);
    let reply = client.send("POST", path, &kind, part("x-ms-delete-snapshots: include\r\n").as_bytes());
    assert!(reply.text().contains("202 Accepted"), "{}", reply.text());
    assert_eq!(client.get("x").status, 404);
}

#[test]
fn who_may_not_is_told_nothing_else() {
    let server = server();
    let mut client = Client::new(&server);
    client.sas = String::new();
    let reply = client.send("PUT", "/con/x", &[BLOCK, ("x-ms-leaseid", "1")], b"1");
    assert_eq!(reply.verdict(), (401, "NoAuthenticationInformation"));
}
