//! Who asks for tokens, and by which means.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use azuring_azure::Secret;
use url::Url;

use crate::error::IdentityError;
use crate::managed;
use crate::network::Network;
use crate::token::AccessToken;

/// AzCopy's public client, which people log in to with a device code.
pub const PUBLIC_CLIENT: &str = "579a7132-0e58-4d80-b1e1-7a1e2d337859";
/// Where tokens of the public cloud come from.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";
/// The tenant that the user belongs to, whichever it is.
pub const COMMON_TENANT: &str = "common";
/// The scope of tokens for Azure Storage.
pub const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";

/// The ways to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginKind {
    /// A person who enters a code on another device; afterwards the refresh token stands for them.
    DeviceCode {
        /// The refresh token of an earlier login; without one a person is asked.
        refresh: Option<Secret>,
    },
    /// An application with a secret.
    ServicePrincipalSecret {
        /// The value, not the id, of the client secret.
        secret: Secret,
    },
    /// An application with a certificate.
    ServicePrincipalCertificate {
        /// PEM or PKCS#12, with the private key.
        path: PathBuf,
        /// The password of the file, if it is encrypted.
        password: Option<Secret>,
    },
    /// The identity of the machine: a VM, App Service, or a machine connected with Azure Arc.
    ManagedIdentity(ManagedIdentity),
    /// Whoever is logged in to the Azure CLI.
    AzureCli,
    /// Whoever is logged in to Azure PowerShell.
    PowerShell,
    /// A Kubernetes service account that an application trusts.
    WorkloadIdentity {
        /// The file with the token of the service account.
        token_file: PathBuf,
    },
    /// A token that the parent process handed down.
    Given {
        /// Used until it expires.
        token: AccessToken,
        /// Gets further tokens when `token` has expired.
        refresh: Option<Secret>,
    },
}

/// Which identity of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ManagedIdentity {
    /// The machine's own.
    #[default]
    System,
    /// One assigned by a user, by its client id.
    ClientId(String),
    /// One assigned by a user, by its object (principal) id.
    ObjectId(String),
    /// One assigned by a user, by its Azure resource id.
    ResourceId(String),
}

/// A certificate file is smaller.
const MAX_BYTES: u64 = 1 << 20;

/// Who asks for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// By which means.
    pub kind: LoginKind,
    /// The directory's id or domain; `None` for the usual one of the kind.
    pub tenant: Option<String>,
    /// The application's id; `None` for the usual one of the kind.
    pub client: Option<String>,
    /// `https://` and the host of Entra ID.
    pub authority: String,
    /// Which time that a person logged in: the next may be another person, in the same tenant. No secret.
    pub(crate) session: Option<String>,
}

impl Login {
    /// A login in the public cloud.
    pub fn new(kind: LoginKind) -> Self {
        Self { kind, tenant: None, client: None, authority: PUBLIC_AUTHORITY.to_owned(), session: None }
    }

    /// The same with another authority: an https URL, of which the host and port count. `name` is the variable or flag
    /// it comes from.
    ///
    /// # Errors
    /// [`IdentityError::Setting`].
    pub fn with_authority(mut self, name: &str, url: &str) -> Result<Self, IdentityError> {
        let parsed = Url::parse(url).map_err(|_| not_a(name, url, "the https:// address of a host"))?;
        let wrong = || {
            // What stands before an @ may be a password.
            let shown = url.rsplit('@').next().unwrap_or_default();
            IdentityError::setting(name, format!("{shown} is not the https:// address of a host"))
        };
        let bare = parsed.username().is_empty() && parsed.password().is_none() && parsed.query().is_none();
        if parsed.scheme() != "https" || !bare || !parsed.path().trim_matches('/').is_empty() {
            return Err(wrong());
        }
        self.authority = parsed.origin().ascii_serialization();
        Ok(self)
    }

    /// The same with another tenant, an id or a domain. `name` is the variable or flag it comes from.
    ///
    /// # Errors
    /// [`IdentityError::Setting`].
    pub fn with_tenant(mut self, name: &str, tenant: &str) -> Result<Self, IdentityError> {
        self.tenant = Some(plain_id(name, tenant, "-.")?);
        Ok(self)
    }

    /// The same for another application. `name` is the variable or flag it comes from.
    ///
    /// # Errors
    /// [`IdentityError::Setting`].
    pub fn with_client(mut self, name: &str, client: &str) -> Result<Self, IdentityError> {
        self.client = Some(plain_id(name, client, "-")?);
        Ok(self)
    }

    /// In a few words who it is, without a secret.
    pub fn describe(&self) -> String {
        let client = self.client.as_deref().unwrap_or("without an id");
        let of = self.tenant.as_ref().map(|tenant| format!(" of tenant {tenant}")).unwrap_or_default();
        match &self.kind {
            LoginKind::DeviceCode { .. } => format!("a person logged in with a device code{of}"),
            LoginKind::ServicePrincipalSecret { .. } => format!("service principal {client}{of}"),
            LoginKind::ServicePrincipalCertificate { .. } => {
                format!("service principal {client}{of}, with a certificate")
            }
            LoginKind::ManagedIdentity(which) => match which {
                ManagedIdentity::System => "managed identity of this machine".to_owned(),
                ManagedIdentity::ClientId(id) => format!("managed identity (client {id})"),
                ManagedIdentity::ObjectId(id) => format!("managed identity (object {id})"),
                ManagedIdentity::ResourceId(id) => format!("managed identity ({id})"),
            },
            LoginKind::AzureCli => format!("Azure CLI{of}"),
            LoginKind::PowerShell => format!("Azure PowerShell{of}"),
            LoginKind::WorkloadIdentity { .. } => format!("workload identity {client}{of}"),
            LoginKind::Given { .. } => format!("token handed down by the parent process{of}"),
        }
    }

    /// AzCopy's name of the kind.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            LoginKind::DeviceCode { .. } => "device",
            LoginKind::ServicePrincipalSecret { .. } | LoginKind::ServicePrincipalCertificate { .. } => "spn",
            LoginKind::ManagedIdentity(_) => "msi",
            LoginKind::AzureCli => "azcli",
            LoginKind::PowerShell => "pscred",
            LoginKind::WorkloadIdentity { .. } => "workload",
            LoginKind::Given { .. } => "given",
        }
    }

    /// The tenant, or the one of whoever logs in.
    pub(crate) fn tenant_or_common(&self) -> &str {
        self.tenant.as_deref().unwrap_or(COMMON_TENANT)
    }

    /// The application that people log in to.
    pub(crate) fn public_client(&self) -> &str {
        self.client.as_deref().unwrap_or(PUBLIC_CLIENT)
    }

    /// Tenant and client of an application.
    pub(crate) fn application(&self, login: &'static str) -> Result<(&str, &str), IdentityError> {
        let client = self.client.as_deref().ok_or(IdentityError::Missing {
            login,
            names: "the application's id: AZCOPY_SPA_APPLICATION_ID, AZURE_CLIENT_ID or --application-id",
        })?;
        let tenant = self.tenant.as_deref().ok_or(IdentityError::Missing {
            login,
            names: "a tenant: AZCOPY_TENANT_ID, AZURE_TENANT_ID or --tenant-id",
        })?;
        Ok((tenant, client))
    }

    /// Whether another program logs in, and keeps the tokens.
    pub(crate) fn is_lent(&self) -> bool {
        matches!(self.kind, LoginKind::AzureCli | LoginKind::PowerShell | LoginKind::Given { .. })
    }

    /// Whether its certificate comes through a pipe: nobody can look at it twice, and its tokens are not kept.
    pub(crate) fn is_read_once(&self) -> bool {
        let LoginKind::ServicePrincipalCertificate { path, .. } = &self.kind else { return false };
        !std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.len() <= MAX_BYTES)
    }

    /// The refresh token, where the kind has one.
    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        match &self.kind {
            LoginKind::DeviceCode { refresh } | LoginKind::Given { refresh, .. } => refresh.as_ref(),
            _ => None,
        }
    }

    /// Takes the refresh token that replaces the one before.
    pub(crate) fn set_refresh_token(&mut self, next: Secret) {
        if let LoginKind::DeviceCode { refresh } | LoginKind::Given { refresh, .. } = &mut self.kind {
            *refresh = Some(next);
        }
    }

    /// A token that was handed down is not good for longer than it is, however often it is asked for.
    pub(crate) fn spend_given(&mut self) {
        if let LoginKind::Given { token, .. } = &mut self.kind {
            token.lifetime = Duration::ZERO;
        }
    }

    /// Whether both are one login, though its refresh token may have been replaced meanwhile.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.kind_name() == other.kind_name()
            && self.tenant == other.tenant
            && self.client == other.client
            && self.authority == other.authority
            && self.session == other.session
    }

    /// What distinguishes the tokens of this login from others'; no secret. Another secret or certificate is another
    /// login, and so is the identity of another machine: a home directory may be on several.
    pub(crate) fn token_key(&self, network: &Network, scope: &str) -> String {
        let which = match &self.kind {
            LoginKind::ManagedIdentity(which) => format!("{which:?} {}", managed::mark(network)),
            LoginKind::ServicePrincipalSecret { secret } => {
                let public = [&self.authority, self.client.as_deref().unwrap_or_default()];
                digest(public.into_iter().chain([secret.expose()]))
            }
            LoginKind::ServicePrincipalCertificate { path, .. } => {
                let content = if self.is_read_once() { None } else { std::fs::read(path).ok() };
                format!("{} {}", path.display(), digest(content))
            }
            LoginKind::WorkloadIdentity { token_file } => token_file.display().to_string(),
            LoginKind::DeviceCode { .. } => self.session.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let client = self.client.as_deref().unwrap_or_default();
        let tenant = self.tenant.as_deref().unwrap_or_default();
        format!("{} {which} {} {tenant} {client} {scope}", self.kind_name(), self.authority)
    }
}

/// SHA-256 of `parts`, none of which runs into the next, as hexadecimal digits.
pub(crate) fn digest(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        let part = part.as_ref();
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An id that goes into a path or an argument.
fn plain_id(name: &str, id: &str, marks: &str) -> Result<String, IdentityError> {
    let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
    if id.is_empty() || !plain || id.starts_with(['-', '.']) {
        return Err(not_a(name, id, "an id"));
    }
    Ok(id.to_owned())
}

/// `value` is not shown: somebody may have put a secret there by mistake.
fn not_a(name: &str, value: &str, what: &str) -> IdentityError {
    IdentityError::setting(name, format!("its value ({} characters) is not {what}", value.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_secret_or_certificate_is_another_login() {
        let dir = tempfile::tempdir().unwrap();
        let network = Network::new(azuring_link::LinkSettings::default());
        let key = |kind| {
            let login = Login::new(kind).with_tenant("", "2222").unwrap().with_client("", "1111").unwrap();
            login.token_key(&network, "s")
        };
        let secret = |text: &str| key(LoginKind::ServicePrincipalSecret { secret: Secret::new(text) });
        let one = secret("hunter2");
        assert!(
            one.starts_with("spn ") && one.ends_with(" https://login.microsoftonline.com 2222 1111 s"),
            "{one}"
        );
        assert!(!one.contains("hunter2") && one == secret("hunter2") && one != secret("hunter3"));
        let path = dir.path().join("c.pem");
        let certificate = |text: &str| {
            std::fs::write(&path, text).unwrap();
            key(LoginKind::ServicePrincipalCertificate { path: path.clone(), password: None })
        };
        assert_ne!(certificate("1"), certificate("2"));
        let pipe = LoginKind::ServicePrincipalCertificate { path: "/dev/zero".into(), password: None };
        assert!(key(pipe).contains("/dev/zero"), "what has no end is not read");
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }
}
