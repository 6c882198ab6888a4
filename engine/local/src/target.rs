//! The destination of a download: directories that are made when they are needed, and never through a symbolic link.
//!
//! The root is what the user named, and links in its path are followed. Below it every directory is opened from the one
//! above it by a single name with `O_NOFOLLOW`. A [`LocalName`] has no `..`, so nothing can lead out of the root,
//! whoever puts links into the tree while the job runs. (`openat2` with `RESOLVE_BENEATH` would open several levels at
//! once; since the directories above are nearly always known, it would save nothing.)

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use azuring_plan::download::LocalName;
use azuring_plan::posix::PosixProperties;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::LocalError;
use crate::known::Known;
use crate::open::DIRECTORY;
use crate::posix::{set_posix, set_posix_of_link};

/// Most directories that a [`TargetTree`] holds open unless told otherwise, each a descriptor. A job counts them among
/// those it needs: 1,024 is also the usual soft limit of a process.
pub const KNOWN_DIRECTORIES: usize = 1_024;

/// Of so many descriptors for directories one watches a file system below the root, and so many do at most. Of what is
/// written to further ones it is not known whether it is on the disk.
const DIRECTORIES_A_WATCH: usize = 64;
const WATCHES_BELOW: usize = 16;

/// A name in the target, looked up without following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetFacts {
    /// File, directory, link or special file.
    pub kind: TargetKind,
    /// Length in bytes; of a link its text's.
    pub len_bytes: u64,
    /// Last change of the content, ns since 1970.
    pub mtime_ns: i128,
}

/// What stands in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A socket, pipe or device.
    Other,
}

/// A directory that a job writes into. Shared by all lanes.
#[derive(Debug)]
pub struct TargetTree {
    root: Arc<OwnedFd>,
    root_path: PathBuf,
    known: Known,
    /// One directory of each file system that is written to, the root first.
    watches: RwLock<Vec<Watch>>,
    /// How many there may be.
    watches_most: usize,
}

/// A file system that is written to.
#[derive(Debug)]
struct Watch {
    device: u64,
    path: PathBuf,
    /// A directory of it, opened before anything is written: the file system tells it of every error of writing back
    /// since then, whoever else was told (`errseq_t` in Linux). `None`: it may not be read, or there are too many file
    /// systems.
    directory: Option<Arc<OwnedFd>>,
}

impl Watch {
    fn of(directory: &OwnedFd, path: PathBuf, device: u64, is_one_too_many: bool) -> Self {
        // Not O_PATH: nothing can be asked of that.
        let open = || rustix::fs::openat(directory, c".", OFlags::RDONLY | DIRECTORY, Mode::empty()).ok();
        Self { device, path, directory: if is_one_too_many { None } else { open().map(Arc::new) } }
    }
}

impl TargetTree {
    /// Opens the directory `path`; makes it, and what is missing above it.
    ///
    /// # Errors
    ///
    /// [`LocalError`]: it cannot be made or opened, or is not a directory.
    pub fn open(path: &Path) -> Result<Self, LocalError> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if let Err(error) = std::fs::create_dir_all(path) {
            // What is there but no directory: opening it says so.
            if error.kind() != io::ErrorKind::AlreadyExists {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                return Err(write_error(path.to_owned(), "making the directory", errno));
            }
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|errno| write_error(path.to_owned(), "open", errno))?;
        let device =
            rustix::fs::fstat(&root).map_err(|errno| write_error(path.to_owned(), "stat", errno))?.st_dev;
        let watches = vec![Watch::of(&root, path.to_owned(), device, false)].into();
        let (root, root_path) = (Arc::new(root), path.to_owned());
        let this = Self { root, root_path, known: Known::new(1), watches, watches_most: 1 };
        Ok(this.holding(KNOWN_DIRECTORIES))
    }

    /// Holds at most `directories` open (at least one, beside the root, which is held twice), where descriptors are
    /// scarce.
    #[must_use]
    pub fn holding(mut self, directories: usize) -> Self {
        let below = (directories / DIRECTORIES_A_WATCH).min(WATCHES_BELOW);
        self.watches_most = 1 + below;
        self.known = Known::new(directories - below);
        self
    }

    /// Waits until the file systems that were written to, the root's and those that are mounted below it, have written
    /// everything back that was written before. `false`: one of them cannot be asked, since its directory may not be
    /// read. Blocks.
    ///
    /// # Errors
    ///
    /// [`LocalError`]: something that was written since the last success, or since the job began, was not written back.
    pub fn sync(&self) -> Result<bool, LocalError> {
        let (mut all, mut failed, mut at) = (true, None, 0);
        // Each is asked whatever another has said, without holding up whoever finds one more.
        while let Some((asked, path)) = self.put_question(at) {
            match asked {
                Ok(is_known) => all &= is_known,
                Err(errno) => _ = failed.get_or_insert_with(|| write_error(path, "writing back", errno)),
            }
            at += 1;
        }
        failed.map_or(Ok(all), Err)
    }

    /// Asks the file system with this number; `None`: there is none.
    fn put_question(&self, at: usize) -> Option<(Result<bool, Errno>, PathBuf)> {
        let (directory, path) = {
            let watches = self.watches.read().unwrap_or_else(PoisonError::into_inner);
            let watch = watches.get(at)?;
            (watch.directory.clone(), watch.path.clone())
        };
        let Some(directory) = directory else { return Some((Ok(false), path)) };
        let asked = match rustix::fs::syncfs(&directory) {
            Ok(()) => Ok(true),
            // Not an answer of the file system: it cannot be asked, or a sandbox forbids it.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno),
        };
        Some((asked, path))
    }

    /// Watches the file system of a directory that was opened, if it is another than those before.
    fn watch(&self, directory: &OwnedFd, path: &[u8]) {
        // What cannot be looked at cannot be written to either: whoever tries says so.
        let Ok(stat) = rustix::fs::fstat(directory) else { return };
        let is_known = |watches: &[Watch]| watches.iter().any(|watch| watch.device == stat.st_dev);
        if is_known(&self.watches.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut watches = self.watches.write().unwrap_or_else(PoisonError::into_inner);
        if !is_known(&watches) {
            let is_one_too_many = watches.len() >= self.watches_most;
            watches.push(Watch::of(directory, self.full_path(path), stat.st_dev, is_one_too_many));
        }
    }

    /// Whether `name` cannot be made because the user may not make anything in the root, nor in a directory that is
    /// there already. A directory below it that may not be written concerns its own files alone.
    #[must_use]
    pub fn is_root_denied(&self, name: &LocalName) -> bool {
        let top = name.as_bytes().split(|&b| b == b'/').next().unwrap_or_default();
        let is_in_root = name.parent().is_empty()
            || rustix::fs::statat(&self.root, top, AtFlags::SYMLINK_NOFOLLOW).err() == Some(Errno::NOENT);
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        let is_denied =
            |name: &CStr| rustix::fs::accessat(&self.root, name, access, AtFlags::EACCESS).is_err();
        is_in_root && is_denied(c".") && self.directories_in_root(is_denied)
    }

    /// Whether all directories in the root are so; what cannot be read has none.
    fn directories_in_root(&self, is_so: impl Fn(&CStr) -> bool) -> bool {
        let opened = rustix::fs::openat(&self.root, c".", OFlags::RDONLY | DIRECTORY, Mode::empty());
        let Ok(entries) = opened.and_then(Dir::new) else { return true };
        entries.flatten().all(|entry| {
            let name = entry.file_name();
            let is_other =
                matches!(name.to_bytes(), b"." | b"..") || !self.is_directory(name, entry.file_type());
            is_other || is_so(name)
        })
    }

    /// Whether this name in the root is a directory's; its kind as the listing of the root tells it, if it does.
    fn is_directory(&self, name: &CStr, told: FileType) -> bool {
        let stat = || rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW);
        match told {
            FileType::Unknown => stat().is_ok_and(|it| FileType::from_raw_mode(it.st_mode).is_dir()),
            told => told.is_dir(),
        }
    }

    /// The root as it was given.
    #[must_use]
    pub fn root_path(&self) -> &Path {
        &self.root_path
    }

    /// The path of a name, for messages.
    #[must_use]
    pub fn path_of(&self, name: &LocalName) -> PathBuf {
        self.full_path(name.as_bytes())
    }

    /// The directory that holds `name`, opened with `O_PATH`; made, with all above it, where it is missing.
    ///
    /// # Errors
    ///
    /// [`LocalError::FileInTheWay`] and [`LocalError::LinkInTheWay`] where a name on the way is no directory; anything
    /// the file system answers.
    pub fn dir_of(&self, name: &LocalName) -> Result<Arc<OwnedFd>, LocalError> {
        self.made(name.parent())
    }

    /// The directory `name` itself, made where it is missing.
    ///
    /// # Errors
    ///
    /// As [`TargetTree::dir_of`].
    pub fn make_dir(&self, name: &LocalName) -> Result<Arc<OwnedFd>, LocalError> {
        self.made(name.as_bytes())
    }

    /// Puts a directory in the place of `name`, an empty file; what is anything else stays as it is. The caller knows
    /// that the file is its own.
    ///
    /// # Errors
    ///
    /// As [`TargetTree::dir_of`].
    pub fn make_dir_of_empty_file(&self, name: &LocalName) -> Result<(), LocalError> {
        let directory = self.dir_of(name)?;
        let fail = |errno| self.error(name.as_bytes(), "making the directory", errno);
        match rustix::fs::statat(&directory, name.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_size == 0 => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(fail(errno)),
        }
        rustix::fs::unlinkat(&directory, name.file_name(), AtFlags::empty()).map_err(fail)?;
        match rustix::fs::mkdirat(&directory, name.file_name(), Mode::RWXU | Mode::RWXG | Mode::RWXO) {
            // Another lane was faster.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(fail(errno)),
        }
    }

    /// What stands at `name`, `None` for nothing. Makes nothing, follows no link.
    ///
    /// # Errors
    ///
    /// As [`TargetTree::dir_of`].
    pub fn stat(&self, name: &LocalName) -> Result<Option<TargetFacts>, LocalError> {
        let Some(directory) = self.enter(name.parent(), false)? else { return Ok(None) };
        let stat = match rustix::fs::statat(&directory, name.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.error(name.as_bytes(), "stat", errno)),
        };
        Ok(Some(TargetFacts {
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => TargetKind::File,
                FileType::Directory => TargetKind::Directory,
                FileType::Symlink => TargetKind::Symlink,
                _ => TargetKind::Other,
            },
            len_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        }))
    }

    /// Makes `name` a symbolic link with the text `text`, with the owner and times of `properties`. With `replace` it
    /// takes the place of a file or link in one step, by way of `temporary`, a name of its own in the same directory.
    ///
    /// # Errors
    ///
    /// [`LocalError::Exists`] without `replace`; [`LocalError::DirectoryInTheWay`]; as [`TargetTree::dir_of`].
    pub fn make_symlink(
        &self,
        name: &LocalName,
        text: &[u8],
        properties: &PosixProperties,
        replace: bool,
        temporary: &CStr,
    ) -> Result<(), LocalError> {
        let directory = self.dir_of(name)?;
        let fail = |errno| match errno {
            Errno::EXIST => LocalError::Exists { path: self.path_of(name) },
            Errno::ISDIR => LocalError::DirectoryInTheWay { path: self.path_of(name) },
            errno => self.error(name.as_bytes(), "making the symbolic link", errno),
        };
        if !replace {
            rustix::fs::symlinkat(text, &directory, name.file_name()).map_err(fail)?;
            return set_posix_of_link(directory.as_fd(), name.file_name(), properties).map_err(fail);
        }
        // A link of that name was left by a process that was killed: the name is the caller's alone.
        let _ = rustix::fs::unlinkat(&directory, temporary, AtFlags::empty());
        rustix::fs::symlinkat(text, &directory, temporary).map_err(fail)?;
        let done = set_posix_of_link(directory.as_fd(), temporary.to_bytes(), properties)
            .and_then(|()| rustix::fs::renameat(&directory, temporary, &directory, name.file_name()));
        done.map_err(|errno| {
            // What cannot be removed is left for the user; the first error says why.
            let _ = rustix::fs::unlinkat(&directory, temporary, AtFlags::empty());
            fail(errno)
        })
    }

    /// Gives the directory `name`, which exists, its owner, permissions and times. To be called after everything in it
    /// was made, which changes its times.
    ///
    /// # Errors
    ///
    /// As [`TargetTree::dir_of`]; [`LocalError::Missing`].
    pub fn finish_dir(&self, name: &LocalName, properties: &PosixProperties) -> Result<(), LocalError> {
        let parent = self.dir_of(name)?;
        // Not O_PATH: that could not be changed.
        let flags = OFlags::RDONLY | DIRECTORY;
        let directory = rustix::fs::openat(&parent, name.file_name(), flags, Mode::empty())
            .map_err(|errno| self.not_entered(parent.as_fd(), name.as_bytes(), errno))?;
        set_posix(&directory, properties).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            self.error(name.as_bytes(), "setting the properties", errno)
        })
    }

    fn made(&self, path: &[u8]) -> Result<Arc<OwnedFd>, LocalError> {
        let missing = || self.error(path, "making the directory", Errno::NOENT);
        self.enter(path, true)?.ok_or_else(missing)
    }

    /// Goes down to `path` from the nearest directory above it that is known. `None`: it is missing, and was not to be
    /// made.
    fn enter(&self, path: &[u8], make: bool) -> Result<Option<Arc<OwnedFd>>, LocalError> {
        let mut end = path.len();
        let mut at = loop {
            if end == 0 {
                break Arc::clone(&self.root);
            }
            if let Some(directory) = self.known.get(&path[..end]) {
                break directory;
            }
            end = path[..end].iter().rposition(|&b| b == b'/').unwrap_or(0);
        };
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            end = path[start..].iter().position(|&b| b == b'/').map_or(path.len(), |len| start + len);
            let Some(next) = self.step(at.as_fd(), &path[..end], &path[start..end], make)? else {
                return Ok(None);
            };
            self.watch(&next, &path[..end]);
            at = self.known.put(&path[..end], Arc::new(next));
        }
        Ok(Some(at))
    }

    /// Opens the directory `segment` in `parent`; its whole path is `path`.
    fn step(
        &self,
        parent: BorrowedFd<'_>,
        path: &[u8],
        segment: &[u8],
        make: bool,
    ) -> Result<Option<OwnedFd>, LocalError> {
        let open = || rustix::fs::openat(parent, segment, OFlags::PATH | DIRECTORY, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) if !make => return Ok(None),
            // The process's umask takes away what the user does not give.
            Err(Errno::NOENT) => {
                match rustix::fs::mkdirat(parent, segment, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                    // Another lane was faster.
                    Ok(()) | Err(Errno::EXIST) => open(),
                    Err(errno) => return Err(self.error(path, "making the directory", errno)),
                }
            }
            opened => opened,
        };
        opened.map(Some).map_err(|errno| self.not_entered(parent, path, errno))
    }

    /// Why the directory at `path`, whose parent is open, could not be opened.
    fn not_entered(&self, parent: BorrowedFd<'_>, path: &[u8], errno: Errno) -> LocalError {
        if !matches!(errno, Errno::NOTDIR | Errno::LOOP) {
            return self.error(path, "open", errno);
        }
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        let path = self.full_path(path);
        match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Symlink) => LocalError::LinkInTheWay { path },
            _ => LocalError::FileInTheWay { path },
        }
    }

    fn error(&self, path: &[u8], operation: &'static str, errno: Errno) -> LocalError {
        write_error(self.full_path(path), operation, errno)
    }

    fn full_path(&self, relative: &[u8]) -> PathBuf {
        if relative.is_empty() {
            self.root_path.clone()
        } else {
            self.root_path.join(OsStr::from_bytes(relative))
        }
    }
}

/// What is refused here is refused for writing.
fn write_error(path: PathBuf, operation: &'static str, errno: Errno) -> LocalError {
    match errno {
        Errno::ACCESS | Errno::PERM => LocalError::WriteDenied { path },
        errno => LocalError::new(path, operation, errno),
    }
}

#[cfg(test)]
mod tests;
