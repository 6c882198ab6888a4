//! Downloaded files on their way from the page cache to the disk: what is recorded of them.
//!
//! A file that is written survives the end of the process, and not that of the machine. So it is recorded as *written*
//! first; a thread has the file system write everything back now and then, and records as *done* what was written
//! before. Whoever goes on with the job in the same run of the machine takes the one for the other; after a restart,
//! what was only written is downloaded again.
//!
//! A file system that could not write something back says so once, and not of which file. Then everything that was
//! written since it last succeeded counts as failed, and so does what is written after it. Nobody can hear it a second
//! time, so the journal says that the question was put before it is, until the answer is recorded: whoever goes on with
//! a job that was ended in between takes what is only written for lost.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::Durable;
use crate::failure::Failure;

/// How often the file system is asked: as often as ext4 and XFS write their own journals back without being asked.
const EVERY: Duration = Duration::from_secs(5);

/// Transfers that were written and are not known to be on the disk.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub(super) numbers: Vec<u64>,
    /// Bytes that were transferred, and lengths.
    pub(super) bytes: i64,
    pub(super) lengths: i64,
}

impl Written {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn add(&mut self, more: Self) {
        self.numbers.extend(more.numbers);
        self.bytes += more.bytes;
        self.lengths += more.lengths;
    }
}

/// Gathers them.
#[derive(Debug, Default)]
pub struct Settling {
    state: Mutex<State>,
    ends: Condvar,
}

#[derive(Debug, Default)]
struct State {
    written: Written,
    lost: Option<Lost>,
    /// What the file system has said is not recorded yet, or it has not said anything.
    asking: bool,
    ended: bool,
}

/// What may be damaged.
#[derive(Debug)]
struct Lost {
    why: Failure,
    /// How many, and their bytes.
    count: u64,
    bytes: u64,
    /// Those of which the journal does not say it yet.
    unsaid: Written,
}

impl Lost {
    fn add(&mut self, more: Written) {
        self.count += more.numbers.len() as u64;
        self.bytes += more.bytes.max(0) as u64;
        self.unsaid.add(more);
    }
}

impl Settling {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }

    pub(super) fn add(&self, more: Written) {
        let mut state = self.state();
        match &mut state.lost {
            Some(lost) => lost.add(more),
            None => state.written.add(more),
        }
    }

    pub(super) fn set_asking(&self, asking: bool) {
        self.state().asking = asking;
    }

    /// Whether the journal does not have the file system's last answer.
    pub(super) fn is_asking(&self) -> bool {
        self.state().asking
    }

    /// `written`, and all that comes after it, may be damaged.
    pub fn lose(&self, written: Written, why: Failure) {
        let mut state = self.state();
        let after = std::mem::take(&mut state.written);
        let new = || Lost { why, count: 0, bytes: 0, unsaid: Written::default() };
        let lost = state.lost.get_or_insert_with(new);
        lost.add(written);
        lost.add(after);
    }

    /// What may be damaged and was not recorded as that, and why.
    fn unsaid(&self) -> Option<(Written, Failure)> {
        let mut state = self.state();
        let lost = state.lost.as_mut()?;
        Some((std::mem::take(&mut lost.unsaid), lost.why.clone()))
    }

    /// What was written since the last question.
    pub fn take_written(&self) -> Written {
        std::mem::take(&mut self.state().written)
    }

    /// How many may be damaged, their bytes, and why.
    pub fn take_lost(&self) -> Option<(u64, u64, Failure)> {
        self.state().lost.take().map(|Lost { why, count, bytes, .. }| (count, bytes, why))
    }

    /// Ends the thread. What is still only written stays so: the job has ended, or is gone on with.
    pub fn end(&self) {
        self.state().ended = true;
        self.ends.notify_all();
    }

    /// What was written in the last while; `None` at the end.
    pub fn next(&self) -> Option<Written> {
        let (mut state, _) = self
            .ends
            .wait_timeout_while(self.state(), EVERY, |state| !state.ended)
            .expect("nothing panics while the lock is held");
        if state.ended { None } else { Some(std::mem::take(&mut state.written)) }
    }
}

impl Durable {
    /// Records what may be damaged, for good. That the question was put stays recorded: what is written until the job
    /// has stopped may be damaged too, and so may unfinished files.
    pub fn say_what_is_lost(&self) -> Result<(), Box<Failure>> {
        let over = self.over();
        if *over {
            return Ok(());
        }
        let Some((unsaid, why)) = self.settling.unsaid() else { return Ok(()) };
        self.settling.set_asking(true);
        self.lost(&unsaid, &why)?;
        self.commit()?;
        self.settling.set_asking(false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use azuring_journal::{JobId, Jobs, State};
    use hdrhistogram::Histogram;

    use crate::durable::{Before, Durable, Notes, With};
    use crate::entry::Found;
    use crate::failure::{Failure, FailureKind};
    use crate::outcome::{Done, Entity, Outcome, Report, TransferId};
    use azuring_local::RelPath;

    use super::super::{codec, counters};

    const ID: JobId = JobId::from_bytes([7; 16]);

    /// A job that has found so many files.
    fn job_of(files: u8) -> (tempfile::TempDir, Jobs, Durable) {
        let state = tempfile::tempdir().unwrap();
        let jobs = Jobs::new(state.path());
        let durable = Durable::new(jobs.clone(), jobs.create(ID, b"").unwrap(), None, true);
        durable.go_on().unwrap();
        let found: Vec<_> = (0..files).map(|n| Found::File(RelPath::new(&[b'a' + n][..]))).collect();
        assert_eq!(durable.found(&found, &With::Nothing).unwrap(), 0);
        (state, jobs, durable)
    }

    /// A file of 10 bytes that was written, or was not.
    fn ended(n: u64, result: Result<Done, Box<Failure>>) -> Outcome {
        let (id, entity) = (TransferId::nth(n), Entity::File);
        Outcome { id, entity, bytes: 10, length: 10, object: None, result }
    }

    fn written(n: u64) -> Outcome {
        ended(n, Ok(Done::Whole))
    }

    /// Has what was written so far settled.
    fn settle(durable: &Durable) {
        let written = durable.settling.take_written();
        durable.asks().unwrap();
        durable.settled(&written).unwrap();
    }

    #[test]
    fn what_is_written_is_done_when_it_is_on_the_disk() {
        let (_state, jobs, durable) = job_of(3);
        durable.ended(&[written(0), written(2)]).unwrap();
        durable.commit().unwrap();
        let look = || {
            let recovered = jobs.read(ID).unwrap();
            let (written, counts) = (State::Skipped(codec::WRITTEN), counters::counts(&recovered));
            assert_eq!(
                (counts.done, counts.bytes, counts.bytes_found, counts.skipped_existing),
                (2, 20, 20, 0)
            );
            (
                recovered.numbers(written).collect::<Vec<_>>(),
                recovered.numbers(State::Done).collect::<Vec<_>>(),
            )
        };
        assert_eq!(look(), (vec![0, 2], vec![]));
        settle(&durable);
        durable.commit().unwrap();
        assert_eq!(look(), (vec![], vec![0, 2]));
    }

    #[test]
    fn what_was_written_when_writing_back_failed_has_failed() {
        let (_state, jobs, durable) = job_of(4);
        durable.ended(&[written(0)]).unwrap();
        settle(&durable);
        durable.ended(&[written(1)]).unwrap();
        let second = durable.settling.take_written();
        // One that was written meanwhile, and one afterwards.
        durable.ended(&[written(2)]).unwrap();
        durable.asks().unwrap();
        durable.settling.lose(second, Failure::new(FailureKind::Destination, "", "no disk"));
        durable.say_what_is_lost().unwrap();
        durable.ended(&[written(3)]).unwrap();
        // At once: whoever is killed now has said it.
        let counts = counters::counts(&jobs.read(ID).unwrap());
        assert_eq!((counts.failed, counts.bytes), (2, 10));
        durable.say_what_is_lost().unwrap();
        let (lost, bytes, _) = durable.settling.take_lost().unwrap();
        assert_eq!((lost, bytes), (3, 30));
        let recovered = jobs.read(ID).unwrap();
        let counts = counters::counts(&recovered);
        assert_eq!((counts.done, counts.failed, counts.bytes, counts.bytes_found), (1, 3, 10, 40));
        drop(durable);
        // They are downloaded again, whatever is there.
        let (recovered, _journal) = jobs.resume(ID).unwrap();
        let before = Before::new(recovered);
        assert_eq!((before.is_in_doubt(), before.doubts()), (true, 1));
        assert_eq!((before.counts().done, before.counts().failed, before.counts().bytes_found), (1, 0, 10));
        assert!(!before.is_lost(TransferId::nth(0)) && (1..4).all(|n| before.is_lost(TransferId::nth(n))));
    }

    #[test]
    fn what_was_written_when_nobody_heard_the_answer_is_lost() {
        let (_state, jobs, durable) = job_of(3);
        durable.ended(&[written(0)]).unwrap();
        settle(&durable);
        durable.ended(&[written(1), written(2)]).unwrap();
        let era = durable.era();
        durable.asks().unwrap();
        drop(durable);
        // Whoever goes on, and whoever goes on after that one was killed as well.
        for run in 0..2 {
            let (recovered, journal) = jobs.resume(ID).unwrap();
            let before = Before::new(recovered);
            assert_eq!((before.is_in_doubt(), before.doubts()), (run == 0, 1));
            assert_eq!((before.counts().done, before.counts().bytes_found), (1, 10));
            assert!(!before.is_lost(TransferId::nth(0)) && before.is_lost(TransferId::nth(2)));
            let durable = Durable::new(jobs.clone(), journal, Some(before), true);
            durable.go_on().unwrap();
            durable.commit().unwrap();
            assert_ne!(durable.era(), era);
        }
        let counts = counters::counts(&jobs.read(ID).unwrap());
        assert_eq!((counts.done, counts.failed, counts.bytes), (1, 2, 10));
    }

    /// The job was interrupted and does not wait for the disk.
    #[test]
    fn what_the_disk_says_after_the_end_of_the_job_leaves_the_record_of_the_end_alone() {
        for is_lost in [false, true] {
            let (_state, jobs, durable) = job_of(2);
            durable.ended(&[written(0), written(1)]).unwrap();
            let asked_for = durable.settling.take_written();
            durable.asks().unwrap();
            durable.end(&Report::new(Histogram::new(3).unwrap())).unwrap();
            if is_lost {
                durable.settling.lose(asked_for, Failure::new(FailureKind::Destination, "", "no disk"));
                durable.say_what_is_lost().unwrap();
            } else {
                durable.settled(&asked_for).unwrap();
                durable.commit().unwrap();
            }
            drop(durable);
            let recovered = jobs.read(ID).unwrap();
            assert!(recovered.summary().is_some(), "how it ended is not recorded");
            // Nobody has heard the answer.
            let before = Before::new(recovered);
            assert!(before.is_in_doubt() && before.is_lost(TransferId::nth(0)));
        }
    }

    #[test]
    fn a_restart_takes_nothing_from_what_a_finished_job_has_counted() {
        let (_state, jobs, durable) = job_of(2);
        let failure = Box::new(Failure::new(FailureKind::Network, "b", "why"));
        durable.ended(&[written(0), ended(1, Err(failure))]).unwrap();
        durable.scanned(&Notes::default()).unwrap();
        durable.journal.write().unwrap().summary(&[3]).unwrap();
        durable.commit().unwrap();
        drop(durable);
        jobs.shrink(ID).unwrap();
        // Another run of the machine, each time.
        for _ in 0..2 {
            let (recovered, journal) = jobs.resume(ID).unwrap();
            journal.write().unwrap().count(counters::Counter::Boot as usize, 1);
            journal.commit().unwrap();
            drop((recovered, journal));
            let (recovered, journal) = jobs.resume(ID).unwrap();
            let before = Before::new(recovered);
            let counts = before.counts();
            assert_eq!((counts.done, counts.bytes, counts.failed), (1, 10, 0));
            let durable = Durable::new(jobs.clone(), journal, Some(before), true);
            durable.go_on().unwrap();
            durable.commit().unwrap();
        }
        let counts = counters::counts(&jobs.read(ID).unwrap());
        assert_eq!((counts.done, counts.bytes, counts.skipped_existing), (1, 10, 0));
    }
}
