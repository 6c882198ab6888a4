//! Why an end of a job has refused a request.

use std::time::Duration;

use azuring_azure::{Class, RequestError, ServiceError};
use azuring_store::{ErrorKind, StoreError};

/// Why an end has refused: Blob storage in its own words, of which its movers know many, or any other store in those of
/// the seam.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// Blob storage.
    #[error(transparent)]
    Blob(#[from] RequestError),
    /// Another store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EndError {
    /// What it means for the work.
    pub fn class(&self) -> Class {
        match self {
            Self::Blob(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    /// Whether the request may have been carried out all the same.
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Blob(error) => error.maybe_done(),
            Self::Store(error) => error.maybe_done(),
        }
    }

    /// How long the end asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Blob(error) => error.retry_after(),
            Self::Store(error) => error.retry_after(),
        }
    }

    /// The error of Blob storage, if it is one.
    pub fn blob(&self) -> Option<&RequestError> {
        match self {
            Self::Blob(error) => Some(error),
            Self::Store(_) => None,
        }
    }

    /// What Blob storage said, if it was the service that refused.
    pub fn service(&self) -> Option<&ServiceError> {
        self.blob().and_then(RequestError::service)
    }

    /// What any store said; `None` of Blob storage.
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Blob(_) => None,
            Self::Store(error) => Some(error.kind()),
        }
    }

    /// There is no such object, its container being there.
    pub fn not_found(&self) -> bool {
        match self {
            Self::Blob(error) => {
                let is_it = |refusal: &ServiceError| {
                    refusal.status == 404 && refusal.of_service && !refusal.is_of_copy_source()
                };
                error.service().is_some_and(is_it)
            }
            Self::Store(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// The object was to be new, and is there.
    pub fn already_exists(&self) -> bool {
        match self {
            Self::Blob(error) => error.already_exists(),
            Self::Store(error) => error.kind() == ErrorKind::Exists,
        }
    }

    /// The credential may not do this.
    pub fn forbidden(&self) -> bool {
        match self {
            Self::Blob(error) => error
                .service()
                .filter(|refusal| !refusal.is_of_copy_source())
                .is_some_and(|refusal| refusal.status == 403 && refusal.class() != Class::Fatal),
            Self::Store(error) => error.kind() == ErrorKind::Denied,
        }
    }

    /// A range begins behind the object's end.
    pub fn behind_end(&self) -> bool {
        match self {
            Self::Blob(error) => {
                error.service().is_some_and(|refusal| refusal.status == 416 && !refusal.is_of_copy_source())
            }
            Self::Store(error) => error.kind() == ErrorKind::BehindEnd,
        }
    }

    /// The object is not the one that was meant any more: another state, another length, or too short for a range of
    /// it.
    pub fn is_changed(&self) -> bool {
        match self {
            Self::Blob(RequestError::Changed { .. }) => true,
            Self::Blob(error) => error.service().is_some_and(|refusal| {
                refusal.precondition_failed()
                    || (refusal.status == 416 && refusal.of_service && !refusal.is_of_copy_source())
            }),
            Self::Store(error) => matches!(error.kind(), ErrorKind::Changed | ErrorKind::BehindEnd),
        }
    }

    /// The source of a copy has refused, which the destination was to read by itself.
    pub fn is_of_copy_source(&self) -> bool {
        self.service().is_some_and(ServiceError::is_of_copy_source)
    }

    /// Nothing else will succeed either, whatever has succeeded before: nobody has a token, or who answers is not the
    /// store.
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Blob(error) => matches!(error, RequestError::Token(_) | RequestError::NotStorage(_)),
            Self::Store(error) => error.kind() == ErrorKind::NotTheStore,
        }
    }
}
