//! Flat JSON, one object a line, described by `schema/ndjson.schema.json`: every line has a `type` and a `time`;
//! numbers are numbers, URLs are percent-encoded and without SAS.

use std::sync::Arc;
use std::time::Duration;

use azuring_transfer::{Decision, Event, Failure, JobPlan, Progress, Report, SkippedKind};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::json::{Ticker, now};
use super::{View, route};
use crate::exit::Exit;
use crate::output::say;
use crate::redact::redact;

/// Between two `progress` lines.
const PAUSE: Duration = Duration::from_secs(2);

/// A line: `type`, `time`, and the fields of `rest` that are not null.
pub(crate) fn line(kind: &str, rest: Value) -> String {
    let mut fields = Map::new();
    fields.insert("type".to_owned(), kind.into());
    fields.insert("time".to_owned(), now().into());
    if let Value::Object(rest) = rest {
        fields.extend(rest.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(fields).to_string()
}

/// The command ends without having done its work.
pub(crate) fn error(text: &str) -> String {
    line("error", json!({ "text": text }))
}

/// Something a person should know.
pub(crate) fn notice(text: &str) -> String {
    line("notice", json!({ "text": text }))
}

/// Shows a job line by line.
pub(crate) struct NdjsonView {
    log: Option<String>,
    ticker: Option<Ticker>,
}

impl NdjsonView {
    /// `log`: where the job is logged.
    pub(crate) fn new(log: Option<String>) -> Self {
        Self { log, ticker: None }
    }
}

impl View for NdjsonView {
    fn begin(&mut self, plan: &JobPlan, progress: Arc<Progress>) {
        say!("{}", start(plan, self.log.as_deref()));
        let tick = move || say!("{}", progress_line(&progress));
        self.ticker = Some(Ticker::start(PAUSE, tick));
    }

    fn event(&mut self, event: &Event) {
        for line in lines(event) {
            say!("{line}");
        }
    }

    fn end(&mut self, plan: &JobPlan, report: &Report, exit: Exit) {
        self.ticker.take();
        say!("{}", summary(plan, report, exit));
    }
}

fn start(plan: &JobPlan, log: Option<&str>) -> String {
    let rest = json!({
        "job": plan.id,
        "verb": plan.verb.name(),
        "source": redact(&plan.source),
        "destination": redact(&plan.destination),
        "credential": plan.credential,
        "lanes": plan.lanes,
        "concurrency": plan.concurrency,
        "memory_bytes": plan.memory_bytes,
        "log": log,
    });
    line("start", rest)
}

fn progress_line(progress: &Progress) -> String {
    let view = progress.view();
    let rest = json!({
        "found": view.found,
        "scanned": view.scanned,
        "done": view.done,
        "failed": view.failed,
        "skipped": view.skipped,
        "bytes": view.bytes,
        "in_flight": view.in_flight,
        "retries": view.retries,
    });
    line("progress", rest)
}

fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Done(outcome) => {
            let places = outcome.object.as_deref();
            let rest = json!({
                "part": outcome.id.part,
                "index": outcome.id.index,
                "bytes": outcome.bytes,
                "object": places.map(|places| &places.object),
                "source": places.map(|places| &places.source),
                "destination": places.map(|places| &places.destination),
            });
            vec![line("done", rest)]
        }
        Event::Failed(failure) => vec![failed(failure)],
        Event::Skipped { transfer, bytes, kind } => {
            let rest = json!({
                "object": transfer.object,
                "source": transfer.source,
                "destination": transfer.destination,
                "bytes": bytes,
                "reason": reason(*kind),
            });
            vec![line("skipped", rest)]
        }
        Event::Planned(batch) => {
            let one = |planned: &azuring_transfer::Planned| {
                let rest = json!({
                    "action": planned.action.name(),
                    "object": planned.transfer.object,
                    "source": planned.transfer.source,
                    "destination": planned.transfer.destination,
                    "bytes": planned.bytes,
                    "modified": planned.modified_s,
                });
                line("planned", rest)
            };
            batch.iter().map(one).collect()
        }
        Event::Notice(text) => vec![notice(text)],
        Event::Way(way) => vec![way_line(way)],
        _ => Vec::new(),
    }
}

/// Which way bytes go from now on.
fn way_line(way: &Decision) -> String {
    let mut fields = route::fields(way);
    fields.insert("text".to_owned(), redact(&way.to_string()).into());
    fields.insert("known_before".to_owned(), way.known_before.into());
    line("route", Value::Object(fields))
}

/// Why something was left out, in a word.
pub(crate) fn reason(kind: SkippedKind) -> &'static str {
    match kind {
        SkippedKind::Symlink => "symlink",
        SkippedKind::Special => "special",
        SkippedKind::Exists => "exists",
        SkippedKind::NotNewer => "not_newer",
        SkippedKind::HasSnapshots => "has_snapshots",
        _ => "other",
    }
}

/// Something failed.
pub(crate) fn failed(failure: &Failure) -> String {
    let rest = json!({
        "object": failure.object,
        "source": failure.source,
        "destination": failure.destination,
        "bytes": failure.bytes,
        "kind": format!("{:?}", failure.kind).to_lowercase(),
        "reason": failure.reason,
        "advice": failure.advice,
        "status": failure.status,
        "code": failure.code,
        "request_id": failure.request_id,
        "tries": failure.tries,
    });
    line("failed", rest)
}

#[derive(Serialize)]
struct Summary<'a> {
    job: &'a str,
    status: String,
    exit_code: u8,
    seconds: f64,
    found: u64,
    found_folders: u64,
    found_links: u64,
    done: u64,
    failed: u64,
    folders_done: u64,
    folders_failed: u64,
    problems: u64,
    skipped_existing: u64,
    skipped_symlinks: u64,
    skipped_special: u64,
    not_started: u64,
    bytes: u64,
    bytes_sent: u64,
    bytes_by_service: u64,
    requests: u64,
    retries: u64,
    links: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fatal: Option<String>,
    /// Of a copy.
    #[serde(flatten)]
    way: Map<String, Value>,
}

fn summary(plan: &JobPlan, report: &Report, exit: Exit) -> String {
    let counts = &report.counts;
    let summary = Summary {
        job: &plan.id,
        status: report.status().to_string(),
        exit_code: exit as u8,
        seconds: report.elapsed.as_secs_f64(),
        found: counts.found,
        found_folders: counts.found_folders,
        found_links: counts.found_links,
        done: counts.done,
        failed: counts.failed,
        folders_done: counts.folders_done,
        folders_failed: counts.folders_failed,
        problems: counts.problems,
        skipped_existing: counts.skipped_existing,
        skipped_symlinks: counts.skipped_symlinks,
        skipped_special: counts.skipped_special,
        not_started: counts.not_started(),
        bytes: counts.bytes,
        bytes_sent: counts.bytes_sent,
        bytes_by_service: counts.bytes_by_service,
        requests: counts.requests,
        retries: counts.retries,
        links: report.links_opened,
        fatal: report.fatal.as_ref().map(ToString::to_string),
        way: report.way.as_deref().map(route::fields).unwrap_or_default(),
    };
    line("summary", serde_json::to_value(summary).expect("strings and numbers can always be written"))
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
