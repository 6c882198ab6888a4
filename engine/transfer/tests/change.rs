//! Removal and changes of properties through the public API, on a real server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rule, Seed, Server};
use azuring_transfer::{
    BlobUrl, Credential, DEVSTORE_ACCOUNT, DeleteSnapshots, Event, FailureKind, Job, JobBuilder, JobOptions,
    JobStatus, Limits, PropertyChange, Report, RetryPolicy, SkippedKind, StopHandle,
};

struct Bench {
    server: Server,
}

impl Bench {
    fn new(versioning: bool) -> Self {
        let server = Server::builder().threads(1).versioning(versioning).start().unwrap();
        server.create_container(DEVSTORE_ACCOUNT, "cont");
        Self { server }
    }

    fn plant<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        let seed = |name: &str| Seed { name: name.to_owned(), content: vec!["x".into()], ..Seed::default() };
        self.server.plant(DEVSTORE_ACCOUNT, "cont", names.into_iter().map(seed));
    }

    /// Blobs `d/0000` and so on.
    fn plant_many(&self, count: usize) {
        let names: Vec<String> = (0..count).map(|n| format!("d/{n:04}")).collect();
        self.plant(names.iter().map(String::as_str));
    }

    fn names(&self) -> Vec<String> {
        self.server.blobs(DEVSTORE_ACCOUNT, "cont").into_iter().map(|blob| blob.name).collect()
    }

    fn at(&self, path: &str) -> (BlobUrl, Credential) {
        let url = BlobUrl::parse(&format!("{}/cont{path}", self.server.url(DEVSTORE_ACCOUNT))).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        (url, credential)
    }

    fn remove(&self, path: &str) -> JobBuilder {
        let (url, credential) = self.at(path);
        Job::remove(url, credential).recursive(true).options(options())
    }

    fn change(&self, path: &str, change: PropertyChange) -> JobBuilder {
        let (url, credential) = self.at(path);
        Job::set_properties(url, credential, change).recursive(true).options(options())
    }

    fn requests(&self, operation: Operation) -> u64 {
        self.server.stats().by_operation.get(&operation).copied().unwrap_or(0)
    }

    /// Faults for requests of one kind, those in batches included.
    fn strike(&self, name: &str, operation: Operation, fault: Fault, count: u64) {
        let name = NameMatch::Contains(name.to_owned());
        let rules = vec![Rule { name, operation: Some(operation), fault, skip: 0, count }];
        self.server.set_faults(Faults { rules, ..Faults::default() });
    }
}

fn options() -> JobOptions {
    let retry = RetryPolicy::default().first_pause(Duration::from_millis(1)).max_tries(4);
    JobOptions::default().retry(retry).limits(Limits::here().lanes(2))
}

fn run(job: JobBuilder) -> (Report, Vec<Event>) {
    let mut events = Vec::new();
    let report = job.build().unwrap().run(&StopHandle::new(), |event| events.push(event));
    (report, events)
}

fn notices(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Notice(_))).count()
}

#[test]
fn many_blobs_are_removed_with_few_requests() {
    let bench = Bench::new(false);
    bench.plant_many(1000);
    bench.plant(["e"]);
    let (report, events) = run(bench.remove("/d"));
    assert_eq!(
        (report.counts.done, report.counts.failed, report.counts.bytes),
        (1000, 0, 1000),
        "{events:?}"
    );
    assert_eq!(report.status(), JobStatus::Completed);
    assert_eq!(bench.names(), ["e"]);
    // What the URL names, a listing, and a batch for each 256.
    assert_eq!(report.counts.requests, 1 + 1 + 4);
    assert_eq!((bench.requests(Operation::BlobBatch), bench.requests(Operation::DeleteBlob)), (4, 1000));

    // A blob alone is no batch.
    let (report, _) = run(bench.remove("/e"));
    assert_eq!(report.counts.done, 1);
    assert_eq!((bench.requests(Operation::BlobBatch), bench.requests(Operation::DeleteBlob)), (4, 1001));
    assert_eq!(bench.names(), [""; 0]);

    // As with AzCopy, there being nothing to remove is no failure.
    let (report, _) = run(bench.remove("/e"));
    assert!(report.fatal.is_none());
    assert_eq!((report.counts.found, report.status()), (0, JobStatus::Completed));
}

#[test]
fn what_fails_in_a_batch_for_now_is_repeated_and_the_rest_is_not() {
    let bench = Bench::new(false);
    bench.plant_many(300);
    bench.strike("d/00", Operation::DeleteBlob, Fault::error(503, "ServerBusy"), 150);
    let (report, events) = run(bench.remove("/d"));
    assert_eq!((report.counts.done, report.counts.failed), (300, 0), "{events:?}");
    // `d/00..` are a hundred, of which all were struck once and half of them twice.
    assert_eq!(bench.requests(Operation::DeleteBlob), 300 + 150);
    assert_eq!((report.counts.retries, notices(&events)), (150, 0));
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn what_fails_for_good_fails_alone() {
    let bench = Bench::new(false);
    bench.plant_many(10);
    bench.strike("d/0007", Operation::DeleteBlob, Fault::error(409, "LeaseIdMissing"), u64::MAX);
    let (report, events) = run(bench.remove("/d"));
    assert_eq!((report.counts.done, report.counts.failed), (9, 1), "{events:?}");
    let failures: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Failed(failure) => {
                Some((failure.object.as_str(), failure.code.as_deref().unwrap(), failure.tries))
            }
            _ => None,
        })
        .collect();
    assert_eq!(failures, [("0007", "LeaseIdMissing", 1)]);
    assert_eq!(bench.names(), ["d/0007"]);
    // A service that stays at its limit: as many attempts as the policy gives, and no more.
    let struck = bench.requests(Operation::DeleteBlob);
    bench.plant(["d/8"]);
    bench.strike("d/0007", Operation::DeleteBlob, Fault::error(503, "ServerBusy"), u64::MAX);
    let (report, _) = run(bench.remove("/d"));
    assert_eq!((report.counts.done, report.counts.failed), (1, 1));
    assert_eq!(report.kinds, [FailureKind::Throttled]);
    assert_eq!(bench.requests(Operation::DeleteBlob) - struck, 1 + 4);
}

#[test]
fn an_answer_that_is_lost_does_not_make_a_removal_fail() {
    let bench = Bench::new(false);
    bench.plant_many(20);
    bench.strike("", Operation::BlobBatch, Fault::CutBody, 1);
    let (report, events) = run(bench.remove("/d"));
    // All were gone at the second attempt.
    assert_eq!((report.counts.done, report.counts.failed, report.counts.retries), (20, 0, 1), "{events:?}");
    assert_eq!(bench.server.stats().errors["BlobNotFound"], 20 + 1);
}

#[test]
fn without_batches_each_blob_has_its_request() {
    let refusals = [
        Fault::error(501, "APINotImplemented"),
        Fault::error(400, "InvalidQueryParameterValue"),
        Fault::error(405, ""),
        Fault::error(403, "AuthorizationPermissionMismatch"),
    ];
    for refusal in refusals {
        let bench = Bench::new(false);
        bench.plant_many(700);
        bench.strike("", Operation::BlobBatch, refusal.clone(), u64::MAX);
        let (report, events) = run(bench.remove("/d"));
        assert_eq!((report.counts.done, report.counts.failed), (700, 0), "{refusal:?} {events:?}");
        assert_eq!(bench.requests(Operation::DeleteBlob), 700);
        assert_eq!((bench.names().len(), notices(&events)), (0, 1), "{refusal:?}");
    }
}

#[test]
fn a_container_that_is_not_there_is_told_and_not_retried() {
    let bench = Bench::new(false);
    let url = BlobUrl::parse(&format!("{}/none", bench.server.url(DEVSTORE_ACCOUNT))).unwrap();
    let credential = Credential::find(&url, |_| None).unwrap();
    let (report, _) = run(Job::remove(url, credential).recursive(true).options(options()));
    assert_eq!(report.fatal.unwrap().code.as_deref(), Some("ContainerNotFound"));
}

#[test]
fn blobs_with_snapshots_stay_unless_something_is_said_of_these() {
    let bench = Bench::new(false);
    bench.plant(["d/a", "d/b", "d/c"]);
    for name in ["d/a", "d/b"] {
        assert!(bench.server.snapshot(DEVSTORE_ACCOUNT, "cont", name));
    }
    let (report, events) = run(bench.remove("/d"));
    assert_eq!((report.counts.done, report.counts.skipped_existing), (1, 2));
    assert_eq!(report.status(), JobStatus::CompletedWithSkipped);
    let mut skipped: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Skipped { transfer, kind, .. } => Some((transfer.object.as_str(), *kind)),
            _ => None,
        })
        .collect();
    skipped.sort_by_key(|(object, _)| *object);
    assert_eq!(skipped, [("a", SkippedKind::HasSnapshots), ("b", SkippedKind::HasSnapshots)]);
    assert_eq!(bench.names(), ["d/a", "d/b"]);

    let only = options().delete_snapshots(Some(DeleteSnapshots::Only));
    let (report, _) = run(bench.remove("/d/a").options(only));
    assert_eq!(report.counts.done, 1);
    assert_eq!(bench.server.snapshots(DEVSTORE_ACCOUNT, "cont"), [("d/b".to_owned(), 1)]);
    assert_eq!(bench.names(), ["d/a", "d/b"]);

    let include = options().delete_snapshots(Some(DeleteSnapshots::Include));
    let (report, _) = run(bench.remove("/d").options(include));
    assert_eq!(report.counts.done, 2);
    assert_eq!((bench.names().len(), bench.server.snapshots(DEVSTORE_ACCOUNT, "cont").len()), (0, 0));
}

#[test]
fn names_come_through_batches_as_they_are() {
    let bench = Bench::new(false);
    let names = ["a b", "a%20b", "c+d", "e&f=g?h#i", "j//k", "l/", "m'\"<>", "\u{fc}/\u{1f600}", "n\u{1}o"];
    bench.plant(names);
    let (report, events) = run(bench.remove(""));
    assert_eq!((report.counts.done, report.counts.failed), (names.len() as u64, 0), "{events:?}");
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(bench.server.stats().errors.get("BlobNotFound"), None);
}

#[test]
fn versions_are_removed_by_their_ids_and_nothing_else() {
    let bench = Bench::new(true);
    for _ in 0..4 {
        let set = PropertyChange::default().metadata(Some(vec![("k".to_owned(), "v".to_owned())]));
        if bench.names().is_empty() {
            bench.plant(["a"]);
        }
        let (report, _) = run(bench.change("/a", set));
        assert_eq!(report.counts.done, 1);
    }
    let versions = || {
        let (url, credential) = bench.at("");
        let list = azuring_transfer::ListOptions::default().include_versions(true);
        let mut ids = Vec::new();
        azuring_transfer::list(&url, &credential, &list, &StopHandle::new(), |blob| {
            ids.push((blob.entry.is_current_version, blob.entry.facts.version_id.unwrap().into_string()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        ids
    };
    let before = versions();
    assert_eq!(before.len(), 5);
    let old: Vec<_> = before.iter().filter(|(current, _)| !current).map(|(_, id)| id.clone()).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("versions");
    std::fs::write(&file, old[1..3].join("\n")).unwrap();
    let (report, events) = run(bench.remove("/a").list_of_versions(&file));
    assert_eq!((report.counts.done, report.counts.failed), (2, 0), "{events:?}");
    let left: Vec<_> = before.into_iter().filter(|(_, id)| !old[1..3].contains(id)).collect();
    assert_eq!(versions(), left);
    // Metadata belong to the blob as it is now.
    let change = PropertyChange::default().metadata(Some(Vec::new()));
    let (report, _) = run(bench.change("/a", change).list_of_versions(&file));
    assert_eq!((report.counts.failed, report.kinds), (2, vec![FailureKind::Usage]));
}

#[test]
fn a_list_of_files_is_removed_with_what_is_below_its_directories() {
    let bench = Bench::new(false);
    bench.plant_many(5);
    bench.plant(["d/sub/x", "d/sub/y"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("list");
    std::fs::write(&file, "0001\n0003\nnone\nsub/\n").unwrap();
    let list = azuring_transfer::ListOfFiles::File(file.clone());
    let (report, events) = run(bench.remove("/d").list_of_files(list));
    assert_eq!((report.counts.done, report.counts.failed, report.counts.problems), (4, 1, 0), "{events:?}");
    assert_eq!(bench.names(), ["d/0000", "d/0002", "d/0004"]);
    // Where directories are wanted each line is asked about, many at a time; a listing of each directory, also of the
    // one that is none; a batch.
    assert_eq!(report.counts.requests, 3 + 2 + 1);

    // A directory is found whether or not it says that it is one; without recursion it is none.
    bench.plant(["d/sub/x", "d/sub/y"]);
    std::fs::write(&file, "sub\n0000\n").unwrap();
    let list = || azuring_transfer::ListOfFiles::File(file.clone());
    let (report, _) = run(bench.remove("/d").recursive(false).list_of_files(list()));
    assert_eq!((report.counts.done, report.counts.failed), (1, 1));
    let (report, _) = run(bench.remove("/d").list_of_files(list()));
    assert_eq!((report.counts.done, report.counts.failed), (2, 1));
    assert_eq!(bench.names(), ["d/0002", "d/0004"]);
}

#[test]
fn names_of_a_list_whose_removal_lost_its_answer_were_removed() {
    for (names, lost) in [(&["0001", "0003"][..], Operation::BlobBatch), (&["0001"], Operation::DeleteBlob)] {
        let bench = Bench::new(false);
        bench.plant_many(5);
        bench.plant(["d/sub/x", "d/sub/y"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let list = || azuring_transfer::ListOfFiles::File(file.path().to_owned());
        std::fs::write(file.path(), names.join("\n")).unwrap();
        bench.strike("", lost, Fault::CutHeaders, 1);
        let (report, events) = run(bench.remove("/d").recursive(false).list_of_files(list()));
        assert_eq!((report.counts.done, report.counts.failed), (names.len() as u64, 0), "{events:?}");
        assert_eq!((report.counts.retries, bench.names().len()), (1, 7 - names.len()));

        // What was a directory all the time is not taken for a blob that was removed.
        std::fs::write(file.path(), "sub\n0000").unwrap();
        bench.strike("", lost, Fault::CutHeaders, 1);
        let (report, events) = run(bench.remove("/d").list_of_files(list()));
        assert_eq!((report.counts.done, report.counts.failed), (3, 0), "{events:?}");
        assert!(!bench.names().iter().any(|name| name.starts_with("d/sub") || name == "d/0000"));

        // A service that is busy has removed nothing.
        std::fs::write(file.path(), "none\n0004").unwrap();
        bench.strike("", lost, Fault::error(503, "ServerBusy"), 1);
        let (report, events) = run(bench.remove("/d").recursive(false).list_of_files(list()));
        assert_eq!((report.counts.done, report.counts.failed), (1, 1), "{events:?}");
    }
}

#[test]
fn tier_metadata_and_tags_of_a_blob_are_one_outcome() {
    let pair = |k: &str, v: &str| vec![(k.to_owned(), v.to_owned())];
    let bench = Bench::new(false);
    bench.plant_many(300);
    let tier = PropertyChange::default().tier(Some("Cool".to_owned()));
    let (report, events) = run(bench.change("/d", tier));
    assert_eq!((report.counts.done, report.counts.failed, report.counts.bytes), (300, 0, 0), "{events:?}");
    assert_eq!((bench.requests(Operation::BlobBatch), bench.requests(Operation::SetBlobTier)), (2, 300));

    bench.strike("d/0002", Operation::SetBlobTags, Fault::error(403, "AuthorizationPermissionMismatch"), 9);
    let all = PropertyChange::default()
        .tier(Some("Archive".to_owned()))
        .metadata(Some(pair("m", "1")))
        .tags(Some(pair("t", "2")));
    let (report, events) = run(bench.change("/d", all));
    assert_eq!((report.counts.done, report.counts.failed), (299, 1), "{events:?}");
    for blob in bench.server.blobs(DEVSTORE_ACCOUNT, "cont") {
        let refused = blob.name == "d/0002";
        assert_eq!(blob.metadata, pair("m", "1"), "{}", blob.name);
        assert_eq!(blob.tags, if refused { vec![] } else { pair("t", "2") }, "{}", blob.name);
        assert_eq!(blob.tier, if refused { "Cool" } else { "Archive" }, "{}", blob.name);
    }

    let clear = PropertyChange::default().tags(Some(Vec::new()));
    let (report, _) = run(bench.change("/d/0001", clear));
    assert_eq!((report.counts.done, bench.server.blobs(DEVSTORE_ACCOUNT, "cont")[1].tags.len()), (1, 0));
    let back = PropertyChange::default()
        .tier(Some("Hot".to_owned()))
        .rehydrate_priority(Some(azuring_transfer::RehydratePriority::High));
    let (report, _) = run(bench.change("/d/0001", back));
    assert_eq!(report.counts.done, 1);
    assert_eq!(bench.server.complete_rehydration(DEVSTORE_ACCOUNT, "cont"), 1);
}

#[test]
fn a_stop_leaves_the_rest_as_it_is() {
    let bench = Bench::new(false);
    bench.plant_many(9999);
    let stop = StopHandle::new();
    // The first batches meet a service that is busy; the job is told to stop while they wait for their next attempt.
    bench.strike("d/", Operation::DeleteBlob, Fault::error(503, "ServerBusy"), u64::MAX);
    let mut slow = options();
    slow.retry.first_pause = Duration::from_secs(3600);
    slow.retry.max_pause = Duration::from_secs(3600);
    let job = bench.remove("/d").options(slow).build().unwrap();
    let progress = job.progress();
    let watcher = std::thread::spawn({
        let stop = stop.clone();
        move || {
            while progress.view().retries == 0 {
                std::thread::yield_now();
            }
            stop.stop();
        }
    });
    let report = job.run(&stop, |_| {});
    watcher.join().unwrap();
    assert!(report.interrupted);
    assert!(report.counts.failed > 0 && report.counts.done == 0);
    assert_eq!(report.status(), JobStatus::Cancelled);
    assert_eq!(bench.names().len(), 9999);
}

#[test]
fn the_stub_of_a_listed_directory_goes_with_what_is_below_it() {
    let bench = Bench::new(false);
    bench.plant(["tree/a", "tree/sub/b", "other"]);
    let folder = vec![("hdi_isfolder".to_owned(), "true".to_owned())];
    let stub = azsim::Seed { name: "tree".to_owned(), metadata: folder, ..azsim::Seed::default() };
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [stub.clone()]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("list");
    std::fs::write(&file, "tree\n").unwrap();
    let (report, events) = run(bench.remove("/*").list_of_files(azuring_transfer::ListOfFiles::File(file)));
    assert_eq!((report.counts.failed, bench.names()), (0, vec!["other".to_owned()]), "{events:?}");
    // The same for the source itself.
    bench.plant(["tree/a"]);
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [stub]);
    run(bench.remove("/tree"));
    assert_eq!(bench.names(), ["other"]);
}
