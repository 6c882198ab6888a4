//! Tokens at the storage server: which it takes, and what each role may do.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::{Authority, Role, Server, Tls};
use common::{ACCOUNT, Client, Reply, tls_config};
use serde_json::json;

const VERSION: (&str, &str) = ("x-ms-version", "2025-11-05");
const BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

fn start(authority: &Authority) -> Server {
    let server = Server::builder().threads(1).tls(Tls::SelfSigned).authority(authority).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    server
}

/// A connection without SAS.
fn connect(server: &Server) -> Client {
    Client::dial(server.addr(), Some(tls_config(server, &[b"http/1.1"])))
}

fn send(
    client: &mut Client,
    token: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let authorization = format!("Bearer {token}");
    let mut all = vec![("Authorization", authorization.as_str()), VERSION];
    all.extend(headers);
    client.send(method, path, &all, body)
}

/// What the 401 says about a token.
fn detail(reply: &Reply) -> String {
    assert_eq!(reply.verdict(), (401, "InvalidAuthenticationInfo"));
    reply.elements("AuthenticationErrorDetail").pop().unwrap()
}

#[test]
fn tokens_are_verified() {
    let authority = Authority::builder().start().unwrap();
    let server = start(&authority);
    let mut client = connect(&server);
    let good = authority.token("oid", &[Role::Contributor], 60);
    assert_eq!(send(&mut client, &good, "PUT", "/con/x", &[BLOB], b"1").status, 201);
    assert_eq!(send(&mut client, &good, "GET", "/con/x", &[], b"").body, b"1");

    let signature = "Signature validation failed. Signature verification failed.";
    // Every character of the signature counts, except the padding bits of the last.
    let start_of_signature = good.rfind('.').unwrap() + 1;
    for at in [start_of_signature, start_of_signature + 20, good.len() - 2, 45] {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let flipped = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        let reply = send(&mut client, &flipped, "GET", "/con/x", &[], b"");
        assert_eq!(detail(&reply), signature, "at {at}");
        let challenge = format!(
            "Bearer authorization_uri={}/{}/oauth2/authorize resource_id=https://storage.azure.com",
            authority.url(),
            authority.tenant()
        );
        assert_eq!(reply.header("www-authenticate"), challenge);
    }
    let stranger = Authority::builder().start().unwrap().token("oid", &[], 60);
    assert_eq!(detail(&send(&mut client, &stranger, "GET", "/con/x", &[], b"")), signature);
    assert_eq!(detail(&send(&mut client, "x", "GET", "/con/x", &[], b"")), signature);

    let now = authority.now_s();
    let issuer = format!("https://sts.windows.net/{}/", authority.tenant());
    let claims = json!({
        "aud": "https://storage.azure.com/", "iss": issuer, "nbf": now, "exp": now + 600, "oid": "oid", "tid": "t",
    });
    assert_eq!(
        send(&mut client, &authority.sign(&claims.to_string()), "GET", "/con/x", &[], b"").status,
        200
    );
    for (claim, value, expected) in [
        ("aud", json!("https://management.azure.com"), "Audience validation failed. Audience did not match."),
        (
            "aud",
            json!("https://other.blob.core.windows.net"),
            "Audience validation failed. Audience did not match.",
        ),
        ("iss", json!("https://sts.windows.net/x/"), "Issuer validation failed. Issuer did not match."),
        ("nbf", json!(now + 300), "Lifetime validation failed. The token is not yet valid."),
        ("exp", json!(now), "Lifetime validation failed. The token is expired."),
        ("exp", json!(null), "Lifetime validation failed. The token has no lifetime."),
    ] {
        let mut claims = claims.clone();
        claims[claim] = value;
        let token = authority.sign(&claims.to_string());
        assert_eq!(detail(&send(&mut client, &token, "GET", "/con/x", &[], b"")), expected);
    }
    let own = json!(format!("https://{ACCOUNT}.blob.core.windows.net"));
    let mut claims = claims;
    claims["aud"] = own;
    assert_eq!(
        send(&mut client, &authority.sign(&claims.to_string()), "GET", "/con/x", &[], b"").status,
        200
    );
}

#[test]
fn tokens_end_with_the_authoritys_time() {
    let authority = Authority::builder().speed(0).start().unwrap();
    let server = start(&authority);
    let mut client = connect(&server);
    let token = authority.token("oid", &[Role::Reader], 360_000);
    let list = "/con?restype=container&comp=list";
    assert_eq!(send(&mut client, &token, "GET", list, &[], b"").status, 200);
    authority.advance(Duration::from_secs(360_000));
    let expired = "Lifetime validation failed. The token is expired.";
    assert_eq!(detail(&send(&mut client, &token, "GET", list, &[], b"")), expired);
}

#[test]
fn tokens_go_over_tls_and_to_versions_that_know_them() {
    let authority = Authority::builder().start().unwrap();
    let token = format!("Bearer {}", authority.token("oid", &[Role::Owner], 60));
    let plain = Server::builder().threads(1).authority(&authority).start().unwrap();
    let mut client = Client::dial(plain.addr(), None);
    let reply = client.send("GET", "?comp=list", &[("Authorization", &token), VERSION], b"");
    assert_eq!(reply.verdict(), (403, "AuthenticationFailed"));
    assert!(reply.text().contains("Authentication scheme Bearer is not allowed with HTTP."));
    let server = start(&authority);
    let mut client = connect(&server);
    for version in [vec![], vec![("x-ms-version", "2017-07-29")]] {
        let mut headers = vec![("Authorization", token.as_str())];
        headers.extend(version);
        let reply = client.send("GET", "?comp=list", &headers, b"");
        assert_eq!(reply.verdict(), (403, "AuthenticationFailed"));
        assert!(reply.text().contains("Authentication scheme Bearer is not supported in this version."));
    }
    let first = [("Authorization", token.as_str()), ("x-ms-version", "2017-11-09")];
    assert_eq!(client.send("GET", "?comp=list", &first, b"").status, 200);
    let without = Server::builder().threads(1).tls(Tls::SelfSigned).start().unwrap();
    let reply = connect(&without).send("GET", "?comp=list", &[("Authorization", &token), VERSION], b"");
    assert_eq!(detail(&reply), "This server knows no authority and accepts no tokens.");
}

#[test]
fn roles_allow_what_they_are_for() {
    let authority = Authority::builder().start().unwrap();
    let server = start(&authority);
    let mut client = connect(&server);
    let tokens: Vec<String> =
        [vec![], vec![Role::Delegator], vec![Role::Reader], vec![Role::Contributor], vec![Role::Owner]]
            .iter()
            .enumerate()
            .map(|(i, roles)| authority.token(&format!("oid-{i}"), roles, 600))
            .collect();
    let owner = &tokens[4];
    assert_eq!(send(&mut client, owner, "PUT", "/con/x", &[BLOB], b"1").status, 201);
    let tags: &[u8] = b"<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tags>";
    // From which token on it is allowed.
    for (least, method, path, headers, body) in [
        (2, "GET", "?comp=list", vec![], &b""[..]),
        (2, "GET", "/con?restype=container&comp=list", vec![], b""),
        (2, "GET", "/con?restype=container", vec![], b""),
        (2, "GET", "/con/x", vec![], b""),
        (2, "HEAD", "/con/x", vec![], b""),
        (3, "PUT", "/con/x", vec![BLOB], b"2"),
        (4, "PUT", "/con/x", vec![BLOB, ("x-ms-tags", "a=b")], b"3"),
        (3, "PUT", "/con/x?comp=metadata", vec![("x-ms-meta-a", "b")], b""),
        (3, "PUT", "/con/x?comp=tier", vec![("x-ms-access-tier", "Cool")], b""),
        (4, "PUT", "/con/x?comp=tags", vec![], tags),
        (4, "GET", "/con/x?comp=tags", vec![], b""),
        (3, "PUT", "/new?restype=container", vec![], b""),
        (5, "GET", "?restype=service&comp=properties", vec![], b""),
    ] {
        for (i, token) in tokens.iter().enumerate() {
            let reply = send(&mut client, token, method, path, &headers, body);
            let refused = reply.verdict() == (403, "AuthorizationPermissionMismatch");
            assert_eq!(refused, i < least, "{method} {path} as number {i}: {:?}", reply.verdict());
            assert!(refused || reply.status < 300 || reply.code() == "ContainerAlreadyExists");
        }
    }
    // Roles are judged when they are used.
    let reader = &tokens[2];
    assert_eq!(send(&mut client, reader, "DELETE", "/con/x", &[], b"").status, 403);
    authority.assign("oid-2", &[Role::Reader, Role::Contributor]);
    assert_eq!(send(&mut client, reader, "DELETE", "/con/x", &[], b"").status, 202);
}

#[test]
fn parts_of_a_batch_bring_their_own_tokens() {
    let authority = Authority::builder().start().unwrap();
    let server = start(&authority);
    let mut client = connect(&server);
    let owner = authority.token("owner", &[Role::Owner], 600);
    let reader = authority.token("reader", &[Role::Reader], 600);
    for name in ["a", "b", "c"] {
        assert_eq!(send(&mut client, &owner, "PUT", &format!("/con/{name}"), &[BLOB], b"1").status, 201);
    }
    let part = |name: &str, credential: &str| {
        format!(
            "--bound\r\nContent-Type: application/http\r\n\r\nDELETE /{ACCOUNT}/con/{name} HTTP/1.1\r\n{credential}\r\n"
        )
    };
    let body = [
        part("a", &format!("Authorization: Bearer {owner}\r\n")),
        part("b", &format!("Authorization: Bearer {reader}\r\n")),
        part("c", ""),
        "--bound--\r\n".to_owned(),
    ]
    .concat();
    let kind = ("Content-Type", "multipart/mixed; boundary=bound");
    let reply = send(&mut client, &owner, "POST", "?comp=batch", &[kind], body.as_bytes());
    assert_eq!(reply.status, 202);
    let statuses: Vec<String> =
        reply.text().split("HTTP/1.1 ").skip(1).map(|part| part[..3].to_owned()).collect();
    assert_eq!(statuses, ["202", "403", "401"]);
}

#[test]
fn whoever_comes_without_a_token_learns_the_tenant() {
    let authority = Authority::builder().tenant("my-tenant").start().unwrap();
    let server = start(&authority);
    let reply = connect(&server).send("GET", "/con/x", &[VERSION], b"");
    assert_eq!(reply.verdict(), (401, "NoAuthenticationInformation"));
    assert!(reply.header("www-authenticate").contains("/my-tenant/oauth2/authorize "));
}
