use super::*;

use std::os::unix::fs::symlink;
use std::sync::Mutex;

fn link(dir: &TempDir, target: &str, name: &str) {
    symlink(target, dir.path().join(name)).unwrap();
}

/// The same with every number of threads, and sorted on disk.
fn everywhere(walk: impl Fn() -> Walk) -> (Vec<String>, Counts) {
    let expected = lines(walk().threads(0));
    for (threads, run_bytes) in [(1, RUN_BYTES), (8, RUN_BYTES), (0, 1), (8, 1)] {
        let mut walk = walk().threads(threads);
        walk.run_bytes = run_bytes;
        assert_eq!(lines(walk), expected, "{threads} {run_bytes}");
    }
    expected
}

#[test]
fn pruned_directories_are_not_opened() {
    let dir = tree(&["a/1", "a/b/2", "a/b/c/3", "a-b/4", "b/5", "d/b/6", "z"]);
    for threads in [0, 4] {
        let opened = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&opened);
        let walk = hooked(dir.path(), move |relative| {
            log.lock().unwrap().push(String::from_utf8(relative.to_vec()).unwrap());
        });
        let prunes: DirectoryPruner = Arc::new(|path| path == b"a/b" || path == b"b");
        let (found, counts) = lines(walk.threads(threads).directories(true).pruning(prunes));
        assert_eq!(found, ["a-b/", "a-b/4", "a/", "a/1", "d/", "d/b/", "d/b/6", "z"]);
        let mut opened = opened.lock().unwrap().clone();
        opened.sort();
        assert_eq!(opened, ["", "a", "a-b", "d", "d/b"]);
        assert_eq!((counts.directories, counts.directories_pruned, counts.problems), (5, 2, 0));
    }
}

#[test]
fn a_filter_prunes_what_it_would_not_pass() {
    use azuring_plan::filter::{Filter, FilterSpec};
    let dir = tree(&["keep/1", "keep/cache/2", "keep/deep/x/3", "other/4", "keepnot/5", "top"]);
    let spec = FilterSpec::default()
        .include_path(Some("keep/1;keep/cache;keep/deep".into()))
        .exclude_path(Some("keep/cache".into()));
    let filter = Arc::new(Filter::new(&spec).unwrap());
    let (found, counts) = everywhere(|| {
        let filter = Arc::clone(&filter);
        walk(dir.path()).pruning(Arc::new(move |path| filter.prunes(path)))
    });
    let passing: Vec<_> = found.iter().filter(|name| filter.passes_name(name.as_bytes())).collect();
    assert_eq!(passing, ["keep/1", "keep/deep/x/3"]);
    assert_eq!((counts.directories, counts.directories_pruned), (4, 3));
}

#[test]
fn followed_links_are_what_they_lead_to_in_order() {
    let outside = tree(&["out/o1", "out/o2", "single"]);
    let dir = tree(&["a/x", "a.txt", "real/r", "real/sub/s"]);
    link(&dir, "real", "a-link");
    link(&dir, "a.txt", "a0");
    symlink(outside.path().join("out"), dir.path().join("b")).unwrap();
    symlink(outside.path().join("single"), dir.path().join("c")).unwrap();
    link(&dir, "../real/sub", "a/rel");
    let (found, counts) = everywhere(|| walk(dir.path()).symlinks(SymlinkMode::Follow));
    assert_eq!(
        found,
        [
            "a-link/r",
            "a-link/sub/s",
            "a.txt",
            "a/rel/s",
            "a/x",
            "a0",
            "b/o1",
            "b/o2",
            "c",
            "real/r",
            "real/sub/s"
        ]
    );
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    assert_eq!((counts.files, counts.skipped, counts.problems, counts.directories), (11, 0, 0, 8));
}

#[test]
fn loops_are_skipped_links() {
    let dir = tree(&["a/b/f", "c/g"]);
    link(&dir, "..", "a/up");
    link(&dir, ".", "self");
    link(&dir, "../..", "a/b/top");
    link(&dir, "../b", "a/b/me");
    link(&dir, "own", "own");
    link(&dir, "pong", "ping");
    link(&dir, "ping", "pong");
    // Not loops: each is entered once below the other, and there ends.
    link(&dir, "../d", "c/to_d");
    fs::create_dir(dir.path().join("d")).unwrap();
    link(&dir, "../c", "d/to_c");
    let (found, counts) = everywhere(|| walk(dir.path()).symlinks(SymlinkMode::Follow));
    assert_eq!(
        found,
        [
            "a/b/f",
            "a/b/me is a symbolic link",
            "a/b/top is a symbolic link",
            "a/up is a symbolic link",
            "c/g",
            "c/to_d/to_c is a symbolic link",
            "d/to_c/g",
            "d/to_c/to_d is a symbolic link",
            "own is a symbolic link",
            "ping is a symbolic link",
            "pong is a symbolic link",
            "self is a symbolic link",
        ]
    );
    assert_eq!((counts.skipped, counts.problems), (9, 0));
}

#[test]
fn a_loop_through_a_directory_above_the_root_ends() {
    let dir = tree(&["top/root/f", "top/other/g"]);
    link(&dir, "..", "top/root/out");
    let (found, counts) = everywhere(|| walk(&dir.path().join("top/root")).symlinks(SymlinkMode::Follow));
    // The root is met again as a directory, not as a link.
    assert_eq!(found, ["f", "out/other/g", "out/root is a symbolic link"]);
    assert_eq!((counts.files, counts.directories), (2, 3));
}

#[test]
fn a_dangling_link_is_a_problem_in_its_place() {
    let dir = tree(&["a", "z"]);
    link(&dir, "nowhere", "m");
    link(&dir, "a/x", "n");
    let (found, counts) = everywhere(|| walk(dir.path()).symlinks(SymlinkMode::Follow));
    let nowhere =
        |name| format!("problem: {}: this symbolic link leads nowhere", dir.path().join(name).display());
    assert_eq!(found, ["a".to_owned(), nowhere("m"), nowhere("n"), "z".to_owned()]);
    assert_eq!((counts.files, counts.problems), (2, 2));
}

#[test]
fn followed_links_meet_pruning_patterns_and_special_files() {
    let dir = tree(&["a1/x1/f", "b/x2", "c"]);
    link(&dir, "b", "a2");
    link(&dir, "c", "a3");
    let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("b/socket")).unwrap();
    link(&dir, "socket", "b/xs");
    let starts = |c: u8| -> SegmentMatcher { Arc::new(move |_, name| name.first() == Some(&c)) };
    let follow = || walk(dir.path()).symlinks(SymlinkMode::Follow);
    let (found, _) = everywhere(|| follow().matching(vec![starts(b'a'), starts(b'x')]));
    assert_eq!(found, ["a1/x1/f", "a2/x2", "a2/xs is a socket"]);
    let (found, counts) = everywhere(|| follow().pruning(Arc::new(|path| path == b"a2" || path == b"a1/x1")));
    assert_eq!(found, ["a3", "b/socket is a socket", "b/x2", "b/xs is a socket", "c"]);
    assert_eq!(counts.directories_pruned, 2);
}

#[test]
fn a_path_through_more_links_than_the_kernel_follows_is_a_problem() {
    const KERNELS: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..=KERNELS {
        fs::create_dir(dir.path().join(format!("d{n:03}"))).unwrap();
        fs::write(dir.path().join(format!("d{n:03}/f")), b"").unwrap();
        link(&dir, &format!("../d{:03}", n + 1), &format!("d{n:03}/l"));
    }
    fs::create_dir(dir.path().join(format!("d{:03}", KERNELS + 1))).unwrap();
    let root = dir.path().join("d000");
    let (found, counts) = everywhere(|| walk(&root).symlinks(SymlinkMode::Follow));
    let mut expected: Vec<_> = (0..=KERNELS).map(|n| "l/".repeat(n) + "f").collect();
    let at = root.join("l/".repeat(KERNELS) + "l");
    let reason = "open failed: Too many levels of symbolic links (os error 40)";
    expected.push(format!("problem: {}: {reason}", at.display()));
    assert_eq!(found, expected);
    assert_eq!((counts.directories, counts.problems), (KERNELS as u64 + 1, 1));
}

#[test]
fn preserved_links_and_special_files_come_as_themselves() {
    let dir = tree(&["d/f", "z", "e/"]);
    link(&dir, "d", "link");
    link(&dir, "nowhere", "dangling");
    link(&dir, "..", "d/up");
    let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let asked = || walk(dir.path()).symlinks(SymlinkMode::Preserve).specials(true).directories(true);
    let (found, counts) = everywhere(asked);
    assert_eq!(found, ["d/", "d/f", "d/up -> ", "dangling -> ", "e/", "link -> ", "socket as a socket", "z"]);
    assert_eq!((counts.files, counts.specials, counts.skipped, counts.directories), (2, 4, 0, 3));
    let starts = |c: u8| -> SegmentMatcher { Arc::new(move |_, name| name.first() == Some(&c)) };
    let (found, _) = everywhere(|| asked().matching(vec![starts(b'd'), starts(b'u')]));
    assert_eq!(found, ["d/", "d/up -> ", "dangling is a symbolic link"]);
}

#[test]
fn directories_come_before_what_is_in_them() {
    let dir = tree(&["a/b/c", "a/b-", "a0", "a-", "e/"]);
    let (found, counts) = everywhere(|| walk(dir.path()).directories(true));
    assert_eq!(found, ["a-", "a/", "a/b-", "a/b/", "a/b/c", "a0", "e/"]);
    assert_eq!((counts.directories, counts.empty_directories), (4, 1));
    let (found, _) = everywhere(|| walk(dir.path()).directories(true).recursive(false));
    assert_eq!(found, ["a-", "a0"]);
}
