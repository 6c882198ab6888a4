//! The kit holds: two programs that are not ours agree on the awkward tree through a third, and the fixture tells
//! right from wrong.
//!
//! If this fails, the other tests say nothing about azuring.
#![allow(clippy::unwrap_used, reason = "test code")]

use azuring_bench::workload::{FileFacts, awkward_tree, small_tree};
use azuring_tests::{
    AzCopy, Azurite, AzuriteOptions, Certificate, DEVSTORE_ACCOUNT, Fixture, azuring, local_sha256,
};

/// AzCopy uploads to Azurite over HTTPS; Microsoft's client reads the same names and bytes; AzCopy lists the same.
#[test]
fn azcopy_and_storage_blob_agree_on_azurite() {
    let dir = tempfile::tempdir().unwrap();
    let tree = awkward_tree(&dir.path().join("tree")).unwrap();
    let certificate = Certificate::make(dir.path()).unwrap();
    let azurite = Azurite::start(AzuriteOptions {
        certificate: Some(certificate.clone()),
        ..AzuriteOptions::default()
    });
    let client = azurite.client(DEVSTORE_ACCOUNT);
    client.create_container("awkward");
    let url = client.container_url_with_sas("awkward");
    let azcopy = AzCopy::new().trust(&certificate.ca);

    let source = tree.root.to_str().unwrap();
    let outcome =
        azcopy.run(["copy", source, &url, "--recursive", "--from-to=LocalBlob", "--metadata=a=1;b=zwei"]);
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("2000"));
    assert_eq!(outcome.field("Final Job Status"), Some("Completed"));

    let blobs = client.blobs("awkward");
    let expected: Vec<String> = tree.files.keys().map(|name| format!("tree/{name}")).collect();
    assert_eq!(blobs.keys().cloned().collect::<Vec<_>>(), expected);
    for (name, FileFacts { len_bytes, .. }) in &tree.files {
        let blob = &blobs[&format!("tree/{name}")];
        assert_eq!((blob.length, blob.listed_length), (*len_bytes, *len_bytes), "{name}");
        assert_eq!(blob.sha256, local_sha256(&tree.path_of(name)).unwrap(), "{name}");
        assert_eq!(blob.metadata["b"], "zwei", "{name}");
    }

    let listed = azcopy.list(&url);
    assert_eq!(listed.keys().cloned().collect::<Vec<_>>(), expected);
    assert!(tree.files.iter().all(|(name, facts)| listed[&format!("tree/{name}")] == facts.len_bytes));
}

/// What `tests/README.md` shows.
#[test]
fn a_file_arrives_in_the_fixture() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("in/a b.txt", b"content");
    let outcome = fixture.upload(&file, &["--max-tries", "2"]);
    assert_eq!(outcome.expect_code(0).field("Number of File Transfers Completed"), Some("1"));
    assert_eq!(fixture.content("a b.txt"), b"content");
    assert_eq!(fixture.names(), ["a b.txt"]);
}

/// One byte changed in the source after the upload, and the comparison sees it. Over TLS on the way.
#[test]
#[should_panic(expected = "other content: [(\"tree/d0001/f0000001.bin\"")]
fn the_fixture_sees_one_wrong_byte() {
    let fixture = Fixture::with(azuring!(), |server| server.tls(azsim::Tls::SelfSigned));
    let mut tree = small_tree(&fixture.path().join("tree"), 10, 2, 100).unwrap();
    fixture.upload(&tree.root, &[]).expect_code(0);
    fixture.assert_holds(&tree, "tree/");
    let mut content = std::fs::read(tree.path_of("d0001/f0000001.bin")).unwrap();
    content[50] ^= 1;
    tree.files.insert("d0001/f0000001.bin".to_owned(), FileFacts::of(&content));
    fixture.assert_holds(&tree, "tree/");
}
