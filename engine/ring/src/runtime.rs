//! Which way files are read on this machine, and the runtime a lane's thread runs in.

use std::future::Future;
use std::io;
use std::os::fd::RawFd;
use std::sync::Mutex;

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoChoice {
    /// io_uring where the kernel allows it, threads otherwise.
    #[default]
    Auto,
    /// Threads, always.
    Threads,
}

/// What is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoPath {
    /// io_uring.
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
mod tests {
    use super::*;
    use crate::{FileRing, Loaded, Pool, SlotClass, SourceDir, ThreadFiles, UringFiles};
    use std::ffi::CString;

    fn paths() -> Vec<IoPath> {
        let threads = IoPath::Threads { reason: String::new() };
        match probe(IoChoice::Auto) {
            IoPath::Uring => vec![IoPath::Uring, threads],
            IoPath::Threads { reason } => {
                eprintln!("only the fallback is tested: {reason}");
                vec![threads]
            }
        }
    }

    /// Runs the same checks on every way to read files that this machine has.
    fn on_each<Fut: Future<Output = ()>>(
        uring: impl Fn(UringFiles) -> Fut,
        threads: impl Fn(ThreadFiles) -> Fut,
    ) {
        for path in paths() {
            match path {
                IoPath::Uring => LaneRuntime::new(&path).unwrap().block_on(uring(UringFiles)),
                IoPath::Threads { .. } => {
                    let runtime = LaneRuntime::new(&path).unwrap();
                    runtime.block_on(async { threads(ThreadFiles::start().unwrap()).await });
                }
            }
        }
    }

    macro_rules! on_each_ring {
        ($check:ident) => {
            on_each(
                |ring| Box::pin($check(ring)) as std::pin::Pin<Box<dyn Future<Output = ()>>>,
                |ring| Box::pin($check(ring)),
            )
        };
    }

    #[test]
    fn small_files_come_whole_and_large_ones_come_open() {
        async fn check(ring: impl FileRing) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("empty"), b"").unwrap();
            std::fs::write(dir.path().join("small"), b"seven b").unwrap();
            std::fs::write(dir.path().join("full"), vec![7u8; 64 << 10]).unwrap();
            let big: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
            std::fs::write(dir.path().join("big"), &big).unwrap();
            let root = SourceDir::open(dir.path()).unwrap();
            let pool = Pool::new(4 << 20);
            let slot = || pool.acquire_one(SlotClass::Small);
            for (name, want) in [("empty", &b""[..]), ("small", b"seven b"), ("full", &[7u8; 64 << 10])] {
                let name = CString::new(name).unwrap();
                match ring.load(&root, &name, slot().await.unwrap()).await.unwrap() {
                    Loaded::Whole(lease, meta) => {
                        assert_eq!(meta.len, want.len() as u64);
                        assert_eq!(&lease[..], want);
                    }
                    Loaded::Larger(..) => panic!("{name:?} fits a slot"),
                }
            }
            let Loaded::Larger(_, file) = ring.load(&root, c"big", slot().await.unwrap()).await.unwrap()
            else {
                panic!("300,000 bytes do not fit a small slot");
            };
            let block = pool.acquire_one(SlotClass::Block).await.unwrap();
            let block = ring.read_at(&file, block, 1000, 200_000).await.unwrap();
            assert_eq!(&block[..], &big[1000..201_000]);
            let block = pool.acquire_one(SlotClass::Block).await.unwrap();
            let short = ring.read_at(&file, block, 299_000, 2000).await.unwrap_err();
            assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        }
        on_each_ring!(check);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        async fn check(ring: impl FileRing) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("sub")).unwrap();
            std::os::unix::fs::symlink("sub", dir.path().join("link")).unwrap();
            let root = SourceDir::open(dir.path()).unwrap();
            let missing = ring.open(&root, c"missing").await.unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
            let link = ring.open(&root, c"link").await.unwrap_err();
            assert_eq!(link.raw_os_error(), Some(libc::ELOOP));
            let sub = ring.open(&root, c"sub").await.unwrap_err();
            assert_eq!(sub.to_string(), "no longer a regular file");
        }
        on_each_ring!(check);
    }

    #[test]
    fn a_large_uncached_file_reads_the_same_around_the_cache() {
        async fn check(ring: impl FileRing) {
            use std::io::Write;
            // On the disk that holds the build: a tmpfs has no O_DIRECT and would test nothing.
            let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            let path = dir.path().join("big");
            let len = (64 << 20) + 4097u64;
            let byte_of = |i: u64| (i % 251) as u8;
            let mut file = std::fs::File::create(&path).unwrap();
            for i in 0..257 {
                let want = (len - (i << 18)).min(1 << 18) as usize;
                file.write_all(&vec![byte_of(i); want]).unwrap();
            }
            file.sync_all().unwrap();
            // SAFETY: advice on an open descriptor; it only drops clean pages.
            unsafe {
                use std::os::fd::AsRawFd;
                libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED);
            }
            let root = SourceDir::open(dir.path()).unwrap();
            let open = ring.open(&root, c"big").await.unwrap();
            eprintln!("around the cache: {}", open.is_direct());
            let pool = Pool::new(4 << 20);
            for i in [0, 1, 140, 255, 256] {
                let want = (len - (i << 18)).min(1 << 18) as usize;
                let lease = pool.acquire_one(SlotClass::Block).await.unwrap();
                let lease = ring.read_at(&open, lease, i << 18, want).await.unwrap();
                assert_eq!(lease.len(), want);
                assert!(lease.iter().all(|&b| b == byte_of(i)), "block {i} holds its own bytes");
            }
        }
        on_each_ring!(check);
    }
}
