//! Copies that read their source from another account, over the network and through its own authorisation.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::{
    Authority, BlobInfo, DEVSTORE_KEY, Fault, Faults, NameMatch, Operation, Role, Rule, Seed, Server,
    ServerBuilder, Tls,
};
use bytes::Bytes;
use common::{ACCOUNT, Client, Reply, crc64};

const OTHER: &str = "other";
const BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
/// The first version that tells what a source answered, and one before it.
const TELLS: (&str, &str) = ("x-ms-version", "2025-11-05");
const SILENT: (&str, &str) = ("x-ms-version", "2025-07-05");
const MD5_OF_HELLO: &str = "XUFAKrxLKna5cZ2REBfFkg==";

/// One thread, which reads from itself.
fn builder() -> ServerBuilder {
    Server::builder().threads(1).account(ACCOUNT, DEVSTORE_KEY).account(OTHER, DEVSTORE_KEY)
}

fn start(builder: ServerBuilder) -> Server {
    let server = builder.start().unwrap();
    assert!(server.create_container(ACCOUNT, "con") && server.create_container(OTHER, "src"));
    server
}

fn plant(server: &Server, name: &str, content: &[u8]) {
    let seed = Seed { name: name.to_owned(), content: vec![content.to_vec().into()], ..Seed::default() };
    server.plant(OTHER, "src", [seed]);
}

/// The URL of a source with a SAS of these permissions; with none, without.
fn source(server: &Server, name: &str, permissions: &str) -> String {
    let url = format!("{}/src/{name}", server.url(OTHER));
    match permissions {
        "" => url,
        _ => format!("{url}?{}", server.account_sas(OTHER, permissions, Duration::from_secs(600))),
    }
}

fn copy(client: &mut Client, name: &str, source: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![BLOB, ("x-ms-copy-source", source)];
    all.extend(headers);
    client.send("PUT", &format!("/con/{name}"), &all, b"")
}

fn copy_block(client: &mut Client, id: &str, source: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("x-ms-copy-source", source)];
    all.extend(headers);
    client.send("PUT", &format!("/con/x?comp=block&blockid={}", common::escape(id)), &all, b"")
}

fn blob(server: &Server, account: &str, container: &str, name: &str) -> BlobInfo {
    server.blobs(account, container).into_iter().find(|blob| blob.name == name).unwrap()
}

/// What the answer tells of the source's, in headers and in XML alike.
fn told(reply: &Reply) -> (String, String) {
    let told = (
        reply.header("x-ms-copy-source-status-code").to_owned(),
        reply.header("x-ms-copy-source-error-code").to_owned(),
    );
    let in_xml = |name: &str| reply.elements(name).pop().unwrap_or_default();
    assert_eq!(told, (in_xml("CopySourceStatusCode"), in_xml("CopySourceErrorCode")), "{reply:?}");
    assert_eq!(told.0.is_empty(), in_xml("CopySourceErrorMessage").is_empty(), "{reply:?}");
    told
}

#[test]
fn a_blob_comes_with_all_that_its_source_has() {
    let server = start(builder());
    let mut client = Client::new(&server);
    let seed = Seed {
        name: "dir/a b".into(),
        content: vec![Bytes::from_static(b"hel"), Bytes::from_static(b"lo")],
        content_type: "text/plain".into(),
        content_encoding: "gzip".into(),
        content_language: "de".into(),
        content_disposition: "inline".into(),
        cache_control: "no-store".into(),
        content_md5: Some([7; 16]),
        metadata: vec![("MixedCase".into(), "v 1".into()), ("b".into(), "2".into())],
        tags: vec![("t".into(), "1".into())],
        tier: "Cool".into(),
        ..Seed::default()
    };
    server.plant(OTHER, "src", [seed]);
    let url = source(&server, "dir/a%20b", "r");
    let put = copy(&mut client, "x", &url, &[TELLS]);
    assert_eq!(put.verdict(), (201, ""));
    // What the service computed, not what the source says of itself.
    assert_eq!(put.header("content-md5"), MD5_OF_HELLO);
    let (new, old) = (blob(&server, ACCOUNT, "con", "x"), blob(&server, OTHER, "src", "dir/a b"));
    assert_eq!(put.header("etag"), new.etag);
    assert_eq!(server.content(ACCOUNT, "con", "x").unwrap(), "hello");
    let mut same = old;
    (same.name, same.etag) = (new.name.clone(), new.etag.clone());
    // Neither of them without being asked for.
    (same.tags, same.tier, same.tier_inferred) = (Vec::new(), "Hot".into(), true);
    assert_eq!(new, same);

    let stats = server.stats();
    assert_eq!(stats.by_operation[&Operation::PutBlobFromUrl], 1);
    assert_eq!(stats.of_services.into_iter().collect::<Vec<_>>(), [(Operation::GetBlob, 1)]);
    assert_eq!((stats.bytes_in, stats.bytes_fetched), (0, 5));
    // The second uses the connection of the first.
    assert_eq!(copy(&mut client, "y", &url, &[]).status, 201);
    assert_eq!(server.stats().connections, 2);
}

#[test]
fn what_the_request_says_goes_before_the_source() {
    let server = start(builder());
    let mut client = Client::new(&server);
    let seed = Seed {
        name: "x".into(),
        content: vec![Bytes::from_static(b"hello")],
        content_type: "text/plain".into(),
        cache_control: "no-store".into(),
        content_md5: Some([7; 16]),
        metadata: vec![("a".into(), "1".into())],
        ..Seed::default()
    };
    server.plant(OTHER, "src", [seed]);
    let url = source(&server, "x", "r");
    let headers = [
        ("x-ms-blob-content-type", "c/d"),
        ("x-ms-blob-content-md5", MD5_OF_HELLO),
        ("x-ms-meta-other", "2"),
        ("x-ms-tags", "k=v"),
        ("x-ms-access-tier", "Cold"),
    ];
    assert_eq!(copy(&mut client, "x", &url, &headers).status, 201);
    let new = blob(&server, ACCOUNT, "con", "x");
    assert_eq!((&*new.content_type, &*new.cache_control, &*new.tier), ("c/d", "no-store", "Cold"));
    assert_eq!(new.content_md5_text, MD5_OF_HELLO);
    assert_eq!(new.metadata, [("other".to_owned(), "2".to_owned())]);
    assert_eq!(new.tags, [("k".to_owned(), "v".to_owned())]);

    let without = [("x-ms-copy-source-blob-properties", "False")];
    assert_eq!(copy(&mut client, "y", &url, &without).status, 201);
    let new = blob(&server, ACCOUNT, "con", "y");
    assert_eq!((&*new.content_type, &*new.cache_control), ("application/octet-stream", ""));
    assert_eq!((&*new.content_md5_text, new.metadata.len()), ("", 1));
}

#[test]
fn tags_come_when_they_are_asked_for() {
    let server = start(builder());
    let mut client = Client::new(&server);
    let tags = vec![("k".to_owned(), "v".to_owned())];
    let seed = Seed { name: "x".into(), tags: tags.clone(), ..Seed::default() };
    server.plant(OTHER, "src", [seed]);
    const COPY: (&str, &str) = ("x-ms-copy-source-tag-option", "COPY");
    let url = source(&server, "x", "rt");
    assert_eq!(copy(&mut client, "x", &url, &[COPY]).status, 201);
    assert_eq!(blob(&server, ACCOUNT, "con", "x").tags, tags);
    assert_eq!(server.stats().of_services[&Operation::GetBlobTags], 1);

    let refused = copy(&mut client, "y", &source(&server, "x", "r"), &[COPY, TELLS]);
    assert_eq!(refused.verdict(), (403, "CannotVerifyCopySource"));
    assert_eq!(told(&refused), ("403".into(), "AuthorizationPermissionMismatch".into()));
    let both = copy(&mut client, "y", &url, &[COPY, ("x-ms-tags", "a=b")]);
    assert_eq!(both.verdict(), (400, "InvalidHeaderValue"));
    let early = copy(&mut client, "y", &url, &[COPY, ("x-ms-version", "2020-12-06")]);
    assert_eq!(early.verdict(), (400, "UnsupportedHeader"));
    assert_eq!(server.blobs(ACCOUNT, "con").len(), 1);
}

#[test]
fn blocks_are_ranges_of_the_source() {
    let server = start(builder());
    let mut client = Client::new(&server);
    let content: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 % 253) as u8).collect();
    plant(&server, "x", &content);
    let url = source(&server, "x", "r");
    let first = copy_block(&mut client, "MDE=", &url, &[("x-ms-source-range", "bytes=0-1999999")]);
    assert_eq!(first.verdict(), (201, ""));
    assert_eq!(first.header("x-ms-content-crc64"), crc64(&content[..2_000_000]));
    let sum = crc64(&content[2_000_000..]);
    let rest = [("x-ms-source-range", "bytes=2000000-2999999"), ("x-ms-source-content-crc64", &*sum)];
    assert_eq!(copy_block(&mut client, "MDI=", &url, &rest).verdict(), (201, ""));
    assert_eq!(client.commit("x", &[("Latest", "01"), ("Latest", "02")]).status, 201);
    assert!(server.content(ACCOUNT, "con", "x").unwrap() == content);
    assert_eq!(server.stats().by_operation[&Operation::PutBlockFromUrl], 2);
    assert_eq!(server.stats().bytes_fetched, 3_000_000);

    for (headers, expected) in [
        (vec![("x-ms-source-range", "bytes=2000000-3000000")], (416, "InvalidRange")),
        (vec![("x-ms-source-range", "bytes=3000000-3000001")], (416, "InvalidRange")),
        (vec![("x-ms-source-range", "bytes=5-4")], (400, "InvalidHeaderValue")),
        (vec![("x-ms-source-content-crc64", "AAAAAAAAAAA=")], (400, "Crc64Mismatch")),
        (vec![("x-ms-source-content-md5", MD5_OF_HELLO)], (400, "Md5Mismatch")),
        (vec![("If-Match", "*")], (400, "ConditionHeadersNotSupported")),
    ] {
        assert_eq!(copy_block(&mut client, "MDM=", &url, &headers).verdict(), expected, "{headers:?}");
    }
    // Nothing of those is kept.
    assert_eq!(client.commit("x", &[("Latest", "03")]).verdict(), (400, "InvalidBlockList"));
}

#[test]
fn a_source_that_has_changed_is_not_copied() {
    let server = start(builder());
    let mut client = Client::new(&server);
    client.put("x", b"old");
    plant(&server, "x", b"hello");
    let (url, etag) = (source(&server, "x", "r"), blob(&server, OTHER, "src", "x").etag);
    let sum = crc64(b"hello");
    assert_eq!(copy(&mut client, "y", &url, &[("x-ms-source-if-match", &etag)]).status, 201);
    plant(&server, "x", b"other");
    let block = [("x-ms-source-if-match", &*etag), ("x-ms-source-content-crc64", &*sum)];
    let changed = copy_block(&mut client, "MDE=", &url, &[&block[..], &[TELLS]].concat());
    assert_eq!(changed.verdict(), (412, "SourceConditionNotMet"));
    assert_eq!(told(&changed), ("412".into(), "ConditionNotMet".into()));
    let etag = blob(&server, OTHER, "src", "x").etag;
    for header in [
        ("x-ms-source-if-match", "\"0x1\""),
        ("x-ms-source-if-none-match", &etag),
        ("x-ms-source-if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("x-ms-source-if-modified-since", "Sun, 06 Nov 2095 08:49:37 GMT"),
    ] {
        let reply = copy(&mut client, "x", &url, &[header]);
        assert_eq!(reply.verdict(), (412, "SourceConditionNotMet"), "{header:?}");
        assert_eq!(told(&reply), (String::new(), String::new()));
    }
    assert_eq!(server.content(ACCOUNT, "con", "x").unwrap(), "old");
}

#[test]
fn what_a_source_refuses_is_told_with_its_own_code() {
    let server = start(builder());
    let mut client = Client::new(&server);
    client.put("x", b"old");
    let before = server.blobs(ACCOUNT, "con");
    for name in ["x", "busy", "broken"] {
        plant(&server, name, b"hello");
    }
    let archived = Seed { name: "archived".into(), tier: "Archive".into(), ..Seed::default() };
    server.plant(OTHER, "src", [archived]);
    let rule = |name: &str, status: u16, code: &str| Rule {
        name: NameMatch::Exact(name.into()),
        operation: Some(Operation::GetBlob),
        fault: Fault::error(status, code),
        skip: 0,
        count: u64::MAX,
    };
    let rules = vec![rule("busy", 503, "ServerBusy"), rule("broken", 500, "InternalError")];
    server.set_faults(Faults { rules, ..Faults::default() });
    let unverified = "CannotVerifyCopySource";
    for (name, permissions, outer, inner, message) in [
        ("x", "", (401, unverified), ("401", "NoAuthenticationInformation"), "Server failed to authenticate"),
        (
            "x",
            "w",
            (403, unverified),
            ("403", "AuthorizationPermissionMismatch"),
            "This request is not authorized to perform this operation using this permission.",
        ),
        ("missing", "r", (404, unverified), ("404", "BlobNotFound"), "The specified blob does not exist."),
        (
            "archived",
            "r",
            (409, unverified),
            ("409", "BlobArchived"),
            "The copy source blob has been modified.",
        ),
        ("busy", "r", (503, "ServerBusy"), ("503", "ServerBusy"), ""),
        ("broken", "r", (500, "InternalError"), ("500", "InternalError"), ""),
    ] {
        let url = source(&server, name, permissions);
        for (version, inner) in [(TELLS, inner), (SILENT, ("", ""))] {
            let whole = copy(&mut client, "x", &url, &[version]);
            let block = copy_block(&mut client, "MDE=", &url, &[version]);
            for reply in [whole, block] {
                assert_eq!(reply.verdict(), outer, "{name} {permissions}");
                assert_eq!(told(&reply), (inner.0.into(), inner.1.into()), "{name} {permissions}");
                assert!(reply.elements("Message")[0].starts_with(message), "{reply:?}");
            }
        }
    }
    assert_eq!(server.blobs(ACCOUNT, "con"), before);
    assert_eq!(
        client.send("GET", "/con/x?comp=blocklist&blocklisttype=all", &[], b"").elements("Name").len(),
        0
    );
}

#[test]
fn a_source_in_the_same_account_needs_its_own_credential() {
    let server = start(builder());
    let mut client = Client::new(&server);
    client.put("x", b"hello");
    let url = format!("{}/con/x", server.url(ACCOUNT));
    assert_eq!(copy(&mut client, "y", &url, &[]).verdict(), (401, "CannotVerifyCopySource"));
    let url = format!("{url}?{}", client.sas);
    assert_eq!(copy(&mut client, "y", &url, &[]).verdict(), (201, ""));
    // A public one needs none.
    let public = client.send("PUT", "/open?restype=container", &[("x-ms-blob-public-access", "blob")], b"");
    assert_eq!(public.status, 201);
    client.send("PUT", "/open/x", &[BLOB], b"public");
    let url = format!("{}/open/x", server.url(ACCOUNT));
    assert_eq!(copy(&mut client, "z", &url, &[]).verdict(), (201, ""));
    assert_eq!(server.content(ACCOUNT, "con", "z").unwrap(), "public");
}

#[test]
fn a_token_opens_the_source() {
    let authority = Authority::builder().start().unwrap();
    let server = start(builder().tls(Tls::SelfSigned).authority(&authority));
    let mut client = Client::tls(&server, &[b"http/1.1"]);
    plant(&server, "x", b"hello");
    let url = source(&server, "x", "");
    let bearer = |roles: &[Role]| format!("Bearer {}", authority.token("oid", roles, 60));
    let token = bearer(&[Role::Reader]);
    let header = [("x-ms-copy-source-authorization", &*token), TELLS];
    assert_eq!(copy(&mut client, "x", &url, &header).verdict(), (201, ""));
    assert_eq!(copy_block(&mut client, "MDE=", &url, &header).verdict(), (201, ""));

    let none = bearer(&[]);
    let reply = copy(&mut client, "y", &url, &[("x-ms-copy-source-authorization", &none), TELLS]);
    assert_eq!(reply.verdict(), (403, "CannotVerifyCopySource"));
    assert_eq!(told(&reply), ("403".into(), "AuthorizationPermissionMismatch".into()));
    let wrong = [("x-ms-copy-source-authorization", "Bearer x"), TELLS];
    let reply = copy(&mut client, "y", &url, &wrong);
    assert_eq!(reply.verdict(), (401, "CannotVerifyCopySource"));
    assert_eq!(told(&reply), ("401".into(), "InvalidAuthenticationInfo".into()));
    let early = [header[0], ("x-ms-version", "2020-08-04")];
    assert_eq!(copy(&mut client, "y", &url, &early).verdict(), (400, "UnsupportedHeader"));
}

#[test]
fn the_source_may_be_on_another_server() {
    // One of an earlier version, at that.
    let far = Server::builder().threads(1).tls(Tls::SelfSigned).account(OTHER, DEVSTORE_KEY);
    let far = far.newest_version(SILENT.1).start().unwrap();
    assert!(far.create_container(OTHER, "src"));
    plant(&far, "x", b"hello");
    let near = Server::builder().threads(1).trust(far.ca_pem().unwrap()).start().unwrap();
    assert!(near.create_container(ACCOUNT, "con"));
    let mut client = Client::new(&near);
    let url = source(&far, "x", "r");
    assert_eq!(copy(&mut client, "x", &url, &[TELLS]).verdict(), (201, ""));
    assert_eq!(near.content(ACCOUNT, "con", "x").unwrap(), "hello");
    assert_eq!((near.stats().of_services.len(), far.stats().of_services[&Operation::GetBlob]), (0, 1));
    // One that it does not trust, and one that is not there.
    let stranger = common::server();
    let mut client = Client::new(&stranger);
    let gone = format!("http://127.0.0.1:1/{OTHER}/src/x");
    for url in [&url, &gone] {
        let reply = copy(&mut client, "x", url, &[TELLS]);
        assert_eq!(reply.verdict(), (404, "CannotVerifyCopySource"), "{url}");
        assert_eq!(told(&reply), (String::new(), String::new()));
    }
}

#[test]
fn an_account_is_found_by_its_host() {
    let server = start(builder().tls(Tls::SelfSigned));
    let mut client = Client::tls(&server, &[b"http/1.1"]);
    plant(&server, "x", b"hello");
    let sas = server.account_sas(OTHER, "r", Duration::from_secs(600));
    let url = format!("https://{OTHER}.blob.core.windows.net/src/x?{sas}");
    assert_eq!(copy(&mut client, "x", &url, &[]).verdict(), (201, ""));
}

#[test]
fn a_copy_that_waits_for_its_source_stops_nobody() {
    let server = start(builder());
    let mut client = Client::new(&server);
    plant(&server, "held", b"hello");
    plant(&server, "x", b"1");
    let rule = Rule {
        name: NameMatch::Exact("held".into()),
        operation: Some(Operation::GetBlob),
        fault: Fault::Hold,
        skip: 0,
        count: u64::MAX,
    };
    server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let url = source(&server, "held", "r");
    let mut waiting = Client::new(&server);
    let copied = std::thread::spawn(move || copy(&mut waiting, "held", &url, &[]));
    while !server.stats().faults.contains_key("hold") {
        std::thread::yield_now();
    }
    for _ in 0..10 {
        assert_eq!(copy(&mut client, "x", &source(&server, "x", "r"), &[]).status, 201);
    }
    server.set_faults(Faults::default());
    assert_eq!(copied.join().unwrap().verdict(), (201, ""));
    assert_eq!(server.content(ACCOUNT, "con", "held").unwrap(), "hello");
}

#[test]
fn a_source_that_breaks_off_leaves_the_old_blob() {
    let server = start(builder().source_patience(Duration::from_secs(2)));
    let mut client = Client::new(&server);
    client.put("x", b"old");
    for name in ["reset", "cut", "silent"] {
        plant(&server, name, &vec![1; 1 << 20]);
    }
    let rule = |name: &str, fault| Rule {
        name: NameMatch::Exact(name.into()),
        operation: Some(Operation::GetBlob),
        fault,
        skip: 0,
        count: u64::MAX,
    };
    let rules = vec![rule("reset", Fault::Reset), rule("cut", Fault::CutBody), rule("silent", Fault::Stall)];
    server.set_faults(Faults { rules, ..Faults::default() });
    for (name, code) in
        [("reset", "InternalError"), ("cut", "InternalError"), ("silent", "OperationTimedOut")]
    {
        let reply = copy(&mut client, "x", &source(&server, name, "r"), &[TELLS]);
        assert_eq!(reply.verdict(), (500, code), "{name}");
        assert_eq!(told(&reply), (String::new(), String::new()));
    }
    assert_eq!(server.content(ACCOUNT, "con", "x").unwrap(), "old");
}

#[test]
fn append_and_page_blobs_take_parts_of_a_source() {
    let server = start(builder());
    let mut client = Client::new(&server);
    let content: Vec<u8> = (0..2048u32).map(|i| (i % 251) as u8).collect();
    plant(&server, "x", &content);
    let url = source(&server, "x", "r");
    let from = ("x-ms-copy-source", &*url);
    client.send("PUT", "/con/a", &[("x-ms-blob-type", "AppendBlob")], b"");
    for range in ["bytes=0-99", "bytes=100-199"] {
        let headers = [from, ("x-ms-source-range", range)];
        assert_eq!(client.send("PUT", "/con/a?comp=appendblock", &headers, b"").verdict(), (201, ""));
    }
    assert_eq!(server.content(ACCOUNT, "con", "a").unwrap(), content[..200]);
    let late = [from, ("x-ms-blob-condition-appendpos", "0")];
    assert_eq!(
        client.send("PUT", "/con/a?comp=appendblock", &late, b"").verdict(),
        (412, "AppendPositionConditionNotMet")
    );

    let page = [("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", "2048")];
    client.send("PUT", "/con/p", &page, b"");
    let update = |range: &'static str, of: &'static str| {
        [from, ("x-ms-page-write", "update"), ("x-ms-range", range), ("x-ms-source-range", of)]
    };
    let mut put = |headers: &[(&str, &str)]| {
        let reply = client.send("PUT", "/con/p?comp=page", headers, b"");
        (reply.status, reply.code().to_owned())
    };
    assert_eq!(put(&update("bytes=512-1023", "bytes=1024-1535")), (201, String::new()));
    assert_eq!(put(&update("bytes=512-1023", "bytes=0-1023")), (400, "InvalidHeaderValue".into()));
    assert_eq!(put(&update("bytes=0-511", "bytes=1800-2311")), (416, "InvalidRange".into()));
    assert_eq!(put(&update("bytes=0-511", "bytes=0-511")[..3]), (400, "MissingRequiredHeader".into()));
    let expected = [&[0; 512][..], &content[1024..1536], &[0; 1024]].concat();
    assert_eq!(server.content(ACCOUNT, "con", "p").unwrap(), expected);
    let stats = server.stats();
    assert_eq!(stats.by_operation[&Operation::AppendBlockFromUrl], 3);
    assert_eq!(stats.by_operation[&Operation::PutPageFromUrl], 4);
}

#[test]
fn a_destination_that_refuses_reads_no_source() {
    let server = start(builder());
    let mut client = Client::new(&server);
    plant(&server, "x", b"hello");
    client.put("x", b"old");
    let url = source(&server, "x", "r");
    let create = ("If-None-Match", "*");
    assert_eq!(copy(&mut client, "x", &url, &[create]).verdict(), (409, "BlobAlreadyExists"));
    let other = ("If-Match", "\"0x1\"");
    assert_eq!(copy(&mut client, "x", &url, &[other]).verdict(), (412, "ConditionNotMet"));
    client.sas = server.account_sas(ACCOUNT, "c", Duration::from_secs(600));
    assert_eq!(copy(&mut client, "x", &url, &[]).verdict(), (403, "UnauthorizedBlobOverwrite"));
    assert!(server.stats().of_services.is_empty());
    assert_eq!(copy(&mut client, "new", &url, &[create]).verdict(), (201, ""));
    assert_eq!(server.content(ACCOUNT, "con", "x").unwrap(), "old");
}

#[test]
fn what_is_no_source_is_refused() {
    let server = start(builder());
    let mut client = Client::new(&server);
    plant(&server, "x", b"hello");
    let url = source(&server, "x", "r");
    let long = format!("{url}&timeout={}", "1".repeat(2048));
    for bad in [&*long, "x", "/other/src/x", "ftp://127.0.0.1/x", "http://u:p@127.0.0.1/x", ""] {
        assert_eq!(copy(&mut client, "x", bad, &[]).verdict(), (400, "InvalidHeaderValue"), "{bad}");
    }
    let early = copy(&mut client, "x", &url, &[("x-ms-version", "2019-12-12")]);
    assert_eq!(early.verdict(), (400, "UnsupportedHeader"));
    let of_page = [("x-ms-blob-type", "PageBlob"), ("x-ms-copy-source", &*url)];
    assert_eq!(client.send("PUT", "/con/x", &of_page, b"").verdict(), (400, "InvalidHeaderValue"));
    let with_body = client.send("PUT", "/con/x", &[BLOB, ("x-ms-copy-source", &url)], b"1");
    assert_eq!(with_body.verdict(), (400, "InvalidHeaderValue"));
    let other = client.send("PUT", "/con/x?comp=metadata", &[("x-ms-copy-source", &url)], b"");
    assert_eq!(other.verdict(), (400, "UnsupportedHeader"));
    let key = [("x-ms-source-encryption-algorithm", "AES256"), TELLS];
    assert_eq!(copy(&mut client, "x", &url, &key).verdict(), (400, "UnsupportedHeader"));
    let nowhere = client.send("PUT", "/none/x", &[BLOB, ("x-ms-copy-source", &url)], b"");
    assert_eq!(nowhere.verdict(), (404, "ContainerNotFound"));
    assert_eq!((server.stats().bytes_fetched, server.blobs(ACCOUNT, "con").len()), (0, 0));
}

#[test]
fn a_source_under_a_customers_key_is_opened_with_it() {
    use base64::Engine as _;
    let server = start(builder());
    let mut client = Client::new(&server);
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let (key, sha) =
        (encode(&[7; 32]), encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &[7; 32]).as_ref()));
    let own = [
        BLOB,
        ("x-ms-encryption-key", &*key),
        ("x-ms-encryption-key-sha256", &sha),
        ("x-ms-encryption-algorithm", "AES256"),
    ];
    assert_eq!(client.send("PUT", "/con/locked", &own, b"hello").status, 201);
    let url = format!("{}/con/locked?{}", server.url(ACCOUNT), client.sas);
    let refused = copy(&mut client, "x", &url, &[TELLS]);
    assert_eq!(refused.verdict(), (409, "CannotVerifyCopySource"));
    assert_eq!(told(&refused), ("409".into(), "BlobUsesCustomerSpecifiedEncryption".into()));
    let with_key = [
        ("x-ms-version", "2026-04-06"),
        ("x-ms-source-encryption-key", &*key),
        ("x-ms-source-encryption-key-sha256", &sha),
        ("x-ms-source-encryption-algorithm", "AES256"),
    ];
    assert_eq!(copy(&mut client, "x", &url, &with_key).verdict(), (201, ""));
    assert_eq!(server.content(ACCOUNT, "con", "x").unwrap(), "hello");
}

#[test]
fn an_account_without_tiers_refuses_them() {
    let server = start(builder().premium_block_blobs(ACCOUNT));
    let mut client = Client::new(&server);
    let seed = Seed { name: "x".into(), tier: "Cool".into(), ..Seed::default() };
    server.plant(OTHER, "src", [seed]);
    let url = source(&server, "x", "r");
    let tiered = copy(&mut client, "x", &url, &[("x-ms-access-tier", "Cool")]);
    assert_eq!(tiered.verdict(), (400, "AccessTierNotSupportedForBlobType"));
    assert_eq!(copy(&mut client, "x", &url, &[]).verdict(), (201, ""));
    assert_eq!(client.send("HEAD", "/con/x", &[], b"").header("x-ms-access-tier"), "");
    let list = client.send("GET", "/con?restype=container&comp=list", &[], b"");
    assert_eq!(list.elements("AccessTier").len(), 0);
    let set = client.send("PUT", "/con/x?comp=tier", &[("x-ms-access-tier", "Cool")], b"");
    assert_eq!(set.verdict(), (400, "AccessTierNotSupportedForBlobType"));
    let page = [("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", "512")];
    assert_eq!(client.send("PUT", "/con/p", &page, b"").verdict(), (400, "BlobTypeNotSupported"));
    let info = client.send("GET", "/?restype=account&comp=properties", &[], b"");
    let kind = (info.header("x-ms-sku-name"), info.header("x-ms-account-kind"));
    assert_eq!(kind, ("Premium_LRS", "BlockBlobStorage"));
    // The other one has them.
    client.sas = server.account_sas(OTHER, "r", Duration::from_secs(600));
    let target = format!("/{OTHER}/src/x?{}", client.sas);
    assert_eq!(client.raw("HEAD", &target, &[], b"").unwrap().header("x-ms-access-tier"), "Cool");
    assert!(Server::builder().premium_block_blobs("nobody").start().is_err());
}

#[test]
fn an_answer_may_lie_about_checksums() {
    let server = start(builder());
    let mut client = Client::new(&server);
    plant(&server, "x", b"hello");
    let rule = Rule {
        name: NameMatch::Exact("x".into()),
        operation: None,
        fault: Fault::WrongChecksum,
        skip: 0,
        count: u64::MAX,
    };
    server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let url = source(&server, "x", "r");
    let put = copy(&mut client, "x", &url, &[]);
    assert_eq!((put.verdict(), put.header("content-md5")), ((201, ""), "AAAAAAAAAAAAAAAAAAAAAA=="));
    let block = copy_block(&mut client, "MDE=", &url, &[]);
    assert_eq!((block.verdict(), block.header("x-ms-content-crc64")), ((201, ""), "AAAAAAAAAAA="));
    // The bytes are right.
    assert_eq!(server.content(ACCOUNT, "con", "x").unwrap(), "hello");
    assert_eq!(server.stats().faults["wrong checksum"], 4);
}

#[test]
fn a_server_of_an_earlier_version_refuses_later_ones() {
    let server = start(builder().newest_version(SILENT.1));
    let mut client = Client::new(&server);
    plant(&server, "x", b"hello");
    let url = source(&server, "x", "r");
    let late = copy(&mut client, "x", &url, &[TELLS]);
    assert_eq!(late.verdict(), (400, "InvalidHeaderValue"));
    assert_eq!(late.elements("HeaderName"), ["x-ms-version"]);
    let put = copy(&mut client, "x", &url, &[SILENT]);
    assert_eq!((put.verdict(), put.header("x-ms-version")), ((201, ""), SILENT.1));
}
