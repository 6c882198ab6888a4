//! Listings: order, pages, groups, what is included, names that need care.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use azsim::Server;
use common::{ACCOUNT, Client, escape, server};

const LIST: &str = "/con?restype=container&comp=list";

/// Names of all pages of a listing.
fn all(client: &mut Client, query: &str) -> (Vec<String>, usize) {
    let (mut names, mut marker, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let marker_query =
            if marker.is_empty() { String::new() } else { format!("&marker={}", escape(&marker)) };
        let reply = client.send("GET", &format!("{LIST}{query}{marker_query}"), &[], b"");
        assert_eq!(reply.status, 200);
        names.extend(reply.elements("Name"));
        pages += 1;
        marker = reply.elements("NextMarker").pop().unwrap_or_default();
        if marker.is_empty() {
            return (names, pages);
        }
    }
}

#[test]
fn pages_cover_every_name_once_in_order() {
    let server = server();
    let mut client = Client::new(&server);
    let mut expected: Vec<String> = (0..103).map(|i| format!("d{}/f{:03}", i % 7, i * 37 % 103)).collect();
    for name in &expected {
        client.put(name, b"1");
    }
    expected.sort();
    assert_eq!(all(&mut client, "&maxresults=10"), (expected.clone(), 11));
    assert_eq!(all(&mut client, ""), (expected.clone(), 1));
    let some: Vec<String> = expected.iter().filter(|n| n.starts_with("d3/f0")).cloned().collect();
    assert!(some.len() > 3);
    assert_eq!(all(&mut client, "&prefix=d3%2Ff0&maxresults=2").0, some);
}

#[test]
fn a_delimiter_groups_across_pages() {
    let server = server();
    let mut client = Client::new(&server);
    for name in ["a", "b/1", "b/2", "b/c/3", "b0", "c//4", "c/5", "d"] {
        client.put(name, b"1");
    }
    let expected = ["a", "b/", "b0", "c/", "d"].map(str::to_owned).to_vec();
    for max in 1..6 {
        assert_eq!(all(&mut client, &format!("&delimiter=%2F&maxresults={max}")).0, expected, "{max}");
    }
    assert_eq!(all(&mut client, "&delimiter=%2F&prefix=b%2F&maxresults=1").0, ["b/1", "b/2", "b/c/"]);
    assert_eq!(all(&mut client, "&delimiter=%2F&prefix=c%2F").0, ["c//", "c/5"]);
    let reply = client.send("GET", &format!("{LIST}&delimiter=%2F&prefix=b%2F"), &[], b"");
    assert!(reply.text().contains("<BlobPrefix><Name>b/c/</Name></BlobPrefix>"));
}

#[test]
fn entries_say_what_was_asked_for() {
    let server = server();
    let mut client = Client::new(&server);
    let headers = [
        ("x-ms-blob-type", "BlockBlob"),
        ("X-Ms-Meta-Owner", "a&b"),
        ("x-ms-tags", "k=v"),
        ("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("Content-Type", "text/<x>"),
    ];
    client.send("PUT", "/con/x%26%3C", &headers, b"hello");
    client.put_block("staged", "01", b"1");
    let plain = client.send("GET", LIST, &[], b"");
    assert_eq!(plain.elements("Name"), ["x&amp;&lt;"]);
    for part in [
        "<Content-Length>5</Content-Length><Content-Type>text/&lt;x&gt;</Content-Type>",
        "<Content-MD5>XUFAKrxLKna5cZ2REBfFkg==</Content-MD5>",
        "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>",
    ] {
        assert!(plain.text().contains(part), "{part} in {}", plain.text());
    }
    assert!(!plain.text().contains("Owner"));
    let full = client.send("GET", &format!("{LIST}&include=metadata,uncommittedblobs,tags"), &[], b"");
    assert_eq!(full.elements("Name"), ["staged", "x&amp;&lt;"]);
    assert!(full.text().contains("<Metadata><Owner>a&amp;b</Owner></Metadata>"));
    assert!(full.text().contains("<Tag><Key>k</Key><Value>v</Value></Tag>"));
}

#[test]
fn bad_questions_are_refused() {
    let server = server();
    let mut client = Client::new(&server);
    for (query, expected) in [
        ("&maxresults=0", (400, "OutOfRangeQueryParameterValue")),
        ("&maxresults=x", (400, "InvalidQueryParameterValue")),
        ("&marker=nonsense", (400, "InvalidQueryParameterValue")),
        ("&maxresults=999999", (200, "")),
    ] {
        assert_eq!(client.send("GET", &format!("{LIST}{query}"), &[], b"").verdict(), expected, "{query}");
    }
}

#[test]
fn containers_are_listed_and_described() {
    let server = server();
    let mut client = Client::new(&server);
    let headers = [("x-ms-meta-Key", "v"), ("x-ms-blob-public-access", "blob")];
    client.send("PUT", "/abc?restype=container", &headers, b"");
    let reply = client.send("GET", "/?comp=list&include=metadata", &[], b"");
    assert_eq!(reply.elements("Name"), ["abc", "con"]);
    assert!(reply.text().contains("<PublicAccess>blob</PublicAccess>"));
    assert_eq!(reply.elements("ImmutableStorageWithVersioningEnabled"), ["false", "false"]);
    assert!(reply.text().contains("<Metadata><Key>v</Key></Metadata>"));
    let page = client.send("GET", "/?comp=list&maxresults=1", &[], b"");
    assert_eq!(page.elements("Name"), ["abc"]);
    let marker = escape(&page.elements("NextMarker")[0]);
    let page = client.send("GET", &format!("/?comp=list&marker={marker}"), &[], b"");
    assert_eq!(page.elements("Name"), ["con"]);
    let head = client.send("HEAD", "/abc?restype=container", &[], b"");
    assert_eq!((head.status, head.header("x-ms-blob-public-access")), (200, "blob"));
    assert_eq!(client.send("DELETE", "/abc?restype=container", &[], b"").status, 202);
    assert_eq!(client.send("HEAD", "/abc?restype=container", &[], b"").verdict(), (404, "ContainerNotFound"));
}

#[test]
fn a_long_page_is_whole_although_it_is_taken_in_pieces() {
    let server = server();
    let mut client = Client::new(&server);
    let mut expected = Vec::new();
    for i in 0..700 {
        // A group, and a name between it and the next.
        for name in [format!("d{i:03}/a"), format!("d{i:03}/b"), format!("d{i:03}0")] {
            client.put(&name, b"1");
        }
        expected.extend([format!("d{i:03}/"), format!("d{i:03}0")]);
    }
    assert_eq!(all(&mut client, "&delimiter=%2F"), (expected.clone(), 1));
    assert_eq!(all(&mut client, "&delimiter=%2F&maxresults=300"), (expected, 5));
    assert_eq!(all(&mut client, "").0.len(), 2100);
}

/// Lists everything by pages of every size, from every name, and by groups.
fn check_order(client: &mut Client, expected: &[&str], groups: &[&str]) {
    let text = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    for max in [1, 2, 3, 5000] {
        assert_eq!(all(client, &format!("&maxresults={max}")).0, text(expected), "{max}");
        let grouped = all(client, &format!("&delimiter=%2F&maxresults={max}")).0;
        assert_eq!(grouped, text(groups), "{max}");
    }
    for (at, name) in expected.iter().enumerate() {
        let from = all(client, &format!("&maxresults=2&startFrom={}", escape(name))).0;
        assert_eq!(from, text(&expected[at..]), "{name}");
        let prefixed: Vec<&str> = expected.iter().copied().filter(|n| n.starts_with(name)).collect();
        assert_eq!(
            all(client, &format!("&maxresults=1&prefix={}", escape(name))).0,
            text(&prefixed),
            "{name}"
        );
    }
}

#[test]
fn names_come_in_the_order_of_utf16() {
    let server = server();
    let mut client = Client::new(&server);
    // U+E000, U+FF21 and U+FFFD come after U+10000 and U+1F600 here, and before them by their bytes.
    let expected = [
        "a",
        "a-b",
        "a.b",
        "a/b",
        "a/\u{1f600}",
        "a/\u{ff21}",
        "a0",
        "\u{d7ff}",
        "\u{10000}",
        "\u{1f600}/x",
        "\u{1f600}/\u{e000}",
        "\u{e000}/1",
        "\u{ff21}",
        "\u{fffd}",
    ];
    for name in expected.iter().rev() {
        assert_eq!(client.put(&escape(name), b"1").status, 201);
        assert_eq!(client.send("PUT", &format!("/con/{}?comp=snapshot", escape(name)), &[], b"").status, 201);
    }
    let groups = [
        "a",
        "a-b",
        "a.b",
        "a/",
        "a0",
        "\u{d7ff}",
        "\u{10000}",
        "\u{1f600}/",
        "\u{e000}/",
        "\u{ff21}",
        "\u{fffd}",
    ];
    check_order(&mut client, &expected, &groups);
    let twice: Vec<String> = expected.iter().flat_map(|n| [(*n).to_owned(), (*n).to_owned()]).collect();
    assert_eq!(all(&mut client, "&include=snapshots&maxresults=3").0, twice);
}

#[test]
fn versions_and_uncommitted_names_come_in_the_same_order() {
    let server = Server::builder().threads(1).versioning(true).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    let mut client = Client::new(&server);
    for name in ["\u{ff21}", "\u{10000}"] {
        client.put(&escape(name), b"1");
        client.put(&escape(name), b"2");
        client.put_block(&escape(&format!("{name}-staged")), "01", b"1");
    }
    client.put(&escape("\u{1f600}"), b"1");
    client.send("DELETE", &format!("/con/{}", escape("\u{1f600}")), &[], b"");
    let names = all(&mut client, "&include=versions,uncommittedblobs&maxresults=1").0;
    let expected = [
        "\u{10000}",
        "\u{10000}",
        "\u{10000}-staged",
        "\u{1f600}",
        "\u{ff21}",
        "\u{ff21}",
        "\u{ff21}-staged",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_hierarchical_namespace_lists_directories_first() {
    let server = Server::builder().threads(1).hierarchical_namespace(true).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    let mut client = Client::new(&server);
    let expected = ["A", "A/dat1", "A/\u{1f600}", "A-B", "A.C", "A.C/dat3", "AB", "\u{10000}", "\u{ff21}"];
    for name in expected.iter().rev() {
        client.put(&escape(name), b"1");
    }
    let groups = ["A", "A/", "A-B", "A.C", "A.C/", "AB", "\u{10000}", "\u{ff21}"];
    check_order(&mut client, &expected, &groups);
    let about = client.send("HEAD", "/?restype=account&comp=properties", &[], b"");
    assert_eq!(about.header("x-ms-is-hns-enabled"), "true");
}

#[test]
fn what_cannot_be_included_is_refused() {
    let server = server();
    let mut client = Client::new(&server);
    client.put("x", b"1");
    let known = "copy,deleted,DeletedWithVersions,immutabilitypolicy,legalhold,metadata,permissions,tags,uncommittedblobs";
    assert_eq!(client.send("GET", &format!("{LIST}&include={known}"), &[], b"").status, 200);
    for path in [LIST, "/?comp=list"] {
        let reply = client.send("GET", &format!("{path}&include=metadata,colour"), &[], b"");
        assert_eq!(reply.verdict(), (400, "InvalidQueryParameterValue"), "{path}");
    }
}

#[test]
fn names_with_versions_only_are_listed_when_that_is_asked_for() {
    let server = Server::builder().threads(1).versioning(true).start().unwrap();
    assert!(server.create_container(ACCOUNT, "con"));
    let mut client = Client::new(&server);
    for content in [b"1", b"2"] {
        client.put("gone", content);
        client.put("here", content);
    }
    client.send("DELETE", "/con/gone", &[], b"");
    assert_eq!(client.send("GET", LIST, &[], b"").elements("Name"), ["here"]);
    let reply = client.send("GET", &format!("{LIST}&include=deletedwithversions"), &[], b"");
    assert_eq!(reply.elements("Name"), ["gone", "here"]);
    assert_eq!(reply.elements("HasVersionsOnly"), ["true"]);
    assert_eq!(reply.elements("VersionId").len(), 1);
}

#[test]
fn containers_of_the_service_are_hidden() {
    let server = server();
    server.create_container(ACCOUNT, "$logs");
    let mut client = Client::new(&server);
    assert_eq!(client.send("GET", "/?comp=list", &[], b"").elements("Name"), ["con"]);
    assert_eq!(client.send("GET", "/?comp=list&include=system", &[], b"").elements("Name"), ["$logs", "con"]);
}
