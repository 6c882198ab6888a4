//! Makes parts of what is found, in the place of the lanes.

use std::io;
use std::sync::Arc;

use azuring_job::entry::{Entry, Found};
use azuring_job::messages::Message;
use azuring_job::outcome::Entity;
use azuring_job::part::Part;
use azuring_job::progress::add;
use crossbeam::channel::Sender;

use crate::common::queue::Work;
use crate::common::shared::Shared;
use crate::task::verb::Task;

/// Takes everything from the queue, and sends it as parts of at most `most` transfers, from this number on. Nothing is
/// asked of the service.
///
/// # Errors
/// The system refuses a runtime.
pub fn run(shared: &Arc<Shared>, (most, first): (usize, u32), messages: Sender<Message>) -> io::Result<()> {
    let mut gather = Gather { shared, most, messages, next: first, usual: None, last: None };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        while let Some((work, _busy)) = shared.queue.next(0).await {
            let Work::Files(entries) = work else { unreachable!("nobody works on large objects") };
            entries.into_iter().for_each(|entry| gather.take(entry));
        }
    });
    if !shared.session.verdict.stopping() {
        let Gather { usual, last, .. } = &mut gather;
        for part in [usual.take(), last.take()].into_iter().flatten() {
            gather.send(part);
        }
    }
    Ok(())
}

struct Gather<'a> {
    shared: &'a Shared,
    most: usize,
    messages: Sender<Message>,
    /// Number of the next part.
    next: u32,
    /// Parts that take more.
    usual: Option<Part>,
    last: Option<Part>,
}

impl Gather<'_> {
    fn take(&mut self, entry: Entry) {
        let (task, session) = (&self.shared.task, &self.shared.session);
        if session.verdict.stopping() {
            return;
        }
        if let (Task::Download(task), Found::Blob(item)) = (task, &entry.found)
            && let Some(failure) = task.refuses(item)
        {
            // Each part knows its own names alone.
            add(&session.progress.lane(0).failed, 1);
            let _ = self.messages.send(Message::Outcomes(vec![self.shared.failed(entry, failure)]));
            return;
        }
        let is_last = matches!(task, Task::Download(_))
            && session.options.preserve_posix.is_some()
            && entry.found.entity() == Entity::Folder;
        let open = if is_last { &mut self.last } else { &mut self.usual };
        let next = &mut self.next;
        let part = open.get_or_insert_with(|| {
            let part = Part::new(self.shared.id, *next);
            *next += 1;
            if is_last { part.last() } else { part }
        });
        let is_full = part.push(entry, task.action());
        if is_full || part.len() >= self.most {
            let part = open.take().expect("something was just added to it");
            self.send(part);
        }
    }

    fn send(&self, part: Part) {
        // The collector outlives this thread.
        let _ = self.messages.send(Message::Part(Box::new(part)));
    }
}
