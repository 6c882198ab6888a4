//! Which operation a request asks for.

use http::Method;
use http::request::Parts;

use crate::error::{
    API_NOT_IMPLEMENTED, INVALID_HEADER_VALUE, INVALID_QUERY_PARAMETER_VALUE, INVALID_URI,
    MISSING_REQUIRED_HEADER, Result, UNSUPPORTED_HTTP_VERB,
};
use crate::headers::text;
use crate::target::Target;

/// The operations of the service, as far as this server tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// `GET /?comp=list`
    ListContainers,
    /// `GET /?restype=service&comp=properties`
    GetServiceProperties,
    /// `GET ...?restype=account&comp=properties`
    GetAccountInformation,
    /// `PUT /container?restype=container`
    CreateContainer,
    /// `DELETE /container?restype=container`
    DeleteContainer,
    /// `GET` or `HEAD /container?restype=container`, with or without `comp=metadata`
    GetContainerProperties,
    /// `GET` or `HEAD /container?restype=container&comp=acl`
    GetContainerAcl,
    /// `PUT /container?restype=container&comp=acl`
    SetContainerAcl,
    /// `POST /?restype=service&comp=userdelegationkey`
    GetUserDelegationKey,
    /// `PUT /container?restype=container&comp=metadata`
    SetContainerMetadata,
    /// `PUT /container?restype=container&comp=lease`
    LeaseContainer,
    /// `GET /?comp=blobs&where=...`
    FindBlobs,
    /// `GET /container?restype=container&comp=blobs&where=...`
    FindBlobsInContainer,
    /// `GET /container?restype=container&comp=list`
    ListBlobs,
    /// `PUT /container/blob`, whatever `x-ms-blob-type` it makes
    PutBlob,
    /// The same for a block blob whose bytes come from `x-ms-copy-source`
    PutBlobFromUrl,
    /// `PUT /container/blob?comp=block`
    PutBlock,
    /// The same with `x-ms-copy-source`
    PutBlockFromUrl,
    /// `PUT /container/blob?comp=blocklist`
    PutBlockList,
    /// `GET /container/blob?comp=blocklist`
    GetBlockList,
    /// `GET /container/blob`
    GetBlob,
    /// `HEAD /container/blob`, and `GET`/`HEAD` with `comp=metadata`
    GetBlobProperties,
    /// `PUT /container/blob` with `x-ms-copy-source` and without a type
    CopyBlob,
    /// The same with `x-ms-requires-sync: true`
    CopyBlobFromUrl,
    /// `PUT /container/blob?comp=copy`
    AbortCopyBlob,
    /// `DELETE /container/blob`
    DeleteBlob,
    /// `PUT /container/blob?comp=lease`
    LeaseBlob,
    /// `PUT /container/blob?comp=undelete`
    UndeleteBlob,
    /// `PUT /container/blob?comp=snapshot`
    SnapshotBlob,
    /// `PUT /container/blob?comp=tier`
    SetBlobTier,
    /// `PUT /container/blob?comp=metadata`
    SetBlobMetadata,
    /// `PUT /container/blob?comp=properties`
    SetBlobProperties,
    /// `PUT /container/blob?comp=tags`
    SetBlobTags,
    /// `GET /container/blob?comp=tags`
    GetBlobTags,
    /// `PUT /container/blob?comp=appendblock`
    AppendBlock,
    /// The same with `x-ms-copy-source`
    AppendBlockFromUrl,
    /// `PUT /container/blob?comp=seal`
    SealAppendBlob,
    /// `PUT /container/blob?comp=page`
    PutPage,
    /// The same with `x-ms-copy-source`
    PutPageFromUrl,
    /// `GET /container/blob?comp=pagelist`
    GetPageRanges,
    /// `POST /?comp=batch` and `POST /container?restype=container&comp=batch`
    BlobBatch,
    /// Whatever else was asked for, or a request that could not be read that far.
    Other,
}

impl Operation {
    /// All operations, in the order of their discriminants.
    pub const ALL: [Operation; 42] = [
        Operation::ListContainers,
        Operation::GetServiceProperties,
        Operation::GetAccountInformation,
        Operation::CreateContainer,
        Operation::DeleteContainer,
        Operation::GetContainerProperties,
        Operation::GetContainerAcl,
        Operation::SetContainerAcl,
        Operation::GetUserDelegationKey,
        Operation::SetContainerMetadata,
        Operation::LeaseContainer,
        Operation::FindBlobs,
        Operation::FindBlobsInContainer,
        Operation::ListBlobs,
        Operation::PutBlob,
        Operation::PutBlobFromUrl,
        Operation::PutBlock,
        Operation::PutBlockFromUrl,
        Operation::PutBlockList,
        Operation::GetBlockList,
        Operation::GetBlob,
        Operation::GetBlobProperties,
        Operation::CopyBlob,
        Operation::CopyBlobFromUrl,
        Operation::AbortCopyBlob,
        Operation::DeleteBlob,
        Operation::LeaseBlob,
        Operation::UndeleteBlob,
        Operation::SnapshotBlob,
        Operation::SetBlobTier,
        Operation::SetBlobMetadata,
        Operation::SetBlobProperties,
        Operation::SetBlobTags,
        Operation::GetBlobTags,
        Operation::AppendBlock,
        Operation::AppendBlockFromUrl,
        Operation::SealAppendBlob,
        Operation::PutPage,
        Operation::PutPageFromUrl,
        Operation::GetPageRanges,
        Operation::BlobBatch,
        Operation::Other,
    ];

    /// Whether the operation changes something.
    pub fn is_write(self) -> bool {
        use Operation as O;
        match self {
            O::CreateContainer | O::DeleteContainer | O::PutBlob | O::PutBlock | O::PutBlockList => true,
            O::DeleteBlob | O::SnapshotBlob | O::SetBlobTier | O::SetBlobMetadata | O::SetBlobProperties => {
                true
            }
            O::SetContainerMetadata | O::LeaseContainer | O::LeaseBlob | O::UndeleteBlob => true,
            O::PutBlobFromUrl | O::PutBlockFromUrl | O::AppendBlockFromUrl | O::PutPageFromUrl => true,
            O::CopyBlob | O::CopyBlobFromUrl | O::AbortCopyBlob => true,
            O::FindBlobs | O::FindBlobsInContainer => false,
            O::SetContainerAcl
            | O::SetBlobTags
            | O::AppendBlock
            | O::SealAppendBlob
            | O::PutPage
            | O::BlobBatch => true,
            O::ListContainers | O::GetServiceProperties | O::GetAccountInformation | O::ListBlobs => false,
            O::GetContainerAcl | O::GetUserDelegationKey => false,
            O::GetContainerProperties | O::GetBlockList | O::GetBlob | O::GetBlobProperties => false,
            O::GetBlobTags | O::GetPageRanges | O::Other => false,
        }
    }
}

/// Decides the operation.
///
/// # Errors
/// 501 for operations of the service that this server lacks, 400 or 405 for what is no operation at all.
pub(crate) fn route(parts: &Parts, target: &Target<'_>) -> Result<Operation> {
    let operation = operation(parts, target)?;
    if !parts.headers.contains_key("x-ms-copy-source") {
        return Ok(operation);
    }
    Ok(match operation {
        Operation::PutBlob => Operation::PutBlobFromUrl,
        Operation::PutBlock => Operation::PutBlockFromUrl,
        Operation::AppendBlock => Operation::AppendBlockFromUrl,
        Operation::PutPage => Operation::PutPageFromUrl,
        // `known.rs` refuses the header.
        other => other,
    })
}

fn operation(parts: &Parts, target: &Target<'_>) -> Result<Operation> {
    let method = &parts.method;
    let read = method == Method::GET || method == Method::HEAD;
    let (restype, comp) = (target.query.get("restype"), target.query.get("comp"));
    if !(read || method == Method::PUT || method == Method::DELETE || method == Method::POST) {
        return Err(UNSUPPORTED_HTTP_VERB.into());
    }
    if target.query.get("resource").is_some() || target.query.get("action").is_some() {
        // The verbs of the hierarchical endpoint; taking them for blob operations would do something else.
        return Err(INVALID_URI.into());
    }
    if restype == Some("account") && comp == Some("properties") && read {
        return Ok(Operation::GetAccountInformation);
    }
    match (&target.container, &target.blob) {
        (_, Some(_)) => blob_operation(parts, target, comp, read),
        (Some(_), None) => match (restype, comp) {
            (Some("container"), None) if method == Method::PUT => Ok(Operation::CreateContainer),
            (Some("container"), None) if method == Method::DELETE => Ok(Operation::DeleteContainer),
            (Some("container"), None | Some("metadata")) if read => Ok(Operation::GetContainerProperties),
            (Some("container"), Some("acl")) if read => Ok(Operation::GetContainerAcl),
            (Some("container"), Some("acl")) if method == Method::PUT => Ok(Operation::SetContainerAcl),
            (Some("container"), Some("metadata")) if method == Method::PUT => {
                Ok(Operation::SetContainerMetadata)
            }
            (Some("container"), Some("lease")) if method == Method::PUT => Ok(Operation::LeaseContainer),
            (Some("container"), Some("list")) if method == Method::GET => Ok(Operation::ListBlobs),
            (Some("container"), Some("blobs")) if method == Method::GET => {
                Ok(Operation::FindBlobsInContainer)
            }
            (Some("container"), Some("batch")) if method == Method::POST => Ok(Operation::BlobBatch),
            (Some("container"), Some(comp)) => {
                Err(unknown_comp(comp, &["acl", "metadata", "lease", "undelete", "rename", "batch", "blobs"]))
            }
            _ => Err(INVALID_QUERY_PARAMETER_VALUE.query("restype", restype.unwrap_or_default())),
        },
        (None, _) => match (restype, comp) {
            (None, Some("list")) if method == Method::GET => Ok(Operation::ListContainers),
            (Some("service"), Some("properties")) if method == Method::GET => {
                Ok(Operation::GetServiceProperties)
            }
            (None, Some("blobs")) if method == Method::GET => Ok(Operation::FindBlobs),
            // Microsoft's JavaScript client takes an account in the path for a container.
            (None | Some("container"), Some("batch")) if method == Method::POST => Ok(Operation::BlobBatch),
            (Some("service"), Some("userdelegationkey")) if method == Method::POST => {
                Ok(Operation::GetUserDelegationKey)
            }
            (_, Some(comp)) => {
                Err(unknown_comp(comp, &["properties", "userdelegationkey", "batch", "blobs"]))
            }
            _ => Err(INVALID_QUERY_PARAMETER_VALUE.query("comp", "")),
        },
    }
}

fn blob_operation(parts: &Parts, target: &Target<'_>, comp: Option<&str>, read: bool) -> Result<Operation> {
    let method = &parts.method;
    match comp {
        None if target.query.get("restype").is_some() => {
            Err(INVALID_QUERY_PARAMETER_VALUE
                .query("restype", target.query.get("restype").unwrap_or_default()))
        }
        None if method == Method::GET => Ok(Operation::GetBlob),
        None if method == Method::HEAD => Ok(Operation::GetBlobProperties),
        None if method == Method::DELETE => Ok(Operation::DeleteBlob),
        None if method == Method::PUT => match text(parts, "x-ms-blob-type") {
            Some(kind) if is_blob_type(kind) => Ok(Operation::PutBlob),
            Some(kind) => Err(INVALID_HEADER_VALUE.header("x-ms-blob-type", kind)),
            None if parts.headers.contains_key("x-ms-copy-source") => {
                let sync = text(parts, "x-ms-requires-sync").is_some_and(|v| v.eq_ignore_ascii_case("true"));
                Ok(if sync { Operation::CopyBlobFromUrl } else { Operation::CopyBlob })
            }
            None => Err(MISSING_REQUIRED_HEADER.detail("HeaderName", "x-ms-blob-type")),
        },
        Some("copy") if method == Method::PUT => Ok(Operation::AbortCopyBlob),
        Some("block") if method == Method::PUT => Ok(Operation::PutBlock),
        Some("blocklist") if method == Method::PUT => Ok(Operation::PutBlockList),
        Some("blocklist") if method == Method::GET => Ok(Operation::GetBlockList),
        Some("lease") if method == Method::PUT => Ok(Operation::LeaseBlob),
        Some("undelete") if method == Method::PUT => Ok(Operation::UndeleteBlob),
        Some("snapshot") if method == Method::PUT => Ok(Operation::SnapshotBlob),
        Some("tier") if method == Method::PUT => Ok(Operation::SetBlobTier),
        Some("metadata") if method == Method::PUT => Ok(Operation::SetBlobMetadata),
        Some("properties") if method == Method::PUT => Ok(Operation::SetBlobProperties),
        Some("tags") if method == Method::PUT => Ok(Operation::SetBlobTags),
        Some("tags") if method == Method::GET => Ok(Operation::GetBlobTags),
        Some("appendblock") if method == Method::PUT => Ok(Operation::AppendBlock),
        Some("seal") if method == Method::PUT => Ok(Operation::SealAppendBlob),
        Some("page") if method == Method::PUT => Ok(Operation::PutPage),
        Some("pagelist") if method == Method::GET => Ok(Operation::GetPageRanges),
        Some("metadata") if read => Ok(Operation::GetBlobProperties),
        Some(comp) => Err(unknown_comp(
            comp,
            &[
                "appendblock",
                "block",
                "blocklist",
                "copy",
                "expiry",
                "immutabilityPolicies",
                "incrementalcopy",
                "lease",
                "legalhold",
                "metadata",
                "page",
                "pagelist",
                "properties",
                "query",
                "seal",
                "snapshot",
                "tags",
                "tier",
                "undelete",
            ],
        )),
        None => Err(UNSUPPORTED_HTTP_VERB.into()),
    }
}

fn is_blob_type(kind: &str) -> bool {
    ["BlockBlob", "AppendBlob", "PageBlob"].iter().any(|k| k.eq_ignore_ascii_case(kind))
}

fn unknown_comp(comp: &str, known: &[&str]) -> crate::error::ApiError {
    if known.iter().any(|k| k.eq_ignore_ascii_case(comp)) {
        API_NOT_IMPLEMENTED.into()
    } else {
        INVALID_QUERY_PARAMETER_VALUE.query("comp", comp)
    }
}
