//! What every job is made of, whether it finds its objects itself or is given them.

use std::path::Path;
use std::sync::Arc;

use azuring_azure::{Access, BlobUrl, Credential, Target};
use azuring_job::choices::PropertyChange;
use azuring_job::failure::Side;
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_lane::budget::LaneShare;
use azuring_lane::descriptors::Split;
use azuring_lane::in_order::Held;
use azuring_lane::task::download::Download;
use azuring_lane::task::in_place::InPlace;
use azuring_lane::task::upload::{Origin, Upload};
use azuring_lane::task::verb::Task;
use azuring_link::TlsSetup;
use azuring_local::Destination;
use azuring_plan::destination::NamingOptions;

/// Files, or a stream, become blobs.
pub(crate) fn upload(origin: Origin, shares: &[LaneShare]) -> Task {
    Task::Upload(Upload { origin, held: held(shares), in_place: InPlace::default() })
}

/// Blobs become files at `place`, to which `destination` leads.
pub(crate) fn download(
    (destination, place): (&Path, Destination),
    naming: NamingOptions,
    options: &JobOptions,
    shares: &[LaneShare],
    job: [u8; 16],
    split: &Split,
) -> Download {
    // Of a range: what was asked for, or the largest with a checksum.
    let range_bytes = options.blocks.block_size.unwrap_or(azuring_azure::MAX_CRC64_RANGE_BYTES);
    let mode = 0o666 & !azuring_local::umask();
    Download::new((destination, place), naming, options.dry_run, range_bytes, held(shares), mode, job)
        .holding(split.directories)
}

/// Lets a task be done by lanes of these shares instead of those that it was made for.
pub(crate) fn hold(task: &mut Task, shares: &[LaneShare]) {
    match task {
        Task::Upload(upload) => upload.held = held(shares),
        Task::Download(download) => download.hold(held(shares)),
        Task::Copy(_) | Task::Remove(_) | Task::SetProperties(_) => {}
    }
}

/// What the task's requests do to the objects of an end.
pub(crate) fn access(task: &Task, side: Side, options: &JobOptions) -> Access {
    task.access(side, options.properties.tags.is_some() || options.preserve_tags)
}

/// What may wait to be summed: a quarter of the smallest lane's buffers, so that no lane is ever without.
fn held(shares: &[LaneShare]) -> Arc<Held> {
    Held::new(shares.iter().map(|share| share.pool_bytes as u64 / 4).min().unwrap_or_default())
}

/// Where requests go, and how they get there. `find` is asked for the credential when all else is right; `change` is
/// what a job changes of its blobs.
pub(crate) fn target(
    url: BlobUrl,
    find: impl FnOnce() -> Result<Credential, JobError>,
    options: &JobOptions,
    change: Option<&PropertyChange>,
) -> Result<(Target, Option<TlsSetup>), JobError> {
    let tls = options.tls(&url.endpoint())?;
    options.properties.check()?;
    let mut target = Target::new(url, find()?, &options.properties)?;
    if let Some(prefix) = &options.user_agent_prefix {
        target = target.with_user_agent_prefix(prefix)?;
    }
    if let Some(encryption) = &options.encryption {
        target = target.with_encryption(encryption)?;
    }
    if let Some(PropertyChange { metadata: Some(metadata), .. }) = change {
        target = target.spelling(metadata);
    }
    Ok((target, tls))
}
