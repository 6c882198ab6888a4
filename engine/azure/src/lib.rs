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

mod blob;
mod credential;
mod error;
mod properties;
mod sas;
mod secret;
mod shared_key;
mod url;

pub use blob::{BlobClient, Body, Crc64, Crc64Digest, SERVICE_VERSION, Target};
pub use credential::{Credential, CredentialError, DEVSTORE_ACCOUNT};
pub use error::{Class, RequestError, ServiceError};
pub use properties::{BlobProperties, PropertyError};
pub use sas::Sas;
pub use secret::Secret;
pub use shared_key::AccountKey;
pub use url::{BlobUrl, UrlError};
