//! Container ACLs: public access after the fact, and stored access policies.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::{Authority, Role, Server, Tls};
use common::{ACCOUNT, Client, Reply, escape, sign, tls_config};

const ACL: &str = "/con?restype=container&comp=acl";
const LIST: &str = "/con?restype=container&comp=list";

/// A server with the blob `con/x`, a connection without credentials, and an owner's headers.
fn start() -> (Server, Client, String) {
    let authority = Authority::builder().start().unwrap();
    let server = Server::builder().threads(1).tls(Tls::SelfSigned).authority(&authority).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    assert_eq!(Client::tls(&server, &[b"http/1.1"]).put("x", b"1").status, 201);
    let client = Client::dial(server.addr(), Some(tls_config(&server, &[b"http/1.1"])));
    (server, client, format!("Bearer {}", authority.token("owner", &[Role::Owner], 600)))
}

fn acl(client: &mut Client, owner: &str, method: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let sas = std::mem::take(&mut client.sas);
    let mut all = vec![("Authorization", owner), ("x-ms-version", "2025-11-05")];
    all.extend(headers);
    let reply = client.send(method, ACL, &all, body.as_bytes());
    client.sas = sas;
    reply
}

fn policy(id: &str, fields: &str) -> String {
    format!(
        "<SignedIdentifiers><SignedIdentifier><Id>{id}</Id><AccessPolicy>{fields}</AccessPolicy></SignedIdentifier></SignedIdentifiers>"
    )
}

/// A service SAS of the container that leaves fields to a policy.
fn sas(permissions: &str, expiry: &str, id: &str) -> String {
    let version = "2025-11-05";
    let text =
        format!("{permissions}\n\n{expiry}\n/blob/{ACCOUNT}/con\n{id}\n\n\n{version}\nc\n\n\n\n\n\n\n");
    let mut query = format!("sv={version}&sr=c&si={}&sig={}", escape(id), escape(&sign(&text)));
    for (name, value) in [("sp", permissions), ("se", expiry)] {
        if !value.is_empty() {
            query += &format!("&{name}={}", escape(value));
        }
    }
    query
}

#[test]
fn public_access_changes_with_the_acl() {
    let (_server, mut client, owner) = start();
    assert_eq!(client.get("x").status, 401);
    for (access, read, list) in [("blob", 200, 401), ("container", 200, 200), ("", 401, 401)] {
        let header = ("x-ms-blob-public-access", access);
        let headers = if access.is_empty() { vec![] } else { vec![header] };
        let set = acl(&mut client, &owner, "PUT", &headers, "");
        assert_eq!(set.status, 200, "{}", set.text());
        let get = acl(&mut client, &owner, "GET", &[], "");
        assert_eq!((get.status, get.header(header.0)), (200, access));
        assert_eq!(get.header("etag"), set.header("etag"));
        assert_eq!(client.get("x").status, read, "{access}");
        assert_eq!(client.send("GET", LIST, &[], b"").status, list, "{access}");
    }
    let odd = acl(&mut client, &owner, "PUT", &[("x-ms-blob-public-access", "all")], "");
    assert_eq!(odd.verdict(), (400, "InvalidHeaderValue"));
    let old = [("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(acl(&mut client, &owner, "PUT", &old, "").verdict(), (412, "ConditionNotMet"));
}

#[test]
fn policies_are_kept_and_shown() {
    let (server, mut client, owner) = start();
    let body = policy(
        "one &amp; only",
        "<Start>2026-01-01</Start><Expiry>2999-01-01T00:00:00Z</Expiry><Permission>rl</Permission>",
    );
    assert_eq!(acl(&mut client, &owner, "PUT", &[], &body).status, 200);
    let text = acl(&mut client, &owner, "GET", &[], "").text();
    let shown = body.replace("01-01<", "01-01T00:00:00.0000000Z<").replace("00:00Z", "00:00.0000000Z");
    assert!(text.ends_with(&shown), "{text}");
    assert_eq!(acl(&mut client, &owner, "PUT", &[], "<x>").verdict(), (400, "InvalidXmlDocument"));
    // No SAS can do this, whatever it allows.
    client.sas = server.account_sas(ACCOUNT, "rwdlacup", Duration::from_secs(3600));
    assert_eq!(client.send("GET", ACL, &[], b"").verdict(), (403, "AuthorizationFailure"));
    assert_eq!(client.send("PUT", ACL, &[], b"").verdict(), (403, "AuthorizationFailure"));
}

#[test]
fn a_sas_takes_its_fields_from_the_policy() {
    let (_server, mut client, owner) = start();
    let failed = (403, "AuthenticationFailed");
    let (forever, past) = ("2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z");
    let full = |expiry: &str, permissions: &str| {
        policy("p", &format!("<Expiry>{expiry}</Expiry><Permission>{permissions}</Permission>"))
    };
    client.sas = sas("", "", "p");
    assert_eq!(client.get("x").verdict(), failed, "no such policy");
    for (policy, sas, read, list) in [
        (full(forever, "r"), sas("", "", "p"), (200, ""), (403, "AuthorizationPermissionMismatch")),
        (full(forever, "rl"), sas("", "", "p"), (200, ""), (200, "")),
        (full(past, "rl"), sas("", "", "p"), failed, failed),
        (full(forever, "rl"), sas("", "", "q"), failed, failed),
        // Each field in one place: here or there.
        (policy("p", "<Permission>rl</Permission>"), sas("", forever, "p"), (200, ""), (200, "")),
        (policy("p", ""), sas("rl", forever, "p"), (200, ""), (200, "")),
        (policy("p", "<Permission>rl</Permission>"), sas("", "", "p"), failed, failed),
        (full(forever, "rl"), sas("r", "", "p"), failed, failed),
        (full(forever, "rl"), sas("", forever, "p"), failed, failed),
        // The name of the policy is signed.
        (full(forever, "rl"), sas("", "", "q").replace("si=q", "si=p"), failed, failed),
    ] {
        assert_eq!(acl(&mut client, &owner, "PUT", &[], &policy).status, 200);
        client.sas = sas;
        assert_eq!(client.get("x").verdict(), read, "{policy} {}", client.sas);
        assert_eq!(client.send("GET", LIST, &[], b"").verdict(), list, "{policy} {}", client.sas);
    }
    client.sas = sas("r", "", "p");
    assert_eq!(acl(&mut client, &owner, "PUT", &[], &full(forever, "rl")).status, 200);
    assert!(client.get("x").text().contains("but not both"));
}

#[test]
fn a_policy_of_nothing_is_not_shown() {
    let (_server, mut client, owner) = start();
    for (fields, shown) in [("", 0), ("<Permission>r</Permission>", 1)] {
        assert_eq!(acl(&mut client, &owner, "PUT", &[], &policy("empty", fields)).status, 200);
        let reply = acl(&mut client, &owner, "GET", &[], "");
        assert_eq!(reply.elements("Id"), ["empty"]);
        assert_eq!(reply.elements("AccessPolicy").len(), shown, "{}", reply.text());
    }
}
