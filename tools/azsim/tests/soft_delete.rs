//! Soft delete: what is deleted or replaced is kept, listed as deleted, not read, and removed for good on demand.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::{Server, ServerBuilder};
use common::{ACCOUNT, Client, Reply, escape};

const LIST: &str = "/con?restype=container&comp=list";

fn start(set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> (Server, Client) {
    let server = set(Server::builder().threads(1)).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    let mut client = Client::new(&server);
    client.sas = server.account_sas(ACCOUNT, "rwdxylact", Duration::from_secs(600));
    (server, client)
}

fn soft(versioning: bool) -> (Server, Client) {
    start(|server| server.soft_delete(7).versioning(versioning))
}

fn delete(client: &mut Client, query: &str, snapshots: Option<&str>) -> Reply {
    let headers: Vec<_> = snapshots.map(|s| ("x-ms-delete-snapshots", s)).into_iter().collect();
    client.send("DELETE", &format!("/con/x{query}"), &headers, b"")
}

/// Deletes, and says what `x-ms-delete-type-permanent` says.
fn for_good(client: &mut Client, query: &str, snapshots: Option<&str>) -> String {
    let reply = delete(client, query, snapshots);
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.header("x-ms-delete-type-permanent").to_owned()
}

fn snapshot(client: &mut Client) -> String {
    client.send("PUT", "/con/x?comp=snapshot", &[], b"").header("x-ms-snapshot").to_owned()
}

fn list(client: &mut Client, include: &str) -> Reply {
    client.send("GET", &format!("{LIST}&include={include}"), &[], b"")
}

/// Names, one for each entry, and which of them are deleted.
fn shown(client: &mut Client, include: &str) -> (usize, usize) {
    let list = list(client, include);
    (list.elements("Name").len(), list.elements("Deleted").len())
}

/// What is deleted of `x`: the blob, snapshots, versions.
fn kept(server: &Server) -> (bool, usize, usize) {
    match &server.deleted(ACCOUNT, "con")[..] {
        [] => (false, 0, 0),
        [one] => (one.blob, one.snapshots, one.versions),
        more => panic!("{more:?}"),
    }
}

#[test]
fn a_deleted_blob_is_listed_and_not_read() {
    let (server, mut client) = soft(false);
    client.put("x", b"old");
    client.put("y", b"y");
    assert_eq!(for_good(&mut client, "", None), "false");
    assert_eq!(client.get("x").verdict(), (404, "BlobNotFound"));
    assert_eq!(client.send("HEAD", "/con/x", &[], b"").status, 404);
    assert_eq!(delete(&mut client, "", None).verdict(), (404, "BlobNotFound"));
    assert_eq!(client.send("PUT", "/con/x?comp=snapshot", &[], b"").status, 404);
    assert_eq!(kept(&server), (true, 0, 0));

    for include in ["", "snapshots,versions", "uncommittedblobs"] {
        assert_eq!(list(&mut client, include).elements("Name"), ["y"], "{include}");
    }
    let deleted = list(&mut client, "deleted");
    assert_eq!(deleted.elements("Name"), ["x", "y"]);
    assert_eq!(deleted.elements("Deleted"), ["true"]);
    assert_eq!(deleted.elements("RemainingRetentionDays"), ["6"]);
    assert!(deleted.elements("DeletedTime")[0].ends_with(" GMT"));
    let text = deleted.text();
    let (x, y) = text.split_at(text.find("<Name>y").unwrap());
    assert!(x.find("<Deleted>").unwrap() < x.find("<Properties>").unwrap(), "{x}");
    assert!(!x.contains("LeaseState") && y.contains("LeaseState"), "{text}");
    let prefixes = client.send("GET", &format!("{LIST}&include=deleted&delimiter=x"), &[], b"");
    assert_eq!(prefixes.elements("Name"), ["x", "y"]);
    // Not even permanently: that is for snapshots and versions.
    let reply = delete(&mut client, "?deletetype=permanent", None);
    assert_eq!(reply.verdict(), (409, "BlobSnapshotNotSoftDeleted"));
    assert_eq!(kept(&server), (true, 0, 0));
    let service = client.send("GET", "/?restype=service&comp=properties", &[], b"");
    assert_eq!(
        (service.elements("Days"), service.elements("AllowPermanentDelete").len()),
        (vec!["7".to_owned()], 1)
    );
}

#[test]
fn deleted_snapshots_are_removed_for_good_one_by_one() {
    let (server, mut client) = soft(false);
    client.put("x", b"x");
    let [s1, s2, s3] = [snapshot(&mut client), snapshot(&mut client), snapshot(&mut client)];
    let one = |s: &str| format!("?snapshot={}", escape(s));
    assert_eq!(for_good(&mut client, &one(&s2), None), "false");
    assert_eq!(client.get(&format!("x{}", one(&s2))).verdict(), (404, "BlobNotFound"));
    assert_eq!(list(&mut client, "snapshots").elements("Snapshot"), [s1.clone(), s3.clone()]);
    let all = list(&mut client, "snapshots,deleted");
    assert_eq!(
        (all.elements("Snapshot"), all.elements("Deleted").len()),
        (vec![s1.clone(), s2.clone(), s3.clone()], 1)
    );
    assert_eq!(shown(&mut client, "deleted"), (1, 0));

    // Only what is deleted already goes for good.
    let permanent = |s: &str| format!("{}&deletetype=permanent", one(s));
    let reply = delete(&mut client, &permanent(&s1), None);
    assert_eq!(reply.verdict(), (409, "BlobSnapshotNotSoftDeleted"));
    let reply = delete(&mut client, &permanent("2020-01-01T00:00:00.0000000Z"), None);
    assert_eq!(reply.verdict(), (404, "BlobNotFound"));
    let reply = delete(&mut client, &one(&s1).replace("snapshot", "deletetype=soft&snapshot"), None);
    assert_eq!(reply.verdict(), (400, "InvalidQueryParameterValue"));
    assert_eq!(for_good(&mut client, &permanent(&s2), None), "true");
    assert_eq!(delete(&mut client, &permanent(&s2), None).verdict(), (404, "BlobNotFound"));
    assert_eq!(kept(&server), (false, 0, 0));

    assert_eq!(for_good(&mut client, "", Some("only")), "false");
    assert_eq!((client.get("x").status, kept(&server)), (200, (false, 2, 0)));
    snapshot(&mut client);
    assert_eq!(for_good(&mut client, "", Some("include")), "false");
    assert_eq!((client.get("x").status, kept(&server)), (404, (true, 3, 0)));
    assert_eq!(shown(&mut client, "snapshots,deleted"), (4, 4));

    // It takes a permission of its own.
    client.sas = server.account_sas(ACCOUNT, "rwdxl", Duration::from_secs(3600));
    let reply = delete(&mut client, &permanent(&s1), None);
    assert_eq!(reply.verdict(), (403, "AuthorizationPermissionMismatch"));
    client.sas = server.account_sas(ACCOUNT, "y", Duration::from_secs(3600));
    assert_eq!(delete(&mut client, &one(&s1), None).verdict(), (403, "AuthorizationPermissionMismatch"));
    for s in [s1, s3] {
        assert_eq!(for_good(&mut client, &permanent(&s), None), "true");
    }
    assert_eq!(kept(&server), (true, 1, 0));
}

#[test]
fn a_deleted_version_is_kept_and_the_current_one_becomes_an_earlier_one() {
    let (server, mut client) = soft(true);
    let put =
        |client: &mut Client, content: &[u8]| client.put("x", content).header("x-ms-version-id").to_owned();
    let [v1, v2] = [put(&mut client, b"1"), put(&mut client, b"2")];
    let one = |v: &str| format!("?versionid={}", escape(v));
    assert_eq!(for_good(&mut client, &one(&v1), None), "false");
    assert_eq!(client.get(&format!("x{}", one(&v1))).verdict(), (404, "BlobNotFound"));
    assert_eq!(list(&mut client, "versions").elements("VersionId"), std::slice::from_ref(&v2));
    let all = list(&mut client, "versions,deleted");
    assert_eq!(all.elements("VersionId"), [v1.clone(), v2.clone()]);
    assert_eq!((all.elements("Deleted").len(), all.elements("IsCurrentVersion").len()), (1, 1));

    for_good(&mut client, "", None);
    assert_eq!((client.get("x").status, kept(&server)), (404, (false, 0, 1)));
    assert_eq!(client.get(&format!("x{}", one(&v2))).body, b"2");
    let permanent = |v: &str| format!("{}&deletetype=permanent", one(v));
    let reply = delete(&mut client, &permanent(&v2), None);
    assert_eq!(reply.verdict(), (409, "BlobSnapshotNotSoftDeleted"));
    assert_eq!(for_good(&mut client, &permanent(&v1), None), "true");
    assert_eq!(list(&mut client, "versions,deleted").elements("VersionId"), std::slice::from_ref(&v2));
    for_good(&mut client, &one(&v2), None);
    assert_eq!((shown(&mut client, "versions"), shown(&mut client, "versions,deleted")), ((0, 0), (1, 1)));
    assert_eq!(for_good(&mut client, &permanent(&v2), None), "true");
    assert_eq!((shown(&mut client, "versions,deleted"), kept(&server)), ((0, 0), (false, 0, 0)));
}

#[test]
fn what_is_replaced_becomes_a_deleted_snapshot() {
    let (server, mut client) = soft(false);
    client.put("x", b"1");
    client.put("x", b"2");
    assert_eq!(kept(&server), (false, 1, 0));
    client.put_block("x", "01", b"3");
    client.commit("x", &[("Latest", "01")]);
    assert_eq!((client.get("x").body, kept(&server)), (b"3".to_vec(), (false, 2, 0)));
    // Metadata are no content.
    client.send("PUT", "/con/x?comp=metadata", &[("x-ms-meta-k", "v")], b"");
    assert_eq!(kept(&server), (false, 2, 0));
    // A deleted blob gives way, to one of its type as a snapshot.
    for_good(&mut client, "", None);
    assert_eq!(kept(&server), (true, 2, 0));
    client.put("x", b"4");
    assert_eq!((kept(&server), shown(&mut client, "deleted")), ((false, 3, 0), (1, 0)));
    for_good(&mut client, "", None);
    client.send("PUT", "/con/x", &[("x-ms-blob-type", "AppendBlob")], b"");
    assert_eq!(kept(&server), (false, 3, 0));
    assert_eq!(shown(&mut client, "snapshots,deleted"), (4, 3));
}

#[test]
fn batches_delete_softly_and_for_good() {
    let (server, mut client) = soft(false);
    client.put("x", b"x");
    let s = snapshot(&mut client);
    let mut batch = |query: &str, more: &str| {
        let part = format!(
            "--b\r\nContent-Type: application/http\r\n\r\nDELETE /{ACCOUNT}/con/x{query} HTTP/1.1\r\n{more}\r\n--b--\r\n"
        );
        let kind = [("Content-Type", "multipart/mixed; boundary=b")];
        client.send("POST", "/con?restype=container&comp=batch", &kind, part.as_bytes()).text()
    };
    let reply = batch("", "x-ms-delete-snapshots: include\r\n");
    assert!(reply.contains("HTTP/1.1 202") && reply.contains("x-ms-delete-type-permanent: false"), "{reply}");
    assert_eq!(kept(&server), (true, 1, 0));
    let permanent = format!("?snapshot={}&deletetype=permanent", escape(&s));
    let reply = batch(&permanent, "");
    assert!(reply.contains("x-ms-delete-type-permanent: true"), "{reply}");
    assert!(batch(&permanent, "").contains("HTTP/1.1 404"));
    assert!(batch("?deletetype=permanent", "").contains("BlobSnapshotNotSoftDeleted"));
    assert_eq!(kept(&server), (true, 0, 0));
}

#[test]
fn without_soft_delete_nothing_is_kept_and_nothing_is_permanent() {
    let (server, mut client) = start(|server| server);
    client.put("x", b"x");
    let s = snapshot(&mut client);
    let reply = delete(&mut client, &format!("?snapshot={}&deletetype=permanent", escape(&s)), None);
    assert_eq!(reply.verdict(), (409, "BlobSnapshotNotSoftDeleted"));
    assert_eq!(for_good(&mut client, "", Some("include")), "true");
    assert_eq!((kept(&server), shown(&mut client, "snapshots,deleted")), ((false, 0, 0), (0, 0)));
}

#[test]
fn listings_with_what_is_deleted_page_over_all_names() {
    let (_server, mut client) = soft(false);
    for i in 0..20 {
        client.put(&format!("d{}/f{i:02}", i % 2), b"1");
    }
    for i in (0..20).step_by(3) {
        client.send("DELETE", &format!("/con/d{}/f{i:02}", i % 2), &[], b"");
    }
    let (mut names, mut marker) = (Vec::new(), String::new());
    loop {
        let path = format!("{LIST}&include=deleted&maxresults=3&marker={}", escape(&marker));
        let reply = client.send("GET", &path, &[], b"");
        names.extend(reply.elements("Name"));
        marker = reply.elements("NextMarker").pop().unwrap_or_default();
        if marker.is_empty() {
            break;
        }
    }
    let mut expected: Vec<String> = (0..20).map(|i| format!("d{}/f{i:02}", i % 2)).collect();
    expected.sort();
    assert_eq!(names, expected);
}
