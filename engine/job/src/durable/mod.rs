//! What a job keeps of itself, so that it goes on where a crash left it.
//!
//! ```text
//!   planner ── found, notes, where the scan stands ──┐
//!   lanes ──── large objects and their pieces ───────┼──> azuring-journal ──> an earlier run: Before
//!   collector ─ outcomes, counters ──────────────────┘
//! ```
//!
//! Nothing is recorded as done before the service, or the file system, has answered; whatever was not recorded is done
//! again, which changes nothing. A transfer has one number for the whole life of its job.

mod before;
mod causes;
pub(crate) mod codec;
mod counters;
mod position;
mod recorded;
mod settling;
mod ways;

use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use azuring_azure::Crc64Digest;
use azuring_journal::{Jobs, Journal, JournalError};

use crate::entry::Found;
use crate::failure::{Failure, FailureKind};
use crate::outcome::{Done, Entity, Outcome, Report, TransferId};
use crate::way::Decision;

pub use before::{Before, FoundAgain, Resumed};
pub use codec::{Key, Reader, number, string};
use counters::Counter;
pub use position::{LocalPosition, RemotePosition};
pub use recorded::{RecordedJob, RecordedState, RecordedTransfer};
pub use settling::{Settling, Written};

/// Transfers that are recorded in one entry as being on the disk, or as lost.
const SETTLED_AT_ONCE: usize = 10_000;
/// Why a file that was written is written again.
const LOST: &str = "the machine was restarted before the file was known to be on the disk";
const DOUBTED: &str = "the job ended while the disk was asked whether it has the file";

/// The journal of a running job.
pub struct Durable {
    jobs: Jobs,
    journal: Journal,
    /// What an earlier run left.
    pub before: Option<Before>,
    /// Whether what is done is only written at first.
    settles: bool,
    /// What was written and is not known to be on the disk.
    pub settling: Settling,
    /// How many runs, this one included, began in doubt of what an earlier one has written.
    doubts: u64,
    over: Mutex<bool>,
}

/// What the planner saw beside the objects it hands over.
#[derive(Debug, Default)]
pub struct Notes {
    /// Symbolic links that were left out.
    pub symlinks: u64,
    /// Special files that were left out.
    pub specials: u64,
    /// What could not be read.
    pub problems: Vec<Failure>,
    /// Local names are shorter than those of their blobs.
    pub collapsed: bool,
}

/// What is recorded together with objects that were found.
pub enum With<'a> {
    /// No position: the scan has not reached one that it could go on from.
    Nothing,
    /// Where the scan stands after them, and what it has seen on the way there.
    Position(&'a [u8], &'a Notes),
    /// They lie below this line of a list, whose listing stands there.
    Below(TransferId, &'a [u8]),
}

impl Notes {
    /// Takes what was seen after it.
    pub fn add(&mut self, other: Self) {
        self.symlinks += other.symlinks;
        self.specials += other.specials;
        self.problems.extend(other.problems);
        self.collapsed |= other.collapsed;
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.symlinks + self.specials == 0 && self.problems.is_empty() && !self.collapsed
    }
}

impl Durable {
    /// `settles`: files are written.
    pub fn new(jobs: Jobs, journal: Journal, before: Option<Before>, settles: bool) -> Self {
        let doubts = before.as_ref().map_or(0, Before::doubts);
        let settling = Settling::default();
        Self { jobs, journal, before, settles, settling, doubts, over: Mutex::new(false) }
    }

    /// Whether it is recorded how the job ended. A disk may answer later: what it says then would void that record, and
    /// is not needed, because the journal says that nobody has heard the answer.
    fn over(&self) -> MutexGuard<'_, bool> {
        self.over.lock().expect("nothing panics while the lock is held")
    }

    /// Which run of the machine this is, and how often the job began in doubt of what it has written: what is not
    /// finished can be gone on with only as long as both are the same.
    pub fn era(&self) -> Option<Vec<u8>> {
        let mut era = boot_id()?;
        if self.doubts > 0 {
            era.extend(self.doubts.to_string().into_bytes());
        }
        Some(era)
    }

    /// When the job was begun, where the file system tells: that is when its directory was made.
    pub fn begun(&self) -> Option<SystemTime> {
        let directory = self.jobs.directory(self.journal.id());
        std::fs::metadata(directory).and_then(|meta| meta.created()).ok()
    }

    /// Whether it is known of what is done that it is on the disk only later.
    pub fn settles(&self) -> bool {
        self.settles
    }

    /// The job begins, or goes on: what failed is done again, and its lengths are counted again when it ends; so is,
    /// when the machine was restarted or the disk has not answered, what was only written.
    pub fn go_on(&self) -> Result<(), Box<Failure>> {
        let boot = boot_number();
        let record = || {
            let Some(before) = &self.before else {
                Counter::Boot.add(&mut self.journal.write()?, boot);
                return Ok(());
            };
            let (written, lost) = before.written();
            if lost {
                // Before it is said that the machine was restarted: until then whoever goes on finds the same.
                let why = if before.is_restarted() { LOST } else { DOUBTED };
                let lost = Failure::new(FailureKind::Destination, "", why);
                let (mut bytes, mut lengths) = (written.bytes, written.lengths);
                for some in written.numbers.chunks(SETTLED_AT_ONCE) {
                    let mut entry = self.journal.write()?;
                    for number in some {
                        has_failed(&mut entry, *number, codec::LOST, &lost)?;
                    }
                    Counter::Written.add(&mut entry, -(some.len() as i64));
                    Counter::BytesWritten.add(&mut entry, -std::mem::take(&mut bytes));
                    Counter::FoundWritten.add(&mut entry, -std::mem::take(&mut lengths));
                }
            }
            let mut entry = self.journal.write()?;
            match written.numbers.is_empty() {
                // Of a journal that has shrunk.
                true => move_written(&mut entry, written),
                false if !lost => self.settling.add(written.clone()),
                false => {}
            }
            Counter::BytesFailed.add(&mut entry, -(before.failed_bytes() as i64));
            Counter::Boot.add(&mut entry, boot.wrapping_sub(before.boot()));
            if before.is_in_doubt() {
                Counter::Asked.add(&mut entry, -before.asked());
                Counter::Doubts.add(&mut entry, 1);
            }
            Ok(())
        };
        record().map_err(|error: JournalError| failed(&error))
    }

    /// Records for good that the file system is about to be asked whether everything is on the disk: it says once that
    /// it is not, and whoever is asked may not live to record it.
    pub fn asks(&self) -> Result<(), Box<Failure>> {
        self.settling.set_asking(true);
        let mut entry = self.journal.write().map_err(|error| failed(&error))?;
        Counter::Asked.add(&mut entry, 1);
        drop(entry);
        self.commit()
    }

    /// Records that it cannot tell.
    pub fn not_known(&self) -> Result<(), Box<Failure>> {
        let mut entry = self.journal.write().map_err(|error| failed(&error))?;
        Counter::Asked.add(&mut entry, -1);
        drop(entry);
        self.settling.set_asking(false);
        Ok(())
    }

    /// Records as done what was written, now that the file system has said that it is on the disk; not when the job has
    /// ended meanwhile.
    pub fn settled(&self, written: &Written) -> Result<(), Box<Failure>> {
        let over = self.over();
        if *over {
            return Ok(());
        }
        let record = || {
            for some in written.numbers.chunks(SETTLED_AT_ONCE) {
                let mut entry = self.journal.write()?;
                some.iter().for_each(|number| entry.done(*number));
                Counter::Written.add(&mut entry, -(some.len() as i64));
            }
            let mut entry = self.journal.write()?;
            move_written(&mut entry, written);
            Counter::Asked.add(&mut entry, -1);
            Ok(())
        };
        record().map_err(|error: JournalError| failed(&error))?;
        self.settling.set_asking(false);
        Ok(())
    }

    /// Records as failed what was written and may be damaged.
    pub(super) fn lost(&self, lost: &Written, why: &Failure) -> Result<(), Box<Failure>> {
        let text = codec::failure_text(why);
        let record = || {
            for some in lost.numbers.chunks(SETTLED_AT_ONCE) {
                let mut entry = self.journal.write()?;
                for number in some {
                    entry.failed(*number, codec::LOST, &text)?;
                }
            }
            let mut entry = self.journal.write()?;
            Counter::count_written(&mut entry, lost, -1);
            Counter::BytesFailed.add(&mut entry, lost.lengths);
            Ok(())
        };
        record().map_err(|error: JournalError| failed(&error))
    }

    /// Records objects that were found, and with them what else has to stand or fall with them; returns the number of
    /// the first.
    pub fn found(&self, found: &[Found], with: &With<'_>) -> Result<u64, Box<Failure>> {
        let record = || {
            let mut entry = self.journal.write()?;
            let (mut first, mut facts) = (0, Vec::new());
            let (mut folders, mut links) = (0, 0);
            let below = matches!(with, With::Below(..));
            for (n, found) in found.iter().enumerate() {
                facts.clear();
                let name = codec::describe(found, below, &mut facts);
                let number = entry.transfer(name, &facts)?;
                if n == 0 {
                    first = number;
                }
                match found.entity() {
                    Entity::Folder => folders += 1,
                    Entity::Symlink => links += 1,
                    Entity::File => {}
                }
            }
            Counter::FoldersFound.add(&mut entry, folders);
            Counter::LinksFound.add(&mut entry, links);
            match with {
                With::Nothing => {}
                With::Position(position, notes) => {
                    note(&mut entry, notes)?;
                    entry.cursor(position)?;
                }
                With::Below(line, position) => entry.large(line.number(), position)?,
            }
            Ok(first)
        };
        record().map_err(|error| failed(&error))
    }

    /// Records something that was asked for by name and cannot be transferred.
    pub fn refused(&self, failure: &Failure) -> Result<u64, Box<Failure>> {
        let record = || {
            let mut entry = self.journal.write()?;
            let (name, facts) = codec::refused_facts(failure);
            let number = entry.transfer(name, &facts)?;
            has_failed(&mut entry, number, codec::kind_code(failure.kind), failure)?;
            Ok(number)
        };
        record().map_err(|error| failed(&error))
    }

    /// Records what was seen, where no object that is found stands or falls with it.
    pub fn note(&self, notes: &Notes) -> Result<(), Box<Failure>> {
        let record = || note(&mut self.journal.write()?, notes);
        record().map_err(|error| failed(&error))
    }

    /// Records which way the bytes go.
    pub fn way(&self, decision: &Decision) -> Result<(), Box<Failure>> {
        let record = || self.journal.write()?.problem(codec::WAY, &ways::to_bytes(decision));
        record().map_err(|error| failed(&error))
    }

    /// Records that everything was found.
    pub fn scanned(&self, notes: &Notes) -> Result<(), Box<Failure>> {
        let record = || {
            let mut entry = self.journal.write()?;
            note(&mut entry, notes)?;
            entry.scanned();
            Ok(())
        };
        record().map_err(|error| failed(&error))
    }

    /// Records how transfers ended. What was interrupted has not ended.
    pub fn ended(&self, outcomes: &[Outcome]) -> Result<(), Box<Failure>> {
        let mut written = Written::default();
        let mut record = || {
            let mut entry = self.journal.write()?;
            for outcome in outcomes {
                let number = outcome.id.number();
                let length = outcome.length as i64;
                match &outcome.result {
                    Ok(Done::Whole) if self.settles && outcome.entity != Entity::Folder => {
                        entry.skipped(number, codec::WRITTEN);
                        written.numbers.push(number);
                        written.bytes += outcome.bytes as i64;
                        written.lengths += length;
                    }
                    Ok(Done::Whole) => {
                        entry.done(number);
                        if outcome.entity == Entity::Folder {
                            Counter::FoldersDone.add(&mut entry, 1);
                        }
                        Counter::Bytes.add(&mut entry, outcome.bytes as i64);
                        Counter::BytesFound.add(&mut entry, length);
                    }
                    Ok(Done::Skipped(kind)) => {
                        entry.skipped(number, codec::skipped_code(*kind));
                        Counter::BytesFound.add(&mut entry, length);
                    }
                    Err(failure) if failure.kind == FailureKind::Interrupted => {}
                    Err(failure) => {
                        has_failed(&mut entry, number, codec::kind_code(failure.kind), failure)?;
                        Counter::BytesFailed.add(&mut entry, length);
                    }
                }
            }
            Counter::count_written(&mut entry, &written, 1);
            Ok(())
        };
        record().map_err(|error| failed(&error))?;
        if !written.numbers.is_empty() {
            self.settling.add(written);
        }
        Ok(())
    }

    /// Records that a line of a list turned out to be a directory, all of whose blobs are transfers of their own.
    pub fn expanded(&self, id: TransferId) -> Result<(), Box<Failure>> {
        let record = || {
            let mut entry = self.journal.write()?;
            entry.skipped(id.number(), codec::EXPANDED);
            Counter::Expanded.add(&mut entry, 1);
            Ok(())
        };
        record().map_err(|error| failed(&error))
    }

    /// Records that a large object is begun, with what makes its pieces valid later.
    pub fn begin_large(&self, id: TransferId, facts: &[u8]) -> Result<(), Box<Failure>> {
        let record = || self.journal.write()?.large(id.number(), facts);
        record().map_err(|error| failed(&error))
    }

    /// Records pieces of a large object whose bytes are where they belong.
    pub fn piece(&self, id: TransferId, piece: u32) -> Result<(), Box<Failure>> {
        let mut entry = self.journal.write().map_err(|error| failed(&error))?;
        entry.piece(id.number(), piece.into());
        Ok(())
    }

    /// Makes everything durable that was recorded. Blocks.
    pub fn commit(&self) -> Result<(), Box<Failure>> {
        self.journal.commit().map_err(|error| failed(&error))
    }

    /// Records how the job ended.
    pub fn end(&self, report: &Report) -> Result<(), Box<Failure>> {
        let mut over = self.over();
        *over = true;
        let record = || {
            // A summary while something is missing would be wrong.
            self.journal.commit()?;
            let mut entry = self.journal.write()?;
            counters::of_run(&mut entry, report);
            entry.summary(&codec::summary(report.status()))?;
            drop(entry);
            self.journal.commit()
        };
        record().map_err(|error: JournalError| failed(&error))
    }

    /// Lets go of the journal. That of a job with nothing left to do shrinks to its summary and failures.
    pub fn close(self) {
        let Self { jobs, journal, before, settling, .. } = self;
        drop(before);
        let id = journal.id();
        drop(journal);
        // What the disk has not answered for is still to be looked at.
        if !settling.is_asking() {
            // One that can be gone on with stays as it is; so does one for whose other form the disk has no room.
            let _ = jobs.shrink(id);
        }
    }
}

/// Records that a transfer failed; what it has in common with others, once for all of them.
fn has_failed(
    entry: &mut azuring_journal::Entry<'_>,
    number: u64,
    kind: u8,
    failure: &Failure,
) -> Result<(), JournalError> {
    if let Some((cause, own)) = causes::split(failure)
        && entry.failed_for(number, kind, &cause, &own)?
    {
        return Ok(());
    }
    entry.failed(number, kind, &codec::failure_text(failure))
}

/// Counts the bytes of what is on the disk there.
fn move_written(entry: &mut azuring_journal::Entry<'_>, written: &Written) {
    for (from, to, by) in [
        (Counter::BytesWritten, Counter::Bytes, written.bytes),
        (Counter::FoundWritten, Counter::BytesFound, written.lengths),
    ] {
        from.add(entry, -by);
        to.add(entry, by);
    }
}

fn note(entry: &mut azuring_journal::Entry<'_>, notes: &Notes) -> Result<(), JournalError> {
    Counter::SkippedSymlinks.add(entry, notes.symlinks as i64);
    Counter::SkippedSpecial.add(entry, notes.specials as i64);
    Counter::Collapsed.add(entry, notes.collapsed.into());
    Counter::Problems.add(entry, notes.problems.len() as i64);
    for problem in &notes.problems {
        entry.problem(codec::kind_code(problem.kind), &codec::failure_text(problem))?;
    }
    Ok(())
}

/// Which run of the machine this is (`random(4)`).
fn boot_id() -> Option<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id").ok()
}

/// The same as a number. Where it is not known, no two are the same.
fn boot_number() -> i64 {
    match boot_id() {
        Some(id) => {
            let mut digest = Crc64Digest::new();
            digest.update(&id);
            digest.finish().0.cast_signed()
        }
        None => fastrand::i64(..),
    }
}

/// Why the job cannot go on without its journal.
fn failed(error: &JournalError) -> Box<Failure> {
    let (kind, advice) = match error {
        JournalError::Full { .. } => {
            (FailureKind::Limit, "make room there and resume the job, or run it with --no-journal")
        }
        _ => (FailureKind::Destination, "resume the job when the journal can be written again"),
    };
    let failure = Failure::new(kind, "", format!("the job's journal cannot be written: {error}"));
    Box::new(failure.advise(advice))
}
