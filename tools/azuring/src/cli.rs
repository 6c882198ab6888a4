//! The command line: each flag is defined here, once. Parser, help, man pages, completions and the compatibility ledger
//! all come from these definitions.

pub(crate) mod copy;
pub(crate) mod engine;
mod examples;
pub(crate) mod filter;
pub(crate) mod global;
pub(crate) mod jobs;
pub(crate) mod login;
pub(crate) mod other;
pub(crate) mod pairs;
pub(crate) mod remove;
pub(crate) mod sas;
pub(crate) mod set_properties;
pub(crate) mod value;

use std::ffi::OsString;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use copy::CopyArgs;
use global::GlobalArgs;
use jobs::JobsArgs;
use login::{LoginArgs, LogoutArgs};
use other::{CompletionArgs, DocArgs, DoctorArgs, EnvArgs, LaterArgs, ListArgs, MakeArgs, ManArgs};
#[cfg(feature = "demo")]
use other::{DemoArgs, DemoServerArgs};
use pairs::Given;
use remove::RemoveArgs;
use sas::SasArgs;
use set_properties::SetPropertiesArgs;

/// Bulk transfer for Azure Storage
///
/// Copies millions of small files, or a few huge ones, between this machine and Blob storage. Lists, removes and
/// changes blobs. Understands AzCopy's commands and flags.
#[derive(Debug, Parser)]
#[command(name = "azuring", version, about, long_about, max_term_width = 100, disable_version_flag = true)]
#[command(after_long_help = examples::TOP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    /// Print the version
    #[arg(short = 'V', short_alias = 'v', long, action = ArgAction::Version)]
    version: (),

    #[command(subcommand)]
    pub(crate) command: Command,

    /// What was given, as the table of flags looks at it.
    #[arg(skip)]
    pub(crate) given: Given,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy files to blobs, or blobs to files
    ///
    /// A directory is created again below the destination; `dir/*` copies only its contents. A blob appears, and a file
    /// gets its name, only when all bytes have arrived and were checked.
    #[command(visible_aliases = ["cp", "c"], after_long_help = examples::COPY)]
    Copy(Box<CopyArgs>),
    /// List blobs, one per line
    ///
    /// Names are relative to the URL. Several parts are listed in parallel, so lines have no order.
    #[command(visible_alias = "ls", after_long_help = examples::LIST)]
    List(Box<ListArgs>),
    /// Create a container
    ///
    /// It is an error if the container already exists.
    #[command(visible_aliases = ["mk", "mkdir"])]
    Make(Box<MakeArgs>),
    /// Remove blobs, 256 per request
    ///
    /// A blob that no longer exists counts as removed. Without --recursive, only the blobs directly in the directory
    /// are removed.
    #[command(visible_aliases = ["rm", "r"], after_long_help = examples::REMOVE)]
    Remove(Box<RemoveArgs>),
    /// Change tier, metadata or tags of blobs
    ///
    /// New metadata replace all old metadata, and new tags replace all old tags. Properties without a flag do not
    /// change.
    #[command(visible_aliases = ["set-props", "sp", "setprops"], after_long_help = examples::SET_PROPERTIES)]
    SetProperties(Box<SetPropertiesArgs>),
    /// List, show, resume and remove jobs
    ///
    /// A job keeps a journal of what it has done, unless --no-journal is given. With it the job can be resumed after an
    /// interrupt, a crash or failures.
    #[command(subcommand_required = true, after_long_help = examples::JOBS)]
    Jobs(JobsArgs),
    /// Log in to Microsoft Entra ID, and stay logged in
    ///
    /// The login is stored in ~/.azuring/identity, readable only by this user. Servers and containers need no login:
    /// environment variables name managed identities, workload identities and service principals (see `azuring env`).
    #[command(after_long_help = examples::LOGIN)]
    Login(LoginArgs),
    /// Forget the login and all tokens
    Logout(LogoutArgs),
    /// Make a SAS, from the account's key or from Microsoft Entra ID
    ///
    /// The SAS is for a container, for a blob, or (with --account) for the account. The URL with the SAS is printed.
    /// Nothing is stored.
    #[command(after_long_help = examples::SAS)]
    Sas(Box<SasArgs>),
    /// Find out what is wrong between this machine and a container, or between two accounts
    ///
    /// Name, proxy, connection, TLS, credential, clock, version, account, listing and reading, each with a line. With
    /// two URLs also whether a copy can be made by the service itself. Nothing is written without --write-test.
    #[command(after_long_help = examples::DOCTOR)]
    Doctor(Box<DoctorArgs>),
    /// Show the environment variables: value, meaning and effect
    Env(EnvArgs),
    /// Print the completion script for a shell
    Completion(CompletionArgs),
    /// Print a man page, or write all of them into a directory
    Man(ManArgs),
    /// Write the help of all commands as Markdown
    Doc(DocArgs),
    /// Try azuring without an account: upload files to a built-in server, download them, print figures
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    DemoServer(DemoServerArgs),
    /// Not in this version
    #[command(hide = true, aliases = ["sc", "s"], disable_help_flag = true)]
    Sync(LaterArgs),
    /// Not in this version
    #[command(hide = true, aliases = ["ben", "benchmark"], disable_help_flag = true)]
    Bench(LaterArgs),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Cancel(LaterArgs),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Pause(LaterArgs),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Load(LaterArgs),
}

/// The whole definition.
pub(crate) fn definition() -> clap::Command {
    pairs::explain(value::complete(Cli::command()))
}

/// Takes a command line apart.
pub(crate) fn parse<T: Into<OsString> + Clone>(
    line: impl IntoIterator<Item = T>,
) -> Result<Cli, clap::Error> {
    let mut definition = definition();
    let matches = definition.try_get_matches_from_mut(line)?;
    let given = Given::of(&definition, &matches);
    Ok(Cli { given, ..Cli::from_arg_matches(&matches)? })
}

#[cfg(test)]
mod tests;
