//! Rules of the service that decide whether a client loses data: what it refuses, and what it keeps.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::{Seed, Server, ServerBuilder};
use common::{ACCOUNT, Client, Reply, crc64, escape, server};

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const APPEND: (&str, &str) = ("x-ms-blob-type", "AppendBlob");
const PAGE: (&str, &str) = ("x-ms-blob-type", "PageBlob");
const PAGES: (&str, &str) = ("x-ms-blob-content-length", "512");
const CREATE: &str = "/con?restype=container";
const LIST: &str = "/con?restype=container&comp=list";
const PAST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FUTURE: &str = "Sun, 06 Nov 2994 08:49:37 GMT";

fn start(set: impl FnOnce(ServerBuilder) -> ServerBuilder) -> (Server, Client) {
    let server = set(Server::builder().threads(1)).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    let mut client = Client::new(&server);
    client.sas = server.account_sas(ACCOUNT, "rwdxylactf", Duration::from_secs(600));
    (server, client)
}

fn put(client: &mut Client, name: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![BLOCK];
    all.extend(headers);
    client.send("PUT", &format!("/con/{name}"), &all, b"hello")
}

fn head(client: &mut Client, name: &str) -> Reply {
    client.send("HEAD", &format!("/con/{name}"), &[], b"")
}

#[test]
fn conditions_of_a_deletion_are_judged() {
    let (server, mut client) = start(|s| s);
    put(&mut client, "x", &[("x-ms-tags", "a=b")]);
    for (header, value) in [
        ("If-Match", "\"0x1\""),
        ("If-None-Match", "*"),
        ("If-Modified-Since", FUTURE),
        ("If-Unmodified-Since", PAST),
        ("x-ms-if-tags", "a = 'c'"),
        ("x-ms-access-tier-if-modified-since", FUTURE),
        ("x-ms-access-tier-if-unmodified-since", PAST),
    ] {
        let reply = client.send("DELETE", "/con/x", &[(header, value)], b"");
        assert_eq!(reply.verdict(), (412, "ConditionNotMet"), "{header}: {value}");
    }
    let both =
        [("x-ms-access-tier-if-modified-since", PAST), ("x-ms-access-tier-if-unmodified-since", FUTURE)];
    let reply = client.send("DELETE", "/con/x", &both, b"");
    assert_eq!(reply.verdict(), (400, "MultipleConditionHeadersNotSupported"));
    assert_eq!(server.blobs(ACCOUNT, "con").len(), 1);
    // Set now: after the past, before the future.
    client.send("PUT", "/con/x?comp=tier", &[("x-ms-access-tier", "Cool")], b"");
    let met = [both[0], ("x-ms-if-tags", "a = 'b'"), ("If-Unmodified-Since", FUTURE)];
    assert_eq!(client.send("DELETE", "/con/x", &met, b"").status, 202);
    // Elsewhere the tier's conditions are not known, and not ignored.
    put(&mut client, "x", &[]);
    assert_eq!(client.send("GET", "/con/x", &both[..1], b"").verdict(), (400, "UnsupportedHeader"));
    let reply = client.send("PUT", "/con/x?comp=block&blockid=MDE%3D", &[("If-Match", "*")], b"1");
    assert_eq!(reply.verdict(), (400, "ConditionHeadersNotSupported"));
}

#[test]
fn conditions_on_tags_hold_for_reads_and_writes() {
    let (server, mut client) = start(|s| s);
    put(&mut client, "x", &[("x-ms-tags", "state=done&n=5")]);
    let tags = b"<Tags><TagSet><Tag><Key>state</Key><Value>done</Value></Tag></TagSet></Tags>";
    for (method, path, header, body) in [
        ("GET", "/con/x", None, &b""[..]),
        ("HEAD", "/con/x", None, b""),
        ("GET", "/con/x?comp=tags", None, b""),
        ("GET", "/con/x?comp=blocklist", None, b""),
        ("PUT", "/con/x", Some(BLOCK), b"2"),
        ("PUT", "/con/x?comp=blocklist", None, b"<BlockList></BlockList>"),
        ("PUT", "/con/x?comp=metadata", None, b""),
        ("PUT", "/con/x?comp=properties", None, b""),
        ("PUT", "/con/x?comp=tier", Some(("x-ms-access-tier", "Cool")), b""),
        ("PUT", "/con/x?comp=tags", None, tags),
        ("PUT", "/con/x?comp=snapshot", None, b""),
        ("DELETE", "/con/x", Some(("x-ms-delete-snapshots", "include")), b""),
    ] {
        let mut send = |condition: &str| {
            let mut headers: Vec<_> = header.into_iter().collect();
            headers.push(("x-ms-if-tags", condition));
            client.send(method, path, &headers, body).status
        };
        assert_eq!(send("state = 'new' OR n > '5'"), 412, "{method} {path}");
        assert!(send("\"state\" = 'done' OR NOT n <> '5'") < 300, "{method} {path}");
        put(&mut client, "x", &[("x-ms-tags", "state=done&n=5")]);
    }
    let get = |client: &mut Client, condition: &str| {
        let reply = client.send("GET", "/con/x", &[("x-ms-if-tags", condition)], b"");
        (reply.status, reply.code().to_owned())
    };
    assert_eq!(get(&mut client, "state ="), (400, "InvalidHeaderValue".into()));
    client.sas = server.account_sas(ACCOUNT, "r", Duration::from_secs(60));
    assert_eq!(get(&mut client, "n = '5'"), (403, "AuthorizationPermissionMismatch".into()));
}

#[test]
fn blobs_are_found_by_their_tags() {
    let (server, mut client) = start(|s| s);
    assert!(server.create_container(ACCOUNT, "other"));
    for (name, tags) in [("c/b", "n=2&x=y"), ("c/a", "n=1"), ("none", ""), ("z", "n=9")] {
        put(&mut client, name, &[("x-ms-tags", tags)]);
    }
    client.send("PUT", "/other/o", &[BLOCK, ("x-ms-tags", "n=2")], b"1");
    let find = |client: &mut Client, path: &str, expression: &str, more: &str| {
        client.send("GET", &format!("{path}comp=blobs&where={}{more}", escape(expression)), &[], b"")
    };
    let all = find(&mut client, "/?", "n >= '1' AND n < '3'", "");
    assert_eq!(all.elements("Name"), ["c/a", "c/b", "o"]);
    assert_eq!(all.elements("ContainerName"), ["con", "con", "other"]);
    // Of the tags, those of the expression.
    assert_eq!(all.elements("Key"), ["n", "n", "n"]);
    assert_eq!(find(&mut client, "/?", "@container = 'other' AND n = '2'", "").elements("Name"), ["o"]);
    assert_eq!(
        find(&mut client, "/con?restype=container&", "n > '0'", "").elements("Name"),
        ["c/a", "c/b", "z"]
    );
    let (mut names, mut marker) = (Vec::new(), String::new());
    loop {
        let page = find(&mut client, "/?", "n > '0'", &format!("&maxresults=1&marker={}", escape(&marker)));
        names.extend(page.elements("Name"));
        marker = page.elements("NextMarker").pop().unwrap_or_default();
        if marker.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["c/a", "c/b", "z", "o"]);
    assert_eq!(find(&mut client, "/?", "n <> '1'", "").verdict(), (400, "InvalidQueryParameterValue"));
    assert_eq!(
        client.send("GET", "/?comp=blobs", &[], b"").verdict(),
        (400, "MissingRequiredQueryParameter")
    );
    client.sas = server.account_sas(ACCOUNT, "rlt", Duration::from_secs(60));
    assert_eq!(find(&mut client, "/?", "n = '1'", "").verdict(), (403, "AuthorizationPermissionMismatch"));
}

#[test]
fn any_md5_is_kept_as_it_is_written() {
    let (server, mut client) = start(|s| s);
    let list = b"<BlockList></BlockList>";
    for text in ["AAAA", "not base64!", "XUFAKrxLKna5cZ2REBfFkg=="] {
        let md5 = ("x-ms-blob-content-md5", text);
        put(&mut client, "x", &[]);
        assert_eq!(client.send("PUT", "/con/x?comp=properties", &[md5], b"").status, 200, "{text}");
        assert_eq!(client.get("x").header("content-md5"), text);
        assert_eq!(head(&mut client, "x").header("content-md5"), text);
        let range = client.send("GET", "/con/x", &[("x-ms-range", "bytes=0-1")], b"");
        assert_eq!((range.header("content-md5"), range.header("x-ms-blob-content-md5")), ("", text));
        assert_eq!(client.send("GET", LIST, &[], b"").elements("Content-MD5"), [text]);
        assert_eq!(server.blobs(ACCOUNT, "con")[0].content_md5_text, text);
        // Of blocks nobody knows the MD5 of the whole: it is what the client says.
        assert_eq!(client.send("PUT", "/con/x?comp=blocklist", &[md5], list).status, 201, "{text}");
        assert_eq!(head(&mut client, "x").header("content-md5"), text);
        // An append or page blob has no content yet that it could be compared with.
        for (name, headers) in [("a", vec![APPEND, md5]), ("p", vec![PAGE, PAGES, md5])] {
            assert_eq!(
                client.send("PUT", &format!("/con/{name}"), &headers, b"").status,
                201,
                "{name} {text}"
            );
            assert_eq!(head(&mut client, name).header("content-md5"), text);
        }
        client.send("DELETE", "/con/a", &[], b"");
        client.send("DELETE", "/con/p", &[], b"");
    }
    server.plant(
        ACCOUNT,
        "con",
        [Seed { name: "s".into(), content_md5_text: "eA==".into(), ..Seed::default() }],
    );
    assert_eq!(client.get("s").header("content-md5"), "eA==");
}

#[test]
fn no_md5_is_made_up_for_append_and_page_blobs() {
    let (_server, mut client) = start(|s| s.always_md5(true));
    client.send("PUT", "/con/a", &[APPEND], b"");
    client.send("PUT", "/con/p", &[PAGE, PAGES], b"");
    assert_eq!(head(&mut client, "a").header("content-md5"), "");
    assert_eq!(head(&mut client, "p").header("content-md5"), "");
    put(&mut client, "b", &[]);
    assert_eq!(head(&mut client, "b").header("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
}

#[test]
fn answers_have_the_crc64_and_the_md5_that_was_sent() {
    let (_server, mut client) = start(|s| s);
    let md5 = ("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg==");
    let blob = put(&mut client, "x", &[md5]);
    let block = client.send("PUT", "/con/y?comp=block&blockid=MDE%3D", &[md5], b"hello");
    client.send("PUT", "/con/a", &[APPEND], b"");
    let append = client.send("PUT", "/con/a?comp=appendblock", &[md5], b"hello");
    for reply in [blob, block, append] {
        assert_eq!(reply.header("content-md5"), md5.1);
        assert_eq!(reply.header("x-ms-content-crc64"), crc64(b"hello"));
    }
}

#[test]
fn a_blob_is_not_replaced_by_one_of_another_type() {
    let (server, mut client) = start(|s| s);
    let kinds = [("b", vec![BLOCK]), ("a", vec![APPEND]), ("p", vec![PAGE, PAGES])];
    for (name, headers) in &kinds {
        assert_eq!(client.send("PUT", &format!("/con/{name}"), headers, b"").status, 201, "{name}");
    }
    let before = server.blobs(ACCOUNT, "con");
    for (name, _) in &kinds {
        for (kind, headers) in &kinds {
            let reply = client.send("PUT", &format!("/con/{name}"), headers, b"");
            let expected = if name == kind { (201, "") } else { (409, "InvalidBlobType") };
            assert_eq!(reply.verdict(), expected, "{kind} over {name}");
        }
        let new = client.send("PUT", &format!("/con/{name}"), &[BLOCK, ("If-None-Match", "*")], b"");
        assert_eq!(new.verdict(), (409, "BlobAlreadyExists"), "{name}");
    }
    let types = |blobs: Vec<azsim::BlobInfo>| blobs.into_iter().map(|b| b.blob_type).collect::<Vec<_>>();
    assert_eq!(types(server.blobs(ACCOUNT, "con")), types(before));
}

#[test]
fn an_archived_blob_is_not_replaced() {
    let (_server, mut client) = start(|s| s);
    put(&mut client, "x", &[("x-ms-access-tier", "Archive")]);
    client.put_block("x", "01", b"2");
    assert_eq!(put(&mut client, "x", &[]).verdict(), (409, "BlobArchived"));
    assert_eq!(put(&mut client, "x", &[("x-ms-access-tier", "Hot")]).verdict(), (409, "BlobArchived"));
    assert_eq!(client.commit("x", &[("Latest", "01")]).verdict(), (409, "BlobArchived"));
    assert_eq!(client.send("DELETE", "/con/x", &[], b"").status, 202);
    assert_eq!(put(&mut client, "x", &[]).status, 201);
}

#[test]
fn a_tier_that_was_set_stays_until_another_is() {
    let (_server, mut client) = start(|s| s);
    let tier = |client: &mut Client| {
        let head = head(client, "x");
        let changed = head.header("x-ms-access-tier-change-time").to_owned();
        (
            head.header("x-ms-access-tier").to_owned(),
            head.header("x-ms-access-tier-inferred").to_owned(),
            changed,
        )
    };
    put(&mut client, "x", &[]);
    assert_eq!(tier(&mut client), ("Hot".into(), "true".into(), String::new()));
    put(&mut client, "x", &[("x-ms-access-tier", "Cool")]);
    let set = tier(&mut client);
    assert_eq!((&*set.0, &*set.1), ("Cool", ""));
    assert!(set.2.ends_with(" GMT"), "{}", set.2);
    put(&mut client, "x", &[]);
    assert_eq!(tier(&mut client), set);
    client.put_block("x", "01", b"2");
    client.commit("x", &[("Latest", "01")]);
    assert_eq!(tier(&mut client), set);
    put(&mut client, "x", &[("x-ms-access-tier", "Cold")]);
    assert_eq!(tier(&mut client).0, "Cold");
    // The default, when it is set, is no longer inferred.
    client.send("DELETE", "/con/x", &[], b"");
    put(&mut client, "x", &[]);
    client.send("PUT", "/con/x?comp=tier", &[("x-ms-access-tier", "Hot")], b"");
    let set = tier(&mut client);
    assert_eq!((&*set.0, &*set.1, set.2.is_empty()), ("Hot", "", false));
}

#[test]
fn snapshots_and_versions_are_not_written() {
    let (server, mut client) = start(|s| s.versioning(true));
    let version = put(&mut client, "x", &[]).header("x-ms-version-id").to_owned();
    let snapshot = client.send("PUT", "/con/x?comp=snapshot", &[], b"").header("x-ms-snapshot").to_owned();
    let before = server.blobs(ACCOUNT, "con");
    for which in [format!("snapshot={}", escape(&snapshot)), format!("versionid={}", escape(&version))] {
        for (path, headers) in [
            ("?", vec![BLOCK]),
            ("?comp=block&blockid=MDE%3D&", vec![]),
            ("?comp=blocklist&", vec![]),
            ("?comp=metadata&", vec![]),
            ("?comp=properties&", vec![]),
            ("?comp=snapshot&", vec![]),
            ("?comp=appendblock&", vec![]),
            ("?comp=page&", vec![]),
            ("?comp=lease&", vec![("x-ms-lease-action", "break")]),
        ] {
            let reply = client.send("PUT", &format!("/con/x{path}{which}"), &headers, b"<BlockList/>");
            assert_eq!(reply.verdict(), (400, "InvalidQueryParameterValue"), "{path}{which}");
        }
        assert_eq!(client.send("GET", &format!("/con/x?{which}"), &[], b"").status, 200);
    }
    assert_eq!(server.blobs(ACCOUNT, "con"), before);
}

#[test]
fn a_deletion_drops_uncommitted_blocks() {
    let (_server, mut client) = start(|s| s.soft_delete(7));
    put(&mut client, "x", &[]);
    client.put_block("x", "01", b"1");
    client.send("DELETE", "/con/x", &[], b"");
    let list = client.send("GET", "/con/x?comp=blocklist&blocklisttype=all", &[], b"");
    assert_eq!(list.verdict(), (404, "BlobNotFound"));
    assert_eq!(client.commit("x", &[("Latest", "01")]).verdict(), (400, "InvalidBlockList"));
}

#[test]
fn a_deleted_container_is_not_made_again_at_once() {
    let (server, mut client) = start(|s| s.container_deletion(Duration::from_secs(30)));
    assert_eq!(client.send("DELETE", CREATE, &[], b"").status, 202);
    assert_eq!(client.send("PUT", CREATE, &[], b"").verdict(), (409, "ContainerBeingDeleted"));
    assert_eq!(put(&mut client, "x", &[]).verdict(), (404, "ContainerNotFound"));
    server.advance(Duration::from_secs(30));
    assert_eq!(client.send("PUT", CREATE, &[], b"").status, 201);
    let (_server, mut client) = start(|s| s);
    client.send("DELETE", CREATE, &[], b"");
    assert_eq!(client.send("PUT", CREATE, &[], b"").status, 201);
    for method in ["PUT", "DELETE"] {
        let reply = client.send(method, "/$logs?restype=container", &[], b"");
        assert!(reply.status >= 400, "{method}");
    }
}

#[test]
fn what_was_deleted_softly_comes_back() {
    let (server, mut client) = start(|s| s.soft_delete(7));
    put(&mut client, "x", &[]);
    client.send("PUT", "/con/x?comp=snapshot", &[], b"");
    client.send("DELETE", "/con/x", &[("x-ms-delete-snapshots", "include")], b"");
    assert_eq!(client.get("x").status, 404);
    assert_eq!(client.send("PUT", "/con/x?comp=undelete", &[], b"").status, 200);
    assert_eq!(client.get("x").body, b"hello");
    assert_eq!(server.snapshots(ACCOUNT, "con"), [("x".to_owned(), 1)]);
    assert_eq!(server.deleted(ACCOUNT, "con"), []);
    assert_eq!(client.send("PUT", "/con/x?comp=undelete", &[], b"").status, 200);
    assert_eq!(client.send("PUT", "/con/y?comp=undelete", &[], b"").verdict(), (404, "BlobNotFound"));
}

#[test]
fn encryption_scopes_are_held_to() {
    let (_server, mut client) = start(|s| s.encryption_scope("one").encryption_scope("two"));
    let scope = |name| ("x-ms-encryption-scope", name);
    assert_eq!(put(&mut client, "x", &[scope("three")]).verdict(), (400, "InvalidHeaderValue"));
    assert_eq!(put(&mut client, "x", &[scope("one")]).header("x-ms-encryption-scope"), "one");
    let metadata = |client: &mut Client, headers: &[(&str, &str)]| {
        let reply = client.send("PUT", "/con/x?comp=metadata", headers, b"");
        (reply.status, reply.code().to_owned())
    };
    assert_eq!(
        metadata(&mut client, &[scope("two")]),
        (409, "BlobCustomerSpecifiedEncryptionMismatch".into())
    );
    assert_eq!(metadata(&mut client, &[scope("one")]).0, 200);

    let default = ("x-ms-default-encryption-scope", "two");
    let create = |client: &mut Client, name: &str, headers: &[(&str, &str)]| {
        client.send("PUT", &format!("/{name}?restype=container"), headers, b"").status
    };
    assert_eq!(create(&mut client, "alone", &[default]), 400);
    for (name, deny, over) in
        [("free", "false", (201, "")), ("held", "true", (403, "RequestForbiddenByContainerEncryptionPolicy"))]
    {
        assert_eq!(create(&mut client, name, &[default, ("x-ms-deny-encryption-scope-override", deny)]), 201);
        let about = client.send("HEAD", &format!("/{name}?restype=container"), &[], b"");
        assert_eq!(about.header("x-ms-default-encryption-scope"), "two");
        assert_eq!(about.header("x-ms-deny-encryption-scope-override"), deny);
        let path = format!("/{name}/x");
        let plain = client.send("PUT", &path, &[BLOCK], b"1");
        assert_eq!((plain.status, plain.header("x-ms-encryption-scope")), (201, "two"));
        assert_eq!(client.send("PUT", &path, &[BLOCK, scope("one")], b"1").verdict(), over, "{name}");
        let block = format!("{path}?comp=block&blockid=MDE%3D");
        assert_eq!(client.send("PUT", &block, &[scope("one")], b"1").verdict(), over, "{name}");
    }
}

#[test]
fn a_premium_account_takes_page_blobs_alone() {
    let (_server, mut client) = start(|s| s.premium_page_blobs(true));
    assert_eq!(put(&mut client, "x", &[]).verdict(), (400, "BlobTypeNotSupported"));
    assert_eq!(client.send("PUT", "/con/x", &[APPEND], b"").verdict(), (400, "BlobTypeNotSupported"));
    assert_eq!(client.put_block("x", "01", b"1").verdict(), (400, "BlobTypeNotSupported"));
    let tier = |name| ("x-ms-access-tier", name);
    assert_eq!(client.send("PUT", "/con/p", &[PAGE, PAGES], b"").status, 201);
    let shown = |client: &mut Client| {
        let head = head(client, "p");
        let list = client.send("GET", LIST, &[], b"");
        assert_eq!(list.elements("AccessTier"), [head.header("x-ms-access-tier")]);
        (head.header("x-ms-access-tier").to_owned(), head.header("x-ms-access-tier-inferred").to_owned())
    };
    assert_eq!(shown(&mut client), ("P10".into(), "true".into()));
    assert_eq!(client.send("PUT", "/con/p?comp=tier", &[tier("P20")], b"").status, 200);
    assert_eq!(shown(&mut client), ("P20".into(), String::new()));
    let lower = client.send("PUT", "/con/p?comp=tier", &[tier("P10")], b"");
    assert_eq!(lower.verdict(), (409, "CannotChangeToLowerTier"));
    let large = [PAGE, ("x-ms-blob-content-length", "68719476736"), tier("P4")];
    assert_eq!(
        client.send("PUT", "/con/q", &large, b"").verdict(),
        (409, "BlobTierInadequateForContentLength")
    );
    let about = client.send("HEAD", "/?restype=account&comp=properties", &[], b"");
    assert_eq!(about.header("x-ms-sku-name"), "Premium_LRS");
    // A standard account has no such tiers.
    let (_server, mut client) = start(|s| s);
    for (name, headers) in [("p", vec![PAGE, PAGES, tier("P10")]), ("x", vec![BLOCK, tier("P10")])] {
        let reply = client.send("PUT", &format!("/con/{name}"), &headers, b"");
        assert_eq!(reply.verdict(), (400, "AccessTierNotSupportedForBlobType"), "{name}");
    }
}

#[test]
fn every_answer_names_its_request_and_its_version() {
    let server = server();
    let mut client = Client::new(&server);
    put(&mut client, "x", &[]);
    let version = ("x-ms-version", "2023-01-03");
    for (path, headers, expected) in [
        ("/con/x", vec![version], "2023-01-03"),
        // Of the SAS, where no header says it.
        ("/con/x", vec![], "2025-07-05"),
        ("/con/missing", vec![], "2025-07-05"),
        ("/con/missing", vec![version], "2023-01-03"),
        ("/con/x?comp=nonsense", vec![], "2025-07-05"),
    ] {
        let reply = client.send("GET", path, &headers, b"");
        assert_eq!(reply.header("x-ms-version"), expected, "{path}");
        assert_eq!(reply.header("x-ms-request-id").len(), 36, "{path}");
    }
    for target in ["/nobody/con/x", "/"] {
        let reply = client.raw("GET", target, &[], b"").unwrap();
        assert!(reply.status >= 400 && !reply.header("x-ms-version").is_empty(), "{target}");
        assert_eq!(reply.header("x-ms-request-id").len(), 36, "{target}");
    }
}
