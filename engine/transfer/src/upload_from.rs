//! A stream as a blob, for those who want no more than that.

use std::io::Read;

use azuring_azure::{BlobUrl, Credential};
use azuring_job::failure::Failure;
use azuring_job::options::JobOptions;
use azuring_job::outcome::{Event, Report};
use azuring_job::verdict::StopHandle;

use crate::command::CommandError;
use crate::job::Job;

/// Uploads what `input` gives as the blob at `url`: [`Job::upload_from`] with its one outcome as the result.
///
/// # Errors
/// [`CommandError::Start`] when it cannot be begun: a URL without a blob. [`CommandError::Failed`] otherwise.
pub fn upload_from(
    input: impl Read + Send + 'static,
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
    stop: &StopHandle,
) -> Result<Report, CommandError> {
    let job = Job::upload_from(input, url.clone(), credential.clone()).options(options.clone()).build()?;
    let mut failed = None;
    let report = job.run(stop, |event| {
        if let Event::Failed(failure) = event {
            failed.get_or_insert(failure);
        }
    });
    let interrupted = || {
        let object = azuring_plan::name::escape(url.path().as_bytes());
        report.interrupted.then(|| Failure::interrupted(&object))
    };
    let failed = report
        .fatal
        .clone()
        .or(failed)
        .or_else(|| if report.counts.done == 0 { interrupted() } else { None });
    match failed {
        Some(failure) => Err(CommandError::failed(failure)),
        None => Ok(report),
    }
}
