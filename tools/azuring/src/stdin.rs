//! Lines on stdin: asked for explicitly, or as answers to a question. At its end nothing more comes; nobody waits for
//! it in a loop.

use std::io::{self, BufRead, Read, stdin};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use azuring_plan::location::Location;
use azuring_plan::pairs::FromTo;
use azuring_transfer::StopHandle;
use rustix::fs::OFlags;

use crate::output::{notice, tell};
use crate::refused::{Refused, usage};

/// A line longer than this is none of ours; it is taken in pieces.
const LINE_BYTES: u64 = 4096;
/// Lines that may wait.
const WAITING: usize = 16;
/// Between two looks at whether the job goes on.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLine {
    /// Stdin has ended.
    Ended,
    /// The job is to stop.
    Stopped,
}

/// The lines of stdin, read on a thread of its own that ends with the process.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    /// Begins to read. With `cancel`, a line `cancel` (or AzCopy's JSON for it) stops the job.
    pub(crate) fn start(cancel: Option<StopHandle>) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let read = move || {
            loop {
                let mut line = String::new();
                match stdin().lock().by_ref().take(LINE_BYTES).read_line(&mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                let line = line.trim();
                if let Some(stop) = cancel.as_ref().filter(|_| is_cancel(line)) {
                    stop.stop();
                    tell!("azuring: stopping: finishing what is in flight");
                } else if sender.send(line.to_owned()).is_err() && cancel.is_none() {
                    return;
                }
            }
        };
        if std::thread::Builder::new().name("stdin".to_owned()).spawn(read).is_err() {
            notice("stdin is not read: the system refuses to start a thread");
        }
        Self(receiver)
    }

    /// The next line. Waits for it until `stop` is used.
    pub(crate) fn next(&self, stop: &StopHandle) -> Result<String, NoLine> {
        loop {
            if stop.is_stopped() {
                return Err(NoLine::Stopped);
            }
            match self.0.recv_timeout(LOOK) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => return Err(NoLine::Ended),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Waits for a line that says `word`. `false` when stdin ends without it.
    pub(crate) fn wait_for(&self, word: &str) -> bool {
        self.0.iter().any(|line| line.eq_ignore_ascii_case(word))
    }
}

/// Refuses streams that were closed (`<&-`) and are to carry data: there is nothing to be read, or to be written to.
///
/// # Errors
/// Which one it is.
pub(crate) fn check_streams(from_to: FromTo, list: Option<&Path>) -> Result<(), Refused> {
    if from_to.from == Location::Pipe && was_closed(io::stdin()) {
        return Err(usage(
            "stdin is closed: there is nothing to be uploaded (an empty blob is made of </dev/null)",
        ));
    }
    if from_to.to == Location::Pipe && was_closed(io::stdout()) {
        return Err(usage("stdout is closed: there is nobody to write the blob to"));
    }
    if list == Some(Path::new("-")) { check_list() } else { Ok(()) }
}

/// The same of stdin where it is to carry a list of files.
///
/// # Errors
/// When it is closed.
pub(crate) fn check_list() -> Result<(), Refused> {
    if was_closed(io::stdin()) {
        return Err(usage("--list-of-files: stdin is closed: there is no list to be read"));
    }
    Ok(())
}

/// Whether the process began without this stream. Rust's runtime opens `/dev/null` in its place, for reading and
/// writing, as nobody else does: who redirects a stream from or to there does it for one of both.
fn was_closed(stream: impl AsFd) -> bool {
    let is_null = rustix::fs::fstat(&stream).is_ok_and(|stat| stat.st_rdev == rustix::fs::makedev(1, 3));
    let flags = rustix::fs::fcntl_getfl(&stream);
    is_null && flags.is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}

fn is_cancel(line: &str) -> bool {
    if line.eq_ignore_ascii_case("cancel") {
        return true;
    }
    let message: Option<serde_json::Value> = serde_json::from_str(line).ok();
    message.is_some_and(|message| message["MsgType"] == "CancelJob")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_line_of_a_job_that_stops() {
        let (sender, receiver) = sync_channel(WAITING);
        let (lines, stop) = (Lines(receiver), StopHandle::new());
        sender.send("y".to_owned()).unwrap();
        assert_eq!(lines.next(&stop), Ok("y".to_owned()));
        stop.stop();
        // The sender is still there.
        assert_eq!(lines.next(&stop), Err(NoLine::Stopped));
        drop(sender);
        assert_eq!(lines.next(&StopHandle::new()), Err(NoLine::Ended));
    }

    #[test]
    fn cancel_is_a_word_or_a_message() {
        for line in ["cancel", "CANCEL", r#"{"MsgType":"CancelJob","Value":""}"#] {
            assert!(is_cancel(line), "{line}");
        }
        for line in ["", "cancelled", r#"{"MsgType":"Other"}"#, "{"] {
            assert!(!is_cancel(line), "{line}");
        }
    }
}
