//! One writer per job.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::error::JournalError;
use crate::id::JobId;

/// Whoever only looks ([`is_held`]) holds the lock for microseconds: it is asked for again so often...
const ATTEMPTS: u32 = 5;
/// ...after this.
const PAUSE: Duration = Duration::from_millis(10);

/// Held as long as this process may write the job. The system lets go of it when the process ends, however that is.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock at `path`, which lies in the job's directory.
    pub(crate) fn take(path: &Path, id: JobId) -> Result<Self, JournalError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => JournalError::NoSuchJob(id.to_string()),
            _ => JournalError::io(path, "opening the lock", &error),
        })?;
        let mut left = ATTEMPTS;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if left > 0 => {
                    left -= 1;
                    std::thread::sleep(PAUSE);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(JournalError::InUse(id)),
                Err(error) => return Err(JournalError::io(path, "locking", &error.into())),
            }
        }
        // Whoever had it may have removed the job between the two steps above.
        match (file.metadata(), std::fs::metadata(path)) {
            (Ok(held), Ok(named)) if (held.dev(), held.ino()) == (named.dev(), named.ino()) => {
                Ok(Self { _file: file })
            }
            _ => Err(JournalError::NoSuchJob(id.to_string())),
        }
    }
}

/// Whether somebody holds the lock at `path`. Asked for together with others, so that those who only look are not in
/// each other's way.
pub(crate) fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
}
