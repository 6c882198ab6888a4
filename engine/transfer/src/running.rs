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

/// A job that runs on threads of its own, made by [`Job::start`]. Its events and its end can be awaited by any kind of
/// executor.
///
/// Events have to be read: of those that nobody reads a thousand wait, and then the job does.
///
/// Dropping it stops the job as [`StopHandle::stop`] does: nothing new is started, what is in flight is finished, and the
/// threads end by themselves a little later. What was done is in the journal, if the job has one, and it can be resumed as
/// soon as its threads have ended; until then it is told to be in use. [`Running::outcome`] waits for that.
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

    /// Its state, to be looked at whenever that is wanted.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Stops it. Its events have to be read nevertheless, or the end be awaited.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The next event; `None` when the job has ended. Nothing is lost when the future is dropped.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// How it ended, once it has. Events that were not read are dropped. A future that is dropped before stops the job.
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
