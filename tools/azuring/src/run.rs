//! Runs a job in front of a person or a script.

use std::io::Write;
use std::process;
use std::time::Instant;

use azuring_transfer::{Event, IoPath, Job, JobPlan, Report, StopHandle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::{self, Exit};
use crate::failures::FailureLog;
use crate::output::tell;
use crate::progress::Display;
use crate::redact::redact;
use crate::summary;

/// A handle that SIGINT and SIGTERM use: the first asks to stop, the second ends the process, after `last`.
pub(crate) fn stop_on_signals(last: impl Fn() + Send + 'static) -> StopHandle {
    let stop = StopHandle::new();
    let theirs = stop.clone();
    match Signals::new([SIGINT, SIGTERM]) {
        Ok(mut signals) => {
            let watch = move || {
                for _signal in signals.forever() {
                    if theirs.is_stopped() {
                        last();
                        process::exit(Exit::Interrupted as i32);
                    }
                    theirs.stop();
                    tell!("azuring: stopping: finishing what is in flight (once more to stop at once)");
                }
            };
            // Without the thread a signal ends the process the ordinary way.
            let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
        }
        Err(error) => tell!("azuring: signals cannot be caught: {error}"),
    }
    stop
}

/// Takes SIGINT without acting on it, for a helper process that ends with its parent.
pub(crate) fn ignore_interrupts() {
    if let Ok(mut signals) = Signals::new([SIGINT]) {
        // Without the thread the helper ends with the signal; its parent says so.
        let _ = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || signals.forever().for_each(drop));
    }
}

/// Announces the job, runs it, shows its progress and prints its summary.
pub(crate) fn run(job: Job, stop: &StopHandle) -> Exit {
    announce(job.plan());
    let (plan, report) = watch(job, stop);
    let exit = if plan.is_pattern
        && report.counts.found == 0
        && report.counts.problems == 0
        && report.fatal.is_none()
    {
        tell!("azuring: nothing matches {}", redact(&plan.source));
        Exit::Source
    } else {
        exit::of_report(&report)
    };
    if let Some(fatal) = &report.fatal {
        tell!("azuring: the job was stopped: {fatal}");
    }
    // A reader that has gone away does not change how the job ended.
    let mut out = std::io::stdout().lock();
    let _ = summary::write(&mut out, &plan, &report).and_then(|()| out.flush());
    tell!("{}", summary::closing_line(&report));
    exit
}

/// Runs a job with its progress shown; returns how it ended.
pub(crate) fn watch(job: Job, stop: &StopHandle) -> (JobPlan, Report) {
    let plan = job.plan().clone();
    let display = Display::start(job.progress(), Instant::now());
    let (mut log, progress) = (FailureLog::default(), job.progress());
    let print = |lines: Vec<String>| lines.iter().for_each(|line| display.print(line));
    let report = job.run(stop, |event| match event {
        Event::Failed(failure) => {
            let achieved = progress.view().bytes > 0;
            print(log.failed(failure.kind, &failure.reason, format!("failed: {failure}"), achieved));
        }
        Event::Notice(text) => display.print(&format!("azuring: {text}")),
        Event::Done(_) => print(log.achieved()),
        Event::Skipped { .. } => {}
        _ => {}
    });
    print(log.end(report.fatal.is_some()));
    display.finish();
    (plan, report)
}

fn announce(plan: &JobPlan) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\nJob {} has started", plan.id).and_then(|()| out.flush());
    let (lanes, s) = (plan.lanes, if plan.lanes == 1 { "" } else { "s" });
    tell!(
        "upload {} to {} with {}: {lanes} lane{s}, {} requests in flight, {} MiB of memory",
        // A URL that lost a slash is a local path, and one that lost its `?` has no query.
        redact(&plan.source),
        redact(&plan.destination.to_string()),
        plan.credential,
        plan.concurrency,
        plan.memory_bytes >> 20,
    );
    if let IoPath::Threads { reason } = &plan.io {
        tell!("azuring: reading files with threads: {reason}");
    }
}
