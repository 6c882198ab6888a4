//! Leases: who holds one writes and deletes, others do not, until it ends.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use common::{Client, Reply, server};

const A: &str = "aaaaaaaa-0000-0000-0000-000000000001";
const B: &str = "bbbbbbbb-0000-0000-0000-000000000002";
const BLOB: &str = "/con/x?comp=lease";
const CONTAINER: &str = "/con?restype=container&comp=lease";

type Headers<'h> = &'h [(&'h str, &'h str)];

fn lease(client: &mut Client, path: &str, action: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("x-ms-lease-action", action)];
    all.extend(headers);
    client.send("PUT", path, &all, b"")
}

fn acquire(client: &mut Client, path: &str, id: &str, seconds: &str) -> Reply {
    lease(client, path, "acquire", &[("x-ms-proposed-lease-id", id), ("x-ms-lease-duration", seconds)])
}

/// State, status and duration of a lease, from a HEAD and from a listing.
fn shown(client: &mut Client, head: &str, list: &str) -> [String; 3] {
    let reply = client.send("HEAD", head, &[], b"");
    let names = ["state", "status", "duration"];
    let of_head = names.map(|name| reply.header(&format!("x-ms-lease-{name}")).to_owned());
    let list = client.send("GET", list, &[], b"");
    let of_list = ["LeaseState", "LeaseStatus", "LeaseDuration"]
        .map(|name| list.elements(name).pop().unwrap_or_default());
    assert_eq!(of_head, of_list);
    of_head
}

#[test]
fn only_the_holder_writes_and_deletes() {
    let server = server();
    let mut client = Client::new(&server);
    assert_eq!(acquire(&mut client, BLOB, A, "-1").verdict(), (404, "BlobNotFound"));
    client.put("x", b"1");
    let made = acquire(&mut client, BLOB, A, "-1");
    assert_eq!((made.status, made.header("x-ms-lease-id")), (201, A));
    assert!(made.header("etag").starts_with("\"0x"));
    let list = "/con?restype=container&comp=list";
    assert_eq!(shown(&mut client, "/con/x", list), ["leased", "locked", "infinite"]);

    let page = "<?xml version=\"1.0\"?><Tags><TagSet></TagSet></Tags>";
    let writes: [(&str, &str, Headers<'_>, &[u8]); 8] = [
        ("PUT", "/con/x", &[("x-ms-blob-type", "BlockBlob")], b"2"),
        ("PUT", "/con/x?comp=block&blockid=MDE%3D", &[], b"2"),
        ("PUT", "/con/x?comp=blocklist", &[], b"<BlockList><Latest>MDE=</Latest></BlockList>"),
        ("PUT", "/con/x?comp=metadata", &[("x-ms-meta-a", "b")], b""),
        ("PUT", "/con/x?comp=properties", &[("x-ms-blob-content-type", "a/b")], b""),
        ("PUT", "/con/x?comp=tier", &[("x-ms-access-tier", "Cool")], b""),
        ("PUT", "/con/x?comp=tags", &[], page.as_bytes()),
        ("DELETE", "/con/x", &[], b""),
    ];
    for (method, path, headers, body) in writes {
        let mut with = |id: &str| {
            let mut all = headers.to_vec();
            if !id.is_empty() {
                all.push(("x-ms-lease-id", id));
            }
            let reply = client.send(method, path, &all, body);
            (reply.status, reply.code().to_owned())
        };
        assert_eq!(with(""), (412, "LeaseIdMissing".into()), "{method} {path}");
        assert_eq!(with(B), (412, "LeaseIdMismatchWithBlobOperation".into()), "{method} {path}");
        assert!(with(A).0 < 300, "{method} {path}");
    }
    // Without the blob there is no lease.
    client.put("x", b"3");
    assert_eq!(shown(&mut client, "/con/x", list), ["available", "unlocked", ""]);
    let relies = [("x-ms-blob-type", "BlockBlob"), ("x-ms-lease-id", A)];
    let put = client.send("PUT", "/con/x", &relies, b"4");
    assert_eq!(put.verdict(), (412, "LeaseNotPresentWithBlobOperation"));
}

#[test]
fn append_and_page_blobs_are_held_too() {
    let server = server();
    let mut client = Client::new(&server);
    client.send("PUT", "/con/a", &[("x-ms-blob-type", "AppendBlob")], b"");
    let page = [("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", "512")];
    client.send("PUT", "/con/p", &page, b"");
    let update: [(&str, &str); 2] = [("x-ms-page-write", "update"), ("x-ms-range", "bytes=0-511")];
    let writes: [(&str, &str, Headers<'_>, &[u8]); 3] = [
        ("/con/a?comp=lease", "/con/a?comp=appendblock", &[], b"1"),
        ("/con/a?comp=lease", "/con/a?comp=seal", &[], b""),
        ("/con/p?comp=lease", "/con/p?comp=page", &update, &[7; 512]),
    ];
    for (leased, path, headers, body) in writes {
        assert!(matches!(acquire(&mut client, leased, A, "60").status, 201));
        assert_eq!(client.send("PUT", path, headers, body).verdict(), (412, "LeaseIdMissing"), "{path}");
        let mut held = headers.to_vec();
        held.push(("x-ms-lease-id", A));
        assert!(client.send("PUT", path, &held, body).status < 300, "{path}");
        assert_eq!(lease(&mut client, leased, "release", &[("x-ms-lease-id", A)]).status, 200);
    }
}

#[test]
fn reads_and_snapshots_need_no_lease() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    acquire(&mut client, BLOB, A, "15");
    assert_eq!(client.get("x").body, b"1");
    assert_eq!(client.send("PUT", "/con/x?comp=snapshot", &[], b"").status, 201);
    let get = |client: &mut Client, id: &str| {
        let reply = client.send("GET", "/con/x", &[("x-ms-lease-id", id)], b"");
        (reply.status, reply.code().to_owned())
    };
    assert_eq!(get(&mut client, A).0, 200);
    assert_eq!(get(&mut client, B), (412, "LeaseIdMismatchWithBlobOperation".into()));
    server.advance(Duration::from_secs(15));
    assert_eq!(get(&mut client, A), (412, "LeaseLost".into()));
}

#[test]
fn leases_end_and_can_be_renewed_until_somebody_writes() {
    let server = server();
    let mut client = Client::new(&server);
    let list = "/con?restype=container&comp=list";
    let id = [("x-ms-lease-id", A)];
    client.put("x", b"1");
    acquire(&mut client, BLOB, A, "15");
    assert_eq!(shown(&mut client, "/con/x", list), ["leased", "locked", "fixed"]);
    server.advance(Duration::from_secs(15));
    assert_eq!(shown(&mut client, "/con/x", list), ["expired", "unlocked", ""]);
    assert_eq!(lease(&mut client, BLOB, "renew", &id).status, 200);
    assert_eq!(shown(&mut client, "/con/x", list), ["leased", "locked", "fixed"]);
    server.advance(Duration::from_secs(15));
    assert_eq!(client.put("x", b"2").status, 201);
    assert_eq!(shown(&mut client, "/con/x", list), ["available", "unlocked", ""]);
    let renewed = lease(&mut client, BLOB, "renew", &id);
    assert_eq!(renewed.verdict(), (409, "LeaseIdMismatchWithLeaseOperation"));
}

#[test]
fn who_may_delete_may_break_a_lease_and_not_take_one() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    acquire(&mut client, BLOB, A, "60");
    let mut deleter = Client::new(&server);
    deleter.sas = server.account_sas(common::ACCOUNT, "d", Duration::from_secs(60));
    assert_eq!(acquire(&mut deleter, BLOB, B, "15").verdict(), (403, "AuthorizationPermissionMismatch"));
    let broken = lease(&mut deleter, BLOB, "break", &[("x-ms-lease-break-period", "10")]);
    assert_eq!((broken.status, broken.header("x-ms-lease-time")), (202, "10"));
    assert_eq!(client.put("x", b"2").verdict(), (412, "LeaseIdMissing"));
    server.advance(Duration::from_secs(10));
    assert_eq!(client.put("x", b"2").status, 201);
}

#[test]
fn a_container_is_not_deleted_without_its_lease() {
    let server = server();
    let mut client = Client::new(&server);
    assert_eq!(acquire(&mut client, CONTAINER, A, "-1").status, 201);
    let (head, list) = ("/con?restype=container", "/?comp=list");
    assert_eq!(shown(&mut client, head, list), ["leased", "locked", "infinite"]);
    // Blobs in it are not held.
    assert_eq!(client.put("x", b"1").status, 201);
    let mut delete = |id: &str| {
        let headers = if id.is_empty() { vec![] } else { vec![("x-ms-lease-id", id)] };
        let reply = client.send("DELETE", head, &headers, b"");
        (reply.status, reply.code().to_owned())
    };
    assert_eq!(delete(""), (412, "LeaseIdMissing".into()));
    assert_eq!(delete(B), (412, "LeaseIdMismatchWithContainerOperation".into()));
    assert_eq!(delete(A), (202, String::new()));
}

#[test]
fn metadata_of_a_container_are_replaced() {
    let server = server();
    let mut client = Client::new(&server);
    let path = "/con?restype=container&comp=metadata";
    let before = client.send("HEAD", "/con?restype=container", &[], b"").header("etag").to_owned();
    assert_eq!(client.send("PUT", path, &[("x-ms-meta-a", "b")], b"").status, 200);
    let after = client.send("GET", path, &[], b"");
    assert_eq!(after.header("x-ms-meta-a"), "b");
    assert_ne!(after.header("etag"), before);
    let other = [("x-ms-lease-id", A)];
    assert_eq!(
        client.send("PUT", path, &other, b"").verdict(),
        (412, "LeaseNotPresentWithContainerOperation")
    );
    client.send("PUT", path, &[], b"");
    assert_eq!(client.send("GET", path, &[], b"").header("x-ms-meta-a"), "");
}

#[test]
fn the_lease_is_judged_before_if_none_match_and_its_holder_may_replace() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    acquire(&mut client, BLOB, A, "-1");
    let block = ("x-ms-blob-type", "BlockBlob");
    let none = ("If-None-Match", "*");
    let list = b"<BlockList></BlockList>";
    for (path, body, kind) in [("/con/x", &b"2"[..], Some(block)), ("/con/x?comp=blocklist", &list[..], None)]
    {
        let mut send = |lease: Option<&str>| {
            let mut headers: Vec<_> = kind.into_iter().chain([none]).collect();
            headers.extend(lease.map(|id| ("x-ms-lease-id", id)));
            let reply = client.send("PUT", path, &headers, body);
            (reply.status, reply.code().to_owned())
        };
        assert_eq!(send(None), (412, "LeaseIdMissing".into()), "{path}");
        assert_eq!(send(Some(B)), (412, "LeaseIdMismatchWithBlobOperation".into()), "{path}");
        assert_eq!(send(Some(A)).0, 201, "{path}");
    }
    lease(&mut client, BLOB, "release", &[("x-ms-lease-id", A)]);
    let reply = client.send("PUT", "/con/x", &[block, none], b"3");
    assert_eq!(reply.verdict(), (409, "BlobAlreadyExists"));
}
