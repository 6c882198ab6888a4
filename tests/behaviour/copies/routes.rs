//! Which way a copy goes: it is found out once, told with the answer that shows it and with what it costs, and kept in
//! the job.

use azsim::{Network, Operation, Seed};
use azuring_tests::hostile::{Answer, Hostile, Rule};
use azuring_tests::{azuring, wait_until};
use serde_json::Value;

use super::jobs::{sas, the_job};
use super::{Accounts, BLOCK, BLOCKS, FROM, PRIVATE, TO, bytes, line, number, seed};

/// What a line says of the way when the source does not admit the destination.
#[track_caller]
fn assert_closed(line: &Value, accounts: &Accounts) {
    let place = accounts.bare(FROM, "").replacen("127.0.0.1", "127.0.0.9", 1);
    for (field, is) in [
        ("route", "relay"),
        ("route_reason", "closed"),
        ("route_refused_by", "source"),
        ("route_refused_at", &place),
        ("route_code", "AuthorizationFailure"),
        ("route_answer_code", "CannotVerifyCopySource"),
        ("route_version", "2025-11-05"),
    ] {
        assert_eq!(line[field], is, "{field}: {line}");
    }
    assert_eq!((&line["route_status"], &line["route_answer_status"]), (&403.into(), &403.into()), "{line}");
    assert!(line["route_object"].is_string() && line["route_request_id"].is_string(), "{line}");
    assert!(line["route_cost"].as_str().unwrap().contains("egress"), "{line}");
}

#[test]
fn the_way_its_evidence_and_its_cost_are_told_and_kept() {
    let accounts = Accounts::apart(azuring!());
    accounts.fill();
    let (from, to) = (accounts.private(""), accounts.url(TO, ""));
    let given = [&["copy", &*from, &*to, "--recursive", "--output-type=ndjson"][..], &BLOCKS].concat();
    let outcome = accounts.fixture.run(given);
    outcome.expect_code(0);
    let route = line(&outcome, "route");
    assert_closed(&route, &accounts);
    assert_eq!(route["known_before"], false);
    let (summary, text) = (line(&outcome, "summary"), route["text"].as_str().unwrap());
    assert_closed(&summary, &accounts);
    assert!(text.contains("the source answered 403 AuthorizationFailure to it"), "{text}");
    assert!(text.contains("told by version 2025-11-05"), "{text}");
    assert!(text.contains("; Azure charges egress of "), "{text}");
    assert_eq!(outcome.stderr.matches(text).count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("; route relay; 0 B moved by the service, "), "{}", outcome.stderr);
    // One object has found it out.
    let asked = [Operation::PutBlobFromUrl, Operation::PutBlockFromUrl].map(|op| accounts.count(op));
    assert_eq!(asked.iter().sum::<u64>(), 1);
    // The journal has it, also when the job has ended.
    let id = the_job(&accounts);
    let shown = accounts.fixture.run(["jobs", "show", &id, "--output-type=ndjson"]);
    let job = line(&shown, "job");
    assert_closed(&job, &accounts);
    assert_eq!((&job["bytes_by_service"], &job["bytes_sent"]), (&0.into(), &summary["bytes"]));
    let shown = accounts.fixture.run(["jobs", "show", &id]);
    assert_eq!(shown.field("Route"), Some(&*format!("relay: {text}")), "{}", shown.stdout);
    assert_eq!(number(&shown, "Bytes Moved by the Service"), 0);
    assert_eq!(summary["bytes"], number(&shown, "Bytes Sent through This Host"));
    let shown = accounts.fixture.run(["jobs", "show", &id, "--output-type=json"]);
    assert!(shown.stdout.contains(r#"\"route_code\":\"AuthorizationFailure\""#), "{}", shown.stdout);
    // It is no failure.
    let failed = accounts.fixture.run(["jobs", "show", &id, "--failed", "--output-type=ndjson"]);
    assert_eq!(failed.stdout, "");
}

#[test]
fn a_direct_copy_tells_that_it_is_one_and_an_asked_for_relay_what_it_costs() {
    for (flag, way, reason) in [("--route=auto", "direct", "proven"), ("--route=relay", "relay", "asked")] {
        let accounts = Accounts::new();
        accounts.fill();
        let outcome = accounts.copy(&[flag, "--output-type=ndjson"]);
        outcome.expect_code(0);
        for kind in ["route", "summary"] {
            let told = line(&outcome, kind);
            assert_eq!((&told["route"], &told["route_reason"]), (&way.into(), &reason.into()), "{told}");
            assert_eq!(told["route_cost"].is_string(), way == "relay", "{told}");
            assert!(told["route_code"].is_null(), "{told}");
        }
        assert_eq!(outcome.stdout.matches(r#""type":"route""#).count(), 1, "{}", outcome.stdout);
        assert_eq!(outcome.stderr.contains("charges egress"), way == "relay", "{}", outcome.stderr);
        let id = the_job(&accounts);
        let shown = accounts.fixture.run(["jobs", "show", &id, "--output-type=ndjson"]);
        assert_eq!(line(&shown, "job")["route"], way);
    }
}

#[test]
fn what_an_older_service_does_not_tell_is_said_not_to_be_told() {
    let accounts = Accounts::apart(azuring!());
    accounts.plant(FROM, [seed("a", b"1")]);
    let of_old = Rule::on("PUT", "/to/data/").times(1).answer(Answer::error(400, "InvalidHeaderValue"));
    let hostile = Hostile::before(accounts.fixture.server().addr(), vec![of_old]);
    let (from, to) = (accounts.private(""), hostile.via(&accounts.url(TO, "")));
    let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive", "--output-type=ndjson"]);
    outcome.expect_code(0);
    let route = line(&outcome, "route");
    assert_eq!((&route["route"], &route["route_reason"]), (&"relay".into(), &"closed".into()), "{route}");
    assert_eq!(route["route_version"], "2025-07-05", "{route}");
    assert!(route["route_status"].is_null() && route["route_code"].is_null(), "{route}");
    let text = route["text"].as_str().unwrap();
    assert!(text.contains("what the source answered is not told by version 2025-07-05"), "{text}");
    assert_eq!(accounts.names(TO), ["a"]);
}

/// A job that is stopped when it has found the direct way closed; its id, and how often that way was tried.
fn stopped() -> (Accounts, String, u64) {
    let accounts = Accounts::apart(azuring!());
    accounts.plant(FROM, [seed("large", &bytes(40 * BLOCK, 1)), seed("small", b"1")]);
    accounts.fixture.hold(Operation::PutBlock, "large", 5);
    let (from, to) = (accounts.private(""), accounts.url(TO, ""));
    let given = [&["copy", &*from, &*to, "--recursive", "--concurrency=4"][..], &BLOCKS].concat();
    let running = accounts.fixture.azuring().start(given);
    accounts.fixture.wait_for_held(1);
    running.interrupt_and_see();
    accounts.fixture.release();
    running.wait().unwrap().expect_code(6);
    let (id, tried) = (the_job(&accounts), tried(&accounts));
    assert!(tried > 0);
    (accounts, id, tried)
}

/// Copies that the destination was asked for.
fn tried(accounts: &Accounts) -> u64 {
    [Operation::PutBlobFromUrl, Operation::PutBlockFromUrl].map(|op| accounts.count(op)).iter().sum()
}

#[test]
fn a_job_that_goes_on_does_not_try_a_way_that_was_found_closed() {
    let (accounts, id, before) = stopped();
    let [from, to] = [accounts.private(""), accounts.url(TO, "")].map(|url| sas(&url));
    let flags = [format!("--source-sas={from}"), format!("--destination-sas={to}")];
    let resume = ["jobs", "resume", &id, &flags[0], &flags[1]];
    let outcome = accounts.fixture.run(resume.into_iter().chain(["--output-type=ndjson"]));
    outcome.expect_code(0);
    assert_eq!(tried(&accounts), before);
    let route = line(&outcome, "route");
    assert_closed(&route, &accounts);
    assert_eq!(route["known_before"], true);
    assert!(outcome.stderr.contains("as an earlier run has found out: "), "{}", outcome.stderr);
    assert_closed(&line(&outcome, "summary"), &accounts);
    accounts.assert_same();
}

#[test]
fn a_job_that_goes_on_can_be_told_another_way() {
    let (accounts, id, before) = stopped();
    let [from, to] = [accounts.private(""), accounts.url(TO, "")].map(|url| sas(&url));
    let flags = [format!("--source-sas={from}"), format!("--destination-sas={to}")];
    let resume = ["jobs", "resume", &id, &flags[0], &flags[1]];
    let direct = |more: &[&'static str]| {
        let given = ["--route=direct", "--output-type=ndjson"];
        accounts.fixture.run(resume.into_iter().chain(given).chain(more.iter().copied()))
    };
    // It is tried again, and still closed.
    let outcome = direct(&["--retry-failed=0"]);
    outcome.expect_code(3);
    let told = line(&outcome, "summary");
    assert_eq!((&told["route"], &told["route_code"]), (&"direct".into(), &"AuthorizationFailure".into()));
    let text = line(&outcome, "route")["text"].to_string();
    assert!(text.contains("the job stops, as no other way is allowed"), "{text}");
    assert!(tried(&accounts) > before);
    let before = tried(&accounts);
    let network = Network::closed().private_endpoint(PRIVATE.into(), "spoke").trust(TO);
    accounts.fixture.server().set_network(FROM, network);
    let outcome = direct(&[]);
    outcome.expect_code(0);
    assert!(tried(&accounts) > before);
    assert_eq!(line(&outcome, "summary")["route"], "direct");
    accounts.assert_same();
    let shown = accounts.fixture.run(["jobs", "show", &id, "--output-type=ndjson"]);
    assert_eq!(line(&shown, "job")["route"], "direct");
}

#[test]
fn a_direct_copy_that_is_refused_says_what_would_open_the_way() {
    for flag in ["--route=direct", "--no-relay"] {
        let accounts = Accounts::apart(azuring!());
        accounts.fill();
        let (from, to) = (accounts.private(""), accounts.url(TO, ""));
        let given = ["copy", &from, &to, "--recursive", flag, "--retry-failed=0"];
        let outcome = accounts.fixture.run(given);
        outcome.expect_code(3);
        for told in [
            "azuring: direct: scenario 1, this machine's address is on the allow lists of both accounts",
            "azuring: direct: scenario 2, private endpoints of both accounts in this machine's network",
            "azuring: direct: mitigation 1: a private endpoint of to in the network of from",
            "azuring:     do: az network private-endpoint create --name to-blob ",
            "azuring: direct: mitigation 4: ",
            "azuring copy SOURCE DESTINATION --route=relay",
        ] {
            assert_eq!(outcome.stderr.matches(told).count(), 1, "{flag} {told}: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("sig="), "{}", outcome.stderr);
        let lines = accounts.fixture.run(given.into_iter().chain(["--output-type=ndjson"]));
        lines.expect_code(3);
        assert!(line(&lines, "notice")["text"].as_str().unwrap().starts_with("direct: scenario 1"));
    }
    // One object that is refused for itself says nothing of the way.
    let accounts = Accounts::new();
    accounts.plant(FROM, [Seed { tier: "Archive".to_owned(), ..seed("a", b"1") }]);
    let outcome = accounts.copy(&["--no-relay", "--retry-failed=0"]);
    outcome.expect_code(1);
    assert!(!outcome.stderr.contains("scenario"), "{}", outcome.stderr);
}

/// What a service answers whose source has had enough.
fn busy_source() -> Answer {
    Answer::error(503, "ServerBusy")
        .header("x-ms-copy-source-status-code", "503")
        .header("x-ms-copy-source-error-code", "ServerBusy")
        .header("retry-after", "3600")
}

/// With one request at a time: whoever waits for the source must not hold the others up.
#[test]
fn a_source_that_has_had_enough_is_left_alone_and_the_destination_is_not() {
    let accounts = Accounts::new();
    accounts.plant(FROM, (0..20).map(|n| seed(&format!("{n:02}"), b"1")));
    let busy = Rule::on("PUT", "/to/data/").nth(2).answer(busy_source());
    let hostile = Hostile::before(accounts.fixture.server().addr(), vec![busy]);
    let (from, to) = (accounts.url(FROM, ""), hostile.via(&accounts.url(TO, "")));
    let given = ["copy", &*from, &*to, "--recursive", "--overwrite=ifSourceNewer"];
    let running = accounts.fixture.azuring().start(given.into_iter().chain(["--concurrency=1", "--lanes=1"]));
    wait_until("the destination to be asked about all", || {
        accounts.count(Operation::GetBlobProperties) == 20
            && hostile.requests_of("PUT", "/to/data/").len() >= 2
    });
    running.interrupt_and_see();
    running.wait().unwrap().expect_code(6);
    let asked = hostile.requests_of("PUT", "/to/data/").len();
    assert_eq!((asked, accounts.names(TO).len()), (2, 1), "nobody read the source in the pause");
}

#[test]
fn what_a_busy_source_refuses_is_copied_in_the_end() {
    let accounts = Accounts::new();
    accounts.plant(FROM, (0..20).map(|n| seed(&format!("{n:02}"), b"1")));
    let rule = azsim::Rule {
        name: azsim::NameMatch::Contains(String::new()),
        operation: Some(Operation::GetBlob),
        fault: azsim::Fault::error(503, "ServerBusy"),
        skip: 1,
        count: 3,
    };
    let sender = azsim::Sender::Service(Some(TO.to_owned()));
    let rule = azsim::AccountRule { account: Some(FROM.to_owned()), sender, rule };
    let faults = azsim::Faults { account_rules: vec![rule], ..azsim::Faults::default() };
    accounts.fixture.server().set_faults(faults);
    let outcome = accounts.copy(&["--route=direct", "--output-type=ndjson", "--retry-failed=0"]);
    outcome.expect_code(0);
    let summary = line(&outcome, "summary");
    assert_eq!((&summary["done"], &summary["retries"]), (&20.into(), &3.into()), "{summary}");
    assert_eq!(accounts.names(TO), accounts.names(FROM));
    assert_eq!(accounts.fixture.server().service_requests().len(), 23);
}
