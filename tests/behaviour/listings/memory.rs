//! A page is as large as the service makes it; what is kept of it is not.

use azsim::Seed;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring};

const MIB: u64 = 1 << 20;

#[test]
fn a_page_with_all_the_metadata_there_can_be() {
    let fixture = Fixture::new(azuring!());
    // A page of 40 MiB: 8 KiB of metadata for each blob.
    let metadata: Vec<(String, String)> = (0..4).map(|n| (format!("key{n}"), "v".repeat(2_000))).collect();
    let seed = |n| Seed { name: format!("{n:05}"), metadata: metadata.clone(), ..Seed::default() };
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, (0..5_000).map(seed));
    let url = fixture.url();
    for args in [&["copy", &url, "/dev/null", "--recursive", "--memory=64M"][..], &["list", &url]] {
        let outcome = fixture.run(args);
        outcome.expect_code(0);
        println!("{}: peak memory {} MiB", args[0], outcome.peak_rss_bytes / MIB);
        assert!(outcome.peak_rss_bytes < 64 * MIB, "{}: {} MiB", args[0], outcome.peak_rss_bytes / MIB);
    }
}
