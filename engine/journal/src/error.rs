//! What can go wrong with journals, each with its cause and its remedy.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use crate::id::JobId;

/// A failure of the journal. Whatever it is, the file still holds everything up to the last commit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// No job has this id, or an id that begins so. List the jobs.
    #[error("there is no job {0:?}; list the jobs to see which there are")]
    NoSuchJob(
        /// What was asked for.
        String,
    ),
    /// Several jobs have an id that begins so. Give more of it.
    #[error("{matches} jobs have an id that begins with {prefix:?}; give more of the id")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many jobs match.
        matches: usize,
    },
    /// A process that still runs holds the job. Wait for it, or stop it.
    #[error("job {0} is in use by another process")]
    InUse(
        /// The job that is in use.
        JobId,
    ),
    /// There is a job of this id already. Take another id, or resume that job.
    #[error("there is a job {0} already")]
    Exists(
        /// The id that is taken.
        JobId,
    ),
    /// The file was not written by this program, or its first bytes are gone. Remove the job and run it anew.
    #[error("{}: this is no job journal", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote the file. Use that one, or remove the job and run it anew.
    #[error("{}: written in format {found} by a later version of this program; this one reads up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format's number in the file.
        found: u32,
        /// The latest that this version knows.
        known: u32,
    },
    /// Bytes of the file changed after they were written, or are missing from its middle. Nothing of it can be trusted
    /// to be complete: remove the job and run it anew.
    #[error("{}: damaged at byte {offset}: {reason}; remove the job and run it anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Only a job that ended, with nothing left to do, can be shrunk. Resume it first.
    #[error("job {0} has not ended")]
    NotFinished(
        /// The job that still has work.
        JobId,
    ),
    /// A name or a text is longer than the format carries. It was not recorded.
    #[error("{what} of {len} bytes: the journal takes at most {limit}")]
    TooLong {
        /// `a name`, `a text` and so on, for the message.
        what: &'static str,
        /// Its length, bytes.
        len: usize,
        /// The most it may have, bytes.
        limit: usize,
    },
    /// No room on the device, in the quota or within the process's limit. Make room; then the job can go on.
    #[error("{}: no room for the job's journal ({}); make room and resume the job", path.display(), strerror(*.errno))]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        errno: i32,
    },
    /// Any other answer of the file system.
    #[error("{}: {operation} failed: {}", path.display(), strerror(*.errno))]
    Io {
        /// The file or directory that the call was about.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the system answered.
        errno: i32,
    },
}

impl JournalError {
    pub(crate) fn io(path: &Path, operation: &'static str, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        match errno {
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Self::Full { path, errno: errno.raw_os_error() },
            errno => Self::Io { path, operation, errno: errno.raw_os_error() },
        }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, reason: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), offset, reason }
    }
}

fn strerror(errno: i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(errno)
}
