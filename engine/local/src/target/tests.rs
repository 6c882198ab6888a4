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
    let tree = TargetTree::new(&dir.path().join("new/root"));
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
    assert!(!tree.root_path().exists());
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
    write(&TargetTree::new(&dir.path().join("link/new")), "f").unwrap();
    assert!(dir.path().join("real/new/f").is_file());
    fs::write(dir.path().join("file"), b"").unwrap();
    for path in ["file", "file/x"] {
        let path = dir.path().join(path);
        assert_eq!(write(&TargetTree::new(&path), "f").unwrap_err(), LocalError::NotADirectory { path });
    }
}

#[test]
fn a_planted_link_is_not_written_through() {
    let (dir, tree) = target();
    let outside = dir.path().join("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    let root = tree.root_path();
    fs::create_dir_all(root).unwrap();
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
            assert_eq!(tree.make_dir(&name).unwrap_err(), in_the_way);
            assert_eq!(tree.finish_dir(&name, &PosixProperties::default()).unwrap_err(), in_the_way);
        }
        assert_eq!(tree.make_dir(&name(planted)).unwrap_err(), in_the_way);
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
    let fresh = TargetTree::new(root);
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
fn facts_follow_no_link() {
    let (_dir, tree) = target();
    write(&tree, "d/file").unwrap();
    let directory = tree.dir_of(&name("d/x")).unwrap();
    symlink("file", tree.root_path().join("d/link")).unwrap();
    symlink("d", tree.root_path().join("d/sub")).unwrap();
    rustix::fs::mkfifoat(&directory, "pipe", Mode::RWXU).unwrap();
    let stat = fs::metadata(tree.root_path().join("d/file")).unwrap();
    let mtime_ns = i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec());
    assert_eq!(
        stat_target(&directory, c"file").unwrap(),
        Some(TargetFacts { kind: TargetKind::File, len_bytes: 6, mtime_ns })
    );
    for (there, kind) in [
        (c".", TargetKind::Directory),
        (c"link", TargetKind::Symlink),
        (c"sub", TargetKind::Symlink),
        (c"pipe", TargetKind::Other),
    ] {
        assert_eq!(stat_target(&directory, there).unwrap().unwrap().kind, kind, "{there:?}");
    }
    assert_eq!(stat_target(&directory, c"gone").unwrap(), None);
    assert!(stat_target(&directory, c"file/x").is_err());
}

#[test]
fn links_are_made_and_replaced_in_one_step() {
    use std::io::ErrorKind;
    let (_dir, tree) = target();
    write(&tree, "d/file").unwrap();
    tree.make_dir(&name("d/sub")).unwrap();
    let directory = tree.dir_of(&name("d/x")).unwrap();
    let make = |to: &CStr, text: &str, replace| {
        make_symlink(&directory, text.as_bytes(), c".tmp", to, replace).map_err(|error| error.kind())
    };
    let text = |link: &str| fs::read_link(tree.root_path().join("d").join(link)).unwrap().into_os_string();
    assert_eq!(make(c"l", "../../out side", false), Ok(()));
    assert_eq!(text("l"), "../../out side");
    for taken in [c"l", c"file", c"sub"] {
        assert_eq!(make(taken, "other", false), Err(ErrorKind::AlreadyExists));
    }
    assert_eq!(make(c"l", "other", true), Ok(()));
    assert_eq!(text("l"), "other");
    assert_eq!(make(c"file", "l", true), Ok(()));
    assert_eq!(text("file"), "l");
    assert_eq!(make(c"sub", "l", true), Err(ErrorKind::IsADirectory));
    for bad in ["a\0b", ""] {
        assert!(make(c"bad", bad, true).is_err() && make(c"bad", bad, false).is_err());
    }
    let mut left: Vec<_> =
        fs::read_dir(tree.root_path().join("d")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
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
    let tree = TargetTree::new(&dir.path().join("root")).holding(4);
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
    let directory = tree.dir_of(&name(&deepest)).unwrap();
    assert_eq!(stat_target(&directory, c"f").unwrap().unwrap().len_bytes, 4_095);
    // tempfile could not: it holds a descriptor per level.
    let status = std::process::Command::new("rm").arg("-rf").arg(dir.path()).status().unwrap();
    assert!(status.success());
}
