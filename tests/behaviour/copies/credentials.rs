//! Each end has its own credential, and what is wrong with one is said of that end.

use std::time::Duration;

use azsim::{
    AccountRule, Application, Authority, Fault, Faults, NameMatch, Operation, PublicAccess, Role, Rule,
    Sender,
};
use azuring_tests::entra::{ACCOUNT, APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::{Azuring, CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring};

use super::{Accounts, FROM, KEYS, TO, contents, seed};

fn key(account: &str) -> &'static str {
    KEYS.into_iter().find(|(name, _)| *name == account).unwrap().1
}

fn of_key(azuring: Azuring, account: &str) -> Azuring {
    azuring.env("AZURE_STORAGE_ACCOUNT", account).env("AZURE_STORAGE_KEY", key(account))
}

fn of_string(azuring: Azuring, account: &str) -> Azuring {
    let text = format!("AccountName={account};AccountKey={}", key(account));
    azuring.env("AZURE_STORAGE_CONNECTION_STRING", text)
}

/// What is set.
type Environment = fn(Azuring) -> Azuring;

#[test]
fn each_end_finds_its_own() {
    // Which ends have a SAS, and what is set besides.
    let cases: [(&str, [bool; 2], Environment); 6] = [
        ("key and SAS", [false, true], |azuring| of_key(azuring, FROM)),
        ("SAS and key", [true, false], |azuring| of_key(azuring, TO)),
        ("key without a name", [false, true], |azuring| azuring.env("AZURE_STORAGE_KEY", key(FROM))),
        ("string and SAS", [false, true], |azuring| of_string(azuring, FROM)),
        ("key and string", [false, false], |azuring| of_string(of_key(azuring, FROM), TO)),
        ("string and key", [false, false], |azuring| of_string(of_key(azuring, TO), FROM)),
    ];
    for (what, [from_signed, to_signed], set) in cases {
        for route in ["--route=direct", "--route=relay"] {
            let accounts = Accounts::of(set(azuring!()));
            accounts.fill();
            let url = |account, signed| match signed {
                true => accounts.url(account, ""),
                false => accounts.bare(account, ""),
            };
            let (from, to) = (url(FROM, from_signed), url(TO, to_signed));
            let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive", route]);
            assert_eq!(outcome.code, Some(0), "{what} {route}: {}", outcome.stderr);
            accounts.assert_same();
            let keys = ["of account from for the source", "of account to for the destination"]
                .map(|told| outcome.stderr.contains(told));
            assert_eq!(keys, [!from_signed, !to_signed], "{what}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_key_file_is_for_the_account_that_is_named() {
    let accounts = Accounts::of(of_string(azuring!().env("AZURE_STORAGE_ACCOUNT", TO), FROM));
    accounts.fill();
    let file = accounts.fixture.file("key", key(TO).as_bytes());
    let flag = format!("--account-key-file={}", file.display());
    let (from, to) = (accounts.bare(FROM, ""), accounts.bare(TO, ""));
    accounts.fixture.run(["copy", &from, &to, "--recursive", &flag]).expect_code(0);
    accounts.assert_same();
}

#[test]
fn a_key_that_may_be_of_either_account_is_refused() {
    let accounts = Accounts::of(azuring!().env("AZURE_STORAGE_KEY", key(FROM)));
    accounts.fill();
    let (from, to) = (accounts.bare(FROM, ""), accounts.bare(TO, ""));
    let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive"]);
    outcome.expect_code(3);
    let told = "source: AZURE_STORAGE_KEY: there are two accounts and no SAS: say with AZURE_STORAGE_ACCOUNT";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert_eq!(accounts.fixture.server().stats().requests, 0);
    // One account, two containers: it is the key of both.
    assert!(accounts.fixture.server().create_container(FROM, "other"));
    let other = from.replacen(CONTAINER, "other", 1);
    accounts.fixture.run(["copy", &from, &other, "--recursive"]).expect_code(0);
    assert_eq!(accounts.fixture.server().blobs(FROM, "other").len(), 5);
}

#[test]
fn a_public_source_needs_none() {
    for route in ["--route=direct", "--route=relay"] {
        let accounts = Accounts::new();
        accounts.fill();
        accounts.fixture.server().set_acl(FROM, CONTAINER, PublicAccess::Container, "").unwrap();
        let (from, to) = (accounts.bare(FROM, ""), accounts.url(TO, ""));
        let outcome = accounts.fixture.run(["copy", &from, &to, "--recursive", route]);
        outcome.expect_code(0);
        accounts.assert_same();
        let told = "no credential (anonymous) for the source and a SAS for the destination";
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
}

#[test]
fn a_destination_that_may_only_be_written_does() {
    for (flag, code) in
        [("--route=auto", 0), ("--route=direct", 0), ("--route=relay", 0), ("--check-length=true", 3)]
    {
        let accounts = Accounts::new();
        accounts.fill();
        let (from, to) = (accounts.url(FROM, ""), accounts.url_for(TO, "", "cw"));
        let outcome = accounts.fixture.run(["copy", &*from, &*to, "--recursive", flag]);
        outcome.expect_code(code);
        match code {
            0 => accounts.assert_same(),
            _ => assert!(
                outcome.stderr.starts_with("azuring: destination: the SAS has sp="),
                "{}",
                outcome.stderr
            ),
        }
    }
}

/// The line of the error.
#[track_caller]
fn told(accounts: &Accounts, from: &str, to: &str, more: &[&str], code: i32) -> String {
    let line = ["copy", from, to, "--recursive", "--retry-failed=0", "--max-tries=1"];
    let outcome = accounts.fixture.run(line.into_iter().chain(more.iter().copied()));
    outcome.expect_code(code).stderr.clone()
}

#[test]
fn what_is_wrong_with_an_end_is_said_of_it_before_anything_is_sent() {
    let accounts = Accounts::new();
    accounts.fill();
    let (from, to) = (accounts.url(FROM, ""), accounts.url(TO, ""));
    let requests = accounts.fixture.server().stats().requests;
    let ended = |url: &str| {
        let (before, rest) = url.split_once("se=").unwrap();
        let (_, after) = rest.split_once('&').unwrap();
        format!("{before}se=2020-01-01T00%3A00%3A00Z&{after}")
    };
    for (from, to, begins, code) in [
        (&*accounts.url_for(FROM, "", "rw"), &*to, "source: ", 3),
        (&accounts.url_for(FROM, "", "lw"), &to, "source: ", 3),
        (&from, &accounts.url_for(TO, "", "rl"), "destination: ", 3),
        (&ended(&from), &to, "source: ", 3),
        (&from, &ended(&to), "destination: ", 3),
        (&format!("{}?comp=list", accounts.bare(FROM, "")), &to, "source: ", 2),
        (&from, &format!("{}?versionid=1", accounts.bare(TO, "x")), "", 2),
    ] {
        let text = told(&accounts, from, to, &[], code);
        assert!(text.starts_with(&format!("azuring: {begins}")), "{from} {to}: {text}");
        assert!(!text.contains("sig="), "{text}");
    }
    assert_eq!(accounts.fixture.server().stats().requests, requests);
}

#[test]
fn what_an_end_refuses_is_said_of_it() {
    let accounts = Accounts::new();
    accounts.fill();
    accounts.plant(TO, [seed("small.txt", b"before")]);
    let (from, to) = (accounts.url(FROM, ""), accounts.url(TO, ""));
    let forged = |url: &str, other: &str| {
        let signature = |url: &str| url.split_once("sig=").unwrap().1.to_owned();
        url.replacen(&signature(url), &signature(other), 1)
    };
    let gone = |url: &str| url.replacen(&format!("/{CONTAINER}"), "/gone", 1);
    for route in ["--route=auto", "--route=relay"] {
        for (from, to, end, code) in [
            (&*forged(&from, &to), &*to, "source: ", 3),
            (&from, &forged(&to, &from), "destination: ", 3),
            (&gone(&from), &to, "source: ", 1),
            (&from, &accounts.alone(TO, "gone"), "destination: ", 1),
        ] {
            let text = told(&accounts, from, to, &[route], code);
            assert!(text.contains(end), "{route} {from} {to}: {text}");
            assert!(!text.contains("sig="), "{text}");
        }
    }
    assert_eq!(accounts.names(TO), ["small.txt"]);
    assert_eq!(accounts.content(TO, "small.txt"), b"before");
}

/// Two accounts that take tokens, over TLS: [`ACCOUNT`] and the emulators'.
#[test]
fn a_login_serves_every_end_that_has_nothing_else_and_is_asked_for_once() {
    let entra = Entra::service_principal(azuring!(), Role::Owner);
    let server = entra.fixture.server();
    server.plant(ACCOUNT, CONTAINER, [seed("a", b"1"), seed("dir/b", b"22")]);
    assert!(server.create_container(ACCOUNT, "other"));
    let (from, to) = (entra.url(""), entra.url("").replacen(CONTAINER, "other", 1));
    for route in ["--route=direct", "--route=relay"] {
        let before = entra.authority.requests().len();
        let outcome =
            entra.fixture.run(["copy", &from, &to, &entra.trusted(), "--recursive", "--no-cache", route]);
        outcome.expect_code(0);
        assert_eq!(outcome.stderr.matches("tokens of Microsoft Entra ID").count(), 2, "{}", outcome.stderr);
        assert_eq!(server.blobs(ACCOUNT, "other").len(), 2);
        assert_eq!(entra.authority.requests().len() - before, 1, "one login for both ends");
    }
    // The other end has a SAS.
    let signed = entra.fixture.url();
    let outcome = entra.fixture.run(["copy", &from, &signed, &entra.trusted(), "--recursive"]);
    outcome.expect_code(0);
    assert_eq!(entra.fixture.names(), ["a", "dir/b"]);
    assert!(outcome.stderr.contains("a SAS for the destination"), "{}", outcome.stderr);
    entra.assert_protocol();
}

/// A tenant that is not the authority's own.
const OTHER_TENANT: &str = "0b1c2d3e-5555-4666-8777-888899990000";
/// The account in that tenant. Nobody publishes its key.
const OTHER_ACCOUNT: &str = "otheraccount";

/// [`ACCOUNT`], with two blobs, and [`OTHER_ACCOUNT`] in another tenant; an application that both know.
fn two_tenants(environment: impl FnOnce(Azuring, &Authority) -> Azuring) -> Entra {
    let entra = Entra::with_accounts(
        azuring!(),
        |authority| authority,
        environment,
        |server| server.account(OTHER_ACCOUNT, key(FROM)).account_tenant(OTHER_ACCOUNT, OTHER_TENANT),
    );
    let application = || Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Owner);
    entra.authority.register(application());
    entra.authority.register(application().tenant(OTHER_TENANT));
    let server = entra.fixture.server();
    server.plant(ACCOUNT, CONTAINER, [seed("a", b"1"), seed("dir/b", b"22")]);
    assert!(server.create_container(OTHER_ACCOUNT, CONTAINER));
    entra
}

#[test]
fn accounts_of_two_tenants_are_asked_with_the_tokens_of_each() {
    let entra = two_tenants(Entra::as_service_principal);
    let (server, home) = (entra.fixture.server(), entra.url(""));
    let other = home.replacen(ACCOUNT, OTHER_ACCOUNT, 1);
    let run = |from: &str, to: &str, more: &[&str]| {
        let line = ["copy", from, to, &entra.trusted(), "--recursive", "--no-cache", "--max-tries=2"];
        entra.fixture.run(line.iter().chain(more))
    };
    assert!(server.create_container(ACCOUNT, "back"));
    let refused = run(&home, &other, &[]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("destination: "), "{}", refused.stderr);
    assert!(server.blobs(OTHER_ACCOUNT, CONTAINER).is_empty());
    for route in ["--route=direct", "--route=relay"] {
        let there = format!("--destination-tenant-id={OTHER_TENANT}");
        run(&home, &other, &[route, &there]).expect_code(0);
        assert_eq!(server.blobs(OTHER_ACCOUNT, CONTAINER).len(), 2);
        let back = format!("--source-tenant-id={OTHER_TENANT}");
        run(&other, &home.replacen(CONTAINER, "back", 1), &[route, &back]).expect_code(0);
        assert_eq!(server.blobs(ACCOUNT, "back").len(), 2);
    }
    // What needs no token takes none.
    let sas = server.account_sas(OTHER_ACCOUNT, "rwlac", Duration::from_secs(60));
    let unused = run(&home, &format!("{other}?{sas}"), &["--destination-tenant-id=x"]);
    unused.expect_code(0);
    assert!(unused.stderr.contains("--destination-tenant-id is not used"), "{}", unused.stderr);
    entra.assert_protocol();
}

/// A source that takes tokens from clients and none from other services.
#[test]
fn a_token_that_the_source_takes_from_this_host_alone_makes_it_a_relay() {
    let entra = two_tenants(Entra::as_service_principal);
    let server = entra.fixture.server();
    let other = entra.url("").replacen(ACCOUNT, OTHER_ACCOUNT, 1);
    let strike = |sender| {
        let fault =
            Fault::Error { status: 401, code: "InvalidAuthenticationInfo".to_owned(), retry_after_s: None };
        let rule = Rule {
            name: NameMatch::Contains(String::new()),
            operation: Some(Operation::GetBlob),
            fault,
            skip: 0,
            count: u64::MAX,
        };
        AccountRule { account: Some(ACCOUNT.to_owned()), sender, rule }
    };
    let account_rules = vec![strike(Sender::Service(None)), strike(Sender::OnBehalf(None, None))];
    server.set_faults(Faults { account_rules, ..Faults::default() });
    let there = format!("--destination-tenant-id={OTHER_TENANT}");
    let run = |route| {
        let line = ["copy", &entra.url(""), &other, &entra.trusted(), "--recursive", "--max-tries=2"];
        entra.fixture.run(line.into_iter().chain([&*there, route, "--output-type=ndjson"]))
    };
    let refused = run("--route=direct");
    assert_ne!(refused.code, Some(0));
    assert!(refused.stdout.contains("401 InvalidAuthenticationInfo"), "{}", refused.stdout);
    assert!(server.blobs(OTHER_ACCOUNT, CONTAINER).is_empty());
    let relayed = run("--route=auto");
    relayed.expect_code(0);
    assert!(relayed.stdout.contains("token_refused"), "{}", relayed.stdout);
    assert_eq!(server.blobs(OTHER_ACCOUNT, CONTAINER).len(), 2);
}

/// Whoever belongs to a machine is known to its tenant alone.
#[test]
fn an_identity_of_a_machine_has_no_second_tenant() {
    let entra = two_tenants(|azuring, _| azuring.env("AZCOPY_AUTO_LOGIN_TYPE", "MSI"));
    let other = entra.url("").replacen(ACCOUNT, OTHER_ACCOUNT, 1);
    let there = format!("--destination-tenant-id={OTHER_TENANT}");
    let sas = entra.fixture.server().account_sas(ACCOUNT, "rl", Duration::from_secs(60));
    let from = format!("{}?{sas}", entra.url(""));
    let line = ["copy", &from, &other, &entra.trusted(), "--recursive", &there];
    let refused = entra.fixture.run(line);
    refused.expect_code(3);
    assert!(refused.stderr.contains("belongs to one tenant"), "{}", refused.stderr);
    assert!(entra.fixture.server().blobs(OTHER_ACCOUNT, CONTAINER).is_empty());
}

#[test]
fn a_host_that_may_have_no_tokens_is_not_given_those_for_the_source() {
    let entra = Entra::service_principal(azuring!(), Role::Reader);
    let server = entra.fixture.server();
    server.plant(ACCOUNT, CONTAINER, [seed("a", b"1")]);
    let other = Fixture::with(azuring!(), |other| other.trust(server.ca_pem().unwrap()));
    let (from, to) = (entra.url(""), other.url());
    for flag in ["--no-relay", "--route=direct"] {
        let refused = entra.fixture.run(["copy", &from, &to, &entra.trusted(), "--recursive", flag]);
        let told = refused.expect_code(3).stderr.contains("is not given tokens for the source");
        assert!(told && refused.stderr.starts_with("azuring: source: "), "{}", refused.stderr);
    }
    assert_eq!(other.server().stats().requests, 0);
    for (flag, told) in [("--route=auto", true), ("--route=relay", false)] {
        let outcome = entra.fixture.run(["copy", &from, &to, &entra.trusted(), "--recursive", flag]);
        outcome.expect_code(0);
        let is_told = outcome.stderr.contains("all goes through this host, because");
        assert_eq!(is_told, told, "{}", outcome.stderr);
        assert_eq!(other.content("a"), b"1");
    }
    let by_service = || other.server().stats().by_operation.contains_key(&Operation::PutBlobFromUrl);
    assert!(!by_service());
    // Of a public source nothing has to be lent.
    server.set_acl(ACCOUNT, CONTAINER, PublicAccess::Container, "").unwrap();
    entra.fixture.run(["copy", &from, &to, &entra.trusted(), "--recursive", "--no-relay"]).expect_code(0);
    assert!(by_service());
}

/// Both ends fail in every way, and nothing that is written anywhere has a secret of either.
#[test]
fn no_secret_of_either_end_is_written_anywhere() {
    let accounts =
        Accounts::of(azuring!().env("AZURE_STORAGE_KEY", key(TO)).env("AZURE_STORAGE_ACCOUNT", TO));
    accounts.fill();
    let (from, to, by_key) = (accounts.url(FROM, ""), accounts.url(TO, ""), accounts.bare(TO, ""));
    let private = accounts.private("");
    let signature = |url: &str| url.split_once("sig=").unwrap().1.split('&').next().unwrap().to_owned();
    let mut secrets: Vec<String> = [&from, &to].map(|url| signature(url)).to_vec();
    let decoded = |text: &String| text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    secrets.extend(secrets.clone().iter().map(decoded));
    secrets.push(key(TO).to_owned());
    let shown = |text: &[u8]| {
        secrets.iter().find(|secret| {
            let half = &secret.as_bytes()[..secret.len() / 2];
            text.windows(half.len()).any(|part| part == half)
        })
    };
    let unreachable = from.replacen(&accounts.fixture.server().addr().to_string(), "127.0.0.1:1", 1);
    for form in ["text", "json", "ndjson"] {
        for route in ["--route=auto", "--route=direct", "--route=relay"] {
            for (from, to) in [
                (&from, &to),
                (&from, &by_key),
                (&unreachable, &to),
                (&from, &from),
                (&private, &to),
                (&format!("{from}x"), &to),
                (&from, &format!("{to}x")),
            ] {
                let line = ["copy", from, to, "--recursive", "--log-level=debug", "--max-tries=2", route];
                let outcome = accounts.fixture.run(line.into_iter().chain(["--output-type", form]));
                for stream in [&outcome.stdout, &outcome.stderr] {
                    assert_eq!(shown(stream.as_bytes()), None, "{stream}");
                }
            }
        }
    }
    let mut pending = vec![accounts.fixture.azuring().home().to_owned()];
    let mut files = 0;
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
                continue;
            }
            let content = std::fs::read(entry.path()).unwrap();
            assert_eq!(shown(&content), None, "{}", entry.path().display());
            files += 1;
        }
    }
    assert!(files > 20, "{files} journals and logs");
    assert_eq!(contents(&accounts, FROM), contents(&accounts, TO));
    let jobs = accounts.fixture.run(["jobs", "list", "--output-type=ndjson"]);
    assert!(jobs.stdout.contains(&accounts.bare(FROM, "")) && shown(jobs.stdout.as_bytes()).is_none());
}

#[test]
fn applications_differ_in_what_they_may_do_at_each_end() {
    let entra = Entra::with(azuring!(), |authority| authority, Entra::as_service_principal);
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Reader));
    entra.fixture.server().plant(ACCOUNT, CONTAINER, [seed("a", b"1")]);
    assert!(entra.fixture.server().create_container(ACCOUNT, "other"));
    let (from, to) = (entra.url(""), entra.url("").replacen(CONTAINER, "other", 1));
    let line = ["copy", &from, &to, &entra.trusted(), "--recursive", "--retry-failed=0"];
    let outcome = entra.fixture.run(line);
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("destination: "), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("AuthorizationPermissionMismatch"), "{}", outcome.stderr);
    let sas = entra.fixture.server().account_sas(DEVSTORE_ACCOUNT, "rwlac", Duration::from_secs(60));
    assert!(!outcome.stderr.contains("sig=") && !sas.is_empty());
}
