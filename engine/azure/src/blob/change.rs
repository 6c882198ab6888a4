//! Changing a blob that is there: tier, metadata, properties.

use azuring_link::Payload;
use azuring_store::Which;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method};

use crate::account::which::query_of;
use crate::blob::put_blob::{Body, Written};
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::{RequestError, ServiceError};
use crate::exchange::operation::Operation;
use crate::exchange::properties::{PropertyError, add_metadata, value};

pub(crate) const X_MS_ACCESS_TIER: HeaderName = HeaderName::from_static("x-ms-access-tier");
const X_MS_REHYDRATE_PRIORITY: HeaderName = HeaderName::from_static("x-ms-rehydrate-priority");

/// How fast a blob leaves the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RehydratePriority {
    /// Up to 15 hours.
    Standard,
    /// Often under an hour, at a higher price.
    High,
}

/// What Set Blob Tier changes.
#[derive(Clone, Copy, Debug)]
pub struct SetTier<'a> {
    /// The tier's name as the service writes it (`Hot`, `Cool`, `Cold`, `Archive`, `P10`, ...).
    pub tier: &'a str,
    /// For a blob that leaves the archive; `Standard` where nothing is said.
    pub priority: Option<RehydratePriority>,
    /// The snapshot or version.
    pub which: Which<'a>,
}

impl<'a> SetTier<'a> {
    fn head(&self, name: &'a str, mut headers: HeaderMap) -> Result<Head<'a>, PropertyError> {
        headers.insert(X_MS_ACCESS_TIER, value(X_MS_ACCESS_TIER.as_str(), self.tier)?);
        if let Some(priority) = self.priority {
            let word = match priority {
                RehydratePriority::Standard => "Standard",
                RehydratePriority::High => "High",
            };
            headers.insert(X_MS_REHYDRATE_PRIORITY, HeaderValue::from_static(word));
        }
        let query = std::iter::once(("comp", "tier")).chain(query_of(self.which)).collect();
        Ok(Head { operation: Operation::SetBlobTier, method: Method::PUT, name, query, headers })
    }
}

impl BlobClient {
    /// Set Blob Tier. A blob that leaves the archive is in its new tier only hours later
    /// ([`archive_status`](crate::BlobState::archive_status)).
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_tier(&self, name: &str, tier: &SetTier<'_>) -> Result<(), RequestError> {
        let head = tier.head(name, self.target().common.clone())?;
        self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Ok(())
    }

    /// Blob Batch of Set Blob Tier: at most [`MAX_BATCH`](crate::MAX_BATCH) names, in one request. The answers are in
    /// the order of the names.
    ///
    /// # Errors
    /// [`RequestError`] when there are no answers to the single requests; some may have been carried out all the same.
    pub async fn set_tier_batch(
        &self,
        names: &[(&str, SetTier<'_>)],
    ) -> Result<Vec<Result<(), ServiceError>>, RequestError> {
        let heads = names.iter().map(|(name, tier)| tier.head(name, HeaderMap::new()));
        self.batch(heads.collect::<Result<_, _>>()?).await
    }

    /// Set Blob Metadata: puts these pairs, at most 8 KiB, in the place of all there were.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_metadata(&self, name: &str, metadata: &[(String, String)]) -> Result<(), RequestError> {
        let mut headers = self.write_headers();
        add_metadata(&mut headers, metadata)?;
        let head = Head::put(Operation::SetBlobMetadata, name, vec![("comp", "metadata")], headers);
        self.write(head, Payload::default(), None).await?;
        Ok(())
    }

    /// Set Blob Properties: puts the job's content headers, with the type and MD5 of `body`, in the place of all there
    /// were, under the conditions of `body`.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_properties(&self, name: &str, body: Body<'_>) -> Result<Written, RequestError> {
        let of_blob = self.blob_headers(&Body { crc64: None, metadata: &[], ..body })?;
        let mut headers = self.data_headers(&Body { crc64: None, ..body })?;
        let content = of_blob.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-blob-"));
        headers.extend(content.map(|(name, value)| (name.clone(), value.clone())));
        let head = Head::put(Operation::SetBlobProperties, name, vec![("comp", "properties")], headers);
        self.write(head, Payload::default(), None).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_goes_with_its_priority() {
        let which = Which { snapshot: Some("s"), ..Default::default() };
        let tier = SetTier { tier: "Cool", priority: Some(RehydratePriority::High), which };
        let head = tier.head("a", HeaderMap::new()).unwrap();
        assert_eq!(head.query, [("comp", "tier"), ("snapshot", "s")]);
        assert_eq!(head.headers["x-ms-access-tier"], "Cool");
        assert_eq!(head.headers["x-ms-rehydrate-priority"], "High");
        assert!(SetTier { tier: "Hot\r\n", ..tier }.head("a", HeaderMap::new()).is_err());
    }
}
