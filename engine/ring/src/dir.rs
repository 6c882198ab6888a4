//! An open directory, and names in it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

/// The flags every source file is opened with. `O_NONBLOCK` means nothing for a regular file; a pipe that has taken a
/// file's place since the walk would otherwise stop the lane until somebody writes to it.
const OPEN_FLAGS: i32 = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// A directory that relative names are opened in. Cheap to clone; clones share the descriptor.
#[derive(Clone, Debug)]
pub struct SourceDir {
    fd: Arc<OwnedFd>,
    follows_links: bool,
}

impl SourceDir {
    /// Opens `path`, following symbolic links in it: the root of a job is what the user named.
    ///
    /// # Errors
    /// The kernel's: missing, not a directory, no permission.
    pub fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let dir = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC | libc::O_PATH)
            .open(path)?;
        Ok(Self::from(Arc::new(OwnedFd::from(dir))))
    }

    /// Opens what a symbolic link in a name's last part leads to, instead of refusing it.
    pub fn following_links(self) -> Self {
        Self { follows_links: true, ..self }
    }

    /// The flags that files below it are opened with.
    pub(crate) fn open_flags(&self) -> i32 {
        if self.follows_links { OPEN_FLAGS & !libc::O_NOFOLLOW } else { OPEN_FLAGS }
    }

    /// Whether a symbolic link in a name's last part is followed.
    pub fn follows_links(&self) -> bool {
        self.follows_links
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<Arc<OwnedFd>> for SourceDir {
    /// Takes a directory that is open already.
    fn from(dir: Arc<OwnedFd>) -> Self {
        Self { fd: dir, follows_links: false }
    }
}

impl AsFd for SourceDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a file is called while it is written, and afterwards, both in one directory.
#[derive(Clone, Debug)]
pub struct Names {
    /// The directory.
    pub dir: SourceDir,
    /// The temporary name, the caller's alone: a file that has it was left by a process that was killed, and is
    /// removed.
    pub temporary: CString,
    /// The name it gets when it is complete.
    pub name: CString,
}
