//! Making a container.

use azuring_azure::{Access, BlobUrl, Credential, UrlError};
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_job::verdict::StopHandle;
use azuring_lane::client::Client;

use crate::command::{Answer, Command, CommandError};

/// Makes the container that `url` names.
///
/// # Errors
/// [`CommandError::NotAContainer`], [`CommandError::ContainerExists`], and what any command can meet.
pub fn make_container(
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
) -> Result<(), CommandError> {
    begin(url, credential, options, &StopHandle::new())?.wait()
}

/// Begins to make it.
pub(crate) fn begin(
    url: &BlobUrl,
    credential: &Credential,
    options: &JobOptions,
    stop: &StopHandle,
) -> Result<Answer<()>, CommandError> {
    if !url.raw_path().is_empty() {
        return Err(CommandError::NotAContainer);
    }
    if url.names_state() {
        return Err(JobError::from(UrlError::State { reason: "is one of a blob" }).into());
    }
    let command = Command::new(url, (credential, Access::Write), options, stop, 1)?;
    Ok(command.start(async move |command: &Command, client: Client| {
        let Err(gave_up) = command.ask(async || client.make().await).await else { return Ok(()) };
        if gave_up.service().is_none_or(|refusal| refusal.code != "ContainerAlreadyExists") {
            return Err(command.failed(gave_up));
        }
        // After a lost answer nobody can tell who made it: it is there, as it was to be.
        if gave_up.maybe_done() { Ok(()) } else { Err(CommandError::ContainerExists) }
    }))
}
