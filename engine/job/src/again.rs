//! Transfers that failed and are tried again at the end of the job.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::entry::Entry;
use crate::failure::{Failure, FailureKind};
use crate::outcome::TransferId;

/// Transfers that wait for another attempt at most. Where more fail, something is wrong that another attempt does not
/// mend; those beyond have failed.
const WAITING_MAX: usize = 10_000;

/// What failed and is tried again when everything else is done.
#[derive(Debug, Default)]
pub struct Again {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    passes_left: u32,
    waiting: Vec<(Entry, Box<Failure>)>,
    /// All that have waited.
    tried: HashSet<TransferId>,
}

impl Again {
    /// So many passes at most.
    pub fn new(passes: u32) -> Self {
        Self { state: Mutex::new(State { passes_left: passes, ..State::default() }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }

    /// Takes a transfer that failed; gives it back if it has failed for good.
    pub fn take(&self, entry: Entry, failure: Box<Failure>) -> Result<(), (Entry, Box<Failure>)> {
        let mut state = self.state();
        if state.passes_left == 0 || state.waiting.len() >= WAITING_MAX || !may_succeed(&failure) {
            return Err((entry, failure));
        }
        state.tried.insert(entry.id);
        state.waiting.push((entry, failure));
        Ok(())
    }

    /// Whether the transfer was tried in an earlier pass.
    pub fn was_tried(&self, id: TransferId) -> bool {
        self.state().tried.contains(&id)
    }

    /// What is tried in the next pass; `None` when there is nothing.
    pub fn next_pass(&self) -> Option<Vec<Entry>> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            return None;
        }
        state.passes_left -= 1;
        Some(std::mem::take(&mut state.waiting).into_iter().map(|(entry, _)| entry).collect())
    }

    /// Ends it: what waits has failed, and so does whatever comes.
    pub fn close(&self) -> Vec<(Entry, Box<Failure>)> {
        let mut state = self.state();
        state.passes_left = 0;
        std::mem::take(&mut state.waiting)
    }
}

/// Whether the cause may have gone: the network, a busy service, a file that was being written, blocks that another
/// writer's blob has discarded, or that were too many together with those of earlier runs.
fn may_succeed(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Network | FailureKind::Throttled | FailureKind::Integrity | FailureKind::Source
    ) || matches!(failure.code.as_deref(), Some("InvalidBlockList" | "BlockCountExceedsLimit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Found;
    use azuring_local::RelPath;

    fn failed(kind: FailureKind) -> (Entry, Box<Failure>) {
        let entry = Entry { id: TransferId::nth(7), found: Found::File(RelPath::new(&b"x"[..])) };
        (entry, Box::new(Failure::new(kind, "x", "why")))
    }

    #[test]
    fn there_are_as_many_passes_as_asked_for_and_only_for_what_may_succeed() {
        let again = Again::new(2);
        let take = |kind| {
            let (entry, failure) = failed(kind);
            again.take(entry, failure).is_ok()
        };
        assert!(
            !take(FailureKind::Name) && !take(FailureKind::Authentication) && !take(FailureKind::Interrupted)
        );
        assert!(again.next_pass().is_none());
        for _ in 0..2 {
            assert!(take(FailureKind::Network));
            assert_eq!(again.next_pass().unwrap().len(), 1);
        }
        assert!(!take(FailureKind::Network));
        let again = Again::new(1);
        let (entry, failure) = failed(FailureKind::Source);
        again.take(entry, failure).unwrap();
        assert_eq!(again.close().len(), 1);
        let (entry, failure) = failed(FailureKind::Source);
        assert!(again.take(entry, failure).is_err());
    }
}
