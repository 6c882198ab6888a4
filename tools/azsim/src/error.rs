//! The service's errors: status, code, message, and the XML body that carries them.

use std::borrow::Cow;

use crate::xml;

/// One documented error of the service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

/// An error answer in the making. Converted to a response in one place, `answer::error`.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// Empty: no code header and no body at all, which the real service's front ends do answer at times.
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    /// Further elements of the XML body, as `<name>value</name>`.
    pub(crate) details: Vec<(&'static str, String)>,
    pub(crate) retry_after_s: Option<u32>,
    /// What only few errors say.
    pub(crate) more: Option<Box<More>>,
}

/// What only few errors say, none of them two of it.
#[derive(Debug, Clone)]
pub(crate) enum More {
    /// Where clients get tokens: answer with the bearer challenge, from which they learn the tenant.
    Challenge(String),
    /// `Content-Range` of a 416.
    ContentRange(String),
    /// What the source of a copy answered, where the version tells it.
    Source(SourceAnswer),
}

/// An error of the source of a copy, as the destination's answer shows it.
#[derive(Debug, Clone)]
pub(crate) struct SourceAnswer {
    pub(crate) status: u16,
    /// Empty: the source gave none.
    pub(crate) code: String,
    pub(crate) message: String,
}

pub(crate) type Result<T> = std::result::Result<T, ApiError>;

impl From<Kind> for ApiError {
    fn from(kind: Kind) -> ApiError {
        ApiError {
            status: kind.status,
            code: Cow::Borrowed(kind.code),
            message: Cow::Borrowed(kind.message),
            details: Vec::new(),
            retry_after_s: None,
            more: None,
        }
    }
}

impl Kind {
    /// The error with one further XML element.
    pub(crate) fn detail(self, name: &'static str, value: impl Into<String>) -> ApiError {
        ApiError::from(self).detail(name, value)
    }

    /// The error for one request header, which the body names.
    pub(crate) fn header(self, name: &str, value: &str) -> ApiError {
        self.detail("HeaderName", name).detail("HeaderValue", value)
    }

    /// The error for one query parameter, which the body names.
    pub(crate) fn query(self, name: &str, value: &str) -> ApiError {
        self.detail("QueryParameterName", name).detail("QueryParameterValue", value)
    }
}

impl ApiError {
    /// An error with a code chosen at run time (faults).
    pub(crate) fn custom(status: u16, code: &str) -> ApiError {
        ApiError {
            status,
            code: Cow::Owned(code.to_owned()),
            message: Cow::Borrowed("An error that this server was asked to answer."),
            ..INTERNAL_ERROR.into()
        }
    }

    pub(crate) fn detail(mut self, name: &'static str, value: impl Into<String>) -> ApiError {
        self.details.push((name, value.into()));
        self
    }

    /// The error with a name at the end of its message.
    pub(crate) fn naming(mut self, name: &str) -> ApiError {
        self.message = Cow::Owned(format!("{}: {name}.", self.message.trim_end_matches('.')));
        self
    }

    /// The XML body, or nothing for an error without a code.
    pub(crate) fn body(&self, request_id: &str, time: &str) -> String {
        if self.code.is_empty() {
            return String::new();
        }
        let mut out = String::with_capacity(320);
        out.push_str(xml::PROLOG);
        out.push_str("<Error><Code>");
        xml::escape(&mut out, &self.code);
        out.push_str("</Code><Message>");
        xml::escape(&mut out, &self.message);
        out.push_str("\nRequestId:");
        out.push_str(request_id);
        out.push_str("\nTime:");
        out.push_str(time);
        out.push_str("</Message>");
        for (name, value) in &self.details {
            xml::element(&mut out, name, value);
        }
        if let Some(More::Source(source)) = self.more.as_deref() {
            xml::element(&mut out, "CopySourceStatusCode", &source.status.to_string());
            xml::element(&mut out, "CopySourceErrorCode", &source.code);
            xml::element(&mut out, "CopySourceErrorMessage", &source.message);
        }
        out.push_str("</Error>");
        out
    }
}

macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal $message:literal;)*) => {
        $(pub(crate) const $name: Kind = Kind { status: $status, code: $code, message: $message };)*
    };
}

// Codes and messages: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
// and .../common-rest-api-error-codes.
kinds! {
    ACCESS_TIER_NOT_SUPPORTED = 400 "AccessTierNotSupportedForBlobType"
        "The access tier is not supported for this blob type.";
    API_NOT_IMPLEMENTED = 501 "APINotImplemented" "The requested operation is not implemented by this server.";
    APPEND_POSITION_CONDITION_NOT_MET = 412 "AppendPositionConditionNotMet"
        "The append position condition specified was not met.";
    AUTHENTICATION_FAILED = 403 "AuthenticationFailed"
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
    AUTHORIZATION_FAILURE = 403 "AuthorizationFailure" "This request is not authorized to perform this operation.";
    AUTHORIZATION_PERMISSION_MISMATCH = 403 "AuthorizationPermissionMismatch"
        "This request is not authorized to perform this operation using this permission.";
    AUTHORIZATION_PROTOCOL_MISMATCH = 403 "AuthorizationProtocolMismatch"
        "This request is not authorized to perform this operation using this protocol.";
    AUTHORIZATION_RESOURCE_TYPE_MISMATCH = 403 "AuthorizationResourceTypeMismatch"
        "This request is not authorized to perform this operation using this resource type.";
    AUTHORIZATION_SERVICE_MISMATCH = 403 "AuthorizationServiceMismatch"
        "This request is not authorized to perform this operation using this service.";
    AUTHORIZATION_SOURCE_IP_MISMATCH = 403 "AuthorizationSourceIPMismatch"
        "This request is not authorized to perform this operation using this source IP.";
    BLOB_ALREADY_EXISTS = 409 "BlobAlreadyExists" "The specified blob already exists.";
    BLOB_ARCHIVED = 409 "BlobArchived" "This operation is not permitted on an archived blob.";
    BLOB_BEING_REHYDRATED = 409 "BlobBeingRehydrated"
        "This operation is not permitted because the blob is being rehydrated.";
    BLOB_CONTENT_DISCARDED = 409 "BlobContentDiscarded"
        "The server runs with the store 'discard': it keeps the name, length and checksum of a blob, not its content.";
    BLOB_DOES_NOT_USE_KEY = 409 "BlobDoesNotUseCustomerSpecifiedEncryption"
        "The blob does not use customer specified encryption.";
    BLOB_IS_SEALED = 409 "BlobIsSealed"
        "The specified blob is sealed, and its contents can't be modified unless the blob is re-created after a delete.";
    BLOB_KEY_MISMATCH = 409 "BlobCustomerSpecifiedEncryptionMismatch"
        "The given customer specified encryption does not match the encryption used to encrypt the blob.";
    BLOB_NOT_FOUND = 404 "BlobNotFound" "The specified blob does not exist.";
    BLOB_SNAPSHOT_NOT_SOFT_DELETED = 409 "BlobSnapshotNotSoftDeleted"
        "Only a snapshot or version that is soft-deleted can be deleted permanently.";
    BLOB_TIER_INADEQUATE = 409 "BlobTierInadequateForContentLength"
        "Specified blob tier size limit cannot be less than content length.";
    BLOB_TYPE_NOT_SUPPORTED = 400 "BlobTypeNotSupported" "Only page blobs are supported.";
    BLOB_USES_KEY = 409 "BlobUsesCustomerSpecifiedEncryption" "The blob is encrypted with customer specified encryption.";
    BLOCK_COUNT_EXCEEDS_LIMIT = 409 "BlockCountExceedsLimit"
        "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.";
    BLOCK_LIST_TOO_LONG = 400 "BlockListTooLong" "The block list may not contain more than 50,000 blocks.";
    BOTH_CRC64_AND_MD5 = 400 "BothCrc64AndMd5HeaderPresent"
        "Both x-ms-content-crc64 header and Content-MD5 header are present.";
    CANNOT_CHANGE_TO_LOWER_TIER = 409 "CannotChangeToLowerTier" "A higher blob tier has already been explicitly set.";
    CANNOT_VERIFY_COPY_SOURCE = 404 "CannotVerifyCopySource" "Could not verify copy source.";
    CONDITION_HEADERS_NOT_SUPPORTED = 400 "ConditionHeadersNotSupported" "Condition headers are not supported.";
    CONDITION_NOT_MET = 412 "ConditionNotMet"
        "The condition specified using HTTP conditional header(s) is not met.";
    CONTAINER_ALREADY_EXISTS = 409 "ContainerAlreadyExists" "The specified container already exists.";
    CONTAINER_BEING_DELETED = 409 "ContainerBeingDeleted" "The specified container is being deleted.";
    CONTAINER_NOT_FOUND = 404 "ContainerNotFound" "The specified container does not exist.";
    COPY_ID_MISMATCH = 409 "CopyIdMismatch"
        "The specified copy ID did not match the copy ID for the pending copy operation.";
    CRC64_MISMATCH = 400 "Crc64Mismatch"
        "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.";
    EMPTY_METADATA_KEY = 400 "EmptyMetadataKey" "The key for one of the metadata key-value pairs is empty.";
    EXCEEDS_MAX_BATCH_REQUEST_COUNT = 400 "ExceedsMaxBatchRequestCount"
        "The batch operation exceeds the maximum number of allowed subrequests.";
    INTERNAL_ERROR = 500 "InternalError" "Server encountered an internal error. Please try again after some time.";
    INVALID_AUTHENTICATION_INFO = 400 "InvalidAuthenticationInfo"
        "Authentication information is not given in the correct format. Check the value of Authorization header.";
    INVALID_BEARER = 401 "InvalidAuthenticationInfo"
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
    INVALID_BLOB_OR_BLOCK = 400 "InvalidBlobOrBlock" "The specified blob or block content is invalid.";
    INVALID_BLOB_TYPE = 409 "InvalidBlobType" "The blob type is invalid for this operation.";
    INVALID_BLOCK_LIST = 400 "InvalidBlockList" "The specified block list is invalid.";
    INVALID_HEADER_VALUE = 400 "InvalidHeaderValue"
        "The value for one of the HTTP headers is not in the correct format.";
    INVALID_INPUT = 400 "InvalidInput" "One of the request inputs is not valid.";
    INVALID_MD5 = 400 "InvalidMd5"
        "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded.";
    INVALID_METADATA = 400 "InvalidMetadata"
        "The metadata specified is invalid. It has characters that are not permitted.";
    INVALID_PAGE_RANGE = 416 "InvalidPageRange" "The page range specified is invalid.";
    INVALID_QUERY_PARAMETER_VALUE = 400 "InvalidQueryParameterValue"
        "Value for one of the query parameters specified in the request URI is invalid.";
    INVALID_RANGE = 416 "InvalidRange"
        "The range specified is invalid for the current size of the resource.";
    INVALID_RESOURCE_NAME = 400 "InvalidResourceName" "The specified resource name contains invalid characters.";
    INVALID_SOURCE_BLOB_TYPE = 409 "InvalidSourceBlobType"
        "The copy source blob type is invalid for this operation.";
    INVALID_TAG = 400 "InvalidTag" "The tags specified are invalid. They contain characters that are not permitted.";
    INVALID_URI = 400 "InvalidUri" "The requested URI does not represent any resource on the server.";
    INVALID_XML_DOCUMENT = 400 "InvalidXmlDocument" "XML specified is not syntactically valid.";
    INVALID_XML_NODE_VALUE = 400 "InvalidXmlNodeValue"
        "The value for one of the XML nodes is not in the correct format.";
    LEASE_ALREADY_PRESENT = 409 "LeaseAlreadyPresent" "There is already a lease present.";
    LEASE_ID_MISMATCH = 412 "LeaseIdMismatchWithBlobOperation"
        "The lease ID specified did not match the lease ID for the blob.";
    LEASE_ID_MISMATCH_CONTAINER = 412 "LeaseIdMismatchWithContainerOperation"
        "The lease ID specified did not match the lease ID for the container.";
    LEASE_ID_MISMATCH_LEASE = 409 "LeaseIdMismatchWithLeaseOperation"
        "The lease ID specified did not match the lease ID for the blob/container.";
    LEASE_ID_MISSING = 412 "LeaseIdMissing"
        "There is currently a lease on the blob/container and no lease ID was specified in the request.";
    LEASE_IS_BREAKING_NOT_ACQUIRED = 409 "LeaseIsBreakingAndCannotBeAcquired"
        "The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it is broken.";
    LEASE_IS_BREAKING_NOT_CHANGED = 409 "LeaseIsBreakingAndCannotBeChanged"
        "The lease ID matched, but the lease is currently in breaking state and cannot be changed.";
    LEASE_IS_BROKEN_NOT_RENEWED = 409 "LeaseIsBrokenAndCannotBeRenewed"
        "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.";
    LEASE_LOST = 412 "LeaseLost" "A lease ID was specified, but the lease for the blob/container has expired.";
    LEASE_NOT_PRESENT = 412 "LeaseNotPresentWithBlobOperation" "There is currently no lease on the blob.";
    LEASE_NOT_PRESENT_CONTAINER = 412 "LeaseNotPresentWithContainerOperation"
        "There is currently no lease on the container.";
    LEASE_NOT_PRESENT_LEASE = 409 "LeaseNotPresentWithLeaseOperation"
        "There is currently no lease on the blob/container.";
    MAX_BLOB_SIZE_CONDITION_NOT_MET = 412 "MaxBlobSizeConditionNotMet"
        "The max blob size condition specified was not met.";
    MD5_MISMATCH = 400 "Md5Mismatch"
        "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
    METADATA_TOO_LARGE = 400 "MetadataTooLarge" "The metadata specified exceeds the maximum permissible limit (8KB).";
    MISSING_CONTENT_LENGTH = 411 "MissingContentLengthHeader" "Content-Length HTTP header is missing.";
    MISSING_REQUIRED_HEADER = 400 "MissingRequiredHeader"
        "An HTTP header that's mandatory for this request is not specified.";
    MISSING_REQUIRED_QUERY_PARAMETER = 400 "MissingRequiredQueryParameter"
        "A query parameter that's mandatory for this request is not specified.";
    MULTIPLE_CONDITION_HEADERS = 400 "MultipleConditionHeadersNotSupported"
        "Multiple condition headers are not supported.";
    NO_AUTHENTICATION_INFORMATION = 401 "NoAuthenticationInformation"
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
    NO_PENDING_COPY_OPERATION = 409 "NoPendingCopyOperation" "There is currently no pending copy operation.";
    NOT_MODIFIED = 304 "ConditionNotMet"
        "The condition specified using HTTP conditional header(s) is not met.";
    OPERATION_NOT_ALLOWED_ON_ROOT_BLOB = 403 "OperationNotAllowedOnRootBlob"
        "This operation is not allowed on the root blob. A snapshot or version must be provided.";
    OPERATION_TIMED_OUT = 500 "OperationTimedOut"
        "The operation could not be completed within the permitted time.";
    OUT_OF_RANGE_INPUT = 400 "OutOfRangeInput" "One of the request inputs is out of range.";
    OUT_OF_RANGE_QUERY_PARAMETER = 400 "OutOfRangeQueryParameterValue"
        "One of the query parameters specified in the request URI is outside the permissible range.";
    PENDING_COPY_OPERATION = 409 "PendingCopyOperation" "There is currently a pending copy operation.";
    PUBLIC_ACCESS_NOT_PERMITTED = 409 "PublicAccessNotPermitted"
        "Public access is not permitted on this storage account.";
    REQUEST_FORBIDDEN_BY_POLICY = 403 "RequestForbiddenByContainerEncryptionPolicy"
        "The request is forbidden by the container encryption policy.";
    REQUEST_BODY_TOO_LARGE = 413 "RequestBodyTooLarge"
        "The request body is too large and exceeds the maximum permissible limit.";
    RESOURCE_NOT_FOUND = 404 "ResourceNotFound" "The specified resource does not exist.";
    SEQUENCE_NUMBER_CONDITION_NOT_MET = 412 "SequenceNumberConditionNotMet"
        "The sequence number condition specified was not met.";
    SERVER_BUSY = 503 "ServerBusy" "The server is currently unable to receive requests. Please retry your request.";
    SNAPSHOTS_PRESENT = 409 "SnapshotsPresent" "This operation is not permitted while the blob has snapshots.";
    SOURCE_CONDITION_NOT_MET = 412 "SourceConditionNotMet"
        "The source condition specified using HTTP conditional header(s) is not met.";
    UNAUTHORIZED_BLOB_OVERWRITE = 403 "UnauthorizedBlobOverwrite"
        "This request is not authorized to perform blob overwrites.";
    UNSUPPORTED_HEADER = 400 "UnsupportedHeader"
        "One of the HTTP headers specified in the request is not supported.";
    UNSUPPORTED_QUERY_PARAMETER = 400 "UnsupportedQueryParameter"
        "One of the query parameters specified in the request URI is not supported.";
    UNSUPPORTED_HTTP_VERB = 405 "UnsupportedHttpVerb"
        "The resource doesn't support specified Http Verb.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_the_services_xml() {
        let body =
            INVALID_HEADER_VALUE.header("x-ms-version", "<&>").body("id-1", "2026-01-02T03:04:05.0000000Z");
        assert_eq!(
            body,
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>InvalidHeaderValue</Code><Message>The \
             value for one of the HTTP headers is not in the correct format.\nRequestId:id-1\nTime:2026-01-02T03:04:\
             05.0000000Z</Message><HeaderName>x-ms-version</HeaderName><HeaderValue>&lt;&amp;&gt;</HeaderValue>\
             </Error>"
        );
        assert_eq!(ApiError::custom(500, "").body("a", "b"), "");
    }
}
