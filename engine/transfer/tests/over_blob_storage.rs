//! Whole jobs over Blob storage as a store (`BlobStore`), which fails in every way that a store can: what arrives is
//! right to the byte, whatever was refused, lost, damaged or cut, and whenever the job was stopped and went on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use azsim::{Faults, NameMatch};
use azuring_azure::{BlobClient, BlobProperties, BlobStore, Credential, Target};
use azuring_link::{HttpChoice, LinkSettings, Links};
use azuring_transfer::store::faulty::{Call, Fault, Faulty, Plan, Rule, When};
use azuring_transfer::store::{CustomStore, ErrorKind};
use azuring_transfer::{
    BlockRules, DEVSTORE_ACCOUNT, Event, Job, JobBuilder, JobId, JobOptions, Jobs, Limits, Report,
    RetryPolicy, StopHandle,
};
use kit::{Bench, bytes, files};

const PIECE: usize = 64 << 10;

fn options() -> JobOptions {
    let blocks = BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64));
    let pauses = RetryPolicy::default().max_tries(40).first_pause(Duration::from_millis(1));
    JobOptions::default()
        .blocks(blocks)
        .limits(Limits::here().lanes(2).concurrency(4))
        .retry(pauses.max_pause(Duration::from_millis(4)))
}

/// Small files, empty ones, two in pieces, and names that a store has to keep as they are.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let long = ["large", "d/larger"].map(|name| (name, 30 * PIECE + 7));
    let small = [("a", 10), ("a-b", 0), ("a.b", 1), ("d/a b+c%2F", PIECE - 1), ("d/\u{e4}\u{1F600}", 5)];
    for (name, len) in small.into_iter().chain(long) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes(len)).unwrap();
    }
    files(root)
}

/// The container as each lane opens it, with these faults.
fn store(bench: &Bench, rules: Vec<Rule>) -> CustomStore {
    let url = bench.url("");
    CustomStore::opened_by("blob:cont", move || {
        let credential = Credential::find(&url, |_| None).unwrap();
        let target = Target::new(url.clone(), credential, &BlobProperties::default()).unwrap();
        let settings = LinkSettings::default().http(HttpChoice::Http1);
        let links = Links::new(target.url().endpoint(), settings);
        let store = BlobStore::new(BlobClient::new(Rc::new(target), links));
        Faulty::new(store, Plan { seed: 7, rules: rules.clone() })
    })
}

/// Every second call of the methods that move something has one of these faults: first the one, then the other.
fn rules(faults: &[Fault]) -> Vec<Rule> {
    let calls = [Call::List, Call::Read, Call::Put, Call::Begin, Call::Piece, Call::Commit, Call::Remove];
    let rule = |(n, fault): (usize, &Fault)| {
        let every = if n == 0 { When::First(1) } else { When::Every(n as u64 + 1) };
        calls.map(|call| Rule::on(call, every, fault.clone()))
    };
    faults.iter().enumerate().flat_map(rule).collect()
}

/// What goes wrong, by its name.
fn plans() -> [(&'static str, Vec<Rule>); 5] {
    let throttled = || Fault::throttle(Some(Duration::from_millis(1)));
    let broken = || Fault::of(ErrorKind::Broken);
    let cut = |told| Fault::Cut { after: 3, told };
    [
        ("throttled", rules(&[throttled(), throttled(), Fault::of(ErrorKind::Unavailable)])),
        ("lost answers", rules(&[Fault::LoseAnswer, Fault::LoseAnswer])),
        ("damaged bytes", rules(&[Fault::Damage(0), Fault::Damage(u64::MAX), Fault::Damage(2)])),
        ("cut bodies", rules(&[cut(true), cut(false), cut(true)])),
        ("all of it", rules(&[broken(), Fault::LoseAnswer, Fault::Damage(1), cut(false), throttled()])),
    ]
}

/// Runs a job that is stopped after some requests, a few more each time, and goes on until nothing is left. Returns how
/// often it ran.
fn in_steps(bench: &Bench, jobs: &Jobs, build: impl Fn() -> JobBuilder) -> (u32, Report) {
    let held = || bench.server.stats().faults.get("hold").copied().unwrap_or(0);
    let mut id: Option<JobId> = None;
    for run in 1.. {
        let job = match id {
            None => build().journal(jobs.clone(), b"it".to_vec()),
            Some(id) => build().resume(jobs.clone(), id),
        };
        let job = job.build().unwrap();
        id = Some(job.plan().id.parse().unwrap());
        let (name, fault) = (NameMatch::Contains(String::new()), azsim::Fault::Hold);
        let hold =
            azsim::Rule { name, operation: None, fault, skip: 20 + 5 * u64::from(run), count: u64::MAX };
        let before = held();
        bench.server.set_faults(Faults { rules: vec![hold], ..Faults::default() });
        let (stop, mut failed) = (StopHandle::new(), Vec::new());
        let report = std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                job.run(&stop, |event| {
                    if let Event::Failed(failure) = event {
                        failed.push(failure);
                    }
                })
            });
            while held() == before && !running.is_finished() {
                std::thread::yield_now();
            }
            stop.stop();
            bench.server.set_faults(Faults::default());
            running.join().unwrap()
        });
        // When a job stops, nothing is tried once more.
        assert!(failed.is_empty() || report.interrupted, "{failed:#?}");
        assert!(report.fatal.is_none(), "{:?}", report.fatal);
        if !report.interrupted {
            return (run, report);
        }
        assert!(run < 60, "{:?} {failed:#?}", report.counts);
    }
    unreachable!("it ends or fails")
}

#[test]
fn every_byte_arrives_whatever_goes_wrong_and_whenever_the_job_is_stopped() {
    for (what, rules) in plans() {
        let bench = Bench::new();
        let source = bench.dir.path().join("tree");
        let want = tree(&source);
        let jobs = Jobs::new(&bench.dir.path().join("jobs"));
        let upload = || {
            let job = Job::upload_to_store(source.join("*"), store(&bench, rules.clone()), "");
            job.recursive(true).options(options())
        };
        let (runs, report) = in_steps(&bench, &jobs, upload);
        assert_eq!((report.counts.done, report.counts.failed), (7, 0), "{what}");
        assert!(runs > 2, "{what}: it was stopped too seldom: {runs}");
        let there: BTreeMap<String, Vec<u8>> = (bench.server.blobs(DEVSTORE_ACCOUNT, "cont").into_iter())
            .map(|blob| {
                let content = bench.server.content(DEVSTORE_ACCOUNT, "cont", &blob.name).unwrap();
                (blob.name, content.to_vec())
            })
            .collect();
        assert!(there.keys().eq(want.keys()), "{what}: {:?}", there.keys());
        assert!(there == want, "{what}: bytes differ");

        let to = bench.dir.path().join("to");
        std::fs::create_dir(&to).unwrap();
        let download = || {
            let job = Job::download_from_store(store(&bench, rules.clone()), "", &to);
            job.recursive(true).as_subdir(false).options(options())
        };
        let (runs, report) = in_steps(&bench, &jobs, download);
        assert_eq!((report.counts.done, report.counts.failed), (7, 0), "{what}");
        assert!(runs > 2, "{what}: it was stopped too seldom: {runs}");
        let there = files(&to);
        assert!(there.keys().eq(want.keys()), "{what}: {:?}", there.keys());
        assert!(there == want, "{what}: bytes differ");

        let remove =
            Job::remove_from_store(store(&bench, rules.clone()), "").recursive(true).options(options());
        let report = remove.build().unwrap().run(&StopHandle::new(), |_| {});
        assert_eq!((report.counts.done, report.counts.failed), (7, 0), "{what}");
        assert!(bench.server.blobs(DEVSTORE_ACCOUNT, "cont").is_empty(), "{what}");
    }
}

/// What is there of a large object is found by the number of its transfer, which stays the same.
#[test]
fn a_job_of_which_only_a_large_object_is_left_takes_up_its_ranges() {
    let bench = Bench::new();
    let source = bench.dir.path().join("tree");
    let want = tree(&source);
    bench.upload(&source);
    let (jobs, to) = (Jobs::new(&bench.dir.path().join("jobs")), bench.dir.path().join("to"));
    std::fs::create_dir(&to).unwrap();
    let url = bench.url("");
    let download = |pause| {
        let credential = Credential::find(&url, |_| None).unwrap();
        let job = Job::download(url.clone(), credential, &to).recursive(true).as_subdir(false);
        let mut options = options();
        (options.retry.first_pause, options.retry.max_pause) = (pause, pause);
        job.options(options)
    };
    // One large object is done in the first run and one is not, nor in the second.
    let mut id: Option<JobId> = None;
    let lost = || bench.server.stats().faults.get("reset").copied().unwrap_or(0);
    let mut got = Vec::new();
    // One of its ranges is lost and not asked for again until the job is stopped; the others come.
    for (passed, pause) in [(10, 3600), (0, 3600), (u64::MAX, 1)] {
        let pause = Duration::from_secs(pause);
        let job = match id {
            None => download(pause).journal(jobs.clone(), b"it".to_vec()),
            Some(id) => download(pause).resume(jobs.clone(), id),
        };
        let job = job.build().unwrap();
        id = Some(job.plan().id.parse().unwrap());
        let (name, fault) = (NameMatch::Exact("large".to_owned()), azsim::Fault::Reset);
        let lose = azsim::Rule { name, operation: None, fault, skip: passed, count: 1 };
        let (before, read) = (lost(), bench.server.stats().bytes_out);
        bench.server.set_faults(Faults { rules: vec![lose], ..Faults::default() });
        let stop = StopHandle::new();
        let progress = job.progress();
        let report = std::thread::scope(|scope| {
            let running = scope.spawn(|| job.run(&stop, |_| {}));
            // Everything else is done.
            while !running.is_finished() && (lost() == before || progress.view().done < 6) {
                std::thread::yield_now();
            }
            stop.stop();
            bench.server.set_faults(Faults::default());
            running.join().unwrap()
        });
        got.push(bench.server.stats().bytes_out - read);
        assert_eq!(report.interrupted, passed != u64::MAX);
    }
    assert!(files(&to) == want, "names or bytes differ: {:?}", files(&to).keys());
    // Beside the listings, and what was in flight when the job was stopped.
    let (read, all): (u64, usize) = (got.iter().sum(), want.values().map(Vec::len).sum());
    assert!(read < (all + 9 * PIECE) as u64, "what was there was read again: {got:?} of {all}");
}
