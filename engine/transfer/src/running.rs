//! A job that runs while its caller does something else.

use std::sync::Arc;
use std::thread::JoinHandle;

use azuring_job::outcome::{Event, Report};
use azuring_job::progress::Progress;
use azuring_job::verdict::StopHandle;
use tokio::sync::{mpsc, oneshot};

use crate::job::{Job, JobPlan};

/// Events that may wait for their reader; then the job waits.
const WAITING_EVENTS: usize = 1024;
/// The same of a dry run, whose events are batches full of names.
const WAITING_PLANS: usize = 32;

/// A job that runs on its own threads, made by [`Job::start`]. Any executor can await its events and its end.
///
/// Read the events: about a thousand of them can wait, and then the job waits.
///
/// Dropping it stops the job as [`StopHandle::stop`] does. Nothing new is begun, what is in flight is finished, and the
/// threads end a little later. What was done is in the journal, if the job has one. The job can be resumed when its
/// threads have ended; until then it counts as in use. [`Running::outcome`] waits for that.
pub struct Running {
    plan: JobPlan,
    progress: Arc<Progress>,
    stop: StopHandle,
    events: mpsc::Receiver<Event>,
    report: oneshot::Receiver<Report>,
    thread: Option<JoinHandle<()>>,
    ended: bool,
}

impl Job {
    /// Begins to run the job on threads of its own.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(self) -> std::io::Result<Running> {
        Running::start(self)
    }
}

impl Running {
    fn start(job: Job) -> std::io::Result<Self> {
        let (plan, progress, stop) = (job.plan().clone(), job.progress(), StopHandle::new());
        let waiting = if job.options.dry_run { WAITING_PLANS } else { WAITING_EVENTS };
        let (events, receive) = mpsc::channel(waiting);
        let (send, report) = oneshot::channel();
        let theirs = stop.clone();
        let run = move || {
            // Nobody may read any more.
            let ended = job.run(&theirs, |event| drop(events.blocking_send(event)));
            drop(events);
            let _ = send.send(ended);
        };
        let thread = std::thread::Builder::new().name("job".to_owned()).spawn(run)?;
        Ok(Self { plan, progress, stop, events: receive, report, thread: Some(thread), ended: false })
    }

    /// Source, destination, credential and limits of the job, for a person to read.
    pub fn plan(&self) -> &JobPlan {
        &self.plan
    }

    /// Counters of the job, which may be read at any time.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Stops the job. Go on reading its events, or await [`outcome`](Self::outcome): it does not end otherwise.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The next event; `None` when the job has ended. Nothing is lost when the future is dropped.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Waits for the end of the job, and returns its report. Events that were not read are dropped. Dropping this
    /// future before that stops the job.
    pub async fn outcome(mut self) -> Report {
        while self.events.recv().await.is_some() {}
        let report = (&mut self.report).await;
        self.ended = true;
        match (report, self.thread.take().map(JoinHandle::join)) {
            (Ok(report), _) => report,
            (Err(_), Some(Err(panic))) => std::panic::resume_unwind(panic),
            (Err(_), _) => unreachable!("a job that ends has a report"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.stop.stop();
        }
    }
}
