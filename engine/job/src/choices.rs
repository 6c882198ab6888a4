//! The choices a job can be given beyond its bounds.

use std::path::PathBuf;

pub use azuring_azure::{DeleteSnapshots, Encryption, RehydratePriority};
pub use azuring_plan::posix::PosixStyle;

/// What happens to an object that the destination already has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// It is replaced.
    #[default]
    Always,
    /// It stays; the transfer counts as skipped.
    Never,
    /// It is replaced when the source was modified later.
    IfSourceNewer,
    /// Whoever runs the job is asked. Where nobody answers it stays.
    Ask,
}

/// What a stored MD5 means for a download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckMd5 {
    /// It is not looked at.
    NoCheck,
    /// A difference is told, and the file kept.
    LogOnly,
    /// A difference fails the file; a blob without MD5 is taken as it comes.
    #[default]
    FailIfDifferent,
    /// A difference fails the file, and so does a blob without MD5.
    FailIfDifferentOrMissing,
}

/// When lengths are compared after an upload, which costs a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckLength {
    /// Where no checksum has proven more.
    #[default]
    Unproven,
    /// Always: a service or a gateway that loses what it has accepted shows here.
    Always,
    /// Never: no request is spent on it.
    Never,
}

/// What symbolic links in a local source are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Left out, and counted.
    #[default]
    Skip,
    /// What they point to.
    Follow,
    /// Blobs with the metadata `is_symlink=true` whose content is the path they hold; and the other way round.
    Preserve,
}

/// The kind of blob an upload makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlobTypeChoice {
    /// A page blob for `.vhd` and `.vhdx`, otherwise a block blob.
    #[default]
    Detect,
    /// Block blobs, which appear in one step.
    Block,
    /// Page blobs; files must be multiples of 512 bytes.
    Page,
    /// Append blobs, which one lane writes from beginning to end.
    Append,
}

/// What is removed for good, past soft delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermanentDelete {
    /// Snapshots that soft delete still keeps.
    Snapshots,
    /// Versions that soft delete still keeps.
    Versions,
    /// Both.
    SnapshotsAndVersions,
}

/// What `set-properties` changes. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyChange {
    /// The new access tier.
    pub tier: Option<String>,
    /// The priority of a rehydration that the new tier begins.
    pub rehydrate_priority: Option<RehydratePriority>,
    /// The new metadata, instead of all there was; empty removes it.
    pub metadata: Option<Vec<(String, String)>>,
    /// The new tags, instead of all there were; empty removes them.
    pub tags: Option<Vec<(String, String)>>,
}

/// Where the names of the objects to transfer come from, one relative path a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOfFiles {
    /// This file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}
