//! The log of a job: what happened, one line each, in a file of its own.
//!
//! `LOGS/JOB.log`, then `JOB.1.log` and so on; lines of `2026-11-22T10:00:00.123Z LEVEL text`. Every text goes through
//! [`redact`](crate::redact) on its way into the file. A thread writes, so that a slow disk is waited for by nobody; a
//! log that cannot be written is told of once and changes nothing else.

mod alike;
mod directory;
mod file;

use std::path::Path;
use std::sync::Arc;

use azuring_transfer::{Event, Failure, JobPlan, Outcome, Progress, Report, SkippedKind, Transfer};

use crate::cli::global::LogLevel;
use crate::exit::Exit;
use crate::output::{Output, notice};
use crate::redact::redact_word;
use crate::view::{View, ndjson};
use crate::{run, state, summary};

use alike::{Alike, Line};
use file::LogFile;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A file of a job; then the next one begins.
    file_bytes: u64,
    /// Files of a job besides the first one.
    files: u32,
    /// The logs of all jobs, when a job starts.
    total_bytes: u64,
}

/// A file still opens in an editor. A job keeps 320 MiB at most: its beginning, and the last million failures. All logs
/// together take what nobody misses on a disk, as they lie in homes.
const LIMITS: Limits = Limits { file_bytes: 64 << 20, files: 4, total_bytes: 512 << 20 };

/// The log of one job, an observer beside the view.
pub(crate) struct Log {
    level: LogLevel,
    file: LogFile,
    skips: Alike,
    failures: Alike,
    /// The job, if its journal keeps every failure.
    kept: Option<String>,
}

/// The log of the job with this id: none if that was asked for, or where none can be written, which is said.
pub(crate) fn open(id: &str) -> Option<Log> {
    let level = Output::get().log;
    if level == LogLevel::None {
        return None;
    }
    let Some(state) = state::find() else {
        notice(&format!("no log is written: {}", state::NOWHERE));
        return None;
    };
    match LogFile::open(&state.logs, id, LIMITS, Box::new(notice)) {
        Ok(file) => Some(Log::new(level, file)),
        Err(error) => {
            notice(&format!("no log is written: {}: {error}", state.logs.display()));
            None
        }
    }
}

impl Log {
    fn new(level: LogLevel, file: LogFile) -> Self {
        Self { level, file, skips: Alike::default(), failures: Alike::default(), kept: None }
    }

    /// Its first file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    fn line(&mut self, level: LogLevel, text: impl FnOnce() -> String) {
        if level >= self.level {
            self.file.line(level, text());
        }
    }

    /// One of what may be millions: a line each for the first ones, and at the level DEBUG for all.
    fn skipped(&mut self, transfer: &Transfer, kind: SkippedKind) {
        if self.level > LogLevel::Info {
            return;
        }
        let is_all = self.level <= LogLevel::Debug;
        let line = if is_all { Line::Written } else { self.skips.another(alike::of_skipped(kind)) };
        if line != Line::Counted {
            let (object, reason) = (&transfer.object, ndjson::reason(kind));
            self.file.line(LogLevel::Info, format!("skipped: {object}: {reason}{}", ways(transfer)));
        }
        if line == Line::Last {
            let text = "more of these are counted, and told at the end; --log-level=DEBUG lists all";
            self.file.line(LogLevel::Info, format!("skipped: {}: {text}", ndjson::reason(kind)));
        }
    }

    /// The same for a failure, unless this log alone would have it.
    fn failed(&mut self, failure: &Failure) {
        let is_all = self.level <= LogLevel::Debug || self.kept.is_none();
        let line = if is_all { Line::Written } else { self.failures.another(alike::of_failed(failure)) };
        if line != Line::Counted {
            self.line(LogLevel::Error, || format!("failed: {}", failed(failure)));
        }
        if line == Line::Last {
            let (cause, id) = (alike::of_failed(failure), self.kept.clone().unwrap_or_default());
            let text = "more of these are counted, and told at the end; all of them:";
            self.line(LogLevel::Error, || format!("failed: {cause}: {text} azuring jobs show {id} --failed"));
        }
    }

    /// Tells how many lines were only counted.
    fn counted(&mut self) {
        let skipped =
            self.skips.counted().map(|(cause, n)| (LogLevel::Info, format!("skipped: {n} more: {cause}")));
        let failed =
            self.failures.counted().map(|(cause, n)| (LogLevel::Error, format!("failed: {n} more: {cause}")));
        for (level, text) in skipped.chain(failed).collect::<Vec<_>>() {
            self.line(level, || text);
        }
    }
}

impl View for Log {
    fn begin(&mut self, plan: &JobPlan, _: Arc<Progress>) {
        self.kept = plan.journal.then(|| plan.id.clone());
        self.line(LogLevel::Info, || format!("command: {}", command(std::env::args_os())));
        self.line(LogLevel::Info, || run::described(plan));
        for text in run::io_notice(plan).into_iter().chain(plan.scarce.clone()) {
            self.line(LogLevel::Warning, || text);
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Done(outcome) => self.line(LogLevel::Debug, || done(outcome)),
            Event::Failed(failure) => self.failed(failure),
            Event::Skipped { transfer, kind, .. } => self.skipped(transfer, *kind),
            Event::Notice(text) => self.line(LogLevel::Warning, || text.clone()),
            Event::Way(way) => {
                let level = if way.costs() { LogLevel::Warning } else { LogLevel::Info };
                self.line(level, || format!("route {}: {way}", way.way.name()));
            }
            _ => {}
        }
    }

    fn end(&mut self, plan: &JobPlan, report: &Report, exit: Exit) {
        self.counted();
        if let Some(fatal) = &report.fatal {
            self.line(LogLevel::Error, || format!("the job was stopped: {}", failed(fatal)));
        } else if exit == Exit::Source && report.counts.found == 0 && plan.is_pattern {
            self.line(LogLevel::Error, || format!("nothing matches {}", plan.source));
        }
        for text in summary::text(plan, report).lines().filter(|text| !text.is_empty()) {
            self.line(LogLevel::Info, || text.to_owned());
        }
        self.line(LogLevel::Info, || summary::closing_line(plan.verb, report));
        let code = exit.code(&run::called());
        self.line(LogLevel::Info, || format!("ended: {}, exit code {code}", report.status()));
        self.file.end();
    }
}

/// Removes the log of a job; returns how many files it had.
pub(crate) fn remove(logs: &Path, id: &str) -> usize {
    directory::remove(logs, id)
}

/// The command line, as a shell takes it.
pub(crate) fn command(args: impl Iterator<Item = std::ffi::OsString>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/.:=@%+,-_".contains(c);
    let quoted = |arg: std::ffi::OsString| {
        // As a whole: a signature may have been typed with blanks in it.
        let arg = redact_word(&arg.to_string_lossy());
        let is_plain = !arg.is_empty() && arg.chars().all(plain);
        if is_plain { arg } else { format!("'{}'", arg.replace('\'', r"'\''")) }
    };
    args.map(quoted).collect::<Vec<_>>().join(" ")
}

fn done(outcome: &Outcome) -> String {
    let (bytes, id) = (outcome.bytes, outcome.id);
    match &outcome.object {
        Some(transfer) => format!("done: {}: {bytes} bytes{}", transfer.object, ways(transfer)),
        None => format!("done: part {} index {}: {bytes} bytes", id.part, id.index),
    }
}

fn ways(transfer: &Transfer) -> String {
    from_to(&transfer.source, &transfer.destination)
}

fn from_to(source: &str, destination: &str) -> String {
    let way = |word, place: &str| if place.is_empty() { String::new() } else { format!("; {word} {place}") };
    way("from", source) + &way("to", destination)
}

/// All that is known of a failure.
fn failed(failure: &Failure) -> String {
    let mut text = String::new();
    if !failure.object.is_empty() {
        text += &format!("{}: ", failure.object);
    }
    text += &failure.reason;
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text += &format!("; {name} {value}");
        }
    };
    field("kind", Some(format!("{:?}", failure.kind)));
    field("status", failure.status.map(|status| status.to_string()));
    field("code", failure.code.clone());
    field("request id", failure.request_id.clone());
    field("tries", (failure.tries > 0).then(|| failure.tries.to_string()));
    text += &from_to(&failure.source, &failure.destination);
    if let Some(advice) = &failure.advice {
        text += &format!("; advice: {advice}");
    }
    text
}

#[cfg(test)]
mod tests;
