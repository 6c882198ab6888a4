//! A journal as it should be, kept in memory.

use std::collections::{BTreeMap, BTreeSet};

use azuring_journal::{Entry, JobId, Recovered, State};

pub(crate) const ID: JobId = JobId::from_bytes(*b"0123456789abcdef");
pub(crate) const DESCRIPTION: &[u8] = b"copy a to b";

/// One transfer of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) name: Vec<u8>,
    pub(crate) facts: Vec<u8>,
    pub(crate) state: State,
    pub(crate) failure: Option<Vec<u8>>,
}

/// All that a journal tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) transfers: Vec<Transfer>,
    pub(crate) large: BTreeMap<u64, (Vec<u8>, BTreeSet<u64>)>,
    pub(crate) cursor: Option<(u64, Vec<u8>)>,
    pub(crate) scanned: bool,
    pub(crate) counters: [i64; 3],
    pub(crate) summary: Option<Vec<u8>>,
    pub(crate) problems: Vec<(u8, Vec<u8>)>,
}

impl Model {
    /// What `journal` tells, all of it; its counts are those of what it lists.
    pub(crate) fn of(journal: &Recovered) -> Self {
        assert_eq!(journal.id(), ID);
        assert_eq!(journal.description(), DESCRIPTION);
        let mut model = Self {
            cursor: journal.cursor().map(|cursor| (cursor.found, cursor.position.clone())),
            scanned: journal.scanned(),
            counters: [0, 1, 2].map(|counter| journal.counter(counter)),
            summary: journal.summary().map(<[u8]>::to_vec),
            ..Self::default()
        };
        for part in 0..journal.parts() {
            let mut left = 0;
            let mut transfers = journal.part(part).unwrap();
            while let Some(transfer) = transfers.next().unwrap() {
                assert_eq!(transfer.number, model.transfers.len() as u64);
                assert_eq!(transfer.number / 10_000, part as u64);
                left += u32::from(matches!(transfer.state, State::Pending | State::Failed(_)));
                model.transfers.push(Transfer {
                    name: transfer.name.to_vec(),
                    facts: transfer.facts.to_vec(),
                    state: transfer.state,
                    failure: transfer.failure.map(<[u8]>::to_vec),
                });
            }
            assert_eq!(journal.left_in_part(part), left);
        }
        for number in 0..model.transfers.len() as u64 {
            if let Some(large) = journal.large(number) {
                model.large.insert(number, (large.facts.clone(), large.pieces.iter().flatten().collect()));
            }
        }
        journal.problems(|reason, text| model.problems.push((reason, text.to_vec()))).unwrap();
        let counts = journal.counts();
        let count = |of: fn(&State) -> bool| model.transfers.iter().filter(|t| of(&t.state)).count() as u64;
        assert_eq!(counts.found, model.transfers.len() as u64);
        assert_eq!(counts.done, count(|state| *state == State::Done));
        assert_eq!(counts.skipped, count(|state| matches!(state, State::Skipped(_))));
        assert_eq!(counts.failed, count(|state| matches!(state, State::Failed(_))));
        assert_eq!(counts.pending(), count(|state| *state == State::Pending));
        model
    }

    pub(crate) fn find(&mut self, entry: &mut Entry<'_>, name: &[u8], facts: &[u8]) {
        let number = entry.transfer(name, facts).unwrap();
        assert_eq!(number, self.transfers.len() as u64);
        let (name, facts) = (name.to_vec(), facts.to_vec());
        self.transfers.push(Transfer { name, facts, state: State::Pending, failure: None });
        self.summary = None;
    }

    pub(crate) fn end(&mut self, entry: &mut Entry<'_>, number: u64, state: State, text: &[u8]) {
        match state {
            State::Done => entry.done(number),
            State::Skipped(reason) => entry.skipped(number, reason),
            State::Failed(reason) => entry.failed(number, reason, text).unwrap(),
            State::Pending => unreachable!("nothing becomes pending again"),
        }
        let is_failed = matches!(state, State::Failed(_));
        let transfer = &mut self.transfers[number as usize];
        transfer.state = state;
        transfer.failure = is_failed.then(|| text.to_vec());
        if !is_failed {
            self.large.remove(&number);
        }
        self.summary = None;
    }
}
