//! Every line is as the schema says, and the schema has a line for every type.

use std::collections::BTreeSet;

use azuring_transfer::{Done, Entity, Outcome, Planned, Transfer, TransferId};

use super::*;

const SCHEMA: &str = include_str!("../../../schema/ndjson.schema.json");

/// What is wrong with `value`, by the parts of JSON Schema that the file uses.
fn violation(schema: &Value, value: &Value) -> Option<String> {
    if let Some(one_of) = schema["oneOf"].as_array() {
        let problems: Vec<_> = one_of.iter().filter_map(|schema| violation(schema, value)).collect();
        return (problems.len() + 1 != one_of.len()).then(|| problems.join("; "));
    }
    let wrong = |what: &str| Some(format!("{value} {what}: {schema}"));
    let keywords = ["type", "const", "enum", "minimum", "properties", "required", "additionalProperties"];
    for keyword in schema.as_object().unwrap().keys() {
        assert!(
            keywords.contains(&keyword.as_str()) || keyword == "description",
            "{keyword} is not looked at"
        );
    }
    let is_type = match schema["type"].as_str() {
        None => true,
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("object") => value.is_object(),
        Some(other) => panic!("{other} is not looked at"),
    };
    if !is_type {
        return wrong("is of another type");
    }
    if schema.get("const").is_some_and(|is| is != value) {
        return wrong("is not the constant");
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return wrong("is none of the values");
    }
    if schema["minimum"].as_f64().is_some_and(|least| value.as_f64().unwrap() < least) {
        return wrong("is too small");
    }
    let fields = value.as_object()?;
    for required in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(required.as_str().unwrap()) {
            return wrong(&format!("has no {required}"));
        }
    }
    let known = schema["properties"].as_object().unwrap();
    fields.iter().find_map(|(name, value)| match known.get(name) {
        Some(schema) => violation(schema, value),
        None => wrong(&format!("has a field {name}")),
    })
}

#[track_caller]
fn type_of_valid(line: &str) -> String {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let body = serde_json::json!({ "oneOf": schema["oneOf"] });
    let value: Value = serde_json::from_str(line).unwrap();
    assert!(!line.contains('\n'), "it is one line");
    if let Some(violation) = violation(&body, &value) {
        panic!("{line}: {violation}");
    }
    value["type"].as_str().unwrap().to_owned()
}

fn transfer() -> Transfer {
    Transfer {
        object: "a\\n".to_owned(),
        source: "/a".to_owned(),
        destination: "http://h/a/c/a%0A".to_owned(),
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let body = serde_json::json!({ "oneOf": schema["oneOf"] });
    for bad in [
        r#"{"type":"notice","time":"t"}"#,
        r#"{"type":"notice","time":"t","text":1}"#,
        r#"{"type":"notice","time":"t","text":"x","more":1}"#,
        r#"{"type":"nothing","time":"t","text":"x"}"#,
        r#"{"type":"list_summary","time":"t","files":-1,"bytes":0}"#,
        r#"{"type":"list_summary","time":"t","files":1.5,"bytes":0}"#,
    ] {
        assert!(violation(&body, &serde_json::from_str(bad).unwrap()).is_some(), "{bad}");
    }
    assert_eq!(violation(&body, &serde_json::from_str(&notice("x")).unwrap()), None);
}

#[test]
fn every_event_is_a_line_as_the_schema_says() {
    let outcome = |object| Outcome {
        id: TransferId { part: 1, index: 2 },
        entity: Entity::File,
        bytes: 3,
        length: 3,
        object,
        result: Ok(Done::Whole),
    };
    let planned =
        |action, bytes, modified_s| Planned { action, transfer: transfer(), bytes, modified_s, facts: None };
    let events = [
        Event::Done(outcome(None)),
        Event::Done(outcome(Some(Box::new(transfer())))),
        Event::Skipped { transfer: Box::new(transfer()), kind: SkippedKind::Symlink },
        Event::Skipped { transfer: Box::new(transfer()), kind: SkippedKind::Special },
        Event::Skipped { transfer: Box::new(transfer()), kind: SkippedKind::Exists },
        Event::Skipped { transfer: Box::new(transfer()), kind: SkippedKind::NotNewer },
        Event::Skipped { transfer: Box::new(transfer()), kind: SkippedKind::HasSnapshots },
        Event::Planned(vec![planned(Action::Copy, Some(3), Some(-5)), planned(Action::Remove, None, None)]),
        Event::Planned(vec![planned(Action::SetProperties, None, None)]),
        Event::Notice("n".to_owned()),
    ];
    let types: Vec<_> = events.iter().flat_map(lines).map(|line| type_of_valid(&line)).collect();
    let want = [
        "done", "done", "skipped", "skipped", "skipped", "skipped", "skipped", "planned", "planned",
        "planned", "notice",
    ];
    assert_eq!(types, want);
    assert_eq!(type_of_valid(&error("e")), "error");
}

#[test]
fn the_schema_knows_no_type_that_is_never_written() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let types: BTreeSet<_> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["properties"]["type"]["const"].as_str().unwrap().to_owned())
        .collect();
    let sources = [
        include_str!("../ndjson.rs"),
        include_str!("../../environment.rs"),
        include_str!("../../listing.rs"),
        include_str!("../../make.rs"),
    ];
    for kind in &types {
        let call = format!("line(\"{kind}\"");
        assert!(sources.iter().any(|source| source.contains(&call)), "{kind}");
    }
}

#[test]
fn a_summary_is_a_line_as_the_schema_says() {
    let plan = JobPlan {
        id: "id".to_owned(),
        verb: Verb::Upload,
        source: "/a".to_owned(),
        is_pattern: false,
        destination: "http://h/a/c".to_owned(),
        credential: "a SAS".to_owned(),
        lanes: 1,
        concurrency: 2,
        memory_bytes: 3,
        io: azuring_transfer::IoPath::Threads { reason: String::new() },
    };
    assert_eq!(type_of_valid(&start(&plan)), "start");
    let report = Report {
        counts: azuring_transfer::Counts { found: 2, done: 1, ..Default::default() },
        elapsed: Duration::from_millis(1500),
        fatal: None,
        interrupted: false,
        kinds: Vec::new(),
        latency_us: hdrhistogram::Histogram::new(2).unwrap(),
        links_opened: 1,
        pool_bytes: 0,
    };
    let line = summary(&plan, &report, Exit::Failures);
    assert_eq!(type_of_valid(&line), "summary");
    assert!(line.contains("\"seconds\":1.5") && line.contains("\"exit_code\":1"), "{line}");
}
