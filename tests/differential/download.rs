//! Downloads: AzCopy and azuring leave the same files, count the same, and end with the same code.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Seed;
use azuring_tests::differential::shared::{LISTED, PREFIX, YEAR_2020, YEAR_2022, YEAR_2025};
use azuring_tests::differential::{Aspect, Case, Remote, Service, assert_same};

/// Why azuring differs on purpose.
const SLASH: &str =
    "AzCopy makes a file of a destination that ends in a slash and is not there; azuring a directory";
const SUMMARY: &str = "AzCopy ends without a summary; azuring shows that nothing was done";
const PUT_MD5: &str =
    "AzCopy takes the flag, fails every transfer and leaves empty files; azuring refuses it";
const UNPACKED: &str =
    "AzCopy's help says that the suffix is removed, and what is unpacked is no .gz; AzCopy leaves it";
const LEFT_OUT: &str = "links that are left out are counted, as in uploads; AzCopy says nothing of them";
const LINE: &str = "what a line names is counted as a file, before it is known to be a link";
const EMPTY: &str = "AzCopy forgets the stub of a directory with nothing in it; azuring makes it";

#[test]
fn downloads_are_the_same() {
    let cases: Vec<Case> = [
        naming(),
        names(),
        filters(),
        selection(),
        overwrite(),
        checks(),
        kinds(),
        output(),
        refused(),
        azurite(),
    ]
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
        )
        .differs(Aspect::Path, "new", "directory", SLASH)
        .differs(Aspect::Path, "new/top.txt", "file", SLASH),
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
        .source(|source| drop(source.file("list", "top.txt\nmissing.txt\nsub\n")))
        .differs(Aspect::Exit, "", "1", LISTED)
        .differs(Aspect::Count, "*", "*", LISTED),
        Case::new("an empty container", "copy {URL} {DST} --from-to=BlobLocal --recursive"),
    ]
}

/// What is selected, where several rules meet.
fn selection() -> Vec<Case> {
    let links = |remote: &Remote<'_>| {
        let metadata = vec![("is_symlink".to_owned(), "true".to_owned())];
        remote.seed(Seed {
            name: "dir/link".to_owned(),
            content: vec!["target".into()],
            metadata,
            ..Seed::default()
        });
        remote.blob("dir/top.txt", b"7 bytes");
    };
    vec![
        download("selection: nothing passes into a directory that is not there", "copy {URL/dir} {DST}/new --from-to=BlobLocal --recursive --include-pattern=*.none"),
        download("selection: a directory of a list and a pattern for files", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --list-of-files={SRC}/list --include-pattern=*.jpg;*.txt")
            .source(|source| drop(source.file("list", "sub\ntop.txt\nzero\n"))),
        download("selection: a directory of a list and an expression", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --list-of-files={SRC}/list --include-regex=a.bin$")
            .source(|source| drop(source.file("list", "sub\ntop.txt\nzero\n"))),
        download("selection: a path below another, not recursive", "copy {URL/dir/*} {DST} --from-to=BlobLocal --include-path=sub;sub/a.bin"),
        download("selection: paths that begin alike", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-path=subway;sub"),
        Case::new("selection: a link of a list", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --list-of-files={SRC}/list")
            .source(|source| drop(source.file("list", "link\ntop.txt\n"))).blobs(links)
            .differs(Aspect::Count, "*", "*", LEFT_OUT),
        Case::new("selection: a link of a list that is kept", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --preserve-symlinks --list-of-files={SRC}/list")
            .source(|source| drop(source.file("list", "link\ntop.txt\n"))).blobs(links)
            .differs(Aspect::Count, "*", "*", LINE),
        Case::new("selection: a link by its name", "copy {URL/dir/link} {DST} --from-to=BlobLocal").blobs(links)
            .differs(Aspect::Count, "*", "*", LEFT_OUT),
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

fn filters() -> Vec<Case> {
    vec![
        download(
            "include-pattern",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-pattern=*.txt;*.jpg",
        ),
        download(
            "include-pattern of a container",
            "copy {URL/*} {DST} --from-to=BlobLocal --include-pattern=o*",
        ),
        download(
            "exclude-pattern",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --exclude-pattern=*.txt;b",
        ),
        download(
            "include-path",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-path=sub;top.txt",
        ),
        download(
            "exclude-path",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --exclude-path=sub/deep;zero",
        ),
        download(
            "exclude-path that is the start of a name",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --exclude-path=sub",
        )
        .differs(Aspect::Path, "dir/subway", "directory", PREFIX)
        .differs(Aspect::Path, "dir/subway/c.txt", "file", PREFIX)
        .differs(Aspect::Count, "*", "*", PREFIX),
        download(
            "include-regex",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-regex=^sub/;txt$",
        ),
        download(
            "exclude-regex",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --exclude-regex=^sub;\\.txt$",
        ),
        download(
            "nothing passes",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-pattern=*.none",
        ),
        Case::new(
            "include-after",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-after=2021-01-01T00:00:00Z",
        )
        .blobs(dated),
        Case::new(
            "include-before",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-before=2022-01-01T00:00:00Z",
        )
        .blobs(dated),
    ]
}

fn seed(name: &str, content: &'static [u8]) -> Seed {
    Seed { name: name.to_owned(), content: vec![content.into()], ..Seed::default() }
}

fn dated(remote: &Remote<'_>) {
    remote.seed(Seed { modified_s: Some(YEAR_2020), ..seed("dir/2020", b"a") });
    remote.seed(Seed { modified_s: Some(YEAR_2022), ..seed("dir/2022", b"b") });
    remote.seed(Seed { modified_s: Some(YEAR_2025), ..seed("dir/sub/2025", b"c") });
}

fn overwrite() -> Vec<Case> {
    let there = |case: Case| {
        case.blobs(tree).destination(|destination| {
            destination.file_of("dir/top.txt", "older", YEAR_2020);
            destination.file_of("dir/sub/a.bin", "newer", YEAR_2025);
        })
    };
    vec![
        there(Case::new("overwrite", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive")),
        there(Case::new(
            "overwrite=false",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --overwrite=false",
        )),
        there(Case::new(
            "overwrite=false in JSON",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --overwrite=false --output-type=json",
        )),
        there(Case::new(
            "overwrite=ifSourceNewer",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --overwrite=ifSourceNewer",
        )),
        download(
            "a directory where a file is to be",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --include-pattern=top.txt;zero",
        )
        .destination(|destination| destination.dir("dir/top.txt")),
        download("a file where a directory is to be", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive")
            .destination(|destination| drop(destination.file("dir/sub", "in the way"))),
    ]
}

fn checks() -> Vec<Case> {
    fn digests(remote: &Remote<'_>) {
        // The MD5 of "abc".
        let right =
            [0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72];
        remote.seed(Seed { content_md5: Some(right), ..seed("d/right", b"abc") });
        remote.seed(Seed { content_md5: Some([7; 16]), ..seed("d/wrong", b"abc") });
        remote.seed(seed("d/missing", b"abc"));
    }
    vec![
        Case::new("check-md5", "copy {URL/d} {DST} --from-to=BlobLocal --recursive").blobs(digests),
        Case::new(
            "check-md5=NoCheck",
            "copy {URL/d} {DST} --from-to=BlobLocal --recursive --check-md5=NoCheck",
        )
        .blobs(digests),
        Case::new(
            "check-md5=LogOnly",
            "copy {URL/d} {DST} --from-to=BlobLocal --recursive --check-md5=LogOnly",
        )
        .blobs(digests),
        Case::new(
            "check-md5=FailIfDifferentOrMissing",
            "copy {URL/d} {DST} --from-to=BlobLocal --recursive --check-md5=FailIfDifferentOrMissing",
        )
        .blobs(digests),
        Case::new(
            "a wrong MD5 in JSON",
            "copy {URL/d} {DST} --from-to=BlobLocal --recursive --output-type=json",
        )
        .blobs(digests),
        Case::new(
            "a wrong MD5 over a file that is there",
            "copy {URL/d/wrong} {DST}/file --from-to=BlobLocal",
        )
        .blobs(digests)
        .destination(|destination| drop(destination.file("file", "before"))),
    ]
}

/// `hello, hello, hello` as gzip.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51,
    0xc8, 0x40, 0xa2, 0x00, 0x9f, 0xa1, 0xca, 0x09, 0x13, 0x00, 0x00, 0x00,
];

fn kinds() -> Vec<Case> {
    fn zipped(remote: &Remote<'_>) {
        let gzip = |name: &str| Seed { content_encoding: "gzip".to_owned(), ..seed(name, GZIP) };
        remote.seed(gzip("z/named.txt.gz"));
        remote.seed(gzip("z/unnamed"));
        remote.seed(seed("z/no-encoding.gz", GZIP));
        remote.seed(seed("z/plain.txt", b"plain"));
    }
    fn stubs(remote: &Remote<'_>) {
        let stub = vec![("hdi_isfolder".to_owned(), "true".to_owned())];
        remote.seed(Seed { metadata: stub.clone(), ..seed("s/dir", b"") });
        remote.seed(Seed { metadata: stub, ..seed("s/empty", b"") });
        remote.seed(seed("s/dir/in", b"in"));
        remote.seed(seed("s/zero", b""));
    }
    fn linked(remote: &Remote<'_>) {
        remote.seed(seed("l/file", b"content"));
        let link = vec![("is_symlink".to_owned(), "true".to_owned())];
        remote.seed(Seed { metadata: link, ..seed("l/link", b"file") });
    }
    fn posix(remote: &Remote<'_>) {
        let pairs = [
            ("permissions", "33152"),
            ("modtime", "1577836800000000000"),
            ("posix_owner", "0"),
            ("posix_group", "0"),
            ("linux_statx_mask", "8191"),
            ("posix_atime", "1577836800000000000"),
        ];
        let metadata = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        remote.seed(Seed { metadata, ..seed("p/file", b"content") });
        remote.seed(seed("p/without", b"content"));
    }
    vec![
        Case::new("compressed blobs as they are", "copy {URL/z} {DST} --from-to=BlobLocal --recursive")
            .blobs(zipped),
        Case::new("decompress", "copy {URL/z} {DST} --from-to=BlobLocal --recursive --decompress")
            .blobs(zipped)
            .differs(Aspect::Path, "z/named.txt", "file", UNPACKED)
            .differs(Aspect::Path, "z/named.txt.gz", "", UNPACKED),
        Case::new("stubs are not files", "copy {URL/s} {DST} --from-to=BlobLocal --recursive").blobs(stubs),
        Case::new(
            "include-directory-stub",
            "copy {URL/s} {DST} --from-to=BlobLocal --recursive --include-directory-stub",
        )
        .blobs(stubs)
        .differs(Aspect::Path, "s/empty", "directory", EMPTY)
        .differs(Aspect::Count, "Number of Folder Property Transfers", "2", EMPTY)
        .differs(Aspect::Count, "Number of Folder Transfers Completed", "2", EMPTY)
        .differs(Aspect::Count, "Total Number of Transfers", "4", EMPTY),
        Case::new("links as files", "copy {URL/l} {DST} --from-to=BlobLocal --recursive")
            .blobs(linked)
            .differs(Aspect::Count, "Number of Symbolic Links Skipped", "1", LEFT_OUT)
            .differs(Aspect::Count, "Final Job Status", "CompletedWithSkipped", LEFT_OUT),
        Case::new(
            "preserve-symlinks",
            "copy {URL/l} {DST} --from-to=BlobLocal --recursive --preserve-symlinks",
        )
        .blobs(linked),
        Case::new(
            "preserve-last-modified-time",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --preserve-last-modified-time",
        )
        .blobs(dated),
        Case::new(
            "posix properties",
            "copy {URL/p} {DST} --from-to=BlobLocal --recursive --preserve-posix-properties",
        )
        .blobs(posix),
        Case::new("in ranges", "copy {URL/large.bin} {DST} --from-to=BlobLocal --block-size-mb=1").blobs(
            |remote| {
                let content: Vec<u8> = (0..5_u32 << 17).flat_map(u32::to_le_bytes).collect();
                remote.seed(Seed {
                    name: "large.bin".to_owned(),
                    content: vec![content.into()],
                    ..Seed::default()
                });
            },
        ),
    ]
}

fn output() -> Vec<Case> {
    vec![
        download("JSON", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --output-type=json"),
        download("quiet output", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --output-level=quiet"),
        download("dry run", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --dry-run"),
        Case::new(
            "dry run in JSON",
            "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --dry-run --output-type=json",
        )
        .blobs(|remote| {
            let metadata = vec![("a".to_owned(), "1".to_owned())];
            remote.seed(Seed {
                metadata,
                content_md5: Some([7; 16]),
                content_language: "en".to_owned(),
                ..seed("dir/a b", b"x")
            });
            remote.seed(seed("dir/zero", b""));
        }),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        download("no such blob", "copy {URL/nowhere} {DST} --from-to=BlobLocal").differs(
            Aspect::Count,
            "*",
            "*",
            SUMMARY,
        ),
        download("no such directory", "copy {URL/nowhere} {DST} --from-to=BlobLocal --recursive").differs(
            Aspect::Count,
            "*",
            "*",
            SUMMARY,
        ),
        download("no such container", "copy {GONE} {DST} --from-to=BlobLocal --recursive").differs(
            Aspect::Count,
            "*",
            "*",
            SUMMARY,
        ),
        download("a directory without recursive", "copy {URL/dir} {DST} --from-to=BlobLocal")
            .says("cannot use directory as source without --recursive or a trailing wildcard (/*)")
            .differs(Aspect::Count, "*", "*", SUMMARY),
        download("a pattern inside a path", "copy {URL/d*/top.txt} {DST} --from-to=BlobLocal")
            .says("cannot use wildcards in the path section of the URL except in trailing \"/*\""),
        download("follow-symlinks", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --follow-symlinks")
            .says("follow-symlinks flag is not supported while downloading"),
        download("metadata", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --metadata=a=1"),
        download("content-type", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --content-type=a/b"),
        download("put-md5", "copy {URL/dir} {DST} --from-to=BlobLocal --recursive --put-md5")
            .differs(Aspect::Count, "*", "", PUT_MD5)
            .differs(Aspect::Path, "*", "", PUT_MD5),
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
