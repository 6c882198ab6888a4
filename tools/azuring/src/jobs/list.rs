//! `azuring jobs list`.

use serde::Serialize;
use serde_json::json;

use super::{Entry, entries, is_wanted, kept};
use crate::cli::global::OutputType;
use crate::cli::jobs::ListJobsArgs;
use crate::exit::Exit;
use crate::output::{Output, notice, say};
use crate::refused::Refused;
use crate::view::{json, ndjson};

pub(super) fn run(args: &ListJobsArgs) -> Result<Exit, Refused> {
    let (_, jobs) = kept()?;
    let entries: Vec<_> =
        entries(&jobs)?.into_iter().filter(|entry| is_wanted(args.with_status, entry.state())).collect();
    match Output::get().kind {
        OutputType::Json => say!("{}", as_json(&entries)),
        OutputType::Ndjson => entries.iter().for_each(|entry| say!("{}", as_ndjson(entry))),
        OutputType::Text | OutputType::None => {
            say!("Existing Jobs ");
            entries.iter().for_each(|entry| say!("{}", as_text(entry)));
        }
    }
    Ok(Exit::Done)
}

/// AzCopy's lines.
fn as_text(entry: &Entry) -> String {
    let (id, start) = (entry.id, in_words(entry.start));
    match &entry.job {
        Ok((state, description)) => {
            let line = description.line();
            format!("JobId: {id}\nStart Time: {start}\nStatus: {state}\nCommand: {line} \n")
        }
        Err(why) => format!("JobId: {id}\nStart Time: {start}\nStatus: Unreadable: {why}\n"),
    }
}

/// As RFC 850 has it, in local time: `Sunday, 22-Nov-26 02:26:48 UTC`.
fn in_words(start_s: i64) -> String {
    let zone = jiff::tz::TimeZone::system();
    let at = jiff::Timestamp::from_second(start_s).unwrap_or_default().to_zoned_datetime(zone);
    at.strftime("%A, %d-%b-%y %H:%M:%S %Z").to_string()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JobDetails {
    job_id: String,
    command_string: String,
    start_time: i64,
    job_status: String,
}

/// AzCopy's message. It has no place for jobs that cannot be read: these are told beside it.
fn as_json(entries: &[Entry]) -> String {
    #[derive(Serialize)]
    struct Response {
        #[serde(rename = "ErrorMessage")]
        error: &'static str,
        #[serde(rename = "JobIDDetails")]
        details: Vec<JobDetails>,
    }
    let detail = |entry: &Entry| match &entry.job {
        Ok((state, description)) => Some(JobDetails {
            job_id: entry.id.to_string(),
            command_string: description.line() + " ",
            start_time: entry.start,
            job_status: state.clone(),
        }),
        Err(why) => {
            notice(&format!("job {} cannot be read: {why}", entry.id));
            None
        }
    };
    json::nested("EndOfJob", &Response { error: "", details: entries.iter().filter_map(detail).collect() })
}

fn as_ndjson(entry: &Entry) -> String {
    let (state, description) = match &entry.job {
        Ok((state, description)) => (Some(state), Some(description)),
        Err(_) => (None, None),
    };
    let rest = json!({
        "job": entry.id.to_string(),
        "started": entry.start,
        "status": state,
        "command": description.map(|it| it.command.clone()),
        "line": description.map(super::description::Description::line),
        "source": description.map(|it| it.source.clone()),
        "destination": description.map(|it| it.destination.clone()),
        "unreadable": entry.job.as_ref().err(),
    });
    ndjson::line("job", rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_azcopy_does() {
        let told = in_words(1_795_345_731);
        let (day, rest) = told.split_once(", ").unwrap();
        assert!(day.ends_with("day"), "{told}");
        assert!(rest.contains("-Nov-26 "), "{told}");
        assert!(rest.split(' ').count() == 3, "{told}");
    }
}
