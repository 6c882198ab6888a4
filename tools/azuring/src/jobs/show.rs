//! `azuring jobs show`.

use std::ops::ControlFlow;

use azuring_plan::name;
use azuring_transfer::{Entity, Failure, RecordedJob, RecordedState, RecordedTransfer, SkippedKind};
use serde_json::{Value, json};

use super::description::Description;
use super::{kept, state_of};
use crate::cli::global::OutputType;
use crate::cli::jobs::{ShowJobArgs, TransferState};
use crate::exit::Exit;
use crate::output::{Output, Sink, notice, say};
use crate::redact::redact;
use crate::refused::Refused;
use crate::summary;
use crate::view::json::{JobSummary, LISTED, Transfers};
use crate::view::{json, ndjson, route};

pub(super) fn run(args: &ShowJobArgs) -> Result<Exit, Refused> {
    let (_, jobs) = kept()?;
    let id = jobs.find(&args.job)?;
    let state = RecordedJob::read(&jobs, id).map(|job| (state_of(&jobs, &job), job));
    let (state, job) = state?;
    match (args.failed.0, args.with_status) {
        (true, _) if args.names.0 => names(&job)?,
        (true, _) => list(&job, TransferState::Failed)?,
        (false, Some(wanted)) => list(&job, wanted)?,
        (false, None) => summary(&job, &state)?,
    }
    if job.cut_off_bytes > 0 && Output::get().is_text() {
        notice("a crash cut off the end of the journal; what it recorded is done again");
    }
    Ok(Exit::Done)
}

fn summary(job: &RecordedJob, state: &str) -> Result<(), Refused> {
    match Output::get().kind {
        OutputType::Json => {
            let mut failed = Transfers::default();
            every(job, TransferState::Failed, |shown| {
                if let Shown::Failure(failure) = shown {
                    failed.failed(&failure);
                }
                ControlFlow::Continue(())
            })?;
            let id = job.id.to_string();
            let summary = JobSummary::of(&id, &job.counts, state, job.elapsed);
            let summary = summary.with(job.scanned, &failed).going(job.way().as_ref(), &job.counts);
            say!("{}", json::nested("GetJobSummary", &summary));
            say!("{}", json::nested("EndOfJob", &summary));
        }
        OutputType::Ndjson => say!("{}", as_ndjson(job, state)),
        OutputType::Text | OutputType::None => say!("{}", as_text(job, state)),
    }
    Ok(())
}

/// AzCopy's summary of a job that is shown.
fn as_text(job: &RecordedJob, state: &str) -> String {
    let counts = &job.counts;
    let mut text = format!("\nJob {} summary\n", job.id);
    let fields = [
        ("Number of File Transfers Skipped", counts.skipped_existing),
        ("Number of Folder Transfers Skipped", 0),
        ("Total Number of Bytes Transferred", counts.bytes),
    ];
    for (name, value) in summary::transfers(counts).into_iter().chain(fields) {
        text += &format!("{name}: {value}\n");
    }
    if let Some(way) = job.way() {
        text += &format!("Bytes Moved by the Service: {}\n", counts.bytes_by_service);
        text += &format!("Bytes Sent through This Host: {}\n", counts.bytes_sent);
        text += &format!("Route: {}: {}\n", way.way.name(), redact(&way.to_string()));
    }
    let percent = json::percent(counts);
    text + &format!("Percent Complete (approx): {percent:.1}\nFinal Job Status: {state}\n")
}

fn as_ndjson(job: &RecordedJob, state: &str) -> String {
    let counts = &job.counts;
    let description = Description::from_bytes(job.description()).ok();
    let description = description.as_ref();
    let mut rest = json!({
        "job": job.id.to_string(),
        "started": description.map_or(0, |it| it.start),
        "status": state,
        "command": description.map(|it| it.command.clone()),
        "line": description.map(Description::line),
        "source": description.map(|it| it.source.clone()),
        "destination": description.map(|it| it.destination.clone()),
        "scanned": job.scanned,
        "seconds": job.elapsed.as_secs_f64(),
        "found": counts.found,
        "done": counts.done,
        "failed": counts.failed,
        "folders_done": counts.folders_done,
        "folders_failed": counts.folders_failed,
        "problems": counts.problems,
        "skipped_existing": counts.skipped_existing,
        "not_ended": counts.not_started(),
        "bytes": counts.bytes,
    });
    if let (Value::Object(fields), Some(way)) = (&mut rest, job.way()) {
        fields.insert("bytes_sent".to_owned(), counts.bytes_sent.into());
        fields.insert("bytes_by_service".to_owned(), counts.bytes_by_service.into());
        fields.extend(route::fields(&way));
    }
    ndjson::line("job", rest)
}

/// What is shown of a job, one line each.
enum Shown {
    /// Name and state of something that did not fail.
    Transfer(String, &'static str, bool),
    /// Something that did.
    Failure(Box<Failure>),
}

/// Calls `take` for what was asked for, until it breaks.
fn every(
    job: &RecordedJob,
    wanted: TransferState,
    mut take: impl FnMut(Shown) -> ControlFlow<()>,
) -> Result<(), Refused> {
    let mut on = ControlFlow::Continue(());
    job.transfers(|transfer| {
        if on.is_continue()
            && let Some(shown) = shown(transfer, wanted)
        {
            on = take(shown);
        }
    })?;
    if matches!(wanted, TransferState::All | TransferState::Failed) {
        job.problems(|failure| {
            if on.is_continue() {
                on = take(Shown::Failure(Box::new(failure)));
            }
        })?;
    }
    Ok(())
}

/// A transfer, if it stands as was asked for.
fn shown(transfer: RecordedTransfer<'_>, wanted: TransferState) -> Option<Shown> {
    let (state, word) = match transfer.state {
        RecordedState::Done => (TransferState::Success, "Success"),
        RecordedState::Skipped(SkippedKind::HasSnapshots) => {
            (TransferState::SkippedBlobHasSnapshots, "SkippedBlobHasSnapshots")
        }
        RecordedState::Skipped(_) => {
            (TransferState::SkippedEntityAlreadyExists, "SkippedEntityAlreadyExists")
        }
        RecordedState::Failed => (TransferState::Failed, "Failed"),
        // Pending: everything else has ended.
        _ => (TransferState::Started, "NotStarted"),
    };
    let same = wanted == state || (wanted == TransferState::NotStarted && state == TransferState::Started);
    if wanted != TransferState::All && !same {
        return None;
    }
    Some(match transfer.failure {
        Some(failure) => Shown::Failure(Box::new(failure)),
        None => Shown::Transfer(name::escape(transfer.name), word, transfer.entity == Entity::Folder),
    })
}

fn list(job: &RecordedJob, wanted: TransferState) -> Result<(), Refused> {
    // A job that has ended forgets the others.
    if job.status.is_some() && job.counts.not_started() == 0 && wanted != TransferState::Failed {
        notice("the job has ended: only what failed is still listed");
    }
    let id = job.id.to_string();
    if Output::get().kind == OutputType::Json {
        let mut transfers = Transfers::default();
        every(job, wanted, |shown| {
            match shown {
                Shown::Failure(failure) => transfers.failed(&failure),
                Shown::Transfer(name, word, folder) => transfers.other(&name, word, folder),
            }
            ControlFlow::Continue(())
        })?;
        if transfers.is_cut {
            notice(&format!("only the first {LISTED} are listed; --output-type=ndjson lists all"));
        }
        let listed = transfers.of_job(&id);
        say!("{}", json::nested("ListJobTransfers", &listed));
        say!("{}", json::nested("EndOfJob", &listed));
        return Ok(());
    }
    let is_ndjson = Output::get().kind == OutputType::Ndjson;
    let mut sink = Sink::stdout();
    if !is_ndjson {
        let _ = sink.line(&format!("----------- Transfers for JobId {id} -----------"));
    }
    every(job, wanted, |shown| {
        sink.line(&match shown {
            Shown::Failure(failure) if is_ndjson => ndjson::failed(&failure),
            Shown::Transfer(name, word, _) if is_ndjson => {
                ndjson::line("transfer", json!({ "object": name, "status": word }))
            }
            Shown::Failure(failure) => {
                let source = if failure.source.is_empty() { &failure.object } else { &failure.source };
                format!("transfer--> source: {source} destination: {} status Failed", failure.destination)
            }
            Shown::Transfer(name, word, _) => {
                format!("transfer--> source: {name} destination:  status {word}")
            }
        })
    })?;
    sink.end();
    Ok(())
}

/// What failed, as a list of files.
fn names(job: &RecordedJob) -> Result<(), Refused> {
    let mut sink = Sink::stdout();
    every(job, TransferState::Failed, |shown| match shown {
        Shown::Failure(failure) if !failure.object.is_empty() => sink.line(&failure.object),
        _ => ControlFlow::Continue(()),
    })?;
    sink.end();
    Ok(())
}
