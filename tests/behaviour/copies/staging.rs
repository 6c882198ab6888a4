//! Copies by a third account, which the source admits and which admits the destination: nothing passes this host, and
//! nothing stays there.

use azsim::{Network, Operation};
use azuring_tests::{CONTAINER, Outcome, azuring, wait_until};

use super::jobs::{sas, the_job};
use super::{Accounts, DEVSTORE_ACCOUNT, FROM, PRIVATE, TO, bytes, line, number, seed};

const STAGING: &str = DEVSTORE_ACCOUNT;

/// The source admits a client in its own network and the service of the staging account.
fn apart() -> Accounts {
    let accounts = Accounts::apart(azuring!());
    let network = Network::closed().private_endpoint(PRIVATE.into(), "spoke").trust(STAGING);
    accounts.fixture.server().set_network(FROM, network);
    accounts
}

/// The places of a copy, and its staging account.
fn places(accounts: &Accounts) -> [String; 3] {
    [
        accounts.private(""),
        accounts.url(TO, ""),
        format!("--staging-url={}", accounts.url(STAGING, "between")),
    ]
}

fn run(accounts: &Accounts, more: &[&str]) -> Outcome {
    let [from, to, staging] = places(accounts);
    let given = ["copy", &*from, &*to, "--recursive", &*staging].into_iter();
    accounts.fixture.run(given.chain(more.iter().copied()))
}

#[test]
fn a_copy_goes_by_a_third_account_and_leaves_nothing_there() {
    for (flags, reason) in [(&["--route=staging"][..], "asked"), (&[], "closed")] {
        let accounts = apart();
        accounts.fill();
        let outcome = run(&accounts, &[flags, &["--output-type=ndjson"]].concat());
        outcome.expect_code(0);
        accounts.assert_same();
        assert_eq!(accounts.names(STAGING), Vec::<String>::new());
        let summary = line(&outcome, "summary");
        assert_eq!((&summary["route"], &summary["route_reason"]), (&"staging".into(), &reason.into()));
        assert_eq!((&summary["bytes_sent"], &summary["bytes_by_service"]), (&0.into(), &summary["bytes"]));
        assert_eq!(accounts.count(Operation::DeleteBlob), 5);
        // Two a blob, and one that has found the direct way closed.
        let probes = u64::from(reason == "closed");
        assert_eq!(accounts.count(Operation::PutBlobFromUrl), 10 + probes);
        assert!(!outcome.stderr.contains("sig="), "{}", outcome.stderr);
    }
}

#[test]
fn a_staging_account_that_is_not_admitted_either_is_left_for_this_host_or_stops_the_job() {
    let accounts = Accounts::apart(azuring!());
    accounts.fill();
    let outcome = run(&accounts, &["--output-type=ndjson"]);
    outcome.expect_code(0);
    accounts.assert_same();
    let summary = line(&outcome, "summary");
    assert_eq!((&summary["route"], &summary["bytes_by_service"]), (&"relay".into(), &0.into()), "{summary}");
    let accounts = Accounts::apart(azuring!());
    accounts.fill();
    let outcome = run(&accounts, &["--route=staging", "--retry-failed=0"]);
    assert!(![Some(0), Some(10)].contains(&outcome.code), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the job was stopped: source: 403"), "{}", outcome.stderr);
    assert_eq!(accounts.names(TO), Vec::<String>::new());
    assert_eq!(accounts.names(STAGING), Vec::<String>::new());
}

#[test]
fn what_is_too_large_for_the_staging_account_fails_alone_or_goes_through_this_host() {
    let accounts = apart();
    let log = accounts.fixture.file("log", b"1");
    let to = accounts.private("log");
    accounts.fixture.run(["copy", log.to_str().unwrap(), &to, "--blob-type=AppendBlob"]).expect_code(0);
    accounts.plant(FROM, [seed("a", b"1"), seed("large", &bytes(3 << 20, 1)), seed("z", b"2")]);
    const TWO_MIB: &str = "--staging-limit=0.001953125";
    let outcome = run(&accounts, &["--route=staging", TWO_MIB, "--retry-failed=0"]);
    outcome.expect_code(8);
    assert_eq!(number(&outcome, "Number of File Transfers Failed"), 2);
    for told in ["larger than what may be in the staging account", "only block blobs go by a staging account"]
    {
        assert!(outcome.stderr.contains(told), "{told}: {}", outcome.stderr);
    }
    assert_eq!(accounts.names(TO), ["a", "z"]);
    assert_eq!(accounts.names(STAGING), Vec::<String>::new());
    // Where any way will do: whole, and in blocks.
    for size in ["--block-size-mb=8", "--block-size-mb=1"] {
        let outcome = run(
            &accounts,
            &[TWO_MIB, "--put-blob-size-mb=1", size, "--overwrite=true", "--output-type=ndjson"],
        );
        outcome.expect_code(0);
        accounts.assert_same();
        assert_eq!(outcome.stdout.matches("it goes through this host").count(), 1, "{}", outcome.stdout);
        let summary = line(&outcome, "summary");
        assert_eq!((&summary["route"], &summary["bytes_by_service"]), (&"staging".into(), &2.into()));
        assert_eq!(accounts.names(STAGING), Vec::<String>::new());
    }
}

#[test]
fn a_staged_copy_that_was_killed_goes_on_and_cleans_up() {
    let accounts = apart();
    accounts.plant(FROM, (0..20).map(|n| seed(&format!("{n:02}"), b"content")));
    let [from, to, staging] = places(&accounts);
    // Another job's, and somebody else's.
    accounts.plant(STAGING, [seed("between/azuring-staging-0/3", b"x"), seed("theirs", b"y")]);
    accounts.fixture.hold(Operation::DeleteBlob, "between/", 4);
    let given = ["copy", &*from, &*to, "--recursive", "--route=staging", &*staging, "--concurrency=3"];
    let running = accounts.fixture.azuring().start(given);
    accounts.fixture.wait_for_held(1);
    // The journal knows what was found.
    let id = the_job(&accounts);
    wait_until("the journal", || {
        let shown = accounts.fixture.run(["jobs", "show", &id]);
        number(&shown, "Total Number of Transfers") == 20
    });
    running.kill();
    running.wait().unwrap();
    accounts.fixture.release();
    assert!(accounts.names(STAGING).len() > 2, "something was left: {:?}", accounts.names(STAGING));
    let signed = [from, to, accounts.url(STAGING, "")].map(|url| sas(&url));
    let flags = ["source", "destination", "staging"].iter().zip(&signed);
    let flags: Vec<_> = flags.map(|(end, sas)| format!("--{end}-sas={sas}")).collect();
    let resume = |flags: &[String]| {
        let given = ["jobs", "resume", &id].into_iter();
        accounts.fixture.run(given.chain(flags.iter().map(|flag| &**flag)))
    };
    let without = resume(&flags[..2]);
    assert!(without.expect_code(3).stderr.contains("--staging-sas='SAS'"), "{}", without.stderr);
    resume(&flags).expect_code(0);
    accounts.assert_same();
    assert_eq!(accounts.names(STAGING), ["between/azuring-staging-0/3", "theirs"]);
}

#[test]
fn what_cannot_be_a_staging_account_is_refused() {
    let accounts = apart();
    accounts.plant(FROM, [seed("a", b"1")]);
    let (from, to) = (accounts.private(""), accounts.url(TO, ""));
    let whole = accounts.url(STAGING, "").replacen(&format!("/{CONTAINER}"), "", 1);
    for (url, told) in [(accounts.url(TO, "x"), "another account than"), (whole, "names no container")] {
        let staging = format!("--staging-url={url}");
        let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive", "--route=staging", &staging]);
        assert_ne!(outcome.code, Some(0));
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    let outcome = accounts.fixture.run(["copy", &*from, &*to, "--recursive", "--route=staging"]);
    assert!(outcome.stderr.contains("--route=staging needs --staging-url"), "{}", outcome.stderr);
    assert_eq!(accounts.names(TO), Vec::<String>::new());
}
