//! # azuring-azure: requests to Azure Blob storage
//!
//! **Purpose.** Knows what Azure Storage is: its URLs, its credentials and signatures, the headers of each
//! operation, and what its answers and errors mean.
//!
//! ```text
//!   blob ─────────────> exchange ───────────────────> account        three rooms; an arrow says "imports":
//!   └────────────────────────────────────────────────────^           none runs the other way (tests/house)
//!
//!   account    BlobUrl: where    Credential: may I    Sas, SasBuilder    AccountKey    Bearer: tokens
//!   exchange   BlobProperties, Encryption ─> Target: rendered once ─> BlobClient ─> azuring-link
//!                                                    Reply | RequestError: class(), advice()
//!   blob       put_blob, put_block, put_block_list          put_blob
//!              get_blob, head_blob ──> BlobFacts            get_blob, facts
//!              list_blobs ──> ListPage                      list, list_page, listing, course
//!              delete_blob, set_tier; 256 at a time         delete, change (exchange/batch)
//!              append_block, put_page, ..                   append_blob, page_blob
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
//! **Limits.** Those of the service, REST version 2025-07-05. Names of blobs are percent-encoded by the caller;
//! prefixes, tags and markers are not.
//!
//! **Does not know** files, jobs, threads or retries.
#![forbid(unsafe_code)]

mod account;
mod blob;
mod exchange;

pub use account::bearer::{Bearer, TokenError, TokenFeed, bearer, bearer_by};
pub use account::clock::Clock;
pub use account::credential::{Credential, HostToken, TrustedSuffixes};
pub use account::emulator::DEVSTORE_ACCOUNT;
pub use account::error::{CredentialError, UrlError};
pub use account::sas::{
    Sas, SasBuildError, SasBuilder, SasFacts, SasFault, SasKind, SasNeeds, SasOperation, SasOverrides,
    SasResource, UserDelegationKey,
};
pub use account::secret::Secret;
pub use account::shared_key::AccountKey;
pub use account::url::BlobUrl;
pub use account::version::SERVICE_VERSION;
pub use azuring_link::secrets;
pub use azuring_store::{
    AccessTier, BlobType, Class, ContentFacts, Course, Crc64, Crc64Digest, Disorder, Entry as BlobEntry,
    Facts as BlobFacts, Include as ListInclude, Item as ListItem, List as ListRequest, MAX_EMPTY_PAGES,
    MAX_PAGE_ENTRIES, Page as ListPage, State as BlobState, Wanted, Which,
};
pub use blob::account::AccountFacts;
pub use blob::append_blob::MAX_APPEND_BYTES;
pub use blob::block_list::{BlockLists, ListedBlock};
pub use blob::change::{RehydratePriority, SetTier};
pub use blob::container::is_of_system;
pub use blob::copy_blob::{CopyBegun, CopyState, CopyStatus};
pub use blob::delete::{Delete, DeleteSnapshots};
pub use blob::facts::Told;
pub use blob::from_url::Copied;
pub use blob::get_blob::{Get, MAX_CRC64_RANGE_BYTES};
pub use blob::lease::LEASE_SECONDS;
pub use blob::page_blob::{MAX_PUT_PAGE_BYTES, PAGE_BYTES, PageRanges};
pub use blob::put_blob::{Body, Written};
pub use blob::store::{BlobBody, BlobStore};
pub use exchange::advice::Access;
pub use exchange::batch::MAX_BATCH;
pub use exchange::checksum::crc64_of;
pub use exchange::client::BlobClient;
pub use exchange::encryption::{Cpk, Encryption, EncryptionError};
pub use exchange::error::{RequestError, ServiceError};
pub use exchange::grant::Granted;
pub use exchange::properties::{BlobProperties, PropertyError};
pub use exchange::target::{Target, TargetError};
