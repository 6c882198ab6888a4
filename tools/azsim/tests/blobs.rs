//! Writing and reading blobs: bytes, headers, checksums, blocks, conditions.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use common::{ACCOUNT, Client, crc64, server};

#[test]
fn a_blob_comes_back_with_its_bytes_and_properties() {
    let server = server();
    let mut client = Client::new(&server);
    let content: Vec<u8> = (0..300_000u32).map(|i| (i * 7 % 253) as u8).collect();
    let headers = [
        ("x-ms-blob-type", "BlockBlob"),
        ("Content-Type", "text/plain"),
        ("x-ms-blob-cache-control", "no-store"),
        ("X-Ms-Meta-MixedCase", "v 1"),
        ("x-ms-access-tier", "Cool"),
        ("x-ms-tags", "a=b&c=d"),
        ("x-ms-version", "2025-11-05"),
        ("x-ms-client-request-id", "mine"),
    ];
    let put = client.send("PUT", "/con/dir/a%20b+c%25", &headers, &content);
    assert_eq!(put.verdict(), (201, ""));
    assert_eq!(put.header("x-ms-content-crc64"), crc64(&content));
    assert_eq!(put.header("x-ms-request-server-encrypted"), "true");
    assert_eq!(put.header("x-ms-client-request-id"), "mine");
    assert_eq!(put.header("x-ms-version"), "2025-11-05");
    assert!(put.header("etag").starts_with("\"0x8D"));

    let get = client.get("dir/a%20b+c%25");
    assert_eq!(get.status, 200);
    assert!(get.body == content);
    for (name, value) in [
        ("content-type", "text/plain"),
        ("cache-control", "no-store"),
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-tag-count", "2"),
        ("x-ms-lease-state", "available"),
        ("etag", put.header("etag")),
        ("last-modified", put.header("last-modified")),
    ] {
        assert_eq!(get.header(name), value, "{name}");
    }
    assert!(get.headers.contains(&("x-ms-meta-MixedCase".to_owned(), "v 1".to_owned())), "{:?}", get.headers);

    let head = client.send("HEAD", "/con/dir/a%20b+c%25", &[], b"");
    assert_eq!(head.header("content-length"), "300000");
    assert_eq!((head.header("x-ms-access-tier"), head.header("x-ms-access-tier-inferred")), ("Cool", ""));

    let blobs = server.blobs(ACCOUNT, "con");
    assert_eq!(blobs.len(), 1);
    assert_eq!((&*blobs[0].name, blobs[0].len, &*blobs[0].tier), ("dir/a b+c%", 300_000, "Cool"));
    assert_eq!(blobs[0].metadata, [("MixedCase".to_owned(), "v 1".to_owned())]);
    assert_eq!(server.content(ACCOUNT, "con", "dir/a b+c%").unwrap(), content);

    assert_eq!(client.send("DELETE", "/con/dir/a%20b+c%25", &[], b"").status, 202);
    assert_eq!(client.get("dir/a%20b+c%25").verdict(), (404, "BlobNotFound"));
    let stats = server.stats();
    assert_eq!(
        (stats.requests, stats.connections, stats.bytes_in, stats.errors["BlobNotFound"]),
        (5, 1, 300_000, 1)
    );
}

#[test]
fn checksums_are_verified_and_a_bad_body_is_invisible() {
    let server = server();
    let mut client = Client::new(&server);
    let md5 = "XUFAKrxLKna5cZ2REBfFkg=="; // "hello"
    let crc = &*crc64(b"hello");
    for (headers, expected) in [
        (vec![("Content-MD5", md5)], (201, "")),
        (vec![("x-ms-content-crc64", crc)], (201, "")),
        (vec![("x-ms-blob-content-md5", md5)], (201, "")),
        (vec![("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")], (400, "Md5Mismatch")),
        (vec![("x-ms-blob-content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], (400, "Md5Mismatch")),
        (vec![("x-ms-content-crc64", "AAAAAAAAAAA=")], (400, "Crc64Mismatch")),
        (vec![("x-ms-content-crc64", crc), ("Content-MD5", md5)], (400, "BothCrc64AndMd5HeaderPresent")),
        (vec![("Content-MD5", "x")], (400, "InvalidMd5")),
    ] {
        let mut all = vec![("x-ms-blob-type", "BlockBlob")];
        all.extend(headers.iter().copied());
        let put = client.send("PUT", "/con/x", &all, b"hello");
        assert_eq!(put.verdict(), expected, "{headers:?}");
        let block = client.send("PUT", "/con/y?comp=block&blockid=QQ%3D%3D", &headers, b"hello");
        if headers[0].0 != "x-ms-blob-content-md5" {
            assert_eq!(block.verdict(), expected, "{headers:?}");
        }
        assert_eq!(server.blobs(ACCOUNT, "con").len(), usize::from(expected.0 == 201), "{headers:?}");
        if expected.0 == 201 {
            let has_md5 = headers[0].0 != "x-ms-content-crc64";
            assert_eq!(client.get("x").header("content-md5"), if has_md5 { md5 } else { "" });
            client.send("DELETE", "/con/x", &[], b"");
        }
    }
}

#[test]
fn a_body_that_breaks_off_leaves_the_old_blob() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"old");
    let mut broken = Client::new(&server);
    let head = format!(
        "PUT /{ACCOUNT}/con/x?{} HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 100000\r\n\r\n",
        broken.sas
    );
    broken.write(head.as_bytes());
    broken.write(&[b'n'; 50_000]);
    drop(broken);
    while server.stats().in_flight > 0 {
        std::thread::yield_now();
    }
    assert_eq!(client.get("x").body, b"old");
    assert_eq!(server.stats().bytes_in, 3);
}

#[test]
fn blocks_are_staged_and_committed_at_once() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"old");
    assert_eq!(client.put_block("x", "01", b"abc").verdict(), (201, ""));
    assert_eq!(client.put_block("x", "02", b"defg").header("x-ms-content-crc64"), crc64(b"defg"));
    // One is as long as the others in base64.
    for id in ["0003", "3"] {
        assert_eq!(client.put_block("x", id, b"h").verdict(), (400, "InvalidBlobOrBlock"));
    }
    assert_eq!(client.put_block("x", "03", b"").verdict(), (400, "InvalidHeaderValue"));
    assert_eq!(client.get("x").body, b"old");

    let list = client.send("GET", "/con/x?comp=blocklist&blocklisttype=all", &[], b"");
    assert_eq!(
        (list.elements("Name"), list.elements("Size")),
        (vec!["MDE=".into(), "MDI=".into()], vec!["3".into(), "4".into()])
    );
    assert!(list.text().contains("<CommittedBlocks /><UncommittedBlocks>"));
    assert_eq!(list.header("x-ms-blob-content-length"), "3");

    assert_eq!(
        client.commit("x", &[("Latest", "01"), ("Latest", "99")]).verdict(),
        (400, "InvalidBlockList")
    );
    assert_eq!(client.commit("x", &[("Committed", "01")]).verdict(), (400, "InvalidBlockList"));
    assert_eq!(client.get("x").body, b"old");
    assert_eq!(client.commit("x", &[("Uncommitted", "02"), ("Latest", "01")]).verdict(), (201, ""));
    assert_eq!(client.get("x").body, b"defgabc");
    let info = &server.blobs(ACCOUNT, "con")[0];
    assert_eq!(info.crc64, crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, b"defgabc"));
    assert_eq!(info.blocks.iter().map(|b| (&*b.id, b.len)).collect::<Vec<_>>(), [("MDI=", 4), ("MDE=", 3)]);
    // Across the seam of two blocks.
    let range = client.send("GET", "/con/x", &[("x-ms-range", "bytes=2-4"), ("Range", "bytes=0-0")], b"");
    assert_eq!(
        (range.status, &*range.body, range.header("content-range")),
        (206, &b"fga"[..], "bytes 2-4/7")
    );

    // What was staged and not committed is gone; committed blocks serve again.
    client.put_block("x", "05", b"zz");
    assert_eq!(client.commit("x", &[("Committed", "01"), ("Latest", "05"), ("Latest", "01")]).status, 201);
    assert_eq!(client.get("x").body, b"abczzabc");
    client.put_block("x", "06", b"never");
    client.put("x", b"whole");
    assert_eq!(client.commit("x", &[("Latest", "06")]).verdict(), (400, "InvalidBlockList"));
    assert_eq!(client.commit("x", &[]).status, 201);
    assert_eq!(client.get("x").body, b"");
}

#[test]
fn ranges_follow_the_service() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"0123456789");
    client.put("empty", b"");
    let mut range = |name: &str, range: &str| {
        let reply = client.send("GET", &format!("/con/{name}"), &[("Range", range)], b"");
        (reply.status, if reply.status < 300 { reply.text() } else { reply.code().to_owned() })
    };
    for (name, text, expected) in [
        ("x", "bytes=0-0", (206, "0")),
        ("x", "bytes=7-", (206, "789")),
        ("x", "bytes=7-99", (206, "789")),
        ("x", "bytes=10-", (416, "InvalidRange")),
        ("empty", "bytes=0-", (416, "InvalidRange")),
        ("x", "bytes=5-4", (400, "InvalidHeaderValue")),
        ("x", "bytes=-4", (400, "InvalidHeaderValue")),
    ] {
        assert_eq!(range(name, text), (expected.0, expected.1.to_owned()), "{text}");
    }
    let headers = [("x-ms-range", "bytes=5-9"), ("x-ms-range-get-content-crc64", "true")];
    assert_eq!(client.send("GET", "/con/x", &headers, b"").header("x-ms-content-crc64"), crc64(b"56789"));
}

#[test]
fn conditions_guard_reads_writes_and_deletes() {
    let server = server();
    let mut client = Client::new(&server);
    let first = client.put("x", b"1").header("etag").to_owned();
    let second = client.put("x", b"2").header("etag").to_owned();
    assert_ne!(first, second);
    let blob = ("x-ms-blob-type", "BlockBlob");
    for (method, header, value, expected) in [
        ("GET", "If-None-Match", &*second, (304, "ConditionNotMet")),
        ("GET", "If-Match", &first, (412, "ConditionNotMet")),
        ("HEAD", "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT", (304, "ConditionNotMet")),
        ("PUT", "If-None-Match", "*", (409, "BlobAlreadyExists")),
        ("PUT", "If-Match", &first, (412, "ConditionNotMet")),
        ("PUT", "If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", (412, "ConditionNotMet")),
        ("DELETE", "If-Match", &first, (412, "ConditionNotMet")),
        ("DELETE", "If-Match", &second, (202, "")),
        ("PUT", "If-Match", "*", (412, "ConditionNotMet")),
        ("PUT", "If-None-Match", "*", (201, "")),
    ] {
        let body: &[u8] = if method == "PUT" { b"3" } else { b"" };
        let headers = if method == "PUT" { vec![blob, (header, value)] } else { vec![(header, value)] };
        let reply = client.send(method, "/con/x", &headers, body);
        assert_eq!(reply.verdict(), expected, "{method} {header}: {value}");
    }
    assert_eq!(client.get("x").body, b"3");
}

#[test]
fn what_is_not_implemented_says_so() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let put = ("x-ms-blob-type", "BlockBlob");
    for (method, path, header, expected) in [
        ("PUT", "/con/x?comp=expiry", None, (501, "APINotImplemented")),
        ("PUT", "/con/x?comp=lease", Some(("x-ms-lease-action", "acquire")), (400, "MissingRequiredHeader")),
        ("GET", "/con/x?comp=pagelist&prevsnapshot=y", None, (501, "APINotImplemented")),
        (
            "PUT",
            "/con/x?comp=incrementalcopy",
            Some(("x-ms-copy-source", "http://h/x")),
            (501, "APINotImplemented"),
        ),
        ("PUT", "/con/x", Some(("x-ms-blob-type", "Foo")), (400, "InvalidHeaderValue")),
        ("PUT", "/con/x", None, (400, "MissingRequiredHeader")),
        ("PUT", "/con/x?comp=nonsense", None, (400, "InvalidQueryParameterValue")),
        ("PATCH", "/con/x", None, (405, "UnsupportedHttpVerb")),
        ("DELETE", "/con/x?versionid=2020-01-01T00:00:00.0000000Z", None, (404, "BlobNotFound")),
        ("DELETE", "/con/x?snapshot=2020-01-01T00:00:00.0000000Z", None, (404, "BlobNotFound")),
        ("PUT", "/nocon/x", Some(put), (404, "ContainerNotFound")),
        ("PUT", "/Con/x", Some(put), (400, "InvalidResourceName")),
        ("PUT", "/con?restype=container", None, (409, "ContainerAlreadyExists")),
        ("DELETE", "/nocon?restype=container", None, (404, "ContainerNotFound")),
    ] {
        let headers: Vec<_> = header.into_iter().collect();
        assert_eq!(client.send(method, path, &headers, b"").verdict(), expected, "{method} {path}");
    }
    let held = [put, ("x-ms-legal-hold", "true")];
    assert_eq!(client.send("PUT", "/con/x", &held, b"2").verdict(), (400, "UnsupportedHeader"));
    let leased = [put, ("x-ms-lease-id", "aaaaaaaa-0000-0000-0000-000000000000")];
    assert_eq!(
        client.send("PUT", "/con/x", &leased, b"2").verdict(),
        (412, "LeaseNotPresentWithBlobOperation")
    );
    let bad_meta = [put, ("x-ms-meta-a-b", "7")];
    assert_eq!(client.send("PUT", "/con/x", &bad_meta, b"2").verdict(), (400, "InvalidMetadata"));
    assert_eq!(client.get("x").body, b"1");
}

#[test]
fn an_archived_blob_is_not_read() {
    let server = server();
    let mut client = Client::new(&server);
    client.send("PUT", "/con/x", &[("x-ms-blob-type", "BlockBlob"), ("x-ms-access-tier", "Archive")], b"1");
    assert_eq!(client.get("x").verdict(), (409, "BlobArchived"));
    assert_eq!(client.send("HEAD", "/con/x", &[], b"").header("x-ms-access-tier"), "Archive");
}

#[test]
fn a_client_that_waits_gets_its_100_or_its_error() {
    let server = server();
    let mut client = Client::new(&server);
    let head = |name: &str, sas: &str| {
        format!(
            "PUT /{ACCOUNT}/con/{name}?{sas} HTTP/1.1\r\nHost: h\r\nx-ms-blob-type: BlockBlob\r\n\
             Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
    };
    client.write(head("x", &client.sas.clone()).as_bytes());
    assert_eq!(client.read("HEAD").unwrap().status, 100);
    client.write(b"hello");
    assert_eq!(client.read("PUT").unwrap().status, 201);
    client.write(head("x", "sig=x").as_bytes());
    assert_eq!(client.read("PUT").unwrap().verdict(), (403, "AuthenticationFailed"));
}
