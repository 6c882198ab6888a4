//! A journal that is cut off and changed: what is read of it is how the job stood after one of its commits.

use azuring_journal::{Journal, JournalError, State};

use super::model::{DESCRIPTION, ID, Model};
use super::{Desk, FILE_HEADER, RECORD_HEADER};

/// Bytes that are taken from an input one after the other; zeros behind its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `end`, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % end
    }
}

/// How the job stood, and how long its file was.
type Commit = (usize, Model);

/// The input is what a job says, up to a zero, and then what happens to its file.
pub(crate) fn torn(bytes: &[u8]) {
    let mut input = Input(bytes);
    let desk = Desk::new();
    let commits = history(&desk, &mut input);
    let whole = std::fs::read(desk.path()).unwrap();
    assert_eq!(commits.last().map(|(end, _)| *end), Some(whole.len()));
    let changed = change(&whole, &commits, &mut input);
    // All before the first byte that differs, and nothing behind it, may be believed.
    let same = whole.iter().zip(&changed).take_while(|(a, b)| a == b).count();
    let expected = commits.iter().rev().find(|(end, _)| *end <= same);
    desk.put(&changed);
    let recovered = match desk.jobs.read(ID) {
        Ok(recovered) => recovered,
        Err(JournalError::NotAJournal { .. }) => {
            return assert!(changed.len() < FILE_HEADER || same < 8, "the file has its first bytes");
        }
        Err(JournalError::Damaged { .. }) => {
            let is_damaged = expected.is_none_or(|(end, _)| has_record(&commits, &whole, &changed[*end..]));
            return assert!(is_damaged, "what was torn is no damage");
        }
        Err(error) => panic!("{error}"),
    };
    let (end, model) = expected.expect("a file without its first commit is no journal");
    assert!(Model::of(&recovered) == *model, "not the state after the last whole commit");
    assert_eq!(recovered.cut_off(), (changed.len() - end) as u64);
    let behind = changed.get(end + 1..).unwrap_or_default();
    assert!(!has_record(&commits, &whole, behind), "a record is missing, and nobody says so");
    // It goes on as if nothing had been there.
    let mut model = model.clone();
    let (_, journal) = desk.jobs.resume(ID).unwrap();
    model.find(&mut journal.write().unwrap(), b"one more", b"");
    journal.commit().unwrap();
    drop(journal);
    let recovered = desk.jobs.read(ID).unwrap();
    assert_eq!(recovered.cut_off(), 0);
    assert!(Model::of(&recovered) == model);
}

/// Whether the head of one of the journal's records is found.
fn has_record(commits: &[Commit], whole: &[u8], within: &[u8]) -> bool {
    let starts = [FILE_HEADER].into_iter().chain(commits.iter().map(|(end, _)| *end));
    starts.filter_map(|start| whole.get(start..start + RECORD_HEADER)).any(|head| {
        let mut rest = within;
        while let Some(at) = rest.iter().position(|byte| *byte == head[0]) {
            if rest[at..].starts_with(head) {
                return true;
            }
            rest = &rest[at + 1..];
        }
        false
    })
}

/// Has the job say what the input says, and commit in between.
fn history(desk: &Desk, input: &mut Input<'_>) -> Vec<Commit> {
    let journal = desk.jobs.create(ID, DESCRIPTION).unwrap();
    let mut model = Model::default();
    let len = || std::fs::metadata(desk.path()).unwrap().len() as usize;
    let mut commits = vec![(len(), model.clone())];
    loop {
        let what = input.byte();
        if !what.is_multiple_of(12) {
            say(&mut model, &journal, input, what);
            continue;
        }
        journal.commit().unwrap();
        if len() > commits.last().map_or(0, |(end, _)| *end) {
            commits.push((len(), model.clone()));
        }
        if what == 0 {
            return commits;
        }
    }
}

fn say(model: &mut Model, journal: &Journal, input: &mut Input<'_>, what: u8) {
    let mut entry = journal.write().unwrap();
    let found = model.transfers.len();
    let is_open = |model: &Model, number: u64| {
        matches!(model.transfers[number as usize].state, State::Pending | State::Failed(_))
    };
    match what % 12 {
        1..=3 => {
            for n in 0..what >> 4 {
                let name = format!("dir{}/file-{n}-{}", what % 3, input.byte());
                let facts = [n, what];
                model.find(&mut entry, name.as_bytes(), &facts[..usize::from(n % 3)]);
            }
        }
        4..=6 if found > 0 => {
            for n in 0..=what >> 5 {
                let (number, reason) = (input.below(found) as u64, (what ^ n) % 64);
                if is_open(model, number) {
                    let state = [State::Done, State::Skipped(reason), State::Failed(reason)];
                    model.end(&mut entry, number, state[usize::from(what % 3)], &[reason; 3]);
                }
            }
        }
        7 if found > 0 => {
            let number = input.below(found) as u64;
            if is_open(model, number) {
                let facts = input.byte().to_le_bytes();
                entry.large(number, &facts).unwrap();
                model.large.insert(number, (facts.to_vec(), Default::default()));
                model.summary = None;
            }
        }
        8 => {
            for (number, (_, pieces)) in &mut model.large {
                let piece = input.below(300) as u64;
                entry.piece(*number, piece);
                pieces.insert(piece);
            }
        }
        9 => {
            let position = input.byte().to_le_bytes();
            entry.cursor(&position).unwrap();
            model.cursor = Some((found as u64, position.to_vec()));
        }
        10 => {
            let text = input.byte().to_le_bytes();
            entry.problem(what, &text).unwrap();
            model.problems.push((what, text.to_vec()));
        }
        11 => {
            let by = i64::from(input.byte()) - 100;
            entry.count(usize::from(what % 3), by);
            model.counters[usize::from(what % 3)] += by;
            if by > 100 {
                entry.scanned();
                entry.summary(&[what]).unwrap();
                (model.scanned, model.summary) = (true, Some(vec![what]));
            }
        }
        _ => {}
    }
}

/// Cuts the file off and changes what is left, as the input says; nothing, where it says nothing.
fn change(whole: &[u8], commits: &[Commit], input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..8 {
        let what = input.byte();
        let at = bytes.len() - input.below(bytes.len() + 1);
        match what % 7 {
            1 => bytes.truncate(at),
            2 => bytes[at.saturating_sub(1)..].iter_mut().take(1).for_each(|byte| *byte ^= what | 1),
            3 => bytes[at..].iter_mut().take(usize::from(what)).for_each(|byte| *byte = 0),
            4 => bytes.extend(std::iter::repeat_n(0, usize::from(what))),
            5 => bytes.extend((0..what).map(|n| n.wrapping_mul(what) ^ 0x8f)),
            // Records that come again, somewhere, or not at all.
            6 if what >= 128 => {
                let [from, to] = [0, 1].map(|_| commits[input.below(commits.len())].0);
                let records = whole.get(from..to).unwrap_or_default();
                let at = to.min(bytes.len());
                if records.is_empty() {
                    bytes.drain(at..from.min(bytes.len()).max(at));
                } else {
                    bytes.splice(at..at, records.iter().copied());
                }
            }
            // Bytes that the file has elsewhere.
            6 => {
                let from = input.below(bytes.len() + 1);
                let again = bytes[from..].iter().copied().take(usize::from(what) * 2).collect::<Vec<_>>();
                bytes.splice(at..at, again);
            }
            _ => {}
        }
    }
    bytes
}
