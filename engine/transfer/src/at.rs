//! Where the remote end of a job is.

use std::borrow::Cow;
use std::error::Error;

use azuring_azure::{Access, BlobUrl, Credential};
use azuring_job::choices::{BlobTypeChoice, PropertyChange};
use azuring_job::job_error::JobError;
use azuring_job::options::JobOptions;
use azuring_lane::end::{End, OwnEnd};
use azuring_lane::ends::RemoteEnd;
use azuring_plan::name::encode_path;
use azuring_store::{CustomStore, Visible};

use crate::frame;

/// Objects of a store: a container of Blob storage, or a store of the caller's own, and a path in it.
pub struct Location {
    pub(crate) at: At,
    pub(crate) credential: Credential,
    /// Finds another credential when all else is well.
    pub(crate) find: Option<FindCredential>,
}

/// Finds a credential where that takes a while.
pub(crate) type FindCredential = Box<dyn FnOnce() -> Result<Credential, Box<dyn Error + Send + Sync>> + Send>;

impl Location {
    /// In Blob storage.
    pub fn blob(url: BlobUrl, credential: Credential) -> Self {
        Self { at: At::Blob(url), credential, find: None }
    }

    /// Finds the credential where that takes a while, as
    /// [`JobBuilder::credential_by`](crate::JobBuilder::credential_by): that of the source first, then that of the
    /// destination.
    pub fn credential_by(
        mut self,
        find: impl FnOnce() -> Result<Credential, Box<dyn Error + Send + Sync>> + Send + 'static,
    ) -> Self {
        self.find = Some(Box::new(find));
        self
    }

    /// In a store of the caller's own, at this path: an object's name, a directory, or empty for everything.
    pub fn store(store: CustomStore, path: &str) -> Self {
        Self { at: At::Own(store, path.to_owned()), credential: Credential::Anonymous, find: None }
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Location").field(&self.at.to_string()).finish()
    }
}

/// Where the remote end of a job is.
pub(crate) enum At {
    /// In a container of Blob storage.
    Blob(BlobUrl),
    /// In somebody's own store: below this path, or the object of this key.
    Own(CustomStore, String),
}

impl At {
    /// The path in the container, decoded.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Blob(url) => url.path(),
            Self::Own(_, path) => path,
        }
    }

    /// The same, percent-encoded.
    pub(crate) fn raw_path(&self) -> Cow<'_, str> {
        match self {
            Self::Blob(url) => url.raw_path().into(),
            Self::Own(_, path) => encode_path(path).into(),
        }
    }

    /// The URL, of Blob storage.
    pub(crate) fn url(&self) -> Option<&BlobUrl> {
        match self {
            Self::Blob(url) => Some(url),
            Self::Own(..) => None,
        }
    }

    /// Whether it is a whole account.
    pub(crate) fn is_account(&self) -> bool {
        self.url().is_some_and(BlobUrl::is_account)
    }

    /// Whether what `self` means may be where `other` is: in one container, one account, or one store. Stores of one
    /// name are taken for the same. `left_out`: containers of an account that are not meant.
    pub(crate) fn is_beside(&self, other: &Self, left_out: &[String]) -> bool {
        match (self, other) {
            (Self::Blob(here), Self::Blob(there)) if here.is_account() || there.is_account() => {
                let container = there.container();
                let is_meant = !here.is_account()
                    || container.is_empty()
                    || (here.means_container(container) && !left_out.iter().any(|name| name == container));
                here.account_url() == there.account_url() && is_meant
            }
            (Self::Blob(here), Self::Blob(there)) => here.container_url() == there.container_url(),
            (Self::Own(here, _), Self::Own(there, _)) => here.name() == there.name(),
            _ => false,
        }
    }

    /// Whether requests go over TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.url().is_some_and(|url| url.endpoint().tls)
    }

    /// Refuses what only Blob storage can do.
    pub(crate) fn check(&self, options: &JobOptions) -> Result<(), JobError> {
        let Self::Own(store, _) = self else { return Ok(()) };
        let wants = [
            (
                matches!(options.blob_type, BlobTypeChoice::Page | BlobTypeChoice::Append),
                "page and append blobs",
            ),
            (options.encryption.is_some(), "encryption with customers' keys"),
            (options.properties.tags.is_some() || options.preserve_tags, "index tags"),
            (options.properties.tier.is_some() || options.page_blob_tier.is_some(), "access tiers"),
            (
                options.permanent_delete.is_some() || options.delete_snapshots.is_some(),
                "snapshots and versions",
            ),
        ];
        match wants.iter().find(|(is_wanted, _)| *is_wanted) {
            Some((_, what)) => {
                Err(JobError::Limit(format!("{} is no Blob storage: it has no {what}", store.name())))
            }
            None => Ok(()),
        }
    }

    /// The end, and how requests get there; `access`: what they do to its objects.
    pub(crate) fn open(
        self,
        find: impl FnOnce() -> Result<Credential, JobError>,
        options: &JobOptions,
        change: Option<&PropertyChange>,
        access: Access,
    ) -> Result<RemoteEnd, JobError> {
        let (end, tls) = match self {
            Self::Blob(url) => {
                let (target, tls) = frame::target(url, find, options, change)?;
                (End::Blob(Box::new(target)), tls)
            }
            Self::Own(store, _) => {
                let name = store.name().to_owned();
                let own = OwnEnd::new(store, &options.properties).map_err(JobError::Limit)?;
                let writes = access == Access::Write && change.is_none();
                let traits = own.traits();
                if writes && traits.pieces.is_some() && traits.visible == Visible::FromStart {
                    return Err(JobError::Limit(format!(
                        "{name}: objects that it takes in pieces are seen before they are complete (its trait `visible`), and \
                         azuring replaces objects only as a whole"
                    )));
                }
                (End::Own(own), None)
            }
        };
        Ok(RemoteEnd::new(end, access, tls, options.crc64))
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blob(url) => url.fmt(f),
            Self::Own(store, path) if path.is_empty() => f.write_str(store.name()),
            Self::Own(store, path) => write!(f, "{}/{path}", store.name()),
        }
    }
}
