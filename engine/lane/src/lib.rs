//! # azuring-lane: the work of a job
//!
//! **Purpose.** Takes entries from a queue and does what the job asks for: moves bytes up or down, removes, changes.
//! Reports how each entry ended.
//!
//! ```text
//!   queue ── entries ──> lane 0 .. n: one thread, one runtime, one ring, one pool, own links, own share of every budget
//!                          tasks ── a mover ── request ──> link
//!                          outcomes ──> messages
//!   large objects: pieces, claimed by all lanes through one atomic counter, done by one driver for all movers
//! ```
//!
//! **Rooms.** Each imports from those below it and never upwards; no files import each other in a circle.
//!
//! ```text
//!   crew       the threads: each takes from the queue and hands it to a mover
//!     │
//!   relay      the mover from store to store: reads as `get` does, writes as `put` does
//!     │
//!   put  get  change             the movers: what one object goes through
//!     │
//!   lane       what the tasks of a lane share, and what movers share: the driver of pieces, reading, comparing
//!     │
//!   common     what all threads of a job share: the queue, the journal, what is tried again
//!     │
//!   task       what is done with the objects of a job, as data: sources, targets, names
//!     │
//!   object     one object under way, as all lanes know it: its pieces, its lease, its bytes in order
//!     │
//!   requests   one request until it is answered for good
//!     │
//!   limits     how much at a time
//! ```
//!
//! **Invariants.**
//! - Every entry that is taken ends in exactly one outcome, waits for another attempt, or counts as not started because
//!   the job stops. Lanes make no entries: what turns out to be a directory is reported (`lines`).
//! - Nothing becomes visible on the service before all of its bytes were accepted and the source was seen unchanged;
//!   page and append blobs, and copies that the service has pending, cannot be invisible, and are removed again if they
//!   fail.
//! - No lock and no wake-up of another thread on the path of a small file.
//! - The pools of all lanes together stay within the job's memory; every queue is bounded.
//!
//! **Limits.** `budget` splits memory and requests over lanes, `descriptors` the files that may be open.
//!
//! **Does not know** how entries are found or numbered, nor the caller. Not for embedders: they use `azuring-transfer`.
#![forbid(unsafe_code)]

mod change;
mod common;
mod copy;
mod crew;
mod get;
mod lane;
mod limits;
mod object;
mod put;
mod requests;
pub mod task;

pub use common::{lines, queue, settle, shared};
pub use crew::gather;
pub use crew::thread::{Turn, run};
pub use lane::context::LaneResult;
pub use limits::{budget, commons, descriptors, join};
pub use object::in_order;
pub use requests::{ask, client, end, ends, request, route, session, staging};
