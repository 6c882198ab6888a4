//! Blobs that are there without a request.
#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use azsim::{Seed, Server, Store};
use bytes::Bytes;
use common::{ACCOUNT, Client, server};

#[test]
fn a_planted_blob_is_read_and_listed_as_one_that_was_put() {
    let server = server();
    let seed = Seed {
        name: "dir/x".to_owned(),
        content: vec![Bytes::from_static(b"two "), Bytes::from_static(b"pieces")],
        modified_s: Some(1_000_000_000),
        content_type: "text/x-test".to_owned(),
        content_md5: Some([7; 16]),
        metadata: vec![("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())],
        tier: "cool".to_owned(),
        ..Seed::default()
    };
    assert_eq!(server.plant(ACCOUNT, "con", [seed.clone(), Seed { name: "y".to_owned(), ..seed }]), 2);
    let mut client = Client::new(&server);
    let reply = client.get("dir/x");
    assert_eq!((reply.status, &*reply.body), (200, &b"two pieces"[..]));
    assert_eq!(reply.header("last-modified"), "Sun, 09 Sep 2001 01:46:40 GMT");
    assert_eq!((reply.header("content-type"), reply.header("x-ms-meta-a")), ("text/x-test", "1"));
    assert_eq!(reply.header("content-md5"), "BwcHBwcHBwcHBwcHBwcHBw==");
    let blobs = server.blobs(ACCOUNT, "con");
    assert_eq!(common::crc64(b"two pieces"), {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(blobs[0].crc64.to_le_bytes())
    });
    assert_eq!(blobs[0].tier, "Cool");
    assert_ne!(blobs[0].etag, blobs[1].etag);
    let list = client.send("GET", "/con?restype=container&comp=list", &[], b"");
    assert_eq!(list.elements("Name"), ["dir/x", "y"]);
    assert!(server.snapshot(ACCOUNT, "con", "y") && !server.snapshot(ACCOUNT, "con", "z"));
    assert_eq!(server.snapshots(ACCOUNT, "con"), [("y".to_owned(), 1)]);
    assert_eq!(server.stats().by_operation.len(), 2);
}

#[test]
fn planting_needs_no_content_of_its_own_for_each_blob() {
    let server = Server::builder().store(Store::Discard).threads(1).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    let content = Bytes::from(vec![0; 4096]);
    let seeds = (0..200_000).map(|n| Seed {
        name: format!("{:03}/{n:07}", n / 1000),
        content: vec![content.clone()],
        ..Seed::default()
    });
    assert_eq!(server.plant(ACCOUNT, "con", seeds), 200_000);
    let mut client = Client::new(&server);
    let list = client.send("GET", "/con?restype=container&comp=list&prefix=199/&maxresults=5000", &[], b"");
    assert_eq!(list.elements("Name").len(), 1000);
    assert_eq!(list.elements("Content-Length")[0], "4096");
}
