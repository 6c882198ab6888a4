//! The demo proves itself and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "test code")]

use azuring_bench::workload::awkward_tree;
use azuring_tests::azuring;

#[test]
fn a_generated_tree_is_uploaded_and_compared() {
    let scratch = tempfile::tempdir().unwrap();
    let outcome = azuring!().env("TMPDIR", scratch.path()).run(["demo", "--files=2000", "--large-mib=24"]);
    outcome.expect_code(0);
    for part in
        ["files/s", "MiB/s", "us of CPU time per file", "of memory at most", "2,001 blobs equal", "0 differ"]
    {
        assert!(outcome.stdout.contains(part), "{part} in:\n{}", outcome.stdout);
    }
    assert!(
        outcome
            .stdout
            .contains("azuring copy 'DIR' 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' --recursive")
    );
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_given_directory_is_used_and_not_changed() {
    let scratch = tempfile::tempdir().unwrap();
    let source = tempfile::tempdir().unwrap();
    let tree = awkward_tree(&source.path().join("tree")).unwrap();
    let outcome = azuring!().env("TMPDIR", scratch.path()).run(["demo", tree.root.to_str().unwrap()]);
    outcome.expect_code(0);
    assert!(outcome.stdout.contains("2,000 blobs equal"), "{}", outcome.stdout);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(std::fs::read_dir(source.path()).unwrap().count(), 1);
}
