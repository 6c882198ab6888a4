//! Reading a journal up to its last whole record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::bytes::{Reader, unzigzag};
use crate::causes::fits;
use crate::error::JournalError;
use crate::failures::{self, Failure};
use crate::format::{
    BadHeader, COUNTERS, FILE_HEADER, FORMAT, FORMAT_1, MARKER, PART_TRANSFERS, PIECES_MAX, RECORD_HEADER,
    RecordHead, item, read_file_header,
};
use crate::id::JobId;
use crate::index::{FailuresAt, ItemAt, PartIndex, part_of};
use crate::names;
use crate::part::Part;
use crate::runs::Runs;
use crate::states::State;

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;

/// A job as its journal tells it: everything that was committed, and nothing else.
///
/// Names and texts stay on disk; memory holds a byte for each transfer of the parts that are under way and a few
/// hundred bytes for every other part.
#[derive(Debug)]
pub struct Recovered {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) id: JobId,
    pub(crate) description: Vec<u8>,
    pub(crate) parts: Vec<PartIndex>,
    pub(crate) large: BTreeMap<u64, Large>,
    pub(crate) left_out: (u64, u64),
    /// Where the next record goes, and its place.
    pub(crate) len: u64,
    pub(crate) records: u64,
    pub(crate) format: u32,
    /// What failures have in common, in the order of their numbers.
    pub(crate) causes: Vec<Box<[u8]>>,
    causes_bytes: usize,
    problems: Vec<FailuresAt>,
    cursor: Option<Cursor>,
    scanned: bool,
    counters: [i64; COUNTERS],
    summary: Option<Vec<u8>>,
    cut_off: u64,
}

/// Where the scan of the source stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// How many transfers were found before. Those from this number on lie behind the position: the scan that goes on
    /// from there finds them again.
    pub found: u64,
    /// What the caller said of the place.
    pub position: Vec<u8>,
}

/// What is done of a large object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Large {
    /// What the caller said when it was begun.
    pub facts: Vec<u8>,
    /// Its pieces that are done.
    pub pieces: Runs,
}

/// Transfers of a job, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Found so far.
    pub found: u64,
    /// How many of `found` are done.
    pub done: u64,
    /// How many of `found` were skipped.
    pub skipped: u64,
    /// How many of `found` failed.
    pub failed: u64,
}

impl Counts {
    /// Found, and nothing more known.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.found - self.done - self.skipped - self.failed
    }
}

impl Recovered {
    /// Reads all of `file`, which was opened by `path`.
    pub(crate) fn read(path: &Path, file: File) -> Result<Self, JournalError> {
        let mut journal = Self {
            path: path.to_owned(),
            file,
            id: JobId::from_bytes([0; 16]),
            description: Vec::new(),
            parts: Vec::new(),
            large: BTreeMap::new(),
            left_out: (0, 0),
            len: FILE_HEADER as u64,
            records: 0,
            format: FORMAT,
            causes: Vec::new(),
            causes_bytes: 0,
            problems: Vec::new(),
            cursor: None,
            scanned: false,
            counters: [0; COUNTERS],
            summary: None,
            cut_off: 0,
        };
        // A second handle: its position is the reading's own.
        let handle = journal.file.try_clone().map_err(|error| journal.io("opening", &error))?;
        let end = handle.metadata().map_err(|error| journal.io("looking it up", &error))?.len();
        let mut input = BufReader::with_capacity(CHUNK, handle);
        (journal.id, journal.format) = read_header(path, &mut input, end)?;
        let mut body = Vec::new();
        while journal.len < end {
            let at = journal.len;
            let Some(head) = journal.next_record(&mut input, end - at, &mut body)? else {
                journal.check_tail(at, end)?;
                journal.cut_off = end - at;
                break;
            };
            if head.place != journal.records {
                return Err(JournalError::damaged(path, at, "a record is missing before this one"));
            }
            journal
                .apply(&body, at + RECORD_HEADER as u64)
                .map_err(|reason| JournalError::damaged(path, at, reason))?;
            journal.len += (RECORD_HEADER + body.len()) as u64;
            journal.records += 1;
        }
        if journal.records == 0 {
            // A journal gets its name only when this record is on disk.
            return Err(JournalError::damaged(path, FILE_HEADER as u64, "the job's description is missing"));
        }
        Ok(journal)
    }

    /// The next record, its body in `body`; `None`: what follows is not a whole one.
    fn next_record(
        &self,
        input: &mut BufReader<File>,
        left: u64,
        body: &mut Vec<u8>,
    ) -> Result<Option<RecordHead>, JournalError> {
        let mut bytes = [0; RECORD_HEADER];
        if left < RECORD_HEADER as u64 {
            return Ok(None);
        }
        input.read_exact(&mut bytes).map_err(|error| self.io("reading", &error))?;
        let Some(head) = RecordHead::read(self.id, &bytes) else { return Ok(None) };
        if u64::from(head.body_len) > left - RECORD_HEADER as u64 {
            return Ok(None);
        }
        body.resize(head.body_len as usize, 0);
        input.read_exact(body).map_err(|error| self.io("reading", &error))?;
        Ok(head.fits(body).then_some(head))
    }

    /// What follows the last whole record, from `at`, must be of no record but the one that was being written there.
    fn check_tail(&self, at: u64, end: u64) -> Result<(), JournalError> {
        let mut chunk = vec![0; CHUNK];
        let mut from = at + 1;
        while from + (RECORD_HEADER as u64) <= end {
            let len = chunk.len().min(usize::try_from(end - from).unwrap_or(usize::MAX));
            let bytes = &mut chunk[..len];
            self.file.read_exact_at(bytes, from).map_err(|error| self.io("reading", &error))?;
            let is_head = |head: &[u8]| {
                head.starts_with(MARKER)
                    && head.try_into().is_ok_and(|head| RecordHead::read(self.id, head).is_some())
            };
            if bytes.windows(RECORD_HEADER).any(is_head) {
                return Err(JournalError::damaged(&self.path, at, "it changed after it was written"));
            }
            from += (len - RECORD_HEADER + 1) as u64;
        }
        Ok(())
    }

    /// Takes over what a record says. `offset`: where its body begins in the file.
    fn apply(&mut self, body: &[u8], offset: u64) -> Result<(), &'static str> {
        let mut items = Reader(body);
        // The description is the first thing in the file, and there only.
        let mut is_first = self.records == 0;
        while let Some(kind) = items.byte() {
            let content = items.string().ok_or("an item is longer than its record")?;
            if (kind == item::DESCRIPTION) != std::mem::take(&mut is_first) {
                return Err("the job's description is not where it belongs");
            }
            let before = body.len() - items.0.len() - content.len();
            let at = ItemAt { offset: offset + before as u64, len: content.len() };
            self.take(kind, content, at).ok_or("an item says what cannot be")?;
        }
        Ok(())
    }

    fn take(&mut self, kind: u8, content: &[u8], at: ItemAt) -> Option<()> {
        let mut reader = Reader(content);
        match kind {
            item::DESCRIPTION => self.description = content.to_vec(),
            item::SCANNED => self.scanned = true,
            item::SUMMARY => self.summary = Some(content.to_vec()),
            item::TRANSFERS => {
                self.summary = None;
                self.grow(content, at)?;
            }
            item::FAILURES => self.index_failures(content, FailuresAt { at, is_packed: false })?,
            item::FAILURES_PACKED if self.format > FORMAT_1 => {
                self.index_failures(content, FailuresAt { at, is_packed: true })?;
            }
            item::CAUSE if self.format > FORMAT_1 => {
                if !fits(self.causes.len(), self.causes_bytes, content) {
                    return None;
                }
                self.causes_bytes += content.len();
                self.causes.push(content.into());
            }
            item::COUNTERS => {
                while let Some(counter) = reader.byte() {
                    let by = unzigzag(reader.number()?);
                    let counter = self.counters.get_mut(usize::from(counter))?;
                    *counter = counter.wrapping_add(by);
                }
            }
            item::OUTCOME => {
                self.summary = None;
                let state = State::of_code(reader.byte()?);
                let runs = Runs::decode(&mut reader)?;
                runs.iter().try_for_each(|run| self.set(run, state))?;
            }
            item::LARGE => {
                self.summary = None;
                let number = self.known(reader.number()?)?;
                let facts = reader.string()?.to_vec();
                if self.is_open(number) {
                    self.large.insert(number, Large { facts, pieces: Runs::default() });
                }
            }
            item::PIECES => {
                let number = self.known(reader.number()?)?;
                let runs = Runs::decode(&mut reader)?;
                if runs.iter().last().is_some_and(|run| run.end > PIECES_MAX) {
                    return None;
                }
                if self.is_open(number) {
                    let pieces = &mut self.large.entry(number).or_default().pieces;
                    runs.iter().for_each(|run| pieces.insert(run));
                }
            }
            item::CURSOR => {
                let found = reader.number()?;
                if found > self.found() {
                    return None;
                }
                self.cursor = Some(Cursor { found, position: reader.string()?.to_vec() });
            }
            item::LEFT_OUT => {
                self.left_out = (reader.number()?, reader.number()?);
                // Sums with what is listed stay far from the largest number.
                self.left_out.0.checked_add(self.left_out.1).filter(|sum| *sum < 1 << 62)?;
            }
            _ => return None,
        }
        Some(())
    }

    fn grow(&mut self, content: &[u8], at: ItemAt) -> Option<()> {
        let (first, count, _) = names::open(content)?;
        let in_part = (first % u64::from(PART_TRANSFERS)) as u32;
        if first != self.found() || count == 0 || count > PART_TRANSFERS - in_part {
            return None;
        }
        if in_part == 0 {
            self.parts.push(PartIndex::default());
        }
        let part = self.parts.last_mut()?;
        part.names.push(at);
        part.states.grow(count);
        Some(())
    }

    fn index_failures(&mut self, content: &[u8], failures: FailuresAt) -> Option<()> {
        failures::each(content, failures.is_packed, |failure| {
            if failure.cause.is_some_and(|cause| cause as usize > self.causes.len()) {
                return None;
            }
            let list = match failure.number {
                Some(number) => {
                    let part = part_of(self.known(number)?);
                    &mut self.parts.get_mut(part)?.failures
                }
                None => &mut self.problems,
            };
            if list.last() != Some(&failures) {
                list.push(failures);
            }
            Some(())
        })
    }

    fn set(&mut self, run: Range<u64>, state: State) -> Option<()> {
        if run.end > self.found() || state == State::Pending {
            return None;
        }
        // What is done of a failed one may be of use to the next attempt.
        if !matches!(state, State::Failed(_)) {
            let ended: Vec<u64> = self.large.range(run.clone()).map(|(number, _)| *number).collect();
            ended.iter().for_each(|number| {
                self.large.remove(number);
            });
        }
        let size = u64::from(PART_TRANSFERS);
        let mut start = run.start;
        while start < run.end {
            let end = run.end.min((start / size + 1) * size);
            let first = start - start % size;
            self.parts[part_of(start)].states.set((start - first) as u32..(end - first) as u32, state);
            start = end;
        }
        Some(())
    }

    fn known(&self, number: u64) -> Option<u64> {
        (number < self.found()).then_some(number)
    }

    /// Whether a listed transfer may still be done: of one that was, pieces that are told of late are of no use.
    fn is_open(&self, number: u64) -> bool {
        let in_part = (number % u64::from(PART_TRANSFERS)) as u32;
        let state = self.parts[part_of(number)].states.get(in_part);
        matches!(state, State::Pending | State::Failed(_))
    }

    /// Transfers that are listed.
    pub(crate) fn found(&self) -> u64 {
        match self.parts.split_last() {
            Some((last, full)) => {
                full.len() as u64 * u64::from(PART_TRANSFERS) + u64::from(last.states.len())
            }
            None => 0,
        }
    }

    pub(crate) fn read_item(&self, at: ItemAt) -> Result<Vec<u8>, JournalError> {
        let mut content = vec![0; at.len];
        self.file.read_exact_at(&mut content, at.offset).map_err(|error| self.io("reading", &error))?;
        Ok(content)
    }

    fn io(&self, operation: &'static str, error: &std::io::Error) -> JournalError {
        JournalError::io(&self.path, operation, error)
    }

    /// The id of the job that was read.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// What the caller said of the job when it was created.
    #[must_use]
    pub fn description(&self) -> &[u8] {
        &self.description
    }

    /// How many transfers there are of each kind, those included that a shrunk journal no longer lists.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (done, skipped) = self.left_out;
        let mut counts = Counts { found: done + skipped, done, skipped, failed: 0 };
        for part in &self.parts {
            let [pending, done, skipped, failed] = part.states.counts().map(u64::from);
            counts.found += pending + done + skipped + failed;
            counts.done += done;
            counts.skipped += skipped;
            counts.failed += failed;
        }
        counts
    }

    /// One of the caller's counters; 0 where there is none.
    #[must_use]
    pub fn counter(&self, counter: usize) -> i64 {
        self.counters.get(counter).copied().unwrap_or_default()
    }

    /// How many parts are listed.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// How many of a listed part's transfers are neither done nor skipped.
    #[must_use]
    pub fn left_in_part(&self, part: usize) -> u32 {
        let [pending, _, _, failed] = self.parts[part].states.counts();
        pending + failed
    }

    /// The numbers of all transfers that stand so, in their order.
    pub fn numbers(&self, state: State) -> impl Iterator<Item = u64> {
        (0u64..).zip(&self.parts).flat_map(move |(part, index)| {
            let first = part * u64::from(PART_TRANSFERS);
            let states = &index.states;
            (0..states.len()).filter(move |n| states.get(*n) == state).map(move |n| first + u64::from(n))
        })
    }

    /// Begins to read a listed part.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn part(&self, part: usize) -> Result<Part<'_>, JournalError> {
        Part::open(self, part)
    }

    /// What is done of a large object that is not done.
    #[must_use]
    pub fn large(&self, number: u64) -> Option<&Large> {
        self.large.get(&number)
    }

    /// How many large objects were begun and are not done.
    #[must_use]
    pub fn large_count(&self) -> usize {
        self.large.len()
    }

    /// Where the scan stood; `None` before it said so for the first time.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Whether the scan came to its end.
    #[must_use]
    pub fn scanned(&self) -> bool {
        self.scanned
    }

    /// What the caller said of the job when it ended; `None` when it has not, or was begun again since.
    #[must_use]
    pub fn summary(&self) -> Option<&[u8]> {
        self.summary.as_deref()
    }

    /// Bytes at the file's end that belong to no whole commit: what was being written when the process or the machine
    /// stopped.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.cut_off
    }

    /// Tells of everything that failed and is no transfer: reason and text.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn problems(&self, mut tell: impl FnMut(u8, &[u8])) -> Result<(), JournalError> {
        for failures in &self.problems {
            self.each_failure(failures, |failure| {
                if failure.number.is_none() {
                    tell(failure.reason, failure.text);
                }
            })?;
        }
        Ok(())
    }

    /// Reads failures once more, which were readable when they were found.
    pub(crate) fn each_failure(
        &self,
        failures: &FailuresAt,
        mut tell: impl FnMut(Failure<'_>),
    ) -> Result<(), JournalError> {
        let content = self.read_item(failures.at)?;
        failures::each(&content, failures.is_packed, |failure| {
            tell(failure);
            Some(())
        })
        .ok_or_else(|| JournalError::damaged(&self.path, failures.at.offset, "what failed cannot be read"))
    }

    pub(crate) fn cause(&self, number: u32) -> Option<&[u8]> {
        self.causes.get((number as usize).checked_sub(1)?).map(|cause| &**cause)
    }
}

fn read_header(path: &Path, input: &mut BufReader<File>, end: u64) -> Result<(JobId, u32), JournalError> {
    let path_buf = || path.to_owned();
    let mut header = [0; FILE_HEADER];
    if end < FILE_HEADER as u64 {
        return Err(JournalError::NotAJournal { path: path_buf() });
    }
    input.read_exact(&mut header).map_err(|error| JournalError::io(path, "reading", &error))?;
    read_file_header(&header).map_err(|bad| match bad {
        BadHeader::Foreign => JournalError::NotAJournal { path: path_buf() },
        BadHeader::Damaged => JournalError::damaged(path, 0, "its first bytes changed"),
        BadHeader::Newer(found) => JournalError::Newer { path: path_buf(), found, known: FORMAT },
    })
}

#[cfg(test)]
mod tests;
