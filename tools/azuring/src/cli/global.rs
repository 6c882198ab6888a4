//! Flags of every command.

use clap::{Args, ValueEnum};

use super::value::{Switch, rate};

#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct GlobalArgs {
    /// The form of what goes to stdout
    #[arg(long, global = true, value_enum, ignore_case = true, default_value_t = OutputType::Text, value_name = "TYPE")]
    pub(crate) output_type: OutputType,

    /// How much is said
    #[arg(long, global = true, value_enum, ignore_case = true, default_value_t = OutputLevel::Default,
          value_name = "LEVEL")]
    pub(crate) output_level: OutputLevel,

    /// Bandwidth limit in megabits per second, fractions allowed; 0 is none
    #[arg(long, global = true, value_name = "MBPS", value_parser = rate, default_value = "0")]
    pub(crate) cap_mbps: f64,

    /// What is written to the job's log file, with all that is graver
    #[arg(long, global = true, value_enum, ignore_case = true, default_value_t = LogLevel::Info, value_name = "LEVEL")]
    pub(crate) log_level: LogLevel,

    /// Further domains that may be sent tokens of Microsoft Entra ID, separated by `;`, such as `*.example.org` or
    /// `10.0.0.5:8443`
    #[arg(long, global = true, value_name = "DOMAINS")]
    pub(crate) trusted_microsoft_suffixes: Option<String>,

    /// Ask for a newer version; refused: azuring asks nobody but the storage account
    #[arg(long, global = true, default_value = "false", hide = true)]
    pub(crate) check_version: Switch,

    /// Does nothing, as in AzCopy
    #[arg(long, global = true, default_value = "false", hide = true)]
    pub(crate) skip_version_check: Switch,

    /// Wait for a line `continue` on stdin before anything is done
    #[arg(long, global = true, default_value = "false")]
    pub(crate) await_continue: Switch,

    /// Wait between scan and transfer; refused: they overlap
    #[arg(long, global = true, default_value = "false", hide = true)]
    pub(crate) await_open: Switch,

    /// Stop the job when a line `cancel` comes on stdin
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
    /// For people
    Text,
    /// AzCopy's messages, one JSON object a line
    Json,
    /// One flat JSON object a line, as tools/azuring/schema/ndjson.schema.json describes
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
    /// Nothing at all, on neither stream; only the exit code tells
    Quiet,
}

/// From the least to the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum LogLevel {
    /// Each object that is done
    Debug,
    /// The command, what is skipped, the summary
    Info,
    /// What a person should know
    Warning,
    /// Each object that fails
    #[value(aliases = ["fatal", "panic"])]
    Error,
    /// No log file
    None,
}
