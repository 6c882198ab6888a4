//! AzCopy's messages: one JSON object a line, whose content is text or JSON in a string.
//!
//! Two things are better than there. `EndOfJob` lists the transfers that failed or were skipped, up to [`LISTED`] of
//! each (the counters are always complete); `Progress` lists none, so that a program that adds up both counts none
//! twice.

mod dry_run;
mod summary;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azuring_transfer::{Event, JobPlan, Progress, ProgressView, Report};
use serde::Serialize;

use summary::Ended;
pub(crate) use summary::{JobSummary, Transfers, percent};

use super::{Facts, View};
use crate::exit::Exit;
use crate::output::{notice_on_stdout, say};

/// Failed and skipped transfers that `EndOfJob` lists, of each: some 300 bytes are kept for one.
pub(crate) const LISTED: usize = 100_000;

/// Between two `Progress` messages, as in AzCopy.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a> {
    time_stamp: String,
    message_type: &'a str,
    message_content: &'a str,
    prompt_details: Prompt<'a>,
}

/// A question: `PromptDetails` of AzCopy's envelope; empty in all other messages.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Prompt<'a> {
    /// What is asked about.
    pub(crate) prompt_type: &'a str,
    /// The answers there are.
    pub(crate) response_options: Option<&'a [ResponseOption]>,
    /// The object it is about.
    pub(crate) prompt_target: &'a str,
}

/// An answer to a question.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ResponseOption {
    /// Its name.
    pub(crate) response_type: &'static str,
    /// Its name for people.
    pub(crate) user_friendly_response_type: &'static str,
    /// What is typed.
    pub(crate) response_string: &'static str,
}

/// A message.
pub(crate) fn message(kind: &str, content: &str) -> String {
    message_with(kind, content, Prompt::default())
}

/// A message that asks something.
pub(crate) fn message_with(kind: &str, content: &str, prompt_details: Prompt<'_>) -> String {
    line(&Envelope { time_stamp: now(), message_type: kind, message_content: content, prompt_details })
}

/// A message whose content is JSON.
pub(crate) fn nested(kind: &str, content: &impl Serialize) -> String {
    message(kind, &line(content))
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists can always be written")
}

/// The time, as RFC 3339 has it.
pub(crate) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    azuring_plan::date::format_utc(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}

#[derive(Serialize)]
struct Init<'a> {
    #[serde(rename = "LogFileLocation")]
    log_file_location: &'a str,
    #[serde(rename = "JobID")]
    job_id: &'a str,
    #[serde(rename = "IsCleanupJob")]
    is_cleanup_job: bool,
}

/// `ListJobSummaryResponse` of a job that runs.
fn progress_line(job_id: &str, view: &ProgressView) -> String {
    let ended = view.done + view.failed + view.skipped;
    let percent = if view.found == 0 { 100.0 } else { ended as f32 * 100.0 / view.found as f32 };
    nested(
        "Progress",
        &JobSummary {
            job_id,
            active_connections: view.in_flight,
            complete_job_ordered: view.scanned,
            job_status: "InProgress",
            total_transfers: view.found,
            file_transfers: view.found,
            transfers_completed: view.done,
            transfers_failed: view.failed,
            transfers_skipped: view.skipped,
            bytes_over_wire: view.bytes,
            total_bytes_transferred: view.bytes,
            total_bytes_enumerated: view.bytes + view.large_left_bytes,
            total_bytes_expected: view.bytes + view.large_left_bytes,
            percent_complete: percent.min(100.0),
            ..JobSummary::default()
        },
    )
}

/// Shows a job as AzCopy does under `--output-type=json`.
pub(crate) struct JsonView {
    facts: Facts,
    log: String,
    failed: Vec<Ended>,
    skipped: Vec<Ended>,
    ticker: Option<Ticker>,
}

impl JsonView {
    /// `log`: where the job is logged; empty if it is not.
    pub(crate) fn new(facts: Facts, log: String) -> Self {
        Self { facts, log, failed: Vec::new(), skipped: Vec::new(), ticker: None }
    }

    fn end_of_job(&self, plan: &JobPlan, report: &Report) -> String {
        let fatal = report.fatal.as_ref().map(ToString::to_string).unwrap_or_default();
        let status = report.status().to_string();
        nested(
            "EndOfJob",
            &JobSummary {
                error_msg: &fatal,
                complete_job_ordered: !report.interrupted,
                average_e2e_milliseconds: (report.latency_us.mean() / 1000.0) as u64,
                failed_transfers: &self.failed,
                skipped_transfers: &self.skipped,
                ..JobSummary::of(&plan.id, &report.counts, &status, report.elapsed)
                    .going(report.way.as_deref(), &report.counts)
            },
        )
    }
}

fn push(list: &mut Vec<Ended>, ended: Ended) {
    match list.len() {
        ..LISTED => list.push(ended),
        LISTED => {
            // One more than is listed tells that there are more.
            list.push(ended);
            notice_on_stdout(&format!("more than {LISTED} transfers to list: the rest are only counted"));
        }
        _ => {}
    }
}

impl View for JsonView {
    fn begin(&mut self, plan: &JobPlan, progress: Arc<Progress>) {
        if self.facts.dry_run {
            return;
        }
        let init = Init { log_file_location: &self.log, job_id: &plan.id, is_cleanup_job: false };
        say!("{}", nested("Init", &init));
        let id = plan.id.clone();
        self.ticker = Some(Ticker::start(PAUSE, move || say!("{}", progress_line(&id, &progress.view()))));
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Failed(failure) => push(&mut self.failed, Ended::failed(failure)),
            Event::Skipped { transfer, bytes, kind } => {
                if let Some(skipped) = Ended::skipped(transfer, *bytes, *kind) {
                    push(&mut self.skipped, skipped);
                }
            }
            Event::Planned(batch) => {
                batch.iter().for_each(|planned| say!("{}", dry_run::message(planned, &self.facts)));
            }
            Event::Notice(text) => notice_on_stdout(text),
            Event::Way(way) if way.costs() => notice_on_stdout(&way.to_string()),
            _ => {}
        }
    }

    fn end(&mut self, plan: &JobPlan, report: &Report, _: Exit) {
        self.ticker.take();
        self.failed.truncate(LISTED);
        self.skipped.truncate(LISTED);
        if self.facts.dry_run {
            say!("{}", message("EndOfJob", ""));
        } else {
            say!("{}", self.end_of_job(plan, report));
        }
    }
}

/// Does something at regular times on a thread of its own, until it is dropped.
pub(crate) struct Ticker {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(pause: Duration, tick: impl Fn() + Send + 'static) -> Self {
        let (end, ended) = channel();
        let run = move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
                tick();
            }
        };
        // Without the thread nothing is told in between, and the job runs as well.
        let thread = std::thread::Builder::new().name("ticker".to_owned()).spawn(run).ok();
        Self { end: Some(end), thread }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
