//! How the engine works: flags of all commands that send requests.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::{Concurrency, Switch, rate, size};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Requests in flight [default: 16 per core, at least 64]
    #[arg(long, env = "AZCOPY_CONCURRENCY_VALUE", hide_env_values = true, value_name = "N")]
    pub(crate) concurrency: Option<Concurrency>,

    /// Memory for everything, such as 512M or 1G [default: AZCOPY_BUFFER_GB, or a quarter of the machine's and at
    /// most 1G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory: Option<u64>,

    /// Limit of requests per second, fractions allowed; 0 is none
    #[arg(long, value_name = "RPS", value_parser = rate, default_value = "0")]
    pub(crate) cap_rps: f64,

    /// Attempts per request
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tries: u32,

    /// Seconds without a byte in either direction after which an exchange is cut and repeated [default:
    /// AZCOPY_REQUEST_TRY_TIMEOUT (minutes), or 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) stall_seconds: Option<u64>,

    /// HTTP version over https; http:// is always HTTP/1.1
    #[arg(long, value_enum, default_value_t = Http::Auto)]
    pub(crate) http: Http,

    /// How files are read and written
    #[arg(long, value_enum, default_value_t = Io::Auto)]
    pub(crate) io: Io,

    /// Threads that carry transfers [default: a core each, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) lanes: Option<u16>,

    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Take the account's key from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) account_key_file: Option<PathBuf>,

    /// Neither use nor keep tokens in the state directory: neither those of `azuring login`, nor of earlier runs
    #[arg(long, default_value = "false")]
    pub(crate) no_cache: Switch,
}

/// How a job is kept: flags of `copy`, `remove` and `set-properties`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct KeepArgs {
    /// Keep no journal: the job cannot be resumed, listed or shown
    #[arg(long, default_value = "false")]
    pub(crate) no_journal: Switch,

    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

/// What becomes of what failed: a flag of every run of a job.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct RetryArgs {
    /// How often what failed is tried once more when everything else is done; 0 is never
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) retry_failed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Http {
    /// What the server offers: HTTP/2 for small bodies, HTTP/1.1 for large ones
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
    /// io_uring where it is allowed
    Auto,
    /// Blocking threads
    Threads,
}
