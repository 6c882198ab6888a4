//! Downloaded files on their way from the page cache to the disk.
//!
//! A file that is written survives the end of the process, and not that of the machine. So it is recorded as *written* first;
//! a thread has the file system write everything back now and then, and records as *done* what was written before. Whoever
//! goes on with the job in the same run of the machine takes the one for the other; after a restart, what was only written
//! is downloaded again.
//!
//! A file system that could not write something back says so once, and not of which file. Then everything that was written
//! since it last succeeded counts as failed, and so does what is written after it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::failure::Failure;
use crate::job::Shared;
use crate::outcome::Report;
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
    /// What may be damaged, and why.
    lost: Option<(Written, Failure)>,
    ended: bool,
}

impl Settling {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }

    pub(super) fn add(&self, more: Written) {
        let mut state = self.state();
        match &mut state.lost {
            Some((lost, _)) => lost.add(more),
            None => state.written.add(more),
        }
    }

    /// `written`, and all that comes after it, may be damaged.
    fn lose(&self, written: Written, why: Failure) {
        let mut state = self.state();
        let after = std::mem::take(&mut state.written);
        let (lost, _) = state.lost.get_or_insert_with(|| (Written::default(), why));
        lost.add(written);
        lost.add(after);
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
    match task.sync() {
        Ok(true) => {
            if let Err(failure) = durable.settled(&written) {
                shared.session.verdict.stop_for(&failure);
            }
        }
        // Where the system cannot be asked, everything stays as it is.
        Ok(false) => {}
        Err(error) => {
            let failure = Failure::not_kept(&error);
            shared.session.verdict.stop_for(&failure);
            durable.settling.lose(written, failure);
        }
    }
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
            let Some((lost, failure)) = durable.settling.state().lost.take() else { return };
            if let Err(failure) = durable.lost(&lost, &failure) {
                shared.session.verdict.stop_for(&failure);
            }
            (lost.numbers.len() as u64, lost.bytes as u64, failure)
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

    use crate::durable::{Before, Durable, Notes, With};
    use crate::failure::{Failure, FailureKind};
    use crate::outcome::{Done, Entity, Outcome, TransferId};
    use crate::task::Found;
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
        durable.settled(&first).unwrap();
        durable.ended(&[outcome(1)]).unwrap();
        let second = std::mem::take(&mut durable.settling.state().written);
        // One that was written meanwhile, and one afterwards.
        durable.ended(&[outcome(2)]).unwrap();
        durable.settling.lose(second, Failure::new(FailureKind::Destination, "", "no disk"));
        durable.ended(&[outcome(3)]).unwrap();
        let (lost, why) = durable.settling.state().lost.take().unwrap();
        assert_eq!((&lost.numbers[..], lost.bytes, lost.lengths), (&[1, 2, 3][..], 30, 30));
        durable.lost(&lost, &why).unwrap();
        durable.commit().unwrap();
        let recovered = jobs.read(id).unwrap();
        let counts = counters::counts(&recovered);
        assert_eq!((counts.done, counts.failed, counts.bytes, counts.bytes_found), (1, 3, 10, 40));
        drop(durable);
        // They are downloaded again, whatever is there.
        let (recovered, _journal) = jobs.resume(id).unwrap();
        let before = Before::new(recovered);
        assert_eq!((before.counts().done, before.counts().failed, before.counts().bytes_found), (1, 0, 10));
        assert!(!before.is_lost(TransferId::nth(0)) && (1..4).all(|n| before.is_lost(TransferId::nth(n))));
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
