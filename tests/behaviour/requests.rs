//! How many requests a job sends, of which kind, over which links.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;

use azsim::{Alpn, Operation, Stats, Tls};
use azuring_bench::workload::{large_file, small_tree};
use azuring_tests::{Fixture, azuring};

const MIB: u64 = 1 << 20;

fn sent(stats: &Stats) -> BTreeMap<Operation, u64> {
    stats.by_operation.clone()
}

#[test]
fn a_small_file_costs_exactly_one_request() {
    for tls in [Tls::Off, Tls::SelfSigned] {
        let fixture = Fixture::with(azuring!(), |server| server.tls(tls.clone()));
        let tree = small_tree(&fixture.path().join("tree"), 3000, 30, 4096).unwrap();
        fixture.upload(&tree.root, &["--concurrency", "16"]).expect_code(0);
        fixture.assert_holds(&tree, "tree/");
        let stats = fixture.server().stats();
        assert_eq!(sent(&stats), BTreeMap::from([(Operation::PutBlob, 3000)]));
        assert_eq!(stats.bytes_in, 3000 * 4096);
        assert!(stats.connections <= 16, "{} connections for 16 requests in flight", stats.connections);
        assert!(stats.in_flight_max <= 16, "{} requests in flight", stats.in_flight_max);
        assert!(stats.errors.is_empty(), "{:?}", stats.errors);
    }
}

#[test]
fn one_request_in_flight_is_one() {
    let fixture = Fixture::new(azuring!());
    let tree = small_tree(&fixture.path().join("tree"), 200, 3, 100).unwrap();
    fixture.upload(&tree.root, &["--concurrency", "1"]).expect_code(0);
    let stats = fixture.server().stats();
    assert_eq!((stats.connections, stats.in_flight_max), (1, 1));
    fixture.assert_holds(&tree, "tree/");
}

#[test]
fn sizes_decide_between_put_blob_and_blocks() {
    let cases: [(u64, &[&str], u64, &[u64]); 9] = [
        (0, &[], 1, &[]),
        (64 << 10, &[], 1, &[]),
        ((64 << 10) + 1, &[], 1, &[]),
        (8 * MIB, &[], 1, &[]),
        (8 * MIB + 1, &[], 3, &[8 * MIB, 1]),
        (20 * MIB, &[], 4, &[8 * MIB, 8 * MIB, 4 * MIB]),
        (20 * MIB, &["--put-blob-size-mb=32"], 1, &[]),
        (3 * MIB, &["--block-size-mb=1.5"], 3, &[3 * MIB / 2, 3 * MIB / 2]),
        (100_000, &["--block-size-mb=0.0625"], 3, &[65_536, 34_464]),
    ];
    for (len, flags, requests, blocks) in cases {
        let fixture = Fixture::new(azuring!());
        let path = fixture.path().join("file.bin");
        let facts = large_file(&path, len).unwrap();
        fixture.upload(&path, flags).expect_code(0);
        let blobs = fixture.blobs();
        assert_eq!((blobs[0].len, blobs[0].crc64), (len, facts.crc64), "{len} {flags:?}");
        let lens: Vec<u64> = blobs[0].blocks.iter().map(|block| block.len).collect();
        assert_eq!(lens, blocks, "{len} {flags:?}");
        assert_eq!(fixture.server().stats().requests, requests, "{len} {flags:?}");
    }
}

#[test]
fn http2_carries_small_bodies_on_few_links_and_large_ones_go_over_http11() {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned));
    let mut tree = small_tree(&fixture.path().join("tree"), 1000, 10, 2000).unwrap();
    let large = large_file(&tree.root.join("large.bin"), 30 * MIB).unwrap();
    tree.files.insert("large.bin".to_owned(), large);
    fixture.upload(&tree.root, &["--concurrency", "32", "--lanes", "1"]).expect_code(0);
    fixture.assert_holds(&tree, "tree/");
    let stats = fixture.server().stats();
    // One link with streams, and one for each of the four blocks at most.
    assert!(stats.connections <= 5, "{} connections", stats.connections);
    assert_eq!(stats.requests, 1000 + 5);
}

#[test]
fn the_http_version_can_be_forced() {
    for (flag, alpn) in
        [("1.1", Alpn::H2AndHttp11), ("2", Alpn::H2AndHttp11), ("2", Alpn::H2), ("auto", Alpn::H2)]
    {
        let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned).alpn(alpn));
        let mut tree = small_tree(&fixture.path().join("tree"), 200, 4, 2000).unwrap();
        let large = large_file(&tree.root.join("large.bin"), 18 * MIB).unwrap();
        tree.files.insert("large.bin".to_owned(), large);
        fixture.upload(&tree.root, &["--http", flag, "--concurrency", "32", "--lanes", "1"]).expect_code(0);
        fixture.assert_holds(&tree, "tree/");
        if flag == "2" {
            let connections = fixture.server().stats().connections;
            assert!(connections <= 2, "{connections} connections with --http 2");
        }
    }
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned).alpn(Alpn::Http11));
    let file = fixture.file("x", b"x");
    let outcome = fixture.upload(&file, &["--http", "2"]);
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("does not offer HTTP/2"), "{}", outcome.stderr);
}

#[test]
fn files_are_read_the_same_without_io_uring() {
    let fixture = Fixture::new(azuring!());
    let mut tree = small_tree(&fixture.path().join("tree"), 2000, 20, 5000).unwrap();
    let large = large_file(&tree.root.join("large.bin"), 40 * MIB + 3).unwrap();
    tree.files.insert("large.bin".to_owned(), large);
    let outcome = fixture.upload(&tree.root, &["--io", "threads"]);
    outcome.expect_code(0);
    fixture.assert_holds(&tree, "tree/");
    let said = outcome.stderr.lines().filter(|line| line.contains("reading files with threads")).count();
    assert_eq!(said, 1, "one clear line: {}", outcome.stderr);
}

#[test]
fn properties_arrive_with_either_kind_of_upload() {
    let fixture = Fixture::new(azuring!());
    fixture.file("tree/small.txt", b"small");
    large_file(&fixture.path().join("tree/large.bin"), 9 * MIB).unwrap();
    let flags = [
        "--content-type=text/x-test",
        "--content-encoding=identity",
        "--content-language=en",
        "--content-disposition=inline",
        "--cache-control=no-cache",
        "--metadata=a=1;b=two words",
        "--block-blob-tier=cool",
        "--blob-tags=k=v&k2=v%202",
    ];
    fixture.upload(&fixture.path().join("tree"), &flags).expect_code(0);
    for blob in fixture.blobs() {
        assert_eq!(blob.content_type, "text/x-test", "{}", blob.name);
        assert_eq!(blob.content_encoding, "identity");
        assert_eq!(blob.content_language, "en");
        assert_eq!(blob.content_disposition, "inline");
        assert_eq!(blob.cache_control, "no-cache");
        assert_eq!(blob.metadata, [("a".into(), "1".into()), ("b".into(), "two words".into())]);
        assert_eq!(blob.tier, "Cool");
        assert_eq!(blob.tags, [("k".into(), "v".into()), ("k2".into(), "v 2".into())]);
    }
}

#[test]
fn few_descriptors_slow_a_job_and_fail_nothing() {
    let fixture = Fixture::new(azuring_tests::Azuring::new("sh"));
    let tree = small_tree(&fixture.path().join("tree"), 800, 8, 100_000).unwrap();
    let program = env!("CARGO_BIN_EXE_azuring-under-test");
    let line = "ulimit -n 60; exec \"$0\" \"$@\"";
    let url = fixture.url();
    let args =
        ["-c", line, program, "copy", tree.root.to_str().unwrap(), &url, "--recursive", "--concurrency=20"];
    fixture.run(args).expect_code(0);
    fixture.assert_holds(&tree, "tree/");
}
