//! Writing to the streams: what is said where, and that a reader that has gone away changes nothing about the job.
//! Where stdout is the work itself (a list, a plan, a page), an error of writing it is a failure: see [`complete`].
//!
//! Data goes to stdout in the form `--output-type` asks for; what is for a person goes to stderr.
//!
//! Everything passes through here, and two things are taken out of it. **Secrets**: every value that the process has in
//! use ([`secrets`]), but where a command was asked for one ([`reveal`]). **What does something to a terminal** (escape
//! sequences, other control characters, turns of direction, in names and messages of others): on stderr always, and on
//! stdout where that is a terminal. Other readers of stdout get names to the byte; JSON has such characters as
//! `\u001b`, which mean the same.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal, Write, stderr, stdout};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::secrets;
use azuring_plan::name;

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
    write_line(&for_stdout(secrets::conceal(&line.to_string()), name::lines));
}

/// Writes to stdout what is a secret and was asked for.
pub(crate) fn reveal(line: &str) {
    let output = Output::get();
    if output.level != OutputLevel::Quiet && output.kind != OutputType::None {
        write_line(&for_stdout(line.into(), name::lines));
    }
}

fn write_line(line: &str) {
    let mut out = stdout().lock();
    // The next line is tried too: there may be room again.
    let _ = kept(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// How a text is kept from doing something to a terminal.
type Printable = fn(&str) -> Cow<'_, str>;

/// A text as stdout takes it.
fn for_stdout(text: Cow<'_, str>, printable: Printable) -> Cow<'_, str> {
    match Output::get().kind {
        OutputType::Json | OutputType::Ndjson => in_json(text),
        OutputType::Text | OutputType::None if is_terminal() => printable(&text).into_owned().into(),
        OutputType::Text | OutputType::None => text,
    }
}

/// Whether stdout is a terminal, whose user reads names and no program does.
fn is_terminal() -> bool {
    static IS_TERMINAL: OnceLock<bool> = OnceLock::new();
    *IS_TERMINAL.get_or_init(|| stdout().is_terminal())
}

/// A name, or another word of others, in a line for stdout: on a terminal it does not break that line.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    if is_terminal() { name::one_line(text) } else { text.into() }
}

/// JSON with what does something to a terminal written as `\u009b`. What stands below U+0020 is written so already.
fn in_json(line: Cow<'_, str>) -> Cow<'_, str> {
    let spoils = |c: char| c != '\n' && name::is_unprintable(c);
    if line.is_ascii() && !line.contains('\u{7f}') || !line.contains(spoils) {
        return line;
    }
    let mut out = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if spoils(c) { out += &format!("\\u{:04x}", u32::from(c)) } else { out.push(c) }
    }
    out.into()
}

pub(crate) fn to_stderr(line: Arguments<'_>) {
    if Output::get().level == OutputLevel::Quiet {
        return;
    }
    write_to_stderr(&for_stderr(&line.to_string()));
}

/// Several lines of our own on stderr.
pub(crate) fn tell_lines(text: &str) {
    if Output::get().level != OutputLevel::Quiet {
        write_to_stderr(&name::lines(&secrets::conceal(text)));
    }
}

/// A line as stderr takes it.
pub(crate) fn for_stderr(line: &str) -> String {
    name::one_line(&secrets::conceal(line)).into_owned()
}

fn write_to_stderr(text: &str) {
    // In one piece: stderr has no buffer, and the parts would be mixed with those of other processes.
    let _ = stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Many lines on stdout: in large pieces, but line by line on a terminal.
pub(crate) struct Sink {
    /// Whole lines that wait.
    waiting: Vec<u8>,
    silent: bool,
}

/// A piece.
const PIECE_BYTES: usize = 64 << 10;

impl Sink {
    pub(crate) fn stdout() -> Self {
        let output = Output::get();
        let silent = output.level == OutputLevel::Quiet || output.kind == OutputType::None;
        Self { waiting: Vec::with_capacity(PIECE_BYTES), silent }
    }

    /// Writes a line; breaks when no more can be written.
    pub(crate) fn line(&mut self, line: &str) -> ControlFlow<()> {
        if self.silent {
            return ControlFlow::Continue(());
        }
        self.waiting.extend_from_slice(for_stdout(line.into(), name::one_line).as_bytes());
        self.waiting.push(b'\n');
        if self.waiting.len() < PIECE_BYTES && !is_terminal() {
            return ControlFlow::Continue(());
        }
        self.write()
    }

    /// Writes what waits.
    pub(crate) fn end(mut self) {
        // There is nothing that could break off any more.
        let _ = self.write();
    }

    fn write(&mut self) -> ControlFlow<()> {
        let mut out = stdout().lock();
        // One look for secrets at a piece, not at each line.
        let written = out.write_all(&secrets::conceal_bytes(&self.waiting)).and_then(|()| out.flush());
        self.waiting.clear();
        kept(written)
    }
}

/// Tells why the command ends without having done its work.
pub(crate) fn failed(text: &str) {
    tell!("azuring: {text}");
    failed_on_stdout(text);
}

/// The same for programs only.
pub(crate) fn failed_on_stdout(text: &str) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_to_its_reader() {
        let name = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\n\\ü";
        let line = serde_json::to_string(name).unwrap();
        let written = in_json(line.as_str().into());
        assert!(!written.contains(name::is_unprintable), "{written:?}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), name);
        assert!(matches!(in_json("\"plain\"".into()), Cow::Borrowed(_)));
    }
}
