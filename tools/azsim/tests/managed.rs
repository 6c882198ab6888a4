//! Managed identities: IMDS, App Service and Azure Arc, each held to its own protocol.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use azsim::{Authority, Behaviour, Endpoint, ManagedIdentity, Trouble};
use common::{Client, Reply};
use serde_json::Value;

const SYSTEM: &str = "11111111-1111-1111-1111-111111111111";
const USER: &str = "22222222-2222-2222-2222-222222222222";
const RESOURCE: &str = "resource=https%3A%2F%2Fstorage.azure.com";
const METADATA: (&str, &str) = ("Metadata", "true");

/// The client of a machine's endpoint, and the path of it.
fn client(endpoint: &str) -> (Client, String) {
    let (addr, path) = endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (Client::dial(addr.parse().unwrap(), None), format!("/{path}"))
}

fn imds(authority: &Authority) -> (Client, String) {
    client(&format!("{}/metadata/identity/oauth2/token", authority.imds_url()))
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn imds_speaks_for_the_identities_of_the_machine() {
    let authority = Authority::builder().start().unwrap();
    let (mut client, path) = imds(&authority);
    let mut get = |query: &str| {
        let target = format!("{path}?api-version=2018-02-01&{RESOURCE}{query}");
        client.raw("GET", &target, &[METADATA], b"").unwrap()
    };
    let none = get("");
    assert_eq!((none.status, body(&none)["error_description"].as_str()), (400, Some("Identity not found")));
    authority.register_identity(ManagedIdentity::user(USER, "/subscriptions/s/id").object_id("oid-of-user"));
    assert_eq!(body(&get(""))["client_id"], USER, "the only one needs no name");
    authority.register_identity(ManagedIdentity::system(SYSTEM));
    assert_eq!(body(&get(""))["client_id"], SYSTEM);
    for id in [
        "&client_id=22222222-2222-2222-2222-222222222222",
        "&object_id=oid-of-user",
        "&msi_res_id=%2Fsubscriptions%2Fs%2Fid",
    ] {
        let answer = body(&get(id));
        assert_eq!(answer["client_id"], USER, "{id}");
        // Numbers are strings here.
        let (on, in_s) = (answer["expires_on"].as_str().unwrap(), answer["expires_in"].as_str().unwrap());
        assert_eq!(in_s, "86399");
        assert!(on.parse::<u64>().unwrap() > authority.now_s() + 86_000);
        assert_eq!(answer["resource"], "https://storage.azure.com");
    }
    assert_eq!(get("&client_id=nobody").status, 400);
    authority.set_behaviour(Behaviour { numbers: true, lifetime_s: Some(60), ..Behaviour::default() });
    assert_eq!(body(&get(""))["expires_in"], 60);
    authority
        .set_behaviour(Behaviour { troubles: vec![Trouble::Unavailable(Some(3))], ..Behaviour::default() });
    let busy = get("");
    assert_eq!((busy.status, busy.header("retry-after")), (503, "3"));
    assert_eq!(authority.deviations(), Vec::<String>::new());
    assert!(authority.requests().iter().all(|r| r.endpoint == Endpoint::Imds));
}

#[test]
fn a_slow_answer_holds_up_nobody_else() {
    let authority = Authority::builder().start().unwrap();
    authority.register_identity(ManagedIdentity::system(SYSTEM));
    authority.set_behaviour(Behaviour { delay: Duration::from_secs(3600), ..Behaviour::default() });
    let mut slow = TcpStream::connect(authority.imds_url().strip_prefix("http://").unwrap()).unwrap();
    let head = "GET /metadata/identity/oauth2/token?api-version=2018-02-01";
    write!(slow, "{head}&{RESOURCE} HTTP/1.1\r\nHost: x\r\nMetadata: true\r\n\r\n").unwrap();
    while authority.requests().is_empty() {
        std::thread::yield_now();
    }
    authority.set_behaviour(Behaviour::default());
    let (mut client, path) = imds(&authority);
    let quick = client.raw("GET", &format!("{path}?api-version=2018-02-01&{RESOURCE}"), &[METADATA], b"");
    assert_eq!(quick.unwrap().status, 200);
    slow.set_nonblocking(true).unwrap();
    assert_eq!(slow.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn breaches_are_remembered() {
    let authority = Authority::builder().start().unwrap();
    authority.register_identity(ManagedIdentity::system(SYSTEM));
    let (mut client, path) = imds(&authority);
    let good = format!("api-version=2018-02-01&{RESOURCE}");
    let mut expected = Vec::new();
    for (method, query, headers, why) in [
        ("GET", good.clone(), vec![], "the header metadata is missing"),
        ("GET", good.clone(), vec![("Metadata", "yes")], "the header Metadata is not true"),
        (
            "GET",
            good.clone(),
            vec![METADATA, ("X-Forwarded-For", "10.0.0.1")],
            "the header x-forwarded-for does not belong here",
        ),
        ("GET", format!("{good}&scope=x"), vec![METADATA], "'scope' does not belong here"),
        ("GET", good.replace("2018", "2017"), vec![METADATA], "there is no api-version 2017-02-01"),
        ("GET", "api-version=2018-02-01".to_owned(), vec![METADATA], "'resource' is missing"),
        (
            "GET",
            format!("{good}&client_id=a&object_id=b"),
            vec![METADATA],
            "an identity is named in more than one way",
        ),
        ("POST", good.clone(), vec![METADATA], "the method is POST, not GET"),
    ] {
        let reply = client.raw(method, &format!("{path}?{query}"), &headers, b"").unwrap();
        assert_eq!(reply.status, 400, "{why}");
        expected.push(format!("{method} {path}: {why}"));
    }
    assert_eq!(authority.deviations(), expected);
    let odd =
        client.raw("GET", &format!("{path}?api-version=2018-02-01&resource=x"), &[METADATA], b"").unwrap();
    assert_eq!((odd.status, body(&odd)["error"].as_str()), (400, Some("invalid_resource")));
}

#[test]
fn app_service_asks_for_its_secret() {
    let authority = Authority::builder().start().unwrap();
    authority.register_identity(ManagedIdentity::system(SYSTEM));
    authority.register_identity(ManagedIdentity::user(USER, "/subscriptions/s/id"));
    let (mut client, path) = client(&authority.app_service_endpoint());
    let target = format!("{path}?api-version=2019-08-01&{RESOURCE}");
    let secret = ("X-IDENTITY-HEADER", authority.app_service_secret());
    let answer = body(&client.raw("GET", &target, &[secret], b"").unwrap());
    assert_eq!((answer["client_id"].as_str(), answer["token_type"].as_str()), (Some(SYSTEM), Some("Bearer")));
    assert!(answer["expires_on"].is_string() && answer.get("expires_in").is_none());
    let named = client.raw("GET", &format!("{target}&mi_res_id=%2Fsubscriptions%2Fs%2Fid"), &[secret], b"");
    assert_eq!(body(&named.unwrap())["client_id"], USER);
    assert_eq!(authority.deviations(), Vec::<String>::new());
    for headers in
        [vec![], vec![("X-IDENTITY-HEADER", "wrong")], vec![secret, ("X-Forwarded-For", "10.0.0.1")]]
    {
        assert_eq!(client.raw("GET", &target, &headers, b"").unwrap().status, 400);
    }
    assert_eq!(authority.deviations().len(), 3);
}

#[test]
fn arc_wants_its_key_file_read() {
    let keys = tempfile::tempdir().unwrap();
    let authority = Authority::builder().arc_keys(keys.path()).start().unwrap();
    authority.register_identity(ManagedIdentity::system(SYSTEM));
    let (mut client, path) = client(&authority.arc_endpoint());
    for version in ["2019-11-01", "2020-06-01"] {
        let target = format!("{path}?api-version={version}&{RESOURCE}");
        let challenge = client.raw("GET", &target, &[METADATA], b"").unwrap();
        assert_eq!(challenge.status, 401);
        let file = challenge.header("www-authenticate").strip_prefix("Basic realm=").unwrap().to_owned();
        assert!(file.starts_with(keys.path().to_str().unwrap()) && file.ends_with(".key"));
        let basic = format!("Basic {}", std::fs::read_to_string(&file).unwrap());
        let reply = client.raw("GET", &target, &[METADATA, ("Authorization", &basic)], b"").unwrap();
        assert_eq!((reply.status, body(&reply)["client_id"].as_str()), (200, Some(SYSTEM)));
        assert!(!std::path::Path::new(&file).exists());
        assert_eq!(authority.deviations(), Vec::<String>::new());
    }
    let target = format!("{path}?api-version=2020-06-01&{RESOURCE}");
    for (i, odd) in
        [("Authorization", "Basic made-up"), ("X-Forwarded-For", "10.0.0.1")].into_iter().enumerate()
    {
        let refused = client.raw("GET", &target, &[METADATA, odd], b"").unwrap();
        assert_eq!((refused.status, authority.deviations().len()), (400, i + 1));
    }
}
