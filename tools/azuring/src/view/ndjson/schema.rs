//! Whether a line is as the schema says. The unit tests here and the tests of whole jobs read it with these functions.
#![allow(clippy::unwrap_used, reason = "test code")]

use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../../schema/ndjson.schema.json");

/// The schema.
pub(crate) fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// The type of a line, or what is wrong with it.
pub(crate) fn type_of(line: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
    match violation(&json!({ "oneOf": schema()["oneOf"] }), &value) {
        None => Ok(value["type"].as_str().unwrap().to_owned()),
        Some(violation) => Err(format!("{line}: {violation}")),
    }
}

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
