//! What can go wrong with local names, each with its cause and its remedy.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use azuring_plan::name::escape;

/// A path shown on one line.
struct Shown<'a>(&'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.0.as_os_str().as_encoded_bytes()))
    }
}

/// What a path is that is neither a file nor a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialKind {
    /// A Unix socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A descriptor of a process, open for something else.
    Descriptor,
    /// Something this program does not know.
    Unknown,
}

impl SpecialKind {
    /// What is of this type; `None` for files, directories and symbolic links.
    pub(crate) fn of(kind: std::fs::FileType) -> Option<Self> {
        use std::os::unix::fs::FileTypeExt as _;
        Some(if kind.is_file() || kind.is_dir() || kind.is_symlink() {
            return None;
        } else if kind.is_socket() {
            Self::Socket
        } else if kind.is_fifo() {
            Self::Fifo
        } else if kind.is_block_device() {
            Self::BlockDevice
        } else if kind.is_char_device() {
            Self::CharDevice
        } else {
            Self::Unknown
        })
    }
}

impl fmt::Display for SpecialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "a socket",
            Self::Fifo => "a named pipe",
            Self::BlockDevice => "a block device",
            Self::CharDevice => "a character device",
            Self::Descriptor => "an open descriptor",
            Self::Unknown => "of an unknown kind",
        })
    }
}

/// A failure on the local file system. Paths are as the user gave them, with what is below appended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocalError {
    /// Nothing has this name. Check the spelling; during a walk, it was removed after it had been listed.
    #[error("{}: no such file or directory", Shown(path))]
    Missing {
        /// What is missing.
        path: PathBuf,
    },
    /// The user may not look there. Run as a user who may, or leave the path out.
    #[error(
        "{}: permission denied (reading needs r and x on the directory and x on all above it)",
        Shown(path)
    )]
    PermissionDenied {
        /// What could not be read.
        path: PathBuf,
    },
    /// The user may not write there, or not give the owner or permissions asked for. Run as a user who may, or choose
    /// another destination.
    #[error(
        "{}: permission denied (writing needs w and x on the directory; only root gives files away)",
        Shown(path)
    )]
    WriteDenied {
        /// What could not be written or changed.
        path: PathBuf,
    },
    /// A directory was expected. During a walk: it was replaced (by a symbolic link, for example) after it
    /// had been listed.
    #[error("{}: not a directory", Shown(path))]
    NotADirectory {
        /// What is not a directory.
        path: PathBuf,
    },
    /// A socket, pipe or device, which has no content to copy. Leave it out.
    #[error(
        "{}: is {kind}, only files and directories can be copied; to upload what comes through it: azuring copy - URL < {}",
        Shown(path),
        Shown(path)
    )]
    Special {
        /// The special file.
        path: PathBuf,
        /// Socket, pipe, device and so on, for the message.
        kind: SpecialKind,
    },
    /// The destination is a socket, pipe, device or open descriptor, which would be replaced by a file. Write to it
    /// through stdout.
    #[error(
        "{}: is {kind}, and files are written to directories; to write one blob to it: azuring copy URL - > {}",
        Shown(path),
        Shown(path)
    )]
    NotAPlace {
        /// The destination.
        path: PathBuf,
        /// Socket, pipe, device and so on, for the message.
        kind: SpecialKind,
    },
    /// A symbolic link that is to be followed leads to nothing. Correct it, or leave it out.
    #[error("{}: this symbolic link leads nowhere", Shown(path))]
    DanglingLink {
        /// The link, not its target.
        path: PathBuf,
    },
    /// Something other than a directory stands where a download needs a directory. Two blobs, `a` and `a/b`, cannot
    /// both be files; rename one, or the file that was there before.
    #[error("{}: a file is where a directory is needed (rename it, or the blob below it)", Shown(path))]
    FileInTheWay {
        /// The file that already exists.
        path: PathBuf,
    },
    /// A symbolic link stands where a download needs a directory; below the destination none is followed. Replace
    /// it by a directory, or give the place it leads to as the destination.
    #[error(
        "{}: a symbolic link is where a directory is needed, and links are not followed here",
        Shown(path)
    )]
    LinkInTheWay {
        /// The link that already exists.
        path: PathBuf,
    },
    /// A directory stands where a file or link is to be made. Remove it, or rename the blob.
    #[error("{}: a directory is where a file is to be written", Shown(path))]
    DirectoryInTheWay {
        /// The directory that already exists.
        path: PathBuf,
    },
    /// There is something already, and it is not to be replaced.
    #[error("{}: exists already", Shown(path))]
    Exists {
        /// What already exists.
        path: PathBuf,
    },
    /// A directory is too large to be sorted in memory, and the temporary file for it failed. Point `TMPDIR` to
    /// a directory with room. The directory is left out.
    #[error(
        "{}: sorting this large directory in a temporary file under {} failed: {}",
        Shown(path),
        Shown(&std::env::temp_dir()),
        strerror(*.errno)
    )]
    Spill {
        /// The directory.
        path: PathBuf,
        /// What the system answered.
        errno: i32,
    },
    /// Any other answer of the file system. Where a listing broke off in the middle, the names read before
    /// still come, after this.
    #[error("{}: {operation} failed: {}", Shown(path), strerror(*.errno))]
    Io {
        /// What the call was about.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the system answered.
        errno: i32,
    },
}

impl LocalError {
    /// The path concerned.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing { path }
            | Self::PermissionDenied { path }
            | Self::WriteDenied { path }
            | Self::NotADirectory { path }
            | Self::DanglingLink { path }
            | Self::FileInTheWay { path }
            | Self::LinkInTheWay { path }
            | Self::DirectoryInTheWay { path }
            | Self::Exists { path }
            | Self::Special { path, .. }
            | Self::NotAPlace { path, .. }
            | Self::Spill { path, .. }
            | Self::Io { path, .. } => path,
        }
    }

    /// What the kernel answered, where that is all there is to say.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    pub(crate) fn new(path: PathBuf, operation: &'static str, errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Missing { path },
            Errno::ACCESS | Errno::PERM => Self::PermissionDenied { path },
            // LOOP: a component became a symbolic link, and links are not followed.
            Errno::NOTDIR | Errno::LOOP => Self::NotADirectory { path },
            errno => Self::Io { path, operation, errno: errno.raw_os_error() },
        }
    }

    /// The error of `operation` on `path` that the standard library reported.
    #[must_use]
    pub fn from_io(path: PathBuf, operation: &'static str, error: &std::io::Error) -> Self {
        Self::new(path, operation, Errno::from_io_error(error).unwrap_or(Errno::IO))
    }
}

fn strerror(errno: i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_path_on_one_line() {
        let path = PathBuf::from("/a/new\nline");
        let error = LocalError::new(path.clone(), "open", Errno::NOENT);
        assert_eq!(error, LocalError::Missing { path: path.clone() });
        assert_eq!(error.to_string(), "/a/new\\nline: no such file or directory");
        assert_eq!(error.path(), path);
        let error = LocalError::new(path.clone(), "open", Errno::MFILE);
        assert_eq!(error.to_string(), "/a/new\\nline: open failed: Too many open files (os error 24)");
        let error = LocalError::Special { path, kind: SpecialKind::Fifo };
        assert!(error.to_string().contains("is a named pipe"));
    }
}
