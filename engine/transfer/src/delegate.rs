//! Getting a key to sign SAS with.

use std::time::SystemTime;

use azuring_azure::{Access, BlobUrl, Credential, UserDelegationKey};
use azuring_job::end_error::EndError;
use azuring_job::options::JobOptions;
use azuring_job::verdict::StopHandle;
use azuring_lane::client::Client;

use crate::command::{Answer, Command, CommandError};

/// Gets a user delegation key of the URL's account, for SAS between `start` and `expiry`, at most 7 days later. The
/// credential has to be a token.
///
/// # Errors
/// What any command can meet.
pub fn user_delegation_key(
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
    (start, expiry): (SystemTime, SystemTime),
) -> Result<UserDelegationKey, CommandError> {
    begin(url, credential, options, &StopHandle::new(), (start, expiry))?.wait()
}

/// Begins to get it.
pub(crate) fn begin(
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
    stop: &StopHandle,
    (start, expiry): (SystemTime, SystemTime),
) -> Result<Answer<UserDelegationKey>, CommandError> {
    let command = Command::new(url, (credential, Access::Delegate), options, stop, 1)?;
    Ok(command.start(async move |command: &Command, client: Client| {
        let got = command
            .ask(async || Ok::<_, EndError>(client.blob()?.user_delegation_key(start, expiry).await?))
            .await;
        got.map_err(|gave_up| command.failed(gave_up))
    }))
}
