//! Side by side: azuring, AzCopy, rclone and curl upload the same files to the same sink; azuring and AzCopy also
//! download, list and remove what it holds.
//!
//! ```text
//!   main --- for each case, transport, run, tool ---+
//!     |                                             v
//!   workload   files on disk, read once      sink   azsim `discard` in a process of its own, a new one for each run
//!   (manifest)        (page cache warm)        ^
//!     |                                        |
//!     +--> runner -- tools: one command line --+     wait4: CPU, wall, peak memory of the client alone
//!            |
//!          report  every run (JSON), medians and ratios (Markdown)
//! ```
//!
//! Invariants: a run counts only if the sink, the directory or the client's output holds exactly what it should; the
//! sink reads each body to its end before it answers; tools alternate within a run, so that a slow minute hits all of
//! them; every run is kept.
//!
//! Limits: one client process, loopback. What a real account's latency does to concurrency is not measured here.
#![forbid(unsafe_code)]

mod journal;
mod machine;
mod options;
mod planted;
pub mod report;
mod runner;
mod sink;
mod tools;
mod workload;

use std::process::ExitCode;

/// The program: parses the command line, measures, prints the table.
#[must_use]
pub fn main() -> ExitCode {
    match options::parse() {
        options::Action::Serve(serve) => finish(sink::serve(&serve).map(|()| true)),
        options::Action::Journal(options) => finish(journal::measure(&options)),
        options::Action::Measure(options) => finish(runner::measure(&options)),
    }
}

fn finish(result: Result<bool, Error>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("azuring-perf: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What stopped the measurement: one line that says what and where.
type Error = Box<dyn std::error::Error>;
