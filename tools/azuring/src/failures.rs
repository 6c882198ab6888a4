//! Which failures are printed as they happen.

use std::collections::HashMap;

use azuring_transfer::FailureKind;

/// Failures that are printed; the rest are counted.
const SHOWN: usize = 1000;
/// Failures for one reason that are printed while that reason may yet stop the whole job.
const ALIKE: u64 = 3;
/// Reasons that are told apart; a job can have as many as objects. What has another is printed at once.
const REASONS: usize = 1000;

/// Decides what is printed. A wrong key meets every file in flight: those lines would all be the same, and the reason
/// for which the job stops is told at its end. Only a job that has achieved nothing stops for a refusal, so once
/// something was transferred every failure is printed at once.
#[derive(Default)]
pub(crate) struct FailureLog {
    shown: usize,
    achieved: bool,
    seen: HashMap<String, u64>,
    held: Vec<String>,
}

impl FailureLog {
    /// The lines to print for a failure. `achieved`: the service has accepted something.
    pub(crate) fn failed(
        &mut self,
        kind: FailureKind,
        reason: &str,
        line: String,
        achieved: bool,
    ) -> Vec<String> {
        let mut lines = if achieved { self.achieved() } else { Vec::new() };
        // These concern their object alone.
        let own = matches!(
            kind,
            FailureKind::Source
                | FailureKind::Destination
                | FailureKind::Name
                | FailureKind::Integrity
                | FailureKind::Interrupted
        );
        let told_apart = self.seen.len() < REASONS || self.seen.contains_key(reason);
        if !own && !self.achieved && told_apart {
            let seen = self.seen.entry(reason.to_owned()).or_default();
            *seen += 1;
            if *seen > ALIKE {
                // One more than is ever printed, so that it is told that there are more.
                if self.held.len() <= SHOWN {
                    self.held.push(line);
                }
                return lines;
            }
        }
        lines.extend(self.show(line));
        lines
    }

    /// The lines that were held back until something was transferred.
    pub(crate) fn achieved(&mut self) -> Vec<String> {
        self.achieved = true;
        self.seen = HashMap::new();
        let held = std::mem::take(&mut self.held);
        held.into_iter().filter_map(|line| self.show(line)).collect()
    }

    /// The lines to print when the job has ended. `fatal`: it was stopped for a reason that concerns every object.
    pub(crate) fn end(&mut self, fatal: bool) -> Vec<String> {
        if !fatal || self.held.is_empty() {
            return self.achieved();
        }
        let more = self.seen.iter().filter(|(_, seen)| **seen > ALIKE);
        let mut lines: Vec<_> = more
            .map(|(reason, seen)| format!("failed: … and {} more like it: {reason}", seen - ALIKE))
            .collect();
        lines.sort();
        lines
    }

    fn show(&mut self, line: String) -> Option<String> {
        self.shown += 1;
        match self.shown {
            ..=SHOWN => Some(line),
            n if n == SHOWN + 1 => {
                Some(format!("azuring: more than {SHOWN} failures; the rest are only counted"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(log: &mut FailureLog, n: usize) -> usize {
        (0..n)
            .map(|n| log.failed(FailureKind::Authentication, "no", format!("failed: {n}: no"), false).len())
            .sum()
    }

    #[test]
    fn a_reason_that_stops_the_job_is_printed_three_times() {
        let mut log = FailureLog::default();
        assert_eq!(refused(&mut log, 64), 3);
        assert_eq!(log.failed(FailureKind::Service, "other", "x".to_owned(), false), ["x"]);
        assert_eq!(log.end(true), ["failed: … and 61 more like it: no"]);
    }

    #[test]
    fn nothing_is_lost_when_the_job_goes_on() {
        let mut log = FailureLog::default();
        assert_eq!(refused(&mut log, 10), 3);
        assert_eq!(log.failed(FailureKind::Service, "x", "x".to_owned(), true).len(), 8);
        assert_eq!(refused(&mut log, 10), 10);
        assert!(log.end(false).is_empty());

        let mut log = FailureLog::default();
        assert_eq!(refused(&mut log, 10), 3);
        assert_eq!(log.end(false).len(), 7);

        let mut log = FailureLog::default();
        let missing =
            |log: &mut FailureLog| log.failed(FailureKind::Source, "gone", "x".to_owned(), false).len();
        assert_eq!((0..10).map(|_| missing(&mut log)).sum::<usize>(), 10);
    }

    #[test]
    fn reasons_without_number_are_not_kept() {
        let mut log = FailureLog::default();
        for n in 0..3 * REASONS {
            let (service, path) = (format!("no {n}"), format!("/dst/{n}: Permission denied"));
            log.failed(FailureKind::Service, &service, "x".to_owned(), false);
            log.failed(FailureKind::Destination, &path, "x".to_owned(), false);
        }
        assert_eq!(log.seen.len(), REASONS);
        assert!(log.seen.keys().all(|reason| reason.starts_with("no ")));
        // Those that are kept are still told apart.
        let again = |log: &mut FailureLog| log.failed(FailureKind::Service, "no 7", "x".to_owned(), false);
        (0..5).for_each(|_| drop(again(&mut log)));
        assert_eq!(log.end(true), ["failed: … and 3 more like it: no 7"]);
    }

    #[test]
    fn a_thousand_lines_are_enough() {
        for held in [false, true] {
            let mut log = FailureLog { achieved: !held, ..FailureLog::default() };
            let told = refused(&mut log, 3000);
            let rest = log.end(false);
            assert_eq!(told + rest.len(), 1001);
        }
    }
}
