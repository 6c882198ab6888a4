//! Objects from one store to another, through memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use azsim::Seed;
use azuring_store::faulty::{Call, Fault, Faulty, Plan, Rule, When};
use azuring_transfer::store::{ContentFacts, CustomStore, ErrorKind, Memory, Payload, Put, Store, Which};
use azuring_transfer::{
    BlockRules, CheckLength, Credential, DEVSTORE_ACCOUNT, Event, Failure, FailureKind, Job, JobOptions,
    JobStatus, Jobs, Limits, ListOfFiles, Location, Overwrite, Report, Side, StopHandle,
};
use kit::{Bench, bytes};

const PIECE: usize = 100 << 10;

fn options() -> JobOptions {
    let mut options = JobOptions::default()
        .blocks(BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64)))
        .limits(Limits::here().lanes(2))
        .report_objects(true);
    options.retry.first_pause = std::time::Duration::from_millis(1);
    options
}

/// Empty, small, and in pieces; names that a store has to keep as they are.
const OBJECTS: &[(&str, usize)] = &[
    ("a", 10),
    ("a-b", 0),
    ("a/b", PIECE),
    ("a/c/%2F +", 70_000),
    ("d/\u{e4}\u{1F600}", 1),
    ("large", 5 * PIECE + 7),
];

fn objects() -> BTreeMap<String, Vec<u8>> {
    OBJECTS.iter().map(|(name, len)| ((*name).to_owned(), bytes(*len))).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

fn filled() -> Memory {
    let memory = Memory::new();
    let content = ContentFacts::default()
        .content_type(Some("text/x-test".to_owned()))
        .encoding(Some("gzip".to_owned()))
        .language(Some("de".to_owned()))
        .disposition(Some("inline".to_owned()))
        .cache_control(Some("no-store".to_owned()));
    let metadata = [("mark".to_owned(), "x y".to_owned())];
    let put = Put { content: Some(&content), metadata: &metadata, ..Put::default() };
    for (name, bytes) in objects() {
        block_on(memory.put(&name, Payload::from(bytes::Bytes::from(bytes)), &put)).unwrap();
    }
    memory
}

fn content(store: &Memory) -> BTreeMap<String, Vec<u8>> {
    store.keys().into_iter().map(|key| (key.clone(), store.content(&key).unwrap().to_vec())).collect()
}

/// A name that no other store has: two of one name are taken for one.
fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("memory:{}", COUNT.fetch_add(1, Ordering::SeqCst))
}

fn store(memory: &Memory) -> CustomStore {
    CustomStore::shared(name(), memory.clone())
}

/// Both reads that a job with two requests in flight has from the `nth` on stand still.
fn both_held(nth: u64) -> Vec<Rule> {
    [nth, nth + 1].map(|nth| Rule::on(Call::Read, When::Nth(nth), Fault::Hold(1))).into()
}

fn faulty(memory: &Memory, rules: Vec<Rule>) -> (CustomStore, Faulty<Memory>) {
    let faulty = Faulty::new(memory.clone(), Plan { seed: 7, rules });
    (CustomStore::shared(name(), faulty.clone()), faulty)
}

fn run(from: Location, to: Location, options: JobOptions) -> (Report, Vec<Failure>) {
    let job = Job::relay(from, to).recursive(true).options(options).build().unwrap();
    let mut failed = Vec::new();
    let report = job.run(&StopHandle::new(), |event| {
        if let Event::Failed(failure) = event {
            failed.push(failure);
        }
    });
    (report, failed)
}

/// A container of Blob storage as an end.
fn container(bench: &Bench, path: &str) -> Location {
    let url = bench.url(path);
    let credential = Credential::find(&url, |_| None).unwrap();
    Location::blob(url, credential)
}

fn blobs(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let all = bench.server.blobs(DEVSTORE_ACCOUNT, "cont").into_iter();
    let content = |name: &str| bench.server.content(DEVSTORE_ACCOUNT, "cont", name).unwrap().to_vec();
    all.map(|blob| (blob.name.clone(), content(&blob.name))).collect()
}

#[test]
fn every_store_to_every_store() {
    let (first, second) = (Bench::new(), Bench::new());
    let (from, to) = (filled(), Memory::in_order());
    let ways: [(Location, Location); 4] = [
        (Location::store(store(&from), ""), container(&first, "")),
        (container(&first, ""), container(&second, "")),
        (container(&second, ""), Location::store(store(&to), "")),
        (Location::store(store(&to), ""), Location::store(store(&Memory::new()), "")),
    ];
    for (n, (from, to)) in ways.into_iter().enumerate() {
        let mut options = options();
        options.verify = true;
        let (report, failed) = run(from, to, options);
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 6), "{n}: {failed:?}");
        assert_eq!(report.counts.bytes, objects().values().map(|bytes| bytes.len() as u64).sum::<u64>());
    }
    assert_eq!((blobs(&first), blobs(&second), content(&to)), (objects(), objects(), objects()));
    // Whatever they have beside their bytes came along, twice through Blob storage.
    for name in ["a", "large"] {
        let facts = block_on(to.stat(name, Which::default())).unwrap();
        let had = block_on(from.stat(name, Which::default())).unwrap();
        assert_eq!(facts.content, had.content, "{name}");
        assert_eq!(facts.metadata, had.metadata, "{name}");
    }
    // Every range of Blob storage was read in the state that was listed.
    let blob = second.server.blobs(DEVSTORE_ACCOUNT, "cont").into_iter().find(|blob| blob.name == "large");
    assert_eq!(blob.unwrap().blocks.len(), 6);
}

#[test]
fn names_are_those_of_an_upload() {
    let from = filled();
    for (at, to, as_subdir, want) in [
        ("a/b", "x", true, &["x"][..]),
        ("a/b", "x/", true, &["x/b"]),
        ("a/", "", true, &["a/b", "a/c/%2F +"]),
        ("a/", "x", false, &["x/b", "x/c/%2F +"]),
        ("d", "x", true, &["x/d/\u{e4}\u{1F600}"]),
        ("d/", "", false, &["\u{e4}\u{1F600}"]),
    ] {
        let there = Memory::new();
        let (from, to) = (Location::store(store(&from), at), Location::store(store(&there), to));
        let job =
            Job::relay(from, to).recursive(true).as_subdir(as_subdir).options(options()).build().unwrap();
        let report = job.run(&StopHandle::new(), |_| {});
        assert_eq!(
            (report.status(), there.keys()),
            (JobStatus::Completed, want.iter().map(|name| (*name).to_owned()).collect()),
            "{at}"
        );
    }
}

#[test]
fn what_would_replace_its_own_source_is_refused() {
    for (from, to, as_subdir, is_refused) in [
        ("", "", true, true),
        ("", "b/", true, true),
        ("a", "a", true, true),
        ("a/", "a/b", true, true),
        // Each would be copied onto itself, or onto one that is still to be copied.
        ("a/b", "", false, false),
        ("a/b", "a/", true, true),
        ("a/", "", true, true),
        ("a/", "", false, true),
        ("a/", "a2", true, false),
        ("d", "a", true, false),
    ] {
        for is_blobs in [false, true] {
            let (memory, bench) = (filled(), Bench::new());
            let plant = |(name, bytes): (String, Vec<u8>)| text_of(name, bytes);
            bench.server.plant(DEVSTORE_ACCOUNT, "cont", objects().into_iter().map(plant));
            let here = |path: &str| match is_blobs {
                true => container(&bench, &format!("/{path}")),
                false => Location::store(CustomStore::shared("memory:here", memory.clone()), path),
            };
            let job =
                Job::relay(here(from), here(to)).recursive(true).as_subdir(as_subdir).options(options());
            let report = job.build().unwrap().run(&StopHandle::new(), |_| {});
            let told = report.fatal.as_ref().map(|failure| failure.reason.clone());
            let overlaps = told.as_ref().is_some_and(|reason| reason.contains("overlap"));
            assert_eq!(overlaps, is_refused, "{from} {to}: {told:?}");
            if is_refused {
                assert_eq!(if is_blobs { blobs(&bench) } else { content(&memory) }, objects());
            }
        }
    }
    // Another place of the same paths.
    let (from, to) = (filled(), Memory::new());
    let (report, _) = run(Location::store(store(&from), "a/"), Location::store(store(&to), ""), options());
    assert_eq!(report.counts.done, 2);
    // A state of an object is written by nobody.
    let bench = Bench::new();
    let to = container(&bench, "/x?versionid=2026-01-01T00:00:00.0000000Z");
    let refused = Job::relay(Location::store(store(&from), "a"), to).build();
    assert!(refused.err().unwrap().to_string().contains("cannot be written"));
}

fn text_of(name: String, content: Vec<u8>) -> Seed {
    Seed { name, content: vec![content.into()], ..Seed::default() }
}

#[test]
fn a_destination_that_misses_something_says_nothing_of_the_lines_of_a_list() {
    // The destination answers 404 to one of them; below its name at the source there is another object.
    let (from, to) = (Memory::new(), Memory::new());
    for name in ["a", "a/b", "c"] {
        let payload = Payload::from(bytes::Bytes::from_static(b"x"));
        block_on(from.put(name, payload, &Put::default())).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    std::fs::write(&list, "a\nc\n").unwrap();
    let (target, _) =
        faulty(&to, vec![Rule::on(Call::Put, When::Nth(1), Fault::of(ErrorKind::NotFound)).of_key("a")]);
    let job = Job::relay(Location::store(store(&from), ""), Location::store(target, ""))
        .recursive(true)
        .list_of_files(ListOfFiles::File(list))
        .options(options());
    let report = job.build().unwrap().run(&StopHandle::new(), |_| {});
    assert_eq!((report.counts.done, report.counts.failed), (1, 1));
    assert_eq!(to.keys(), ["c"]);
}

#[test]
fn a_token_that_is_of_no_use_any_more_is_replaced() {
    // Cut off with some pieces sent; then the store forgets them, or somebody has completed the object.
    for (n, forget) in [Forget::Aborted, Forget::Committed, Forget::Changed].into_iter().enumerate() {
        let (from, to) = (Memory::new(), Memory::new());
        let put = |bytes: Vec<u8>| {
            block_on(from.put("large", Payload::from(bytes::Bytes::from(bytes)), &Put::default())).unwrap();
        };
        put(bytes(8 * PIECE + 1));
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let one_lane = || options().limits(Limits::here().lanes(1).concurrency(2));
        let relay = |source| {
            let to = Location::store(store(&to), "");
            Job::relay(Location::store(source, ""), to).recursive(true).options(one_lane())
        };
        let (source, held) = faulty(&from, both_held(5));
        let job = relay(source).journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        let stop = StopHandle::new();
        let stopper = std::thread::spawn({
            let stop = stop.clone();
            move || {
                while held.waiting(1) < 2 {
                    std::thread::yield_now();
                }
                stop.stop();
                held.open(1);
            }
        });
        assert!(job.run(&stop, |_| {}).interrupted && to.uncommitted_bytes() > 0);
        stopper.join().unwrap();
        let mut want = bytes(8 * PIECE + 1);
        match forget {
            Forget::Aborted => to.forget_uncommitted(),
            Forget::Committed => {
                to.forget_uncommitted();
                let payload = Payload::from(bytes::Bytes::from(want.clone()));
                block_on(to.put("large", payload, &Put::default())).unwrap();
            }
            Forget::Changed => {
                want = want.iter().map(|byte| !byte).collect();
                put(want.clone());
            }
        }
        let (source, _) = faulty(&from, Vec::new());
        let report = relay(source).resume(jobs(), id).build().unwrap().run(&StopHandle::new(), |_| {});
        assert_eq!((report.status(), report.counts.failed), (JobStatus::Completed, 0), "{n}");
        assert!(to.content("large").unwrap() == want, "{n}");
        assert_eq!(to.uncommitted_bytes(), 0, "{n}");
    }
}

/// What has become of pieces meanwhile.
enum Forget {
    Aborted,
    Committed,
    /// They are there, and the source is another.
    Changed,
}

#[test]
fn a_comparison_that_cannot_be_made_is_no_difference() {
    // The source is not to be read a second time.
    let (from, to) = (filled(), Memory::new());
    let rule = Rule::on(Call::Read, When::Nth(7), Fault::of(ErrorKind::Denied)).of_key("large");
    let (source, _) = faulty(&from, vec![rule]);
    let options = options().verify(true);
    let (report, failed) = run(Location::store(source, "large"), Location::store(store(&to), ""), options);
    assert_eq!((report.counts.done, failed.len()), (0, 1));
    assert_eq!(failed[0].kind, FailureKind::Authentication, "{}", failed[0]);
}

#[test]
fn faults_of_either_end_are_lived_through() {
    let kinds = [ErrorKind::Throttled, ErrorKind::Unavailable, ErrorKind::Broken];
    for kind in kinds {
        let (from, to) = (filled(), Memory::new());
        let half = |call| Rule::on(call, When::Of1000(400), Fault::of(kind));
        let lost = |call| Rule::on(call, When::Of1000(300), Fault::LoseAnswer);
        let reads = vec![
            half(Call::Read),
            half(Call::List),
            Rule::on(Call::Read, When::Of1000(200), Fault::Damage(5)),
            Rule::on(Call::Read, When::Of1000(200), Fault::Cut { after: 3, told: true }),
        ];
        let writes = vec![
            half(Call::Put),
            half(Call::Piece),
            half(Call::Begin),
            half(Call::Commit),
            lost(Call::Put),
            lost(Call::Commit),
            lost(Call::Piece),
            Rule::on(Call::Piece, When::Of1000(200), Fault::Damage(9)),
        ];
        let ((source, read), (target, wrote)) = (faulty(&from, reads), faulty(&to, writes));
        let mut options = options();
        options.overwrite = Overwrite::Never;
        let (report, failed) = run(Location::store(source, ""), Location::store(target, ""), options);
        assert_eq!((report.counts.done, report.counts.failed), (6, 0), "{failed:?}");
        assert_eq!((content(&to), to.uncommitted_bytes()), (objects(), 0));
        let struck = |faulty: &Faulty<Memory>| faulty.struck().iter().sum::<u64>();
        assert!(struck(&read) > 0 && struck(&wrote) > 0 && report.counts.retries > 0);
    }
}

#[test]
fn an_error_names_the_end_that_it_came_from() {
    for (call, side) in [(Call::Read, Side::Source), (Call::Put, Side::Destination)] {
        let (from, to) = (filled(), Memory::new());
        let rule = Rule::on(call, When::Always, Fault::of(ErrorKind::Denied)).of_key("d/");
        let (source, _) = faulty(&from, vec![rule.clone()]);
        let (target, _) = faulty(&to, vec![rule]);
        let (report, failed) = match side {
            Side::Source => run(Location::store(source, ""), Location::store(store(&to), ""), options()),
            Side::Destination => {
                run(Location::store(store(&from), ""), Location::store(target, ""), options())
            }
        };
        assert_eq!((report.counts.done, report.counts.failed), (5, 1));
        assert_eq!((failed[0].side, failed[0].kind), (Some(side), FailureKind::Authentication));
        let begin = format!("{}: ", side.as_str());
        assert!(failed[0].reason.starts_with(&begin), "{}", failed[0].reason);
        let places = (&failed[0].source, &failed[0].destination);
        assert!(places.0.starts_with("memory:") && places.1.contains("/d/"), "{places:?}");
    }
}

#[test]
fn one_end_that_answers_says_nothing_of_the_other() {
    // The source answers; a destination that nobody made concerns every object, and stops the job.
    let (from, to) = (filled(), Memory::missing());
    let (report, _) = run(Location::store(store(&from), ""), Location::store(store(&to), ""), options());
    let fatal = report.fatal.clone().unwrap();
    assert_eq!((report.status(), fatal.side), (JobStatus::Failed, Some(Side::Destination)));
    // And the other way round.
    let (report, _) = run(
        Location::store(store(&Memory::missing()), ""),
        Location::store(store(&Memory::new()), ""),
        options(),
    );
    assert_eq!((report.status(), report.fatal.unwrap().side), (JobStatus::Failed, Some(Side::Source)));
}

#[test]
fn an_end_that_takes_no_checksums_is_told_from_the_other() {
    // A server that refuses checksums, as destination of objects from one that tells them.
    let (first, second) = (Bench::new(), Bench::new());
    first.server.plant(
        DEVSTORE_ACCOUNT,
        "cont",
        objects().into_iter().map(|(name, content)| Seed {
            name,
            content: vec![content.into()],
            ..Seed::default()
        }),
    );
    let refuses = azsim::Rule {
        name: azsim::NameMatch::Contains(String::new()),
        operation: Some(azsim::Operation::GetBlob),
        fault: azsim::Fault::Error {
            status: 500,
            code: "FeatureNotSupported".to_owned(),
            retry_after_s: None,
        },
        skip: 0,
        count: 1,
    };
    first.server.set_faults(azsim::Faults { rules: vec![refuses], ..azsim::Faults::default() });
    let mut options = options();
    options.check_length = CheckLength::Never;
    let (report, failed) = run(container(&first, ""), container(&second, ""), options);
    assert_eq!((report.counts.done, report.counts.failed), (6, 0), "{failed:?}");
    assert_eq!(blobs(&second), objects());
}

#[test]
fn what_is_there_stays_if_that_is_wanted() {
    let (from, to) = (filled(), Memory::new());
    block_on(to.put("a", Payload::from(bytes::Bytes::from_static(b"mine")), &Put::default())).unwrap();
    let never = || options().overwrite(Overwrite::Never);
    let (report, _) = run(Location::store(store(&from), ""), Location::store(store(&to), ""), never());
    assert_eq!((report.counts.done, report.counts.skipped_existing), (5, 1));
    assert_eq!(to.content("a").unwrap(), "mine");
    let (report, _) = run(Location::store(store(&from), ""), Location::store(store(&to), ""), never());
    assert_eq!((report.counts.done, report.counts.skipped_existing), (0, 6));
}

#[test]
fn what_somebody_else_makes_meanwhile_stays_and_no_pieces_are_left() {
    let (from, to) = (filled(), Memory::new());
    let (target, held) = faulty(&to, vec![Rule::on(Call::Commit, When::Nth(1), Fault::Hold(1))]);
    let writer = std::thread::spawn({
        let to = to.clone();
        move || {
            while held.waiting(1) == 0 {
                std::thread::yield_now();
            }
            let payload = Payload::from(bytes::Bytes::from_static(b"theirs"));
            block_on(to.put("large", payload, &Put::default())).unwrap();
            held.open(1);
        }
    });
    let never = options().overwrite(Overwrite::Never);
    let (report, failed) = run(Location::store(store(&from), "large"), Location::store(target, ""), never);
    writer.join().unwrap();
    assert_eq!((report.counts.skipped_existing, report.counts.failed), (1, 0), "{failed:?}");
    assert_eq!(to.content("large").unwrap(), "theirs");
    assert_eq!(to.uncommitted_bytes(), 0);
}

#[test]
fn a_source_that_changes_is_copied_in_one_of_its_states() {
    // The second range waits; meanwhile the object is written anew.
    let (from, to) = (filled(), Memory::new());
    let rules = vec![Rule::on(Call::Read, When::Nth(2), Fault::Hold(1)).of_key("large")];
    let (source, held) = faulty(&from, rules);
    let changed: Vec<u8> = bytes(5 * PIECE + 7).iter().map(|byte| !byte).collect();
    let theirs = (held, from, changed.clone());
    let writer = std::thread::spawn(move || {
        let (held, from, changed) = theirs;
        while held.waiting(1) == 0 {
            std::thread::yield_now();
        }
        let payload = Payload::from(bytes::Bytes::from(changed));
        block_on(from.put("large", payload, &Put::default())).unwrap();
        held.open(1);
    });
    let (report, failed) =
        run(Location::store(source, "large"), Location::store(store(&to), ""), options().retry_failed(1));
    writer.join().unwrap();
    assert_eq!((report.counts.done, report.counts.failed), (1, 0), "{failed:?}");
    assert_eq!((to.content("large").unwrap().to_vec(), to.uncommitted_bytes()), (changed, 0));
}

#[test]
fn a_job_that_was_stopped_goes_on_with_the_pieces_that_are_there() {
    for to_blobs in [false, true] {
        let (from, to, bench) = (Memory::new(), Memory::new(), Bench::new());
        let large = bytes(20 * PIECE + 1);
        let payload = Payload::from(bytes::Bytes::from(large.clone()));
        block_on(from.put("large", payload, &Put::default())).unwrap();
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let one_lane = || options().limits(Limits::here().lanes(1).concurrency(2));
        let target = || match to_blobs {
            true => container(&bench, ""),
            false => Location::store(store(&to), ""),
        };
        // Some pieces are read, and the next ones wait until the job is stopped.
        let (source, held) = faulty(&from, both_held(8));
        let relay =
            |source| Job::relay(Location::store(source, ""), target()).recursive(true).options(one_lane());
        let job = relay(source).journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        let stop = StopHandle::new();
        let theirs = (stop.clone(), held.clone());
        let stopper = std::thread::spawn(move || {
            while theirs.1.waiting(1) < 2 {
                std::thread::yield_now();
            }
            theirs.0.stop();
            theirs.1.open(1);
        });
        let report = job.run(&stop, |_| {});
        stopper.join().unwrap();
        assert!(report.interrupted && to.keys().is_empty() && blobs(&bench).is_empty());
        let (source, read) = faulty(&from, Vec::new());
        let report = relay(source).resume(jobs(), id).build().unwrap().run(&StopHandle::new(), |_| {});
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1));
        let came =
            if to_blobs { blobs(&bench)["large"].clone() } else { to.content("large").unwrap().to_vec() };
        assert!(came == large);
        // What was there was not read again.
        let again = read.calls(Call::Read);
        assert!((1..=14).contains(&again), "{again} of 21 pieces were read again");
        assert_eq!(to.uncommitted_bytes(), 0);
    }
}

#[test]
fn streams_go_to_any_store_and_come_from_it() {
    for len in [0, 10, PIECE, 3 * PIECE + 5] {
        for memory in [Memory::new(), Memory::in_order()] {
            let input = std::io::Cursor::new(bytes(len));
            let job =
                Job::stream_to_store(input, store(&memory), "in/it").options(options()).build().unwrap();
            let report = job.run(&StopHandle::new(), |_| {});
            assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1));
            assert!(memory.content("in/it").unwrap() == bytes(len), "{len}");
            let out = Sink::default();
            let job = Job::stream_from_store(store(&memory), "in/it", out.clone()).options(options());
            let report = job.build().unwrap().run(&StopHandle::new(), |_| {});
            assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1));
            assert!(*out.0.lock().unwrap() == bytes(len), "{len}");
        }
    }
    // A stream that breaks off leaves nothing.
    let memory = Memory::new();
    let input = std::io::Read::chain(std::io::Cursor::new(bytes(3 * PIECE)), Broken);
    let job = Job::stream_to_store(input, store(&memory), "it").options(options()).build().unwrap();
    let report = job.run(&StopHandle::new(), |_| {});
    assert_eq!((report.counts.failed, memory.keys().len(), memory.uncommitted_bytes()), (1, 0, 0));
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Broken;

impl std::io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("it broke"))
    }
}
