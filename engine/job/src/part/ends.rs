//! How the transfers of a part ended.

use azuring_journal::{NamesReader, NamesWriter};

use crate::durable::{Reader, codec, number};
use crate::failure::Failure;
use crate::outcome::{SkippedKind, TransferId};

use super::seal::{Kind, PartError, open, seal};
use super::{MAX_NUMBER, MAX_TRANSFERS};

const DONE: u8 = 0;
const NO_BLOB: u8 = 1;
const NOT_DONE: u8 = 2;
/// With the code of the reason as the journal has it.
const SKIPPED: u8 = 0x40;
/// The same.
const FAILED: u8 = 0x80;

/// How one transfer of a part ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartEnd {
    /// It was done, by this run or by one before.
    Done,
    /// The object stayed as it was.
    Skipped(SkippedKind),
    /// It failed; whether to try again is up to whoever runs parts.
    Failed(Box<Failure>),
    /// The name, which somebody gave, is no blob's: it may be a directory's, whose blobs are still to be found.
    NoBlob,
    /// The run was stopped first.
    NotDone,
}

/// How one transfer of a part ended, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartOutcome {
    /// The number of the transfer in its job.
    pub id: TransferId,
    /// Bytes that were transferred.
    pub bytes: u64,
    /// Done, skipped, failed, or why not.
    pub end: PartEnd,
}

impl PartOutcome {
    /// An outcome of transfer `id`, which moved `bytes` bytes.
    pub fn new(id: TransferId, bytes: u64, end: PartEnd) -> Self {
        Self { id, bytes, end }
    }
}

/// How all transfers of a part ended: one outcome each, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartOutcomes {
    /// The job's id.
    pub job: [u8; 16],
    /// The part's number.
    pub part: u32,
    /// One for each transfer.
    pub outcomes: Vec<PartOutcome>,
}

impl PartOutcomes {
    /// The outcomes of part `part`; there should be one for each of its transfers.
    pub fn new(job: [u8; 16], part: u32, outcomes: Vec<PartOutcome>) -> Self {
        Self { job, part, outcomes }
    }

    /// Whether nothing of the part has to be run again for having been stopped.
    pub fn is_complete(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.end != PartEnd::NotDone)
    }

    /// The outcomes as bytes. No secret is in them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = self.job.to_vec();
        number(self.part.into(), &mut body);
        let mut names = NamesWriter::new(0);
        let mut next = 0;
        for outcome in &self.outcomes {
            let mut facts = Vec::new();
            number(outcome.id.number() - next, &mut facts);
            next = outcome.id.number() + 1;
            number(outcome.bytes, &mut facts);
            let mut text = Vec::new();
            facts.push(match &outcome.end {
                PartEnd::Done => DONE,
                PartEnd::NoBlob => NO_BLOB,
                PartEnd::NotDone => NOT_DONE,
                PartEnd::Skipped(kind) => SKIPPED | codec::skipped_code(*kind),
                PartEnd::Failed(failure) => {
                    text = codec::failure_text(failure);
                    FAILED | codec::kind_code(failure.kind)
                }
            });
            // Failures have much in common, as names do.
            names.push(&text, &facts);
        }
        names.pack(&mut body);
        seal(Kind::Ends, &body)
    }

    /// The outcomes that were written so.
    ///
    /// # Errors
    /// [`PartError`]: they were not, or by a later version, or the bytes have changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PartError> {
        Self::read(open(Kind::Ends, bytes)?).ok_or(PartError::Damaged)
    }

    fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let job = reader.take(16)?.try_into().ok()?;
        let part = u32::try_from(reader.number()?).ok()?;
        let mut names = NamesReader::new(reader.0)?;
        if names.left() as usize > MAX_TRANSFERS {
            return None;
        }
        let mut outcomes = Vec::with_capacity(names.left() as usize);
        let mut next = 0_u64;
        while names.left() > 0 {
            let (text, facts) = names.next()?;
            let mut facts = Reader(facts);
            let number = next.checked_add(facts.number()?).filter(|number| *number < MAX_NUMBER)?;
            next = number + 1;
            let bytes = facts.number()?;
            let end = match facts.byte()? {
                DONE => PartEnd::Done,
                NO_BLOB => PartEnd::NoBlob,
                NOT_DONE => PartEnd::NotDone,
                code if code & FAILED != 0 => {
                    PartEnd::Failed(Box::new(codec::failure_of(code & !FAILED, text)))
                }
                code if code & SKIPPED != 0 => PartEnd::Skipped(codec::skipped_of(code & !SKIPPED)),
                _ => return None,
            };
            outcomes.push(PartOutcome { id: TransferId::nth(number), bytes, end });
        }
        Some(Self { job, part, outcomes })
    }
}
