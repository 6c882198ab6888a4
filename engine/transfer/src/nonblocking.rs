//! The commands as futures, for programs that must not block a thread.
//!
//! Each runs on a thread of its own and needs no runtime of any kind. A future that is dropped before its end cuts the
//! command short: the request in flight is given up, and whether the service has carried it out is not known.

use std::time::SystemTime;

use azuring_azure::{BlobUrl, Credential, UserDelegationKey};
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_job::verdict::StopHandle;

use crate::command::CommandError;
use crate::list::{ListOptions, Listing};
use crate::{delegate, make, public};

/// Begins what [`crate::list`] does; the blobs come from [`Listing::next`].
///
/// # Errors
/// [`CommandError::Start`]: it cannot be begun. What goes wrong later comes from [`Listing::next`].
pub fn list(url: &BlobUrl, credential: &Credential, options: &ListOptions) -> Result<Listing, CommandError> {
    let stop = StopHandle::new();
    Ok(Listing::begin(url, credential, options, &stop)?.or_give_up(stop))
}

/// As [`crate::make_container`].
///
/// # Errors
/// The same.
pub async fn make_container(
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
) -> Result<(), CommandError> {
    let stop = StopHandle::new();
    make::begin(url, credential, options, &stop)?.or_give_up(stop).await
}

/// As [`crate::is_public`].
///
/// # Errors
/// The same.
pub async fn is_public(url: &BlobUrl, options: &JobOptions) -> Result<bool, JobError> {
    let stop = StopHandle::new();
    let Some(asked) = public::begin(url, options, &stop)? else { return Ok(false) };
    Ok(asked.or_give_up(stop).await.unwrap_or(false))
}

/// As [`crate::user_delegation_key`].
///
/// # Errors
/// The same.
pub async fn user_delegation_key(
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
    life: (SystemTime, SystemTime),
) -> Result<UserDelegationKey, CommandError> {
    let stop = StopHandle::new();
    delegate::begin(url, credential, options, &stop, life)?.or_give_up(stop).await
}
