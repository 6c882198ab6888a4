//! Modes and times of downloaded files: those of any program that writes them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use azsim::Seed;
use azuring_tests::{Azuring, CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring, faulty_fs};
use rustix::fs::XattrFlags;

use crate::scene::{PACKED, download, noise};

/// A small one, one in ranges, one that is unpacked, and one that is empty: each is written in a way of its own.
fn plant(fixture: &Fixture) {
    for (name, content, encoding) in [
        ("small", b"small".to_vec(), ""),
        ("large", noise(1, 600_000), ""),
        ("packed", PACKED.to_vec(), "gzip"),
        ("empty", Vec::new(), ""),
        ("empty and packed", Vec::new(), "gzip"),
    ] {
        let content = if content.is_empty() { vec![] } else { vec![content.into()] };
        let blob = Seed {
            name: format!("tree/{name}"),
            content,
            content_encoding: encoding.to_owned(),
            ..Seed::default()
        };
        fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [blob]);
    }
}

fn modes(directory: &Path) -> BTreeMap<String, u32> {
    let of = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode() & 0o7777)
    };
    fs::read_dir(directory).unwrap().map(|entry| of(entry.unwrap())).collect()
}

/// An ACL in the kernel's form: version 2, then tag, permissions, id.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend(tag.to_le_bytes());
        acl.extend(permissions.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    acl
}

const NOBODY: u32 = u32::MAX;
const FLAGS: [&str; 2] = ["--block-size-mb=0.25", "--decompress"];

#[test]
fn new_files_are_as_touch_makes_them_and_replaced_ones_keep_their_mode() {
    let fixture = Fixture::new(azuring!());
    plant(&fixture);
    // User, one other user, group, mask, others: a file made with 0666 gets rw-rw----.
    let default = acl(&[(1, 7, NOBODY), (2, 7, 1234), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)]);
    for (name, default) in [("plain", None), ("with an acl", Some(default))] {
        let to = fixture.path().join(name);
        fs::create_dir(&to).unwrap();
        if let Some(default) = &default {
            rustix::fs::setxattr(&to, "system.posix_acl_default", default, XattrFlags::empty()).unwrap();
        }
        fs::write(to.join("touched"), b"").unwrap();
        let usual = modes(&to)["touched"];
        assert_eq!(usual, if default.is_some() { 0o660 } else { 0o666 & !umask() });
        fixture.run(download(&fixture, &to, &FLAGS)).expect_code(0);
        let new = modes(&to);
        assert_eq!(new.len(), 6);
        assert!(new.values().all(|&mode| mode == usual), "{name}: {new:?}");
        assert_eq!(fs::read(to.join("packed")).unwrap(), b"unpacked");
        assert_eq!(fs::read(to.join("empty and packed")).unwrap(), b"");

        for mode in [0o600, 0o664, 0o4755] {
            for file in new.keys() {
                fs::set_permissions(to.join(file), fs::Permissions::from_mode(mode)).unwrap();
            }
            let (mut inodes, before) = (BTreeMap::new(), modes(&to));
            for file in before.keys() {
                inodes.insert(file.clone(), fs::metadata(to.join(file)).unwrap().ino());
            }
            fixture.run(download(&fixture, &to, &FLAGS)).expect_code(0);
            for (file, after) in modes(&to) {
                if file != "touched" {
                    assert_ne!(fs::metadata(to.join(&file)).unwrap().ino(), inodes[&file]);
                    assert_eq!(after, mode & 0o777, "{name}: {file}");
                }
            }
        }
    }
}

/// The rights of others are kept as they are: neither those of the directory's ACL nor the group's are added.
#[test]
fn a_replaced_file_keeps_its_acl() {
    let fixture = Fixture::new(azuring!());
    plant(&fixture);
    let to = fixture.path().join("to");
    fs::create_dir(&to).unwrap();
    fixture.run(download(&fixture, &to, &FLAGS)).expect_code(0);
    let own = acl(&[(1, 6, NOBODY), (2, 6, 1234), (4, 0, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY)]);
    let name = "system.posix_acl_access";
    for file in ["small", "large"] {
        rustix::fs::setxattr(to.join(file), name, &own, XattrFlags::empty()).unwrap();
    }
    fixture.run(download(&fixture, &to, &FLAGS)).expect_code(0);
    for file in ["small", "large"] {
        let mut there = vec![0; 1000];
        let len = rustix::fs::getxattr(to.join(file), name, &mut there[..]).unwrap();
        assert_eq!(there[..len], own, "{file}");
    }
}

/// Beyond 2262, where 64 bits of nanoseconds end; on a tmpfs, which keeps any time.
#[test]
fn times_far_away_go_both_ways() {
    let fixture = Fixture::new(azuring!());
    // ext4's last day is in 2446; before it every file system of today keeps the second.
    let seconds = 14_000_000_000;
    let file = fixture.file("in/far", b"far");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let kept = fs::metadata(&file).unwrap().mtime();
    assert_eq!(kept, i64::try_from(seconds).unwrap(), "this file system ends before 2413");
    fixture.upload(file.parent().unwrap(), &["--preserve-posix-properties"]).expect_code(0);
    let to = fixture.path().join("to");
    let source = fixture.url_of(CONTAINER, "in");
    let back = ["copy", &source, to.to_str().unwrap(), "--recursive", "--preserve-posix-properties"];
    let outcome = fixture.run(back);
    outcome.expect_code(0);
    assert_eq!(fs::metadata(to.join("in/far")).unwrap().mtime(), kept, "{}", outcome.stderr);
}

/// Old kernels forget the umask of files that have no name yet.
#[test]
fn the_umask_counts_where_the_kernel_forgets_it() {
    let fixture = Fixture::new(Azuring::new("sh"));
    for name in ["small", "other"] {
        let blob = Seed { name: format!("tree/{name}"), content: vec!["x".into()], ..Seed::default() };
        fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [blob]);
    }
    let directory = fixture.path().join("disk");
    fs::create_dir(&directory).unwrap();
    let disk = faulty_fs!(&directory, &["tmpfile", "noumask"]);
    let program = env!("CARGO_BIN_EXE_azuring-under-test").to_owned();
    let own = ["-c".to_owned(), "umask 077; exec \"$0\" \"$@\"".to_owned(), program];
    fixture.run(own.into_iter().chain(download(&fixture, disk.path(), &[]))).expect_code(0);
    let expected = ["other", "small"].map(|name| (name.to_owned(), 0o600));
    assert_eq!(modes(disk.path()), BTreeMap::from(expected));
}

/// A file system whose times end says nothing of it: azuring does.
#[test]
fn times_that_the_file_system_changes_are_told_once() {
    let fixture = Fixture::new(azuring!());
    let times: [(&str, i64, usize); 3] = [
        ("far", 14_000_000_000, 10),
        ("far and large", 14_000_000_000, 1 << 20),
        ("near", 1_600_000_000, 10),
    ];
    for (name, seconds, len) in times {
        let blob = Seed {
            name: format!("tree/{name}"),
            content: vec![vec![7; len].into()],
            metadata: vec![("modtime".to_owned(), format!("{seconds}000000000"))],
            ..Seed::default()
        };
        fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [blob]);
    }
    for (options, last, told) in
        [(&["tmpfile", "times32"][..], i64::from(i32::MAX), 1), (&["tmpfile"], i64::MAX, 0)]
    {
        let directory = fixture.path().join(format!("disk {told}"));
        fs::create_dir(&directory).unwrap();
        let disk = faulty_fs!(&directory, options);
        let flags = ["--preserve-posix-properties", "--block-size-mb=0.25"];
        let done = fixture.run(download(&fixture, disk.path(), &flags));
        done.expect_code(0);
        assert_eq!(done.stderr.matches("cannot keep this time").count(), told, "{}", done.stderr);
        for (name, seconds, _) in times {
            assert_eq!(fs::metadata(disk.path().join(name)).unwrap().mtime(), seconds.min(last), "{name}");
        }
    }
}

/// Whoever can write to a container does not decide as whom programs run here.
#[test]
fn set_user_bits_come_only_when_they_are_asked_for() {
    let fixture = Fixture::new(azuring!());
    let mode = |bits: u32| vec![("permissions".to_owned(), bits.to_string())];
    for (name, bits) in [("suid", 0o104_755), ("sgid", 0o102_755), ("plain", 0o100_640)] {
        let blob = Seed {
            name: format!("tree/{name}"),
            content: vec!["x".into()],
            metadata: mode(bits),
            ..Seed::default()
        };
        fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [blob]);
    }
    let to = fixture.path().join("to");
    let without = fixture.run(download(&fixture, &to, &["--preserve-posix-properties"]));
    without.expect_code(0);
    assert_eq!(without.stderr.matches("--preserve-setuid").count(), 1, "{}", without.stderr);
    let expected = |suid, sgid| {
        BTreeMap::from([("suid".to_owned(), suid), ("sgid".to_owned(), sgid), ("plain".to_owned(), 0o640)])
    };
    assert_eq!(modes(&to), expected(0o755, 0o755));
    let with = fixture.run(download(&fixture, &to, &["--preserve-posix-properties", "--preserve-setuid"]));
    with.expect_code(0);
    assert_eq!(modes(&to), expected(0o4755, 0o2755));
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(line.trim(), 8).unwrap()
}
