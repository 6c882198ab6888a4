//! Flags of every command.

use clap::{Args, ValueEnum};

use super::value::{Switch, rate};

#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct GlobalArgs {
    /// Format of stdout
    #[arg(long, global = true, value_enum, ignore_case = true, default_value_t = OutputType::Text, value_name = "TYPE")]
    pub(crate) output_type: OutputType,

    /// How much is printed
    #[arg(long, global = true, value_enum, ignore_case = true, default_value_t = OutputLevel::Default,
          value_name = "LEVEL")]
    pub(crate) output_level: OutputLevel,

    /// Bandwidth limit in megabits per second, fractions allowed; 0 is no limit
    #[arg(long, global = true, value_name = "MBPS", value_parser = rate, default_value = "0")]
    pub(crate) cap_mbps: f64,

    /// The least serious level that is written to the job's log file
    #[arg(long, global = true, value_enum, ignore_case = true, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    pub(crate) log_level: LogLevel,

    /// More domains that may receive tokens of Microsoft Entra ID, separated by `;`, such as `*.example.org` or
    /// `10.0.0.5:8443`
    #[arg(long, global = true, value_name = "DOMAINS")]
    pub(crate) trusted_microsoft_suffixes: Option<String>,

    /// Ask for a newer version; refused: azuring asks nobody but the storage account
    #[arg(long, global = true, default_value = "false", hide = true)]
    pub(crate) check_version: Switch,

    /// Does nothing, as in AzCopy
    #[arg(long, global = true, default_value = "false", hide = true)]
    pub(crate) skip_version_check: Switch,

    /// Do nothing until stdin has a line `continue`
    #[arg(long, global = true, default_value = "false")]
    pub(crate) await_continue: Switch,

    /// Wait between scan and transfer; refused: they overlap
    #[arg(long, global = true, default_value = "false", hide = true)]
    pub(crate) await_open: Switch,

    /// Stop the job when stdin has a line `cancel`
    #[arg(long, global = true, default_value = "false")]
    pub(crate) cancel_from_stdin: Switch,

    /// Stop the job at these paths; refused: it is a hook of AzCopy's own tests
    #[arg(long, global = true, value_name = "PATHS", hide = true)]
    pub(crate) debug_skip_files: Option<String>,

    /// Which answers are tried again; refused: azuring decides by the service's error code
    #[arg(long, global = true, value_name = "CODES", hide = true)]
    pub(crate) retry_status_codes: Option<String>,

    /// Priority of the requests; refused: not in this version
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true, hide = true)]
    pub(crate) request_priority: Option<i32>,

    /// Write a heap profile; refused: it is for AzCopy's Go runtime
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) memory_profile: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputType {
    /// Text for people
    Text,
    /// AzCopy's messages, one JSON object per line
    Json,
    /// One flat JSON object per line; the schema is tools/azuring/schema/ndjson.schema.json
    Ndjson,
    /// Nothing on stdout
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputLevel {
    /// Everything
    Default,
    /// No progress
    Essential,
    /// Nothing on stdout and stderr; look at the exit code
    Quiet,
}

/// The order is that of seriousness: a level includes all that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LogLevel {
    /// Also each object that is done
    Debug,
    /// Also the command, skipped objects, and the summary
    Info,
    /// Also what a person should know
    Warning,
    /// Each object that fails
    #[value(aliases = ["fatal", "panic"])]
    Error,
    /// No log file
    None,
}
