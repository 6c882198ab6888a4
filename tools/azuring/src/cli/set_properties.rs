//! Flags of `set-properties`.

use clap::{Args, ValueEnum};

use super::engine::{EngineArgs, KeepArgs};
use super::filter::NameArgs;
use super::value::Switch;

#[derive(Debug, Args)]
pub(crate) struct SetPropertiesArgs {
    /// A blob, a virtual directory or a container:
    /// https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS
    pub(crate) target: String,

    /// New access tier of block blobs: Hot, Cool, Cold or Archive
    #[arg(long, value_name = "TIER")]
    pub(crate) block_blob_tier: Option<String>,

    /// New access tier of page blobs: P4, P6, P10, P15, P20, P30, P40 or P50
    #[arg(long, value_name = "TIER")]
    pub(crate) page_blob_tier: Option<String>,

    /// How soon an archived blob can be read again
    #[arg(long, value_enum, ignore_case = true, value_name = "PRIORITY")]
    pub(crate) rehydrate_priority: Option<RehydratePriorityArg>,

    /// New metadata; it replaces all old metadata: `name=value;name2=value2`. `clear` removes all
    #[arg(long, value_name = "PAIRS")]
    pub(crate) metadata: Option<String>,

    /// New index tags; they replace all old tags: `key=value&key2=value2`, percent-encoded. An empty value removes all
    #[arg(long, value_name = "TAGS")]
    pub(crate) blob_tags: Option<String>,

    /// Include everything below a virtual directory
    #[arg(long, default_value = "false")]
    pub(crate) recursive: Switch,

    /// What is changed: BlobNone [default: found from the URL]
    #[arg(long, value_name = "FROM_TO")]
    pub(crate) from_to: Option<String>,

    /// Change nothing; print what would be changed
    #[arg(long, default_value = "false")]
    pub(crate) dry_run: Switch,

    /// Dots at the end of names in shares; refused: only for Azure Files
    #[arg(long, value_name = "HOW", hide = true)]
    pub(crate) trailing_dot: Option<String>,

    #[command(flatten)]
    pub(crate) names: NameArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}

/// How soon an archived blob can be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RehydratePriorityArg {
    /// Within 15 hours
    Standard,
    /// Often within an hour; costs more
    High,
}
