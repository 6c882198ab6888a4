//! What comes when something between here and the service answers in its place: a real socket says what the case wants.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::rc::Rc;
use std::time::Duration;

use azuring_azure::{
    BlobClient, BlobProperties, BlobUrl, Body, Class, Course, Credential, Delete, Get, ListRequest,
    RequestError, Target, Which,
};
use azuring_link::{HttpChoice, LinkSettings, Links, Payload};

use hostile::{Answer, Hostile, Rule};

#[path = "../../../tests/src/hostile/mod.rs"]
mod hostile;

/// Runs `exchanges` with a client of this server.
fn with_client<T>(hostile: &Hostile, exchanges: impl AsyncFn(BlobClient) -> T) -> T {
    let url = BlobUrl::parse(&format!("{}/account/cont", hostile.url())).unwrap();
    let target = Target::new(url, Credential::Anonymous, &BlobProperties::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (http, stall) = (HttpChoice::Auto, Duration::from_secs(30));
        let links =
            Links::new(target.url().endpoint(), LinkSettings::default().http(http).stall(stall).tls(None));
        exchanges(BlobClient::new(Rc::new(target), links)).await
    })
}

/// Status and headers of an answer, and what it is an answer to.
type Case<'a> = (u16, &'a [(&'a str, &'a str)], Get<'a>);

/// What becomes of each of these answers: `None` when it is taken, or its reason and class.
fn outcomes(cases: &[Case<'_>]) -> Vec<Option<(String, Class)>> {
    let answer = |(status, headers, _): &Case<'_>| {
        let answer = Answer::of_service(*status).body("ok");
        headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    };
    let rules = cases.iter().map(|case| Rule::on("GET", "").times(1).answer(answer(case)));
    with_client(&Hostile::start(rules.collect()), async |client| {
        let mut outcomes = Vec::new();
        for (_, _, get) in cases {
            outcomes.push(match client.get_blob("blob", get).await {
                Ok(reply) => {
                    assert_eq!(reply.collect(2).await.unwrap().body, "ok");
                    None
                }
                Err(error) => {
                    let class = error.class();
                    let RequestError::Answer { reason, .. } = error else { panic!("{error}") };
                    Some((reason, class))
                }
            });
        }
        outcomes
    })
}

fn wrong(reason: &str, class: Class) -> Option<(String, Class)> {
    Some((reason.to_owned(), class))
}

#[test]
fn another_range_than_was_asked_for_is_not_taken() {
    let whole = Get::default();
    let from = |first, last| Get { range: Some((first, last)), ..whole };
    let cases = [
        (206, &[("content-range", "bytes 4-5/100")][..], from(4, 5), None),
        (206, &[("content-range", "bytes 4-5/*")][..], from(4, 5), None),
        // The blob ends there.
        (206, &[("content-range", "bytes 4-5/6")][..], from(4, 99), None),
        (
            206,
            &[("content-range", "bytes 4-5/7")][..],
            from(4, 99),
            wrong("its range is `bytes 4-5/7` instead of 4-99", Class::Retry),
        ),
        (
            206,
            &[("content-range", "bytes 4-5/*")][..],
            from(4, 99),
            wrong("its range is `bytes 4-5/*` instead of 4-99", Class::Retry),
        ),
        (
            206,
            &[("content-range", "bytes 2-3/100")][..],
            from(4, 5),
            wrong("its range is `bytes 2-3/100` instead of 4-5", Class::Retry),
        ),
        (
            206,
            &[("content-range", "bytes 4-6/100")][..],
            from(4, 5),
            wrong("its range is `bytes 4-6/100` instead of 4-5", Class::Retry),
        ),
        (206, &[][..], from(4, 5), wrong("its range is `` instead of 4-5", Class::Retry)),
        (
            206,
            &[("content-range", "bytes 0-1/2")][..],
            whole,
            wrong("it is a range, and the whole blob was asked for", Class::Retry),
        ),
        (200, &[][..], whole, None),
        (200, &[][..], from(0, 99), None),
        (200, &[][..], from(4, 5), wrong("it is not the range 4-5 but the whole blob", Class::Skip)),
    ];
    let asked: Vec<_> = cases.iter().map(|(status, headers, get, _)| (*status, *headers, *get)).collect();
    for ((status, headers, _, want), got) in cases.iter().zip(outcomes(&asked)) {
        assert_eq!(&got, want, "{status} {headers:?}");
    }
}

#[test]
fn another_state_of_the_blob_than_was_asked_for_is_not_taken() {
    let get = |etag| Get { if_match: Some(etag), ..Get::default() };
    let cases = [
        (200, &[("etag", "\"0x1\"")][..], get("0x1"), None),
        (200, &[("etag", "\"0x1\"")][..], get("\"0x1\""), None),
        (200, &[("etag", "W/\"0x1\"")][..], get("0x1"), None),
        (200, &[("etag", "\"0x2\"")][..], get("*"), None),
        (200, &[("etag", "\"0x2\"")][..], Get::default(), None),
        (200, &[][..], get("0x1"), None),
        (
            200,
            &[("etag", "\"0x2\"")][..],
            get("0x1"),
            wrong("its ETag is `0x2` instead of `0x1`", Class::Retry),
        ),
    ];
    let asked: Vec<_> = cases.iter().map(|(status, headers, get, _)| (*status, *headers, *get)).collect();
    for ((status, headers, _, want), got) in cases.iter().zip(outcomes(&asked)) {
        assert_eq!(&got, want, "{status} {headers:?}");
    }
}

/// Each operation once, and what it makes of its answer.
async fn each_operation(client: &BlobClient) -> Vec<(&'static str, Result<(), RequestError>)> {
    let (body, one) = (Body::default(), || Payload::from(bytes::Bytes::from_static(b"x")));
    let ids = || ["QQ==".to_owned()].into_iter();
    let tier = azuring_azure::SetTier { tier: "Cool", priority: None, which: Which::default() };
    vec![
        ("Put Blob", client.put_blob("b", one(), body).await.map(drop)),
        ("Put Block", client.put_block("b", "QQ==", one(), body).await),
        ("Put Block List", client.put_block_list("b", ids(), body, false).await.map(drop)),
        ("Put Blob", client.create_append_blob("b", body).await.map(drop)),
        ("Append Block", client.append_block("b", one(), 0, body).await.map(drop)),
        ("Put Blob", client.create_page_blob("b", 512, None, body).await.map(drop)),
        ("Put Page", client.put_page("b", 0, one(), body).await.map(drop)),
        ("Set Blob Tier", client.set_tier("b", &tier).await),
        ("Set Blob Metadata", client.set_metadata("b", &[]).await),
        ("Set Blob Properties", client.set_properties("b", body).await.map(drop)),
        ("Set Blob Tags", client.set_tags("b", &[], Which::default()).await),
        ("Get Blob Tags", client.get_tags("b", Which::default()).await.map(drop)),
        ("Delete Blob", client.delete_blob("b", &Delete::default()).await),
        ("Blob Batch", client.delete_batch(&[("b", Delete::default())]).await.map(drop)),
        ("Create Container", client.create_container("").await),
        ("Get Blob", client.get_blob("b", &Get::default()).await.map(drop)),
        ("Get Blob Properties", client.head_blob("b", Which::default()).await.map(drop)),
        ("Get Block List", client.get_block_list("b").await.map(drop)),
        ("Get Page Ranges", client.get_page_ranges("b", Which::default(), None, None).await.map(drop)),
        ("List Blobs", client.list_blobs(&ListRequest::default(), &mut Course::default()).await.map(drop)),
        (
            "Get User Delegation Key",
            client
                .user_delegation_key(std::time::SystemTime::now(), std::time::SystemTime::now())
                .await
                .map(drop),
        ),
    ]
}

fn not_storage(hostile: &Hostile) -> Vec<(&'static str, Option<RequestError>)> {
    with_client(hostile, async |client| {
        let mut told = Vec::new();
        for (name, result) in each_operation(&client).await {
            told.push((name, result.err()));
        }
        told
    })
}

#[test]
fn what_is_not_the_service_succeeds_in_nothing() {
    let page = "\n<html>\u{1b}[2J<title>Hotel</title>\n<form>";
    let request_id = || Answer::status(200).header("x-ms-request-id", "1");
    let version = || Answer::status(200).header("x-ms-version", "2025-07-05");
    for status in [200, 201, 202, 204, 206, 302, 304] {
        for answer in [Answer::status(200), request_id(), version()] {
            let bodyless = matches!(status, 204 | 304);
            let answer = answer.with_status(status).body(if bodyless { "" } else { page });
            let hostile = Hostile::start(vec![Rule::on("", "").answer(answer)]);
            for (name, error) in not_storage(&hostile) {
                let Some(RequestError::NotStorage(told)) = &error else {
                    panic!("{status} {name}: {error:?}")
                };
                assert_eq!((told.operation, told.status, told.of_service), (name, status, false));
                let nothing = bodyless || name == "Get Blob Properties";
                assert_eq!(told.first_line, if nothing { "" } else { "<html>[2J<title>Hotel</title>" });
                assert!(error.as_ref().is_some_and(RequestError::maybe_done));
            }
        }
    }
    let portal = Answer::status(302).header("location", "http://login.test/?sig=secret").body("moved");
    let hostile = Hostile::start(vec![Rule::on("", "").answer(portal)]);
    let told = not_storage(&hostile).swap_remove(0).1.unwrap().to_string();
    assert_eq!(
        told,
        format!(
            "this is not Azure Storage: the answer of {}/account/cont/b to Put Blob is 302 without x-ms-request-id and \
             x-ms-version, leads to http://login.test/ and begins with `moved`",
            hostile.url()
        )
    );
}

#[test]
fn a_status_that_the_operation_does_not_have_is_no_success() {
    // Documented for none of them, and for some.
    for (status, have_it) in [
        (203, &[][..]),
        (206, &["Get Blob"]),
        (204, &["Set Blob Tags"]),
        (202, &["Set Blob Tier", "Delete Blob", "Blob Batch"]),
        (201, &["Put Blob", "Put Block", "Put Block List", "Append Block", "Put Page", "Create Container"]),
    ] {
        let hostile = Hostile::start(vec![Rule::on("", "").answer(Answer::of_service(status))]);
        for (name, error) in not_storage(&hostile) {
            let refused = matches!(&error, Some(RequestError::NotStorage(told)) if told.of_service);
            assert_eq!(refused, !have_it.contains(&name), "{status} {name}: {error:?}");
        }
    }
}
