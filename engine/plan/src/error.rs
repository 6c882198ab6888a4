//! What can be wrong with a plan, each with its cause and its remedy.

use thiserror::Error;

/// A name that cannot become a blob name, or could not be sent exactly.
///
/// Each concerns one object: the transfer reports it, fails that object and goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameError {
    /// The local name is not UTF-8; blob names are Unicode. Rename the file.
    /// `escaped` is the whole name with every offending byte as `\xNN`.
    #[error("the name is not valid UTF-8 and cannot become a blob name: {escaped} (rename the file)")]
    NotUtf8 {
        /// The name, with bytes that are not UTF-8 (and control characters) escaped.
        escaped: String,
    },
    /// The blob name is longer than [`crate::name::MAX_NAME_CHARS`]. Choose a shorter destination or source path.
    #[error("the blob name has {chars} characters, the service allows 1024: {start}...")]
    TooLong {
        /// Length of the whole name in characters.
        chars: usize,
        /// The first 64 characters, escaped for display.
        start: String,
    },
    /// The blob name has more than [`crate::name::MAX_SEGMENTS`] `/`-separated segments. Flatten the tree.
    #[error("the blob name has {segments} path segments, the service allows 254")]
    TooManySegments {
        /// Number of segments.
        segments: usize,
    },
    /// A segment is `.` or `..`: every URL normaliser on the way, the service's own included, resolves it
    /// (also when written `%2E`), so the request would reach another blob. Remove it from the destination path.
    #[error(
        "the blob name {name} contains a \".\" or \"..\" segment, which cannot be sent in a URL without being resolved"
    )]
    DotSegment {
        /// The name, escaped for display.
        name: String,
    },
    /// The name is empty. Give the destination a blob name.
    #[error("the blob name is empty")]
    Empty,
}

/// Why a plan cannot be made. All of them are the user's input, found before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A directory was given without `--recursive` or `/*` (the text is AzCopy's, scripts match on it).
    /// Add `--recursive`, or name the contents with `dir/*`.
    #[error("cannot use directory as source without --recursive or a trailing wildcard (/*)")]
    DirectoryNotRecursive,
    /// With the block size asked for, the file needs more than 50,000 blocks. Use at least `minimum` bytes, or
    /// leave the block size to the rule.
    #[error(
        "a block size of {} MiB cuts this file of {size} bytes into more than 50000 blocks; use at least --block-size-mb={}",
        crate::blocks::display_mib(*.block_size),
        crate::blocks::display_mib(*.minimum)
    )]
    BlockSizeTooSmall {
        /// Size of the file in bytes.
        size: u64,
        /// The block size asked for, in bytes.
        block_size: u64,
        /// The smallest block size, in whole MiB given in bytes, that fits.
        minimum: u64,
    },
    /// A block size above the service's 4,000 MiB, or zero. Choose a smaller one.
    #[error("a block size of {} MiB is outside what the service takes (more than 0, at most 4000 MiB)", crate::blocks::display_mib(*.block_size))]
    BlockSizeOutOfRange {
        /// The block size asked for, in bytes.
        block_size: u64,
    },
    /// A Put Blob size above the service's 5,000 MiB. Choose a smaller one.
    #[error("a Put Blob size of {} MiB is above what the service takes (5000 MiB)", crate::blocks::display_mib(*.put_blob_size))]
    PutBlobSizeOutOfRange {
        /// The Put Blob size asked for, in bytes.
        put_blob_size: u64,
    },
    /// The file is larger than a block blob can be (50,000 x 4,000 MiB, 190.7 TiB). Split it.
    #[error("a file of {size} bytes is larger than a block blob can be (50000 blocks of 4000 MiB)")]
    FileTooLarge {
        /// Size of the file in bytes.
        size: u64,
    },
    /// A size in MiB that is not a positive number of whole bytes. Write for example `8` or `0.25`.
    #[error("{text:?} is not a size in MiB: {reason}")]
    BadMib {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A wildcard pattern that cannot be read. Correct it, or escape the character with `\`.
    #[error("the pattern {pattern} is malformed: {reason}")]
    BadPattern {
        /// The pattern, escaped for display.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An empty source argument.
    #[error("the source is empty")]
    EmptySource,
    /// The destination, or a name made from it, cannot be a blob name.
    #[error(transparent)]
    Name(#[from] NameError),
}
