//! What is the matter with one blob, or happens to it while it is copied.

use super::*;

/// Copies everything, and does something to the source's bad blob when so many reads of it have passed.
#[track_caller]
fn meanwhile(accounts: &Accounts, way: Way, passed: u64, happens: impl FnOnce()) -> Outcome {
    strike_some(accounts, FROM, Operation::GetBlob, Fault::Hold, (passed, u64::MAX));
    let (from, to) = (accounts.url(FROM, ""), accounts.url(TO, ""));
    let line = [&["copy", &*from, &*to, "--recursive", "--lanes=1"][..], &flags(way)].concat();
    let running = accounts.fixture.azuring().start(line);
    accounts.fixture.wait_for_held(1);
    happens();
    accounts.fixture.release();
    running.wait().unwrap()
}

/// Reads of a blob of this length that pass before it changes: one that is large changes between its blocks.
fn passed(len: usize) -> u64 {
    u64::from(len > BLOCK)
}

#[test]
fn a_blob_that_cannot_be_read_any_more_fails_alone() {
    for (way, len) in CASES {
        for (what, code, advice) in [
            ("vanished", "404 BlobNotFound", "was it removed after it was listed?"),
            ("archived", "409 BlobArchived", "set its tier to Hot, Cool or Cold"),
        ] {
            let accounts = filled(len);
            let before = state(&accounts);
            let outcome = meanwhile(&accounts, way, passed(len), || {
                let status = match what {
                    "vanished" => ask(&accounts, FROM, "DELETE", (BAD, "", "")),
                    _ => ask(&accounts, FROM, "PUT", (BAD, "comp=tier", "x-ms-access-tier: Archive\r\n")),
                };
                assert!([200, 202].contains(&status), "{what}: {status}");
            });
            let what = format!("{what} {way:?} {len}");
            let failure = only_failure(&outcome, 1, &what);
            let reason = failure["reason"].as_str().unwrap();
            assert!(reason.starts_with("source: ") && reason.contains(code), "{what}: {reason}");
            assert_eq!(failure["kind"], "service", "{what}");
            assert!(failure["advice"].as_str().unwrap().contains(advice), "{what}: {failure}");
            assert_alone(&accounts, &before, &what);
        }
    }
}

#[test]
fn a_blob_that_is_replaced_is_copied_in_one_of_its_states_or_fails_alone() {
    for (way, len) in CASES {
        for now in [len - 1, len, len + 1] {
            let accounts = filled(len);
            let (before, new) = (state(&accounts), bytes(now, 77));
            let change = || accounts.plant(FROM, [seed(BAD, &new)]);
            let outcome = meanwhile(&accounts, way, passed(len), change);
            let what = format!("{way:?} {len} {now}");
            if len > BLOCK {
                // Its blocks are of two states. (Without --retry-failed=0 it is copied anew.)
                let failure = only_failure(&outcome, 1, &what);
                assert_eq!(failure["kind"], "source", "{what}");
                let told = ("the source was changed while it was copied", "when nobody writes to it");
                assert!(failure["reason"].as_str().unwrap().contains(told.0), "{what}: {failure}");
                assert!(failure["advice"].as_str().unwrap().contains(told.1), "{what}: {failure}");
                assert_alone(&accounts, &before, &what);
            } else {
                outcome.expect_code(0);
                assert!(accounts.content(TO, BAD) == new, "{what}");
            }
        }
    }
}

#[test]
fn a_place_that_cannot_be_written_stays_as_it_is() {
    let acquire = "x-ms-lease-action: acquire\r\nx-ms-lease-duration: -1\r\n";
    for (way, len) in CASES {
        for (what, code, advice) in [
            ("leased", "412 LeaseIdMissing", "break the lease"),
            ("archived", "409 BlobArchived", "set its tier to Hot, Cool or Cold"),
            ("pending", "409 PendingCopyOperation", "wait, or abort the copy"),
        ] {
            let accounts = filled(len);
            let copied = format!("x-ms-copy-source: {}\r\n", accounts.url(TO, "dir/own"));
            let (query, headers) = match what {
                "leased" => ("comp=lease", acquire),
                "archived" => ("comp=tier", "x-ms-access-tier: Archive\r\n"),
                _ => ("", &*copied),
            };
            accounts.fixture.server().set_pending_copies(what == "pending");
            let status = ask(&accounts, TO, "PUT", (BAD, query, headers));
            assert!([200, 201, 202].contains(&status), "{what}: {status}");
            accounts.fixture.server().set_pending_copies(false);
            let what = format!("{what} {way:?} {len}");
            let failure = fails_alone(&accounts, way, 1, &what);
            let reason = failure["reason"].as_str().unwrap();
            assert!(reason.starts_with(&format!("destination: {code}: ")), "{what}: {reason}");
            assert!(failure["advice"].as_str().unwrap().contains(advice), "{what}: {failure}");
        }
    }
}

/// A lease is for writers.
#[test]
fn a_source_that_somebody_holds_is_copied() {
    for (way, len) in CASES {
        let accounts = filled(len);
        let acquire = "x-ms-lease-action: acquire\r\nx-ms-lease-duration: -1\r\n";
        assert_eq!(ask(&accounts, FROM, "PUT", (BAD, "comp=lease", acquire)), 201);
        accounts.copy(&flags(way)).expect_code(0);
        assert!(accounts.content(TO, BAD) == accounts.content(FROM, BAD), "{way:?} {len}");
    }
}

/// Blocks of another tool have ids of another length.
#[test]
fn blocks_of_another_tool_are_in_the_way_of_one_blob() {
    for way in [Way::Direct, Way::Relay] {
        let accounts = filled(LARGE);
        let source = format!("x-ms-copy-source: {}\r\n", accounts.url(TO, "dir/own"));
        assert_eq!(ask(&accounts, TO, "PUT", (BAD, "comp=block&blockid=QQ%3D%3D", &source)), 201);
        let failure = fails_alone(&accounts, way, 1, "other blocks");
        let reason = failure["reason"].as_str().unwrap();
        assert!(reason.starts_with("destination: 400 InvalidBlobOrBlock: "), "{reason}");
        assert!(
            failure["advice"].as_str().unwrap().contains("uncommitted blocks of another tool"),
            "{failure}"
        );
        // What helps.
        accounts.copy(&[way.flag(), "--put-blob-size-mb=1"]).expect_code(0);
        assert!(accounts.content(TO, BAD) == accounts.content(FROM, BAD), "{way:?}");
    }
}

/// A SAS that may create and not replace: a blob of blocks, which are written first, needs more.
#[test]
fn who_may_only_create_replaces_nothing() {
    for way in [Way::Direct, Way::Relay] {
        let accounts = filled(SMALL);
        assert_eq!(ask(&accounts, FROM, "DELETE", ("dir/large", "", "")), 202);
        let before = state(&accounts);
        let (from, to) = (accounts.url(FROM, ""), accounts.url_for(TO, "", "c"));
        let line = [&["copy", &*from, &*to, "--recursive"][..], &flags(way)].concat();
        let outcome = accounts.fixture.run(line);
        outcome.expect_code(1);
        let failed = lines(&outcome, "failed");
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert!(
            failed[0]["reason"].as_str().unwrap().starts_with("destination: 403 UnauthorizedBlobOverwrite")
        );
        assert!(failed[0]["advice"].as_str().unwrap().contains("add `w` to sp"), "{failed:?}");
        assert!(before.iter().all(|kept| state(&accounts).contains(kept)), "{way:?}");
        assert_eq!(accounts.names(TO), ["a", BAD, "dir/own", "z"]);
    }
}

/// The service is given the MD5 that the source tells.
#[test]
fn bytes_that_are_not_those_of_their_md5_fail_alone() {
    for way in [Way::Direct, Way::Relay] {
        let accounts = filled(SMALL);
        accounts.plant(FROM, [Seed { content_md5: Some([7; 16]), ..seed(BAD, &bytes(SMALL, 1)) }]);
        let failure = fails_alone(&accounts, way, 7, "MD5");
        let (reason, advice) = (failure["reason"].as_str().unwrap(), failure["advice"].as_str().unwrap());
        let told = match way {
            Way::Direct => ("source: its bytes have another MD5", "--check-md5=NoCheck"),
            Way::Relay => ("destination: 400 Md5Mismatch: ", "the MD5 that is stored with them is wrong"),
        };
        assert!(reason.starts_with(told.0) && advice.contains(told.1), "{reason}; {advice}");
        assert_eq!((&failure["kind"], &failure["tries"]), (&"integrity".into(), &2.into()), "{failure}");
    }
}

/// An end that lies once is asked again; one that goes on lying is named.
#[test]
fn checksums_that_are_wrong_are_found_out() {
    for len in [SMALL, LARGE] {
        for (account, operation, end) in
            [(FROM, Operation::GetBlob, "source: "), (TO, Way::Relay.write(len), "destination: ")]
        {
            let what = format!("{end}{len}");
            let once = filled(len);
            strike_some(&once, account, operation, Fault::WrongChecksum, (0, 1));
            once.copy(&flags(Way::Relay)).expect_code(0);
            assert!(once.content(TO, BAD) == once.content(FROM, BAD), "{what}");
            let accounts = filled(len);
            strike(&accounts, account, operation, Fault::WrongChecksum);
            let before = state(&accounts);
            let outcome = accounts.copy(&flags(Way::Relay));
            let failure = only_failure(&outcome, 7, &what);
            assert_eq!((&failure["kind"], &failure["tries"]), (&"integrity".into(), &2.into()), "{failure}");
            assert!(failure["reason"].as_str().unwrap().starts_with(end), "{what}: {failure}");
            if account == TO && len == SMALL {
                // It was written, and the answer lies of it.
                assert!(accounts.content(TO, BAD) == accounts.content(FROM, BAD));
            } else {
                assert_alone(&accounts, &before, &what);
            }
        }
    }
}

/// The source breaks off in the middle of its bytes, each time.
#[test]
fn a_source_that_breaks_off_fails_alone() {
    for (way, len) in CASES {
        for fault in [Fault::CutBody, Fault::Reset] {
            let accounts = filled(len);
            strike(&accounts, FROM, Operation::GetBlob, fault.clone());
            let what = format!("{way:?} {len} {fault:?}");
            let failure = fails_alone(&accounts, way, 5, &what);
            assert_eq!((&failure["kind"], &failure["tries"]), (&"network".into(), &2.into()), "{failure}");
            let reason = failure["reason"].as_str().unwrap();
            // The destination does not tell why it could not read.
            let told = match way {
                Way::Direct => "destination: 500 InternalError: ",
                Way::Relay => "source: the connection broke: ",
            };
            assert!(reason.starts_with(told), "{what}: {reason}");
        }
    }
}
