//! The differential harness finds what was planted, and nothing where there is nothing.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use azuring_tests::Peers;
use azuring_tests::differential::{Aspect, Case, Local, Suite, Verdict, unlisted};
use tempfile::TempDir;

const AZURING: &str = env!("CARGO_BIN_EXE_azuring-under-test");

fn tree(source: &Local) {
    source.file("dir/top.txt", "7 bytes");
    source.file("dir/sub/a.bin", [0; 1500]);
}

/// A case as plain as can be, on which both agree.
fn plain() -> Case {
    Case::new("plain", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive").source(tree)
}

/// A program that runs `script`, in which `$AZURING` is the real one.
fn wrapper(dir: &TempDir, script: &str) -> PathBuf {
    let path = dir.path().join("wrapper");
    fs::write(&path, format!("#!/bin/sh\nAZURING={AZURING}\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn judge(program: &std::path::Path, case: Case) -> Verdict {
    let cases = [case];
    Suite::new(program, &cases).judge(&cases).remove(0)
}

fn found(verdict: &Verdict) -> Vec<(Aspect, &str)> {
    verdict.undeclared.iter().map(|found| (found.aspect, found.subject.as_str())).collect()
}

#[test]
fn azcopy_agrees_with_itself() {
    let cases = [
        plain(),
        Case::new(
            "json",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --output-type=json --put-md5",
        )
        .source(tree),
        Case::new("download", "copy {URL/a} {DST} --from-to=BlobLocal --preserve-last-modified-time")
            .blobs(|remote| remote.blob("a", b"content")),
        Case::new("dry run", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --dry-run").source(tree),
        Case::new("list", "list {URL} --location=Blob").blobs(|remote| remote.blob("a", b"content")),
    ];
    for verdict in Suite::new(&Peers::get().azcopy().unwrap(), &cases).judge(&cases) {
        assert!(verdict.is_right(), "{verdict}");
    }
}

#[test]
fn a_planted_difference_is_found_and_only_that() {
    let dir = tempfile::tempdir().unwrap();
    let program = wrapper(&dir, "exec \"$AZURING\" \"$@\" --content-language=xx");
    let verdict = judge(&program, plain());
    assert_eq!(found(&verdict), [(Aspect::Headers, "dir/sub/a.bin"), (Aspect::Headers, "dir/top.txt")]);
    assert!(verdict.wrong.is_empty() && !verdict.is_right());

    let declared = plain().differs(Aspect::Headers, "dir/sub/a.bin", " | xx |  | ", "planted");
    let verdict = judge(&program, declared);
    assert_eq!(found(&verdict), [(Aspect::Headers, "dir/top.txt")]);
}

#[test]
fn a_tool_that_does_nothing_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let verdict = judge(&wrapper(&dir, "exit 3"), plain());
    let found = found(&verdict);
    for expected in
        [(Aspect::Exit, ""), (Aspect::Name, "dir/top.txt"), (Aspect::Count, "Number of File Transfers")]
    {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
}

#[test]
fn a_declared_difference_that_is_none_fails_the_case() {
    let case = plain().differs(Aspect::Exit, "", "1", "nobody knows").says("no such text");
    let verdict = judge(AZURING.as_ref(), case);
    assert_eq!(found(&verdict), []);
    assert_eq!(
        verdict.wrong,
        [
            "Exit \"\" is declared to differ and does not (nobody knows)",
            "AzCopy does not print \"no such text\"",
            "azuring does not print \"no such text\"",
        ]
    );
}

#[test]
fn a_declared_difference_that_the_ledger_does_not_list_is_found() {
    let listed = "AzCopy excludes every name that begins so; azuring excludes the path and what is below it";
    let name = "exclude-path that is the start of a name";
    let case = |name, reason| Case::new(name, "").differs(Aspect::Exit, "", "1", reason);
    assert_eq!(unlisted(&[plain(), case(name, listed)]), [""; 0]);
    let others =
        [case("another", listed), case(name, "nobody knows").differs(Aspect::Md5, "", "", "nobody knows")];
    assert_eq!(unlisted(&others), [format!("another: {listed}"), format!("{name}: nobody knows")]);
}
