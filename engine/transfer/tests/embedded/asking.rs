//! [`Overwrite::Ask`]: only the object in question waits for the answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use azuring_transfer::{Credential, DEVSTORE_ACCOUNT, Event, Job, JobOptions, Limits, Overwrite, StopHandle};

use crate::kit::{Bench, text};
use crate::{plant_files, upload, wait_until};

/// Nobody waits so long where all goes well.
const LONG: Duration = Duration::from_secs(60);

fn options() -> JobOptions {
    let limits = Limits::here().lanes(1);
    JobOptions::default().overwrite(Overwrite::Ask).limits(limits)
}

/// Runs a job of 300 objects, one of which is asked about first and answered when all others are done.
fn answered_last(job: Job) -> u64 {
    let (done, all_done) = mpsc::channel();
    let job = job.asking(move |_| all_done.recv_timeout(LONG).is_ok());
    let mut others = 0;
    let report = job.run(&StopHandle::new(), |event| {
        if matches!(event, Event::Done(_)) {
            others += 1;
            if others == 299 {
                done.send(()).unwrap();
            }
        }
    });
    report.counts.done
}

#[test]
fn while_a_question_is_open_all_other_files_are_uploaded() {
    let bench = Bench::new();
    plant_files(&bench, 300);
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text("00000", "old")]);
    assert_eq!(answered_last(upload(&bench).options(options()).build().unwrap()), 300);
    assert_eq!(&bench.server.content(DEVSTORE_ACCOUNT, "cont", "00000").unwrap()[..], b"file 0");
}

#[test]
fn while_a_question_is_open_all_other_blobs_are_downloaded() {
    let bench = Bench::new();
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", (0..300).map(|n| text(&format!("{n:05}"), "new")));
    std::fs::write(bench.dir.path().join("00000"), "old").unwrap();
    let url = bench.url("/*");
    let credential = Credential::find(&url, |_| None).unwrap();
    let job = Job::download(url, credential, bench.dir.path()).options(options()).build().unwrap();
    assert_eq!(answered_last(job), 300);
    assert_eq!(std::fs::read(bench.dir.path().join("00000")).unwrap(), b"new");
}

#[test]
fn one_question_at_a_time_and_without_an_answerer_everything_stays() {
    let bench = Bench::new();
    plant_files(&bench, 100);
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", (0..100).map(|n| text(&format!("{n:05}"), "old")));
    let job = || upload(&bench).options(options().limits(Limits::here())).build().unwrap();
    let report = job().run(&StopHandle::new(), |_| {});
    assert_eq!((report.counts.done, report.counts.skipped_existing), (0, 100));
    let (open, questions) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let theirs = (Arc::clone(&open), Arc::clone(&questions));
    let asked = job().asking(move |url| {
        assert_eq!(theirs.0.fetch_add(1, Ordering::SeqCst), 0);
        std::thread::yield_now();
        theirs.1.fetch_add(1, Ordering::SeqCst);
        assert_eq!(theirs.0.fetch_sub(1, Ordering::SeqCst), 1);
        url.ends_with('7')
    });
    let report = asked.run(&StopHandle::new(), |_| {});
    assert_eq!((report.counts.done, report.counts.skipped_existing), (10, 90));
    assert_eq!(questions.load(Ordering::SeqCst), 100);
}

#[test]
fn a_job_that_stops_waits_for_no_answer() {
    let bench = Bench::new();
    plant_files(&bench, 2);
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text("00000", "old")]);
    let (never, answer) = mpsc::channel::<bool>();
    let asked = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&asked);
    let job = upload(&bench).options(options()).build().unwrap().asking(move |_| {
        theirs.fetch_add(1, Ordering::SeqCst);
        answer.recv().unwrap_or(true)
    });
    let stop = StopHandle::new();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| job.run(&stop, |_| {}));
        wait_until(|| asked.load(Ordering::SeqCst) == 1);
        stop.stop();
        running.join().unwrap()
    });
    assert!(report.interrupted);
    // It was not done and not left out: when the job goes on, the question comes again.
    assert_eq!((report.counts.skipped_existing, report.counts.failed), (0, 0));
    assert!(report.counts.not_started() >= 1);
    assert_eq!(&bench.server.content(DEVSTORE_ACCOUNT, "cont", "00000").unwrap()[..], b"old");
    drop(never);
}
