//! Logins from environment variables: AzCopy's, and those that Microsoft's libraries share.

use std::path::PathBuf;

use azuring_azure::Secret;

use crate::environment::Environment;
use crate::error::IdentityError;
use crate::handed;
use crate::login::{Login, LoginKind, ManagedIdentity};

/// AzCopy's names of the kinds.
pub const LOGIN_TYPES: &str = "device, spn, msi, azcli, pscred, workload";
const LOGIN_TYPE: &str = "AZCOPY_AUTO_LOGIN_TYPE";

const TENANT: [&str; 2] = ["AZCOPY_TENANT_ID", "AZURE_TENANT_ID"];
const AUTHORITY: [&str; 2] = ["AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", "AZURE_AUTHORITY_HOST"];
const CLIENT: [&str; 2] = ["AZCOPY_SPA_APPLICATION_ID", "AZURE_CLIENT_ID"];
const MSI: [&str; 3] = ["AZCOPY_MSI_CLIENT_ID", "AZCOPY_MSI_OBJECT_ID", "AZCOPY_MSI_RESOURCE_STRING"];

/// Whose variables say which application, in which tenant, of which authority: one's secret is never sent with
/// another's id where both have set theirs.
#[derive(Clone, Copy)]
enum Family {
    AzCopy,
    /// Those that Microsoft's libraries share.
    Shared,
}

impl Family {
    /// This family's variable before the other's.
    fn order(self, [azcopy, shared]: [&'static str; 2]) -> [&'static str; 2] {
        match self {
            Family::AzCopy => [azcopy, shared],
            Family::Shared => [shared, azcopy],
        }
    }
}

/// Variables; an empty one counts as not set.
struct Variables<F>(F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// The first of `names` that is set, and its value.
    fn first<const N: usize>(&self, names: [&'static str; N]) -> Option<(&'static str, String)> {
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(Secret::new)
    }

    /// A file, which is the same one in another working directory.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.get(name)?);
        Some(std::path::absolute(&path).unwrap_or(path))
    }

    /// The login with the tenant and authority that are set.
    fn placed(&self, kind: LoginKind, family: Family) -> Result<Login, IdentityError> {
        let mut login = Login::new(kind);
        if let Some((name, tenant)) = self.first(family.order(TENANT)) {
            login = login.with_tenant(name, &tenant)?;
        }
        if let Some((name, url)) = self.first(family.order(AUTHORITY)) {
            login = login.with_authority(name, &url)?;
        }
        Ok(login)
    }

    /// The same for the application that is set.
    fn application(
        &self,
        kind: LoginKind,
        family: Family,
        login: &'static str,
    ) -> Result<Login, IdentityError> {
        let mut placed = self.placed(kind, family)?;
        if let Some((name, client)) = self.first(family.order(CLIENT)) {
            placed = placed.with_client(name, &client)?;
        }
        placed.application(login)?;
        Ok(placed)
    }

    fn certificate(&self, path: &str, password: &str) -> Option<LoginKind> {
        let path = self.path(path)?;
        Some(LoginKind::ServicePrincipalCertificate { path, password: self.secret(password) })
    }

    fn principal_secret(&self, name: &str) -> Option<LoginKind> {
        Some(LoginKind::ServicePrincipalSecret { secret: self.secret(name)? })
    }

    /// The certificate or secret of Microsoft's libraries; a certificate goes before.
    fn shared_principal(&self) -> Option<LoginKind> {
        self.certificate("AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD")
            .or_else(|| self.principal_secret("AZURE_CLIENT_SECRET"))
    }

    fn spn(&self) -> Result<Login, IdentityError> {
        const LOGIN: &str = "a login as service principal";
        let azcopys = self
            .certificate("AZCOPY_SPA_CERT_PATH", "AZCOPY_SPA_CERT_PASSWORD")
            .or_else(|| self.principal_secret("AZCOPY_SPA_CLIENT_SECRET"));
        if let Some(kind) = azcopys {
            return self.application(kind, Family::AzCopy, LOGIN);
        }
        let kind = self.shared_principal().ok_or(IdentityError::Missing {
            login: LOGIN,
            names: "AZCOPY_SPA_CERT_PATH or AZCOPY_SPA_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH, AZURE_CLIENT_SECRET)",
        })?;
        self.application(kind, Family::Shared, LOGIN)
    }

    fn msi(&self) -> Result<Login, IdentityError> {
        let mut set = MSI.into_iter().filter_map(|name| Some((name, self.get(name)?)));
        let which = match (set.next(), set.next()) {
            (Some((one, _)), Some((other, _))) => return Err(IdentityError::Conflict { one, other }),
            (Some((name, id)), None) if name == MSI[0] => ManagedIdentity::ClientId(id),
            (Some((name, id)), None) if name == MSI[1] => ManagedIdentity::ObjectId(id),
            (Some((_, id)), None) => ManagedIdentity::ResourceId(id),
            (None, _) => ManagedIdentity::System,
        };
        Ok(Login::new(LoginKind::ManagedIdentity(which)))
    }

    fn workload(&self) -> Result<Login, IdentityError> {
        const LOGIN: &str = "a login with workload identity";
        let token_file = self
            .path("AZURE_FEDERATED_TOKEN_FILE")
            .ok_or(IdentityError::Missing { login: LOGIN, names: "AZURE_FEDERATED_TOKEN_FILE" })?;
        self.application(LoginKind::WorkloadIdentity { token_file }, Family::Shared, LOGIN)
    }
}

impl Login {
    /// What `AZCOPY_OAUTH_TOKEN_INFO` hands down or `AZCOPY_AUTO_LOGIN_TYPE` asks for; `None` if neither is set.
    ///
    /// # Errors
    /// [`IdentityError::Setting`], [`IdentityError::Missing`] and [`IdentityError::Conflict`], which name the
    /// variables.
    pub fn from_environment(env: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, IdentityError> {
        let vars = Variables(env);
        if let Some(info) = vars.get(handed::VARIABLE) {
            return handed::parse(&info).map(Some);
        }
        let Some(kind) = vars.get(LOGIN_TYPE) else { return Ok(None) };
        let login = match kind.trim().to_ascii_lowercase().as_str() {
            "device" => vars.placed(LoginKind::DeviceCode { refresh: None }, Family::AzCopy),
            "spn" => vars.spn(),
            "msi" => vars.msi(),
            "azcli" => vars.placed(LoginKind::AzureCli, Family::AzCopy),
            "pscred" | "pwsh" => vars.placed(LoginKind::PowerShell, Family::AzCopy),
            "workload" => vars.workload(),
            _ => Err(IdentityError::setting(LOGIN_TYPE, format!("{kind} is none of {LOGIN_TYPES}"))),
        };
        login.map(Some)
    }

    /// Who the variables that Microsoft's libraries share say to be: the application of a secret or certificate, or a
    /// workload. `None` if they name nobody.
    ///
    /// # Errors
    /// As [`Login::from_environment`].
    pub fn shared(environment: &Environment) -> Result<Option<Self>, IdentityError> {
        match Self::shared_principal(environment)? {
            None => Self::shared_workload(environment),
            principal => Ok(principal),
        }
    }

    /// The service principal of `AZURE_CLIENT_SECRET` or `AZURE_CLIENT_CERTIFICATE_PATH`; `None` if neither is set.
    ///
    /// # Errors
    /// As [`Login::from_environment`].
    pub(crate) fn shared_principal(environment: &Environment) -> Result<Option<Self>, IdentityError> {
        let vars = Variables(|name: &str| environment.get(name));
        let Some(kind) = vars.shared_principal() else { return Ok(None) };
        let login = "AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH";
        vars.application(kind, Family::Shared, login).map(Some)
    }

    /// The workload identity of `AZURE_FEDERATED_TOKEN_FILE`; `None` if it is not set.
    ///
    /// # Errors
    /// As [`Login::from_environment`].
    pub(crate) fn shared_workload(environment: &Environment) -> Result<Option<Self>, IdentityError> {
        let vars = Variables(|name: &str| environment.get(name));
        vars.get("AZURE_FEDERATED_TOKEN_FILE").map(|_| vars.workload()).transpose()
    }

    /// The machine's identity: the one that is named, else its own.
    ///
    /// # Errors
    /// As [`Login::from_environment`].
    pub(crate) fn shared_machine(environment: &Environment) -> Result<Self, IdentityError> {
        let mut login = Variables(|name: &str| environment.get(name)).msi()?;
        if let (LoginKind::ManagedIdentity(which @ ManagedIdentity::System), Some(id)) =
            (&mut login.kind, environment.get(CLIENT[1]))
        {
            *which = ManagedIdentity::ClientId(id);
        }
        Ok(login)
    }

    /// The login of the Azure CLI in the tenant that is set.
    pub(crate) fn shared_cli(environment: &Environment) -> Result<Self, IdentityError> {
        Variables(|name: &str| environment.get(name)).placed(LoginKind::AzureCli, Family::AzCopy)
    }
}

#[cfg(test)]
mod tests;
