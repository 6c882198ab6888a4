//! Lines on stdin: asked for explicitly, or as answers to a question. At its end nothing more comes; nobody waits for it
//! in a loop.

use std::io::{BufRead, Read, stdin};
use std::sync::mpsc::{Receiver, sync_channel};

use azuring_transfer::StopHandle;

use crate::output::{notice, tell};

/// A line longer than this is none of ours; it is taken in pieces.
const LINE_BYTES: u64 = 4096;
/// Lines that may wait.
const WAITING: usize = 16;

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

    /// The next line, or `None` when there are no more.
    pub(crate) fn next(&self) -> Option<String> {
        self.0.recv().ok()
    }

    /// Waits for a line that says `word`. `false` when stdin ends without it.
    pub(crate) fn wait_for(&self, word: &str) -> bool {
        std::iter::from_fn(|| self.next()).any(|line| line.eq_ignore_ascii_case(word))
    }
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
    fn cancel_is_a_word_or_a_message() {
        for line in ["cancel", "CANCEL", r#"{"MsgType":"CancelJob","Value":""}"#] {
            assert!(is_cancel(line), "{line}");
        }
        for line in ["", "cancelled", r#"{"MsgType":"Other"}"#, "{"] {
            assert!(!is_cancel(line), "{line}");
        }
    }
}
