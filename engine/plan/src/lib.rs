//! Names, filters, block sizes and properties: the rules of a transfer as pure functions.
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
//!
//!   --include-*, --exclude-* ──► filter::FilterSpec ──► filter::Filter ──► passes, prunes
//!   URL's path ──► download::RemotePath ──► download::DownloadNaming ──► download::LocalName
//!   names of a listing ──► order::OrderKey, order::Rising
//!   stat ◄──► posix::PosixProperties ◄──► metadata
//! ```
//!
//! What the user writes is read in [`place`], [`date`], [`list_of_files`], [`metadata`], [`tags`] and [`blob_type`].
//! Three tables say what there is: [`host`] (which host is which service), [`pairs`] (from where to where, and what is
//! done), [`flags`] (which flag means something for which pair).
//!
//! # Invariants
//!
//! * A blob name that [`name::blob_name`] returns is sent unchanged: percent-decoding
//!   what [`name::encode_path`] writes gives the same bytes. A name that no URL can carry is an error; the two kinds
//!   that the service itself is known to change are told by [`name::stored_as`].
//! * The blocks of one file cover it exactly once, in order, and all their ids have the same length.
//! * A [`download::LocalName`] joined to any directory stays below it.
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

pub mod blob_type;
pub mod blocks;
pub mod content_type;
pub mod date;
pub mod destination;
pub mod download;
mod error;
pub mod filter;
pub mod flags;
mod go_regex;
#[macro_use]
mod growing;
pub mod host;
pub mod list_of_files;
pub mod location;
pub mod metadata;
pub mod name;
pub mod order;
pub mod pairs;
pub mod place;
pub mod posix;
mod sniff;
pub mod source;
pub mod tags;

pub use error::{BadFilter, NameError, PlanError};
