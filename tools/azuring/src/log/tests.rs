use std::ffi::OsString;

use azuring_transfer::{FailureKind, TransferId};

use super::*;

#[test]
fn the_command_is_one_that_a_shell_takes_and_has_no_secrets() {
    let line = |args: &[&str]| command(args.iter().map(OsString::from));
    assert_eq!(line(&["azuring", "copy", "/a/ä.txt", "--x=1"]), "azuring copy /a/ä.txt --x=1");
    assert_eq!(line(&["it's", "a b", "", "*"]), r"'it'\''s' 'a b' '' '*'");
    let url = "https://a.net/c d?sv=1&sig=S3 S3'S3";
    assert_eq!(line(&[url, "c&sig=S3%2B S3"]), "'https://a.net/c d?REDACTED' 'c&sig=REDACTED'");
}

fn whole(id: TransferId) -> Outcome {
    Outcome::new(id, azuring_transfer::Entity::File, Ok(azuring_transfer::Done::Whole))
}

fn failure() -> Failure {
    Failure::new(FailureKind::Service, "tree/x", "the service is busy")
        .source("/data/tree/x".to_owned())
        .destination("https://a.net/c/tree/x".to_owned())
        .bytes(5)
        .advise("lower --concurrency")
        .status(Some(503))
        .code(Some("ServerBusy".to_owned()))
        .request_id(Some("11f1d6ad".to_owned()))
        .tries(3)
}

#[test]
fn a_failure_tells_all_that_is_known() {
    assert_eq!(
        failed(&failure()),
        "tree/x: the service is busy; kind Service; status 503; code ServerBusy; request id 11f1d6ad; tries 3; \
         from /data/tree/x; to https://a.net/c/tree/x; advice: lower --concurrency"
    );
    let (object, source, destination) = (String::new(), String::new(), String::new());
    let (code, request_id) = (Some(String::new()), None);
    let bare =
        failure().object(object).source(source).destination(destination).code(code).request_id(request_id);
    let bare = bare.advice(None).status(None).tries(0);
    assert_eq!(failed(&bare), "the service is busy; kind Service");
}

#[test]
fn what_is_done_is_told_with_its_ways_if_they_are_known() {
    let outcome = |object| whole(TransferId { part: 1, index: 2 }).bytes(7).length(7).object(object);
    assert_eq!(done(&outcome(None)), "done: part 1 index 2: 7 bytes");
    let transfer = Transfer::default().object("x".to_owned()).source("/x".to_owned());
    assert_eq!(done(&outcome(Some(Box::new(transfer)))), "done: x: 7 bytes; from /x");
}

/// What a log of this level has of one event of each level.
fn levels_of(level: LogLevel) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = LogFile::open(dir.path(), "id", LIMITS, Box::new(|text| panic!("{text}"))).unwrap();
    let mut log = Log::new(level, file);
    let transfer = Box::new(Transfer::default());
    let outcome = whole(TransferId { part: 0, index: 0 });
    for event in [
        Event::Done(outcome),
        Event::Skipped { transfer, bytes: 0, kind: azuring_transfer::SkippedKind::Exists },
        Event::Notice("n".to_owned()),
        Event::Failed(failure()),
        Event::Planned(Vec::new()),
    ] {
        log.event(&event);
    }
    let path = log.path().to_owned();
    drop(log);
    let text = std::fs::read_to_string(path).unwrap();
    // Behind the head.
    text.lines().skip(1).map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn a_level_takes_what_is_graver_along() {
    let all = ["DEBUG", "INFO", "WARNING", "ERROR"];
    for (n, level) in
        [LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error].into_iter().enumerate()
    {
        assert_eq!(levels_of(level), all[n..], "{level:?}");
    }
}

/// The log of 1,500 skips and as many failures, and one of another kind.
fn many(level: LogLevel, kept: bool) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = LogFile::open(dir.path(), "id", LIMITS, Box::new(|text| panic!("{text}"))).unwrap();
    let mut log = Log::new(level, file);
    log.kept = kept.then(|| "JOB".to_owned());
    for n in 0..1500 {
        let transfer = Box::new(Transfer::default().object(format!("s{n}")));
        log.event(&Event::Skipped { transfer, bytes: 0, kind: azuring_transfer::SkippedKind::Exists });
        log.event(&Event::Failed(failure().object(format!("f{n}"))));
    }
    log.event(&Event::Failed(failure().object("damaged".to_owned()).kind(FailureKind::Integrity)));
    log.counted();
    let path = log.path().to_owned();
    drop(log);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn what_happens_a_million_times_is_counted() {
    let text = many(LogLevel::Info, true);
    assert_eq!((text.matches("skipped: s").count(), text.matches("failed: f").count()), (1000, 1000));
    for told in [
        "INFO skipped: exists: more of these are counted",
        "INFO skipped: 500 more: exists\n",
        "ERROR failed: Service ServerBusy: more of these are counted, and told at the end; all of them: azuring jobs \
         show JOB --failed\n",
        "ERROR failed: 500 more: Service ServerBusy\n",
        "ERROR failed: damaged: ",
    ] {
        assert!(text.contains(told), "{told}");
    }
    // What stands nowhere else is in the log, and at the level DEBUG so is everything.
    let text = many(LogLevel::Info, false);
    assert_eq!((text.matches("skipped: s").count(), text.matches("failed: f").count()), (1000, 1500));
    let text = many(LogLevel::Debug, true);
    assert_eq!((text.matches("skipped: s").count(), text.matches("failed: f").count()), (1500, 1500));
    assert!(!text.contains(" more"), "nothing was left out");
    let text = many(LogLevel::Error, true);
    assert_eq!((text.matches("skipped: ").count(), text.matches("failed: f").count()), (0, 1000));
}
