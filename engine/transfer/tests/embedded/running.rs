//! [`Running`]: events as they come, the end as a future, and what it means to drop either.

use std::time::Duration;

use azsim::{Faults, Operation};
use azuring_transfer::{DEVSTORE_ACCOUNT, Event, Job, JobId, JobOptions, Jobs, Limits, Running, StopHandle};

use crate::kit::{Bench, text};
use crate::{held, hold_uploads, plant_files, upload, wait_until};

/// In a task of a runtime of several threads.
fn in_a_task<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move { tokio::spawn(task).await.unwrap() })
}

async fn done(running: &mut Running) -> usize {
    let mut done = 0;
    while let Some(event) = running.next_event().await {
        done += usize::from(matches!(event, Event::Done(_)));
    }
    done
}

#[test]
fn events_come_one_by_one_and_then_the_outcome() {
    let bench = Bench::new();
    plant_files(&bench, 3000);
    let (all, none) = (upload(&bench).build().unwrap(), upload(&bench).build().unwrap());
    in_a_task(async move {
        let mut running = all.start().unwrap();
        let progress = running.progress();
        assert!(!running.plan().journal);
        assert_eq!(done(&mut running).await, 3000);
        assert_eq!(running.outcome().await.counts.done, 3000);
        assert_eq!(progress.view().done, 3000);
        // Whoever wants no events waits for the outcome alone.
        assert_eq!(none.start().unwrap().outcome().await.counts.done, 3000);
    });
}

#[test]
fn a_job_whose_events_nobody_reads_waits() {
    let bench = Bench::new();
    let names = (0..60_000).map(|n| text(&format!("{n:05}"), ""));
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", names);
    let url = bench.url("");
    let credential = azuring_transfer::Credential::find(&url, |_| None).unwrap();
    let job = Job::remove(url, credential).recursive(true).build().unwrap();
    in_a_task(async move {
        let mut running = job.start().unwrap();
        let progress = running.progress();
        // What may wait comes to some 14,000, and what its lanes have under way.
        while progress.view().done < 10_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Time enough for one that does not wait; it makes nothing fail where the job does.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(progress.view().done < 50_000, "{:?}", progress.view());
        assert_eq!(done(&mut running).await, 60_000);
    });
}

/// A job that has sent ten files and waits for the answers of others.
fn begun(bench: &Bench, jobs: &Jobs) -> (Running, JobId) {
    hold_uploads(bench, 10);
    let limits = Limits::here().concurrency(64);
    let job = upload(bench).options(JobOptions::default().limits(limits));
    let job = job.journal(jobs.clone(), Vec::new()).build().unwrap();
    let id = job.plan().id.parse().unwrap();
    let running = job.start().unwrap();
    wait_until(|| held(bench) > 0 && running.progress().view().done == 10);
    (running, id)
}

/// Goes on with it: nothing is sent that was done.
fn goes_on(bench: &Bench, jobs: &Jobs, id: JobId) {
    let sent = || bench.server.stats().by_operation[&Operation::PutBlob];
    let before = bench.server.blobs(DEVSTORE_ACCOUNT, "cont").len() as u64;
    assert_eq!(sent(), before, "what was in flight was finished");
    let job = upload(bench).resume(jobs.clone(), id).build().unwrap();
    let report = job.run(&StopHandle::new(), |_| {});
    assert_eq!((report.before.done, report.counts.done), (before, 500));
    assert_eq!(sent(), 500);
}

#[test]
fn dropping_it_stops_the_job_and_loses_nothing() {
    let bench = Bench::new();
    plant_files(&bench, 500);
    let jobs = Jobs::new(&bench.dir.path().join("state"));
    let (running, id) = begun(&bench, &jobs);
    let progress = running.progress();
    drop(running);
    bench.server.set_faults(Faults::default());
    wait_until(|| !jobs.is_running(id));
    let view = progress.view();
    assert!(view.done < 500 && view.failed == 0 && view.in_flight == 0, "{view:?}");
    goes_on(&bench, &jobs, id);
}

#[test]
fn a_handle_stops_it_and_the_outcome_says_so() {
    let bench = Bench::new();
    plant_files(&bench, 500);
    let jobs = Jobs::new(&bench.dir.path().join("state"));
    let (mut running, id) = begun(&bench, &jobs);
    running.stop_handle().stop();
    bench.server.set_faults(Faults::default());
    let report = in_a_task(async move {
        let seen = done(&mut running).await;
        let report = running.outcome().await;
        assert_eq!(report.counts.done, seen as u64);
        report
    });
    assert!(report.interrupted && report.counts.done < 500);
    goes_on(&bench, &jobs, id);
}
