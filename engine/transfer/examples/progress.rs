//! A download that shows how far it is, and that an empty line stops: `progress URL DESTINATION`.
//!
//! Stopping finishes what is in flight. Whoever has no time for that calls [`StopHandle::cut_short`].

use std::error::Error;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use azuring_transfer::{BlobUrl, Credential, Job, ProgressView, Report, StopHandle};

/// Downloads; `show` is told four times a second, and once more at the end, how far the job is. `stop` may be used from
/// any thread.
pub(crate) fn download(
    url: &str,
    destination: &Path,
    stop: &StopHandle,
    show: impl Fn(ProgressView) + Send,
) -> Result<Report, Box<dyn Error>> {
    let url = BlobUrl::parse(url)?;
    let credential = Credential::find(&url, |name| std::env::var(name).ok())?;
    let job = Job::download(url, credential, destination).recursive(true).build()?;
    let progress = job.progress();
    let (ended, ends) = channel::<()>();
    Ok(std::thread::scope(|scope| {
        scope.spawn(move || {
            // To look costs nothing that the job would feel.
            while ends.recv_timeout(Duration::from_millis(250)) == Err(RecvTimeoutError::Timeout) {
                show(progress.view());
            }
            show(progress.view());
        });
        let report = job.run(stop, |_| {});
        drop(ended);
        report
    }))
}

#[allow(dead_code, reason = "the tests call what it calls")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [url, destination] = &args[..] else { return Err("usage: progress URL DESTINATION".into()) };
    let stop = StopHandle::new();
    let handle = stop.clone();
    std::thread::spawn(move || {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
            handle.stop();
        }
    });
    let report = download(url, Path::new(destination), &stop, |view| {
        let of = if view.scanned { "of" } else { "of at least" };
        eprint!("\r{} {of} {} files, {} MiB", view.done, view.found, view.bytes >> 20);
    })?;
    eprintln!();
    println!("{}: {} files", report.status(), report.counts.done);
    Ok(())
}
