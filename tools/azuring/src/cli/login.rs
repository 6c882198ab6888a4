//! Flags of `login` and `logout`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::value::Switch;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LoginArgs {
    #[command(subcommand)]
    pub(crate) command: Option<LoginCommand>,

    #[command(flatten)]
    pub(crate) how: HowArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LoginCommand {
    /// Show who is logged in, and whether a token can be had; exit code 1 when nobody is
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HowArgs {
    /// Who logs in: a person with a browser (device), a service principal, a managed identity, or whoever is logged in
    /// with the Azure CLI or PowerShell [default: device]
    #[arg(long, value_enum, ignore_case = true, value_name = "TYPE")]
    pub(crate) login_type: Option<LoginType>,

    /// The tenant's id or domain [default: AZCOPY_TENANT_ID, AZURE_TENANT_ID, or the one the identity belongs to]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant_id: Option<String>,

    /// Microsoft Entra's endpoint [default: AZCOPY_ACTIVE_DIRECTORY_ENDPOINT, AZURE_AUTHORITY_HOST, or
    /// https://login.microsoftonline.com]
    #[arg(long, value_name = "URL")]
    pub(crate) aad_endpoint: Option<String>,

    /// The service principal's application id; its secret is taken from AZCOPY_SPA_CLIENT_SECRET
    #[arg(long, value_name = "ID")]
    pub(crate) application_id: Option<String>,

    /// The service principal's certificate with its key, PEM or PKCS#12; its password is taken from
    /// AZCOPY_SPA_CERT_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate_path: Option<PathBuf>,

    /// Client id of a user-assigned identity
    #[arg(long, value_name = "ID")]
    pub(crate) identity_client_id: Option<String>,

    /// Resource id of a user-assigned identity
    #[arg(long, value_name = "ID")]
    pub(crate) identity_resource_id: Option<String>,

    /// Object id of a user-assigned identity
    #[arg(long, value_name = "ID")]
    pub(crate) identity_object_id: Option<String>,

    /// The same as --login-type=msi
    #[arg(long, default_value = "false", hide = true)]
    pub(crate) identity: Switch,

    /// The same as --login-type=spn
    #[arg(long, default_value = "false", hide = true)]
    pub(crate) service_principal: Switch,

    /// Keep the login without the kernel's key ring, as a file for this user alone: it outlives a restart of the machine
    #[arg(long, default_value = "false")]
    pub(crate) no_keyring: Switch,

    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginType {
    /// A code that is typed into a browser, on any machine
    Device,
    /// A service principal, by secret or certificate
    Spn,
    /// The identity of this virtual machine, app or Arc server
    Msi,
    /// Whoever is logged in with the Azure CLI
    Azcli,
    /// Whoever is logged in with Azure PowerShell
    #[value(alias = "pwsh")]
    Pscred,
    /// A pod's workload identity
    Workload,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show the tenant too
    #[arg(long, default_value = "false")]
    pub(crate) tenant: Switch,

    /// Show Microsoft Entra's endpoint too
    #[arg(long, default_value = "false")]
    pub(crate) endpoint: Switch,

    /// Show the kind of login too
    #[arg(long, default_value = "false")]
    pub(crate) method: Switch,

    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {}
