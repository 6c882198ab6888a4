//! The command line.

use std::path::PathBuf;

use azuring_tests::target_dir;
use clap::{Args, Parser, Subcommand};

use crate::journal;
use crate::planted::Planted;
use crate::report::{Case, Tool, Transport};
use crate::tools;
use crate::workload::Size;

/// Runs of each tool unless `--runs` says otherwise: the least that has a median.
const DEFAULT_RUNS: u32 = 3;

/// Does the same with azuring, AzCopy, rclone and curl, and prints the comparison.
#[derive(Debug, Parser)]
#[command(name = "azuring-perf", args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    measure: Options,
    #[command(subcommand)]
    command: Option<Other>,
}

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// A tenth of the files, an eighth of the bytes, one run: to see that everything works
    #[arg(long)]
    pub(crate) quick: bool,
    /// Cases to measure [default: all]
    #[arg(value_enum, value_name = "CASE")]
    cases: Vec<Case>,
    /// Only these tools; `before` is the azuring that AZURING_BEFORE names [default: all, `before` if the variable is
    /// set]
    #[arg(long, value_enum, value_delimiter = ',')]
    tools: Vec<Tool>,
    /// Only these transports
    #[arg(long, value_enum, value_delimiter = ',')]
    transports: Vec<Transport>,
    /// Runs of each tool; the table shows medians [default: 3, with --quick 1]
    #[arg(long)]
    runs: Option<u32>,
    /// MiB of the large file and the large blob [default: 4096, with --quick 512]
    #[arg(long, value_name = "MIB")]
    large_mib: Option<u64>,
    /// Blobs of 4 KiB that are copied [default: 50000, with --quick 5000]
    #[arg(long, value_name = "BLOBS", value_parser = clap::value_parser!(u32).range(1_000..))]
    copied: Option<u32>,
    /// Where the results are written, one JSON file a call
    #[arg(long, default_value = "perf/results")]
    pub(crate) out: PathBuf,
    /// Where the files to upload are made and kept [default: perf under cargo's target directory]
    #[arg(long)]
    work: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Not for people: the sink, in a process of its own
    #[command(hide = true)]
    Serve(Serve),
    /// What a job's journal costs
    Journal(journal::Options),
}

/// How to run the sink.
#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    #[arg(long, value_enum)]
    pub(crate) transport: Transport,
    /// Where to put the certificate clients have to trust
    #[arg(long)]
    pub(crate) ca_out: PathBuf,
    /// Tell of the account that blobs are copied to
    #[arg(long)]
    pub(crate) copies: bool,
    #[command(flatten)]
    pub(crate) planted: Planted,
}

/// What this process is to do.
pub(crate) enum Action {
    Measure(Options),
    Serve(Serve),
    Journal(journal::Options),
}

pub(crate) fn parse() -> Action {
    let line = CommandLine::parse();
    match line.command {
        Some(Other::Serve(serve)) => Action::Serve(serve),
        Some(Other::Journal(options)) => Action::Journal(options),
        None => Action::Measure(line.measure),
    }
}

impl Options {
    pub(crate) fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { DEFAULT_RUNS }).max(1)
    }

    pub(crate) fn size(&self) -> Size {
        let size = if self.quick { Size::QUICK } else { Size::FULL };
        let large_bytes = self.large_mib.map_or(size.large_bytes, |mib| mib << 20);
        let copied = self.copied.map_or(size.copied, |copied| copied as usize);
        Size { large_bytes, copied, ..size }
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.work.clone().unwrap_or_else(|| target_dir().join("perf"))
    }

    pub(crate) fn wants_case(&self, case: Case) -> bool {
        self.cases.is_empty() || self.cases.contains(&case)
    }

    pub(crate) fn wants(&self, tool: Tool, transport: Transport) -> bool {
        let by_default = tool != Tool::Before || tools::before().is_some();
        (if self.tools.is_empty() { by_default } else { self.tools.contains(&tool) })
            && (self.transports.is_empty() || self.transports.contains(&transport))
    }
}
