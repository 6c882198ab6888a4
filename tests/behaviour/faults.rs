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
        // A machine that stands still itself may have cut another one.
        assert!(fixture.server().stats().requests >= 2, "{name}");
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

/// Serves one connection of a server that knows no checksums, as older emulators: 500 for each request that has one.
fn serve_without_checksums(connection: std::net::TcpStream, accepted: &std::sync::Mutex<Vec<String>>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let mut answers = connection.try_clone().unwrap();
    let mut requests = BufReader::new(connection);
    loop {
        let (mut path, mut body_len, mut refuse) = (None, 0, false);
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            refuse |= line.starts_with("x-ms-content-crc64:");
            if let Some(len) = line.strip_prefix("content-length: ") {
                body_len = len.parse().unwrap();
            }
            path.get_or_insert_with(|| line.to_owned());
        }
        requests.read_exact(&mut vec![0; body_len]).unwrap();
        let answer = if refuse {
            "HTTP/1.1 500 No\r\nx-ms-error-code: FeatureNotSupported\r\ncontent-length: 0\r\n\r\n"
        } else {
            accepted.lock().unwrap().push(path.unwrap());
            "HTTP/1.1 201 Created\r\nx-ms-request-id: 1\r\nx-ms-version: 2025-07-05\r\ncontent-length: 0\r\n\r\n"
        };
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_server_that_does_not_take_checksums_gets_all_files_without() {
    let accepted = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/devstoreaccount1/cont", listener.local_addr().unwrap());
    let theirs = std::sync::Arc::clone(&accepted);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let accepted = std::sync::Arc::clone(&theirs);
            std::thread::spawn(move || serve_without_checksums(connection.unwrap(), &accepted));
        }
    });
    let fixture = Fixture::new(azuring!());
    let tree = small_tree(&fixture.path().join("tree"), 300, 3, 500).unwrap();
    // It has no answers to questions either.
    let more = ["--recursive", "--concurrency=32", "--check-length=false"];
    let outcome = fixture.run(["copy", tree.root.to_str().unwrap(), &url].into_iter().chain(more));
    outcome.expect_code(0);
    let mut accepted = accepted.lock().unwrap().clone();
    accepted.sort();
    accepted.dedup();
    assert_eq!(accepted.len(), 300);
    let told = outcome.stderr.lines().filter(|line| line.contains("does not take CRC64")).count();
    assert_eq!(told, 1, "{}", outcome.stderr);
}

#[test]
fn a_gateway_with_a_long_error_page_is_tried_again() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/devstoreaccount1/cont/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (n, connection) in listener.incoming().enumerate() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 65536]);
            let page = "x".repeat(200_000);
            let answer = if n < 2 {
                format!("HTTP/1.1 502 Bad Gateway\r\ncontent-length: {}\r\n\r\n{page}", page.len())
            } else {
                "HTTP/1.1 201 Created\r\nx-ms-request-id: 1\r\nx-ms-version: 2025-07-05\r\ncontent-length: 0\r\n\r\n".to_owned()
            };
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("x", b"x");
    let outcome = fixture.run(["copy", file.to_str().unwrap(), &url]);
    outcome.expect_code(0);
    assert!(outcome.stderr.contains("3 requests, 2 retries"), "{}", outcome.stderr);
}

/// A server may refuse before it has read the body, and read no further: the connection is given up, not waited for.
#[test]
fn an_answer_before_the_end_of_the_body_ends_the_connection_and_not_the_job() {
    use std::io::{Read, Write};
    const BODY: usize = 7 << 20;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/devstoreaccount1/cont/x", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for (n, connection) in listener.incoming().enumerate() {
            let mut connection = connection.unwrap();
            if n == 0 {
                let _ = connection.read(&mut [0; 4096]);
                let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
                connection.write_all(busy.as_bytes()).unwrap();
            } else {
                let (mut seen, mut piece) = (Vec::new(), vec![0; 1 << 20]);
                let whole = |seen: &[u8]| {
                    let head = seen.windows(4).take(8192).position(|end| end == b"\r\n\r\n");
                    head.is_some_and(|head| seen.len() >= head + 4 + BODY)
                };
                while !whole(&seen) {
                    let read = connection.read(&mut piece).unwrap();
                    assert_ne!(read, 0, "the body breaks off");
                    seen.extend_from_slice(&piece[..read]);
                }
                let _ = connection.write_all(b"HTTP/1.1 201 Created\r\nx-ms-request-id: 1\r\nx-ms-version: 2025-07-05\r\ncontent-length: 0\r\n\r\n");
            }
            kept.push(connection);
        }
    });
    let fixture = Fixture::new(azuring!());
    let file = fixture.path().join("x");
    large_file(&file, BODY as u64).unwrap();
    let outcome = fixture.run(["copy", file.to_str().unwrap(), &url, "--stall-seconds=5"]);
    outcome.expect_code(0);
    assert!(outcome.stderr.contains("2 requests, 1 retries"), "{}", outcome.stderr);
}

/// One stream of an HTTP/2 link gets no answer while the others go on.
#[test]
fn a_stalled_stream_is_cut_although_its_link_is_busy() {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned));
    let tree = small_tree(&fixture.path().join("tree"), 4000, 4, 100).unwrap();
    let name = "0";
    let mut faults = rule(name, Operation::PutBlob, Fault::Stall, 3, 1);
    faults.latency = Duration::from_millis(20);
    fixture.server().set_faults(faults);
    let args = ["--http=2", "--lanes=1", "--concurrency=8", "--stall-seconds=1"];
    let outcome = fixture.upload(&tree.root, &args);
    outcome.expect_code(0);
    fixture.assert_holds(&tree, "tree/");
    assert!(fixture.server().stats().requests > 4000, "the stalled one was sent again");
    assert_eq!(fixture.server().stats().connections, 1, "the link went on");
}
