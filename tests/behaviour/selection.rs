//! What a command line means: which objects it selects, what it refuses, and what it only tells.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::os::unix::fs::symlink;

use azsim::Seed;
use azuring_tests::{Azuring, DEVSTORE_ACCOUNT, Fixture, Outcome, azuring};

fn seeded(blobs: &[&str]) -> Fixture {
    let fixture = Fixture::new(azuring!());
    plant(&fixture, blobs);
    fixture
}

fn plant(fixture: &Fixture, blobs: &[&str]) {
    let seed = |name: &&str| Seed {
        name: (*name).to_owned(),
        content: vec![name.as_bytes().to_vec().into()],
        ..Seed::default()
    };
    fixture.server().plant(DEVSTORE_ACCOUNT, "data", blobs.iter().map(seed));
}

/// Plants a blob with one pair of metadata.
fn marked(fixture: &Fixture, name: &str, content: &str, mark: &str) {
    let metadata = vec![(mark.to_owned(), "true".to_owned())];
    let content = if content.is_empty() { Vec::new() } else { vec![content.as_bytes().to_vec().into()] };
    let seed = Seed { name: name.to_owned(), content, metadata, ..Seed::default() };
    fixture.server().plant(DEVSTORE_ACCOUNT, "data", [seed]);
}

/// Runs azuring, `@` being the temp dir, and asserts how it ended.
#[track_caller]
fn run(fixture: &Fixture, args: &[&str], code: i32) -> Outcome {
    let here = fixture.path().to_str().unwrap();
    let outcome = fixture.run(args.iter().map(|arg| arg.replace('@', here)));
    outcome.expect_code(code);
    outcome
}

#[track_caller]
fn told(outcome: &Outcome, text: &str) {
    assert!(outcome.stderr.contains(text), "no {text:?} in:\n{}", outcome.stderr);
}

#[test]
fn names_that_exist_win_over_their_meaning_as_patterns() {
    for (source, names) in [
        ("@/s/[2024]/*", &["r/a", "r/deep/c"][..]),
        ("@/s/[2024]/a", &["r/a"]),
        ("@/s/[2024]/*p", &["r/deep/c"]),
        ("@/s/[2-3]/*", &["r/2/b"]),
        ("@/s/album [live]/*", &["r/x"]),
        ("@/s/what?/*", &["r/q"]),
        ("@/s/ba\\ck[1]/*", &["r/w"]),
        // In each directory that a pattern matches anew.
        ("@/t/*/[2024]/*", &["r/d1/[2024]/a", "r/d2/2/b"]),
        ("@/s/[un*/*", &["r/o"]),
    ] {
        let fixture = Fixture::new(azuring!());
        for name in [
            "s/[2024]/a",
            "s/[2024]/deep/c",
            "s/2/b",
            "s/album [live]/x",
            "s/album l/y",
            "s/what?/q",
            "s/whatX/z",
            "s/ba\\ck[1]/w",
            "s/back1/v",
            "s/[un*/o",
            "t/d1/[2024]/a",
            "t/d1/2/b",
            "t/d2/2/b",
        ] {
            fixture.file(name, name.as_bytes());
        }
        let url = fixture.url_of("data", "r/");
        run(&fixture, &["copy", source, &url, "--recursive"], 0);
        assert_eq!(fixture.names(), names, "{source}");
    }
}

#[test]
fn a_query_that_would_change_the_operation_is_refused_everywhere() {
    let fixture = seeded(&["dir/x"]);
    marked(&fixture, "b", "kept", "mark");
    fixture.file("f", b"new");
    fixture.file("list", b"x\n");
    let before = fixture.server().stats().requests;
    for foreign in ["comp=metadata", "comp=tier", "restype=container", "timeout=1", "COMP=lease", "unknown=1"]
    {
        let url = fixture.url_of("data", "b").replace('?', &format!("?{foreign}&"));
        let bare = format!("{}/data/b?{foreign}", fixture.server().url(DEVSTORE_ACCOUNT));
        for url in [&url, &bare] {
            for args in [
                &["copy", "@/f", url][..],
                &["copy", url, "@/down"],
                &["copy", url, "-"],
                &["remove", url],
                &["set-properties", url, "--metadata=a=b"],
                &["list", url],
                &["make", url],
                &["remove", url, "--recursive", "--list-of-files=@/list"],
            ] {
                let outcome = run(&fixture, args, 2);
                told(&outcome, "leave it out");
                told(&outcome, foreign.split('=').next().unwrap());
            }
        }
    }
    assert_eq!(fixture.server().stats().requests, before, "nothing was sent");
    assert_eq!(fixture.content("b"), b"kept");
}

#[test]
fn a_snapshot_is_named_with_a_sas_or_without() {
    let fixture = seeded(&["b"]);
    assert!(fixture.server().snapshot(DEVSTORE_ACCOUNT, "data", "b"));
    let signed = fixture.url_of("data", "b");
    let account = fixture.server().url(DEVSTORE_ACCOUNT);
    let when = snapshot_of(&fixture);
    fixture.file("f", b"as it is now");
    run(&fixture, &["copy", "@/f", &signed], 0);
    let state = format!("snapshot={when}");
    let (with, without) = (signed.replace('?', &format!("?{state}&")), format!("{account}/data/b?{state}"));
    for url in [&with, &without] {
        let down = fixture.path().join("down");
        run(&fixture, &["copy", url, "@/down"], 0);
        assert_eq!(fs::read(&down).unwrap(), b"b", "{url}");
        fs::remove_file(&down).unwrap();
        assert_eq!(run(&fixture, &["copy", url, "-"], 0).stdout, "b");
        told(&run(&fixture, &["copy", "@/f", url], 2), "cannot be written");
        told(&run(&fixture, &["set-properties", url, "--metadata=a=b"], 2), "metadata of an earlier version");
    }
    let other = format!("{account}/data/b?snapshot=2020-01-01T00%3A00%3A00.0000000Z");
    told(&run(&fixture, &["copy", &other, "@/down"], 4), "there is no such snapshot or version");
    let container = format!("{account}/data?{state}");
    told(&run(&fixture, &["copy", &container, "@/down", "--recursive"], 2), "is one of a single blob");
    told(&run(&fixture, &["list", &container], 2), "is one of a single blob");
    // The snapshot goes, the blob stays.
    run(&fixture, &["remove", &without], 0);
    assert_eq!(fixture.server().snapshots(DEVSTORE_ACCOUNT, "data"), []);
    assert_eq!(fixture.content("b"), b"as it is now");
}

/// What the blob is by now says nothing about the state that was asked for.
#[test]
fn what_is_verified_of_a_snapshot_is_the_snapshot() {
    let fixture = seeded(&[]);
    let content = |byte: u8| vec![byte; 600 << 10];
    let plant = |byte: u8| {
        let blob = Seed { name: "b".to_owned(), content: vec![content(byte).into()], ..Seed::default() };
        fixture.server().plant(DEVSTORE_ACCOUNT, "data", [blob]);
    };
    plant(1);
    assert!(fixture.server().snapshot(DEVSTORE_ACCOUNT, "data", "b"));
    plant(2);
    let url = fixture.url_of("data", "b").replace('?', &format!("?snapshot={}&", snapshot_of(&fixture)));
    // In one request, and in ranges.
    for flags in [&["--verify"][..], &["--verify", "--block-size-mb=0.25"]] {
        run(&fixture, &[&["copy", &url, "@/down"], flags].concat(), 0);
        assert!(fs::read(fixture.path().join("down")).unwrap() == content(1));
        fs::remove_file(fixture.path().join("down")).unwrap();
    }
}

/// The time of the one snapshot of `b`, percent-encoded, as a listing tells it.
fn snapshot_of(fixture: &Fixture) -> String {
    use std::io::{Read as _, Write as _};
    let sas = fixture.url();
    let (path, query) = sas.split_once("/devstoreaccount1").unwrap().1.split_once('?').unwrap();
    let mut stream = std::net::TcpStream::connect(fixture.server().addr()).unwrap();
    write!(
        stream,
        "GET /devstoreaccount1{path}?restype=container&comp=list&include=snapshots&{query} HTTP/1.1\r\nHost: x\r\n\
         x-ms-version: 2025-07-05\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let when = answer.split_once("<Snapshot>").unwrap().1.split_once("</Snapshot>").unwrap().0;
    when.replace(':', "%3A")
}

#[test]
fn a_missing_line_is_a_file_that_failed() {
    let fixture = Fixture::new(azuring!());
    fixture.file("dir/a", b"a");
    fixture.file("list", b"a\nlater\n");
    let url = fixture.url();
    let args = ["copy", "@/dir", &url, "--recursive", "--list-of-files=@/list"];
    let outcome = run(&fixture, &args, 1);
    assert_eq!(outcome.field("Number of File Transfers Failed"), Some("1"));
    assert_eq!(outcome.field("Number of Folder Transfers Failed"), Some("0"));
    assert_eq!(outcome.field("Total Number of Transfers"), Some("2"));
    told(&outcome, "failed: later: ");
}

#[test]
fn filters_for_files_leave_directories_alone() {
    let stubs = |fixture: &Fixture| {
        plant(fixture, &["dir/a.txt", "dir/sub/b.bin", "dir/sub/c.txt"]);
        marked(fixture, "dir", "", "hdi_isfolder");
        marked(fixture, "dir/sub", "", "hdi_isfolder");
    };
    for (filter, left) in [
        ("--exclude-pattern=*.txt", &["dir", "dir/a.txt", "dir/sub", "dir/sub/c.txt"][..]),
        ("--include-pattern=*.txt;sub", &["dir", "dir/sub", "dir/sub/b.bin"]),
        ("--include-path=sub", &["dir", "dir/a.txt"]),
    ] {
        let fixture = Fixture::new(azuring!());
        stubs(&fixture);
        run(&fixture, &["remove", &fixture.url_of("data", "dir"), "--recursive", filter], 0);
        assert_eq!(fixture.names(), left, "{filter}");
    }
    let fixture = Fixture::new(azuring!());
    stubs(&fixture);
    let url = fixture.url_of("data", "dir");
    run(&fixture, &["copy", &url, "@/none", "--recursive", "--include-pattern=*.none"], 0);
    assert!(!fixture.path().join("none").exists(), "nothing was transferred, and nothing is made");
    let more = ["--include-directory-stub", "--exclude-pattern=*.txt"];
    run(&fixture, &["copy", &url, "@/down", "--recursive", more[0], more[1]], 0);
    assert!(fixture.path().join("down/dir/sub/b.bin").exists());
}

#[test]
fn a_line_that_names_a_directory_is_not_filtered_by_name() {
    let names = ["dir/sub/a.bin", "dir/sub/g.txt", "dir/top.txt", "dir/zero"];
    let filters = ["--list-of-files=@/list", "--include-pattern=*.txt", "--recursive"];
    let fixture = seeded(&names);
    fixture.file("list", b"sub\ntop.txt\nzero\n");
    let url = fixture.url_of("data", "dir");
    run(&fixture, &[&["copy", &url, "@/down"][..], &filters].concat(), 0);
    let down = |name: &str| fixture.path().join("down/dir").join(name).exists();
    assert_eq!(["sub/g.txt", "top.txt", "sub/a.bin", "zero"].map(down), [true, true, false, false]);
    run(&fixture, &[&["set-properties", &url, "--metadata=a=b"][..], &filters].concat(), 0);
    let set: Vec<_> =
        fixture.blobs().into_iter().filter(|blob| !blob.metadata.is_empty()).map(|blob| blob.name).collect();
    assert_eq!(set, ["dir/sub/g.txt", "dir/top.txt"]);
    run(&fixture, &[&["remove", &url][..], &filters].concat(), 0);
    assert_eq!(fixture.names(), ["dir/sub/a.bin", "dir/zero"]);
}

/// By the name that the line has, also where the filter would not have it.
#[test]
fn a_line_that_is_nothing_at_all_is_told_by_its_name() {
    let fixture = seeded(&["dir/top.txt"]);
    fixture.file("list", b"nowhere\ngone/\n");
    fixture.file("up/x", b"x");
    let url = fixture.url_of("data", "dir");
    for command in
        [&["copy", &url, "@/again"][..], &["remove", &url], &["set-properties", &url, "--metadata=a=b"]]
    {
        for filter in [&[][..], &["--include-pattern=*.txt"], &["--exclude-pattern=*.x"]] {
            let args = [command, &["--list-of-files=@/list", "--recursive"], filter].concat();
            let outcome = run(&fixture, &args, 4);
            told(&outcome, "failed: nowhere: there is no such blob");
            told(&outcome, "failed: gone/: there is no such directory");
        }
    }
    let outcome = run(&fixture, &["copy", "@/up", &url, "--list-of-files=@/list"], 1);
    told(&outcome, "failed: nowhere: ");
    told(&outcome, "failed: gone/: ");
    // What no blob can be called is told as the line has it, too.
    fixture.file("list", &[b"x/".repeat(300), b"y".to_vec()].concat());
    let outcome = run(&fixture, &["copy", &url, "@/again", "--list-of-files=@/list"], 1);
    told(&outcome, "failed: x/x/");
}

#[test]
fn a_link_blob_on_a_line_is_a_link_or_nothing() {
    let fixture = seeded(&["dir/top.txt"]);
    marked(&fixture, "dir/link", "top.txt", "is_symlink");
    fixture.file("list", b"link\ntop.txt\n");
    let url = fixture.url_of("data", "dir");
    let link = |to: &str| fixture.path().join(to).join("dir/link").symlink_metadata();
    for more in [&[][..], &["--overwrite=false"], &["--include-pattern=*", "--include-after=2000-01-01"]] {
        let args = [&["copy", &url, "@/plain", "--recursive", "--list-of-files=@/list"][..], more].concat();
        run(&fixture, &args, 0);
        assert!(link("plain").is_err(), "{more:?}");
        let args = [
            &["copy", &url, "@/kept", "--recursive", "--list-of-files=@/list", "--preserve-symlinks"][..],
            more,
        ];
        run(&fixture, &args.concat(), 0);
        assert!(link("kept").unwrap().is_symlink(), "{more:?}");
        for directory in ["plain", "kept"] {
            fs::remove_dir_all(fixture.path().join(directory)).unwrap();
        }
    }
}

#[test]
fn filters_decide_before_a_link_that_leads_nowhere_fails() {
    let fixture = Fixture::new(azuring!());
    fixture.file("dir/a.txt", b"a");
    symlink("nowhere", fixture.path().join("dir/b.lnk")).unwrap();
    fixture.file("list", b"a.txt\nb.lnk\n");
    let url = fixture.url();
    let copy = |more: &[&str], code| {
        let args = [&["copy", "@/dir", &url, "--recursive", "--follow-symlinks"][..], more].concat();
        run(&fixture, &args, code)
    };
    copy(&["--exclude-pattern=*.lnk"], 0);
    copy(&["--exclude-path=b.lnk"], 0);
    copy(&["--exclude-pattern=*.lnk", "--list-of-files=@/list"], 0);
    told(&copy(&[], 1), "leads nowhere");
}

#[test]
fn paths_are_taken_once_and_where_they_lie() {
    let names = ["dir/a", "dir/ab/x", "dir/sub/deep/d", "dir/sub/g.txt", "dir/sub/h.txt"];
    let fixture = seeded(&names);
    for name in names {
        fixture.file(name, b"x");
    }
    let (url, up) = (fixture.url_of("data", "dir/*"), fixture.url_of("data", "up/"));
    for (flag, recursive, taken) in [
        ("--include-path=sub;sub/g.txt", "false", &["sub/g.txt"][..]),
        ("--include-path=sub;sub/g.txt", "true", &["sub/deep/d", "sub/g.txt", "sub/h.txt"]),
        ("--include-path=a;ab", "true", &["a", "ab/x"]),
        ("--include-path=a;sub/deep/d", "false", &["a", "sub/deep/d"]),
    ] {
        let recursive = format!("--recursive={recursive}");
        let counted = taken.len().to_string();
        let uploaded = run(&fixture, &["copy", "@/dir/*", &up, flag, &recursive], 0);
        assert_eq!(
            uploaded.field("Number of File Transfers Completed"),
            Some(&*counted),
            "{flag} {recursive}"
        );
        let blobs: Vec<_> = fixture.names().into_iter().filter(|name| name.starts_with("up/")).collect();
        assert_eq!(
            blobs,
            taken.iter().map(|name| format!("up/{name}")).collect::<Vec<_>>(),
            "{flag} {recursive}"
        );
        run(&fixture, &["remove", &up, "--recursive"], 0);
        let down = run(&fixture, &["copy", &url, "@/down", flag, &recursive], 0);
        assert_eq!(down.field("Number of File Transfers Completed"), Some(&*counted), "{flag} {recursive}");
        assert!(
            taken.iter().all(|name| fixture.path().join("down").join(name).exists()),
            "{flag} {recursive}"
        );
        fs::remove_dir_all(fixture.path().join("down")).unwrap();
    }
}

#[test]
fn lists_are_read_as_they_are_written_elsewhere() {
    let utf16: Vec<u8> = "\u{feff}grün/ü.txt\r\nb\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (list, names) in
        [(&b"b\0./line\nfeed\0"[..], &["b", "line\nfeed"][..]), (&utf16, &["b", "grün/ü.txt"])]
    {
        let fixture = Fixture::new(azuring!());
        for name in ["line\nfeed", "grün/ü.txt", "b", "c"] {
            fixture.file(&format!("dir/{name}"), b"x");
        }
        fixture.file("list", list);
        let url = fixture.url();
        run(&fixture, &["copy", "@/dir/*", &url, "--list-of-files=@/list"], 0);
        assert_eq!(fixture.names(), names);
    }
    let fixture = Fixture::new(azuring!());
    fixture.file("dir/b", b"x");
    let url = fixture.url();
    let without_mark: Vec<u8> = "some/name.txt\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fixture.file("list", &without_mark);
    told(
        &run(&fixture, &["copy", "@/dir", &url, "--list-of-files=@/list"], 2),
        "UTF-16 without a byte order mark",
    );
    fixture.file("list", b"\"a b\"\n\"c d\"\nb\n");
    let outcome = run(&fixture, &["copy", "@/dir", &url, "--list-of-files=@/list"], 1);
    assert_eq!(outcome.stderr.matches("stands in quotes").count(), 1, "{}", outcome.stderr);
    assert_eq!(fixture.names(), ["dir/b"]);
}

#[test]
fn what_is_hardly_meant_is_told_and_what_cannot_be_is_refused() {
    let fixture = Fixture::new(azuring!());
    fixture.file("dir/a", b"x");
    let url = fixture.url();
    let copy = |more: &[&str], code| {
        let args = [&["copy", "@/dir", &url, "--recursive"][..], more].concat();
        run(&fixture, &args, code)
    };
    told(&copy(&["--exclude-pattern=secret/*"], 0), "matches nothing");
    told(&copy(&["--include-path=sub/*"], 0), "has no wildcards");
    told(&run(&fixture, &["remove", &url, "--include-pattern=a/b"], 0), "matches nothing");
    told(&copy(&["--metadata=k=v;K=w"], 2), "it is given twice");
    copy(&["--block-size-mb=0", "--put-blob-size-mb=0.0"], 0);
}

#[test]
fn wrong_arguments_are_json_where_that_was_asked_for() {
    let fixture = Fixture::new(azuring!());
    for form in [&["--output-type=json"][..], &["--output-type", "JSON"], &["--output-type=ndjson"]] {
        for line in [&["copy", "--no-such-flag"][..], &["nonsense"], &["copy", "a", "b", "c"]] {
            let outcome = run(&fixture, &[line, form].concat(), 2);
            let lines: Vec<serde_json::Value> =
                outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), 1, "{}", outcome.stdout);
            let kind = if form[0].ends_with("ndjson") { &lines[0]["type"] } else { &lines[0]["MessageType"] };
            assert!(kind == "Error" || kind == "error", "{lines:?}");
            told(&outcome, "error: ");
        }
    }
    assert_eq!(run(&fixture, &["copy", "--no-such-flag"], 2).stdout, "");
}

/// Runs azuring by a shell that closes a stream first.
fn closed(fixture: &Fixture, script: &str, args: &[&str]) -> Outcome {
    let here = fixture.path().to_str().unwrap();
    let line = ["-c", script, "sh", env!("CARGO_BIN_EXE_azuring-under-test")].map(str::to_owned);
    Azuring::new("bash").run(line.into_iter().chain(args.iter().map(|arg| arg.replace('@', here))))
}

#[test]
fn a_closed_stream_is_no_empty_one() {
    let fixture = seeded(&["there"]);
    let (url, there) = (fixture.url_of("data", "piped"), fixture.url_of("data", "there"));
    let outcome = closed(&fixture, r#"exec "$@" <&-"#, &["copy", "-", &url]);
    told(outcome.expect_code(2), "stdin is closed");
    let outcome = closed(&fixture, r#"exec "$@" >&-"#, &["copy", &there, "-"]);
    told(outcome.expect_code(2), "stdout is closed");
    for command in [&["copy", "@/", &url, "--list-of-files=-"][..], &["remove", &url, "--list-of-files=-"]] {
        told(closed(&fixture, r#"exec "$@" <&-"#, command).expect_code(2), "stdin is closed");
    }
    assert_eq!(fixture.names(), ["there"]);
    // What is empty on purpose, or goes nowhere on purpose, does.
    closed(&fixture, r#"exec "$@" </dev/null"#, &["copy", "-", &url]).expect_code(0);
    closed(&fixture, r#"exec "$@" >/dev/null"#, &["copy", &there, "-"]).expect_code(0);
    assert_eq!(fixture.names(), ["piped", "there"]);
}

#[test]
fn a_home_that_cannot_be_written_is_as_good_as_none() {
    let fixture = Fixture::new(azuring!());
    fixture.file("f", b"x");
    // Not even root makes a directory below a file.
    let file = fixture.file("home", b"");
    let url = fixture.url();
    let azuring = azuring!().env("HOME", &file);
    let source = fixture.path().join("f");
    let outcome = azuring.run(["copy", source.to_str().unwrap(), &url]);
    outcome.expect_code(0);
    told(&outcome, "no journal is kept");
    told(&outcome, "no log is written");
    assert_eq!(fixture.names(), ["f"]);
    // A place that was named was meant.
    let named = azuring!().env("AZCOPY_JOB_PLAN_LOCATION", &file);
    let outcome = named.run(["copy", source.to_str().unwrap(), &url]);
    assert_ne!(outcome.code, Some(0));
}
