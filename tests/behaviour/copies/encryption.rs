//! Blobs that are encrypted with a customer's key, at either end.

use std::fs;

use azsim::Operation;
use azuring_tests::{Azuring, azuring};

use super::{Accounts, BLOCK, BLOCKS, FROM, ROUTES, TO, bytes, line};

const OF_SOURCE: &str = "BwgJBwgJBwgJBwgJBwgJBwgJBwgJBwgJBwgJBwgJBwg=";
const OF_DESTINATION: &str = "AQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQI=";

/// What is copied: of each type one, and of block blobs one in several blocks.
const BLOBS: [(&str, &str, usize); 4] = [
    ("small", "BlockBlob", 9),
    ("large", "BlockBlob", 5 * BLOCK + 3),
    ("page", "PageBlob", 4096),
    ("append", "AppendBlob", 3 * BLOCK + 1),
];

/// A program that knows keys of its own, of the same accounts.
fn with(key: Option<&str>, source: Option<&str>) -> Azuring {
    let keys = [("CPK_ENCRYPTION_KEY", key), ("CPK_SOURCE_ENCRYPTION_KEY", source)];
    keys.into_iter()
        .filter_map(|(name, key)| Some((name, key?)))
        .fold(azuring!(), |azuring, (name, key)| azuring.env(name, key))
}

/// Puts the blobs into the source, under this key if there is one.
fn fill(accounts: &Accounts, key: Option<&str>) {
    for (n, (name, kind, len)) in BLOBS.into_iter().enumerate() {
        let file = accounts.fixture.file(name, &bytes(len, n));
        let (url, kind) = (accounts.url(FROM, name), format!("--blob-type={kind}"));
        let line = ["copy", file.to_str().unwrap(), &url, &kind];
        let flag = key.map(|_| "--cpk-by-value");
        with(key, None).run(line.into_iter().chain(flag)).expect_code(0);
    }
}

/// What the destination gives to somebody with this key; `None`: it gives nothing.
fn read(accounts: &Accounts, key: Option<&str>) -> Option<Vec<Vec<u8>>> {
    let down = accounts.fixture.path().join("down");
    let _ = fs::remove_dir_all(&down);
    let (url, to) = (accounts.url(TO, "*"), down.to_str().unwrap().to_owned());
    let flag = key.map(|_| "--cpk-by-value");
    let outcome = with(key, None).run(["copy", &*url, &*to, "--recursive"].into_iter().chain(flag));
    (outcome.code == Some(0)).then(|| BLOBS.map(|(name, ..)| fs::read(down.join(name)).unwrap()).to_vec())
}

fn contents() -> Vec<Vec<u8>> {
    BLOBS.into_iter().enumerate().map(|(n, (_, _, len))| bytes(len, n)).collect()
}

#[test]
fn each_end_has_its_own_key() {
    for route in ROUTES {
        for (from, to) in [
            (Some(OF_SOURCE), Some(OF_DESTINATION)),
            (Some(OF_SOURCE), None),
            (None, Some(OF_DESTINATION)),
            (Some(OF_SOURCE), Some(OF_SOURCE)),
        ] {
            let accounts = Accounts::new();
            fill(&accounts, from);
            let (source, destination) = (accounts.url(FROM, ""), accounts.url(TO, ""));
            let flags = from.map(|_| "--source-cpk-by-value").into_iter().chain(to.map(|_| "--cpk-by-value"));
            let line_of =
                ["copy", &source, &destination, "--recursive", "--verify", route, "--output-type=ndjson"];
            let outcome = with(to, from).run(line_of.into_iter().chain(BLOCKS).chain(flags));
            outcome.expect_code(0);
            let summary = line(&outcome, "summary");
            let is_direct = route != "--route=relay";
            assert_eq!(summary["bytes_sent"] == 0, is_direct, "{route} {from:?} {to:?}: {summary}");
            assert!(read(&accounts, to) == Some(contents()), "{route} {from:?} {to:?}");
            if to.is_some() {
                assert_eq!(read(&accounts, None), None, "{route} {from:?} {to:?}");
            }
        }
    }
}

/// A service that does not know how to be given the source's key does not get the bytes by itself.
#[test]
fn an_older_service_is_sent_what_it_cannot_read() {
    for (flag, code) in [("--route=auto", 0), ("--route=direct", 1)] {
        let accounts = Accounts::with(azuring!(), |server| server.newest_version("2025-11-05"));
        fill(&accounts, Some(OF_SOURCE));
        let (source, destination) = (accounts.url(FROM, ""), accounts.url(TO, ""));
        let line_of = ["copy", &source, &destination, "--recursive", "--source-cpk-by-value", flag];
        let outcome = with(None, Some(OF_SOURCE)).run(line_of.into_iter().chain(BLOCKS));
        outcome.expect_code(code);
        if code == 0 {
            let told = "knows no version of the protocol in which it can be given the key of";
            assert_eq!(outcome.stderr.matches(told).count(), 1, "{}", outcome.stderr);
            assert!(read(&accounts, None) == Some(contents()));
        } else {
            assert_eq!(accounts.names(TO), Vec::<String>::new(), "{}", outcome.stderr);
        }
        // What was there is one request, not one for each blob.
        assert!(accounts.count(Operation::PutBlobFromUrl) <= 1);
    }
}

#[test]
fn a_key_that_does_not_fit_fails_each_blob_and_says_so() {
    for (source, flags) in [(None, &[][..]), (Some(OF_DESTINATION), &["--source-cpk-by-value"])] {
        for route in ROUTES {
            let accounts = Accounts::new();
            fill(&accounts, Some(OF_SOURCE));
            let (from, to) = (accounts.url(FROM, ""), accounts.url(TO, ""));
            let line_of = ["copy", &from, &to, "--recursive", route, "--include-pattern=small;large"];
            let outcome =
                with(None, source).run(line_of.into_iter().chain(flags.iter().copied()).chain(BLOCKS));
            outcome.expect_code(1);
            assert!(outcome.stderr.contains("small: source: "), "{}", outcome.stderr);
            assert_eq!(accounts.names(TO), Vec::<String>::new(), "{}", outcome.stderr);
            for key in [OF_SOURCE, OF_DESTINATION] {
                assert!(!outcome.stderr.contains(key) && !outcome.stdout.contains(key));
            }
        }
    }
    let accounts = Accounts::new();
    let (from, to) = (accounts.url(FROM, ""), accounts.url(TO, ""));
    let line_of = ["copy", &*from, &*to, "--recursive", "--source-cpk-by-value"];
    let outcome = azuring!().run(line_of);
    outcome.expect_code(2);
    assert!(outcome.stderr.contains("CPK_SOURCE_ENCRYPTION_KEY, which is not set"), "{}", outcome.stderr);
    let other = with(None, Some(OF_SOURCE)).env("CPK_SOURCE_ENCRYPTION_KEY_SHA256", "b3RoZXI=");
    let outcome = other.run(line_of);
    outcome.expect_code(3);
    assert!(outcome.stderr.contains("SHA-256"), "{}", outcome.stderr);
    let outcome = azuring!().run(["copy", &*from, "down", "--recursive", "--source-cpk-by-value"]);
    outcome.expect_code(2);
    assert!(outcome.stderr.contains("only the source of a copy between blobs"), "{}", outcome.stderr);
}
