//! What lanes and planner tell the caller's thread.

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::outcome::{Event, Outcome};
use crate::part::Part;

/// Messages that may wait for the caller. A lane that finds no room waits: a caller that cannot take events
/// slows the job instead of filling the memory.
const WAITING_MESSAGES: usize = 192;

/// What lanes and planner send.
#[derive(Debug)]
pub enum Message {
    /// How transfers ended; recorded before it is told.
    Outcomes(Vec<Outcome>),
    /// Transfers that somebody else does.
    Part(Box<Part>),
    /// Anything else.
    Event(Event),
}

/// The same for a dry run, whose messages are full of names: 64 batches of 64 are some 2 MB.
const WAITING_PLANS: usize = 64;

/// The way from lanes and planner to the caller, bounded.
pub fn channel(dry_run: bool) -> (Sender<Message>, Receiver<Message>) {
    bounded(if dry_run { WAITING_PLANS } else { WAITING_MESSAGES })
}
