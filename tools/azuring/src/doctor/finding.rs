//! What was found, in the form that stdout has.

use azuring_transfer::{Failure, LinkError};
use serde_json::{Map, Value, json};

use crate::cli::global::OutputType;
use crate::exit::{self, Exit};
use crate::output::{Output, say, word};
use crate::redact::redact;
use crate::view::{json, ndjson};

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// Worth knowing, and no fault.
    Note,
    /// It cannot be told from here.
    Unknown,
    /// It is wrong, and the process ends with this.
    Wrong(Exit),
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Wrong(_) => "wrong",
        }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    text: String,
    advice: Option<String>,
    /// For programs.
    facts: Value,
}

impl Finding {
    pub(super) fn new(check: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { check, verdict, text: text.into(), advice: None, facts: Value::Null }
    }

    /// What the service, or somebody in its place, has refused.
    pub(super) fn failed(check: &'static str, failure: &Failure) -> Self {
        Self::refused(check, Verdict::Wrong(exit::of_kind(failure.kind)), failure)
    }

    /// The same with another verdict.
    pub(super) fn refused(check: &'static str, verdict: Verdict, failure: &Failure) -> Self {
        let facts = json!({ "status": failure.status, "code": failure.code });
        let advice = failure.advice.clone();
        Self { advice, ..Self::new(check, verdict, &failure.reason) }.facts(facts)
    }

    /// What did not come through the network.
    pub(super) fn unreachable(check: &'static str, error: &LinkError) -> Self {
        Self::new(check, Verdict::Wrong(Exit::GaveUp), error.to_string())
    }

    #[must_use]
    pub(super) fn facts(mut self, facts: Value) -> Self {
        match (&mut self.facts, facts) {
            (Value::Object(all), Value::Object(more)) => all.extend(more),
            (all, facts) => *all = facts,
        }
        self
    }

    #[must_use]
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    first_wrong: Option<Exit>,
}

impl Findings {
    /// Shows it. `end`: which one it is about, where there are two.
    pub(super) fn tell(&mut self, end: Option<&'static str>, finding: Finding) {
        let Finding { check, verdict, text, advice, facts } = finding;
        if let Verdict::Wrong(exit) = verdict {
            self.first_wrong.get_or_insert(exit);
        }
        let (text, advice) = (redact(&text), advice.map(|advice| redact(&advice)));
        let kind = Output::get().kind;
        if matches!(kind, OutputType::Text | OutputType::None) {
            let end = end.map(|end| format!("{end:<12} ")).unwrap_or_default();
            say!("{end}{:<8} {check}: {}", verdict.name(), word(&text));
            if let Some(advice) = advice {
                say!("{end}{:<8} {check}: {}", "do", word(&advice));
            }
            return;
        }
        let mut fields = Map::new();
        fields.insert("end".to_owned(), end.map_or(Value::Null, Value::from));
        fields.insert("check".to_owned(), check.into());
        fields.insert("result".to_owned(), verdict.name().into());
        fields.insert("text".to_owned(), text.into());
        fields.insert("advice".to_owned(), advice.map_or(Value::Null, Value::from));
        if let Value::Object(facts) = facts {
            fields.extend(facts);
        }
        fields.retain(|_, value| !value.is_null());
        match kind {
            OutputType::Ndjson => say!("{}", ndjson::line("finding", Value::Object(fields))),
            _ => say!("{}", json::nested("Finding", &Value::Object(fields))),
        }
    }

    /// What the process ends with: the first that is wrong is the nearest to the cause.
    pub(super) fn exit(&self) -> Exit {
        self.first_wrong.unwrap_or(Exit::Done)
    }
}
