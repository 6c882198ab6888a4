//! Tokens that end while a job runs: in time that the test moves on, and against Azurite.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;
use std::time::Duration;

use azsim::{Application, Authority, Behaviour, Fault, Faults, NameMatch, Operation, Role, Rule, Tls};
use azuring_azure::TrustedSuffixes;
use azuring_identity::{Cache, Clock, Login, LoginKind, Network, STORAGE_SCOPE, keep};
use azuring_link::{LinkSettings, TlsSetup};
use azuring_tests::entra::{ACCOUNT, APPLICATION, CLIENT_SECRET};
use azuring_tests::{Azurite, AzuriteOptions, CONTAINER, Certificate, DEVSTORE_KEY, azuring, wait_until};
use azuring_transfer::{BlobUrl, Credential, Job, JobOptions, Limits, StopHandle};

/// How long a token lives. It is renewed when a fifth of that is left.
const LIFETIME_S: u32 = 45;
/// So many files are under way at a time ..
const AT_ONCE: u64 = 16;
/// .. and take so long together.
const STEP: Duration = Duration::from_secs(8);
/// So often: five minutes.
const STEPS: u64 = 38;
const FILES: u64 = STEPS * AT_ONCE;

#[test]
fn a_job_of_minutes_outlives_many_tokens() {
    let authority = Authority::builder().speed(0).start().unwrap();
    authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Contributor));
    authority.set_behaviour(Behaviour { lifetime_s: Some(LIFETIME_S), ..Behaviour::default() });
    let server = azsim::Server::builder()
        .tls(Tls::SelfSigned)
        .authority(&authority)
        .account(ACCOUNT, DEVSTORE_KEY)
        .start()
        .unwrap();
    assert!(server.create_container(ACCOUNT, CONTAINER));
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    let both = format!("{}{}", server.ca_pem().unwrap(), authority.ca_pem().unwrap());
    std::fs::write(&ca_file, both).unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    for n in 0..FILES {
        std::fs::write(tree.join(format!("{n:04}")), format!("{n}")).unwrap();
    }

    let secret = azuring_azure::Secret::new(CLIENT_SECRET);
    let login = Login::new(LoginKind::ServicePrincipalSecret { secret })
        .with_authority("authority", &authority.url())
        .and_then(|login| login.with_tenant("tenant", authority.tenant()))
        .and_then(|login| login.with_client("client", APPLICATION))
        .unwrap();
    let links = LinkSettings::default().tls(Some(TlsSetup::new(Some(&ca_file)).unwrap()));
    let clock = Clock::standing();
    let bearer = keep(login, Network::new(links), STORAGE_SCOPE, clock.clone(), None, Cache::none()).unwrap();
    let url = BlobUrl::parse(&format!("{}/{CONTAINER}", server.url(ACCOUNT))).unwrap();
    let trusted = TrustedSuffixes::default().with(&server.addr().to_string());
    let credential = Credential::token(&url, bearer, &trusted).unwrap();
    let options = JobOptions::default()
        .ca_file(Some(ca_file))
        .limits(Limits::here().lanes(1).concurrency(AT_ONCE as usize))
        .retry_failed(0);
    let job = Job::upload(&tree, url, credential).recursive(true).options(options).build().unwrap();
    let hold = || {
        let name = NameMatch::Contains(String::new());
        let operation = Some(Operation::PutBlob);
        let rule = Rule { name, operation, fault: Fault::Hold, skip: 0, count: u64::MAX };
        server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    };
    hold();
    let held = || server.stats().faults.get("hold").copied().unwrap_or(0);
    let asleep = || wait_until("whoever renews waits", || clock.sleepers() == 1);
    let tokens = || authority.requests().len() as u64;
    let report = std::thread::scope(|scope| {
        let job = scope.spawn(|| job.run(&StopHandle::new(), |_| {}));
        let mut age = Duration::ZERO;
        for step in 1..=STEPS {
            wait_until("requests", || held() == step * AT_ONCE);
            asleep();
            let before = tokens();
            // First where tokens are issued: who is woken finds the new time there.
            authority.advance(STEP);
            clock.advance(STEP);
            age += STEP;
            // Time stands still until the next token is there: nothing is faster than who renews.
            if age.as_secs() >= u64::from(LIFETIME_S) * 4 / 5 {
                wait_until("another token", || tokens() == before + 1);
                asleep();
                age = Duration::ZERO;
            }
            hold();
        }
        server.set_faults(Faults::default());
        job.join().unwrap()
    });
    assert_eq!((report.counts.done, report.counts.failed), (FILES, 0), "{:?}", report.fatal);
    assert_eq!(server.blobs(ACCOUNT, CONTAINER).len() as u64, FILES);
    // Each token was renewed ahead of its end, after five steps, by one alone; none was sent that had expired.
    assert_eq!(tokens(), 1 + STEPS / 5);
    assert_eq!(server.stats().errors, BTreeMap::new());
    assert_eq!(authority.deviations(), Vec::<String>::new());
}

/// Microsoft's emulator takes the tokens, and reads the requests that carry them as ours means them.
#[test]
fn azurite_takes_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(dir.path()).unwrap();
    let options = AzuriteOptions {
        accounts: vec![(ACCOUNT.to_owned(), DEVSTORE_KEY.to_owned())],
        certificate: Some(certificate.clone()),
        oauth: true,
    };
    let azurite = Azurite::start(options);
    azurite.client(ACCOUNT).create_container(CONTAINER);
    let authority = Authority::builder().start().unwrap();
    authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET));
    let ca = dir.path().join("both.pem");
    let both = [std::fs::read_to_string(&certificate.ca).unwrap(), authority.ca_pem().unwrap().to_owned()];
    std::fs::write(&ca, both.concat()).unwrap();
    let azuring = azuring_tests::entra::Entra::as_service_principal(azuring!().trust(&ca), &authority)
        .env("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", authority.url());
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    for (name, bytes) in [("a b", 5), ("large", 3_000_000), ("ümläut%", 0)] {
        std::fs::write(tree.join(name), vec![7; bytes]).unwrap();
    }
    let account = azurite.url(ACCOUNT);
    let (url, host) = (format!("{account}/{CONTAINER}"), account.split('/').nth(2).unwrap().to_owned());
    let trusted = format!("--trusted-microsoft-suffixes={host}");
    let run = |args: &[&str]| {
        let mut args = args.to_vec();
        args.push(&trusted);
        azuring.run(args)
    };
    let large = ["--block-size-mb=1", "--put-blob-size-mb=1", "--recursive"];
    let mut upload = vec!["copy", tree.to_str().unwrap(), &url];
    upload.extend(large);
    run(&upload).expect_code(0);
    let listed = run(&["list", &url, "--machine-readable"]);
    assert!(
        listed.expect_code(0).stdout.contains("tree/large; Content Length: 3000000"),
        "{}",
        listed.stdout
    );
    let down = dir.path().join("down");
    run(&["copy", &format!("{url}/tree/*"), down.to_str().unwrap(), "--recursive"]).expect_code(0);
    for (name, bytes) in [("a b", 5), ("large", 3_000_000), ("ümläut%", 0)] {
        assert_eq!(std::fs::read(down.join(name)).unwrap(), vec![7; bytes], "{name}");
    }
    let sas = run(&["sas", &url, "--user-delegation", "--permissions=rl", "--expiry=1h"]);
    let sas = sas.expect_code(0).stdout.trim().to_owned();
    let other = azuring!().trust(&ca);
    assert!(other.run(["list", &sas]).expect_code(0).stdout.contains("a b"));
    run(&["remove", &format!("{url}/tree"), "--recursive"]).expect_code(0);
    assert_eq!(azurite.client(ACCOUNT).blobs(CONTAINER).len(), 0);
}
