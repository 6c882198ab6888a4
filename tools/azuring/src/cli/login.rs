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
    /// Show who is logged in, and whether a token can be obtained; exit code 1 if nobody is logged in
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HowArgs {
    /// How to log in [default: device]
    #[arg(long, value_enum, ignore_case = true, value_name = "TYPE")]
    pub(crate) login_type: Option<LoginType>,

    /// The tenant's id or domain [default: AZCOPY_TENANT_ID, AZURE_TENANT_ID, or the tenant of the identity]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant_id: Option<String>,

    /// Microsoft Entra's endpoint [default: AZCOPY_ACTIVE_DIRECTORY_ENDPOINT, AZURE_AUTHORITY_HOST, or
    /// https://login.microsoftonline.com]
    #[arg(long, value_name = "URL")]
    pub(crate) aad_endpoint: Option<String>,

    /// The application id of the service principal; its secret is read from AZCOPY_SPA_CLIENT_SECRET
    #[arg(long, value_name = "ID")]
    pub(crate) application_id: Option<String>,

    /// The certificate of the service principal with its key, PEM or PKCS#12; its password is read from
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

    /// Do not use the kernel's key ring. The login is then a file that only this user can read, and survives a restart
    /// of the machine
    #[arg(long, default_value = "false")]
    pub(crate) no_keyring: Switch,

    /// Also trust the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginType {
    /// A person types a code into a browser, on any machine
    Device,
    /// A service principal, with a secret or certificate
    Spn,
    /// The managed identity of this virtual machine, app or Arc server
    Msi,
    /// The login of the Azure CLI
    Azcli,
    /// The login of Azure PowerShell
    #[value(alias = "pwsh")]
    Pscred,
    /// The workload identity of a pod
    Workload,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Also show the tenant
    #[arg(long, default_value = "false")]
    pub(crate) tenant: Switch,

    /// Also show Microsoft Entra's endpoint
    #[arg(long, default_value = "false")]
    pub(crate) endpoint: Switch,

    /// Also show the kind of login
    #[arg(long, default_value = "false")]
    pub(crate) method: Switch,

    /// Also trust the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {}
