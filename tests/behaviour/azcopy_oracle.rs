//! AzCopy as oracle: what it does with a tree, azuring does; what azuring wrote, it can read.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::time::Duration;

use azsim::{BlobInfo, Server};
use azuring_bench::workload::{FileFacts, awkward_tree};
use azuring_tests::{AzCopy, CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring};

/// The container AzCopy uploads to; azuring has [`CONTAINER`].
const AZCOPYS: &str = "azcopys";

/// The same tree, once by AzCopy and once by azuring: same names, sizes, content types and bytes. Then AzCopy lists and
/// downloads what azuring uploaded, and has the source again.
#[test]
fn the_same_tree_by_azcopy_and_by_azuring_is_the_same() {
    let fixture = Fixture::new(azuring!());
    fixture.server().create_container(DEVSTORE_ACCOUNT, AZCOPYS);
    let tree = awkward_tree(&fixture.path().join("tree")).unwrap();
    // AzCopy's temporary names are longer than the files', so it could not download names of 255 bytes.
    let azcopy = AzCopy::new().env("AZCOPY_DOWNLOAD_TO_TEMP_PATH", "false");

    let url = url(fixture.server(), AZCOPYS);
    let source = tree.root.to_str().unwrap();
    let outcome =
        azcopy.run(["copy", source, &url, "--recursive", "--from-to=LocalBlob", "--metadata=a=1;b=zwei"]);
    assert_eq!(outcome.expect_code(0).field("Number of File Transfers Completed"), Some("2000"));
    let outcome = fixture.upload(&tree.root, &["--metadata", "a=1;b=zwei"]);
    assert_eq!(outcome.expect_code(0).field("Number of File Transfers Completed"), Some("2000"));

    let (theirs, ours) = (fixture.server().blobs(DEVSTORE_ACCOUNT, AZCOPYS), fixture.blobs());
    let compared = theirs.iter().zip(&ours).filter(|(theirs, ours)| visible(theirs) != visible(ours));
    let differences: Vec<_> = compared.map(|(theirs, ours)| (visible(theirs), visible(ours))).collect();
    assert!(differences.is_empty(), "AzCopy, azuring: {differences:#?}");
    assert_eq!(theirs.len(), ours.len());
    fixture.assert_holds(&tree, "tree/");

    let listed = azcopy.list(&fixture.url());
    let expected = tree.files.iter().map(|(name, facts)| (format!("tree/{name}"), facts.len_bytes));
    assert_eq!(listed, expected.collect());

    let back = fixture.path().join("back");
    let args = [
        "copy",
        &fixture.url_of(CONTAINER, "tree"),
        back.to_str().unwrap(),
        "--recursive",
        "--from-to=BlobLocal",
    ];
    assert_eq!(azcopy.run(args).expect_code(0).field("Number of File Transfers Completed"), Some("2000"));
    for (name, facts) in &tree.files {
        let content =
            fs::read(back.join("tree").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(FileFacts::of(&content), *facts, "{name}");
    }
}

fn url(server: &Server, container: &str) -> String {
    let sas = server.account_sas(DEVSTORE_ACCOUNT, "rwdlac", Duration::from_secs(3600));
    format!("{}/{container}?{sas}", server.url(DEVSTORE_ACCOUNT))
}

/// What a user sees of a blob: all but when it was written, and in which blocks.
fn visible(blob: &BlobInfo) -> BlobInfo {
    let mut blob = blob.clone();
    blob.etag.clear();
    blob.blocks.clear();
    blob
}
