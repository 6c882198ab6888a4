//! Opening and reading one directory.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::LocalError;
use crate::listing::{Budget, Charge, Kind, Listing, Names};
use crate::spill::Runs;
use crate::walk::SegmentMatcher;

/// Buffer of getdents64. Between 32 KiB and 2 MiB the size makes no measurable difference.
const GETDENTS_BYTES: usize = 64 << 10;
/// How often, in entries, the budget and the stop flag are looked at.
const CHECK_EVERY: usize = 1_024;
/// A directory may always hold this much, whatever the budget says: smaller runs would need too many buffers
/// to merge.
const MIN_RUN_BYTES: usize = 1 << 20;
/// What is read back from the runs at a time.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// The longest path given to one system call (`PATH_MAX` is 4,096 with the terminating zero).
const MAX_PATH: usize = 4_000;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What all readers of a walk share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The root as given, for messages.
    pub(crate) root: PathBuf,
    pub(crate) root_fd: OwnedFd,
    pub(crate) matchers: Matchers,
    pub(crate) budget: Arc<Budget>,
    /// A directory with more names than this, in bytes, is sorted on disk.
    pub(crate) run_bytes: usize,
    /// Set when nobody wants the rest.
    pub(crate) stop: AtomicBool,
    #[cfg(test)]
    pub(crate) hook: Hook,
}

#[cfg(test)]
type HookFn = dyn Fn(&[u8]) + Send + Sync;

/// Called with a directory's path just before it is opened.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Hook(pub(crate) Option<Arc<HookFn>>);

#[cfg(test)]
impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

/// One matcher per path segment, from the root.
#[derive(Clone, Default)]
pub(crate) struct Matchers(pub(crate) Vec<SegmentMatcher>);

impl std::fmt::Debug for Matchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matchers({})", self.0.len())
    }
}

impl Matchers {
    fn takes(&self, depth: usize, name: &[u8]) -> bool {
        self.0.get(depth).is_none_or(|matches| matches(name))
    }

    /// Whether a path that ends at `depth` is too short to match.
    pub(crate) fn is_above_last(&self, depth: usize) -> bool {
        depth + 1 < self.0.len()
    }
}

impl Shared {
    fn full_path(&self, relative: &[u8]) -> PathBuf {
        if relative.is_empty() { self.root.clone() } else { self.root.join(OsStr::from_bytes(relative)) }
    }

    fn error(&self, relative: &[u8], operation: &'static str, errno: Errno) -> LocalError {
        LocalError::new(self.full_path(relative), operation, errno)
    }

    fn spill_error(&self, relative: &[u8], error: &io::Error) -> LocalError {
        let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
        LocalError::Spill { path: self.full_path(relative), errno }
    }

    /// The error for a spilled directory that cannot be read back.
    pub(crate) fn merge_error(&self, directory: &[u8], error: &io::Error) -> LocalError {
        self.spill_error(directory.strip_suffix(b"/").unwrap_or(directory), error)
    }
}

/// Reads directories, one after the other, with one buffer.
#[derive(Debug)]
pub(crate) struct Reader {
    buffer: Vec<MaybeUninit<u8>>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![MaybeUninit::uninit(); GETDENTS_BYTES] }
    }

    /// Reads and sorts the directory at `relative` (empty: the root), `depth` levels below the root.
    pub(crate) fn read(
        &mut self,
        shared: &Shared,
        relative: &[u8],
        depth: usize,
    ) -> Result<Listing, LocalError> {
        #[cfg(test)]
        if let Some(hook) = &shared.hook.0 {
            hook(relative);
        }
        let directory = open_below(shared.root_fd.as_fd(), relative)
            .map_err(|errno| shared.error(relative, "open", errno))?;
        let mut charge = Charge::new(&shared.budget);
        let mut names = Names::default();
        let mut problems = Vec::new();
        let mut runs: Option<Runs> = None;
        let mut seen = 0_usize;
        let mut entries = RawDir::new(&directory, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::INTR) => continue,
                // The kernel says NOENT for a directory that was removed while it was read: it is empty now.
                Err(Errno::NOENT) => break,
                Err(errno) => {
                    problems.push(shared.error(relative, "reading the directory", errno));
                    break;
                }
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            seen += 1;
            if !shared.matchers.takes(depth, name) {
                continue;
            }
            match kind_of(directory.as_fd(), entry.file_name(), entry.file_type()) {
                // A file where the pattern wants a directory.
                Ok(Some(Kind::File)) if shared.matchers.is_above_last(depth) => {}
                Ok(Some(kind)) => names.push(name, kind),
                Ok(None) => {}
                Err(errno) => {
                    let mut path = relative.to_vec();
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                    problems.push(shared.error(&path, "stat", errno));
                }
            }
            if seen.is_multiple_of(CHECK_EVERY) {
                if shared.stop.load(Ordering::Relaxed) {
                    break;
                }
                let size = names.size_bytes();
                let fits = charge.set(size);
                if size > shared.run_bytes || (!fits && size > MIN_RUN_BYTES.min(shared.run_bytes)) {
                    spill(&mut runs, &mut names).map_err(|error| shared.spill_error(relative, &error))?;
                }
            }
        }
        let tail = match runs {
            None => {
                names.sort();
                names.shrink();
                None
            }
            some => {
                let mut runs = some;
                let merge = spill(&mut runs, &mut names)
                    .and_then(|()| runs.map(Runs::merge).transpose())
                    .map_err(|error| shared.spill_error(relative, &error))?;
                // The first chunk comes when it is asked for: a directory read ahead holds little.
                names = Names::default();
                merge
            }
        };
        charge.set(names.size_bytes());
        Ok(Listing { names, tail, problems, is_empty: seen == 0, charge })
    }
}

fn spill(runs: &mut Option<Runs>, names: &mut Names) -> io::Result<()> {
    if names.len() == 0 {
        return Ok(());
    }
    let runs = match runs {
        Some(runs) => runs,
        none => none.insert(Runs::new()?),
    };
    names.sort();
    runs.push(names)?;
    names.clear();
    Ok(())
}

/// The kind of an entry; `None` if it vanished before the file system could say (only some need to be asked).
fn kind_of(
    directory: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    file_type: FileType,
) -> Result<Option<Kind>, Errno> {
    if let Some(kind) = known_kind(file_type) {
        return Ok(Some(kind));
    }
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => match known_kind(FileType::from_raw_mode(stat.st_mode)) {
            Some(kind) => Ok(Some(kind)),
            None => Err(Errno::NOTSUP),
        },
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn known_kind(file_type: FileType) -> Option<Kind> {
    Some(match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Socket => Kind::Socket,
        FileType::Fifo => Kind::Fifo,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::Unknown => return None,
    })
}

/// Opens the directory at `relative` below `root` without following any symbolic link.
///
/// A path longer than the kernel takes is walked in pieces, so that depth costs no descriptors.
fn open_below(root: BorrowedFd<'_>, relative: &[u8]) -> Result<OwnedFd, Errno> {
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
        above = Some(open_path(parent, &rest[..cut], OFlags::PATH | DIRECTORY)?);
        rest = &rest[cut + 1..];
    }
    let parent = above.as_ref().map_or(root, |fd| fd.as_fd());
    open_path(parent, rest, flags)
}

fn open_path(parent: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
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

    fn root(dir: &tempfile::TempDir) -> OwnedFd {
        rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn no_link_is_followed_with_or_without_openat2() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("real/sub")).unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        let root = root(&dir);
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

    #[test]
    fn unknown_types_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("f"), b"").unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
        let root = root(&dir);
        let kind = |name| kind_of(root.as_fd(), name, FileType::Unknown);
        assert_eq!(kind(c"d"), Ok(Some(Kind::Directory)));
        assert_eq!(kind(c"f"), Ok(Some(Kind::File)));
        assert_eq!(kind(c"l"), Ok(Some(Kind::Symlink)));
        assert_eq!(kind(c"gone"), Ok(None));
        assert_eq!(kind(c"f/x"), Err(Errno::NOTDIR));
        // A known type is believed without a system call.
        assert_eq!(kind_of(root.as_fd(), c"gone", FileType::RegularFile), Ok(Some(Kind::File)));
    }
}
