//! What every request of a job, or of a single command, has in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use azuring_azure::Access;
use azuring_job::failure::Failure;
use azuring_job::options::{Boundary, JobOptions};
use azuring_job::progress::Progress;
use azuring_job::verdict::Verdict;
use azuring_link::{LinkSettings, Links, Pacer, TlsSetup};

use crate::limits::commons::Commons;
use crate::limits::rate::RequestRate;

use super::ask::Asker;
use super::client::Client;
use super::end::End;

/// Where requests go, within which bounds, and how it has gone so far. Shared by all threads.
pub struct Session {
    /// What the job was told.
    pub options: JobOptions,
    /// Where requests go, and with which credential.
    pub end: End,
    /// What its requests do to the objects.
    pub access: Access,
    pub(crate) tls: Option<TlsSetup>,
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
    /// Exchanges of all clients, which share the least rate.
    under_way: Arc<AtomicU32>,
    /// The limit of requests per second.
    pub(crate) rate: Option<RequestRate>,
    /// Cleared when the server turns out not to take checksums.
    crc64: AtomicBool,
    /// Cleared when it turns out not to compute those of ranges.
    range_crc64: AtomicBool,
    /// Set when it has taken one: later refusals have other reasons.
    crc64_taken: AtomicBool,
}

impl Session {
    /// A session that has sent nothing yet.
    pub fn new(
        options: JobOptions,
        (end, access): (End, Access),
        tls: Option<TlsSetup>,
        verdict: Verdict,
        progress: Arc<Progress>,
    ) -> Self {
        let crc64 = AtomicBool::new(options.crc64);
        let pacer = options.cap_bytes_per_second.map(Pacer::new);
        let rate = options.cap_requests_per_second.map(RequestRate::new);
        let crc64_taken = AtomicBool::new(false);
        let range_crc64 = AtomicBool::new(options.crc64);
        let under_way = Arc::default();
        Self {
            range_crc64,
            options,
            end,
            access,
            tls,
            verdict,
            progress,
            asker: None,
            commons: None,
            pacer,
            under_way,
            rate,
            crc64,
            crc64_taken,
        }
    }

    /// Shares with other jobs. What the job itself is limited to counts all the same.
    pub fn share(&mut self, commons: Arc<Commons>) {
        if let Some(shared) = &commons.pacer {
            let own = self.options.cap_bytes_per_second;
            self.pacer = Some(own.map_or_else(|| Arc::clone(shared), |own| Pacer::below(own, shared)));
        }
        self.commons = Some(commons);
    }

    /// A client of its own, for the calling thread. Needs a lane's runtime.
    pub fn client(&self) -> Client {
        let settings = LinkSettings {
            http: self.options.http,
            stall: self.options.retry.stall,
            tls: self.tls.clone(),
            pacer: self.pacer.clone(),
            proxies: self.options.proxies.clone(),
            under_way: Arc::clone(&self.under_way),
        };
        self.end.client(|target| Links::new(target.url().endpoint(), settings))
    }

    /// The full URL of the blob of this name, without its SAS.
    pub(crate) fn blob_url(&self, name: &str) -> String {
        self.end.url_of(name)
    }

    /// Whether what `object` would replace at `destination` is replaced, says whoever runs the job. Others go on meanwhile.
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

    pub(crate) fn sends_crc64(&self) -> bool {
        self.crc64.load(Ordering::Relaxed)
    }

    /// Whether to ask for the checksums of ranges.
    pub(crate) fn asks_crc64(&self) -> bool {
        self.range_crc64.load(Ordering::Relaxed)
    }

    /// The server does not compute them. `true` for the first one to find out.
    pub(crate) fn asks_no_crc64(&self) -> bool {
        self.range_crc64.swap(false, Ordering::SeqCst)
    }

    /// The server has taken a checksum.
    pub(crate) fn crc64_accepted(&self) {
        if !self.crc64_taken.load(Ordering::Relaxed) {
            self.crc64_taken.store(true, Ordering::Relaxed);
        }
    }

    /// The server has refused a request for its checksum. `None`: not for that, since it has taken one before. Otherwise
    /// the request goes again without; `Some(true)` for the first one to find out.
    pub(crate) fn crc64_refused(&self) -> Option<bool> {
        if self.crc64_taken.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.crc64.swap(false, Ordering::SeqCst))
    }
}
