//! # azuring-ring: files into and out of pooled buffers
//!
//! **Purpose.** Everything a lane needs from the operating system to turn a path into bytes that a
//! socket can send: a runtime for the lane's thread, files read through io_uring, and the pool of
//! buffers they are read into.
//!
//! ```text
//!   lane thread ── LaneRuntime ──> tokio current-thread runtime (+ io_uring, when the kernel allows it)
//!       │
//!       ├─ Pool ──acquire──> Lease ──fill──> Bytes ──(link)──> socket ──drop──> Pool
//!       │                      ▲  └─<─fill── (link) <── socket
//!       └─ FileRing ───────────┴──  open, read at offset; create, write at offset, complete
//!            ├─ UringFiles    tokio-uring's ring, own operations
//!            └─ ThreadFiles   blocking threads, where io_uring is missing or forbidden
//! ```
//!
//! **Invariants.**
//! - A [`Pool`] never maps more than the limit it was made with; no slot means the reader waits, first
//!   come first served. Nothing else in the data plane allocates per byte.
//! - Memory in a slot is always initialised (it comes zeroed from the kernel and is only overwritten).
//! - A [`Lease`] is the only owner of its slot from `acquire` until the last `Bytes` made of it is dropped.
//! - A file is written under a temporary name and gets its own when it is complete. It takes the place of a file or a
//!   symbolic link, never of a directory, pipe, socket or device.
//! - What `close(2)` has to say of a written file is heard before the file gets its name.
//! - A file operation that was submitted is awaited to its end: tasks that use a [`FileRing`] are never
//!   cancelled in flight (a dropped open would leak its descriptor).
//!
//! **Limits.** Slots are 64 KiB or 256 KiB; a lane has one pool and one ring.
//!
//! **Does not know** Azure, HTTP, jobs, retries, or what the bytes mean.
//!
//! This is the only crate with `unsafe` code: memory mapping, io_uring submission, and `getaddrinfo`.
#![deny(unsafe_op_in_unsafe_fn)]

mod descriptors;
mod dir;
mod dress;
mod file;
mod memory;
mod pool;
mod resolver;
mod runtime;
mod store;
mod threads;
mod uring;
mod workers;

pub use descriptors::{
    RUNTIME_DESCRIPTORS, free_descriptors, is_out_of_descriptors, keep_descriptor_limit, room_for_a_runtime,
};
pub use dir::{Names, SourceDir};
pub use dress::{Finish, Permissions, check_close};
pub use file::{FileMeta, FileRing, HasContent, Loaded, OpenFile};
pub use pool::{BLOCK_SLOT_BYTES, CHUNK_BYTES, Lease, Pool, SMALL_SLOT_BYTES, SlotClass};
pub use resolver::canonical_name;
pub use runtime::{IoChoice, IoPath, LaneRuntime, probe};
pub use store::{InTheWay, NewFile, Room};
pub use threads::ThreadFiles;
pub use uring::UringFiles;
