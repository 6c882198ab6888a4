//! The programs of `examples/` do what they say, against a real server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../examples/backup.rs"]
mod backup;
#[path = "../examples/from_memory.rs"]
mod from_memory;
#[path = "../examples/inside_tokio.rs"]
mod inside_tokio;
mod kit;
#[cfg(feature = "identity")]
#[path = "../examples/managed_identity.rs"]
mod managed_identity;
#[path = "../examples/progress.rs"]
mod progress;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_transfer::{DEVSTORE_ACCOUNT, JobStatus, Limits, StopHandle};
use kit::{Bench, text};

fn plant_files(bench: &Bench, files: usize) -> std::path::PathBuf {
    let tree = bench.dir.path().join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    for n in 0..files {
        std::fs::write(tree.join(format!("{n:05}")), format!("file {n}")).unwrap();
    }
    tree
}

/// So many objects that some are not begun when as many requests are in flight as this machine allows.
fn more_than_in_flight() -> usize {
    Limits::here().concurrency + 200
}

/// Holds what `operation` asks for after so many requests, until the faults are set anew.
fn hold(bench: &Bench, operation: Operation, skip: u64) {
    let name = NameMatch::Contains(String::new());
    let rule = Rule { name, operation: Some(operation), fault: Fault::Hold, skip, count: u64::MAX };
    bench.server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
}

fn wait_until_held(bench: &Bench) {
    while !bench.server.stats().faults.contains_key("hold") {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn a_backup_goes_on_at_start_up_and_then_begins_anew() {
    let bench = Bench::new();
    let many = more_than_in_flight();
    let (tree, state) = (plant_files(&bench, many), bench.dir.path().join("state"));
    let url = bench.url("").to_string();
    hold(&bench, Operation::PutBlob, 20);
    let stop = StopHandle::new();
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| backup::backup(&tree, &url, &state, &stop).unwrap());
        wait_until_held(&bench);
        stop.stop();
        bench.server.set_faults(Faults::default());
        first.join().unwrap()
    });
    let [cut_off] = &first[..] else { panic!("{first:?}") };
    assert!(cut_off.interrupted && (20..many as u64).contains(&cut_off.counts.done), "{cut_off:?}");
    std::fs::write(tree.join("later"), "of the second run").unwrap();
    let second = backup::backup(&tree, &url, &state, &StopHandle::new()).unwrap();
    let [resumed, new] = &second[..] else { panic!("{second:?}") };
    assert_eq!((resumed.before.done, resumed.counts.done >= many as u64), (cut_off.counts.done, true));
    assert_eq!((new.before.done, new.counts.done), (0, many as u64 + 1));
    assert_eq!(bench.server.blobs(DEVSTORE_ACCOUNT, "cont").len(), many + 1);
    // There is nothing to go on with.
    assert_eq!(backup::backup(&tree, &url, &state, &StopHandle::new()).unwrap().len(), 1);
}

#[test]
fn blobs_come_from_memory() {
    let bench = Bench::new();
    let report =
        from_memory::send(from_memory::Lines::new(300_000), &bench.url("/lines").to_string()).unwrap();
    let want: String = (0..300_000).map(|n| format!("line {n}\n")).collect();
    assert_eq!(report.counts.bytes, want.len() as u64);
    assert_eq!(bench.server.content(DEVSTORE_ACCOUNT, "cont", "lines").unwrap(), want.as_bytes());
    let reports = from_memory::Reports::new(250);
    let report = from_memory::copy(reports, &bench.url("/reports/").to_string()).unwrap();
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 250));
    for number in [0, 99, 100, 249] {
        let name = format!("reports/report-{number:06}");
        let want = format!("This is report {number}.\n").repeat(100);
        assert_eq!(bench.server.content(DEVSTORE_ACCOUNT, "cont", &name).unwrap(), want.as_bytes());
    }
}

#[test]
fn two_jobs_run_inside_tokio() {
    let bench = Bench::new();
    let (tree, to) = (plant_files(&bench, 100), bench.dir.path().join("to"));
    std::fs::create_dir(&to).unwrap();
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", (0..50).map(|n| text(&format!("down/{n}"), "down")));
    let container = bench.url("").to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let task = async move { inside_tokio::both(&tree, &container, &to).await.unwrap() };
    let (up, down, blobs) = runtime.block_on(async { tokio::spawn(task).await.unwrap() });
    assert_eq!((up.counts.done, down.counts.done, blobs), (100, 50, 150));
    assert_eq!(std::fs::read_dir(bench.dir.path().join("to")).unwrap().count(), 50);
}

#[test]
fn progress_is_shown_and_the_job_can_be_stopped() {
    let bench = Bench::new();
    let many = more_than_in_flight() as u64;
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", (0..many).map(|n| text(&format!("{n}"), "x")));
    let url = bench.url("/*").to_string();
    let to = |name: &str| {
        let to = bench.dir.path().join(name);
        std::fs::create_dir(&to).unwrap();
        to
    };
    let last = Mutex::new(None);
    let show = |view| *last.lock().unwrap() = Some(view);
    let whole = progress::download(&url, &to("whole"), &StopHandle::new(), show).unwrap();
    assert_eq!((whole.status(), whole.counts.done), (JobStatus::Completed, many));
    assert_eq!(last.lock().unwrap().unwrap().done, many);
    let (stop, looks) = (StopHandle::new(), AtomicU64::new(0));
    hold(&bench, Operation::GetBlob, 10);
    let stopped = std::thread::scope(|scope| {
        let show = |_| {
            looks.fetch_add(1, Ordering::SeqCst);
        };
        let (url, to) = (&url, to("stopped"));
        let stop = &stop;
        let running = scope.spawn(move || progress::download(url, &to, stop, show).unwrap());
        wait_until_held(&bench);
        stop.stop();
        bench.server.set_faults(Faults::default());
        running.join().unwrap()
    });
    assert_eq!(stopped.status(), JobStatus::Cancelled);
    assert!((10..many).contains(&stopped.counts.done) && looks.load(Ordering::SeqCst) > 0);
}

#[cfg(feature = "identity")]
#[test]
fn a_machine_uploads_by_its_own_identity() {
    use azsim::{Authority, ManagedIdentity, Role, Server, Tls};
    use azuring_transfer::identity::Environment;
    use managed_identity::{Surroundings, upload};

    let authority = Authority::builder().start().unwrap();
    let server = Server::builder().threads(1).tls(Tls::SelfSigned).authority(&authority);
    let server = server.account("machine", "a2V5").start().unwrap();
    server.create_container("machine", "cont");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "of the machine").unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, server.ca_pem().unwrap()).unwrap();
    let url = format!("{}/cont", server.url("machine"));
    let imds = authority.imds_url();
    let around = |trusted: &str| {
        let imds = imds.clone();
        let environment =
            Environment::of(move |name| (name == "AZURE_POD_IDENTITY_AUTHORITY_HOST").then(|| imds.clone()));
        Surroundings {
            ca_file: Some(ca.clone()),
            trusted: trusted.to_owned(),
            environment: Some(environment),
        }
    };
    // No token goes to a host that nobody trusts.
    let refused = upload(&dir.path().join("a"), &url, around("")).unwrap_err();
    assert!(refused.to_string().contains("trust"), "{refused}");
    assert_eq!(authority.requests().len(), 0);
    authority.register_identity(ManagedIdentity::system("5a5a").role(Role::Contributor));
    let report = upload(&dir.path().join("a"), &url, around(&server.addr().to_string())).unwrap();
    assert_eq!(report.counts.done, 1);
    assert_eq!(&server.content("machine", "cont", "a").unwrap()[..], b"of the machine");
    assert_eq!(authority.deviations(), Vec::<String>::new());
}
