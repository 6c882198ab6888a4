//! Has downloaded files written back to the disk, beside the job and at its end. What is recorded of them:
//! `durable::settling`.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use azuring_job::durable::Written;
use azuring_job::failure::Failure;
use azuring_job::outcome::{Event, Report};

use crate::task::verb::Task;

use super::shared::Shared;

/// Has what is downloaded written back, and records it, until the job ends.
pub fn run(shared: &Shared) {
    let Some(durable) = &shared.durable else { return };
    while let Some(written) = durable.settling.next() {
        settle(shared, written);
    }
}

/// Has it written back, and records it.
fn settle(shared: &Shared, written: Written) {
    let (Some(durable), Task::Download(task)) = (&shared.durable, &shared.task) else { return };
    if written.is_empty() {
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
            durable.say_what_is_lost()
        }
    });
    if let Err(failure) = settled {
        shared.session.verdict.stop_for(&failure);
    }
}

/// The same for the last files of a job whose threads have ended; what may be damaged counts as failed. Whoever
/// interrupts a job does not wait for the disk: what it has written stays recorded as written.
pub fn at_end(shared: &Arc<Shared>, report: &mut Report, tell: &mut dyn FnMut(Event)) {
    let done = report.counts.done.saturating_sub(report.before.done);
    if !matches!(shared.task, Task::Download(_)) || (done == 0 && shared.durable.is_none()) {
        return;
    }
    if !report.interrupted {
        let theirs = Arc::clone(shared);
        let last = move || settle_the_rest(&theirs);
        match std::thread::Builder::new().name("settle".to_owned()).spawn(last) {
            Ok(thread) => report.interrupted |= !wait(shared, thread, tell),
            Err(_) => settle_the_rest(shared),
        }
    }
    let (lost, bytes, failure) = match (&shared.durable, shared.not_kept.get()) {
        (Some(durable), _) => {
            if let Err(failure) = durable.say_what_is_lost() {
                shared.session.verdict.stop_for(&failure);
            }
            let Some(lost) = durable.settling.take_lost() else { return };
            lost
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
            let written = durable.settling.take_written();
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

/// A disk that has taken longer than this is told of: all files are there, and nothing moves.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// Waits for a thread that may be waiting for a disk, until the job is cut short: then it is left to itself, and
/// `false`.
pub fn wait(shared: &Shared, thread: JoinHandle<()>, tell: &mut dyn FnMut(Event)) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(2);
    const LOOKS_AT_MOST: Duration = Duration::from_millis(10);
    let begun = Instant::now();
    let mut told = false;
    let mut pause = LOOK_EVERY;
    while !thread.is_finished() {
        if shared.session.verdict.is_cut_short() {
            return false;
        }
        if !told && begun.elapsed() >= TOLD_AFTER {
            told = true;
            let text = "all files are written; waiting until the disk has taken them (Ctrl-C ends this, and what the disk \
                        has not confirmed is then downloaded again)";
            tell(Event::Notice(text.to_owned()));
        }
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(LOOKS_AT_MOST);
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
    true
}
