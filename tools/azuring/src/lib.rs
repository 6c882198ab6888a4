//! The `azuring` command line.
//!
//! **Purpose.** Turns arguments and environment into a job of `azuring-transfer`, shows it while it runs, and ends with
//! the exit code that its outcome deserves.
//!
//! ```text
//!   main ─> cli (one definition per flag) ─┬─> copy, remove, set-properties ─> run: job + progress + signals ─> view ─┐
//!              │                           ├─> list, make ────────────────────────────────────────────────────────┴─> exit code
//!              └─> pages, compatibility     └─> env, completion, man, doc, demo
//! ```
//!
//! **Features.**
//! - `demo` (default): `azuring demo`, with the server that it starts and what makes its tree (`azsim`,
//!   `azuring-bench`). A build without it (`--no-default-features`) has neither, and says so when it is asked for a
//!   demo.
//!
//! A job's log goes to a file (`log`, in the directories of `state`).
//!
//! Data and summaries go to stdout, as text, as AzCopy's JSON or as flat JSON; progress, notices and failures to
//! stderr; a stream that nobody reads any more does not change how a job ends; a list, a plan or a page that stdout
//! does not take whole is a failure. Stdin is read only where it is asked for: a pipe, a list of files, a prompt,
//! `--cancel-from-stdin`, `--await-continue`. The hidden server of the demo watches its own, a pipe from the demo, to
//! end with it.
#![forbid(unsafe_code)]
// They panic on a closed pipe: see `output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod access;
mod cli;
// The ledger is of the whole program.
#[cfg(all(test, feature = "demo"))]
mod compatibility;
mod copy;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod environment;
mod exit;
mod failures;
#[doc(hidden)]
pub mod hooks;
mod jobs;
mod learn;
#[cfg(feature = "demo")]
mod leftovers;
mod list;
mod listing;
mod log;
mod login;
mod make;
mod options;
mod output;
mod pages;
mod progress;
mod prompt;
mod redact;
mod refused;
mod remove;
mod run;
mod sas;
mod set_properties;
mod state;
mod stdin;
mod summary;
mod title;
mod view;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use cli::Command;
use cli::global::{GlobalArgs, LogLevel, OutputLevel, OutputType};
use cli::pairs::Given;
use exit::Exit;
use jobs::Origin;
use output::{Output, notice, tell, tell_lines};
use redact::redact;
use refused::Refused;
use stdin::Lines;

// Most allocations of a job are a few hundred bytes and die on the thread that made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command with this process's arguments.
pub fn main() -> ExitCode {
    guarded(command).code(&run::called()).into()
}

fn command() -> Exit {
    let line: Vec<_> = std::env::args_os().collect();
    learn::from_process(&line);
    title::hide_secrets();
    std::panic::set_hook(Box::new(told_of_panic));
    title::forbid_core();
    run::survive_large_files();
    let cli = match cli::parse(&line) {
        Ok(cli) => cli,
        Err(error) => return refuse(error, &line),
    };
    let output = output_of(&cli.global);
    let (cli, origin) = match jobs::again(cli, &line) {
        Ok(meant) => meant,
        Err(refused) => {
            output.set();
            return refused.tell();
        }
    };
    output_of(&cli.global).set();
    match prepare(&cli.global) {
        Ok(()) => dispatch(&cli.global, &cli.given, cli.command, &origin),
        Err(refused) => refused.tell(),
    }
}

fn output_of(global: &GlobalArgs) -> Output {
    Output { kind: global.output_type, level: global.output_level, log: global.log_level }
}

/// What flags of every command ask for.
fn prepare(global: &GlobalArgs) -> Result<(), Refused> {
    for text in refused::check_global(global)? {
        notice(&text);
    }
    if global.await_continue.0 && !Lines::start(None).wait_for("continue") {
        return Err(refused::usage("--await-continue: stdin has ended without `continue`"));
    }
    Ok(())
}

fn dispatch(global: &GlobalArgs, given: &Given, command: Command, origin: &Origin) -> Exit {
    match command {
        Command::Copy(args) => copy::run(global, given, &args, origin),
        Command::List(args) => output::complete(list::run(global, given, &args)),
        Command::Make(args) => make::run(global, given, &args),
        Command::Remove(args) => remove::run(global, given, &args, origin),
        Command::SetProperties(args) => set_properties::run(global, given, &args, origin),
        Command::Doctor(args) => output::complete(doctor::run(global, &args)),
        Command::Sas(args) => output::complete(sas::run(global, &args)),
        Command::Env(args) => output::complete(environment::run(&args)),
        Command::Completion(args) => output::complete(pages::completion(&args)),
        Command::Man(args) => output::complete(pages::man(&args)),
        Command::Doc(args) => pages::doc(&args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(&args),
        #[cfg(feature = "demo")]
        Command::DemoServer(args) => demo::serve(&args),
        Command::Sync(_) => later("sync"),
        Command::Jobs(args) => jobs::run(&args.command),
        Command::Login(args) => login::run(&args),
        Command::Logout(_) => login::logout(),
        Command::Bench(_) => later("bench"),
        Command::Cancel(_) => later("cancel"),
        Command::Pause(_) => later("pause"),
        Command::Load(_) => later("load"),
    }
}

fn later(command: &str) -> Exit {
    refused::usage(format!("{command}: not in this version")).tell()
}

/// A panic, whose message the panic hook has printed, becomes an exit code of its own.
fn guarded(command: impl FnOnce() -> Exit) -> Exit {
    // Nothing that the panic may have left half done is looked at again.
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        tell!("azuring: this is a fault of azuring itself; please report it with the lines above");
        Exit::Internal
    })
}

/// A panic's message may hold what others wrote: it goes the way of everything else.
fn told_of_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let trace = std::backtrace::Backtrace::capture();
    let trace = match trace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
        _ => String::new(),
    };
    tell_lines(&format!("thread '{}' {panic}{trace}", thread.name().unwrap_or("unnamed")));
}

/// The form of stdout that a line asks for which is wrong otherwise.
fn asked_output(line: &[OsString]) -> Option<OutputType> {
    let mut words = line.iter().map(|word| word.to_string_lossy());
    let mut asked = None;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--output-type") {
            Some("") => words.next(),
            Some(value) => value.strip_prefix('=').map(|value| value.to_owned().into()),
            None => None,
        };
        if let Some(value) = value {
            asked = OutputType::from_str(&value, true).ok();
        }
    }
    asked
}

/// What is said of a command that there is, but not in this build.
fn not_built_in(error: &clap::Error) -> Option<&'static str> {
    let asked = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(command)) => command.as_str(),
        _ => return None,
    };
    (asked == "demo" && !cfg!(feature = "demo")).then_some(
        "demo: this build has none; `cargo build --release -p azuring` makes one that has (feature `demo`, on by default)",
    )
}

/// Prints the help that was asked for, or what is wrong with the arguments.
fn refuse(mut error: clap::Error, line: &[OsString]) -> Exit {
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
    let kind = asked_output(line).unwrap_or(OutputType::Text);
    let output = Output { kind, level: OutputLevel::Default, log: LogLevel::None };
    if let Some(text) = not_built_in(&error) {
        output.set();
        return refused::usage(text).tell();
    }
    // What was typed may be a URL with its signature in the wrong place.
    let text = redact(error.render().to_string().trim_end());
    tell_lines(&text);
    output.set();
    output::failed_on_stdout(&text);
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Help, completion and pages are made of the definition.
    #[test]
    fn a_build_without_the_demo_says_so_and_shows_it_nowhere() {
        let has_demo = cfg!(feature = "demo");
        let mut definition = cli::definition();
        assert_eq!(definition.find_subcommand("demo").is_some(), has_demo);
        assert_eq!(definition.render_long_help().to_string().contains("demo"), has_demo);
        match cli::parse(["azuring", "demo", "--files=1", "dir"]) {
            Ok(_) => assert!(has_demo),
            Err(error) => {
                let text = not_built_in(&error).unwrap();
                assert!(text.contains("this build has none") && text.lines().count() == 1, "{text}");
            }
        }
        let unknown = cli::parse(["azuring", "demos"]).unwrap_err();
        assert_eq!(not_built_in(&unknown), None);
    }

    #[test]
    fn a_panic_has_an_exit_code_of_its_own() {
        assert_eq!(guarded(|| Exit::Limit), Exit::Limit);
        assert_eq!(guarded(|| panic!("as it should")), Exit::Internal);
        assert_eq!(Exit::Internal as u8, 10);
    }
}
