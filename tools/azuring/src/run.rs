//! Runs a job in front of a person or a script.

use std::ffi::OsString;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use azuring_transfer::{Event, IoPath, Job, JobPlan, Report, StopHandle, Verb, Way, WayReason};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::cli::global::OutputLevel;
use crate::doctor;
use crate::exit::{self, Exit};
use crate::failures::FailureLog;
use crate::jobs;
use crate::log::{self, Log};
use crate::output::{self, Output, tell};
use crate::progress::Display;
use crate::redact::redact;
use crate::summary;
use crate::view::{self, Facts, View};

/// How long what is in flight may take to its end.
const DRAIN: Duration = Duration::from_millis(4500);
/// An interrupted job has ended after this: what is given up then has half a second to go away.
const WITHIN_S: u64 = 5;

/// Set while there is nothing to finish.
static WAITS: AtomicBool = AtomicBool::new(false);

/// Does what may take long before anything is begun, a login for instance: a signal ends the process at once meanwhile.
pub(crate) fn before_it_begins<T>(wait: impl FnOnce() -> T) -> T {
    let outer = WAITS.swap(true, Ordering::SeqCst);
    if ASKED.load(Ordering::SeqCst) {
        end();
    }
    let done = wait();
    WAITS.store(outer, Ordering::SeqCst);
    done
}

/// Set by the first signal.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Ends the process as interrupted.
fn end() -> ! {
    azuring_identity::end_programs();
    process::exit(i32::from(Exit::Interrupted.code(&called())));
}

/// A handle that SIGINT and SIGTERM use: the first asks to stop, which takes no longer than [`DRAIN`], the second ends
/// the process, after `last`.
pub(crate) fn stop_on_signals(last: impl Fn() + Send + 'static) -> StopHandle {
    let stop = StopHandle::new();
    let theirs = stop.clone();
    match Signals::new([SIGINT, SIGTERM]) {
        Ok(mut signals) => {
            let watch = move || {
                for _signal in signals.forever() {
                    if theirs.is_stopped() || WAITS.load(Ordering::SeqCst) {
                        last();
                        end();
                    }
                    ASKED.store(true, Ordering::SeqCst);
                    theirs.stop();
                    tell!(
                        "azuring: stopping: finishing what is in flight, {WITHIN_S} s at most (once more to stop at once)"
                    );
                    let late = theirs.clone();
                    let wait = move || {
                        std::thread::sleep(DRAIN);
                        late.cut_short();
                    };
                    // Without the thread a second signal does the same.
                    let _ = std::thread::Builder::new().name("drain".to_owned()).spawn(wait);
                }
            };
            // Without the thread a signal ends the process the ordinary way.
            let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
        }
        Err(error) => tell!("azuring: signals cannot be caught: {error}"),
    }
    stop
}

/// Has a write beyond the limit of a file's size (`ulimit -f`) answered with an error, which concerns that file,
/// instead of a signal, which ends the process.
pub(crate) fn survive_large_files() {
    // Without it the signal does what it always does.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// The name this process was started by.
pub(crate) fn called() -> OsString {
    std::env::args_os().next().unwrap_or_default()
}

/// Takes SIGINT without acting on it, for a helper process that ends with its parent.
#[cfg(feature = "demo")]
pub(crate) fn ignore_interrupts() {
    if let Ok(mut signals) = Signals::new([SIGINT]) {
        // Without the thread the helper ends with the signal; its parent says so.
        let _ = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || signals.forever().for_each(drop));
    }
}

/// Announces the job, runs it, shows its progress and prints its summary.
pub(crate) fn run(job: Job, stop: &StopHandle, facts: Facts) -> Exit {
    let (speaks, asks, plans) = (!facts.dry_run && !facts.pipe, facts.asks, facts.dry_run);
    let flags = facts.resume_flags.clone();
    let log = if speaks { log::open(&job.plan().id) } else { None };
    let shown = view::of(facts, log.as_ref().map(Log::path));
    // The log first: it is complete when the summary is shown.
    let mut view: Vec<_> = log.into_iter().map(|log| Box::new(log) as Box<dyn View>).collect();
    view.push(shown);
    view.begin(job.plan(), job.progress());
    if speaks {
        announce(job.plan());
    }
    let (plan, report) = watch(job, stop, &mut view, !asks);
    let nothing = report.counts.found == 0
        && report.counts.problems == 0
        && report.fatal.is_none()
        && !report.interrupted;
    let exit = if plan.is_pattern && nothing {
        output::failed(&format!("nothing matches {}", redact(&plan.source)));
        Exit::Source
    } else {
        exit::of_report(&report)
    };
    if let Some(fatal) = &report.fatal {
        output::failed(&format!("the job was stopped: {fatal}"));
    }
    if let Some(way) = report.way.as_deref().filter(|way| way.way == Way::Direct)
        && way.reason == WayReason::Closed
    {
        doctor::advise(&way.ends);
    }
    view.end(&plan, &report, exit);
    if speaks {
        tell!("{}", summary::closing_line(plan.verb, &report));
        if plan.journal && jobs::is_resumable(&report) {
            tell!("azuring: resume with: azuring jobs resume {}{flags}", plan.id);
        }
        if report.counts.problems > 0 {
            let text = "what could not be read or found (directories, links, lines of a list) is not looked at again \
                        when a job is resumed: mend it and run the command anew";
            tell!("azuring: {text}");
        }
    }
    if plans { output::complete(exit) } else { exit }
}

/// Runs a job with its progress shown, if `with_progress` says so; returns how it ended.
pub(crate) fn watch(
    job: Job,
    stop: &StopHandle,
    view: &mut dyn View,
    with_progress: bool,
) -> (JobPlan, Report) {
    let plan = job.plan().clone();
    let output = Output::get();
    // On the terminal that JSON goes to there is no place for a live block.
    let live = with_progress && output.is_text() && output.level == OutputLevel::Default;
    let display = Display::start(job.progress(), Instant::now(), live);
    let (mut log, progress) = (FailureLog::default(), job.progress());
    let print = |lines: Vec<String>| lines.iter().for_each(|line| display.print(line));
    let report = job.run(stop, |event| {
        view.event(&event);
        match event {
            Event::Failed(failure) => {
                let achieved = progress.view().bytes > 0;
                print(log.failed(failure.kind, &failure.reason, format!("failed: {failure}"), achieved));
            }
            Event::Notice(text) => display.print(&format!("azuring: {text}")),
            Event::Way(way) if way.costs() => display.print(&redact(&format!("azuring: {way}"))),
            Event::Done(_) => print(log.achieved()),
            _ => {}
        }
    });
    print(log.end(report.fatal.is_some()));
    display.finish();
    (plan, report)
}

fn announce(plan: &JobPlan) {
    tell!("{}", described(plan));
    for text in io_notice(plan).iter().chain(&plan.scarce) {
        tell!("azuring: {text}");
    }
}

/// What the job will do, and with what.
pub(crate) fn described(plan: &JobPlan) -> String {
    let (lanes, s) = (plan.lanes, if plan.lanes == 1 { "" } else { "s" });
    let verb = match plan.verb {
        Verb::SetProperties => "set properties of",
        verb => verb.name(),
    };
    // A URL that lost a slash is a local path, and one that lost its `?` has no query.
    let mut what = format!("{verb} {}", redact(&plan.source));
    if !plan.destination.is_empty() {
        what += &format!(" to {}", redact(&plan.destination));
    }
    if plan.verb == Verb::Copy {
        what += ", from service to service,";
    }
    format!(
        "{what} with {}: {lanes} lane{s}, {} requests in flight, {} MiB of memory",
        plan.credential,
        plan.concurrency,
        plan.memory_bytes >> 20,
    )
}

/// That files are read the slower way, if they are.
pub(crate) fn io_notice(plan: &JobPlan) -> Option<String> {
    match (plan.verb, &plan.io) {
        (Verb::Upload | Verb::Download, IoPath::Threads { reason }) => {
            Some(format!("reading files with threads: {reason}"))
        }
        _ => None,
    }
}
