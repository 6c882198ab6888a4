//! Commands that are no jobs: one thread, no files, no lanes.

use std::cell::RefCell;
use std::sync::Arc;

use azuring_azure::{Access, BlobClient, BlobUrl, Credential, RequestError, Target};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_job::progress::Progress;
use azuring_job::verdict::{StopHandle, Verdict};
use azuring_lane::descriptors;
use azuring_lane::lane::new_histogram;
use azuring_lane::request::{Begin, Cut, GaveUp, Sender, request};
use azuring_lane::session::Session;
use azuring_ring::{IoPath, LaneRuntime};
use hdrhistogram::Histogram;
use tokio::sync::Semaphore;

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
        let at_once = descriptors::at_once(at_once, &url.endpoint())?;
        let tls = options.tls(&url.endpoint()).map_err(JobError::from)?;
        let target = Target::new(url.clone(), credential.clone(), &options.properties);
        let mut target = target.map_err(JobError::from)?;
        if let Some(prefix) = &options.user_agent_prefix {
            target = target.with_user_agent_prefix(prefix).map_err(JobError::from)?;
        }
        if let Some(encryption) = &options.encryption {
            target = target.with_encryption(encryption).map_err(JobError::from)?;
        }
        let verdict = Verdict::new(stop.clone());
        let session =
            Session::new(options.clone(), (target, access), tls, verdict, Arc::new(Progress::new(0)));
        let latency_us = RefCell::new(new_histogram());
        Ok(Self { session, permits: Semaphore::new(at_once), latency_us, cut: Cut::default() })
    }

    /// Runs `work` with a client on the calling thread.
    pub(crate) fn run<T>(
        &self,
        work: impl AsyncFnOnce(BlobClient) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let runtime = LaneRuntime::new(&IoPath::Threads { reason: String::new() }).map_err(|error| {
            let text = format!("the command could not be started: {error}");
            CommandError::failed(Failure::new(FailureKind::Limit, "", text))
        })?;
        let work = async { work(self.session.client()).await };
        let (cut, verdict) = (&self.cut, &self.session.verdict);
        match self.session.access {
            Access::Read | Access::List => runtime.block_on(cut.watch_reading(verdict, work)),
            _ => runtime.block_on(cut.watch(verdict, work)),
        }
    }

    /// One request, repeated as the options say.
    pub(crate) async fn ask<T>(
        &self,
        mut send: impl AsyncFnMut() -> Result<T, RequestError>,
    ) -> Result<T, GaveUp> {
        request(&self.sender(), 0, Begin::UnlessStopping, async |_| send().await).await
    }

    /// Sends requests of other kinds.
    pub(crate) fn sender(&self) -> Sender<'_> {
        Sender {
            session: &self.session,
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
