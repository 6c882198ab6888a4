//! `azuring jobs`, and what other commands keep of their jobs.
//!
//! ```text
//!   copy, remove, set-properties ─> Origin: typed ─> journal + Description ──┐
//!              ^                                                              v
//!              └─ Origin: resumed <─ resume: the words of then, SAS of now <─ STATE/jobs/ID
//!                                     list, show, remove, clean <─────────────┘
//! ```

mod clean;
mod description;
mod list;
mod resume;
mod show;

use std::cmp::Reverse;
use std::ffi::OsString;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use azuring_transfer::{Job, JobBuilder, JobError, JobId, Jobs, JournalError, RecordedJob, Report};

use crate::cli::jobs::{JobState, JobsCommand};
use crate::exit::Exit;
use crate::hooks;
use crate::output::{self, notice};
use crate::refused::Refused;
use crate::state::{self, State};

use description::{Description, has_sas};
pub(crate) use resume::again;

/// Where a command that is a job comes from.
pub(crate) enum Origin {
    /// From a command line, without the program's name.
    Typed(Vec<OsString>),
    /// From the journal of this job, which goes on.
    Resumed(Jobs, JobId),
}

/// What a job is about, as it was written: URLs with their SAS.
pub(crate) struct Places<'a> {
    pub(crate) source: &'a Path,
    pub(crate) destination: Option<&'a Path>,
    /// The account that a copy goes by.
    pub(crate) staging: Option<&'a Path>,
}

impl Origin {
    /// `job` with what is kept of it, or with what was kept of it. What cannot be kept is told.
    pub(crate) fn keep(&self, job: JobBuilder, command: &'static str, places: &Places<'_>) -> JobBuilder {
        match self {
            Self::Resumed(jobs, id) => job.resume(jobs.clone(), *id),
            Self::Typed(args) => match described(command, args, places) {
                Ok((jobs, description)) => job.journal(jobs, description),
                Err(why) => {
                    notice(&format!("no journal is kept, the job cannot be resumed: {why}"));
                    job
                }
            },
        }
    }
}

/// The job, as far as it can be begun.
///
/// # Errors
/// Why it cannot; where that is its journal, with the way out.
pub(crate) fn build(job: JobBuilder) -> Result<Job, Refused> {
    job.build().map_err(|error| {
        let unwritable =
            matches!(&error, JobError::Journal(JournalError::Io { .. } | JournalError::Full { .. }));
        let refused = Refused::from(error);
        let hint = if unwritable { "; with --no-journal the job runs, and cannot be resumed" } else { "" };
        Refused { text: refused.text + hint, ..refused }
    })
}

/// Where a job is kept, and its description.
fn described(
    command: &'static str,
    args: &[OsString],
    places: &Places<'_>,
) -> Result<(Jobs, Vec<u8>), String> {
    let state = state::find().ok_or(state::NOWHERE)?;
    state::check_home(&state.jobs)?;
    let description = Description::of(command, args, places)?;
    Ok((hooks::jobs(&state.jobs), description.to_bytes()))
}

impl Places<'_> {
    /// The flags that a resumed job needs besides its id: a SAS is never kept.
    pub(crate) fn resume_flags(&self) -> String {
        let flag = |place: Option<&Path>, flag: &str| {
            let signed = place.is_some_and(|place| has_sas(&place.to_string_lossy()));
            if signed { format!(" --{flag}='SAS'") } else { String::new() }
        };
        flag(Some(self.source), "source-sas")
            + &flag(self.destination, "destination-sas")
            + &flag(self.staging, "staging-sas")
    }
}

/// Whether it makes sense to go on with a job that ended so. Problems that are no object's (a directory that cannot be
/// read, a link that points nowhere) are not looked at again: only a new job looks there. Nor does it
/// help where only another command would.
pub(crate) fn is_resumable(report: &Report) -> bool {
    let counts = &report.counts;
    let failed = counts.failed + counts.folders_failed > report.finals;
    let others = failed || counts.not_started() > 0;
    match &report.fatal {
        // Whatever is left is not begun.
        Some(fatal) => !fatal.is_final,
        None => report.interrupted || others,
    }
}

pub(crate) fn run(command: &JobsCommand) -> Exit {
    let done = match command {
        JobsCommand::List(args) => list::run(args),
        JobsCommand::Show(args) => show::run(args),
        JobsCommand::Remove(args) => clean::remove(args),
        JobsCommand::Clean(args) => clean::clean(args),
        JobsCommand::Resume(_) => unreachable!("it has become the command that it resumes"),
    };
    match done {
        Ok(exit) => output::complete(exit),
        Err(refused) => refused.tell(),
    }
}

/// Where everything is kept.
fn kept() -> Result<(State, Jobs), Refused> {
    let Some(state) = state::find() else {
        let text = format!("there is no place where jobs are kept: {}", state::NOWHERE);
        return Err(Refused { text, exit: Exit::Failures });
    };
    let jobs = hooks::jobs(&state.jobs);
    Ok((state, jobs))
}

/// How a job stands, in AzCopy's words.
fn state_of(jobs: &Jobs, job: &RecordedJob) -> String {
    match job.status {
        _ if jobs.is_running(job.id) => "InProgress".to_owned(),
        Some(status) => status.to_string(),
        // Its process ended before it did.
        None => "Cancelled".to_owned(),
    }
}

/// Whether a job that stands like this was asked for. One that cannot be read stands in no way.
fn is_wanted(wanted: JobState, state: Option<&str>) -> bool {
    wanted == JobState::All || state.is_some_and(|state| format!("{wanted:?}") == state)
}

/// A job of the directory.
struct Entry {
    id: JobId,
    /// Begun then, seconds since 1970; of one that cannot be read, written then.
    start: i64,
    written: SystemTime,
    job: Result<(String, Description), String>,
}

impl Entry {
    fn state(&self) -> Option<&str> {
        self.job.as_ref().ok().map(|(state, _)| &**state)
    }
}

/// All jobs, the latest first.
fn entries(jobs: &Jobs) -> Result<Vec<Entry>, JournalError> {
    let mut entries: Vec<_> = jobs
        .list()?
        .into_iter()
        .map(|listed| {
            let id = listed.id;
            let job = RecordedJob::read(jobs, id).map_err(|error| error.to_string());
            let job =
                job.and_then(|job| Ok((state_of(jobs, &job), Description::from_bytes(job.description())?)));
            let written = listed.modified;
            let written_s = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
            let start = job.as_ref().map_or(written_s, |(_, description)| description.start);
            Entry { id, start, written, job }
        })
        .collect();
    entries.sort_by_key(|entry| Reverse((entry.start, entry.written, entry.id)));
    Ok(entries)
}
