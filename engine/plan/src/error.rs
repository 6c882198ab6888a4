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
    /// The blob's name cannot be that of a local file. Rename the blob, or leave it out.
    #[error("the blob name {name} cannot become a local file name: {reason}")]
    NotLocal {
        /// The name, escaped for display; of a long one the first 64 characters.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The blob is not below the source it was listed for. A fault of the server or of the caller.
    #[error("the blob {name} is not below {prefix}")]
    NotBelow {
        /// The name, escaped for display.
        name: String,
        /// The source, escaped for display.
        prefix: String,
    },
}

/// An item of a filter flag that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{flag}: {item} cannot be used: {reason}")]
pub struct BadFilter {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// The item, escaped for display.
    pub item: String,
    /// What is wrong with it.
    pub reason: String,
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
    /// The list of files is not text that is understood. Save it as UTF-8, one path a line.
    #[error("the list of files {reason}: save it as UTF-8, one path a line")]
    ListOfFilesEncoding {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An empty source argument.
    #[error("the source is empty")]
    EmptySource,
    /// A filter flag with an item that cannot be read. Correct the item.
    #[error(transparent)]
    BadFilter(#[from] BadFilter),
    /// A word that is not a blob type.
    #[error("{text:?} is not a blob type: use BlockBlob, PageBlob or AppendBlob")]
    BadBlobType {
        /// What was given.
        text: String,
    },
    /// A date or time that cannot be read (the start of the text is AzCopy's).
    #[error(
        "could not parse date/time '{text}'. Expecting ISO8601 format, with 4 digit year and 2-digits for all other elements: {reason}"
    )]
    BadDate {
        /// What was given, escaped for display.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A list of files in JSON, as early versions of AzCopy took it (its words). Write one path per line.
    #[error("The format for list-of-files has changed. The old JSON format is no longer supported")]
    ListOfFilesIsJson,
    /// A `*` in a URL's path that is not a trailing `/*` (AzCopy's words).
    #[error(
        "cannot use wildcards in the path section of the URL except in trailing \"/*\". If you wish to use * in your URL, manually encode it to %2A"
    )]
    WildcardInUrl,
    /// More tags than a blob can have (AzCopy's words).
    #[error("at-most 10 tags can be associated with a blob")]
    TooManyTags,
    /// A tag that the service does not take. Correct it.
    #[error("{reason}: {text}")]
    BadTag {
        /// The tag, key or value as given, escaped for display.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Metadata that cannot be read or sent. Write `name=value;name2=value2`.
    #[error("--metadata: {name}: {reason}")]
    BadMetadata {
        /// The name concerned, escaped for display.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A `--from-to` that AzCopy does not have either.
    #[error(
        "{text:?} is not a combination of source and destination: write for example LocalBlob or BlobLocal"
    )]
    BadFromTo {
        /// What was given, escaped for display.
        text: String,
    },
    /// The destination, or a name made from it, cannot be a blob name.
    #[error(transparent)]
    Name(#[from] NameError),
}
