//! Flags of `jobs`.

use clap::{Args, Subcommand, ValueEnum};

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
    /// List the jobs, the latest first
    #[command(visible_alias = "ls")]
    List(ListJobsArgs),
    /// Show how a job stands, or its transfers
    ///
    /// Of a job that has ended the transfers that failed are kept, of all others every one.
    #[command(after_long_help = examples::JOBS_SHOW)]
    Show(ShowJobArgs),
    /// Go on with a job: what is missing, and what failed
    ///
    /// Everything is as it was when the job was begun, the working directory included; flags that are given here, which only
    /// concern this run, go before those of then.
    #[command(after_long_help = examples::JOBS_RESUME)]
    Resume(Box<ResumeArgs>),
    /// Remove what is kept of a job, its log included
    #[command(visible_alias = "rm")]
    Remove(RemoveJobArgs),
    /// Remove what is kept of all jobs that are not running, their logs included
    #[command(visible_alias = "cl")]
    Clean(CleanJobsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListJobsArgs {
    /// Only jobs that stand so
    #[arg(long, value_enum, ignore_case = true, default_value_t = JobState::All, value_name = "STATUS")]
    pub(crate) with_status: JobState,
}

#[derive(Debug, Args)]
pub(crate) struct ShowJobArgs {
    /// The job's id, or as much of its beginning as no other has
    pub(crate) job: String,

    /// List the transfers that stand so instead of the summary
    #[arg(long, value_enum, ignore_case = true, value_name = "STATUS")]
    pub(crate) with_status: Option<TransferState>,

    /// List what failed, directories that could not be read included
    #[arg(long, default_value = "false", conflicts_with = "with_status")]
    pub(crate) failed: Switch,

    /// Only the names of what failed, one a line, as --list-of-files takes them
    #[arg(long, default_value = "false", requires = "failed")]
    pub(crate) names: Switch,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The job's id, or as much of its beginning as no other has
    pub(crate) job: String,

    /// The SAS of the source, or of what is removed or changed; one is never kept
    #[arg(long, value_name = "SAS")]
    pub(crate) source_sas: Option<String>,

    /// The SAS of the destination; one is never kept
    #[arg(long, value_name = "SAS")]
    pub(crate) destination_sas: Option<String>,

    /// Only these transfers; refused: all that is missing is done, as AzCopy ends with a panic here
    #[arg(long, value_name = "PATHS", hide = true)]
    pub(crate) include: Option<String>,

    /// Not these transfers; refused, as --include
    #[arg(long, value_name = "PATHS", hide = true)]
    pub(crate) exclude: Option<String>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveJobArgs {
    /// The job's id, or as much of its beginning as no other has
    pub(crate) job: String,
}

#[derive(Debug, Args)]
pub(crate) struct CleanJobsArgs {
    /// Only jobs that stand so
    #[arg(long, value_enum, ignore_case = true, default_value_t = JobState::All, value_name = "STATUS")]
    pub(crate) with_status: JobState,
}

/// How a job stands, in AzCopy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum JobState {
    /// However it stands
    All,
    /// A process works on it
    InProgress,
    /// No job is ever so here
    #[value(hide = true)]
    Paused,
    /// No job is ever so here
    #[value(hide = true)]
    Cancelling,
    /// It was interrupted, or its process ended
    Cancelled,
    /// Everything was done
    Completed,
    /// Some transfers failed
    CompletedWithErrors,
    /// Some were skipped
    CompletedWithSkipped,
    /// Some failed, some were skipped
    CompletedWithErrorsAndSkipped,
    /// Nothing was done, or it gave up
    Failed,
}

/// How a transfer stands, in AzCopy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum TransferState {
    /// However it stands
    All,
    /// It has not ended
    Started,
    /// The same
    #[value(hide = true)]
    NotStarted,
    /// It is done
    Success,
    /// It failed
    Failed,
    /// The destination has it, and keeps it
    SkippedEntityAlreadyExists,
    /// It has snapshots, and was to be removed without them
    SkippedBlobHasSnapshots,
}
