//! Credentials: what is accepted, and the exact refusal of everything else.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{ACCOUNT, Client, escape, server, sign};

/// An account SAS with chosen fields; `signed` is what the signature covers in place of them.
fn account_sas(fields: &[(&str, &str)]) -> String {
    let get = |name: &str| fields.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v);
    let text: String = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"]
        .iter()
        .map(|n| format!("{}\n", get(n)))
        .collect();
    let signature = sign(&format!("{ACCOUNT}\n{text}"));
    let query: Vec<String> = fields.iter().map(|(n, v)| format!("{n}={}", escape(v))).collect();
    format!("{}&sig={}", query.join("&"), escape(&signature))
}

fn service_sas(resource: &str, kind: &str, permissions: &str, version: &str) -> String {
    let ses = if version >= "2020-12-06" { "\n" } else { "" };
    let text = format!(
        "{permissions}\n\n2999-01-01T00:00:00Z\n/blob/{ACCOUNT}/{resource}\n\n\n\n{version}\n{kind}\n{ses}\n\n\n\n\n"
    );
    let signature = sign(&text);
    format!("sv={version}&sr={kind}&sp={permissions}&se=2999-01-01T00%3A00%3A00Z&sig={}", escape(&signature))
}

#[test]
fn an_account_sas_is_held_to_its_fields() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let good =
        [("sv", "2025-07-05"), ("ss", "b"), ("srt", "sco"), ("sp", "rwdlac"), ("se", "2999-01-01T00:00:00Z")];
    let with = |name: &'static str, value: &'static str| {
        let mut fields: Vec<(&str, &str)> = good.iter().copied().filter(|(n, _)| *n != name).collect();
        fields.push((name, value));
        account_sas(&fields)
    };
    let tampered = account_sas(&good).replace("sp=rwdlac", "sp=rwdlacx");
    for (sas, expected) in [
        (account_sas(&good), (200, "")),
        (with("spr", "https,http"), (200, "")),
        (with("sip", "127.0.0.0-127.0.0.9"), (200, "")),
        (with("st", "2020-01-01"), (200, "")),
        (with("sv", "2018-11-09").replace("&sig", "&x=1&sig"), (403, "AuthenticationFailed")),
        (tampered, (403, "AuthenticationFailed")),
        (with("se", "2020-01-01T00:00:00Z"), (403, "AuthenticationFailed")),
        (with("st", "2998-01-01T00:00:00Z"), (403, "AuthenticationFailed")),
        (with("se", "tomorrow"), (403, "AuthenticationFailed")),
        (with("sp", "wdlac"), (403, "AuthorizationPermissionMismatch")),
        (with("srt", "sc"), (403, "AuthorizationResourceTypeMismatch")),
        (with("ss", "qf"), (403, "AuthorizationServiceMismatch")),
        (with("spr", "https"), (403, "AuthorizationProtocolMismatch")),
        (with("sip", "10.0.0.1"), (403, "AuthorizationSourceIPMismatch")),
        ("sig=x".to_owned(), (403, "AuthenticationFailed")),
    ] {
        client.sas = sas;
        assert_eq!(client.get("x").verdict(), expected, "{}", client.sas);
    }
}

#[test]
fn each_operation_asks_for_its_permission() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let mismatch = (403, "AuthorizationPermissionMismatch");
    let blob = ("x-ms-blob-type", "BlockBlob");
    for (permissions, method, path, headers, expected) in [
        ("r", "PUT", "/con/y", vec![blob], mismatch),
        ("c", "PUT", "/con/y", vec![blob], (201, "")),
        ("c", "PUT", "/con/x", vec![blob], (403, "UnauthorizedBlobOverwrite")),
        ("w", "PUT", "/con/x", vec![blob], (201, "")),
        ("w", "PUT", "/con/x", vec![blob, ("x-ms-tags", "a=b")], mismatch),
        ("wt", "PUT", "/con/x", vec![blob, ("x-ms-tags", "a=b")], (201, "")),
        ("c", "PUT", "/con/z?comp=block&blockid=QQ%3D%3D", vec![], mismatch),
        ("r", "GET", "/con?restype=container&comp=list", vec![], mismatch),
        ("l", "GET", "/con?restype=container&comp=list", vec![], (200, "")),
        ("l", "GET", "/con/x", vec![], mismatch),
        ("rwlac", "DELETE", "/con/x", vec![], mismatch),
        ("d", "DELETE", "/con/x", vec![], (202, "")),
        ("r", "PUT", "/new?restype=container", vec![], mismatch),
        ("c", "PUT", "/new?restype=container", vec![], (201, "")),
    ] {
        client.sas = server.account_sas(ACCOUNT, permissions, Duration::from_secs(3600));
        let body: &[u8] = if method == "PUT" && !path.contains("restype") { b"2" } else { b"" };
        let reply = client.send(method, path, &headers, body);
        assert_eq!(reply.verdict(), expected, "{permissions} {method} {path}");
    }
}

#[test]
fn a_service_sas_is_for_one_container_or_blob() {
    let server = server();
    server.create_container(ACCOUNT, "other");
    let mut client = Client::new(&server);
    client.put("a%20b", b"1");
    client.put("c", b"1");
    for version in ["2018-11-09", "2020-12-06", "2026-04-06"] {
        client.sas = service_sas("con/a b", "b", "r", version);
        assert_eq!(client.get("a%20b").status, 200, "{version}");
        assert_eq!(client.get("c").verdict(), (403, "AuthenticationFailed"));
        assert_eq!(client.put("a%20b", b"2").verdict(), (403, "AuthorizationPermissionMismatch"));
        client.sas = service_sas("con", "c", "rl", version);
        assert_eq!(client.get("c").status, 200);
        assert_eq!(client.send("GET", "/con?restype=container&comp=list", &[], b"").status, 200);
        let other = client.send("GET", "/other?restype=container&comp=list", &[], b"");
        assert_eq!(other.verdict(), (403, "AuthenticationFailed"));
        let delete = client.send("DELETE", "/con?restype=container", &[], b"");
        assert_eq!(delete.verdict(), (403, "AuthorizationPermissionMismatch"));
    }
    client.sas = service_sas("con", "c", "lr", "2025-07-05");
    assert_eq!(client.get("c").verdict(), (403, "AuthenticationFailed"), "permissions out of order");
}

#[test]
fn shared_key_signs_the_request_and_its_time() {
    let server = server();
    let mut client = Client::new(&server);
    client.sas = String::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let send = |client: &mut Client, date: &str, extra: &str| {
        let text = format!(
            "PUT\n\n\n3\n\ntext/plain\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\nx-ms-date:{date}\nx-ms-version:2025-11-05\n\
             /{ACCOUNT}/{ACCOUNT}/con/a%20b"
        );
        let authorization = format!("SharedKey {ACCOUNT}:{}{extra}", sign(&text));
        let headers = [
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-date", date),
            ("x-ms-version", "2025-11-05"),
            ("Content-Type", "text/plain"),
            ("Authorization", &authorization),
        ];
        let reply = client.send("PUT", "/con/a%20b", &headers, b"abc");
        (reply.status, reply.code().to_owned())
    };
    let date = |seconds: u64| {
        let command = std::process::Command::new("date")
            .args(["-u", "-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S GMT"])
            .env("LC_ALL", "C")
            .output();
        String::from_utf8(command.unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!(send(&mut client, &date(now), ""), (201, String::new()));
    assert_eq!(send(&mut client, &date(now - 800), ""), (201, String::new()));
    let failed = (403, "AuthenticationFailed".to_owned());
    assert_eq!(send(&mut client, &date(now - 1000), ""), failed);
    assert_eq!(send(&mut client, &date(now + 1000), ""), failed);
    assert_eq!(send(&mut client, "yesterday", ""), (400, "InvalidHeaderValue".to_owned()));
    assert_eq!(send(&mut client, &date(now), "!"), (400, "InvalidAuthenticationInfo".to_owned()));
    let wrong = [("Authorization", "SharedKey devstoreaccount1:AAAA"), ("x-ms-version", "2025-11-05")];
    let date = date(now);
    let reply = client.send("GET", "/con/x", &[wrong[0], wrong[1], ("x-ms-date", &date)], b"");
    assert_eq!(reply.verdict(), (403, "AuthenticationFailed"));
    assert!(reply.text().contains("Server used following string to sign: 'GET\\n"), "{}", reply.text());
    let scheme = client.send("GET", "/con/x", &[("Authorization", "Basic x")], b"");
    assert_eq!(scheme.verdict(), (400, "InvalidAuthenticationInfo"));
}

#[test]
fn without_credentials_there_is_a_challenge_or_public_access() {
    let server = server();
    let mut client = Client::new(&server);
    for access in ["blob", "container"] {
        let path = format!("/{access}?restype=container");
        assert_eq!(client.send("PUT", &path, &[("x-ms-blob-public-access", access)], b"").status, 201);
        let put = client.send("PUT", &format!("/{access}/x"), &[("x-ms-blob-type", "BlockBlob")], b"1");
        assert_eq!(put.status, 201);
    }
    client.put("x", b"1");
    client.sas = String::new();
    let challenge = (401, "NoAuthenticationInformation");
    let list = "?restype=container&comp=list";
    for (method, path, expected) in [
        ("GET", "/con/x".to_owned(), challenge),
        ("GET", "/nocon/x".to_owned(), challenge),
        ("GET", "/blob/x".to_owned(), (200, "")),
        ("GET", format!("/blob{list}"), challenge),
        ("GET", format!("/container{list}"), (200, "")),
        ("DELETE", "/container/x".to_owned(), challenge),
        ("PUT", "/container/y".to_owned(), challenge),
    ] {
        let reply = client.send(method, &path, &[], b"");
        assert_eq!(reply.verdict(), expected, "{method} {path}");
        assert_eq!(
            reply.header("www-authenticate").starts_with("Bearer authorization_uri="),
            expected.0 == 401
        );
    }
}

#[test]
fn versions_outside_the_span_are_refused() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    for (version, status) in [("2025-11-05", 200), ("2026-10-06", 200), ("2099-01-01", 400), ("soon", 400)] {
        let reply = client.send("GET", "/con/x", &[("x-ms-version", version)], b"");
        assert_eq!(reply.status, status, "{version}");
        assert_eq!(reply.code(), if status == 400 { "InvalidHeaderValue" } else { "" });
    }
}

#[test]
fn a_sas_is_made_in_the_services_order_of_permissions() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let version = "2025-07-05";
    client.sas = service_sas("con", "c", "racwdxyltfmeopi", version);
    assert_eq!(client.get("x").status, 200);
    let find = "/con?restype=container&comp=blobs&where=a%3D%27b%27";
    assert_eq!(client.send("GET", find, &[], b"").status, 200);
    client.sas = service_sas("con", "c", "racwdxylftmeopi", version);
    assert_eq!(client.get("x").verdict(), (403, "AuthenticationFailed"));
    client.sas = service_sas("con", "c", "rlt", version);
    assert_eq!(client.send("GET", find, &[], b"").verdict(), (403, "AuthorizationPermissionMismatch"));
}

#[test]
fn a_sas_sets_headers_of_get_and_head() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let text = format!(
        "r\n\n2999-01-01T00:00:00Z\n/blob/{ACCOUNT}/con/x\n\n\n\n2025-07-05\nb\n\n\nno-store\n\n\n\ntext/plain"
    );
    client.sas = format!(
        "sv=2025-07-05&sr=b&sp=r&se=2999-01-01T00%3A00%3A00Z&rscc=no-store&rsct=text%2Fplain&sig={}",
        escape(&sign(&text))
    );
    for method in ["GET", "HEAD"] {
        let reply = client.send(method, "/con/x", &[], b"");
        assert_eq!(reply.status, 200, "{method} {}", reply.code());
        assert_eq!(
            (reply.header("cache-control"), reply.header("content-type")),
            ("no-store", "text/plain"),
            "{method}"
        );
    }
}

#[test]
fn a_sas_binds_its_encryption_scope() {
    let server = server();
    let mut client = Client::new(&server);
    let text =
        format!("cw\n\n2999-01-01T00:00:00Z\n/blob/{ACCOUNT}/con\n\n\n\n2025-07-05\nc\n\nmine\n\n\n\n\n");
    client.sas =
        format!("sv=2025-07-05&sr=c&sp=cw&se=2999-01-01T00%3A00%3A00Z&ses=mine&sig={}", escape(&sign(&text)));
    let put = client.put("x", b"1");
    assert_eq!((put.status, put.header("x-ms-encryption-scope")), (201, "mine"), "{}", put.text());
    let other = [("x-ms-blob-type", "BlockBlob"), ("x-ms-encryption-scope", "other")];
    assert_eq!(client.send("PUT", "/con/x", &other, b"1").verdict(), (403, "AuthorizationFailure"));
}
