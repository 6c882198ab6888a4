//! Snapshots and versions: made, read, listed, deleted.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::Server;
use common::{ACCOUNT, Client, escape, server};

const LIST: &str = "/con?restype=container&comp=list";

fn versioned() -> Server {
    let server = Server::builder().threads(1).versioning(true).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    server
}

fn delete(client: &mut Client, query: &str, snapshots: Option<&str>) -> (u16, String) {
    let headers: Vec<_> = snapshots.map(|s| ("x-ms-delete-snapshots", s)).into_iter().collect();
    let reply = client.send("DELETE", &format!("/con/x{query}"), &headers, b"");
    (reply.status, reply.code().to_owned())
}

fn ok() -> (u16, String) {
    (202, String::new())
}

#[test]
fn a_snapshot_keeps_the_blob_as_it_was() {
    let server = server();
    let mut client = Client::new(&server);
    let first = client.put("x", b"old");
    let plain = client.send("PUT", "/con/x?comp=snapshot", &[], b"");
    assert_eq!((plain.status, plain.header("etag")), (201, first.header("etag")));
    let own = client.send("PUT", "/con/x?comp=snapshot", &[("x-ms-meta-k", "v")], b"");
    let (s1, s2) = (plain.header("x-ms-snapshot").to_owned(), own.header("x-ms-snapshot").to_owned());
    assert!(s1 < s2 && s1.len() == 28, "{s1} {s2}");
    client.put("x", b"newer");
    let get = |client: &mut Client, s: &str| client.get(&format!("x?snapshot={}", escape(s)));
    assert_eq!(get(&mut client, &s1).body, b"old");
    assert_eq!(get(&mut client, &s2).header("x-ms-meta-k"), "v");
    assert_eq!(client.get("x").body, b"newer");
    assert_eq!(get(&mut client, "2020-01-01T00:00:00.0000000Z").verdict(), (404, "BlobNotFound"));
    assert_eq!(get(&mut client, "yesterday").verdict(), (400, "InvalidQueryParameterValue"));

    let list = client.send("GET", &format!("{LIST}&include=snapshots"), &[], b"");
    assert_eq!(list.elements("Snapshot"), [s1.clone(), s2]);
    assert_eq!(list.elements("Content-Length"), ["3", "3", "5"]);
    assert_eq!(client.send("GET", LIST, &[], b"").elements("Name"), ["x"]);
    let levels = client.send("GET", &format!("{LIST}&include=snapshots&delimiter=%2F"), &[], b"");
    assert_eq!(levels.verdict(), (400, "InvalidQueryParameterValue"));

    assert_eq!(delete(&mut client, "", None), (409, "SnapshotsPresent".to_owned()));
    assert_eq!(delete(&mut client, "", Some("all")), (400, "InvalidHeaderValue".to_owned()));
    let one = format!("?snapshot={}", escape(&s1));
    assert_eq!(delete(&mut client, &one, Some("include")), (400, "InvalidHeaderValue".to_owned()));
    assert_eq!(delete(&mut client, &one, None), ok());
    assert_eq!(delete(&mut client, &one, None), (404, "BlobNotFound".to_owned()));
    assert_eq!(delete(&mut client, "", Some("only")), ok());
    assert_eq!(client.get("x").body, b"newer");
    client.send("PUT", "/con/x?comp=snapshot", &[], b"");
    assert_eq!(delete(&mut client, "", Some("include")), ok());
    let list = client.send("GET", &format!("{LIST}&include=snapshots"), &[], b"");
    assert_eq!(list.elements("Name"), [""; 0]);
}

#[test]
fn versions_are_kept_listed_and_deleted_one_by_one() {
    let server = versioned();
    let mut client = Client::new(&server);
    client.sas = server.account_sas(ACCOUNT, "rwdxlact", Duration::from_secs(600));
    let v1 = client.put("x", b"1").header("x-ms-version-id").to_owned();
    let set = client.send("PUT", "/con/x?comp=metadata", &[("x-ms-meta-k", "v")], b"");
    let v2 = set.header("x-ms-version-id").to_owned();
    client.put_block("x", "01", b"three");
    let v3 = client.commit("x", &[("Latest", "01")]).header("x-ms-version-id").to_owned();
    assert!(v1 < v2 && v2 < v3 && v1.len() == 28, "{v1} {v2} {v3}");
    let get = |client: &mut Client, v: &str| client.get(&format!("x?versionid={}", escape(v)));
    assert_eq!(get(&mut client, &v1).body, b"1");
    assert_eq!(get(&mut client, &v2).header("x-ms-meta-k"), "v");
    assert_eq!(get(&mut client, &v2).header("x-ms-is-current-version"), "");
    let current = get(&mut client, &v3);
    assert_eq!((&*current.body, current.header("x-ms-is-current-version")), (&b"three"[..], "true"));
    assert_eq!(client.get("x").header("x-ms-version-id"), v3);
    // HTTP headers change a version in place.
    let set = client.send("PUT", "/con/x?comp=properties", &[("x-ms-blob-content-type", "a/b")], b"");
    assert_eq!(set.header("x-ms-version-id"), v3);

    let list = |client: &mut Client| {
        let list = client.send("GET", &format!("{LIST}&include=versions"), &[], b"");
        (list.elements("VersionId"), list.elements("IsCurrentVersion").len())
    };
    assert_eq!(list(&mut client), (vec![v1.clone(), v2.clone(), v3.clone()], 1));
    let current = format!("?versionid={}", escape(&v3));
    assert_eq!(delete(&mut client, &current, None), (403, "OperationNotAllowedOnRootBlob".to_owned()));
    let second = format!("?versionid={}", escape(&v2));
    let strong =
        std::mem::replace(&mut client.sas, server.account_sas(ACCOUNT, "d", Duration::from_secs(3600)));
    assert_eq!(delete(&mut client, &second, None), (403, "AuthorizationPermissionMismatch".to_owned()));
    client.sas = strong;
    assert_eq!(delete(&mut client, &second, None), ok());
    assert_eq!(list(&mut client), (vec![v1.clone(), v3.clone()], 1));
    // Without an id the current version becomes an earlier one.
    assert_eq!(delete(&mut client, "", None), ok());
    assert_eq!(client.get("x").verdict(), (404, "BlobNotFound"));
    assert_eq!(get(&mut client, &v3).body, b"three");
    assert_eq!(list(&mut client), (vec![v1.clone(), v3.clone()], 0));
    assert_eq!(client.send("GET", LIST, &[], b"").elements("Name"), [""; 0]);
    for v in [v1, v3] {
        assert_eq!(delete(&mut client, &format!("?versionid={}", escape(&v)), None), ok());
    }
    assert_eq!(list(&mut client), (vec![], 0));
}

#[test]
fn without_versioning_there_are_no_versions() {
    let server = server();
    let mut client = Client::new(&server);
    assert_eq!(client.put("x", b"1").header("x-ms-version-id"), "");
    client.put("x", b"2");
    let list = client.send("GET", &format!("{LIST}&include=versions"), &[], b"");
    assert_eq!((list.elements("Name"), list.elements("VersionId")), (vec!["x".to_owned()], vec![]));
}

#[test]
fn listings_with_the_past_page_over_all_names() {
    let server = versioned();
    let mut client = Client::new(&server);
    for i in 0..20 {
        for content in [b"1", b"2"] {
            client.put(&format!("d{}/f{i:02}", i % 2), content);
        }
    }
    // A third of the names has earlier versions only.
    for i in (0..20).step_by(3) {
        client.send("DELETE", &format!("/con/d{}/f{i:02}", i % 2), &[], b"");
    }
    let (mut names, mut marker) = (Vec::new(), String::new());
    loop {
        let reply = client.send(
            "GET",
            &format!("{LIST}&include=versions&maxresults=3&marker={}", escape(&marker)),
            &[],
            b"",
        );
        names.extend(reply.elements("Name"));
        marker = reply.elements("NextMarker").pop().unwrap_or_default();
        if marker.is_empty() {
            break;
        }
    }
    let mut expected: Vec<String> =
        (0..20).flat_map(|i| [format!("d{}/f{i:02}", i % 2), format!("d{}/f{i:02}", i % 2)]).collect();
    expected.sort();
    assert_eq!(names, expected);
    let reply = client.send("GET", &format!("{LIST}&delimiter=%2F&include=versions"), &[], b"");
    assert_eq!(reply.elements("Name"), ["d0/", "d1/"]);
}
