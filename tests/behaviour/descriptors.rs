//! A process that may have few files open does all of a job, or says at its start that it cannot: never a part of it.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;

use azsim::{Operation, Tls};
use azuring_tests::{Fixture, Outcome, Running, azuring, wait_until};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

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

/// As many requests as there is room for are under way at the same time, and then come several times as many.
#[test]
fn nine_hundred_requests_fit_into_a_limit_of_1024() {
    let fixture = Fixture::new(azuring!()).limit_files(1024);
    for file in 0..6_000 {
        fixture.file(&format!("tree/{:02}/{file}", file % 60), b"content");
    }
    fixture.hold(Operation::PutBlob, "", 0);
    let args = fixture.upload_args(&fixture.path().join("tree"), &GREEDY);
    let running = fixture.azuring().start(args);
    // `engine/lane/src/descriptors.rs` says how many there are.
    fixture.wait_for_held(440);
    fixture.release();
    let outcome = running.wait().unwrap();
    assert!(did(&outcome, 1024, "upload"));
    assert!(outcome.stderr.contains("instead of 900"), "{}", outcome.stderr);
    assert_eq!(fixture.names().len(), 6_000);
}

/// Lets the process have this many files open from now on, those that it has included.
fn may_open(running: &Running, files: u64) {
    let pid = Pid::from_raw(running.id().try_into().unwrap());
    let limit = Rlimit { current: Some(files), maximum: Some(1024) };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

/// How many connections the process has to the server.
fn connections(running: &Running, fixture: &Fixture) -> usize {
    // Of each line of the table: the peer's address, and the inode of the socket. Sockets that are no TCP are of
    // signals.
    let port = format!(":{:04X}", fixture.server().addr().port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let to_server: Vec<String> = lines
        .filter(|line| line.len() > 9 && line[2].ends_with(&port))
        .map(|line| format!("socket:[{}]", line[9]))
        .collect();
    // What is closed while it is looked at is none.
    let is_one = |entry: std::io::Result<fs::DirEntry>| {
        let leads = entry.and_then(|entry| fs::read_link(entry.path()));
        leads.is_ok_and(|leads| to_server.iter().any(|socket| leads.as_os_str() == socket.as_str()))
    };
    let all = fs::read_dir(format!("/proc/{}/fd", running.id()));
    all.map_or(0, |all| all.map(is_one).filter(|is_one| *is_one).count())
}

/// In the middle of a job somebody else has all the descriptors: the links that nobody uses are let go, nothing fails,
/// and the job goes on when there are some again.
#[test]
fn what_others_take_meanwhile_is_waited_for() {
    const FILES: usize = 1_200;
    let fixture = Fixture::new(azuring!()).limit_files(1024);
    for file in 0..FILES {
        fixture.file(&format!("tree/{:02}/{file}", file % 60), format!("{file}").as_bytes());
    }
    let (from, to) = (fixture.path().join("tree/*"), fixture.path().join("to"));
    let blobs = fixture.url_of("data", "*");
    let more = ["--recursive", "--concurrency=4"];
    let up = [from.to_str().unwrap(), &fixture.url()].map(str::to_owned);
    let down = [blobs, to.to_str().unwrap().to_owned()];
    for (operation, [from, to]) in [(Operation::PutBlob, up), (Operation::GetBlob, down)] {
        fixture.hold(operation, "", 20);
        let before = fixture.held();
        let running = fixture.azuring().start(["copy", &from, &to].iter().copied().chain(more));
        fixture.wait_for_held(before + 4);
        assert!(connections(&running, &fixture) >= 4);
        may_open(&running, 3);
        fixture.release();
        wait_until("idle links are let go", || connections(&running, &fixture) == 0);
        let done = fixture.server().stats().by_operation[&operation];
        assert!(done < FILES as u64, "it waits, and has not ended: {done}");
        may_open(&running, 1024);
        let outcome = running.wait().unwrap();
        assert!(did(&outcome, 1024, "copy"), "{operation:?}");
        assert_eq!(outcome.field("Number of File Transfers Completed"), Some("1200"), "{operation:?}");
        assert!(!outcome.stderr.contains("attempt"), "{}", outcome.stderr);
    }
    for file in 0..FILES {
        let content = fs::read(to.join(format!("{:02}/{file}", file % 60))).unwrap();
        assert_eq!(content, format!("{file}").as_bytes());
    }
}
