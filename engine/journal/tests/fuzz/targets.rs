//! What the fuzz targets do with an input. A fuzzer and the tests call the same functions.

#[path = "../behaviour/model.rs"]
mod model;
#[path = "torn.rs"]
mod torn;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azuring_journal::{CommitBy, Disk, FORMAT, Jobs, JournalError, Recovered, State, Storage};
use crc_fast::{CrcAlgorithm, Digest};
use model::ID;
use tempfile::TempDir;

pub(crate) use torn::torn;

const FILE_HEADER: usize = 40;
const RECORD_HEADER: usize = 32;

/// Where an input becomes a journal.
struct Desk {
    _state: TempDir,
    jobs: Jobs,
}

/// A disk that keeps what it has: nothing crashes here.
#[derive(Debug)]
struct Unsynced;

impl Storage for Unsynced {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        Disk.write_at(file, bytes, offset)
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        Disk.set_len(file, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl Desk {
    fn new() -> Self {
        // In memory, where there is such a directory: on a disk, making and removing files takes most of the time.
        let state = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let jobs = Jobs::new(state.path()).storage(Arc::new(Unsynced)).commit_by(CommitBy::Caller);
        Self { _state: state, jobs }
    }

    fn path(&self) -> PathBuf {
        self.jobs.directory(ID).join("journal")
    }

    /// Makes `bytes` the journal.
    fn put(&self, bytes: &[u8]) {
        std::fs::create_dir_all(self.jobs.directory(ID)).unwrap();
        std::fs::write(self.path(), bytes).unwrap();
    }
}

/// The input is a journal: as it is, and once more with checksums that fit, behind which most of the reader lies.
pub(crate) fn read(bytes: &[u8]) {
    let desk = Desk::new();
    examine(&desk, bytes);
    examine(&desk, &sealed(bytes));
}

/// Reads all that a journal of these bytes tells, which must be one story; and goes on with it.
fn examine(desk: &Desk, bytes: &[u8]) {
    desk.put(bytes);
    let recovered = match desk.jobs.read(ID) {
        Ok(recovered) => recovered,
        Err(error) => return refused(&error),
    };
    assert!(recovered.cut_off() < bytes.len() as u64);
    if let Err(error) = tell(&recovered) {
        refused(&error);
    }
    let counts = recovered.counts();
    let left: u64 = (0..recovered.parts()).map(|part| u64::from(recovered.left_in_part(part))).sum();
    assert_eq!(left, counts.pending() + counts.failed);
    assert!(recovered.cursor().is_none_or(|cursor| cursor.found <= counts.found));
    // Whatever can be read can go on.
    let (_, journal) = desk.jobs.resume(ID).unwrap();
    let mut entry = journal.write().unwrap();
    let number = entry.transfer(b"one more", b"").unwrap();
    assert!(number <= counts.found);
    entry.done(number);
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    let after = desk.jobs.read(ID).unwrap();
    assert_eq!((after.counts().found, after.counts().done), (counts.found + 1, counts.done + 1));
    assert_eq!((after.cut_off(), after.summary()), (0, None));
}

/// Reads everything.
fn tell(journal: &Recovered) -> Result<(), JournalError> {
    let mut number = 0;
    for part in 0..journal.parts() {
        let mut left = 0;
        let mut transfers = journal.part(part)?;
        while let Some(transfer) = transfers.next()? {
            assert_eq!((transfer.number, transfer.number / 10_000), (number, part as u64));
            let is_failed = matches!(transfer.state, State::Failed(_));
            assert!(is_failed || transfer.failure.is_none());
            left += u32::from(is_failed || transfer.state == State::Pending);
            if let Some(large) = journal.large(number) {
                assert!(is_failed || transfer.state == State::Pending);
                assert!(large.pieces.iter().all(|run| run.start < run.end));
            }
            number += 1;
        }
        assert_eq!(journal.left_in_part(part), left);
    }
    assert!(number <= journal.counts().found);
    journal.problems(|_, _| {})
}

/// What is no whole journal is told in one of these ways.
fn refused(error: &JournalError) {
    match error {
        JournalError::NotAJournal { .. } | JournalError::Damaged { .. } => {}
        JournalError::Newer { found, .. } => assert!(*found > FORMAT),
        other => panic!("{other}"),
    }
}

fn checksum(parts: &[&[u8]]) -> [u8; 8] {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().to_le_bytes()
}

/// The bytes with a head, and as records that follow one another, whatever they say.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let Some((head, mut rest)) = bytes.split_at_mut_checked(FILE_HEADER) else { return bytes };
    head[..8].copy_from_slice(b"AZURJRNL");
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head[16..32].copy_from_slice(ID.as_bytes());
    let sum = checksum(&[&head[..32]]);
    head[32..].copy_from_slice(&sum);
    let mut place = 0_u64;
    while let Some((head, body)) = rest.split_at_mut_checked(RECORD_HEADER) {
        let said = u32::from_le_bytes(head[4..8].try_into().expect("four bytes"));
        let (body, after) = body.split_at_mut((said as usize).min(body.len()));
        head[..4].copy_from_slice(b"\x8fREC");
        head[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[8..16].copy_from_slice(&place.to_le_bytes());
        head[16..24].copy_from_slice(&checksum(&[body]));
        let sum = checksum(&[ID.as_bytes(), &head[..24]]);
        head[24..].copy_from_slice(&sum);
        rest = after;
        place += 1;
    }
    bytes
}
