//! What a lane can do with a file, whatever carries it out.

use std::ffi::CStr;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::dir::{Names, SourceDir};
use crate::dress::Finish;
use crate::pool::Lease;
use crate::store::{NewFile, Room};

/// What `fstat(2)` says of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// Length in bytes.
    pub len: u64,
    /// Time of the last change of content, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Time of the last change of the inode, nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Device and inode: which file it is.
    pub identity: (u64, u64),
    /// A regular file. Others (pipes, devices) have no length to rely on.
    pub regular: bool,
}

/// An open regular file.
#[derive(Debug)]
pub struct OpenFile {
    fd: Arc<OwnedFd>,
    /// The same file opened with `O_DIRECT`, when its pages are not in the cache and it is large.
    direct: Option<Arc<OwnedFd>>,
    /// What the file was when it was opened.
    pub meta: FileMeta,
}

/// A file whose length is said to be 0 and that has content, as in `/proc` and on some FUSE file systems. The inner
/// error of an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasContent;

impl std::fmt::Display for HasContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the file system says that it is empty, and it is not: its length is not known")
    }
}

impl std::error::Error for HasContent {}

/// Whether a file that is said to be empty gives a byte when it is read.
fn has_content(fd: &OwnedFd) -> io::Result<bool> {
    loop {
        match rustix::io::pread(fd, &mut [0; 1][..], 0) {
            Ok(got) => return Ok(got > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Files from this size on are looked up in the page cache; what is not there is read around it. Below it
/// buffered reads cost less.
pub(crate) const DIRECT_FROM_BYTES: u64 = 64 << 20;
/// Offsets and lengths of direct reads are multiples of this; covers 512-byte and 4 KiB devices.
pub(crate) const DIRECT_ALIGN: u64 = 4096;

impl FileMeta {
    /// Whether this is the same file with the same content, as far as length and time of modification tell.
    pub fn same_content(&self, other: &Self) -> bool {
        (self.identity, self.len, self.mtime_ns) == (other.identity, other.len, other.mtime_ns)
    }
}

impl OpenFile {
    /// Takes a descriptor just opened.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let meta = fstat(&fd)?;
        if !meta.regular {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no longer a regular file"));
        }
        if meta.len == 0 && has_content(&fd)? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, HasContent));
        }
        let direct = (meta.len >= DIRECT_FROM_BYTES && mostly_uncached(&fd, meta.len))
            .then(|| reopen_direct(&fd))
            .flatten()
            .map(Arc::new);
        Ok(Self { fd: Arc::new(fd), direct, meta })
    }

    /// Whether large reads go around the page cache.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Asks the kernel again whether length and time of modification are what they were at opening. (The inode's
    /// own time also changes with permissions and links, which are not content.)
    ///
    /// # Errors
    /// What happened to the file, in words.
    pub fn check_unchanged(&self) -> io::Result<()> {
        let (before, now) = (&self.meta, fstat(&self.fd)?);
        if now.len < before.len {
            return Err(shrank());
        }
        if now.len > before.len {
            return Err(io::Error::other("the file grew while it was read"));
        }
        if now.mtime_ns != before.mtime_ns {
            return Err(io::Error::other("the file was modified while it was read"));
        }
        Ok(())
    }

    /// The descriptor for a read of `len` bytes at `offset`, and the length to ask the kernel for.
    pub(crate) fn descriptor_for(&self, offset: u64, len: usize, capacity: usize) -> (Arc<OwnedFd>, usize) {
        if let Some(direct) = &self.direct {
            let rounded = len.next_multiple_of(DIRECT_ALIGN as usize);
            if offset.is_multiple_of(DIRECT_ALIGN) && rounded <= capacity {
                return (Arc::clone(direct), rounded);
            }
        }
        (Arc::clone(&self.fd), len)
    }

    /// Takes the flag off with which it was opened: the ring would answer EAGAIN to a read that misses the cache
    /// instead of waiting for the disk.
    pub(crate) fn allow_waiting(&self) -> io::Result<()> {
        // SAFETY: changes the status flags of an open descriptor that is ours; access mode and creation flags stay.
        let rc = unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_SETFL, 0) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The ordinary descriptor, for what direct reads cannot do.
    pub(crate) fn buffered(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.fd)
    }
}

impl AsFd for OpenFile {
    /// The ordinary descriptor.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A small file read whole, or a larger one opened.
#[derive(Debug)]
pub enum Loaded {
    /// All of the file's bytes are in the lease. The file is closed.
    Whole(Lease, FileMeta),
    /// Larger than the lease: nothing was read. The lease comes back for other use.
    Larger(Lease, OpenFile),
}

/// Reads and writes files for one lane. Implementations are bound to the thread that made them.
///
/// All futures must be awaited to the end (see the crate's invariants).
pub trait FileRing: 'static {
    /// Opens `name` inside `dir`, not following a symbolic link in its last part unless the directory says so.
    fn open(&self, dir: &SourceDir, name: &CStr) -> impl Future<Output = io::Result<OpenFile>>;

    /// Opens a file and, if it fits into `lease`, reads it whole.
    ///
    /// # Errors
    /// The kernel's; [`OpenFile::check_unchanged`]'s when the file shrank, grew or was rewritten while it was read.
    fn load(&self, dir: &SourceDir, name: &CStr, lease: Lease) -> impl Future<Output = io::Result<Loaded>>;

    /// Fills `lease` with `len` bytes from `offset`.
    ///
    /// # Errors
    /// The kernel's; `UnexpectedEof` when the file ends before `len` bytes.
    fn read_at(
        &self,
        file: &OpenFile,
        lease: Lease,
        offset: u64,
        len: usize,
    ) -> impl Future<Output = io::Result<Lease>>;

    /// Writes a small file whole, under its temporary name, and gives it its own.
    ///
    /// # Errors
    /// The kernel's; `AlreadyExists` when there is a file of that name and `finish` says not to replace it;
    /// [`InTheWay`](crate::InTheWay) when there is something else. Nothing is left behind.
    fn store(
        &self,
        names: Names,
        parts: Arc<Vec<Lease>>,
        finish: Finish,
    ) -> impl Future<Output = io::Result<()>>;

    /// Makes a file of `len` zero bytes under its temporary name.
    ///
    /// # Errors
    /// The kernel's; nothing is left behind.
    fn create(&self, names: Names, len: u64, room: Room) -> impl Future<Output = io::Result<NewFile>>;

    /// Writes `lease` at `offset`; ranges may be written in any order and at the same time.
    ///
    /// # Errors
    /// The kernel's.
    fn write_at(&self, file: &NewFile, lease: Lease, offset: u64) -> impl Future<Output = io::Result<Lease>>;

    /// Gives a file that is complete its properties and its name.
    ///
    /// # Errors
    /// As [`FileRing::store`].
    fn complete(&self, file: &NewFile, names: Names, finish: Finish) -> impl Future<Output = io::Result<()>>;

    /// Removes the temporary file of one that will not be completed.
    fn discard(&self, names: Names) -> impl Future<Output = ()>;
}

/// The error of a file that ends before it should.
pub(crate) fn shrank() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read")
}

fn fstat(fd: &OwnedFd) -> io::Result<FileMeta> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `fd` is open for the length of the call and `stat` is large enough for the answer.
    let rc = unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fstat succeeded, so it has filled the structure.
    let stat = unsafe { stat.assume_init() };
    let ns = |s: i64, n: i64| i128::from(s) * 1_000_000_000 + i128::from(n);
    Ok(FileMeta {
        len: stat.st_size as u64,
        mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
        ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
        identity: (stat.st_dev, stat.st_ino),
        regular: stat.st_mode & libc::S_IFMT == libc::S_IFREG,
    })
}

/// Looks at nine places of the file: are most of them absent from the page cache?
fn mostly_uncached(fd: &OwnedFd, len: u64) -> bool {
    const PROBES: u64 = 9;
    let absent = (0..PROBES)
        .filter(|i| {
            let mut byte = 0u8;
            let iov = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
            let offset = len / PROBES * i;
            // SAFETY: the iovec names one byte that lives across the call. RWF_NOWAIT only looks at the cache.
            let got =
                unsafe { libc::preadv2(fd.as_raw_fd(), &raw const iov, 1, offset as i64, libc::RWF_NOWAIT) };
            got < 0 && io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
        })
        .count();
    absent as u64 * 2 > PROBES
}

/// The same file through `/proc`, with `O_DIRECT`; `None` where the file system does not offer it.
fn reopen_direct(fd: &OwnedFd) -> Option<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT | libc::O_CLOEXEC)
        .open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .ok()
        .map(OwnedFd::from)
}

/// What can be done with a small file without waiting for a disk.
pub(crate) enum Cached {
    /// It was read whole.
    Whole(FileMeta),
    /// It is larger than the lease; nothing was read.
    Larger(OpenFile),
    /// Its path (no file) or its content (the file) is not in the kernel's caches.
    Cold(Option<OpenFile>),
}

/// Opens and reads a file as far as the kernel's caches allow: on a warm cache a few system calls of
/// 0.2 us each, against 2 us for a trip through a ring and 17 us through another thread.
pub(crate) fn load_cached(dir: &SourceDir, name: &CStr, lease: &mut Lease) -> io::Result<Cached> {
    let Some(file) = open_cached(dir, name)? else { return Ok(Cached::Cold(None)) };
    let len = file.meta.len;
    if len > lease.capacity() as u64 {
        return Ok(Cached::Larger(file));
    }
    lease.set_len(len as usize);
    if len > 0 {
        if !read_cached(&file, lease, 0, len as usize)? {
            return Ok(Cached::Cold(Some(file)));
        }
        file.check_unchanged()?;
    }
    Ok(Cached::Whole(file.meta))
}

/// Opens a file whose path is in the kernel's cache; `None` where it is not, or where the kernel cannot
/// tell (before Linux 5.12).
pub(crate) fn open_cached(dir: &SourceDir, name: &CStr) -> io::Result<Option<OpenFile>> {
    const RESOLVE_CACHED: u64 = 0x20;
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    let how = OpenHow { flags: dir.open_flags() as u64, mode: 0, resolve: RESOLVE_CACHED };
    // SAFETY: `dir`, `name` and `how` live across the call, and the size is that of `how`.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, dir.raw(), name.as_ptr(), &raw const how, size_of::<OpenHow>())
    };
    if fd >= 0 {
        // SAFETY: openat2 has just made this descriptor for us.
        return OpenFile::new(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }).map(Some);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOSYS | libc::EINVAL | libc::EPERM) => Ok(None),
        _ => Err(error),
    }
}

/// Reads `len` bytes at `offset` from the page cache; `false` where they are not all there.
pub(crate) fn read_cached(file: &OpenFile, lease: &mut Lease, offset: u64, len: usize) -> io::Result<bool> {
    let space = &mut lease.space_mut()[..len];
    let iov = libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: len };
    // SAFETY: the iovec names a live, exclusively borrowed buffer of `len` bytes.
    let got =
        unsafe { libc::preadv2(file.fd.as_raw_fd(), &raw const iov, 1, offset as i64, libc::RWF_NOWAIT) };
    // Whatever else it says, the read that may wait has the last word: errors, the end of the file, and the 0 that
    // Linux 5.9 and 5.10 answer for what is not in the cache.
    Ok(got == len as isize)
}

/// `pread(2)` into the lease, beginning at `filled`.
pub(crate) fn pread(
    fd: BorrowedFd<'_>,
    lease: &mut Lease,
    filled: usize,
    len: usize,
    offset: u64,
) -> io::Result<usize> {
    let space = &mut lease.space_mut()[filled..filled + len];
    loop {
        // SAFETY: `space` is a live, exclusively borrowed buffer of `len` bytes.
        let got =
            unsafe { libc::pread(fd.as_raw_fd(), space.as_mut_ptr().cast(), space.len(), offset as i64) };
        if got >= 0 {
            return Ok(got as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
