//! Transfers in a program that is in tokio's hands: `inside_tokio SOURCE CONTAINER_URL DESTINATION`.
//!
//! Two jobs run at the same time within the budgets of one engine, while the program's other tasks go on: nothing here
//! blocks a thread of the runtime.

use std::error::Error;
use std::path::Path;

use azuring_transfer::{
    BlobUrl, CommandError, Credential, Engine, EngineLimits, Event, Job, JobOptions, Limits, ListOptions,
    Report, nonblocking,
};

/// Runs a job to its end and tells what failed.
async fn run(job: Job) -> std::io::Result<Report> {
    let mut running = job.start()?;
    while let Some(event) = running.next_event().await {
        if let Event::Failed(failure) = event {
            eprintln!("{failure}");
        }
    }
    Ok(running.outcome().await)
}

/// Uploads `source` below `up/` and downloads what is below `down/` to `destination`, both at once. Returns their
/// reports, and how many blobs there are afterwards.
pub(crate) async fn both(
    source: &Path,
    container: &str,
    destination: &Path,
) -> Result<(Report, Report, u64), Box<dyn Error + Send + Sync>> {
    let container = BlobUrl::parse(container)?;
    let credential = Credential::find(&container, |name| std::env::var(name).ok())?;
    let below = |path: &str| BlobUrl::parse(&format!("{container}/{path}"));
    match nonblocking::make_container(&container, &credential, &JobOptions::default()).await {
        Ok(()) | Err(CommandError::ContainerExists) => {}
        Err(error) => return Err(error.into()),
    }
    let engine = Engine::new(EngineLimits::new(Limits::here()).jobs(2))?;
    let up = Job::upload(source, below("up")?, credential.clone()).recursive(true).as_subdir(false);
    let down = Job::download(below("down/*")?, credential.clone(), destination).recursive(true);
    // To build a job looks at the file system, and may log in: that is for a thread that may block.
    let jobs = move || {
        Ok::<_, azuring_transfer::JobError>((
            up.in_engine(&engine).build()?,
            down.in_engine(&engine).build()?,
        ))
    };
    let (up, down) = tokio::task::spawn_blocking(jobs).await??;
    let (up, down) = tokio::join!(run(up), run(down));
    let mut listing = nonblocking::list(&container, &credential, &ListOptions::default())?;
    while let Some(blob) = listing.next().await {
        blob?;
    }
    Ok((up?, down?, listing.totals().files))
}

#[allow(dead_code, reason = "the tests call what it calls")]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [source, container, destination] = &args[..] else {
        return Err("usage: inside_tokio SOURCE CONTAINER_URL DESTINATION".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (up, down, blobs) = runtime.block_on(both(Path::new(source), container, Path::new(destination)))?;
    println!("{} files up, {} down, {blobs} blobs", up.counts.done, down.counts.done);
    Ok(())
}
