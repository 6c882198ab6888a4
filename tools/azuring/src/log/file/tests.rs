use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use super::*;

const SMALL: Limits = Limits { file_bytes: 1000, files: 2, total_bytes: u64::MAX };

fn never() -> Tell {
    Box::new(|text| panic!("{text}"))
}

fn names(directory: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[track_caller]
fn are(directory: &Path, want: &[&str]) {
    assert_eq!(names(directory), want.iter().map(|&name| name.to_owned()).collect());
}

const JOB: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// Writes lines of 100 bytes and the text.
fn write(directory: &Path, limits: Limits, texts: impl Iterator<Item = String>) {
    let mut log = LogFile::open(directory, JOB, limits, never()).unwrap();
    let before = "2026-11-22T10:00:00.123Z INFO ".len() + 1;
    texts.for_each(|text| log.line(LogLevel::Info, format!("{text:.<0$}", 100 - before)));
}

#[test]
fn a_line_has_a_time_a_level_and_no_secret_and_is_one_line() {
    let line = |level, text: &str| Line {
        at: UNIX_EPOCH + Duration::from_nanos(1_795_341_600_123_999_999),
        level,
        text: text.to_owned(),
    };
    let rendered = line(LogLevel::Info, "a\nb\u{1b}[0m ä https://a.net/c?sig=S3").rendered();
    assert_eq!(rendered, "2026-11-22T10:00:00.123Z INFO a\\nb\\u{1b}[0m ä https://a.net/c?REDACTED\n");
    assert!(line(LogLevel::Warning, "x").rendered().ends_with("Z WARNING x\n"));
}

#[test]
fn the_files_are_for_the_user_alone() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("a/logs");
    write(&logs, SMALL, ["x".to_owned()].into_iter());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&logs), mode(&logs.join(format!("{JOB}.log")))), (0o700, 0o600));
}

#[test]
fn the_first_file_and_the_newest_ones_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, (0..60).map(|n| format!("line {n} ")));
    // A head, and nine lines each.
    are(dir.path(), &[&format!("{JOB}.log"), &format!("{JOB}.5.log"), &format!("{JOB}.6.log")]);
    let read = |name: &str| fs::read_to_string(dir.path().join(format!("{JOB}{name}.log"))).unwrap();
    for (name, first, last) in [("", 0, 8), (".5", 45, 53), (".6", 54, 59)] {
        let text = read(name);
        assert!(text.len() <= 1000, "{}", text.len());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].contains(&format!(" INFO azuring {}, job {JOB}", env!("CARGO_PKG_VERSION"))));
        assert!(lines[1].contains(&format!("line {first} ")), "{name}: {}", lines[1]);
        assert!(lines[lines.len() - 1].contains(&format!("line {last} ")), "{name}");
    }
}

#[test]
fn a_job_that_is_resumed_goes_on_in_its_last_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, (0..3).map(|n| format!("line {n} ")));
    write(dir.path(), SMALL, (3..12).map(|n| format!("line {n} ")));
    are(dir.path(), &[&format!("{JOB}.log"), &format!("{JOB}.1.log")]);
    let first = fs::read_to_string(dir.path().join(format!("{JOB}.log"))).unwrap();
    assert_eq!(first.lines().filter(|line| line.contains("INFO azuring")).count(), 2);
    write(dir.path(), SMALL, (12..40).map(|n| format!("line {n} ")));
    let all = names(dir.path());
    assert_eq!(all.len(), 3, "{all:?}");
    let text: String = all.iter().map(|name| fs::read_to_string(dir.path().join(name)).unwrap()).collect();
    for n in [0, 3, 39] {
        assert_eq!(text.matches(&format!("line {n} ")).count(), 1, "{n}");
    }
}

#[test]
fn a_running_jobs_log_stays_when_room_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { total_bytes: 0, ..SMALL };
    let other = "1f8fad5b-d9cb-469f-a165-70867728950e";
    let mut running = LogFile::open(dir.path(), other, limits, never()).unwrap();
    write(dir.path(), limits, ["x".to_owned()].into_iter());
    are(dir.path(), &[&format!("{JOB}.log"), &format!("{other}.log")]);
    running.end();
    // Its own it leaves, and the other is not in use any more.
    write(dir.path(), limits, ["y".to_owned()].into_iter());
    are(dir.path(), &[&format!("{JOB}.log")]);
}

#[test]
fn a_link_in_the_place_of_a_log_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "kept").unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join(format!("{JOB}.log"))).unwrap();
    assert!(LogFile::open(dir.path(), JOB, SMALL, never()).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"kept");
}

#[test]
fn an_error_is_told_once_and_the_lines_are_taken() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&told);
    let tell: Tell = Box::new(move |text| theirs.lock().unwrap().push(text.to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path(), JOB, SMALL).unwrap();
    // The next file cannot be made any more.
    fs::remove_dir_all(dir.path()).unwrap();
    let (lines, taken) = channel();
    for _ in 0..30 {
        let text = "x".repeat(100);
        lines.send(Line { at: UNIX_EPOCH, level: LogLevel::Error, text }).unwrap();
    }
    drop(lines);
    run(&taken, files, &tell);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(".1.log: No such file") && told[0].ends_with("not complete"), "{told:?}");
}

#[test]
fn a_disk_that_stands_still_stops_nobody_and_the_gap_is_told() {
    let (lines, taken) = sync_channel(1);
    let mut log =
        LogFile { path: PathBuf::new(), lines: Some(lines), thread: None, patience: Duration::ZERO, lost: 0 };
    for n in 0..5 {
        log.line(LogLevel::Error, n.to_string());
    }
    assert_eq!(log.lost, 4);
    let mut seen = vec![taken.recv().unwrap().text];
    log.line(LogLevel::Error, "5".to_owned());
    seen.push(taken.recv().unwrap().text);
    log.line(LogLevel::Error, "6".to_owned());
    seen.push(taken.recv().unwrap().text);
    assert_eq!(seen[..2], ["0", "4 lines are missing here: they could not be written in time"]);
    drop(log);
}
