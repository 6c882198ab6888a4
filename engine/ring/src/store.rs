//! Writing files: under a temporary name first, and seen under their own only when they are complete.
//!
//! Everything is done relative to an open directory, so no symbolic link on the way can lead elsewhere, and a temporary
//! file is made with `O_EXCL` and mode 0600. The functions here block; [`crate::FileRing`] decides where they run.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FallocateFlags, FileType, Mode, OFlags, RenameFlags, Stat, fallocate, fstat, ftruncate, linkat,
    openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::dir::Names;
use crate::dress::{Finish, Permissions, check_close, dress};
use crate::file::{DIRECT_ALIGN, DIRECT_FROM_BYTES};
use crate::pool::Lease;

/// What stands under the name of a file that is to be written, and is not replaced by it. The inner error of an
/// [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTheWay {
    /// A directory.
    Directory,
    /// A named pipe: whoever reads it would wait for ever.
    Pipe,
    /// A socket.
    Socket,
    /// A device node, or what the file system calls by another name.
    Device,
}

impl InTheWay {
    /// What a file of this type is; `None` for those that are replaced.
    fn of(kind: FileType) -> Option<Self> {
        match kind {
            FileType::RegularFile | FileType::Symlink => None,
            FileType::Directory => Some(Self::Directory),
            FileType::Fifo => Some(Self::Pipe),
            FileType::Socket => Some(Self::Socket),
            _ => Some(Self::Device),
        }
    }
}

impl fmt::Display for InTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Directory => "directory",
            Self::Pipe => "named pipe",
            Self::Socket => "socket",
            Self::Device => "device",
        };
        write!(f, "there is a {what} of that name, and only files and symbolic links are replaced")
    }
}

impl std::error::Error for InTheWay {}

impl From<InTheWay> for io::Error {
    fn from(there: InTheWay) -> Self {
        let kind = match there {
            InTheWay::Directory => io::ErrorKind::IsADirectory,
            InTheWay::Pipe | InTheWay::Socket | InTheWay::Device => io::ErrorKind::Unsupported,
        };
        Self::new(kind, there)
    }
}

/// What of a new file takes room on the disk from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The whole length is preallocated, so a full disk shows before the first byte.
    Reserved,
    /// What is written; the rest is a hole.
    AsWritten,
}

/// A file that is being written.
#[derive(Clone, Debug)]
pub struct NewFile {
    fd: Arc<OwnedFd>,
    /// The same file opened with `O_DIRECT`, when it is large and the file system offers it.
    direct: Option<Arc<OwnedFd>>,
    len: u64,
}

impl NewFile {
    /// Makes the file with `len` bytes.
    pub(crate) fn create(names: &Names, len: u64, room: Room) -> io::Result<Self> {
        let fd = open_new(names)?;
        let made = match room {
            Room::Reserved => reserve(&fd, len),
            Room::AsWritten => ftruncate(&fd, len).map_err(io::Error::from),
        };
        if let Err(error) = made {
            discard(names);
            return Err(error);
        }
        Ok(Self::with_direct(fd, names, len))
    }

    fn with_direct(fd: OwnedFd, names: &Names, len: u64) -> Self {
        let direct = (len >= DIRECT_FROM_BYTES)
            .then(|| {
                let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                openat(&names.dir, &names.temporary, flags, Mode::empty()).ok()
            })
            .flatten();
        Self { fd: Arc::new(fd), direct: direct.map(Arc::new), len }
    }

    /// Opens a file of `len` bytes that [`crate::FileRing::create`] has made and nobody completed. Blocks.
    ///
    /// # Errors
    /// The kernel's; `InvalidData` for what is there under the temporary name and was not made so.
    pub fn reopen(names: &Names, len: u64) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = openat(&names.dir, &names.temporary, flags, Mode::empty())?;
        let stat = fstat(&fd)?;
        // Around the page cache the last write goes up to the next multiple of the alignment.
        let room = len..=len.next_multiple_of(DIRECT_ALIGN);
        let is_ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_mode & 0o777 == 0o600
            && stat.st_uid == rustix::process::geteuid().as_raw()
            && stat.st_nlink == 1
            && room.contains(&(stat.st_size as u64));
        if !is_ours {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the unfinished file is not as it was left",
            ));
        }
        Ok(Self::with_direct(fd, names, len))
    }

    /// Makes an empty file that grows. Blocks.
    ///
    /// # Errors
    /// The kernel's; nothing is left behind.
    pub fn create_empty(names: &Names) -> io::Result<Self> {
        Self::create(names, 0, Room::AsWritten)
    }

    /// Writes `bytes` at `offset`. Blocks.
    ///
    /// # Errors
    /// The kernel's.
    pub fn append(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_all(self.fd.as_fd(), bytes, offset)
    }

    /// [`crate::FileRing::complete`] on the calling thread.
    ///
    /// # Errors
    /// The same.
    pub fn complete_now(&self, names: &Names, finish: &Finish) -> io::Result<()> {
        self.complete(names, finish)
    }

    /// [`crate::FileRing::discard`] on the calling thread.
    pub fn discard_now(&self, names: &Names) {
        discard(names);
    }

    /// Its inode, which tells it from every other file of its file system, whatever it is called.
    ///
    /// # Errors
    /// The kernel's.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(fstat(&self.fd)?.st_ino)
    }

    /// Bytes that were reserved for it.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads what was written before; for checksums that need the bytes in order.
    ///
    /// # Errors
    /// The kernel's; `UnexpectedEof` where the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match rustix::io::pread(&self.fd, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => filled += n,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The descriptor that takes `len` bytes at `offset` around the page cache, and the length rounded up to what it
    /// wants; `None` where only the page cache will do.
    pub(crate) fn direct_for(
        &self,
        offset: u64,
        len: usize,
        capacity: usize,
    ) -> Option<(Arc<OwnedFd>, usize)> {
        let direct = self.direct.as_ref()?;
        let rounded = len.next_multiple_of(DIRECT_ALIGN as usize);
        // What is beyond the end is cut off when the file is complete; in its middle every byte counts.
        let fits = offset.is_multiple_of(DIRECT_ALIGN)
            && rounded <= capacity
            && (rounded == len || offset + len as u64 == self.len);
        fits.then(|| (Arc::clone(direct), rounded))
    }

    /// Writes `lease` at `offset` through the page cache.
    pub(crate) fn write(&self, lease: &Lease, offset: u64) -> io::Result<()> {
        write_all(self.fd.as_fd(), lease, offset)
    }

    /// Gives the file its properties and its name.
    pub(crate) fn complete(&self, names: &Names, finish: &Finish) -> io::Result<()> {
        let done = (|| {
            if self.direct.is_some() && !self.len.is_multiple_of(DIRECT_ALIGN) {
                ftruncate(&self.fd, self.len)?;
            }
            if let Some(direct) = &self.direct {
                check_close(direct)?;
            }
            publish(&self.fd, names, finish)
        })();
        done.inspect_err(|_| discard(names))
    }
}

/// Writes a whole small file. Where the file system can, the file has no name at all until it is complete: that is one
/// change of the directory instead of three, a quarter of the whole cost on ext4, and nothing is left by a crash. Since
/// nobody else can open it, it has from the beginning the permissions that the directory gives.
pub(crate) fn store(names: &Names, parts: &[Lease], finish: &Finish) -> io::Result<()> {
    let mode = match finish.permissions {
        Permissions::Usual(_) => Mode::from_raw_mode(0o666),
        Permissions::Exact(_) => Mode::RUSR | Mode::WUSR,
    };
    match openat(&names.dir, c".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
        Ok(fd) => {
            write_parts(&fd, parts)?;
            check_close(&fd)?;
            dress(fd.as_fd(), names, finish, None, false)?;
            match link(&fd, names, &names.name) {
                Err(Errno::EXIST) if finish.replace => {
                    if let Some(there) = replaceable(names)? {
                        dress(fd.as_fd(), names, finish, Some(&there), false)?;
                    }
                    anew(names, || link(&fd, names, &names.temporary))?;
                    let renamed = renameat(&names.dir, &names.temporary, &names.dir, &names.name);
                    return Ok(renamed.inspect_err(|_| discard(names))?);
                }
                // Without /proc there is no way to name it; what was written is gone with its descriptor.
                Err(Errno::NOENT) => {}
                linked => return Ok(linked?),
            }
        }
        // Not every file system knows the flag; old kernels take it for an attempt to open a directory.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let fd = open_new(names)?;
    let done = write_parts(&fd, parts).and_then(|()| publish(&fd, names, finish));
    done.inspect_err(|_| discard(names))
}

fn write_parts(fd: &OwnedFd, parts: &[Lease]) -> io::Result<()> {
    let mut offset = 0;
    for part in parts.iter().filter(|part| !part.is_empty()) {
        write_all(fd.as_fd(), part, offset)?;
        offset += part.len() as u64;
    }
    Ok(())
}

/// Gives a file without a name one (`open(2)` on `O_TMPFILE`).
fn link(fd: &OwnedFd, names: &Names, name: &CStr) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    linkat(rustix::fs::CWD, path.as_str(), &names.dir, name, AtFlags::SYMLINK_FOLLOW)
}

/// What a write of `len` bytes costs compared with an ordinary operation: 64 KiB are copied in some 10 us.
pub(crate) fn units(len: usize) -> u32 {
    1 + (len >> 16) as u32
}

/// Removes a temporary file that will not be completed.
pub(crate) fn discard(names: &Names) {
    // Gone already, or not to be reached: either way there is nothing more to do.
    let _ = unlinkat(&names.dir, &names.temporary, AtFlags::empty());
}

fn open_new(names: &Names) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(anew(names, || openat(&names.dir, &names.temporary, flags, Mode::RUSR | Mode::WUSR))?)
}

/// Makes what has the temporary name, in place of what was left under it.
fn anew<T>(names: &Names, make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    match make() {
        Err(Errno::EXIST) => {
            discard(names);
            make()
        }
        made => made,
    }
}

/// Reserves the space, so that a full disk is known at once and blocks can be written in any order at no cost; where
/// the file system cannot, the length alone.
fn reserve(fd: &OwnedFd, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    match fallocate(fd, FallocateFlags::empty(), 0, len) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(ftruncate(fd, len)?),
        done => Ok(done?),
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Gives a file that has a temporary name its properties and its own name.
fn publish(fd: &OwnedFd, names: &Names, finish: &Finish) -> io::Result<()> {
    check_close(fd)?;
    // Before the file is given the permissions of a new one, which the one that is there may not have.
    let replaced = if finish.replace { replaceable(names)? } else { None };
    dress(fd.as_fd(), names, finish, replaced.as_ref(), true)?;
    let Names { dir, temporary, name } = names;
    if replaced.is_some() {
        return Ok(renameat(dir, temporary, dir, name)?);
    }
    match renameat_with(dir, temporary, dir, name, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) if finish.replace => {
            replaceable(names)?;
            Ok(renameat(dir, temporary, dir, name)?)
        }
        // Not every file system knows the flag; a second name for the file does the same in two steps.
        Err(Errno::INVAL | Errno::NOSYS) => {
            linkat(dir, temporary, dir, name, AtFlags::empty())?;
            Ok(unlinkat(dir, temporary, AtFlags::empty())?)
        }
        done => Ok(done?),
    }
}

/// The file that a rename over the name takes away, `None` for a symbolic link or nothing at all; anything else stays.
fn replaceable(names: &Names) -> io::Result<Option<Stat>> {
    match statat(&names.dir, &names.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => {
            let kind = FileType::from_raw_mode(stat.st_mode);
            match InTheWay::of(kind) {
                Some(there) => Err(there.into()),
                None => Ok((kind == FileType::RegularFile).then_some(stat)),
            }
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
