//! The local file system as a source: an ordered, parallel, bounded walk, and what a path is.
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
//! # Invariants
//!
//! * Files come in the byte order of their full relative names; a directory sorts as its name and `/`, so
//!   `a-b`, `a.txt`, `a/x`, `a0` come in this order. The order does not depend on threads or timing.
//! * Every name that was in a directory for the whole of its reading comes exactly once: as a file, as
//!   skipped, or as a directory that is entered. What could not be read is a [`Found::Problem`], never silence.
//! * Below the root no symbolic link is followed, also when a directory is swapped for one during the walk.
//! * Nothing is opened but directories, and each only while it is read: a walk holds one descriptor, and one
//!   more per thread while it reads.
//!
//! # Limits
//!
//! Names held in memory: [`walk::NAMES_BUDGET`]. A directory that is larger than its share is sorted in runs on an unlinked
//! temporary file (in `TMPDIR`) and merged. Directories read ahead: [`walk::LOOK_AHEAD`]. Threads: [`walk::MAX_THREADS`].
//!
//! # What it deliberately does not know
//!
//! Blob names, patterns (the caller passes a predicate per path segment), jobs, the content of files.
#![forbid(unsafe_code)]

mod ahead;
mod error;
mod listing;
mod path;
mod read;
mod source;
mod spill;
pub mod walk;

pub use error::{LocalError, SpecialKind};
pub use path::RelPath;
pub use source::{SourceKind, base_name, read_all_existing, read_first_existing, stat_source};
pub use walk::{Counts, Found, SegmentMatcher, SkippedKind, Walk, WalkStream};
