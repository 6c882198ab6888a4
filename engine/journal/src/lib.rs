//! The durable state of a job: what was found, what is done, where the scan stands.
//!
//! # Purpose
//!
//! A job that is cut off at any moment (killed, out of power, out of disk) goes on where it was. For that it keeps a
//! *journal*: one file to which everything is appended that must not be done, asked or counted twice.
//!
//! ```text
//!   planner ── transfer, cursor, scanned ──┐  Entry: said together, committed together
//!   lanes' outcomes ── done, failed, piece ┼──► Pending (bounded memory) ──► one record ──► fdatasync
//!   counters ── count ─────────────────────┘        every 100 ms, or when 512 KiB wait
//!
//!   STATE/jobs/ID/journal ──► Recovered: counts, counters, cursor, large objects;  Part: names, one part at a time
//! ```
//!
//! ```
//! use azuring_journal::{JobId, Jobs, State};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let state = tempfile::tempdir()?;
//! let jobs = Jobs::new(state.path());
//! let id = JobId::from_bytes([7; 16]);
//! let journal = jobs.create(id, b"copy /data to a container")?;
//! let mut entry = journal.write()?;
//! let first = entry.transfer(b"a.txt", b"")?;
//! entry.transfer(b"b.txt", b"")?;
//! entry.done(first);
//! drop(entry);
//! journal.commit()?;
//! drop(journal);
//!
//! let (recovered, journal) = jobs.resume(id)?;
//! assert_eq!(recovered.counts().pending(), 1);
//! let mut part = recovered.part(0)?;
//! while let Some(transfer) = part.next()? {
//!     if transfer.state == State::Pending {
//!         assert_eq!((transfer.number, transfer.name), (1, &b"b.txt"[..]));
//!         journal.write()?.done(transfer.number);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! * A record is one commit. After a crash at any moment the job stands exactly as after one of its commits: the last
//!   one that [`Journal::commit`] or the thread saw durable, or the one that was being written.
//! * What is said through one [`Entry`] is never split. A transfer that is done is therefore also counted.
//! * A byte that changed is never believed: in the last record it makes that record a torn one, which is left out and
//!   told of ([`Recovered::cut_off`]); anywhere else it is [`JournalError::Damaged`].
//! * Nothing is ever overwritten. A shrunk journal is another file that takes the name of the old one.
//! * A name is written once, and so is the cause of any number of failures; an outcome costs about a byte.
//! * One process writes a job at a time; any number read it.
//!
//! # Limits
//!
//! Names, facts and texts: [`STRING_MAX`] bytes. Waiting for a commit: 1 MiB and one entry. A record: 32 MiB. Counters:
//! [`COUNTERS`]. Reasons: [`REASONS`]. Pieces of an object: [`PIECES_MAX`]. Memory of a job that is read: 10 KB for
//! each part that is under way, a few hundred bytes for others, and what is done of large objects.
//!
//! # What it deliberately does not know
//!
//! What a name, a fact, a reason, a counter, a piece or a position means; clocks; secrets, which its callers leave out.
//!
//! The bytes are described at the top of `format.rs`.
#![forbid(unsafe_code)]

mod bytes;
mod causes;
mod error;
mod failures;
mod format;
mod id;
mod index;
mod jobs;
mod journal;
mod lock;
mod names;
mod packing;
mod part;
mod pending;
mod recover;
mod runs;
mod shrink;
mod states;
mod storage;

pub use error::JournalError;
pub use format::{COUNTERS, FORMAT, PART_TRANSFERS, PIECES_MAX, REASONS, STRING_MAX};
pub use id::JobId;
pub use jobs::{Jobs, Listed};
pub use journal::{COMMIT_EVERY, CommitBy, Entry, Journal};
pub use names::{NamesReader, NamesWriter};
pub use part::{Part, Transfer};
pub use recover::{Counts, Cursor, Large, Recovered};
pub use runs::Runs;
pub use states::State;
pub use storage::{Disk, Storage};
