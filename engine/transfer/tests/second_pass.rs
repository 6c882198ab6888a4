//! What failed and is tried again when everything else is done.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_transfer::{
    BlobTypeChoice, BlockRules, Credential, DEVSTORE_ACCOUNT, Event, Job, JobBuilder, JobOptions, Limits,
    ListOfFiles, Overwrite, Report, RetryPolicy, StopHandle,
};
use kit::{Bench, bytes, files};

const PIECE: usize = 100 << 10;

/// Two attempts at a time.
fn options() -> JobOptions {
    JobOptions::default()
        .blocks(BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64)))
        .limits(Limits::here().lanes(2))
        .retry(RetryPolicy::default().max_tries(2).first_pause(Duration::from_millis(1)))
        .retry_failed(1)
}

fn rule(name: &str, operation: Operation, fault: Fault, skip: u64, count: u64) -> Rule {
    Rule { name: NameMatch::Contains(name.to_owned()), operation: Some(operation), fault, skip, count }
}

fn run(job: JobBuilder) -> (Report, Vec<Event>) {
    let mut events = Vec::new();
    let report = job.build().unwrap().run(&StopHandle::new(), |event| events.push(event));
    (report, events)
}

fn upload(bench: &Bench, options: JobOptions) -> (Report, Vec<Event>) {
    let url = bench.url("");
    let credential = Credential::find(&url, |_| None).unwrap();
    run(Job::upload(bench.dir.path().join("*"), url, credential).options(options))
}

#[test]
fn what_the_network_has_lost_is_done_and_counted_once() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        std::fs::write(bench.dir.path().join(name), name).unwrap();
    }
    let rules = vec![rule("b", Operation::PutBlob, Fault::Reset, 0, 2)];
    bench.server.set_faults(Faults { rules, ..Faults::default() });
    let (report, events) = upload(&bench, options());
    assert_eq!((report.counts.found, report.counts.done, report.counts.failed), (3, 3, 0), "{events:?}");
    assert!(report.kinds.is_empty());
    assert!(!events.iter().any(|event| matches!(event, Event::Failed(_))));
    // Once more fails for good, and says so once.
    let rules = vec![rule("b", Operation::PutBlob, Fault::Reset, 0, 4)];
    bench.server.set_faults(Faults { rules, ..Faults::default() });
    let (report, events) = upload(&bench, options());
    assert_eq!((report.counts.done, report.counts.failed), (2, 1));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Failed(_))).count(), 1);
}

#[test]
fn a_blob_that_an_attempt_has_made_is_known_again() {
    // As the service does: it knows the MD5 of what comes in one request.
    let bench = Bench::with(|server| server.always_md5(true));
    // One that the service accepts: the job has achieved something.
    for name in ["a", "other"] {
        std::fs::write(bench.dir.path().join(name), "content").unwrap();
    }
    let rules = vec![rule("a", Operation::PutBlob, Fault::CutHeaders, 0, 2)];
    bench.server.set_faults(Faults { rules, ..Faults::default() });
    let (report, _) = upload(&bench, options().overwrite(Overwrite::Never));
    assert_eq!((report.counts.done, report.counts.skipped_existing), (2, 0), "{:?}", report.counts);
}

#[test]
fn a_blob_that_is_visible_and_half_written_is_written_again_whatever_may_be_overwritten() {
    for blob_type in [BlobTypeChoice::Page, BlobTypeChoice::Append] {
        let bench = Bench::new();
        std::fs::write(bench.dir.path().join("big"), bytes(5 * PIECE)).unwrap();
        let piece =
            if blob_type == BlobTypeChoice::Page { Operation::PutPage } else { Operation::AppendBlock };
        let rules = vec![
            rule("big", piece, Fault::Reset, 1, 2),
            rule("big", Operation::DeleteBlob, Fault::Reset, 0, 2),
        ];
        bench.server.set_faults(Faults { rules, ..Faults::default() });
        let (report, _) = upload(&bench, options().blob_type(blob_type).overwrite(Overwrite::Never));
        assert_eq!((report.counts.done, report.counts.skipped_existing), (1, 0), "{:?}", report.counts);
        let there = bench.server.content(DEVSTORE_ACCOUNT, "cont", "big").unwrap();
        assert!(there == bytes(5 * PIECE), "{blob_type:?}");
    }
}

#[test]
fn a_listing_that_failed_in_its_middle_goes_on_there() {
    let bench = Bench::new();
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("dir")).unwrap();
    for n in 0..5_500 {
        std::fs::write(tree.path().join(format!("dir/{n:04}")), "x").unwrap();
    }
    bench.upload(tree.path());
    let list = bench.dir.path().join("list");
    std::fs::write(&list, "dir\n").unwrap();
    let rules = vec![rule("cont", Operation::ListBlobs, Fault::error(503, "ServerBusy"), 1, 2)];
    bench.server.set_faults(Faults { rules, ..Faults::default() });
    let url = bench.url("/*");
    let credential = Credential::find(&url, |_| None).unwrap();
    let to = bench.dir.path().join("to");
    let job = Job::download(url, credential, &to).recursive(true).options(options());
    let (report, events) = run(job.list_of_files(ListOfFiles::File(list)));
    assert_eq!(
        (report.counts.found, report.counts.done, report.counts.failed),
        (5_500, 5_500, 0),
        "{events:?}"
    );
    assert_eq!(files(&to).len(), 5_500);
}
