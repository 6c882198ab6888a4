//! A copy is a job like any other: it is kept, shown, and goes on where it was, with the SAS of both ends given anew.

use std::fs;

use azsim::{Operation, Seed};
use azuring_tests::{CONTAINER, Outcome, azuring};

use super::{Accounts, BLOCK, BLOCKS, FROM, KEYS, TO, bytes, contents, line, number, seed};

pub(crate) fn the_job(accounts: &Accounts) -> String {
    let listed = accounts.fixture.run(["jobs", "list"]);
    let ids: Vec<_> = listed.stdout.lines().filter_map(|line| line.strip_prefix("JobId: ")).collect();
    assert_eq!(ids.len(), 1, "{}", listed.stdout);
    ids[0].to_owned()
}

/// The SAS of a URL.
pub(crate) fn sas(url: &str) -> String {
    url.split_once('?').unwrap().1.to_owned()
}

/// A job that was killed, or else interrupted, in the middle of a large blob.
fn stopped(route: &str, killed: bool) -> (Accounts, String) {
    let accounts = Accounts::new();
    let small = |n: usize| Seed {
        metadata: vec![("n".to_owned(), n.to_string())],
        ..seed(&format!("s/{n:03}"), &bytes(9, n))
    };
    accounts.plant(FROM, (0..200).map(small).chain([seed("large", &bytes(40 * BLOCK, 1))]));
    let is_direct = route == "--route=direct";
    let piece = if is_direct { Operation::PutBlockFromUrl } else { Operation::PutBlock };
    accounts.fixture.hold(piece, "large", 10);
    let (from, to) = (accounts.url(FROM, ""), accounts.url(TO, ""));
    let line = [&["copy", &*from, &*to, "--recursive", "--concurrency=4", route][..], &BLOCKS].concat();
    let running = accounts.fixture.azuring().start(line);
    accounts.fixture.wait_for_held(1);
    if killed {
        running.kill();
        assert_eq!(running.wait().unwrap().signal, Some(9));
        accounts.fixture.release();
    } else {
        running.interrupt_and_see();
        accounts.fixture.release();
        running.wait().unwrap().expect_code(6);
    }
    let id = the_job(&accounts);
    (accounts, id)
}

#[track_caller]
fn resumed(accounts: &Accounts, id: &str, more: &[&str]) -> Outcome {
    let flags = [
        format!("--source-sas={}", sas(&accounts.url(FROM, ""))),
        format!("--destination-sas=?{}", sas(&accounts.url(TO, ""))),
    ];
    let line = ["jobs", "resume", id, &flags[0], &flags[1]];
    accounts.fixture.run(line.into_iter().chain(more.iter().copied()))
}

#[test]
fn a_copy_that_was_stopped_goes_on_where_it_was() {
    for (route, killed) in [
        ("--route=direct", true),
        ("--route=direct", false),
        ("--route=relay", true),
        ("--route=relay", false),
    ] {
        let (accounts, id) = stopped(route, killed);
        let pieces = [Operation::PutBlockFromUrl, Operation::PutBlock];
        let sent =
            |accounts: &Accounts| pieces.map(|operation| accounts.count(operation)).iter().sum::<u64>();
        let before = sent(&accounts);
        let outcome = resumed(&accounts, &id, &["--output-type=ndjson"]);
        outcome.expect_code(0);
        let summary = line(&outcome, "summary");
        assert_eq!(
            (summary["found"].as_u64(), summary["done"].as_u64()),
            (Some(201), Some(201)),
            "{summary}"
        );
        assert_eq!(contents(&accounts, FROM), contents(&accounts, TO));
        let metadata =
            |account| accounts.blobs(account).into_iter().map(|blob| blob.metadata).collect::<Vec<_>>();
        assert_eq!(metadata(FROM), metadata(TO));
        // Blocks that the destination has are not sent again, unless a kill came before the record.
        let again = sent(&accounts) - before;
        assert!(again <= if killed { 40 } else { 30 }, "{route} {killed}: {again}");
    }
}

#[test]
fn a_copy_that_goes_on_needs_what_each_end_needs() {
    let (accounts, id) = stopped("--route=relay", true);
    let signed = |account| sas(&accounts.url(account, ""));
    for (flags, missing) in [
        (vec![], "the SAS of the source and of the destination is not kept"),
        (vec![format!("--destination-sas={}", signed(TO))], "the SAS of the source is not kept"),
        (vec![format!("--source-sas={}", signed(FROM))], "the SAS of the destination is not kept"),
    ] {
        let line = ["jobs", "resume", &id].into_iter().map(str::to_owned).chain(flags);
        let outcome = accounts.fixture.run(line);
        outcome.expect_code(3);
        assert!(outcome.stderr.contains(missing), "{}", outcome.stderr);
    }
    resumed(&accounts, &id, &[]).expect_code(0);
    assert_eq!(contents(&accounts, FROM), contents(&accounts, TO));
}

/// A string of the source's account is not taken for the destination's, whose SAS is missing.
#[test]
fn a_connection_string_of_one_end_does_not_stand_in_for_the_sas_of_the_other() {
    let (_, key) = KEYS.into_iter().find(|(account, _)| *account == FROM).unwrap();
    let string = format!("AccountName={FROM};AccountKey={key}");
    let accounts = Accounts::of(azuring!().env("AZURE_STORAGE_CONNECTION_STRING", string));
    accounts.plant(FROM, [seed("a", b"1"), seed("b", b"2")]);
    accounts.fixture.hold(Operation::PutBlobFromUrl, "", 1);
    let (from, to) = (accounts.bare(FROM, ""), accounts.url(TO, ""));
    let running = accounts.fixture.azuring().start(["copy", &*from, &*to, "--recursive", "--concurrency=1"]);
    accounts.fixture.wait_for_held(1);
    running.kill();
    running.wait().unwrap();
    accounts.fixture.release();
    let id = the_job(&accounts);
    let without = accounts.fixture.run(["jobs", "resume", &id]);
    assert!(
        without.expect_code(3).stderr.contains("the SAS of the destination is not kept"),
        "{}",
        without.stderr
    );
    let flag = format!("--destination-sas={}", sas(&accounts.url(TO, "")));
    accounts.fixture.run(["jobs", "resume", &id, &flag]).expect_code(0);
    assert_eq!(accounts.names(TO), ["a", "b"]);
}

#[test]
fn a_copy_is_told_by_both_its_ends() {
    let accounts = Accounts::new();
    accounts.fill();
    accounts.fixture.hold(Operation::PutBlobFromUrl, "", 1);
    let (from, to) = (accounts.url(FROM, ""), accounts.url(TO, "x/y"));
    let line = ["copy", &*from, &*to, "--recursive", "--concurrency=1", "--lanes=1"];
    let running = accounts.fixture.azuring().start(line);
    accounts.fixture.wait_for_held(1);
    running.interrupt_and_see();
    accounts.fixture.release();
    let outcome = running.wait().unwrap();
    outcome.expect_code(6);
    let id = the_job(&accounts);
    let told = format!("resume with: azuring jobs resume {id} --source-sas='SAS' --destination-sas='SAS'");
    assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
    let shown = accounts.fixture.run(["jobs", "show", &id, "--output-type=ndjson"]);
    let job = super::line(&shown, "job");
    assert_eq!(job["command"], "copy");
    assert_eq!(job["source"], accounts.bare(FROM, ""));
    assert_eq!(job["destination"], accounts.bare(TO, "x/y"));
    let journal = accounts.fixture.azuring().home().join(format!(".azuring/jobs/{id}/journal"));
    let journal = fs::read(journal).unwrap();
    let holds = |what: &str| journal.windows(what.len()).any(|part| part == what.as_bytes());
    assert!(holds(CONTAINER) && holds("x/y") && !holds("sig="));
    resumed(&accounts, &id, &[]).expect_code(0);
    assert_eq!(accounts.names(TO).len(), 5);
}

#[test]
fn what_failed_of_a_copy_is_listed_and_feeds_another() {
    let accounts = Accounts::new();
    accounts.plant(FROM, [seed("a", b"1"), seed("b", b"2"), seed("bad", b"3")]);
    let rule = azsim::Rule {
        name: azsim::NameMatch::Contains("bad".to_owned()),
        operation: Some(Operation::PutBlobFromUrl),
        fault: azsim::Fault::error(409, "BlobImmutableDueToPolicy"),
        skip: 0,
        count: u64::MAX,
    };
    let faults = azsim::Faults { rules: vec![rule], ..azsim::Faults::default() };
    accounts.fixture.server().set_faults(faults);
    let outcome = accounts.copy(&[]);
    outcome.expect_code(1);
    assert_eq!(number(&outcome, "Number of File Transfers Failed"), 1);
    assert!(outcome.stderr.contains("failed: bad: destination: "), "{}", outcome.stderr);
    assert_eq!(accounts.names(TO), ["a", "b"]);
    accounts.fixture.server().set_faults(azsim::Faults::default());
    let id = the_job(&accounts);
    let names = accounts.fixture.run(["jobs", "show", &id, "--failed", "--names"]);
    let list = accounts.fixture.file("failed", names.stdout.as_bytes());
    accounts.copy(&[&format!("--list-of-files={}", list.display())]).expect_code(0);
    assert_eq!(accounts.names(TO), ["a", "b", "bad"]);
}
