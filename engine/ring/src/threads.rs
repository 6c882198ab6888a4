//! Files through blocking threads: for kernels and containers where io_uring is missing or forbidden.
//!
//! What is in the kernel's caches is taken at once, on the lane's own thread. Otherwise a small file is opened, read and closed in one job of one thread, so it costs one hand-over each way.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use crossbeam::channel::{Sender, bounded};
use tokio::sync::oneshot;

use crate::file::{
    Cached, FileRing, Loaded, OPEN_FLAGS, OpenFile, SourceDir, load_cached, open_cached, pread, read_cached,
    shrank,
};
use crate::pool::Lease;

type Job = Box<dyn FnOnce() + Send>;

/// Threads per lane. Reads that miss the page cache sleep in the kernel, so several are needed to keep a
/// disk busy; on a warm cache two are enough.
const THREADS: usize = 8;
/// Jobs that may wait for a thread; a lane has fewer file tasks than this, so a send does not block.
const WAITING_JOBS: usize = 4096;

/// [`FileRing`] on blocking threads, which end when the last clone is dropped.
#[derive(Clone)]
pub struct ThreadFiles {
    jobs: Sender<Job>,
}

impl ThreadFiles {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses to start a thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, work) = bounded::<Job>(WAITING_JOBS);
        for n in 0..THREADS {
            let work = work.clone();
            std::thread::Builder::new().name(format!("files-{n}")).spawn(move || {
                for job in work {
                    job();
                }
            })?;
        }
        Ok(Self { jobs })
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, wait) = oneshot::channel();
        self.jobs
            .send(Box::new(move || drop(answer.send(job()))))
            .expect("the threads live as long as this handle");
        wait.await.expect("a job answers: it does not panic")
    }
}

fn openat(dir: &SourceDir, name: &CStr) -> io::Result<OpenFile> {
    // SAFETY: `name` is a C string and `dir` an open descriptor, both alive across the call.
    let fd = unsafe { libc::openat(dir.raw(), name.as_ptr(), OPEN_FLAGS) };
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
        self.run(move || openat(&dir, &name)).await
    }

    async fn load(&self, dir: &SourceDir, name: &CStr, mut lease: Lease) -> io::Result<Loaded> {
        let opened = match load_cached(dir, name, &mut lease)? {
            Cached::Whole(meta) => return Ok(Loaded::Whole(lease, meta)),
            Cached::Larger(file) => return Ok(Loaded::Larger(lease, file)),
            Cached::Cold(opened) => opened,
        };
        let (dir, name) = (dir.clone(), CString::from(name));
        self.run(move || {
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
        self.run(move || {
            read_full(&fd, &mut lease, offset, len)?;
            Ok(lease)
        })
        .await
    }
}
