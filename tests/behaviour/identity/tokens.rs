//! Tokens while commands run: where they go, how often they are asked for, and when they end.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use azsim::{Application, Behaviour, Fault, Faults, NameMatch, Operation, Role, Rule, Trouble};
use azuring_tests::entra::{APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::{azuring, wait_until};

use super::given;

/// 400 small files, and a service that holds what comes after the first 40.
fn held_tree(entra: &Entra) -> PathBuf {
    for n in 0..400 {
        entra.fixture.file(&format!("tree/{n}"), format!("{n}").as_bytes());
    }
    entra.fixture.hold(Operation::PutBlob, "", 40);
    entra.fixture.path().join("tree")
}

#[test]
fn many_processes_ask_for_one_token() {
    let entra = Entra::service_principal(azuring!(), Role::Reader);
    let behaviour = Behaviour { delay: Duration::from_millis(300), ..Behaviour::default() };
    entra.authority.set_behaviour(behaviour);
    let (url, trusted) = (entra.url(""), entra.trusted());
    let running: Vec<_> = (0..8).map(|_| entra.fixture.azuring().start(["list", &url, &trusted])).collect();
    for process in running {
        process.wait().unwrap().expect_code(0);
    }
    assert_eq!(given(&entra.authority), 1);
}

#[test]
fn a_token_goes_over_https_to_trusted_hosts_and_nowhere_else() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    let outcome = entra.fixture.run(["copy", "/etc/hostname", &entra.url("")]);
    assert!(outcome.expect_code(3).stderr.contains("--trusted-microsoft-suffixes"), "{}", outcome.stderr);
    let other = entra.fixture.run([
        "copy",
        "/etc/hostname",
        &entra.url(""),
        "--trusted-microsoft-suffixes=*.example.org",
    ]);
    other.expect_code(3);
    let plain = entra.url("").replace("https://", "http://");
    let plain = entra.fixture.run(["copy", "/etc/hostname", &plain, &entra.trusted()]);
    assert!(plain.expect_code(3).stderr.contains("https only"), "{}", plain.stderr);
    assert_eq!((entra.authority.requests().len(), entra.fixture.server().stats().requests), (0, 0));
    // An answer that sends it elsewhere is an error: nothing is sent again.
    let everything = NameMatch::Contains(String::new());
    let rule = Rule {
        name: everything,
        operation: None,
        fault: Fault::error(307, "Moved"),
        skip: 0,
        count: u64::MAX,
    };
    entra.fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let moved =
        entra.fixture.run(["copy", "/etc/hostname", &entra.url("x"), &entra.trusted(), "--retry-failed=0"]);
    assert!(moved.code != Some(0) && moved.stderr.contains("307"), "{}", moved.stderr);
    assert_eq!(entra.fixture.server().stats().requests, 1);
}

#[test]
fn a_busy_authority_is_asked_again() {
    let entra = Entra::service_principal(azuring!(), Role::Reader);
    let troubles = vec![Trouble::TenantThrottled, Trouble::Unavailable(Some(1)), Trouble::ServerError];
    entra.authority.set_behaviour(Behaviour { troubles, ..Behaviour::default() });
    entra.fixture.run(["list", &entra.url(""), &entra.trusted()]).expect_code(0);
    assert_eq!((entra.authority.requests().len(), given(&entra.authority)), (4, 1));
}

#[test]
fn a_token_that_is_refused_in_the_middle_of_a_job_is_renewed() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    let tree = held_tree(&entra);
    // One attempt per request: a renewal is none.
    let args = [
        "copy",
        tree.to_str().unwrap(),
        &entra.url(""),
        &entra.trusted(),
        "--recursive",
        "--concurrency=4",
        "--max-tries=1",
        "--retry-failed=0",
    ];
    let running = entra.fixture.azuring().start(args);
    for held in [4, 8] {
        entra.fixture.wait_for_held(held);
        // All tokens of now have expired, and their holder does not know.
        entra.authority.advance(Duration::from_secs(7200));
        if held == 4 {
            entra.fixture.hold(Operation::PutBlob, "", 200);
        } else {
            entra.fixture.release();
        }
    }
    let outcome = running.wait().unwrap();
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("400"), "{}", outcome.stdout);
    assert_eq!(given(&entra.authority), 3, "one renewal for all requests that were refused");
    entra.assert_protocol();
}

#[test]
fn a_blob_that_no_token_helps_fails_alone() {
    let entra = Entra::service_principal(azuring!(), Role::Owner);
    for n in 0..20 {
        entra.fixture.file(&format!("tree/{n}"), b"1");
    }
    entra.fixture.file("tree/poison", b"1");
    let (tree, url, trusted) = (entra.fixture.path().join("tree"), entra.url(""), entra.trusted());
    let upload = ["copy", tree.to_str().unwrap(), &url, &trusted, "--recursive"];
    entra.fixture.run(upload).expect_code(0);
    let name = NameMatch::Contains("poison".to_owned());
    let rule = Rule {
        name,
        operation: None,
        fault: Fault::error(401, "InvalidAuthenticationInfo"),
        skip: 0,
        count: u64::MAX,
    };
    entra.fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let removed = entra.fixture.run(["remove", &url, &trusted, "--recursive", "--retry-failed=0"]);
    assert_eq!(
        removed.expect_code(1).field("Number of File Transfers Failed"),
        Some("1"),
        "{}",
        removed.stdout
    );
    assert_eq!(entra.names(), ["tree/poison"]);
    entra.fixture.run(upload).expect_code(1);
    // Some renewals, for it might have helped; no storm of them.
    assert!(given(&entra.authority) <= 12, "{}", given(&entra.authority));
}

#[test]
fn a_job_whose_login_ends_stops_and_says_so_once() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    let tree = held_tree(&entra);
    let args =
        ["copy", tree.to_str().unwrap(), &entra.url(""), &entra.trusted(), "--recursive", "--concurrency=4"];
    let running = entra.fixture.azuring().start(args);
    entra.fixture.wait_for_held(4);
    entra.authority.register(Application::new(APPLICATION).secret("changed").role(Role::Contributor));
    entra.authority.advance(Duration::from_secs(7200));
    entra.fixture.release();
    let outcome = running.wait().unwrap();
    outcome.expect_code(3);
    let stopped = outcome.stderr.lines().filter(|line| line.contains("the job was stopped")).count();
    assert_eq!(stopped, 1, "{}", outcome.stderr);
    for part in ["AADSTS7000215", "azuring jobs resume"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    let failed: u64 = outcome.field("Number of File Transfers Failed").unwrap().parse().unwrap();
    assert!(failed <= 8, "{failed}: only what was under way");
    // With the right secret it goes on.
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Contributor));
    let id = outcome.stdout.split_whitespace().nth(1).unwrap().to_owned();
    entra.fixture.run(["jobs", "resume", &id]).expect_code(0);
    assert_eq!(entra.names().len(), 400);
}

#[test]
fn a_signal_ends_the_wait_for_a_token() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    entra.authority.set_behaviour(Behaviour { delay: Duration::from_secs(3600), ..Behaviour::default() });
    let running = entra.fixture.azuring().start(["copy", "/etc/hostname", &entra.url(""), &entra.trusted()]);
    // A request that waits for its answer is in no list: the connection is what can be seen.
    let asks = || {
        fs::read_dir(format!("/proc/{}/task", running.id())).is_ok_and(|threads| {
            threads.flatten().any(|thread| {
                fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "identity")
            })
        })
    };
    wait_until("a token is asked for", asks);
    running.interrupt();
    running.wait().unwrap().expect_code(6);
}
