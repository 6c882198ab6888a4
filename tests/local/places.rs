//! What the user named as the destination is looked at through links.

use std::fs;
use std::os::unix::fs::symlink;

use azsim::Seed;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture, azuring};

fn fixture() -> (Fixture, String) {
    let fixture = Fixture::new(azuring!());
    let blob = Seed { name: "blob".to_owned(), content: vec!["content".into()], ..Seed::default() };
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, [blob]);
    let url = fixture.url_of(CONTAINER, "blob");
    (fixture, url)
}

#[test]
fn devices_pipes_and_descriptors_are_not_replaced_by_a_file() {
    let (fixture, url) = fixture();
    let at = |name: &str| fixture.path().join(name);
    let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(made.success());
    for (leads_to, name) in [
        ("/dev/stdout", "to stdout"),
        ("/dev/fd/1", "to fd"),
        ("/proc/self/fd/2", "to stderr"),
        ("/dev/full", "to device"),
        ("pipe", "to pipe"),
    ] {
        symlink(leads_to, at(name)).unwrap();
    }
    let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for name in ["to stdout", "to fd", "to stderr", "to device", "to pipe", "pipe", "socket"] {
        let before = fs::symlink_metadata(at(name)).unwrap().file_type();
        let refused = fixture.run(["copy", &url, at(name).to_str().unwrap()]);
        refused.expect_code(2);
        assert!(refused.stderr.contains("azuring copy URL - > "), "{name}: {}", refused.stderr);
        assert_eq!(fs::symlink_metadata(at(name)).unwrap().file_type(), before, "{name}");
        assert_eq!(refused.stdout.matches("content").count(), 0);
    }
    assert_eq!(fixture.server().stats().requests, 0, "nothing is asked for");
}

#[test]
fn a_link_to_a_file_stays_and_the_file_is_written() {
    let (fixture, url) = fixture();
    let at = |name: &str| fixture.path().join(name);
    fs::create_dir(at("real")).unwrap();
    fs::write(at("real/file"), "old").unwrap();
    symlink("real/file", at("link")).unwrap();
    symlink("real/new", at("dangling")).unwrap();
    symlink("real", at("dir")).unwrap();
    for (to, file) in [("link", "real/file"), ("dangling", "real/new"), ("dir", "real/blob")] {
        fixture.run(["copy", &url, at(to).to_str().unwrap()]).expect_code(0);
        assert!(fs::symlink_metadata(at(to)).unwrap().is_symlink(), "{to}");
        assert_eq!(fs::read(at(file)).unwrap(), b"content", "{to}");
        assert!(!fs::symlink_metadata(at(file)).unwrap().is_symlink(), "{to}");
    }
    let mut left: Vec<_> =
        fs::read_dir(at("real")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["blob", "file", "new"]);
}

#[test]
fn dev_null_keeps_nothing_by_whatever_name() {
    let (fixture, url) = fixture();
    let link = fixture.path().join("null");
    symlink("/dev/null", &link).unwrap();
    for to in ["/dev/null", link.to_str().unwrap()] {
        let done = fixture.run(["copy", &url, to]);
        done.expect_code(0);
        assert_eq!(done.field("Number of File Transfers Completed"), Some("1"));
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_source_that_is_a_pipe_says_how_it_is_uploaded() {
    let (fixture, _) = fixture();
    let pipe = fixture.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let refused = fixture.upload(&pipe, &[]);
    refused.expect_code(4);
    assert!(refused.stderr.contains("azuring copy - URL < "), "{}", refused.stderr);
}

#[test]
fn a_file_that_says_it_is_empty_and_is_not_fails_with_advice() {
    let (fixture, _) = fixture();
    let refused = fixture.upload(std::path::Path::new("/proc/cpuinfo"), &[]);
    refused.expect_code(1);
    assert!(refused.stderr.contains("azuring copy - URL < FILE"), "{}", refused.stderr);
    assert_eq!(fixture.names(), ["blob"]);
    for blob_type in ["AppendBlob", "PageBlob"] {
        let refused =
            fixture.upload(std::path::Path::new("/proc/cpuinfo"), &[&format!("--blob-type={blob_type}")]);
        refused.expect_code(1);
        assert_eq!(fixture.names(), ["blob"]);
    }
    // One that is empty.
    let empty = fixture.file("empty", b"");
    fixture.upload(&empty, &[]).expect_code(0);
    assert_eq!(fixture.content("empty"), b"");
}
