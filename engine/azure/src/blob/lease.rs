//! Lease Blob: one writer holds a blob, and the service refuses all others.

use azuring_link::Payload;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::blob::condition::{add_if_match, add_lease};
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::properties::value;

/// The longest lease that ends by itself: 60 s
/// (<https://learn.microsoft.com/rest/api/storageservices/lease-blob>).
pub const LEASE_SECONDS: u64 = 60;

const X_MS_LEASE_ACTION: HeaderName = HeaderName::from_static("x-ms-lease-action");
const X_MS_LEASE_DURATION: HeaderName = HeaderName::from_static("x-ms-lease-duration");
const X_MS_PROPOSED_LEASE_ID: HeaderName = HeaderName::from_static("x-ms-proposed-lease-id");

impl BlobClient {
    /// Acquires a lease of [`LEASE_SECONDS`] with this id, a UUID, on the blob with the ETag `if_match`. Who has the
    /// lease already has it anew.
    ///
    /// # Errors
    /// [`RequestError`]; [`precondition_failed`](crate::ServiceError::precondition_failed), 409 `LeaseAlreadyPresent`.
    pub async fn acquire_lease(
        &self,
        name: &str,
        id: &str,
        if_match: Option<&str>,
    ) -> Result<(), RequestError> {
        let mut headers = self.target().common.clone();
        headers.insert(X_MS_LEASE_DURATION, HeaderValue::from(LEASE_SECONDS));
        headers.insert(X_MS_PROPOSED_LEASE_ID, value(X_MS_PROPOSED_LEASE_ID.as_str(), id)?);
        add_if_match(&mut headers, if_match)?;
        self.lease(name, "acquire", headers).await
    }

    /// Renews the lease with this id. One that has run out is renewed as well, as long as nobody has changed or leased
    /// the blob since: so a success says that the blob is as its holder left it.
    ///
    /// # Errors
    /// [`RequestError`]; [`lease_lost`](crate::ServiceError::lease_lost).
    pub async fn renew_lease(&self, name: &str, id: &str) -> Result<(), RequestError> {
        let mut headers = self.target().common.clone();
        add_lease(&mut headers, Some(id))?;
        self.lease(name, "renew", headers).await
    }

    /// Releases the lease with this id.
    ///
    /// # Errors
    /// As for [`Self::renew_lease`].
    pub async fn release_lease(&self, name: &str, id: &str) -> Result<(), RequestError> {
        let mut headers = self.target().common.clone();
        add_lease(&mut headers, Some(id))?;
        self.lease(name, "release", headers).await
    }

    async fn lease(
        &self,
        name: &str,
        action: &'static str,
        mut headers: HeaderMap,
    ) -> Result<(), RequestError> {
        headers.insert(X_MS_LEASE_ACTION, HeaderValue::from_static(action));
        let head = Head::put(Operation::LeaseBlob, name, vec![("comp", "lease")], headers);
        self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Ok(())
    }
}
