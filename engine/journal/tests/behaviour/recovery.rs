//! Every beginning of a journal is a state that the job was in; no changed byte is believed.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use azuring_journal::{CommitBy, Jobs, JournalError};
use fastrand::Rng;
use tempfile::TempDir;

use crate::model::{DESCRIPTION, ID, Model};

/// A journal, and how the job stood after each of its commits.
struct History {
    state: TempDir,
    jobs: Jobs,
    /// Length of the file, state.
    commits: Vec<(u64, Model)>,
}

impl History {
    fn path(&self) -> PathBuf {
        self.jobs.directory(ID).join("journal")
    }

    fn len(&self) -> u64 {
        std::fs::metadata(self.path()).unwrap().len()
    }

    /// `commits` commits, each of some entries in which up to `most` transfers are found.
    fn new(random: &mut Rng, commits: usize, most: usize) -> Self {
        let state = tempfile::tempdir().unwrap();
        let jobs = Jobs::new(state.path()).commit_by(CommitBy::Caller);
        let journal = jobs.create(ID, DESCRIPTION).unwrap();
        let mut history = Self { state, jobs, commits: Vec::new() };
        let mut model = Model::default();
        history.commits.push((history.len(), model.clone()));
        for _ in 0..commits {
            for _ in 0..=random.usize(..4) {
                model.say(&journal, random, most);
            }
            journal.commit().unwrap();
            history.commits.push((history.len(), model.clone()));
        }
        history
    }

    /// The commit that a file of `len` bytes ends with.
    fn at(&self, len: u64) -> Option<&(u64, Model)> {
        self.commits.iter().rev().find(|(end, _)| *end <= len)
    }
}

fn writable(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn every_prefix_of_a_journal_is_the_state_after_one_of_its_commits() {
    let mut random = Rng::with_seed(20);
    let mut cuts = 0;
    for _ in 0..12 {
        let history = History::new(&mut random, 25, 12);
        let file = writable(&history.path());
        for len in (0..=history.len()).rev() {
            file.set_len(len).unwrap();
            cuts += 1;
            match (history.at(len), history.jobs.read(ID)) {
                (Some((end, model)), Ok(recovered)) => {
                    assert_eq!(recovered.cut_off(), len - end);
                    assert!(&Model::of(&recovered) == model, "cut at {len}");
                }
                (None, Err(JournalError::NotAJournal { .. })) => assert!(len < 40),
                (None, Err(JournalError::Damaged { .. })) => assert!(len >= 40),
                (expected, got) => panic!("cut at {len}: {}, {got:?}", expected.is_some()),
            }
        }
    }
    assert!(cuts > 10_000, "{cuts} cuts are too few to say much");
    println!("{cuts} cuts");
}

#[test]
fn a_job_goes_on_from_wherever_its_journal_was_cut_and_whatever_follows_there() {
    let mut random = Rng::with_seed(21);
    for _ in 0..150 {
        let mut history = History::new(&mut random, 8, 10);
        let first = history.commits[0].0;
        let cut = random.u64(first..=history.len());
        let (end, mut model) = history.at(cut).unwrap().clone();
        let file = writable(&history.path());
        file.set_len(cut).unwrap();
        // A torn write may leave zeros, or bytes of its own out of order.
        let garbage: Vec<u8> = match random.u8(..3) {
            0 => Vec::new(),
            1 => vec![0; random.usize(..300)],
            _ => (0..random.usize(..300)).map(|_| random.u8(..)).collect(),
        };
        file.write_all_at(&garbage, cut).unwrap();
        let (recovered, journal) = history.jobs.resume(ID).unwrap();
        assert!(Model::of(&recovered) == model);
        assert_eq!(recovered.cut_off(), cut + garbage.len() as u64 - end);
        assert_eq!(history.len(), end, "what was torn is cut off before anything follows");
        history.commits.clear();
        for _ in 0..5 {
            model.say(&journal, &mut random, 10);
            journal.commit().unwrap();
        }
        drop(journal);
        assert!(Model::of(&history.jobs.read(ID).unwrap()) == model);
        assert!(history.state.path().exists());
    }
}

#[test]
fn a_changed_bit_is_damage_or_makes_the_last_commit_a_torn_one() {
    let mut random = Rng::with_seed(22);
    for _ in 0..6 {
        let history = History::new(&mut random, 15, 12);
        let [.., (last, before), (end, _)] = &history.commits[..] else { panic!("fifteen commits") };
        let bytes = std::fs::read(history.path()).unwrap();
        assert_eq!(bytes.len() as u64, *end);
        let file = writable(&history.path());
        for (offset, byte) in bytes.iter().enumerate() {
            let changed = byte ^ (1 << random.u8(..8));
            let offset = offset as u64;
            file.write_all_at(&[changed], offset).unwrap();
            match history.jobs.read(ID) {
                Ok(recovered) => {
                    assert!(offset >= *last, "byte {offset} was believed");
                    assert!(&Model::of(&recovered) == before);
                    assert_eq!(recovered.cut_off(), end - last);
                }
                Err(JournalError::NotAJournal { .. }) => assert!(offset < 8),
                Err(JournalError::Damaged { .. }) => assert!((8..*last).contains(&offset)),
                Err(error) => panic!("byte {offset}: {error}"),
            }
            file.write_all_at(&[*byte], offset).unwrap();
        }
    }
}

#[test]
fn records_that_are_missing_or_swapped_are_damage() {
    let mut random = Rng::with_seed(23);
    let history = History::new(&mut random, 6, 12);
    let bytes = std::fs::read(history.path()).unwrap();
    let ends: Vec<usize> = history.commits.iter().map(|(end, _)| *end as usize).collect();
    let damaged = |bytes: &[u8]| {
        std::fs::write(history.path(), bytes).unwrap();
        matches!(history.jobs.read(ID), Err(JournalError::Damaged { .. }))
    };
    for pair in ends.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        assert_eq!(damaged(&[&bytes[..from], &bytes[to..]].concat()), to < bytes.len());
        assert!(damaged(&[&bytes[..to], &bytes[from..]].concat()), "a record that comes twice");
    }
    assert!(!damaged(&bytes));
}

#[test]
fn parts_are_cut_at_ten_thousand_and_read_one_by_one() {
    let mut random = Rng::with_seed(24);
    let mut history = History::new(&mut random, 60, 2_500);
    let found = history.commits.last().unwrap().1.transfers.len();
    assert!(found > 30_000, "{found}");
    assert_eq!(history.jobs.read(ID).unwrap().parts(), found.div_ceil(10_000));
    let file = writable(&history.path());
    while let Some((end, model)) = history.commits.pop() {
        let recovered = history.jobs.read(ID).unwrap();
        assert!(Model::of(&recovered) == model);
        assert_eq!(history.len() - end, recovered.cut_off());
        // Into the middle of this commit.
        let before = history.commits.last().map_or(end, |(end, _)| *end);
        file.set_len(random.u64(before..=end)).unwrap();
    }
}

#[test]
fn another_jobs_journal_is_not_taken_for_this_ones() {
    let mut random = Rng::with_seed(25);
    let history = History::new(&mut random, 2, 5);
    let other = azuring_journal::JobId::from_bytes([9; 16]);
    drop(history.jobs.create(other, DESCRIPTION).unwrap());
    std::fs::copy(history.path(), history.jobs.directory(other).join("journal")).unwrap();
    assert!(matches!(history.jobs.read(other), Err(JournalError::Damaged { offset: 0, .. })));
}
