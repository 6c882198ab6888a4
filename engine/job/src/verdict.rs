//! Whether the job goes on: the caller's wish, and errors that concern everything.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::failure::{Blocked, Failure};

/// Tells a running job to stop. Clones act on the same job.
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    asked: Arc<AtomicBool>,
    cut: Arc<AtomicBool>,
}

impl StopHandle {
    /// A handle that has not been used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts nothing new; what is in flight is finished. Safe in a signal handler's thread.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// Waits no longer for what is in flight either: requests are given up as they stand. What they were about is done
    /// again when the job is resumed.
    pub fn cut_short(&self) {
        self.stop();
        self.cut.store(true, Ordering::SeqCst);
    }

    /// Whether [`StopHandle::cut_short`] was called.
    pub fn is_cut_short(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// The flag behind the handle, for those who look at it themselves.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// Whether [`StopHandle::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Objects that may be refused one after the other, with nothing ever accepted, before the job stops: a
/// credential without the permission would otherwise fail millions of times.
const REFUSED_IN_VAIN: u32 = 100;

/// Files that may fail for a reason that meets all of them before the job stops: what is in flight by then is all that
/// was fetched in vain. A single one may be a coincidence, such as a file that is larger than the room that is left.
const BLOCKED_IN_VAIN: u32 = 10;

/// How one remote end of a job has answered so far. A source that answers says nothing of the destination's credential,
/// so each end has its own.
#[derive(Debug, Default)]
pub struct Reception {
    accepted: AtomicBool,
    refused: AtomicU32,
}

impl Reception {
    /// It accepted a request: from now on a refusal concerns its object alone.
    pub fn accepted(&self) {
        if !self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it has accepted a request.
    pub fn ever_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// Shared by all threads of a job.
#[derive(Debug, Default)]
pub struct Verdict {
    stop: StopHandle,
    fatal: OnceLock<Failure>,
    gave_up: AtomicBool,
    /// A file was written.
    written: AtomicBool,
    /// Files for which there was no room, or which may not be written on this file system: never forgotten.
    no_room: AtomicU32,
    /// Files that failed with the file system, or were denied, since one was written.
    in_vain: AtomicU32,
    /// The job stops because nothing can be written.
    blocked: AtomicBool,
}

impl Verdict {
    /// Of a job that this handle stops.
    pub fn new(stop: StopHandle) -> Self {
        Self { stop, ..Self::default() }
    }

    /// Whether nothing new may be started.
    pub fn stopping(&self) -> bool {
        self.gave_up.load(Ordering::Relaxed) || self.stop.is_stopped()
    }

    /// Stops the job whatever it has achieved.
    pub fn give_up(&self) {
        self.gave_up.store(true, Ordering::SeqCst);
    }

    /// Set when somebody stops the job.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.flag()
    }

    /// Whether nothing is waited for any more.
    pub fn is_cut_short(&self) -> bool {
        self.stop.is_cut_short()
    }

    /// Whether somebody has stopped the job.
    pub fn interrupted(&self) -> bool {
        self.stop.is_stopped()
    }

    /// An error of one end that would meet every object. Returns whether the job stops for it: not when that end has
    /// accepted others.
    pub fn fatal(&self, reception: &Reception, failure: &Failure) -> bool {
        if reception.ever_accepted() {
            return false;
        }
        self.stop_for(failure);
        true
    }

    /// Stops the job for this reason, whatever it has achieved.
    pub fn stop_for(&self, failure: &Failure) {
        let mut whole = failure.clone();
        whole.object = String::new();
        // The first one is told; the others are the same.
        let _ = self.fatal.set(whole);
        self.give_up();
    }

    /// An object was refused by this end for its permissions.
    pub fn refused(&self, reception: &Reception, failure: &Failure) {
        let in_vain = || reception.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if !reception.ever_accepted() && in_vain() >= REFUSED_IN_VAIN {
            self.fatal(reception, failure);
        }
    }

    /// A file was written.
    pub fn wrote(&self) {
        if !self.written.load(Ordering::Relaxed) {
            self.written.store(true, Ordering::Relaxed);
        }
        if self.in_vain.load(Ordering::Relaxed) > 0 {
            self.in_vain.store(0, Ordering::Relaxed);
        }
    }

    /// A file could not be written for a reason that meets others; `of_all` says it of the job. Returns whether the job
    /// had stopped for that before: then this file has not failed by itself.
    pub fn blocked(&self, blocked: Blocked, of_all: impl FnOnce() -> Failure) -> bool {
        if self.blocked.load(Ordering::SeqCst) {
            return true;
        }
        let counter = match blocked {
            Blocked::Full | Blocked::ReadOnly => &self.no_room,
            // Others can be written.
            Blocked::Denied if self.written.load(Ordering::Relaxed) => return false,
            Blocked::Broken | Blocked::Denied => &self.in_vain,
        };
        if counter.fetch_add(1, Ordering::SeqCst) + 1 >= BLOCKED_IN_VAIN {
            self.blocked.store(true, Ordering::SeqCst);
            self.stop_for(&of_all());
        }
        false
    }

    /// Why the job stops, if it does by itself.
    pub fn fatal_failure(&self) -> Option<&Failure> {
        self.fatal.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    #[test]
    fn a_fatal_error_stops_only_a_job_whose_end_has_accepted_nothing() {
        let failure = Failure::new(FailureKind::Authentication, "a", "no");
        let (fresh, silent) = (Verdict::default(), Reception::default());
        assert!(fresh.fatal(&silent, &failure) && fresh.stopping());
        assert_eq!(fresh.fatal_failure().unwrap().object, "");
        let (running, answers) = (Verdict::default(), Reception::default());
        answers.accepted();
        assert!(!running.fatal(&answers, &failure) && !running.stopping());
        for _ in 0..200 {
            running.refused(&answers, &failure);
        }
        assert!(!running.stopping());
        // What one end has accepted says nothing of the other.
        assert!(running.fatal(&silent, &failure) && running.stopping());
    }

    #[test]
    fn a_file_system_that_takes_nothing_stops_the_job_after_a_few_files() {
        let failure = || Failure::new(FailureKind::Destination, "", "no");
        for (blocked, forgets, needs_none) in [
            (Blocked::Full, false, false),
            (Blocked::ReadOnly, false, false),
            (Blocked::Broken, true, false),
            (Blocked::Denied, true, true),
        ] {
            let verdict = Verdict::default();
            for _ in 0..BLOCKED_IN_VAIN - 1 {
                assert!(!verdict.blocked(blocked, failure));
            }
            assert!(!verdict.stopping());
            verdict.wrote();
            assert!(!verdict.blocked(blocked, failure));
            assert_eq!(verdict.stopping(), !forgets, "{blocked:?}");
            for _ in 0..BLOCKED_IN_VAIN {
                verdict.blocked(blocked, failure);
            }
            assert_eq!(verdict.stopping(), !needs_none, "{blocked:?}");
            assert_eq!(verdict.blocked(blocked, failure), !needs_none, "those in flight have not failed");
        }
    }

    #[test]
    fn a_hundred_refusals_in_vain_stop_the_job() {
        let failure = Failure::new(FailureKind::Authentication, "a", "no");
        let (verdict, reception) = (Verdict::default(), Reception::default());
        for _ in 0..REFUSED_IN_VAIN - 1 {
            verdict.refused(&reception, &failure);
        }
        assert!(!verdict.stopping());
        verdict.refused(&reception, &failure);
        assert!(verdict.stopping());
    }
}
