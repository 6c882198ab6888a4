//! Everything that copies no trees: list, remove, set-properties, make, pipes.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Seed;
use azuring_tests::differential::shared::LISTED;
use azuring_tests::differential::{Aspect, Case, Remote, Service, assert_same};

#[test]
fn commands_do_the_same() {
    let cases: Vec<Case> = [list(), remove(), selection(), set_properties(), make(), pipes()].concat();
    assert_same(env!("CARGO_BIN_EXE_azuring-under-test"), &cases);
}

/// What most cases need.
fn tree(remote: &Remote<'_>) {
    remote.blob("other", &[0; 3_000_000]);
    remote.blob("dir/top.txt", b"7 bytes");
    remote.blob("dir/a b%20.txt", b"x");
    remote.blob("dir/zero", b"");
    remote.blob("dir/sub/a.bin", &[0; 1500]);
    remote.blob("dir/sub/deep/b", b"bb");
    remote.blob("dir/subway/c.txt", b"c");
}

/// A blob of each kind of property.
fn decorated(remote: &Remote<'_>) {
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    remote.seed(Seed {
        name: "dir/full".to_owned(),
        content: vec!["content".into()],
        content_type: "text/x-test".to_owned(),
        content_encoding: "identity".to_owned(),
        content_md5: Some([7; 16]),
        metadata: pair("a", "1"),
        tags: pair("k", "v"),
        tier: "Cool".to_owned(),
        ..Seed::default()
    });
    remote.blob("dir/plain", b"x");
}

fn case(name: &'static str, line: &'static str) -> Case {
    Case::new(name, line).blobs(tree)
}

fn list() -> Vec<Case> {
    vec![
        case("list", "list {URL} --location=Blob"),
        case("list in JSON", "list {URL} --location=Blob --output-type=json"),
        case("list machine-readable", "list {URL} --location=Blob --machine-readable"),
        case("list machine-readable in JSON", "list {URL} --location=Blob --machine-readable --output-type=json"),
        case("list with a tally", "list {URL} --location=Blob --running-tally"),
        case("list with a tally in JSON", "list {URL} --location=Blob --running-tally --output-type=json"),
        case("list with a machine-readable tally", "list {URL} --location=Blob --running-tally --machine-readable"),
        case("list in mega-units", "list {URL} --location=Blob --running-tally --mega-units"),
        case("list in mega-units in JSON", "list {URL} --location=Blob --running-tally --mega-units --output-type=json"),
        Case::new("list properties", "list {URL} --location=Blob --properties=LastModifiedTime;VersionId;BlobType;BlobAccessTier;ContentType;ContentEncoding;ContentMD5;LeaseState;LeaseDuration;LeaseStatus;ArchiveStatus").blobs(decorated),
        Case::new("list properties in JSON", "list {URL} --location=Blob --output-type=json --properties=LastModifiedTime;VersionId;BlobType;BlobAccessTier;ContentType;ContentEncoding;ContentMD5;LeaseState;LeaseDuration;LeaseStatus;ArchiveStatus").blobs(decorated),
        Case::new("list two properties", "list {URL} --location=Blob --properties=BlobAccessTier;LastModifiedTime").blobs(decorated),
        case("list an unknown property", "list {URL} --location=Blob --properties=Nope"),
        case("list a directory", "list {URL/dir} --location=Blob"),
        case("list a directory with a slash", "list {URL/dir/} --location=Blob"),
        case("list the start of a name", "list {URL/di} --location=Blob"),
        case("list one blob", "list {URL/dir/top.txt} --location=Blob"),
        case("list nothing", "list {URL/nowhere} --location=Blob"),
        Case::new("list an empty container", "list {URL} --location=Blob --running-tally"),
        case("list no container", "list {GONE} --location=Blob").says("ContainerNotFound"),
        Case::new("list with snapshots and stubs", "list {URL} --location=Blob").blobs(|remote| {
            tree(remote);
            remote.snapshot("dir/top.txt");
            let metadata = vec![("hdi_isfolder".to_owned(), "true".to_owned())];
            remote.seed(Seed { name: "stub".to_owned(), metadata, ..Seed::default() });
        }),
        Case::new("list large sizes", "list {URL} --location=Blob").blobs(|remote| {
            for (name, len) in [("1023", 1023), ("1024", 1024), ("1025", 1025), ("1048575", 1_048_575), ("5242880", 5_242_880)] {
                remote.seed(Seed { name: name.to_owned(), content: vec![vec![0; len].into()], ..Seed::default() });
            }
        }),
    ]
}

fn remove() -> Vec<Case> {
    fn with_snapshots(remote: &Remote<'_>) {
        tree(remote);
        remote.snapshot("dir/top.txt");
        remote.snapshot("dir/top.txt");
    }
    let listed = |case: Case| case.source(|source| drop(source.file("list", "top.txt\nmissing.txt\nsub\n")));
    vec![
        case("remove a directory", "remove {URL/dir} --from-to=BlobTrash --recursive"),
        case(
            "remove a directory in JSON",
            "remove {URL/dir} --from-to=BlobTrash --recursive --output-type=json",
        ),
        case("remove a container's blobs", "remove {URL} --from-to=BlobTrash --recursive"),
        case("remove direct blobs", "remove {URL/dir} --from-to=BlobTrash"),
        case("remove one blob", "remove {URL/dir/a%20b%2520.txt} --from-to=BlobTrash"),
        case(
            "remove by include-pattern",
            "remove {URL/dir} --from-to=BlobTrash --recursive --include-pattern=*.txt",
        ),
        case(
            "remove by exclude-pattern",
            "remove {URL/dir} --from-to=BlobTrash --recursive --exclude-pattern=*.txt",
        ),
        case(
            "remove by include-path",
            "remove {URL/dir} --from-to=BlobTrash --recursive --include-path=sub;top.txt",
        ),
        case(
            "remove by exclude-path",
            "remove {URL/dir} --from-to=BlobTrash --recursive --exclude-path=sub/deep;zero",
        ),
        case(
            "remove by include-before",
            "remove {URL/dir} --from-to=BlobTrash --recursive --include-before=2020-01-01",
        ),
        listed(case(
            "remove by list-of-files",
            "remove {URL/dir} --from-to=BlobTrash --recursive --list-of-files={SRC}/list",
        ))
        .differs(Aspect::Exit, "", "1", LISTED)
        .differs(Aspect::Count, "Final Job Status", "CompletedWithErrors", LISTED)
        .differs(Aspect::Count, "Number of File Transfers", "4", LISTED)
        .differs(Aspect::Count, "Number of File Transfers Failed", "1", LISTED)
        .differs(Aspect::Count, "Total Number of Transfers", "4", LISTED),
        case("remove nothing", "remove {URL/nowhere} --from-to=BlobTrash --recursive"),
        case("remove no blob", "remove {URL/nowhere} --from-to=BlobTrash"),
        case("remove from no container", "remove {GONE} --from-to=BlobTrash --recursive").differs(
            Aspect::Count,
            "*",
            "*",
            "a job that stops says how it stands; AzCopy prints no summary",
        ),
        case(
            "remove what no filter passes",
            "remove {URL/dir} --from-to=BlobTrash --recursive --include-pattern=*.none",
        ),
        Case::new("remove a blob that has snapshots", "remove {URL/dir} --from-to=BlobTrash --recursive")
            .blobs(with_snapshots),
        Case::new(
            "remove a blob that has snapshots in JSON",
            "remove {URL/dir} --from-to=BlobTrash --recursive --output-type=json",
        )
        .blobs(with_snapshots),
        Case::new(
            "remove with its snapshots",
            "remove {URL/dir} --from-to=BlobTrash --recursive --delete-snapshots=include",
        )
        .blobs(with_snapshots),
        Case::new(
            "remove the snapshots only",
            "remove {URL/dir/top.txt} --from-to=BlobTrash --delete-snapshots=only",
        )
        .blobs(with_snapshots),
        case("remove in a dry run", "remove {URL/dir} --from-to=BlobTrash --recursive --dry-run"),
        Case::new(
            "remove in a dry run in JSON",
            "remove {URL/dir} --from-to=BlobTrash --recursive --dry-run --output-type=json",
        )
        .blobs(decorated),
        Case::new("Azurite: remove a directory", "remove {URL/dir} --from-to=BlobTrash --recursive")
            .on(Service::Azurite)
            .blobs(|remote| {
                remote.blob("dir/a b", b"x");
                remote.blob("stays", b"x");
            }),
    ]
}

/// What is selected, where several rules meet.
fn selection() -> Vec<Case> {
    fn stubs(remote: &Remote<'_>) {
        tree(remote);
        for name in ["dir", "dir/sub", "dir/empty.txt"] {
            let metadata = vec![("hdi_isfolder".to_owned(), "true".to_owned())];
            remote.seed(Seed { name: name.to_owned(), metadata, ..Seed::default() });
        }
        remote.blob("dir/empty.txt/x", b"x");
    }
    let stubs = |name, line| Case::new(name, line).blobs(stubs);
    let listed = |case: Case| case.source(|source| drop(source.file("list", "top.txt\nsub\nzero\n")));
    vec![
        stubs("selection: remove stubs", "remove {URL/dir} --from-to=BlobTrash --recursive"),
        stubs(
            "selection: remove by exclude-pattern beside stubs",
            "remove {URL/dir} --from-to=BlobTrash --recursive --exclude-pattern=*.txt",
        ),
        stubs(
            "selection: remove by include-pattern beside stubs",
            "remove {URL/dir} --from-to=BlobTrash --recursive --include-pattern=*.txt;sub",
        ),
        stubs(
            "selection: remove by exclude-path beside stubs",
            "remove {URL/dir} --from-to=BlobTrash --recursive --exclude-path=sub/deep",
        ),
        stubs(
            "selection: remove by include-path beside stubs",
            "remove {URL/dir} --from-to=BlobTrash --recursive --include-path=sub",
        ),
        listed(case(
            "selection: remove a directory of a list by pattern",
            "remove {URL/dir} --from-to=BlobTrash --recursive --list-of-files={SRC}/list --include-pattern=*.bin;*.txt",
        )),
        listed(case(
            "selection: set on a directory of a list by pattern",
            "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2 --list-of-files={SRC}/list --include-pattern=*.bin;*.txt",
        )),
        case(
            "selection: remove paths that begin alike",
            "remove {URL/dir} --from-to=BlobTrash --recursive --include-path=subway;sub",
        ),
        case("selection: remove by the start of a name", "remove {URL/dir*} --from-to=BlobTrash --recursive"),
    ]
}

fn set_properties() -> Vec<Case> {
    let set = |name: &'static str, line: &'static str| Case::new(name, line).blobs(decorated);
    vec![
        set("set metadata", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2;c=3"),
        set("set metadata in JSON", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2 --output-type=json"),
        set("clear metadata", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=clear"),
        set("set the tier", "set-properties {URL/dir} --from-to=BlobNone --recursive --block-blob-tier=Archive"),
        set("set the tier, in small letters", "set-properties {URL/dir/plain} --from-to=BlobNone --block-blob-tier=cold"),
        set("set tags", "set-properties {URL/dir} --from-to=BlobNone --recursive --blob-tags=x=1&y%20z=2"),
        set("set all of them", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2 --block-blob-tier=Cool --blob-tags=x=1"),
        set("set nothing", "set-properties {URL/dir} --from-to=BlobNone --recursive"),
        set("set by pattern", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2 --include-pattern=p*"),
        set("set by list-of-files", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2 --list-of-files={SRC}/list")
            .source(|source| drop(source.file("list", "plain\n"))),
        set("set on nothing", "set-properties {URL/nowhere} --from-to=BlobNone --recursive --metadata=b=2"),
        set("set a bad tier", "set-properties {URL/dir} --from-to=BlobNone --recursive --block-blob-tier=Lukewarm"),
        set("set in a dry run", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2 --block-blob-tier=cool --dry-run"),
        set("set in a dry run in JSON", "set-properties {URL/dir} --from-to=BlobNone --recursive --metadata=b=2 --block-blob-tier=cool --blob-tags=x=1 --dry-run --output-type=json"),
    ]
}

fn make() -> Vec<Case> {
    vec![
        Case::new("make a container", "make {NEW}").says("Successfully created the resource."),
        Case::new("make a container in JSON", "make {NEW} --output-type=json")
            .says("Successfully created the resource."),
        Case::new("make a directory", "make {URL/dir}"),
    ]
}

fn pipes() -> Vec<Case> {
    vec![
        Case::new("a pipe to a blob", "copy {URL/piped} --from-to=PipeBlob").stdin(b"from a pipe"),
        Case::new("an empty pipe to a blob", "copy {URL/piped} --from-to=PipeBlob").stdin(b""),
        Case::new("a pipe to a blob with properties", "copy {URL/piped} --from-to=PipeBlob --metadata=a=1 --content-type=text/x-test --block-blob-tier=Cool --blob-tags=k=v --cache-control=no-cache").stdin(b"from a pipe"),
        case("a blob to a pipe", "copy {URL/dir/top.txt} --from-to=BlobPipe"),
        case("no blob to a pipe", "copy {URL/nowhere} --from-to=BlobPipe"),
    ]
}
