//! A service and a network that fail: what is repeated, what is not, and what is never harmed.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rate, Rule, Tls};
use azuring_bench::workload::{large_file, small_tree};
use azuring_tests::{Fixture, azuring};

fn rule(name: &str, operation: Operation, fault: Fault, skip: u64, count: u64) -> Faults {
    let name = NameMatch::Contains(name.to_owned());
    Faults { rules: vec![Rule { name, operation: Some(operation), fault, skip, count }], ..Faults::default() }
}

#[test]
fn a_job_survives_every_kind_of_fault_at_once() {
    for tls in [Tls::Off, Tls::SelfSigned] {
        let fixture = Fixture::with(azuring!(), |server| server.tls(tls.clone()));
        let mut tree = small_tree(&fixture.path().join("tree"), 600, 10, 3000).unwrap();
        let large = large_file(&tree.root.join("large.bin"), 12 << 20).unwrap();
        tree.files.insert("large.bin".to_owned(), large);
        let rate = Rate::Probability(0.03);
        fixture.server().set_faults(Faults {
            seed: 7,
            internal_error: rate,
            bare_500: rate,
            server_busy: rate,
            reset: rate,
            cut_headers: rate,
            cut_body: rate,
            ..Faults::default()
        });
        let outcome = fixture.upload(&tree.root, &["--block-size-mb=0.25", "--put-blob-size-mb=0.25"]);
        outcome.expect_code(0);
        fixture.assert_holds(&tree, "tree/");
        let faults = fixture.server().stats().faults;
        assert!(faults.len() >= 5 && faults.values().sum::<u64>() > 50, "faults really happened: {faults:?}");
    }
}

#[test]
fn over_http2_too() {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned));
    let tree = small_tree(&fixture.path().join("tree"), 500, 10, 3000).unwrap();
    let rate = Rate::Probability(0.04);
    let faults = Faults { seed: 3, bare_500: rate, server_busy: rate, reset: rate, ..Faults::default() };
    fixture.server().set_faults(faults);
    fixture.upload(&tree.root, &["--http", "2"]).expect_code(0);
    fixture.assert_holds(&tree, "tree/");
}

#[test]
fn statuses_that_mean_later_are_repeated_with_or_without_a_code() {
    for (status, code) in [
        (408, ""),
        (429, ""),
        (429, "TooManyRequests"),
        (500, ""),
        (500, "OperationTimedOut"),
        (502, ""),
        (503, ""),
        (503, "ServerBusy"),
        (504, ""),
        (400, "Crc64Mismatch"),
    ] {
        let fixture = Fixture::new(azuring!());
        let file = fixture.file("x.txt", b"content");
        fixture.server().set_faults(rule("x.txt", Operation::PutBlob, Fault::error(status, code), 0, 2));
        fixture.upload(&file, &[]).expect_code(0);
        assert_eq!(fixture.content("x.txt"), b"content", "{status} {code}");
        assert_eq!(fixture.server().stats().requests, 3, "{status} {code}");
    }
}

#[test]
fn the_attempts_end_and_the_object_is_named() {
    let fixture = Fixture::new(azuring!());
    fixture.file("tree/bad.txt", b"bad");
    fixture.file("tree/good.txt", b"good");
    fixture.server().set_faults(rule("bad", Operation::PutBlob, Fault::error(503, "ServerBusy"), 0, 100));
    let outcome = fixture.upload(&fixture.path().join("tree"), &["--max-tries", "3"]);
    outcome.expect_code(5);
    let line = outcome.stderr.lines().find(|line| line.starts_with("failed:")).unwrap();
    for part in ["bad.txt", "503", "ServerBusy", "after 3 tries", "request id", "--concurrency"] {
        assert!(line.contains(part), "{part} in: {line}");
    }
    assert_eq!(fixture.names(), ["tree/good.txt"]);
    assert_eq!(outcome.field("Number of File Transfers Failed"), Some("1"));
}

#[test]
fn retry_after_is_honoured() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("x", b"x");
    let busy = Fault::Error { status: 503, code: "ServerBusy".into(), retry_after_s: Some(3) };
    fixture.server().set_faults(rule("x", Operation::PutBlob, busy, 0, 1));
    let outcome = fixture.upload(&file, &[]);
    outcome.expect_code(0);
    // The first pause would be half a second at most.
    assert!(outcome.wall >= Duration::from_secs(3), "{:?}", outcome.wall);
}

#[test]
fn an_exchange_on_which_nothing_moves_is_cut_and_repeated() {
    for (name, size) in [("small", 100), ("large", 3 << 20)] {
        let fixture = Fixture::new(azuring!());
        let path = fixture.path().join(name);
        let facts = large_file(&path, size).unwrap();
        fixture.server().set_faults(rule(name, Operation::PutBlob, Fault::Stall, 0, 1));
        let outcome = fixture.upload(&path, &["--stall-seconds", "2"]);
        outcome.expect_code(0);
        assert_eq!(fixture.blobs()[0].crc64, facts.crc64, "{name}");
        assert_eq!(fixture.server().stats().requests, 2, "{name}");
        assert!(outcome.wall >= Duration::from_secs(2), "{:?}", outcome.wall);
    }
}

#[test]
fn one_refused_object_fails_alone() {
    for (status, code) in [
        (403, "AuthorizationPermissionMismatch"),
        (404, "ResourceNotFound"),
        (409, "BlobImmutableDueToPolicy"),
        (412, "LeaseIdMissing"),
        (413, "RequestBodyTooLarge"),
    ] {
        let fixture = Fixture::new(azuring!());
        for name in ["a", "refused", "z"] {
            fixture.file(&format!("tree/{name}.txt"), name.as_bytes());
        }
        fixture.server().set_faults(rule("refused", Operation::PutBlob, Fault::error(status, code), 0, 100));
        let outcome = fixture.upload(&fixture.path().join("tree"), &[]);
        outcome.expect_code(1);
        assert_eq!(fixture.names(), ["tree/a.txt", "tree/z.txt"]);
        let line = outcome.stderr.lines().find(|line| line.starts_with("failed:")).unwrap();
        assert!(line.contains("refused.txt") && line.contains(code), "{line}");
        assert_eq!(fixture.server().stats().requests, 3, "{code} is not repeated");
    }
}

#[test]
fn a_failed_upload_leaves_the_blob_that_was_there() {
    for (fault_on, size) in
        [(Operation::PutBlob, 1000), (Operation::PutBlock, 4 << 20), (Operation::PutBlockList, 4 << 20)]
    {
        let fixture = Fixture::new(azuring!());
        let path = fixture.file("file.bin", b"the first version");
        let flags = ["--block-size-mb=1", "--max-tries=2"];
        fixture.upload(&path, &flags).expect_code(0);
        std::fs::remove_file(&path).unwrap();
        large_file(&path, size).unwrap();
        let denied = Fault::error(403, "AuthorizationPermissionMismatch");
        fixture.server().set_faults(rule("file.bin", fault_on, denied, 0, 100));
        let outcome = fixture.upload(&path, &flags);
        assert_ne!(outcome.code, Some(0));
        assert_eq!(fixture.content("file.bin"), b"the first version", "{fault_on:?}");
    }
}

#[test]
fn an_answer_lost_after_the_commit_is_found_out_by_repeating() {
    for operation in [Operation::PutBlock, Operation::PutBlockList] {
        let fixture = Fixture::new(azuring!());
        let path = fixture.path().join("file.bin");
        let facts = large_file(&path, 3 << 20).unwrap();
        fixture.server().set_faults(rule("file.bin", operation, Fault::CutHeaders, 0, 1));
        fixture.upload(&path, &["--block-size-mb=1"]).expect_code(0);
        assert_eq!(fixture.blobs()[0].crc64, facts.crc64, "{operation:?}");
    }
}
