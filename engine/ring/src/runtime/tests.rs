//! The same checks on every way to read and write files that this machine has.

use super::*;
use crate::{
    FileRing, Finish, InTheWay, Loaded, Names, Permissions, Pool, Room, SlotClass, SourceDir, ThreadFiles,
    UringFiles,
};
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

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
            IoPath::Uring => LaneRuntime::new(&path).unwrap().block_on(uring(UringFiles::default())),
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
        let Loaded::Larger(_, file) = ring.load(&root, c"big", slot().await.unwrap()).await.unwrap() else {
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

#[test]
fn a_file_appears_under_its_name_only_when_it_is_complete() {
    async fn check(ring: impl FileRing) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| Names {
            dir: SourceDir::open(dir.path()).unwrap(),
            temporary: CString::new(format!(".tmp-{name}")).unwrap(),
            name: CString::new(name).unwrap(),
        };
        let pool = Pool::new(4 << 20);
        let lease = |bytes: &'static [u8]| {
            let pool = pool.clone();
            async move {
                let mut lease = pool.acquire_one(SlotClass::Small).await.unwrap();
                lease.space_mut()[..bytes.len()].copy_from_slice(bytes);
                lease.set_len(bytes.len());
                lease
            }
        };
        let times = (1_000_000_001_i128, 1_700_000_000_123_456_789_i128);
        let finish = Finish {
            permissions: Permissions::Exact(0o640),
            owner: None,
            times_ns: Some(times),
            replace: false,
        };
        let parts = vec![lease(b"hello ").await, lease(b"world").await];
        ring.store(at("small"), Arc::new(parts), finish).await.unwrap();
        let path = dir.path().join("small");
        assert_eq!(std::fs::read(&path).unwrap(), b"hello world");
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o640);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_700_000_000, 123_456_789));
        // What is there stays, unless it is to be replaced; an empty file is a file.
        let taken = ring.store(at("small"), Arc::new(vec![lease(b"x").await]), finish).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"hello world");
        ring.store(at("small"), Arc::default(), Finish { replace: true, ..finish }).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");

        // Ranges in any order; the name last.
        let file = ring.create(at("ranges"), 11, Room::Reserved).await.unwrap();
        let temporary = dir.path().join(".tmp-ranges");
        let made = std::fs::metadata(&temporary).unwrap();
        assert_eq!((made.len(), made.mode() & 0o777), (11, 0o600));
        ring.write_at(&file, lease(b"world").await, 6).await.unwrap();
        ring.write_at(&file, lease(b"hello ").await, 0).await.unwrap();
        let mut back = [0; 5];
        file.read_exact_at(&mut back, 6).unwrap();
        assert_eq!(&back, b"world");
        assert!(!dir.path().join("ranges").exists());
        ring.complete(&file, at("ranges"), finish).await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("ranges")).unwrap(), b"hello world");

        let file = ring.create(at("given up"), 5, Room::Reserved).await.unwrap();
        ring.discard(at("given up")).await;
        drop(file);
        // A link under the temporary name is not followed but replaced.
        std::fs::write(dir.path().join("elsewhere"), "else").unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join(".tmp-link")).unwrap();
        let file = ring.create(at("link"), 5, Room::Reserved).await.unwrap();
        assert!(!dir.path().join(".tmp-link").is_symlink());
        assert_eq!(std::fs::read(dir.path().join("elsewhere")).unwrap(), b"else");
        // A directory is nothing that this could have left.
        drop(file);
        ring.discard(at("link")).await;
        std::fs::create_dir(dir.path().join(".tmp-link")).unwrap();
        let refused = ring.create(at("link"), 5, Room::Reserved).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        let mut left: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".tmp-link", "elsewhere", "ranges", "small"]);
    }
    on_each_ring!(check);
}

#[test]
fn only_files_and_symbolic_links_are_replaced() {
    async fn check(ring: impl FileRing) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let root = SourceDir::open(dir.path()).unwrap();
        let finish = Finish { replace: true, ..Finish::default() };
        let write = async |name: &str, whole: bool, finish: Finish| {
            let (name, temporary) = (CString::new(name).unwrap(), c".tmp".into());
            let names = Names { dir: root.clone(), temporary, name };
            if whole {
                return ring.store(names, Arc::default(), finish).await;
            }
            let file = ring.create(names.clone(), 0, Room::Reserved).await.unwrap();
            ring.complete(&file, names, finish).await
        };
        std::fs::create_dir(path("directory")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(&root, "pipe", rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for whole in [true, false] {
            let there =
                [("directory", InTheWay::Directory), ("pipe", InTheWay::Pipe), ("socket", InTheWay::Socket)];
            for (name, what) in there {
                let refused = write(name, whole, finish).await.unwrap_err();
                let told = refused.get_ref().and_then(|inner| inner.downcast_ref::<InTheWay>());
                assert_eq!(told, Some(&what), "{name}: {refused}");
                assert!(!std::fs::symlink_metadata(path(name)).unwrap().is_file(), "{name}");
                let kept = write(name, whole, Finish { replace: false, ..finish }).await.unwrap_err();
                assert_eq!(kept.kind(), io::ErrorKind::AlreadyExists, "{name}");
            }
            std::fs::write(path("file"), "old").unwrap();
            std::os::unix::fs::symlink("directory", path("link")).unwrap();
            for name in ["file", "link", "new"] {
                write(name, whole, finish).await.unwrap();
                let now = std::fs::symlink_metadata(path(name)).unwrap();
                assert!(now.is_file() && now.len() == 0, "{name}");
                std::fs::remove_file(path(name)).unwrap();
            }
            assert!(!path(".tmp").exists());
        }
    }
    on_each_ring!(check);
}

#[test]
fn a_large_file_is_written_around_the_cache_to_its_last_byte() {
    async fn check(ring: impl FileRing) {
        // On the disk that holds the build: a tmpfs has no O_DIRECT and would test nothing.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let names = Names {
            dir: SourceDir::open(dir.path()).unwrap(),
            temporary: c".tmp".into(),
            name: c"large".into(),
        };
        let len = (64 << 20) + 4097u64;
        let file = ring.create(names.clone(), len, Room::Reserved).await.unwrap();
        let pool = Pool::new(4 << 20);
        for i in (0..257u64).rev() {
            let mut lease = pool.acquire_one(SlotClass::Block).await.unwrap();
            let want = (len - (i << 18)).min(1 << 18) as usize;
            lease.space_mut().fill((i % 251) as u8);
            lease.set_len(want);
            ring.write_at(&file, lease, i << 18).await.unwrap();
        }
        ring.complete(&file, names, Finish { replace: true, ..Finish::default() }).await.unwrap();
        let got = std::fs::read(dir.path().join("large")).unwrap();
        assert_eq!(got.len() as u64, len);
        assert!(got.iter().enumerate().all(|(at, &byte)| byte == ((at >> 18) % 251) as u8));
    }
    on_each_ring!(check);
}
