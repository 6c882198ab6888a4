//! Writing to the streams: what is said where, and that a reader that has gone away changes nothing about the job. Where
//! stdout is the work itself (a list, a plan, a page), an error of writing it is a failure: see [`complete`].
//!
//! Data goes to stdout in the form `--output-type` asks for; what is for a person goes to stderr.

use std::fmt::Arguments;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write, stderr, stdout};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::global::{LogLevel, OutputLevel, OutputType};
use crate::exit::Exit;
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

/// What the streams and the log carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// The form of stdout.
    pub(crate) kind: OutputType,
    /// How much is told.
    pub(crate) level: OutputLevel,
    /// What is logged: this and what is graver.
    pub(crate) log: LogLevel,
}

/// Set once, when the command line has been understood.
static OUTPUT: OnceLock<Output> = OnceLock::new();

impl Output {
    /// What was asked for.
    pub(crate) fn get() -> Self {
        let text = Self { kind: OutputType::Text, level: OutputLevel::Default, log: LogLevel::Info };
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

/// Set when stdout carries a blob: nothing may be mixed with it.
static STDOUT_IS_DATA: AtomicBool = AtomicBool::new(false);

/// From now on stdout carries a blob, and nothing is said there.
pub(crate) fn stdout_is_data() {
    STDOUT_IS_DATA.store(true, Ordering::Relaxed);
}

/// The first error of writing to stdout.
static CUT: OnceLock<String> = OnceLock::new();

/// Keeps the error of a write to stdout; breaks when no more can be written. A reader that has gone away has enough:
/// that is no error.
pub(crate) fn kept(written: io::Result<()>) -> ControlFlow<()> {
    let Err(error) = written else { return ControlFlow::Continue(()) };
    if error.kind() != ErrorKind::BrokenPipe {
        // The first one is told.
        let _ = CUT.set(error.to_string());
    }
    ControlFlow::Break(())
}

/// Whether stdout took all that was written so far.
pub(crate) fn is_whole() -> bool {
    CUT.get().is_none()
}

/// The end of a command whose work is what it wrote to stdout: where that is not whole, it has failed.
pub(crate) fn complete(exit: Exit) -> Exit {
    let Some(error) = CUT.get() else { return exit };
    tell!("azuring: stdout: {error}: what was written there is not complete");
    if exit == Exit::Done { Exit::Failures } else { exit }
}

pub(crate) fn to_stdout(line: Arguments<'_>) {
    let output = Output::get();
    let silent = output.level == OutputLevel::Quiet || output.kind == OutputType::None;
    if silent || STDOUT_IS_DATA.load(Ordering::Relaxed) {
        return;
    }
    let mut out = stdout().lock();
    // The next line is tried too: there may be room again.
    let _ = kept(writeln!(out, "{line}").and_then(|()| out.flush()));
}

pub(crate) fn to_stderr(line: Arguments<'_>) {
    if Output::get().level == OutputLevel::Quiet {
        return;
    }
    // In one piece: stderr has no buffer, and the parts would be mixed with those of other processes.
    let _ = stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Many lines on stdout: in large pieces, but line by line on a terminal.
pub(crate) struct Sink {
    out: BufWriter<Stdout>,
    each: bool,
    silent: bool,
}

/// A piece.
const PIECE_BYTES: usize = 64 << 10;

impl Sink {
    pub(crate) fn stdout() -> Self {
        let output = Output::get();
        let silent = output.level == OutputLevel::Quiet || output.kind == OutputType::None;
        Self { out: BufWriter::with_capacity(PIECE_BYTES, stdout()), each: stdout().is_terminal(), silent }
    }

    /// Writes a line; breaks when no more can be written.
    pub(crate) fn line(&mut self, line: &str) -> ControlFlow<()> {
        if self.silent {
            return ControlFlow::Continue(());
        }
        let written = self.out.write_all(line.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
        kept(if self.each { written.and_then(|()| self.out.flush()) } else { written })
    }

    /// Writes what waits.
    pub(crate) fn end(mut self) {
        // There is nothing that could break off any more.
        let _ = kept(self.out.flush());
    }
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
