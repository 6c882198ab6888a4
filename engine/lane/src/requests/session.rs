//! What every request of a job, or of a single command, has in common.

use std::sync::Arc;

use azuring_job::failure::{Failure, Side};
use azuring_job::options::{Boundary, JobOptions};
use azuring_job::progress::Progress;
use azuring_job::verdict::Verdict;
use azuring_job::way::Decision;
use azuring_link::{LinkSettings, Links, Pacer};

use crate::limits::commons::Commons;
use crate::limits::rate::RequestRate;
use crate::limits::source_pace::SourcePace;

use super::ask::Asker;
use super::client::Client;
use super::ends::{Ends, RemoteEnd};
use super::route::Route;
use super::staging::Staging;

/// Where requests go, within which bounds, and how it has gone so far. Shared by all threads.
pub struct Session {
    /// What the job was told.
    pub options: JobOptions,
    /// Where requests go, and with which credentials.
    pub ends: Ends<RemoteEnd>,
    /// Which way bytes go from one end to the other.
    pub(crate) route: Route,
    /// Where objects are between both ends, if a third account was named.
    pub staging: Option<Staging>,
    /// How many copies at a time the source bears.
    pub(crate) source_pace: SourcePace,
    /// Whether the job goes on.
    pub verdict: Verdict,
    /// How far it is.
    pub progress: Arc<Progress>,
    /// What it shares with other jobs.
    pub(crate) commons: Option<Arc<Commons>>,
    /// Who is asked what is replaced.
    pub asker: Option<Asker>,
    /// The limit of bytes per second.
    pacer: Option<Arc<Pacer>>,
    /// The limit of requests per second.
    pub(crate) rate: Option<Arc<RequestRate>>,
}

impl Session {
    /// A session that has sent nothing yet.
    pub fn new(
        options: JobOptions,
        ends: Ends<RemoteEnd>,
        verdict: Verdict,
        progress: Arc<Progress>,
    ) -> Self {
        let pacer = options.cap_bytes_per_second.map(Pacer::new);
        let rate = options.cap_requests_per_second.map(|most| Arc::new(RequestRate::new(most)));
        let route = Route::new(&options, &ends, false);
        let source_pace = SourcePace::default();
        let staging = None;
        Self {
            options,
            ends,
            route,
            staging,
            source_pace,
            verdict,
            progress,
            asker: None,
            commons: None,
            pacer,
            rate,
        }
    }

    /// Has a third account between both ends. Nothing was sent yet.
    pub fn stage_by(&mut self, staging: Staging) {
        self.route = Route::new(&self.options, &self.ends, true);
        self.staging = Some(staging);
    }

    /// A client for the staging account, for the calling thread. Needs a lane's runtime.
    pub(crate) fn staging_client(&self) -> Option<Client> {
        self.staging.as_ref().map(|staging| self.client_of(&staging.remote))
    }

    /// Shares with other jobs. What the job itself is limited to counts all the same.
    pub fn share(&mut self, commons: Arc<Commons>) {
        if let Some(shared) = &commons.pacer {
            let own = self.options.cap_bytes_per_second;
            self.pacer = Some(own.map_or_else(|| Arc::clone(shared), |own| Pacer::below(own, shared)));
        }
        self.commons = Some(commons);
    }

    /// Goes on with the clients of an earlier session to the same ends: its limits count for both, and what it has
    /// found out about the services is known.
    pub fn go_on_after(&mut self, earlier: &Self) {
        (self.pacer, self.rate) = (earlier.pacer.clone(), earlier.rate.clone());
        self.ends = earlier.ends.map(RemoteEnd::again);
    }

    /// Which way the bytes of a copy go, as far as that is known by now.
    pub fn way(&self) -> Option<Decision> {
        self.route.decision()
    }

    /// Goes on the way that an earlier run of the job has found out, unless this one is told another.
    pub fn go_on_way(&self, before: Decision) {
        self.route.go_on(before);
    }

    /// A client of its own for each end, for the calling thread. Needs a lane's runtime.
    pub fn clients(&self) -> Ends<Client> {
        self.ends.map(|remote| self.client_of(remote))
    }

    /// A client of its own for the end that objects are found at, for the calling thread. Needs a lane's runtime.
    pub fn source_client(&self) -> Client {
        self.client_of(self.ends.from())
    }

    /// The same for the end that objects are written at.
    pub fn destination_client(&self) -> Client {
        self.client_of(self.ends.to())
    }

    fn client_of(&self, remote: &RemoteEnd) -> Client {
        let settings = LinkSettings::default()
            .http(self.options.http)
            .stall(self.options.retry.stall)
            .tls(remote.tls.clone())
            .pacer(self.pacer.clone())
            .proxies(self.options.proxies.clone())
            .under_way(Arc::clone(&remote.under_way));
        let bounds = (self.pacer.clone(), self.options.retry.stall);
        remote.end.client(|target| Links::new(target.url().endpoint(), settings), bounds)
    }

    /// Waits until so many bytes may have moved that do not pass the links here.
    pub(crate) async fn pace(&self, bytes: u64) {
        if let Some(pacer) = &self.pacer {
            pacer.pass(bytes).await;
        }
    }

    /// Which end a message is about; `None`: there is but one.
    pub(crate) fn named(&self, side: Side) -> Option<Side> {
        self.ends.are_two().then_some(side)
    }

    /// Whether what `object` would replace at `destination` is replaced, says whoever runs the job. Others go on
    /// meanwhile.
    pub(crate) async fn replaces(&self, destination: String, object: &str) -> Result<bool, Box<Failure>> {
        let Some(asker) = &self.asker else { return Ok(false) };
        let answer = asker.ask(destination, || self.verdict.stopping()).await;
        answer.ok_or_else(|| Box::new(Failure::interrupted(object)))
    }

    /// A moment at which a test may end the process.
    pub(crate) fn boundary(&self, moment: &'static str) {
        if let Some(Boundary(reached)) = &self.options.boundary {
            reached(moment);
        }
    }
}
