//! [`Engine`]: what several jobs use together is never more than it has.

use std::time::Instant;

use azsim::Faults;
use azuring_transfer::{
    Credential, DEVSTORE_ACCOUNT, Engine, EngineLimits, Job, JobOptions, Limits, StopHandle,
};

use crate::kit::{Bench, text};
use crate::{held, hold_uploads, plant_files, upload, wait_until};

const MIB: u64 = 1 << 20;

fn engine(memory: u64, concurrency: usize, jobs: usize) -> EngineLimits {
    EngineLimits::new(Limits::here().memory_bytes(memory * MIB).concurrency(concurrency).lanes(2)).jobs(jobs)
}

#[test]
fn jobs_share_the_requests_in_flight_and_one_alone_has_them_all() {
    let bench = Bench::new();
    plant_files(&bench, 100);
    let engine = Engine::new(engine(512, 8, 3)).unwrap();
    hold_uploads(&bench, 0);
    let job = || upload(&bench).in_engine(&engine).build().unwrap();
    let (first, others) = (job(), [job(), job()]);
    assert_eq!(first.plan().concurrency, 8);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| first.run(&StopHandle::new(), |_| {}));
        wait_until(|| held(&bench) == 8);
        let seen = others.each_ref().map(Job::progress);
        let others = others.map(|job| scope.spawn(|| job.run(&StopHandle::new(), |_| {})));
        wait_until(|| seen.iter().all(|progress| progress.view().scanned));
        bench.server.set_faults(Faults::default());
        for job in others.into_iter().chain([first]) {
            assert_eq!(job.join().unwrap().counts.done, 100);
        }
    });
    assert_eq!(bench.server.stats().in_flight_max, 8);
}

#[test]
fn a_job_for_which_there_is_no_memory_waits_for_its_turn() {
    let bench = Bench::new();
    plant_files(&bench, 3);
    std::fs::write(bench.dir.path().join("tree/large"), vec![7; 10 << 20]).unwrap();
    // Enough for two at a time, whatever each wants.
    let memory = 150;
    let engine = Engine::new(engine(memory, 16, 4)).unwrap();
    hold_uploads(&bench, 0);
    let jobs = [0, 1, 2, 3, 4].map(|n| {
        let url = bench.url(&format!("/{n}/"));
        let credential = Credential::find(&url, |_| None).unwrap();
        let job = Job::upload(bench.dir.path().join("tree/*"), url, credential);
        job.in_engine(&engine).build().unwrap()
    });
    let seen = jobs.each_ref().map(Job::progress);
    std::thread::scope(|scope| {
        let running = jobs.map(|job| scope.spawn(|| job.run(&StopHandle::new(), |_| {})));
        let begun = || seen.iter().filter(|progress| progress.view().found > 0).count();
        wait_until(|| begun() >= 2);
        // Time enough for others; it makes nothing fail where they wait.
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(begun(), 2);
        bench.server.set_faults(Faults::default());
        let mut mapped = running.map(|job| {
            let report = job.join().unwrap();
            assert_eq!(report.counts.done, 4);
            report.pool_bytes
        });
        mapped.sort_unstable();
        assert!(mapped[3] + mapped[4] <= memory * MIB, "{mapped:?}");
    });
}

#[test]
fn a_job_that_is_stopped_while_it_waits_has_begun_nothing() {
    let bench = Bench::new();
    plant_files(&bench, 10);
    let engine = Engine::new(engine(64, 4, 1)).unwrap();
    hold_uploads(&bench, 0);
    let job = || upload(&bench).in_engine(&engine).build().unwrap();
    let (first, second) = (job(), job());
    let (first_stop, second_stop) = (StopHandle::new(), StopHandle::new());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| first.run(&first_stop, |_| {}));
        wait_until(|| held(&bench) == 4);
        let second = scope.spawn(|| second.run(&second_stop, |_| {}));
        second_stop.stop();
        let report = second.join().unwrap();
        assert!(report.interrupted);
        assert_eq!((report.counts.requests, report.pool_bytes), (0, 0));
        bench.server.set_faults(Faults::default());
        assert_eq!(first.join().unwrap().counts.done, 10);
    });
}

#[test]
fn requests_per_second_are_those_of_all_jobs() {
    let bench = Bench::new();
    plant_files(&bench, 30);
    let engine = Engine::new(engine(256, 8, 2).cap_requests_per_second(60.0)).unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for job in [(); 2].map(|()| upload(&bench).in_engine(&engine).build().unwrap()) {
            scope.spawn(|| assert_eq!(job.run(&StopHandle::new(), |_| {}).counts.done, 30));
        }
    });
    // Never sooner, however fast the machine is: the last of sixty.
    assert!(begun.elapsed().as_millis() >= 59 * 1000 / 60 - 40, "{:?}", begun.elapsed());
}

#[test]
fn bytes_per_second_are_those_of_all_jobs_and_a_job_may_have_less() {
    let bench = Bench::new();
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text("large", &"x".repeat(1 << 20))]);
    let engine = Engine::new(engine(256, 8, 2).cap_bytes_per_second(2e6)).unwrap();
    let begun = Instant::now();
    let url = bench.url("/large");
    std::thread::scope(|scope| {
        for cap in [None, Some(1e9)] {
            let credential = Credential::find(&url, |_| None).unwrap();
            let options = JobOptions::default().cap_bytes_per_second(cap);
            let job = Job::download(url.clone(), credential, "/dev/null").options(options);
            let job = job.in_engine(&engine).build().unwrap();
            scope.spawn(move || assert_eq!(job.run(&StopHandle::new(), |_| {}).counts.done, 1));
        }
    });
    assert!(begun.elapsed().as_millis() >= 1000, "{:?}", begun.elapsed());
}
