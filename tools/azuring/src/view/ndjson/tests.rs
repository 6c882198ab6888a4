//! Every line is as the schema says, and the schema has a line for every type.

use std::collections::BTreeSet;

use azuring_transfer::{
    Action, BlobUrl, Credential, Done, Entity, Evidence, Job, Outcome, Planned, Side, Transfer, TransferId,
    Way, WayReason,
};

use super::*;

#[track_caller]
fn type_of_valid(line: &str) -> String {
    assert!(!line.contains('\n'), "it is one line");
    schema::type_of(line).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn transfer() -> Transfer {
    Transfer::default()
        .object("a\\n".to_owned())
        .source("/a".to_owned())
        .destination("http://h/a/c/a%0A".to_owned())
}

fn ends() -> [String; 2] {
    ["http://h/a/c".to_owned(), "http://h/b/c".to_owned()]
}

/// The source does not admit the destination.
fn closed() -> Decision {
    let mut evidence = Evidence::new(Side::Source, 403, "CannotVerifyCopySource");
    evidence.source = (Some(403), Some("AuthorizationFailure".to_owned()));
    (evidence.version, evidence.object) = ("2025-11-05".to_owned(), "a".to_owned());
    let mut decision = Decision::new(Way::Relay, WayReason::Closed, ends());
    decision.evidence = Some(Box::new(evidence));
    decision
}

#[test]
fn the_checker_finds_what_is_wrong() {
    for bad in [
        r#"{"type":"notice","time":"t"}"#,
        r#"{"type":"notice","time":"t","text":1}"#,
        r#"{"type":"notice","time":"t","text":"x","more":1}"#,
        r#"{"type":"nothing","time":"t","text":"x"}"#,
        r#"{"type":"list_summary","time":"t","files":-1,"bytes":0}"#,
        r#"{"type":"list_summary","time":"t","files":1.5,"bytes":0}"#,
    ] {
        assert!(schema::type_of(bad).is_err(), "{bad}");
    }
    assert_eq!(schema::type_of(&notice("x")), Ok("notice".to_owned()));
}

#[test]
fn every_event_is_a_line_as_the_schema_says() {
    let whole = || Outcome::new(TransferId { part: 1, index: 2 }, Entity::File, Ok(Done::Whole));
    let outcome = |object| whole().bytes(3).length(3).object(object);
    let planned =
        |action, bytes, modified_s| Planned::new(action, transfer()).bytes(bytes).modified_s(modified_s);
    let events = [
        Event::Done(outcome(None)),
        Event::Done(outcome(Some(Box::new(transfer())))),
        Event::Skipped { transfer: Box::new(transfer()), bytes: 3, kind: SkippedKind::Symlink },
        Event::Skipped { transfer: Box::new(transfer()), bytes: 3, kind: SkippedKind::Special },
        Event::Skipped { transfer: Box::new(transfer()), bytes: 3, kind: SkippedKind::Exists },
        Event::Skipped { transfer: Box::new(transfer()), bytes: 3, kind: SkippedKind::NotNewer },
        Event::Skipped { transfer: Box::new(transfer()), bytes: 3, kind: SkippedKind::HasSnapshots },
        Event::Planned(vec![planned(Action::Copy, Some(3), Some(-5)), planned(Action::Remove, None, None)]),
        Event::Planned(vec![planned(Action::SetProperties, None, None)]),
        Event::Notice("n".to_owned()),
        Event::Way(Box::new(closed())),
        Event::Way(Box::new(Decision::new(Way::Direct, WayReason::Proven, ends()))),
    ];
    let types: Vec<_> = events.iter().flat_map(lines).map(|line| type_of_valid(&line)).collect();
    let want = [
        "done", "done", "skipped", "skipped", "skipped", "skipped", "skipped", "planned", "planned",
        "planned", "notice", "route", "route",
    ];
    assert_eq!(types, want);
    assert_eq!(type_of_valid(&error("e")), "error");
}

#[test]
fn the_schema_knows_no_type_that_is_never_written() {
    let types: BTreeSet<_> = schema::schema()["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["properties"]["type"]["const"].as_str().unwrap().to_owned())
        .collect();
    let sources = [
        include_str!("../ndjson.rs"),
        include_str!("../../doctor/finding.rs"),
        include_str!("../../environment.rs"),
        include_str!("../../listing.rs"),
        include_str!("../../make.rs"),
        include_str!("../../jobs/clean.rs"),
        include_str!("../../jobs/list.rs"),
        include_str!("../../jobs/show.rs"),
    ];
    for kind in &types {
        let call = format!("line(\"{kind}\"");
        assert!(sources.iter().any(|source| source.contains(&call)), "{kind}");
    }
}

#[test]
fn a_summary_is_a_line_as_the_schema_says() {
    let url = BlobUrl::parse("http://h/a/cont").unwrap();
    let plan = Job::upload("/", url, Credential::Anonymous).recursive(true).build().unwrap().plan().clone();
    for log in [None, Some("/h/.azuring/id.log")] {
        assert_eq!(type_of_valid(&start(&plan, log)), "start");
    }
    let mut report = Report::new(hdrhistogram::Histogram::new(2).unwrap());
    (report.counts.found, report.counts.done, report.links_opened) = (2, 1, 1);
    report.elapsed = Duration::from_millis(1500);
    report.way = Some(Box::new(closed()));
    let line = summary(&plan, &report, Exit::Failures);
    assert_eq!(type_of_valid(&line), "summary");
    assert!(line.contains("\"seconds\":1.5") && line.contains("\"exit_code\":1"), "{line}");
}
