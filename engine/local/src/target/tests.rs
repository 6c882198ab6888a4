use super::*;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::Barrier;

use tempfile::TempDir;

fn name(text: &str) -> LocalName {
    LocalName::new(text.as_bytes()).unwrap()
}

fn target() -> (TempDir, TargetTree) {
    let dir = tempfile::tempdir().unwrap();
    let tree = TargetTree::open(&dir.path().join("new/root")).unwrap();
    (dir, tree)
}

/// Writes a file where `dir_of` says, as a download does.
fn write(tree: &TargetTree, text: &str) -> Result<(), LocalError> {
    let name = name(text);
    let directory = tree.dir_of(&name)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(&directory, name.file_name(), flags, Mode::RUSR).unwrap();
    rustix::io::write(file, text.as_bytes()).unwrap();
    Ok(())
}

#[test]
fn directories_are_made_as_they_are_needed() {
    let (_dir, tree) = target();
    assert!(tree.root_path().is_dir());
    for _ in 0..2 {
        write(&tree, "top").unwrap();
        write(&tree, "a/b/c/f").unwrap();
        write(&tree, "a/g").unwrap();
        tree.make_dir(&name("a/b/stub/")).unwrap();
        for file in ["top", "a/b/c/f", "a/g"] {
            assert_eq!(fs::read(tree.root_path().join(file)).unwrap(), file.as_bytes());
            fs::remove_file(tree.root_path().join(file)).unwrap();
        }
        assert!(tree.root_path().join("a/b/stub").is_dir());
    }
    let same = [tree.dir_of(&name("a/b/x")).unwrap(), tree.dir_of(&name("a/b/y")).unwrap()];
    assert!(Arc::ptr_eq(&same[0], &same[1]));
}

#[test]
fn the_root_may_be_reached_through_links_and_must_be_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    write(&TargetTree::open(&dir.path().join("link/new")).unwrap(), "f").unwrap();
    assert!(dir.path().join("real/new/f").is_file());
    fs::write(dir.path().join("file"), b"").unwrap();
    for path in ["file", "file/x"] {
        let path = dir.path().join(path);
        assert_eq!(TargetTree::open(&path).unwrap_err(), LocalError::NotADirectory { path });
    }
}

#[test]
fn a_planted_link_is_not_written_through() {
    let (dir, tree) = target();
    let outside = dir.path().join("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    let root = tree.root_path();
    symlink(&outside, root.join("absolute")).unwrap();
    symlink("../../outside", root.join("relative")).unwrap();
    symlink("inside", root.join("inner")).unwrap();
    fs::create_dir(root.join("inside")).unwrap();
    symlink(outside.join("victim"), root.join("dangling")).unwrap();
    for planted in ["absolute", "relative", "inner", "dangling"] {
        let in_the_way = LocalError::LinkInTheWay { path: root.join(planted) };
        for below in ["x", "sub/x", "new/deep/x"] {
            let name = name(&format!("{planted}/{below}"));
            assert_eq!(tree.dir_of(&name).unwrap_err(), in_the_way, "{planted}/{below}");
            assert_eq!(tree.stat(&name).unwrap_err(), in_the_way);
            assert_eq!(tree.make_dir(&name).unwrap_err(), in_the_way);
            let made = tree.make_symlink(&name, b"t", &PosixProperties::default(), true, c".tmp");
            assert_eq!(made.unwrap_err(), in_the_way);
            assert_eq!(tree.finish_dir(&name, &PosixProperties::default()).unwrap_err(), in_the_way);
        }
        assert_eq!(tree.make_dir(&name(planted)).unwrap_err(), in_the_way);
        assert_eq!(tree.stat(&name(planted)).unwrap().unwrap().kind, TargetKind::Symlink);
        assert_eq!(tree.finish_dir(&name(planted), &PosixProperties::default()).unwrap_err(), in_the_way);
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read_dir(outside.join("sub")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(root.join("inside")).unwrap().count(), 0);
}

#[test]
fn a_link_put_in_the_place_of_a_known_directory_is_not_written_through() {
    let (dir, tree) = target();
    fs::create_dir(dir.path().join("outside")).unwrap();
    write(&tree, "a/b/1").unwrap();
    let root = tree.root_path();
    fs::rename(root.join("a"), root.join("moved")).unwrap();
    symlink(dir.path().join("outside"), root.join("a")).unwrap();
    // What is known stays the directory that it was; what is not known is refused.
    write(&tree, "a/b/2").unwrap();
    assert!(root.join("moved/b/2").is_file());
    let fresh = TargetTree::open(root).unwrap();
    assert_eq!(fresh.dir_of(&name("a/b/3")).unwrap_err(), LocalError::LinkInTheWay { path: root.join("a") });
    assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 0);
}

#[test]
fn a_file_where_a_directory_must_be_fails_that_object_alone() {
    let (_dir, tree) = target();
    write(&tree, "a").unwrap();
    let path = tree.root_path().join("a");
    for below in ["a/b", "a/b/c"] {
        let error = tree.dir_of(&name(below)).unwrap_err();
        assert_eq!(error, LocalError::FileInTheWay { path: path.clone() });
        assert!(error.to_string().contains("a file is where a directory is needed"), "{error}");
    }
    assert_eq!(tree.make_dir(&name("a/")).unwrap_err(), LocalError::FileInTheWay { path });
    write(&tree, "ab/c").unwrap();
}

#[test]
fn what_the_kernel_refuses_is_told_as_writing() {
    // Nobody, root included, makes directories in /proc or changes what is there.
    let tree = TargetTree::open(Path::new("/proc/self")).unwrap();
    let denied = |path: &str| Err(LocalError::WriteDenied { path: path.into() });
    let changed =
        tree.finish_dir(&name("task"), &PosixProperties { mode: Some(0o700), ..PosixProperties::default() });
    assert_eq!(changed, denied("/proc/self/task"));
    let made = tree.dir_of(&name("new/file")).map(drop);
    assert_eq!(made, Err(LocalError::Missing { path: "/proc/self/new".into() }));
}

#[test]
fn facts_without_making_or_following_anything() {
    let (_dir, tree) = target();
    write(&tree, "d/file").unwrap();
    symlink("file", tree.root_path().join("d/link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.root_path().join("d/pipe"), Mode::RWXU).unwrap();
    let stat = fs::metadata(tree.root_path().join("d/file")).unwrap();
    let mtime_ns = i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec());
    assert_eq!(
        tree.stat(&name("d/file")),
        Ok(Some(TargetFacts { kind: TargetKind::File, len_bytes: 6, mtime_ns }))
    );
    for (there, kind) in
        [("d", TargetKind::Directory), ("d/link", TargetKind::Symlink), ("d/pipe", TargetKind::Other)]
    {
        assert_eq!(tree.stat(&name(there)).unwrap().unwrap().kind, kind);
    }
    for gone in ["x", "d/x", "x/y/z"] {
        assert_eq!(tree.stat(&name(gone)), Ok(None));
    }
    assert!(!tree.root_path().join("x").exists());
}

#[test]
fn links_are_made_and_replaced_in_one_step() {
    let (_dir, tree) = target();
    let at = |text: &str| tree.root_path().join(text);
    let times = PosixProperties { mtime_ns: Some(1_000_000_000_000_000_007), ..PosixProperties::default() };
    let make = |to: &str, text: &str, replace| {
        tree.make_symlink(&name(to), text.as_bytes(), &times, replace, c".tmp")
    };
    let text = |link: &str| fs::read_link(at(link)).unwrap().into_os_string();
    make("d/l", "../../out side", false).unwrap();
    assert_eq!(text("d/l"), "../../out side");
    assert_eq!(tree.stat(&name("d/l")).unwrap().unwrap().mtime_ns, 1_000_000_000_000_000_007);
    write(&tree, "d/file").unwrap();
    tree.make_dir(&name("d/sub")).unwrap();
    for taken in ["d/l", "d/file", "d/sub"] {
        assert_eq!(make(taken, "other", false).unwrap_err(), LocalError::Exists { path: at(taken) });
    }
    for replaced in ["d/l", "d/file"] {
        make(replaced, "other", true).unwrap();
        assert_eq!(text(replaced), "other");
        assert_eq!(tree.stat(&name(replaced)).unwrap().unwrap().mtime_ns, 1_000_000_000_000_000_007);
    }
    assert_eq!(make("d/sub", "l", true).unwrap_err(), LocalError::DirectoryInTheWay { path: at("d/sub") });
    for bad in ["a\0b", ""] {
        assert!(make("d/bad", bad, true).is_err() && make("d/bad", bad, false).is_err());
    }
    let mut left: Vec<_> = fs::read_dir(at("d")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["file", "l", "sub"]);
}

#[test]
fn directories_get_their_properties_last() {
    let (_dir, tree) = target();
    write(&tree, "d/file").unwrap();
    let wanted =
        PosixProperties { mode: Some(0o40_710), mtime_ns: Some(5_000_000_000), ..PosixProperties::default() };
    tree.finish_dir(&name("d"), &wanted).unwrap();
    let stat = fs::metadata(tree.root_path().join("d")).unwrap();
    assert_eq!((stat.mode(), stat.mtime()), (0o40_710, 5));
    let path = tree.root_path().join("d/gone");
    assert_eq!(tree.finish_dir(&name("d/gone"), &wanted).unwrap_err(), LocalError::Missing { path });
}

#[test]
fn many_lanes_make_the_same_tree_with_few_descriptors() {
    const LANES: usize = 8;
    let dir = tempfile::tempdir().unwrap();
    let tree = TargetTree::open(&dir.path().join("root")).unwrap().holding(4);
    let start = Barrier::new(LANES);
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (tree, start) = (&tree, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..200 {
                    write(tree, &format!("{}/{}/{}/{lane}-{n}", n % 3, n % 7, n % 5)).unwrap();
                }
            });
        }
    });
    let mut found = 0;
    let mut walk = crate::Walk::new(dir.path().to_owned()).recursive(true).start().unwrap();
    found += walk.by_ref().filter(|found| matches!(found, crate::Found::File(_))).count();
    // The temporary directory, the root, and 3 + 21 + 105 below it.
    assert_eq!((found, walk.counts().directories), (LANES * 200, 2 + 3 + 21 + 105));
}

#[test]
fn the_deepest_name_is_made() {
    let (dir, tree) = target();
    let tree = tree.holding(16);
    let deepest = "d/".repeat(2_047) + "f";
    assert_eq!(deepest.len(), azuring_plan::download::MAX_PATH_BYTES);
    write(&tree, &deepest).unwrap();
    assert_eq!(tree.stat(&name(&deepest)).unwrap().unwrap().len_bytes, 4_095);
    // tempfile could not: it holds a descriptor per level.
    let status = std::process::Command::new("rm").arg("-rf").arg(dir.path()).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_tree_is_written_back() {
    let (_dir, tree) = target();
    write(&tree, "d/file").unwrap();
    assert_eq!(tree.sync(), Ok(true));
}
