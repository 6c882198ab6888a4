//! Writing to the streams: what is said where, and that a reader that has gone away changes nothing about the job.
//!
//! Data goes to stdout in the form `--output-type` asks for; what is for a person goes to stderr.

use std::fmt::Arguments;
use std::io::{Write, stderr, stdout};
use std::sync::OnceLock;

use crate::cli::global::{OutputLevel, OutputType};
use crate::view::{json, ndjson};

/// Writes a line to stdout. Unlike `println!`, it does not panic when nobody reads it any more.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::to_stdout(format_args!($($part)*)) };
}

/// Writes a line to stderr. Unlike `eprintln!`, it does not panic when nobody reads it any more.
macro_rules! tell {
    ($($part:tt)*) => { $crate::output::to_stderr(format_args!($($part)*)) };
}

pub(crate) use {say, tell};

/// What the streams carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// The form of stdout.
    pub(crate) kind: OutputType,
    /// How much is told.
    pub(crate) level: OutputLevel,
}

/// Set once, when the command line has been understood.
static OUTPUT: OnceLock<Output> = OnceLock::new();

impl Output {
    /// What was asked for.
    pub(crate) fn get() -> Self {
        let text = Self { kind: OutputType::Text, level: OutputLevel::Default };
        OUTPUT.get().copied().unwrap_or(text)
    }

    /// Sets it for the whole process.
    pub(crate) fn set(self) {
        // A second one would come too late for what was said already.
        let _ = OUTPUT.set(self);
    }

    /// Whether stdout is for people.
    pub(crate) fn is_text(self) -> bool {
        self.kind == OutputType::Text
    }
}

pub(crate) fn to_stdout(line: Arguments<'_>) {
    let output = Output::get();
    if output.level == OutputLevel::Quiet || output.kind == OutputType::None {
        return;
    }
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub(crate) fn to_stderr(line: Arguments<'_>) {
    if Output::get().level == OutputLevel::Quiet {
        return;
    }
    // In one piece: stderr has no buffer, and the parts would be mixed with those of other processes.
    let _ = stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Tells why the command ends without having done its work.
pub(crate) fn failed(text: &str) {
    tell!("azuring: {text}");
    match Output::get().kind {
        OutputType::Json => say!("{}", json::message("Error", text)),
        OutputType::Ndjson => say!("{}", ndjson::error(text)),
        OutputType::Text | OutputType::None => {}
    }
}

/// Tells something a person should know.
pub(crate) fn notice(text: &str) {
    tell!("azuring: {text}");
    notice_on_stdout(text);
}

/// The same for programs only.
pub(crate) fn notice_on_stdout(text: &str) {
    match Output::get().kind {
        OutputType::Json => say!("{}", json::message("Info", &format!("INFO: {text}"))),
        OutputType::Ndjson => say!("{}", ndjson::notice(text)),
        OutputType::Text | OutputType::None => {}
    }
}
