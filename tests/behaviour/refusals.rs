//! What azuring refuses, with the reason; and what it says when a stream refuses what it writes, or a person an answer.
#![allow(clippy::unwrap_used, reason = "test code")]

use azuring_tests::{Azuring, Fixture, Outcome, Stdin, azuring};

/// Runs azuring with stdout as `to` (a part of a shell's line).
fn written(to: &str, args: &[&str]) -> Outcome {
    let script = format!(r#"set -o pipefail; "$@" {to}"#);
    let line = ["-c", &script, "sh", env!("CARGO_BIN_EXE_azuring-under-test")];
    Azuring::new("bash").run(line.iter().chain(args))
}

/// A container with more names than any buffer holds, and its URL.
fn full() -> (Fixture, String) {
    let fixture = Fixture::new(azuring!());
    for n in 0..2000 {
        fixture.file(&format!("tree/{n:0>60}"), b"x");
    }
    fixture.upload(&fixture.path().join("tree"), &["--as-subdir=false"]).expect_code(0);
    let url = fixture.url();
    (fixture, url)
}

#[test]
fn a_list_or_a_plan_that_stdout_does_not_take_is_a_failure() {
    let (fixture, url) = full();
    let tree = fixture.path().join("tree");
    let tree = tree.to_str().unwrap();
    for args in [
        &["list", &url][..],
        &["list", &url, "--running-tally"],
        &["copy", tree, &url, "--recursive", "--dry-run"],
        &["copy", &url, tree, "--recursive", "--dry-run"],
        &["remove", &url, "--recursive", "--dry-run"],
    ] {
        for form in ["text", "json", "ndjson"] {
            let form = format!("--output-type={form}");
            let args: Vec<_> = args.iter().copied().chain([form.as_str()]).collect();
            let outcome = written(">/dev/full", &args);
            outcome.expect_code(1);
            let told = "stdout: No space left on device";
            assert_eq!(outcome.stderr.matches(told).count(), 1, "{args:?}: {}", outcome.stderr);
            // What nobody wants to see cannot be cut.
            let quiet: Vec<_> = args.iter().copied().chain(["--output-level=quiet"]).collect();
            written(">/dev/full", &quiet).expect_code(0);
            // A reader that has enough is no error.
            written("| head -n 1", &args).expect_code(0);
        }
    }
    assert_eq!(fixture.names().len(), 2000, "nothing was done");
}

#[test]
fn a_list_of_few_names_is_no_more_lost_than_one_of_many() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("x", b"x");
    fixture.upload(&file, &[]).expect_code(0);
    let outcome = written(">/dev/full", &["list", &fixture.url()]);
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("what was written there is not complete"), "{}", outcome.stderr);
    for args in [&["env"][..], &["completion", "bash"], &["man"]] {
        written(">/dev/full", args).expect_code(1);
        written(">/dev/null", args).expect_code(0);
    }
}

#[test]
fn flags_that_say_nothing_of_a_pipe_are_refused_before_anything_is_asked() {
    let fixture = Fixture::new(azuring!().stdin(Stdin::Bytes(b"bytes")));
    let url = fixture.url_of("data", "piped");
    fixture.run(["copy", "-", &url]).expect_code(0);
    let before = fixture.server().stats().requests;
    for (args, parts) in [
        (&["copy", &url, "-", "--decompress"][..], ["--decompress", "as they are stored"]),
        (&["copy", &url, "-", "--overwrite=false"], ["--overwrite", "nothing in a pipe"]),
        (&["copy", &url, "--from-to=BlobPipe", "--recursive"], ["--recursive", "no directories"]),
        (&["copy", &url, "out", "--from-to=BlobPipe"], ["BlobPipe", "out is a name"]),
        (&["copy", "-", &url, "--include-regex=("], ["--include-regex", "nothing to choose from"]),
        (&["copy", "-", &url, "--list-of-files=missing"], ["--list-of-files", "nothing to choose from"]),
        (&["copy", &url, "/dev/null", "--decompress"], ["--decompress", "keeps nothing"]),
        (&["copy", &url, "/dev/null", "--preserve-posix-properties"], ["posix", "keeps nothing"]),
    ] {
        let outcome = fixture.run(args);
        outcome.expect_code(2);
        assert_eq!(outcome.stdout, "", "{args:?}");
        let line = outcome.stderr.lines().find(|line| parts.iter().all(|part| line.contains(part)));
        assert!(line.is_some(), "{args:?}: {}", outcome.stderr);
    }
    assert_eq!(fixture.server().stats().requests, before);
}

#[test]
fn a_signal_ends_a_job_that_waits_for_an_answer() {
    let fixture = Fixture::new(azuring!().stdin(Stdin::Blocking));
    for content in ["old", "new"] {
        for name in 0..20 {
            fixture.file(&format!("tree/{name}"), content.as_bytes());
        }
        if content == "old" {
            fixture.upload(&fixture.path().join("tree"), &["--as-subdir=false"]).expect_code(0);
        }
    }
    let flags = ["--as-subdir=false", "--overwrite=prompt", "--lanes=4"];
    let args = fixture.upload_args(&fixture.path().join("tree"), &flags);
    let before = fixture.server().stats().requests;
    let running = fixture.azuring().start(args);
    // A blob that was found is asked about, and nobody answers.
    fixture.wait_for_requests(before + 1);
    running.terminate();
    let outcome = running.wait().unwrap();
    assert!(!outcome.timed_out, "it waits on: {}", outcome.stderr);
    outcome.expect_code(6);
    assert!(!outcome.stderr.contains("stdin has ended"), "{}", outcome.stderr);
    let contents = fixture.names().into_iter().map(|name| fixture.content(&name));
    assert!(contents.eq(std::iter::repeat_n(b"old".to_vec(), 20)));
}
