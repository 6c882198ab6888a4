//! Page blobs: what nobody has written to is neither read nor stored.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;

use azsim::Operation;
use azuring_tests::{CONTAINER, Fixture, azuring};

use crate::scene::noise;

/// Sends a request for the blob `disk`, which has to be accepted.
fn send(fixture: &Fixture, query: &str, headers: &[(&str, &str)], body: &[u8]) {
    let url = fixture.url_of(CONTAINER, "disk");
    let (address, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    let mut head = format!("PUT /{target}{query} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("x-ms-version: 2023-11-03\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[test]
fn only_used_ranges_are_read_and_the_rest_are_holes() {
    let fixture = Fixture::new(azuring!());
    let len = 64 << 20;
    send(
        &fixture,
        "",
        &[("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", &len.to_string())],
        b"",
    );
    let mut content = vec![0; len];
    // Two in one range of a MiB, one that reaches into the next, and the very last page.
    for (seed, at, bytes) in [(1, 0, 512), (2, 4096, 1024), (3, (5 << 20) - 512, 1024), (4, len - 512, 512)] {
        let pages = noise(seed, bytes);
        let range = format!("bytes={at}-{}", at + bytes - 1);
        send(&fixture, "&comp=page", &[("x-ms-page-write", "update"), ("x-ms-range", &range)], &pages);
        content[at..at + bytes].copy_from_slice(&pages);
    }
    let reads =
        || fixture.server().stats().by_operation.get(&Operation::GetBlob).copied().unwrap_or_default();
    let before = reads();
    let to = fixture.path().join("disk");
    let source = fixture.url_of(CONTAINER, "disk");
    let done = fixture.run(["copy", &source, to.to_str().unwrap(), "--block-size-mb=1"]);
    done.expect_code(0);
    assert!(fs::read(&to).unwrap() == content);
    assert_eq!(reads() - before, 4, "ranges with something in them");
    let stored = fs::metadata(&to).unwrap().blocks() * 512;
    assert!(stored <= 6 << 20, "{stored} bytes are stored");
    assert_eq!(done.field("Total Number of Bytes Transferred"), Some(len.to_string().as_str()));
    // Into nothing, everything is read.
    fixture.run(["copy", &source, "/dev/null", "--block-size-mb=1"]).expect_code(0);
    assert_eq!(reads() - before, 4 + 64);
}

/// Nothing of it had come: holes are no part of a blob that was moved.
#[test]
fn a_blob_that_is_replaced_before_its_first_range_is_taken_as_it_is_then() {
    let fixture = Fixture::new(azuring!());
    let len = 8 << 20;
    let length = len.to_string();
    send(&fixture, "", &[("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", &length)], b"");
    let mut content = vec![0; len];
    let mut write = |seed, at: usize| {
        let pages = noise(seed, 1024);
        let range = format!("bytes={at}-{}", at + pages.len() - 1);
        send(&fixture, "&comp=page", &[("x-ms-page-write", "update"), ("x-ms-range", &range)], &pages);
        content[at..at + pages.len()].copy_from_slice(&pages);
    };
    write(1, 3 << 20);
    fixture.hold(Operation::GetBlob, "disk", 0);
    let to = fixture.path().join("disk");
    let source = fixture.url_of(CONTAINER, "disk");
    let flags = ["--block-size-mb=1", "--retry-failed=0", "--stall-seconds=600"];
    let line = ["copy", &source, to.to_str().unwrap()].into_iter().chain(flags);
    let running = fixture.azuring().start(line);
    fixture.wait_for_held(1);
    write(2, 6 << 20);
    fixture.release();
    running.wait().unwrap().expect_code(0);
    assert!(fs::read(&to).unwrap() == content);
}
