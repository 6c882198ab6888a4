//! A page is as large as the service makes it; what is kept of it is not.

use std::fmt::Write;

use super::course::azuring;
use super::lister::{Lister, Say};

const MIB: u64 = 1 << 20;

#[test]
fn a_page_with_all_the_metadata_there_can_be() {
    let names: Vec<String> = (0..5_000).map(|n| format!("{n:05}")).collect();
    // A page of 40 MiB: 8 KiB of metadata for each of 5,000 blobs. Made before: no server of a test takes that long.
    let mut page = String::from("<?xml version=\"1.0\"?><EnumerationResults><Blobs>");
    let value = "v".repeat(2_000);
    let metadata: String = (0..4).map(|n| format!("<key{n}>{value}</key{n}>")).collect();
    for name in &names {
        write!(
            page,
            "<Blob><Name>{name}</Name><Properties><Content-Length>5</Content-Length><Etag>1</Etag>\
             <Last-Modified>Sun, 22 Nov 2026 04:00:00 GMT</Last-Modified><BlobType>BlockBlob</BlobType></Properties>\
             <Metadata>{metadata}</Metadata></Blob>"
        )
        .unwrap();
    }
    page += "</Blobs><NextMarker></NextMarker></EnumerationResults>";
    assert!(page.len() as u64 > 38 * MIB);
    let lister = Lister::start(names, None, 1, move |_| Say::Whole(page.clone()));
    let azuring = azuring();
    let down = azuring.home().join("down").display().to_string();
    for args in [
        &["remove", "--recursive", "--dry-run", "--memory=64M"][..],
        &["set-properties", "--recursive", "--block-blob-tier=cool", "--dry-run", "--memory=64M"],
        &["copy", &down, "--recursive", "--memory=64M"],
        &["list"],
    ] {
        let outcome = azuring.run([args[0], lister.url()].iter().chain(&args[1..]));
        outcome.expect_code(0);
        println!("{}: peak memory {} MiB", args[0], outcome.peak_rss_bytes / MIB);
        assert!(outcome.peak_rss_bytes < 64 * MIB, "{}: {} MiB", args[0], outcome.peak_rss_bytes / MIB);
        assert!(args[0] == "copy" || outcome.stdout.contains("04999"), "{}", args[0]);
    }
    assert_eq!(std::fs::read(azuring.home().join("down/data/04999")).unwrap(), b"04999");
    assert_eq!(lister.touched().len(), 5_000);
}
