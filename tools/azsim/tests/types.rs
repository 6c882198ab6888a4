//! Append blobs and page blobs.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use common::{ACCOUNT, Client, Reply, crc64, server};

fn append(client: &mut Client, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    client.send("PUT", "/con/x?comp=appendblock", headers, body)
}

#[test]
fn an_append_blob_grows_until_it_is_sealed() {
    let server = server();
    let mut client = Client::new(&server);
    let kind = ("x-ms-blob-type", "AppendBlob");
    assert_eq!(append(&mut client, &[], b"a").verdict(), (404, "BlobNotFound"));
    assert_eq!(client.send("PUT", "/con/x", &[kind], b"a").verdict(), (400, "InvalidHeaderValue"));
    let tiered = client.send("PUT", "/con/x", &[kind, ("x-ms-access-tier", "Cool")], b"");
    assert_eq!(tiered.verdict(), (400, "InvalidHeaderValue"));
    assert_eq!(client.send("PUT", "/con/x", &[kind, ("x-ms-meta-k", "v")], b"").status, 201);
    let first = append(&mut client, &[], b"hello ");
    assert_eq!(first.verdict(), (201, ""));
    assert_eq!(
        (first.header("x-ms-blob-append-offset"), first.header("x-ms-content-crc64")),
        ("0", &*crc64(b"hello "))
    );
    let at = ("x-ms-blob-condition-appendpos", "6");
    let second = append(&mut client, &[at, ("x-ms-content-crc64", &crc64(b"world"))], b"world");
    assert_eq!(
        (second.header("x-ms-blob-append-offset"), second.header("x-ms-blob-committed-block-count")),
        ("6", "2")
    );
    assert_eq!(append(&mut client, &[at], b"!").verdict(), (412, "AppendPositionConditionNotMet"));
    let max = [("x-ms-blob-condition-maxsize", "11")];
    assert_eq!(append(&mut client, &max, b"!").verdict(), (412, "MaxBlobSizeConditionNotMet"));
    let wrong = [("x-ms-content-crc64", "AAAAAAAAAAA=")];
    assert_eq!(append(&mut client, &wrong, b"!").verdict(), (400, "Crc64Mismatch"));
    let wrong = [("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    assert_eq!(append(&mut client, &wrong, b"!").verdict(), (400, "Md5Mismatch"));
    assert_eq!(append(&mut client, &[], b"").verdict(), (400, "InvalidHeaderValue"));
    assert_eq!(
        append(&mut client, &[("If-Match", first.header("etag"))], b"!").verdict(),
        (412, "ConditionNotMet")
    );
    let old = [("x-ms-version", "2021-02-12")];
    assert_eq!(append(&mut client, &old, &vec![0; (4 << 20) + 1]).verdict(), (413, "RequestBodyTooLarge"));

    let get = client.get("x");
    assert_eq!((&*get.body, get.header("x-ms-blob-type")), (&b"hello world"[..], "AppendBlob"));
    assert_eq!((get.header("x-ms-meta-k"), get.header("etag")), ("v", second.header("etag")));
    let range = client.send("GET", "/con/x", &[("x-ms-range", "bytes=4-7")], b"");
    assert_eq!(range.body, b"o wo");
    let info = &server.blobs(ACCOUNT, "con")[0];
    assert_eq!((&*info.blob_type, info.len), ("AppendBlob", 11));
    assert_eq!(info.crc64, crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, b"hello world"));

    // A snapshot does not grow with its blob.
    let snapshot = client.send("PUT", "/con/x?comp=snapshot", &[], b"");
    append(&mut client, &[], b"!");
    let snapshot =
        client.get(&format!("x?snapshot={}", snapshot.header("x-ms-snapshot").replace(':', "%3A")));
    assert_eq!((&*snapshot.body, &*client.get("x").body), (&b"hello world"[..], &b"hello world!"[..]));

    let seal = client.send("PUT", "/con/x?comp=seal", &[("x-ms-blob-condition-appendpos", "3")], b"");
    assert_eq!(seal.verdict(), (412, "AppendPositionConditionNotMet"));
    assert_eq!(client.send("PUT", "/con/x?comp=seal", &[], b"").header("x-ms-blob-sealed"), "true");
    assert_eq!(append(&mut client, &[], b"!").verdict(), (409, "BlobIsSealed"));
    let head = client.send("HEAD", "/con/x", &[], b"");
    assert_eq!(
        (head.header("x-ms-blob-sealed"), head.header("x-ms-blob-committed-block-count")),
        ("true", "3")
    );
    assert_eq!(head.header("x-ms-access-tier"), "");
}

#[test]
fn each_operation_is_for_its_type() {
    let server = server();
    let mut client = Client::new(&server);
    for (name, kind) in [("b", "BlockBlob"), ("a", "AppendBlob"), ("p", "PageBlob")] {
        let headers = [("x-ms-blob-type", kind), ("x-ms-blob-content-length", "512")];
        assert_eq!(client.send("PUT", &format!("/con/{name}"), &headers, b"").verdict(), (201, ""));
    }
    let page = [("x-ms-page-write", "update"), ("x-ms-range", "bytes=0-511")];
    let cool = [("x-ms-access-tier", "Cool")];
    let body = [1; 512];
    for (names, method, query, headers, body) in [
        ("ap", "PUT", "comp=block&blockid=QQ%3D%3D", &[][..], &body[..]),
        ("ap", "PUT", "comp=blocklist", &[][..], b"<BlockList/>"),
        ("ap", "GET", "comp=blocklist", &[][..], b""),
        ("ap", "PUT", "comp=tier", &cool[..], b""),
        ("bp", "PUT", "comp=appendblock", &[][..], &body[..]),
        ("bp", "PUT", "comp=seal", &[][..], b""),
        ("ba", "PUT", "comp=page", &page[..], &body[..]),
        ("ba", "GET", "comp=pagelist", &[][..], b""),
        ("ba", "PUT", "comp=properties", &[("x-ms-blob-content-length", "512")][..], b""),
    ] {
        for name in names.chars() {
            let reply = client.send(method, &format!("/con/{name}?{query}"), headers, body);
            assert_eq!(reply.verdict(), (409, "InvalidBlobType"), "{method} {name} {query}");
        }
    }
    let list = client.send("GET", "/con?restype=container&comp=list", &[], b"");
    assert_eq!(list.elements("BlobType"), ["AppendBlob", "BlockBlob", "PageBlob"]);
    assert_eq!(client.put("p", b"not a block blob").verdict(), (409, "InvalidBlobType"));
    client.send("DELETE", "/con/p", &[], b"");
    assert_eq!(client.put("p", b"now a block blob").status, 201);
    assert_eq!(client.get("p").header("x-ms-blob-type"), "BlockBlob");
}

fn page(client: &mut Client, write: &str, range: &str, body: &[u8]) -> (u16, String) {
    let headers = [("x-ms-page-write", write), ("x-ms-range", range)];
    let reply = client.send("PUT", "/con/x?comp=page", &headers, body);
    (reply.status, reply.code().to_owned())
}

fn ranges(client: &mut Client, query: &str, headers: &[(&str, &str)]) -> (Vec<(String, String)>, String) {
    let reply = client.send("GET", &format!("/con/x?comp=pagelist{query}"), headers, b"");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let pairs = reply.elements("Start").into_iter().zip(reply.elements("End")).collect();
    (pairs, reply.elements("NextMarker").pop().unwrap_or_default())
}

#[test]
fn a_page_blob_is_written_cleared_listed_and_resized() {
    let server = server();
    let mut client = Client::new(&server);
    let make = |client: &mut Client, len: &str| {
        let headers = [("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", len)];
        let reply = client.send("PUT", "/con/x", &headers, b"");
        (reply.status, reply.code().to_owned())
    };
    let ok = (201, String::new());
    let code = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(make(&mut client, "1000"), code(400, "InvalidHeaderValue"));
    assert_eq!(make(&mut client, ""), code(400, "MissingRequiredHeader"));
    assert_eq!(make(&mut client, "8388608"), ok);
    assert_eq!(page(&mut client, "update", "bytes=512-1535", &[b'a'; 1024]), ok);
    assert_eq!(page(&mut client, "update", "bytes=1536-2047", &[b'b'; 512]), ok);
    assert_eq!(page(&mut client, "update", "bytes=4096-4607", &[b'c'; 512]), ok);
    assert_eq!(page(&mut client, "clear", "bytes=1024-1535", b""), ok);
    for (write, range, len, expected) in [
        ("update", "bytes=1-512", 512, code(416, "InvalidPageRange")),
        ("update", "bytes=0-510", 511, code(416, "InvalidPageRange")),
        ("update", "bytes=8388608-8389119", 512, code(416, "InvalidPageRange")),
        ("update", "bytes=0-1023", 512, code(400, "InvalidHeaderValue")),
        ("clear", "bytes=0-511", 512, code(400, "InvalidHeaderValue")),
        ("write", "bytes=0-511", 512, code(400, "InvalidHeaderValue")),
        ("update", "bytes=0-4194815", (4 << 20) + 512, code(413, "RequestBodyTooLarge")),
    ] {
        assert_eq!(page(&mut client, write, range, &vec![1; len]), expected, "{write} {range}");
    }
    let mut expected = vec![0; 8 << 20];
    expected[512..1024].fill(b'a');
    expected[1536..2048].fill(b'b');
    expected[4096..4608].fill(b'c');
    let get = client.get("x");
    assert!(get.body == expected);
    assert_eq!((get.header("x-ms-blob-type"), get.header("x-ms-blob-sequence-number")), ("PageBlob", "0"));
    assert!(server.content(ACCOUNT, "con", "x").unwrap() == expected);
    let checked = [("x-ms-range", "bytes=1000-1999"), ("x-ms-range-get-content-crc64", "true")];
    let range = client.send("GET", "/con/x", &checked, b"");
    assert!(range.body == expected[1000..2000]);
    assert_eq!(range.header("x-ms-content-crc64"), crc64(&expected[1000..2000]));

    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let all = vec![pair("512", "1023"), pair("1536", "2047"), pair("4096", "4607")];
    assert_eq!(ranges(&mut client, "", &[]), (all.clone(), String::new()));
    let (first, marker) = ranges(&mut client, "&maxresults=2", &[]);
    assert_eq!(first, all[..2]);
    let rest = ranges(&mut client, &format!("&maxresults=2&marker={}", marker.replace('!', "%21")), &[]);
    assert_eq!(rest, (all[2..].to_vec(), String::new()));
    let part = ranges(&mut client, "", &[("x-ms-range", "bytes=0-2047")]);
    assert_eq!(part.0, all[..2]);

    let set = |client: &mut Client, headers: &[(&str, &str)]| {
        let reply = client.send("PUT", "/con/x?comp=properties", headers, b"");
        assert_eq!(reply.verdict(), (200, ""));
        reply.header("x-ms-blob-sequence-number").to_owned()
    };
    assert_eq!(set(&mut client, &[("x-ms-blob-content-length", "1024")]), "0");
    assert_eq!(set(&mut client, &[("x-ms-blob-content-length", "2048")]), "0");
    assert!(client.get("x").body == [&[0; 512][..], &[b'a'; 512], &[0; 1024]].concat());
    let seven = [("x-ms-sequence-number-action", "update"), ("x-ms-blob-sequence-number", "7")];
    assert_eq!(set(&mut client, &seven), "7");
    assert_eq!(set(&mut client, &[("x-ms-sequence-number-action", "increment")]), "8");
    let stale =
        [("x-ms-page-write", "update"), ("x-ms-range", "bytes=0-511"), ("x-ms-if-sequence-number-lt", "8")];
    let reply = client.send("PUT", "/con/x?comp=page", &stale, &[1; 512]);
    assert_eq!(reply.verdict(), (412, "SequenceNumberConditionNotMet"));
}
