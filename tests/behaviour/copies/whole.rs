//! Whole accounts: their containers, and all that is in them.

use std::collections::BTreeMap;
use std::time::Duration;

use azsim::{Fault, Faults, NameMatch, Operation, Rule, Seed};
use azuring_tests::{AzCopy, CONTAINER, Outcome, azuring};

use super::{Accounts, FROM, KEYS, ROUTES, TO, bytes, line, number, seed};

impl Accounts {
    /// An account, or a place in it, with a SAS that allows everything.
    fn whole(&self, account: &str, path: &str) -> String {
        let sas = self.fixture.server().account_sas(account, "rwdlact", Duration::from_secs(3600));
        format!("{}/{path}?{sas}", self.fixture.server().url(account))
    }

    /// Plants blobs in a container of the source, which is made.
    fn plant_in(&self, container: &str, seeds: impl IntoIterator<Item = Seed>) {
        self.fixture.server().create_container(FROM, container);
        self.fixture.server().plant(FROM, container, seeds);
    }

    /// All that an account has, by container and name; `""` stands for the container itself.
    fn everything(&self, account: &str) -> BTreeMap<String, Vec<u8>> {
        let server = self.fixture.server();
        let mut all = BTreeMap::new();
        for container in server.containers(account) {
            for blob in server.blobs(account, &container) {
                let content = server.content(account, &container, &blob.name).unwrap().to_vec();
                all.insert(format!("{container}/{}", blob.name), content);
            }
            all.insert(container, Vec::new());
        }
        all
    }

    #[track_caller]
    fn copy_whole(&self, from: &str, to: &str, more: &[&str]) -> Outcome {
        let (from, to) = (self.whole(FROM, from), self.whole(TO, to));
        let line = ["copy", &from, &to, "--recursive", "--from-to=BlobBlob"];
        self.fixture.run(line.into_iter().chain(more.iter().copied()))
    }
}

/// An account with some containers, one of them empty.
fn filled() -> Accounts {
    let accounts = Accounts::new();
    accounts.plant(FROM, [seed("top", b"1")]);
    accounts.plant_in("logs-1", [seed("a/b/c", &bytes(9, 1)), seed("a/skip/x", b"2"), seed("z", b"")]);
    accounts.plant_in("logs", [seed("skip/x", b"3"), seed("logs", b"4"), seed("logs-1/a", b"5")]);
    accounts.plant_in("$web", [seed("index.html", b"<p>")]);
    accounts.plant_in("empty", []);
    accounts
}

#[test]
fn an_account_is_copied_with_all_its_containers() {
    for route in ROUTES {
        let accounts = filled();
        let outcome = accounts.copy_whole("", "", &[route]);
        outcome.expect_code(0);
        assert_eq!(accounts.everything(FROM), accounts.everything(TO), "{route}");
        assert_eq!(number(&outcome, "Number of File Transfers Completed"), 8);
        // Again: all is there, and may be replaced.
        accounts.copy_whole("", "", &[route]).expect_code(0);
        assert_eq!(accounts.everything(FROM), accounts.everything(TO), "{route}");
    }
}

/// More than a page of them; each costs a request at either end, whatever is in it.
#[test]
fn many_containers_are_listed_page_by_page() {
    let accounts = Accounts::new();
    for n in 0..230 {
        accounts.plant_in(&format!("many-{n}"), [seed("blob", &bytes(n, n))]);
    }
    let outcome = accounts.copy_whole("", "", &["--output-type=ndjson"]);
    outcome.expect_code(0);
    assert_eq!(accounts.everything(FROM), accounts.everything(TO));
    assert_eq!(line(&outcome, "summary")["done"], 230);
    let counts = [
        Operation::ListContainers,
        Operation::ListBlobs,
        Operation::CreateContainer,
        Operation::PutBlobFromUrl,
    ];
    assert_eq!(counts.map(|operation| accounts.count(operation)), [3, 231, 231, 230]);
}

#[test]
fn containers_are_chosen_by_a_pattern_or_left_out_and_filters_look_into_them() {
    for (from, more, want) in [
        (
            "logs*",
            &[][..],
            &[
                "logs",
                "logs-1",
                "logs-1/a/b/c",
                "logs-1/a/skip/x",
                "logs-1/z",
                "logs/logs",
                "logs/logs-1/a",
                "logs/skip/x",
            ][..],
        ),
        ("lo*-1", &[], &["logs-1", "logs-1/a/b/c", "logs-1/a/skip/x", "logs-1/z"]),
        (
            "",
            &["--exclude-container=logs;$web; empty"],
            &["logs-1", "logs-1/a/b/c", "logs-1/a/skip/x", "logs-1/z"],
        ),
        // A path is one in a container, whatever that is called.
        (
            "logs*",
            &["--exclude-path=skip;logs-1;a/skip"],
            &["logs", "logs-1", "logs-1/a/b/c", "logs-1/z", "logs/logs"],
        ),
        (
            "logs*",
            &["--include-regex=^(a|logs)"],
            &["logs", "logs-1", "logs-1/a/b/c", "logs-1/a/skip/x", "logs/logs", "logs/logs-1/a"],
        ),
        ("*", &["--include-pattern=*.html;top"], &["$web", "$web/index.html", "empty", "logs", "logs-1"]),
    ] {
        let accounts = filled();
        accounts.copy_whole(from, "", more).expect_code(0);
        let mut there = accounts.everything(TO);
        there.remove(CONTAINER);
        there.remove(&format!("{CONTAINER}/top"));
        assert_eq!(there.into_keys().collect::<Vec<_>>(), want, "{from} {more:?}");
    }
}

#[test]
fn into_a_container_the_containers_become_directories() {
    for (to, prefix) in [(CONTAINER.to_owned(), ""), (format!("{CONTAINER}/sub/dir"), "sub/dir/")] {
        let accounts = filled();
        accounts.copy_whole("", &to, &[]).expect_code(0);
        let mut want: Vec<String> =
            accounts.everything(FROM).into_keys().filter(|name| name.contains('/')).collect();
        want.iter_mut().for_each(|name| name.insert_str(0, prefix));
        assert_eq!(accounts.names(TO), want);
    }
}

#[test]
fn a_container_is_copied_into_an_account_under_its_name() {
    let accounts = filled();
    accounts.copy_whole("logs", "", &[]).expect_code(0);
    let there: Vec<String> = accounts.everything(TO).into_keys().collect();
    assert_eq!(there, [CONTAINER, "logs", "logs/logs", "logs/logs-1/a", "logs/skip/x"]);
}

#[test]
fn what_cannot_be_done_with_an_account_is_refused_before_anything_is_made() {
    let accounts = filled();
    let other = |line: &[&str]| {
        let outcome = accounts.fixture.run(line);
        (outcome.code, outcome.stderr)
    };
    let (from, to, dir) =
        (accounts.whole(FROM, ""), accounts.whole(TO, ""), accounts.whole(FROM, "logs/skip"));
    let file = accounts.fixture.file("local", b"x");
    let file = file.to_str().unwrap();
    let beside = accounts.whole(FROM, "logs");
    for (line, want) in [
        (&["copy", &from, &to][..], "account copies are an inherently recursive operation"),
        (
            &["copy", &from, &to, "--recursive", "--include-path=x"],
            "cannot combine list-of-files or include-path",
        ),
        (
            &["copy", &from, &to, "--recursive", &format!("--list-of-files={file}")],
            "cannot combine list-of-files",
        ),
        (
            &["copy", &dir, &to, "--recursive"],
            "cannot transfer individual files/folders to the root of a service",
        ),
        (&["copy", &beside, &to, "--recursive", "--as-subdir=false"], "cannot use --as-subdir=false"),
        (
            &["copy", &beside, &accounts.whole(TO, CONTAINER), "--recursive", "--exclude-container=x"],
            "the source is none",
        ),
        (&["copy", &from, &accounts.whole(TO, "x*"), "--recursive"], "names no container"),
        (&["copy", &accounts.whole(FROM, "lo*/x"), &to, "--recursive"], "whole containers"),
        (&["copy", &from, &from, "--recursive"], "overlap"),
        (&["copy", &from, &beside, "--recursive"], "overlap"),
        (&["copy", &beside, &from, "--recursive"], "overlap"),
        (&["copy", file, &to], "names no container"),
        (&["copy", file, &accounts.whole(TO, "$logs")], "cannot copy to system container '$logs'"),
        (&["copy", &beside, &accounts.whole(TO, "%24logs/x"), "--recursive"], "system container '$logs'"),
        (
            &["copy", &beside, &accounts.whole(TO, "$blobchangefeed"), "--recursive"],
            "cannot copy to system container '$blobchangefeed'",
        ),
        (&["copy", &accounts.whole(FROM, "$logs"), &to, "--recursive"], "system container '$logs'"),
        (&["copy", &from, file, "--recursive"], "names no container"),
        (&["list", &from], "names no container"),
        (&["remove", &from, "--recursive"], "names no container"),
    ] {
        let (code, told) = other(line);
        assert!(code != Some(0) && told.contains(want), "{line:?}: {code:?} {told}");
    }
    assert_eq!(accounts.fixture.server().containers(TO), [CONTAINER]);
    // A container that is not meant may be where the others go.
    accounts.fixture.server().create_container(FROM, "backup");
    let copy = ["copy", &accounts.whole(FROM, "logs*"), &accounts.whole(FROM, "backup"), "--recursive"];
    accounts.fixture.run(copy).expect_code(0);
    assert_eq!(accounts.fixture.server().blobs(FROM, "backup").len(), 6);
}

#[test]
fn a_sas_of_one_container_is_refused_before_anything_is_sent() {
    let accounts = filled();
    let before = accounts.fixture.server().stats().requests;
    let bare = |account: &str| {
        let sas = accounts.alone(account, CONTAINER).split_once('?').unwrap().1.to_owned();
        format!("{}/?{sas}", accounts.fixture.server().url(account))
    };
    for (from, to, want) in [
        (bare(FROM), accounts.whole(TO, ""), "source: a SAS with sr=c cannot be used for listing containers"),
        (
            accounts.whole(FROM, ""),
            bare(TO),
            "destination: a SAS with sr=c cannot be used for creating the container",
        ),
    ] {
        let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive"]);
        outcome.expect_code(3);
        assert!(outcome.stderr.contains(want), "{}", outcome.stderr);
    }
    assert_eq!(accounts.fixture.server().stats().requests, before);
}

/// Each container that is read by the other account needs a SAS of its own.
#[test]
fn keys_of_both_accounts_open_all_containers() {
    let key = |account: &str| KEYS.into_iter().find(|(name, _)| *name == account).unwrap().1;
    for route in ["--route=direct", "--route=relay"] {
        let accounts = filled();
        let azuring = azuring!().env("AZURE_STORAGE_KEY", key(FROM)).env("AZURE_STORAGE_ACCOUNT", FROM);
        let (from, to) = (accounts.fixture.server().url(FROM), accounts.whole(TO, ""));
        azuring.run(["copy", &from, &to, "--recursive", route]).expect_code(0);
        assert_eq!(accounts.everything(FROM), accounts.everything(TO), "{route}");
        let accounts = filled();
        let string = format!("AccountName={TO};AccountKey={}", key(TO));
        let azuring = azuring!().env("AZURE_STORAGE_CONNECTION_STRING", string);
        let (from, to) = (accounts.whole(FROM, ""), format!("{}/", accounts.fixture.server().url(TO)));
        azuring.run(["copy", &from, &to, "--recursive", route]).expect_code(0);
        assert_eq!(accounts.everything(FROM), accounts.everything(TO), "{route}");
    }
}

#[test]
fn a_container_that_cannot_be_listed_or_made_fails_alone() {
    for (operation, name, want) in [
        (Operation::ListBlobs, "logs-1", "the container cannot be listed"),
        (Operation::CreateContainer, "logs-1", "the container cannot be made"),
    ] {
        let accounts = filled();
        let fault = Fault::error(409, "ContainerBeingDeleted");
        let rule = Rule {
            name: NameMatch::Contains(name.to_owned()),
            operation: Some(operation),
            fault,
            skip: 0,
            count: u64::MAX,
        };
        accounts.fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
        let outcome = accounts.copy_whole("", "", &["--max-tries=1"]);
        outcome.expect_code(1);
        assert_eq!(outcome.stderr.matches(want).count(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("logs-1: "), "{}", outcome.stderr);
        let mut want = accounts.everything(FROM);
        want.retain(|name, _| !name.starts_with("logs-1/"));
        let mut there = accounts.everything(TO);
        there.remove("logs-1");
        want.remove("logs-1");
        assert_eq!(there, want);
    }
}

/// Who may write blobs and make no containers writes into those that are there.
#[test]
fn containers_that_may_not_be_made_are_used_where_they_are() {
    let accounts = filled();
    for container in accounts.fixture.server().containers(FROM) {
        if container != "logs" {
            accounts.fixture.server().create_container(TO, &container);
        }
    }
    let rule = |operation, status, code| Rule {
        name: NameMatch::Contains(String::new()),
        operation: Some(operation),
        fault: Fault::error(status, code),
        skip: 0,
        count: u64::MAX,
    };
    let denied = rule(Operation::CreateContainer, 403, "AuthorizationPermissionMismatch");
    let looked = rule(Operation::GetContainerProperties, 403, "AuthorizationPermissionMismatch");
    accounts.fixture.server().set_faults(Faults { rules: vec![denied.clone()], ..Faults::default() });
    let outcome = accounts.copy_whole("", "", &[]);
    outcome.expect_code(1);
    assert_eq!(outcome.stderr.matches("the container cannot be made").count(), 1, "{}", outcome.stderr);
    let mut want = accounts.everything(FROM);
    want.retain(|name, _| name != "logs" && !name.starts_with("logs/"));
    assert_eq!(accounts.everything(TO), want);
    // Nor may he look: what is not there is found out by its blobs, each of which fails.
    accounts.fixture.server().set_faults(Faults { rules: vec![denied, looked], ..Faults::default() });
    let outcome = accounts.copy_whole("", "", &[]);
    outcome.expect_code(1);
    assert_eq!(outcome.stderr.matches("they are taken to be there").count(), 1, "{}", outcome.stderr);
    assert_eq!(number(&outcome, "Number of File Transfers Failed"), 3);
    assert_eq!(number(&outcome, "Number of File Transfers Completed"), 5);
}

/// A SAS that is for blobs alone.
#[test]
fn a_sas_for_blobs_alone_writes_into_the_containers_that_are_there() {
    let accounts = filled();
    for container in accounts.fixture.server().containers(FROM) {
        accounts.fixture.server().create_container(TO, &container);
    }
    let (_, key) = KEYS.into_iter().find(|(name, _)| *name == TO).unwrap();
    let keyed = azuring!().env("AZURE_STORAGE_KEY", key).env("AZURE_STORAGE_ACCOUNT", TO);
    let url = accounts.fixture.server().url(TO);
    let line = ["sas", &*url, "--account", "--resource-types=o", "--permissions=rw", "--expiry=1h"];
    let made = keyed.run(line.into_iter().chain(["--protocol=https,http"]));
    made.expect_code(0);
    let to = made.stdout.trim();
    let outcome = accounts.fixture.run(["copy", &*accounts.whole(FROM, ""), to, "--recursive"]);
    outcome.expect_code(0);
    assert_eq!(accounts.everything(FROM), accounts.everything(TO));
    assert_eq!(outcome.stderr.matches("they are taken to be there").count(), 1, "{}", outcome.stderr);
}

#[test]
fn a_dry_run_makes_no_container() {
    let accounts = filled();
    let outcome = accounts.copy_whole("", "", &["--dry-run"]);
    outcome.expect_code(0);
    let (from, to) = (accounts.fixture.server().url(FROM), accounts.fixture.server().url(TO));
    let want = format!("DRYRUN: copy {from}/logs-1/a/b/c to {to}/logs-1/a/b/c");
    assert!(outcome.stdout.contains(&want), "{}", outcome.stdout);
    assert_eq!(accounts.fixture.server().containers(TO), [CONTAINER]);
}

#[test]
fn a_copy_of_an_account_goes_on_where_it_was() {
    let sas = |url: &str| url.split_once('?').unwrap().1.to_owned();
    for (operation, held) in [
        (Operation::PutBlobFromUrl, "d/2"),
        (Operation::CreateContainer, "many-117"),
        (Operation::ListBlobs, "many-120"),
    ] {
        for killed in [true, false] {
            let accounts = Accounts::new();
            for n in 0..150 {
                let seeds = (0..3).map(|m| seed(&format!("d/{m}"), &bytes(n, m)));
                accounts.plant_in(&format!("many-{n:03}"), seeds);
            }
            let passed = if operation == Operation::PutBlobFromUrl { 100 } else { 0 };
            accounts.fixture.hold(operation, held, passed);
            let (from, to) = (accounts.whole(FROM, ""), accounts.whole(TO, ""));
            let line = ["copy", &*from, &*to, "--recursive", "--concurrency=4"];
            let running = accounts.fixture.azuring().start(line);
            accounts.fixture.wait_for_held(1);
            if killed {
                running.kill();
                running.wait().unwrap();
                accounts.fixture.release();
            } else {
                running.interrupt_and_see();
                accounts.fixture.release();
                running.wait().unwrap().expect_code(6);
            }
            let listed = accounts.count(Operation::ListBlobs);
            let id = accounts.fixture.run(["jobs", "list"]).stdout;
            let id = id.lines().find_map(|line| line.strip_prefix("JobId: ")).unwrap().to_owned();
            let flags = [format!("--source-sas={}", sas(&from)), format!("--destination-sas={}", sas(&to))];
            let line = ["jobs", "resume", &id, &flags[0], &flags[1], "--output-type=ndjson"];
            let outcome = accounts.fixture.run(line);
            outcome.expect_code(0);
            assert_eq!(super::line(&outcome, "summary")["done"], 450, "{operation:?} {killed}");
            assert_eq!(accounts.everything(FROM), accounts.everything(TO), "{operation:?} {killed}");
            // All that was found is recorded, and not listed again; a kill may come before the record.
            let in_all = accounts.count(Operation::ListBlobs);
            assert!(killed || in_all <= 151 + 2, "{operation:?}: {listed}, then {in_all}");
        }
    }
}

/// AzCopy as judge.
#[test]
fn azcopy_copies_the_same_accounts() {
    for (from, to, more) in [
        ("", "", &[][..]),
        ("lo*", "", &[]),
        ("", "", &["--exclude-container=logs;empty"]),
        ("", "", &["--exclude-path=skip;logs-1", "--include-pattern=*a*;x;c"]),
        ("", "into", &[]),
        ("", "into/sub", &[]),
        ("lo*", "into", &["--exclude-container=logs"]),
        ("logs", "", &[]),
    ] {
        let there = |with: &dyn Fn(&Accounts) -> Outcome| {
            let accounts = filled();
            accounts.fixture.server().create_container(TO, "into");
            with(&accounts).expect_code(0);
            accounts.everything(TO)
        };
        let ours = there(&|accounts| accounts.copy_whole(from, to, more));
        let theirs = there(&|accounts| {
            let line = [
                "copy",
                &accounts.whole(FROM, from),
                &accounts.whole(TO, to),
                "--recursive",
                "--from-to=BlobBlob",
            ];
            AzCopy::new().run(line.into_iter().chain(more.iter().copied()))
        });
        assert_eq!(ours, theirs, "azuring, AzCopy: {from} {to} {more:?}");
    }
}

/// As AzCopy does it; where that is not possible what is written says so.
#[test]
fn a_container_that_is_missing_is_made() {
    for (from, to) in [("logs", "new"), ("logs/logs", "new/copy"), ("logs/skip", "new/sub"), ("", "new")] {
        let there = |ours: bool| {
            let accounts = filled();
            let (source, destination) = (accounts.whole(FROM, from), accounts.whole(TO, to));
            let line = ["copy", &*source, &*destination, "--recursive", "--from-to=BlobBlob"];
            let dry = accounts.fixture.run(line.into_iter().chain(["--dry-run"]));
            dry.expect_code(0);
            assert_eq!(accounts.fixture.server().containers(TO), [CONTAINER]);
            if ours { accounts.fixture.run(line) } else { AzCopy::new().run(line) }.expect_code(0);
            accounts.everything(TO)
        };
        assert_eq!(there(true), there(false), "azuring, AzCopy: {from} {to}");
    }
    // Who may not make it is told what to do.
    let accounts = filled();
    let line = ["copy", &*accounts.whole(FROM, "logs"), &*accounts.alone(TO, "new"), "--recursive"];
    let outcome = accounts.fixture.run(line);
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("create the container first"), "{}", outcome.stderr);
    assert_eq!(accounts.fixture.server().containers(TO), [CONTAINER]);
}

/// The service's own containers are copied if they are named, and not with the account.
#[test]
fn containers_of_the_service_are_copied_if_they_are_named() {
    for ours in [true, false] {
        let accounts = filled();
        accounts.plant_in("$logs", [seed("blob/2026/000000.log", b"1.0;")]);
        let copy = |from: &str, to: &str| {
            let (from, to) = (accounts.whole(FROM, from), accounts.whole(TO, to));
            let line = ["copy", &*from, &*to, "--recursive", "--from-to=BlobBlob"];
            if ours { accounts.fixture.run(line) } else { AzCopy::new().run(line) }.expect_code(0);
        };
        copy("", "");
        let mut want = accounts.everything(FROM);
        want.retain(|name, _| !name.starts_with("$logs"));
        assert_eq!(accounts.everything(TO), want, "{ours}");
        copy("$logs", "kept");
        assert_eq!(accounts.fixture.server().blobs(TO, "kept").len(), 1, "{ours}");
    }
}
