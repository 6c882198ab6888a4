//! Listing and making containers through the public API, on a real server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ops::ControlFlow;

use azsim::{Fault, Faults, NameMatch, Operation, Rate, Rule, Seed, Server};
use azuring_transfer::{
    BlobUrl, CommandError, Credential, DEVSTORE_ACCOUNT, FailureKind, JobOptions, ListOptions, ListTotals,
    RetryPolicy, StopHandle, Wanted, list, make_container,
};

/// One line of a listing: path, version, whether it is the current one, length.
type Line = (String, String, bool, u64);

struct Bench {
    server: Server,
}

impl Bench {
    fn new(versioning: bool) -> Self {
        let server = Server::builder().threads(2).versioning(versioning).start().unwrap();
        server.create_container(DEVSTORE_ACCOUNT, "cont");
        Self { server }
    }

    fn plant(&self, names: impl IntoIterator<Item = String>) {
        let seed = |(n, name)| Seed { name, content: vec!["x".repeat(n % 3).into()], ..Seed::default() };
        self.server.plant(DEVSTORE_ACCOUNT, "cont", names.into_iter().enumerate().map(seed));
    }

    fn at(&self, path: &str) -> (BlobUrl, Credential) {
        let url = BlobUrl::parse(&format!("{}/{path}", self.server.url(DEVSTORE_ACCOUNT))).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        (url, credential)
    }

    fn list(&self, path: &str, options: &ListOptions) -> Result<(Vec<Line>, ListTotals), CommandError> {
        let (url, credential) = self.at(path);
        let mut lines = Vec::new();
        let totals = list(&url, &credential, options, &StopHandle::new(), |blob| {
            let facts = &blob.entry.facts;
            let version = facts.version_id.as_deref().unwrap_or_default().to_owned();
            lines.push((blob.path, version, blob.entry.is_current_version, facts.len));
            ControlFlow::Continue(())
        })?;
        Ok((lines, totals))
    }

    fn paths(&self, path: &str) -> Vec<String> {
        let (lines, _) = self.list(path, &ListOptions::default()).unwrap();
        lines.into_iter().map(|line| line.0).collect()
    }

    /// Lists page after page, then in parallel, and compares; returns the requests of both.
    fn compare(&self, options: &ListOptions, expected: usize) -> (u64, u64) {
        let flat = options.clone().parallel(false);
        let (in_order, flat) = self.list("cont", &flat).unwrap();
        assert_eq!((in_order.len(), flat.files), (expected, expected as u64));
        assert!(in_order.is_sorted_by_key(|line| line.0.as_bytes()));
        let (mut lines, totals) = self.list("cont", options).unwrap();
        let sorted = |lines: &mut Vec<Line>| lines.sort();
        let mut all = in_order;
        sorted(&mut lines);
        sorted(&mut all);
        assert_eq!(lines.len(), all.len());
        assert_eq!(lines, all);
        assert_eq!((totals.files, totals.bytes), (flat.files, flat.bytes));
        (flat.requests, totals.requests)
    }
}

#[test]
fn what_fits_into_a_page_is_one_request() {
    let bench = Bench::new(false);
    bench.plant((0..5000).map(|n| format!("{}/{n:05}", n % 10)));
    assert_eq!(bench.compare(&ListOptions::default(), 5000), (1, 1));
}

#[test]
fn parallel_listings_tell_what_flat_ones_tell() {
    let bench = Bench::new(false);
    let mut names = Vec::new();
    // Names around the slash: `dir!`, `dir-1` and `dir` sort before `dir/`, `dir0` behind it.
    for dir in ["dir!", "dir-1", "dir", "dir0", "\u{fc}ber", "d", "", "e//f", "e/", "a%2Fb", "a+b&c=d"] {
        names.extend((0..700).map(|n| format!("{dir}/{n:04}")));
        names.push(format!("{dir}x"));
    }
    // A corridor to one large directory, with something beside it at its end.
    names.extend((0..6000).map(|n| format!("long/way/to/go/{n:05}")));
    names.push("long/way/to/go!".to_owned());
    // Directories of one blob each, and blobs between directories.
    names.extend((0..300).map(|n| format!("many/{n:03}/one")));
    names.extend((0..6000).map(|n| format!("mixed/{n:04}")));
    names.extend((0..200).flat_map(|n| (0..20).map(move |m| format!("mixed/{n:04}/{m}"))));
    let count = names.len();
    bench.plant(names);
    let (flat, parallel) = bench.compare(&ListOptions::default(), count);
    assert_eq!(flat, (count as u64).div_ceil(5000));
    assert!(parallel > flat && bench.server.stats().in_flight_max > 1, "{flat} {parallel}");
    let unordered = ListOptions::default().wanted(Wanted::ALL);
    bench.compare(&unordered, count);
}

#[test]
fn one_large_directory_is_listed_page_after_page() {
    let bench = Bench::new(false);
    bench.plant((0..22_000).map(|n| format!("{n:06}")));
    // The look for directories is one request more.
    assert_eq!(bench.compare(&ListOptions::default(), 22_000), (5, 6));
    // More directories than are worth a request each.
    let bench = Bench::new(false);
    bench.plant((0..12_000).map(|n| format!("{:04}/{n}", n / 4)));
    assert_eq!(bench.compare(&ListOptions::default(), 12_000), (3, 4));
}

#[test]
fn versions_and_snapshots_are_neither_lost_nor_doubled() {
    let bench = Bench::new(true);
    let names = || (0..4000).map(|n| format!("{:02}/{n:05}", n % 40));
    bench.plant(names());
    for name in names().step_by(3) {
        assert!(bench.server.snapshot(DEVSTORE_ACCOUNT, "cont", &name));
    }
    let all = ListOptions::default().include_versions(true);
    bench.compare(&all, 4000);
    // A second and a third version of each.
    bench.plant(names());
    bench.plant(names());
    let (flat, parallel) = bench.compare(&all, 3 * 4000);
    assert!(flat == 3 && parallel > flat);
    let (lines, _) = bench.list("cont", &all).unwrap();
    assert_eq!(lines.iter().filter(|line| line.2).count(), 4000);
    assert_eq!(bench.compare(&ListOptions::default(), 4000), (1, 1));
}

#[test]
fn paths_are_relative_to_what_the_url_names() {
    let bench = Bench::new(false);
    let names = ["dir/a b.txt", "dir/sub/a.bin", "dir/top.txt", "dir2", "other", "stub/in"];
    bench.plant(names.map(str::to_owned));
    let stub = Seed {
        name: "stub".to_owned(),
        metadata: vec![("hdi_isfolder".to_owned(), "true".to_owned())],
        ..Seed::default()
    };
    bench.server.plant(DEVSTORE_ACCOUNT, "cont", [stub]);
    assert_eq!(bench.paths("cont"), names);
    let below = ["a b.txt", "sub/a.bin", "top.txt"];
    for url in ["cont/dir", "cont/dir/", "cont/dir/*"] {
        assert_eq!(bench.paths(url), below, "{url}");
    }
    assert_eq!(bench.paths("cont/stub"), ["in"]);
    assert_eq!(bench.paths("cont/dir/a%20b.txt"), [""]);
    for nothing in ["cont/di", "cont/nope", "cont/nope/", "none", "none/dir"] {
        let error = bench.list(nothing, &ListOptions::default()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Missing, "{nothing}: {error}");
    }
    bench.server.create_container(DEVSTORE_ACCOUNT, "empty");
    assert_eq!(bench.list("empty", &ListOptions::default()).unwrap().1.files, 0);
    let error = bench.list("cont/d*r", &ListOptions::default()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Usage);
}

#[test]
fn a_listing_ends_when_its_reader_has_enough_or_it_is_stopped() {
    let bench = Bench::new(false);
    bench.plant((0..40_000).map(|n| format!("{:02}/{n:05}", n % 40)));
    let (url, credential) = bench.at("cont");
    for parallel in [false, true] {
        let options = ListOptions::default().parallel(parallel);
        let mut told = 0;
        let totals = list(&url, &credential, &options, &StopHandle::new(), |_| {
            told += 1;
            if told == 7000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((told, totals.unwrap().files), (7000, 7000));
        let stop = StopHandle::new();
        let mut told = 0;
        let error = list(&url, &credential, &options, &stop, |_| {
            told += 1;
            stop.stop();
            ControlFlow::Continue(())
        });
        assert_eq!(error.unwrap_err().kind(), FailureKind::Interrupted);
        assert!(told < 40_000, "{told}");
    }
}

#[test]
fn faults_neither_lose_nor_double_a_blob() {
    let bench = Bench::new(false);
    bench.plant((0..30_000).map(|n| format!("{:02}/{n:05}", n % 30)));
    let retry = RetryPolicy::default().first_pause(std::time::Duration::from_millis(1));
    let mut options = ListOptions::default().engine(JobOptions::default().retry(retry));
    let faults = Faults {
        seed: 3,
        server_busy: Rate::Probability(0.1),
        reset: Rate::Probability(0.1),
        cut_body: Rate::Probability(0.1),
        ..Faults::default()
    };
    bench.server.set_faults(faults);
    bench.compare(&options, 30_000);
    let error = Fault::error(403, "AuthorizationPermissionMismatch");
    let rule = Rule {
        name: NameMatch::Contains(String::new()),
        operation: Some(Operation::ListBlobs),
        fault: error,
        skip: 4,
        count: u64::MAX,
    };
    bench.server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    options.parallel = true;
    let error = bench.list("cont", &options).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Authentication);
}

#[test]
fn a_container_is_made_once() {
    let bench = Bench::new(false);
    let make = |path: &str| {
        let (url, credential) = bench.at(path);
        make_container(&url, &credential, &JobOptions::default())
    };
    make("new-one").unwrap();
    let again = make("new-one").unwrap_err();
    assert_eq!(again.to_string(), "the container already exists");
    let below = make("other/dir").unwrap_err();
    assert!(matches!(below, CommandError::NotAContainer), "{below}");
    assert_eq!(bench.server.stats().by_operation[&Operation::CreateContainer], 2);
    // The answer was lost: it is made all the same.
    let rule = Rule {
        name: NameMatch::Contains(String::new()),
        operation: Some(Operation::CreateContainer),
        fault: Fault::CutHeaders,
        skip: 0,
        count: 1,
    };
    bench.server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    make("lost-answer").unwrap();
}
