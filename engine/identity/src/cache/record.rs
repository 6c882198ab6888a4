//! What the cache's file says about a login and a token. Secrets are in here in the clear; nothing prints these types.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azuring_azure::Secret;
use serde::{Deserialize, Serialize};

use crate::login::{Login, LoginKind, ManagedIdentity};
use crate::token::AccessToken;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredLogin {
    kind: StoredKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    authority: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredKind {
    Device { refresh: Option<String> },
    Secret { secret: String },
    Certificate { path: PathBuf, password: Option<String> },
    ManagedSystem,
    ManagedClient(String),
    ManagedObject(String),
    ManagedResource(String),
    AzureCli,
    PowerShell,
    Workload { token_file: PathBuf },
}

fn text(secret: &Secret) -> String {
    secret.expose().to_owned()
}

impl StoredLogin {
    /// `None` for a login that is not stored.
    pub(super) fn of(login: &Login) -> Option<Self> {
        let kind = match &login.kind {
            LoginKind::DeviceCode { refresh } => StoredKind::Device { refresh: refresh.as_ref().map(text) },
            LoginKind::ServicePrincipalSecret { secret } => StoredKind::Secret { secret: text(secret) },
            LoginKind::ServicePrincipalCertificate { path, password } => {
                StoredKind::Certificate { path: path.clone(), password: password.as_ref().map(text) }
            }
            LoginKind::ManagedIdentity(which) => match which.clone() {
                ManagedIdentity::System => StoredKind::ManagedSystem,
                ManagedIdentity::ClientId(id) => StoredKind::ManagedClient(id),
                ManagedIdentity::ObjectId(id) => StoredKind::ManagedObject(id),
                ManagedIdentity::ResourceId(id) => StoredKind::ManagedResource(id),
            },
            LoginKind::AzureCli => StoredKind::AzureCli,
            LoginKind::PowerShell => StoredKind::PowerShell,
            LoginKind::WorkloadIdentity { token_file } => {
                StoredKind::Workload { token_file: token_file.clone() }
            }
            LoginKind::Given { .. } => return None,
        };
        let Login { tenant, client, authority, session, .. } = login.clone();
        Some(Self { kind, tenant, client, authority, session })
    }

    /// The login; `None` if what is stored cannot be one.
    pub(super) fn restore(self) -> Option<Login> {
        let managed = LoginKind::ManagedIdentity;
        let kind = match self.kind {
            StoredKind::Device { refresh } => LoginKind::DeviceCode { refresh: refresh.map(Secret::new) },
            StoredKind::Secret { secret } => {
                LoginKind::ServicePrincipalSecret { secret: Secret::new(secret) }
            }
            StoredKind::Certificate { path, password } => {
                LoginKind::ServicePrincipalCertificate { path, password: password.map(Secret::new) }
            }
            StoredKind::ManagedSystem => managed(ManagedIdentity::System),
            StoredKind::ManagedClient(id) => managed(ManagedIdentity::ClientId(id)),
            StoredKind::ManagedObject(id) => managed(ManagedIdentity::ObjectId(id)),
            StoredKind::ManagedResource(id) => managed(ManagedIdentity::ResourceId(id)),
            StoredKind::AzureCli => LoginKind::AzureCli,
            StoredKind::PowerShell => LoginKind::PowerShell,
            StoredKind::Workload { token_file } => LoginKind::WorkloadIdentity { token_file },
        };
        // What a user could not say, a file cannot either.
        let mut login = Login::new(kind).with_authority("", &self.authority).ok()?;
        if let Some(tenant) = self.tenant {
            login = login.with_tenant("", &tenant).ok()?;
        }
        if let Some(client) = self.client {
            login = login.with_client("", &client).ok()?;
        }
        login.session = self.session;
        Some(login)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredToken {
    secret: String,
    /// Since 1970.
    pub(super) obtained_ms: u64,
    lifetime_ms: u64,
}

impl StoredToken {
    pub(super) fn of(token: &AccessToken) -> Self {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let obtained_ms = ms(token.obtained.duration_since(UNIX_EPOCH).unwrap_or_default());
        Self { secret: text(&token.secret), obtained_ms, lifetime_ms: ms(token.lifetime) }
    }

    pub(super) fn restore(&self) -> AccessToken {
        let obtained = UNIX_EPOCH.checked_add(Duration::from_millis(self.obtained_ms));
        let now = SystemTime::now();
        match obtained {
            Some(obtained) if obtained <= now => AccessToken {
                secret: Secret::new(&*self.secret),
                obtained,
                lifetime: Duration::from_millis(self.lifetime_ms),
            },
            // The clock was set back since: nobody knows how old it is.
            _ => AccessToken { secret: Secret::new(""), obtained: now, lifetime: Duration::ZERO },
        }
    }
}
