//! Whether a container can be read by everybody.

use azuring_azure::{Access, BlobUrl, Course, Credential, ListRequest};
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_job::verdict::StopHandle;
use azuring_lane::client::Client;
use azuring_plan::download::RemotePath;
use azuring_plan::name::encode_path;

use crate::command::{Answer, Command, CommandError};

/// Checks without a credential whether `url` can be read: first the container's list, then the blob itself if the URL
/// names one. It sends one or two requests, without retries. No answer counts as no.
///
/// # Errors
/// [`JobError`]: it cannot be asked with this URL or these options.
pub fn is_public(url: &BlobUrl, options: &JobOptions) -> Result<bool, JobError> {
    let Some(asked) = begin(url, options, &StopHandle::new())? else { return Ok(false) };
    Ok(asked.wait().unwrap_or(false))
}

/// Begins to ask; `None`: it cannot be asked here and now, which is a no.
pub(crate) fn begin(
    url: &BlobUrl,
    options: &JobOptions,
    stop: &StopHandle,
) -> Result<Option<Answer<bool>>, JobError> {
    if url.is_account() {
        // Nobody may list its containers without a credential.
        return Ok(None);
    }
    let path = RemotePath::parse(url.raw_path())?;
    let retry = options.retry.clone().max_tries(1);
    let options = options.clone().retry(retry);
    let command = match Command::new(url, (&Credential::Anonymous, Access::Read), &options, stop, 1) {
        Ok(command) => command,
        Err(CommandError::Start(error)) => return Err(error),
        Err(_) => return Ok(None),
    };
    Ok(Some(command.start(async move |command: &Command, client: Client| {
        let first = ListRequest { max_results: Some(1), ..ListRequest::default() };
        if command.ask(async || client.list(&first, &mut Course::default()).await).await.is_ok() {
            return Ok(true);
        }
        let RemotePath::Object { name } = &path else { return Ok(false) };
        let name = encode_path(name);
        let which = command.session.ends.from().end.which();
        let asked = command.ask(async || client.facts(&name, which).await).await;
        // What is below a directory is found by listing it.
        Ok(asked.is_ok_and(|facts| !facts.hdi_isfolder()))
    })))
}
