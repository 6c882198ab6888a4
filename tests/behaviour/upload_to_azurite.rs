//! azuring uploads to Azurite, and Microsoft's client reads back what it meant.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;
use std::path::Path;

use azuring_bench::workload::{Tree, awkward_tree, small_tree};
use azuring_tests::{
    Azurite, AzuriteOptions, BlobClient, Certificate, DEVSTORE_ACCOUNT, RemoteBlob, azuring, local_sha256,
};

/// Content types that do not depend on the machine's MIME tables: AzCopy's built-in extensions, and what Go's
/// `http.DetectContentType` (the WHATWG sniffing rules) says of a file without a known one, the charset cut off.
const CONTENT_TYPES: &[(&str, &str)] = &[
    ("page.html", "text/html"),
    ("page.htm", "text/html"),
    ("UPPER.HTML", "text/html"),
    ("feed.xml", "text/xml"),
    ("style.css", "text/css"),
    ("code.js", "application/javascript"),
    ("module.mjs", "application/javascript"),
    ("drawing.svg", "image/svg+xml"),
    ("module.wasm", "application/wasm"),
    ("photo.png", "image/png"),
    ("photo.jpg", "image/jpeg"),
    ("photo.jpeg", "image/jpeg"),
    ("anim.gif", "image/gif"),
    ("photo.webp", "image/webp"),
    ("paper.pdf", "application/pdf"),
    ("wrong.png", "image/png"),
    ("empty.html", "text/html"),
    ("sniffed-html", "text/html"),
    ("sniffed-xml", "text/xml"),
    ("sniffed-png", "image/png"),
    ("sniffed-jpeg", "image/jpeg"),
    ("sniffed-gif", "image/gif"),
    ("sniffed-pdf", "application/pdf"),
    ("sniffed-gzip", "application/x-gzip"),
    ("sniffed-zip", "application/zip"),
    ("sniffed-text", "text/plain"),
    ("sniffed-utf8", "text/plain"),
    ("sniffed-binary", "application/octet-stream"),
    ("sniffed-empty", "text/plain"),
    ("sniffed.unknown-extension", "application/x-gzip"),
];

/// 2,000 files from 0 B to 40 MiB with awkward names: every name, byte, content type and metadata value arrives.
#[test]
fn the_awkward_tree_arrives_in_azurite() {
    let dir = tempfile::tempdir().unwrap();
    let tree = awkward_tree(&dir.path().join("tree")).unwrap();
    let azurite = Azurite::start(AzuriteOptions::default());
    let client = azurite.client(DEVSTORE_ACCOUNT);
    // No SAS and no key given: for this account azuring knows the key Azurite publishes.
    let url = client.create_container("awkward");

    let outcome = azuring!().run(copy_args(&tree.root, &url, &["--metadata", "a=1;b=zwei"]));
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("2000"));
    assert_eq!(outcome.field("Number of File Transfers Failed"), Some("0"));
    assert_eq!(
        outcome.field("Total Number of Bytes Transferred"),
        Some(tree.total_bytes().to_string().as_str())
    );
    assert_eq!(outcome.field("Final Job Status"), Some("Completed"));

    let blobs = assert_same(&client, "awkward", &tree);
    for (name, blob) in &blobs {
        let metadata: Vec<_> =
            blob.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(metadata, [("a", "1"), ("b", "zwei")], "{name}");
        assert_eq!(blob.listed_metadata, blob.metadata, "{name}");
        assert!(
            blob.content_type.as_ref().is_some_and(|value| value.contains('/')),
            "{name}: {:?}",
            blob.content_type
        );
    }
    for (name, content_type) in CONTENT_TYPES {
        let blob = &blobs[&format!("tree/types/{name}")];
        assert_eq!(blob.content_type.as_deref(), Some(*content_type), "{name}");
    }
}

/// Over HTTPS with a certificate made for the test, trusted through `SSL_CERT_FILE`, and with a container SAS.
#[test]
fn a_tree_arrives_over_https() {
    let dir = tempfile::tempdir().unwrap();
    let mut tree = small_tree(&dir.path().join("tree"), 200, 5, 3_000).unwrap();
    let large = azuring_bench::workload::large_file(&tree.root.join("large.bin"), 20 << 20).unwrap();
    tree.files.insert("large.bin".to_owned(), large);
    let certificate = Certificate::make(dir.path()).unwrap();
    let azurite = Azurite::start(AzuriteOptions {
        certificate: Some(certificate.clone()),
        ..AzuriteOptions::default()
    });
    let client = azurite.client(DEVSTORE_ACCOUNT);
    client.create_container("secure");
    let url = client.container_url_with_sas("secure");
    assert!(url.starts_with("https://"), "{url}");

    let properties =
        ["--content-type", "text/x-test", "--cache-control", "no-cache", "--block-blob-tier", "Cool"];
    azuring!().trust(&certificate.ca).run(copy_args(&tree.root, &url, &properties)).expect_code(0);
    for (name, blob) in assert_same(&client, "secure", &tree) {
        assert_eq!(blob.content_type.as_deref(), Some("text/x-test"), "{name}");
        assert_eq!(blob.cache_control.as_deref(), Some("no-cache"), "{name}");
        assert_eq!(blob.tier.as_deref(), Some("Cool"), "{name}");
    }

    // Without the authority the certificate does not verify, and nothing may be sent.
    client.create_container("refused");
    let outcome = azuring!().run(copy_args(&tree.root, &client.container_url_with_sas("refused"), &[]));
    assert!(!matches!(outcome.code, Some(0) | None), "{outcome:?}");
    assert!(outcome.stderr.contains("certificate"), "{}", outcome.stderr);
    assert!(client.blobs("refused").is_empty());
}

fn copy_args<'a>(source: &'a Path, url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["copy", source.to_str().unwrap(), url, "--recursive"];
    args.extend(more);
    args
}

/// The container holds exactly the tree, under the name of its directory: names, lengths, SHA-256.
fn assert_same(client: &BlobClient, container: &str, tree: &Tree) -> BTreeMap<String, RemoteBlob> {
    let blobs = client.blobs(container);
    let expected: Vec<String> = tree.files.keys().map(|name| format!("tree/{name}")).collect();
    assert_eq!(blobs.keys().cloned().collect::<Vec<_>>(), expected);
    for (name, facts) in &tree.files {
        let blob = &blobs[&format!("tree/{name}")];
        assert_eq!((blob.length, blob.listed_length), (facts.len_bytes, facts.len_bytes), "{name}");
        assert_eq!(blob.sha256, local_sha256(&tree.path_of(name)).unwrap(), "{name}");
    }
    blobs
}

/// Azurite (3.37) has no Put Blob From URL, and takes such a request for another one.
#[test]
fn copies_go_through_this_host_where_the_server_has_no_copies() {
    use azuring_transfer::{BlobUrl, Credential, Job, Location, StopHandle};
    let azurite = Azurite::start(AzuriteOptions::default());
    let client = azurite.client(DEVSTORE_ACCOUNT);
    client.create_container("source");
    client.create_container("target");
    let at = |container: &str| {
        let url = BlobUrl::parse(&format!("{}/{container}", azurite.url(DEVSTORE_ACCOUNT))).unwrap();
        let credential = Credential::find(&url, |_| None).unwrap();
        Location::blob(url, credential)
    };
    let dir = tempfile::tempdir().unwrap();
    let want = [("a", 10), ("empty", 0), ("large", 20 << 20)];
    for (name, len) in want {
        std::fs::write(dir.path().join(name), vec![7; len]).unwrap();
    }
    let url = BlobUrl::parse(&format!("{}/source", azurite.url(DEVSTORE_ACCOUNT))).unwrap();
    let credential = Credential::find(&url, |_| None).unwrap();
    let job = Job::upload(dir.path().join("*"), url, credential).build().unwrap();
    assert_eq!(job.run(&StopHandle::new(), |_| {}).counts.done, 3);
    let mut told = Vec::new();
    let job = Job::copy(at("source"), at("target")).recursive(true).build().unwrap();
    let report = job.run(&StopHandle::new(), |event| told.push(format!("{event:?}")));
    assert_eq!(report.counts.done, 3, "{told:#?}");
    for (name, len) in want {
        let there = &client.blobs("target")[name];
        assert_eq!(
            (there.length, &there.sha256),
            (len as u64, &local_sha256(&dir.path().join(name)).unwrap()),
            "{name}"
        );
    }
}
