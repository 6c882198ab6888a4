//! Inside one account the service makes copies by itself, at once or later: a job waits for them, or takes them back.

use azsim::{Operation, Seed};
use azuring_tests::{CONTAINER, Running, azuring, wait_until};

use super::jobs::{sas, the_job};
use super::{Accounts, BLOCK, BLOCKS, FROM, bytes, number, seed};

/// The other container of the account.
const BESIDE: &str = "beside";

/// An account with a large blob, and a job that copies it to another container and is told to wait.
fn pending() -> (Accounts, Running) {
    let accounts = Accounts::of(azuring!());
    let server = accounts.fixture.server();
    assert!(server.create_container(FROM, BESIDE));
    server.set_pending_copies(true);
    accounts.plant(FROM, [seed("large", &bytes(20 * BLOCK, 1)), seed("small", b"1")]);
    let (from, to) = (accounts.url(FROM, ""), beside(&accounts));
    let line = [&["copy", &*from, &*to, "--recursive"][..], &BLOCKS].concat();
    let running = accounts.fixture.azuring().start(line);
    wait_until("a pending copy and the other blob", || {
        let blobs = accounts.fixture.server().blobs(FROM, BESIDE);
        blobs.len() == 2 && blobs[0].copy_status == "pending"
    });
    (accounts, running)
}

fn beside(accounts: &Accounts) -> String {
    accounts.url(FROM, "").replacen(&format!("/{CONTAINER}?"), &format!("/{BESIDE}?"), 1)
}

fn names(accounts: &Accounts) -> Vec<String> {
    accounts.fixture.server().blobs(FROM, BESIDE).into_iter().map(|blob| blob.name).collect()
}

fn resume(accounts: &Accounts) -> Vec<String> {
    let ends = [accounts.url(FROM, ""), beside(accounts)];
    let [from, to] = ends.map(|url| sas(&url));
    let own = ["jobs".to_owned(), "resume".to_owned(), the_job(accounts)];
    own.into_iter().chain([format!("--source-sas={from}"), format!("--destination-sas={to}")]).collect()
}

#[track_caller]
fn assert_copied(accounts: &Accounts) {
    let server = accounts.fixture.server();
    for name in ["large", "small"] {
        let copy = server.content(FROM, BESIDE, name).unwrap();
        assert!(copy == server.content(FROM, CONTAINER, name).unwrap(), "{name}");
    }
}

#[test]
fn an_interrupt_leaves_no_empty_blob() {
    let (accounts, running) = pending();
    running.interrupt();
    running.wait().unwrap().expect_code(6);
    assert_eq!(names(&accounts), ["small"]);
    assert_eq!(accounts.count(Operation::AbortCopyBlob), 1);
    accounts.fixture.server().set_pending_copies(false);
    let outcome = accounts.fixture.run(resume(&accounts));
    outcome.expect_code(0);
    assert_eq!(number(&outcome, "Number of File Transfers Completed"), 2);
    assert_copied(&accounts);
}

#[test]
fn a_killed_job_finds_the_copy_that_is_pending() {
    let (accounts, running) = pending();
    running.kill();
    assert_eq!(running.wait().unwrap().signal, Some(9));
    assert_eq!(names(&accounts), ["large", "small"]);
    let looks = || accounts.count(Operation::GetBlobProperties);
    let before = looks();
    let running = accounts.fixture.azuring().start(resume(&accounts));
    // It is found, and asked for.
    wait_until("two questions about the copy", || looks() >= before + 2);
    accounts.fixture.server().advance_copies(FROM, BESIDE, u64::MAX);
    running.wait().unwrap().expect_code(0);
    assert_copied(&accounts);
    assert_eq!(accounts.count(Operation::PutBlockFromUrl), 0);
    assert_eq!(accounts.count(Operation::DeleteBlob), 0);
}

#[test]
fn what_is_in_the_archive_needs_a_tier() {
    let accounts = Accounts::of(azuring!());
    assert!(accounts.fixture.server().create_container(FROM, BESIDE));
    accounts.plant(FROM, [Seed { tier: "Archive".to_owned(), ..seed("old", b"12345") }, seed("new", b"1")]);
    let (from, to) = (accounts.url(FROM, ""), beside(&accounts));
    let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive"]);
    outcome.expect_code(1);
    let told = "failed: old: the source is in the archive, where nobody can read it";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--block-blob-tier=Hot"), "{}", outcome.stderr);
    let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive", "--block-blob-tier=Hot"]);
    outcome.expect_code(0);
    assert!(outcome.stderr.contains("some hours until the copies can be read"), "{}", outcome.stderr);
    let listed = accounts.fixture.run(["list", &to, "--properties=ArchiveStatus"]);
    assert!(listed.stdout.contains("rehydrate-pending-to-hot"), "{}", listed.stdout);
    accounts.fixture.server().complete_rehydration(FROM, BESIDE);
    assert_eq!(accounts.fixture.server().content(FROM, BESIDE, "old").unwrap(), "12345");
}
