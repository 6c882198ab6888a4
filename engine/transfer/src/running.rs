//! A job, or a part, that runs while its caller does something else.

use std::sync::Arc;
use std::thread::JoinHandle;

use azuring_job::job_error::JobError;
use azuring_job::outcome::{Event, Report};
use azuring_job::part::Part;
use azuring_job::progress::Progress;
use azuring_job::verdict::StopHandle;
use tokio::sync::{mpsc, oneshot};

use crate::crew::{Crew, PartRun};
use crate::job::{Job, JobPlan};

/// Events that may wait for their reader; then the job waits.
const WAITING_EVENTS: usize = 1024;
/// The same of a dry run, whose events are batches full of names.
const WAITING_PLANS: usize = 32;

/// What runs on a thread of its own, and tells events and an end. Dropping it stops it.
struct Course<T> {
    stop: StopHandle,
    events: mpsc::Receiver<Event>,
    end: oneshot::Receiver<T>,
    thread: Option<JoinHandle<()>>,
    ended: bool,
}

impl<T: Send + 'static> Course<T> {
    fn start(
        name: &str,
        waiting: usize,
        run: impl FnOnce(&StopHandle, &mut dyn FnMut(Event)) -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, (events, receive), (send, end)) =
            (StopHandle::new(), mpsc::channel(waiting), oneshot::channel());
        let theirs = stop.clone();
        let caller = tracing::Span::current();
        let run = move || {
            let _in = caller.entered();
            // Nobody may read any more.
            let ended = run(&theirs, &mut |event| drop(events.blocking_send(event)));
            drop(events);
            let _ = send.send(ended);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { stop, events: receive, end, thread: Some(thread), ended: false })
    }

    async fn end(mut self) -> T {
        while self.events.recv().await.is_some() {}
        let end = (&mut self.end).await;
        self.ended = true;
        match (end, self.thread.take().map(JoinHandle::join)) {
            (Ok(end), _) => end,
            (Err(_), Some(Err(panic))) => std::panic::resume_unwind(panic),
            (Err(_), _) => unreachable!("what runs to its end tells it"),
        }
    }
}

impl<T> Drop for Course<T> {
    fn drop(&mut self) {
        if !self.ended {
            self.stop.stop();
        }
    }
}

/// A job that runs on threads of its own, made by [`Job::start`]. Its events and its end can be awaited by any kind of
/// executor.
///
/// Read the events: about a thousand of them can wait, and then the job waits.
///
/// Dropping it stops the job as [`StopHandle::stop`] does. Nothing new is begun, what is in flight is finished, and the
/// threads end a little later. What was done is in the journal, if the job has one. The job can be resumed when its
/// threads have ended; until then it counts as in use. [`Running::outcome`] waits for that.
pub struct Running {
    plan: JobPlan,
    progress: Arc<Progress>,
    course: Course<Report>,
}

impl Job {
    /// Begins to run the job on threads of its own.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(self) -> std::io::Result<Running> {
        let (plan, progress) = (self.plan().clone(), self.progress());
        let waiting = if self.options.dry_run { WAITING_PLANS } else { WAITING_EVENTS };
        let course = Course::start("job", waiting, move |stop, tell| self.run(stop, tell))?;
        Ok(Running { plan, progress, course })
    }
}

impl Running {
    /// What it does.
    pub fn plan(&self) -> &JobPlan {
        &self.plan
    }

    /// Counters of the job, which may be read at any time.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Stops the job. Go on reading its events, or await [`outcome`](Self::outcome): it does not end otherwise.
    pub fn stop_handle(&self) -> StopHandle {
        self.course.stop.clone()
    }

    /// The next event; `None` when the job has ended. Nothing is lost when the future is dropped.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.course.events.recv().await
    }

    /// How it ended, once it has. Events that were not read are dropped. A future that is dropped before stops the job.
    pub async fn outcome(self) -> Report {
        self.course.end().await
    }
}

/// A part that a crew runs while its caller does something else, made by [`Crew::start`]. Its events have to be read as
/// those of [`Running`].
///
/// Dropping it stops the part, and the crew goes home: its threads end by themselves a little later. Nobody has the
/// outcomes then, so that the part has to be run again, as [`Part::again`].
pub struct RunningPart(Course<(Crew, Result<PartRun, JobError>)>);

impl Crew {
    /// Begins to run a part, as [`Crew::run`] does, on a thread of its own. The crew comes back with the outcomes.
    ///
    /// # Errors
    /// When the system refuses a thread; the crew has gone home then.
    pub fn start(mut self, part: Part) -> std::io::Result<RunningPart> {
        let run = move |stop: &StopHandle, tell: &mut dyn FnMut(Event)| {
            let run = self.run(part, stop, tell);
            (self, run)
        };
        Ok(RunningPart(Course::start("part", WAITING_EVENTS, run)?))
    }
}

impl RunningPart {
    /// Stops it. Its events have to be read nevertheless, or the end be awaited.
    pub fn stop_handle(&self) -> StopHandle {
        self.0.stop.clone()
    }

    /// The next event; `None` when the part has ended. Nothing is lost when the future is dropped.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.0.events.recv().await
    }

    /// The crew, and how the part ended, once it has. Events that were not read are dropped.
    pub async fn outcome(self) -> (Crew, Result<PartRun, JobError>) {
        self.0.end().await
    }
}
