//! The choices a job can be given beyond its bounds.

use std::path::PathBuf;

pub use azuring_azure::{DeleteSnapshots, Encryption, RehydratePriority};
pub use azuring_plan::posix::PosixStyle;

/// What to do if the destination already has the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// Replace the existing object.
    #[default]
    Always,
    /// Keep it; the transfer counts as skipped.
    Never,
    /// Replace it if the source was modified later.
    IfSourceNewer,
    /// Ask the program that runs the job. Without an answer, keep it.
    Ask,
}

/// How a download checks the MD5 that is stored with a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckMd5 {
    /// Not at all.
    NoCheck,
    /// A difference is reported, but the file is kept.
    LogOnly,
    /// A difference fails the file. A blob without MD5 is accepted.
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

/// How bytes go from one store to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteChoice {
    /// The destination reads the source by itself, where both are of Blob storage; where the source does not admit
    /// that, through this host's memory.
    #[default]
    Auto,
    /// The destination reads the source by itself. Where the source does not admit that the job stops.
    Direct,
    /// Through this host's memory.
    Relay,
    /// By a third account, which both reach.
    Staging,
}

/// What symbolic links in a local source are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Skip and count them.
    #[default]
    Skip,
    /// Transfer the files and directories that they lead to.
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
    /// Snapshots and versions that soft delete still keeps.
    SnapshotsAndVersions,
}

azuring_plan::growing! {
    /// What `set-properties` changes. What is `None` stays as it is.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct PropertyChange {
        /// The new access tier, such as `Cool`.
        pub tier: Option<String>,
        /// The priority of a rehydration that the new tier begins.
        pub rehydrate_priority: Option<RehydratePriority>,
        /// The new metadata, instead of all there was; empty removes it.
        pub metadata: Option<Vec<(String, String)>>,
        /// The new tags, instead of all there were; empty removes them.
        pub tags: Option<Vec<(String, String)>>,
    }
}

/// Where the names of the objects to transfer come from, one relative path a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOfFiles {
    /// This file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}
