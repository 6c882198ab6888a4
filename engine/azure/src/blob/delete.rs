//! Delete Blob.

use azuring_link::Payload;
use azuring_store::Which;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method};

use crate::account::which::query_of;
use crate::blob::condition::{add_if_match, add_lease};
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::{RequestError, ServiceError};
use crate::exchange::operation::Operation;
use crate::exchange::properties::PropertyError;

const X_MS_DELETE_SNAPSHOTS: HeaderName = HeaderName::from_static("x-ms-delete-snapshots");

/// What becomes of a blob's snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteSnapshots {
    /// They go with the blob.
    Include,
    /// They go, and the blob stays.
    Only,
}

/// What Delete Blob takes away; by default the blob itself, as long as it has no snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delete<'a> {
    /// Its snapshots; without it a blob that has some is refused
    /// ([`snapshots_present`](ServiceError::snapshots_present)). Not together with `which`.
    pub snapshots: Option<DeleteSnapshots>,
    /// One snapshot or one version, and not the blob.
    pub which: Which<'a>,
    /// For good, past soft delete: of a snapshot or version that is deleted softly already. The account has to allow
    /// it, and the SAS needs the permission `y`.
    pub permanent: bool,
    /// Only the blob with this ETag.
    pub if_match: Option<&'a str>,
    /// Only the blob that has this lease.
    pub lease: Option<&'a str>,
}

impl<'a> Delete<'a> {
    fn head(&self, name: &'a str, mut headers: HeaderMap) -> Result<Head<'a>, PropertyError> {
        if let Some(snapshots) = self.snapshots {
            let word = match snapshots {
                DeleteSnapshots::Include => "include",
                DeleteSnapshots::Only => "only",
            };
            headers.insert(X_MS_DELETE_SNAPSHOTS, HeaderValue::from_static(word));
        }
        add_if_match(&mut headers, self.if_match)?;
        add_lease(&mut headers, self.lease)?;
        let permanent = self.permanent.then_some(("deletetype", "permanent"));
        let query = query_of(self.which).chain(permanent).collect();
        Ok(Head { operation: Operation::DeleteBlob, method: Method::DELETE, name, query, headers })
    }
}

impl BlobClient {
    /// Delete Blob.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete_blob(&self, name: &str, delete: &Delete<'_>) -> Result<(), RequestError> {
        let head = delete.head(name, self.target().common.clone())?;
        self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Ok(())
    }

    /// Blob Batch of Delete Blob: at most [`MAX_BATCH`](crate::MAX_BATCH) names, in one request. The answers are in the
    /// order of the names.
    ///
    /// # Errors
    /// [`RequestError`] when there are no answers to the single requests; some may have been carried out all the same.
    pub async fn delete_batch(
        &self,
        names: &[(&str, Delete<'_>)],
    ) -> Result<Vec<Result<(), ServiceError>>, RequestError> {
        let heads = names.iter().map(|(name, delete)| delete.head(name, HeaderMap::new()));
        self.batch(heads.collect::<Result<_, _>>()?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deleted_stands_in_query_and_headers() {
        let plain = Delete::default().head("a", HeaderMap::new()).unwrap();
        assert_eq!((plain.query, plain.headers.len()), (vec![], 0));
        let version = Which { version: Some("v"), ..Default::default() };
        let delete = Delete { which: version, permanent: true, if_match: Some("0x1"), ..Default::default() };
        let head = delete.head("a", HeaderMap::new()).unwrap();
        assert_eq!(head.query, [("versionid", "v"), ("deletetype", "permanent")]);
        assert_eq!(head.headers["if-match"], "\"0x1\"");
        let only = Delete { snapshots: Some(DeleteSnapshots::Only), ..Default::default() };
        assert_eq!(only.head("a", HeaderMap::new()).unwrap().headers["x-ms-delete-snapshots"], "only");
    }
}
