//! `azuring copy URL URL`: from one account to another, each with a credential of its own, by the service or through
//! this host.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;
use std::time::Duration;

use azsim::{BlobInfo, Network, Operation, Seed, ServerBuilder};
use azuring_tests::{AzCopy, Azuring, CONTAINER, DEVSTORE_ACCOUNT, DEVSTORE_KEY, Fixture, Outcome, azuring};

#[path = "../../tools/azuring/src/view/ndjson/schema.rs"]
mod schema;

#[path = "copies/properties.rs"]
mod along;
#[path = "copies/credentials.rs"]
mod credentials;
#[path = "copies/encryption.rs"]
mod encryption;
#[path = "copies/failures.rs"]
mod failures;
#[path = "copies/jobs.rs"]
mod jobs;
#[path = "copies/peers.rs"]
mod peers;
#[path = "copies/routes.rs"]
mod routes;
#[path = "copies/staging.rs"]
mod staging;
#[path = "copies/states.rs"]
mod states;
#[path = "copies/whole.rs"]
mod whole;
#[path = "copies/within.rs"]
mod within;

/// The accounts, and their keys.
const FROM: &str = "from";
const TO: &str = "to";
const KEYS: [(&str, &str); 2] = [
    (FROM, "RnJvbUZyb21Gcm9tRnJvbUZyb21Gcm9tRnJvbUZyb20="),
    (TO, "VG9Ub1RvVG9Ub1RvVG9Ub1RvVG9Ub1RvVG9Ub1RvVG8="),
];

/// Every way a copy can be asked for.
const ROUTES: [&str; 3] = ["--route=auto", "--route=direct", "--route=relay"];

/// Blocks of 64 KiB: a blob of several needs no megabytes.
const BLOCKS: [&str; 2] = ["--block-size-mb=0.0625", "--put-blob-size-mb=0.0625"];
const BLOCK: usize = 64 << 10;

/// The address of the source's private endpoint, and of everything else.
const PRIVATE: [u8; 4] = [127, 0, 0, 9];

/// A server with two accounts, one container in each.
struct Accounts {
    fixture: Fixture,
}

impl Accounts {
    fn new() -> Self {
        Self::of(azuring!())
    }

    fn of(azuring: Azuring) -> Self {
        Self::with(azuring, |server| server)
    }

    fn with(azuring: Azuring, set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let fixture = Fixture::with(azuring, |server| {
            let server = set(server);
            let server = server.account(DEVSTORE_ACCOUNT, DEVSTORE_KEY).also_listen(PRIVATE.into());
            KEYS.into_iter().fold(server, |server, (account, key)| server.account(account, key))
        });
        for (account, _) in KEYS {
            assert!(fixture.server().create_container(account, CONTAINER));
        }
        Self { fixture }
    }

    /// The same, with a source that nobody but a client in its own network may read: not the destination, not on that
    /// client's behalf.
    fn apart(azuring: Azuring) -> Self {
        let accounts = Self::of(azuring);
        let network = Network::closed().private_endpoint(PRIVATE.into(), "spoke");
        accounts.fixture.server().set_network(FROM, network);
        accounts
    }

    /// A URL without a credential; `path` is percent-encoded.
    fn bare(&self, account: &str, path: &str) -> String {
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{}/{CONTAINER}{slash}{path}", self.fixture.server().url(account))
    }

    /// The same with a SAS that allows everything.
    fn url(&self, account: &str, path: &str) -> String {
        self.url_for(account, path, "rwdlact")
    }

    fn url_for(&self, account: &str, path: &str, permissions: &str) -> String {
        let sas = self.fixture.server().account_sas(account, permissions, Duration::from_secs(3600));
        format!("{}?{sas}", self.bare(account, path))
    }

    /// A container with a SAS that is for it alone: it makes no containers.
    fn alone(&self, account: &str, container: &str) -> String {
        let (_, key) = KEYS.into_iter().find(|(name, _)| *name == account).unwrap();
        let keyed = azuring!().env("AZURE_STORAGE_KEY", key).env("AZURE_STORAGE_ACCOUNT", account);
        let url = format!("{}/{container}", self.fixture.server().url(account));
        let line = ["sas", &*url, "--permissions=rwlc", "--expiry=1h", "--protocol=https,http"];
        let made = keyed.run(line);
        made.expect_code(0);
        made.stdout.trim().to_owned()
    }

    /// The source's, where its private endpoint is.
    fn private(&self, path: &str) -> String {
        let port = self.fixture.server().addr().port();
        let [a, b, c, d] = PRIVATE;
        let public = self.fixture.server().addr().to_string();
        self.url(FROM, path).replacen(&public, &format!("{a}.{b}.{c}.{d}:{port}"), 1)
    }

    fn plant(&self, account: &str, seeds: impl IntoIterator<Item = Seed>) {
        self.fixture.server().plant(account, CONTAINER, seeds);
    }

    fn blobs(&self, account: &str) -> Vec<BlobInfo> {
        self.fixture.server().blobs(account, CONTAINER)
    }

    fn names(&self, account: &str) -> Vec<String> {
        self.blobs(account).into_iter().map(|blob| blob.name).collect()
    }

    fn content(&self, account: &str, name: &str) -> Vec<u8> {
        self.fixture.server().content(account, CONTAINER, name).unwrap().to_vec()
    }

    /// Requests of an operation: those of clients and of services.
    fn count(&self, operation: Operation) -> u64 {
        self.fixture.server().stats().by_operation.get(&operation).copied().unwrap_or(0)
    }

    /// Copies the whole of the source's container.
    #[track_caller]
    fn copy(&self, more: &[&str]) -> Outcome {
        let (from, to) = (self.url(FROM, ""), self.url(TO, ""));
        self.fixture.run(["copy", &from, &to, "--recursive"].into_iter().chain(more.iter().copied()))
    }

    /// Copies from one place to another, with SAS.
    #[track_caller]
    fn run(&self, from: &str, to: &str, more: &[&str]) -> Outcome {
        let (from, to) = (self.url(FROM, from), self.url(TO, to));
        self.fixture.run(["copy", &from, &to].into_iter().chain(more.iter().copied()))
    }

    /// Every length that matters, names that have to be encoded, and all properties that go along.
    fn fill(&self) {
        let (mut n, whole) = (0, self);
        for (name, len) in [
            ("empty", 0),
            ("small.txt", 5),
            ("dir/a b+c%2F", 70),
            ("dir/sub/\u{e4}\u{1F600}", BLOCK),
            ("large.bin", 5 * BLOCK + 3),
        ] {
            n += 1;
            let seed = Seed {
                content_type: format!("text/x-{n}"),
                content_encoding: "gzip".to_owned(),
                content_language: "de".to_owned(),
                content_disposition: "inline".to_owned(),
                cache_control: format!("max-age={n}"),
                metadata: vec![("mark".to_owned(), format!("{n} x"))],
                tier: "Cool".to_owned(),
                ..seed(name, &bytes(len, n))
            };
            whole.plant(FROM, [seed]);
        }
    }

    #[track_caller]
    fn assert_same(&self) {
        let (from, to) = (self.blobs(FROM), self.blobs(TO));
        assert_eq!(self.names(FROM), self.names(TO));
        for (from, to) in from.iter().zip(&to) {
            assert_eq!(properties(from), properties(to));
            assert!(self.content(FROM, &from.name) == self.content(TO, &to.name), "{}", from.name);
        }
    }
}

/// All that goes along.
fn properties(blob: &BlobInfo) -> [String; 9] {
    [
        blob.name.clone(),
        blob.blob_type.clone(),
        blob.content_type.clone(),
        blob.content_encoding.clone(),
        blob.content_language.clone(),
        blob.content_disposition.clone(),
        blob.cache_control.clone(),
        format!("{:?}", blob.metadata),
        blob.tier.clone(),
    ]
}

fn seed(name: &str, content: &[u8]) -> Seed {
    Seed { name: name.to_owned(), content: vec![content.to_vec().into()], ..Seed::default() }
}

fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 251 + seed) as u8).collect()
}

#[track_caller]
fn number(outcome: &Outcome, label: &str) -> u64 {
    outcome.field(label).unwrap_or_else(|| panic!("no {label}: {}", outcome.stdout)).parse().unwrap()
}

/// The fields of a line of ndjson of this type.
#[track_caller]
fn line(outcome: &Outcome, kind: &str) -> serde_json::Value {
    for line in outcome.stdout.lines() {
        assert!(schema::type_of(line).is_ok(), "{line}");
    }
    let lines = outcome.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .into_iter()
        .find(|line| line["type"] == kind)
        .unwrap_or_else(|| panic!("no {kind}: {}", outcome.stdout))
}

#[test]
fn blobs_go_from_account_to_account_with_all_they_have() {
    for route in ROUTES {
        let accounts = Accounts::new();
        accounts.fill();
        let outcome = accounts.copy(&[&[route][..], &BLOCKS].concat());
        outcome.expect_code(0);
        accounts.assert_same();
        let total = 5 + 70 + BLOCK + 5 * BLOCK + 3;
        assert_eq!(number(&outcome, "Number of File Transfers Completed"), 5);
        assert_eq!(number(&outcome, "Total Number of Bytes Transferred"), total as u64);
        assert_eq!(outcome.field("Final Job Status"), Some("Completed"));
        // What is done, from where to where, and as whom.
        let (from, to) = (accounts.bare(FROM, ""), accounts.bare(TO, ""));
        let told = format!(
            "copy {from} to {to}, from service to service, with a SAS for the source and a SAS for the destination"
        );
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("5 blobs, "), "{}", outcome.stderr);
    }
}

#[test]
fn each_way_moves_the_bytes_that_it_says() {
    for (flags, direct, relay) in [
        (&[][..], true, false),
        (&["--route=direct"], true, false),
        (&["--no-relay"], true, false),
        (&["--route=relay"], false, true),
    ] {
        let accounts = Accounts::new();
        accounts.fill();
        let outcome = accounts.copy(&[flags, &BLOCKS, &["--output-type=ndjson"]].concat());
        outcome.expect_code(0);
        assert_eq!(line(&outcome, "start")["verb"], "copy");
        let summary = line(&outcome, "summary");
        let sent = summary["bytes_sent"].as_u64().unwrap();
        assert_eq!(sent == 0, direct, "{flags:?}: {summary}");
        assert_eq!(sent == summary["bytes"].as_u64().unwrap(), relay, "{flags:?}: {summary}");
        assert_eq!(summary["bytes_by_service"] == summary["bytes"], direct, "{flags:?}: {summary}");
        let [by_service, here] = ["; 0 B moved by the service, ", ", 0 B sent through this host"]
            .map(|none| !outcome.stderr.contains(none));
        assert_eq!([by_service, here], [direct, relay], "{}", outcome.stderr);
        let by_service = [Operation::PutBlobFromUrl, Operation::PutBlockFromUrl].map(|op| accounts.count(op));
        assert_eq!(by_service, if direct { [4, 6] } else { [0, 0] }, "{flags:?}");
        // One request a small blob, besides the listing.
        let small = if direct { Operation::PutBlobFromUrl } else { Operation::PutBlob };
        assert_eq!(accounts.count(small), 4);
        assert_eq!(accounts.count(Operation::GetBlobProperties), 0, "{flags:?}: {summary}");
    }
}

#[test]
fn a_source_in_another_network_is_relayed_and_that_is_told_or_forbidden() {
    for flags in [&["--no-relay"][..], &["--route=direct"]] {
        let accounts = Accounts::apart(azuring!());
        accounts.fill();
        accounts.plant(TO, [seed("small.txt", b"before")]);
        let (from, to) = (accounts.private(""), accounts.url(TO, ""));
        let more = [flags, &["--recursive", "--retry-failed=0"]].concat();
        let outcome = accounts.fixture.run(["copy", &from, &to].into_iter().chain(more.iter().copied()));
        assert!(![Some(0), Some(10)].contains(&outcome.code), "{}", outcome.stderr);
        let told = "the job was stopped: source: 403 CannotVerifyCopySource";
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("the source answered 403 AuthorizationFailure"),
            "{}",
            outcome.stderr
        );
        assert_eq!(accounts.names(TO), ["small.txt"], "nothing was written");
        assert_eq!(accounts.content(TO, "small.txt"), b"before");
    }
    let accounts = Accounts::apart(azuring!());
    accounts.fill();
    let (from, to) = (accounts.private(""), accounts.url(TO, ""));
    let line = [&["copy", &*from, &*to, "--recursive"][..], &BLOCKS].concat();
    let outcome = accounts.fixture.run(line);
    outcome.expect_code(0);
    accounts.assert_same();
    let told = "all that is left goes through this host";
    assert_eq!(outcome.stderr.matches(told).count(), 1, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains(", 0 B sent through this host"), "{}", outcome.stderr);
}

#[test]
fn names_follow_the_rules_of_an_upload() {
    let list = "dir/one\ndir/sub/three\n";
    for (from, to, more, want) in [
        ("dir", "", &["--recursive"][..], &["dir/one", "dir/sub/three", "dir/two"][..]),
        ("dir", "x/", &["--recursive"], &["x/dir/one", "x/dir/sub/three", "x/dir/two"]),
        ("dir", "x", &["--recursive", "--as-subdir=false"], &["x/one", "x/sub/three", "x/two"]),
        ("dir/*", "x", &["--recursive"], &["x/one", "x/sub/three", "x/two"]),
        ("dir/*", "x", &[], &["x/one", "x/two"]),
        ("dir/one", "y", &[], &["y"]),
        ("dir/one", "y/", &[], &["y/one"]),
        ("dir/one", "", &[], &["one"]),
        ("", "", &["--recursive", "--include-pattern=t*"], &["dir/sub/three", "dir/two", "top"]),
        ("", "", &["--recursive", "--exclude-pattern=t*"], &["dir/one"]),
        ("", "", &["--recursive", "--include-path=dir/sub;top"], &["dir/sub/three", "top"]),
        ("", "", &["--recursive", "--exclude-path=dir"], &["top"]),
        ("", "", &["--recursive", "--include-regex=e$"], &["dir/one", "dir/sub/three"]),
        ("", "", &["--recursive", "--exclude-regex=e$"], &["dir/two", "top"]),
        ("", "", &["--recursive", "--include-before=2001-01-01"], &["dir/one"]),
        ("", "", &["--recursive", "--include-after=2001-01-01"], &["dir/sub/three", "dir/two", "top"]),
        ("", "", &["--list-of-files=LIST"], &["dir/one", "dir/sub/three"]),
    ] {
        for route in ["--route=auto", "--route=relay"] {
            let accounts = Accounts::new();
            for name in ["dir/one", "dir/sub/three", "dir/two", "top"] {
                let modified_s = (name == "dir/one").then_some(900_000_000);
                accounts.plant(FROM, [Seed { modified_s, ..seed(name, name.as_bytes()) }]);
            }
            let file = accounts.fixture.file("list", list.as_bytes());
            let more: Vec<_> = more.iter().map(|flag| flag.replace("LIST", file.to_str().unwrap())).collect();
            let mut flags: Vec<_> = more.iter().map(|flag| &**flag).collect();
            flags.push(route);
            accounts.run(from, to, &flags).expect_code(0);
            assert_eq!(accounts.names(TO), want, "{from} {to} {flags:?}");
            for name in want {
                let of = name.trim_start_matches("x/").trim_start_matches("y/");
                let content = String::from_utf8(accounts.content(TO, name)).unwrap();
                assert!(content.ends_with(of) || *name == "y", "{name}: {content}");
            }
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_copied_and_asks_the_destination_nothing() {
    let accounts = Accounts::new();
    accounts.fill();
    let listed = |outcome: &Outcome| {
        let lines: Vec<_> = outcome.stdout.lines().filter(|line| line.starts_with("DRYRUN: copy ")).collect();
        lines.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let text = accounts.run("dir", "x/", &["--recursive", "--dry-run"]);
    text.expect_code(0);
    let (from, to) = (accounts.bare(FROM, "dir"), accounts.bare(TO, "x/dir"));
    let want =
        ["a b+c%2F", "sub/\u{e4}\u{1F600}"].map(|name| format!("DRYRUN: copy {from}/{name} to {to}/{name}"));
    assert_eq!(listed(&text), want, "{}", text.stdout);
    let json = accounts.run("dir", "x/", &["--recursive", "--dry-run", "--output-type=json"]);
    json.expect_code(0);
    let messages = json.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let planned: Vec<serde_json::Value> = messages
        .filter(|message| message["MessageType"] == "Dryrun")
        .map(|message| serde_json::from_str(message["MessageContent"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(planned.len(), 2, "{}", json.stdout);
    let first = &planned[0];
    assert_eq!((first["FromTo"].as_str(), first["SourceSize"].as_u64()), (Some("BlobBlob"), Some(70)));
    assert_eq!((first["ContentType"].as_str(), first["BlobTier"].as_str()), (Some("text/x-3"), Some("Cool")));
    assert!(accounts.names(TO).is_empty());
    let writes = [Operation::PutBlob, Operation::PutBlobFromUrl];
    assert_eq!(writes.map(|operation| accounts.count(operation)), [0; 2]);
    // Nobody is there.
    let gone =
        accounts.url(TO, "x/").replacen(&accounts.fixture.server().addr().to_string(), "127.0.0.1:1", 1);
    let source = accounts.url(FROM, "dir");
    let outcome = accounts.fixture.run(["copy", &source, &gone, "--recursive", "--dry-run"]);
    assert_eq!(listed(outcome.expect_code(0)).len(), 2);
}

#[test]
fn what_the_destination_has_is_kept_or_replaced() {
    for route in ["--route=auto", "--route=relay"] {
        for (overwrite, want) in [("true", "new"), ("false", "old"), ("ifSourceNewer", "old")] {
            let accounts = Accounts::new();
            accounts.plant(FROM, [Seed { modified_s: Some(1_000_000_000), ..seed("blob", b"new") }]);
            accounts.plant(TO, [seed("blob", b"old")]);
            let outcome = accounts.copy(&[route, &format!("--overwrite={overwrite}")]);
            outcome.expect_code(0);
            assert_eq!(accounts.content(TO, "blob"), want.as_bytes(), "{route} {overwrite}");
            let skipped = u64::from(want == "old");
            assert_eq!(number(&outcome, "Number of File Transfers Skipped"), skipped);
            let status = if skipped == 1 { "CompletedWithSkipped" } else { "Completed" };
            assert_eq!(outcome.field("Final Job Status"), Some(status));
        }
    }
}

#[test]
fn tiers_go_along_unless_that_is_not_wanted() {
    for route in ["--route=auto", "--route=relay"] {
        for (flags, want) in [
            (&[][..], "Cool"),
            (&["--s2s-preserve-access-tier=true"], "Cool"),
            (&["--s2s-preserve-access-tier=false"], "Hot"),
            (&["--block-blob-tier=Cold"], "Cold"),
            (&["--block-blob-tier=Cold", "--s2s-preserve-access-tier"], "Cold"),
        ] {
            let accounts = Accounts::new();
            let cool = |name, len| Seed { tier: "Cool".to_owned(), ..seed(name, &bytes(len, 1)) };
            accounts.plant(FROM, [cool("small", 9), cool("large", 3 * BLOCK)]);
            accounts.copy(&[flags, &BLOCKS, &[route]].concat()).expect_code(0);
            let tiers: Vec<_> = accounts.blobs(TO).into_iter().map(|blob| blob.tier).collect();
            assert_eq!(tiers, [want, want], "{route} {flags:?}");
        }
    }
}

#[test]
fn tags_are_those_of_the_command_line() {
    let accounts = Accounts::new();
    let tags = vec![("own".to_owned(), "x".to_owned())];
    accounts.plant(FROM, [Seed { tags, ..seed("small", b"1") }, seed("large", &bytes(3 * BLOCK, 1))]);
    accounts.copy(&[&["--blob-tags=a=1&b=2"][..], &BLOCKS].concat()).expect_code(0);
    let want = [("a", "1"), ("b", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    for blob in accounts.blobs(TO) {
        assert_eq!(blob.tags, want, "{}", blob.name);
    }
}

#[test]
fn a_source_that_changes_is_never_mixed() {
    for (route, operation) in
        [("--route=direct", Operation::PutBlockFromUrl), ("--route=relay", Operation::PutBlock)]
    {
        let accounts = Accounts::new();
        let states = [bytes(8 * BLOCK, 1), bytes(8 * BLOCK, 2)];
        accounts.plant(FROM, [seed("large", &states[0])]);
        accounts.fixture.hold(operation, "large", 2);
        let (from, to) = (accounts.url(FROM, "large"), accounts.url(TO, ""));
        let line = [
            &["copy", &*from, &*to, route, "--concurrency=1", "--lanes=1", "--s2s-detect-source-changed"][..],
            &BLOCKS,
        ];
        let running = accounts.fixture.azuring().start(line.concat());
        accounts.fixture.wait_for_held(1);
        accounts.plant(FROM, [seed("large", &states[1])]);
        accounts.fixture.release();
        // The second attempt takes it as it is then.
        running.wait().unwrap().expect_code(0);
        assert!(accounts.content(TO, "large") == states[1], "{route}");
    }
}

#[test]
fn blobs_of_other_types_stay_what_they_are() {
    let accounts = Accounts::new();
    accounts.plant(FROM, [seed("a", b"1"), seed("z", b"2")]);
    let disk = accounts.fixture.file("disk.vhd", &[7; 1024]);
    let up = ["copy", disk.to_str().unwrap(), &accounts.url(FROM, ""), "--blob-type=PageBlob"];
    accounts.fixture.run(up).expect_code(0);
    accounts.copy(&["--exclude-blob-type=PageBlob"]).expect_code(0);
    assert_eq!(accounts.names(TO), ["a", "z"]);
    accounts.copy(&[]).expect_code(0);
    assert_eq!(accounts.names(TO), ["a", "disk.vhd", "z"]);
    assert_eq!(accounts.content(TO, "disk.vhd"), [7; 1024]);
    let kinds = accounts.fixture.server().blobs(TO, CONTAINER).into_iter().map(|blob| blob.blob_type);
    assert_eq!(kinds.collect::<Vec<_>>(), ["BlockBlob", "PageBlob", "BlockBlob"]);
}

#[test]
fn a_snapshot_is_copied_over_its_own_blob_and_nothing_else_over_itself() {
    let accounts = Accounts::new();
    accounts.plant(FROM, [seed("blob", b"then")]);
    assert!(accounts.fixture.server().snapshot(FROM, CONTAINER, "blob"));
    let listed = accounts.fixture.server().snapshots(FROM, CONTAINER);
    assert_eq!(listed.len(), 1);
    accounts.plant(FROM, [seed("blob", b"now")]);
    let url = accounts.url(FROM, "blob");
    for (from, to) in [(&*url, &*url), (&accounts.url(FROM, ""), &accounts.url(FROM, "sub"))] {
        let outcome = accounts.fixture.run(["copy", from, to, "--recursive"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("source and destination overlap"), "{}", outcome.stderr);
    }
    assert_eq!(accounts.content(FROM, "blob"), b"now");
    // One account, another container.
    assert!(accounts.fixture.server().create_container(FROM, "other"));
    let other = accounts.url(FROM, "").replacen(CONTAINER, "other", 1);
    accounts.fixture.run(["copy", &url, &other]).expect_code(0);
    let copied = accounts.fixture.server().content(FROM, "other", "blob").unwrap();
    assert_eq!(copied.to_vec(), b"now");
}

#[test]
fn tags_go_along_if_that_is_wanted() {
    for (flag, go) in [("--s2s-preserve-blob-tags=true", true), ("--s2s-preserve-blob-tags=false", false)] {
        for route in ["--route=direct", "--route=relay"] {
            let accounts = Accounts::new();
            let tags = vec![("k".to_owned(), "v".to_owned())];
            accounts.plant(FROM, [Seed { tags: tags.clone(), ..seed("a", b"1") }]);
            accounts.copy(&[flag, route]).expect_code(0);
            let there = &accounts.blobs(TO)[0];
            assert_eq!(there.tags, if go { tags } else { Vec::new() }, "{flag} {route}");
        }
    }
}

#[test]
fn what_is_read_back_is_compared() {
    for route in ["--route=auto", "--route=relay"] {
        let accounts = Accounts::new();
        accounts.fill();
        let more = [&["--verify", "--check-length=true", route][..], &BLOCKS].concat();
        accounts.copy(&more).expect_code(0);
        accounts.assert_same();
        assert!(accounts.count(Operation::GetBlob) > 5, "both sides were read");
    }
}

/// AzCopy as judge: the same copy, into another container.
#[test]
fn azcopy_copies_the_same() {
    for (from, to, more) in [
        ("", "", &["--recursive"][..]),
        ("dir", "x", &["--recursive"]),
        ("dir/*", "x", &["--recursive"]),
        ("small.txt", "renamed", &[]),
        (
            "",
            "",
            &["--recursive", "--include-pattern=*.txt;*.bin", "--block-blob-tier=Cold", "--blob-tags=a=1"],
        ),
        ("", "", &["--recursive", "--s2s-preserve-access-tier=false", "--s2s-detect-source-changed=true"]),
    ] {
        let accounts = Accounts::new();
        accounts.fill();
        assert!(accounts.fixture.server().create_container(TO, "azcopys"));
        let (source, ours) = (accounts.url(FROM, from), accounts.url(TO, to));
        let theirs = ours.replacen(&format!("/{CONTAINER}"), "/azcopys", 1);
        let line = |to| ["copy", &*source, to, "--from-to=BlobBlob"].into_iter().chain(more.iter().copied());
        AzCopy::new().run(line(&theirs)).expect_code(0);
        accounts.fixture.run(line(&ours)).expect_code(0);
        let visible = |blob: &BlobInfo| {
            let mut blob = blob.clone();
            blob.etag.clear();
            blob.blocks.clear();
            // AzCopy asks for the headers of a single blob, and Go spells names in its own way.
            blob.metadata.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
            blob
        };
        let theirs: Vec<_> = accounts.fixture.server().blobs(TO, "azcopys").iter().map(visible).collect();
        let ours: Vec<_> = accounts.blobs(TO).iter().map(visible).collect();
        assert_eq!(theirs, ours, "AzCopy, azuring: {from} {to} {more:?}");
        assert!(!ours.is_empty());
    }
}

/// What both sides have, by name.
fn contents(accounts: &Accounts, account: &str) -> BTreeMap<String, Vec<u8>> {
    accounts.names(account).into_iter().map(|name| (name.clone(), accounts.content(account, &name))).collect()
}
