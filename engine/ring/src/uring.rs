//! Files through io_uring: our own operations on tokio-uring's ring.
//!
//! tokio-uring's `File` is not used: its `statx` is always handed to a kernel worker (2 to 7 us), its fixed buffers are
//! not `Send` and cannot become a request's body. `UnsubmittedOneshot` takes any submission entry, so OPENAT and READ
//! go to memory of our own pool. They are used for what is not in the kernel's caches; what is there is taken at once
//! (`openat2` with RESOLVE_CACHED, `preadv2` with RWF_NOWAIT). `fstat(2)` and `close(2)` are plain system calls: on a
//! local descriptor they cost 0.3 us, less than a trip through the ring.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use io_uring::{cqueue, opcode, squeue, types};
use tokio_uring::{OneshotOutputTransform, UnsubmittedOneshot};

use crate::dir::{Names, SourceDir};
use crate::dress::Finish;
use crate::file::{Cached, FileRing, Loaded, OpenFile, load_cached, open_cached, read_cached, shrank};
use crate::pool::Lease;
use crate::store::{self, NewFile, Room};
use crate::workers::Blocking;

/// [`FileRing`] on the io_uring of the runtime it is used in. Use it inside [`crate::LaneRuntime`] only.
#[derive(Clone, Default)]
pub struct UringFiles {
    blocking: Blocking,
}

/// Hands the stored data back together with the result of the operation.
struct KeepData<D>(std::marker::PhantomData<D>);

impl<D: 'static> OneshotOutputTransform for KeepData<D> {
    type Output = (io::Result<u32>, D);
    type StoredData = D;

    fn transform_oneshot_output(self, data: D, cqe: cqueue::Entry) -> Self::Output {
        let result = match cqe.result() {
            n if n >= 0 => Ok(n as u32),
            errno => Err(io::Error::from_raw_os_error(-errno)),
        };
        (result, data)
    }
}

/// Submits `entry` and waits for it; `data` is what the kernel works on and lives until it has answered.
async fn submit<D: Unpin + 'static>(entry: squeue::Entry, data: D) -> (io::Result<u32>, D) {
    UnsubmittedOneshot::new(data, KeepData(std::marker::PhantomData), entry).submit().await
}

async fn openat(dir: &SourceDir, name: &CStr) -> io::Result<OwnedFd> {
    let name = CString::from(name);
    let entry = opcode::OpenAt::new(types::Fd(dir.raw()), name.as_ptr()).flags(dir.open_flags()).build();
    // The heap bytes of a CString stay where they are when it moves into the operation.
    let (fd, _) = submit(entry, (name, dir.clone())).await;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Reads until `len` bytes are there or the file ends; returns how many.
async fn read_full(file: &OpenFile, mut lease: Lease, offset: u64, len: usize) -> io::Result<(Lease, usize)> {
    file.allow_waiting()?;
    let mut filled = 0;
    let mut go_direct = true;
    while filled < len {
        let (fd, ask) = if go_direct {
            file.descriptor_for(offset + filled as u64, len - filled, lease.capacity() - filled)
        } else {
            (file.buffered(), len - filled)
        };
        // SAFETY: `filled` is at most the slot's capacity, so the address stays inside the slot.
        let target = unsafe { lease.as_mut_ptr().add(filled) };
        let entry = opcode::Read::new(types::Fd(fd.as_raw_fd()), target, ask as u32)
            .offset(offset + filled as u64)
            .build();
        let (got, (back, _fd)) = submit(entry, (lease, Arc::clone(&fd))).await;
        lease = back;
        match got {
            Ok(0) => break,
            Ok(n) => filled = (filled + n as usize).min(len),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // The file system promised O_DIRECT at open and takes it back for this range.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput && go_direct && file.is_direct() => {
                go_direct = false;
            }
            Err(e) => return Err(e),
        }
    }
    lease.set_len(filled);
    Ok((lease, filled))
}

impl FileRing for UringFiles {
    async fn open(&self, dir: &SourceDir, name: &CStr) -> io::Result<OpenFile> {
        match open_cached(dir, name)? {
            Some(file) => Ok(file),
            None => OpenFile::new(openat(dir, name).await?),
        }
    }

    async fn load(&self, dir: &SourceDir, name: &CStr, mut lease: Lease) -> io::Result<Loaded> {
        let file = match load_cached(dir, name, &mut lease)? {
            Cached::Whole(meta) => return Ok(Loaded::Whole(lease, meta)),
            Cached::Larger(file) => return Ok(Loaded::Larger(lease, file)),
            Cached::Cold(Some(file)) => file,
            Cached::Cold(None) => OpenFile::new(openat(dir, name).await?)?,
        };
        let len = file.meta.len;
        if len > lease.capacity() as u64 {
            return Ok(Loaded::Larger(lease, file));
        }
        if len == 0 {
            lease.set_len(0);
            return Ok(Loaded::Whole(lease, file.meta));
        }
        let (lease, got) = read_full(&file, lease, 0, len as usize).await?;
        if got < len as usize {
            return Err(shrank());
        }
        file.check_unchanged()?;
        Ok(Loaded::Whole(lease, file.meta))
    }

    async fn read_at(&self, file: &OpenFile, mut lease: Lease, offset: u64, len: usize) -> io::Result<Lease> {
        if !file.is_direct() && read_cached(file, &mut lease, offset, len)? {
            lease.set_len(len);
            return Ok(lease);
        }
        let (lease, got) = read_full(file, lease, offset, len).await?;
        if got < len {
            return Err(shrank());
        }
        Ok(lease)
    }

    async fn store(&self, names: Names, parts: Arc<Vec<Lease>>, finish: Finish) -> io::Result<()> {
        self.blocking.run(1, move || store::store(&names, &parts, &finish)).await
    }

    async fn create(&self, names: Names, len: u64, room: Room) -> io::Result<NewFile> {
        self.blocking.run(1, move || NewFile::create(&names, len, room)).await
    }

    async fn write_at(&self, file: &NewFile, mut lease: Lease, offset: u64) -> io::Result<Lease> {
        let len = lease.len();
        if let Some((fd, rounded)) = file.direct_for(offset, len, lease.capacity()) {
            // The bytes beyond the end reach the disk for a moment: they are nobody's.
            lease.space_mut()[len..rounded].fill(0);
            match write_direct(fd, lease, offset, rounded).await {
                (Ok(()), lease) => return Ok(lease),
                // The file system promised O_DIRECT at open and takes it back for this range.
                (Err(error), back) if error.kind() == io::ErrorKind::InvalidInput => lease = back,
                (Err(error), _) => return Err(error),
            }
        }
        let file = file.clone();
        self.blocking.run(store::units(len), move || file.write(&lease, offset).map(|()| lease)).await
    }

    async fn complete(&self, file: &NewFile, names: Names, finish: Finish) -> io::Result<()> {
        let file = file.clone();
        self.blocking.run(1, move || file.complete(&names, &finish)).await
    }

    async fn discard(&self, names: Names) {
        self.blocking.run(1, move || store::discard(&names)).await;
    }
}

/// Writes the first `len` bytes of the slot.
async fn write_direct(
    fd: Arc<OwnedFd>,
    mut lease: Lease,
    offset: u64,
    len: usize,
) -> (io::Result<()>, Lease) {
    let mut done = 0;
    while done < len {
        // SAFETY: `done` is less than `len`, which is at most the slot's capacity: the range stays inside the slot.
        let source = unsafe { lease.as_mut_ptr().add(done) };
        let entry = opcode::Write::new(types::Fd(fd.as_raw_fd()), source, (len - done) as u32)
            .offset(offset + done as u64)
            .build();
        let (wrote, (back, _fd)) = submit(entry, (lease, Arc::clone(&fd))).await;
        lease = back;
        match wrote {
            Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), lease),
            Ok(n) => done += n as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), lease),
        }
    }
    (Ok(()), lease)
}
