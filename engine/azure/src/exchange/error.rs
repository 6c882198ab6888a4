//! What the service answers when it says no, and what to do about it.

use std::time::Duration;

use azuring_link::LinkError;
use azuring_store::Class;

use crate::account::bearer::TokenError;
use crate::exchange::properties::PropertyError;

mod read;

pub(crate) use read::{first_line_of, skew_s};

/// An error that the service itself answered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}{}{}", .message.as_deref().map(|m| format!(": {m}")).unwrap_or_default(), .copy_source.as_deref().map(ToString::to_string).unwrap_or_default())]
pub struct ServiceError {
    /// The HTTP status.
    pub status: u16,
    /// The service's error code, or the status's standard phrase where there is none (gateways, proxies).
    pub code: String,
    /// Whether it was the service that answered (`x-ms-request-id`), and not something in between or in its place.
    pub of_service: bool,
    /// The first line of the service's message.
    pub message: Option<Box<str>>,
    /// `x-ms-request-id`, which Microsoft's support asks for.
    pub request_id: Option<String>,
    /// How long the service asks to wait.
    pub retry_after: Option<Duration>,
    /// Seconds that the service's clock is ahead of this machine's, by the `Date` of its answer.
    pub clock_skew_s: Option<i32>,
    /// The tenant whose tokens it takes, where it says so (`WWW-Authenticate`).
    pub tenant: Option<Box<str>>,
    /// What the source of a copy answered to the service, if that is why it refused.
    pub copy_source: Option<Box<CopySourceError>>,
}

/// What the source of a copy answered to the service that read it. Told from version 2025-11-05 on; a service that
/// speaks an older one says no more than that it was the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopySourceError {
    /// The HTTP status.
    pub status: Option<u16>,
    /// The source's error code.
    pub code: Option<String>,
    /// The service speaks a version that tells them, and tells none: the source has answered nothing.
    pub is_silent: bool,
}

impl std::fmt::Display for CopySourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status: Some(status), code, .. } = self else { return Ok(()) };
        write!(f, " (the source answered {status}")?;
        if let Some(code) = code {
            write!(f, " {code}")?;
        }
        f.write_str(")")
    }
}

impl ServiceError {
    /// An error of the service of which nothing but status and code is known.
    pub fn new(status: u16, code: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            of_service: true,
            message: None,
            request_id: None,
            retry_after: None,
            clock_skew_s: None,
            tenant: None,
            copy_source: None,
        }
    }

    /// Whether it was the source of a copy that refused or was not there, and not the service that was asked.
    pub fn is_of_copy_source(&self) -> bool {
        self.copy_source.is_some() && !self.is_copy_scope_closed()
    }

    /// Whether the service copies from some accounts alone, of which the source's is none: it has not asked that one.
    pub fn is_copy_scope_closed(&self) -> bool {
        self.status == 403 && self.copy_source.as_deref().is_some_and(|source| source.is_silent)
    }

    /// Whether the service does not reach the source of a copy, or does not know its name: it would not for any other
    /// object either.
    pub fn is_copy_source_unreachable(&self) -> bool {
        self.status == 404 && self.copy_source.as_deref().is_some_and(|source| source.is_silent)
    }

    /// Whether the server has no such operation: an emulator, or a gateway.
    pub fn is_not_implemented(&self) -> bool {
        self.status == 501 || matches!(self.code.as_str(), "FeatureNotSupported" | "APINotImplemented")
    }

    /// Whether a request may have been refused for the version of the protocol that it names.
    pub fn is_of_version(&self) -> bool {
        let text = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        self.status == 400
            && !self.is_of_copy_source()
            && (self.code == "InvalidHeaderValue" || text.contains("version"))
    }

    /// The same as the source's own answer, as far as it is known.
    pub(crate) fn at_copy_source(&self) -> Option<ServiceError> {
        let source = self.copy_source.as_deref().filter(|_| self.is_of_copy_source())?;
        let code = source.code.as_deref().unwrap_or(&self.code);
        Some(Self::new(source.status.unwrap_or(self.status), code))
    }

    /// Whether the source of a copy does not admit the service or the client's network: what it said of one object it
    /// would say of every other, and a client that may read it can copy it through its memory.
    pub fn is_copy_source_closed(&self) -> bool {
        let source = self.copy_source.as_deref().filter(|_| self.is_of_copy_source());
        let Some(source) = source else { return false };
        match source.code.as_deref() {
            Some(code) => code == "AuthorizationFailure",
            // Of an old version. The text is the one of a firewall; that of a permission ends in `this permission`.
            None => {
                let text = "not authorized to perform this operation.";
                self.status == 403 && self.message.as_deref().is_some_and(|message| message.ends_with(text))
            }
        }
    }

    /// Whether the source of a copy does not take the token that the destination shows it.
    pub fn is_copy_source_token_refused(&self) -> bool {
        self.at_copy_source().is_some_and(|told| told.refuses_token())
    }

    /// What to do with the work this request was part of.
    pub fn class(&self) -> Class {
        if let Some(source) = self.at_copy_source() {
            // Nothing that one source says is the end of a job.
            return match source.class() {
                Class::Fatal => Class::Skip,
                class => class,
            };
        }
        match self.code.as_str() {
            "AuthenticationFailed"
            | "NoAuthenticationInformation"
            | "InvalidAuthenticationInfo"
            | "ContainerNotFound"
            | "ContainerDisabled"
            | "ContainerBeingDeleted"
            | "ContainerBeingDisabled"
            | "AccountIsDisabled"
            | "PublicAccessNotPermitted"
            | "AuthorizationProtocolMismatch"
            | "AuthorizationSourceIPMismatch"
            | "AuthorizationServiceMismatch"
            | "AuthorizationResourceTypeMismatch" => return Class::Fatal,
            // The body was damaged on its way: the copy in memory is still good.
            "Md5Mismatch" | "Crc64Mismatch" => return Class::Retry,
            // Emulators answer 500 for what they do not have.
            "FeatureNotSupported" | "APINotImplemented" => return Class::Skip,
            _ => {}
        }
        match self.status {
            429 | 503 => Class::Throttle,
            408 => Class::Retry,
            // A proxy or web server that answers so will do it for every object. (What it says of one, a body too large
            // or a name that it does not like, is that one's matter.)
            401 | 403 | 404 | 405 if !self.of_service => Class::Fatal,
            401 => Class::Fatal,
            501 | 505 => Class::Skip,
            500.. => Class::Retry,
            _ => Class::Skip,
        }
    }

    /// Whether there is no such blob, snapshot, version or container. A gateway's 404, which has no code of the
    /// service, proves nothing.
    pub fn not_found(&self) -> bool {
        self.status == 404
            && !self.is_of_copy_source()
            && matches!(self.code.as_str(), "BlobNotFound" | "ContainerNotFound" | "ResourceNotFound")
    }

    /// Whether it was a token that was not taken: expired, revoked, or of another tenant.
    pub(crate) fn refuses_token(&self) -> bool {
        if self.is_of_copy_source() {
            return false;
        }
        (self.status == 401 && self.of_service) || (self.status == 403 && self.code == "AuthenticationFailed")
    }

    /// Whether the service may have carried out the request all the same. Its own `ServerBusy`, its 4xx and what it
    /// does not implement say that it has not; what a gateway says, and every other 5xx, says nothing about that.
    pub fn maybe_done(&self) -> bool {
        let not_begun = match self.code.as_str() {
            "ServerBusy" => self.status == 503,
            "FeatureNotSupported" | "APINotImplemented" => true,
            _ => self.status < 500 && self.status != 408,
        };
        !(self.of_service && not_begun)
    }

    /// Whether the blob is no longer the one that `if_match` named.
    pub fn precondition_failed(&self) -> bool {
        self.status == 412 && self.code == "ConditionNotMet" && !self.is_of_copy_source()
    }

    /// Whether the source of a copy is not the blob any more that was named: another state, or too short for a range.
    pub fn is_copy_source_changed(&self) -> bool {
        let told = self.copy_source.as_deref().and_then(|source| source.status).unwrap_or(self.status);
        self.is_of_copy_source() && matches!(told, 304 | 412 | 416)
    }

    /// Whether a write was refused because the blob is there: one with `if_none_match_any`, or with a credential that
    /// may create and not overwrite. (After `if_match` a 412 means something else: [`Self::precondition_failed`].) What
    /// somebody holds a lease of is there as well: the service judges leases before conditions.
    pub fn already_exists(&self) -> bool {
        match self.code.as_str() {
            "BlobAlreadyExists" | "UnauthorizedBlobOverwrite" | "LeaseIdMissing" => true,
            "ConditionNotMet" => matches!(self.status, 409 | 412) && !self.is_of_copy_source(),
            _ => false,
        }
    }

    /// Whether an append blob was not as long as the request said.
    pub fn append_position_differs(&self) -> bool {
        self.status == 412 && self.code == "AppendPositionConditionNotMet"
    }

    /// Whether the blob does not have the lease that was named: it has run out or was broken, and somebody else may
    /// have written since.
    pub fn lease_lost(&self) -> bool {
        matches!(
            self.code.as_str(),
            "LeaseLost"
                | "LeaseIdMismatchWithBlobOperation"
                | "LeaseIdMismatchWithLeaseOperation"
                | "LeaseNotPresentWithBlobOperation"
                | "LeaseNotPresentWithLeaseOperation"
                | "LeaseIsBrokenAndCannotBeRenewed"
        )
    }

    /// Whether somebody else holds the blob.
    pub fn is_leased(&self) -> bool {
        matches!(
            self.code.as_str(),
            "LeaseIdMissing" | "LeaseAlreadyPresent" | "LeaseIsBreakingAndCannotBeAcquired"
        )
    }

    /// Whether a blob was not deleted because of its snapshots.
    pub fn snapshots_present(&self) -> bool {
        self.status == 409 && self.code == "SnapshotsPresent"
    }

    /// Whether the server refused a request because it does not know the CRC64 header.
    pub fn refuses_crc64(&self) -> bool {
        let text =
            format!("{} {}", self.code, self.message.as_deref().unwrap_or_default()).to_ascii_lowercase();
        matches!(self.code.as_str(), "FeatureNotSupported" | "UnsupportedHeader")
            || text.contains("crc64 is not")
    }

    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        if let Some(source) = self.at_copy_source().filter(|source| source.code != self.code) {
            return source.advice();
        }
        match self.code.as_str() {
            "CannotVerifyCopySource" if self.is_copy_scope_closed() => {
                "the account of the destination takes copies from some accounts alone, and has not asked the source: change that (az storage account update --allowed-copy-scope), or send the bytes through this host (--route=relay)"
            }
            "CannotVerifyCopySource" if self.is_copy_source_unreachable() => {
                "the account of the destination does not reach the source: check the source's name, and whether it is public, or send the bytes through this host (--route=relay)"
            }
            "CannotVerifyCopySource" => {
                "the account of the destination could not read the source: check the source's credential (its permission `r`, `o` in srt) and firewall"
            }
            "SourceConditionNotMet" => "the source was changed while it was copied: run the job again",
            "AuthenticationFailed" => {
                "check the key or the SAS (its signature, its expiry) and that this machine's clock is right"
            }
            "NoAuthenticationInformation" => {
                "no credential was sent: append a SAS to the URL or set AZURE_STORAGE_KEY"
            }
            "AuthorizationPermissionMismatch" => {
                "the SAS or role lacks the permission: reading needs `r` in sp, listing `l`, writing `w` (or `c`), deleting `d` (versions `x`, for good `y`), tags `t`; or Storage Blob Data Contributor"
            }
            "AuthorizationFailure" => {
                "the account's firewall may not admit this network, or shared keys are disabled on the account"
            }
            "AuthorizationResourceTypeMismatch" => {
                "the account SAS needs `o` (objects) in srt, and `c` (containers) for listings and batches"
            }
            "AuthorizationProtocolMismatch" => "the SAS allows https only",
            "AuthorizationSourceIPMismatch" => "the SAS does not admit this machine's address",
            "ContainerNotFound" => "create the container first",
            "BlobNotFound" => {
                "there is no such blob: was it removed after it was listed? If not, check the URL"
            }
            "Md5Mismatch" | "Crc64Mismatch" => {
                "the bytes are not those that the checksum is of: the MD5 that is stored with them is wrong, or something on the way changes the data"
            }
            "InvalidSourceBlobUrl" | "InvalidSourceBlobType" | "CopyAcrossAccountsNotSupported" => {
                "the service does not copy from this source: send the bytes through this host (--route=relay)"
            }
            "BlobOperationNotSupportedForBlobCreatedByNfsV3" => {
                "the blob was written over NFS 3.0, and the service does not do this with such blobs: send the bytes through this host (--route=relay), or read it over NFS"
            }
            "InvalidHeaderValue" | "UnsupportedHeader" => {
                "this service does not take a header of the request: leave out what it is for (a tier, tags, a customer's key); a gateway or an emulator may know earlier versions of the protocol alone"
            }
            "MissingRequiredHeader" => {
                "this service wants a header that the request does not have: a gateway or an emulator may speak another version of the protocol"
            }
            "ContainerBeingDeleted" => "the container is being deleted: wait, or use another name",
            "AccountIsDisabled" => "the account is disabled",
            "LeaseIdMissing" | "LeaseAlreadyPresent" | "LeaseIsBreakingAndCannotBeAcquired" => {
                "another writer holds the blob (a lease): wait until it has ended, or break the lease"
            }
            "BlobImmutableDueToPolicy" => "the blob is protected by an immutability policy",
            "BlobImmutableDueToLegalHold" => "the blob is protected by a legal hold",
            "BlobArchived" => {
                "the blob is in the archive: set its tier to Hot, Cool or Cold and wait some hours"
            }
            "BlobBeingRehydrated" => "the blob is on its way out of the archive: wait some hours",
            "BlobIsSealed" => "the append blob is sealed: write under another name, or remove it first",
            "SnapshotsPresent" => "the blob has snapshots: delete them with it, or only them",
            "OperationNotAllowedOnRootBlob" => {
                "the current version cannot be deleted by its id: delete the blob itself"
            }
            "InvalidBlobTier" | "BlobTierInadequateForContentLength" => {
                "the tier is not one of this type or size of blob: Hot, Cool, Cold and Archive are for block blobs, P4 to P80 for page blobs of premium accounts"
            }
            "BlobAccessTierNotSupportedForAccountType" => "this type of account has no tiers",
            "PendingCopyOperation" => "the blob is the target of a copy under way: wait, or abort the copy",
            "DirectoryIsNotEmpty" => "the directory is not empty: delete what is in it first",
            "BlobUsesCustomerSpecifiedEncryption" => {
                "the blob is encrypted with a customer's key: give that key"
            }
            "BlobCustomerSpecifiedEncryptionMismatch" => {
                "the blob is encrypted with another key: give that one"
            }
            "BlobDoesNotUseCustomerSpecifiedEncryption" => {
                "the blob is not encrypted with a customer's key: give none"
            }
            "InvalidResourceName" => "the service does not take this name: rename the file or the blob",
            "InvalidMetadata" | "EmptyMetadataKey" => {
                "metadata names are letters, digits and `_`, and their values printable ASCII"
            }
            "MetadataTooLarge" => "names and values of metadata have 8 KiB together: leave some out",
            "InvalidTag" | "InvalidTags" => {
                "a blob has 10 tags at most; their names and values are letters, digits, blanks and + - . / : = _"
            }
            "AppendPositionConditionNotMet" => "the append blob was written to by someone else",
            "InvalidRange" | "InvalidPageRange" => {
                "the blob is shorter than expected: it was changed by someone else"
            }
            "UnauthorizedBlobOverwrite" => {
                "the blob exists and the credential may create but not overwrite: add `w` to sp"
            }
            "InvalidBlobType" => {
                "the blob of this name is of another type: remove it first, or use its own operations"
            }
            "InvalidBlobOrBlock" => {
                "uncommitted blocks of another tool lie under this name: send it in one request (--put-blob-size-mb), use --delete-destination-file (uploads), or wait: they vanish a week after the last of them was sent"
            }
            "BlockCountExceedsLimit" => {
                "100,000 uncommitted blocks of earlier runs lie under this name: use --delete-destination-file, or wait: they vanish a week after the last of them was sent"
            }
            "InvalidBlockList" => {
                "another writer has written to this name and so discarded the blocks: transfer it when nobody else writes there"
            }
            "ConditionNotMet" => "the blob was changed by someone else",
            "RequestBodyTooLarge" => "lower --put-blob-size-mb or --block-size-mb",
            _ => match self.status {
                400..500 if !self.of_service => {
                    "a proxy, a gateway or another web server refuses this: check the URL, the proxies in between (HTTPS_PROXY, NO_PROXY), and what they allow"
                }
                401 | 403 => "check the credential and its permissions",
                404 => "check the URL",
                409 => "the blob's or container's state does not allow it",
                412 => "a condition of the request was not met",
                429 | 503 => "the account is at its limit: lower --concurrency",
                500.. => "the service or a gateway in between failed: try again",
                _ => "see the code in Azure's list of Blob service error codes",
            },
        }
    }
}

/// An answer that is neither a success of the service nor a refusal: most likely not the service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStorage {
    /// The operation's name.
    pub operation: &'static str,
    /// Where it was sent to, without its query.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// Whether the answer has the headers of the service's answers, and only its status is none of the operation.
    pub of_service: bool,
    /// The first line of what came; empty when nothing came.
    pub first_line: String,
    /// Where the answer leads to instead (`Location`, without its query).
    pub leads_to: Option<String>,
}

impl std::fmt::Display for NotStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operation, url, status, .. } = self;
        write!(f, "this is not Azure Storage: the answer of {url} to {operation} is {status}")?;
        if !self.of_service {
            f.write_str(" without x-ms-request-id and x-ms-version")?;
        }
        if let Some(to) = &self.leads_to {
            write!(f, ", leads to {to}")?;
        }
        if !self.first_line.is_empty() {
            write!(f, " and begins with `{}`", self.first_line)?;
        }
        Ok(())
    }
}

impl std::error::Error for NotStorage {}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No usable answer came.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The service refused.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Something said yes that is not the service, or the service with a status that the operation does not have.
    /// Nothing is known to be stored, and nothing that came is a blob.
    #[error(transparent)]
    NotStorage(#[from] Box<NotStorage>),
    /// The blob is not as long as it was known to be.
    #[error("the blob has {is} bytes now, and had {was}")]
    Changed {
        /// Its length, as it was known.
        was: u64,
        /// Its length, as the answer tells it.
        is: u64,
    },
    /// The service says it received other bytes than were sent.
    #[error("the service computed another CRC64 of the body than was sent")]
    Integrity,
    /// There is no token to send.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The service refused the token, and there is a new one now.
    #[error("the service took the token no more; there is a new one")]
    TokenRenewed {
        /// A part of the request may have been carried out.
        partly: bool,
    },
    /// The name cannot be put into a request.
    #[error("the name does not fit into a URL: {0}")]
    Name(String),
    /// The service would take the name for another one, so nothing was sent.
    #[error("the service would store this name as `{stored}`, which may be another blob's")]
    OtherName {
        /// The name that it would be.
        stored: String,
    },
    /// A property of the blob cannot be put into a header.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// The service said yes, but what came with it is not what the operation answers. A gateway in between, or names
    /// that the service cannot put into its own format.
    #[error("the answer to {request} cannot be read: {reason}")]
    Answer {
        /// The operation, and the page of it.
        request: String,
        /// What is wrong.
        reason: String,
        /// Whether something in between may have answered instead of the service, so that another attempt may bring
        /// another answer.
        passing: bool,
    },
}

impl RequestError {
    /// What to do with the work this request was part of.
    pub fn class(&self) -> Class {
        match self {
            RequestError::Link(error) if error.is_permanent() => Class::Fatal,
            RequestError::Token(_) | RequestError::NotStorage(_) => Class::Fatal,
            RequestError::Link(_)
            | RequestError::Integrity
            | RequestError::TokenRenewed { .. }
            | RequestError::Answer { passing: true, .. } => Class::Retry,
            RequestError::Service(error) => error.class(),
            RequestError::Name(_)
            | RequestError::OtherName { .. }
            | RequestError::Property(_)
            | RequestError::Changed { .. }
            | RequestError::Answer { .. } => Class::Skip,
        }
    }

    /// Whether the service may have carried out the request, though it failed: its answer was lost, damaged, made by
    /// something in between, or does not tell. Whoever repeats such a request has to look what is there. `false`: the
    /// service was never reached, or says that it has not.
    pub fn maybe_done(&self) -> bool {
        match self {
            RequestError::Link(error) => error.maybe_sent(),
            RequestError::Service(error) => error.maybe_done(),
            RequestError::TokenRenewed { partly } => *partly,
            RequestError::NotStorage(_) | RequestError::Integrity | RequestError::Answer { .. } => true,
            RequestError::Token(_)
            | RequestError::Name(_)
            | RequestError::OtherName { .. }
            | RequestError::Property(_)
            | RequestError::Changed { .. } => false,
        }
    }

    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            RequestError::NotStorage(_) => {
                "log in to this network if it has a login page, and check the URL and the proxies in between (HTTPS_PROXY, NO_PROXY); a gateway in front of the service (Azure API Management, Front Door, nginx) has to pass on its status and the headers x-ms-request-id and x-ms-version"
            }
            RequestError::Service(error) => error.advice(),
            RequestError::Link(LinkError::Resolve { .. }) => "check the account's name in the URL, and DNS",
            RequestError::Link(LinkError::Connect { .. }) => {
                "check host and port, and that a firewall or private endpoint lets this machine through"
            }
            RequestError::Link(LinkError::Certificate { .. }) => {
                "add the authority with --ca-file or SSL_CERT_FILE, or use the name the certificate is for"
            }
            RequestError::Link(LinkError::Tls { .. }) => "check that the port speaks TLS, or use http://",
            RequestError::Link(LinkError::Proxy { .. }) => {
                "check the proxy's URL in that variable, or exempt the server in NO_PROXY"
            }
            RequestError::Link(LinkError::ProxyLogin { given: true, .. }) => {
                "check the user and password in that variable; they are shown in the way called Basic, other ways (NTLM, Negotiate) are not known here"
            }
            RequestError::Link(LinkError::ProxyLogin { .. }) => {
                "put the user and password into that variable: http://USER:PASSWORD@HOST:PORT"
            }
            RequestError::Link(LinkError::ProxyRefused { .. }) => {
                "have the proxy allow connections to this host, or exempt it in NO_PROXY"
            }
            RequestError::Link(LinkError::NoHttp2 { .. }) => "use --http auto or --http 1.1",
            RequestError::Link(_) => "the network or a gateway in between failed: try again",
            RequestError::Token(_) => "log in again, or use another credential: azuring login status",
            RequestError::TokenRenewed { .. } => "try again",
            RequestError::Integrity => {
                "something between here and the service changes the data: try another network path"
            }
            RequestError::Name(_) => "rename the file",
            RequestError::OtherName { .. } => "give the name as the service has it",
            RequestError::Changed { .. } => "run the job again when nobody writes to it",
            RequestError::Property(_) => "change the property, or leave it out",
            RequestError::Answer { .. } => {
                "check that nothing between here and the service changes its answers"
            }
        }
    }

    /// What the service said, if it was the service that refused.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            RequestError::Service(error) => Some(error),
            _ => None,
        }
    }

    /// [`ServiceError::not_found`].
    pub fn not_found(&self) -> bool {
        self.service().is_some_and(ServiceError::not_found)
    }

    /// [`ServiceError::already_exists`].
    pub fn already_exists(&self) -> bool {
        self.service().is_some_and(ServiceError::already_exists)
    }

    /// How long the service asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            RequestError::Service(error) => error.retry_after,
            _ => None,
        }
    }

    /// Whether what failed was the comparison of bytes, at either end.
    pub fn is_integrity(&self) -> bool {
        match self {
            RequestError::Integrity => true,
            RequestError::Service(error) => matches!(error.code.as_str(), "Md5Mismatch" | "Crc64Mismatch"),
            _ => false,
        }
    }

    /// Whether the credential itself was refused.
    pub fn is_authentication(&self) -> bool {
        matches!(self, RequestError::Token(TokenError { passing: false, .. }))
            || matches!(self, RequestError::Service(error)
                if (error.of_service && matches!(error.status, 401 | 403)) || error.code == "PublicAccessNotPermitted")
    }
}

#[cfg(test)]
#[path = "error/tests.rs"]
mod tests;
