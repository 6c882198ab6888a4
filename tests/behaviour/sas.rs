//! Shared access signatures and keys: understood before anything is sent, and made.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::time::Duration;

use azsim::{PublicAccess, Role, Tls};
use azuring_tests::entra::{ACCOUNT, Entra};
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring};

/// The URL of a container, or of a blob in it, without a credential. The account is one whose key nobody publishes.
fn bare(fixture: &Fixture, blob: &str) -> String {
    let slash = if blob.is_empty() { "" } else { "/" };
    format!("{}/{CONTAINER}{slash}{blob}", fixture.server().url(DEVSTORE_ACCOUNT))
}

/// A SAS for the URL that `azuring sas` makes with the emulator's key.
#[track_caller]
fn sas(fixture: &Fixture, url: &str, more: &[&str]) -> String {
    let mut args = vec!["sas", url];
    args.extend(more);
    let made = fixture.run(args);
    let url = made.expect_code(0).stdout.trim().to_owned();
    assert!(url.contains("sig="), "{url}");
    url
}

#[test]
fn a_sas_from_a_key_does_what_it_says() {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned));
    let file = fixture.file("in/a b", b"content");
    let file = file.to_str().unwrap();
    let container = bare(&fixture, "");
    let write = sas(
        &fixture,
        &container,
        &["--permissions=wcr", "--expiry=1h", "--start=2020-01-01", "--ip=127.0.0.1"],
    );
    assert!(
        write.contains("sp=rcw") && write.contains("sip=127.0.0.1") && write.contains("spr=https"),
        "{write}"
    );
    assert!(write.contains("st=2020-01-01T"), "{write}");
    fixture.run(["copy", file, &write]).expect_code(0);
    // What it lacks is told before anything is asked for.
    let requests = fixture.server().stats().requests;
    let list = fixture.run(["list", &write]);
    assert!(list.expect_code(3).stderr.contains("sp=rcw: listing needs `l`"), "{}", list.stderr);
    let remove = fixture.run(["remove", &write.replace("data?", "data/a%20b?")]);
    assert!(remove.expect_code(3).stderr.contains("deleting needs `d`"), "{}", remove.stderr);
    assert_eq!(fixture.server().stats().requests, requests);
    // For one blob.
    let one =
        sas(&fixture, &bare(&fixture, "a%20b"), &["--permissions=r", "--expiry=7d", "--protocol=https,http"]);
    assert!(one.contains("sr=b") && !one.contains("spr=https&"), "{one}");
    let down = fixture.path().join("down");
    fixture.run(["copy", &one, down.to_str().unwrap()]).expect_code(0);
    assert_eq!(fs::read(&down).unwrap(), b"content");
    fixture.run(["copy", &one, down.to_str().unwrap(), "--recursive"]).expect_code(0);
    let other = one.replace("/a%20b?", "/other?");
    assert_ne!(fixture.run(["copy", &other, down.to_str().unwrap()]).code, Some(0));
    let whole = one.replace("/a%20b?", "?");
    assert!(fixture.run(["list", &whole]).expect_code(3).stderr.contains("is for one blob"));
    let alone = fixture.run(["sas", &container, "--permissions=r", "--expiry=1h", "--sas-only"]);
    assert!(alone.expect_code(0).stdout.starts_with("sv="), "{}", alone.stdout);
}

#[test]
fn an_account_sas_is_for_the_account() {
    let fixture = Fixture::new(azuring!());
    fixture.file("in/x", b"1");
    let account = fixture.server().url(DEVSTORE_ACCOUNT);
    let made = sas(
        &fixture,
        &account,
        &[
            "--account",
            "--permissions=lrw",
            "--expiry=1h",
            "--protocol=https,http",
            "--services=b",
            "--resource-types=oc",
        ],
    );
    assert!(
        made.starts_with(&format!("{account}?")) && made.contains("srt=co") && made.contains("ss=b"),
        "{made}"
    );
    let query = made.split_once('?').unwrap().1;
    let url = format!("{}?{query}", bare(&fixture, ""));
    fixture.run(["copy", fixture.path().join("in").to_str().unwrap(), &url, "--recursive"]).expect_code(0);
    fixture.run(["list", &url]).expect_code(0);
    let objects = sas(
        &fixture,
        &account,
        &["--account", "--permissions=lrw", "--expiry=1h", "--protocol=https,http", "--resource-types=o"],
    );
    let url = format!("{}?{}", bare(&fixture, ""), objects.split_once('?').unwrap().1);
    assert!(fixture.run(["list", &url]).expect_code(3).stderr.contains("srt=o: listing needs `c`"));
    let files = sas(
        &fixture,
        &account,
        &["--account", "--permissions=l", "--expiry=1h", "--protocol=https,http", "--services=f"],
    );
    let url = format!("{}?{}", bare(&fixture, ""), files.split_once('?').unwrap().1);
    assert!(fixture.run(["list", &url]).expect_code(3).stderr.contains("not for blobs: ss=f"));
}

#[test]
fn a_sas_that_is_over_or_not_begun_is_told_of_before_anything_is_sent() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("in/x", b"1");
    let file = file.to_str().unwrap();
    let container = bare(&fixture, "");
    let http = "--protocol=https,http";
    let expired = sas(
        &fixture,
        &container,
        &["--permissions=w", "--start=2020-01-01", "--expiry=2020-02-01T12:00Z", http],
    );
    let ahead = sas(&fixture, &container, &["--permissions=w", "--start=2d", "--expiry=3d", http]);
    let only_tls = sas(&fixture, &container, &["--permissions=w", "--expiry=1h"]);
    for (url, parts) in [
        (&expired, &["expired", "2020-02-01T12:00:00Z"][..]),
        (&ahead, &["not valid yet", "(st)"]),
        (&only_tls, &["https only", "spr=https"]),
    ] {
        let refused = fixture.run(["copy", file, url]);
        refused.expect_code(3);
        for part in parts {
            assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        }
    }
    assert_eq!(fixture.server().stats().requests, 0);
    let soon = sas(&fixture, &container, &["--permissions=w", "--expiry=5m", http]);
    let warned = fixture.run(["copy", file, &soon]);
    assert!(warned.expect_code(0).stderr.contains("the SAS expires in 4 minutes"), "{}", warned.stderr);
}

#[test]
fn what_no_sas_can_be_is_refused() {
    let fixture = Fixture::new(azuring!());
    let url = bare(&fixture, "");
    for (args, part) in [
        (&["--permissions=rz", "--expiry=1h"][..], "`z`"),
        (&["--permissions=r", "--expiry=2020-01-01", "--start=2021-01-01"], "not after its beginning"),
        (&["--permissions=r", "--expiry=1h", "--ip=here"], "IPv4"),
        (&["--permissions=r", "--expiry=soon"], "90m, 8h, 7d"),
        (&["--permissions=r"], "--expiry"),
        (&["--expiry=1h"], "--permissions"),
    ] {
        let mut line = vec!["sas", &url];
        line.extend(args);
        let refused = fixture.run(line);
        assert!(refused.expect_code(2).stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let signed = fixture.run(["sas", &fixture.url(), "--permissions=r", "--expiry=1h"]);
    assert!(signed.expect_code(2).stderr.contains("has a SAS"));
}

#[test]
fn a_stored_policy_says_the_rest() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("in/x", b"1");
    let policies = r#"<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers><SignedIdentifier><Id>writers</Id><AccessPolicy><Expiry>2099-01-01T00:00:00Z</Expiry><Permission>cw</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>"#;
    fixture.server().set_acl(DEVSTORE_ACCOUNT, CONTAINER, PublicAccess::None, policies).unwrap();
    let url = sas(&fixture, &bare(&fixture, ""), &["--policy=writers", "--protocol=https,http"]);
    assert!(url.contains("si=writers") && !url.contains("sp=") && !url.contains("se="), "{url}");
    fixture.run(["copy", file.to_str().unwrap(), &url]).expect_code(0);
    // Only the service knows what a policy allows.
    let refused = fixture.run(["list", &url]);
    assert!(refused.expect_code(3).stderr.contains("AuthorizationPermissionMismatch"), "{}", refused.stderr);
    let unknown = sas(&fixture, &bare(&fixture, ""), &["--policy=nobody", "--protocol=https,http"]);
    assert!(
        fixture
            .run(["copy", file.to_str().unwrap(), &unknown])
            .expect_code(3)
            .stderr
            .contains("AuthenticationFailed")
    );
}

#[test]
fn an_identity_makes_a_user_delegation_sas() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    let file = entra.fixture.file("in/a b", b"content");
    let make = |more: &[&str]| {
        let (url, trusted) = (entra.url(""), entra.trusted());
        let mut args = vec!["sas", &*url, &*trusted, "--user-delegation"];
        args.extend(more);
        entra.fixture.run(args)
    };
    let url = make(&["--permissions=rcwl", "--expiry=1h"]).expect_code(0).stdout.trim().to_owned();
    assert!(url.contains("skoid=") && url.contains("ske="), "{url}");
    // The SAS alone, without the identity that made it.
    let other = azuring!().trust(&entra.fixture.ca_file());
    other.run(["copy", file.to_str().unwrap(), &url]).expect_code(0);
    assert!(other.run(["list", &url]).expect_code(0).stdout.contains("a b"));
    let remove = other.run(["remove", &url.replace("data?", "data/a%20b?")]);
    assert!(remove.expect_code(3).stderr.contains("deleting needs `d`"));
    let (before, signature) = url.split_once("sig=").unwrap();
    // The first character may be an escape (`%2B`), which stands for one of base64 too.
    let rest = if signature.starts_with('%') { &signature[3..] } else { &signature[1..] };
    let other_first = if signature.starts_with('A') { "B" } else { "A" };
    let flipped = format!("{before}sig={other_first}{rest}");
    let refused = other.run(["list", &flipped]);
    assert!(refused.expect_code(3).stderr.contains("AuthenticationFailed"), "{}", refused.stderr);
    for expiry in ["--expiry=7d", "--expiry=167h"] {
        let week = make(&["--permissions=r", expiry]).expect_code(0).stdout.trim().to_owned();
        let blob = week.replace("data?", "data/a%20b?");
        other.run(["copy", &blob, entra.fixture.path().join("week").to_str().unwrap()]).expect_code(0);
    }
    let long = make(&["--permissions=r", "--expiry=8d"]);
    assert!(long.expect_code(2).stderr.contains("7 days"), "{}", long.stderr);
    let poor = Entra::with(azuring!(), |authority| authority, Entra::as_service_principal);
    poor.authority.register(
        azsim::Application::new(azuring_tests::entra::APPLICATION)
            .secret(azuring_tests::entra::CLIENT_SECRET),
    );
    let refused = poor.fixture.run([
        "sas",
        &poor.url(""),
        &poor.trusted(),
        "--user-delegation",
        "--permissions=r",
        "--expiry=1h",
    ]);
    assert!(refused.expect_code(3).stderr.contains("Storage Blob Delegator"), "{}", refused.stderr);
}

#[test]
fn a_key_comes_from_a_file() {
    let fixture = Fixture::with(azuring!(), |server| {
        server.account(DEVSTORE_ACCOUNT, azsim::DEVSTORE_KEY).account("other", azsim::DEVSTORE_KEY)
    });
    assert!(fixture.server().create_container("other", "data"));
    let file = fixture.file("in/x", b"1");
    let file = file.to_str().unwrap();
    let url = format!("{}/data", fixture.server().url("other"));
    let key = fixture.file("key", format!("{}\n", azsim::DEVSTORE_KEY).as_bytes());
    let key = format!("--account-key-file={}", key.display());
    let without = fixture.run(["copy", file, &url]);
    assert!(without.expect_code(3).stderr.contains("without a credential"), "{}", without.stderr);
    fixture.run(["copy", file, &url, &key]).expect_code(0);
    for (content, part) in
        [(&b""[..], "holds no key"), (b"\xff\xfe", "holds no key"), (b"not base64!", "not base64")]
    {
        fixture.file("bad", content);
        let bad = format!("--account-key-file={}", fixture.path().join("bad").display());
        let refused = fixture.run(["copy", file, &url, &bad]);
        assert!(refused.expect_code(3).stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let missing = fixture.run(["copy", file, &url, "--account-key-file=/nowhere"]);
    assert!(missing.expect_code(3).stderr.contains("/nowhere"), "{}", missing.stderr);
}

#[test]
fn a_parent_chooses_the_credential() {
    let fixture = Fixture::with(azuring!(), |server| {
        server.account(DEVSTORE_ACCOUNT, azsim::DEVSTORE_KEY).account("other", azsim::DEVSTORE_KEY)
    });
    assert!(fixture.server().create_container("other", "data"));
    let file = fixture.file("in/x", b"1");
    let file = file.to_str().unwrap().to_owned();
    let url = format!("{}/data", fixture.server().url("other"));
    let copy = |kind: &str| {
        let azuring = azuring!()
            .env("AZCOPY_CRED_TYPE", kind)
            .env("ACCOUNT_NAME", "other")
            .env("ACCOUNT_KEY", azsim::DEVSTORE_KEY);
        azuring.run(["copy", &file, &url])
    };
    copy("SharedKey").expect_code(0);
    assert!(copy("Anonymous").expect_code(3).stderr.contains("without a credential"));
    assert!(copy("OAuthToken").expect_code(3).stderr.contains("https only"));
    assert!(copy("S3AccessKey").expect_code(2).stderr.contains("AZCOPY_CRED_TYPE"));
}

#[test]
fn public_containers_need_no_credential() {
    let entra = Entra::with(
        azuring!(),
        |authority| authority,
        |azuring, _| {
            azuring.env("PATH", "/nowhere").env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
        },
    );
    let server = entra.fixture.server();
    let file = entra.fixture.file("in/x", b"content");
    for (name, access) in
        [("listed", PublicAccess::Container), ("named", PublicAccess::Blob), ("closed", PublicAccess::None)]
    {
        assert!(server.create_container(ACCOUNT, name));
        server.set_acl(ACCOUNT, name, access, "").unwrap();
        let sas = server.account_sas(ACCOUNT, "rwc", Duration::from_secs(3600));
        let url = format!("{}/{name}?{sas}", server.url(ACCOUNT));
        entra.fixture.run(["copy", file.to_str().unwrap(), &url]).expect_code(0);
    }
    let trusted = entra.trusted();
    let down = entra.fixture.path().join("down");
    let read = |place: &str| {
        let url = format!("{}/{place}", server.url(ACCOUNT));
        entra.fixture.run(["copy", &url, down.to_str().unwrap(), "--recursive", &trusted])
    };
    let listed = read("listed");
    assert!(listed.expect_code(0).stderr.contains("no credential (anonymous)"), "{}", listed.stderr);
    assert_eq!(fs::read(down.join("listed/x")).unwrap(), b"content");
    read("named/x").expect_code(0);
    for place in ["named", "closed", "closed/x"] {
        let refused = read(place);
        assert!(refused.expect_code(3).stderr.contains("nobody is logged in"), "{place}: {}", refused.stderr);
    }
    // Names that are known need no list.
    let list = entra.fixture.file("list.txt", b"x\n");
    let list = format!("--list-of-files={}", list.display());
    let url = format!("{}/named", server.url(ACCOUNT));
    let to = entra.fixture.path().join("listed");
    entra.fixture.run(["copy", &url, to.to_str().unwrap(), &list, &trusted]).expect_code(0);
    assert_eq!(fs::read(to.join("named/x")).unwrap(), b"content");
    let url = format!("{}/closed", server.url(ACCOUNT));
    let refused = entra.fixture.run(["copy", &url, to.to_str().unwrap(), &list, &trusted]);
    for part in ["nobody is logged in", "without a credential"] {
        assert!(refused.expect_code(3).stderr.contains(part), "{part}: {}", refused.stderr);
    }
    // Nothing is written without a credential.
    let url = format!("{}/listed", server.url(ACCOUNT));
    entra.fixture.run(["copy", file.to_str().unwrap(), &url, &trusted]).expect_code(3);
}
