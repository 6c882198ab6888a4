//! Downloads: AzCopy and azuring leave the same files, count the same, and end with the same code.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Seed;
use azuring_tests::differential::{Aspect, Case, Local, Remote, Service, assert_same};

/// Before and after the time of a planted blob (2024-05-06).
const YEAR_2020: u64 = 1_577_836_800;
const YEAR_2022: u64 = 1_640_995_200;
const YEAR_2025: u64 = 1_735_689_600;

#[test]
fn downloads_are_the_same() {
    let cases: Vec<Case> =
        [naming(), names(), filters(), overwrite(), checks(), kinds(), output(), refused(), azurite()]
            .concat();
    assert_same(env!("CARGO_BIN_EXE_azuring-under-test"), &cases);
}

/// What most cases need.
fn tree(remote: &Remote<'_>) {
    remote.blob("other.txt", b"other");
    remote.blob("dir/top.txt", b"7 bytes");
    remote.blob("dir/zero", b"");
    remote.blob("dir/a b%20+&.txt", b"odd name");
    remote.blob("dir/sub/a.bin", &[0; 1500]);
    remote.blob("dir/sub/photo.jpg", b"not a photo");
    remote.blob("dir/sub/deep/b", b"bb");
    remote.blob("dir/subway/c.txt", b"c");
}

/// A download out of `tree`.
fn download(name: &'static str, line: &'static str) -> Case {
    Case::new(name, line).blobs(tree)
}

fn naming() -> Vec<Case> {
    vec![
        download("a blob to a directory", "copy {URL/dir/top.txt} {DST} --from-to=BlobLocal"),
        download("a blob to a name", "copy {URL/dir/top.txt} {DST}/new --from-to=BlobLocal"),
        download(
            "a blob to a directory that is not there",
            "copy {URL/dir/top.txt} {DST}/new/ --from-to=BlobLocal",
        ),
        download(
            "a blob below directories that are not there",
            "copy {URL/dir/top.txt} {DST}/a/b/c --from-to=BlobLocal",
        ),
        download("an empty blob", "copy {URL/dir/zero} {DST} --from-to=BlobLocal"),
        download("a blob with an odd name", "copy {URL/dir/a%20b%2520%2B%26.txt} {DST} --from-to=BlobLocal"),
        download("a directory", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive"),
        download("a directory with a slash", "copy {URL/dir/} {DST} --from-to=BlobLocal --recursive"),
        download(
            "a directory to one that is not there",
            "copy {URL/dir} {DST}/new --from-to=BlobLocal --recursive",
        ),
        download("the contents of a directory", "copy {URL/dir/*} {DST} --from-to=BlobLocal --recursive"),
        download("direct blobs only", "copy {URL/dir/*} {DST} --from-to=BlobLocal"),
        download("a container", "copy {URL} {DST} --from-to=BlobLocal --recursive"),
        download("the contents of a container", "copy {URL/*} {DST} --from-to=BlobLocal --recursive"),
        download("direct blobs of a container", "copy {URL/*} {DST} --from-to=BlobLocal"),
        download(
            "not as a subdirectory",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --as-subdir=false",
        ),
        download("to nowhere", "copy {URL} /dev/null --from-to=BlobLocal --recursive"),
        download(
            "list-of-files",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --list-of-files={SRC}/list",
        )
        .source(|source| drop(source.file("list", "top.txt\nsub/deep\na b%20+&.txt\n"))),
        download(
            "list-of-files with a missing line",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --list-of-files={SRC}/list",
        )
        .source(|source| drop(source.file("list", "top.txt\nmissing.txt\nsub\n"))),
        Case::new("an empty container", "copy {URL} {DST} --from-to=BlobLocal --recursive"),
    ]
}

fn names() -> Vec<Case> {
    vec![
        Case::new("hostile names", "copy {URL/h} {DST} --from-to=BlobLocal --recursive").blobs(|remote| {
            for name in [
                "semi;colon",
                "hash#tag",
                "quest?ion",
                "per%cent%41",
                "plus+",
                "am&p",
                "quo\"te",
                "back\\slash",
            ] {
                remote.blob(&format!("h/{name}"), b"x");
            }
            for name in [" leading", "trailing ", "dot.", "...", "ünïcode/日本", "a:b|c<d>*", "%2F", "%3A%22"]
            {
                remote.blob(&format!("h/{name}"), b"x");
            }
        }),
        Case::new("empty segments", "copy {URL/h} {DST} --from-to=BlobLocal --recursive").blobs(|remote| {
            remote.blob("h/a//b", b"in an empty segment");
            remote.blob("h//c", b"in an empty segment");
        }),
        Case::new("a name that leaves the directory", "copy {URL/h} {DST} --from-to=BlobLocal --recursive")
            .blobs(|remote| {
                remote.blob("h/ok", b"ok");
                remote.blob("h/x/../../leaves", b"away");
            }),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        download("no such blob", "copy {URL/nowhere} {DST} --from-to=BlobLocal"),
        download("no such directory", "copy {URL/nowhere} {DST} --from-to=BlobLocal --recursive"),
        download("no such container", "copy {GONE} {DST} --from-to=BlobLocal --recursive"),
        download("a directory without recursive", "copy {URL/dir} {DST} --from-to=BlobLocal")
            .says("cannot use directory as source without --recursive or a trailing wildcard (/*)"),
        download("a pattern inside a path", "copy {URL/d*/top.txt} {DST} --from-to=BlobLocal")
            .says("cannot use wildcards in the path section of the URL except in trailing \"/*\""),
        download("follow-symlinks", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --follow-symlinks")
            .says("follow-symlinks flag is not supported while downloading"),
        download("metadata", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --metadata=a=1"),
        download("content-type", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --content-type=a/b"),
        download("put-md5", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --put-md5"),
        download(
            "block-blob-tier",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --block-blob-tier=Hot",
        ),
    ]
}

fn azurite() -> Vec<Case> {
    fn few(remote: &Remote<'_>) {
        remote.blob("dir/a b", b"content");
        remote.blob("dir/sub/zero", b"");
    }
    let cases = [
        Case::new("Azurite: a directory", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive").blobs(few),
        Case::new("Azurite: a blob", "copy {URL/dir/a%20b} {DST} --from-to=BlobLocal").blobs(few),
    ];
    cases.map(|case| case.on(Service::Azurite)).into()
}
