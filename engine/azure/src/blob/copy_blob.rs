//! Copy Blob: the service makes a blob of another one by itself, of any size and at once or later.
//!
//! Source: "Copy Blob", "Abort Copy Blob".

use azuring_link::{Answer, Payload};
use azuring_store::{BlobType, Facts as BlobFacts, Grant, Which};
use http::HeaderValue;
use http::header::HeaderName;

use crate::account::url::BlobUrl;
use crate::blob::change::X_MS_ACCESS_TIER;
use crate::blob::put_blob::{Body, Written};
use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;
use crate::exchange::properties::value;

const X_MS_COPY_ACTION: HeaderName = HeaderName::from_static("x-ms-copy-action");

/// How far the service is with a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStatus {
    /// It is making it. Until then the blob is empty, and nobody else may write to it.
    Pending,
    /// The blob is the copy.
    Success,
    /// Somebody has aborted it. The blob is empty.
    Aborted,
    /// It could not. The blob is empty.
    Failed,
}

impl CopyStatus {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "pending" => Some(Self::Pending),
            "success" => Some(Self::Success),
            "aborted" => Some(Self::Aborted),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// What the service says of a copy that it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyBegun {
    /// What it calls the copy.
    pub id: Box<str>,
    /// Pending or success.
    pub status: CopyStatus,
    /// The ETag of the new blob, without quotes.
    pub etag: Option<Box<str>>,
}

/// A blob, and the copy that has made it or is making it.
#[derive(Clone, Debug)]
pub struct CopyState {
    /// What the service calls the copy; none of a blob that was written since, or never copied.
    pub id: Option<Box<str>>,
    /// How far it is.
    pub status: Option<CopyStatus>,
    /// The source's URL, without what authorizes.
    pub source: Option<Box<str>>,
    /// Why it has failed.
    pub description: Option<Box<str>>,
    /// The blob.
    pub facts: BlobFacts,
}

impl CopyState {
    /// Whether the blob was copied from this one.
    pub fn is_from(&self, container: &BlobUrl, name: &str, which: Which<'_>) -> bool {
        let Some(Ok(source)) = self.source.as_deref().map(BlobUrl::parse) else { return false };
        source.is_of_account(container)
            && source.container() == container.container()
            && source.path() == name
            && source.which() == which
    }
}

fn text(answer: &Answer, name: &str) -> Option<Box<str>> {
    let value = answer.header(name).and_then(|value| std::str::from_utf8(value).ok());
    value.filter(|value| !value.is_empty()).map(Into::into)
}

fn status(answer: &Answer) -> Option<CopyStatus> {
    text(answer, "x-ms-copy-status").and_then(|status| CopyStatus::parse(&status))
}

impl BlobClient {
    /// Copy Blob. The blob has the source's type, which is `kind`, and its content headers; metadata, tags and tier are
    /// those of `body` and of the job, under the conditions of `body`. The job's tier is one of block blobs. A source
    /// in the archive needs one that is not.
    ///
    /// Where the URL of `from` authorizes nothing and the source is of the same account, the credential of this client
    /// counts for it. A token for the source cannot go along.
    ///
    /// # Errors
    /// [`RequestError`]; [`is_of_copy_source`](crate::ServiceError::is_of_copy_source) if the source has refused. The
    /// blob that was there before is untouched by an error the service answered with, and gone after a success.
    pub async fn copy_blob(
        &self,
        name: &str,
        from: &Grant<'_>,
        kind: BlobType,
        body: Body<'_>,
    ) -> Result<CopyBegun, RequestError> {
        let mut of_blob = self.blob_headers(&Body { crc64: None, ..body })?;
        if kind != BlobType::Block {
            of_blob.remove(X_MS_ACCESS_TIER);
        }
        if let (BlobType::Page, Some(tier)) = (kind, body.tier) {
            of_blob.insert(X_MS_ACCESS_TIER, value(X_MS_ACCESS_TIER.as_str(), tier)?);
        }
        let mut headers = self.target().common.clone();
        let goes_along = |name: &str| {
            name.starts_with("x-ms-meta-")
                || matches!(name, "x-ms-access-tier" | "x-ms-tags" | "x-ms-lease-id")
                || matches!(name, "if-match" | "if-none-match")
        };
        let some = of_blob.iter().filter(|(name, _)| goes_along(name.as_str()));
        headers.extend(some.map(|(name, value)| (name.clone(), value.clone())));
        let operation = Operation::CopyBlob;
        let answer =
            self.put_from(from, headers, |headers| Head::put(operation, name, vec![], headers)).await?;
        let (id, status) = (text(&answer, "x-ms-copy-id"), status(&answer));
        let (Some(id), Some(status)) = (id, status) else {
            let reason = "it does not tell how far the copy is (x-ms-copy-id, x-ms-copy-status)";
            return Err(operation.answered_otherwise(reason, false));
        };
        Ok(CopyBegun { id, status, etag: Written::of(&answer).etag })
    }

    /// Get Blob Properties, with what it says of the copy that has made the blob.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn copy_state(&self, name: &str) -> Result<CopyState, RequestError> {
        let (facts, answer) = self.head(name, Which::default()).await?;
        Ok(CopyState {
            id: text(&answer, "x-ms-copy-id"),
            status: status(&answer),
            source: text(&answer, "x-ms-copy-source"),
            description: text(&answer, "x-ms-copy-status-description"),
            facts,
        })
    }

    /// Abort Copy Blob: what the service has not copied yet, it does not copy. An empty blob stays.
    ///
    /// # Errors
    /// [`RequestError`]; 409 `NoPendingCopyOperation` where it is over.
    pub async fn abort_copy(&self, name: &str, id: &str) -> Result<(), RequestError> {
        let mut headers = self.target().common.clone();
        headers.insert(X_MS_COPY_ACTION, HeaderValue::from_static("abort"));
        let query = vec![("comp", "copy"), ("copyid", id)];
        let head = Head::put(Operation::AbortCopyBlob, name, query, headers);
        self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_known_by_its_url_however_it_is_encoded() {
        let container = BlobUrl::parse("https://acc.blob.core.windows.net/cont").unwrap();
        let is_from = |source: &str, name: &str, which: Which<'_>| {
            let state = CopyState {
                id: None,
                status: None,
                source: Some(source.into()),
                description: None,
                facts: BlobFacts::default(),
            };
            state.is_from(&container, name, which)
        };
        let (here, now) = ("https://acc.blob.core.windows.net", Which::default());
        assert!(is_from(&format!("{here}/cont/a/b"), "a/b", now));
        assert!(is_from(&format!("{here}/cont/a%2Fb%20c"), "a/b c", now));
        assert!(is_from("https://ACC.blob.core.windows.net/cont/a", "a", now));
        let snapshot = Which { snapshot: Some("2026-11-30T01:02:03.0000000Z"), ..now };
        let of_snapshot = format!("{here}/cont/a?snapshot=2026-11-30T01%3A02%3A03.0000000Z");
        assert!(is_from(&of_snapshot, "a", snapshot));
        for (source, name, which) in [
            (&*of_snapshot, "a", now),
            (&*format!("{here}/cont/a"), "a", snapshot),
            (&*format!("{here}/cont/a"), "b", now),
            (&*format!("{here}/other/a"), "a", now),
            ("https://acc2.blob.core.windows.net/cont/a", "a", now),
            ("nonsense", "a", now),
        ] {
            assert!(!is_from(source, name, which), "{source} {name}");
        }
    }
}
