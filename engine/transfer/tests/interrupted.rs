//! What becomes of large objects, and of listings, when the job is stopped half-way.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(unused_imports, reason = "this file uses a part of it")]
#[path = "../../../tests/src/hostile/mod.rs"]
mod hostile;
mod kit;

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Duration;

use azuring_transfer::{
    BlobTypeChoice, BlobUrl, BlockRules, Credential, DEVSTORE_ACCOUNT, Event, FailureKind, Job, JobBuilder,
    JobOptions, Limits, ListOptions, Report, RetryPolicy, StopHandle, list,
};
use hostile::{Answer, Gate, Hostile, Rule};
use kit::{Bench, bytes, files};

const PIECE: usize = 100 << 10;

/// Requests are so rare that most pieces are left when the first is there.
fn options(blob_type: BlobTypeChoice) -> JobOptions {
    JobOptions::default()
        .blob_type(blob_type)
        .blocks(BlockRules::default().block_size(Some(PIECE as u64)))
        .cap_requests_per_second(Some(4.0))
        .limits(Limits::here().lanes(2))
}

/// Runs the job and stops it when it has moved something.
fn run(job: JobBuilder) -> (Report, Vec<Event>) {
    let job = job.build().unwrap();
    let (stop, progress) = (StopHandle::new(), job.progress());
    let watcher = std::thread::spawn({
        let stop = stop.clone();
        move || {
            while progress.view().bytes == 0 {
                std::thread::yield_now();
            }
            stop.stop();
        }
    });
    let mut events = Vec::new();
    let report = job.run(&stop, |event| events.push(event));
    watcher.join().unwrap();
    (report, events)
}

fn assert_failed((report, events): &(Report, Vec<Event>)) {
    assert!(report.interrupted, "{report:?}");
    assert_eq!((report.counts.done, report.counts.failed), (0, 1), "{events:?}");
    assert_eq!(report.kinds, [FailureKind::Interrupted]);
    assert!(events.iter().any(|event| matches!(event, Event::Failed(failure) if failure.object == "large")));
}

#[test]
fn a_large_file_that_is_half_sent_has_failed_and_leaves_nothing() {
    for blob_type in [BlobTypeChoice::Block, BlobTypeChoice::Page, BlobTypeChoice::Append] {
        let bench = Bench::new();
        std::fs::write(bench.dir.path().join("large"), bytes(40 * PIECE)).unwrap();
        let url = bench.url("");
        let credential = Credential::find(&url, |_| None).unwrap();
        let job = Job::upload(bench.dir.path().join("*"), url, credential).options(options(blob_type));
        assert_failed(&run(job));
        assert_eq!(bench.server.blobs(DEVSTORE_ACCOUNT, "cont"), [], "{blob_type:?}");
    }
}

#[test]
fn a_large_blob_that_is_half_read_has_failed_and_leaves_nothing() {
    let bench = Bench::new();
    let from = tempfile::tempdir().unwrap();
    std::fs::write(from.path().join("large"), bytes(40 * PIECE)).unwrap();
    bench.upload(from.path());
    let url = bench.url("/large");
    let credential = Credential::find(&url, |_| None).unwrap();
    let job = Job::download(url, credential, bench.dir.path().join("x"));
    assert_failed(&run(job.options(options(BlobTypeChoice::Detect))));
    assert!(files(bench.dir.path()).is_empty());
}

/// Runs `work`, which is to be stopped in the middle of a page, half of which has come: the other half never does, and
/// nobody cuts the job short. So it ends at once or not at all.
fn ends_in_the_middle_of_a_page(work: impl FnOnce(&BlobUrl, JobOptions, &StopHandle) + Send + 'static) {
    let (bench, gate) = (Bench::new(), Gate::new());
    let blob = "<Blob><Name>x</Name><Properties><Content-Length>7</Content-Length></Properties></Blob>";
    let page =
        format!("<?xml version=\"1.0\"?><EnumerationResults><Blobs>{blob}</Blobs></EnumerationResults>");
    let half = Answer::of_service(200).body(&*page).ahead(page.len() / 2).gated(&gate, false);
    let rules = vec![Rule::on("GET", "").query("comp=list").answer(half)];
    let hostile = Hostile::before(bench.server.addr(), rules);
    let url = hostile.via(&format!("{}/cont", bench.server.url(DEVSTORE_ACCOUNT)));
    let url = BlobUrl::parse(&url).unwrap();
    let retry = RetryPolicy::default().stall(Duration::from_secs(3600));
    let options = JobOptions::default().retry(retry);
    let (stop, (ended, end)) = (StopHandle::new(), mpsc::channel());
    let theirs = stop.clone();
    let working = std::thread::spawn(move || {
        work(&url, options, &theirs);
        ended.send(()).unwrap();
    });
    gate.wait_for_somebody();
    stop.stop();
    let waited = end.recv_timeout(Duration::from_secs(180));
    // It panicked, which is told below.
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "the listing is waited for");
    working.join().unwrap();
}

#[test]
fn a_listing_is_given_up_at_once_wherever_it_stands() {
    let ends = |job: JobBuilder, options, stop: &StopHandle| {
        let report = job.recursive(true).options(options).build().unwrap().run(stop, |_| {});
        assert!(report.interrupted && report.fatal.is_none(), "{report:?}");
        assert_eq!((report.counts.found, report.counts.problems), (0, 0));
    };
    let who = |url: &BlobUrl| Credential::find(url, |_| None).unwrap();
    ends_in_the_middle_of_a_page(move |url, options, stop| {
        let to = tempfile::tempdir().unwrap();
        ends(Job::download(url.clone(), who(url), to.path()), options, stop);
    });
    ends_in_the_middle_of_a_page(move |url, options, stop| {
        ends(Job::remove(url.clone(), who(url)), options, stop);
    });
    ends_in_the_middle_of_a_page(move |url, engine, stop| {
        let options = ListOptions::default().engine(engine);
        let error = list(url, &who(url), &options, stop, |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Interrupted);
    });
}
