//! The lines of a list of blobs that turn out to be no blobs.
//!
//! Nothing is asked about a line before its transfer. Where the service then says that there is no such blob, the lane
//! reports the line, and the planner lists what is below it: it is a directory, or nothing.

use std::sync::Mutex;

use azuring_job::entry::Entry;

/// Lines that lanes have found to be no blobs, until the planner takes them. Bounded by what waits for a lane: the
/// planner takes them before it hands over more lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// Whether a line may be a directory.
    directories: bool,
    missing: Mutex<Vec<Entry>>,
}

impl Lines {
    /// `directories`: a line may name one; `missing`: these are known to be no blobs.
    pub fn new(directories: bool, missing: Vec<Entry>) -> Self {
        Self { directories, missing: Mutex::new(missing) }
    }

    /// Takes a line of which the service says that it is no blob; gives it back where it cannot be a directory either.
    pub(crate) fn report(&self, entry: Entry) -> Result<(), Entry> {
        if !self.directories {
            return Err(entry);
        }
        self.missing.lock().expect("nothing panics while the lock is held").push(entry);
        Ok(())
    }

    /// Whether there are some.
    pub fn any(&self) -> bool {
        self.count() > 0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.missing.lock().expect("nothing panics while the lock is held").len()
    }

    /// The lines that were reported since.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.missing.lock().expect("nothing panics while the lock is held"))
    }
}
