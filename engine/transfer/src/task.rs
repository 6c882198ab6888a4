//! What the lanes do with the objects the planner finds.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use azuring_local::RelPath;
use azuring_plan::destination::Naming;
use azuring_plan::name::{encode_path, escape};
use azuring_ring::SourceDir;

use crate::outcome::Transfer;
use crate::session::Session;

/// One object of a job, as the planner found it.
#[derive(Debug)]
pub(crate) enum Found {
    /// A local file.
    File(RelPath),
}

/// What is done with every object of a job.
pub(crate) enum Task {
    Upload(Upload),
}

/// Local files become blobs.
pub(crate) struct Upload {
    pub(crate) root: SourceDir,
    pub(crate) naming: Naming,
    /// The root's path as the user named it.
    pub(crate) root_path: PathBuf,
}

impl Task {
    /// The object's names for messages and lists.
    pub(crate) fn transfer(&self, session: &Session, found: &Found) -> Transfer {
        match (self, found) {
            (Self::Upload(upload), Found::File(path)) => upload.transfer(session, path.as_bytes()),
        }
    }
}

impl Upload {
    fn transfer(&self, session: &Session, path: &[u8]) -> Transfer {
        let object = escape(path);
        let destination =
            self.naming.blob_name_for(path).map(|name| blob_url(session, &name)).unwrap_or_default();
        Transfer {
            source: self.root_path.join(OsStr::from_bytes(path)).to_string_lossy().into_owned(),
            object,
            destination,
        }
    }
}

/// The blob's full URL without its SAS.
pub(crate) fn blob_url(session: &Session, name: &str) -> String {
    format!("{}/{}", session.target.url().container_url(), encode_path(name))
}
