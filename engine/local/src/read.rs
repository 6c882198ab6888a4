//! Opening and reading one directory.

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, RawDir};
use rustix::io::Errno;

use crate::chain::{Chain, Identity};
use crate::found::SymlinkMode;
use crate::listing::{Budget, Charge, Kind, Listing, Names};
use crate::matching::{Matchers, Pruner};
use crate::open::open_below;
use crate::spill::{MERGE_BYTES, Runs};
use crate::{LocalError, RelPath};

/// Buffer of getdents64. Between 32 KiB and 2 MiB the size makes no measurable difference.
const GETDENTS_BYTES: usize = 64 << 10;
/// How often, in entries, the budget and the stop flag are looked at.
const CHECK_EVERY: usize = 1_024;
/// A directory may always hold this much, whatever the budget says: smaller runs would need too many buffers
/// to merge.
const MIN_RUN_BYTES: usize = 1 << 20;
/// What is read back from the runs at a time.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// What all readers of a walk share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The root as given, for messages.
    pub(crate) root: PathBuf,
    pub(crate) root_fd: OwnedFd,
    pub(crate) matchers: Matchers,
    pub(crate) pruner: Pruner,
    pub(crate) symlinks: SymlinkMode,
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

/// Which directory is to be read.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Its path from the root; empty for the root.
    pub(crate) relative: &'a [u8],
    /// How many levels below the root.
    pub(crate) depth: usize,
    /// The directories above it, where links are followed.
    pub(crate) above: Option<Arc<Chain>>,
}

/// Attempts at what needs a descriptor that there is not, and the time between two.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);

impl Shared {
    /// Waits while the process, or the machine, is out of descriptors: others close theirs.
    fn patiently<T>(&self, mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
        let mut tries = 0;
        loop {
            match attempt() {
                Err(Errno::MFILE | Errno::NFILE) if tries < TRIES && !self.stop.load(Ordering::Relaxed) => {
                    tries += 1;
                }
                done => return done,
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn full_path(&self, relative: &[u8]) -> PathBuf {
        if relative.is_empty() { self.root.clone() } else { self.root.join(OsStr::from_bytes(relative)) }
    }

    fn error(&self, relative: &[u8], operation: &'static str, errno: Errno) -> LocalError {
        let path = self.full_path(relative);
        if errno == Errno::LOOP && self.symlinks == SymlinkMode::Follow {
            // The path goes through more links than the kernel follows (40).
            return LocalError::Io { path, operation, errno: errno.raw_os_error() };
        }
        LocalError::new(path, operation, errno)
    }

    fn spill_error(&self, relative: &[u8], error: &io::Error) -> LocalError {
        let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
        LocalError::Spill { path: self.full_path(relative), errno }
    }

    /// The error for a link at `relative` that leads nowhere.
    pub(crate) fn dangling(&self, relative: &RelPath) -> LocalError {
        LocalError::DanglingLink { path: self.full_path(relative.as_bytes()) }
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

    /// Reads and sorts a directory.
    pub(crate) fn read(&mut self, shared: &Shared, place: Place<'_>) -> Result<Listing, LocalError> {
        let Place { relative, depth, above } = place;
        #[cfg(test)]
        if let Some(hook) = &shared.hook.0 {
            hook(relative);
        }
        let follow = shared.symlinks == SymlinkMode::Follow;
        let directory = shared
            .patiently(|| open_below(shared.root_fd.as_fd(), relative, follow))
            .map_err(|errno| shared.error(relative, "open", errno))?;
        let mut listing = Listing {
            names: Names::default(),
            tail: None,
            problems: Vec::new(),
            is_empty: true,
            is_loop: false,
            pruned: 0,
            chain: None,
            charge: Charge::new(&shared.budget),
        };
        if follow {
            let identity = identity(&directory).map_err(|errno| shared.error(relative, "stat", errno))?;
            listing.is_loop = above.as_ref().is_some_and(|above| above.contains(identity));
            if listing.is_loop {
                return Ok(listing);
            }
            listing.chain = Some(Chain::new(identity, above));
        }
        self.read_names(shared, &directory, relative, depth, &mut listing)?;
        Ok(listing)
    }

    fn read_names(
        &mut self,
        shared: &Shared,
        directory: &OwnedFd,
        relative: &[u8],
        depth: usize,
        listing: &mut Listing,
    ) -> Result<(), LocalError> {
        let Listing { names, charge, .. } = listing;
        // The path of the entry looked at.
        let mut path = relative.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let prefix = path.len();
        let mut runs: Option<Runs> = None;
        let mut seen = 0_usize;
        let mut entries = RawDir::new(directory, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::INTR) => continue,
                // The kernel says NOENT for a directory that was removed while it was read: it is empty now.
                Err(Errno::NOENT) => break,
                Err(errno) => {
                    listing.problems.push(shared.error(relative, "reading the directory", errno));
                    break;
                }
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            seen += 1;
            if !shared.matchers.takes(depth, relative, name) {
                continue;
            }
            let at = |path: &mut Vec<u8>| {
                path.truncate(prefix);
                path.extend_from_slice(name);
            };
            let kind =
                kind_of(directory.as_fd(), entry.file_name(), entry.file_type()).and_then(
                    |kind| match kind {
                        Some(Kind::Symlink) if shared.symlinks == SymlinkMode::Follow => {
                            followed(directory.as_fd(), entry.file_name(), listing.chain.as_deref()).map(Some)
                        }
                        kind => Ok(kind),
                    },
                );
            match kind {
                // A file where the pattern wants a directory.
                Ok(Some(Kind::File)) if shared.matchers.is_above_last(depth) => {}
                Ok(Some(Kind::Directory)) if shared.pruner.0.is_some() => {
                    at(&mut path);
                    if shared.pruner.0.as_ref().is_some_and(|prunes| prunes(&path)) {
                        listing.pruned += 1;
                    } else {
                        names.push(name, Kind::Directory);
                    }
                }
                Ok(Some(kind)) => names.push(name, kind),
                Ok(None) => {}
                Err(errno) => {
                    at(&mut path);
                    listing.problems.push(shared.error(&path, "stat", errno));
                }
            }
            if seen.is_multiple_of(CHECK_EVERY) {
                if shared.stop.load(Ordering::Relaxed) {
                    break;
                }
                let size = names.size_bytes();
                let fits = charge.set(size);
                if size > shared.run_bytes || (!fits && size > MIN_RUN_BYTES.min(shared.run_bytes)) {
                    spill(shared, &mut runs, names).map_err(|error| shared.spill_error(relative, &error))?;
                }
            }
        }
        listing.is_empty = seen == 0;
        match runs {
            None => {
                names.sort();
                names.shrink();
            }
            mut runs => {
                let buffers = shared.run_bytes.min(MERGE_BYTES);
                listing.tail = spill(shared, &mut runs, names)
                    .and_then(|()| runs.map(|runs| runs.merge(buffers)).transpose())
                    .map_err(|error| shared.spill_error(relative, &error))?;
                // The first chunk comes when it is asked for: a directory read ahead holds little.
                *names = Names::default();
            }
        }
        // What is read back goes through buffers.
        charge.set(names.size_bytes() + listing.tail.as_ref().map_or(0, |tail| tail.bytes));
        Ok(())
    }
}

fn spill(shared: &Shared, runs: &mut Option<Runs>, names: &mut Names) -> io::Result<()> {
    if names.len() == 0 {
        return Ok(());
    }
    let runs = match runs {
        Some(runs) => runs,
        none => {
            let new = || Runs::new().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
            none.insert(shared.patiently(new)?)
        }
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

fn identity(directory: &OwnedFd) -> Result<Identity, Errno> {
    rustix::fs::fstat(directory).map(|stat| (stat.st_dev, stat.st_ino))
}

/// What the link `name` leads to. A link that leads to itself, or to one of the directories it is in, stays a link.
fn followed(directory: BorrowedFd<'_>, name: &std::ffi::CStr, chain: Option<&Chain>) -> Result<Kind, Errno> {
    let stat = match rustix::fs::statat(directory, name, AtFlags::empty()) {
        Ok(stat) => stat,
        Err(Errno::LOOP) => return Ok(Kind::Symlink),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Kind::Dangling),
        Err(errno) => return Err(errno),
    };
    let kind = known_kind(FileType::from_raw_mode(stat.st_mode)).ok_or(Errno::NOTSUP)?;
    let is_loop =
        kind == Kind::Directory && chain.is_some_and(|chain| chain.contains((stat.st_dev, stat.st_ino)));
    Ok(if is_loop { Kind::Symlink } else { kind })
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

#[cfg(test)]
mod tests {
    use super::*;

    use rustix::fs::{Mode, OFlags};

    fn root(dir: &tempfile::TempDir) -> OwnedFd {
        rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
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
