//! AzCopy's messages: one JSON object a line, whose content is text or JSON in a string.
//!
//! Two things are better than there. `EndOfJob` lists the transfers that failed or were skipped, up to [`LISTED`] of each
//! (the counters are always complete); `Progress` lists none, so that a program that adds up both counts none twice.

mod dry_run;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azuring_transfer::{Event, Failure, JobPlan, Progress, ProgressView, Report, SkippedKind, Transfer};
use serde::{Serialize, Serializer};

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

/// `ListJobSummaryResponse`: the content of `Progress` and `EndOfJob`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct JobSummary<'a> {
    error_msg: &'a str,
    #[serde(rename = "JobID")]
    job_id: &'a str,
    #[serde(serialize_with = "text")]
    active_connections: u64,
    complete_job_ordered: bool,
    job_status: String,
    #[serde(serialize_with = "text")]
    total_transfers: u64,
    #[serde(serialize_with = "text")]
    file_transfers: u64,
    #[serde(serialize_with = "text")]
    folder_property_transfers: u64,
    #[serde(serialize_with = "text")]
    symlink_transfers: u64,
    #[serde(serialize_with = "text")]
    folders_completed: u64,
    #[serde(serialize_with = "text")]
    transfers_completed: u64,
    #[serde(serialize_with = "text")]
    folders_failed: u64,
    #[serde(serialize_with = "text")]
    transfers_failed: u64,
    #[serde(serialize_with = "text")]
    folders_skipped: u64,
    #[serde(serialize_with = "text")]
    transfers_skipped: u64,
    #[serde(serialize_with = "text")]
    bytes_over_wire: u64,
    #[serde(serialize_with = "text")]
    total_bytes_transferred: u64,
    #[serde(serialize_with = "text")]
    total_bytes_enumerated: u64,
    #[serde(serialize_with = "text")]
    total_bytes_expected: u64,
    #[serde(serialize_with = "text")]
    percent_complete: f32,
    #[serde(rename = "AverageIOPS", serialize_with = "text")]
    average_iops: u64,
    #[serde(rename = "AverageE2EMilliseconds", serialize_with = "text")]
    average_e2e_milliseconds: u64,
    #[serde(serialize_with = "text")]
    server_busy_percentage: f32,
    #[serde(serialize_with = "text")]
    network_error_percentage: f32,
    failed_transfers: &'a [Ended],
    skipped_transfers: &'a [Ended],
    perf_constraint: u32,
    performance_advice: [(); 0],
    is_cleanup_job: bool,
    #[serde(serialize_with = "text")]
    skipped_symlink_count: u64,
    #[serde(serialize_with = "text")]
    hardlinks_converted_count: u64,
    #[serde(serialize_with = "text")]
    skipped_hardlink_count: u64,
    #[serde(serialize_with = "text")]
    skipped_special_file_count: u64,
}

/// AzCopy writes numbers as strings.
fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A transfer that failed or was skipped.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    src: String,
    dst: String,
    is_folder_properties: bool,
    transfer_status: &'static str,
    transfer_size: u64,
    #[serde(serialize_with = "text")]
    error_code: u16,
}

/// A URL with the reserved characters that Go leaves as they are in a path (`net/url`, `shouldEscape`); a path as it is.
fn as_go_writes(place: &str) -> String {
    if !azuring_transfer::BlobUrl::looks_like(place) {
        return place.to_owned();
    }
    let left = [
        ("%24", "$"),
        ("%26", "&"),
        ("%2B", "+"),
        ("%2C", ","),
        ("%3A", ":"),
        ("%3B", ";"),
        ("%3D", "="),
        ("%40", "@"),
    ];
    left.into_iter().fold(place.to_owned(), |url, (encoded, plain)| url.replace(encoded, plain))
}

impl Ended {
    fn failed(failure: &Failure) -> Self {
        let src = if failure.source.is_empty() { &failure.object } else { &failure.source };
        Self {
            src: as_go_writes(src),
            dst: as_go_writes(&failure.destination),
            is_folder_properties: false,
            transfer_status: "Failed",
            transfer_size: failure.bytes,
            error_code: failure.status.unwrap_or(0),
        }
    }

    /// What AzCopy lists: links and special files are only counted.
    fn skipped(transfer: &Transfer, bytes: u64, kind: SkippedKind) -> Option<Self> {
        let transfer_status = match kind {
            SkippedKind::Exists | SkippedKind::NotNewer => "SkippedEntityAlreadyExists",
            SkippedKind::HasSnapshots => "SkippedBlobHasSnapshots",
            _ => return None,
        };
        Some(Self {
            src: as_go_writes(&transfer.source),
            dst: as_go_writes(&transfer.destination),
            is_folder_properties: false,
            transfer_status,
            transfer_size: bytes,
            error_code: 0,
        })
    }
}

/// `ListJobSummaryResponse` of a job that runs.
fn progress_line(job_id: &str, view: &ProgressView) -> String {
    let ended = view.done + view.failed + view.skipped;
    let percent = if view.found == 0 { 100.0 } else { ended as f32 * 100.0 / view.found as f32 };
    nested(
        "Progress",
        &JobSummary {
            error_msg: "",
            job_id,
            active_connections: view.in_flight,
            complete_job_ordered: view.scanned,
            job_status: "InProgress".to_owned(),
            total_transfers: view.found,
            file_transfers: view.found,
            folder_property_transfers: 0,
            symlink_transfers: 0,
            folders_completed: 0,
            transfers_completed: view.done,
            folders_failed: 0,
            transfers_failed: view.failed,
            folders_skipped: 0,
            transfers_skipped: view.skipped,
            bytes_over_wire: view.bytes,
            total_bytes_transferred: view.bytes,
            total_bytes_enumerated: view.bytes + view.large_left_bytes,
            total_bytes_expected: view.bytes + view.large_left_bytes,
            percent_complete: percent.min(100.0),
            average_iops: 0,
            average_e2e_milliseconds: 0,
            server_busy_percentage: 0.0,
            network_error_percentage: 0.0,
            failed_transfers: &[],
            skipped_transfers: &[],
            perf_constraint: 0,
            performance_advice: [],
            is_cleanup_job: false,
            skipped_symlink_count: 0,
            hardlinks_converted_count: 0,
            skipped_hardlink_count: 0,
            skipped_special_file_count: 0,
        },
    )
}

/// Shows a job as AzCopy does under `--output-type=json`.
pub(crate) struct JsonView {
    facts: Facts,
    failed: Vec<Ended>,
    skipped: Vec<Ended>,
    ticker: Option<Ticker>,
}

impl JsonView {
    pub(crate) fn new(facts: Facts) -> Self {
        Self { facts, failed: Vec::new(), skipped: Vec::new(), ticker: None }
    }

    fn end_of_job(&self, plan: &JobPlan, report: &Report) -> String {
        let counts = &report.counts;
        let skipped = counts.not_started() + counts.skipped_existing;
        let seconds = report.elapsed.as_secs_f64().max(1e-9);
        // Of bytes, as in AzCopy.
        let percent = match counts.bytes_found {
            0 => 100.0,
            found => (counts.bytes as f32 * 100.0 / found as f32).min(100.0),
        };
        let fatal = report.fatal.as_ref().map(ToString::to_string).unwrap_or_default();
        nested(
            "EndOfJob",
            &JobSummary {
                error_msg: &fatal,
                job_id: &plan.id,
                active_connections: 0,
                complete_job_ordered: !report.interrupted,
                job_status: report.status().to_string(),
                total_transfers: counts.found,
                file_transfers: counts.found - counts.found_folders - counts.found_links,
                folder_property_transfers: counts.found_folders,
                symlink_transfers: counts.found_links,
                folders_completed: counts.folders_done,
                transfers_completed: counts.done,
                folders_failed: counts.folders_failed + counts.problems,
                transfers_failed: counts.failed,
                folders_skipped: 0,
                transfers_skipped: skipped,
                bytes_over_wire: counts.bytes_sent.max(counts.bytes),
                total_bytes_transferred: counts.bytes,
                total_bytes_enumerated: counts.bytes_found,
                total_bytes_expected: counts.bytes_found,
                percent_complete: percent,
                average_iops: (counts.requests as f64 / seconds) as u64,
                average_e2e_milliseconds: (report.latency_us.mean() / 1000.0) as u64,
                server_busy_percentage: 0.0,
                network_error_percentage: 0.0,
                failed_transfers: &self.failed,
                skipped_transfers: &self.skipped,
                perf_constraint: 0,
                performance_advice: [],
                is_cleanup_job: false,
                skipped_symlink_count: counts.skipped_symlinks,
                hardlinks_converted_count: 0,
                skipped_hardlink_count: 0,
                skipped_special_file_count: counts.skipped_special,
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
        let init = Init { log_file_location: "", job_id: &plan.id, is_cleanup_job: false };
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
