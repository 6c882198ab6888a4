//! A process that may have few files open does all of a job, or says at its start that it cannot: never a part of it.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;

use azsim::Tls;
use azuring_tests::{Fixture, Outcome, azuring};

/// Limits of open files; from `ENOUGH` on nothing may be refused.
const LIMITS: [u64; 7] = [12, 24, 32, 48, 96, 256, 1024];
const ENOUGH: u64 = 48;

const FILES: usize = 241;

/// 40 directories of 6 small files, and one file in many blocks.
fn tree(fixture: &Fixture) {
    for directory in 0..40 {
        for file in 0..6 {
            fixture.file(&format!("tree/d{directory:02}/{file}"), &vec![b'x'; file * 700]);
        }
    }
    fixture.file("tree/large", &vec![7; 5 << 20]);
}

/// Asks for as much as there may be.
const GREEDY: [&str; 3] = ["--concurrency=900", "--memory=512M", "--recursive"];

/// Whether the command did what it was to do; otherwise it has said in one line why it did nothing.
#[track_caller]
fn did(outcome: &Outcome, limit: u64, what: &str) -> bool {
    let said = format!("{what} of {limit}: {:?}\n{}{}", outcome.code, outcome.stdout, outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{said}");
    if outcome.code == Some(0) {
        assert!(!outcome.stderr.contains("failed:"), "{said}");
        return true;
    }
    assert_eq!(outcome.code, Some(8), "{said}");
    assert!(limit < ENOUGH, "{said}");
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].contains("the limit of open files is too low"), "{said}");
    assert_eq!(outcome.stdout, "", "{said}");
    false
}

/// Uploads, lists, downloads and removes with each limit.
fn everything_under(limits: &[u64], mut fixture: Fixture) {
    tree(&fixture);
    for &limit in limits {
        fixture = fixture.limit_files(limit);
        let from = fixture.path().join("tree/*");
        let to = fixture.url_of("data", &format!("n{limit}"));
        let mut args = vec!["copy", from.to_str().unwrap(), &to, "--block-size-mb=1"];
        args.extend(GREEDY);
        if !did(&fixture.run(&args), limit, "upload") {
            assert!(fixture.names().is_empty(), "nothing was begun");
            continue;
        }
        assert_eq!(fixture.names().len(), FILES);

        let listed = fixture.run(["list", &to]);
        if did(&listed, limit, "list") {
            assert_eq!(listed.stdout.lines().filter(|line| line.contains("Content Length")).count(), FILES);
        }
        let target = fixture.path().join(format!("target-{limit}"));
        let from = fixture.url_of("data", &format!("n{limit}/*"));
        let mut args = vec!["copy", &from, target.to_str().unwrap(), "--block-size-mb=1"];
        args.extend(GREEDY);
        if did(&fixture.run(&args), limit, "download") {
            for directory in 0..40 {
                let found = fs::read_dir(target.join(format!("d{directory:02}"))).unwrap().count();
                assert_eq!(found, 6, "of {limit}");
            }
            assert_eq!(fs::read(target.join("large")).unwrap(), vec![7; 5 << 20]);
        }
        let mut args = vec!["remove", &to];
        args.extend(GREEDY);
        if !did(&fixture.run(&args), limit, "remove") {
            fixture = fixture.limit_files(1024);
            fixture.run(&args).expect_code(0);
        }
        assert!(fixture.names().is_empty());
    }
}

#[test]
fn over_http_all_is_done_or_nothing() {
    everything_under(&LIMITS, Fixture::new(azuring!()));
}

#[test]
fn over_https_all_is_done_or_nothing() {
    // The streams of HTTP/2, and HTTP/1.1 for what is large.
    everything_under(&[24, 48, 256], Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned)));
}

#[test]
fn at_the_edge_a_job_fits_or_is_not_begun() {
    let mut fixture = Fixture::new(azuring!());
    for file in 0..20 {
        fixture.file(&format!("tree/{file}"), b"content");
    }
    let tree = fixture.path().join("tree");
    let mut least = None;
    for limit in 8..40 {
        fixture = fixture.limit_files(limit);
        let is_done = did(&fixture.upload(&tree, &["--concurrency=8"]), limit, "upload");
        assert_eq!(fixture.names().len(), if is_done || least.is_some() { 20 } else { 0 }, "of {limit}");
        assert!(is_done || least.is_none(), "{limit} is too low, and {least:?} was not");
        least = least.or(is_done.then_some(limit));
    }
    println!("a job of one lane needs a limit of {}", least.unwrap());
}

#[test]
fn what_there_is_no_room_for_is_told() {
    let fixture = Fixture::new(azuring!()).limit_files(96);
    tree(&fixture);
    let outcome = fixture.upload(&fixture.path().join("tree"), &["--concurrency=200"]);
    outcome.expect_code(0);
    let told = "the limit of open files leaves room for ";
    assert!(outcome.stderr.contains(told) && outcome.stderr.contains("instead of 200"), "{}", outcome.stderr);
}
