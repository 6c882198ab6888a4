//! Ends that get busy, and credentials that end, in the middle of a job.

use std::time::Duration;

use azsim::Role;
use azuring_tests::entra::{ACCOUNT, Entra};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, wait_until};

use super::super::jobs::{sas, the_job};
use super::pairs::{both, by_policy, set_policy};
use super::*;

/// Either end is busy for some requests: they are repeated, and nothing else is.
#[test]
fn an_end_that_is_busy_is_waited_for() {
    const BUSY: [(u16, &str); 3] = [(503, "ServerBusy"), (429, ""), (500, "OperationTimedOut")];
    for (account, at_source) in [(FROM, true), (TO, false)] {
        together(CASES, |(way, len)| {
            // The others are the same on all ways.
            let some = if (way, len) == CASES[0] { &BUSY[..] } else { &BUSY[..1] };
            for (status, code) in some {
                let accounts = filled(len);
                let operation = if at_source { Operation::GetBlob } else { way.write(len) };
                strike_some(&accounts, account, operation, Fault::error(*status, code), (0, 2));
                let what = format!("{way:?} {len} {account} {status}");
                let outcome = accounts.copy(&[&flags(way)[..], &["--max-tries=9"]].concat());
                assert_eq!(outcome.code, Some(0), "{what}: {}", outcome.stderr);
                assert!(accounts.content(TO, BAD) == accounts.content(FROM, BAD), "{what}");
                let summary = line(&outcome, "summary");
                assert_eq!(
                    (&summary["done"], &summary["retries"]),
                    (&4.into(), &2.into()),
                    "{what}: {summary}"
                );
            }
        });
    }
}

/// A SAS ends in the middle of the job: what was copied stays, and what is left is as it was. The job goes on with
/// another one.
#[test]
fn a_sas_that_ends_in_the_middle_of_a_job_is_told_of_its_end() {
    for way in [Way::Direct, Way::Relay] {
        for (account, end, letters) in [(FROM, "source", "rl"), (TO, "destination", "rwl")] {
            let accounts = filled(SMALL);
            let signed = by_policy(&accounts, account, letters, "2099-01-01");
            let (from, to) = both(&accounts);
            let (from, to) = if account == FROM { (signed, to) } else { (from, signed) };
            let before = state(&accounts);
            // Held before it is judged.
            strike(&accounts, TO, way.write(SMALL), Fault::Hold);
            // One lane begins them in order: the first one finds out whether the way is open.
            let line = [&["copy", &*from, &*to, "--recursive", "--lanes=1"][..], &flags(way)].concat();
            let running = accounts.fixture.azuring().start(line);
            accounts.fixture.wait_for_held(1);
            // The others have come through: of those that are copied later it would be told too.
            wait_until("the others", || accounts.names(TO).len() == 5);
            set_policy(&accounts, account, letters, "2020-01-01");
            accounts.fixture.release();
            let outcome = running.wait().unwrap();
            if account == FROM && way == Way::Relay {
                // It was read before.
                outcome.expect_code(0);
                continue;
            }
            let what = format!("{way:?} {end}");
            let failure = only_failure(&outcome, 1, &what);
            let reason = failure["reason"].as_str().unwrap();
            assert!(reason.starts_with(&format!("{end}: 403 ")), "{what}: {reason}");
            assert!(reason.contains("AuthenticationFailed"), "{what}: {reason}");
            assert!(failure["advice"].as_str().unwrap().contains("has it expired"), "{what}: {failure}");
            assert_alone(&accounts, &before, &what);
        }
    }
}

/// The same between the blocks of a large blob: with another SAS the job goes on with those that are there.
#[test]
fn a_job_whose_sas_has_ended_goes_on_with_another_one() {
    for way in [Way::Direct, Way::Relay] {
        for (account, letters) in [(FROM, "rl"), (TO, "rwl")] {
            let accounts = filled(LARGE);
            let before = state(&accounts);
            let signed = by_policy(&accounts, account, letters, "2099-01-01");
            let (from, to) = both(&accounts);
            let (from, to) = if account == FROM { (signed, to) } else { (from, signed) };
            strike_some(&accounts, account, asked_of(account, way), Fault::Hold, (1, u64::MAX));
            let line =
                [&["copy", &*from, &*to, "--recursive", "--lanes=1", "--concurrency=4"][..], &flags(way)];
            let running = accounts.fixture.azuring().start(line.concat());
            accounts.fixture.wait_for_held(1);
            set_policy(&accounts, account, letters, "2020-01-01");
            accounts.fixture.release();
            let outcome = running.wait().unwrap();
            assert!(![Some(0), Some(10)].contains(&outcome.code), "{way:?} {account}: {}", outcome.stderr);
            assert!(outcome.stdout.contains("AuthenticationFailed"), "{way:?} {account}: {}", outcome.stdout);
            for kept in &before {
                assert!(state(&accounts).contains(kept), "{way:?} {account}: {}", kept.0.name);
            }
            let (id, (from, to)) = (the_job(&accounts), both(&accounts));
            let given = [format!("--source-sas={}", sas(&from)), format!("--destination-sas={}", sas(&to))];
            accounts.fixture.run(["jobs", "resume", &id, &given[0], &given[1]]).expect_code(0);
            for name in accounts.names(FROM) {
                assert!(
                    accounts.content(TO, &name) == accounts.content(FROM, &name),
                    "{way:?} {account} {name}"
                );
            }
        }
    }
}

/// What an end is asked for, for each block.
fn asked_of(account: &str, way: Way) -> Operation {
    if account == FROM { Operation::GetBlob } else { way.write(LARGE) }
}

/// A token has ended when a block is asked for: there is another one, and nothing fails.
#[test]
fn a_token_that_ends_between_two_blocks_is_renewed_once() {
    for way in [Way::Direct, Way::Relay] {
        for of_source in [true, false] {
            let entra = Entra::service_principal(azuring!(), Role::Contributor);
            let server = entra.fixture.server();
            let (account, other) = (ACCOUNT, DEVSTORE_ACCOUNT);
            let signed = entra.fixture.url();
            let (from, to) = match of_source {
                true => ((account, entra.url("")), (other, signed)),
                false => ((other, signed), (account, entra.url(""))),
            };
            server.plant(from.0, CONTAINER, [seed("large", &bytes(6 * BLOCK, 1))]);
            entra.fixture.hold(way.write(LARGE), "large", 2);
            let trusted = entra.trusted();
            let hosts = [&*trusted, "--no-cache", "--recursive", "--lanes=1", "--concurrency=1"];
            let line = [&["copy", &*from.1, &*to.1][..], &flags(way), &hosts].concat();
            let running = entra.fixture.azuring().start(line);
            entra.fixture.wait_for_held(1);
            let before = entra.authority.requests().len();
            entra.authority.advance(Duration::from_secs(2 * 3600));
            entra.fixture.release();
            let outcome = running.wait().unwrap();
            let what = format!("{way:?} {of_source}");
            assert_eq!(outcome.code, Some(0), "{what}: {} {}", outcome.stdout, outcome.stderr);
            let content = |account| server.content(account, CONTAINER, "large").unwrap();
            assert!(content(from.0) == content(to.0), "{what}");
            assert_eq!(entra.authority.requests().len() - before, 1, "{what}");
            entra.assert_protocol();
        }
    }
}
