//! Stores of a caller's own as the remote end of a job.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::collections::BTreeMap;
use std::path::Path;

use azuring_transfer::store::faulty::{Call, Fault, Faulty, Plan, Rule, When};
use azuring_transfer::store::{CustomStore, ErrorKind, Memory, StoreError};
use azuring_transfer::{
    BlockRules, Event, FailureKind, Job, JobBuilder, JobOptions, JobStatus, Jobs, Limits, Overwrite, Report,
    StopHandle,
};
use kit::{bytes, files};

const PIECE: usize = 100 << 10;

fn options() -> JobOptions {
    JobOptions::default()
        .blocks(BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64)))
        .limits(Limits::here().lanes(2))
        .report_objects(true)
}

fn run(job: JobBuilder) -> (Report, Vec<Event>) {
    let mut events = Vec::new();
    let report = job.options(options()).build().unwrap().run(&StopHandle::new(), |event| events.push(event));
    (report, events)
}

/// Small files, empty ones, one in pieces, and names that a store has to keep as they are.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    for (name, len) in [
        ("a", 10),
        ("a-b", 0),
        ("d/a b+c%2F", 70_000),
        ("d/\u{e4}\u{1F600}", 1),
        ("large", 5 * PIECE + 7),
        ("disk.vhd", 1_000),
    ] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes(len)).unwrap();
    }
    files(root)
}

fn content(store: &Memory) -> BTreeMap<String, Vec<u8>> {
    store.keys().into_iter().map(|key| (key.clone(), store.content(&key).unwrap().to_vec())).collect()
}

#[test]
fn a_tree_goes_there_and_back_and_away() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let want = tree(from.path());
    let memory = Memory::new();
    let store = || CustomStore::shared("memory:test", memory.clone());
    let (report, events) = run(Job::upload_to_store(from.path().join("*"), store(), "").recursive(true));
    assert_eq!((report.status(), report.counts.done, report.counts.failed), (JobStatus::Completed, 6, 0));
    assert_eq!(content(&memory), want);
    assert_eq!(memory.uncommitted_bytes(), 0);
    let named = events.iter().filter_map(|event| match event {
        Event::Done(outcome) => Some(outcome.object.as_ref()?.destination.clone()),
        _ => None,
    });
    let named: Vec<String> = named.collect();
    assert!(named.contains(&"memory:test/large".to_owned()), "{named:?}");

    let (report, _) = run(Job::download_from_store(store(), "", to.path()).recursive(true).as_subdir(false));
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 6));
    assert_eq!(files(to.path()), want);

    let (report, _) = run(Job::remove_from_store(store(), "d").recursive(true));
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 2));
    assert_eq!(memory.keys(), ["a", "a-b", "disk.vhd", "large"]);
}

#[test]
fn what_is_there_stays_if_that_is_wanted() {
    let from = tempfile::tempdir().unwrap();
    let want = tree(from.path());
    let memory = Memory::new();
    let store = || CustomStore::shared("memory:test", memory.clone());
    let never = || options().overwrite(Overwrite::Never);
    let upload = || Job::upload_to_store(from.path().join("*"), store(), "").recursive(true).options(never());
    let first = upload().build().unwrap().run(&StopHandle::new(), |_| {});
    assert_eq!((first.counts.done, first.counts.skipped_existing), (6, 0));
    let second = upload().build().unwrap().run(&StopHandle::new(), |_| {});
    assert_eq!((second.counts.done, second.counts.skipped_existing), (0, 6));
    assert_eq!(content(&memory), want);
}

#[test]
fn what_only_blob_storage_has_is_refused_before_anything_is_done() {
    let from = tempfile::tempdir().unwrap();
    tree(from.path());
    let memory = Memory::missing();
    let store = || CustomStore::shared("memory:test", memory.clone());
    let tagged = azuring_transfer::BlobProperties::default().tags(Some("a=b".to_owned()));
    let wanting = options().properties(tagged);
    let refused = Job::upload_to_store(from.path(), store(), "").options(wanting).build();
    let text = refused.err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(text, "memory:test is no Blob storage: it has no index tags");
    // There is no such bucket: that concerns every object.
    let (report, _) = run(Job::upload_to_store(from.path().join("*"), store(), "").recursive(true));
    assert_eq!(report.status(), JobStatus::Failed);
    assert!(report.fatal.unwrap().reason.contains("it was not made yet"));
}

/// `inner` with these faults, and what counts its calls.
fn unwell(inner: &Memory, rules: Vec<Rule>) -> (CustomStore, Faulty<Memory>) {
    let faulty = Faulty::new(inner.clone(), Plan { seed: 0, rules });
    (CustomStore::shared("memory:unwell", faulty.clone()), faulty)
}

/// Every second call of each method that moves something has this fault.
fn every_second(fault: &Fault) -> Vec<Rule> {
    let calls = [Call::List, Call::Read, Call::Put, Call::Begin, Call::Piece, Call::Commit, Call::Remove];
    let mut rules: Vec<Rule> =
        calls.into_iter().map(|call| Rule::on(call, When::Every(2), fault.clone())).collect();
    // And the first, where there is only one.
    rules.extend(calls.into_iter().map(|call| Rule::on(call, When::First(1), fault.clone())));
    rules
}

fn quick() -> JobOptions {
    let mut options = options();
    options.retry.first_pause = std::time::Duration::from_millis(1);
    options
}

#[test]
fn what_a_store_refuses_for_the_moment_is_sent_again_and_what_it_has_done_is_known() {
    let refused = [ErrorKind::Throttled, ErrorKind::Unavailable].map(Fault::of);
    for fault in refused.into_iter().chain([Fault::LoseAnswer]) {
        let from = tempfile::tempdir().unwrap();
        let want = tree(from.path());
        let memory = Memory::new();
        let (store, faulty) = unwell(&memory, every_second(&fault));
        let options = quick().overwrite(Overwrite::Never);
        let job = Job::upload_to_store(from.path().join("*"), store, "").recursive(true).options(options);
        let report = job.build().unwrap().run(&StopHandle::new(), |_| {});
        assert_eq!((report.counts.done, report.counts.failed, report.counts.skipped_existing), (6, 0, 0));
        assert_eq!(content(&memory), want);
        assert!(report.counts.retries > 0 && faulty.struck().iter().sum::<u64>() > 6);
        let to = tempfile::tempdir().unwrap();
        let (store, _) = unwell(&memory, every_second(&fault));
        let job =
            Job::download_from_store(store, "", to.path()).recursive(true).as_subdir(false).options(quick());
        let report = job.build().unwrap().run(&StopHandle::new(), |_| {});
        assert_eq!((report.counts.done, report.counts.failed), (6, 0));
        assert_eq!(files(to.path()), want);
        let (store, _) = unwell(&memory, every_second(&fault));
        let job = Job::remove_from_store(store, "").recursive(true).options(quick());
        let report = job.build().unwrap().run(&StopHandle::new(), |_| {});
        assert_eq!((report.counts.done, report.counts.failed), (6, 0));
        assert_eq!(memory.keys(), [""; 0]);
    }
}

#[test]
fn what_a_store_refuses_for_good_fails_alone() {
    let from = tempfile::tempdir().unwrap();
    tree(from.path());
    let memory = Memory::new();
    let denied = Fault::Refuse(StoreError::new(ErrorKind::Denied, "not now"));
    let (store, _) = unwell(&memory, vec![Rule::on(Call::Put, When::Nth(2), denied)]);
    let job = Job::upload_to_store(from.path().join("*"), store, "").recursive(true).options(quick());
    let mut failed = Vec::new();
    let report = job.build().unwrap().run(&StopHandle::new(), |event| {
        if let Event::Failed(failure) = event {
            failed.push(failure);
        }
    });
    assert_eq!((report.counts.done, report.counts.failed), (5, 1));
    assert_eq!((failed[0].kind, failed[0].reason.as_str()), (FailureKind::Authentication, "not now"));
}

#[test]
fn a_job_that_was_stopped_goes_on_with_the_pieces_that_are_there() {
    let from = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    std::fs::write(from.path().join("large"), bytes(20 * PIECE + 1)).unwrap();
    let memory = Memory::new();
    let jobs = || Jobs::new(state.path());
    let stop = StopHandle::new();
    // Both requests that may be in flight stand still.
    let holds = [7, 8].map(|nth| Rule::on(Call::Piece, When::Nth(nth), Fault::Hold(0)));
    let (store, faulty) = unwell(&memory, holds.into());
    let one_lane = || options().limits(Limits::here().lanes(1).concurrency(2));
    let upload = |store| Job::upload_to_store(from.path().join("*"), store, "").options(one_lane());
    let job = upload(store).journal(jobs(), b"it".to_vec()).build().unwrap();
    let id = job.plan().id.parse().unwrap();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| job.run(&stop, |_| {}));
        while faulty.waiting(0) < 2 {
            std::thread::yield_now();
        }
        stop.stop();
        faulty.open(0);
        running.join().unwrap()
    });
    assert!(report.interrupted && memory.uncommitted_bytes() > 0 && memory.keys().is_empty());
    let sent = memory.uncommitted_bytes();
    let (store, faulty) = unwell(&memory, Vec::new());
    let report = upload(store).resume(jobs(), id).build().unwrap().run(&StopHandle::new(), |_| {});
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1));
    assert_eq!(memory.content("large").unwrap(), bytes(20 * PIECE + 1));
    // The pieces that were missing, and the commit: no second beginning.
    let missing = 21 - sent.div_ceil(PIECE as u64);
    let calls = [Call::Begin, Call::Piece, Call::Commit].map(|call| faulty.calls(call));
    assert_eq!((calls, memory.uncommitted_bytes()), ([0, missing, 1], 0));
}
