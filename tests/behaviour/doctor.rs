//! `azuring doctor`: what it finds at one place and between two accounts, and that it leaves everything as it was.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use azsim::{Network, Operation, PublicAccess, Role, Seed, ServerBuilder, Tls};
use azuring_tests::entra::{ACCOUNT, APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::hostile::{Answer, Hostile, Rule};
use azuring_tests::{
    Azuring, CONTAINER, ClosedPort, ConnectProxy, DEVSTORE_ACCOUNT, DEVSTORE_KEY, Fixture, Outcome, azuring,
};
use serde_json::Value;

#[path = "../../tools/azuring/src/view/ndjson/schema.rs"]
mod schema;

const FROM: &str = "from";
const TO: &str = "to";
const KEYS: [(&str, &str); 2] = [
    (FROM, "RnJvbUZyb21Gcm9tRnJvbUZyb21Gcm9tRnJvbUZyb20="),
    (TO, "VG9Ub1RvVG9Ub1RvVG9Ub1RvVG9Ub1RvVG9Ub1RvVG8="),
];

/// The address of the source's private endpoint.
const PRIVATE: [u8; 4] = [127, 0, 0, 9];

/// A signature that nobody has made.
const FORGED: &str = "sig=QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE%3D";

struct Accounts {
    fixture: Fixture,
}

impl Accounts {
    /// Two accounts: the source has a blob of three bytes and a larger one, the destination one of its own.
    fn new(tls: Tls) -> Self {
        Self::with(tls, |server| server)
    }

    fn with(tls: Tls, more: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let fixture = Fixture::with(azuring!(), |server| {
            let server =
                more(server).account(DEVSTORE_ACCOUNT, DEVSTORE_KEY).also_listen(PRIVATE.into()).tls(tls);
            KEYS.into_iter().fold(server, |server, (account, key)| server.account(account, key))
        });
        for (account, _) in KEYS {
            assert!(fixture.server().create_container(account, CONTAINER));
        }
        let seed = |name: &str, content: &[u8]| Seed {
            name: name.to_owned(),
            content: vec![content.to_vec().into()],
            ..Seed::default()
        };
        let server = fixture.server();
        server.plant(FROM, CONTAINER, [seed("dir/large", &[7; 5000]), seed("dir/small", b"abc")]);
        server.plant(TO, CONTAINER, [seed("mine", b"as it was")]);
        Self { fixture }
    }

    fn url_for(&self, account: &str, path: &str, permissions: &str) -> String {
        let server = self.fixture.server();
        let sas = server.account_sas(account, permissions, Duration::from_secs(3600));
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{}/{CONTAINER}{slash}{path}?{sas}", server.url(account))
    }

    fn from(&self) -> String {
        self.url_for(FROM, "", "rl")
    }

    fn to(&self) -> String {
        self.url_for(TO, "", "rwdl")
    }

    /// The source's, where its private endpoint is.
    fn private(&self) -> String {
        let addr = self.fixture.server().addr();
        let [a, b, c, d] = PRIVATE;
        self.from().replacen(&addr.to_string(), &format!("{a}.{b}.{c}.{d}:{}", addr.port()), 1)
    }

    #[track_caller]
    fn doctor(&self, args: &[&str]) -> Outcome {
        let outcome = self.fixture.run(["doctor"].iter().chain(args));
        no_secret(&outcome, args);
        outcome
    }

    /// The same, as the objects of its lines.
    #[track_caller]
    fn findings(&self, args: &[&str], code: i32) -> Vec<Value> {
        let args: Vec<_> = args.iter().copied().chain(["--output-type=ndjson"]).collect();
        findings(&self.doctor(&args), code)
    }

    /// All blobs, with their times and ETags.
    fn state(&self) -> String {
        KEYS.map(|(account, _)| format!("{:?}", self.fixture.server().blobs(account, CONTAINER))).join("\n")
    }

    fn count(&self, operation: Operation) -> u64 {
        self.fixture.server().stats().by_operation.get(&operation).copied().unwrap_or(0)
    }

    fn writes(&self) -> u64 {
        let stats = self.fixture.server().stats();
        stats.by_operation.iter().filter(|(operation, _)| operation.is_write()).map(|(_, count)| count).sum()
    }
}

/// No signature of the arguments is on any stream.
#[track_caller]
fn no_secret(outcome: &Outcome, args: &[&str]) {
    for arg in args {
        let Some((_, signature)) = arg.split_once("sig=") else { continue };
        let plain = signature.split('&').next().unwrap();
        for stream in [&outcome.stdout, &outcome.stderr] {
            assert!(!stream.contains(plain), "{stream}");
        }
    }
    for (_, key) in KEYS {
        assert!(!outcome.stdout.contains(key) && !outcome.stderr.contains(key));
    }
}

#[track_caller]
fn findings(outcome: &Outcome, code: i32) -> Vec<Value> {
    assert_eq!(outcome.code, Some(code), "{}\n{}", outcome.stdout, outcome.stderr);
    let lines = outcome.stdout.lines().map(|line| {
        let kind = schema::type_of(line).unwrap();
        (kind, serde_json::from_str::<Value>(line).unwrap())
    });
    lines.filter(|(kind, _)| kind == "finding").map(|(_, value)| value).collect()
}

/// What was found of a check.
#[track_caller]
fn of<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no {check}: {findings:#?}"))
}

/// The same of an end.
#[track_caller]
fn of_end<'a>(findings: &'a [Value], end: &str, check: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check && finding["end"] == end);
    found.unwrap_or_else(|| panic!("no {check} of {end}: {findings:#?}"))
}

#[test]
fn a_place_that_is_well_is_told_in_every_form() {
    let accounts = Accounts::new(Tls::SelfSigned);
    let url = accounts.from();
    let found = accounts.findings(&[&url], 0);
    let checks: Vec<_> = found.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let all =
        ["name", "proxy", "connection", "tls", "credential", "clock", "version", "account", "list", "read"];
    assert_eq!(checks, all);
    assert!(found.iter().all(|finding| finding["result"] == "ok"), "{found:#?}");
    assert_eq!(of(&found, "name")["network"], "private");
    assert_eq!(of(&found, "tls")["tls"], "TLS 1.3");
    assert_eq!(of(&found, "version")["version"], "2025-11-05");
    let account = of(&found, "account");
    assert_eq!((&account["kind"], &account["sku"]), (&"StorageV2".into(), &"Standard_LRS".into()));
    assert_eq!(account["hierarchical"], false);
    let sas = of(&found, "credential");
    assert_eq!((&sas["permissions"], &sas["allows"]), (&"rl".into(), &"listing, reading".into()));
    assert_eq!(sas["missing"], "writing, deleting, tags");
    assert!(sas["expires"].as_str().unwrap().ends_with('Z'));
    // The smallest blob that is there.
    assert_eq!(of(&found, "read")["object"], "dir/small");

    let text = accounts.doctor(&[&url]);
    text.expect_code(0);
    assert_eq!(text.stdout.lines().count(), all.len(), "{}", text.stdout);
    for (line, check) in text.stdout.lines().zip(all) {
        assert!(line.starts_with(&format!("ok       {check}: ")), "{line}");
    }
    let json = accounts.doctor(&[&url, "--output-type=json"]);
    json.expect_code(0);
    let messages: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages.len(), all.len() + 1);
    assert_eq!(messages.last().unwrap()["MessageType"], "EndOfJob");
    let content = messages[0]["MessageContent"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(content).unwrap()["check"], "name");
    assert_eq!(accounts.writes(), 0);
}

#[test]
fn a_service_that_does_not_tell_what_a_source_answers_is_told() {
    let accounts = Accounts::with(Tls::Off, |server| server.newest_version("2025-07-05"));
    let found = accounts.findings(&[&accounts.from()], 0);
    let version = of(&found, "version");
    assert_eq!((&version["version"], &version["result"]), (&"2025-07-05".into(), &"note".into()));
    assert_eq!(version["tells_of_sources"], false);
    assert_eq!(of(&found, "account")["result"], "ok");
}

#[test]
fn what_is_wrong_with_the_way_is_told() {
    let closed = ClosedPort::new();
    let run = |args: &[&str]| {
        let args: Vec<_> = ["doctor"].iter().chain(args).copied().chain(["--output-type=ndjson"]).collect();
        let outcome = azuring!().run(&args);
        no_secret(&outcome, &args);
        findings(&outcome, 5)
    };
    let sas = format!("sv=2025-07-05&sr=c&sp=rl&se=2099-01-01T00%3A00%3A00Z&{FORGED}");
    let found = run(&[&format!("http://{}/from/data?{sas}", closed.address())]);
    assert_eq!(of(&found, "name")["result"], "ok");
    assert_eq!(of(&found, "connection")["result"], "wrong");
    assert!(!found.iter().any(|finding| finding["check"] == "list"), "{found:#?}");

    // Without a SAS nobody is asked who this is either.
    for query in [String::new(), format!("?{sas}")] {
        let found = run(&[&format!("https://no-such-account.invalid/data{query}")]);
        let name = of(&found, "name");
        assert_eq!(name["result"], "wrong");
        assert!(name["text"].as_str().unwrap().contains("no-such-account.invalid"), "{name}");
    }

    let accounts = Accounts::new(Tls::SelfSigned);
    let found = run(&[&accounts.from()]);
    assert_eq!(of(&found, "connection")["result"], "ok");
    let tls = of(&found, "tls");
    assert_eq!(tls["result"], "wrong");
    assert!(tls["text"].as_str().unwrap().contains("does not verify"), "{tls}");
    assert!(tls["advice"].as_str().unwrap().contains("--ca-file"), "{tls}");
    assert!(!found.iter().any(|finding| finding["check"] == "account"), "{found:#?}");
    assert_eq!(accounts.fixture.server().stats().requests, 0);
}

#[test]
fn what_is_wrong_with_the_credential_is_told() {
    let accounts = Accounts::new(Tls::Off);
    // Letters that are missing: what is needed is named, and the service says the same.
    let found = accounts.findings(&[&accounts.url_for(FROM, "", "w")], 3);
    let credential = of(&found, "credential");
    assert_eq!((&credential["result"], &credential["allows"]), (&"wrong".into(), &"writing".into()));
    assert!(credential["text"].as_str().unwrap().contains("listing needs `l`, reading needs `r`"));
    let list = of(&found, "list");
    assert_eq!((&list["status"], &list["code"]), (&403.into(), &"AuthorizationPermissionMismatch".into()));

    // One that has expired is not sent; the clock is told all the same.
    let expired = format!("sv=2025-07-05&sr=c&sp=rl&se=2020-01-01T00%3A00%3A00Z&{FORGED}");
    let url = format!("{}/{CONTAINER}?{expired}", accounts.fixture.server().url(FROM));
    let hostile = Hostile::before(accounts.fixture.server().addr(), vec![]);
    let found = accounts.findings(&[&hostile.via(&url)], 3);
    let sent = hostile.requests();
    assert!(!sent.is_empty() && sent.iter().all(|request| !request.query().contains("sig=")), "{sent:?}");
    assert!(of(&found, "credential")["text"].as_str().unwrap().contains("the SAS has expired"));
    assert_eq!(of(&found, "clock")["result"], "ok");
    assert!(!found.iter().any(|finding| finding["check"] == "list"), "{found:#?}");

    // A signature that is wrong.
    let forged = format!("sv=2025-07-05&sr=c&sp=rl&se=2099-01-01T00%3A00%3A00Z&{FORGED}");
    let url = format!("{}/{CONTAINER}?{forged}", accounts.fixture.server().url(FROM));
    assert_eq!(of(&accounts.findings(&[&url], 3), "list")["code"], "AuthenticationFailed");

    // A container that is not there.
    let found = accounts.findings(&[&accounts.from().replace("/data?", "/other?")], 4);
    assert_eq!(of(&found, "list")["code"], "ContainerNotFound");

    // A network that does not admit this machine.
    accounts.fixture.server().set_network(FROM, Network::closed());
    let found = accounts.findings(&[&accounts.from()], 3);
    assert_eq!(of(&found, "list")["code"], "AuthorizationFailure");
    assert!(of(&found, "list")["advice"].as_str().unwrap().contains("firewall"));
    assert_eq!(accounts.writes(), 0);
}

#[test]
fn the_key_of_an_account_is_told_and_not_shown() {
    let accounts = Accounts::new(Tls::Off);
    let azuring = |key: &str| azuring!().env("AZURE_STORAGE_KEY", key).env("AZURE_STORAGE_ACCOUNT", FROM);
    let url = format!("{}/{CONTAINER}/dir", accounts.fixture.server().url(FROM));
    let ask = |azuring: Azuring, code| {
        let outcome = azuring.run(["doctor", &url, "--output-type=ndjson"]);
        no_secret(&outcome, &[]);
        findings(&outcome, code)
    };
    let found = ask(azuring(KEYS[0].1), 0);
    assert_eq!(of(&found, "credential")["credential"], "key");
    assert_eq!(of(&found, "credential")["text"], "the key of account from");
    assert_eq!(of(&found, "read")["object"], "dir/small");
    assert_eq!(of(&ask(azuring(KEYS[1].1), 3), "read")["code"], "AuthenticationFailed");
}

#[test]
fn a_clock_that_is_wrong_is_found() {
    let accounts = Accounts::new(Tls::Off);
    let late = Answer::passed().set("date", "Mon, 01 Jan 2035 00:00:00 GMT");
    let rules = vec![Rule::on("GET", "").query("restype=account").answer(late)];
    let hostile = Hostile::before(accounts.fixture.server().addr(), rules);
    let found = accounts.findings(&[&hostile.via(&accounts.from())], 3);
    let clock = of(&found, "clock");
    assert_eq!(clock["result"], "wrong");
    assert!(clock["skew_s"].as_i64().unwrap() > 900, "{clock}");
    assert!(clock["advice"].as_str().unwrap().contains("set this machine's clock"));
    assert_eq!(of(&found, "read")["result"], "ok");
}

#[test]
fn a_proxy_is_told_without_its_password() {
    let accounts = Accounts::new(Tls::SelfSigned);
    let fixture = &accounts.fixture;
    let proxy = ConnectProxy::with_login(fixture.server().addr(), "me", "CanaryPassword");
    // Under its real name the account is found by the proxy alone.
    let (_, sas) =
        accounts.from().split_once('?').map(|(url, sas)| (url.to_owned(), sas.to_owned())).unwrap();
    let url = format!("https://{FROM}.blob.core.windows.net/{CONTAINER}?{sas}");
    let ask = |variable: String, code| {
        let azuring = azuring!().trust(&fixture.ca_file()).env("HTTPS_PROXY", variable);
        let outcome = azuring.run(["doctor", &url, "--output-type=ndjson"]);
        no_secret(&outcome, &[&url]);
        assert!(!outcome.stdout.contains("Canary") && !outcome.stderr.contains("Canary"));
        findings(&outcome, code)
    };
    let found = ask(proxy.url(), 0);
    assert!(of(&found, "proxy")["text"].as_str().unwrap().ends_with("(from HTTPS_PROXY)"));
    assert_ne!(of(&found, "name")["result"], "wrong", "the proxy looks it up itself");
    assert_eq!(of(&found, "read")["result"], "ok");
    let found = ask(proxy.url().replace("CanaryPassword", "CanaryPassw0rd"), 5);
    assert_eq!(of(&found, "connection")["result"], "wrong");
}

#[test]
fn one_blob_is_read_without_a_listing() {
    let accounts = Accounts::new(Tls::Off);
    let found = accounts.findings(&[&accounts.url_for(FROM, "dir/large", "r")], 0);
    assert_eq!(of(&found, "read")["object"], "dir/large");
    assert_eq!(accounts.count(Operation::ListBlobs), 0);
    // A SAS for one blob asks of that blob what the account is.
    let accounts = Accounts::new(Tls::SelfSigned);
    let bare = format!("{}/{CONTAINER}/dir/large", accounts.fixture.server().url(FROM));
    let signer = azuring!().env("AZURE_STORAGE_KEY", KEYS[0].1).env("AZURE_STORAGE_ACCOUNT", FROM);
    let made = signer.run(["sas", &bare, "--permissions=r", "--expiry=1h"]);
    let found = accounts.findings(&[made.expect_code(0).stdout.trim()], 0);
    let text = of(&found, "credential")["text"].as_str().unwrap();
    assert!(text.starts_with("a service SAS for one blob (sr=b); sp=r; it ends "), "{text}");
    assert_eq!(
        (&of(&found, "account")["result"], &of(&found, "read")["result"]),
        (&"ok".into(), &"ok".into())
    );
    // It is no place for a test of its own.
    let made = signer.run(["sas", &bare, "--permissions=rwd", "--expiry=1h"]);
    let to = made.expect_code(0).stdout.trim().to_owned();
    let found = accounts.findings(&[&accounts.from(), &to, "--write-test"], 0);
    let test = of_end(&found, "copy", "write test")["text"].as_str().unwrap();
    assert!(test.contains("for one blob or directory"), "{test}");
    assert_eq!(accounts.writes(), 0);
}

#[test]
fn nothing_is_written_unless_it_is_asked_for() {
    let accounts = Accounts::new(Tls::Off);
    let before = accounts.state();
    let found = accounts.findings(&[&accounts.from(), &accounts.to()], 0);
    let direct = of_end(&found, "copy", "direct");
    assert_eq!(direct["result"], "unknown");
    assert!(direct["text"].as_str().unwrap().contains("--write-test"), "{direct}");
    assert_eq!(of_end(&found, "copy", "relay")["result"], "ok");
    for end in ["source", "destination"] {
        assert_eq!(of_end(&found, end, "credential")["result"], "ok");
    }
    assert_eq!(accounts.writes(), 0);
    assert_eq!(accounts.state(), before);
    let one = accounts.doctor(&[&accounts.from(), "--write-test"]);
    one.expect_code(2);
}

#[test]
fn a_destination_is_judged_as_one() {
    let accounts = Accounts::new(Tls::Off);
    // It need not be read or listed.
    let found = accounts.findings(&[&accounts.from(), &accounts.url_for(TO, "", "c")], 0);
    assert_eq!(of_end(&found, "destination", "list")["result"], "note");
    let found = accounts.findings(&[&accounts.from(), &accounts.url_for(TO, "", "rl")], 3);
    let credential = of_end(&found, "destination", "credential");
    assert!(credential["text"].as_str().unwrap().contains("writing needs `c` or `w`"), "{credential}");
    assert_eq!(of_end(&found, "copy", "direct")["result"], "wrong");
    // Each end is told of, also where the first is wrong.
    let found = accounts.findings(&[&accounts.url_for(FROM, "", "w"), &accounts.to()], 3);
    assert_eq!(of_end(&found, "source", "list")["result"], "wrong");
    assert_eq!(of_end(&found, "destination", "list")["result"], "ok");
    assert_eq!(of_end(&found, "copy", "direct")["result"], "unknown");
}

#[test]
fn what_the_write_test_makes_is_removed_and_nothing_else() {
    let accounts = Accounts::new(Tls::Off);
    let before = accounts.state();
    let found = accounts.findings(&[&accounts.from(), &accounts.to(), "--write-test"], 0);
    let direct = of_end(&found, "copy", "direct");
    assert_eq!(direct["result"], "ok", "{direct}");
    assert!(direct["object"].as_str().unwrap().starts_with("azuring-doctor-"));
    assert_eq!((accounts.count(Operation::PutBlobFromUrl), accounts.count(Operation::DeleteBlob)), (1, 1));
    assert_eq!(accounts.writes(), 2);
    assert_eq!(accounts.state(), before);
}

#[test]
fn a_write_test_whose_answer_was_lost_is_removed_too() {
    let accounts = Accounts::new(Tls::Off);
    let before = accounts.state();
    let lost = Rule::on("PUT", "azuring-doctor").answer(Answer::status(503).after_it_was_done());
    let hostile = Hostile::before(accounts.fixture.server().addr(), vec![lost]);
    let found = accounts.findings(&[&accounts.from(), &hostile.via(&accounts.to()), "--write-test"], 5);
    assert_eq!(of_end(&found, "copy", "direct")["result"], "wrong");
    assert_eq!((accounts.count(Operation::PutBlobFromUrl), accounts.count(Operation::DeleteBlob)), (1, 1));
    assert_eq!(accounts.state(), before);
    // What cannot be removed is named.
    let kept = Rule::on("DELETE", "azuring-doctor").answer(Answer::error(409, "LeaseIdMissing"));
    let hostile = Hostile::before(accounts.fixture.server().addr(), vec![kept]);
    let found = accounts.findings(&[&accounts.from(), &hostile.via(&accounts.to()), "--write-test"], 1);
    let left = of_end(&found, "copy", "write test");
    let names: Vec<_> =
        accounts.fixture.server().blobs(TO, CONTAINER).into_iter().map(|blob| blob.name).collect();
    assert_eq!(names.len(), 2);
    assert!(left["text"].as_str().unwrap().starts_with(&names[0]), "{left} {names:?}");
}

#[test]
fn a_write_test_that_could_not_be_removed_is_not_made() {
    let accounts = Accounts::new(Tls::Off);
    let to = accounts.url_for(TO, "", "rwl");
    let found = accounts.findings(&[&accounts.from(), &to, "--write-test"], 0);
    let test = of_end(&found, "copy", "write test");
    assert_eq!(test["result"], "unknown");
    assert!(test["text"].as_str().unwrap().contains("no `d` in sp"), "{test}");
    assert_eq!(of_end(&found, "copy", "direct")["result"], "unknown");
    assert_eq!(accounts.writes(), 0);
}

#[test]
fn a_source_that_is_closed_to_the_destination_is_told_with_what_opens_it() {
    let accounts = Accounts::new(Tls::Off);
    let before = accounts.state();
    let endpoint = Network::closed().private_endpoint(PRIVATE.into(), "spoke");
    accounts.fixture.server().set_network(FROM, endpoint.clone());
    let args = [&accounts.private(), &accounts.to(), "--write-test"];
    let found = accounts.findings(&args, 1);
    assert_eq!(of_end(&found, "source", "read")["result"], "ok");
    let direct = of_end(&found, "copy", "direct");
    let told = (&direct["source_status"], &direct["source_code"], &direct["code"]);
    assert_eq!(told, (&403.into(), &"AuthorizationFailure".into(), &"CannotVerifyCopySource".into()));
    let ways: Vec<_> = found.iter().filter(|finding| finding["check"] == "direct").skip(1).collect();
    let named = |n: usize, word: &str| ways[n]["text"].as_str().unwrap().starts_with(word);
    assert_eq!(ways.len(), 6, "{ways:#?}");
    assert!(named(0, "scenario 1") && named(1, "scenario 2") && named(2, "mitigation 1"), "{ways:#?}");
    let advice = |n: usize| ways[n]["advice"].as_str().unwrap();
    assert!(advice(0).contains("az storage account network-rule add --account-name from --ip-address"));
    assert!(advice(0).contains("--account-name to "));
    assert!(advice(1).contains("az network private-endpoint create --name from-blob"));
    assert!(advice(1).contains("--private-dns-zone privatelink.blob.core.windows.net"));
    assert!(advice(2).contains("--group-id blob") && advice(2).contains("--name to "));
    assert!(advice(3).contains("az network vnet peering create"));
    assert!(advice(4).contains("az storage account create --name STAGING"));
    assert!(advice(5).contains("--route=relay"));
    assert_eq!(of_end(&found, "copy", "relay")["result"], "ok");
    assert_eq!(accounts.state(), before);
    // The first scenario: this machine is on the list of the source, for whom the destination asks again.
    accounts.fixture.server().set_network(FROM, endpoint.allow([127, 0, 0, 1].into()));
    let found = accounts.findings(&args, 0);
    assert_eq!(of_end(&found, "copy", "direct")["result"], "ok");
    assert_eq!(accounts.state(), before);
}

#[test]
fn tokens_are_told_by_whose_they_are_and_lent_to_nobody_who_may_have_none() {
    let entra = Entra::service_principal(azuring!(), Role::Reader);
    let server = entra.fixture.server();
    let blob = Seed { name: "a".to_owned(), content: vec![b"1".to_vec().into()], ..Seed::default() };
    server.plant(ACCOUNT, CONTAINER, [blob]);
    let run = |args: &[&str], code| {
        let trusted = entra.trusted();
        let args: Vec<_> =
            ["doctor"].iter().chain(args).copied().chain([&*trusted, "--output-type=ndjson"]).collect();
        let outcome = entra.fixture.run(&args);
        no_secret(&outcome, &args);
        assert!(!outcome.stdout.contains(CLIENT_SECRET) && !outcome.stderr.contains(CLIENT_SECRET));
        findings(&outcome, code)
    };
    let from = entra.url("");
    let found = run(&[&from], 0);
    let credential = of(&found, "credential");
    assert_eq!(credential["credential"], "token");
    assert!(credential["identity"].as_str().unwrap().contains(APPLICATION), "{credential}");
    assert_eq!(of(&found, "read")["object"], "a");

    // What a role allows is known by writing alone.
    assert!(server.create_container(ACCOUNT, "other"));
    let other = from.replacen(CONTAINER, "other", 1);
    assert_eq!(of_end(&run(&[&from, &other], 0), "copy", "direct")["result"], "unknown");
    let found = run(&[&from, &other, "--write-test"], 3);
    let direct = of_end(&found, "copy", "direct");
    assert_eq!(
        (&direct["result"], &direct["code"]),
        (&"wrong".into(), &"AuthorizationPermissionMismatch".into())
    );
    assert!(direct["text"].as_str().unwrap().starts_with("no: the destination refused: "), "{direct}");
    assert!(server.blobs(ACCOUNT, "other").is_empty());

    // A host that is trusted with no tokens.
    let third = Fixture::with(azuring!(), |third| third.trust(server.ca_pem().unwrap()));
    let found = run(&[&from, &third.url(), "--write-test"], 1);
    let direct = of_end(&found, "copy", "direct")["text"].as_str().unwrap();
    assert!(direct.contains("which the destination's host must not see"), "{direct}");
    assert_eq!(of_end(&found, "copy", "relay")["result"], "ok");
    let stats = third.server().stats();
    assert!(!stats.by_operation.keys().any(|operation| operation.is_write()), "{stats:?}");
}

#[test]
fn a_public_source_is_read_without_a_credential() {
    let accounts = Accounts::new(Tls::Off);
    accounts.fixture.server().set_acl(FROM, CONTAINER, PublicAccess::Container, "").unwrap();
    let bare = |account| format!("{}/{CONTAINER}", accounts.fixture.server().url(account));
    let found = accounts.findings(&[&bare(FROM), &accounts.to(), "--write-test"], 0);
    assert_eq!(of_end(&found, "source", "credential")["credential"], "none");
    assert_eq!(of_end(&found, "source", "read")["result"], "ok");
    assert_eq!(of_end(&found, "copy", "direct")["result"], "ok");
    // Nobody writes without one.
    let found = accounts.findings(&[&accounts.from(), &bare(TO)], 3);
    assert_eq!(of_end(&found, "destination", "credential")["result"], "wrong");
}
