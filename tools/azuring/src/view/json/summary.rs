//! What AzCopy's messages say of a job and its transfers.

use std::fmt::Display;
use std::time::Duration;

use azuring_transfer::{Counts, Decision, Failure, SkippedKind, Transfer};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::LISTED;
use crate::redact::redact;
use crate::view::route;

/// `ListJobSummaryResponse`: the content of `Progress` and `EndOfJob`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct JobSummary<'a> {
    pub(super) error_msg: &'a str,
    #[serde(rename = "JobID")]
    pub(super) job_id: &'a str,
    #[serde(serialize_with = "text")]
    pub(super) active_connections: u64,
    pub(super) complete_job_ordered: bool,
    pub(super) job_status: &'a str,
    #[serde(serialize_with = "text")]
    pub(super) total_transfers: u64,
    #[serde(serialize_with = "text")]
    pub(super) file_transfers: u64,
    #[serde(serialize_with = "text")]
    pub(super) folder_property_transfers: u64,
    #[serde(serialize_with = "text")]
    pub(super) symlink_transfers: u64,
    #[serde(serialize_with = "text")]
    pub(super) folders_completed: u64,
    #[serde(serialize_with = "text")]
    pub(super) transfers_completed: u64,
    #[serde(serialize_with = "text")]
    pub(super) folders_failed: u64,
    #[serde(serialize_with = "text")]
    pub(super) transfers_failed: u64,
    #[serde(serialize_with = "text")]
    pub(super) folders_skipped: u64,
    #[serde(serialize_with = "text")]
    pub(super) transfers_skipped: u64,
    #[serde(serialize_with = "text")]
    pub(super) bytes_over_wire: u64,
    #[serde(serialize_with = "text")]
    pub(super) total_bytes_transferred: u64,
    #[serde(serialize_with = "text")]
    pub(super) total_bytes_enumerated: u64,
    #[serde(serialize_with = "text")]
    pub(super) total_bytes_expected: u64,
    #[serde(serialize_with = "text")]
    pub(super) percent_complete: f32,
    #[serde(rename = "AverageIOPS", serialize_with = "text")]
    pub(super) average_iops: u64,
    #[serde(rename = "AverageE2EMilliseconds", serialize_with = "text")]
    pub(super) average_e2e_milliseconds: u64,
    #[serde(serialize_with = "text")]
    pub(super) server_busy_percentage: f32,
    #[serde(serialize_with = "text")]
    pub(super) network_error_percentage: f32,
    pub(super) failed_transfers: &'a [Ended],
    pub(super) skipped_transfers: &'a [Ended],
    pub(super) perf_constraint: u32,
    pub(super) performance_advice: [(); 0],
    pub(super) is_cleanup_job: bool,
    #[serde(serialize_with = "text")]
    pub(super) skipped_symlink_count: u64,
    #[serde(serialize_with = "text")]
    pub(super) hardlinks_converted_count: u64,
    #[serde(serialize_with = "text")]
    pub(super) skipped_hardlink_count: u64,
    #[serde(serialize_with = "text")]
    pub(super) skipped_special_file_count: u64,
    /// Of a copy from service to service, which AzCopy's has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<Route>,
}

/// Which way bytes went.
#[derive(Debug, Serialize)]
pub(super) struct Route {
    bytes_by_service: u64,
    bytes_sent: u64,
    text: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// AzCopy writes numbers as strings.
fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A transfer that failed or was skipped.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Ended {
    pub(super) src: String,
    pub(super) dst: String,
    pub(super) is_folder_properties: bool,
    pub(super) transfer_status: &'static str,
    pub(super) transfer_size: u64,
    #[serde(serialize_with = "text")]
    pub(super) error_code: u16,
}

/// A URL with the reserved characters that Go leaves as they are in a path (`net/url`, `shouldEscape`); a path as it
/// is.
pub(super) fn as_go_writes(place: &str) -> String {
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
    pub(super) fn failed(failure: &Failure) -> Self {
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
    pub(super) fn skipped(transfer: &Transfer, bytes: u64, kind: SkippedKind) -> Option<Self> {
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

impl<'a> JobSummary<'a> {
    /// Of a job that does not run, as far as its counters tell.
    pub(crate) fn of(job_id: &'a str, counts: &Counts, job_status: &'a str, elapsed: Duration) -> Self {
        Self {
            job_id,
            job_status,
            total_transfers: counts.found,
            file_transfers: counts.found - counts.found_folders - counts.found_links,
            folder_property_transfers: counts.found_folders,
            symlink_transfers: counts.found_links,
            folders_completed: counts.folders_done,
            transfers_completed: counts.done,
            folders_failed: counts.folders_failed + counts.problems,
            transfers_failed: counts.failed,
            transfers_skipped: counts.not_started() + counts.skipped_existing,
            bytes_over_wire: counts.bytes_sent.max(counts.bytes),
            total_bytes_transferred: counts.bytes,
            total_bytes_enumerated: counts.bytes_found,
            total_bytes_expected: counts.bytes_found,
            percent_complete: percent(counts),
            average_iops: (counts.requests as f64 / elapsed.as_secs_f64().max(1e-9)) as u64,
            skipped_symlink_count: counts.skipped_symlinks,
            skipped_special_file_count: counts.skipped_special,
            ..Self::default()
        }
    }

    /// Of a copy: which way the bytes went.
    pub(crate) fn going(self, way: Option<&Decision>, counts: &Counts) -> Self {
        let (bytes_by_service, bytes_sent) = (counts.bytes_by_service, counts.bytes_sent);
        let route = way.map(|way| Route {
            bytes_by_service,
            bytes_sent,
            text: redact(&way.to_string()),
            fields: route::fields(way),
        });
        Self { route, ..self }
    }

    /// Of a job that is shown: whether all was found, and what failed.
    pub(crate) fn with(self, scanned: bool, failed: &'a Transfers) -> Self {
        Self { complete_job_ordered: scanned, failed_transfers: &failed.listed, ..self }
    }
}

/// How much is done. Of bytes, as in AzCopy.
pub(crate) fn percent(counts: &Counts) -> f32 {
    match counts.bytes_found {
        0 => 100.0,
        found => (counts.bytes as f32 * 100.0 / found as f32).min(100.0),
    }
}

/// The first [`LISTED`] transfers of a job.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    listed: Vec<Ended>,
    /// Whether there are more.
    pub(crate) is_cut: bool,
}

/// `ListJobTransfersResponse`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct JobTransfers<'a> {
    error_msg: &'a str,
    #[serde(rename = "JobID")]
    job_id: &'a str,
    details: &'a [Ended],
}

impl Transfers {
    /// One that failed.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        self.push(Ended::failed(failure));
    }

    /// Another one, of which the journal knows no more than its name.
    pub(crate) fn other(&mut self, name: &str, transfer_status: &'static str, is_folder_properties: bool) {
        self.push(Ended {
            src: name.to_owned(),
            dst: String::new(),
            is_folder_properties,
            transfer_status,
            transfer_size: 0,
            error_code: 0,
        });
    }

    fn push(&mut self, ended: Ended) {
        if self.listed.len() < LISTED {
            self.listed.push(ended);
        } else {
            self.is_cut = true;
        }
    }

    /// As the transfers of this job.
    pub(crate) fn of_job<'a>(&'a self, job_id: &'a str) -> JobTransfers<'a> {
        JobTransfers { error_msg: "", job_id, details: &self.listed }
    }
}
