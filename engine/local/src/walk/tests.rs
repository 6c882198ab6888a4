use super::*;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;

/// Makes files (and the directories above them); a path that ends in `/` is an empty directory.
fn tree(paths: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in paths {
        let at = dir.path().join(path);
        if path.ends_with('/') {
            fs::create_dir_all(at).unwrap();
        } else {
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, b"").unwrap();
        }
    }
    dir
}

fn walk(dir: &Path) -> Walk {
    Walk::new(dir.to_owned()).recursive(true)
}

/// All entries, one line each.
fn lines(walk: Walk) -> (Vec<String>, Counts) {
    let mut stream = walk.start().unwrap();
    let found: Vec<_> = stream.by_ref().collect();
    assert_eq!(stream.next(), None);
    (found.iter().map(line).collect(), stream.counts())
}

fn line(found: &Found) -> String {
    match found {
        Found::File(path) => path.to_string(),
        Found::Skipped { path, kind } => format!("{path} is {kind}"),
        Found::Symlink(path) => format!("{path} -> "),
        Found::Directory(path) => format!("{path}/"),
        Found::Special { path, kind } => format!("{path} as {kind}"),
        Found::Problem(problem) => format!("problem: {problem}"),
    }
}

#[test]
fn order_is_the_byte_order_of_full_names() {
    let dir = tree(&[
        "a/x", "a-b", "a.txt", "a0", "a/b/c", "a/b.c", "a/b-", "b!/z", "B/y", "ü/q", "~", "z/", "z/e/",
    ]);
    for threads in [0, 1, 8] {
        let (found, counts) = lines(walk(dir.path()).threads(threads));
        assert_eq!(found, ["B/y", "a-b", "a.txt", "a/b-", "a/b.c", "a/b/c", "a/x", "a0", "b!/z", "~", "ü/q"]);
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(found, sorted);
        let expected = Counts { files: 11, directories: 8, empty_directories: 1, ..Counts::default() };
        assert_eq!(counts, expected);
    }
}

#[test]
fn awkward_names_come_as_they_are() {
    let names: [&[u8]; 16] = [
        b" ",
        b"a b",
        b"100%",
        b"%41",
        b"#",
        b"?",
        b"+",
        b"&",
        b"'\"`",
        "日本語".as_bytes(),
        b"new\nline",
        b"back\\slash",
        b"\xff\xfe",
        b"*[x]?",
        b"..a",
        b"-",
    ];
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), b"").unwrap();
        let sub = [b"sub ", name].concat();
        fs::create_dir(dir.path().join(std::ffi::OsStr::from_bytes(&sub))).unwrap();
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(&sub)).join("f"), b"").unwrap();
    }
    let mut expected: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    expected.extend(names.iter().map(|name| [b"sub ", *name, b"/f"].concat()));
    expected.sort();
    let found: Vec<Vec<u8>> = walk(dir.path())
        .start()
        .unwrap()
        .map(|found| match found {
            Found::File(path) => path.as_bytes().to_vec(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn not_recursive_gives_direct_files() {
    let dir = tree(&["a", "b/c", "d"]);
    let (found, counts) = lines(walk(dir.path()).recursive(false));
    assert_eq!(found, ["a", "d"]);
    assert_eq!((counts.directories, counts.directories_not_entered), (1, 1));
}

#[test]
fn links_and_special_files_are_skipped_in_place() {
    let dir = tree(&["d/f", "z"]);
    std::os::unix::fs::symlink("d", dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), Mode::RWXU).unwrap();
    let (found, counts) = lines(walk(dir.path()));
    assert_eq!(
        found,
        [
            "d/f",
            "dangling is a symbolic link",
            "link is a symbolic link",
            "pipe is a named pipe",
            "socket is a socket",
            "z"
        ]
    );
    assert_eq!((counts.files, counts.skipped), (2, 4));
}

#[test]
fn root_may_be_a_link_and_must_be_a_directory() {
    let dir = tree(&["real/f"]);
    std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    assert_eq!(lines(walk(&dir.path().join("link"))).0, ["f"]);
    let path = dir.path().join("real/f");
    assert_eq!(walk(&path).start().unwrap_err(), LocalError::NotADirectory { path });
    let path = dir.path().join("gone");
    assert_eq!(walk(&path).start().unwrap_err(), LocalError::Missing { path });
}

/// A walk whose hook does something before a directory is opened.
fn hooked(dir: &Path, hook: impl Fn(&[u8]) + Send + Sync + 'static) -> Walk {
    let mut walk = walk(dir);
    walk.hook = crate::read::Hook(Some(Arc::new(hook)));
    walk
}

#[test]
fn a_directory_that_cannot_be_read_is_a_problem_in_its_place() {
    for threads in [0, 4] {
        let dir = tree(&["a/1", "b/1", "b/sub/2", "c/1", "swapped/1", "z"]);
        let root = dir.path().to_owned();
        let walk = hooked(dir.path(), move |relative| match relative {
            b"b" => fs::remove_dir_all(root.join("b")).unwrap(),
            b"swapped" => {
                fs::remove_dir_all(root.join("swapped")).unwrap();
                std::os::unix::fs::symlink("a", root.join("swapped")).unwrap();
            }
            _ => {}
        });
        let (found, counts) = lines(walk.threads(threads));
        let at = |name| dir.path().join(name).display().to_string();
        assert_eq!(
            found,
            [
                "a/1".to_owned(),
                format!("problem: {}: no such file or directory", at("b")),
                "c/1".to_owned(),
                format!("problem: {}: not a directory", at("swapped")),
                "z".to_owned(),
            ]
        );
        assert_eq!((counts.problems, counts.files, counts.directories), (2, 3, 3));
    }
}

#[test]
fn a_link_put_above_an_open_directory_is_not_followed() {
    let dir = tree(&["a/deep/1", "other/deep/secret"]);
    let root = dir.path().to_owned();
    let walk = hooked(dir.path(), move |relative| {
        if relative == b"a/deep" {
            fs::rename(root.join("a"), root.join("moved")).unwrap();
            std::os::unix::fs::symlink("other", root.join("a")).unwrap();
        }
    });
    let (found, _) = lines(walk.threads(0));
    let problem = format!("problem: {}: not a directory", dir.path().join("a/deep").display());
    assert_eq!(found, [problem, "other/deep/secret".to_owned()]);
}

#[test]
fn deep_trees_need_neither_long_paths_nor_descriptors() {
    // 1,000 levels of 20 bytes: five times what a path may have.
    const LEVELS: usize = 1_000;
    let name = "directory_name_20_by";
    let dir = tempfile::tempdir().unwrap();
    let open = |at: std::os::fd::BorrowedFd<'_>, name: &str| {
        rustix::fs::openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .unwrap()
    };
    let mut at = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..LEVELS {
        rustix::fs::mkdirat(&at, name, Mode::RWXU).unwrap();
        at = open(std::os::fd::AsFd::as_fd(&at), name);
    }
    rustix::fs::openat(&at, "leaf", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
    drop(at);
    for threads in [0, 4] {
        let (found, counts) = lines(walk(dir.path()).threads(threads));
        assert_eq!(found, [format!("{name}/").repeat(LEVELS) + "leaf"]);
        assert_eq!((counts.directories, counts.problems), (LEVELS as u64 + 1, 0));
    }
    // tempfile could not: its paths are too long.
    let status = std::process::Command::new("rm").arg("-rf").arg(dir.path()).status().unwrap();
    assert!(status.success());
}

#[test]
fn large_directory_sorted_in_memory_and_on_disk() {
    const FILES: usize = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::with_capacity(FILES);
    for n in 0..FILES {
        // Scattered, so that the order of creation is not the order of names.
        let name = format!("{:06}", n * 7_919 % FILES);
        if n % 1_000 == 0 {
            fs::create_dir(dir.path().join(&name)).unwrap();
            fs::write(dir.path().join(&name).join("in"), b"").unwrap();
            expected.push(name + "/in");
        } else {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                dir.path().join(&name),
                rustix::fs::FileType::RegularFile,
                Mode::RWXU,
                0,
            )
            .unwrap();
            expected.push(name);
        }
    }
    expected.sort();
    for run_bytes in [RUN_BYTES, 100_000, 1] {
        for threads in [0, 2] {
            let mut walk = walk(dir.path()).threads(threads);
            walk.run_bytes = run_bytes;
            let (found, counts) = lines(walk);
            assert!(found == expected, "run_bytes {run_bytes}");
            assert_eq!((counts.files, counts.directories), (FILES as u64, 101));
        }
    }
}

#[test]
fn spilled_subdirectories_keep_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for sub in ["a", "b", "c"] {
        fs::create_dir(dir.path().join(sub)).unwrap();
        for n in 0..3_000 {
            let name = format!("{sub}/{:05}", (n * 1_117) % 3_000);
            fs::write(dir.path().join(&name), b"").unwrap();
            expected.push(name);
        }
        fs::write(dir.path().join(format!("{sub}-")), b"").unwrap();
        expected.push(format!("{sub}-"));
    }
    expected.sort();
    let mut walk = walk(dir.path());
    walk.run_bytes = 1;
    assert!(lines(walk).0 == expected);
}

#[test]
fn matching_takes_what_the_pattern_takes() {
    let dir = tree(&["a1/x1", "a1/x2/deep/f", "a1/y", "a1.txt", "a2/x", "b/x", "a3/", "x"]);
    std::os::unix::fs::symlink("b", dir.path().join("a9")).unwrap();
    let starts = |c: u8| -> SegmentMatcher { Arc::new(move |_, name| name.first() == Some(&c)) };
    let pattern = || vec![starts(b'a'), starts(b'x')];
    for threads in [0, 4] {
        let (found, counts) = lines(walk(dir.path()).matching(pattern()).threads(threads));
        assert_eq!(found, ["a1/x1", "a1/x2/deep/f", "a2/x", "a9 is a symbolic link"]);
        assert_eq!(counts.files, 3);
        let (found, counts) = lines(walk(dir.path()).matching(pattern()).recursive(false).threads(threads));
        assert_eq!(found, ["a1/x1", "a2/x", "a9 is a symbolic link"]);
        assert_eq!(counts.directories_not_entered, 1);
    }
    let (found, counts) = lines(walk(dir.path()).matching(vec![starts(b'q')]));
    assert!(found.is_empty());
    assert_eq!((counts.files, counts.skipped, counts.problems), (0, 0, 0));
}

#[test]
fn batches_give_everything_once() {
    let dir = tree(&["a", "b/c", "b/d", "e"]);
    let mut stream = walk(dir.path()).start().unwrap();
    let mut out = Vec::new();
    assert!(stream.next_batch(3, &mut out));
    assert_eq!(out.iter().map(line).collect::<Vec<_>>(), ["a", "b/c", "b/d"]);
    assert!(!stream.next_batch(3, &mut out));
    assert_eq!(out.len(), 4);
    assert!(!stream.next_batch(3, &mut out));
    assert_eq!(out.len(), 4);
}

#[test]
fn dropping_stops_the_threads() {
    let paths: Vec<String> = (0..300).map(|n| format!("{n:03}/f")).collect();
    let dir = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    let (reads, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counter, may) = (Arc::clone(&reads), Arc::clone(&go_on));
    let walk = hooked(dir.path(), move |relative| {
        counter.fetch_add(1, Ordering::SeqCst);
        while relative > b"000" && !may.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    });
    let mut stream = walk.threads(2).start().unwrap();
    assert_eq!(stream.next().map(|found| line(&found)).as_deref(), Some("000/f"));
    // Both threads are in a directory when the stream is dropped, and go on when it has told them to stop.
    let shared = Arc::clone(&stream.shared);
    let watch = std::thread::spawn(move || {
        while !shared.stop.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        go_on.store(true, Ordering::SeqCst);
    });
    drop(stream);
    watch.join().unwrap();
    // The root, the first directory, and one for each thread: not the others that were asked for.
    let read = reads.load(Ordering::SeqCst);
    assert!(read <= 4, "{read}");
}

#[test]
fn look_ahead_is_bounded() {
    let paths: Vec<String> = (0..500).map(|n| format!("{n:03}/f")).collect();
    let dir = tree(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    // Directories that were read, those whose files were asked for, and how far the first ever were ahead.
    let counts = Arc::new([0, 0, 0].map(AtomicUsize::new));
    let counters = Arc::clone(&counts);
    let stream = hooked(dir.path(), move |_| {
        let [reads, asked, ahead] = &*counters;
        let reads = reads.fetch_add(1, Ordering::SeqCst) + 1;
        ahead.fetch_max(reads.saturating_sub(asked.load(Ordering::SeqCst)), Ordering::SeqCst);
    });
    let mut stream = stream.threads(4).start().unwrap();
    let [reads, asked, ahead] = &*counts;
    for directory in 1..=500 {
        asked.store(directory, Ordering::SeqCst);
        assert!(stream.next().is_some());
        // It reads on as far as it ever will before the next is asked for, or nearly.
        while reads.load(Ordering::SeqCst) < 501.min(directory + PER_LEVEL / 2) {
            std::thread::yield_now();
        }
    }
    assert_eq!(stream.next(), None);
    // The root, and one lot after the directory that was asked for.
    let ahead = ahead.load(Ordering::SeqCst);
    assert!((PER_LEVEL / 2..=2 + PER_LEVEL).contains(&ahead), "{ahead}");
}

#[test]
fn a_matcher_that_panics_does_so_in_the_callers_thread() {
    let dir = tree(&["a/x", "b/x", "c/x"]);
    let any: SegmentMatcher = Arc::new(|_, _| true);
    let bad: SegmentMatcher = Arc::new(|_, _| panic!("matcher"));
    let walk = walk(dir.path()).matching(vec![any, bad]).threads(2);
    let walked = std::panic::catch_unwind(AssertUnwindSafe(|| walk.start().unwrap().count()));
    assert!(walked.is_err());
}

/// Links, pruned directories, and what is given out when it is asked for.
mod choices;
