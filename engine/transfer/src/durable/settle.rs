//! Downloaded files on their way from the page cache to the disk.
//!
//! A file that is written survives the end of the process, and not that of the machine. So it is recorded as *written* first;
//! a thread has the file system write everything back now and then, and records as *done* what was written before. Whoever
//! goes on with the job in the same run of the machine takes the one for the other; after a restart, what was only written
//! is downloaded again.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::job::Shared;
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

/// Gathers them.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    state: Mutex<State>,
    ends: Condvar,
}

#[derive(Debug, Default)]
struct State {
    written: Written,
    ended: bool,
}

impl Settling {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }

    pub(super) fn add(&self, more: Written) {
        let written = &mut self.state().written;
        written.numbers.extend(more.numbers);
        written.bytes += more.bytes;
        written.lengths += more.lengths;
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
        if written.numbers.is_empty() {
            continue;
        }
        let is_on_disk = matches!(&shared.task, Task::Download(task) if task.sync());
        // Where the system cannot, everything stays as it is.
        if is_on_disk && let Err(failure) = durable.settled(&written) {
            shared.session.verdict.stop_for(&failure);
        }
    }
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
