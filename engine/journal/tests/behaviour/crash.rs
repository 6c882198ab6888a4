//! A crash at every single thing that is asked of the file system, in creating, committing, resuming and shrinking.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use azuring_journal::{CommitBy, Disk, Jobs, JournalError, State, Storage};
use fastrand::Rng;
use rustix::io::Errno;

use crate::model::{DESCRIPTION, ID, Model};

/// What a crash leaves of what was not made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// All that was written, and half of what was being written.
    Everything,
    /// Nothing: files end where they were last synced, and names are as they were last synced.
    Nothing,
}

/// A machine that stops before its `after`th request.
#[derive(Debug)]
struct Crash {
    after: usize,
    leaves: Leaves,
    /// A disk that says it has synced, and has not.
    lies: bool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: usize,
    /// Files by number: their path when last opened for writing, the length that is durable.
    durable: HashMap<u64, u64>,
    /// Renames that are not durable: the new name, and where what had it before was kept, if anything had.
    renamed: Vec<(PathBuf, Option<PathBuf>)>,
}

impl Crash {
    fn new(after: usize, leaves: Leaves) -> Self {
        Self { after, leaves, lies: false, seen: Mutex::default() }
    }

    fn ask(&self) -> io::Result<bool> {
        let mut seen = self.seen.lock().unwrap();
        seen.requests += 1;
        match seen.requests.checked_sub(self.after) {
            None => Ok(false),
            // This is the one that is cut in the middle.
            Some(0) => Ok(true),
            Some(_) => Err(Errno::IO.into()),
        }
    }

    /// Brings the disk into the state in which the machine finds it again.
    fn restart(&self, jobs: &Jobs) {
        let mut seen = self.seen.lock().unwrap();
        if self.leaves == Leaves::Everything {
            return;
        }
        for (name, old) in seen.renamed.drain(..).rev() {
            match old {
                Some(old) => std::fs::rename(&old, &name).unwrap(),
                None => std::fs::remove_file(&name).unwrap(),
            }
        }
        for name in ["journal", "journal.new"] {
            let path = jobs.directory(ID).join(name);
            if let Ok(file) = OpenOptions::new().write(true).open(&path) {
                let number = file.metadata().unwrap().ino();
                file.set_len(seen.durable.get(&number).copied().unwrap_or(0)).unwrap();
            }
        }
    }
}

impl Storage for Crash {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.ask()? {
            Disk.write_at(file, &bytes[..bytes.len() / 2], offset)?;
            return Err(Errno::IO.into());
        }
        Disk.write_at(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.ask()? {
            return Err(Errno::IO.into());
        }
        if !self.lies {
            let meta = file.metadata()?;
            self.seen.lock().unwrap().durable.insert(meta.ino(), meta.len());
        }
        Ok(())
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        if self.ask()? {
            return Err(Errno::IO.into());
        }
        Disk.set_len(file, len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.ask()? {
            return Err(Errno::IO.into());
        }
        let kept = to.with_extension("before");
        let had = std::fs::hard_link(to, &kept).is_ok();
        self.seen.lock().unwrap().renamed.push((to.to_owned(), had.then_some(kept)));
        Disk.rename(from, to)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        if self.ask()? {
            return Err(Errno::IO.into());
        }
        self.seen.lock().unwrap().renamed.retain(|(name, _)| name.parent() != Some(directory));
        Ok(())
    }
}

/// How far a job came before the crash.
#[derive(Default)]
struct Reached {
    /// What the job was told is durable.
    durable: Option<Model>,
    /// What it was about to make durable.
    begun: Option<Model>,
    is_shrinking: bool,
}

/// A job from its creation to its shrinking, with a pause in it.
fn run(jobs: &Jobs, reached: &mut Reached) -> Result<(), JournalError> {
    let mut random = Rng::with_seed(40);
    let mut model = Model::default();
    reached.begun = Some(model.clone());
    let mut journal = jobs.create(ID, DESCRIPTION)?;
    for round in 0..6 {
        if round == 3 {
            drop(journal);
            // What was being written when the power failed.
            let path = jobs.directory(ID).join("journal");
            let len = std::fs::metadata(&path).unwrap().len();
            Disk.write_at(&OpenOptions::new().write(true).open(&path).unwrap(), &[7; 50], len).unwrap();
            journal = jobs.resume(ID)?.1;
        }
        reached.durable = Some(model.clone());
        (0..4).for_each(|_| model.say(&journal, &mut random, 6));
        if round == 5 {
            let mut entry = journal.write()?;
            for number in 0..model.transfers.len() as u64 {
                if model.transfers[number as usize].state == State::Pending {
                    model.end(&mut entry, number, State::Done, b"");
                }
            }
            entry.scanned();
            model.scanned = true;
            entry.summary(b"ended")?;
            model.summary = Some(b"ended".to_vec());
        }
        reached.begun = Some(model.clone());
        journal.commit()?;
    }
    drop(journal);
    reached.durable = Some(model.clone());
    reached.is_shrinking = true;
    jobs.shrink(ID)
}

/// What is left of a model whose job was shrunk.
fn shrunk(mut model: Model) -> Model {
    let mut kept = Vec::new();
    let mut large = std::collections::BTreeMap::new();
    for (number, transfer) in model.transfers.into_iter().enumerate() {
        if matches!(transfer.state, State::Failed(_)) {
            if let Some(known) = model.large.remove(&(number as u64)) {
                large.insert(kept.len() as u64, known);
            }
            kept.push(transfer);
        }
    }
    (model.transfers, model.large, model.cursor) = (kept, large, None);
    model
}

/// Runs a job on a machine that crashes; says whether all that was durable is there, and nothing else. `None`: no crash.
fn survives(crash: Crash) -> Option<Result<(), String>> {
    let state = tempfile::tempdir().unwrap();
    let crash = Arc::new(crash);
    let jobs = Jobs::new(state.path()).storage(Arc::clone(&crash) as _).commit_by(CommitBy::Caller);
    let mut reached = Reached::default();
    if run(&jobs, &mut reached).is_ok() {
        return None;
    }
    crash.restart(&jobs);
    let jobs = Jobs::new(state.path()).commit_by(CommitBy::Caller);
    let mut possible = vec![reached.durable.clone(), reached.begun.clone()];
    let mut is_shrunk = false;
    let found = match jobs.resume(ID) {
        Ok((recovered, journal)) => {
            // The job goes on.
            let number = journal.write().unwrap().transfer(b"after the crash", b"").unwrap();
            journal.commit().unwrap();
            drop(journal);
            assert_eq!(jobs.read(ID).unwrap().parts(), 1);
            let listed = number;
            is_shrunk = recovered.counts().found > listed;
            // Shrunk or not, counts are those of all transfers.
            if let (true, Some(model)) = (reached.is_shrinking, &reached.durable) {
                assert_eq!(recovered.counts().found, model.transfers.len() as u64);
            }
            (!is_shrunk).then(|| Model::of(&recovered))
        }
        Err(JournalError::NoSuchJob(_)) => None,
        Err(error) => return Some(Err(error.to_string())),
    };
    if is_shrunk {
        return Some(if reached.is_shrinking { Ok(()) } else { Err("shrunk too early".to_owned()) });
    }
    possible.dedup();
    Some(possible.contains(&found).then_some(()).ok_or_else(|| "what was durable is not there".to_owned()))
}

#[test]
fn after_a_crash_anywhere_the_job_stands_as_after_a_commit() {
    for leaves in [Leaves::Everything, Leaves::Nothing] {
        let mut points = 0;
        while let Some(result) = survives(Crash::new(points + 1, leaves)) {
            points += 1;
            assert_eq!(result, Ok(()), "request {points}, {leaves:?}");
        }
        println!("{points} crash points, {leaves:?} left");
        assert!(points > 25, "{points}");
    }
}

#[test]
fn a_disk_that_lies_about_syncing_would_be_noticed_here() {
    let lost = (1..60).filter_map(|after| {
        let lying = Crash { lies: true, ..Crash::new(after, Leaves::Nothing) };
        survives(lying)
    });
    assert!(lost.filter(Result::is_err).count() > 20);
}

#[test]
fn a_shrunk_job_keeps_its_failures_counts_and_words_and_can_go_on() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path()).commit_by(CommitBy::Caller);
    let mut reached = Reached::default();
    run(&jobs, &mut reached).unwrap();
    let model = reached.durable.unwrap();
    let kept = shrunk(model.clone());
    let failed = kept.transfers.len() as u64;
    assert!(failed > 0 && failed < model.transfers.len() as u64);
    let (recovered, journal) = jobs.resume(ID).unwrap();
    let counts = recovered.counts();
    let of = |state: fn(&State) -> bool| model.transfers.iter().filter(|t| state(&t.state)).count() as u64;
    assert_eq!(counts.found, model.transfers.len() as u64);
    assert_eq!(counts.done, of(|state| *state == State::Done));
    assert_eq!(counts.skipped, of(|state| matches!(state, State::Skipped(_))));
    assert_eq!((counts.failed, counts.pending()), (failed, 0));
    assert_eq!(recovered.summary(), Some(&b"ended"[..]));
    assert_eq!(recovered.description(), DESCRIPTION);
    assert!(recovered.scanned());
    let mut part = recovered.part(0).unwrap();
    let mut entry = journal.write().unwrap();
    for expected in &kept.transfers {
        let transfer = part.next().unwrap().unwrap();
        assert_eq!((transfer.name, transfer.facts), (&expected.name[..], &expected.facts[..]));
        assert_eq!((transfer.state, transfer.failure), (expected.state, expected.failure.as_deref()));
        let large =
            recovered.large(transfer.number).map(|l| (l.facts.clone(), l.pieces.iter().flatten().collect()));
        assert_eq!(large, kept.large.get(&transfer.number).cloned());
        entry.done(transfer.number);
    }
    assert_eq!(part.next().unwrap(), None);
    let mut problems = Vec::new();
    recovered.problems(|reason, text| problems.push((reason, text.to_vec()))).unwrap();
    assert_eq!(problems, kept.problems);
    assert_eq!([0, 1, 2].map(|counter| recovered.counter(counter)), model.counters);
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), Err(JournalError::NotFinished(ID)), "it was opened again");
    let (recovered, journal) = jobs.resume(ID).unwrap();
    assert_eq!((recovered.counts().done, recovered.counts().failed), (counts.done + failed, 0));
    journal.write().unwrap().summary(b"ended again").unwrap();
    journal.commit().unwrap();
    drop(journal);
    jobs.shrink(ID).unwrap();
    let recovered = jobs.read(ID).unwrap();
    assert_eq!((recovered.counts().done, recovered.parts()), (counts.done + failed, 0));
    assert_eq!(recovered.summary(), Some(&b"ended again"[..]));
}

#[test]
fn a_job_that_has_not_ended_is_not_shrunk() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let not_finished = Err(JournalError::NotFinished(ID));
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    assert_eq!(jobs.shrink(ID), Err(JournalError::InUse(ID)));
    let mut entry = journal.write().unwrap();
    let number = entry.transfer(b"a", b"").unwrap();
    entry.summary(b"stopped").unwrap();
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), not_finished, "the scan has not ended");
    let journal = jobs.resume(ID).unwrap().1;
    journal.write().unwrap().scanned();
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), not_finished, "a transfer is pending");
    let journal = jobs.resume(ID).unwrap().1;
    journal.write().unwrap().done(number);
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), not_finished, "there is no summary of that");
    let journal = jobs.resume(ID).unwrap().1;
    journal.write().unwrap().summary(b"ended").unwrap();
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), Ok(()));
}
