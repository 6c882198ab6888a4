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
use other::{CompletionArgs, DocArgs, EnvArgs, LaterArgs, ListArgs, MakeArgs, ManArgs};
#[cfg(feature = "demo")]
use other::{DemoArgs, DemoServerArgs};
use pairs::Given;
use remove::RemoveArgs;
use sas::SasArgs;
use set_properties::SetPropertiesArgs;

/// Bulk transfer for Azure Storage
///
/// Copies millions of small files, or a few huge ones, between this machine and Blob storage; lists, removes and
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
    /// A directory is recreated below the destination; `dir/*` copies what is in it. Every file arrives whole or not at
    /// all: a blob is committed, and a file renamed to its name, when all its bytes have been checked.
    #[command(visible_aliases = ["cp", "c"], after_long_help = examples::COPY)]
    Copy(Box<CopyArgs>),
    /// List blobs, one a line
    ///
    /// Names are relative to the URL. Lines come while the listing goes on, several parts of it at once, in no order.
    #[command(visible_alias = "ls", after_long_help = examples::LIST)]
    List(Box<ListArgs>),
    /// Make a container
    ///
    /// One that is there already is an error.
    #[command(visible_aliases = ["mk", "mkdir"])]
    Make(Box<MakeArgs>),
    /// Remove blobs, 256 a request
    ///
    /// A blob that is gone already counts as removed. Without --recursive only the blobs of the directory itself are
    /// removed.
    #[command(visible_aliases = ["rm", "r"], after_long_help = examples::REMOVE)]
    Remove(Box<RemoveArgs>),
    /// Change tier, metadata or tags of blobs
    ///
    /// Metadata and tags are replaced as a whole; what is not named stays as it is.
    #[command(visible_aliases = ["set-props", "sp", "setprops"], after_long_help = examples::SET_PROPERTIES)]
    SetProperties(Box<SetPropertiesArgs>),
    /// List, show, resume and remove jobs
    ///
    /// A job keeps a journal of what it has done, unless --no-journal is given, so that it can be gone on with after an
    /// interruption, a crash or failures.
    #[command(subcommand_required = true, after_long_help = examples::JOBS)]
    Jobs(JobsArgs),
    /// Log in to Microsoft Entra ID, and stay logged in
    ///
    /// The login is kept in ~/.azuring/identity, for this user alone. Servers and containers need none: managed identities,
    /// workload identities and service principals are found by environment variables (azuring env).
    #[command(after_long_help = examples::LOGIN)]
    Login(LoginArgs),
    /// Forget the login and all tokens
    Logout(LogoutArgs),
    /// Make a SAS, from the account's key or from Microsoft Entra ID
    ///
    /// It is for a container, for a blob, or with --account for the account; the URL with it is printed, and nothing is kept.
    #[command(after_long_help = examples::SAS)]
    Sas(Box<SasArgs>),
    /// Show the environment variables: value, meaning, and what they do here
    Env(EnvArgs),
    /// Print the completion script of a shell
    Completion(CompletionArgs),
    /// Print a man page, or write all of them into a directory
    Man(ManArgs),
    /// Write the commands and flags as Markdown
    Doc(DocArgs),
    /// Try it without an account: upload a tree to a built-in server, read it back, show figures
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
