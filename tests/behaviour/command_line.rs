//! Commands, flags and variables that are no transfers: what they print, and how they end.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use azsim::Operation;
use azuring_tests::{AzCopy, Azuring, Fixture, Outcome, Stdin, azuring};
use serde_json::Value;

/// Asserts the exit code and that one line of stderr holds all of `parts`.
#[track_caller]
fn told(outcome: &Outcome, code: i32, parts: &[&str]) {
    outcome.expect_code(code);
    let line = outcome.stderr.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    assert!(line.is_some(), "no line with {parts:?} in:\n{}", outcome.stderr);
}

/// The lines of stdout as JSON.
#[track_caller]
fn json(outcome: &Outcome) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    outcome.stdout.lines().map(parse).collect()
}

const URL: &str = "https://account.blob.core.windows.net/cont";

#[test]
fn help_and_version_end_well() {
    for args in [&["--help"][..], &["help"], &["copy", "--help"], &["help", "copy"], &["rm", "-h"]] {
        let outcome = azuring!().run(args);
        assert!(outcome.expect_code(0).stdout.contains("Usage: azuring"), "{args:?}");
    }
    for flag in ["--version", "-V", "-v"] {
        assert!(azuring!().run([flag]).expect_code(0).stdout.starts_with("azuring "), "{flag}");
    }
}

#[test]
fn commands_of_later_versions_are_refused() {
    for command in ["sync", "bench", "cancel", "pause", "load"] {
        let outcome = azuring!().run([command, "list", "--recursive", "--with-status=All"]);
        told(&outcome, 2, &[command, "not in this version"]);
    }
}

#[test]
fn flags_of_other_services_are_refused() {
    for (args, parts) in [
        (&["rm", URL, "--trailing-dot=Disable"][..], &["trailing-dot", "Azure Files"][..]),
        (&["rm", URL, "--force-if-read-only"], &["force-if-read-only", "Azure Files"]),
        (&["rm", URL, "--from-to=FileTrash"], &["FileTrash", "Blob storage"]),
        (&["sp", URL, "--trailing-dot=Disable"], &["trailing-dot", "Azure Files"]),
        (&["ls", URL, "--trailing-dot=Disable"], &["trailing-dot", "Azure Files"]),
        (&["mk", URL, "--quota-gb=5"], &["quota-gb", "Azure Files"]),
    ] {
        told(&azuring!().run(args), 2, parts);
    }
}

#[test]
fn env_tells_every_variable() {
    let azuring =
        azuring!().env("AZCOPY_BUFFER_GB", "0.5").env("CPK_ENCRYPTION_KEY", "S3CR3T").env("HOME", "/h");
    let outcome = azuring.run(["env"]);
    outcome.expect_code(0);
    assert!(outcome.stdout.contains("INFO: Name: AZCOPY_BUFFER_GB\nCurrent Value: 0.5\nDescription: "));
    assert!(outcome.stdout.contains("INFO: Name: CPK_ENCRYPTION_KEY\nCurrent Value: REDACTED\n"));
    assert!(!outcome.stdout.contains("S3CR3T"));
    let shown = azuring.run(["env", "--show-sensitive"]);
    assert!(shown.stdout.contains("Current Value: S3CR3T\n"));

    let lines = json(&azuring.run(["env", "--output-type=json"]));
    let (end, variables) = lines.split_last().unwrap();
    assert_eq!((&end["MessageType"], &end["MessageContent"]), (&"EndOfJob".into(), &"".into()));
    let names = outcome.stdout.matches("INFO: Name: ").count();
    assert_eq!(variables.len(), names);
    assert!(variables.iter().all(|line| line["MessageType"] == "Info"));

    let lines = json(&azuring.run(["env", "--output-type=ndjson"]));
    assert_eq!(lines.len(), names);
    let buffer = lines.iter().find(|line| line["name"] == "AZCOPY_BUFFER_GB").unwrap();
    assert_eq!((&buffer["value"], &buffer["honoured"]), (&"0.5".into(), &true.into()));
}

#[test]
fn pages_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let azuring = azuring!().current_dir(dir.path());
    azuring.run(["man", "--directory", "man"]).expect_code(0);
    for page in ["azuring.1", "azuring-copy.1", "azuring-set-properties.1"] {
        let text = std::fs::read_to_string(dir.path().join("man").join(page)).unwrap();
        assert!(text.contains(".TH azuring"), "{page}");
    }
    assert!(azuring.run(["man", "remove"]).expect_code(0).stdout.contains("delete\\-snapshots"));
    told(&azuring.run(["man", "nothing"]), 2, &["no command nothing"]);
    azuring.run(["doc", "--output-location=md"]).expect_code(0);
    let text = std::fs::read_to_string(dir.path().join("md/azuring_copy.md")).unwrap();
    assert!(text.contains("| `--recursive=BOOL` | Include everything below a directory |"), "{text}");
    told(&azuring.run(["doc", "--output-location=/dev/null/x"]), 1, &["/dev/null/x"]);
    let script = azuring.run(["completion", "bash"]);
    assert!(script.expect_code(0).stdout.contains("_azuring()"));
}

#[test]
fn a_quiet_job_tells_by_its_code_alone() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("x", b"x");
    let outcome = fixture.upload(&file, &["--output-level=quiet"]);
    outcome.expect_code(0);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let outcome = fixture.upload("/no/such/file".as_ref(), &["--output-level=quiet", "--output-type=json"]);
    outcome.expect_code(4);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let outcome = fixture.upload("/no/such/file".as_ref(), &["--output-type=none"]);
    told(&outcome, 4, &["/no/such/file"]);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn a_job_in_json_is_messages_on_stdout_and_lines_on_stderr() {
    let fixture = Fixture::new(azuring!());
    fixture.file("tree/good", b"12345");
    fixture.file(&format!("tree/{}", "long/".repeat(260) + "x"), b"x");
    symlink("good", fixture.path().join("tree/link")).unwrap();
    let outcome = fixture.upload(&fixture.path().join("tree"), &["--output-type=json"]);
    told(&outcome, 1, &["failed: ", "long/"]);
    let lines = json(&outcome);
    assert_eq!(lines[0]["MessageType"], "Init");
    let content =
        |line: &Value| -> Value { serde_json::from_str(line["MessageContent"].as_str().unwrap()).unwrap() };
    let end = lines.last().unwrap();
    assert_eq!(end["MessageType"], "EndOfJob");
    assert_eq!(content(end)["JobID"], content(&lines[0])["JobID"]);
    let end = content(end);
    for (name, want) in [
        ("JobStatus", "CompletedWithErrorsAndSkipped"),
        ("TransfersCompleted", "1"),
        ("TransfersFailed", "1"),
        ("TotalTransfers", "2"),
        ("TotalBytesTransferred", "5"),
        ("SkippedSymlinkCount", "1"),
    ] {
        assert_eq!(end[name], want, "{name}");
    }
    let failed = end["FailedTransfers"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "it is filled: {end}");
    assert_eq!(failed[0]["TransferStatus"], "Failed");
    assert!(failed[0]["Src"].as_str().unwrap().contains("long/"));
}

#[test]
fn what_is_wrong_is_an_error_message_in_json() {
    let outcome = azuring!().run(["copy", "/no/such/file", URL, "--output-type=json"]);
    told(&outcome, 4, &["/no/such/file"]);
    let lines = json(&outcome);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["MessageType"], "Error");
    assert!(lines[0]["MessageContent"].as_str().unwrap().contains("/no/such/file"));
    let lines = json(&azuring!().run(["copy", "/no/such/file", URL, "--output-type=ndjson"]));
    assert_eq!(lines[0]["type"], "error");
}

#[test]
fn a_job_in_ndjson_names_every_object() {
    let fixture = Fixture::new(azuring!());
    fixture.file("tree/a b", b"12345");
    let lines = json(fixture.upload(&fixture.path().join("tree"), &["--output-type=ndjson"]).expect_code(0));
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["start", "done", "summary"]);
    assert_eq!(lines[1]["bytes"], 5);
    assert_eq!(lines[1]["object"], "a b");
    assert_eq!((&lines[2]["done"], &lines[2]["exit_code"]), (&1.into(), &0.into()));
    let destination = lines[1]["destination"].as_str().unwrap();
    assert!(destination.ends_with("/data/tree/a%20b"), "encoded and without SAS: {destination}");
}

#[test]
fn under_the_name_azcopy_there_are_two_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("azcopy");
    symlink(env!("CARGO_BIN_EXE_azuring-under-test"), &link).unwrap();
    let azcopy = Azuring::new(&link);
    azcopy.run(["env"]).expect_code(0);
    azcopy.run(["copy", "/no/such/file", URL]).expect_code(1);
    azcopy.run(["copy", "/x", URL, "--no-such-flag"]).expect_code(1);

    let fixture = Fixture::new(azcopy);
    let file = fixture.file("x", b"x");
    fixture.upload(&file, &[]).expect_code(0);
    fixture.run(["list", &fixture.url_of("missing", "")]).expect_code(1);
    let missing = fixture.url_of("data", "missing");
    fixture.run(["copy", &missing, "/dev/null"]).expect_code(1);
}

#[test]
fn a_list_of_files_comes_on_stdin() {
    let fixture = Fixture::new(azuring!().stdin(Stdin::Bytes(b"a\nsub/b\nmissing\n")));
    for name in ["a", "b", "sub/a", "sub/b"] {
        fixture.file(&format!("tree/{name}"), b"x");
    }
    let tree = fixture.path().join("tree");
    let outcome = fixture.upload(&tree, &["--list-of-files=-", "--as-subdir=false"]);
    told(&outcome, 1, &["failed:", "missing"]);
    assert_eq!(fixture.names(), ["a", "sub/b"]);
    // As `git ls-files | azuring copy . URL --list-of-files=- --as-subdir=false` does it.
    let there = Azuring::new(env!("CARGO_BIN_EXE_azuring-under-test"))
        .current_dir(&tree)
        .stdin(Stdin::Bytes(b"b\nsub/a\n"));
    there.run(["copy", ".", &fixture.url(), "--list-of-files=-", "--as-subdir=false"]).expect_code(0);
    assert_eq!(fixture.names(), ["a", "b", "sub/a", "sub/b"]);
    let removed = fixture.run(["remove", &fixture.url(), "--list-of-files=-"]);
    assert_eq!(removed.field("Number of File Transfers Completed"), Some("2"), "{}", removed.stderr);
    assert_eq!(fixture.names(), ["b", "sub/a"]);
}

#[test]
fn a_cap_below_one_block_still_moves_bytes() {
    let fixture = Fixture::new(azuring!());
    let content: Vec<u8> = (0..700_000_u32).map(|n| n as u8).collect();
    let file = fixture.file("x", &content);
    // 500,000 bytes a second, and a block of 8 MiB.
    fixture.upload(&file, &["--cap-mbps=4"]).expect_code(0);
    assert_eq!(fixture.content("x"), content);
    let down = fixture.path().join("down");
    let url = fixture.url_of("data", "x");
    fixture.run(["copy", &url, down.to_str().unwrap(), "--cap-mbps=4"]).expect_code(0);
    assert_eq!(std::fs::read(down).unwrap(), content);
}

/// Answers one request, and returns its head.
fn answer_one(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let len = stream.read(&mut buffer).unwrap();
        assert_ne!(len, 0, "the request is cut off");
        head.extend_from_slice(&buffer[..len]);
    }
    stream.write_all(b"HTTP/1.1 201 Created\r\nx-ms-request-id: 1\r\nx-ms-version: 2025-07-05\r\nContent-Length: 0\r\n\r\n").unwrap();
    String::from_utf8(head).unwrap()
}

#[test]
fn variables_reach_the_requests() {
    let sas = Fixture::new(azuring!()).url().split_once('?').unwrap().1.to_owned();
    let make = |azuring: Azuring| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/devstoreaccount1/cont?{sas}", listener.local_addr().unwrap());
        let server = thread::spawn(move || answer_one(listener));
        azuring.run(["make", &url]).expect_code(0);
        server.join().unwrap().to_ascii_lowercase()
    };
    assert!(make(azuring!()).contains("\r\nuser-agent: azuring/"));
    let head = make(azuring!().env("AZCOPY_USER_AGENT_PREFIX", "mine/1.0"));
    assert!(head.contains("\r\nuser-agent: mine/1.0 azuring/"), "{head}");
    let wrong = azuring!().env("AZCOPY_USER_AGENT_PREFIX", "a\nb");
    told(&wrong.run(["list", &format!("{URL}?{sas}")]), 2, &["user-agent", "printable ASCII"]);

    let other = azuring!().env("AZCOPY_DEFAULT_SERVICE_API_VERSION", "2019-02-02");
    told(
        &other.run(["make", &format!("{URL}?{sas}")]),
        2,
        &["AZCOPY_DEFAULT_SERVICE_API_VERSION", "2019-02-02", "2025-07-05"],
    );
    let same = make(azuring!().env("AZCOPY_DEFAULT_SERVICE_API_VERSION", "2025-07-05"));
    assert!(same.contains("\r\nx-ms-version: 2025-07-05\r\n"), "{same}");
}

#[test]
fn cancel_from_stdin_stops_the_job() {
    let fixture = Fixture::new(azuring!().stdin(Stdin::Bytes(b"nothing\ncancel\n")));
    for n in 0..1_000 {
        fixture.file(&format!("tree/{n}"), b"x");
    }
    fixture.hold(Operation::PutBlob, "", 10);
    let args = fixture.upload_args(&fixture.path().join("tree"), &["--cancel-from-stdin", "--concurrency=1"]);
    let running = fixture.azuring().start(args);
    running.wait_for_stderr("stopping");
    fixture.release();
    let outcome = running.wait().unwrap();
    told(&outcome, 6, &["stopping"]);
    assert_eq!(outcome.field("Final Job Status"), Some("Cancelled"));
    assert!(fixture.names().len() <= 11, "{:?}", fixture.names());
}

#[test]
fn await_continue_waits_for_the_word() {
    let fixture = Fixture::new(azuring!().stdin(Stdin::Bytes(b"what?\ncontinue\n")));
    let file = fixture.file("x", b"x");
    fixture.upload(&file, &["--await-continue"]).expect_code(0);
    assert_eq!(fixture.names(), ["x"]);
    // stdin at its end says it never.
    let outcome = azuring!().run(["copy", file.to_str().unwrap(), URL, "--await-continue"]);
    told(&outcome, 2, &["await-continue", "stdin has ended"]);
}

#[test]
fn variables_set_limits() {
    let azuring = azuring!()
        .env("AZCOPY_BUFFER_GB", "0.25")
        .env("AZCOPY_CONCURRENCY_VALUE", "7")
        .env("AZCOPY_REQUEST_TRY_TIMEOUT", "0.5");
    let fixture = Fixture::new(azuring);
    let file = fixture.file("x", b"x");
    let outcome = fixture.upload(&file, &[]);
    told(&outcome, 0, &["7 requests in flight", "256 MiB of memory"]);
    let outcome = fixture.upload(&file, &["--memory=128M", "--concurrency=9"]);
    told(&outcome, 0, &["9 requests in flight", "128 MiB of memory"]);
    for (name, value) in [("AZCOPY_BUFFER_GB", "much"), ("AZCOPY_REQUEST_TRY_TIMEOUT", "-1")] {
        let outcome = azuring!().env(name, value).run(["copy", file.to_str().unwrap(), URL]);
        told(&outcome, 2, &[name, value]);
    }
}

#[test]
fn content_types_come_from_the_map() {
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("map.json");
    write(&map, r#"{"MIMETypeMapping":{".data":"application/x-test","odd":"text/odd",".html":"text/mine"}}"#);
    let fixture = Fixture::new(azuring!().env("AZCOPY_CONTENT_TYPE_MAP", &map));
    for name in ["a.data", "b.odd", "c.HTML"] {
        fixture.file(&format!("tree/{name}"), b"x");
    }
    fixture.upload(&fixture.path().join("tree"), &[]).expect_code(0);
    let types: Vec<_> = fixture.blobs().into_iter().map(|blob| blob.content_type).collect();
    assert_eq!(types, ["application/x-test", "text/odd", "text/mine"]);
    write(&map, "{");
    told(&fixture.upload(&fixture.path().join("tree"), &[]), 2, &["AZCOPY_CONTENT_TYPE_MAP", "map.json"]);
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    write(&file, "x");
    let copy = |azuring: Azuring, flags: &[&str]| {
        let mut args = vec!["copy", file.to_str().unwrap(), URL];
        args.extend(flags);
        azuring.run(args)
    };
    told(&copy(azuring!(), &["--cpk-by-value"]), 2, &["CPK_ENCRYPTION_KEY", "not set"]);
    let short = azuring!().env("CPK_ENCRYPTION_KEY", "c2hvcnQ=");
    let outcome = copy(short, &["--cpk-by-value"]);
    told(&outcome, 3, &["32 bytes in base64"]);
    assert!(!outcome.stderr.contains("c2hvcnQ="));
    let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let other = azuring!().env("CPK_ENCRYPTION_KEY", key).env("CPK_ENCRYPTION_KEY_SHA256", "b3RoZXI=");
    told(&copy(other, &["--cpk-by-value"]), 3, &["SHA-256"]);
    let both = copy(azuring!().env("CPK_ENCRYPTION_KEY", key), &["--cpk-by-value", "--cpk-by-name=s"]);
    told(&both, 2, &["cannot be used with"]);
}

/// The rows of the compatibility ledger that are AzCopy's say what its help says: a flag that a newer AzCopy brings
/// fails here.
#[test]
fn the_ledger_has_every_flag_of_azcopys_help() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/azuring/compatibility.json");
    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let has = |item: &str| rows.iter().any(|row| row["item"] == item);
    let azcopy = AzCopy::new();
    let mut flags = 0;
    for command in ["copy", "list", "make", "remove", "set-properties"] {
        let help = azcopy.run([command, "--help"]);
        for line in help.expect_code(0).stdout.lines() {
            let Some(flag) = line.trim_start().strip_prefix("--").filter(|_| line.starts_with(' ')) else {
                continue;
            };
            let flag = flag.split([' ', '=']).next().unwrap();
            flags += 1;
            assert!(
                has(&format!("{command}.{flag}")) || has(&format!("global.{flag}")),
                "{command} --{flag}"
            );
        }
    }
    assert!(flags > 100, "{flags} flags are few: has the help another form?");
    for line in azcopy.run(["env"]).expect_code(0).stdout.lines() {
        if let Some(name) = line.strip_prefix("INFO: Name: ") {
            assert!(has(&format!("variable.{name}")), "{name}");
        }
    }
}

#[test]
fn pipes_carry_blobs_both_ways_and_nothing_else() {
    let fixture = Fixture::new(azuring!().stdin(Stdin::Bytes(b"some\nbytes")));
    let url = fixture.url_of("data", "piped");
    for args in [&["copy", "-", &url][..], &["copy", &url, "--from-to=PipeBlob", "--output-type=json"]] {
        let outcome = fixture.run(args);
        assert_eq!(outcome.expect_code(0).stdout, "");
        assert_eq!(fixture.content("piped"), b"some\nbytes");
    }
    for args in [&["copy", &url, "-"][..], &["copy", &url, "--from-to=BlobPipe", "--output-type=json"]] {
        let outcome = fixture.run(args);
        assert_eq!(outcome.expect_code(0).stdout, "some\nbytes");
    }
    let missing = fixture.url_of("data", "missing");
    let outcome = fixture.run(["copy", &missing, "-", "--output-type=json"]);
    assert_ne!(outcome.code, Some(0));
    assert_eq!(outcome.stdout, "", "an error is no data");
    told(&fixture.run(["copy", "-", &url, "--dry-run"]), 2, &["dry-run", "pipe"]);
}

#[test]
fn a_container_is_made_listed_and_emptied() {
    let fixture = Fixture::new(azuring!());
    let url = fixture.url_of("fresh", "");
    let made = fixture.run(["make", &url]);
    assert_eq!(made.expect_code(0).stdout, "\nSuccessfully created the resource.\n");
    told(&fixture.run(["make", &url]), 1, &["the container already exists"]);
    told(&fixture.run(["mk", &fixture.url_of("fresh", "x")]), 2, &["top-level"]);
    let file = fixture.file("tree/a b", b"12345");
    fixture.run(["copy", file.to_str().unwrap(), &url]).expect_code(0);

    let listed = fixture.run(["list", &url, "--running-tally", "--machine-readable"]);
    assert_eq!(listed.expect_code(0).stdout, "a b; Content Length: 5\n\nFile count: 1\nTotal file size: 5\n");
    let lines = json(fixture.run(["ls", &url, "--output-type=ndjson", "--running-tally"]).expect_code(0));
    assert_eq!((&lines[0]["path"], &lines[0]["bytes"]), (&"a b".into(), &5.into()));
    assert_eq!(lines[1]["type"], "list_summary");
    let nowhere = fixture.run(["ls", &fixture.url_of("fresh", "nowhere")]);
    told(&nowhere, 0, &["there is no blob and no directory"]);
    assert_eq!(nowhere.stdout, "");
    told(&fixture.run(["ls", &fixture.url_of("missing", "")]), 4, &["ContainerNotFound"]);

    let planned = fixture.run(["rm", &url, "--recursive", "--dry-run"]);
    assert!(planned.expect_code(0).stdout.starts_with("DRYRUN: remove http://"), "{}", planned.stdout);
    assert!(planned.stdout.ends_with("/fresh/a b\n"), "{}", planned.stdout);
    fixture.run(["rm", &url, "--recursive"]).expect_code(0);
    assert_eq!(fixture.run(["ls", &url]).expect_code(0).stdout, "");
}
