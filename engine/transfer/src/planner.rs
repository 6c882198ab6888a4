//! The planner: walks the source and hands batches to the lanes.

use std::sync::atomic::Ordering;

use azuring_local as local;
use crossbeam::channel::Sender;

use crate::collector::Message;
use crate::failure::Failure;
use crate::job::Shared;
use crate::outcome::{Event, SkippedKind, TransferId};
use crate::queue::{BATCH_FILES, Entry};
use crate::source::Finder;
use crate::task::Found;

/// Runs to the end of the source, or until the job stops; then closes the queue.
pub(crate) fn run(finder: Finder, shared: &Shared, messages: &Sender<Message>) {
    // However this ends, the lanes must not wait for more.
    let _closing = Closing(shared);
    let mut planner = Planner { shared, messages, next: 0, batch: Vec::with_capacity(BATCH_FILES) };
    match finder {
        Finder::One(path) => {
            planner.push(Found::File(path));
        }
        Finder::Walk(mut stream) => {
            stream.stop_with(shared.session.verdict.stop_flag());
            let mut found = Vec::with_capacity(BATCH_FILES);
            loop {
                let more = stream.next_batch(BATCH_FILES, &mut found);
                if !found.drain(..).all(|found| planner.take(found)) || !more {
                    break;
                }
            }
        }
    }
    planner.flush();
    shared.session.progress.scanned.store(true, Ordering::SeqCst);
}

struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.session.verdict.give_up();
        }
        self.0.queue.close();
    }
}

struct Planner<'a> {
    shared: &'a Shared,
    messages: &'a Sender<Message>,
    next: u64,
    batch: Vec<Entry>,
}

impl Planner<'_> {
    /// `false`: the job is stopping.
    fn take(&mut self, found: local::Found) -> bool {
        let event = match found {
            local::Found::File(path) => return self.push(Found::File(path)),
            local::Found::Skipped { path, kind } => {
                let kind = match kind {
                    local::SkippedKind::Symlink => SkippedKind::Symlink,
                    _ => SkippedKind::Special,
                };
                let transfer = self.shared.task.transfer(&self.shared.session, &Found::File(path));
                Event::Skipped { transfer: Box::new(transfer), kind }
            }
            local::Found::Problem(error) => Event::Failed(Failure::local(&error)),
        };
        // The collector goes away only after the planner.
        let _ = self.messages.send(Message::Event(event));
        !self.shared.session.verdict.stopping()
    }

    fn push(&mut self, found: Found) -> bool {
        self.batch.push(Entry { id: TransferId::nth(self.next), found });
        self.next += 1;
        self.batch.len() < BATCH_FILES || self.flush()
    }

    fn flush(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        // Counted before it is handed over, so that nobody sees more done than found.
        self.shared.session.progress.found.fetch_add(self.batch.len() as u64, Ordering::SeqCst);
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_FILES));
        self.shared.queue.push(batch, &self.shared.session.verdict)
    }
}
