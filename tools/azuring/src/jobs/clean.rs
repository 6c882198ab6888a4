//! `azuring jobs remove` and `azuring jobs clean`.

use std::path::PathBuf;

use azuring_transfer::{JobId, Jobs, JournalError, RecordedJob, remove_unfinished};
use serde_json::json;

use super::description::Description;
use super::{entries, is_wanted, kept};
use crate::cli::global::OutputType;
use crate::cli::jobs::{CleanJobsArgs, JobState, RemoveJobArgs};
use crate::exit::Exit;
use crate::log;
use crate::output::{self, Output, notice, say};
use crate::refused::Refused;
use crate::state::State;
use crate::view::{json, ndjson};

pub(super) fn remove(args: &RemoveJobArgs) -> Result<Exit, Refused> {
    let (state, jobs) = kept()?;
    let failed = |id: &str, error: &JournalError| {
        let refused = Refused::from(error.clone());
        let text =
            format!("failed to remove log and job plan files for job {id} due to error: {}", refused.text);
        Err(Refused { text, ..refused })
    };
    let id = match jobs.find(&args.job) {
        Ok(id) => id,
        // A job without a journal may have left a log.
        Err(error) => match args.job.to_ascii_lowercase().parse::<JobId>() {
            Ok(id) if log::remove(&state.logs, &id.to_string()) > 0 => return Ok(told(id)),
            _ => return failed(&args.job, &error),
        },
    };
    let unfinished = unfinished(&jobs, id);
    match jobs.remove(id) {
        Ok(()) => {
            log::remove(&state.logs, &id.to_string());
            if let Some(unfinished) = unfinished {
                unfinished.remove();
            }
            Ok(told(id))
        }
        Err(error) => failed(&id.to_string(), &error),
    }
}

fn told(id: JobId) -> Exit {
    end(&format!("Successfully removed log and job plan files for job {id}."));
    if Output::get().kind == OutputType::Ndjson {
        say!("{}", removed(id));
    }
    Exit::Done
}

pub(super) fn clean(args: &CleanJobsArgs) -> Result<Exit, Refused> {
    let (state, jobs) = kept()?;
    let (mut files, mut exit) = (0, Exit::Done);
    for entry in entries(&jobs)?.into_iter().filter(|entry| is_wanted(args.with_status, entry.state())) {
        match discard(&state, &jobs, entry.id) {
            Ok(n) => {
                files += n;
                match Output::get().kind {
                    OutputType::Ndjson => say!("{}", removed(entry.id)),
                    _ if args.with_status == JobState::All => {}
                    _ => info(&format!("Removing files for job {}", entry.id)),
                }
            }
            // That is no failure: it is asked to remove what can be.
            Err(JournalError::InUse(id)) => notice(&format!("job {id} is running: it stays")),
            Err(error) => {
                output::failed(&error.to_string());
                exit = Exit::Failures;
            }
        }
    }
    if args.with_status == JobState::All {
        // Not even these were jobs.
        if let Err(error) = jobs.sweep() {
            output::failed(&error.to_string());
            exit = Exit::Failures;
        }
    }
    if exit == Exit::Done {
        match args.with_status {
            JobState::All => {
                info(&format!("Removed {files} files."));
                end("\nSuccessfully removed all jobs.");
            }
            status => end(&format!("\nSuccessfully removed jobs with status: {status:?}.")),
        }
    }
    Ok(exit)
}

/// What a job has left where it downloaded to.
struct Unfinished {
    id: JobId,
    /// `None`: the place cannot be told any more.
    destination: Option<PathBuf>,
}

/// Whether a job may have left something elsewhere. Of one that cannot be read nobody knows.
fn unfinished(jobs: &Jobs, id: JobId) -> Option<Unfinished> {
    let job = RecordedJob::read(jobs, id).ok()?;
    let description = Description::from_bytes(job.description()).ok()?;
    if !description.is_download() || job.unfinished() == 0 {
        return None;
    }
    // What is not text was changed to be shown.
    let is_exact = !description.destination.contains(char::REPLACEMENT_CHARACTER);
    let directory = description.directory().ok().filter(|_| is_exact);
    Some(Unfinished { id, destination: directory.map(|directory| directory.join(description.destination)) })
}

impl Unfinished {
    /// Removes it, once nobody can go on with the job any more.
    fn remove(self) {
        let Self { id, destination } = self;
        let removed = destination.as_ref().map(|destination| remove_unfinished(id, destination));
        match removed {
            Some(Ok(0)) => {}
            Some(Ok(1)) => notice(&format!("job {id}: its unfinished file was removed too")),
            Some(Ok(n)) => notice(&format!("job {id}: its {n} unfinished files were removed too")),
            Some(Err(_)) | None => {
                let why = match &removed {
                    Some(Err(error)) => format!(" and could not be removed: {error}"),
                    _ => String::new(),
                };
                let digits = id.to_string().replace('-', "");
                notice(&format!(
                    "job {id}: unfinished files may be left where it downloaded to (.azuring-{digits}-*){why}"
                ));
            }
        }
    }
}

/// Removes a job with its logs; returns how many files these were.
fn discard(state: &State, jobs: &Jobs, id: JobId) -> Result<usize, JournalError> {
    let unfinished = unfinished(jobs, id);
    jobs.remove(id)?;
    if let Some(unfinished) = unfinished {
        unfinished.remove();
    }
    Ok(1 + log::remove(&state.logs, &id.to_string()))
}

fn removed(id: JobId) -> String {
    ndjson::line("removed", json!({ "job": id.to_string() }))
}

/// AzCopy's line.
fn info(text: &str) {
    match Output::get().kind {
        OutputType::Json => say!("{}", json::message("Info", &format!("INFO: {text}"))),
        OutputType::Text => say!("INFO: {text}"),
        OutputType::Ndjson | OutputType::None => {}
    }
}

/// AzCopy's last line.
fn end(text: &str) {
    match Output::get().kind {
        OutputType::Json => say!("{}", json::message("EndOfJob", text.trim_start())),
        OutputType::Text => say!("{text}"),
        OutputType::Ndjson | OutputType::None => {}
    }
}
