//! Names, block sizes, patterns and content types: the rules of a transfer as pure functions.
//!
//! # Purpose
//!
//! Everything that decides *what a transfer is called and how it is cut*, without touching a file, a
//! socket, a thread or a clock. The same input always gives the same answer, so each rule is tested where
//! it stands and an embedder can ask "what would you do?" without doing it.
//!
//! ```text
//!   source argument ──► source::LocalSource ──┐
//!                                             ├──► destination::Naming ──► name::blob_name ──► name::encode_path
//!   destination path, --as-subdir ────────────┘
//!   file size ────────► blocks::BlockRules ───► blocks::UploadShape ──► blocks::block_range, blocks::BlockId
//!   file name, first bytes ──► content_type::ContentTypes::for_name, content_type::sniff
//! ```
//!
//! # Invariants
//!
//! * A blob name that [`name::blob_name`] returns is sent unchanged: percent-decoding
//!   what [`name::encode_path`] writes gives the same bytes. A name that no URL can carry is an error; the two kinds
//!   that the service itself is known to change are told by [`name::stored_as`].
//! * The blocks of one file cover it exactly once, in order, and all their ids have the same length.
//! * No function panics on any input; no function allocates more than a small multiple of its input.
//!
//! # Limits
//!
//! All of them are the service's: 50,000 blocks of at most 4,000 MiB, Put Blob of at most 5,000 MiB, names of
//! at most 1,024 characters in at most 254 segments. They stand as constants in [`blocks`] and [`name`].
//!
//! # What it deliberately does not know
//!
//! Whether a file exists, what a directory holds, where the system keeps its content-type tables, what the
//! service answered. The caller reads; this crate judges.
#![forbid(unsafe_code)]

pub mod blocks;
pub mod content_type;
pub mod destination;
mod error;
pub mod name;
mod sniff;
pub mod source;

pub use error::{NameError, PlanError};
