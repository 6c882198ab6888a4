//! The directory of all jobs.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::JournalError;
use crate::format::{STRING_MAX, file_header};
use crate::id::JobId;
use crate::journal::{CommitBy, Journal, Writer};
use crate::lock::{self, LockFile};
use crate::pending::Pending;
use crate::recover::Recovered;
use crate::shrink;
use crate::storage::{Disk, Storage};

/// The file of a job.
const JOURNAL: &str = "journal";
/// What will be the file of a job, once it is whole.
const NEW: &str = "journal.new";
const LOCK: &str = "lock";

/// All jobs of a state directory: `STATE/jobs/ID/journal`, readable by the user alone.
#[derive(Clone, Debug)]
pub struct Jobs {
    directory: PathBuf,
    storage: Arc<dyn Storage>,
    commit_by: CommitBy,
}

/// A job in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The id, from the name of the job's directory.
    pub id: JobId,
    /// When its journal was last written.
    pub modified: SystemTime,
    /// Length of its journal, bytes.
    pub len_bytes: u64,
}

impl Jobs {
    /// The jobs below `state`. Nothing is made before the first job is.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        let storage = Arc::new(Disk);
        Self { directory: state.join("jobs"), storage, commit_by: CommitBy::default() }
    }

    /// Writes through `storage`.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Who commits what is said to the journals opened here.
    #[must_use]
    pub fn commit_by(mut self, commit_by: CommitBy) -> Self {
        self.commit_by = commit_by;
        self
    }

    /// The directory of a job, whether there is one or not. The files in it that begin with `journal`, and `lock`, are
    /// this crate's.
    #[must_use]
    pub fn directory(&self, id: JobId) -> PathBuf {
        self.directory.join(id.to_string())
    }

    /// A new job. When this returns, a crash no longer loses it.
    ///
    /// # Errors
    /// [`JournalError::Exists`], [`JournalError::InUse`], [`JournalError::TooLong`] for the description, or what the
    /// file system answers.
    pub fn create(&self, id: JobId, description: &[u8]) -> Result<Journal, JournalError> {
        let (what, len, limit) = ("the job's description", description.len(), STRING_MAX);
        if len > limit {
            return Err(JournalError::TooLong { what, len, limit });
        }
        let directory = self.directory(id);
        let is_new = |directory: &&Path| !directory.as_os_str().is_empty() && !directory.exists();
        let made = directory.ancestors().take_while(is_new).count();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| JournalError::io(&directory, "making the directory", &error))?;
        let lock = LockFile::take(&directory.join(LOCK), id)?;
        if directory.join(JOURNAL).exists() {
            return Err(JournalError::Exists(id));
        }
        let new = self.replace(id, |new| {
            let mut pending = Pending::default();
            pending.describe(description);
            new.commit(id, pending)
        })?;
        // A directory made just now is durable once the one above it is; those of a job that was begun before may not
        // be.
        for parent in directory.ancestors().skip(1).take(made.max(2)) {
            self.sync_dir(parent)?;
        }
        Journal::start(id, new, None, lock, self.commit_by)
    }

    /// Reads a job. It may be running: what it commits from now on is not seen.
    ///
    /// # Errors
    /// [`JournalError::NoSuchJob`], [`JournalError::NotAJournal`], [`JournalError::Newer`], [`JournalError::Damaged`],
    /// or what the file system answers.
    pub fn read(&self, id: JobId) -> Result<Recovered, JournalError> {
        self.open(id, OpenOptions::new().read(true))
    }

    /// Takes up a job where its last commit left it.
    ///
    /// # Errors
    /// As [`Jobs::read`], and [`JournalError::InUse`].
    pub fn resume(&self, id: JobId) -> Result<(Recovered, Journal), JournalError> {
        let directory = self.directory(id);
        let lock = LockFile::take(&directory.join(LOCK), id)?;
        let recovered = self.open(id, OpenOptions::new().read(true).write(true))?;
        discard(&directory.join(NEW));
        let path = directory.join(JOURNAL);
        let file = recovered.file.try_clone().map_err(|error| JournalError::io(&path, "opening", &error))?;
        if recovered.cut_off() > 0 {
            // Durable before anything follows: what was cut off must not come back behind it.
            self.storage
                .set_len(&file, recovered.len)
                .and_then(|()| self.storage.sync(&file))
                .map_err(|error| JournalError::io(&path, "cutting off what was not written whole", &error))?;
        }
        let writer = Writer::behind(Arc::clone(&self.storage), file, path, &recovered);
        let journal = Journal::start(id, writer, Some(&recovered), lock, self.commit_by)?;
        Ok((recovered, journal))
    }

    /// Makes a finished job's journal small: its description, counts, summary and what failed stay; the names of what
    /// is done or skipped go. What failed is numbered anew. A crash leaves the one or the other.
    ///
    /// One with large objects that were begun and are not done stays as it is: what there is of them is known by their
    /// numbers.
    ///
    /// # Errors
    /// As [`Jobs::resume`], and [`JournalError::NotFinished`].
    pub fn shrink(&self, id: JobId) -> Result<(), JournalError> {
        let _lock = LockFile::take(&self.directory(id).join(LOCK), id)?;
        let old = self.read(id)?;
        let begun = old.large_count() > 0;
        if !old.scanned() || old.summary().is_none() || old.counts().pending() > 0 || begun {
            return Err(JournalError::NotFinished(id));
        }
        self.replace(id, |new| shrink::copy(&old, new)).map(drop)
    }

    /// All jobs, in the order of their ids. A directory that holds no journal is none.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn list(&self) -> Result<Vec<Listed>, JournalError> {
        let mut jobs = Vec::new();
        for id in self.ids()? {
            let path = self.directory(id).join(JOURNAL);
            // Removed since, or never begun.
            let Ok(meta) = std::fs::metadata(&path) else { continue };
            let modified =
                meta.modified().map_err(|error| JournalError::io(&path, "looking it up", &error))?;
            jobs.push(Listed { id, modified, len_bytes: meta.len() });
        }
        Ok(jobs)
    }

    /// The one job whose id begins so.
    ///
    /// # Errors
    /// [`JournalError::NoSuchJob`], [`JournalError::Ambiguous`], or what the file system answers.
    pub fn find(&self, prefix: &str) -> Result<JobId, JournalError> {
        let jobs = self.list()?;
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).filter(|id| id.begins_with(prefix)).collect();
        match ids[..] {
            [] => Err(JournalError::NoSuchJob(prefix.to_owned())),
            [id] => Ok(id),
            _ => Err(JournalError::Ambiguous { prefix: prefix.to_owned(), matches: ids.len() }),
        }
    }

    /// Whether a process holds the job at this moment.
    #[must_use]
    pub fn is_running(&self, id: JobId) -> bool {
        lock::is_held(&self.directory(id).join(LOCK))
    }

    /// Removes a job that is not running. Files of others in its directory stay.
    ///
    /// # Errors
    /// [`JournalError::NoSuchJob`], [`JournalError::InUse`], or what the file system answers.
    pub fn remove(&self, id: JobId) -> Result<(), JournalError> {
        let directory = self.directory(id);
        if !directory.exists() {
            return Err(JournalError::NoSuchJob(id.to_string()));
        }
        let _lock = LockFile::take(&directory.join(LOCK), id)?;
        // The lock last: until then nobody else begins here.
        for name in [JOURNAL, NEW, LOCK] {
            let path = directory.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(JournalError::io(&path, "removing", &error));
                }
                _ => {}
            }
        }
        match std::fs::remove_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                Err(JournalError::io(&directory, "removing", &error))
            }
            _ => Ok(()),
        }
    }

    /// Removes what crashes have left of jobs that were never begun; returns how many they were.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn sweep(&self) -> Result<usize, JournalError> {
        let mut swept = 0;
        for id in self.ids()? {
            if self.directory(id).join(JOURNAL).exists() {
                continue;
            }
            match self.remove(id) {
                Ok(()) => swept += 1,
                // It begins just now, or somebody was faster.
                Err(JournalError::InUse(_) | JournalError::NoSuchJob(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }

    /// The ids that directories have.
    fn ids(&self) -> Result<Vec<JobId>, JournalError> {
        let io = |error: &io::Error| JournalError::io(&self.directory, "listing", error);
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(&error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| io(&error))?;
            ids.extend(entry.file_name().to_str().and_then(|name| name.parse::<JobId>().ok()));
        }
        ids.sort();
        Ok(ids)
    }

    fn open(&self, id: JobId, how: &OpenOptions) -> Result<Recovered, JournalError> {
        let path = self.directory(id).join(JOURNAL);
        let file = how.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => JournalError::NoSuchJob(id.to_string()),
            _ => JournalError::io(&path, "opening", &error),
        })?;
        let recovered = Recovered::read(&path, file)?;
        if recovered.id() != id {
            return Err(JournalError::damaged(&path, 0, "it belongs to another job"));
        }
        Ok(recovered)
    }

    /// Writes a new journal and gives it the name of the old one, if there is one. Whoever fails to `fill` it leaves
    /// nothing behind.
    fn replace(
        &self,
        id: JobId,
        fill: impl FnOnce(&mut Writer) -> Result<(), JournalError>,
    ) -> Result<Writer, JournalError> {
        let directory = self.directory(id);
        let (from, to) = (directory.join(NEW), directory.join(JOURNAL));
        let filled = self.new_file(id).and_then(|mut new| fill(&mut new).map(|()| new)).and_then(|new| {
            // The bytes are durable: every commit is.
            self.storage.rename(&from, &to).map_err(|error| JournalError::io(&to, "renaming", &error))?;
            Ok(new)
        });
        match filled {
            Ok(new) => self.sync_dir(&directory).map(|()| new),
            Err(error) => {
                discard(&from);
                Err(error)
            }
        }
    }

    /// A file that has a header, and not yet its name.
    fn new_file(&self, id: JobId) -> Result<Writer, JournalError> {
        let path = self.directory(id).join(NEW);
        let file = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(|error| JournalError::io(&path, "creating", &error))?;
        self.storage
            .write_at(&file, &file_header(id), 0)
            .map_err(|error| JournalError::io(&path, "writing", &error))?;
        // Messages speak of the name it will have.
        let path = self.directory(id).join(JOURNAL);
        Ok(Writer::new(Arc::clone(&self.storage), file, path))
    }

    fn sync_dir(&self, directory: &Path) -> Result<(), JournalError> {
        // Above a relative path lies the current directory.
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        self.storage
            .sync_dir(directory)
            .map_err(|error| JournalError::io(directory, "making names durable", &error))
    }
}

/// Removes what a crash or a failure left of a new journal. It is in nobody's way if it stays.
fn discard(path: &Path) {
    let _ = std::fs::remove_file(path);
}
