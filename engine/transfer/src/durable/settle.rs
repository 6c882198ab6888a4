//! Downloaded files on their way from the page cache to the disk.
//!
//! A file that is written survives the end of the process, and not that of the machine. So it is recorded as *written* first;
//! a thread has the file system write everything back now and then, and records as *done* what was written before. Whoever
//! goes on with the job in the same run of the machine takes the one for the other; after a restart, what was only written
//! is downloaded again.
//!
//! A file system that could not write something back says so once, and not of which file. Then everything that was written
//! since it last succeeded counts as failed, and so does what is written after it. Nobody can hear it a second time, so the
//! journal says that the question was put before it is, until the answer is recorded: whoever goes on with a job that was
//! ended in between takes what is only written for lost.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Durable;
use crate::failure::Failure;
use crate::outcome::Report;
use crate::shared::Shared;
use crate::task::Task;

/// How often the file system is asked: as often as ext4 and XFS write their own journals back without being asked.
const EVERY: Duration = Duration::from_secs(5);

/// Transfers that were written and are not known to be on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(super) numbers: Vec<u64>,
    /// Bytes that were transferred, and lengths.
    pub(super) bytes: i64,
    pub(super) lengths: i64,
}

impl Written {
    fn add(&mut self, more: Self) {
        self.numbers.extend(more.numbers);
        self.bytes += more.bytes;
        self.lengths += more.lengths;
    }
}

/// Gathers them.
#[derive(Debug, Default)]
pub(crate) struct Settling {
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
    fn lose(&self, written: Written, why: Failure) {
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

    /// Ends the thread. What is still only written stays so: the job has ended, or is gone on with.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.ends.notify_all();
    }

    /// What was written in the last while; `None` at the end.
    fn next(&self) -> Option<Written> {
        let (mut state, _) = self
            .ends
            .wait_timeout_while(self.state(), EVERY, |state| !state.ended)
            .expect("nothing panics while the lock is held");
        if state.ended { None } else { Some(std::mem::take(&mut state.written)) }
    }
}

/// Has what is downloaded written back, and records it, until the job ends.
pub(crate) fn run(shared: &Shared) {
    let Some(durable) = &shared.durable else { return };
    while let Some(written) = durable.settling.next() {
        settle(shared, written);
    }
}

/// Has it written back, and records it.
fn settle(shared: &Shared, written: Written) {
    let (Some(durable), Task::Download(task)) = (&shared.durable, &shared.task) else { return };
    if written.numbers.is_empty() {
        return;
    }
    let settled = durable.asks().and_then(|()| match task.sync() {
        Ok(true) => durable.settled(&written),
        // Where the system cannot be asked, everything stays as it is.
        Ok(false) => durable.not_known(),
        Err(error) => {
            let failure = Failure::not_kept(&error);
            shared.session.verdict.stop_for(&failure);
            durable.settling.lose(written, failure);
            say_what_is_lost(durable)
        }
    });
    if let Err(failure) = settled {
        shared.session.verdict.stop_for(&failure);
    }
}

/// Records what may be damaged, for good. That the question was put stays recorded: what is written until the job has stopped
/// may be damaged too, and so may unfinished files.
fn say_what_is_lost(durable: &Durable) -> Result<(), Box<Failure>> {
    let Some((unsaid, why)) = durable.settling.unsaid() else { return Ok(()) };
    durable.settling.set_asking(true);
    durable.lost(&unsaid, &why)?;
    durable.commit()?;
    durable.settling.set_asking(false);
    Ok(())
}

/// The same for the last files of a job whose threads have ended; what may be damaged counts as failed. Whoever interrupts a
/// job does not wait for the disk: what it has written stays recorded as written.
pub(crate) fn at_end(shared: &Arc<Shared>, report: &mut Report) {
    let done = report.counts.done.saturating_sub(report.before.done);
    if !matches!(shared.task, Task::Download(_)) || (done == 0 && shared.durable.is_none()) {
        return;
    }
    if !report.interrupted {
        let theirs = Arc::clone(shared);
        let last = move || settle_the_rest(&theirs);
        match std::thread::Builder::new().name("settle".to_owned()).spawn(last) {
            Ok(thread) => report.interrupted |= !wait(shared, thread),
            Err(_) => settle_the_rest(shared),
        }
    }
    let (lost, bytes, failure) = match (&shared.durable, shared.not_kept.get()) {
        (Some(durable), _) => {
            if let Err(failure) = say_what_is_lost(durable) {
                shared.session.verdict.stop_for(&failure);
            }
            let Some(Lost { why, count, bytes, .. }) = durable.settling.state().lost.take() else { return };
            (count, bytes, why)
        }
        // Nothing was asked before.
        (None, Some(failure)) => (done, report.counts.bytes, failure.clone()),
        (None, None) => return,
    };
    let counts = &mut report.counts;
    counts.done = counts.done.saturating_sub(lost);
    counts.bytes = counts.bytes.saturating_sub(bytes);
    counts.failed += lost;
    if !report.kinds.contains(&failure.kind) {
        report.kinds.push(failure.kind);
    }
    report.fatal.get_or_insert(failure);
}

fn settle_the_rest(shared: &Shared) {
    match (&shared.durable, &shared.task) {
        (Some(durable), _) => {
            let written = std::mem::take(&mut durable.settling.state().written);
            settle(shared, written);
        }
        (None, Task::Download(task)) => {
            if let Err(error) = task.sync() {
                // Asked once.
                let _ = shared.not_kept.set(Failure::not_kept(&error));
            }
        }
        (None, _) => {}
    }
}

/// Waits for a thread that may be waiting for a disk, until the job is cut short: then it is left to itself, and `false`.
pub(crate) fn wait(shared: &Shared, thread: JoinHandle<()>) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(2);
    const LOOKS_AT_MOST: Duration = Duration::from_millis(10);
    let mut pause = LOOK_EVERY;
    while !thread.is_finished() {
        if shared.session.verdict.is_cut_short() {
            return false;
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(LOOKS_AT_MOST);
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
    true
}

#[cfg(test)]
mod tests {
    use azuring_journal::{JobId, Jobs, State};

    use super::say_what_is_lost;
    use crate::durable::{Before, Durable, Notes, With};
    use crate::entry::Found;
    use crate::failure::{Failure, FailureKind};
    use crate::outcome::{Done, Entity, Outcome, TransferId};
    use azuring_local::RelPath;

    use super::super::{codec, counters};

    #[test]
    fn what_is_written_is_done_when_it_is_on_the_disk() {
        let state = tempfile::tempdir().unwrap();
        let (jobs, id) = (Jobs::new(state.path()), JobId::from_bytes([7; 16]));
        let durable = Durable::new(jobs.clone(), jobs.create(id, b"").unwrap(), None, true);
        durable.go_on().unwrap();
        let found: Vec<_> = (0..3u8).map(|n| Found::File(RelPath::new(&[b'a' + n][..]))).collect();
        assert_eq!(durable.found(&found, &With::Nothing).unwrap(), 0);
        let outcome = |n| {
            let (id, entity, result) = (TransferId::nth(n), Entity::File, Ok(Done::Whole));
            Outcome { id, entity, bytes: 10, length: 10, object: None, result }
        };
        durable.ended(&[outcome(0), outcome(2)]).unwrap();
        durable.commit().unwrap();
        let look = || {
            let recovered = jobs.read(id).unwrap();
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
        let written = std::mem::take(&mut durable.settling.state().written);
        durable.asks().unwrap();
        durable.settled(&written).unwrap();
        durable.commit().unwrap();
        assert_eq!(look(), (vec![], vec![0, 2]));
    }

    #[test]
    fn what_was_written_when_writing_back_failed_has_failed() {
        let state = tempfile::tempdir().unwrap();
        let (jobs, id) = (Jobs::new(state.path()), JobId::from_bytes([7; 16]));
        let durable = Durable::new(jobs.clone(), jobs.create(id, b"").unwrap(), None, true);
        durable.go_on().unwrap();
        let found: Vec<_> = (0..4u8).map(|n| Found::File(RelPath::new(&[b'a' + n][..]))).collect();
        assert_eq!(durable.found(&found, &With::Nothing).unwrap(), 0);
        let outcome = |n| {
            let (id, entity, result) = (TransferId::nth(n), Entity::File, Ok(Done::Whole));
            Outcome { id, entity, bytes: 10, length: 10, object: None, result }
        };
        durable.ended(&[outcome(0)]).unwrap();
        let first = std::mem::take(&mut durable.settling.state().written);
        durable.asks().unwrap();
        durable.settled(&first).unwrap();
        durable.ended(&[outcome(1)]).unwrap();
        let second = std::mem::take(&mut durable.settling.state().written);
        // One that was written meanwhile, and one afterwards.
        durable.ended(&[outcome(2)]).unwrap();
        durable.asks().unwrap();
        durable.settling.lose(second, Failure::new(FailureKind::Destination, "", "no disk"));
        say_what_is_lost(&durable).unwrap();
        durable.ended(&[outcome(3)]).unwrap();
        // At once: whoever is killed now has said it.
        let counts = counters::counts(&jobs.read(id).unwrap());
        assert_eq!((counts.failed, counts.bytes), (2, 10));
        say_what_is_lost(&durable).unwrap();
        let lost = durable.settling.state().lost.take().unwrap();
        assert_eq!((lost.count, lost.bytes), (3, 30));
        let recovered = jobs.read(id).unwrap();
        let counts = counters::counts(&recovered);
        assert_eq!((counts.done, counts.failed, counts.bytes, counts.bytes_found), (1, 3, 10, 40));
        drop(durable);
        // They are downloaded again, whatever is there.
        let (recovered, _journal) = jobs.resume(id).unwrap();
        let before = Before::new(recovered);
        assert_eq!((before.is_in_doubt(), before.doubts()), (true, 1));
        assert_eq!((before.counts().done, before.counts().failed, before.counts().bytes_found), (1, 0, 10));
        assert!(!before.is_lost(TransferId::nth(0)) && (1..4).all(|n| before.is_lost(TransferId::nth(n))));
    }

    #[test]
    fn what_was_written_when_nobody_heard_the_answer_is_lost() {
        let state = tempfile::tempdir().unwrap();
        let (jobs, id) = (Jobs::new(state.path()), JobId::from_bytes([7; 16]));
        let durable = Durable::new(jobs.clone(), jobs.create(id, b"").unwrap(), None, true);
        durable.go_on().unwrap();
        let found: Vec<_> = (0..3u8).map(|n| Found::File(RelPath::new(&[b'a' + n][..]))).collect();
        assert_eq!(durable.found(&found, &With::Nothing).unwrap(), 0);
        let outcome = |n| {
            let (id, entity, result) = (TransferId::nth(n), Entity::File, Ok(Done::Whole));
            Outcome { id, entity, bytes: 10, length: 10, object: None, result }
        };
        durable.ended(&[outcome(0)]).unwrap();
        let first = std::mem::take(&mut durable.settling.state().written);
        durable.asks().unwrap();
        durable.settled(&first).unwrap();
        durable.ended(&[outcome(1), outcome(2)]).unwrap();
        let era = durable.era();
        durable.asks().unwrap();
        drop(durable);
        // Whoever goes on, and whoever goes on after that one was killed as well.
        for run in 0..2 {
            let (recovered, journal) = jobs.resume(id).unwrap();
            let before = Before::new(recovered);
            assert_eq!((before.is_in_doubt(), before.doubts()), (run == 0, 1));
            assert_eq!((before.counts().done, before.counts().bytes_found), (1, 10));
            assert!(!before.is_lost(TransferId::nth(0)) && before.is_lost(TransferId::nth(2)));
            let durable = Durable::new(jobs.clone(), journal, Some(before), true);
            durable.go_on().unwrap();
            durable.commit().unwrap();
            assert_ne!(durable.era(), era);
        }
        let counts = counters::counts(&jobs.read(id).unwrap());
        assert_eq!((counts.done, counts.failed, counts.bytes), (1, 2, 10));
    }

    #[test]
    fn a_restart_takes_nothing_from_what_a_finished_job_has_counted() {
        let state = tempfile::tempdir().unwrap();
        let (jobs, id) = (Jobs::new(state.path()), JobId::from_bytes([7; 16]));
        let durable = Durable::new(jobs.clone(), jobs.create(id, b"").unwrap(), None, true);
        durable.go_on().unwrap();
        let found: Vec<_> = (0..2u8).map(|n| Found::File(RelPath::new(&[b'a' + n][..]))).collect();
        durable.found(&found, &With::Nothing).unwrap();
        let outcome = |n, result| {
            let (id, entity) = (TransferId::nth(n), Entity::File);
            Outcome { id, entity, bytes: 10, length: 10, object: None, result }
        };
        let failure = Box::new(Failure::new(FailureKind::Network, "b", "why"));
        durable.ended(&[outcome(0, Ok(Done::Whole)), outcome(1, Err(failure))]).unwrap();
        durable.scanned(&Notes::default()).unwrap();
        durable.journal.write().unwrap().summary(&[3]).unwrap();
        durable.commit().unwrap();
        drop(durable);
        jobs.shrink(id).unwrap();
        // Another run of the machine, each time.
        for _ in 0..2 {
            let (recovered, journal) = jobs.resume(id).unwrap();
            journal.write().unwrap().count(counters::Counter::Boot as usize, 1);
            journal.commit().unwrap();
            drop((recovered, journal));
            let (recovered, journal) = jobs.resume(id).unwrap();
            let before = Before::new(recovered);
            let counts = before.counts();
            assert_eq!((counts.done, counts.bytes, counts.failed), (1, 10, 0));
            let durable = Durable::new(jobs.clone(), journal, Some(before), true);
            durable.go_on().unwrap();
            durable.commit().unwrap();
        }
        let counts = counters::counts(&jobs.read(id).unwrap());
        assert_eq!((counts.done, counts.bytes, counts.skipped_existing), (1, 10, 0));
    }
}
