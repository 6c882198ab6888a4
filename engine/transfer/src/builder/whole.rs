//! Whole accounts as ends of a copy: what can be copied so.

use azuring_azure::{BlobUrl, is_of_system};
use azuring_job::job_error::JobError;

use crate::at::{At, Location};
use crate::remote::{Containers, Makes};

use super::{JobBuilder, What};

impl JobBuilder {
    /// What becomes of whole accounts.
    ///
    /// # Errors
    /// It is none that can be copied so.
    pub(super) fn containers(&self, to: Option<&Location>) -> Result<Containers, JobError> {
        let check = |at: &At| at.url().map_or(Ok(()), BlobUrl::check_container);
        let Some(to) = to else {
            check(&self.at)?;
            return Ok(Containers::default());
        };
        let refused = |text: &str| Err(JobError::Limit(text.to_owned()));
        let (from, to) = (&self.at, &to.at);
        let chosen = self.list_of_files.is_some() || self.filter.include_paths(true).is_some();
        if from.is_account() {
            if !self.naming.recursive {
                return refused(
                    "account copies are an inherently recursive operation, and thus --recursive is required",
                );
            }
            if chosen {
                return refused("cannot combine list-of-files or include-path with account traversal");
            }
        } else if !self.left_out.is_empty() {
            return refused("containers are left out of a whole account: the source is none");
        }
        let mut containers =
            Containers { is_account: from.is_account(), left_out: self.left_out.clone(), makes: Makes::None };
        let Some(url) = to.url().filter(|url| url.is_account()) else {
            if self.makes_container && to.url().is_some() {
                containers.makes = Makes::Named;
            }
            return Ok(containers);
        };
        if url.has_pattern() {
            check(to)?;
        }
        containers.makes = match from.url() {
            Some(from) if from.is_account() => Makes::Each,
            Some(from) if from.raw_path().is_empty() => {
                if !self.naming.as_subdir {
                    return refused("cannot use --as-subdir=false with a service level destination");
                }
                Makes::One(from.container().to_owned())
            }
            _ => {
                return refused(
                    "cannot transfer individual files/folders to the root of a service. Add a container or \
                     directory to the destination URL",
                );
            }
        };
        Ok(containers)
    }

    /// Refuses to write to a container that only the service writes to.
    pub(super) fn check_system(
        &self,
        to: Option<&Location>,
        containers: &Containers,
    ) -> Result<(), JobError> {
        let at = match (&self.what, to) {
            (What::Upload(_) | What::Stream(_), _) => Some(&self.at),
            (_, to) => to.map(|to| &to.at),
        };
        let named = match &containers.makes {
            Makes::One(name) => Some(&**name),
            _ => at.and_then(At::url).map(BlobUrl::container),
        };
        match named.filter(|name| is_of_system(name)) {
            Some(name) => Err(JobError::Limit(format!("cannot copy to system container '{name}'"))),
            None => Ok(()),
        }
    }
}
