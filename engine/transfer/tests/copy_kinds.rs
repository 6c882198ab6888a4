//! Page and append blobs from account to account: both are written in place, as uploads write them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::io::{Read, Write};

use azsim::{
    BlobInfo, DEVSTORE_KEY, Fault, Faults, NameMatch, Network, Operation, Rule, Server, ServerBuilder,
};
use azuring_transfer::{
    BlobProperties, BlobTypeChoice, BlobUrl, BlockRules, ContentTypePolicy, Credential, Event, Failure, Job,
    JobOptions, JobStatus, Jobs, Limits, Location, Overwrite, Report, RouteChoice, Side, StopHandle,
};
use kit::{bytes, text};

/// Whole pages.
const PIECE: usize = 100 << 10;
const KINDS: [BlobTypeChoice; 2] = [BlobTypeChoice::Append, BlobTypeChoice::Page];
const ROUTES: [RouteChoice; 2] = [RouteChoice::Direct, RouteChoice::Relay];

/// Two accounts of one server.
struct Accounts {
    server: Server,
}

impl Accounts {
    fn new() -> Self {
        Self::with(|server| server)
    }

    fn with(set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let server = Server::builder().threads(2).account("from", DEVSTORE_KEY).account("to", DEVSTORE_KEY);
        let server = set(server).start().unwrap();
        server.create_container("from", "cont");
        server.create_container("to", "cont");
        Self { server }
    }

    fn sas(&self, account: &str) -> String {
        self.server.account_sas(account, "rwdlt", std::time::Duration::from_secs(600))
    }

    /// A container, or a blob in it, at this address of the server.
    fn at(&self, address: &str, account: &str, path: &str) -> Location {
        let port = self.server.addr().port();
        let url = format!("http://{address}:{port}/{account}/cont{path}?{}", self.sas(account));
        let url = BlobUrl::parse(&url).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        Location::blob(url, credential)
    }

    fn from(&self) -> Location {
        self.at("127.0.0.1", "from", "")
    }

    fn to(&self) -> Location {
        self.at("127.0.0.1", "to", "")
    }

    /// Makes a blob, in the place of what is there, with content type and metadata.
    fn make(&self, account: &str, name: &str, kind: BlobTypeChoice, content: &[u8]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it");
        std::fs::write(&path, content).unwrap();
        let url = format!("{}/cont/{name}?{}", self.server.url(account), self.sas(account));
        let url = BlobUrl::parse(&url).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        let mut properties = BlobProperties::default();
        properties.metadata = vec![("mark".to_owned(), "x y".to_owned())];
        properties.cache_control = Some("no-store".to_owned());
        let options = options()
            .blob_type(kind)
            .overwrite_in_place(true)
            .put_md5(true)
            .properties(properties)
            .content_type(ContentTypePolicy::Fixed("text/x-test".to_owned()));
        let (report, failed) = run_job(Job::upload(&path, url, credential).options(options).build().unwrap());
        assert_eq!(report.counts.done, 1, "{failed:?}");
    }

    fn content(&self, account: &str, name: &str) -> Vec<u8> {
        self.server.content(account, "cont", name).unwrap().to_vec()
    }

    fn blob(&self, account: &str, name: &str) -> Option<BlobInfo> {
        self.server.blobs(account, "cont").into_iter().find(|blob| blob.name == name)
    }

    fn count(&self, operation: Operation) -> u64 {
        self.server.stats().by_operation.get(&operation).copied().unwrap_or(0)
    }

    /// A fault of requests for `name`, from the `skip`th on.
    fn strike(&self, name: &str, operation: Operation, fault: Fault, skip: u64, count: u64) {
        let name = NameMatch::Contains(name.to_owned());
        let rule = Rule { name, operation: Some(operation), fault, skip, count };
        self.server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    }

    fn wait_for(&self, fault: &str) {
        while !self.server.stats().faults.contains_key(fault) {
            std::thread::yield_now();
        }
    }

    /// A request about a blob, and its answer.
    fn ask(&self, method: &str, account: &str, name: &str, (query, headers): (&str, &str)) -> String {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.server.addr().port())).unwrap();
        let sas = self.sas(account);
        write!(
            stream,
            "{method} /{account}/cont/{name}?{query}{sas} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-ms-version: 2025-07-05\r\n\
             {headers}content-length: 0\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The written ranges of a page blob, as the service tells them.
    fn ranges(&self, account: &str, name: &str) -> String {
        let answer = self.ask("GET", account, name, ("comp=pagelist&", ""));
        answer.split_once("<PageList>").unwrap_or_else(|| panic!("{answer}")).1.to_owned()
    }

    /// Another writer puts a block blob in the place of a blob, whoever holds that.
    fn replace(&self, name: &str) {
        let leased = ("comp=lease&", "x-ms-lease-action: break\r\nx-ms-lease-break-period: 0\r\n");
        self.ask("PUT", "to", name, leased);
        let gone = self.ask("DELETE", "to", name, ("", ""));
        assert!(gone.starts_with("HTTP/1.1 202"), "{gone}");
        self.server.plant("to", "cont", [text(name, "another's")]);
    }

    /// Compares a blob with its copy.
    fn assert_same(&self, from: &str, to: &str) {
        assert!(self.content("from", from) == self.content("to", to), "the bytes of {from} differ");
        let of = |account: &str, name: &str| {
            let blob = self.blob(account, name).unwrap();
            let about = (blob.blob_type.clone(), blob.content_type, blob.cache_control, blob.metadata);
            let pages = if blob.blob_type == "PageBlob" { self.ranges(account, name) } else { String::new() };
            (about, blob.content_md5, pages)
        };
        assert_eq!(of("from", from), of("to", to));
    }
}

fn options() -> JobOptions {
    let blocks = BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64));
    let mut options =
        JobOptions::default().blocks(blocks).limits(Limits::here().lanes(2)).report_objects(true);
    options.retry.first_pause = std::time::Duration::from_millis(1);
    options
}

/// One lane, and little at a time.
fn few() -> JobOptions {
    options().limits(Limits::here().lanes(1).concurrency(2))
}

fn run(from: Location, to: Location, options: JobOptions) -> (Report, Vec<Failure>) {
    run_job(Job::copy(from, to).recursive(true).options(options).build().unwrap())
}

fn run_job(job: Job) -> (Report, Vec<Failure>) {
    let mut failed = Vec::new();
    let report = job.run(&StopHandle::new(), |event| {
        if let Event::Failed(failure) = event {
            failed.push(failure);
        }
    });
    (report, failed)
}

/// The operation that has bytes read elsewhere, and the one that sends them.
fn writes(kind: BlobTypeChoice) -> (Operation, Operation) {
    match kind {
        BlobTypeChoice::Page => (Operation::PutPageFromUrl, Operation::PutPage),
        _ => (Operation::AppendBlockFromUrl, Operation::AppendBlock),
    }
}

#[test]
fn each_kind_stays_what_it_is_on_either_way() {
    for kind in KINDS {
        for route in ROUTES {
            let accounts = Accounts::new();
            let (len, (by_service, sent)) = (3 * PIECE + 512, writes(kind));
            accounts.make("from", "large", kind, &bytes(len));
            accounts.make("from", "empty", kind, b"");
            let made = accounts.count(sent);
            let options = options().route(route).verify(true);
            let (report, failed) = run(accounts.from(), accounts.to(), options);
            assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 2), "{failed:?}");
            accounts.assert_same("large", "large");
            accounts.assert_same("empty", "empty");
            let asked = (accounts.count(by_service), accounts.count(sent) - made);
            let moved = (report.counts.bytes_by_service, report.counts.bytes_sent);
            match route {
                RouteChoice::Relay => assert_eq!((asked, moved), ((0, 4), (0, len as u64))),
                _ => assert_eq!((asked, moved), ((4, 0), (len as u64, 0))),
            }
            assert_eq!(report.counts.bytes, len as u64);
        }
    }
}

#[test]
fn what_the_destination_may_not_read_goes_through_this_host() {
    for kind in KINDS {
        let accounts = Accounts::with(|server| server.listen(([0, 0, 0, 0], 0).into()));
        let len = 3 * PIECE + 512;
        accounts.make("from", "large", kind, &bytes(len));
        // The client may read the source, by its private endpoint, and the destination may not.
        let spoke = Network::closed().private_endpoint([127, 0, 0, 2].into(), "spoke");
        accounts.server.set_network("from", spoke);
        let from = || accounts.at("127.0.0.2", "from", "");
        let (report, failed) = run(from(), accounts.to(), options().route(RouteChoice::Direct));
        assert!(report.fatal.unwrap().reason.contains("source: 403 CannotVerifyCopySource"), "{failed:?}");
        // What it began is not left.
        assert!(accounts.blob("to", "large").is_none());
        let (report, failed) = run(from(), accounts.to(), options());
        assert_eq!(report.counts.done, 1, "{failed:?}");
        assert_eq!((report.counts.bytes_by_service, report.counts.bytes_sent), (0, len as u64));
        accounts.server.set_network("from", Network::default());
        accounts.assert_same("large", "large");
    }
}

#[test]
fn a_source_that_changes_is_copied_in_one_of_its_states() {
    let later: Vec<u8> = bytes(4 * PIECE).iter().map(|byte| !byte).collect();
    for kind in KINDS {
        for route in ROUTES {
            let accounts = Accounts::new();
            accounts.make("from", "large", kind, &bytes(4 * PIECE));
            let (by_service, sent) = writes(kind);
            let operation = if route == RouteChoice::Direct { by_service } else { sent };
            // Some of it is copied already.
            accounts.strike("copy", operation, Fault::Hold, 1, u64::MAX);
            let options = few().retry_failed(1).route(route);
            let (from, to) =
                (accounts.at("127.0.0.1", "from", "/large"), accounts.at("127.0.0.1", "to", "/copy"));
            let (report, failed) = std::thread::scope(|scope| {
                let running = scope.spawn(|| run(from, to, options));
                accounts.wait_for("hold");
                accounts.make("from", "large", kind, &later);
                accounts.server.set_faults(Faults::default());
                running.join().unwrap()
            });
            assert_eq!((report.counts.done, report.counts.failed), (1, 0), "{route:?} {failed:?}");
            assert!(accounts.content("to", "copy") == later, "{route:?}");
            accounts.assert_same("large", "copy");
        }
    }
}

#[test]
fn a_service_that_is_busy_is_asked_again_and_one_that_loses_answers_is_looked_at() {
    for kind in KINDS {
        for (fault, count) in
            [(Fault::error(503, "ServerBusy"), 3), (Fault::Reset, 2), (Fault::CutHeaders, 2)]
        {
            for operation in [writes(kind).0, Operation::PutBlob, Operation::SetBlobProperties] {
                let accounts = Accounts::new();
                accounts.make("from", "large", kind, &bytes(4 * PIECE));
                accounts.strike("large", operation, fault.clone(), 0, count);
                let never = options().overwrite(Overwrite::Never);
                let (report, failed) = run(accounts.from(), accounts.to(), never);
                let struck = accounts.server.stats().faults.values().sum::<u64>();
                assert_eq!(struck, count, "{operation:?}");
                assert_eq!(
                    (report.counts.done, report.counts.failed),
                    (1, 0),
                    "{operation:?} {fault:?} {failed:?}"
                );
                accounts.assert_same("large", "large");
                assert_eq!(report.counts.bytes_by_service, report.counts.bytes);
            }
        }
    }
}

#[test]
fn what_is_there_is_replaced_only_if_that_is_said() {
    for kind in KINDS {
        let accounts = Accounts::new();
        accounts.make("from", "large", kind, &bytes(2 * PIECE));
        accounts.make("to", "large", kind, &[7; 512]);
        let before = accounts.blob("to", "large").unwrap().etag;
        let never = options().overwrite(Overwrite::Never);
        let (report, failed) = run(accounts.from(), accounts.to(), never);
        assert_eq!((report.counts.skipped_existing, report.counts.failed), (1, 0), "{failed:?}");
        // Nobody has said that what is there may be lost.
        let (report, failed) = run(accounts.from(), accounts.to(), options());
        assert_eq!((report.counts.done, report.counts.failed), (0, 1));
        assert!(failed[0].reason.contains("there is a blob of this name"), "{failed:?}");
        assert_eq!(accounts.blob("to", "large").unwrap().etag, before);
        let (report, failed) = run(accounts.from(), accounts.to(), options().overwrite_in_place(true));
        assert_eq!(report.counts.done, 1, "{failed:?}");
        accounts.assert_same("large", "large");
    }
}

#[test]
fn what_a_source_refuses_leaves_nothing_behind() {
    for kind in KINDS {
        let accounts = Accounts::new();
        accounts.make("from", "large", kind, &bytes(4 * PIECE));
        accounts.make("from", "small", kind, &bytes(PIECE));
        let refused = Fault::error(403, "AuthorizationPermissionMismatch");
        accounts.strike("large", Operation::GetBlob, refused, 2, u64::MAX);
        let (report, failed) = run(accounts.from(), accounts.to(), options());
        assert_eq!((report.counts.done, report.counts.failed), (1, 1), "{failed:?}");
        assert_eq!((&*failed[0].object, failed[0].side), ("large", Some(Side::Source)));
        assert!(failed[0].reason.starts_with("source: 403 CannotVerifyCopySource"), "{failed:?}");
        assert!(accounts.blob("to", "large").is_none());
        accounts.assert_same("small", "small");
    }
}

#[test]
fn another_writer_is_never_mixed_in() {
    for kind in KINDS {
        let accounts = Accounts::new();
        accounts.make("from", "large", kind, &bytes(4 * PIECE));
        accounts.strike("large", writes(kind).0, Fault::Hold, 2, u64::MAX);
        let (report, failed) = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(accounts.from(), accounts.to(), few()));
            accounts.wait_for("hold");
            accounts.replace("large");
            accounts.server.set_faults(Faults::default());
            running.join().unwrap()
        });
        assert_eq!((report.counts.done, report.counts.failed), (0, 1), "{failed:?}");
        assert!(failed[0].reason.contains("another writer has written to the blob"), "{failed:?}");
        assert_eq!(accounts.content("to", "large"), b"another's");
    }
}

#[test]
fn a_job_that_was_stopped_is_gone_on_with() {
    for kind in KINDS {
        let accounts = Accounts::new();
        accounts.make("from", "large", kind, &bytes(8 * PIECE));
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let copy = || Job::copy(accounts.from(), accounts.to()).recursive(true).options(few());
        accounts.strike("large", writes(kind).0, Fault::Hold, 4, u64::MAX);
        let job = copy().journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        let stop = StopHandle::new();
        let report = std::thread::scope(|scope| {
            let running = scope.spawn(|| job.run(&stop, |_| {}));
            accounts.wait_for("hold");
            stop.stop();
            accounts.server.set_faults(Faults::default());
            running.join().unwrap()
        });
        assert!(report.interrupted && accounts.blob("to", "large").is_none());
        let (report, failed) = run_job(copy().resume(jobs(), id).build().unwrap());
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        accounts.assert_same("large", "large");
    }
}

/// The last run could not remove what it had begun, as one that was killed.
#[test]
fn what_an_earlier_run_has_left_is_taken_up() {
    for kind in KINDS {
        let accounts = Accounts::new();
        accounts.make("from", "large", kind, &bytes(8 * PIECE));
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let copy = || Job::copy(accounts.from(), accounts.to()).recursive(true).options(few());
        accounts.strike("large", writes(kind).0, Fault::Hold, 4, u64::MAX);
        let job = copy().journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        let stop = StopHandle::new();
        let report = std::thread::scope(|scope| {
            let running = scope.spawn(|| job.run(&stop, |_| {}));
            accounts.wait_for("hold");
            stop.stop();
            let refused = Fault::error(403, "AuthorizationPermissionMismatch");
            accounts.strike("large", Operation::DeleteBlob, refused, 0, u64::MAX);
            running.join().unwrap()
        });
        assert!(report.interrupted && accounts.blob("to", "large").is_some());
        accounts.server.set_faults(Faults::default());
        let before = accounts.count(writes(kind).0);
        let (report, failed) = run_job(copy().resume(jobs(), id).build().unwrap());
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        accounts.assert_same("large", "large");
        // A beginning of the source is gone on with; of pages nobody knows which ones are there.
        let again = accounts.count(writes(kind).0) - before;
        assert!(
            if kind == BlobTypeChoice::Page { again == 8 } else { again < 8 },
            "{again} in the second run"
        );
    }
}

/// A page blob of 64 pieces, three of which were written to.
fn sparse(accounts: &Accounts) {
    let mut content = vec![0; 64 * PIECE];
    for piece in [3, 4, 10] {
        content[piece * PIECE..(piece + 1) * PIECE].copy_from_slice(&bytes(PIECE));
    }
    accounts.make("from", "disk", BlobTypeChoice::Page, &content);
}

#[test]
fn only_what_was_written_of_a_page_blob_is_copied() {
    for route in ROUTES {
        // Of 100 KiB, and the largest.
        for (size, requests) in [(Some(PIECE as u64), 3), (None, 2)] {
            let accounts = Accounts::new();
            sparse(&accounts);
            let made = accounts.count(Operation::PutPage);
            let options = options().blocks(BlockRules::default().block_size(size)).route(route);
            let (report, failed) = run(accounts.from(), accounts.to(), options);
            assert_eq!((report.counts.done, report.counts.bytes), (1, 64 * PIECE as u64), "{failed:?}");
            accounts.assert_same("disk", "disk");
            let written = 3 * PIECE as u64;
            let asked =
                (accounts.count(Operation::PutPageFromUrl), accounts.count(Operation::PutPage) - made);
            let moved = (report.counts.bytes_by_service, report.counts.bytes_sent);
            match route {
                RouteChoice::Relay => assert_eq!((asked, moved), ((0, requests), (0, written))),
                _ => assert_eq!((asked, moved), ((requests, 0), (written, 0))),
            }
        }
    }
}

#[test]
fn a_page_blob_stays_until_it_is_known_what_comes() {
    let accounts = Accounts::new();
    sparse(&accounts);
    accounts.make("to", "disk", BlobTypeChoice::Page, &[7; 512]);
    let before = accounts.blob("to", "disk").unwrap().etag;
    let in_place = || options().overwrite_in_place(true);
    let refused = Fault::error(403, "AuthorizationPermissionMismatch");
    accounts.strike("disk", Operation::GetPageRanges, refused, 0, u64::MAX);
    let (report, failed) = run(accounts.from(), accounts.to(), in_place());
    assert_eq!((report.counts.done, report.counts.failed), (0, 1), "{failed:?}");
    assert_eq!(failed[0].side, Some(Side::Source));
    assert_eq!(accounts.blob("to", "disk").unwrap().etag, before);
    accounts.strike("disk", Operation::GetPageRanges, Fault::error(503, "ServerBusy"), 0, 3);
    let (report, failed) = run(accounts.from(), accounts.to(), in_place());
    assert_eq!(report.counts.done, 1, "{failed:?}");
    accounts.assert_same("disk", "disk");
}

#[test]
fn a_blob_keeps_its_type_or_fails() {
    for kind in KINDS {
        let accounts = Accounts::new();
        accounts.make("from", "large", kind, &bytes(PIECE));
        let (report, failed) =
            run(accounts.from(), accounts.to(), options().blob_type(BlobTypeChoice::Block));
        assert_eq!((report.counts.done, report.counts.failed), (0, 1));
        assert!(failed[0].reason.contains("each blob keeps its type"), "{failed:?}");
    }
}

#[test]
fn the_tier_of_a_premium_page_blob_is_kept_where_there_are_some() {
    let tier = |accounts: &Accounts| {
        let head = accounts.ask("HEAD", "to", "disk", ("", "")).to_ascii_lowercase();
        head.lines().find_map(|line| line.strip_prefix("x-ms-access-tier: ").map(str::to_owned))
    };
    let premium = || Accounts::with(|server| server.premium_page_blobs(true));
    let from = premium();
    sparse(&from);
    let set = ("comp=tier&", "x-ms-access-tier: P20\r\n");
    assert!(from.ask("PUT", "from", "disk", set).starts_with("HTTP/1.1 20"));
    for (to, given, want) in [
        (premium(), None, Some("p20")),
        (premium(), Some("P30".to_owned()), Some("p30")),
        (Accounts::new(), None, None),
    ] {
        let (report, failed) = run(from.from(), to.to(), options().page_blob_tier(given));
        assert_eq!(report.counts.done, 1, "{failed:?}");
        assert_eq!(tier(&to).as_deref(), want);
        assert!(to.content("to", "disk") == from.content("from", "disk"));
    }
}
