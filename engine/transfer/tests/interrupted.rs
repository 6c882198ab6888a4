//! What becomes of large objects when the job is stopped half-way.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use azuring_transfer::{
    BlobTypeChoice, BlockRules, Credential, DEVSTORE_ACCOUNT, Event, FailureKind, Job, JobBuilder,
    JobOptions, Limits, Report, StopHandle,
};
use kit::{Bench, bytes, files};

const PIECE: usize = 100 << 10;

/// Requests are so rare that most pieces are left when the first is there.
fn options(blob_type: BlobTypeChoice) -> JobOptions {
    JobOptions {
        blob_type,
        blocks: BlockRules { block_size: Some(PIECE as u64), put_blob_size: None },
        cap_requests_per_second: Some(4.0),
        limits: Limits { lanes: 2, ..Limits::here() },
        ..JobOptions::default()
    }
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
