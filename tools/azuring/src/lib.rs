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
//! Data and summaries go to stdout; progress, notices and failures to stderr; a stream that nobody reads any more does
//! not change how a job ends. No user's command reads stdin. Only the hidden server of the demo watches its own, a pipe
//! from the demo, to end with it.
#![forbid(unsafe_code)]
// They panic on a closed pipe: see `output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod copy;
mod demo;
mod exit;
mod failures;
mod leftovers;
mod output;
mod progress;
mod redact;
mod run;
mod summary;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use cli::{Cli, Command};
use exit::Exit;
use output::tell;
use redact::redact;

// Most allocations of a job are a few hundred bytes and die on the thread that made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command with this process's arguments.
pub fn main() -> ExitCode {
    guarded(command).into()
}

fn command() -> Exit {
    match Cli::try_parse().map(|cli| cli.command) {
        Ok(Command::Copy(args)) => copy::run(*args),
        Ok(Command::Demo(args)) => demo::run(&args),
        Ok(Command::DemoServer(args)) => demo::serve(&args),
        Err(error) => refuse(error),
    }
}

/// A panic, whose message the panic hook has printed, becomes an exit code of its own.
fn guarded(command: impl FnOnce() -> Exit) -> Exit {
    // Nothing that the panic may have left half done is looked at again.
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        tell!("azuring: this is a fault of azuring itself; please report it with the lines above");
        Exit::Internal
    })
}

/// Prints the help that was asked for, or what is wrong with the arguments.
fn refuse(mut error: clap::Error) -> Exit {
    match error.kind() {
        // These repeat nothing that was typed.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            return Exit::Done;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return Exit::Usage;
        }
        ErrorKind::UnknownArgument => {
            let extra = matches!(error.get(ContextKind::InvalidArg),
                Some(ContextValue::String(arg)) if !arg.starts_with('-'));
            if extra {
                let hint = "put a pattern in quotes so that the shell does not expand it: 'dir/*'";
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.to_owned().into()]));
            }
        }
        _ => {}
    }
    // What was typed may be a URL with its signature in the wrong place.
    tell!("{}", redact(error.render().to_string().trim_end()));
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_has_an_exit_code_of_its_own() {
        assert_eq!(guarded(|| Exit::Limit), Exit::Limit);
        assert_eq!(guarded(|| panic!("as it should")), Exit::Internal);
        assert_eq!(Exit::Internal as u8, 10);
    }
}
