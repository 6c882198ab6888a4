//! # azuring-azure: requests to Azure Blob storage
//!
//! **Purpose.** Knows what Azure Storage is: its URLs, its credentials and signatures, the headers of each
//! operation, and what its answers and errors mean.
//!
//! ```text
//!   BlobUrl ── who and where ──┐
//!   Credential ── may I ───────┼─> BlobClient::put_blob(path, payload, ..) ──> link ──> Outcome | RequestError
//!   BlobProperties ── job-wide ┘        one request, no retry                            └─ class(), advice()
//! ```
//!
//! **Invariants.**
//! - A call is exactly one exchange. Retrying is the caller's business; [`RequestError::class`] says whether it helps.
//! - Secrets (SAS signatures, account keys) live in [`Secret`] or an HMAC key and cannot be printed.
//! - What never changes within a job is rendered once: a request adds length, checksum, date and path.
//!
//! **Limits.** Those of the service, REST version 2025-07-05.
//!
//! **Does not know** files, jobs, threads or retries.
#![forbid(unsafe_code)]

mod checksum;
mod client;
mod credential;
mod encryption;
mod error;
mod facts;
mod get_blob;
mod list;
mod list_page;
mod properties;
mod put_blob;
mod sas;
mod secret;
mod shared_key;
mod target;
mod url;
mod xml;

pub use checksum::{Crc64, Crc64Digest};
pub use client::BlobClient;
pub use credential::{Credential, CredentialError, DEVSTORE_ACCOUNT};
pub use encryption::{Cpk, Encryption, EncryptionError};
pub use error::{Class, RequestError, ServiceError};
pub use facts::{AccessTier, BlobFacts, BlobState, BlobType, ContentFacts, Wanted};
pub use get_blob::{Get, MAX_CRC64_RANGE_BYTES, Which};
pub use list::{BlobEntry, ListInclude, ListItem, ListPage, ListRequest, MAX_PAGE_ENTRIES};
pub use properties::{BlobProperties, PropertyError};
pub use put_blob::Body;
pub use sas::Sas;
pub use secret::Secret;
pub use shared_key::AccountKey;
pub use target::{SERVICE_VERSION, Target};
pub use url::{BlobUrl, UrlError};
