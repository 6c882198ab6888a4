//! A third account that objects are copied by, where the destination is not admitted to the source and both know it.

use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::{Access, Credential, Target};
use azuring_link::TlsSetup;
use azuring_plan::name::encode_path;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::end::End;
use super::ends::RemoteEnd;

/// The largest object that one request copies ("Put Blob From URL").
pub(crate) const MOST_BYTES: u64 = 5_000 << 20;
/// Room is counted in pieces of this size.
const UNIT: u64 = 1 << 20;

/// Where objects are between source and destination.
pub struct Staging {
    pub(crate) remote: RemoteEnd,
    /// What the names of all begin with: no other job has it.
    prefix: String,
    /// Bytes that may be there at once.
    most: u64,
    room: Semaphore,
    /// It was said that not every object goes by it.
    told: AtomicBool,
}

impl Staging {
    /// At this place, for the job of this id. The path of the URL is a directory.
    pub fn new(target: Target, tls: Option<TlsSetup>, job: [u8; 16], most: u64) -> Self {
        let path = target.url().path().trim_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        let prefix = format!("{path}{slash}azuring-staging-{}", uuid::Uuid::from_bytes(job).simple());
        let units = usize::try_from(most.div_ceil(UNIT)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let remote = RemoteEnd::new(End::Blob(Box::new(target)), Access::Write, tls, false);
        Self { remote, prefix, most, room: Semaphore::new(units), told: AtomicBool::new(false) }
    }

    /// The percent-encoded name of what transfer number `n` has there.
    pub(crate) fn name(&self, n: u64) -> String {
        encode_path(&format!("{}/{n}", self.prefix))
    }

    /// Whether it is the first object that goes round it.
    pub(crate) fn is_first_round(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// Whether so many bytes are ever let there.
    pub(crate) fn holds(&self, bytes: u64) -> bool {
        bytes <= self.most
    }

    /// Waits until there is room for so many bytes. They go away when the permit does.
    pub(crate) async fn room(&self, bytes: u64) -> SemaphorePermit<'_> {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        self.room.acquire_many(units).await.expect("the semaphore is never closed")
    }

    /// Whether the destination may be given access to what is there.
    pub fn may_be_lent_to(&self, to: &End) -> bool {
        match (self.remote.end.credential(), to) {
            (Credential::Token(token), End::Blob(to)) => token.may_be_lent_to(to.url()),
            (_, to) => to.target().is_some(),
        }
    }
}
