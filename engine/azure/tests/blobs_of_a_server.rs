//! The operations against a server that checks signatures, checksums and conditions with code of its own.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use azsim::{DEVSTORE_KEY, Server, Tls};
use azuring_azure::{
    AccessTier, AccountKey, BlobClient, BlobEntry, BlobFacts, BlobProperties, BlobType, BlobUrl, Body,
    Course, Cpk, Crc64, Credential, DEVSTORE_ACCOUNT, Delete, DeleteSnapshots, Encryption, Get, ListInclude,
    ListItem, ListPage, ListRequest, RequestError, Secret, SetTier, Target, Told, Wanted, Which, crc64_of,
};
use azuring_link::{HttpChoice, LinkSettings, Links, Payload, Reply, TlsSetup};
use bytes::Bytes;

/// Runs `exchanges` with a client for a fresh container of a fresh server: once with the account's key, once with a
/// SAS.
fn with_each_credential(exchanges: impl AsyncFn(&Server, &BlobClient)) {
    for with_sas in [false, true] {
        let server = Server::builder().threads(1).versioning(false).start().unwrap();
        run(&server, with_sas, None, &exchanges);
    }
}

fn run(
    server: &Server,
    with_sas: bool,
    encryption: Option<&Encryption>,
    exchanges: impl AsyncFn(&Server, &BlobClient),
) {
    server.create_container(DEVSTORE_ACCOUNT, "cont");
    let url = BlobUrl::parse(&format!("{}/cont", server.url(DEVSTORE_ACCOUNT))).unwrap();
    let credential = if with_sas {
        let sas = server.account_sas(DEVSTORE_ACCOUNT, "rwdxylact", Duration::from_secs(600));
        let url = BlobUrl::parse(&format!("{url}?{sas}")).unwrap();
        Credential::Sas(url.sas().unwrap().clone())
    } else {
        Credential::SharedKey(Box::new(
            AccountKey::new(DEVSTORE_ACCOUNT, &Secret::new(DEVSTORE_KEY)).unwrap(),
        ))
    };
    let properties = BlobProperties::default()
        .content_language(Some("de".to_owned()))
        .metadata(vec![pair("job", "1"), pair("who", "job")]);
    let mut target = Target::new(url, credential, &properties).unwrap();
    if let Some(encryption) = encryption {
        target = target.with_encryption(encryption).unwrap();
    }
    let tls = server.ca_pem().map(|pem| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("blobs_of_a_server.pem");
        std::fs::write(&file, pem).unwrap();
        TlsSetup::new(Some(&file)).unwrap()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (http, stall) = (HttpChoice::Auto, Duration::from_secs(30));
        let settings = LinkSettings::default().http(http).stall(stall).tls(tls);
        let links = Links::new(target.url().endpoint(), settings);
        exchanges(server, &BlobClient::new(Rc::new(target), links)).await;
    });
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn bytes(text: &'static str) -> Payload {
    Payload::from(Bytes::from_static(text.as_bytes()))
}

async fn body(mut reply: Reply) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(piece) = reply.next().await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    whole
}

fn entries(page: ListPage) -> Vec<BlobEntry> {
    page.items
        .into_iter()
        .map(|item| match item {
            ListItem::Entry(blob) => *blob,
            ListItem::Prefix(name) => panic!("{name} is no blob"),
        })
        .collect()
}

fn code(error: RequestError) -> String {
    error.service().unwrap_or_else(|| panic!("{error}")).code.clone()
}

#[test]
fn a_blob_is_read_as_it_was_written() {
    with_each_credential(async |_, client| {
        let written = Body {
            content_type: Some("text/plain"),
            content_md5: Some([7; 16]),
            metadata: &[pair("who", "blob"), pair("is_symlink", "true")],
            if_none_match_any: true,
            ..Body::default()
        };
        client.put_block("a%20b", "AAAA", bytes("hello world"), Body::default()).await.unwrap();
        client.put_block_list("a%20b", ["AAAA".to_owned()].into_iter(), written, true).await.unwrap();
        let other = Body { if_none_match_any: true, ..Body::default() };
        let again = client.put_blob("a%20b", bytes("other"), other).await.unwrap_err();
        assert!(again.already_exists(), "{again}");

        let facts = client.head_blob("a%20b", Which::default()).await.unwrap();
        assert_eq!((facts.len, facts.blob_type, &facts.tier), (11, BlobType::Block, &Some(AccessTier::Hot)));
        assert_eq!(facts.content_md5, Some([7; 16]));
        assert_eq!(facts.metadata("WHO"), Some("blob"));
        assert_eq!(facts.metadata("job"), Some("1"));
        assert!(facts.is_symlink() && !facts.hdi_isfolder());
        let content = facts.content.as_ref().unwrap();
        assert_eq!(content.content_type.as_deref(), Some("text/plain"));
        assert_eq!(content.language.as_deref(), Some("de"));

        let etag = facts.etag.as_deref();
        let get = Get { range: Some((6, 99)), if_match: etag, range_crc64: true, ..Get::default() };
        let reply = client.get_blob("a%20b", &get).await.unwrap();
        let of_reply = BlobFacts::of_reply(&reply, &Wanted::ALL, &["who"]).unwrap();
        assert_eq!((of_reply.len, &of_reply.etag), (11, &facts.etag));
        assert_eq!(of_reply.content_md5, Some([7; 16]));
        assert_eq!(of_reply.last_modified, facts.last_modified);
        assert_eq!(of_reply.metadata, [pair("who", "blob")]);
        assert_eq!(crc64_of(&reply), Some(Crc64::of(&bytes("world"))));
        assert_eq!(body(reply).await, b"world");

        let other = Get { if_match: Some("0x1"), ..Get::default() };
        let Err(changed) = client.get_blob("a%20b", &other).await else { panic!("another ETag was taken") };
        assert!(changed.service().unwrap().precondition_failed());
        let not_its_md5 = client.put_blob("m", bytes("other"), written).await.unwrap_err();
        assert!(not_its_md5.is_integrity(), "{not_its_md5}");
        let missing = client.head_blob("none", Which::default()).await.unwrap_err();
        assert!(missing.not_found(), "{missing}");
    });
}

#[test]
fn large_answers_come_over_http_1_where_small_ones_share_an_http_2_link() {
    let large = Get { range: Some((0, (1 << 20) - 1)), ..Get::default() };
    let small = Get { range: Some((0, (64 << 10) - 1)), ..Get::default() };
    let page = |max_results| ListRequest { max_results, ..ListRequest::default() };
    // The second link is the one of HTTP/1.1.
    let links = |client: &BlobClient| client.links().stats().opened;
    let server = Server::builder().threads(1).tls(Tls::SelfSigned).start().unwrap();
    run(&server, false, None, async |_, client| {
        client.put_blob("a", Payload::from(Bytes::from(vec![7; 1 << 20])), Body::default()).await.unwrap();
    });
    run(&server, false, None, async |_, client| {
        client.list_blobs(&page(Some(2)), &mut Course::default()).await.unwrap();
        assert_eq!(body(client.get_blob("a", &small).await.unwrap()).await.len(), 64 << 10);
        assert_eq!(links(client), 1);
        assert_eq!(body(client.get_blob("a", &large).await.unwrap()).await.len(), 1 << 20);
        assert_eq!(links(client), 2);
    });
    run(&server, false, None, async |_, client| {
        client.list_blobs(&page(Some(2)), &mut Course::default()).await.unwrap();
        client.list_blobs(&page(None), &mut Course::default()).await.unwrap();
        assert_eq!(links(client), 2);
    });
}

#[test]
fn a_listing_is_complete_and_in_order() {
    with_each_credential(async |_, client| {
        let names = ["a%01b", "a%26%3C%0D%C3%A4", "d/1", "d/2", "e"];
        for name in names {
            client.put_blob(name, bytes("x"), Body::default()).await.unwrap();
        }
        client.put_block("u", "AAAA", bytes("x"), Body::default()).await.unwrap();
        client.set_tags("e", &[pair("k", "v w")], Which::default()).await.unwrap();
        let include = ListInclude { metadata: true, tags: true, uncommitted: true, ..Default::default() };
        let first = ListRequest { include, max_results: Some(2), wanted: Wanted::ALL, ..Default::default() };
        let (mut found, mut marker, mut pages) = (Vec::new(), None::<String>, 0);
        loop {
            let list = ListRequest { marker: marker.as_deref(), ..first };
            let mut page = client.list_blobs(&list, &mut Course::default()).await.unwrap();
            pages += 1;
            marker = page.next.take();
            found.extend(entries(page));
            if marker.is_none() {
                break;
            }
        }
        assert_eq!(pages, 3);
        let listed: Vec<&str> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(listed, ["a\u{1}b", "a&<\rä", "d/1", "d/2", "e", "u"]);
        assert_eq!(found[4].tags, [pair("k", "v w")]);
        let (of_list, of_head) = (&found[4].facts, client.head_blob("e", Which::default()).await.unwrap());
        assert_eq!(of_list.metadata, [pair("job", "1"), pair("who", "job")]);
        assert_eq!((&of_list.etag, of_list.last_modified), (&of_head.etag, of_head.last_modified));
        assert_eq!((of_list.created, &of_list.content), (of_head.created, &of_head.content));
        assert_eq!(found[5].facts.len, 0);

        let list = ListRequest { prefix: "", delimiter: true, ..Default::default() };
        let page = client.list_blobs(&list, &mut Course::default()).await.unwrap();
        let prefixes: Vec<usize> =
            (0..page.items.len()).filter(|&at| page.items[at] == ListItem::Prefix("d/".to_owned())).collect();
        assert_eq!((page.items.len(), prefixes), (4, vec![2]));
        let list = ListRequest { prefix: "a&<", ..Default::default() };
        let below = entries(client.list_blobs(&list, &mut Course::default()).await.unwrap());
        assert_eq!(below.len(), 1);
        let list = ListRequest { marker: Some("no marker"), ..Default::default() };
        assert_eq!(
            code(client.list_blobs(&list, &mut Course::default()).await.unwrap_err()),
            "InvalidQueryParameterValue"
        );
    });
}

#[test]
fn batches_answer_for_each_name() {
    with_each_credential(async |server, client| {
        for name in ["a%20b", "c%2Bd", "keep"] {
            client.put_blob(name, bytes("x"), Body::default()).await.unwrap();
        }
        let cool = SetTier { tier: "Cool", priority: None, which: Which::default() };
        let answers = client.set_tier_batch(&[("none", cool), ("keep", cool)]).await.unwrap();
        assert!(answers[0].as_ref().unwrap_err().not_found());
        assert_eq!(answers[1], Ok(()));
        let keep = client.head_blob("keep", Which::default()).await.unwrap();
        assert_eq!(keep.tier, Some(AccessTier::Cool));

        let delete = Delete::default();
        let names = [("a%20b", delete), ("none", delete), ("c%2Bd", delete)];
        let answers = client.delete_batch(&names).await.unwrap();
        let told: Vec<Option<&str>> =
            answers.iter().map(|answer| answer.as_ref().err().map(|e| e.code.as_str())).collect();
        assert_eq!(told, [None, Some("BlobNotFound"), None]);
        let left: Vec<String> =
            server.blobs(DEVSTORE_ACCOUNT, "cont").into_iter().map(|blob| blob.name).collect();
        assert_eq!(left, ["keep"]);

        let smuggled = "x HTTP/1.1\r\nx: y\r\n\r\n";
        let refused = client.delete_batch(&[(smuggled, delete)]).await.unwrap_err();
        assert!(matches!(refused, RequestError::Name(_)), "{refused}");
        assert_eq!(client.delete_batch(&[]).await.unwrap(), []);
        let many = vec![("none", delete); azuring_azure::MAX_BATCH];
        assert_eq!(client.delete_batch(&many).await.unwrap().len(), azuring_azure::MAX_BATCH);
        let too_many = vec![("none", delete); azuring_azure::MAX_BATCH + 1];
        let refused = client.delete_batch(&too_many).await.unwrap_err();
        assert_eq!(code(refused), "ExceedsMaxBatchRequestCount");
    });
}

#[test]
fn a_blob_in_the_archive_is_not_read() {
    with_each_credential(async |server, client| {
        client.put_blob("a", bytes("x"), Body::default()).await.unwrap();
        let mut tier = SetTier { tier: "Archive", priority: None, which: Which::default() };
        client.set_tier("a", &tier).await.unwrap();
        let Err(error) = client.get_blob("a", &Get::default()).await else { panic!("it was read") };
        assert_eq!(code(error), "BlobArchived");
        (tier.tier, tier.priority) = ("Hot", Some(azuring_azure::RehydratePriority::High));
        client.set_tier("a", &tier).await.unwrap();
        let state = client.head_blob("a", Which::default()).await.unwrap().state.unwrap();
        assert_eq!(state.archive_status.as_deref(), Some("rehydrate-pending-to-hot"));
        assert_eq!(state.rehydrate_priority.as_deref(), Some("High"));
        assert_eq!(server.complete_rehydration(DEVSTORE_ACCOUNT, "cont"), 1);
        assert_eq!(body(client.get_blob("a", &Get::default()).await.unwrap()).await, b"x");
    });
}

#[test]
fn metadata_and_tags_are_replaced() {
    with_each_credential(async |_, client| {
        client.put_blob("a", bytes("x"), Body::default()).await.unwrap();
        client.set_metadata("a", &[pair("new", "2")]).await.unwrap();
        let facts = client.head_blob("a", Which::default()).await.unwrap();
        assert_eq!(facts.metadata, [pair("new", "2")]);
        let refused = client.set_metadata("a", &[pair("a-b", "2")]).await.unwrap_err();
        assert!(matches!(refused, RequestError::Property(_)), "{refused}");
        assert_eq!(client.get_tags("a", Which::default()).await.unwrap(), []);
        let tags = [pair("k:1", "a/b=c"), pair("other", "")];
        client.set_tags("a", &tags, Which::default()).await.unwrap();
        assert_eq!(client.get_tags("a", Which::default()).await.unwrap(), tags);
        let state = client.head_blob("a", Which::default()).await.unwrap().state.unwrap();
        assert_eq!(state.tag_count, 2);
    });
}

#[test]
fn append_blobs_grow_at_their_end_only() {
    with_each_credential(async |server, client| {
        let text = Body { content_type: Some("text/x-log"), ..Body::default() };
        client.create_append_blob("log", text).await.unwrap();
        let body = |payload: &Payload| Body { crc64: Some(Crc64::of(payload)), ..Body::default() };
        let (one, two) = (bytes("one,"), bytes("two"));
        client.append_block("log", one.clone(), 0, body(&one)).await.unwrap();
        let repeated = client.append_block("log", one.clone(), 0, body(&one)).await.unwrap_err();
        assert_eq!(code(repeated), "AppendPositionConditionNotMet");
        let damaged = client.append_block("log", two.clone(), 4, body(&one)).await.unwrap_err();
        assert!(damaged.is_integrity(), "{damaged}");
        client.append_block("log", two.clone(), 4, body(&two)).await.unwrap();
        assert_eq!(server.content(DEVSTORE_ACCOUNT, "cont", "log").unwrap(), "one,two");
        let facts = client.head_blob("log", Which::default()).await.unwrap();
        assert_eq!((facts.blob_type, facts.len, &facts.tier), (BlobType::Append, 7, &None));
    });
}

#[test]
fn page_blobs_know_their_ranges() {
    with_each_credential(async |_, client| {
        client.create_page_blob("disk", 1 << 20, None, Body::default()).await.unwrap();
        let page = Payload::from(Bytes::from(vec![1u8; 1024]));
        let body = Body { crc64: Some(Crc64::of(&page)), ..Body::default() };
        client.put_page("disk", 512, page.clone(), body).await.unwrap();
        client.put_page("disk", 8192, page.clone(), body).await.unwrap();
        let found = client.get_page_ranges("disk", Which::default(), None, None).await.unwrap();
        assert_eq!((found.ranges, found.next), (vec![512..1536, 8192..9216], None));
        let found = client.get_page_ranges("disk", Which::default(), None, Some("2!8192")).await.unwrap();
        assert_eq!((found.ranges.len(), &found.ranges[0]), (1, &(8192..9216)));
        let crooked = client.put_page("disk", 7, page, body).await.unwrap_err();
        assert_eq!(code(crooked), "InvalidPageRange");
        let facts = client.head_blob("disk", Which::default()).await.unwrap();
        assert_eq!((facts.blob_type, facts.len), (BlobType::Page, 1 << 20));
    });
}

#[test]
fn versions_are_read_and_deleted_by_their_id() {
    let server = Server::builder().threads(1).versioning(true).start().unwrap();
    run(&server, false, None, async |_, client| {
        client.put_blob("a", bytes("old"), Body::default()).await.unwrap();
        client.put_blob("a", bytes("new!"), Body::default()).await.unwrap();
        let include = ListInclude { versions: true, ..Default::default() };
        let list = ListRequest { include, ..Default::default() };
        let found = entries(client.list_blobs(&list, &mut Course::default()).await.unwrap());
        let current: Vec<(u64, bool)> = found.iter().map(|e| (e.facts.len, e.is_current_version)).collect();
        assert_eq!(current, [(3, false), (4, true)]);
        let which = Which { version: found[0].facts.version_id.as_deref(), ..Default::default() };
        let reply = client.get_blob("a", &Get { which, ..Get::default() }).await.unwrap();
        assert_eq!(body(reply).await, b"old");
        client.delete_blob("a", &Delete { which, ..Delete::default() }).await.unwrap();
        assert_eq!(entries(client.list_blobs(&list, &mut Course::default()).await.unwrap()).len(), 1);
        let guarded = Delete { if_match: Some("0x1"), ..Delete::default() };
        let refused = client.delete_blob("a", &guarded).await.unwrap_err();
        assert!(refused.service().unwrap().precondition_failed());
        let with_all = Delete { snapshots: Some(DeleteSnapshots::Include), ..Delete::default() };
        client.delete_blob("a", &with_all).await.unwrap();
        assert!(client.head_blob("a", Which::default()).await.unwrap_err().not_found());
    });
}

#[test]
fn a_customers_key_goes_with_all_that_touches_the_data() {
    let key = |byte: u8| {
        use base64::Engine;
        Secret::new(base64::prelude::BASE64_STANDARD.encode([byte; 32]))
    };
    let server = Server::builder().threads(1).start().unwrap();
    let encryption = Encryption::Key(Cpk::new(key(7), None).unwrap());
    run(&server, true, Some(&encryption), async |_, client| {
        client.put_blob("a", bytes("secret"), Body::default()).await.unwrap();
        client.put_block("b", "AAAA", bytes("block"), Body::default()).await.unwrap();
        client.put_block_list("b", ["AAAA".to_owned()].into_iter(), Body::default(), false).await.unwrap();
        client.create_append_blob("c", Body::default()).await.unwrap();
        client.append_block("c", bytes("x"), 0, Body::default()).await.unwrap();
        client.set_metadata("a", &[pair("k", "v")]).await.unwrap();
        let state = client.head_blob("a", Which::default()).await.unwrap().state.unwrap();
        assert!(state.key_sha256.is_some());
        assert_eq!(body(client.get_blob("a", &Get::default()).await.unwrap()).await, b"secret");
    });
    run(&server, true, None, async |_, client| {
        let Err(error) = client.get_blob("a", &Get::default()).await else { panic!("read without its key") };
        assert_eq!(code(error), "BlobUsesCustomerSpecifiedEncryption");
        assert_eq!(
            client.list_blobs(&ListRequest::default(), &mut Course::default()).await.unwrap().items.len(),
            3
        );
        let delete = ("a", Delete::default());
        assert_eq!(client.delete_batch(&[delete]).await.unwrap(), [Ok(())]);
    });
    let scope = Encryption::Scope("finance".to_owned());
    run(&server, false, Some(&scope), async |_, client| {
        client.put_blob("s", bytes("x"), Body::default()).await.unwrap();
        let state = client.head_blob("s", Which::default()).await.unwrap().state.unwrap();
        assert_eq!(state.encryption_scope.as_deref(), Some("finance"));
    });
}
