//! Commands that are no jobs: one thread of their own, no files, no lanes.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use azuring_azure::{Access, BlobUrl, Credential};
use azuring_job::end_error::EndError;
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_job::progress::Progress;
use azuring_job::verdict::{StopHandle, Verdict};
use azuring_lane::client::Client;
use azuring_lane::descriptors;
use azuring_lane::end::End;
use azuring_lane::ends::{Ends, RemoteEnd};
use azuring_lane::request::{Begin, Cut, GaveUp, Sender, new_histogram, request};
use azuring_lane::session::Session;
use azuring_ring::{IoPath, LaneRuntime};
use hdrhistogram::Histogram;
use tokio::sync::{Semaphore, oneshot};

use crate::frame;
use crate::wait::wait_for;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It cannot be begun with this URL, credential or options.
    #[error(transparent)]
    Start(#[from] JobError),
    /// It was begun and not completed; [`Failure::kind`] says what kind of thing went wrong.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// A container is to be made, and the URL names something in one.
    #[error("please provide a valid top-level(ex: File System or Container) resource URL")]
    NotAContainer,
    /// The container that is to be made is there.
    #[error("the container already exists")]
    ContainerExists,
}

impl CommandError {
    /// What kind of thing went wrong; of a command that cannot be begun, [`FailureKind::Usage`].
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Failed(failure) => failure.kind,
            Self::Start(_) | Self::NotAContainer => FailureKind::Usage,
            Self::ContainerExists => FailureKind::Service,
        }
    }

    pub(crate) fn failed(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// What the requests of a command share.
pub(crate) struct Command {
    pub(crate) session: Session,
    permits: Semaphore,
    latency_us: RefCell<Histogram<u64>>,
    cut: Cut,
}

impl Command {
    /// `access`: what the requests do; `at_once`: how many are in flight, at most.
    pub(crate) fn new(
        url: &BlobUrl,
        (credential, access): (&Credential, Access),
        options: &JobOptions,
        stop: &StopHandle,
        at_once: usize,
    ) -> Result<Self, CommandError> {
        url.check_container().map_err(JobError::from)?;
        let at_once = descriptors::at_once(at_once, &url.endpoint())?;
        let (target, tls) = frame::target(url.clone(), || Ok(credential.clone()), options, None)?;
        let end = End::Blob(Box::new(target));
        let verdict = Verdict::new(stop.clone());
        let remote = RemoteEnd::new(end, access, tls, options.crc64);
        let session = Session::new(options.clone(), Ends::one(remote), verdict, Arc::new(Progress::new(0)));
        let latency_us = RefCell::new(new_histogram());
        Ok(Self { session, permits: Semaphore::new(at_once), latency_us, cut: Cut::default() })
    }

    /// Runs `work` with a client on a thread of its own: the calling one may be a runtime's, in which no other can run.
    pub(crate) fn start<T: Send + 'static>(
        self,
        work: impl AsyncFnOnce(&Self, Client) -> Result<T, CommandError> + Send + 'static,
    ) -> Answer<T> {
        let (send, answer) = oneshot::channel();
        let run = move || drop(send.send(self.run(work)));
        let thread = std::thread::Builder::new().name("command".to_owned()).spawn(run);
        Answer { answer, thread: Some(thread), given_up: None }
    }

    /// The same on the calling thread, which must not be a runtime's.
    pub(crate) fn run<T>(
        &self,
        work: impl AsyncFnOnce(&Self, Client) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let runtime = LaneRuntime::new(&IoPath::Threads { reason: String::new() })
            .map_err(|error| not_started(&error))?;
        let work = async { work(self, self.session.source_client()).await };
        let (cut, verdict) = (&self.cut, &self.session.verdict);
        match self.session.ends.from().access {
            Access::Read | Access::List => runtime.block_on(cut.watch_reading(verdict, work)),
            _ => runtime.block_on(cut.watch(verdict, work)),
        }
    }

    /// Requests sent so far.
    pub(crate) fn requests(&self) -> u64 {
        self.session.progress.planner().requests.load(Ordering::Relaxed)
    }

    /// One request, repeated as the options say.
    pub(crate) async fn ask<T, E: Into<EndError>>(
        &self,
        mut send: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T, GaveUp> {
        request(&self.sender(), 0, Begin::UnlessStopping, async |_| send().await).await
    }

    /// Sends requests of other kinds.
    pub(crate) fn sender(&self) -> Sender<'_> {
        Sender {
            session: &self.session,
            side: Side::Source,
            reads_source: false,
            counters: self.session.progress.planner(),
            permits: &self.permits,
            latency_us: &self.latency_us,
            notice: &|_| {},
            cut: &self.cut,
        }
    }

    /// The error of a command whose request failed. What stopped the command counts, not what was given up for it.
    pub(crate) fn failed(&self, gave_up: GaveUp) -> CommandError {
        let mut failure = gave_up.for_object(&self.session, "");
        if failure.kind == FailureKind::Interrupted
            && let Some(first) = self.session.verdict.fatal_failure()
        {
            *failure = first.clone();
        }
        if failure.code.as_deref() == Some("ContainerNotFound") {
            failure.kind = FailureKind::Missing;
        }
        CommandError::Failed(failure)
    }
}

fn not_started(error: &std::io::Error) -> CommandError {
    let text = format!("the command could not be started: {error}");
    CommandError::failed(Failure::new(FailureKind::Limit, "", text))
}

/// What a command that runs has to say at its end.
pub(crate) struct Answer<T> {
    answer: oneshot::Receiver<Result<T, CommandError>>,
    /// `None` once it has ended.
    thread: Option<std::io::Result<JoinHandle<()>>>,
    /// Used when nobody waits for the answer any more.
    given_up: Option<StopHandle>,
}

impl<T> Answer<T> {
    /// Cuts the command short, by the handle that it was made with, when nobody waits for its answer any more.
    pub(crate) fn or_give_up(mut self, stop: StopHandle) -> Self {
        self.given_up = Some(stop);
        self
    }

    /// Blocks until it is there.
    pub(crate) fn wait(self) -> Result<T, CommandError> {
        wait_for(self)
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T, CommandError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(context) else { return Poll::Pending };
        self.given_up = None;
        let thread = self.thread.take().expect("nobody polls what was ready");
        Poll::Ready(match (answer, thread) {
            (Ok(answer), _) => answer,
            (Err(_), Err(error)) => Err(not_started(&error)),
            // It has ended without an answer.
            (Err(_), Ok(thread)) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => unreachable!("a command that ends has an answer"),
            },
        })
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(stop) = &self.given_up {
            stop.cut_short();
        }
    }
}
