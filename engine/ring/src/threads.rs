//! Files through blocking threads: for kernels and containers where io_uring is missing or forbidden.
//!
//! What is in the kernel's caches is taken at once, on the lane's own thread. Otherwise a small file is opened, read
//! and closed in one job of one thread, so it costs one hand-over each way.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use crate::dir::{Names, SourceDir};
use crate::dress::Finish;
use crate::file::{Cached, FileRing, Loaded, OpenFile, load_cached, open_cached, pread, read_cached, shrank};
use crate::pool::Lease;
use crate::store::{self, NewFile, Room};
use crate::workers::{Blocking, Workers};

/// [`FileRing`] on blocking threads, which end when the last clone is dropped.
#[derive(Clone)]
pub struct ThreadFiles {
    workers: Workers,
    blocking: Blocking,
}

impl ThreadFiles {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses to start a thread.
    pub fn start() -> io::Result<Self> {
        let workers = Workers::start()?;
        Ok(Self { blocking: Blocking::with(workers.clone()), workers })
    }
}

fn openat(dir: &SourceDir, name: &CStr) -> io::Result<OpenFile> {
    // SAFETY: `name` is a C string and `dir` an open descriptor, both alive across the call.
    let fd = unsafe { libc::openat(dir.raw(), name.as_ptr(), dir.open_flags()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: openat has just made this descriptor for us.
    OpenFile::new(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn read_full(fd: &Arc<OwnedFd>, lease: &mut Lease, offset: u64, len: usize) -> io::Result<()> {
    let mut filled = 0;
    while filled < len {
        match pread(fd.as_fd(), lease, filled, len - filled, offset + filled as u64)? {
            0 => return Err(shrank()),
            n => filled += n,
        }
    }
    lease.set_len(len);
    Ok(())
}

impl FileRing for ThreadFiles {
    async fn open(&self, dir: &SourceDir, name: &CStr) -> io::Result<OpenFile> {
        if let Some(file) = open_cached(dir, name)? {
            return Ok(file);
        }
        let (dir, name) = (dir.clone(), CString::from(name));
        self.workers.run(move || openat(&dir, &name)).await
    }

    async fn load(&self, dir: &SourceDir, name: &CStr, mut lease: Lease) -> io::Result<Loaded> {
        let opened = match load_cached(dir, name, &mut lease)? {
            Cached::Whole(meta) => return Ok(Loaded::Whole(lease, meta)),
            Cached::Larger(file) => return Ok(Loaded::Larger(lease, file)),
            Cached::Cold(opened) => opened,
        };
        let (dir, name) = (dir.clone(), CString::from(name));
        self.workers
            .run(move || {
                let file = opened.map_or_else(|| openat(&dir, &name), Ok)?;
                let len = file.meta.len;
                if len > lease.capacity() as u64 {
                    return Ok(Loaded::Larger(lease, file));
                }
                read_full(&file.buffered(), &mut lease, 0, len as usize)?;
                if len > 0 {
                    file.check_unchanged()?;
                }
                Ok(Loaded::Whole(lease, file.meta))
            })
            .await
    }

    async fn read_at(&self, file: &OpenFile, mut lease: Lease, offset: u64, len: usize) -> io::Result<Lease> {
        if read_cached(file, &mut lease, offset, len)? {
            lease.set_len(len);
            return Ok(lease);
        }
        let fd = file.buffered();
        self.workers
            .run(move || {
                read_full(&fd, &mut lease, offset, len)?;
                Ok(lease)
            })
            .await
    }

    async fn store(&self, names: Names, parts: Arc<Vec<Lease>>, finish: Finish) -> io::Result<()> {
        self.blocking.run(1, move || store::store(&names, &parts, &finish)).await
    }

    async fn create(&self, names: Names, len: u64, room: Room) -> io::Result<NewFile> {
        self.blocking.run(1, move || NewFile::create(&names, len, room)).await
    }

    async fn write_at(&self, file: &NewFile, lease: Lease, offset: u64) -> io::Result<Lease> {
        let file = file.clone();
        let units = store::units(lease.len());
        self.blocking.run(units, move || file.write(&lease, offset).map(|()| lease)).await
    }

    async fn complete(&self, file: &NewFile, names: Names, finish: Finish) -> io::Result<()> {
        let file = file.clone();
        self.blocking.run(1, move || file.complete(&names, &finish)).await
    }

    async fn discard(&self, names: Names) {
        self.blocking.run(1, move || store::discard(&names)).await;
    }
}
