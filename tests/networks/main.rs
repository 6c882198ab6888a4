//! Copies between accounts that networks keep apart, in networks that really do: the scenarios of Microsoft's page
//! "Copy blobs between storage accounts with access restriction".
//!
//! ```text
//!   internet 198.51.100.7 ----------+
//!                                   |
//!   hub      10.1.0.10 ------ 10.1.0.4, .5 (private endpoints) ---+--- fabric: both accounts at 203.0.113.10
//!                                                                 |
//!   spoke    10.2.0.10 ------ 10.2.0.4, .5 (private endpoints) ---+
//! ```
//! Each is a network namespace with cables to the fabric, where azsim runs. Who has no route reaches nobody. Who may
//! use what he reaches the accounts' firewalls decide, by the addresses that they really see.
#![allow(clippy::unwrap_used, reason = "test code")]

mod credentials;
mod scene;
mod unreachable;

use std::net::IpAddr;

use azsim::Network;
use scene::{Azure, FROM, HUB, INTERNET, PUBLIC, SPOKE, TO, assert_direct, assert_relayed, direct};

/// Private endpoints: addresses of the hub and of the spoke, one for each account.
const HUB_FROM: IpAddr = scene::ip([10, 1, 0, 4]);
const HUB_TO: IpAddr = scene::ip([10, 1, 0, 5]);
const SPOKE_FROM: IpAddr = scene::ip([10, 2, 0, 4]);
const SPOKE_TO: IpAddr = scene::ip([10, 2, 0, 5]);

/// What the source says of whom its network does not admit.
const NOT_ADMITTED: &str = "source: 403 CannotVerifyCopySource: This request is not authorized to perform this \
                            operation. (the source answered 403 AuthorizationFailure)";

/// Scenario 1: the client's address is on the lists of both accounts.
#[test]
fn a_client_that_both_accounts_allow_has_them_copy_directly() {
    for route in ["--route=auto", "--route=direct", "--route=relay"] {
        let azure = Azure::new();
        azure.restrict(FROM, Network::closed().allow(INTERNET));
        azure.restrict(TO, Network::closed().allow(INTERNET));
        let (from, to) = (azure.at(PUBLIC, FROM), azure.at(PUBLIC, TO));
        let outcome = azure.copy(&azure.internet, (&from, &to), &[route]);
        outcome.expect_code(0);
        azure.assert_same();
        if route == "--route=relay" {
            assert_relayed(&outcome);
        } else {
            // The destination asks as itself, and again on behalf of its client.
            assert_direct(&azure, &outcome, INTERNET);
        }
    }
}

#[test]
fn a_client_that_one_account_does_not_allow_is_told_which() {
    for (open, closed, told) in [
        (TO, FROM, "source: 403 AuthorizationFailure: "),
        (FROM, TO, "destination: 403 AuthorizationFailure: "),
    ] {
        let azure = Azure::new();
        azure.restrict(open, Network::closed().allow(INTERNET));
        azure.restrict(closed, Network::closed().allow(HUB));
        let (from, to) = (azure.at(PUBLIC, FROM), azure.at(PUBLIC, TO));
        let outcome = azure.copy(&azure.internet, (&from, &to), &[]);
        outcome.expect_code(3);
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("firewall does not admit this network"), "{}", outcome.stderr);
        azure.assert_untouched();
    }
}

/// Scenario 2: private endpoints of both accounts in the client's network.
#[test]
fn private_endpoints_of_both_accounts_in_one_network_have_them_copy_directly() {
    let azure = Azure::new();
    azure.restrict(FROM, Network::closed().private_endpoint(HUB_FROM, "hub"));
    azure.restrict(TO, Network::closed().private_endpoint(HUB_TO, "hub"));
    let (from, to) = (azure.at(HUB_FROM, FROM), azure.at(HUB_TO, TO));
    // Elsewhere nobody reaches them ..
    for other in [&azure.internet, &azure.spoke] {
        let outcome = azure.copy(other, (&from, &to), &["--max-tries=1"]);
        outcome.expect_code(5);
        let told = "source: cannot connect to 10.1.0.4:";
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    // .. and where they are public, they admit nobody.
    let public = (azure.at(PUBLIC, FROM), azure.at(PUBLIC, TO));
    azure.copy(&azure.internet, (&public.0, &public.1), &[]).expect_code(3);
    azure.assert_untouched();
    let outcome = azure.copy(&azure.hub, (&from, &to), &[]);
    outcome.expect_code(0);
    azure.assert_same();
    assert_direct(&azure, &outcome, HUB);
    let doctor = azure.hub.within(|| azure.fixture.run(["doctor", &*from, &*to, "--write-test"]));
    assert!(doctor.expect_code(0).stdout.contains("yes: the service of the destination has read the source"));
    azure.assert_same();
}

/// Hub and spoke: the destination's endpoint is in the hub, the source's in the spoke.
fn hub_and_spoke() -> (Azure, String, String) {
    let azure = Azure::new();
    azure.restrict(FROM, Network::closed().private_endpoint(SPOKE_FROM, "spoke"));
    azure.restrict(TO, Network::closed().private_endpoint(HUB_TO, "hub"));
    let (from, to) = (azure.at(SPOKE_FROM, FROM), azure.at(HUB_TO, TO));
    (azure, from, to)
}

#[test]
fn between_hub_and_spoke_a_direct_copy_fails_with_what_helps() {
    for flag in ["--route=direct", "--no-relay"] {
        let (azure, from, to) = hub_and_spoke();
        azure.peer();
        let outcome = azure.copy(&azure.hub, (&from, &to), &[flag]);
        outcome.expect_code(3);
        assert!(outcome.stderr.contains(NOT_ADMITTED), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("through this host"), "{}", outcome.stderr);
        azure.assert_untouched();
        // One request has found it out, and the source was asked on behalf of the client too.
        let asked: Vec<_> = azure.asked().into_iter().map(|(by, status)| (by.is_some(), status)).collect();
        assert_eq!(asked, [(false, 403), (true, 403)]);
        // The doctor says the same before anything is copied.
        let doctor = azure.hub.within(|| azure.fixture.run(["doctor", &*from, &*to, "--write-test"]));
        assert_ne!(doctor.code, Some(0), "{}", doctor.stdout);
        let told = ["403 AuthorizationFailure", "private-endpoint create", "--route=relay"];
        assert!(told.iter().all(|told| doctor.stdout.contains(told)), "{}", doctor.stdout);
        azure.assert_untouched();
    }
}

#[test]
fn between_hub_and_spoke_bytes_go_through_this_host_by_themselves() {
    for route in ["--route=auto", "--route=relay"] {
        let (azure, from, to) = hub_and_spoke();
        azure.peer();
        let outcome = azure.copy(&azure.hub, (&from, &to), &[route]);
        outcome.expect_code(0);
        azure.assert_same();
        assert_relayed(&outcome);
        assert_eq!(azure.asked().is_empty(), route == "--route=relay");
    }
}

#[test]
fn without_a_peering_the_client_itself_reaches_one_end_alone() {
    let (azure, from, to) = hub_and_spoke();
    for (network, told) in [
        (&azure.hub, "source: cannot connect to 10.2.0.4:"),
        (&azure.spoke, "destination: cannot connect to 10.1.0.5:"),
    ] {
        let outcome = azure.copy(network, (&from, &to), &["--max-tries=1"]);
        outcome.expect_code(5);
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("that a firewall or private endpoint lets this machine through"));
        azure.assert_untouched();
    }
}

/// The first of the page's mitigations: one more private endpoint of the destination, in the source's network.
#[test]
fn an_endpoint_of_the_destination_in_the_network_of_the_source_helps() {
    let (azure, from, _) = hub_and_spoke();
    let both = Network::closed().private_endpoint(HUB_TO, "hub").private_endpoint(SPOKE_TO, "spoke");
    azure.restrict(TO, both);
    let to = azure.at(SPOKE_TO, TO);
    let outcome = direct(&azure, &azure.spoke, (&from, &to));
    assert_direct(&azure, &outcome, SPOKE);
}

/// The second: a machine in the source's network, which has a peering with the destination's. The source admits that
/// network.
#[test]
fn a_machine_in_the_network_of_the_source_helps() {
    let (azure, from, to) = hub_and_spoke();
    azure.peer();
    let network = Network::closed().private_endpoint(SPOKE_FROM, "spoke").allow(SPOKE);
    azure.restrict(FROM, network);
    let outcome = direct(&azure, &azure.spoke, (&from, &to));
    assert_direct(&azure, &outcome, SPOKE);
}

/// The third: an account between the two, with an endpoint where the account is that is copied from or to.
#[test]
fn an_account_between_the_two_helps() {
    let (azure, from, to) = hub_and_spoke();
    let at_both = Network::closed().private_endpoint(SPOKE_TO, "spoke").private_endpoint(HUB_FROM, "hub");
    azure.restrict(scene::BETWEEN, at_both);
    let (there, here) = (azure.at(SPOKE_TO, scene::BETWEEN), azure.at(HUB_FROM, scene::BETWEEN));
    let first = azure.copy(&azure.spoke, (&from, &there), &["--route=direct"]);
    first.expect_code(0);
    assert_direct(&azure, &first, SPOKE);
    let second = azure.copy(&azure.hub, (&here, &to), &["--route=direct"]);
    second.expect_code(0);
    azure.assert_same();
    assert_eq!(scene::moved(&second)[1], 0, "nothing through this host");
}

/// The same by one job, whose client reaches all three.
#[test]
fn an_account_between_the_two_is_used_by_one_job() {
    for route in ["--route=staging", "--route=auto"] {
        let (azure, from, to) = hub_and_spoke();
        azure.peer();
        let at_both = Network::closed().private_endpoint(SPOKE_TO, "spoke").private_endpoint(HUB_FROM, "hub");
        azure.restrict(scene::BETWEEN, at_both);
        let staging = format!("--staging-url={}", azure.at(SPOKE_TO, scene::BETWEEN));
        let line = ["copy", &from, &to, "--recursive", "--output-type=ndjson", route, &staging];
        let outcome = azure.hub.within(|| azure.fixture.run(line));
        outcome.expect_code(0);
        azure.assert_same();
        assert_eq!(scene::moved(&outcome)[1], 0, "nothing through this host");
        assert_eq!(azure.blobs(scene::BETWEEN), [], "nothing is left between the two");
        let by_between = azure.asked().into_iter().filter(|asked| *asked == (Some(HUB), 200)).count();
        assert_eq!(by_between, 4, "{:?}", azure.asked());
    }
}

/// The last: down to a machine that reaches both, and up from there, but without its disk.
#[test]
fn a_machine_that_reaches_both_helps_without_its_disk() {
    let (azure, from, to) = hub_and_spoke();
    azure.peer();
    let before = scene::files(azure.fixture.path());
    let outcome = azure.copy(&azure.spoke, (&from, &to), &["--route=relay"]);
    outcome.expect_code(0);
    azure.assert_same();
    assert_relayed(&outcome);
    assert_eq!(scene::files(azure.fixture.path()), before);
}
