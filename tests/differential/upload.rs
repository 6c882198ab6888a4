//! Uploads: AzCopy and azuring leave the same blobs, count the same, and end with the same code.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Seed;
use azuring_tests::differential::shared::{LISTED, PREFIX, YEAR_2020, YEAR_2022, YEAR_2025};
use azuring_tests::differential::{Aspect, Case, Local, Service, assert_same};

/// Why azuring differs on purpose.
const COUNTED: &str = "AzCopy leaves links out without a word; azuring counts them";
const DANGLING: &str = "AzCopy leaves out a link to nowhere that it was to follow; azuring fails it";
const NAMED: &str = "AzCopy refuses a link as the source; azuring takes the file it leads to";
const PIPE: &str = "AzCopy makes an empty blob of a named pipe; azuring skips and counts it";
const DECODED: &str =
    "AzCopy shows a destination as it was typed and all others decoded; azuring decodes all";
const REGEX: &str = "AzCopy takes a regex that is none for one that matches nothing; azuring refuses it";
const ONCE: &str = "AzCopy transfers twice what two paths name, and fails the second; azuring takes it once";
const IN_PLACE: &str = "AzCopy replaces page and append blobs in place, which a failure loses; azuring does so only with --overwrite";
const SAYS_WHY: &str = "AzCopy does not say why everything fails; azuring does";

#[test]
fn uploads_are_the_same() {
    let cases: Vec<Case> = [
        naming(),
        filters(),
        selection(),
        properties(),
        sizes_and_types(),
        overwrite(),
        links(),
        output(),
        refused(),
        azurite(),
    ]
    .concat();
    assert_same(env!("CARGO_BIN_EXE_azuring-under-test"), &cases);
}

/// A small tree with what most cases need.
fn tree(source: &Local) {
    source.file("dir/top.txt", "7 bytes");
    source.file("dir/.hidden", "h");
    source.file("dir/zero", "");
    source.file("dir/a b%20+&.txt", "odd name");
    source.file("dir/sub/a.bin", [0; 1500]);
    source.file("dir/sub/photo.jpg", "not a photo");
    source.file("dir/sub/deep/b", "bb");
    source.file("dir/subway/c.txt", "c");
    source.dir("dir/empty");
}

/// An upload of `tree`.
fn upload(name: &'static str, line: &'static str) -> Case {
    Case::new(name, line).source(tree)
}

fn naming() -> Vec<Case> {
    vec![
        upload("one file to a container", "copy {SRC}/dir/top.txt {URL} --from-to=LocalBlob"),
        upload("one file to a name", "copy {SRC}/dir/top.txt {URL/new%20name.bin} --from-to=LocalBlob"),
        upload("one file to a folder", "copy {SRC}/dir/top.txt {URL/folder/} --from-to=LocalBlob"),
        upload("an empty file", "copy {SRC}/dir/zero {URL} --from-to=LocalBlob"),
        upload("a directory", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive"),
        upload("a directory with a slash", "copy {SRC}/dir/ {URL} --from-to=LocalBlob --recursive=true"),
        upload("a directory below a path", "copy {SRC}/dir {URL/some/path} --from-to=LocalBlob --recursive"),
        upload("the contents of a directory", "copy {SRC}/dir/* {URL} --from-to=LocalBlob --recursive"),
        upload("the contents below a path", "copy {SRC}/dir/* {URL/p%20q/} --from-to=LocalBlob --recursive"),
        upload("direct files only", "copy {SRC}/dir/* {URL} --from-to=LocalBlob"),
        upload(
            "not as a subdirectory",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --as-subdir=false",
        ),
        upload("a pattern", "copy {SRC}/dir/t*.txt {URL} --from-to=LocalBlob"),
        upload(
            "a pattern that meets directories",
            "copy {SRC}/dir/sub* {URL} --from-to=LocalBlob --recursive",
        ),
        upload("hostile names", "copy {SRC}/hostile {URL} --from-to=LocalBlob --recursive").source(
            |source| {
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
                    source.file(format!("hostile/{name}"), name);
                }
                for name in [
                    " leading",
                    "trailing ",
                    "dot.",
                    "...",
                    "new\nline",
                    "tab\t",
                    "ünïcode/日本",
                    "a:b|c<d>*",
                ] {
                    source.file(format!("hostile/{name}"), name);
                }
            },
        ),
    ]
}

fn filters() -> Vec<Case> {
    vec![
        upload("include-pattern", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-pattern=*.txt;*.jpg"),
        upload("include-pattern with classes", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-pattern=[a-c]*;?ero"),
        upload("exclude-pattern", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --exclude-pattern=*.txt;b"),
        upload("include-path", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-path=sub;top.txt"),
        upload("exclude-path", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --exclude-path=sub/deep;zero"),
        upload("exclude-path that is the start of a name", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --exclude-path=sub").differs(Aspect::Name, "dir/subway/c.txt", "there", PREFIX).differs(Aspect::Count, "*", "*", PREFIX),
        upload("include-regex", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-regex=^sub/;txt$"),
        upload("exclude-regex", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --exclude-regex=^sub;\\.txt$"),
        upload("filters of all kinds", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-pattern=*.txt;*.bin --exclude-pattern=a* --exclude-path=subway --include-regex=t"),
        upload("include-pattern at the top only", "copy {SRC}/dir/* {URL} --from-to=LocalBlob --include-pattern=*.txt"),
        upload("nothing passes", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-pattern=*.none"),
        Case::new("include-after", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-after=2021-01-01T00:00:00Z").source(dated),
        Case::new("include-before", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-before=2022-01-01T00:00:00Z").source(dated),
        Case::new("include-after and include-before", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-after=2021-06-01 --include-before=2023-06-01T12").source(dated),
        upload("list-of-files", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --list-of-files={SRC}/list").source(listed),
        upload("list-of-files not recursive", "copy {SRC}/dir {URL} --from-to=LocalBlob --list-of-files={SRC}/list").source(listed).differs(Aspect::Exit, "", "1", LISTED).differs(Aspect::Count, "*", "*", LISTED),
        upload("list-of-files with a missing line", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --list-of-files={SRC}/list").source(|source| {
            tree(source);
            source.file("list", "top.txt\nmissing.txt\nsub\n");
        }).differs(Aspect::Exit, "", "1", LISTED).differs(Aspect::Count, "*", "*", LISTED),
    ]
}

fn dated(source: &Local) {
    source.file_of("dir/2020", "a", YEAR_2020);
    source.file_of("dir/2022", "b", YEAR_2022);
    source.file_of("dir/sub/2025", "c", YEAR_2025);
}

fn listed(source: &Local) {
    tree(source);
    source.file("list", "top.txt\r\n\nsub/deep\na b%20+&.txt\n");
}

/// What is selected, where several rules meet.
fn selection() -> Vec<Case> {
    vec![
        upload("selection: a path below another, not recursive", "copy {SRC}/dir/* {URL} --from-to=LocalBlob --include-path=sub;sub/a.bin"),
        upload("selection: a path below another", "copy {SRC}/dir/* {URL} --from-to=LocalBlob --recursive --include-path=sub;sub/a.bin").differs(Aspect::Exit, "", "0", ONCE).differs(Aspect::Count, "*", "*", ONCE),
        upload("selection: a path of a file, not recursive", "copy {SRC}/dir/* {URL} --from-to=LocalBlob --include-path=sub/a.bin;top.txt"),
        upload("selection: paths that begin alike", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-path=subway;sub"),
        upload("selection: stubs and a pattern for files", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-directory-stub --exclude-pattern=*.txt"),
        upload("selection: stubs and included names", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-directory-stub --include-pattern=*.txt;sub"),
        upload("selection: stubs and a path", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-directory-stub --exclude-path=sub/deep"),
        upload("selection: a directory of a list and a pattern for files", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --list-of-files={SRC}/list --include-pattern=*.jpg;*.txt").source(|source| {
            tree(source);
            source.file("list", "sub\ntop.txt\nzero\n");
        }),
        Case::new("selection: a link to nowhere that a filter leaves out", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --follow-symlinks --exclude-pattern=*.lnk").source(|source| {
            tree(source);
            source.link("dir/a.lnk", "nowhere");
        }),
        upload("selection: the contents of a directory that looks like a pattern", "copy {SRC}/[2024]/* {URL} --from-to=LocalBlob --recursive").source(brackets),
        upload("selection: a file of a directory that looks like a pattern", "copy {SRC}/[2024]/a {URL} --from-to=LocalBlob").source(brackets),
        upload("selection: a directory that looks like a pattern", "copy {SRC}/[2024] {URL} --from-to=LocalBlob --recursive").source(brackets),
        upload("selection: a file called star", "copy {SRC}/star/* {URL} --from-to=LocalBlob --recursive").source(|source| {
            source.file("star/*", "star");
            source.file("star/other", "other");
        }),
    ]
}

fn brackets(source: &Local) {
    source.file("[2024]/a", "in the directory");
    source.file("2/b", "in another one");
}

fn properties() -> Vec<Case> {
    vec![
        upload("content headers", "copy {SRC}/dir/top.txt {URL} --from-to=LocalBlob --content-type=text/x-test --content-encoding=identity --content-language=en --content-disposition=inline --cache-control=no-cache"),
        upload("metadata", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --metadata=a=1;Bee=two{_}words;c=x\\;y\\=z"),
        upload("blob-tags", "copy {SRC}/dir/top.txt {URL} --from-to=LocalBlob --blob-tags=k=v&k%20two=v%2F2"),
        upload("block-blob-tier", "copy {SRC}/dir/top.txt {URL} --from-to=LocalBlob --block-blob-tier=cool"),
        upload("no-guess-mime-type", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --no-guess-mime-type"),
        Case::new("content types by name and content", "copy {SRC}/types {URL} --from-to=LocalBlob --recursive").source(|source| {
            for name in ["a.css", "a.gif", "a.htm", "a.html", "a.jpeg", "a.js", "a.mjs", "a.pdf", "a.png", "a.svg", "a.wasm", "a.webp", "a.xml", "A.HTML", "none", "a.unknown-ext"] {
                source.file(format!("types/{name}"), "plain text");
            }
            source.file("types/gif", "GIF89a...");
            source.file("types/html", "<!DOCTYPE html><html></html>");
            source.file("types/gz", [0x1f, 0x8b, 0x08, 0]);
            source.file("types/binary", [0, 1, 2, 3]);
        }),
        upload("put-md5", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --put-md5").differs(
            Aspect::Md5,
            "dir/zero",
            "1B2M2Y8AsgTpgAmY7PhCfg==",
            "an empty file has an MD5 as well, and the service would compute it",
        ),
        Case::new("put-md5 of blocks", "copy {SRC}/large.bin {URL} --from-to=LocalBlob --put-md5 --block-size-mb=1").source(large),
        Case::new("posix properties", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --preserve-posix-properties").source(dated),
        Case::new("posix properties for Lustre", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --preserve-posix-properties --posix-properties-style=amlfs").source(dated),
    ]
}

/// Two and a half blocks of 1 MiB; whole pages.
fn large(source: &Local) {
    source.file("large.bin", (0..5_u32 << 17).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
}

fn sizes_and_types() -> Vec<Case> {
    vec![
        Case::new("block-size-mb", "copy {SRC}/large.bin {URL} --from-to=LocalBlob --block-size-mb=0.25")
            .source(large),
        Case::new(
            "put-blob-size-mb",
            "copy {SRC}/large.bin {URL} --from-to=LocalBlob --block-size-mb=1 --put-blob-size-mb=2",
        )
        .source(large),
        Case::new("a page blob", "copy {SRC}/large.bin {URL} --from-to=LocalBlob --blob-type=PageBlob")
            .source(large),
        Case::new(
            "a page blob of no whole pages",
            "copy {SRC}/dir/top.txt {URL} --from-to=LocalBlob --blob-type=PageBlob",
        )
        .source(tree),
        Case::new(
            "an append blob",
            "copy {SRC}/large.bin {URL} --from-to=LocalBlob --blob-type=AppendBlob --block-size-mb=1",
        )
        .source(large),
        Case::new("block blobs, told", "copy {SRC}/disk.vhd {URL} --from-to=LocalBlob --blob-type=BlockBlob")
            .source(disks),
        Case::new(
            "a disk image is a page blob",
            "copy {SRC} {URL} --from-to=LocalBlob --recursive --as-subdir=false",
        )
        .source(disks),
    ]
}

fn disks(source: &Local) {
    source.file("disk.vhd", [7; 1024]);
    source.file("DISK.VHDX", [0; 1024]);
    source.file("disk.txt", "no disk");
}

/// A file of whole pages, and two blobs that are written in place.
fn in_place(name: &'static str, line: &'static str) -> Case {
    Case::new(name, line).source(|source| drop(source.file("new", [7; 1024]))).blobs(|remote| {
        remote.page_blob("pages", &[1; 512]);
        remote.append_blob("log", b"a line");
    })
}

fn overwrite() -> Vec<Case> {
    let there = |case: Case| {
        case.source(|source| {
            source.file_of("dir/newer", "new content", YEAR_2025);
            source.file_of("dir/older", "old content", YEAR_2020);
            source.file("dir/unseen", "unseen");
        })
        .blobs(|remote| {
            for name in ["dir/newer", "dir/older"] {
                let metadata = vec![("was".to_owned(), "there".to_owned())];
                remote.seed(Seed {
                    name: name.to_owned(),
                    content: vec!["there before".into()],
                    metadata,
                    ..Seed::default()
                });
            }
        })
    };
    vec![
        there(Case::new(
            "overwrite",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --overwrite=true",
        )),
        there(Case::new(
            "overwrite=false",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --overwrite=false",
        )),
        there(Case::new(
            "overwrite=false in JSON",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --overwrite=false --output-type=json",
        )),
        there(Case::new(
            "overwrite=ifSourceNewer",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --overwrite=ifSourceNewer",
        )),
        in_place(
            "a page blob that is there",
            "copy {SRC}/new {URL/pages} --from-to=LocalBlob --blob-type=PageBlob",
        )
        .differs(Aspect::Exit, "", "1", IN_PLACE)
        .differs(Aspect::Count, "*", "*", IN_PLACE)
        .differs(
            Aspect::Content,
            "pages",
            "512 bytes, SHA-256 6caf38d537984e261527b8caef5f990fb91415a1db917198821a79ed28997973",
            IN_PLACE,
        ),
        in_place(
            "an append blob that is there",
            "copy {SRC}/new {URL/log} --from-to=LocalBlob --blob-type=AppendBlob",
        )
        .differs(Aspect::Exit, "", "1", IN_PLACE)
        .differs(Aspect::Count, "*", "*", IN_PLACE)
        .differs(Aspect::Content, "log", "\"a line\"", IN_PLACE),
        in_place(
            "a page blob that is replaced",
            "copy {SRC}/new {URL/pages} --from-to=LocalBlob --blob-type=PageBlob --overwrite=true",
        ),
        in_place(
            "an append blob that is replaced",
            "copy {SRC}/new {URL/log} --from-to=LocalBlob --blob-type=AppendBlob --overwrite=true",
        ),
    ]
}

fn linked(source: &Local) {
    source.file("dir/file", "content");
    source.file("outside/far", "away");
    source.link("dir/to-file", "file");
    source.link("dir/to-dir", "../outside");
    source.link("dir/dangling", "nowhere");
}

fn links() -> Vec<Case> {
    vec![
        Case::new("links are skipped", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive")
            .source(linked)
            .differs(Aspect::Count, "Number of Symbolic Links Skipped", "3", COUNTED)
            .differs(Aspect::Count, "Final Job Status", "CompletedWithSkipped", COUNTED),
        Case::new(
            "follow-symlinks",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --follow-symlinks",
        )
        .source(|source| {
            source.file("dir/file", "content");
            source.file("outside/far", "away");
            source.link("dir/to-file", "file");
            source.link("dir/to-dir", "../outside");
        }),
        Case::new(
            "follow-symlinks in a loop",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --follow-symlinks",
        )
        .source(|source| {
            source.file("dir/sub/file", "content");
            source.link("dir/sub/up", "..");
        })
        .differs(Aspect::Count, "Number of Symbolic Links Skipped", "1", COUNTED)
        .differs(Aspect::Count, "Final Job Status", "CompletedWithSkipped", COUNTED),
        Case::new(
            "follow-symlinks to nowhere",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --follow-symlinks",
        )
        .source(linked)
        .differs(Aspect::Exit, "", "1", DANGLING)
        .differs(Aspect::Count, "*", "*", DANGLING),
        Case::new(
            "preserve-symlinks",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --preserve-symlinks",
        )
        .source(linked),
        Case::new("a link that is named", "copy {SRC}/dir/to-file {URL} --from-to=LocalBlob")
            .source(linked)
            .differs(Aspect::Exit, "", "0", NAMED)
            .differs(Aspect::Count, "*", "*", NAMED)
            .differs(Aspect::Name, "to-file", "there", NAMED),
        Case::new("a named pipe among files", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive")
            .source(|source| {
                source.file("dir/file", "content");
                source.fifo("dir/pipe");
            })
            .differs(Aspect::Name, "dir/pipe", "", PIPE)
            .differs(Aspect::Count, "*", "*", PIPE),
        upload(
            "include-directory-stub",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-directory-stub",
        ),
    ]
}

fn output() -> Vec<Case> {
    vec![
        upload("JSON", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --output-type=json"),
        upload(
            "essential output",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --output-level=essential",
        ),
        upload("quiet output", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --output-level=quiet"),
        upload("dry run", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --dry-run"),
        upload("dry run of one file", "copy {SRC}/dir/top.txt {URL/x%20y} --from-to=LocalBlob --dry-run")
            .differs(Aspect::Line, "DRYRUN: copy SRC/dir/top.txt to URL/x y", "1", DECODED)
            .differs(Aspect::Line, "DRYRUN: copy SRC/dir/top.txt to URL/x%20y", "", DECODED),
        upload(
            "dry run in JSON",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --dry-run --output-type=json --metadata=a=1 --blob-tags=k=v",
        ),
        upload("no such container", "copy {SRC}/dir/top.txt {GONE} --from-to=LocalBlob"),
        upload(
            "no such container in JSON",
            "copy {SRC}/dir {GONE} --from-to=LocalBlob --recursive --output-type=json",
        )
        .differs(Aspect::Count, "ErrorMsg", "*", SAYS_WHY)
        .differs(Aspect::Line, "Error message", "1", SAYS_WHY),
    ]
}

fn refused() -> Vec<Case> {
    vec![
        upload("a directory without recursive", "copy {SRC}/dir {URL} --from-to=LocalBlob")
            .says("cannot use directory as source without --recursive or a trailing wildcard (/*)"),
        upload("no such source", "copy {SRC}/nowhere {URL} --from-to=LocalBlob --recursive").says("no such file or directory"),
        upload("an unknown flag", "copy {SRC}/dir {URL} --frobnicate"),
        upload("an unknown command", "frobnicate {SRC}"),
        upload("check-md5", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --check-md5=NoCheck")
            .says("check-md5 is set but the job is not a download"),
        upload("preserve-last-modified-time", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --preserve-last-modified-time")
            .says("preserve-last-modified-time is not supported while uploading"),
        upload("eleven tags", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --blob-tags=a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1")
            .says("at-most 10 tags can be associated with a blob"),
        upload("include-path and list-of-files", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-path=sub --list-of-files={SRC}/dir/top.txt"),
        upload("a bad regex", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-regex=(").differs(Aspect::Exit, "", "1", REGEX).differs(Aspect::Count, "*", "*", REGEX),
        upload("a bad date", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --include-after=yesterday"),
        upload("a bad tier", "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --block-blob-tier=Lukewarm"),
    ]
}

fn azurite() -> Vec<Case> {
    let cases = [
        upload(
            "Azurite: a directory",
            "copy {SRC}/dir {URL} --from-to=LocalBlob --recursive --metadata=a=1 --content-language=en",
        ),
        Case::new(
            "Azurite: blocks",
            "copy {SRC}/large.bin {URL/a%20b} --from-to=LocalBlob --block-size-mb=1 --cache-control=no-cache",
        )
        .source(large),
        upload(
            "Azurite: tags and a tier",
            "copy {SRC}/dir/top.txt {URL} --from-to=LocalBlob --blob-tags=k=v --block-blob-tier=Cool",
        ),
    ];
    cases.map(|case| case.on(Service::Azurite)).into()
}
