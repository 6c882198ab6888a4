//! # azuring-lane: the work of a job
//!
//! **Purpose.** Takes entries from a queue and does what the job asks for: moves bytes up or down, removes, changes. Reports
//! how each entry ended.
//!
//! ```text
//!   queue ── entries ──> lane 0 .. n: one thread, one runtime, one ring, one pool, own links, own share of every budget
//!                          tasks ── upload, download, change ── request ──> link
//!                          outcomes ──> messages
//!   large objects: pieces, claimed by all lanes through one atomic counter
//! ```
//!
//! **Invariants.**
//! - Every entry that is taken ends in exactly one outcome, waits for another attempt, or counts as not started because the
//!   job stops. Lanes make no entries: what turns out to be a directory is reported (`lines`).
//! - Nothing becomes visible on the service before all of its bytes were accepted and the source was seen unchanged; page and
//!   append blobs cannot be invisible, and are removed again if they fail.
//! - No lock and no wake-up of another thread on the path of a small file.
//! - The pools of all lanes together stay within the job's memory; every queue is bounded.
//!
//! **Limits.** `budget` splits memory and requests over lanes, `descriptors` the files that may be open.
//!
//! **Does not know** how entries are found or numbered, nor the caller. Not for embedders: they use `azuring-transfer`.
#![forbid(unsafe_code)]

pub mod ask;
pub mod budget;
pub mod change;
pub mod commons;
mod control;
pub mod descriptors;
pub mod download;
mod driver;
pub mod gather;
pub mod in_order;
pub mod join;
pub mod lane;
pub mod lines;
mod patience;
mod pieces;
pub mod queue;
mod rate;
pub mod request;
pub mod session;
pub mod settle;
pub mod shared;
pub mod task;
pub mod upload;
mod verify;
