//! One object of a job: what the planner finds, a lane works on, and the journal keeps.

use std::borrow::Cow;

use azuring_azure::{BlobEntry, Which};
use azuring_local::RelPath;
use azuring_plan::name::escape;

use crate::outcome::{Entity, TransferId};

/// One object to transfer.
#[derive(Debug)]
pub struct Entry {
    /// Its number in the job.
    pub id: TransferId,
    /// The object itself, and what the scan knows of it.
    pub found: Found,
}

/// One object of a job, as the planner found it.
#[derive(Debug)]
pub enum Found {
    /// A local file.
    File(RelPath),
    /// A symbolic link that becomes a blob of its own.
    Link(RelPath),
    /// A directory whose stub is wanted.
    Directory(RelPath),
    /// A socket, pipe or device whose stub is wanted.
    Special(RelPath),
    /// A blob to download, remove or change.
    Blob(Box<BlobItem>),
    /// A stream, which is read once.
    Stream,
}

impl Found {
    /// Its place in the order of a local walk: its path, a directory's with a final slash.
    pub fn place(&self) -> Cow<'_, [u8]> {
        match self {
            Self::File(path) | Self::Link(path) | Self::Special(path) => path.as_bytes().into(),
            Self::Directory(path) if path.as_bytes().is_empty() => Cow::default(),
            Self::Directory(path) => [path.as_bytes(), b"/"].concat().into(),
            Self::Blob(blob) => blob.entry.name.as_bytes().into(),
            Self::Stream => Cow::default(),
        }
    }

    /// What kind of object it is.
    pub fn entity(&self) -> Entity {
        match self {
            Self::File(_) | Self::Special(_) | Self::Stream => Entity::File,
            Self::Link(_) => Entity::Symlink,
            Self::Directory(_) => Entity::Folder,
            Self::Blob(blob) if blob.entry.facts.metadata.is_empty() && !blob.entry.is_directory => {
                Entity::File
            }
            Self::Blob(blob) if blob.entry.is_folder() => Entity::Folder,
            Self::Blob(blob) if blob.entry.facts.is_symlink() => Entity::Symlink,
            Self::Blob(_) => Entity::File,
        }
    }
}

/// A blob of a job.
#[derive(Clone, Debug)]
pub struct BlobItem {
    /// What the listing tells of it; of one that is only named, the name.
    pub entry: Box<BlobEntry>,
    /// Where in its name the path below the source begins.
    pub relative_at: usize,
    /// How much that is worth.
    pub known: Known,
}

/// Where the facts about a blob come from, and so how far they can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A listing, or its properties, tell everything.
    Listed,
    /// Somebody says that it is there.
    Named,
    /// An earlier run of the job has listed it.
    Before,
    /// This version or snapshot of it is meant, and no other.
    Version,
}

impl BlobItem {
    /// The path below the source.
    pub fn relative(&self) -> &str {
        &self.entry.name[self.relative_at..]
    }

    /// Which state of the blob is meant.
    pub fn which(&self) -> Which<'_> {
        if self.known != Known::Version {
            return Which::default();
        }
        let snapshot = self.entry.snapshot.as_deref();
        let version = if snapshot.is_some() { None } else { self.entry.facts.version_id.as_deref() };
        Which { snapshot, version }
    }

    /// The path below the source on one line; of a source that is the blob itself, its last part. What has no name of
    /// its own there (a blob `x/` below `x/`) is told by its whole name: nothing is told without one.
    pub fn object(&self) -> String {
        match self.relative() {
            "" => escape(self.entry.name.as_bytes()),
            relative => escape(relative.as_bytes()),
        }
    }
}
