//! Copies from account to account: the destination reads the source by itself, or the bytes pass here.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[allow(unused_imports, reason = "this file uses a part of it")]
#[path = "../../../tests/src/hostile/mod.rs"]
mod hostile;
mod kit;

use std::collections::BTreeMap;

use azsim::{
    Authority, BlobInfo, DEVSTORE_KEY, Fault, Faults, NameMatch, Network, Operation, Role, Rule, Seed,
    Server, ServerBuilder, Tls,
};
use azuring_transfer::{
    Bearer, BlobUrl, BlockRules, CheckMd5, Credential, Event, Failure, FailureKind, Job, JobOptions,
    JobStatus, Jobs, Limits, Location, Overwrite, Report, RouteChoice, Secret, Side, StopHandle, TokenFeed,
    TrustedSuffixes, bearer,
};
use hostile::{Answer, Hostile};
use kit::{bytes, text};

const PIECE: usize = 100 << 10;

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

    /// A container with a SAS.
    fn sas(&self, account: &str, path: &str) -> Location {
        let sas = self.server.account_sas(account, "rwdlt", std::time::Duration::from_secs(600));
        let url = BlobUrl::parse(&format!("{}/cont{path}?{sas}", self.server.url(account))).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        Location::blob(url, credential)
    }

    /// The same with the account's key.
    fn key(&self, account: &str, path: &str) -> Location {
        let url = BlobUrl::parse(&format!("{}/cont{path}", self.server.url(account))).unwrap();
        let key = |name: &str| match name {
            "AZURE_STORAGE_KEY" => Some(DEVSTORE_KEY.to_owned()),
            _ => None,
        };
        let credential = Credential::find(&url, key).unwrap();
        Location::blob(url, credential)
    }

    fn blobs(&self, account: &str) -> Vec<BlobInfo> {
        self.server.blobs(account, "cont")
    }

    fn contents(&self, account: &str) -> BTreeMap<String, Vec<u8>> {
        let content = |name: &str| self.server.content(account, "cont", name).unwrap().to_vec();
        self.blobs(account).into_iter().map(|blob| (blob.name.clone(), content(&blob.name))).collect()
    }

    fn count(&self, operation: Operation) -> u64 {
        self.server.stats().by_operation.get(&operation).copied().unwrap_or(0)
    }

    /// Blobs of every kind of length and name, with all properties that go along.
    fn fill(&self) {
        let objects =
            [("a", 10), ("a-b", 0), ("a/b", PIECE), ("a/c/%2F +", 70_000), ("d/\u{e4}\u{1F600}", 1)];
        for (name, len) in objects.into_iter().chain([("large", 5 * PIECE + 7)]) {
            self.server.plant("from", "cont", [seed(name, &bytes(len))]);
        }
    }
}

fn seed(name: &str, content: &[u8]) -> Seed {
    Seed {
        name: name.to_owned(),
        content: vec![content.to_vec().into()],
        content_type: "text/x-test".to_owned(),
        content_encoding: "gzip".to_owned(),
        content_language: "de".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "no-store".to_owned(),
        metadata: vec![("mark".to_owned(), "x y".to_owned())],
        ..Seed::default()
    }
}

fn options() -> JobOptions {
    let blocks = BlockRules::default().block_size(Some(PIECE as u64)).put_blob_size(Some(PIECE as u64));
    let mut options =
        JobOptions::default().blocks(blocks).limits(Limits::here().lanes(2)).report_objects(true);
    options.retry.first_pause = std::time::Duration::from_millis(1);
    options
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

/// A fault of a request for objects whose names contain `name`, from the `skip`th on.
fn strike(accounts: &Accounts, name: &str, operation: Operation, fault: Fault, skip: u64, count: u64) {
    let name = NameMatch::Contains(name.to_owned());
    let rule = Rule { name, operation: Some(operation), fault, skip, count };
    accounts.server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
}

fn assert_same_but_for_time(accounts: &Accounts) {
    assert!(accounts.contents("from") == accounts.contents("to"), "names or bytes differ");
    for (from, to) in accounts.blobs("from").iter().zip(accounts.blobs("to")) {
        let of = |blob: &BlobInfo| {
            let headers = (
                blob.content_type.clone(),
                blob.content_encoding.clone(),
                blob.content_language.clone(),
                blob.content_disposition.clone(),
                blob.cache_control.clone(),
            );
            (blob.name.clone(), blob.blob_type.clone(), headers, blob.metadata.clone())
        };
        assert_eq!(of(from), of(&to));
        // Where the source has none, the service may compute it.
        assert!(from.content_md5.is_none() || from.content_md5 == to.content_md5, "{}", from.name);
    }
}

#[test]
fn a_container_is_copied_by_the_service_with_any_credential() {
    let both: [fn(&Accounts, &str) -> Location; 2] =
        [|accounts, account| accounts.sas(account, ""), |accounts, account| accounts.key(account, "")];
    for from in both {
        for to in both {
            let accounts = Accounts::new();
            accounts.fill();
            let (report, failed) = run(from(&accounts, "from"), to(&accounts, "to"), options());
            assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 6), "{failed:?}");
            assert_same_but_for_time(&accounts);
            // One request for each small blob; no byte of them passed here.
            assert_eq!((report.counts.bytes_sent, report.counts.bytes_by_service), (0, report.counts.bytes));
            let blocks = [Operation::PutBlobFromUrl, Operation::PutBlockFromUrl, Operation::PutBlockList];
            assert_eq!(blocks.map(|operation| accounts.count(operation)), [5, 6, 1]);
            // And the listing.
            assert_eq!(report.counts.requests, 5 + 6 + 1 + 1);
        }
    }
}

#[test]
fn every_way_gives_the_same() {
    for route in [RouteChoice::Auto, RouteChoice::Direct, RouteChoice::Relay] {
        let accounts = Accounts::new();
        accounts.fill();
        let (report, failed) =
            run(accounts.sas("from", ""), accounts.key("to", ""), options().route(route).verify(true));
        assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 6), "{failed:?}");
        assert_same_but_for_time(&accounts);
        assert_eq!(accounts.count(Operation::PutBlobFromUrl) == 0, route == RouteChoice::Relay);
    }
}

#[test]
fn a_type_for_all_and_what_is_there() {
    let accounts = Accounts::new();
    accounts.fill();
    accounts.server.plant("to", "cont", [text("a", "mine"), text("large", "mine")]);
    let never = options().overwrite(Overwrite::Never);
    let (report, failed) = run(accounts.sas("from", ""), accounts.sas("to", ""), never);
    assert_eq!((report.counts.done, report.counts.skipped_existing), (4, 2), "{failed:?}");
    assert_eq!(accounts.contents("to")["a"], b"mine");
    assert_eq!(accounts.contents("to")["large"], b"mine");
    let (report, failed) = run(accounts.sas("from", "/a"), accounts.sas("to", "/renamed"), options());
    assert_eq!(report.counts.done, 1, "{failed:?}");
    assert_eq!(accounts.contents("to")["renamed"], bytes(10));
}

#[test]
fn a_source_that_changes_is_copied_in_one_of_its_states() {
    let changed = |len: usize| bytes(len).iter().map(|byte| !byte).collect::<Vec<u8>>();
    for (name, len, operation) in
        [("a", 10, Operation::PutBlobFromUrl), ("large", 5 * PIECE + 7, Operation::PutBlockFromUrl)]
    {
        let accounts = Accounts::new();
        accounts.fill();
        // It was listed, and some of it may be copied already.
        strike(&accounts, name, operation, Fault::Hold, u64::from(len > PIECE), u64::MAX);
        let (from, to) = (accounts.sas("from", &format!("/{name}")), accounts.sas("to", ""));
        let (report, failed) = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(from, to, options().retry_failed(1)));
            while !accounts.server.stats().faults.contains_key("hold") {
                std::thread::yield_now();
            }
            accounts.server.plant("from", "cont", [seed(name, &changed(len))]);
            accounts.server.set_faults(Faults::default());
            running.join().unwrap()
        });
        assert_eq!((report.counts.done, report.counts.failed), (1, 0), "{failed:?}");
        assert_eq!(accounts.contents("to")[name], changed(len));
    }
}

#[test]
fn bytes_that_are_not_those_of_their_md5_are_not_written() {
    let accounts = Accounts::new();
    accounts.fill();
    let wrong = Seed { content_md5: Some([7; 16]), ..seed("wrong", b"some bytes") };
    accounts.server.plant("from", "cont", [wrong]);
    accounts.server.plant("to", "cont", [text("wrong", "mine")]);
    let (report, failed) = run(accounts.sas("from", ""), accounts.sas("to", ""), options());
    assert_eq!((report.counts.done, report.counts.failed), (6, 1), "{failed:?}");
    assert_eq!((failed[0].kind, failed[0].side), (FailureKind::Integrity, Some(Side::Source)), "{failed:?}");
    assert_eq!(accounts.contents("to")["wrong"], b"mine");
    let all_the_same = options().check_md5(CheckMd5::NoCheck);
    let (report, failed) = run(accounts.sas("from", "/wrong"), accounts.sas("to", ""), all_the_same);
    assert_eq!(report.counts.done, 1, "{failed:?}");
    assert_eq!(accounts.contents("to")["wrong"], b"some bytes");
}

#[test]
fn a_service_that_is_busy_is_asked_again_and_one_that_loses_answers_is_looked_at() {
    for (fault, count) in [(Fault::error(503, "ServerBusy"), 3), (Fault::Reset, 2), (Fault::CutHeaders, 2)] {
        for operation in [Operation::PutBlobFromUrl, Operation::PutBlockFromUrl, Operation::PutBlockList] {
            let accounts = Accounts::new();
            accounts.fill();
            strike(&accounts, "", operation, fault.clone(), 0, count);
            let never = options().overwrite(Overwrite::Never);
            let (report, failed) = run(accounts.sas("from", ""), accounts.sas("to", ""), never);
            assert_eq!((report.counts.done, report.counts.failed), (6, 0), "{fault:?} {failed:?}");
            assert_same_but_for_time(&accounts);
        }
    }
}

#[test]
fn what_is_refused_of_one_blob_is_its_failure_alone() {
    let accounts = Accounts::new();
    accounts.fill();
    accounts.server.plant("to", "cont", [text("a/b", "mine")]);
    strike(
        &accounts,
        "a/b",
        Operation::GetBlob,
        Fault::error(403, "AuthorizationPermissionMismatch"),
        0,
        u64::MAX,
    );
    let (report, failed) = run(accounts.sas("from", ""), accounts.sas("to", ""), options());
    assert_eq!((report.counts.done, report.counts.failed), (5, 1), "{failed:?}");
    assert_eq!((&*failed[0].object, failed[0].side), ("a/b", Some(Side::Source)));
    assert!(failed[0].reason.starts_with("source: 403 CannotVerifyCopySource"), "{failed:?}");
    assert_eq!(accounts.contents("to")["a/b"], b"mine");
}

#[test]
fn a_job_that_was_stopped_goes_on_with_the_blocks_that_are_there() {
    let accounts = Accounts::new();
    accounts.server.plant("from", "cont", [seed("large", &bytes(30 * PIECE))]);
    let state = tempfile::tempdir().unwrap();
    let jobs = || Jobs::new(state.path());
    let copy = || {
        let limits = Limits::here().lanes(1).concurrency(2);
        let job = Job::copy(accounts.sas("from", ""), accounts.key("to", "")).recursive(true);
        job.options(options().limits(limits))
    };
    strike(&accounts, "large", Operation::PutBlockFromUrl, Fault::Hold, 10, u64::MAX);
    let job = copy().journal(jobs(), b"it".to_vec()).build().unwrap();
    let id = job.plan().id.parse().unwrap();
    let stop = StopHandle::new();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| job.run(&stop, |_| {}));
        while !accounts.server.stats().faults.contains_key("hold") {
            std::thread::yield_now();
        }
        stop.stop();
        accounts.server.set_faults(Faults::default());
        running.join().unwrap()
    });
    assert!(report.interrupted && accounts.blobs("to").is_empty());
    let before = accounts.count(Operation::PutBlockFromUrl);
    let (report, failed) = run_job(copy().resume(jobs(), id).build().unwrap());
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
    assert_same_but_for_time(&accounts);
    let again = accounts.count(Operation::PutBlockFromUrl) - before;
    assert!((18..=20).contains(&again), "{again} of 30 blocks were copied in the second run");
}

#[test]
fn a_way_that_there_is_not_is_refused() {
    let accounts = Accounts::new();
    let memory = azuring_store::Memory::new();
    let to = Location::store(azuring_store::CustomStore::shared("memory", memory), "");
    let job = Job::copy(accounts.sas("from", ""), to).options(options().route(RouteChoice::Direct));
    assert!(job.build().err().unwrap().to_string().contains("only Blob storage reads a source by itself"));
}

/// The source is reached by a private endpoint in a network that the client's way to the destination is not in: the
/// client may read it, and the destination may not, neither as itself nor for the client.
fn apart() -> Accounts {
    let spoke = Network::closed().private_endpoint([127, 0, 0, 2].into(), "spoke");
    let accounts = Accounts::with(|server| server.listen(([0, 0, 0, 0], 0).into()).network("from", spoke));
    accounts.fill();
    accounts
}

impl Accounts {
    /// The source as it is reached by its private endpoint.
    fn by_endpoint(&self) -> Location {
        let sas = self.server.account_sas("from", "rl", std::time::Duration::from_secs(600));
        let url = format!("http://127.0.0.2:{}/from/cont?{sas}", self.server.addr().port());
        let url = BlobUrl::parse(&url).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        Location::blob(url, credential)
    }

    fn destination(&self) -> Location {
        let sas = self.server.account_sas("to", "rwdl", std::time::Duration::from_secs(600));
        let url = format!("http://127.0.0.1:{}/to/cont?{sas}", self.server.addr().port());
        let url = BlobUrl::parse(&url).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        Location::blob(url, credential)
    }
}

#[test]
fn what_the_destination_may_not_read_goes_through_this_host() {
    let accounts = apart();
    let mut notices = Vec::new();
    let job = Job::copy(accounts.by_endpoint(), accounts.destination()).recursive(true).options(options());
    let report = job.build().unwrap().run(&StopHandle::new(), |event| {
        if let Event::Way(way) = event {
            notices.push(way.to_string());
        }
    });
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 6), "{notices:?}");
    assert_same_but_for_time(&accounts);
    let [notice] = &notices[..] else { panic!("{notices:?}") };
    assert!(notice.contains("the source answered 403 AuthorizationFailure"), "{notice}");
    assert!(notice.contains("all that is left goes through this host"), "{notice}");
    assert!(!notice.contains("sig="), "{notice}");
    let asked = accounts.server.service_requests();
    assert!(asked.iter().all(|request| request.status == 403), "{asked:?}");
    // One object has found it out for all: the destination asked as itself, and for its client.
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!((report.counts.bytes_by_service, report.counts.bytes_sent), (0, report.counts.bytes));
}

#[test]
fn a_copy_that_must_be_direct_stops_where_the_destination_may_not_read() {
    let accounts = apart();
    accounts.server.plant("to", "cont", [text("a", "mine")]);
    let direct = options().route(RouteChoice::Direct);
    let (report, failed) = run(accounts.by_endpoint(), accounts.destination(), direct);
    let fatal = report.fatal.unwrap();
    assert!(fatal.reason.contains("source: 403 CannotVerifyCopySource"), "{fatal}");
    assert!(failed.iter().all(|failure| failure.side == Some(Side::Source)), "{failed:?}");
    assert_eq!((report.counts.done, accounts.contents("to").len()), (0, 1));
    assert_eq!(accounts.contents("to")["a"], b"mine");
}

#[test]
fn a_source_that_nobody_may_read_says_so_for_itself() {
    let accounts = apart();
    // The listing is answered at the endpoint; then the network is closed.
    strike(&accounts, "", Operation::PutBlobFromUrl, Fault::Hold, 0, u64::MAX);
    let (from, to) = (accounts.by_endpoint(), accounts.destination());
    let (report, failed) = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(from, to, options()));
        while !accounts.server.stats().faults.contains_key("hold") {
            std::thread::yield_now();
        }
        accounts.server.set_network("from", Network::closed());
        accounts.server.set_faults(Faults::default());
        running.join().unwrap()
    });
    assert!(report.counts.done == 0 && !failed.is_empty(), "{failed:?}");
    assert!(failed.iter().all(|failure| failure.side == Some(Side::Source)), "{failed:?}");
    assert!(accounts.blobs("to").is_empty());
}

#[test]
fn a_token_that_the_source_takes_no_more_is_replaced() {
    let authority = Authority::builder().start().unwrap();
    let accounts = Accounts::with(|server| server.tls(Tls::SelfSigned).authority(&authority));
    accounts.fill();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, accounts.server.ca_pem().unwrap()).unwrap();
    let trusted = TrustedSuffixes::default().with(&accounts.server.addr().to_string());
    let end = |account: &str| {
        let url = BlobUrl::parse(&format!("{}/cont", accounts.server.url(account))).unwrap();
        let (feed, tokens) = bearer(account);
        let credential = Credential::token(&url, tokens, &trusted).unwrap();
        (feed, Location::blob(url, credential))
    };
    let ((from_feed, from), (to_feed, to)) = (end("from"), end("to"));
    let hour = std::time::Duration::from_secs(3600);
    let put = |feed: &TokenFeed, role, lifetime_s| {
        feed.put(
            &Secret::new(authority.token(
                if role == Role::Reader { "reads" } else { "writes" },
                &[role],
                lifetime_s,
            )),
            hour,
        );
    };
    put(&from_feed, Role::Reader, 60);
    put(&to_feed, Role::Contributor, 36_000);
    // When the source is listed, its token expires.
    strike(&accounts, "", Operation::PutBlobFromUrl, Fault::Hold, 0, u64::MAX);
    let (report, failed) = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(from, to, options().ca_file(Some(ca.clone()))));
        while !accounts.server.stats().faults.contains_key("hold") {
            std::thread::yield_now();
        }
        authority.advance(std::time::Duration::from_secs(600));
        accounts.server.set_faults(Faults::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(from_feed.refused());
        put(&from_feed, Role::Reader, 36_000);
        running.join().unwrap()
    });
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 6), "{failed:?}");
    assert_same_but_for_time(&accounts);
    assert_eq!(report.counts.bytes_by_service, report.counts.bytes);
    let refused = accounts.server.service_requests().into_iter().filter(|request| request.status == 401);
    assert!(refused.count() >= 1);
}

/// The destination behind a server that answers some requests by itself.
fn behind(accounts: &Accounts, rules: Vec<hostile::Rule>) -> (Hostile, Location) {
    let upstream = ([127, 0, 0, 1], accounts.server.addr().port()).into();
    let hostile = Hostile::before(upstream, rules);
    let sas = accounts.server.account_sas("to", "rwdl", std::time::Duration::from_secs(600));
    let url = format!("http://127.0.0.1:{}/to/cont?{sas}", accounts.server.addr().port());
    let url = BlobUrl::parse(&hostile.via(&url)).unwrap();
    let credential = Credential::find(&url, |_| None).unwrap();
    let to = Location::blob(url, credential);
    (hostile, to)
}

#[test]
fn a_service_of_an_older_version_is_asked_in_its_own() {
    let of_old =
        |name: &str| hostile::Rule::on("PUT", name).times(1).answer(Answer::error(400, "InvalidHeaderValue"));
    let versions = |hostile: &Hostile| -> Vec<String> {
        let all = hostile.requests_of("PUT", "/to/cont/").into_iter();
        let copies = all.filter(|request| request.header("x-ms-copy-source").is_some());
        copies.filter_map(|request| request.header("x-ms-version").map(str::to_owned)).collect()
    };
    let one_lane = || options().limits(Limits::here().lanes(1));
    let accounts = Accounts::new();
    accounts.fill();
    let (hostile, to) = behind(&accounts, vec![of_old("/to/cont/")]);
    let (report, failed) = run(accounts.sas("from", ""), to, one_lane());
    assert_eq!((report.counts.done, report.counts.bytes_by_service), (6, report.counts.bytes), "{failed:?}");
    let asked = versions(&hostile);
    assert_eq!((asked.iter().filter(|version| *version == "2025-11-05").count(), asked.len()), (1, 12));

    // It does not tell what the source has answered, but that it is a network that is closed.
    let accounts = apart();
    let (hostile, to) = behind(&accounts, vec![of_old("/to/cont/")]);
    let (report, failed) = run(accounts.by_endpoint(), to, one_lane());
    assert_eq!((report.counts.done, report.counts.bytes_by_service), (6, 0), "{failed:?}");
    assert_eq!(versions(&hostile), ["2025-11-05", "2025-07-05"]);
    assert_same_but_for_time(&accounts);
}

#[test]
fn what_the_service_says_that_it_has_read_is_compared() {
    let accounts = Accounts::new();
    let md5 =
        [0x65, 0xa8, 0xe2, 0x7d, 0x88, 0x79, 0x28, 0x38, 0x31, 0xb6, 0x64, 0xbd, 0x8b, 0x7f, 0x0a, 0xd4];
    accounts.server.plant("from", "cont", [Seed { content_md5: Some(md5), ..seed("x", b"Hello, World!") }]);
    for (times, done) in [(1, 1), (usize::MAX, 0)] {
        let lies = Answer::passed().set("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
        let rule = hostile::Rule::on("PUT", "/to/cont/x").times(times).answer(lies);
        let (_hostile, to) = behind(&accounts, vec![rule]);
        let (report, failed) = run(accounts.sas("from", ""), to, options());
        assert_eq!(report.counts.done, done, "{failed:?}");
        assert!(failed.iter().all(|failure| failure.kind == FailureKind::Integrity), "{failed:?}");
    }
}

#[test]
fn a_server_that_passes_over_the_source_is_found_out() {
    let accounts = Accounts::new();
    accounts.fill();
    // It does Put Blob with the body that there is: none.
    let done = Answer::of_service(201).header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    let rules = vec![hostile::Rule::on("PUT", "/to/cont/").answer(done)];
    let (_hostile, to) = behind(&accounts, rules);
    let (report, failed) = run(accounts.sas("from", ""), to, options().route(RouteChoice::Direct));
    // The empty one is what it would have been.
    assert_eq!((report.counts.done, failed.len()), (1, 5), "{failed:?}");
}

#[test]
fn a_host_that_may_have_no_tokens_is_not_lent_those_for_the_source() {
    let authority = Authority::builder().start().unwrap();
    let source = Accounts::with(|server| server.tls(Tls::SelfSigned).authority(&authority));
    source.fill();
    let other = Accounts::new();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, source.server.ca_pem().unwrap()).unwrap();
    let url = BlobUrl::parse(&format!("{}/cont", source.server.url("from"))).unwrap();
    let trusted = TrustedSuffixes::default().with(&source.server.addr().to_string());
    let from = |feed_to: Bearer| {
        let credential = Credential::token(&url, feed_to, &trusted).unwrap();
        Location::blob(url.clone(), credential)
    };
    let feed = || {
        let (feed, tokens) = bearer("reads");
        let token = authority.token("reads", &[Role::Reader], 36_000);
        feed.put(&Secret::new(token), std::time::Duration::from_secs(3600));
        (feed, from(tokens))
    };
    let options = options().ca_file(Some(ca));
    let (_feed, from) = feed();
    let direct = Job::copy(from, other.sas("to", "")).options(options.clone().route(RouteChoice::Direct));
    assert!(direct.build().is_err());
    let (_feed, from) = feed();
    let (report, failed) = run(from, other.sas("to", ""), options);
    assert_eq!((report.counts.done, report.counts.bytes_by_service), (6, 0), "{failed:?}");
    assert!(source.contents("from") == other.contents("to"), "names or bytes differ");
    assert_eq!(other.count(Operation::PutBlobFromUrl), 0);
}

#[test]
fn tags_go_along_if_that_is_wanted() {
    let tags =
        |value: &str| vec![("a b".to_owned(), value.to_owned()), ("k=1".to_owned(), "x+y/z".to_owned())];
    for (route, path) in
        [(RouteChoice::Direct, ""), (RouteChoice::Relay, ""), (RouteChoice::Direct, "/large")]
    {
        for preserve in [true, false] {
            let accounts = Accounts::new();
            for (name, len) in [("a", 10), ("large", 3 * PIECE)] {
                accounts.server.plant("from", "cont", [Seed { tags: tags(name), ..seed(name, &bytes(len)) }]);
            }
            accounts.server.plant("from", "cont", [text("none", "no tags")]);
            let options = options().route(route).preserve_tags(preserve);
            let (report, failed) = run(accounts.sas("from", path), accounts.sas("to", ""), options);
            assert_eq!(report.counts.failed, 0, "{failed:?}");
            for blob in accounts.blobs("to") {
                let want = if preserve && blob.name != "none" { tags(&blob.name) } else { Vec::new() };
                assert_eq!(blob.tags, want, "{}", blob.name);
            }
        }
    }
}

#[test]
fn bytes_per_second_count_for_what_the_service_moves() {
    let accounts = Accounts::new();
    accounts.server.plant("from", "cont", [seed("a", &bytes(60_000)), seed("b", &bytes(60_000))]);
    let begun = std::time::Instant::now();
    let options = options().cap_bytes_per_second(Some(100_000.0));
    let (report, failed) = run(accounts.sas("from", ""), accounts.sas("to", ""), options);
    assert_eq!((report.counts.done, report.counts.bytes_by_service), (2, 120_000), "{failed:?}");
    // Never sooner, however fast the machine is: the second waits for the first one's bytes.
    assert!(begun.elapsed().as_millis() >= 1100, "{:?}", begun.elapsed());
}
