//! Opening directories below a root, whatever others put in the way.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// The longest path given to one system call (`PATH_MAX` is 4,096 with the terminating zero).
pub(crate) const MAX_PATH: usize = 4_000;

/// A directory itself, not what a link of its name leads to.
pub(crate) const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory at `relative` below `root` for reading; without following any symbolic link, unless
/// `follow` says so.
///
/// A path longer than the kernel takes is walked in pieces, so that depth costs no descriptors.
pub(crate) fn open_below(root: BorrowedFd<'_>, relative: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
    let open = if follow { open_following } else { open_path };
    let flags = OFlags::RDONLY | DIRECTORY;
    if relative.is_empty() {
        return rustix::fs::openat(root, c".", flags, Mode::empty());
    }
    let mut rest = relative;
    let mut above: Option<OwnedFd> = None;
    while rest.len() > MAX_PATH {
        // A name has at most 255 bytes, so there is a separator.
        let cut = rest[..MAX_PATH].iter().rposition(|&b| b == b'/').ok_or(Errno::NAMETOOLONG)?;
        let parent = above.as_ref().map_or(root, |fd| fd.as_fd());
        above = Some(open(parent, &rest[..cut], OFlags::PATH | DIRECTORY)?);
        rest = &rest[cut + 1..];
    }
    let parent = above.as_ref().map_or(root, |fd| fd.as_fd());
    open(parent, rest, flags)
}

fn open_following(parent: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, path, flags.difference(OFlags::NOFOLLOW), Mode::empty())
}

/// Opens `path` (not empty, at most [`MAX_PATH`] bytes) without following any symbolic link in it. Flags must have
/// [`DIRECTORY`].
pub(crate) fn open_path(parent: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat2(parent, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Kernels before 5.6, and sandboxes that do not know the call (Docker's older profiles answer EPERM).
        Err(Errno::NOSYS | Errno::PERM) => open_by_component(parent, path, flags),
        answer => answer,
    }
}

/// The same without openat2: one open per component.
fn open_by_component(parent: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut above: Option<OwnedFd> = None;
    let (directories, last) = match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (Some(&path[..at]), &path[at + 1..]),
        None => (None, path),
    };
    for component in directories.into_iter().flat_map(|d| d.split(|&b| b == b'/')) {
        let parent = above.as_ref().map_or(parent, |fd| fd.as_fd());
        above = Some(rustix::fs::openat(parent, component, OFlags::PATH | DIRECTORY, Mode::empty())?);
    }
    let parent = above.as_ref().map_or(parent, |fd| fd.as_fd());
    rustix::fs::openat(parent, last, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_is_followed_with_or_without_openat2() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("real/sub")).unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        let root = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for open in [open_path, open_by_component] {
            let flags = OFlags::RDONLY | DIRECTORY;
            assert!(open(root.as_fd(), b"real/sub", flags).is_ok());
            assert!(open(root.as_fd(), b"real", flags).is_ok());
            for (path, errnos) in [
                (&b"link"[..], [Errno::LOOP, Errno::NOTDIR]),
                (b"link/sub", [Errno::LOOP, Errno::NOTDIR]),
                (b"file", [Errno::NOTDIR; 2]),
                (b"gone/sub", [Errno::NOENT; 2]),
            ] {
                assert!(errnos.contains(&open(root.as_fd(), path, flags).unwrap_err()));
            }
        }
    }
}
