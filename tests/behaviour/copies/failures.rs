//! What each failure of a copy comes to, row by row. It is told with the end that refused, what that said, and what to
//! do. A blob that fails does so alone: every other one is copied. What the destination had stays as it was.

use std::io::{Read as _, Write as _};

use azsim::{AccountRule, BlobInfo, Fault, Faults, NameMatch, Operation, Rule, Seed, Sender};
use azuring_tests::{Outcome, azuring};

use super::{Accounts, BLOCK, BLOCKS, FROM, TO, bytes, line, seed};

#[path = "failures/changes.rs"]
mod changes;
#[path = "failures/middle.rs"]
mod middle;
#[path = "failures/pairs.rs"]
mod pairs;
#[path = "failures/rows.rs"]
mod rows;
#[path = "failures/tenants.rs"]
mod tenants;

/// The blob that cannot be copied: it has something of its name at the destination.
const BAD: &str = "dir/bad";
/// That.
const BEFORE: &[u8] = b"before";

/// Lengths of a blob that goes in one request, and of one that goes in several blocks.
const SMALL: usize = 9;
const LARGE: usize = 3 * BLOCK;

/// Who moves the bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Direct,
    Relay,
}

impl Way {
    fn flag(self) -> &'static str {
        match self {
            Way::Direct => "--route=direct",
            Way::Relay => "--route=relay",
        }
    }

    /// What the destination is asked for first, of a blob of this length.
    fn write(self, len: usize) -> Operation {
        match (self, len > BLOCK) {
            (Way::Direct, false) => Operation::PutBlobFromUrl,
            (Way::Direct, true) => Operation::PutBlockFromUrl,
            (Way::Relay, false) => Operation::PutBlob,
            (Way::Relay, true) => Operation::PutBlock,
        }
    }
}

/// All ways, each with both lengths.
const CASES: [(Way, usize); 4] =
    [(Way::Direct, SMALL), (Way::Direct, LARGE), (Way::Relay, SMALL), (Way::Relay, LARGE)];

/// Does something for each case, at one time: jobs wait before they try again.
fn together<const N: usize>(cases: [(Way, usize); N], work: impl Fn((Way, usize)) + Sync) {
    let work = &work;
    std::thread::scope(|scope| cases.into_iter().for_each(|case| drop(scope.spawn(move || work(case)))));
}

/// Blobs at both ends.
fn filled(len: usize) -> Accounts {
    fill(Accounts::of(azuring!()), len)
}

fn fill(accounts: Accounts, len: usize) -> Accounts {
    let large = seed("dir/large", &bytes(4 * BLOCK, 2));
    let last = Seed { content_type: "text/x-last".to_owned(), ..seed("z", &bytes(70, 3)) };
    accounts.plant(FROM, [seed("a", b"1"), seed(BAD, &bytes(len, 1)), large, last]);
    accounts.plant(TO, [seed(BAD, BEFORE), seed("dir/own", b"not of the source")]);
    accounts
}

/// Strikes what anybody asks an account for of the bad blob.
fn strike(accounts: &Accounts, account: &str, operation: Operation, fault: Fault) {
    strike_some(accounts, account, operation, fault, (0, u64::MAX));
}

/// The same: so many requests pass, then so many are struck.
fn strike_some(
    accounts: &Accounts,
    account: &str,
    operation: Operation,
    fault: Fault,
    (skip, count): (u64, u64),
) {
    let name = NameMatch::Exact(BAD.to_owned());
    let rule = Rule { name, operation: Some(operation), fault, skip, count };
    let rule = AccountRule { account: Some(account.to_owned()), sender: Sender::Anyone, rule };
    accounts.fixture.server().set_faults(Faults { account_rules: vec![rule], ..Faults::default() });
}

/// Asks an account for something about a blob, with the SAS that may do all; returns its status.
fn ask(accounts: &Accounts, account: &str, method: &str, (name, query, headers): (&str, &str, &str)) -> u16 {
    let url = accounts.url(account, name);
    let (address, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(
        connection,
        "{method} /{target}&{query} HTTP/1.1\r\nhost: {address}\r\nx-ms-version: 2025-07-05\r\n{headers}\
         content-length: 0\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

/// The lines of a kind.
fn lines(outcome: &Outcome, kind: &str) -> Vec<serde_json::Value> {
    let lines = outcome.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["type"] == kind).collect()
}

/// The flags of a run that tells each failure once, with two attempts for a request.
fn flags(way: Way) -> Vec<&'static str> {
    [&[way.flag(), "--output-type=ndjson", "--retry-failed=0", "--max-tries=2"][..], &BLOCKS].concat()
}

/// Runs a copy in which the bad blob alone fails, with this exit code; returns its line.
#[track_caller]
fn fails_alone(accounts: &Accounts, way: Way, exit: i32, what: &str) -> serde_json::Value {
    let before = state(accounts);
    let outcome = accounts.copy(&flags(way));
    let failure = only_failure(&outcome, exit, what);
    assert_alone(accounts, &before, what);
    failure
}

/// The line of the only failure, which is the bad blob's.
#[track_caller]
fn only_failure(outcome: &Outcome, exit: i32, what: &str) -> serde_json::Value {
    assert_eq!(outcome.code, Some(exit), "{what}: {} {}", outcome.stdout, outcome.stderr);
    let mut failed = lines(outcome, "failed");
    assert_eq!(failed.len(), 1, "{what}: {failed:?}");
    assert_eq!(failed[0]["object"], BAD, "{what}");
    assert_eq!(line(outcome, "summary")["done"], 3, "{what}");
    failed.remove(0)
}

/// All that the destination has, with times and ETags, and every byte.
fn state(accounts: &Accounts) -> Vec<(BlobInfo, Vec<u8>)> {
    let blobs = accounts.blobs(TO).into_iter();
    blobs.map(|blob| (blob.clone(), accounts.content(TO, &blob.name))).collect()
}

/// Everything was copied but for the bad blob, whose place is as it was in `before`.
#[track_caller]
fn assert_alone(accounts: &Accounts, before: &[(BlobInfo, Vec<u8>)], what: &str) {
    let now = state(accounts);
    for kept in before {
        assert!(now.contains(kept), "{what}: {} was touched", kept.0.name);
    }
    for (name, kind) in [("a", ""), ("dir/large", ""), ("z", "text/x-last")] {
        let (to, content) = now.iter().find(|(blob, _)| blob.name == name).unwrap_or_else(|| {
            panic!("{what}: {name} was not copied");
        });
        assert!(*content == accounts.content(FROM, name), "{what}: {name}");
        assert!(kind.is_empty() || to.content_type == kind, "{what}: {name}");
    }
    assert_eq!(now.len(), before.len() + 3, "{what}");
}
