//! Writing to the streams: a reader that has gone away changes nothing about the job.

use std::fmt::Arguments;
use std::io::{Write, stderr, stdout};

/// Writes a line to stdout. Unlike `println!`, it does not panic when nobody reads it any more.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::to_stdout(format_args!($($part)*)) };
}

/// Writes a line to stderr. Unlike `eprintln!`, it does not panic when nobody reads it any more.
macro_rules! tell {
    ($($part:tt)*) => { $crate::output::to_stderr(format_args!($($part)*)) };
}

pub(crate) use {say, tell};

pub(crate) fn to_stdout(line: Arguments<'_>) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub(crate) fn to_stderr(line: Arguments<'_>) {
    // In one piece: stderr has no buffer, and the parts would be mixed with those of other processes.
    let _ = stderr().lock().write_all(format!("{line}\n").as_bytes());
}
