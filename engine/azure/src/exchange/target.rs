//! Where and as whom requests go.

use azuring_link::Spelling;
use http::header::{HOST, HeaderName, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue};

use crate::account::bearer::HeldToken;
use crate::account::credential::Credential;
use crate::account::error::CredentialError;
use crate::account::url::BlobUrl;
use crate::account::version::SERVICE_VERSION;
use crate::exchange::encryption::{Encryption, EncryptionError, EncryptionHeaders};
use crate::exchange::header::X_MS_VERSION;
use crate::exchange::properties::{BlobProperties, PropertyError, value};

/// What the requests say of who sends them.
const AGENT: &str = concat!("azuring/", env!("CARGO_PKG_VERSION"));

/// Where and as whom a job's requests go; what they have in common, rendered once. Shared by all lanes.
#[derive(Clone, Debug)]
pub struct Target {
    url: BlobUrl,
    credential: Credential,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
    pub(crate) container_path: String,
    /// Headers of every request.
    pub(crate) common: HeaderMap,
    /// How names of metadata are spelled.
    pub(crate) spelling: Option<Spelling>,
    /// Headers of the requests that make a blob.
    pub(crate) properties: HeaderMap,
    pub(crate) encryption: EncryptionHeaders,
}

/// Why no requests can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A property cannot be put into a header.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// The credential may not be sent there.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl Target {
    /// # Errors
    /// [`TargetError`] when a property cannot be put into a header, or the credential is for another host.
    pub fn new(
        url: BlobUrl,
        credential: Credential,
        properties: &BlobProperties,
    ) -> Result<Self, TargetError> {
        if let Credential::Token(token) = &credential {
            token.bearer_for(&url)?;
        }
        let authority = url.authority();
        let mut common = HeaderMap::new();
        common.insert(HOST, value("host", &authority)?);
        common.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        common.insert(HeaderName::from_static(X_MS_VERSION), HeaderValue::from_static(SERVICE_VERSION));
        let target = Self {
            scheme: if url.endpoint().tls { Scheme::HTTPS } else { Scheme::HTTP },
            authority: authority.parse().expect("a parsed URL has a valid authority"),
            container_path: url.container_path(),
            spelling: None,
            properties: properties.headers()?,
            url,
            credential,
            common,
            encryption: EncryptionHeaders::default(),
        };
        Ok(target.spelling(&properties.metadata))
    }

    /// The same with encryption under a key or scope of the customer: for all that reads or writes a blob's bytes,
    /// properties or metadata, and not for listings, deletions, tiers and tags, which do not look into blobs.
    ///
    /// # Errors
    /// [`EncryptionError::NeedsTls`], [`EncryptionError::Scope`].
    pub fn with_encryption(mut self, encryption: &Encryption) -> Result<Self, EncryptionError> {
        self.encryption = encryption.headers(&self.url)?;
        Ok(self)
    }

    /// The same with `prefix` and a space before the `User-Agent`, as AzCopy writes AZCOPY_USER_AGENT_PREFIX.
    ///
    /// # Errors
    /// [`PropertyError`] when it cannot be put into a header.
    pub fn with_user_agent_prefix(mut self, prefix: &str) -> Result<Self, PropertyError> {
        self.common.insert(USER_AGENT, value("user-agent", &format!("{prefix} {AGENT}"))?);
        Ok(self)
    }

    /// Writes the names of this metadata as they are spelled, where HTTP allows it.
    pub fn spelling(mut self, metadata: &[(String, String)]) -> Self {
        let names: Vec<_> = metadata.iter().map(|(name, _)| format!("x-ms-meta-{name}")).collect();
        self.spelling = Spelling::new(names.iter().map(String::as_str));
        self
    }

    /// The path of a request to the service itself: `/` or `/ACCOUNT/`.
    pub(crate) fn service_path(&self) -> String {
        self.url.account_path() + "/"
    }

    /// The URL the target was made from.
    pub fn url(&self) -> &BlobUrl {
        &self.url
    }

    /// A lane's copy of the token, where tokens authorize the requests.
    pub(crate) fn held_token(&self) -> Option<HeldToken> {
        match &self.credential {
            Credential::Token(token) => token.bearer_for(&self.url).ok().cloned().map(HeldToken::new),
            _ => None,
        }
    }

    /// What authorizes the requests.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }
}
