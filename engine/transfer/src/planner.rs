//! The planner: finds the objects of the source and hands them to the lanes in batches.

use std::sync::atomic::Ordering;

use crossbeam::channel::Sender;

use crate::collector::Message;
use crate::failure::Failure;
use crate::job::Shared;
use crate::outcome::{Entity, Event, Outcome, SkippedKind, Transfer};
use crate::queue::{BATCH_FILES, Entry};
use crate::remote;
use crate::source::Finder;
use crate::task::Found;

/// Runs to the end of the source, or until the job stops; then closes the queue.
pub(crate) fn run(finder: Finder, shared: &Shared, messages: &Sender<Message>) {
    // However this ends, the lanes must not wait for more.
    let _closing = Closing(shared);
    let batch_size = shared.task.batch_size().unwrap_or(BATCH_FILES);
    let batch = Vec::with_capacity(batch_size);
    let mut planner = Planner { shared, messages, batch_size, batch };
    match finder {
        Finder::Local(finder) => finder.plan(&mut planner),
        Finder::Remote(source) => remote::plan(&source, &mut planner),
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

/// Takes what a source holds, one after the other.
pub(crate) struct Planner<'a> {
    pub(crate) shared: &'a Shared,
    messages: &'a Sender<Message>,
    batch_size: usize,
    batch: Vec<Entry>,
}

impl Planner<'_> {
    /// Hands over an object; `false`: the job is stopping.
    pub(crate) fn push(&mut self, found: Found) -> bool {
        self.batch.push(Entry { id: self.shared.next_id(), found });
        self.batch.len() < self.batch_size || self.flush()
    }

    /// Tells of an object that was asked for by name and cannot be transferred; `false`: the job is stopping.
    pub(crate) fn refuse(&mut self, failure: Failure) -> bool {
        self.shared.session.progress.found.fetch_add(1, Ordering::SeqCst);
        let id = self.shared.next_id();
        let outcome = Outcome {
            id,
            entity: Entity::File,
            bytes: 0,
            length: 0,
            object: None,
            result: Err(Box::new(failure)),
        };
        let _ = self.messages.send(Message::Outcomes(vec![outcome]));
        !self.shared.session.verdict.stopping()
    }

    /// Tells of something that cannot be read; `false`: the job is stopping.
    pub(crate) fn fail(&mut self, failure: Failure) -> bool {
        self.tell(Event::Failed(failure))
    }

    /// Tells of something that is left out; `false`: the job is stopping.
    pub(crate) fn skip(&mut self, transfer: Transfer, kind: SkippedKind) -> bool {
        self.tell(Event::Skipped { transfer: Box::new(transfer), bytes: 0, kind })
    }

    /// The source cannot be read any further.
    pub(crate) fn halt(&mut self, failure: Failure) {
        if self.shared.nothing_found() {
            self.shared.session.verdict.stop_for(&failure);
        } else {
            self.fail(failure);
        }
    }

    fn tell(&mut self, event: Event) -> bool {
        // The collector goes away only after the planner.
        let _ = self.messages.send(Message::Event(event));
        !self.shared.session.verdict.stopping()
    }

    fn flush(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(self.batch_size));
        let session = &self.shared.session;
        // Counted before it is handed over, so that nobody sees more done than found.
        let progress = &session.progress;
        let of = |kind| batch.iter().filter(|entry| entry.found.entity() == kind).count() as u64;
        progress.found_folders.fetch_add(of(Entity::Folder), Ordering::SeqCst);
        progress.found_links.fetch_add(of(Entity::Symlink), Ordering::SeqCst);
        progress.found.fetch_add(batch.len() as u64, Ordering::SeqCst);
        if session.options.dry_run {
            let planned =
                batch.into_iter().map(|entry| self.shared.task.planned(session, entry.found)).collect();
            return self.tell(Event::Planned(planned));
        }
        self.shared.queue.push(batch, &session.verdict)
    }
}
