//! A backup that survives whatever happens to its process: `backup SOURCE URL STATE`.
//!
//! At start-up it looks whether an earlier run was cut off, goes on with that job, and only then begins anew. The
//! credential is a SAS in the URL, or what [`Credential::find`] finds in the environment.

use std::error::Error;
use std::path::Path;

use azuring_transfer::{
    BlobUrl, Credential, Event, Job, JobBuilder, JobError, JobStatus, Jobs, RecordedJob, Report, StopHandle,
};

/// Stored with the job and compared, so that nobody goes on with the backup of something else. It holds no secret.
fn description(source: &Path, url: &BlobUrl) -> Vec<u8> {
    format!("backup of {} to {url}", source.display()).into_bytes()
}

fn job(source: &Path, url: &BlobUrl) -> Result<JobBuilder, JobError> {
    let credential = Credential::find(url, |name| std::env::var(name).ok())?;
    Ok(Job::upload(source, url.clone(), credential).recursive(true).as_subdir(false))
}

fn run(job: Job, stop: &StopHandle) -> Report {
    job.run(stop, |event| {
        if let Event::Failed(failure) = event {
            eprintln!("{failure}");
        }
    })
}

/// Goes on with what was cut off, then backs up what is there now. Returns the reports of both.
pub(crate) fn backup(
    source: &Path,
    url: &str,
    state: &Path,
    stop: &StopHandle,
) -> Result<Vec<Report>, Box<dyn Error>> {
    let (url, jobs) = (BlobUrl::parse(url)?, Jobs::new(state));
    let (mine, mut reports) = (description(source, &url), Vec::new());
    for old in jobs.list()? {
        // One that another process has under way is left to it.
        if jobs.is_running(old.id) {
            continue;
        }
        let recorded = RecordedJob::read(&jobs, old.id)?;
        let same = recorded.description() == mine;
        // One without an end was cut off; one that was stopped has more to do.
        let unfinished = matches!(recorded.status, None | Some(JobStatus::Cancelled));
        if same && unfinished {
            reports.push(run(job(source, &url)?.resume(jobs.clone(), old.id).build()?, stop));
        }
        if same && !stop.is_stopped() {
            // What it has done is done; what failed is in the next backup.
            jobs.remove(old.id)?;
        }
    }
    if !stop.is_stopped() {
        reports.push(run(job(source, &url)?.journal(jobs, mine).build()?, stop));
    }
    Ok(reports)
}

#[allow(dead_code, reason = "the tests call what it calls")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [source, url, state] = &args[..] else { return Err("usage: backup SOURCE URL STATE".into()) };
    for report in backup(Path::new(source), url, Path::new(state), &StopHandle::new())? {
        let (done, before) = (report.counts.done, report.before.done);
        println!("{}: {done} files, {before} of them in an earlier run", report.status());
    }
    Ok(())
}
