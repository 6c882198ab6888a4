//! Exit codes: a contract with scripts.

use std::ffi::OsStr;
use std::path::Path;

use azuring_transfer::{CommandError, FailureKind, JobError, JournalError, Report, UrlError};

/// How the process ends. The numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// Done, with failures.
    Failures = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The credential is malformed, missing, or was refused.
    Authentication = 3,
    /// The source is missing or cannot be read.
    Source = 4,
    /// The service could not be reached, or was busy or silent until the attempts were used up.
    GaveUp = 5,
    /// Interrupted.
    Interrupted = 6,
    /// Bytes differ from what was sent.
    Integrity = 7,
    /// A limit of the service or of the job was reached.
    Limit = 8,
    /// A fault of the program itself: it panicked. What was transferred until then is unknown.
    Internal = 10,
}

impl Exit {
    /// The code for whoever called. Under the name `azcopy` (a link) it is AzCopy's: 0, or 1 for whatever went wrong.
    pub(crate) fn code(self, called: &OsStr) -> u8 {
        let is_azcopy = Path::new(called).file_name().is_some_and(|name| name == "azcopy");
        if is_azcopy { u8::from(self != Self::Done) } else { self as u8 }
    }
}

/// The code of a job that could not be started.
pub(crate) fn of_error(error: &JobError) -> Exit {
    match error {
        JobError::Source(_) => Exit::Source,
        JobError::Credential(_) | JobError::Url(UrlError::Sas { .. }) => Exit::Authentication,
        JobError::Journal(error) => of_journal(error),
        JobError::Descriptors { .. } => Exit::Limit,
        _ => Exit::Usage,
    }
}

/// The code of a command whose job's journal cannot be made or read.
fn of_journal(error: &JournalError) -> Exit {
    match error {
        JournalError::NoSuchJob(_) | JournalError::Ambiguous { .. } => Exit::Usage,
        JournalError::Full { .. } => Exit::Limit,
        _ => Exit::Failures,
    }
}

/// The code of a command that is no job and was not carried out.
pub(crate) fn of_command(error: &CommandError) -> Exit {
    match error {
        CommandError::Start(error) => of_error(error),
        CommandError::Failed(failure) => of_kind(failure.kind),
        CommandError::NotAContainer => Exit::Usage,
        _ => Exit::Failures,
    }
}

/// The code of a job that has ended.
pub(crate) fn of_report(report: &Report) -> Exit {
    // Damage is told even of a job that was interrupted.
    if report.kinds.contains(&FailureKind::Integrity) {
        return Exit::Integrity;
    }
    if report.interrupted {
        return Exit::Interrupted;
    }
    if let Some(fatal) = &report.fatal {
        return of_kind(fatal.kind);
    }
    match report.kinds.as_slice() {
        [] => Exit::Done,
        // Several kinds, or one that concerns single objects.
        [FailureKind::Authentication | FailureKind::Missing] if report.counts.done > 0 => Exit::Failures,
        [one] => of_kind(*one),
        kinds if kinds.iter().all(|kind| of_kind(*kind) == Exit::GaveUp) => Exit::GaveUp,
        _ => Exit::Failures,
    }
}

/// The code of what went wrong.
pub(crate) fn of_kind(kind: FailureKind) -> Exit {
    match kind {
        FailureKind::Authentication => Exit::Authentication,
        FailureKind::Throttled | FailureKind::Network => Exit::GaveUp,
        FailureKind::Integrity => Exit::Integrity,
        FailureKind::Limit => Exit::Limit,
        FailureKind::Missing => Exit::Source,
        FailureKind::Usage => Exit::Usage,
        FailureKind::Interrupted => Exit::Interrupted,
        _ => Exit::Failures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;

    fn ended(interrupted: bool, kinds: &[FailureKind]) -> Exit {
        let mut report = Report::new(Histogram::new(3).unwrap());
        (report.interrupted, report.kinds) = (interrupted, kinds.to_vec());
        of_report(&report)
    }

    #[test]
    fn damage_wins_over_every_other_end() {
        use FailureKind::{Integrity, Interrupted, Network, Service, Throttled};
        for interrupted in [false, true] {
            assert_eq!(ended(interrupted, &[Integrity]), Exit::Integrity);
            assert_eq!(ended(interrupted, &[Interrupted, Service, Integrity]), Exit::Integrity);
        }
        assert_eq!(ended(true, &[]), Exit::Interrupted);
        assert_eq!(ended(true, &[Service, Network]), Exit::Interrupted);
        assert_eq!(ended(false, &[Throttled, Network]), Exit::GaveUp);
        assert_eq!(ended(false, &[Service, Network]), Exit::Failures);
        assert_eq!(ended(false, &[]), Exit::Done);
    }

    #[test]
    fn under_azcopys_name_there_are_two_codes() {
        for called in ["azcopy", "/usr/local/bin/azcopy", "./azcopy"] {
            assert_eq!(Exit::Done.code(called.as_ref()), 0);
            for exit in [Exit::Failures, Exit::Usage, Exit::Interrupted, Exit::Internal] {
                assert_eq!(exit.code(called.as_ref()), 1, "{called}");
            }
        }
        for called in ["azuring", "/azcopy/azuring", "azcopy2", ""] {
            assert_eq!(Exit::Integrity.code(called.as_ref()), 7, "{called}");
        }
    }
}
