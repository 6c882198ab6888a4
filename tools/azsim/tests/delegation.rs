//! User delegation: the key, and the signatures made with it.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use aws_lc_rs::hmac;
use azsim::{Authority, Role, Server, Tls};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{ACCOUNT, Client, Reply, escape, tls_config};

const KEY: &str = "?restype=service&comp=userdelegationkey";

/// A server with the blob `con/dir/sub/x`, and its authority.
fn start() -> (Authority, Server, Client) {
    let authority = Authority::builder().start().unwrap();
    let server = Server::builder().threads(1).tls(Tls::SelfSigned).authority(&authority).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    let mut client = Client::tls(&server, &[b"http/1.1"]);
    assert_eq!(client.put("dir/sub/x", b"1").status, 201);
    client.sas = String::new();
    (authority, server, client)
}

/// `2026-01-02T03:04:05Z`, so many hours from now.
fn hours(from_now: i64) -> String {
    let command = std::process::Command::new("date")
        .args(["-u", "-d", &format!("{from_now} hours"), "+%Y-%m-%dT%H:%M:%SZ"])
        .env("LC_ALL", "C")
        .output();
    String::from_utf8(command.unwrap().stdout).unwrap().trim().to_owned()
}

/// Asks for a key, from so many hours from now on.
fn ask(client: &mut Client, token: &str, start: i64, expiry: &str) -> Reply {
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str()), ("x-ms-version", "2025-11-05")];
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{}</Start><Expiry>{expiry}</Expiry></KeyInfo>",
        hours(start)
    );
    client.send("POST", KEY, &headers, body.as_bytes())
}

/// A key as a client holds it.
struct Key {
    oid: String,
    tid: String,
    start: String,
    expiry: String,
    value: Vec<u8>,
}

impl Key {
    fn get(client: &mut Client, authority: &Authority, oid: &str, role: Role) -> Key {
        Key::starting(client, authority, oid, role, -1)
    }

    fn starting(client: &mut Client, authority: &Authority, oid: &str, role: Role, start: i64) -> Key {
        let reply = ask(client, &authority.token(oid, &[role], 600), start, &hours(24));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let element = |name: &str| reply.elements(name).pop().unwrap();
        assert_eq!(
            (element("SignedService"), element("SignedVersion")),
            ("b".to_owned(), "2025-11-05".to_owned())
        );
        Key {
            oid: element("SignedOid"),
            tid: element("SignedTid"),
            start: element("SignedStart"),
            expiry: element("SignedExpiry"),
            value: STANDARD.decode(element("Value")).unwrap(),
        }
    }

    /// A SAS for `resource`, a path from the container on; `more` are parameters that are not in the string to sign or
    /// whose place in it is empty otherwise.
    fn sas(
        &self,
        version: &str,
        kind: &str,
        resource: &str,
        permissions: &str,
        more: &[(&str, &str)],
    ) -> String {
        let expiry = hours(2);
        let get = |name: &str| more.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| *v);
        let mut fields = vec![
            permissions.to_owned(),
            String::new(),
            expiry.clone(),
            format!("/blob/{ACCOUNT}/{resource}"),
            self.oid.clone(),
            self.tid.clone(),
            self.start.clone(),
            self.expiry.clone(),
            "b".to_owned(),
            "2025-11-05".to_owned(),
            get("saoid").to_owned(),
            String::new(),
            get("scid").to_owned(),
        ];
        if version >= "2025-07-05" {
            fields.extend([String::new(), String::new()]);
        }
        let moment = if kind == "bv" { get("versionid") } else { get("snapshot") };
        fields.extend(["", "", version, kind, moment, ""].map(str::to_owned));
        if version >= "2026-04-06" {
            fields.extend([String::new(), String::new()]);
        }
        fields.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(|name| get(name).to_owned()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.value);
        let signature = STANDARD.encode(hmac::sign(&key, fields.join("\n").as_bytes()));
        let mut query = vec![
            ("sv", version),
            ("sr", kind),
            ("sp", permissions),
            ("se", &expiry),
            ("skoid", &self.oid),
            ("sktid", &self.tid),
            ("skt", &self.start),
            ("ske", &self.expiry),
            ("sks", "b"),
            ("skv", "2025-11-05"),
            ("sig", &signature),
        ];
        query.extend(more);
        query.iter().map(|(n, v)| format!("{n}={}", escape(v))).collect::<Vec<_>>().join("&")
    }
}

#[test]
fn a_key_is_for_tokens_with_a_role_and_for_a_week() {
    let (authority, server, mut client) = start();
    for role in [Role::Reader, Role::Contributor, Role::Owner, Role::Delegator] {
        let key = Key::get(&mut client, &authority, "oid", role);
        assert_eq!((key.oid.as_str(), key.tid.as_str(), key.value.len()), ("oid", authority.tenant(), 32));
    }
    let owner = authority.token("oid", &[Role::Owner], 600);
    for (expiry, expected) in [
        (hours(7 * 24 - 1), (200, "")),
        (hours(7 * 24 + 1), (400, "InvalidXmlNodeValue")),
        (hours(-2), (400, "InvalidXmlNodeValue")),
        ("tomorrow".to_owned(), (400, "InvalidXmlNodeValue")),
    ] {
        assert_eq!(ask(&mut client, &owner, -1, &expiry).verdict(), expected, "{expiry}");
    }
    let none = authority.token("nobody", &[], 600);
    assert_eq!(ask(&mut client, &none, -1, &hours(1)).verdict(), (403, "AuthorizationPermissionMismatch"));
    client.sas = common::sas(&server);
    let version = [("x-ms-version", "2025-11-05")];
    assert_eq!(client.send("POST", KEY, &version, b"<KeyInfo/>").verdict(), (403, "AuthorizationFailure"));
    client.sas = String::new();
    assert_eq!(client.send("POST", KEY, &version, b"<KeyInfo/>").status, 401);
}

#[test]
fn signatures_are_verified_in_every_version() {
    let (authority, server, mut client) = start();
    let key = Key::get(&mut client, &authority, "oid", Role::Contributor);
    for version in ["2020-12-06", "2025-05-05", "2025-07-05", "2026-02-06", "2026-04-06"] {
        for (kind, resource, more) in [
            ("b", "con/dir/sub/x", vec![]),
            ("c", "con", vec![("scid", "correlation"), ("rscc", "no-cache")]),
            ("d", "con/dir", vec![("sdd", "1")]),
            ("d", "con/dir/sub", vec![("sdd", "2"), ("saoid", "agent")]),
        ] {
            client.sas = key.sas(version, kind, resource, "r", &more);
            let reply = client.get("dir/sub/x");
            assert_eq!(
                (reply.status, reply.body.as_slice()),
                (200, &b"1"[..]),
                "{version} {kind} {}",
                reply.text()
            );
            // Any change of what was signed.
            let good = client.sas.clone();
            for (from, to) in [
                ("sp=r", "sp=rw"),
                ("skoid=oid", "skoid=oie"),
                ("sks=b", "sks=q"),
                ("sdd=1", "sdd=2"),
                ("sdd=2", "sdd=1"),
            ] {
                client.sas = good.replace(from, to);
                if client.sas != good {
                    assert_eq!(client.get("dir/sub/x").verdict(), (403, "AuthenticationFailed"), "{from}");
                }
            }
        }
        client.sas = key.sas(version, "b", "con/dir/sub/x", "r", &[]);
        // A character that is no part of an escape.
        let start = client.sas.find("sig=").unwrap() + 4;
        let at = (start + 2..).find(|at| !client.sas[at - 2..=*at].contains('%')).unwrap();
        let other = if &client.sas[at..=at] == "A" { "B" } else { "A" };
        client.sas.replace_range(at..=at, other);
        assert_eq!(client.get("dir/sub/x").verdict(), (403, "AuthenticationFailed"));
    }
    // For its own blob or directory alone.
    client.sas = key.sas("2025-11-05", "b", "con/other", "r", &[]);
    assert_eq!(client.get("dir/sub/x").verdict(), (403, "AuthenticationFailed"));
    client.sas = key.sas("2025-11-05", "d", "con/dir", "r", &[("sdd", "1")]);
    assert_eq!(client.get("dirt/x").verdict(), (403, "AuthenticationFailed"));
    // `sdd` counts what is signed.
    client.sas = key.sas("2025-11-05", "d", "con/dir", "r", &[("sdd", "2")]);
    assert_eq!(client.get("dir").verdict(), (403, "AuthenticationFailed"));
    client.sas = key.sas("2025-11-05", "c", "con", "r", &[("si", "policy")]);
    assert!(client.get("dir/sub/x").text().contains("A user delegation SAS has no stored access policy"));
    // The key has a time of its own.
    let later = Key::starting(&mut client, &authority, "oid", Role::Contributor, 1);
    client.sas = later.sas("2025-11-05", "c", "con", "r", &[]);
    let early = client.get("dir/sub/x");
    assert_eq!(early.verdict(), (403, "AuthenticationFailed"));
    assert!(early.text().contains("not valid in the specified time frame"), "{}", early.text());
    // A server without the authority has issued no key.
    let stranger = Server::builder().threads(1).tls(Tls::SelfSigned).start().unwrap();
    stranger.create_container(ACCOUNT, "con");
    let mut other = Client::dial(stranger.addr(), Some(tls_config(&stranger, &[b"http/1.1"])));
    other.sas = key.sas("2025-11-05", "c", "con", "r", &[]);
    assert_eq!(other.get("dir/sub/x").verdict(), (403, "AuthenticationFailed"));
    drop(server);
}

#[test]
fn a_snapshot_has_a_signature_of_its_own() {
    let (authority, server, mut client) = start();
    let key = Key::get(&mut client, &authority, "oid", Role::Contributor);
    client.sas = common::sas(&server);
    let taken = client.send("PUT", "/con/dir/sub/x?comp=snapshot", &[], b"");
    let snapshot = taken.header("x-ms-snapshot").to_owned();
    assert_eq!(client.put("dir/sub/x", b"2").status, 201);
    client.sas = key.sas("2025-11-05", "bs", "con/dir/sub/x", "r", &[("snapshot", &snapshot)]);
    let reply = client.get("dir/sub/x");
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"1"[..]), "{}", reply.text());
    // Not for the blob itself, and not for another snapshot.
    let failed = (403, "AuthenticationFailed");
    let rest = client.sas.rsplit_once("&snapshot=").unwrap().0.to_owned();
    client.sas.clone_from(&rest);
    assert_eq!(client.get("dir/sub/x").verdict(), failed);
    client.sas = format!("{rest}&snapshot=2020-01-01T00%3A00%3A00.0000000Z");
    assert_eq!(client.get("dir/sub/x").verdict(), failed);
}

#[test]
fn a_signature_allows_what_its_principal_may() {
    let (authority, _server, mut client) = start();
    let key = Key::get(&mut client, &authority, "reader", Role::Reader);
    client.sas = key.sas("2025-11-05", "c", "con", "rwdl", &[]);
    let mismatch = (403, "AuthorizationPermissionMismatch");
    assert_eq!(client.get("dir/sub/x").status, 200);
    assert_eq!(client.send("GET", "/con?restype=container&comp=list", &[], b"").status, 200);
    assert_eq!(client.put("new", b"2").verdict(), mismatch);
    authority.assign("reader", &[Role::Contributor]);
    assert_eq!(client.put("new", b"2").status, 201);
    client.sas = key.sas("2025-11-05", "c", "con", "wt", &[]);
    let tagged = [("x-ms-blob-type", "BlockBlob"), ("x-ms-tags", "a=b")];
    assert_eq!(client.send("PUT", "/con/new", &tagged, b"3").verdict(), mismatch, "tags are for owners");
    client.sas = key.sas("2025-11-05", "c", "con", "rwdl", &[]);
    authority.assign("reader", &[]);
    assert_eq!(client.get("dir/sub/x").verdict(), mismatch);
    authority.assign("reader", &[Role::Owner]);
    client.sas = key.sas("2025-11-05", "c", "con", "r", &[]);
    assert_eq!(client.put("new", b"2").verdict(), mismatch, "the SAS says no");
}
