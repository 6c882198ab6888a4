//! The operations of the service, and which answers to them are a success.
//!
//! Whatever stands at a URL can answer `200 OK`: the login page of a network, a proxy, a web server at a mistyped name.
//! So an answer counts as a success only with a status that is documented for its operation, and with the two headers
//! that are documented for every answer of the service. All requests pass [`BlobClient`](crate::BlobClient), which asks
//! here; there is no other way to a success.
//!
//! Source: the operations' pages in the REST documentation, "Status code" and "Response headers".

use azuring_link::Reply;
use http::StatusCode;

use crate::exchange::error::RequestError;
use crate::exchange::header::{X_MS_REQUEST_ID, X_MS_VERSION};

/// Which operation a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    AbortCopyBlob,
    AppendBlock,
    AppendBlockFromUrl,
    BlobBatch,
    CopyBlob,
    CreateContainer,
    DeleteBlob,
    GetAccountInformation,
    GetBlob,
    GetBlobProperties,
    GetBlobTags,
    GetBlockList,
    GetContainerProperties,
    GetPageRanges,
    GetUserDelegationKey,
    LeaseBlob,
    ListBlobs,
    ListContainers,
    PutBlob,
    PutBlobFromUrl,
    PutBlock,
    PutBlockFromUrl,
    PutBlockList,
    PutPage,
    PutPageFromUrl,
    SetBlobMetadata,
    SetBlobProperties,
    SetBlobTags,
    SetBlobTier,
}

impl Operation {
    /// Its name in the documentation.
    pub(crate) fn name(self) -> &'static str {
        self.documented().0
    }

    /// Whether an answer of the service with this status says that it was done.
    pub(crate) fn succeeds_with(self, status: StatusCode) -> bool {
        self.documented().1.contains(&status.as_u16())
    }

    /// Its name, and the statuses of its success.
    fn documented(self) -> (&'static str, &'static [u16]) {
        match self {
            Self::AbortCopyBlob => ("Abort Copy Blob", &[204]),
            Self::AppendBlock => ("Append Block", &[201]),
            Self::AppendBlockFromUrl => ("Append Block From URL", &[201]),
            Self::BlobBatch => ("Blob Batch", &[202]),
            Self::CopyBlob => ("Copy Blob", &[202]),
            Self::CreateContainer => ("Create Container", &[201]),
            Self::DeleteBlob => ("Delete Blob", &[202]),
            Self::GetAccountInformation => ("Get Account Information", &[200]),
            Self::GetBlob => ("Get Blob", &[200, 206]),
            Self::GetBlobProperties => ("Get Blob Properties", &[200]),
            Self::GetBlobTags => ("Get Blob Tags", &[200]),
            Self::GetBlockList => ("Get Block List", &[200]),
            Self::GetContainerProperties => ("Get Container Properties", &[200]),
            Self::GetPageRanges => ("Get Page Ranges", &[200]),
            Self::GetUserDelegationKey => ("Get User Delegation Key", &[200]),
            // 201: acquired.
            Self::LeaseBlob => ("Lease Blob", &[200, 201]),
            Self::ListBlobs => ("List Blobs", &[200]),
            Self::ListContainers => ("List Containers", &[200]),
            Self::PutBlob => ("Put Blob", &[201]),
            Self::PutBlobFromUrl => ("Put Blob From URL", &[201]),
            Self::PutBlock => ("Put Block", &[201]),
            Self::PutBlockFromUrl => ("Put Block From URL", &[201]),
            Self::PutBlockList => ("Put Block List", &[201]),
            Self::PutPage => ("Put Page", &[201]),
            Self::PutPageFromUrl => ("Put Page From URL", &[201]),
            Self::SetBlobMetadata => ("Set Blob Metadata", &[200]),
            Self::SetBlobProperties => ("Set Blob Properties", &[200]),
            Self::SetBlobTags => ("Set Blob Tags", &[204]),
            // 202: out of the archive, some time.
            Self::SetBlobTier => ("Set Blob Tier", &[200, 202]),
        }
    }

    /// An answer that nobody can take for one of this operation.
    pub(crate) fn answered_otherwise(self, reason: impl Into<String>, passing: bool) -> RequestError {
        RequestError::Answer { request: self.name().to_owned(), reason: reason.into(), passing }
    }
}

/// Whether it was the service that answered.
pub(crate) fn is_of_service(reply: &Reply) -> bool {
    reply.has_all([X_MS_REQUEST_ID, X_MS_VERSION])
}

impl Operation {
    /// Whether an answer with a status of its success is one of the service. Azurite (3.37) leaves both headers away
    /// with a user delegation key: there the document has to prove itself, which a page of HTML cannot.
    pub(crate) fn is_answered_by(self, reply: &Reply) -> bool {
        is_of_service(reply)
            || (self == Self::GetUserDelegationKey
                && reply.header("content-type").is_some_and(|kind| kind.starts_with(b"application/xml")))
    }
}
