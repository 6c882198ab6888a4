//! Copies that the service makes by itself: inside one account, and out of the archive.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

#[path = "copy_within/archive.rs"]
mod archive;

use std::time::{Duration, Instant};

use azsim::{
    Authority, BlobInfo, DEVSTORE_KEY, Fault, Faults, NameMatch, Operation, Role, Rule, Seed, Server,
    ServerBuilder, Tls,
};
use azuring_transfer::{
    BlobProperties, BlobTypeChoice, BlobUrl, BlockRules, CheckLength, ContentTypePolicy, Credential, Event,
    Failure, Job, JobOptions, JobStatus, Jobs, Limits, Location, Overwrite, Report, RouteChoice, Secret,
    StopHandle, TrustedSuffixes, bearer,
};
use kit::bytes;

/// Whole pages; what is larger is not one request of the other ways.
const PIECE: usize = 100 << 10;
const KINDS: [BlobTypeChoice; 3] = [BlobTypeChoice::Block, BlobTypeChoice::Append, BlobTypeChoice::Page];

/// Two containers of one account, and another account.
struct Account {
    server: Server,
}

impl Account {
    fn new() -> Self {
        Self::with(|server| server)
    }

    fn with(set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let server = Server::builder().threads(2).account("acc", DEVSTORE_KEY).account("other", DEVSTORE_KEY);
        let server = set(server).start().unwrap();
        for (account, container) in [("acc", "from"), ("acc", "dest"), ("other", "dest")] {
            assert!(server.create_container(account, container));
        }
        Self { server }
    }

    fn at(&self, account: &str, path: &str) -> Location {
        let sas = self.server.account_sas(account, "rwdlt", Duration::from_secs(600));
        let url = BlobUrl::parse(&format!("{}/{path}?{sas}", self.server.url(account))).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        Location::blob(url, credential)
    }

    fn copy(&self) -> azuring_transfer::JobBuilder {
        Job::copy(self.at("acc", "from"), self.at("acc", "dest")).recursive(true).options(options())
    }

    fn plant(&self, container: &str, name: &str, content: &[u8]) {
        let seed = Seed {
            name: name.to_owned(),
            content: vec![content.to_vec().into()],
            content_type: "text/x-test".to_owned(),
            cache_control: "no-store".to_owned(),
            metadata: vec![("mark".to_owned(), "x y".to_owned())],
            tier: "Cool".to_owned(),
            ..Seed::default()
        };
        self.server.plant("acc", container, [seed]);
    }

    /// Makes a blob of this kind in the source.
    fn make(&self, name: &str, kind: BlobTypeChoice, content: &[u8]) {
        if kind == BlobTypeChoice::Block {
            return self.plant("from", name, content);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it");
        std::fs::write(&path, content).unwrap();
        let sas = self.server.account_sas("acc", "rwdlt", Duration::from_secs(600));
        let url = BlobUrl::parse(&format!("{}/from/{name}?{sas}", self.server.url("acc"))).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        let mut properties = BlobProperties::default();
        properties.metadata = vec![("mark".to_owned(), "x y".to_owned())];
        let options = options().blob_type(kind).overwrite_in_place(true).put_md5(true).properties(properties);
        let (report, failed) = run(Job::upload(&path, url, credential).options(options).build().unwrap());
        assert_eq!(report.counts.done, 1, "{failed:?}");
    }

    fn archive(&self, name: &str, content: &[u8]) {
        let seed = Seed {
            name: name.to_owned(),
            content: vec![content.to_vec().into()],
            content_type: "text/x-test".to_owned(),
            tier: "Archive".to_owned(),
            ..Seed::default()
        };
        self.server.plant("acc", "from", [seed]);
    }

    fn blob(&self, name: &str) -> Option<BlobInfo> {
        self.server.blobs("acc", "dest").into_iter().find(|blob| blob.name == name)
    }

    fn content(&self, container: &str, name: &str) -> Vec<u8> {
        self.server.content("acc", container, name).unwrap().to_vec()
    }

    fn count(&self, operation: Operation) -> u64 {
        self.server.stats().by_operation.get(&operation).copied().unwrap_or(0)
    }

    /// Requests that have the service read elsewhere.
    fn read_elsewhere(&self) -> u64 {
        use Operation::{AppendBlockFromUrl, PutBlobFromUrl, PutBlockFromUrl, PutPageFromUrl};
        [PutBlobFromUrl, PutBlockFromUrl, AppendBlockFromUrl, PutPageFromUrl]
            .map(|op| self.count(op))
            .iter()
            .sum()
    }

    /// Faults of requests, each from the `skip`th on.
    fn strike(&self, rules: &[(Operation, Fault, u64, u64)]) {
        let rule = |(operation, fault, skip, count): &(Operation, Fault, u64, u64)| Rule {
            name: NameMatch::Contains(String::new()),
            operation: Some(*operation),
            fault: fault.clone(),
            skip: *skip,
            count: *count,
        };
        self.server.set_faults(Faults { rules: rules.iter().map(rule).collect(), ..Faults::default() });
    }

    /// Waits until the service has begun to make a copy.
    fn wait_for_pending(&self, name: &str) {
        until("a pending copy", || self.blob(name).is_some_and(|blob| blob.copy_status == "pending"));
    }

    /// Waits until so many requests have asked what a blob is.
    fn wait_for_looks(&self, looks: u64) {
        until("questions what a blob is", || self.count(Operation::GetBlobProperties) >= looks);
    }

    #[track_caller]
    fn assert_same(&self, name: &str) {
        assert!(self.content("from", name) == self.content("dest", name), "the bytes of {name} differ");
        let of = |container: &str| {
            let blobs = self.server.blobs("acc", container);
            let blob = blobs.into_iter().find(|blob| blob.name == name).unwrap();
            let content = (blob.content_type, blob.cache_control, blob.content_md5);
            (blob.blob_type, content, blob.metadata, blob.tier)
        };
        assert_eq!(of("from"), of("dest"));
    }
}

fn options() -> JobOptions {
    let blocks = BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64));
    let mut options =
        JobOptions::default().blocks(blocks).limits(Limits::here().lanes(2)).report_objects(true);
    options.retry.first_pause = Duration::from_millis(1);
    options
}

fn run(job: Job) -> (Report, Vec<Failure>) {
    let mut failed = Vec::new();
    let report = job.run(&StopHandle::new(), |event| {
        if let Event::Failed(failure) = event {
            failed.push(failure);
        }
    });
    (report, failed)
}

/// Waits, and gives up when nobody would wait any more.
fn until(what: &str, met: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(180);
    while !met() {
        assert!(Instant::now() < end, "there was not: {what}");
        std::thread::yield_now();
    }
}

/// Cuts a job short when a test fails beside it.
struct EndsWithTest<'a>(&'a StopHandle);

impl Drop for EndsWithTest<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.cut_short();
        }
    }
}

/// Runs a job, and meanwhile something else.
fn beside<T>(job: Job, other: impl FnOnce(&StopHandle) -> T) -> (Report, Vec<Failure>, T) {
    let stop = StopHandle::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let mut failed = Vec::new();
            let report = job.run(&stop, |event| {
                if let Event::Failed(failure) = event {
                    failed.push(failure);
                }
            });
            (report, failed)
        });
        let _ends = EndsWithTest(&stop);
        let other = other(&stop);
        let (report, failed) = running.join().unwrap();
        (report, failed, other)
    })
}

#[test]
fn inside_an_account_a_large_blob_is_one_request() {
    for kind in KINDS {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.plant("from", "small", b"small");
        let (report, failed) = run(account.copy().build().unwrap());
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 2), "{failed:?}");
        for name in ["large", "small"] {
            account.assert_same(name);
        }
        // A small one is made at once or not at all, also where one is there.
        assert_eq!((account.count(Operation::CopyBlob), account.read_elsewhere()), (1, 1), "{kind:?}");
        // It is looked at once, since no checksum was told.
        assert_eq!(account.count(Operation::GetBlobProperties), 1);
        assert_eq!(report.counts.bytes_by_service, 8 * PIECE as u64 + 5);
        assert_eq!(account.server.stats().bytes_fetched, 5);
    }
}

#[test]
fn between_accounts_it_is_read_as_before() {
    let account = Account::new();
    account.plant("from", "large", &bytes(8 * PIECE));
    let job = Job::copy(account.at("acc", "from"), account.at("other", "dest")).recursive(true);
    let (report, failed) = run(job.options(options()).build().unwrap());
    assert_eq!(report.counts.done, 1, "{failed:?}");
    assert_eq!((account.count(Operation::CopyBlob), account.read_elsewhere()), (0, 8));
}

/// In its own account the credential of the destination counts for the source, if that has a token: none can go along.
#[test]
fn each_kind_of_credential_copies_inside_an_account() {
    let authority = Authority::builder().start().unwrap();
    let account = Account::with(|server| server.tls(Tls::SelfSigned).authority(&authority));
    account.plant("from", "large", &bytes(5 * PIECE));
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, account.server.ca_pem().unwrap()).unwrap();
    let trusted = TrustedSuffixes::default().with(&account.server.addr().to_string());
    let at = |container: &str, kind: &str| {
        let url = BlobUrl::parse(&format!("{}/{container}", account.server.url("acc"))).unwrap();
        let credential = match kind {
            "SAS" => return account.at("acc", container),
            "key" => {
                let key = |name: &str| (name == "AZURE_STORAGE_KEY").then(|| DEVSTORE_KEY.to_owned());
                Credential::find(&url, key).unwrap()
            }
            _ => {
                let (feed, tokens) = bearer("somebody");
                let token = Secret::new(authority.token("somebody", &[Role::Contributor], 3600));
                feed.put(&token, Duration::from_secs(3600));
                Credential::token(&url, tokens, &trusted).unwrap()
            }
        };
        Location::blob(url, credential)
    };
    for (from, to, by_itself) in [
        ("key", "key", 1),
        ("key", "SAS", 1),
        ("SAS", "key", 1),
        ("SAS", "token", 1),
        ("token", "token", 1),
        ("token", "key", 1),
        ("token", "SAS", 0),
    ] {
        let before = account.count(Operation::CopyBlob);
        let options = options().ca_file(Some(ca.clone()));
        let name = format!("{from}-{to}");
        let job = Job::copy(at("from/large", from), at(&format!("dest/{name}"), to)).options(options);
        let (report, failed) = run(job.build().unwrap());
        assert_eq!(report.counts.done, 1, "{name}: {failed:?}");
        assert_eq!(account.content("dest", &name), bytes(5 * PIECE));
        assert_eq!(account.count(Operation::CopyBlob) - before, by_itself, "{name}");
    }
}

/// A copy that is pending would be an empty blob in the place of the one that was there.
#[test]
fn what_is_there_is_replaced_by_pieces_or_stays() {
    for (overwrite, stays) in [(Overwrite::Always, false), (Overwrite::Never, true)] {
        let account = Account::new();
        account.plant("from", "large", &bytes(8 * PIECE));
        account.plant("dest", "large", b"before");
        account.server.set_pending_copies(true);
        let (report, failed) = run(account.copy().options(options().overwrite(overwrite)).build().unwrap());
        assert_eq!(
            (report.counts.done, report.counts.skipped_existing),
            (!stays as u64, stays as u64),
            "{failed:?}"
        );
        // It is looked at only if it may stay.
        assert_eq!(account.count(Operation::GetBlobProperties), stays as u64);
        if stays {
            assert_eq!(account.content("dest", "large"), b"before");
        } else {
            account.assert_same("large");
        }
    }
}

#[test]
fn what_the_job_gives_itself_goes_the_other_way() {
    let (mut language, mut metadata) = (BlobProperties::default(), BlobProperties::default());
    language.content_language = Some("de".to_owned());
    metadata.metadata = vec![("own".to_owned(), "1".to_owned())];
    metadata.tier = Some("Cold".to_owned());
    for (options, by_itself) in [
        (options().properties(language), false),
        (options().content_type(ContentTypePolicy::Fixed("a/b".to_owned())), false),
        (options().route(RouteChoice::Relay), false),
        (options().properties(metadata), true),
    ] {
        let account = Account::new();
        account.plant("from", "large", &bytes(3 * PIECE));
        let (report, failed) = run(account.copy().options(options.clone()).build().unwrap());
        assert_eq!(report.counts.done, 1, "{failed:?}");
        assert_eq!(account.count(Operation::CopyBlob), by_itself as u64, "{options:?}");
        assert_eq!(account.content("from", "large"), account.content("dest", "large"));
        if by_itself {
            let blob = account.blob("large").unwrap();
            assert_eq!((blob.metadata.len(), &*blob.tier), (2, "Cold"));
        }
    }
}

#[test]
fn a_server_that_does_not_copy_by_itself_reads_the_source() {
    for kind in KINDS {
        let account = Account::new();
        account.make("large", kind, &bytes(3 * PIECE));
        account.strike(&[(Operation::CopyBlob, Fault::error(400, "UnsupportedHeader"), 0, u64::MAX)]);
        let (report, failed) = run(account.copy().build().unwrap());
        assert_eq!(report.counts.done, 1, "{failed:?}");
        account.assert_same("large");
        assert!(account.count(Operation::CopyBlob) > 0 && account.read_elsewhere() > 0);
    }
}

#[test]
fn a_pending_copy_is_waited_for() {
    for kind in KINDS {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.server.set_pending_copies(true);
        let (report, failed, ()) = beside(account.copy().build().unwrap(), |_| {
            account.wait_for_pending("large");
            account.server.advance_copies("acc", "dest", PIECE as u64);
            account.wait_for_looks(2);
            assert_eq!(account.blob("large").unwrap().copy_status, "pending");
            account.server.advance_copies("acc", "dest", u64::MAX);
        });
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        account.assert_same("large");
        assert_eq!((account.count(Operation::CopyBlob), account.read_elsewhere()), (1, 0));
    }
}

#[test]
fn a_pending_copy_is_aborted_and_removed_when_the_job_stops() {
    for kind in KINDS {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.server.set_pending_copies(true);
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let job = account.copy().journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        let (report, _, ()) = beside(job, |stop| {
            account.wait_for_pending("large");
            account.wait_for_looks(1);
            stop.stop();
        });
        assert!(report.interrupted && account.blob("large").is_none(), "{kind:?}");
        assert_eq!(account.count(Operation::AbortCopyBlob), 1);
        account.server.set_pending_copies(false);
        let (report, failed) = run(account.copy().resume(jobs(), id).build().unwrap());
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        account.assert_same("large");
    }
}

/// It was done between the last look and the abort.
#[test]
fn a_copy_that_is_done_when_the_job_stops_is_kept() {
    let account = Account::new();
    account.plant("from", "large", &bytes(8 * PIECE));
    account.server.set_pending_copies(true);
    let (_, _, ()) = beside(account.copy().build().unwrap(), |stop| {
        account.wait_for_pending("large");
        account.strike(&[(Operation::AbortCopyBlob, Fault::Hold, 0, u64::MAX)]);
        stop.stop();
        until("a held request", || account.server.stats().faults.contains_key("hold"));
        account.server.advance_copies("acc", "dest", u64::MAX);
        account.server.set_faults(Faults::default());
    });
    account.assert_same("large");
    assert_eq!(account.count(Operation::DeleteBlob), 0);
}

#[test]
fn a_copy_that_fails_goes_the_other_way() {
    for kind in KINDS {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.server.set_pending_copies(true);
        let (report, failed, ()) = beside(account.copy().build().unwrap(), |_| {
            account.wait_for_pending("large");
            account.server.fail_copies("acc", "dest", "500 InternalError");
        });
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        account.assert_same("large");
        assert!(account.read_elsewhere() > 0, "{kind:?}");
    }
}

#[test]
fn what_another_writes_in_the_place_of_a_pending_copy_is_not_touched() {
    let account = Account::new();
    account.plant("from", "large", &bytes(8 * PIECE));
    account.server.set_pending_copies(true);
    let (report, failed, ()) =
        beside(account.copy().options(options().retry_failed(0)).build().unwrap(), |_| {
            account.wait_for_pending("large");
            account.plant("dest", "large", b"another's");
        });
    assert_eq!(report.counts.failed, 1);
    assert!(failed[0].to_string().contains("another writer"), "{failed:?}");
    assert_eq!(account.content("dest", "large"), b"another's");
    assert_eq!(account.count(Operation::DeleteBlob), 0);
}

#[test]
fn a_copy_whose_answer_was_lost_is_found() {
    for (kind, pending) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.server.set_pending_copies(pending);
        account.strike(&[(Operation::CopyBlob, Fault::CutHeaders, 0, 1)]);
        let (report, failed, ()) = beside(account.copy().build().unwrap(), |_| {
            if pending {
                account.wait_for_pending("large");
                account.wait_for_looks(2);
                account.server.advance_copies("acc", "dest", u64::MAX);
            }
        });
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        account.assert_same("large");
        assert_eq!((account.count(Operation::CopyBlob), account.read_elsewhere()), (2, 0), "{kind:?}");
    }
}

/// Stops a job while its copy is pending, when it can abort and remove nothing, as one that was killed.
fn left(account: &Account, job: Job) {
    let refused = || Fault::error(403, "AuthorizationPermissionMismatch");
    let (report, _, ()) = beside(job, |stop| {
        account.wait_for_pending("large");
        account.wait_for_looks(1);
        account.strike(&[
            (Operation::AbortCopyBlob, refused(), 0, u64::MAX),
            (Operation::DeleteBlob, refused(), 0, u64::MAX),
        ]);
        stop.stop();
    });
    assert!(report.interrupted);
    account.server.set_faults(Faults::default());
    assert_eq!(account.blob("large").unwrap().copy_status, "pending");
}

#[test]
fn a_copy_that_is_pending_is_found_again_by_the_next_run() {
    for (kind, is_stopped) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.server.set_pending_copies(true);
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let job = account.copy().journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        left(&account, job);
        let looks = account.count(Operation::GetBlobProperties);
        let (report, failed, ()) = beside(account.copy().resume(jobs(), id).build().unwrap(), |stop| {
            account.wait_for_looks(looks + 2);
            if is_stopped {
                stop.stop();
            } else {
                account.server.advance_copies("acc", "dest", u64::MAX);
            }
        });
        // The second request found what the first one had begun.
        assert_eq!((account.count(Operation::CopyBlob), account.read_elsewhere()), (2, 0), "{kind:?}");
        if is_stopped {
            // The journal knows that it is this job's.
            assert!(account.blob("large").is_none());
            continue;
        }
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        account.assert_same("large");
    }
}

/// A run is killed before it can record what it has asked for. Its source has the time of the copy, or a later one: of
/// which state the copy is, only its bytes tell.
#[test]
fn a_pending_copy_that_could_not_be_recorded_is_known_by_its_bytes() {
    let cases = KINDS.map(|kind| (kind, false)).into_iter().chain([(BlobTypeChoice::Block, true)]);
    for (kind, is_other) in cases {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let job = account.copy().journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        account.strike(&[(Operation::CopyBlob, Fault::Hold, 0, u64::MAX)]);
        let (report, _, ()) = beside(job, |stop| {
            until("a request that is held", || account.server.stats().faults.contains_key("hold"));
            stop.cut_short();
        });
        account.server.set_faults(Faults::default());
        assert!(report.interrupted && account.blob("large").is_none());
        // What that run could have asked for last.
        account.server.set_pending_copies(true);
        left(&account, account.copy().build().unwrap());
        let now = if is_other { bytes(9 * PIECE)[PIECE..].to_vec() } else { bytes(8 * PIECE) };
        account.make("large", kind, &now);
        let looks = account.count(Operation::GetBlobProperties);
        let (report, failed, ()) = beside(account.copy().resume(jobs(), id).build().unwrap(), |_| {
            account.wait_for_looks(looks + 2);
            account.server.advance_copies("acc", "dest", u64::MAX);
        });
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{kind:?} {failed:?}");
        account.assert_same("large");
        assert_eq!(account.read_elsewhere() > 0, is_other, "{kind:?}");
    }
}

/// The source was changed since a run was killed: what it had begun is taken back.
#[test]
fn a_pending_copy_of_what_the_source_was_is_taken_back() {
    for kind in KINDS {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.server.set_pending_copies(true);
        let state = tempfile::tempdir().unwrap();
        let jobs = || Jobs::new(state.path());
        let job = account.copy().journal(jobs(), b"it".to_vec()).build().unwrap();
        let id = job.plan().id.parse().unwrap();
        left(&account, job);
        account.make("large", kind, &bytes(9 * PIECE)[PIECE..]);
        account.server.set_pending_copies(false);
        let (report, failed) = run(account.copy().resume(jobs(), id).build().unwrap());
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        account.assert_same("large");
        assert_eq!(account.count(Operation::AbortCopyBlob), 2, "{kind:?}");
    }
}

#[test]
fn only_the_state_that_was_listed_is_copied() {
    for kind in KINDS {
        let account = Account::new();
        account.make("large", kind, &bytes(8 * PIECE));
        account.strike(&[(Operation::CopyBlob, Fault::Hold, 0, 1)]);
        let (report, failed, ()) = beside(account.copy().build().unwrap(), |_| {
            until("a held request", || account.server.stats().faults.contains_key("hold"));
            account.make("large", kind, &bytes(4 * PIECE));
            account.server.set_faults(Faults::default());
        });
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
        assert_eq!(account.content("dest", "large"), bytes(4 * PIECE));
    }
}

#[test]
fn what_was_copied_is_compared() {
    let account = Account::new();
    account.plant("from", "large", &bytes(8 * PIECE));
    let looks = |options: JobOptions| {
        let before = account.count(Operation::GetBlobProperties);
        let (report, failed) = run(account.copy().options(options).build().unwrap());
        assert_eq!(report.counts.done, 1, "{failed:?}");
        account.count(Operation::GetBlobProperties) - before
    };
    assert_eq!(looks(options().check_length(CheckLength::Never)), 0);
    let verified = Account::new();
    verified.plant("from", "large", &bytes(8 * PIECE));
    let (report, failed) = run(verified.copy().options(options().verify(true)).build().unwrap());
    assert_eq!(report.counts.done, 1, "{failed:?}");
    assert!(verified.count(Operation::GetBlob) >= 2);
}
