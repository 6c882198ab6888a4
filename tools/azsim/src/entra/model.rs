//! What a test tells the authority: who exists, who may do what, and how the authority behaves.

use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::jwt::Certificate;
use super::random;

/// A role for the data of blobs, assigned over the whole account.
///
/// What each allows: <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// *Storage Blob Data Reader*
    Reader,
    /// *Storage Blob Data Contributor*: not tags, versions by their id, permanent deletion and the access of
    /// containers.
    Contributor,
    /// *Storage Blob Data Owner*
    Owner,
    /// *Storage Blob Delegator*: a user delegation key and nothing else.
    Delegator,
}

/// An application that may ask the token endpoint. It is also the user who signs in to it by device code.
#[derive(Clone)]
pub struct Application {
    pub(super) tenant: Option<String>,
    pub(super) client_id: String,
    pub(super) object_id: String,
    pub(super) roles: Vec<Role>,
    pub(super) secrets: Vec<(String, Validity)>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) federated: Vec<String>,
    pub(super) public: bool,
}

/// Whether a secret still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    Expired,
}

impl std::fmt::Debug for Application {
    /// Without its proofs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Application {
    /// An application in the authority's own tenant, without role and without a way to prove itself.
    pub fn new(client_id: &str) -> Application {
        Application {
            tenant: None,
            client_id: client_id.to_owned(),
            object_id: random::guid_of(client_id),
            roles: Vec::new(),
            secrets: Vec::new(),
            certificates: Vec::new(),
            federated: Vec::new(),
            public: false,
        }
    }

    /// In another tenant. Its tokens are issued by that one, and a storage account of the authority's own refuses them.
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.tenant = Some(tenant.to_owned());
        self
    }

    /// The object id of its principal. Default: made from the client id.
    pub fn object_id(mut self, object_id: &str) -> Self {
        self.object_id = object_id.to_owned();
        self
    }

    /// Adds a role. Without any it gets tokens and may do nothing with them.
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// It may prove itself by this secret.
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push((secret.to_owned(), Validity::Valid));
        self
    }

    /// It once had this secret.
    pub fn expired_secret(mut self, secret: &str) -> Self {
        self.secrets.push((secret.to_owned(), Validity::Expired));
        self
    }

    /// It may prove itself by an assertion signed with the RSA key of this certificate.
    ///
    /// # Panics
    /// When the text holds no X.509 certificate in PEM.
    pub fn certificate_pem(mut self, pem: &str) -> Self {
        let der =
            CertificateDer::from_pem_slice(pem.as_bytes()).expect("the text holds a certificate in PEM");
        self.certificates.push(Certificate::new(&der).expect("the certificate is X.509"));
        self
    }

    /// It may prove itself by this token of another issuer (a workload identity), compared as a whole.
    pub fn federated_token(mut self, token: &str) -> Self {
        self.federated.push(token.to_owned());
        self
    }

    /// It runs where no secret can be kept, and may use device codes.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }
}

/// An identity that the platform gives to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedIdentity {
    pub(super) client_id: String,
    pub(super) object_id: String,
    /// `None`: assigned by the system.
    pub(super) resource_id: Option<String>,
    pub(super) roles: Vec<Role>,
}

impl ManagedIdentity {
    /// The one that a machine has of itself.
    pub fn system(client_id: &str) -> ManagedIdentity {
        ManagedIdentity {
            client_id: client_id.to_owned(),
            object_id: random::guid_of(client_id),
            resource_id: None,
            roles: Vec::new(),
        }
    }

    /// One that was created as a resource and assigned to the machine.
    pub fn user(client_id: &str, resource_id: &str) -> ManagedIdentity {
        ManagedIdentity { resource_id: Some(resource_id.to_owned()), ..ManagedIdentity::system(client_id) }
    }

    /// The object id of its principal. Default: made from the client id.
    pub fn object_id(mut self, object_id: &str) -> Self {
        self.object_id = object_id.to_owned();
        self
    }

    /// Adds a role.
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }
}

/// An error answered in place of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// 429, with `Retry-After` when there is a number of seconds.
    TooManyRequests(Option<u32>),
    /// 429 with AADSTS90055, what a tenant gets that asks for too many tokens. No `Retry-After`.
    TenantThrottled,
    /// 500.
    ServerError,
    /// 503, with `Retry-After` when there is a number of seconds.
    Unavailable(Option<u32>),
}

/// What becomes of device codes without a call of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignIn {
    /// Pending until [`super::Authority::approve_device`] or [`super::Authority::decline_device`], or until it expires.
    #[default]
    Wait,
    /// So many polls are pending, the next one gets its tokens.
    ApproveAfter(u32),
    /// So many polls are pending, the next one is declined.
    DeclineAfter(u32),
    /// So many polls are pending, then the code has expired.
    ExpireAfter(u32),
}

/// How the authority behaves from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Answers to the next requests that break no rule, in this order; then all is well.
    pub troubles: Vec<Trouble>,
    /// Real time before each answer.
    pub delay: Duration,
    /// Seconds that a token lives. `None`: 3,599 for applications and users, 86,399 for managed identities.
    pub lifetime_s: Option<u32>,
    /// Tokens have expired when they arrive, whatever the answer says of their lifetime.
    pub expired: bool,
    /// Numbers in the answers of IMDS, App Service and Arc, in place of the strings that they really send.
    pub numbers: bool,
    /// What becomes of device codes.
    pub sign_in: SignIn,
    /// So many of the next polls are answered `slow_down`.
    pub slow_down: u32,
    /// Seconds between polls that a device code asks for. Polls that come earlier are deviations.
    pub poll_interval_s: u32,
    /// Seconds that a device code lives.
    pub device_lifetime_s: u32,
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour {
            troubles: Vec::new(),
            delay: Duration::ZERO,
            lifetime_s: None,
            expired: false,
            numbers: false,
            sign_in: SignIn::Wait,
            slow_down: 0,
            poll_interval_s: 5,
            device_lifetime_s: 900,
        }
    }
}

/// Where a token was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /TENANT/oauth2/v2.0/token`
    Token,
    /// `POST /TENANT/oauth2/v2.0/devicecode`
    DeviceCode,
    /// The instance metadata service of a virtual machine.
    Imds,
    /// The identity endpoint of App Service.
    AppService,
    /// The agent of Azure Arc.
    Arc,
    /// Any other path.
    Unknown,
}

/// One request that the authority has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// Where.
    pub endpoint: Endpoint,
    /// `grant_type`, without the prefix `urn:ietf:params:oauth:grant-type:`; empty where there is none.
    pub grant: String,
    /// The client id that was given, or what else named an identity; empty when nothing did.
    pub client: String,
    /// The status of the answer.
    pub status: u16,
    /// When the request was there.
    pub at: Instant,
}
