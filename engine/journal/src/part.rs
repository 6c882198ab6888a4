//! One part of a journal, read from disk when it is asked for.

use std::collections::BTreeMap;

use crate::error::JournalError;
use crate::format::PART_TRANSFERS;
use crate::index::{ItemAt, PartIndex, part_of};
use crate::names::NamesReader;
use crate::recover::Recovered;
use crate::states::State;

/// The transfers of a part, one after the other. Holds one commit's names of it at a time, and its failures.
#[derive(Debug)]
pub struct Part<'a> {
    journal: &'a Recovered,
    index: &'a PartIndex,
    /// Number of its first transfer.
    first: u64,
    /// Transfers that were read.
    read: u32,
    items: std::slice::Iter<'a, ItemAt>,
    item: Option<(ItemAt, NamesReader)>,
    /// Cause and text.
    failures: BTreeMap<u64, (Option<u32>, Vec<u8>)>,
}

/// A transfer of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// Its number in the job, from 0.
    pub number: u64,
    /// The bytes that the caller recorded as its name; at most [`STRING_MAX`](crate::STRING_MAX).
    pub name: &'a [u8],
    /// What the caller said of it when it was found.
    pub facts: &'a [u8],
    /// How it stands.
    pub state: State,
    /// Of one that failed: what the caller said of that.
    pub failure: Option<&'a [u8]>,
    /// Of one that failed: what it has in common with others, if the caller said so.
    pub cause: Option<&'a [u8]>,
    pub(crate) cause_number: Option<u32>,
}

impl<'a> Part<'a> {
    pub(crate) fn open(journal: &'a Recovered, part: usize) -> Result<Self, JournalError> {
        let index = &journal.parts[part];
        let first = part as u64 * u64::from(PART_TRANSFERS);
        let mut failures = BTreeMap::new();
        for at in &index.failures {
            journal.each_failure(at, |failure| {
                // Of several the last one counts; of one that was done later, none.
                let number = failure.number.filter(|number| part_of(*number) == part);
                let Some(number) = number else { return };
                if let State::Failed(_) = index.states.get((number - first) as u32) {
                    failures.insert(number, (failure.cause, failure.text.to_vec()));
                }
            })?;
        }
        Ok(Self { journal, index, first, read: 0, items: index.names.iter(), item: None, failures })
    }

    /// The next transfer, in the order in which they were found; `None` at the end.
    ///
    /// # Errors
    /// [`JournalError::Io`], or [`JournalError::Damaged`] where the file changed since it was opened.
    #[expect(
        clippy::should_implement_trait,
        reason = "the names lie in a buffer that the next call overwrites"
    )]
    pub fn next(&mut self) -> Result<Option<Transfer<'_>>, JournalError> {
        let journal = self.journal;
        let damaged = |at: &ItemAt| {
            JournalError::damaged(&journal.path, at.offset, "the names of its transfers cannot be read")
        };
        if self.item.as_ref().is_none_or(|(_, reader)| reader.left() == 0) {
            let Some(at) = self.items.next() else { return Ok(None) };
            let content = journal.read_item(*at)?;
            let reader = NamesReader::new(&content).ok_or_else(|| damaged(at))?;
            self.item = Some((*at, reader));
        }
        let (at, reader) = self.item.as_mut().expect("set just now if there was none");
        let (name, facts) = reader.next().ok_or_else(|| damaged(at))?;
        let number = self.first + u64::from(self.read);
        let state = self.index.states.get(self.read);
        let (cause_number, failure) =
            self.failures.get(&number).map(|(cause, text)| (*cause, &text[..])).unzip();
        let cause_number = cause_number.flatten();
        let cause = cause_number.and_then(|cause| journal.cause(cause));
        self.read += 1;
        Ok(Some(Transfer { number, name, facts, state, failure, cause, cause_number }))
    }
}
