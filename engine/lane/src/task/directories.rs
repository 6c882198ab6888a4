//! Directories whose owner, mode and times are restored.
//!
//! Whatever is made in a directory changes its times, and its mode may forbid that anything is made. So they get their
//! properties when everything else is done, those that lie deepest first; until then their transfers have not ended,
//! and are done again when the job is resumed.

use std::sync::Mutex;

use azuring_job::failure::Failure;
use azuring_job::outcome::{Done, Entity, Outcome, Transfer, TransferId};
use azuring_local::{LocalError, TargetTree};
use azuring_plan::download::LocalName;
use azuring_plan::posix::PosixProperties;

/// Directories that wait at most, some 200 MB of them. Those beyond get their properties at once, and lose their times.
const WAITING_MAX: usize = 1_000_000;

/// A directory that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: TransferId,
    pub(crate) local: LocalName,
    pub(crate) posix: PosixProperties,
    /// Its path for messages.
    pub(crate) object: String,
    /// Its names, where they are told.
    pub(crate) transfer: Option<Box<Transfer>>,
}

/// Those that wait for the end.
#[derive(Debug, Default)]
pub(crate) struct Directories(Mutex<Vec<Made>>);

impl Directories {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Made>> {
        self.0.lock().expect("nothing panics while the lock is held")
    }

    /// Takes a directory; gives it back if there is no room.
    pub(crate) fn take(&self, made: Made) -> Result<(), Box<Made>> {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX {
            return Err(Box::new(made));
        }
        waiting.push(made);
        Ok(())
    }

    /// All that wait, those that lie deepest first.
    pub(super) fn take_all(&self) -> Vec<Made> {
        let mut waiting = std::mem::take(&mut *self.waiting());
        waiting.sort_by_key(|made| std::cmp::Reverse(made.local.as_bytes().len()));
        waiting
    }
}

impl Made {
    /// Gives it its properties. `tree`: where it is; `None`: nothing is kept.
    pub(super) fn finish(self, tree: Result<Option<&TargetTree>, LocalError>) -> Outcome {
        let Self { id, local, posix, object, transfer } = self;
        let done = match tree {
            Ok(Some(tree)) => tree.finish_dir(&local, &posix).map_err(|error| {
                let mut failure = Failure::target(&object, &error);
                failure.destination = tree.path_of(&local).display().to_string();
                Box::new(failure)
            }),
            Ok(None) => Ok(()),
            Err(error) => Err(Box::new(Failure::target(&object, &error))),
        };
        let result = done.map(|()| Done::Whole);
        let object = transfer.filter(|_| result.is_ok());
        Outcome::new(id, Entity::Folder, result).object(object)
    }
}
