//! Flags of `jobs`.

use clap::{Args, Subcommand, ValueEnum};

use super::copy::RouteArg;
use super::engine::{EngineArgs, RetryArgs};
use super::examples;
use super::value::Switch;

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    pub(crate) command: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List the jobs, the newest first
    #[command(visible_alias = "ls")]
    List(ListJobsArgs),
    /// Show the state of a job, or its transfers
    ///
    /// A job that has ended keeps only its failed transfers. All other jobs keep every transfer.
    #[command(after_long_help = examples::JOBS_SHOW)]
    Show(ShowJobArgs),
    /// Resume a job: do what is missing and what failed
    ///
    /// Everything is as at the start of the job, also the working directory. Flags given here are for this run only,
    /// and replace those of the first run.
    #[command(after_long_help = examples::JOBS_RESUME)]
    Resume(Box<ResumeArgs>),
    /// Remove the journal, log and unfinished files of a job
    #[command(visible_alias = "rm")]
    Remove(RemoveJobArgs),
    /// Remove journals, logs and unfinished files of all jobs that are not running
    #[command(visible_alias = "cl")]
    Clean(CleanJobsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListJobsArgs {
    /// Only jobs in this state
    #[arg(long, value_enum, ignore_case = true, default_value_t = JobState::All, value_name = "STATUS")]
    pub(crate) with_status: JobState,
}

#[derive(Debug, Args)]
pub(crate) struct ShowJobArgs {
    /// The job's id, or the beginning of it if no other job has the same
    pub(crate) job: String,

    /// List the transfers in this state, instead of the summary
    #[arg(long, value_enum, ignore_case = true, value_name = "STATUS")]
    pub(crate) with_status: Option<TransferState>,

    /// List what failed, including directories that could not be read
    #[arg(long, default_value = "false", conflicts_with = "with_status")]
    pub(crate) failed: Switch,

    /// Print only the names of what failed, one per line, for --list-of-files
    #[arg(long, default_value = "false", requires = "failed")]
    pub(crate) names: Switch,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The job's id, or the beginning of it if no other job has the same
    pub(crate) job: String,

    /// The SAS of the source, or of what is removed or changed (a SAS is never stored)
    #[arg(long, value_name = "SAS")]
    pub(crate) source_sas: Option<String>,

    /// The SAS of the destination (a SAS is never stored)
    #[arg(long, value_name = "SAS")]
    pub(crate) destination_sas: Option<String>,

    /// Only these transfers; refused: everything that is missing is done (AzCopy ends with a panic here)
    #[arg(long, value_name = "PATHS", hide = true)]
    pub(crate) include: Option<String>,

    /// Not these transfers; refused, as --include
    #[arg(long, value_name = "PATHS", hide = true)]
    pub(crate) exclude: Option<String>,

    /// The SAS of the account that the copy goes by (a SAS is never stored)
    #[arg(long, value_name = "SAS")]
    pub(crate) staging_sas: Option<String>,

    /// The way of a copy from service to service, in place of the one that the job was given or has found
    #[arg(long, value_enum, ignore_case = true, value_name = "WAY")]
    pub(crate) route: Option<RouteArg>,

    /// Whether bytes of such a copy may never pass this host, in place of what the job was given
    #[arg(long, value_name = "BOOL")]
    pub(crate) no_relay: Option<Switch>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveJobArgs {
    /// The job's id, or the beginning of it if no other job has the same
    pub(crate) job: String,
}

#[derive(Debug, Args)]
pub(crate) struct CleanJobsArgs {
    /// Only jobs in this state
    #[arg(long, value_enum, ignore_case = true, default_value_t = JobState::All, value_name = "STATUS")]
    pub(crate) with_status: JobState,
}

/// The state of a job, with AzCopy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum JobState {
    /// Any state
    All,
    /// A process is working on it
    InProgress,
    /// Never used here
    #[value(hide = true)]
    Paused,
    /// Never used here
    #[value(hide = true)]
    Cancelling,
    /// It was interrupted, or its process ended
    Cancelled,
    /// Everything was done
    Completed,
    /// Some transfers failed
    CompletedWithErrors,
    /// Some transfers were skipped
    CompletedWithSkipped,
    /// Some transfers failed and some were skipped
    CompletedWithErrorsAndSkipped,
    /// Nothing was done, or the job gave up
    Failed,
}

/// The state of a transfer, with AzCopy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum TransferState {
    /// Any state
    All,
    /// It has not ended
    Started,
    /// The same as Started
    #[value(hide = true)]
    NotStarted,
    /// It is done
    Success,
    /// It failed
    Failed,
    /// The destination already had it, and kept it
    SkippedEntityAlreadyExists,
    /// The blob has snapshots, and --delete-snapshots was not given
    SkippedBlobHasSnapshots,
}
