//! Threads that sum up large objects. One test: it counts the threads of its process.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::sync::atomic::{AtomicBool, Ordering};

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_transfer::{
    BlockRules, Credential, DEVSTORE_ACCOUNT, Job, JobBuilder, JobOptions, Limits, Report, StopHandle,
};
use kit::{Bench, bytes, files};

const FILES: u64 = 40;
const PIECE: usize = 100 << 10;

fn options(lanes: usize) -> JobOptions {
    JobOptions::default()
        .put_md5(true)
        .blocks(BlockRules::default().block_size(Some(PIECE as u64)))
        .limits(Limits::here().lanes(lanes))
}

fn summing() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "in-order").count()
}

/// Holds these requests.
fn held(operation: Operation) -> Faults {
    let name = NameMatch::Contains(String::new());
    let rule = Rule { name, operation: Some(operation), fault: Fault::Hold, skip: 0, count: u64::MAX };
    Faults { rules: vec![rule], ..Faults::default() }
}

/// Runs the job, which is held until several threads sum; returns the most of them at a time.
fn run(bench: &Bench, job: JobBuilder) -> (Report, usize) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let most = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::SeqCst) {
                let before = most;
                most = most.max(summing());
                if before < 2 && most >= 2 {
                    bench.server.set_faults(Faults::default());
                }
                std::thread::yield_now();
            }
            most
        });
        let report = job.build().unwrap().run(&StopHandle::new(), |_| {});
        ended.store(true, Ordering::SeqCst);
        (report, most.join().unwrap())
    })
}

#[test]
fn few_large_objects_of_a_lane_are_summed_up_at_a_time() {
    let bench = Bench::new();
    let from = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        std::fs::write(from.path().join(n.to_string()), bytes(3 * PIECE)).unwrap();
    }
    let url = bench.url("");
    let credential = || Credential::find(&url, |_| None).unwrap();
    let upload =
        |lanes| Job::upload(from.path().join("*"), url.clone(), credential()).options(options(lanes));
    bench.server.set_faults(held(Operation::PutBlock));
    let (report, most) = run(&bench, upload(1));
    assert_eq!(report.counts.done, FILES);
    // Eight at a time; a thread that has given its turn back may still be seen.
    assert!((2..=16).contains(&most), "{most}");

    let download =
        Job::download(url.clone(), credential(), bench.dir.path()).recursive(true).as_subdir(false);
    bench.server.set_faults(held(Operation::GetBlob));
    let (report, most) = run(&bench, download.options(options(1)));
    assert_eq!(report.counts.done, FILES);
    assert!((2..=16).contains(&most), "{most}");
    assert_eq!(files(bench.dir.path()), files(from.path()));

    // What fails gives its turn back, though other lanes were asked for help with it.
    let refused = Rule {
        name: NameMatch::Contains(String::new()),
        operation: Some(Operation::PutBlock),
        fault: Fault::error(409, "LeaseIdMissing"),
        skip: 0,
        count: u64::MAX,
    };
    bench.server.set_faults(Faults { rules: vec![refused], ..Faults::default() });
    let report = upload(2).build().unwrap().run(&StopHandle::new(), |_| {});
    assert_eq!((report.counts.done, report.counts.failed), (0, FILES));
    assert_eq!(bench.server.blobs(DEVSTORE_ACCOUNT, "cont").len() as u64, FILES);
}
