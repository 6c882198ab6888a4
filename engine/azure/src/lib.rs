//! # azuring-azure: requests to Azure Blob storage
//!
//! **Purpose.** Knows what Azure Storage is: its URLs, its credentials and signatures, the headers of each
//! operation, and what its answers and errors mean.
//!
//! ```text
//!   BlobUrl ────── who and where ──┐
//!   Credential ─── may I ──────────┤
//!   BlobProperties job-wide ───────┼─> Target ─> BlobClient ── put_blob, put_block, put_block_list    put_blob
//!   Encryption ─── under whose key ┘      │       │            get_blob, head_blob ──> BlobFacts      get_blob, facts
//!                                         │       │            list_blobs ──> ListPage                list, list_page
//!                              rendered once      │            delete_blob, set_tier; 256 at a time   delete, change, batch
//!                                                 │            append_block, put_page, ..             append_blob, page_blob
//!                                               link           Reply | RequestError: class(), advice()
//!
//!   Sas ── facts, check: can it do this job?   SasBuilder ── a new one, of a key or a UserDelegationKey    sas
//! ```
//!
//! **Invariants.**
//! - A call is exactly one exchange. Retrying is the caller's business; [`RequestError::class`] says whether it helps.
//! - A success is an answer of the service with a status that is documented for the operation (`operation`). What else
//!   says yes is [`RequestError::NotStorage`].
//! - Secrets (SAS signatures, account and encryption keys) live in [`Secret`], an HMAC key or a sensitive header, and
//!   cannot be printed.
//! - What never changes within a job is rendered once: a request adds length, checksum, date and path.
//! - Every answer that is read whole has a limit in bytes, derived where it stands. What an answer says is checked, and
//!   never a reason to panic.
//!
//! **Limits.** Those of the service, REST version 2025-07-05. Names of blobs are percent-encoded by the caller; prefixes,
//! tags and markers are not.
//!
//! **Does not know** files, jobs, threads or retries.
#![forbid(unsafe_code)]

mod advice;
mod append_blob;
mod batch;
mod bearer;
mod block_list;
mod change;
mod checksum;
mod client;
mod clock;
mod course;
mod credential;
mod delete;
mod encryption;
mod error;
mod facts;
mod get_blob;
mod lease;
mod list;
mod list_page;
mod operation;
mod page_blob;
mod properties;
mod put_blob;
mod sas;
mod secret;
mod shared_key;
mod target;
mod url;
mod xml;

pub use advice::Access;
pub use append_blob::MAX_APPEND_BYTES;
pub use azuring_link::secrets;
pub use batch::MAX_BATCH;
pub use bearer::{Bearer, TokenError, TokenFeed, bearer, bearer_by};
pub use block_list::{BlockLists, ListedBlock};
pub use change::{RehydratePriority, SetTier};
pub use checksum::{Crc64, Crc64Digest};
pub use client::BlobClient;
pub use clock::Clock;
pub use course::{Course, Disorder, MAX_EMPTY_PAGES};
pub use credential::{Credential, CredentialError, DEVSTORE_ACCOUNT, HostToken, TrustedSuffixes};
pub use delete::{Delete, DeleteSnapshots};
pub use encryption::{Cpk, Encryption, EncryptionError};
pub use error::{Class, RequestError, ServiceError};
pub use facts::{AccessTier, BlobFacts, BlobState, BlobType, ContentFacts, Wanted};
pub use get_blob::{Get, MAX_CRC64_RANGE_BYTES, Which};
pub use lease::LEASE_SECONDS;
pub use list::{BlobEntry, ListInclude, ListItem, ListPage, ListRequest, MAX_PAGE_ENTRIES};
pub use page_blob::{MAX_PUT_PAGE_BYTES, PAGE_BYTES, PageRanges};
pub use properties::{BlobProperties, PropertyError};
pub use put_blob::{Body, Written};
pub use sas::{
    Sas, SasBuildError, SasBuilder, SasFacts, SasFault, SasKind, SasNeeds, SasOperation, SasOverrides,
    SasResource, UserDelegationKey,
};
pub use secret::Secret;
pub use shared_key::AccountKey;
pub use target::{SERVICE_VERSION, Target, TargetError};
pub use url::{BlobUrl, UrlError};
