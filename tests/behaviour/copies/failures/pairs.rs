//! What stands against every blob of two accounts: nothing is written.

use azsim::{Network, PublicAccess};
use azuring_tests::{CONTAINER, ClosedPort};

use super::super::{KEYS, PRIVATE};
use super::*;

/// What is wrong, and where from and to is copied.
type Make = fn(&Accounts) -> (String, String);

/// What is told of it.
struct Pair {
    what: &'static str,
    make: Make,
    exit: i32,
    /// How the error begins: the end that refused, and what that said.
    told: &'static str,
    /// A part of what to do about it.
    advice: &'static str,
    /// Nothing was sent.
    early: bool,
}

const fn pair(what: &'static str, make: Make, exit: i32, told: &'static str, advice: &'static str) -> Pair {
    Pair { what, make, exit, told, advice, early: false }
}

const fn early(what: &'static str, make: Make, exit: i32, told: &'static str) -> Pair {
    Pair { what, make, exit, told, advice: "", early: true }
}

pub(super) fn both(accounts: &Accounts) -> (String, String) {
    (accounts.url(FROM, ""), accounts.url(TO, ""))
}

/// Closes an account to all that do not come by its private endpoint.
fn close(accounts: &Accounts, account: &str) {
    let network = Network::closed().private_endpoint(PRIVATE.into(), "spoke");
    accounts.fixture.server().set_network(account, network);
}

/// The URL of a container with a SAS that is made with these flags.
fn signed(accounts: &Accounts, account: &str, more: &[&str]) -> String {
    let key = KEYS.into_iter().find(|(name, _)| *name == account).unwrap().1;
    let azuring = azuring!().env("AZURE_STORAGE_ACCOUNT", account).env("AZURE_STORAGE_KEY", key);
    let bare = accounts.bare(account, "");
    let made = azuring.run([&["sas", &*bare, "--protocol=https,http"][..], more].concat());
    made.expect_code(0).stdout.trim().to_owned()
}

fn account_sas(accounts: &Accounts, account: &str, types: &str) -> String {
    let types = format!("--resource-types={types}");
    signed(accounts, account, &["--account", "--permissions=rwl", "--expiry=1h", &types])
}

/// A SAS of a stored policy: only the service knows what it allows.
pub(super) fn by_policy(accounts: &Accounts, account: &str, letters: &str, ends: &str) -> String {
    set_policy(accounts, account, letters, ends);
    signed(accounts, account, &["--policy=p"])
}

pub(super) fn set_policy(accounts: &Accounts, account: &str, letters: &str, ends: &str) {
    let policy = format!("<Expiry>{ends}T00:00:00Z</Expiry><Permission>{letters}</Permission>");
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers><SignedIdentifier><Id>p</Id><AccessPolicy>\
         {policy}</AccessPolicy></SignedIdentifier></SignedIdentifiers>"
    );
    accounts.fixture.server().set_acl(account, CONTAINER, PublicAccess::None, &text).unwrap();
}

fn other_container(url: &str) -> String {
    url.replacen(&format!("/{CONTAINER}"), "/missing", 1)
}

/// The same with a host that nobody knows.
fn unresolved(accounts: &Accounts, account: &str) -> String {
    let url = accounts.url(account, "");
    let sas = url.split_once('?').unwrap().1;
    format!("http://{account}.blob.no-such-host.invalid/{CONTAINER}?{sas}")
}

/// On both ways.
const ALWAYS: &[Pair] = &[
    pair(
        "the source's firewall admits nobody",
        |accounts| {
            close(accounts, FROM);
            both(accounts)
        },
        3,
        "source: 403 AuthorizationFailure: ",
        "the account's firewall does not admit this network",
    ),
    pair(
        "the destination's firewall does not admit this client",
        |accounts| {
            close(accounts, TO);
            both(accounts)
        },
        3,
        "destination: 403 AuthorizationFailure: ",
        "the account's firewall does not admit this network",
    ),
    pair(
        "a private source without a credential",
        |accounts| (accounts.bare(FROM, ""), accounts.url(TO, "")),
        3,
        "source: 401 NoAuthenticationInformation: ",
        "append a SAS to the URL",
    ),
    pair(
        "a destination without a credential",
        |accounts| (accounts.url(FROM, ""), accounts.bare(TO, "")),
        3,
        "destination: 401 NoAuthenticationInformation: ",
        "append a SAS to the URL",
    ),
    pair(
        "a policy of the destination that does not allow to write",
        |accounts| (accounts.url(FROM, ""), by_policy(accounts, TO, "rl", "2099-01-01")),
        3,
        "destination: 403 AuthorizationPermissionMismatch: ",
        "the SAS lacks `w`",
    ),
    pair(
        "a policy of the source that has ended",
        |accounts| (by_policy(accounts, FROM, "rl", "2020-01-01"), accounts.url(TO, "")),
        3,
        "source: 403 AuthenticationFailed: ",
        "has it expired",
    ),
    pair(
        "a policy of the destination that has ended",
        |accounts| (accounts.url(FROM, ""), by_policy(accounts, TO, "rwl", "2020-01-01")),
        3,
        "destination: 403 AuthenticationFailed: ",
        "has it expired",
    ),
    pair(
        "no such container at the source",
        |accounts| (other_container(&accounts.url(FROM, "")), accounts.url(TO, "")),
        1,
        "source: 404 ContainerNotFound: ",
        "there is no such container: check the URL",
    ),
    pair(
        "no such container at the destination",
        |accounts| (accounts.url(FROM, ""), accounts.alone(TO, "missing")),
        1,
        "destination: 404 ContainerNotFound: ",
        "create the container first",
    ),
    pair(
        "a name of the source that nobody knows",
        |accounts| (unresolved(accounts, FROM), accounts.url(TO, "")),
        5,
        "source: the host name from.blob.no-such-host.invalid cannot be resolved",
        "check the account's name",
    ),
    pair(
        "a name of the destination that nobody knows",
        |accounts| (accounts.url(FROM, ""), unresolved(accounts, TO)),
        5,
        "destination: the host name to.blob.no-such-host.invalid cannot be resolved",
        "check the account's name",
    ),
    pair(
        "one container into itself",
        |accounts| (accounts.url(FROM, ""), accounts.url(FROM, "sub")),
        2,
        "source and destination overlap",
        "choose another destination",
    ),
    pair(
        "the same container on both sides",
        |accounts| (accounts.url(FROM, ""), accounts.url(FROM, "")),
        2,
        "source and destination overlap",
        "choose another destination",
    ),
    early(
        "a SAS of the source without r",
        |accounts| (accounts.url_for(FROM, "", "l"), accounts.url(TO, "")),
        3,
        "source: the SAS has sp=l: reading needs `r`",
    ),
    early(
        "a SAS of the source without l",
        |accounts| (accounts.url_for(FROM, "", "r"), accounts.url(TO, "")),
        3,
        "source: the SAS has sp=r: listing needs `l`",
    ),
    early(
        "a SAS of the destination without w",
        |accounts| (accounts.url(FROM, ""), accounts.url_for(TO, "", "rl")),
        3,
        "destination: the SAS has sp=rl: writing needs `c` or `w`",
    ),
    early(
        "a SAS of the source that is not for objects",
        |accounts| (account_sas(accounts, FROM, "c"), accounts.url(TO, "")),
        3,
        "source: the SAS has srt=c: reading needs `o` in it",
    ),
    early(
        "a SAS of the source that is not for containers",
        |accounts| (account_sas(accounts, FROM, "o"), accounts.url(TO, "")),
        3,
        "source: the SAS has srt=o: listing needs `c` in it",
    ),
    early(
        "a SAS of the destination that is not for objects",
        |accounts| (accounts.url(FROM, ""), account_sas(accounts, TO, "c")),
        3,
        "destination: the SAS has srt=c: writing needs `o` in it",
    ),
];

/// Where the destination reads by itself.
const DIRECT: &[Pair] = &[
    pair(
        "the source's firewall admits this client alone",
        |accounts| {
            close(accounts, FROM);
            (accounts.private(""), accounts.url(TO, ""))
        },
        3,
        "source: 403 CannotVerifyCopySource: This request is not authorized to perform this operation. (the source \
         answered 403 AuthorizationFailure)",
        "through this host",
    ),
    pair(
        "the destination takes copies from other accounts alone",
        |accounts| {
            accounts.fixture.server().set_network(TO, Network::default().copy_from("other"));
            both(accounts)
        },
        3,
        "destination: 403 CannotVerifyCopySource: This request is not authorized to perform this operation.",
        "takes copies from some accounts alone",
    ),
    pair(
        "a policy of the source that does not allow to read",
        |accounts| (by_policy(accounts, FROM, "l", "2099-01-01"), accounts.url(TO, "")),
        3,
        "source: 403 CannotVerifyCopySource: This request is not authorized to perform this operation using this \
         permission. (the source answered 403 AuthorizationPermissionMismatch)",
        "the SAS lacks `r`",
    ),
];

#[test]
fn what_stands_against_all_is_told_of_its_end_and_writes_nothing() {
    for way in [Way::Direct, Way::Relay] {
        let direct = if way == Way::Direct { DIRECT } else { &[] };
        for pair in ALWAYS.iter().chain(direct) {
            let accounts = filled(SMALL);
            let (from, to) = (pair.make)(&accounts);
            check(&accounts, pair, way, (&from, &to), &[]);
        }
    }
}

/// Runs the copy: it fails as it should, and all is as before at both ends.
#[track_caller]
fn check(accounts: &Accounts, pair: &Pair, way: Way, (from, to): (&str, &str), more: &[&str]) {
    let what = format!("{} {way:?}", pair.what);
    let (before, own) = (state(accounts), accounts.blobs(FROM));
    let requests = accounts.fixture.server().stats().requests;
    let line = [&["copy", from, to, "--recursive"][..], &flags(way), more].concat();
    let outcome = accounts.fixture.run(line);
    assert_eq!(outcome.code, Some(pair.exit), "{what}: {} {}", outcome.stdout, outcome.stderr);
    let failed = lines(&outcome, "failed");
    let failed = failed.iter().filter(|line| line["kind"] != "interrupted");
    let mut texts: Vec<_> = failed
        .map(|line| format!("{}; {}", line["reason"].as_str().unwrap(), line["advice"].as_str().unwrap()))
        .collect();
    texts.extend(lines(&outcome, "error").iter().map(|line| {
        let text = line["text"].as_str().unwrap();
        text.strip_prefix("the job was stopped: ").unwrap_or(text).to_owned()
    }));
    assert!(!texts.is_empty(), "{what}: {}", outcome.stdout);
    for text in texts {
        assert!(text.starts_with(pair.told) && text.contains(pair.advice), "{what}: {text}");
    }
    assert!(state(accounts) == before && accounts.blobs(FROM) == own, "{what}: something was written");
    let sent = accounts.fixture.server().stats().requests - requests;
    assert!(!pair.early || sent == 0, "{what}: {sent} requests");
    for stream in [&outcome.stdout, &outcome.stderr] {
        assert!(!stream.contains("sig="), "{what}: {stream}");
    }
}

/// It takes what a client writes.
#[test]
fn a_destination_that_takes_no_copies_from_the_source_gets_the_bytes_from_this_host() {
    let accounts = filled(LARGE);
    accounts.fixture.server().set_network(TO, Network::default().copy_from("other"));
    let outcome = accounts.copy(&[&["--route=auto"][..], &flags(Way::Direct)[1..]].concat());
    outcome.expect_code(0);
    assert_eq!(accounts.content(TO, BAD), accounts.content(FROM, BAD));
    let summary = line(&outcome, "summary");
    assert_eq!(summary["route_reason"], "scope_closed", "{summary}");
    assert_eq!((&summary["bytes_by_service"], &summary["bytes_sent"]), (&0.into(), &summary["bytes"]));
    let told = format!("{} takes no copies from {}", accounts.bare(TO, ""), accounts.bare(FROM, ""));
    assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
    // The source was asked nothing.
    assert_eq!(accounts.fixture.server().service_requests(), []);
}

#[test]
fn who_is_not_there_is_named() {
    let port = ClosedPort::new();
    for way in [Way::Direct, Way::Relay] {
        for (end, account) in [("source", FROM), ("destination", TO)] {
            let accounts = filled(SMALL);
            let elsewhere = accounts.fixture.server().addr().to_string();
            let gone = accounts.url(account, "").replacen(&elsewhere, &port.address().to_string(), 1);
            let (from, to) = both(&accounts);
            let (from, to) = if account == FROM { (gone, to) } else { (from, gone) };
            let told = format!("{end}: cannot connect to {}: Connection refused", port.address()).leak();
            let advice =
                "check host and port, and that a firewall or private endpoint lets this machine through";
            check(&accounts, &pair("a closed port", both, 5, told, advice), way, (&from, &to), &[]);
        }
    }
}

/// Tags are read and written with a letter of their own.
#[test]
fn a_sas_without_t_is_told_of_its_end() {
    for way in [Way::Direct, Way::Relay] {
        for (end, letters) in [("source", ["rl", "rwlt"]), ("destination", ["rlt", "rwl"])] {
            let accounts = filled(SMALL);
            let tags = vec![("k".to_owned(), "v".to_owned())];
            accounts.plant(FROM, [Seed { tags, ..seed(BAD, &bytes(SMALL, 1)) }]);
            let (from, to) = (accounts.url_for(FROM, "", letters[0]), accounts.url_for(TO, "", letters[1]));
            let sp = if end == "source" { letters[0] } else { letters[1] };
            let told = format!("{end}: the SAS has sp={sp}: reading and writing tags needs `t`").leak();
            let more = ["--s2s-preserve-blob-tags=true"];
            check(&accounts, &early("no t", both, 3, told), way, (&from, &to), &more);
        }
    }
}
