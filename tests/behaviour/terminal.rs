//! A terminal or a pipe that goes away changes nothing about the job.
#![allow(clippy::unwrap_used, reason = "test code")]

use azuring_tests::{Azuring, Fixture, Outcome, azuring};

const FILES: usize = 50;

/// Runs the upload of a small tree by a shell: in `script`, `"$@"` is the command.
fn by_shell(script: &str, refused: bool) -> (Fixture, Outcome) {
    let fixture = Fixture::new(azuring!());
    for n in 0..FILES {
        fixture.file(&format!("tree/{n}"), b"x");
    }
    if refused {
        // A name that the service does not take: the job goes on, with a failure to tell.
        fixture.file(&format!("tree/{}", "long/".repeat(260) + "x"), b"x");
    }
    let program = env!("CARGO_BIN_EXE_azuring-under-test");
    let mut args = vec!["-c".into(), script.into(), "sh".into(), program.into()];
    args.extend(fixture.upload_args(&fixture.path().join("tree"), &[]));
    let outcome = Azuring::new("bash").run(args);
    (fixture, outcome)
}

#[test]
fn closed_streams_do_not_end_the_job() {
    for script in [
        r#"exec "$@" 2>&-"#,
        r#"exec "$@" >&-"#,
        r#"exec "$@" <&- >&- 2>&-"#,
        r#"exec "$@" 2>/dev/full >/dev/full"#,
        // `true` is gone before the first line is written: that is EPIPE.
        r#"set -o pipefail; (sleep 0.3; exec "$@") 2>&1 | true"#,
        r#"set -o pipefail; (sleep 0.3; exec "$@" 2>&1 >/dev/null) | true"#,
    ] {
        let (fixture, outcome) = by_shell(script, false);
        outcome.expect_code(0);
        assert_eq!(fixture.names().len(), FILES, "{script}");
    }
}

#[test]
fn failures_that_nobody_reads_are_still_counted() {
    let (fixture, outcome) = by_shell(r#"set -o pipefail; (sleep 0.3; exec "$@") 2>&1 | true"#, true);
    outcome.expect_code(1);
    assert_eq!(fixture.names().len(), FILES);
}

#[test]
fn wrong_arguments_and_help_are_not_a_panic_either() {
    for (args, code) in [("copy a b c", 2), ("copy a", 2), ("copy a b", 2), ("--help", 0), ("--version", 0)] {
        let script = format!(r#"set -o pipefail; (sleep 0.1; exec "$1" {args}) 2>&1 | true"#);
        let program = env!("CARGO_BIN_EXE_azuring-under-test");
        let outcome = Azuring::new("bash").run(["-c", &script, "sh", program]);
        outcome.expect_code(code);
    }
}
