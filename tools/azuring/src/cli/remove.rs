//! Flags of `remove`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::engine::{EngineArgs, KeepArgs};
use super::filter::{KeyArgs, NameArgs, TimeArgs};
use super::value::Switch;

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// A blob, a virtual directory or a container:
    /// https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS
    pub(crate) target: String,

    /// Include everything below a virtual directory
    #[arg(long, default_value = "false")]
    pub(crate) recursive: Switch,

    /// What is removed: BlobTrash [default: found from the URL]
    #[arg(long, value_name = "FROM_TO")]
    pub(crate) from_to: Option<String>,

    /// Remove nothing; print what would be removed
    #[arg(long, default_value = "false")]
    pub(crate) dry_run: Switch,

    /// Which snapshots to remove [default: none; blobs with snapshots are skipped]
    #[arg(long, value_enum, ignore_case = true, value_name = "WHICH")]
    pub(crate) delete_snapshots: Option<DeleteSnapshotsArg>,

    /// Remove permanently what soft delete keeps
    #[arg(long, value_enum, ignore_case = true, default_value_t = PermanentDeleteArg::None, value_name = "WHICH")]
    pub(crate) permanent_delete: PermanentDeleteArg,

    /// Only the versions of the blob whose ids are in this file, one per line
    #[arg(long, value_name = "FILE")]
    pub(crate) list_of_versions: Option<PathBuf>,

    /// Clear the read-only attribute before removing; refused: only for Azure Files
    #[arg(long, default_value = "false", hide = true)]
    pub(crate) force_if_read_only: Switch,

    /// Dots at the end of names in shares; refused: only for Azure Files
    #[arg(long, value_name = "HOW", hide = true)]
    pub(crate) trailing_dot: Option<String>,

    #[command(flatten)]
    pub(crate) names: NameArgs,

    #[command(flatten)]
    pub(crate) times: TimeArgs,

    #[command(flatten)]
    pub(crate) keys: KeyArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}

/// Which snapshots are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeleteSnapshotsArg {
    /// The blob and its snapshots
    Include,
    /// Only the snapshots
    Only,
}

/// What is removed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PermanentDeleteArg {
    /// Nothing
    None,
    /// Deleted snapshots
    Snapshots,
    /// Deleted versions
    Versions,
    /// Both
    #[value(name = "snapshotsandversions")]
    SnapshotsAndVersions,
}
