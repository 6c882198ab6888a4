//! What a walk gives out.

use std::fmt;

use crate::{LocalError, RelPath};

/// What becomes of symbolic links below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SymlinkMode {
    /// They are skipped.
    #[default]
    Skip,
    /// They are what they lead to. A link to nothing is a problem; one to a directory that it is in, or to itself, is
    /// skipped. What several links lead to comes several times.
    Follow,
    /// They are given out as links.
    Preserve,
}

/// Why an entry is not a file to transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkippedKind {
    /// A symbolic link, whatever it leads to.
    Symlink,
    /// A Unix socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
}

impl fmt::Display for SkippedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "a symbolic link",
            Self::Socket => "a socket",
            Self::Fifo => "a named pipe",
            Self::BlockDevice => "a block device",
            Self::CharDevice => "a character device",
        })
    }
}

/// What a walk finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A regular file (or what the file system says is one: it may be gone or changed when it is opened).
    File(RelPath),
    /// Something that has no content to transfer.
    Skipped {
        /// Where.
        path: RelPath,
        /// Why: a link, or the type of the special file.
        kind: SkippedKind,
    },
    /// A symbolic link, with [`SymlinkMode::Preserve`].
    Symlink(RelPath),
    /// A directory that is entered, before what is in it; with [`crate::Walk::directories`]. The root is not among
    /// them.
    Directory(RelPath),
    /// A socket, pipe or device, with [`crate::Walk::specials`].
    Special {
        /// Where.
        path: RelPath,
        /// What; never a symbolic link.
        kind: SkippedKind,
    },
    /// Something that could not be read, in the place of its entries or (a listing that broke off) before
    /// them. The walk goes on; whoever deletes by comparing must not delete below this path.
    Problem(LocalError),
}

/// What a walk has met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Regular files that the walk returned.
    pub files: u64,
    /// Entries that the walk returned as skipped.
    pub skipped: u64,
    /// Symbolic links and special files that the walk returned as objects.
    pub specials: u64,
    /// Problems that the walk returned.
    pub problems: u64,
    /// Directories read, the root included.
    pub directories: u64,
    /// Directories without any entry (they have no blob).
    pub empty_directories: u64,
    /// Directories left alone because the walk is not recursive.
    pub directories_not_entered: u64,
    /// Directories left alone because nothing below them is wanted ([`crate::Walk::pruning`]).
    pub directories_pruned: u64,
}
