//! Flags of the small commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::copy::TenantArgs;
use super::engine::EngineArgs;
use super::value::Switch;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// A container, a virtual directory or a blob:
    /// https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS
    pub(crate) target: String,

    /// The service: Blob [default: found from the URL]
    #[arg(long, value_name = "LOCATION")]
    pub(crate) location: Option<String>,

    /// Properties to show, separated by `;`: LastModifiedTime, VersionId, BlobType, BlobAccessTier, ContentType,
    /// ContentEncoding, ContentMD5, LeaseState, LeaseDuration, LeaseStatus, ArchiveStatus
    #[arg(long, value_name = "PROPERTIES")]
    pub(crate) properties: Option<String>,

    /// Print the number of blobs and bytes at the end
    #[arg(long, default_value = "false")]
    pub(crate) running_tally: Switch,

    /// Print lengths in bytes
    #[arg(long, default_value = "false")]
    pub(crate) machine_readable: Switch,

    /// Print lengths in units of 1000 instead of 1024
    #[arg(long, default_value = "false")]
    pub(crate) mega_units: Switch,

    /// Dots at the end of names in shares; refused: only for Azure Files
    #[arg(long, value_name = "HOW", hide = true)]
    pub(crate) trailing_dot: Option<String>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MakeArgs {
    /// The container: https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS
    pub(crate) target: String,

    /// Quota of a share in GiB; refused: only for Azure Files
    #[arg(long, value_name = "GIB", default_value_t = 0, hide = true)]
    pub(crate) quota_gb: u32,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A container, a virtual directory or a blob:
    /// https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS
    pub(crate) target: String,

    /// Where it would be copied to
    pub(crate) destination: Option<String>,

    /// Have the destination copy one small blob of the source under a name of its own, and remove it again. The
    /// destination's SAS needs `d` in sp
    #[arg(long, default_value = "false")]
    pub(crate) write_test: Switch,

    #[command(flatten)]
    pub(crate) tenants: TenantArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    /// Also show the values of secrets
    #[arg(long, default_value = "false")]
    pub(crate) show_sensitive: Switch,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command whose page is printed [default: azuring itself]
    #[arg(conflicts_with = "directory")]
    pub(crate) command: Option<String>,

    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DocArgs {
    /// The directory for the Markdown files, one for each command
    #[arg(long, value_name = "DIR", default_value = "./doc")]
    pub(crate) output_location: PathBuf,
}

/// A command of AzCopy that this version does not have. It is refused with any arguments.
#[derive(Debug, Args)]
pub(crate) struct LaterArgs {
    /// Not looked at
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<OsString>,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The directory to upload, instead of a generated one
    pub(crate) dir: Option<PathBuf>,

    /// Small files of the generated tree
    #[arg(long, default_value_t = 20_000, hide = true)]
    pub(crate) files: usize,

    /// MiB of the generated tree's large file
    #[arg(long, default_value_t = 256, hide = true)]
    pub(crate) large_mib: u64,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoServerArgs {
    /// The directory for the blobs [default: memory]
    #[arg(long)]
    pub(crate) disk: Option<PathBuf>,
}
