//! A part of a job as a value: transfers that a process does which never saw the job being planned.
//!
//! ```text
//!   "azpart" (6 bytes)  version (1)  bits (1: was tried, 2: last)  job (16)
//!   the part's number   how many runs   runs: numbers left out, how many transfers, action
//!   names and facts, each name against the one before, as the journal packs them
//!   CRC64 of all that (8)
//! ```
//!
//! Numbers are LEB128. What names and facts mean is said in `durable/codec.rs`, for journal and parts alike.

mod ends;
mod seal;

use azuring_journal::{NamesReader, NamesWriter};

use crate::durable::{Reader, codec, number};
use crate::entry::{Entry, Found};
use crate::outcome::{Action, TransferId};

pub use ends::{PartEnd, PartOutcome, PartOutcomes};
pub use seal::PartError;
use seal::{Kind, open, seal};

/// Most transfers of a part.
pub const MAX_TRANSFERS: usize = azuring_journal::PART_TRANSFERS as usize;
/// A part that has so many bytes of names takes no more.
const MAX_NAMES: usize = 8 << 20;
/// Numbers of transfers are below this: a part's number is 32 bits wide.
const MAX_NUMBER: u64 = (1 << 32) * MAX_TRANSFERS as u64;

const TRIED: u8 = 1;
const LAST: u8 = 2;

/// Actions in the order of their codes.
const ACTIONS: [Action; 3] = [Action::Copy, Action::Remove, Action::SetProperties];

/// At most 10,000 transfers of a job, each with its number and what is done with it.
#[derive(Debug)]
pub struct Part {
    job: [u8; 16],
    number: u32,
    tried: bool,
    last: bool,
    transfers: Vec<(Entry, Action)>,
    names: usize,
}

impl Part {
    /// An empty part of a job.
    pub fn new(job: [u8; 16], number: u32) -> Self {
        Self { job, number, tried: false, last: false, transfers: Vec::new(), names: 0 }
    }

    /// The same, for what is done when all parts that are not so are done.
    pub fn last(mut self) -> Self {
        self.last = true;
        self
    }

    /// Adds a transfer, whose number is above those before. `true`: the part takes no more.
    pub fn push(&mut self, entry: Entry, action: Action) -> bool {
        self.names += entry.found.place().len();
        self.transfers.push((entry, action));
        self.transfers.len() >= MAX_TRANSFERS || self.names >= MAX_NAMES
    }

    /// The job's id.
    pub fn job(&self) -> [u8; 16] {
        self.job
    }

    /// Its number among the parts of the job, from 0.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Transfers in it.
    pub fn len(&self) -> usize {
        self.transfers.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.transfers.is_empty()
    }

    /// The numbers of its transfers, ascending.
    pub fn ids(&self) -> impl Iterator<Item = TransferId> {
        self.transfers.iter().map(|(entry, _)| entry.id)
    }

    /// The names of its objects: paths below the source, or blobs' whole names.
    pub fn names(&self) -> impl Iterator<Item = Vec<u8>> {
        self.transfers.iter().map(|(entry, _)| entry.found.place().into_owned())
    }

    /// What is done with them.
    pub fn actions(&self) -> impl Iterator<Item = Action> {
        self.transfers.iter().map(|(_, action)| *action)
    }

    /// Whether it is to be run when all other parts are done: properties of directories change when something is made
    /// in them.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Whether somebody has run it before, perhaps to its end.
    pub fn was_tried(&self) -> bool {
        self.tried
    }

    /// The part for another run, the one before having ended nobody knows where. What is there may be what that run
    /// has made, and is then taken for it: a blob that was removed is gone because of it, blocks that were sent are
    /// not sent again.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.tried = true;
        self
    }

    /// The part without the transfers of which `done` says so.
    #[must_use]
    pub fn without(mut self, mut done: impl FnMut(TransferId) -> bool) -> Self {
        self.transfers.retain(|(entry, _)| !done(entry.id));
        self
    }

    /// Its transfers.
    pub fn into_entries(self) -> Vec<Entry> {
        self.transfers.into_iter().map(|(entry, _)| entry).collect()
    }

    /// The part as bytes. No secret is in them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut runs = Vec::new();
        let (mut next, mut count) = (0, 0_u64);
        let mut transfers = self.transfers.iter().peekable();
        while let Some((entry, action)) = transfers.next() {
            let first = entry.id.number();
            let mut end = first + 1;
            while transfers.next_if(|(entry, of)| entry.id.number() == end && of == action).is_some() {
                end += 1;
            }
            number(first - next, &mut runs);
            number(end - first, &mut runs);
            runs.push(code_of(*action));
            (next, count) = (end, count + 1);
        }
        let mut names = NamesWriter::new(0);
        let mut facts = Vec::new();
        for (entry, _) in &self.transfers {
            facts.clear();
            let name = codec::describe(&entry.found, false, &mut facts);
            names.push(name, &facts);
        }
        let mut body = vec![if self.tried { TRIED } else { 0 } | if self.last { LAST } else { 0 }];
        body.extend_from_slice(&self.job);
        number(self.number.into(), &mut body);
        number(count, &mut body);
        body.append(&mut runs);
        names.pack(&mut body);
        seal(Kind::Part, &body)
    }

    /// The part that was written so.
    ///
    /// # Errors
    /// [`PartError`]: it was not, or by a later version, or the bytes have changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PartError> {
        let mut reader = Reader(open(Kind::Part, bytes)?);
        let damaged = || PartError::Damaged;
        let bits = reader.byte().ok_or_else(damaged)?;
        if bits & !(TRIED | LAST) != 0 {
            return Err(PartError::Unknown { what: "bit of a part".to_owned() });
        }
        let job = reader.take(16).and_then(|job| job.try_into().ok()).ok_or_else(damaged)?;
        let number = reader.number().and_then(|number| u32::try_from(number).ok()).ok_or_else(damaged)?;
        let mut part = Self { tried: bits & TRIED != 0, last: bits & LAST != 0, ..Self::new(job, number) };
        let numbers = numbers(&mut reader)?;
        let mut names = NamesReader::new(reader.0).ok_or_else(damaged)?;
        if names.left() as usize != numbers.len() {
            return Err(damaged());
        }
        part.transfers.reserve(numbers.len());
        for (number, action) in numbers {
            let (name, facts) = names.next().ok_or_else(damaged)?;
            if !codec::is_blob(facts) && !is_below(name) {
                return Err(PartError::Outside { path: name.escape_ascii().to_string() });
            }
            let found = codec::restore(name, facts).map_err(|what| PartError::Unknown { what })?;
            let found: Found = found.ok_or_else(damaged)?;
            part.push(Entry { id: TransferId::nth(number), found }, action);
        }
        Ok(part)
    }
}

/// Whether a path is one below the source, and leads nowhere else. The source itself has none.
fn is_below(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    path.is_empty() || (!path.contains(&0) && segments.all(|segment| !matches!(segment, b"" | b"." | b"..")))
}

/// Numbers and actions of the transfers.
fn numbers(reader: &mut Reader<'_>) -> Result<Vec<(u64, Action)>, PartError> {
    let damaged = || PartError::Damaged;
    let mut numbers = Vec::new();
    let mut next = 0_u64;
    for _ in 0..reader.number().ok_or_else(damaged)? {
        let (gap, count) = (reader.number().ok_or_else(damaged)?, reader.number().ok_or_else(damaged)?);
        let code = reader.byte().ok_or_else(damaged)?;
        let action = ACTIONS.get(usize::from(code)).copied();
        let action = action.ok_or_else(|| PartError::Unknown { what: format!("action {code}") })?;
        let first = next.checked_add(gap).ok_or_else(damaged)?;
        next = first.checked_add(count).filter(|end| *end <= MAX_NUMBER).ok_or_else(damaged)?;
        if count == 0 || count > (MAX_TRANSFERS - numbers.len()) as u64 {
            return Err(damaged());
        }
        numbers.extend((first..next).map(|number| (number, action)));
    }
    Ok(numbers)
}

fn code_of(action: Action) -> u8 {
    ACTIONS.iter().position(|known| *known == action).expect("all actions have a code") as u8
}

#[cfg(test)]
mod tests;
