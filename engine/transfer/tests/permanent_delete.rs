//! What soft delete keeps is removed for good, and versions by their ids, through the public API on a real server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::ops::ControlFlow;
use std::path::PathBuf;

use azuring_plan::filter::{Filter, FilterSpec};
use azuring_transfer::{
    Credential, DEVSTORE_ACCOUNT, DeleteSnapshots, Event, Job, JobBuilder, JobOptions, Limits, ListOfFiles,
    ListOptions, PermanentDelete, PropertyChange, Report, RetryPolicy, StopHandle,
};
use kit::{Bench, files, text};

/// Blobs that each have, beside themselves, an earlier version and a snapshot, and of what is deleted a version and two
/// snapshots.
struct Past {
    bench: Bench,
}

const NAMES: [&str; 5] = ["d", "d/a", "d/sub/b", "d2", "e"];

/// Deleted snapshots and versions of each name.
type Kept = Vec<(String, usize, usize)>;

impl Past {
    fn new() -> Self {
        let past = Self { bench: Bench::with(|server| server.versioning(true).soft_delete(7)) };
        let server = &past.bench.server;
        for content in ["1", "2", "now"] {
            server.plant(DEVSTORE_ACCOUNT, "cont", NAMES.map(|name| text(name, content)));
        }
        for name in NAMES {
            let oldest = past.ids(name).remove(0);
            let list = past.file("oldest", &oldest);
            let (report, events) = past.remove(&format!("/{name}"), |job| job.list_of_versions(list));
            assert_eq!((report.counts.done, report.counts.failed), (1, 0), "{events:?}");
            assert!(server.snapshot(DEVSTORE_ACCOUNT, "cont", name));
            assert!(server.snapshot(DEVSTORE_ACCOUNT, "cont", name));
        }
        let only = options().delete_snapshots(Some(DeleteSnapshots::Only));
        let (report, events) = past.remove("", |job| job.options(only));
        assert_eq!((report.counts.done, report.counts.failed), (5, 0), "{events:?}");
        for name in NAMES {
            assert!(server.snapshot(DEVSTORE_ACCOUNT, "cont", name));
        }
        assert_eq!(past.kept(), kept([(2, 1); 5]));
        past
    }

    /// Runs a removal, and sees that of what is not deleted nothing was touched.
    fn permanent(
        &self,
        path: &str,
        what: PermanentDelete,
        set: impl FnOnce(JobBuilder) -> JobBuilder,
    ) -> u64 {
        let options = options().permanent_delete(Some(what));
        let (report, events) = self.remove(path, |job| set(job.options(options)));
        assert_eq!((report.counts.failed, report.counts.problems), (0, 0), "{events:?}");
        assert!(report.fatal.is_none());
        let server = &self.bench.server;
        let names: Vec<_> =
            server.blobs(DEVSTORE_ACCOUNT, "cont").into_iter().map(|blob| blob.name).collect();
        assert_eq!(names, NAMES);
        for name in NAMES {
            assert_eq!(server.content(DEVSTORE_ACCOUNT, "cont", name).unwrap(), "now", "{name}");
            assert_eq!(self.ids(name).len(), 2, "{name}");
        }
        assert_eq!(server.snapshots(DEVSTORE_ACCOUNT, "cont"), NAMES.map(|name| (name.to_owned(), 1)));
        report.counts.done
    }

    fn remove(&self, path: &str, set: impl FnOnce(JobBuilder) -> JobBuilder) -> (Report, Vec<Event>) {
        let url = self.bench.url(path);
        let credential = Credential::find(&url, |_| None).unwrap();
        run(set(Job::remove(url, credential).recursive(true).options(options())))
    }

    /// The ids of a blob's versions that are not deleted, oldest first.
    fn ids(&self, name: &str) -> Vec<String> {
        let url = self.bench.url("");
        let credential = Credential::find(&url, |_| None).unwrap();
        let options = ListOptions::default().include_versions(true);
        let mut ids = Vec::new();
        azuring_transfer::list(&url, &credential, &options, &StopHandle::new(), |blob| {
            if blob.path == name {
                ids.push(blob.entry.facts.version_id.unwrap().into_string());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        ids.sort();
        ids
    }

    fn kept(&self) -> Kept {
        let deleted = self.bench.server.deleted(DEVSTORE_ACCOUNT, "cont").into_iter();
        deleted
            .map(|deleted| {
                assert!(!deleted.blob);
                (deleted.name, deleted.snapshots, deleted.versions)
            })
            .collect()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.bench.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// What is kept of [`NAMES`]; names of which nothing is kept are not told.
fn kept(counts: [(usize, usize); 5]) -> Kept {
    let all = NAMES
        .iter()
        .zip(counts)
        .map(|(name, (snapshots, versions))| ((*name).to_owned(), snapshots, versions));
    all.filter(|(_, snapshots, versions)| snapshots + versions > 0).collect()
}

fn options() -> JobOptions {
    let retry = RetryPolicy::default().max_tries(1);
    JobOptions::default().retry(retry).limits(Limits::here().lanes(2))
}

fn run(job: JobBuilder) -> (Report, Vec<Event>) {
    let mut events = Vec::new();
    let report = job.build().unwrap().run(&StopHandle::new(), |event| events.push(event));
    (report, events)
}

#[test]
fn of_a_container_what_is_asked_for_is_removed_and_nothing_that_lives() {
    let past = Past::new();
    assert_eq!(past.permanent("", PermanentDelete::Snapshots, |job| job), 10);
    assert_eq!(past.kept(), kept([(0, 1); 5]));
    assert_eq!(past.permanent("", PermanentDelete::Snapshots, |job| job), 0);
    assert_eq!(past.permanent("", PermanentDelete::Versions, |job| job), 5);
    assert_eq!(past.kept(), []);

    let past = Past::new();
    assert_eq!(past.permanent("", PermanentDelete::Versions, |job| job), 5);
    assert_eq!(past.kept(), kept([(2, 0); 5]));
    let past = Past::new();
    assert_eq!(past.permanent("", PermanentDelete::SnapshotsAndVersions, |job| job.recursive(false)), 15);
    assert_eq!(past.kept(), []);
}

#[test]
fn of_a_directory_what_is_below_it() {
    let all = PermanentDelete::SnapshotsAndVersions;
    let (whole, none) = ((2, 1), (0, 0));
    let past = Past::new();
    assert_eq!(past.permanent("/d/sub", all, |job| job), 3);
    assert_eq!(past.kept(), kept([whole, whole, none, whole, whole]));
    assert_eq!(past.permanent("/d/", all, |job| job), 3);
    assert_eq!(past.kept(), kept([whole, none, none, whole, whole]));

    // A name that is both stands for both; one that only begins alike is another.
    let past = Past::new();
    assert_eq!(past.permanent("/d", PermanentDelete::Snapshots, |job| job), 6);
    assert_eq!(past.kept(), kept([(0, 1), (0, 1), (0, 1), whole, whole]));
    assert_eq!(past.permanent("/d", PermanentDelete::Versions, |job| job), 3);
    assert_eq!(past.kept(), kept([none, none, none, whole, whole]));
}

#[test]
fn of_one_blob_its_own() {
    let (whole, none) = ((2, 1), (0, 0));
    let past = Past::new();
    assert_eq!(past.permanent("/d/a", PermanentDelete::Snapshots, |job| job), 2);
    assert_eq!(past.kept(), kept([whole, (0, 1), whole, whole, whole]));
    assert_eq!(past.permanent("/d/a", PermanentDelete::Versions, |job| job), 1);
    assert_eq!(past.kept(), kept([whole, none, whole, whole, whole]));
    assert_eq!(past.permanent("/e", PermanentDelete::SnapshotsAndVersions, |job| job.recursive(false)), 3);
    assert_eq!(past.kept(), kept([whole, none, whole, whole, none]));
    assert_eq!(past.permanent("/none", PermanentDelete::SnapshotsAndVersions, |job| job), 0);
}

#[test]
fn filters_and_lists_say_which() {
    let all = PermanentDelete::SnapshotsAndVersions;
    let (whole, none) = ((2, 1), (0, 0));
    let past = Past::new();
    let paths = FilterSpec::default().exclude_path(Some("sub".to_owned()));
    let filter = || Filter::new(&paths).unwrap();
    assert_eq!(past.permanent("/d", all, |job| job.filter(filter())), 6);
    assert_eq!(past.kept(), kept([none, none, whole, whole, whole]));
    let paths = FilterSpec::default().include_path(Some("sub".to_owned()));
    assert_eq!(past.permanent("/d", all, |job| job.filter(Filter::new(&paths).unwrap())), 3);
    assert_eq!(past.kept(), kept([none, none, none, whole, whole]));

    // A line names a blob, whose deleted states alone are meant.
    for recursive in [true, false] {
        let past = Past::new();
        let list = ListOfFiles::File(past.file("list", "e\nnone\nd/a\n"));
        assert_eq!(past.permanent("", all, |job| job.recursive(recursive).list_of_files(list)), 6);
        assert_eq!(past.kept(), kept([whole, none, whole, whole, none]));
    }
    let past = Past::new();
    let list = ListOfFiles::File(past.file("list", "sub/\n"));
    assert_eq!(past.permanent("/d", all, |job| job.list_of_files(list)), 3);
    assert_eq!(past.kept(), kept([whole, whole, none, whole, whole]));
}

#[test]
fn what_the_account_does_not_allow_fails_and_says_why() {
    let past = Past::new();
    // These live: they are no matter of permanent deletion.
    let list = past.file("ids", &past.ids("e").join("\n"));
    let options = options().permanent_delete(Some(PermanentDelete::Versions));
    let (report, events) = past.remove("/e", |job| job.options(options).list_of_versions(list));
    assert_eq!((report.counts.done, report.counts.failed), (0, 2));
    let code = |event: &Event| match event {
        Event::Failed(failure) => failure.code.clone(),
        _ => None,
    };
    let codes: Vec<_> = events.iter().filter_map(code).collect();
    assert_eq!(codes, ["BlobSnapshotNotSoftDeleted"; 2]);
    assert_eq!((past.ids("e").len(), past.kept()), (2, kept([(2, 1); 5])));
}

#[test]
fn without_versions_a_deleted_blob_stays_deleted() {
    let bench = Bench::with(|server| server.soft_delete(7));
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text("a", "1")]);
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [text("a", "2")]);
    assert!(bench.server.snapshot(DEVSTORE_ACCOUNT, "cont", "a"));
    let url = bench.url("/a");
    let remove = |options: JobOptions| {
        let credential = Credential::find(&url, |_| None).unwrap();
        let (report, events) = run(Job::remove(url.clone(), credential).recursive(true).options(options));
        assert_eq!(report.counts.failed, 0, "{events:?}");
        report.counts.done
    };
    assert_eq!(remove(options().delete_snapshots(Some(DeleteSnapshots::Include))), 1);
    let kept = || {
        let deleted = bench.server.deleted(DEVSTORE_ACCOUNT, "cont");
        deleted.iter().map(|deleted| (deleted.blob, deleted.snapshots, deleted.versions)).collect::<Vec<_>>()
    };
    // The content that was replaced is one of them.
    assert_eq!(kept(), [(true, 2, 0)]);
    let permanent = |what| options().permanent_delete(Some(what));
    assert_eq!(remove(permanent(PermanentDelete::Versions)), 0);
    assert_eq!(kept(), [(true, 2, 0)]);
    assert_eq!(remove(permanent(PermanentDelete::SnapshotsAndVersions)), 2);
    assert_eq!(kept(), [(true, 0, 0)]);
}

#[test]
fn listed_versions_are_downloaded_and_removed() {
    let past = Past::new();
    let [second, now] = past.ids("d/a").try_into().unwrap();
    let missing = "2020-01-01T00:00:00.0000000Z";
    let list = past.file("ids", &format!("{second}\n{missing}\n{now}\n"));
    let to = past.bench.dir.path().join("to");
    let (report, events) =
        past.bench.download_with("/d/a", &to, |job| job.options(options()).list_of_versions(&list));
    assert_eq!((report.counts.done, report.counts.failed), (2, 1), "{events:?}");
    let name = |id: &str| format!("{}-a", id.replace(':', "-"));
    let expected = [(name(&second), b"2".to_vec()), (name(&now), b"now".to_vec())];
    assert_eq!(files(&to), expected.into());

    // A version is no blob of its own, whose metadata could be changed.
    let url = past.bench.url("/d/a");
    let credential = Credential::find(&url, |_| None).unwrap();
    let change = PropertyChange::default().tier(Some("Cool".to_owned()));
    let tier = Job::set_properties(url, credential, change).options(options());
    let (report, events) = run(tier.list_of_versions(past.file("second", &second)));
    assert_eq!((report.counts.done, report.counts.failed), (1, 0), "{events:?}");
    let now_tier =
        past.bench.server.blobs(DEVSTORE_ACCOUNT, "cont").into_iter().find(|blob| blob.name == "d/a");
    assert_eq!(now_tier.unwrap().tier, "Hot");

    let list = past.file("ids", &second);
    let (report, events) = past.remove("/d/a", |job| job.list_of_versions(list));
    assert_eq!((report.counts.done, report.counts.failed), (1, 0), "{events:?}");
    assert_eq!(past.ids("d/a"), [now]);
    assert_eq!(past.kept()[1], ("d/a".to_owned(), 2, 2));
}
