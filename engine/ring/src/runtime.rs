//! Which way files are read on this machine, and the runtime a lane's thread runs in.

use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::sync::Mutex;

use crate::descriptors::room_for_a_runtime;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoChoice {
    /// io_uring where the kernel allows it, threads otherwise.
    #[default]
    Auto,
    /// Threads, always.
    Threads,
}

/// How files are read and written, after the kernel was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoPath {
    /// io_uring works here.
    Uring,
    /// Blocking threads, and why.
    Threads {
        /// One sentence for the user.
        reason: String,
    },
}

/// Submission entries of a lane's ring. A lane has at most a few hundred file operations in flight; more
/// than this many only means an earlier submission.
const RING_ENTRIES: u32 = 256;
/// Kernel workers for operations that would block (opens and reads that miss the cache). The default is four
/// per CPU, which halves the rate of cold opens on small machines.
const RING_WORKERS: u32 = 64;

/// Tries whether this process may use io_uring with the operations the engine needs.
pub fn probe(choice: IoChoice) -> IoPath {
    if choice == IoChoice::Threads {
        return IoPath::Threads { reason: "threads were asked for".to_owned() };
    }
    match try_ring() {
        Ok(()) => IoPath::Uring,
        Err(error) => IoPath::Threads { reason: explain(&error) },
    }
}

fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is forbidden here (a container's seccomp profile, or kernel.io_uring_disabled)"
                .to_owned()
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring".to_owned(),
        Some(libc::ENOMEM) => "io_uring is out of locked memory (raise RLIMIT_MEMLOCK)".to_owned(),
        _ => format!("io_uring does not work here: {error}"),
    }
}

fn try_ring() -> io::Result<()> {
    let ring = io_uring::IoUring::new(8)?;
    let mut known = io_uring::Probe::new();
    ring.submitter().register_probe(&mut known)?;
    let needed = [io_uring::opcode::OpenAt::CODE, io_uring::opcode::Read::CODE];
    if needed.iter().all(|&code| known.is_supported(code)) {
        Ok(())
    } else {
        Err(io::Error::other("this kernel's io_uring is older than Linux 5.6"))
    }
}

/// The runtime of a lane's thread: a tokio current-thread runtime with a local task set, and with
/// [`IoPath::Uring`] a ring.
pub struct LaneRuntime(Kind);

enum Kind {
    Uring(tokio_uring::Runtime),
    Plain(tokio::runtime::Runtime),
}

impl LaneRuntime {
    /// Makes the runtime on the thread that will use it.
    ///
    /// # Errors
    /// When the runtime or the ring cannot be made: descriptors or locked memory are used up.
    pub fn new(path: &IoPath) -> io::Result<Self> {
        room_for_a_runtime()?;
        Ok(Self(match path {
            IoPath::Uring => Kind::Uring(make_uring()?),
            IoPath::Threads { .. } => {
                Kind::Plain(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
            }
        }))
    }

    /// Whether [`crate::UringFiles`] works inside.
    pub fn has_ring(&self) -> bool {
        matches!(self.0, Kind::Uring(_))
    }

    /// Runs `lane` to its end.
    pub fn block_on<F: Future>(self, lane: F) -> F::Output {
        match self.0 {
            Kind::Uring(runtime) => runtime.block_on(lane),
            Kind::Plain(runtime) => tokio::task::LocalSet::new().block_on(&runtime, lane),
        }
    }
}

/// Rings are made one after the other, so that the one new descriptor is known to be ours.
static MAKING: Mutex<()> = Mutex::new(());

fn make_uring() -> io::Result<tokio_uring::Runtime> {
    let _one_at_a_time = MAKING.lock().expect("no panic happens while a ring is made");
    let before = ring_descriptors();
    let build = |flags: &io_uring::Builder| {
        let mut builder = tokio_uring::builder();
        builder.entries(RING_ENTRIES).uring_builder(flags);
        tokio_uring::Runtime::new(&builder)
    };
    // DEFER_TASKRUN would hang under a reactor, SQPOLL costs a core. Kernels before 6.0 refuse these two.
    let mut flags = tokio_uring::uring_builder();
    flags.setup_single_issuer().setup_coop_taskrun();
    let runtime = match build(&flags) {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => build(&tokio_uring::uring_builder()),
        made => made,
    }?;
    for fd in ring_descriptors().into_iter().filter(|fd| !before.contains(fd)) {
        raise_workers(fd);
    }
    Ok(runtime)
}

/// Descriptors of this process that are rings. tokio-uring does not tell its own.
fn ring_descriptors() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path())
                .is_ok_and(|target| target.as_os_str().as_encoded_bytes().ends_with(b"[io_uring]"))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// `IORING_REGISTER_IOWQ_MAX_WORKERS`; a kernel that refuses keeps its default, which is only slower.
fn raise_workers(fd: RawFd) {
    const IORING_REGISTER_IOWQ_MAX_WORKERS: libc::c_uint = 19;
    let mut workers = [RING_WORKERS, 0];
    // SAFETY: the kernel reads and writes the two numbers, which live across the call.
    unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            fd,
            IORING_REGISTER_IOWQ_MAX_WORKERS,
            workers.as_mut_ptr(),
            2,
        );
    }
}

#[cfg(test)]
mod tests;
