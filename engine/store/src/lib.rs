//! # azuring-store: the seam between jobs and services
//!
//! **Purpose.** Says what a place that keeps objects is, whoever runs it: how it lists, reads, writes, removes; what it
//! can do, as data; what it answers when it says no.
//!
//! ```text
//!   movers, scans ──> Store ── list stat read put begin piece pieces commit abort copy_from remove change make
//!                       │       Traits: sizes, order, visibility, checksums, conditions
//!                       │       StoreError: kind (any store) + words (this one)
//!                       ├── Blob storage          azuring-azure
//!                       ├── Custom                an embedder's own, boxed; Memory is one
//!                       └── Faulty<S>             a double: throttles, fails and is slow on demand (feature `doubles`)
//!   conformance ────────┘                           what all of them have to do (feature `conformance`)
//! ```
//!
//! **Invariants.**
//! - One call is one exchange. Nothing is repeated here.
//! - Everything that a listing gives goes through a [`Course`]: what stands still, goes in circles or leaves its prefix
//!   is an error.
//! - A success was verified by who implements the store; an error that leaves open whether something was done says so
//!   ([`StoreError::maybe_done`]).
//!
//! **Limits.** A token has 1 KiB, a receipt 64 bytes: they are kept in a job's journal.
//!
//! **Does not know** files, jobs, threads, retries, or any service.
#![forbid(unsafe_code)]

mod checksum;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod course;
mod custom;
mod error;
mod facts;
#[cfg(any(test, feature = "doubles"))]
pub mod faulty;
mod listing;
mod memory;
mod store;
mod traits;
mod which;

pub use azuring_link::Payload;
pub use checksum::{Crc64, Crc64Digest};
pub use course::{Course, Disorder, MAX_EMPTY_PAGES};
pub use custom::{AnyBody, Custom, CustomBody, CustomStore, Local};
pub use error::{Class, ErrorKind, Said, StoreError};
pub use facts::{AccessTier, BlobType, ContentFacts, Facts, State, Wanted};
pub use listing::{Entry, Include, Item, List, MAX_PAGE_ENTRIES, Page};
pub use memory::Memory;
pub use store::{
    At, Begin, Body, Change, Condition, Grant, Put, Read, Reading, Receipt, Removal, Store, There, Token,
    Written,
};
pub use traits::{
    Changes, Checksums, Conditions, CopySource, Directories, ListOrder, PieceTraits, Sequence, Traits,
    Visible,
};
pub use which::Which;

/// What a future of a store in memory gives: it never waits.
#[cfg(test)]
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}
