//! A page blob is written by several lanes at a time, and everybody sees it: a lease holds it against other writers.
//!
//! The lease lasts a minute and is renewed beside whatever goes on under it, since on a slow line a few pages take
//! longer than that. After a crash it has run out when the minute is over, so nobody else is locked out. Its id follows
//! from job and transfer, so that a job that is resumed has it again at once; and that it can be renewed at all says
//! that nobody else has written to the blob since.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use azuring_azure::{Clock, LEASE_SECONDS};
use azuring_job::end_error::EndError;
use azuring_job::outcome::TransferId;
use md5::{Digest, Md5};

use crate::requests::look::Look;
use crate::requests::request::{Begin, GaveUp, request};

/// A lease is renewed when a third of its time is over: two renewals may fail.
const RENEWED_AFTER: Duration = Duration::from_secs(LEASE_SECONDS / 3);
/// So often one request may meet a lease that has run out: each time the machine has slept.
const RUNS_OUT: u32 = 5;

/// The lease on one blob, shared by the lanes.
#[derive(Debug)]
pub(crate) struct Hold {
    /// A UUID.
    pub(crate) id: String,
    clock: Clock,
    begun: Instant,
    /// When it was acquired or renewed, milliseconds after `begun`.
    renewed_ms: AtomicU64,
    /// Cleared for good where the server knows no leases.
    is_held: AtomicBool,
}

impl Hold {
    pub(crate) fn new(job: [u8; 16], transfer: TransferId, clock: Clock) -> Self {
        let mut id = Md5::new();
        id.update(b"lease");
        id.update(job);
        id.update(transfer.number().to_le_bytes());
        let id = uuid::Builder::from_random_bytes(id.finalize().into()).into_uuid().to_string();
        let begun = clock.now();
        Self { id, clock, begun, renewed_ms: AtomicU64::new(0), is_held: AtomicBool::new(false) }
    }

    /// The lease for a request, where there is one.
    pub(crate) fn lease(&self) -> Option<&str> {
        self.is_held.load(Ordering::SeqCst).then_some(&self.id)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from((self.clock.now() - self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    /// How long until it is to be renewed.
    fn until_due(&self) -> Duration {
        let since =
            Duration::from_millis(self.now_ms().saturating_sub(self.renewed_ms.load(Ordering::SeqCst)));
        RENEWED_AFTER.saturating_sub(since)
    }

    /// Acquires the lease on the blob with this ETag. Where the server knows no leases that is said once (`no_leases`
    /// says that it was), and the blob is written all the same.
    pub(crate) async fn acquire(
        &self,
        look: &Look<'_>,
        no_leases: &AtomicBool,
        etag: Option<&str>,
    ) -> Result<(), GaveUp> {
        if no_leases.load(Ordering::Relaxed) {
            return Ok(());
        }
        let asked = self.now_ms();
        let acquire =
            async |_| Ok::<_, EndError>(look.client.blob()?.acquire_lease(look.blob, &self.id, etag).await?);
        match request(&look.sender, 0, Begin::UnlessStopping, acquire).await {
            Ok(()) => {
                self.is_held.store(true, Ordering::SeqCst);
                self.renewed_ms.fetch_max(asked, Ordering::SeqCst);
                Ok(())
            }
            Err(gave_up) if knows_no_leases(&gave_up) => {
                if !no_leases.swap(true, Ordering::SeqCst) {
                    let text = "the server has no leases: no other program may write to the page blobs of this job meanwhile";
                    (look.sender.notice)(text);
                }
                Ok(())
            }
            Err(gave_up) => Err(gave_up),
        }
    }

    /// Renews the lease of an earlier attempt, or of an earlier run. `false`: the blob is not as that one has left it.
    pub(crate) async fn take_up(&self, look: &Look<'_>) -> Result<bool, GaveUp> {
        match self.renew(look).await {
            Ok(()) => {
                self.is_held.store(true, Ordering::SeqCst);
                Ok(true)
            }
            Err(gave_up) if gave_up.not_found() || gave_up.is_of_another() || knows_no_leases(&gave_up) => {
                Ok(false)
            }
            Err(gave_up) => Err(gave_up),
        }
    }

    /// Renews the lease if it is time to. One lane does, whichever is there.
    pub(crate) async fn keep(&self, look: &Look<'_>) -> Result<(), GaveUp> {
        let (now, last) = (self.now_ms(), self.renewed_ms.load(Ordering::SeqCst));
        let is_due = now.saturating_sub(last) >= RENEWED_AFTER.as_millis() as u64;
        let renewed = &self.renewed_ms;
        if self.lease().is_some()
            && is_due
            && renewed.compare_exchange(last, now, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        {
            self.renew(look).await?;
        }
        Ok(())
    }

    /// Does some work that needs the lease, and renews it meanwhile as often as it is time to.
    ///
    /// # Errors
    /// When somebody else has the blob, also when the work has not come to its end. A renewal that fails otherwise is
    /// followed by another one, and what the work comes to tells more.
    pub(crate) async fn beside<T>(
        &self,
        look: &Look<'_>,
        work: impl Future<Output = T>,
    ) -> Result<T, GaveUp> {
        let mut work = pin!(work);
        while self.lease().is_some() {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = self.clock.sleep(self.until_due()) => {}
            }
            let mut renewed = pin!(self.keep(look));
            let (done, renewed) = tokio::select! {
                biased;
                renewed = &mut renewed => (None, renewed),
                // A renewal that was given up would count as one.
                done = &mut work => (Some(done), renewed.await),
            };
            match (done, renewed) {
                (_, Err(gave_up)) if gave_up.is_of_another() => return Err(gave_up),
                (Some(done), _) => return Ok(done),
                (None, _) => {}
            }
        }
        Ok(work.await)
    }

    /// Sends what needs the lease, with the lease renewed beside. If it has run out all the same, the machine having
    /// slept, it is renewed and the request sent again: that it can be renewed says that nobody else has written.
    pub(crate) async fn under<T>(
        &self,
        look: &Look<'_>,
        mut send: impl AsyncFnMut() -> Result<T, GaveUp>,
    ) -> Result<T, GaveUp> {
        let mut ran_out = 0;
        loop {
            match self.beside(look, send()).await? {
                Err(gave_up) if gave_up.lease_lost() && self.lease().is_some() && ran_out < RUNS_OUT => {
                    ran_out += 1;
                    self.renew(look).await?;
                }
                sent => return sent,
            }
        }
    }

    /// Renews the lease, also one that has run out: that succeeds if nobody has written to the blob since.
    pub(crate) async fn renew(&self, look: &Look<'_>) -> Result<(), GaveUp> {
        let renew = async |_| Ok::<_, EndError>(look.client.blob()?.renew_lease(look.blob, &self.id).await?);
        // Not behind the pages that it is renewed for.
        let asked = self.now_ms();
        request(&look.sender, 0, Begin::Ahead, renew).await?;
        self.renewed_ms.fetch_max(asked, Ordering::SeqCst);
        Ok(())
    }

    /// Lets go of the blob. An error says that it was not held any more.
    pub(crate) async fn release(&self, look: &Look<'_>) -> Result<(), GaveUp> {
        if self.lease().is_none() {
            return Ok(());
        }
        let release =
            async |_| Ok::<_, EndError>(look.client.blob()?.release_lease(look.blob, &self.id).await?);
        let released = request(&look.sender, 0, Begin::Always, release).await;
        match released {
            // It stays this job's lease, though a lost one: so a clean-up goes by it, and removes nothing of another.
            Err(gave_up) if gave_up.is_of_another() && !(gave_up.maybe_done() && gave_up.lease_lost()) => {
                return Err(gave_up);
            }
            // Or the answer to an earlier attempt was lost, or nobody else can have written: it ends by itself.
            _ => self.is_held.store(false, Ordering::SeqCst),
        }
        Ok(())
    }
}

/// Whether the server does not know the operation. (The service knows it.)
fn knows_no_leases(gave_up: &GaveUp) -> bool {
    match gave_up.service() {
        Some(refusal) => {
            matches!(refusal.status, 405 | 501)
                || matches!(
                    refusal.code.as_str(),
                    "APINotImplemented"
                        | "FeatureNotSupported"
                        | "UnsupportedHeader"
                        | "UnsupportedQueryParameter"
                        | "UnsupportedHttpVerb"
                        | "InvalidQueryParameterValue"
                )
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_lease_is_the_same_in_every_run_of_a_job_and_of_one_transfer_alone() {
        let id = |job, n| Hold::new([job; 16], TransferId::nth(n), Clock::system()).id;
        assert_eq!(id(1, 7), id(1, 7));
        assert!(id(1, 7) != id(1, 8) && id(1, 7) != id(2, 7));
        assert!(uuid::Uuid::parse_str(&id(1, 7)).is_ok());
    }
}
