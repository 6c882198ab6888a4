//! Jobs that go on where they were stopped.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::path::Path;

use azsim::Operation;
use azuring_transfer::{
    BlobTypeChoice, BlockRules, Counts, Credential, DEVSTORE_ACCOUNT, Event, FailureKind, Job, JobBuilder,
    JobId, JobOptions, JobStatus, Jobs, Limits, ListOfFiles, Overwrite, RecordedJob, RecordedState, Report,
    StopHandle, Symlinks,
};
use kit::{Bench, bytes, files};

const PIECE: usize = 100 << 10;
const CONTAINER: &str = "cont";

fn options() -> JobOptions {
    JobOptions::default()
        .blocks(BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64)))
        .limits(Limits::here().lanes(2))
}

/// Requests are so rare that most of the job is left when it is stopped.
fn slow() -> JobOptions {
    options().cap_requests_per_second(Some(20.0))
}

/// A state directory beside a bench.
struct State(tempfile::TempDir);

impl State {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn jobs(&self) -> Jobs {
        Jobs::new(self.0.path())
    }

    fn id(&self) -> JobId {
        self.jobs().list().unwrap()[0].id
    }

    fn recorded(&self) -> RecordedJob {
        RecordedJob::read(&self.jobs(), self.id()).unwrap()
    }

    /// Runs the job, which is new, until it has moved so many bytes.
    fn begin(&self, job: JobBuilder, bytes: u64) -> (Report, Vec<Event>) {
        run(job.journal(self.jobs(), b"a job".to_vec()), Some(bytes))
    }

    fn go_on(&self, job: JobBuilder) -> (Report, Vec<Event>) {
        run(job.resume(self.jobs(), self.id()), None)
    }

    fn go_on_until(&self, job: JobBuilder, bytes: u64) -> (Report, Vec<Event>) {
        run(job.resume(self.jobs(), self.id()), Some(bytes))
    }

    /// Goes on at full speed and is stopped when the service has had so many requests: it holds the next ones until
    /// then.
    fn go_on_for(&self, bench: &Bench, job: JobBuilder, requests: u64) -> (Report, Vec<Event>) {
        let job = job.resume(self.jobs(), self.id()).build().unwrap();
        let held = || bench.server.stats().faults.get("hold").copied().unwrap_or(0);
        let (stop, before) = (StopHandle::new(), held());
        bench.server.set_faults(azsim::Faults { rules: vec![hold(None, requests)], ..Default::default() });
        let mut events = Vec::new();
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                while held() == before {
                    std::thread::yield_now();
                }
                stop.stop();
                bench.server.set_faults(azsim::Faults::default());
            });
            job.run(&stop, |event| events.push(event))
        });
        (report, events)
    }
}

/// Holds what comes after so many requests.
fn hold(operation: Option<Operation>, skip: u64) -> azsim::Rule {
    let name = azsim::NameMatch::Contains(String::new());
    azsim::Rule { name, operation, fault: azsim::Fault::Hold, skip, count: u64::MAX }
}

fn run(job: JobBuilder, until: Option<u64>) -> (Report, Vec<Event>) {
    let job = job.build().unwrap();
    let (stop, progress) = (StopHandle::new(), job.progress());
    let watcher = until.map(|until| {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while progress.view().bytes < until && !stop.is_stopped() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            stop.stop();
        })
    });
    let mut events = Vec::new();
    let report = job.run(&stop, |event| events.push(event));
    // It looks no longer for what may never come.
    stop.stop();
    if let Some(watcher) = watcher {
        watcher.join().unwrap();
    }
    (report, events)
}

fn upload(bench: &Bench, tree: &Path) -> JobBuilder {
    let url = bench.url("");
    let credential = Credential::find(&url, |_| None).unwrap();
    Job::upload(tree.join("*"), url, credential).recursive(true).options(options())
}

fn download(bench: &Bench, path: &str, to: &Path) -> JobBuilder {
    let url = bench.url(path);
    let credential = Credential::find(&url, |_| None).unwrap();
    Job::download(url, credential, to).recursive(true).options(options())
}

/// A tree of so many small files in directories whose names sort in every way around a slash.
fn small(root: &Path, count: usize) {
    for n in 0..count {
        let dir = root.join(["a", "a-b", "a.c", "a/d", "b"][n % 5]);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{n:05}")), bytes(n % 700 + 1)).unwrap();
    }
}

fn assert_uploaded(bench: &Bench, tree: &Path) {
    let want = files(tree);
    let names: Vec<String> =
        bench.server.blobs(DEVSTORE_ACCOUNT, CONTAINER).into_iter().map(|blob| blob.name).collect();
    assert_eq!(names, want.keys().cloned().collect::<Vec<_>>());
    for (name, content) in want {
        assert_eq!(bench.server.content(DEVSTORE_ACCOUNT, CONTAINER, &name).unwrap(), content, "{name}");
    }
}

fn whole(files: u64, bytes: u64) -> Counts {
    let mut counts = Counts::default();
    (counts.found, counts.done, counts.bytes, counts.bytes_found) = (files, files, bytes, bytes);
    counts
}

fn requests(bench: &Bench, operation: Operation) -> u64 {
    bench.server.stats().by_operation.get(&operation).copied().unwrap_or_default()
}

/// What does not depend on how often the job was stopped.
fn outcome(mut counts: Counts) -> Counts {
    (counts.bytes_sent, counts.requests, counts.retries) = (0, 0, 0);
    counts
}

#[test]
fn an_upload_goes_on_in_the_middle_of_its_scan_and_counts_exactly() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 18_000);
    let total: u64 = files(&tree).values().map(|content| content.len() as u64).sum();
    let job = || upload(&bench, &tree);
    let (report, _) = state.begin(job().options(slow()), 1);
    assert!(report.interrupted && report.status() == JobStatus::Cancelled);
    let recorded = state.recorded();
    assert_eq!(recorded.status, Some(JobStatus::Cancelled));
    assert!(!recorded.scanned && recorded.counts.found < 18_000, "{:?}", recorded.counts);
    assert_eq!(recorded.counts.done, report.counts.done);
    let (again, _) = state.go_on_for(&bench, job(), 6_000);
    assert!(again.interrupted);
    assert_eq!(again.before.done, report.counts.done);
    let (last, events) = state.go_on(job());
    assert_eq!(last.status(), JobStatus::Completed, "{events:?}");
    assert_eq!(outcome(last.counts), whole(18_000, total));
    // Nothing was sent twice.
    assert_eq!(last.counts.requests, 18_000);
    assert_eq!(last.counts.bytes_sent, total);
    assert_uploaded(&bench, &tree);
    let recorded = state.recorded();
    assert_eq!((recorded.status, recorded.counts), (Some(JobStatus::Completed), last.counts));
    let mut listed = 0;
    recorded.transfers(|_| listed += 1).unwrap();
    assert_eq!(listed, 0, "a finished job has shrunk");
}

#[test]
fn a_large_file_goes_on_with_the_blocks_the_service_has() {
    for put_md5 in [false, true] {
        let (bench, state) = (Bench::new(), State::new());
        let tree = bench.dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let mut content = bytes(40 * PIECE + 77);
        content[..5].copy_from_slice(b"%PDF-");
        std::fs::write(tree.join("large"), &content).unwrap();
        let job = || upload(&bench, &tree);
        let with = |options: JobOptions| options.put_md5(put_md5);
        let (report, _) = state.begin(job().options(with(slow())), 5 * PIECE as u64);
        assert!(report.interrupted);
        assert_eq!(bench.server.blobs(DEVSTORE_ACCOUNT, CONTAINER), []);
        let sent = requests(&bench, Operation::PutBlock);
        let (last, events) = state.go_on(job().options(with(options())));
        assert_eq!(outcome(last.counts), whole(1, content.len() as u64), "{events:?}");
        // Every block once, whichever run sent it.
        assert!(sent >= 5, "{sent}");
        assert_eq!(requests(&bench, Operation::PutBlock), 41);
        assert_uploaded(&bench, &tree);
        let facts = &bench.server.blobs(DEVSTORE_ACCOUNT, CONTAINER)[0];
        assert_eq!(facts.content_type, "application/pdf");
    }
}

#[test]
fn a_file_that_was_changed_is_sent_whole_and_that_is_said() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("large"), bytes(40 * PIECE)).unwrap();
    let job = || upload(&bench, &tree);
    state.begin(job().options(slow()), 5 * PIECE as u64);
    let before = requests(&bench, Operation::PutBlock);
    let mut other = bytes(40 * PIECE);
    other.reverse();
    std::fs::write(tree.join("large"), other).unwrap();
    let (last, events) = state.go_on(job());
    assert_eq!((last.counts.done, last.counts.failed), (1, 0));
    assert!(events.iter().any(|event| matches!(event, Event::Notice(text) if text.contains("was changed"))));
    assert_eq!(requests(&bench, Operation::PutBlock), before + 40);
    assert_uploaded(&bench, &tree);
}

#[test]
fn a_download_of_one_blob_that_is_stopped_before_it_begins_is_not_completed() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 1);
    bench.upload(&tree);
    let to = bench.dir.path().join("to");
    let job = || download(&bench, "/a/00000", &to);
    let built = job().journal(state.jobs(), Vec::new()).build().unwrap();
    let stop = StopHandle::new();
    let held = hold(Some(Operation::GetBlobProperties), 0);
    bench.server.set_faults(azsim::Faults { rules: vec![held], ..Default::default() });
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Its first question is on its way.
            while requests(&bench, Operation::GetBlobProperties) == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            stop.stop();
            bench.server.set_faults(azsim::Faults::default());
        });
        built.run(&stop, |_| {})
    });
    assert!(report.interrupted);
    let (last, _) = state.go_on(job());
    assert_eq!((last.counts.found, last.counts.done), (1, 1));
    assert_eq!(std::fs::read(&to).unwrap(), bytes(1));
}

#[test]
fn a_page_or_append_blob_that_was_begun_is_written_again_even_if_nothing_is_overwritten() {
    for blob_type in [BlobTypeChoice::Page, BlobTypeChoice::Append] {
        let (bench, state) = (Bench::new(), State::new());
        let tree = bench.dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(tree.join("large"), bytes(40 * PIECE)).unwrap();
        let with = |options: JobOptions| options.blob_type(blob_type).overwrite(Overwrite::Never);
        let job = |options| upload(&bench, &tree).options(with(options));
        state.begin(job(slow()), 2 * PIECE as u64);
        let (last, events) = state.go_on(job(options()));
        assert_eq!((last.counts.done, last.counts.skipped_existing), (1, 0), "{blob_type:?} {events:?}");
        assert_uploaded(&bench, &tree);
    }
}

#[test]
fn a_download_goes_on_with_names_and_ranges_as_they_were() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree/top");
    std::fs::create_dir_all(&tree).unwrap();
    small(&tree, 3_000);
    std::fs::write(tree.join("0-large"), bytes(60 * PIECE + 5)).unwrap();
    bench.upload(&bench.dir.path().join("tree"));
    let want = files(&tree);
    let total: u64 = want.values().map(|content| content.len() as u64).sum();
    let before = requests(&bench, Operation::GetBlob);
    // It does not exist, and does when the job goes on: the names stay the same.
    let to = bench.dir.path().join("to");
    let job = || download(&bench, "/top", &to);
    let (report, _) = state.begin(job().options(slow()), 8 * PIECE as u64);
    assert!(report.interrupted);
    let (again, _) = state.go_on_for(&bench, job(), 1_100);
    assert!(again.interrupted);
    let (last, events) = state.go_on(job());
    assert_eq!(last.status(), JobStatus::Completed, "{events:?}");
    assert_eq!(outcome(last.counts), whole(3_001, total));
    assert!(files(&to.join("top")) == want);
    let gets = requests(&bench, Operation::GetBlob) - before;
    // Each small one, each range once, and the head of the large one again in each later run at most.
    assert!((3_061..=3_063).contains(&gets), "{gets}");
}

#[test]
fn a_large_blob_that_was_changed_is_read_from_its_beginning() {
    for check_md5 in [false, true] {
        let (bench, state) = (Bench::new(), State::new());
        let tree = bench.dir.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let up = |content: &[u8]| {
            std::fs::write(tree.join("large"), content).unwrap();
            let options = options().put_md5(check_md5);
            run(upload(&bench, &tree).options(options), None);
        };
        up(&bytes(40 * PIECE));
        let to = bench.dir.path().join("to");
        let job = || download(&bench, "/large", &to);
        let (report, _) = state.begin(job().options(slow()), 5 * PIECE as u64);
        assert!(report.interrupted);
        let left: Vec<_> =
            std::fs::read_dir(bench.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().any(|name| name.to_string_lossy().starts_with(".azuring-")), "{left:?}");
        let mut other = bytes(40 * PIECE);
        other.reverse();
        up(&other);
        let (last, events) = state.go_on(job());
        assert_eq!((last.counts.done, last.counts.failed), (1, 0), "{events:?}");
        assert_eq!(std::fs::read(&to).unwrap(), other);
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::Notice(text) if text.contains("from its beginning")))
        );
        let left: Vec<_> =
            std::fs::read_dir(bench.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".azuring-")), "{left:?}");
    }
}

#[test]
fn a_large_blob_with_an_md5_goes_on_and_is_still_compared() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("large"), bytes(40 * PIECE + 3)).unwrap();
    run(upload(&bench, &tree).options(options().put_md5(true)), None);
    let to = bench.dir.path().join("to");
    let job = || download(&bench, "/large", &to);
    state.begin(job().options(slow()), 5 * PIECE as u64);
    // Somebody writes to the unfinished file: what was recorded is not what is there.
    let name = std::fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with(".azuring-"))
        .unwrap();
    let whole = std::fs::read(&name).unwrap();
    std::fs::write(&name, vec![0; whole.len()]).unwrap();
    let (report, _) = state.go_on_until(job().options(slow()), 12 * PIECE as u64);
    assert!(report.interrupted);
    let (last, _) = state.go_on(job());
    assert_eq!((last.counts.done, last.counts.failed), (0, 1));
    assert!(!to.exists());
    let (last, _) = state.go_on(job());
    assert_eq!((last.counts.done, last.counts.failed), (1, 0));
    assert_eq!(std::fs::read(&to).unwrap(), bytes(40 * PIECE + 3));
}

#[test]
fn lists_go_on_with_their_lines_and_the_directories_among_them() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 2_500);
    bench.upload(&tree);
    let all = files(&tree);
    let list = bench.dir.path().join("list");
    // A name that is there, one that is not, a directory that says so, one that does not, and many more.
    let mut lines =
        vec!["b/00004".to_owned(), "none".to_owned(), "a-b/".to_owned(), "a.c".to_owned(), "b".to_owned()];
    lines.extend(all.keys().filter(|name| name.starts_with("a/")).cloned());
    std::fs::write(&list, lines.join("\n")).unwrap();
    let to = bench.dir.path().join("to");
    let job = || download(&bench, "", &to).list_of_files(ListOfFiles::File(list.clone()));
    let (report, _) = state.begin(job().options(slow()), 1000);
    assert!(report.interrupted);
    let (again, _) = state.go_on_for(&bench, job(), 400);
    assert!(again.interrupted);
    let (last, events) = state.go_on(job());
    let failed: Vec<_> = events
        .iter()
        .filter_map(
            |event| if let Event::Failed(failure) = event { Some(failure.object.clone()) } else { None },
        )
        .collect();
    assert_eq!(failed, ["none"]);
    // All of them, b/00004 once more as a line of its own.
    assert_eq!((last.counts.done, last.counts.failed), (2_501, 1), "{:?}", last.counts);
    assert_eq!(last.counts.found, 2_502);
    assert!(files(&to.join("cont")) == all);
    // Another list is none the job could go on with.
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 100);
    // Longer than what waits for the lanes.
    let lines: Vec<String> =
        files(&tree).into_keys().collect::<Vec<_>>().into_iter().cycle().take(18_000).collect();
    std::fs::write(list_of(&bench), lines.join("\n")).unwrap();
    let (url, list) = (bench.url(""), list_of(&bench));
    let credential = Credential::find(&url, |_| None).unwrap();
    let job = |options| {
        let job = Job::upload(&tree, url.clone(), credential.clone()).as_subdir(false).options(options);
        job.list_of_files(ListOfFiles::File(list.clone()))
    };
    state.begin(job(slow()), 1000);
    let whole = std::fs::read(list_of(&bench)).unwrap();
    std::fs::write(list_of(&bench), "a/00000\n").unwrap();
    let (report, events) = state.go_on(job(options()));
    assert!(report.counts.problems == 1 && report.status() != JobStatus::Completed, "{report:?}");
    assert!(events.iter().any(|e| matches!(e, Event::Failed(f) if f.reason.contains("fewer"))));
    std::fs::write(list_of(&bench), whole).unwrap();
    let (last, _) = state.go_on(job(options()));
    assert_eq!((last.counts.done, last.counts.failed), (18_000, 0), "{:?}", last.counts);
    assert_uploaded(&bench, &tree);
}

fn list_of(bench: &Bench) -> std::path::PathBuf {
    bench.dir.path().join("list")
}

#[test]
fn what_was_left_out_is_counted_once_over_all_runs() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 2_000);
    for dir in ["a", "a-b", "b"] {
        std::os::unix::net::UnixListener::bind(tree.join(dir).join("0-socket")).unwrap();
        std::os::unix::fs::symlink("x", tree.join(dir).join("0-link")).unwrap();
    }
    let job = || upload(&bench, &tree);
    state.begin(job().options(slow()), 1);
    let (last, _) = state.go_on(job());
    assert_eq!((last.counts.skipped_symlinks, last.counts.skipped_special, last.counts.done), (3, 3, 2_000));
    assert_eq!(last.status(), JobStatus::CompletedWithSkipped);
    let recorded = state.recorded();
    assert_eq!(recorded.counts, last.counts);
}

#[test]
fn what_failed_is_tried_again() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 100);
    let list = list_of(&bench);
    let mut lines: Vec<String> = files(&tree).into_keys().collect();
    // It will be there later.
    lines.extend(["b/later".to_owned(), "../outside".to_owned()]);
    std::fs::write(&list, lines.join("\n")).unwrap();
    let url = bench.url("");
    let credential = Credential::find(&url, |_| None).unwrap();
    let job = || {
        let job =
            Job::download(url.clone(), credential.clone(), bench.dir.path().join("to")).options(options());
        job.list_of_files(ListOfFiles::File(list.clone()))
    };
    bench.upload(&tree);
    let (report, _) = run(job().journal(state.jobs(), Vec::new()), None);
    assert_eq!((report.counts.done, report.counts.failed), (100, 2), "{:?}", report.counts);
    let mut failed = Vec::new();
    state.recorded().transfers(|transfer| failed.extend(transfer.failure)).unwrap();
    assert_eq!(failed.len(), 2);
    assert!(
        failed.iter().any(|failure| failure.object == "b/later" && failure.kind == FailureKind::Missing),
        "{failed:?}"
    );
    std::fs::write(tree.join("b/later"), "now").unwrap();
    bench.upload(&tree);
    let before = requests(&bench, Operation::GetBlob);
    let (last, events) = state.go_on(job());
    assert_eq!((last.counts.done, last.counts.failed, last.counts.found), (101, 1, 102), "{events:?}");
    assert_eq!(requests(&bench, Operation::GetBlob) - before, 1);
    assert!(events.iter().any(|e| matches!(e, Event::Failed(failure) if failure.object.contains("outside"))));
}

#[test]
fn a_removal_goes_on_and_what_it_finds_gone_is_done() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 12_000);
    bench.upload(&tree);
    let url = bench.url("/a");
    let credential = Credential::find(&url, |_| None).unwrap();
    let job = |options| Job::remove(url.clone(), credential.clone()).recursive(true).options(options);
    let job_slow = job(options().cap_requests_per_second(Some(3.0)));
    let built = job_slow.journal(state.jobs(), Vec::new()).build().unwrap();
    let (stop, progress) = (StopHandle::new(), built.progress());
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while progress.view().done == 0 {
                std::thread::yield_now();
            }
            stop.stop();
        });
        built.run(&stop, |_| {})
    });
    assert!(report.interrupted && report.counts.done < 4_800, "{:?}", report.counts);
    let (last, _) = state.go_on(job(options()));
    assert_eq!((last.counts.done, last.counts.failed), (4_800, 0), "{:?}", last.counts);
    assert!(bench.server.blobs(DEVSTORE_ACCOUNT, CONTAINER).iter().all(|blob| !blob.name.starts_with("a/")));
}

#[test]
fn after_a_restart_of_the_machine_what_was_only_written_is_downloaded_again() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree/top");
    std::fs::create_dir_all(&tree).unwrap();
    small(&tree, 2_000);
    bench.upload(&bench.dir.path().join("tree"));
    let want = files(&tree);
    let total: u64 = want.values().map(|content| content.len() as u64).sum();
    let to = bench.dir.path().join("to");
    let job = || download(&bench, "/top", &to);
    let (report, _) = state.begin(job().options(slow()), 1);
    assert!(report.interrupted && report.counts.done > 0);
    // What the machine had not written back is gone: files are there, and empty.
    let lost: Vec<_> = files(&to).into_keys().collect();
    assert_eq!(lost.len() as u64, report.counts.done);
    for name in &lost {
        std::fs::write(to.join(name), b"").unwrap();
    }
    // The number of the machine's run: see `Counter::Boot`.
    let (_, journal) = state.jobs().resume(state.id()).unwrap();
    journal.write().unwrap().count(15, 1);
    journal.commit().unwrap();
    drop(journal);
    // Also when it is stopped again before it has come to them, and when nothing is to be overwritten.
    let built = job().options(options().cap_requests_per_second(Some(0.1)));
    let built = built.resume(state.jobs(), state.id()).build().unwrap();
    let stop = StopHandle::new();
    stop.stop();
    assert!(built.run(&stop, |_| {}).interrupted);
    let (last, events) = state.go_on(job().options(options().overwrite(Overwrite::Always)));
    assert_eq!(outcome(last.counts), whole(2_000, total), "{events:?}");
    assert_eq!(outcome(state.recorded().counts), whole(2_000, total));
    assert!(files(&to.join("top")) == want);
}

#[test]
fn what_a_killed_process_left_under_temporary_names_is_in_nobodys_way() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 5);
    std::os::unix::fs::symlink("00000", tree.join("a/1-link")).unwrap();
    let url = bench.url("");
    let credential = Credential::find(&url, |_| None).unwrap();
    let links = || options().symlinks(Symlinks::Preserve);
    run(Job::upload(tree.join("*"), url, credential).recursive(true).options(links()), None);
    let to = bench.dir.path().join("to");
    let job = || download(&bench, "/*", &to).options(links());
    // Files of these names are there and are replaced, by way of temporary names.
    run(job(), None);
    let built = job().journal(state.jobs(), Vec::new()).build().unwrap();
    let number = u128::from_be_bytes(*state.id().as_bytes());
    for dir in ["a", "a-b", "a.c", "a/d", "b"] {
        for index in 0..6 {
            std::fs::write(to.join(dir).join(format!(".azuring-{number:032x}-0-{index}")), "left").unwrap();
        }
    }
    let report = built.run(&StopHandle::new(), |_| {});
    assert_eq!((report.counts.done, report.counts.failed), (6, 0));
    let left = files(&to).into_keys().filter(|name| name.contains(".azuring-")).count();
    // Each has taken its own away.
    assert_eq!(left, 30 - 6);
}

#[test]
fn two_runs_of_one_job_at_a_time_are_refused() {
    let (bench, state) = (Bench::new(), State::new());
    let tree = bench.dir.path().join("tree");
    small(&tree, 10);
    let first = upload(&bench, &tree).journal(state.jobs(), Vec::new()).build().unwrap();
    let refused = upload(&bench, &tree).resume(state.jobs(), state.id()).build();
    assert!(refused.is_err_and(|error| error.to_string().contains("in use")));
    first.run(&StopHandle::new(), |_| {});
    let mut states = Vec::new();
    state.recorded().transfers(|transfer| states.push(transfer.state)).unwrap();
    assert!(!states.contains(&RecordedState::Pending));
}
