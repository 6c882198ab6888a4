//! Stores of a caller's own as the remote end of a job.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;
mod odd;

use std::collections::BTreeMap;
use std::path::Path;

use azuring_transfer::store::faulty::{Call, Fault, Faulty, Plan, Rule, When};
use azuring_transfer::store::{CustomStore, ErrorKind, Memory, PieceTraits, StoreError, Traits, Visible};
use azuring_transfer::{
    BlockRules, Event, FailureKind, Job, JobBuilder, JobOptions, JobStatus, Jobs, Limits, Overwrite, Report,
    StopHandle,
};
use kit::{bytes, files};
use odd::Odd;

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

/// Runs a job and returns what failed.
fn failures(job: JobBuilder, options: JobOptions) -> (Report, Vec<azuring_transfer::Failure>) {
    let mut failed = Vec::new();
    let report = job.options(options).build().unwrap().run(&StopHandle::new(), |event| {
        if let Event::Failed(failure) = event {
            failed.push(failure);
        }
    });
    (report, failed)
}

#[test]
fn a_removal_whose_answers_are_not_one_for_each_object_is_not_taken_for_done() {
    let from = tempfile::tempdir().unwrap();
    ["a", "b", "c"].iter().for_each(|name| std::fs::write(from.path().join(name), name).unwrap());
    let removed = |set: &dyn Fn(&mut Odd), path: &str| {
        let mut odd = Odd::new(|traits| traits.remove_batch = 2);
        run(Job::upload_to_store(from.path().join("*"), odd.store(), ""));
        set(&mut odd);
        let job = Job::remove_from_store(odd.store(), path).recursive(path.is_empty());
        let (report, failed) = failures(job, quick().limits(Limits::here().lanes(1)));
        (report.counts.done, failed.iter().map(|failure| failure.reason.clone()).collect::<Vec<_>>())
    };
    let one = "the store gave 0 answers to 1 removals: what became of them is not known";
    assert_eq!(removed(&|odd| odd.removed = |_| -1, "a"), (0, vec![one.to_owned()]));
    for (wrong, answers) in [((|_| 1) as fn(usize) -> isize, 3), (|_| -1, 1)] {
        let (done, reasons) = removed(&|odd| odd.removed = wrong, "");
        let text =
            format!("the store gave {answers} answers to 2 removals: what became of them is not known");
        assert_eq!((done, reasons), (0, vec![text; 3]));
    }
    // What was answered before counts.
    let only_last: fn(usize) -> isize = |count| if count == 1 { -1 } else { 0 };
    assert_eq!(removed(&|odd| odd.removed = only_last, ""), (2, vec![one.to_owned()]));
}

#[test]
fn lengths_are_compared_where_a_store_compares_no_checksums() {
    let from = tempfile::tempdir().unwrap();
    std::fs::write(from.path().join("small"), bytes(10)).unwrap();
    std::fs::write(from.path().join("large"), bytes(3 * PIECE)).unwrap();
    let mut odd = Odd::new(|traits| traits.checksums.crc64_in = false);
    let upload = |odd: &Odd| failures(Job::upload_to_store(from.path().join("*"), odd.store(), ""), quick());
    let (report, failed) = upload(&odd);
    assert_eq!((report.counts.done, failed.len()), (2, 0));
    odd.keeps_less = true;
    let (report, failed) = upload(&odd);
    assert_eq!((report.counts.done, failed.len()), (0, 2));
    assert!(failed.iter().all(|failure| failure.kind == FailureKind::Integrity), "{failed:?}");
}

#[test]
fn a_store_without_conditions_is_asked_before_something_is_written() {
    let from = tempfile::tempdir().unwrap();
    let want = tree(from.path());
    let odd = Odd::new(|traits| traits.conditions = Default::default());
    let never = || quick().overwrite(Overwrite::Never);
    let upload =
        || failures(Job::upload_to_store(from.path().join("*"), odd.store(), "").recursive(true), never()).0;
    let first = upload();
    assert_eq!((first.counts.done, first.counts.failed, first.counts.skipped_existing), (6, 0, 0));
    std::fs::write(from.path().join("a"), "other").unwrap();
    let second = upload();
    assert_eq!((second.counts.done, second.counts.failed, second.counts.skipped_existing), (0, 0, 6));
    assert_eq!(content(&odd.inner), want);
}

#[test]
fn names_that_a_store_would_change_are_not_sent_to_it() {
    let from = tempfile::tempdir().unwrap();
    ["a", "b."].iter().for_each(|name| std::fs::write(from.path().join(name), name).unwrap());
    let odd = Odd::new(|traits| traits.names = azuring_plan::place::NameRules::Azure);
    let (report, failed) = failures(Job::upload_to_store(from.path().join("*"), odd.store(), ""), options());
    assert_eq!((report.counts.done, failed.len(), failed[0].kind), (1, 1, FailureKind::Name));
    assert_eq!(odd.inner.keys(), ["a"]);
}

#[test]
fn traits_that_cannot_be_are_refused_before_anything_is_done() {
    let from = tempfile::tempdir().unwrap();
    let refused = |set: fn(&mut PieceTraits, &mut Visible)| {
        let odd = Odd::new(|traits| set(traits.pieces.as_mut().unwrap(), &mut traits.visible));
        let job = Job::upload_to_store(from.path().join("*"), odd.store(), "").build();
        // They are read from all the same.
        let down = Job::download_from_store(odd.store(), "", from.path()).build();
        (job.err().map(|error| error.to_string()).unwrap_or_default(), down.is_ok())
    };
    assert_eq!(refused(|_, _| {}), (String::new(), true));
    let size = "memory:odd: its trait `pieces` says at least 9 bytes, at most 8, in multiples of 1: there is no such piece";
    assert_eq!(refused(|pieces, _| (pieces.min_bytes, pieces.max_bytes) = (9, 8)), (size.to_owned(), false));
    assert!(refused(|pieces, _| pieces.max_bytes = 0).0.contains("there is no such piece"));
    let (text, is_read) = refused(|_, visible| *visible = Visible::FromStart);
    assert!(text.starts_with("memory:odd: objects that it takes in pieces are seen before"), "{text}");
    assert!(is_read);
}

#[test]
fn a_stream_is_as_long_as_its_store_takes() {
    let sent = |set: fn(&mut Traits), len: usize| {
        let odd = Odd::new(set);
        let job = Job::stream_to_store(std::io::Cursor::new(bytes(len)), odd.store(), "it");
        let (report, failed) = failures(job, options());
        let whole = odd.inner.content("it").is_some_and(|there| *there == bytes(len));
        (report.counts.done, whole, failed.first().map(|failure| failure.reason.clone()).unwrap_or_default())
    };
    // In one request: not bounded by the wanted size of pieces.
    let whole = |traits: &mut Traits| (traits.pieces, traits.whole_max) = (None, 3 * PIECE as u64);
    assert_eq!(sent(whole, 3 * PIECE), (1, true, String::new()));
    let (done, _, reason) = sent(whole, 3 * PIECE + 1);
    assert_eq!(done, 0);
    assert!(
        reason.starts_with("the input is longer than 307200 bytes, the most that the store takes"),
        "{reason}"
    );
    // As many pieces as there may be, and all of them full.
    let three = |traits: &mut Traits| traits.pieces.as_mut().unwrap().max_count = 3;
    assert_eq!(sent(three, 3 * PIECE), (1, true, String::new()));
    assert_eq!(sent(three, 3 * PIECE + 1), (0, false, "the input is longer than 3 blocks".to_owned()));
}

#[test]
fn bytes_per_second_are_those_of_a_store_too() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("large"), bytes(3 * PIECE)).unwrap();
    let odd = Odd::new(|_| {});
    // At least what so many bytes take.
    let at_least = std::time::Duration::from_millis(300);
    let paced = || options().cap_bytes_per_second(Some(PIECE as f64 * 10.0));
    let (report, _) = failures(Job::upload_to_store(dir.path().join("*"), odd.store(), ""), paced());
    assert!(report.counts.done == 1 && report.elapsed >= at_least, "{:?}", report.elapsed);
    let to = tempfile::tempdir().unwrap();
    let (report, _) = failures(Job::download_from_store(odd.store(), "large", to.path()), paced());
    assert!(report.counts.done == 1 && report.elapsed >= at_least, "{:?}", report.elapsed);
}

#[test]
fn a_store_that_says_nothing_is_asked_again() {
    let memory = Memory::new();
    run(Job::stream_to_store(
        std::io::Cursor::new(bytes(10)),
        CustomStore::shared("m", memory.clone()),
        "it",
    ));
    // Nobody opens the gates.
    let holds = [Call::List, Call::Read].map(|call| Rule::on(call, When::Nth(1), Fault::Hold(0)));
    let (store, _) = unwell(&memory, holds.into());
    let to = tempfile::tempdir().unwrap();
    let mut options = quick();
    options.retry.stall = std::time::Duration::from_millis(50);
    let job = Job::download_from_store(store, "", to.path()).recursive(true).as_subdir(false);
    let (report, failed) = failures(job, options);
    assert_eq!((report.counts.done, report.counts.retries, failed.len()), (1, 2, 0));
}
