//! Everything works in a program that is in tokio's hands: on its workers, on its blocking threads, and awaited.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::future::Future;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use azuring_transfer::{
    BlobUrl, CommandError, Credential, DEVSTORE_ACCOUNT, FailureKind, Job, JobOptions, Jobs, ListOptions,
    PropertyChange, StopHandle, is_public, list, make_container, nonblocking, upload_from,
    user_delegation_key,
};
use kit::{Bench, bytes, text};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Calls `entries` on a worker of a runtime, and on one of its blocking threads.
fn on_each_kind_of_thread(entries: impl Fn() + Clone + Send + 'static) {
    let runtime = runtime();
    let theirs = entries.clone();
    runtime.block_on(async move { tokio::spawn(async move { theirs() }).await.unwrap() });
    runtime.block_on(async move { tokio::task::spawn_blocking(entries).await.unwrap() });
}

/// As on a worker: within a task of a runtime of several threads.
fn in_a_task<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    runtime().block_on(async move { tokio::spawn(task).await.unwrap() })
}

#[test]
fn no_blocking_entry_minds_the_runtime_that_calls_it() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.dir.path().join("tree/sub")).unwrap();
    std::fs::write(bench.dir.path().join("tree/small"), "small").unwrap();
    std::fs::write(bench.dir.path().join("tree/sub/large"), bytes(9 << 20)).unwrap();
    let (cont, other) = (bench.url(""), bench.server.url(DEVSTORE_ACCOUNT));
    let dir = bench.dir.path().to_owned();
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    on_each_kind_of_thread(move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (options, stop) = (JobOptions::default(), StopHandle::new());
        let credential = Credential::find(&cont, |_| None).unwrap();
        let at = |path: &str| BlobUrl::parse(&format!("{cont}/{path}")).unwrap();
        let made = BlobUrl::parse(&format!("{other}/made{call}")).unwrap();
        make_container(&made, &credential, &options).unwrap();
        assert!(matches!(make_container(&made, &credential, &options), Err(CommandError::ContainerExists)));
        assert!(!is_public(&cont, &options).unwrap());
        let now = SystemTime::now();
        let life = (now, now + Duration::from_secs(3600));
        // A key is only given to tokens: the service says so.
        let refused = user_delegation_key(&cont, &credential, &options, life).unwrap_err();
        assert!(matches!(refused, CommandError::Failed(_)), "{refused}");
        let input = std::io::Cursor::new(b"from memory".to_vec());
        let sent = upload_from(input, &at("stream"), &credential, &options, &stop).unwrap();
        assert_eq!(sent.counts.done, 1);
        // With a login that asks nobody, and a journal.
        let theirs = credential.clone();
        let jobs = Jobs::new(&dir.join(format!("jobs{call}")));
        let upload = Job::upload(dir.join("tree/*"), cont.clone(), Credential::Anonymous)
            .recursive(true)
            .credential_by(move || Ok(theirs))
            .journal(jobs.clone(), Vec::new())
            .build()
            .unwrap();
        let id = upload.plan().id.parse().unwrap();
        assert_eq!(upload.run(&stop, |_| {}).counts.done, 2);
        let again = Job::upload(dir.join("tree/*"), cont.clone(), credential.clone());
        let again = again.recursive(true).resume(jobs, id).build().unwrap();
        assert_eq!(again.run(&stop, |_| {}).counts.done, 2);
        let compared = Job::upload(dir.join("tree/*"), cont.clone(), credential.clone()).recursive(true);
        let compared = compared.build().unwrap().read_back().unwrap();
        assert_eq!((compared.equal, compared.different), (2, 0));
        let mut paths = Vec::new();
        let totals = list(&cont, &credential, &ListOptions::default(), &stop, |blob| {
            paths.push(blob.path);
            ControlFlow::Continue(())
        });
        paths.sort();
        assert_eq!(
            (totals.unwrap().files, &paths[..]),
            (3, &["small", "stream", "sub/large"].map(str::to_owned)[..])
        );
        let to = dir.join(format!("to{call}"));
        std::fs::create_dir(&to).unwrap();
        let all = BlobUrl::parse(&format!("{cont}/*")).unwrap();
        let download = Job::download(all, credential.clone(), &to).recursive(true).build().unwrap();
        assert_eq!(download.run(&stop, |_| {}).counts.done, 3);
        let pipe = Job::download_to(at("small"), credential.clone(), std::io::sink()).build().unwrap();
        assert_eq!(pipe.run(&stop, |_| {}).counts.done, 1);
        let change = PropertyChange::default().tier(Some("Cool".to_owned()));
        let change = Job::set_properties(at("small"), credential.clone(), change).build().unwrap();
        assert_eq!(change.run(&stop, |_| {}).counts.done, 1);
        let remove = Job::remove(at("stream"), credential).build().unwrap();
        assert_eq!(remove.run(&stop, |_| {}).counts.done, 1);
    });
}

#[test]
fn commands_are_futures_that_need_no_runtime_of_their_own() {
    let bench = Bench::new();
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", (0..12_000).map(|n| text(&format!("{}/{n}", n % 7), "x")));
    let (cont, account) = (bench.url(""), bench.server.url(DEVSTORE_ACCOUNT));
    in_a_task(async move {
        let (options, credential) = (JobOptions::default(), Credential::find(&cont, |_| None).unwrap());
        let made = BlobUrl::parse(&format!("{account}/made")).unwrap();
        nonblocking::make_container(&made, &credential, &options).await.unwrap();
        assert!(!nonblocking::is_public(&cont, &options).await.unwrap());
        let now = SystemTime::now();
        let life = (now, now + Duration::from_secs(3600));
        let refused = nonblocking::user_delegation_key(&cont, &credential, &options, life).await;
        assert!(matches!(refused, Err(CommandError::Failed(_))));
        let mut listing = nonblocking::list(&cont, &credential, &ListOptions::default()).unwrap();
        let mut paths = std::collections::HashSet::new();
        while let Some(blob) = listing.next().await {
            paths.insert(blob.unwrap().path);
        }
        let totals = listing.totals();
        assert_eq!((paths.len(), totals.files, totals.bytes), (12_000, 12_000, 12_000));
        assert!(totals.requests >= 3);
        let none = BlobUrl::parse(&format!("{account}/none")).unwrap();
        let mut listing = nonblocking::list(&none, &credential, &ListOptions::default()).unwrap();
        assert_eq!(listing.next().await.unwrap().unwrap_err().kind(), FailureKind::Missing);
        assert!(listing.next().await.is_none());
    });
}

#[test]
fn a_listing_waits_for_its_reader_and_ends_when_it_is_dropped() {
    let bench = Bench::with(|server| server);
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", (0..40_000).map(|n| text(&format!("{n:05}"), "")));
    let cont = bench.url("");
    let before = bench.server.stats().requests;
    in_a_task(async move {
        let credential = Credential::find(&cont, |_| None).unwrap();
        let options = ListOptions::default().parallel(false);
        let mut listing = nonblocking::list(&cont, &credential, &options).unwrap();
        assert_eq!(listing.next().await.unwrap().unwrap().path, "00000");
    });
    // Of eight pages one was read, and perhaps the next one begun.
    let asked = bench.server.stats().requests - before;
    assert!((1..=3).contains(&asked), "{asked}");
}
