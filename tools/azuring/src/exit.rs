//! Exit codes: a contract with scripts.

use std::process::ExitCode;

use azuring_transfer::{FailureKind, JobError, Report, UrlError};

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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// The code of a job that could not be started.
pub(crate) fn of_error(error: &JobError) -> Exit {
    match error {
        JobError::Source(_) => Exit::Source,
        JobError::Credential(_) | JobError::Url(UrlError::Sas { .. }) => Exit::Authentication,
        _ => Exit::Usage,
    }
}

/// The code of a job that has ended.
pub(crate) fn of_report(report: &Report) -> Exit {
    if report.interrupted {
        return Exit::Interrupted;
    }
    if report.kinds.contains(&FailureKind::Integrity) {
        return Exit::Integrity;
    }
    if let Some(fatal) = &report.fatal {
        return of_kind(fatal.kind);
    }
    match report.kinds.as_slice() {
        [] => Exit::Done,
        // Several kinds, or one that concerns single objects.
        [FailureKind::Authentication] if report.counts.done > 0 => Exit::Failures,
        [one] => of_kind(*one),
        kinds if kinds.iter().all(|kind| of_kind(*kind) == Exit::GaveUp) => Exit::GaveUp,
        _ => Exit::Failures,
    }
}

fn of_kind(kind: FailureKind) -> Exit {
    match kind {
        FailureKind::Authentication => Exit::Authentication,
        FailureKind::Throttled | FailureKind::Network => Exit::GaveUp,
        FailureKind::Integrity => Exit::Integrity,
        FailureKind::Limit => Exit::Limit,
        FailureKind::Interrupted => Exit::Interrupted,
        _ => Exit::Failures,
    }
}
