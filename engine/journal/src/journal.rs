//! Writing: what callers say is gathered in memory and committed as one record at a time.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::causes::Causes;
use crate::error::JournalError;
use crate::format::{
    BODY_MAX, COUNTERS, FILE_HEADER, FORMAT, FORMAT_1, PIECES_MAX, REASONS, STRING_MAX, seal,
};
use crate::id::JobId;
use crate::lock::LockFile;
use crate::packing::Packer;
use crate::pending::{OVERHEAD, Pending};
use crate::recover::Recovered;
use crate::states::State;
use crate::storage::Storage;

/// A commit is made at most this often, and at most so long after something was said.
pub const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// With so many bytes waiting, a commit is made at once.
const HURRY_BYTES: usize = 512 << 10;

/// Why the locks are whole: whoever panics in the middle of an [`Entry`] has broken its rules, and the job ends there.
const LOCKED: &str = "no caller panicked while it held an entry";

/// Who commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitBy {
    /// A thread of the journal's own, every [`COMMIT_EVERY`] while there is something to commit.
    #[default]
    Thread,
    /// Nobody but [`Journal::commit`], and whoever has more to say than may wait.
    Caller,
}

/// The journal of one job, open for writing. Any thread may write; this process alone holds the job.
///
/// Dropping it loses what was not committed, as a crash does: [`Journal::commit`] before.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    _lock: LockFile,
}

#[derive(Debug)]
struct Shared {
    id: JobId,
    by_thread: bool,
    /// Taken before `waiting` where both are.
    writer: Mutex<Writer>,
    waiting: Mutex<Waiting>,
    /// Wakes the thread: there is something to commit.
    work: Condvar,
    /// Wakes callers: there is room.
    room: Condvar,
}

/// What was said and not committed.
#[derive(Debug)]
struct Waiting {
    pending: Pending,
    /// Transfers that were found, committed or not.
    transfers: u64,
    /// `None`: the journal is of a format that knows none.
    causes: Option<Causes>,
    /// Why the last commit failed.
    failed: Option<JournalError>,
    closing: bool,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Writer {
    storage: Arc<dyn Storage>,
    file: File,
    path: PathBuf,
    /// Bytes that are committed.
    len: u64,
    /// Records that are committed.
    records: u64,
    format: u32,
    /// A record whose writing failed. It is written before anything else is.
    unwritten: Option<Vec<u8>>,
    packer: Packer,
}

impl Writer {
    /// Begins behind the header of a new file.
    pub(crate) fn new(storage: Arc<dyn Storage>, file: File, path: PathBuf) -> Self {
        let (len, records, format) = (FILE_HEADER as u64, 0, FORMAT);
        Self { storage, file, path, len, records, format, unwritten: None, packer: Packer::default() }
    }

    /// Goes on behind what was read of `file`.
    pub(crate) fn behind(storage: Arc<dyn Storage>, file: File, path: PathBuf, read: &Recovered) -> Self {
        let Recovered { len, records, format, .. } = *read;
        Self { storage, file, path, len, records, format, unwritten: None, packer: Packer::default() }
    }

    /// Writes `pending` as a record and makes it durable.
    pub(crate) fn commit(&mut self, id: JobId, pending: Pending) -> Result<(), JournalError> {
        let mut record = pending.encode(&mut self.packer, self.format);
        seal(id, self.records, &mut record);
        self.put(record)
    }

    /// Writes what an earlier commit could not.
    fn retry(&mut self) -> Result<(), JournalError> {
        let Some(record) = self.unwritten.take() else { return Ok(()) };
        // Also after a failed sync: the system may have dropped any of the bytes and believe them written.
        if let Err(error) = self.storage.set_len(&self.file, self.len) {
            self.unwritten = Some(record);
            return Err(JournalError::io(&self.path, "cutting off what was not written whole", &error));
        }
        self.put(record)
    }

    fn put(&mut self, record: Vec<u8>) -> Result<(), JournalError> {
        let written = self
            .storage
            .write_at(&self.file, &record, self.len)
            .map_err(|error| JournalError::io(&self.path, "writing", &error))
            .and_then(|()| {
                self.storage
                    .sync(&self.file)
                    .map_err(|error| JournalError::io(&self.path, "making it durable", &error))
            });
        if written.is_err() {
            // Gives the room back; whether it can is of no importance, readers leave out what is not whole.
            let _ = self.storage.set_len(&self.file, self.len);
            self.unwritten = Some(record);
            return written;
        }
        self.len += record.len() as u64;
        self.records += 1;
        Ok(())
    }
}

impl Journal {
    pub(crate) fn start(
        id: JobId,
        writer: Writer,
        read: Option<&Recovered>,
        lock: LockFile,
        commit_by: CommitBy,
    ) -> Result<Self, JournalError> {
        let path = writer.path.clone();
        let by_thread = commit_by == CommitBy::Thread;
        let transfers = read.map_or(0, Recovered::found);
        let causes = read.map_or(&[][..], |read| &read.causes);
        let causes = (writer.format > FORMAT_1).then(|| Causes::of(causes));
        let waiting =
            Waiting { pending: Pending::default(), transfers, causes, failed: None, closing: false };
        let shared = Arc::new(Shared {
            id,
            by_thread,
            writer: Mutex::new(writer),
            waiting: Mutex::new(waiting),
            work: Condvar::new(),
            room: Condvar::new(),
        });
        let thread = by_thread
            .then(|| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name("journal".to_owned()).spawn(move || shared.run())
            })
            .transpose()
            .map_err(|error| JournalError::io(&path, "starting a thread for it", &error))?;
        Ok(Self { shared, thread, _lock: lock })
    }

    /// The id of the job that is recorded here.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.shared.id
    }

    /// Begins to say something. All that is said through one [`Entry`] is committed together. Waits while too much
    /// waits for a commit.
    ///
    /// # Errors
    /// Why the last commit failed. Nothing is taken until [`Journal::commit`] succeeds.
    pub fn write(&self) -> Result<Entry<'_>, JournalError> {
        let mut waiting = self.shared.waiting();
        loop {
            if let Some(error) = &waiting.failed {
                return Err(error.clone());
            }
            if !waiting.pending.is_enough() {
                let before = waiting.pending.bytes;
                return Ok(Entry { shared: &self.shared, waiting, before });
            }
            if self.shared.by_thread {
                waiting = self.shared.room.wait(waiting).expect(LOCKED);
            } else {
                drop(waiting);
                self.commit()?;
                waiting = self.shared.waiting();
            }
        }
    }

    /// Makes everything durable that was said before. After a failure, tries again.
    ///
    /// # Errors
    /// [`JournalError::Full`] or [`JournalError::Io`]. Nothing is lost but room in memory: once there is room on
    /// disk, call it again.
    pub fn commit(&self) -> Result<(), JournalError> {
        self.shared.commit()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).closing = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect(LOCKED)
    }

    fn commit(&self) -> Result<(), JournalError> {
        let mut writer = self.writer.lock().expect(LOCKED);
        let result = writer.retry().and_then(|()| {
            let pending = std::mem::take(&mut self.waiting().pending);
            self.room.notify_all();
            if pending.is_empty() { Ok(()) } else { writer.commit(self.id, pending) }
        });
        self.waiting().failed = result.clone().err();
        // Who waits for room is to see the failure.
        self.room.notify_all();
        result
    }

    /// The thread: commits in groups until the journal is dropped.
    fn run(&self) {
        let mut waiting = self.waiting();
        let mut due = None;
        while !waiting.closing {
            if waiting.pending.is_empty() || waiting.failed.is_some() {
                waiting = self.work.wait(waiting).expect(LOCKED);
                continue;
            }
            let left = due.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
            let left = left.saturating_duration_since(Instant::now());
            if waiting.pending.bytes < HURRY_BYTES && !left.is_zero() {
                waiting = self.work.wait_timeout(waiting, left).expect(LOCKED).0;
                continue;
            }
            drop(waiting);
            // A failure is kept for whoever writes next.
            let _ = self.commit();
            due = None;
            waiting = self.waiting();
        }
    }
}

/// Something being said. It is complete when this is dropped; until then all others wait.
#[derive(Debug)]
pub struct Entry<'a> {
    shared: &'a Shared,
    waiting: MutexGuard<'a, Waiting>,
    /// Bytes that waited before.
    before: usize,
}

impl Entry<'_> {
    /// A transfer was found. Its number is how many were found before; ten thousand of them are a part.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it was not recorded, and has no number.
    pub fn transfer(&mut self, name: &[u8], facts: &[u8]) -> Result<u64, JournalError> {
        self.check("a name", name)?;
        self.check("the facts of a transfer", facts)?;
        let number = self.waiting.transfers;
        self.waiting.pending.transfer(number, name, facts);
        self.waiting.transfers += 1;
        Ok(number)
    }

    /// A transfer is done, and stays so: nothing more is said of it.
    pub fn done(&mut self, number: u64) {
        self.outcome(number, State::Done);
    }

    /// A transfer was left out, and stays so. `reason` is below [`REASONS`].
    pub fn skipped(&mut self, number: u64, reason: u8) {
        self.outcome(number, State::Skipped(reason));
    }

    /// A transfer failed. It may be tried again: then its last outcome counts. `reason` is below [`REASONS`].
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it was not recorded.
    pub fn failed(&mut self, number: u64, reason: u8, text: &[u8]) -> Result<(), JournalError> {
        self.check("the text of a failure", text)?;
        self.outcome(number, State::Failed(reason));
        self.waiting.pending.failure(Some(number), reason, None, text);
        Ok(())
    }

    /// As [`Entry::failed`], where many transfers fail in one way: `cause` is what they have in common, and is written
    /// once for all of them. `false`: it was not recorded, since the journal has no room for another cause (or none at
    /// all, if it was begun in the first format); then `failed` takes the whole text.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it was not recorded.
    pub fn failed_for(
        &mut self,
        number: u64,
        reason: u8,
        cause: &[u8],
        text: &[u8],
    ) -> Result<bool, JournalError> {
        self.check("the text of a failure", text)?;
        self.check("the cause of a failure", cause)?;
        let known = self.waiting.causes.as_mut().and_then(|causes| causes.number(cause));
        let Some((cause_number, is_new)) = known else { return Ok(false) };
        if is_new {
            self.waiting.pending.cause(cause);
        }
        self.outcome(number, State::Failed(reason));
        self.waiting.pending.failure(Some(number), reason, Some(cause_number), text);
        Ok(true)
    }

    /// Something failed that is no transfer. `reason` is the caller's.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it was not recorded.
    pub fn problem(&mut self, reason: u8, text: &[u8]) -> Result<(), JournalError> {
        self.check("the text of a failure", text)?;
        self.waiting.pending.failure(None, reason, None, text);
        Ok(())
    }

    /// A large object is begun, or begun again: no piece of it is done. `facts` is what makes its pieces valid
    /// later: version of the source, length of a piece.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it was not recorded.
    pub fn large(&mut self, number: u64, facts: &[u8]) -> Result<(), JournalError> {
        self.check("the facts of a large object", facts)?;
        self.known(number);
        self.waiting.pending.large(number, facts);
        Ok(())
    }

    /// A piece of a large object is done. Pieces are numbered by the caller, below [`PIECES_MAX`].
    pub fn piece(&mut self, number: u64, piece: u64) {
        assert!(piece < PIECES_MAX, "pieces are below {PIECES_MAX}");
        self.known(number);
        self.waiting.pending.piece(number, piece);
    }

    /// The scan stands at `position`: everything before it was found and said.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it was not recorded.
    pub fn cursor(&mut self, position: &[u8]) -> Result<(), JournalError> {
        self.check("the position of the scan", position)?;
        let found = self.waiting.transfers;
        self.waiting.pending.cursor(found, position);
        Ok(())
    }

    /// The scan came to its end: everything was found and said.
    pub fn scanned(&mut self) {
        self.waiting.pending.scanned();
    }

    /// Adds to one of the [`COUNTERS`] counters, whose meaning is the caller's.
    pub fn count(&mut self, counter: usize, by: i64) {
        assert!(counter < COUNTERS, "there are {COUNTERS} counters");
        self.waiting.pending.count(counter, by);
    }

    /// The job ended; what is to be known of it. Saying anything else of a transfer later opens it again.
    ///
    /// # Errors
    /// [`JournalError::TooLong`]: it was not recorded.
    pub fn summary(&mut self, summary: &[u8]) -> Result<(), JournalError> {
        self.check("the summary", summary)?;
        self.waiting.pending.summary(summary);
        Ok(())
    }

    fn outcome(&mut self, number: u64, state: State) {
        self.known(number);
        if let State::Skipped(reason) | State::Failed(reason) = state {
            assert!(reason < REASONS, "reasons are below {REASONS}");
        }
        self.waiting.pending.outcome(number, state);
    }

    /// A journal that speaks of a transfer it does not list, or has a longer record, could not be read again.
    fn known(&self, number: u64) {
        assert!(number < self.waiting.transfers, "transfer {number} was not found yet");
        assert!(self.waiting.pending.bytes + OVERHEAD <= BODY_MAX, "one entry says too much");
    }

    fn check(&self, what: &'static str, string: &[u8]) -> Result<(), JournalError> {
        let (len, room) = (string.len(), BODY_MAX.saturating_sub(self.waiting.pending.bytes + OVERHEAD));
        // The counters and a second string of the same call fit beside it.
        let limit = STRING_MAX.min(room.saturating_sub(2 * STRING_MAX));
        if len > limit { Err(JournalError::TooLong { what, len, limit }) } else { Ok(()) }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let now = self.waiting.pending.bytes;
        let begins = self.before == 0 && now > 0;
        if self.shared.by_thread && (begins || (self.before < HURRY_BYTES && now >= HURRY_BYTES)) {
            self.shared.work.notify_one();
        }
    }
}
