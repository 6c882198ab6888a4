//! In a process of its own: the limit of descriptors is the process's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io;

use azuring_ring::{Names, NewFile, SourceDir};

#[test]
fn what_was_written_is_read_back_when_no_descriptor_is_left() {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: `limit` lives across the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let dir = tempfile::tempdir().unwrap();
    let names =
        Names { dir: SourceDir::open(dir.path()).unwrap(), temporary: c".tmp".into(), name: c"file".into() };
    let file = NewFile::create_empty(&names).unwrap();
    file.append(b"hello world", 0).unwrap();
    let mut taken = Vec::new();
    let none_left = loop {
        match File::open("/dev/null") {
            Ok(file) => taken.push(file),
            Err(error) => break error,
        }
    };
    assert_eq!(none_left.raw_os_error(), Some(libc::EMFILE));

    let mut back = [0; 5];
    file.read_exact_at(&mut back, 6).unwrap();
    assert_eq!(&back, b"world");
    let beyond = file.read_exact_at(&mut back, 7).unwrap_err();
    assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
}
