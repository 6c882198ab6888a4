//! Changing a blob that is there: tiers and rehydration, metadata, HTTP headers, tags.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use common::{ACCOUNT, Client, server};

fn tier(client: &mut Client, tier: &str, priority: Option<&str>) -> (u16, String) {
    let mut headers = vec![("x-ms-access-tier", tier)];
    headers.extend(priority.map(|p| ("x-ms-rehydrate-priority", p)));
    let reply = client.send("PUT", "/con/x?comp=tier", &headers, b"");
    (reply.status, reply.code().to_owned())
}

#[test]
fn a_tier_is_set_and_an_archived_blob_comes_back_in_its_time() {
    let server = server();
    let mut client = Client::new(&server);
    let etag = client.put("x", b"1").header("etag").to_owned();
    let ok = (200, String::new());
    assert_eq!(tier(&mut client, "Cool", None), ok);
    let head = client.send("HEAD", "/con/x", &[], b"");
    assert_eq!((head.header("x-ms-access-tier"), head.header("x-ms-access-tier-inferred")), ("Cool", ""));
    assert!(head.header("x-ms-access-tier-change-time").ends_with("GMT"));
    assert_eq!(head.header("etag"), etag, "the tier is no part of the blob");

    assert_eq!(tier(&mut client, "archive", None), ok);
    assert_eq!(client.get("x").verdict(), (409, "BlobArchived"));
    assert_eq!(client.send("PUT", "/con/x?comp=metadata", &[], b"").verdict(), (409, "BlobArchived"));
    assert_eq!(tier(&mut client, "Hot", Some("Fast")).0, 400);
    assert_eq!(tier(&mut client, "Hot", Some("Standard")), (202, String::new()));
    assert_eq!(tier(&mut client, "Cool", None), (409, "BlobBeingRehydrated".to_owned()));
    assert_eq!(tier(&mut client, "Hot", Some("High")), (202, String::new()));
    let head = client.send("HEAD", "/con/x", &[], b"");
    assert_eq!(head.header("x-ms-access-tier"), "Archive");
    assert_eq!(head.header("x-ms-archive-status"), "rehydrate-pending-to-hot");
    assert_eq!(head.header("x-ms-rehydrate-priority"), "High");
    let list = client.send("GET", "/con?restype=container&comp=list", &[], b"");
    assert_eq!(list.elements("ArchiveStatus"), ["rehydrate-pending-to-hot"]);
    assert_eq!(client.get("x").verdict(), (409, "BlobArchived"));

    assert_eq!(server.complete_rehydration(ACCOUNT, "con"), 1);
    assert_eq!(server.complete_rehydration(ACCOUNT, "con"), 0);
    assert_eq!(client.get("x").body, b"1");
    let head = client.send("HEAD", "/con/x", &[], b"");
    assert_eq!((head.header("x-ms-access-tier"), head.header("x-ms-archive-status")), ("Hot", ""));
    assert_eq!(tier(&mut client, "Warm", None), (400, "InvalidHeaderValue".to_owned()));
    assert_eq!(client.send("PUT", "/con/x?comp=tier", &[], b"").verdict(), (400, "MissingRequiredHeader"));
    let gone = client.send("PUT", "/con/nope?comp=tier", &[("x-ms-access-tier", "Hot")], b"");
    assert_eq!(gone.verdict(), (404, "BlobNotFound"));
}

#[test]
fn metadata_and_headers_are_replaced_as_a_whole() {
    let server = server();
    let mut client = Client::new(&server);
    let put = [
        ("x-ms-blob-type", "BlockBlob"),
        ("Content-Type", "a/b"),
        ("x-ms-blob-cache-control", "no-store"),
        ("x-ms-meta-old", "1"),
        ("x-ms-tags", "k=v"),
    ];
    let first = client.send("PUT", "/con/x", &put, b"abc");
    let set = client.send("PUT", "/con/x?comp=metadata", &[("x-ms-meta-New", "2")], b"");
    assert_eq!(set.verdict(), (200, ""));
    let get = client.get("x");
    assert_ne!(first.header("etag"), get.header("etag"));
    assert_eq!(set.header("etag"), get.header("etag"));
    assert_eq!((get.header("x-ms-meta-old"), get.header("x-ms-meta-New")), ("", "2"));
    assert_eq!((get.header("content-type"), get.header("x-ms-tag-count")), ("a/b", "1"));

    let stale = [("x-ms-blob-content-language", "de"), ("If-Match", first.header("etag"))];
    assert_eq!(client.send("PUT", "/con/x?comp=properties", &stale, b"").verdict(), (412, "ConditionNotMet"));
    let md5 = "kAFQmDzST7DWlj99KOF/cg==";
    let headers = [("x-ms-blob-content-language", "de"), ("x-ms-blob-content-md5", md5)];
    assert_eq!(client.send("PUT", "/con/x?comp=properties", &headers, b"").verdict(), (200, ""));
    let get = client.get("x");
    assert_eq!((get.header("content-language"), get.header("content-md5")), ("de", md5));
    assert_eq!((get.header("cache-control"), get.header("content-type")), ("", "application/octet-stream"));
    assert_eq!(
        (get.header("x-ms-meta-New"), get.header("x-ms-tag-count"), &*get.body),
        ("2", "1", &b"abc"[..])
    );
    let bad = client.send("PUT", "/con/x?comp=metadata", &[("x-ms-meta-a-b", "2")], b"");
    assert_eq!(bad.verdict(), (400, "InvalidMetadata"));
}

#[test]
fn tags_are_set_read_and_need_their_permission() {
    let server = server();
    let mut client = Client::new(&server);
    let etag = client.put("x", b"1").header("etag").to_owned();
    let tags =
        b"<?xml version=\"1.0\"?><Tags><TagSet><Tag><Key>a b</Key><Value>1</Value></Tag></TagSet></Tags>";
    assert_eq!(client.send("PUT", "/con/x?comp=tags", &[], tags).status, 204);
    let got = client.send("GET", "/con/x?comp=tags", &[], b"");
    assert_eq!((got.elements("Key"), got.elements("Value")), (vec!["a b".to_owned()], vec!["1".to_owned()]));
    let head = client.send("HEAD", "/con/x", &[], b"");
    assert_eq!((head.header("x-ms-tag-count"), head.header("etag")), ("1", &*etag));
    let list = client.send("GET", "/con?restype=container&comp=list&include=tags", &[], b"");
    assert_eq!(
        (list.elements("Key"), list.elements("TagCount")),
        (vec!["a b".to_owned()], vec!["1".to_owned()])
    );
    let bad = String::from_utf8(tags.to_vec()).unwrap().replace("a b", "a#b");
    assert_eq!(client.send("PUT", "/con/x?comp=tags", &[], bad.as_bytes()).verdict(), (400, "InvalidTag"));
    assert_eq!(client.send("PUT", "/con/x?comp=tags", &[], b"<x>").verdict(), (400, "InvalidXmlDocument"));
    let wrong = client.send("PUT", "/con/x?comp=tags", &[("x-ms-content-crc64", "AAAAAAAAAAA=")], tags);
    assert_eq!(wrong.verdict(), (400, "Crc64Mismatch"));
    client.sas = server.account_sas(ACCOUNT, "rwdlac", Duration::from_secs(3600));
    for method in ["GET", "PUT"] {
        let refused = client.send(method, "/con/x?comp=tags", &[], tags);
        assert_eq!(refused.verdict(), (403, "AuthorizationPermissionMismatch"), "{method}");
    }
}
