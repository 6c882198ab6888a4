//! How the engine works: flags of all commands that send requests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::{Concurrency, Switch, rate, size};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Number of requests in flight [default: 16 per core, at least 64]
    #[arg(long, env = "AZCOPY_CONCURRENCY_VALUE", hide_env_values = true, value_name = "N")]
    pub(crate) concurrency: Option<Concurrency>,

    /// Memory limit of the whole process, such as 512M or 1G [default: AZCOPY_BUFFER_GB, or a quarter of the machine's
    /// memory, at most 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory: Option<u64>,

    /// Limit of requests per second, fractions allowed; 0 is no limit
    #[arg(long, value_name = "RPS", value_parser = rate, default_value = "0")]
    pub(crate) cap_rps: f64,

    /// Number of attempts for each request
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tries: u32,

    /// A request on which no byte moves for so many seconds is cut and retried [default:
    /// AZCOPY_REQUEST_TRY_TIMEOUT (minutes), or 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) stall_seconds: Option<u64>,

    /// HTTP version for https (http:// always uses HTTP/1.1)
    #[arg(long, value_enum, default_value_t = Http::Auto)]
    pub(crate) http: Http,

    /// How files are read and written
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub(crate) io: Io,

    /// Number of threads that transfer [default: one per core, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) lanes: Option<u16>,

    /// Also trust the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Read the account's key from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) account_key_file: Option<PathBuf>,

    /// Do not read or store tokens in the state directory. Tokens of `azuring login` and of earlier runs are not used
    #[arg(long, default_value = "false")]
    pub(crate) no_cache: Switch,
}

/// How a job is kept: flags of `copy`, `remove` and `set-properties`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct KeepArgs {
    /// Keep no journal; the job cannot be resumed, listed or shown
    #[arg(long, default_value = "false")]
    pub(crate) no_journal: Switch,

    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

/// What becomes of what failed: a flag of every run of a job.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct RetryArgs {
    /// How often failed objects are tried again when everything else is done; 0 is never
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) retry_failed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Http {
    /// HTTP/2 for small bodies if the server offers it; HTTP/1.1 for all others
    Auto,
    /// HTTP/1.1
    #[value(name = "1.1", alias = "1")]
    One,
    /// HTTP/2
    #[value(name = "2")]
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Io {
    /// io_uring if it is allowed, else threads
    Auto,
    /// Blocking threads
    Threads,
}
