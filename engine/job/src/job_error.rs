//! Why a job cannot be started.

use azuring_azure::{CredentialError, EncryptionError, PropertyError, TargetError, UrlError};
use azuring_journal::JournalError;
use azuring_link::TlsError;
use azuring_local::LocalError;
use azuring_plan::PlanError;

use crate::spec::SpecError;

/// Why a job cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The source is missing or cannot be read.
    #[error(transparent)]
    Source(#[from] LocalError),
    /// The destination is nothing that files can be written to.
    #[error(transparent)]
    Destination(LocalError),
    /// Source, destination and options do not go together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The URL is wrong.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The credential cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// No credential was found by `JobBuilder::credential_by`.
    #[error(transparent)]
    Login(Box<dyn std::error::Error + Send + Sync>),
    /// A property cannot be sent.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// The blobs cannot be encrypted so.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// No TLS configuration can be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A limit is out of its range.
    #[error("{0}")]
    Limit(String),
    /// The process may not open what a job needs at least. Raise its limit of open files (`RLIMIT_NOFILE`).
    #[error(
        "the limit of open files is too low: {needed} more have to be open at once, and {free} can be; \
         raise it (ulimit -n, or LimitNOFILE= of a systemd service)"
    )]
    Descriptors {
        /// Descriptors that are needed at least.
        needed: u64,
        /// Descriptors that there are.
        free: u64,
    },
    /// The job has no parts, or the part cannot be run here.
    #[error("{0}")]
    Part(String),
    /// The spec of the job cannot be made, or not be used here.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The job's journal cannot be made or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<TargetError> for JobError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Property(error) => error.into(),
            TargetError::Credential(error) => error.into(),
            other => Self::Limit(other.to_string()),
        }
    }
}
