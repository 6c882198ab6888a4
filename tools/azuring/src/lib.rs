//! The `azuring` command line.
//!
//! **Purpose.** Turns arguments and environment into a job of `azuring-transfer`, shows it while it runs, and ends with
//! the exit code that its outcome deserves.
//!
//! ```text
//!   main ─> cli (one definition per flag) ─┬─> copy ─┐
//!                                          └─> demo ─┴─> run: job + progress + signals ─> summary ─> exit code
//! ```
//!
//! Data and summaries go to stdout; progress, notices and failures to stderr. Stdin is never read.
#![forbid(unsafe_code)]

mod cli;
mod copy;
mod demo;
mod exit;
mod progress;
mod run;
mod summary;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::Exit;

// Most allocations of a job are a few hundred bytes and die on the thread that made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command with this process's arguments.
pub fn main() -> ExitCode {
    // A closed pipe ends in an error where it is written to, not in a signal; `println!` would panic.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let fine = matches!(
                error.kind(),
                clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
            );
            return if fine { Exit::Done } else { Exit::Usage }.into();
        }
    };
    let exit = match cli.command {
        Command::Copy(args) => copy::run(*args),
        Command::Demo(args) => demo::run(&args),
        Command::DemoServer(args) => demo::serve(&args),
    };
    exit.into()
}
