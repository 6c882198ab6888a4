//! Memory stays within the budget whatever the tree is like.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs::{self, File};
use std::time::Duration;

use azsim::Store;
use azuring_bench::workload::Noise;
use azuring_tests::{Fixture, azuring};

const MIB: u64 = 1 << 20;

#[test]
fn a_million_empty_files_in_one_job() {
    // A minute's work of this machine, and ten of one that is busy with other things.
    let azuring = azuring!().deadline(Duration::from_secs(1_800));
    let fixture = Fixture::with(azuring, |server| server.store(Store::Discard));
    let tree = fixture.path().join("tree");
    std::thread::scope(|scope| {
        for part in 0..4 {
            let tree = &tree;
            scope.spawn(move || {
                for dir in (part..1000).step_by(4) {
                    let dir = tree.join(format!("{dir:03}"));
                    fs::create_dir_all(&dir).unwrap();
                    for file in 0..1000 {
                        File::create(dir.join(format!("file-{file:03}"))).unwrap();
                    }
                }
            });
        }
    });
    let outcome = fixture.upload(&tree, &["--memory=128M"]);
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("1000000"));
    assert_eq!(fixture.server().stats().requests, 1_000_000);
    println!("1,000,000 empty files: peak memory {} MiB of 128 MiB", outcome.peak_rss_bytes / MIB);
    assert!(outcome.peak_rss_bytes < 128 * MIB, "{} MiB", outcome.peak_rss_bytes / MIB);
}

#[test]
fn large_files_in_little_memory() {
    let fixture = Fixture::with(azuring!(), |server| server.store(Store::Discard));
    for n in 0..6 {
        // Sparse: what is measured is the client, not the disk.
        let path = fixture.file(&format!("tree/{n}.bin"), b"");
        File::options().write(true).open(path).unwrap().set_len((40 + n * 30) * MIB).unwrap();
    }
    let outcome = fixture.upload(&fixture.path().join("tree"), &["--memory=64M"]);
    outcome.expect_code(0);
    println!("6 large files: peak memory {} MiB of 64 MiB", outcome.peak_rss_bytes / MIB);
    assert!(outcome.peak_rss_bytes < 64 * MIB, "{} MiB", outcome.peak_rss_bytes / MIB);
}

#[test]
fn a_directory_too_large_for_the_names_budget() {
    let fixture = Fixture::with(azuring!(), |server| server.store(Store::Discard));
    let tree = fixture.path().join("tree");
    fs::create_dir(&tree).unwrap();
    // 60,000 names of 200 bytes are 13 MB; a job of 64 MiB has 4 MiB for names.
    for n in 0..60_000 {
        File::create(tree.join(format!("{n:0200}"))).unwrap();
    }
    let outcome = fixture.upload(&tree, &["--memory=64M"]);
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("60000"));
    println!(
        "60,000 long names in one directory: peak memory {} MiB of 64 MiB",
        outcome.peak_rss_bytes / MIB
    );
    assert!(outcome.peak_rss_bytes < 64 * MIB, "{} MiB", outcome.peak_rss_bytes / MIB);
}

/// A job's budget has 16 MiB for its journal, which packs names by the ten thousand. Names like hashes cannot be
/// packed: it has to take and write all of their bytes.
#[test]
fn a_journal_of_names_that_cannot_be_packed() {
    let fixture = Fixture::with(azuring!(), |server| server.store(Store::Discard));
    let tree = fixture.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let mut random = Noise::new(7);
    for _ in 0..60_000 {
        let letter = |byte: u8| {
            char::from(
                b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"[usize::from(byte % 64)],
            )
        };
        let name: String = (0..25).flat_map(|_| random.next_u64().to_le_bytes()).map(letter).collect();
        File::create(tree.join(name)).unwrap();
    }
    // Large files fill the buffers, which get what is not reserved.
    fs::create_dir(tree.join("large")).unwrap();
    for n in 0..6 {
        File::create(tree.join(format!("large/{n}"))).unwrap().set_len((40 + n * 30) * MIB).unwrap();
    }
    let outcome = fixture.upload(&tree, &["--memory=64M"]);
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("60006"));
    println!("60,000 names like hashes, 6 large files: peak {} MiB of 64 MiB", outcome.peak_rss_bytes / MIB);
    assert!(outcome.peak_rss_bytes < 64 * MIB, "{} MiB", outcome.peak_rss_bytes / MIB);
}
