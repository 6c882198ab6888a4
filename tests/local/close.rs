//! File systems that say at `close(2)`, or at any other call, that they have not kept what they took: NFS, CIFS, FUSE,
//! quotas.

use std::io::Write as _;

use azuring_tests::{Call, Fixture, azuring, faulty_fs};

use crate::scene::{EDQUOT, EIO, ENOSPC, Files, PACKED, Scene, noise, plant, small};

/// Ways a file is written: small in one piece, large in ranges, each with the ring and with threads.
fn files() -> Files {
    let mut files = small(40);
    for n in 0..6 {
        files.insert(format!("large {n}"), noise(1000 + n, 700_000 + usize::try_from(n).unwrap()));
    }
    files
}

/// The job with these faults; it ends, and what has its name is whole. Returns how many calls failed.
fn with_faults(options: &[&str], io: &str, (call, errno, one_in, seed): (Call, i32, u32, u64)) -> u64 {
    let scene = Scene::new(files(), options);
    scene.disk.fail(call, errno, one_in, seed);
    let flags = ["--block-size-mb=0.25", "--lanes=2", "--retry-failed=0", io];
    let outcome = scene.run(&flags);
    let (calls, failed) = scene.disk.counts(call);
    let there = scene.whole();
    let _ = writeln!(
        std::io::stderr(),
        "{call:?} errno {errno} one in {one_in} seed {seed} {options:?} {io}: {failed} of {calls} calls failed, {there} of \
         {} files there, exit code {:?}",
        scene.files.len(),
        outcome.code
    );
    if failed == 0 {
        outcome.expect_code(0);
        assert_eq!(there, scene.files.len());
        return 0;
    }
    assert_ne!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(there < scene.files.len());
    scene.heals();
    failed
}

#[test]
fn a_file_whose_close_fails_does_not_get_its_name() {
    let mut failed = 0;
    for (seed, options) in
        [&[][..], &["tmpfile"], &["writeback"], &["tmpfile", "writeback"]].iter().enumerate()
    {
        for io in ["--io=auto", "--io=threads"] {
            failed += with_faults(options, io, (Call::Close, EIO, 4, seed as u64));
        }
    }
    failed += with_faults(&["tmpfile"], "--io=auto", (Call::Close, EDQUOT, 9, 7));
    assert!(failed > 30, "{failed} is too few to mean anything");
}

#[test]
fn nothing_else_that_fails_leaves_half_a_file() {
    let mut failed = 0;
    for (seed, (call, errno, one_in)) in [
        (Call::Write, ENOSPC, 15),
        (Call::Write, EIO, 9),
        (Call::Create, EIO, 9),
        (Call::MakeDirectory, EDQUOT, 3),
        (Call::Allocate, ENOSPC, 3),
        (Call::Link, EIO, 9),
        (Call::Rename, EIO, 9),
        (Call::SetAttributes, EIO, 9),
    ]
    .into_iter()
    .enumerate()
    {
        for options in [&[][..], &["tmpfile", "writeback"]] {
            failed += with_faults(options, "--io=auto", (call, errno, one_in, seed as u64));
        }
    }
    assert!(failed > 20, "{failed} is too few to mean anything");
}

/// Around the page cache, and through a decoder.
#[test]
fn nor_does_a_file_around_the_page_cache_or_one_that_is_unpacked() {
    let fixture = Fixture::new(azuring!());
    let directory = fixture.path().join("disk");
    std::fs::create_dir(&directory).unwrap();
    let disk = faulty_fs!(&directory, &["tmpfile"]);
    let large = noise(1, (64 << 20) + 5000);
    plant(&fixture, &Files::from([("large".to_owned(), large.clone())]));
    let source = fixture.url_of(azuring_tests::CONTAINER, "tree/large");
    let to = disk.path().join("large");
    let line = ["copy", &source, to.to_str().unwrap()];
    disk.fail(Call::Close, EIO, 1, 0);
    fixture.run(line).expect_code(1);
    assert!(!to.exists());
    disk.heal();
    fixture.run(line).expect_code(0);
    assert!(std::fs::read(&to).unwrap() == large);

    let packed = azsim::Seed {
        name: "packed".to_owned(),
        content: vec![PACKED.into()],
        content_encoding: "gzip".to_owned(),
        ..azsim::Seed::default()
    };
    fixture.server().plant(azuring_tests::DEVSTORE_ACCOUNT, azuring_tests::CONTAINER, [packed]);
    let source = fixture.url_of(azuring_tests::CONTAINER, "packed");
    let to = disk.path().join("unpacked");
    let line = ["copy", &source, to.to_str().unwrap(), "--decompress"];
    disk.fail(Call::Close, EDQUOT, 1, 0);
    fixture.run(line).expect_code(8);
    assert!(!to.exists());
    disk.heal();
    fixture.run(line).expect_code(0);
    assert_eq!(std::fs::read(&to).unwrap(), b"unpacked");
}
