//! A terminal answers questions; a terminal or a pipe that goes away changes nothing about the job.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs::File;
use std::io::{Read, Write};
use std::thread;

use azuring_tests::{Azuring, Fixture, Outcome, azuring};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

const FILES: usize = 50;

/// Descriptor 3 is a pipe whose reader has gone: what is written there is EPIPE.
const NO_READER: &str = r#"exec 3> >(true); wait "$!";"#;

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
        &format!(r#"{NO_READER} exec "$@" >&3 2>&3"#),
        &format!(r#"{NO_READER} exec "$@" >/dev/null 2>&3"#),
    ] {
        let (fixture, outcome) = by_shell(script, false);
        outcome.expect_code(0);
        assert_eq!(fixture.names().len(), FILES, "{script}");
    }
}

#[test]
fn failures_that_nobody_reads_are_still_counted() {
    let (fixture, outcome) = by_shell(&format!(r#"{NO_READER} exec "$@" >&3 2>&3"#), true);
    outcome.expect_code(1);
    assert_eq!(fixture.names().len(), FILES);
}

#[test]
fn wrong_arguments_and_help_are_not_a_panic_either() {
    for (args, code) in [("copy a b c", 2), ("copy a", 2), ("copy a b", 2), ("--help", 0), ("--version", 0)] {
        let script = format!(r#"{NO_READER} exec "$1" {args} >&3 2>&3"#);
        let program = env!("CARGO_BIN_EXE_azuring-under-test");
        let outcome = Azuring::new("bash").run(["-c", &script, "sh", program]);
        outcome.expect_code(code);
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_download() {
    let fixture = Fixture::new(azuring!());
    // More than a pipe and a reader's buffer hold.
    let file = fixture.file("large", &vec![7; 24 << 20]);
    fixture.upload(&file, &[]).expect_code(0);
    let url = fixture.url_of("data", "large");
    let script = r#""$@" | head -c 1000 >/dev/null; exit "${PIPESTATUS[0]}""#;
    let program = env!("CARGO_BIN_EXE_azuring-under-test");
    let outcome = Azuring::new("bash").run(["-c", script, "sh", program, "copy", &url, "-"]);
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("Broken pipe"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

/// What stands behind a question.
const CONFIRM: &str = "Please confirm with: [Y] Yes  [N] No  [A] Yes for all  [L] No for all";

/// Runs azuring with a terminal as stdin and stderr, on which `answer` types a line behind each question; it is given
/// the name of the blob. Returns what stood on the terminal, too.
fn on_terminal(args: &[String], mut answer: impl FnMut(&str) -> &'static str + Send) -> (Outcome, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    // Held open until the program has ended: a terminal that nobody has open is at its end.
    let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut terminal = File::from(master);
    thread::scope(|scope| {
        let typist = scope.spawn(move || {
            let (mut screen, mut answered, mut buffer) = (String::new(), 0, [0; 4096]);
            while let Ok(len @ 1..) = terminal.read(&mut buffer) {
                screen += &String::from_utf8_lossy(&buffer[..len]);
                while let Some(at) = screen[answered..].find(CONFIRM) {
                    let question = &screen[answered..answered + at];
                    let url = question.rsplit_once(" already exists").unwrap().0;
                    writeln!(terminal, "{}", answer(url.rsplit('/').next().unwrap())).unwrap();
                    answered += at + CONFIRM.len();
                }
            }
            screen
        });
        let script = r#"tty=$1; shift; exec "$@" <"$tty" 2>"$tty""#;
        let program = env!("CARGO_BIN_EXE_azuring-under-test");
        let line = ["-c", script, "sh", name.to_str().unwrap(), program].map(str::to_owned);
        let outcome = Azuring::new("bash").run(line.iter().chain(args));
        drop(slave);
        (outcome, typist.join().unwrap())
    })
}

/// Runs azuring with a terminal as all of its streams; returns what stood there.
fn all_on_terminal(args: &[&str]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut terminal = File::from(master);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let (mut screen, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(len @ 1..) = terminal.read(&mut buffer) {
                screen.extend_from_slice(&buffer[..len]);
            }
            String::from_utf8(screen).unwrap()
        });
        let script = r#"tty=$1; shift; exec "$@" <"$tty" >"$tty" 2>"$tty""#;
        let program = env!("CARGO_BIN_EXE_azuring-under-test");
        let line = ["-c", script, "sh", name.to_str().unwrap(), program];
        Azuring::new("bash").run(line.iter().chain(args));
        drop(slave);
        reader.join().unwrap().replace("\r\n", "\n")
    })
}

/// Names do to a terminal what their bytes say. There they are shown without, and nowhere else are they changed.
#[test]
fn names_of_others_do_nothing_to_a_terminal() {
    const EVIL: &str = "a\u{1b}[2J\u{9b}31m\nDRYRUN: forged\u{202e}txt";
    let fixture = Fixture::new(azuring!());
    fixture.file(&format!("tree/{EVIL}"), b"x");
    fixture.file(&format!("tree/{}", "long/".repeat(260) + EVIL), b"x");
    let tree = fixture.path().join("tree");
    let (tree, url) = (tree.to_str().unwrap(), fixture.url());
    let quiet = "--output-level=essential";
    let spoils = |screen: &str| {
        screen.chars().find(|&c| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'))
    };
    for form in ["text", "json", "ndjson"] {
        for args in [
            &["copy", tree, &url, "--recursive", "--dry-run"][..],
            &["copy", tree, &url, "--recursive"],
            &["list", &url],
            &["copy", &url, "/dev/null", "--recursive", "--dry-run"],
            &["remove", &url, "--recursive", "--dry-run"],
            &["copy", EVIL, &url],
            &["copy", tree, EVIL],
            &["list", "--no-such-flag", EVIL],
        ] {
            let screen = all_on_terminal(&[args, &[quiet, "--output-type", form]].concat());
            assert_eq!(spoils(&screen), None, "{args:?} as {form}:\n{screen}");
            assert!(!screen.lines().any(|line| line.starts_with("DRYRUN: forged")), "{args:?}:\n{screen}");
            assert!(!screen.is_empty());
        }
    }
    let piped = fixture.run(["copy", tree, &url, "--recursive", "--dry-run"]);
    assert!(
        piped.stdout.contains(&format!("/tree/{EVIL} to ")),
        "scripts get names to the byte: {}",
        piped.stdout
    );
}

/// Five blobs `old`, the same five files `new`, and `copy --overwrite=prompt` of these.
fn five() -> (Fixture, Vec<String>) {
    let fixture = Fixture::new(azuring!());
    for content in ["old", "new"] {
        for name in ["a", "b", "c", "d", "e"] {
            fixture.file(&format!("tree/{name}"), content.as_bytes());
        }
        if content == "old" {
            fixture.upload(&fixture.path().join("tree"), &["--as-subdir=false"]).expect_code(0);
        }
    }
    let args =
        fixture.upload_args(&fixture.path().join("tree"), &["--as-subdir=false", "--overwrite=prompt"]);
    (fixture, args.into_iter().map(|arg| arg.into_string().unwrap()).collect())
}

fn contents(fixture: &Fixture) -> Vec<String> {
    fixture.names().iter().map(|name| String::from_utf8(fixture.content(name)).unwrap()).collect()
}

#[test]
fn each_blob_that_exists_is_asked_about() {
    let (fixture, args) = five();
    let mut asked = Vec::new();
    let (outcome, screen) = on_terminal(&args, |name| {
        asked.push(name.to_owned());
        match name {
            // The first answer is none, and the question comes again.
            "c" if asked.iter().filter(|asked| *asked == "c").count() == 1 => "what?",
            "a" | "c" => "y",
            "e" => "Yes",
            _ => "N",
        }
    });
    outcome.expect_code(0);
    assert_eq!(contents(&fixture), ["new", "old", "new", "old", "new"], "{screen}");
    asked.sort_unstable();
    assert_eq!(asked, ["a", "b", "c", "c", "d", "e"]);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("3"));
    assert_eq!(outcome.field("Number of File Transfers Skipped"), Some("2"));
    assert!(
        screen.contains("/data/a already exists at the destination. Do you wish to overwrite? "),
        "{screen}"
    );
}

#[test]
fn an_answer_for_all_ends_the_questions() {
    for (answer, content, skipped) in [("a", "new", "0"), ("L", "old", "5")] {
        let (fixture, args) = five();
        let mut asked = 0;
        let (outcome, screen) = on_terminal(&args, |_| {
            asked += 1;
            answer
        });
        outcome.expect_code(0);
        assert_eq!(asked, 1, "{screen}");
        assert_eq!(contents(&fixture), [content; 5]);
        assert_eq!(outcome.field("Number of File Transfers Skipped"), Some(skipped));
    }
}
