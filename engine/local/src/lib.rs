//! The local file system: an ordered, parallel, bounded walk of a source, and a target that nothing leads out of.
//!
//! # Purpose
//!
//! Gives the names of millions of files in byte order, from a tree that is being changed by others, without
//! asking the file system anything but "what is in this directory": no `stat` per file.
//!
//! ```text
//!             consumer's thread                                     workers (read ahead)
//!   WalkStream::next_batch ◄── stack of sorted listings            open, getdents64, sort
//!        │                        ▲  depth first                        ▲        │
//!        └── next directories ────┼──── requests (bounded) ─────────────┘        │
//!                                 └──── listings (bounded) ◄─────────────────────┘
//!        a directory that nobody has read ahead is read by the consumer itself: no wake-up
//! ```
//!
//! A download asks a [`TargetTree`] for the directory of each file: made when it is needed, entered name by name
//! without following a link, and held open for the files that come next.
//!
//! # Invariants
//!
//! * Files come in the byte order of their full relative names; a directory sorts as its name and `/`, so
//!   `a-b`, `a.txt`, `a/x`, `a0` come in this order. The order does not depend on threads or timing.
//! * Every name that was in a directory for the whole of its reading comes exactly once: as a file, as
//!   skipped, or as a directory that is entered. What could not be read is a [`Found::Problem`], never silence.
//! * Below the root no symbolic link is followed unless [`SymlinkMode::Follow`] asks for it, also when a directory is
//!   swapped for one during the walk.
//! * Below a target's root no symbolic link is ever followed, and no name leads out of it.
//! * A walk opens nothing but directories, and each only while it is read: a walk holds one descriptor, and one
//!   more per thread while it reads.
//!
//! # Limits
//!
//! Names held in memory: [`walk::NAMES_BUDGET`]. A directory that is larger than its share is sorted in runs on an
//! unlinked temporary file (in `TMPDIR`) and merged. Directories read ahead: [`walk::LOOK_AHEAD`]. Threads:
//! [`walk::MAX_THREADS`].
//!
//! Directories that a target holds open: [`KNOWN_DIRECTORIES`].
//!
//! # What it deliberately does not know
//!
//! Blob names, patterns (the caller passes a predicate per path segment), jobs, the content of files.
#![forbid(unsafe_code)]

mod ahead;
mod chain;
mod destination;
mod error;
mod found;
mod known;
mod listing;
mod matching;
mod open;
mod path;
mod posix;
mod read;
mod source;
mod spill;
mod target;
pub mod walk;

pub use destination::Destination;
pub use error::{LocalError, SpecialKind};
pub use found::{Counts, Found, SkippedKind, SymlinkMode};
pub use matching::{DirectoryPruner, SegmentMatcher};
pub use path::RelPath;
pub use posix::{read_posix, set_posix, set_times};
pub use source::{SourceKind, base_name, read_all_existing, read_first_existing, stat_source, umask};
pub use target::{KNOWN_DIRECTORIES, TargetFacts, TargetKind, TargetTree};
pub use walk::{Walk, WalkStream};
