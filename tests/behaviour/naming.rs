//! What a local file is called in the container.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Tls;
use azuring_tests::{Azuring, CONTAINER, ConnectProxy, DEVSTORE_ACCOUNT, Fixture, azuring};

/// Runs `azuring copy ARGS` with `@` standing for the temp dir and `%PATH` for a URL below the container.
fn copy(fixture: &Fixture, source: &str, destination: &str, more: &[&str]) -> azuring_tests::Outcome {
    let source = source.replace('@', fixture.path().to_str().unwrap());
    let url = fixture.url_of("data", destination);
    let mut args = vec!["copy", &source, &url];
    args.extend(more);
    fixture.run(args)
}

fn tree() -> Fixture {
    let fixture = Fixture::new(azuring!());
    for name in ["top.txt", "sub/a.bin", "sub/deep/b", ".hidden"] {
        fixture.file(&format!("dir/{name}"), name.as_bytes());
    }
    fixture
}

#[test]
fn a_directory_keeps_its_name_and_its_contents_do_not() {
    let whole = ["/.hidden", "/sub/a.bin", "/sub/deep/b", "/top.txt"];
    let below = |prefix: &str| whole.map(|name| format!("{prefix}{name}").trim_start_matches('/').to_owned());
    for (source, destination, prefix) in [
        ("@/dir", "", "dir"),
        ("@/dir/", "", "dir"),
        ("@/dir/sub/..", "", "dir"),
        ("@/dir/*", "", ""),
        ("@/dir", "some/path", "some/path/dir"),
        ("@/dir/*", "some/path", "some/path"),
        ("@/dir/*", "some/path/", "some/path"),
    ] {
        let fixture = tree();
        copy(&fixture, source, destination, &["--recursive"]).expect_code(0);
        assert_eq!(fixture.names(), below(prefix), "{source} to {destination}");
    }
}

#[test]
fn without_recursive_only_direct_files_go() {
    let fixture = tree();
    let outcome = copy(&fixture, "@/dir", "", &[]);
    outcome.expect_code(2);
    let text = "cannot use directory as source without --recursive or a trailing wildcard (/*)";
    assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    copy(&fixture, "@/dir/*", "", &[]).expect_code(0);
    assert_eq!(fixture.names(), [".hidden", "top.txt"]);
}

#[test]
fn one_file_is_named_by_the_destination_or_by_itself() {
    for (destination, name) in
        [("", "top.txt"), ("new%20name.bin", "new name.bin"), ("folder/", "folder/top.txt"), ("a/b", "a/b")]
    {
        let fixture = tree();
        copy(&fixture, "@/dir/top.txt", destination, &["--from-to=LocalBlob"]).expect_code(0);
        assert_eq!(fixture.names(), [name]);
        assert_eq!(fixture.content(name), b"top.txt");
    }
}

#[test]
fn a_link_to_a_file_is_followed_when_it_is_named_and_skipped_when_it_is_found() {
    let fixture = tree();
    std::os::unix::fs::symlink("top.txt", fixture.path().join("dir/link")).unwrap();
    copy(&fixture, "@/dir/link", "", &[]).expect_code(0);
    assert_eq!(fixture.names(), ["link"]);
    assert_eq!(fixture.content("link"), b"top.txt");

    let fixture = tree();
    std::os::unix::fs::symlink("top.txt", fixture.path().join("dir/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(fixture.path().join("dir/socket")).unwrap();
    let outcome = copy(&fixture, "@/dir", "", &["--recursive"]);
    outcome.expect_code(0);
    assert_eq!(fixture.names().len(), 4);
    assert_eq!(outcome.field("Number of Symbolic Links Skipped"), Some("1"));
    assert_eq!(outcome.field("Number of Special Files Skipped"), Some("1"));
    assert_eq!(outcome.field("Final Job Status"), Some("CompletedWithSkipped"));
}

#[test]
fn patterns_choose_and_a_name_that_exists_wins_over_its_meaning_as_a_pattern() {
    let fixture = tree();
    copy(&fixture, "@/dir/t*", "", &[]).expect_code(0);
    assert_eq!(fixture.names(), ["top.txt"]);

    let fixture = tree();
    fixture.file("dir/t*", b"a star");
    copy(&fixture, "@/dir/t*", "", &[]).expect_code(0);
    assert_eq!(fixture.names(), ["t*"]);

    let outcome = copy(&fixture, "@/dir/none*", "", &[]);
    outcome.expect_code(4);
    assert!(outcome.stderr.contains("nothing matches"), "{}", outcome.stderr);
}

#[test]
fn a_name_that_is_not_utf8_fails_alone_and_shows_its_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = tree();
    let name = std::ffi::OsStr::from_bytes(b"bad\xff.txt");
    std::fs::write(fixture.path().join("dir").join(name), b"x").unwrap();
    let outcome = copy(&fixture, "@/dir", "", &["--recursive"]);
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("bad\\xff.txt"), "{}", outcome.stderr);
    assert_eq!(fixture.names().len(), 4);
    assert_eq!(outcome.field("Number of File Transfers Failed"), Some("1"));
    assert_eq!(outcome.field("Final Job Status"), Some("CompletedWithErrors"));
}

/// A server that changes names as the service does, and azuring with a proxy that leads to it under the service's own
/// host name: `URL` of the container there, and `SAS`.
fn at_the_service() -> (Fixture, Azuring, String, String) {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned).service_names(true));
    let proxy = ConnectProxy::start(fixture.server().addr());
    let azuring = azuring!().trust(&fixture.ca_file()).env("HTTPS_PROXY", proxy.url());
    let sas = fixture.url().split_once('?').unwrap().1.to_owned();
    let url = format!("https://{DEVSTORE_ACCOUNT}.blob.core.windows.net/{CONTAINER}");
    (fixture, azuring, url, sas)
}

/// Names that the service stores under another name, and that name.
const CHANGED: [(&str, &str); 4] = [("a\\b", "a/b"), ("c.", "c"), ("d./e", "d/e"), ("f/g...", "f/g")];

#[test]
fn a_file_whose_name_the_service_would_change_takes_no_others_place() {
    let (fixture, azuring, url, sas) = at_the_service();
    for (changed, stored) in CHANGED {
        fixture.file(&format!("dir/{changed}"), b"another");
        fixture.file(&format!("dir/{stored}"), stored.as_bytes());
    }
    let source = fixture.path().join("dir/*");
    let to = format!("{url}?{sas}");
    let outcome = azuring.run(["copy", source.to_str().unwrap(), &to, "--recursive"]);
    outcome.expect_code(1);
    assert_eq!(outcome.field("Number of File Transfers Failed"), Some("4"));
    assert_eq!(fixture.names(), CHANGED.map(|(_, stored)| stored));
    for (changed, stored) in CHANGED {
        assert_eq!(fixture.content(stored), stored.as_bytes());
        // A place that somebody names goes the same way, and so does a pipe.
        let encoded = changed.replace('\\', "%5C");
        let file = fixture.file("x", b"another");
        for from in [file.to_str().unwrap(), "-"] {
            let to = format!("{url}/{encoded}?{sas}");
            let from_to = if from == "-" { "--from-to=PipeBlob" } else { "--from-to=LocalBlob" };
            let refused = azuring.run(["copy", from, &to, from_to]);
            assert_ne!(refused.code, Some(0), "{changed} {from}");
            let text = format!("the service would store this name as `{stored}`");
            let told = format!("{}{}", refused.stdout, refused.stderr);
            assert!(told.contains(&text), "{changed} {from}: {told}");
        }
        assert_eq!(fixture.content(stored), stored.as_bytes());
    }
}

#[test]
fn under_a_domain_of_its_own_the_service_changes_names_too() {
    let directory = tempfile::tempdir().unwrap();
    let (.., sas) = at_the_service();
    for (changed, stored) in CHANGED.iter().filter(|(changed, _)| !changed.contains('/')) {
        let file = directory.path().join(changed);
        std::fs::write(&file, b"another").unwrap();
        for host in ["data.contoso.com", "acc.dfs.core.windows.net"] {
            // Nobody is asked: there is no such host here.
            let to = format!("http://{host}/cont/?{sas}");
            let refused = azuring!().run(["copy", file.to_str().unwrap(), &to, "--from-to=LocalBlob"]);
            refused.expect_code(1);
            let text = format!("the service would store this name as `{stored}`");
            assert!(refused.stderr.contains(&text), "{changed} {host}: {}", refused.stderr);
        }
    }
}

/// Hosts that lead to the service and do not have its name: a domain of the account's own, and the other endpoint.
const OTHER_HOSTS: [&str; 2] = ["contoso.com", "dfs.core.windows.net"];

/// The same server under these hosts, over http; for each the URL of the container and the SAS. What goes over http to
/// a proxy names the host in the request itself, so the server can be its own proxy.
fn at_other_hosts() -> (Fixture, Azuring, Vec<(String, String)>) {
    let fixture = Fixture::with(azuring!(), |server| server.service_names(true));
    let azuring = azuring!().env("HTTP_PROXY", format!("http://{}", fixture.server().addr()));
    let sas = fixture.url().split_once('?').unwrap().1.to_owned();
    let url = |host| (format!("http://{DEVSTORE_ACCOUNT}.{host}/{CONTAINER}"), sas.clone());
    let urls = OTHER_HOSTS.map(url).to_vec();
    (fixture, azuring, urls)
}

#[test]
fn at_other_hosts_of_the_service_no_file_takes_anothers_place() {
    let (fixture, azuring, urls) = at_other_hosts();
    for (name, content) in [("a/b.txt", "a/b"), ("dot", "dot"), ("a\\b.txt", "other"), ("dot.", "other")] {
        fixture.file(&format!("dir/{name}"), content.as_bytes());
    }
    let source = fixture.path().join("dir/*");
    for (url, sas) in urls {
        let to = format!("{url}?{sas}");
        let outcome =
            azuring.run(["copy", source.to_str().unwrap(), &to, "--recursive", "--from-to=LocalBlob"]);
        outcome.expect_code(1);
        assert_eq!(outcome.field("Number of File Transfers Failed"), Some("2"), "{url}");
        assert_eq!(outcome.field("Number of File Transfers Completed"), Some("2"), "{url}");
        for name in ["a%5Cb.txt", "dot."] {
            let to = format!("{url}/{name}?{sas}");
            let refused = azuring.run(["copy", "-", &to, "--from-to=PipeBlob"]);
            refused.expect_code(1);
            assert!(refused.stderr.contains("would store this name as"), "{url} {}", refused.stderr);
        }
        assert_eq!(fixture.names(), ["a/b.txt", "dot"]);
        assert_eq!((fixture.content("a/b.txt"), fixture.content("dot")), (b"a/b".to_vec(), b"dot".to_vec()));
    }
}

#[test]
fn what_the_service_takes_for_another_blob_is_not_read_changed_or_removed() {
    let (fixture, azuring, urls) = at_other_hosts();
    fixture.upload(&fixture.file("b", b"a/b"), &["--from-to=LocalBlob"]).expect_code(0);
    for name in ["a/b", "dot", "plain"] {
        let to = fixture.url_of(CONTAINER, name);
        fixture.run(["copy", fixture.file("x", b"mine").to_str().unwrap(), &to]).expect_code(0);
    }
    let list = fixture.file("list", b"a\\b\ndot.\nplain\n");
    let list = format!("--list-of-files={}", list.display());
    for (url, sas) in urls {
        let target = fixture.path().join("target");
        let told = |args: &[&str]| {
            let outcome = azuring.run(args);
            assert_ne!(outcome.code, Some(0), "{args:?}");
            let text = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(text.contains("would store this name as"), "{args:?}: {text}");
            assert!(!outcome.stdout.contains("mine"), "{args:?}: {text}");
            assert_eq!(fixture.names(), ["a/b", "b", "dot", "plain"], "{args:?}");
            outcome
        };
        for name in ["a%5Cb", "dot."] {
            let blob = format!("{url}/{name}?{sas}");
            let of_blobs = |name: &'static str| format!("--from-to={name}");
            told(&["copy", &blob, target.to_str().unwrap(), &of_blobs("BlobLocal")]);
            told(&["copy", &blob, "-", &of_blobs("BlobPipe")]);
            told(&["list", &blob, "--location=Blob"]);
            told(&["remove", &blob, &of_blobs("BlobTrash")]);
            told(&["remove", &blob, "--recursive", &of_blobs("BlobTrash")]);
            told(&["set-properties", &blob, "--metadata=a=b", &of_blobs("BlobNone")]);
            told(&["set-properties", &blob, "--block-blob-tier=Cool", &of_blobs("BlobNone")]);
            assert!(!target.exists());
        }
        // What else a list names is done.
        let all = format!("{url}/?{sas}");
        let downloaded = told(&["copy", &all, target.to_str().unwrap(), &list, "--from-to=BlobLocal"]);
        assert_eq!(downloaded.field("Number of File Transfers Completed"), Some("1"));
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 1);
        std::fs::remove_dir_all(&target).unwrap();
        let set = ["set-properties", &all, "--metadata=a=b", &list, "--from-to=BlobNone"];
        assert_eq!(told(&set).field("Number of File Transfers Completed"), Some("1"));
        let blobs = fixture.blobs();
        let marked = |name: &str| !blobs.iter().find(|blob| blob.name == name).unwrap().metadata.is_empty();
        assert_eq!(["a/b", "dot", "plain"].map(marked), [false, false, true]);
    }
}

#[test]
fn what_a_listing_names_and_the_service_would_take_for_another_is_left_alone() {
    // A server that keeps every name, under a host that may be the service's.
    let fixture = Fixture::new(azuring!());
    for name in ["a%5Cb", "a/b", "dot", "dot."] {
        let to = fixture.url_of(CONTAINER, name);
        let file = fixture.file("x", name.as_bytes());
        fixture.run(["copy", file.to_str().unwrap(), &to]).expect_code(0);
    }
    let azuring = azuring!().env("HTTP_PROXY", format!("http://{}", fixture.server().addr()));
    let sas = fixture.url().split_once('?').unwrap().1.to_owned();
    let url = format!("http://{DEVSTORE_ACCOUNT}.contoso.com/{CONTAINER}?{sas}");
    let target = fixture.path().join("target");
    std::fs::create_dir(&target).unwrap();
    let downloaded = azuring.run(["copy", &url, target.to_str().unwrap(), "--recursive"]);
    let removed = azuring.run(["remove", &url, "--recursive"]);
    for (outcome, what) in [(downloaded, "download"), (removed, "removal")] {
        outcome.expect_code(1);
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(told.matches("would store this name as").count(), 2, "{what}: {told}");
    }
    let read = |name: &str| std::fs::read(target.join(CONTAINER).join(name)).unwrap();
    assert_eq!((read("a/b"), read("dot")), (b"a/b".to_vec(), b"dot".to_vec()));
    assert!(!target.join(CONTAINER).join("dot.").exists());
    assert_eq!(fixture.names(), ["a\\b", "dot."]);
}

#[test]
fn the_same_server_under_another_name_shows_what_the_service_does() {
    // As an emulator it gets the names as they are: without the guard they take the place of others.
    let (fixture, ..) = at_the_service();
    for (changed, stored) in CHANGED {
        fixture.file(&format!("{stored}.dir/{changed}"), changed.as_bytes());
        let source = fixture.path().join(format!("{stored}.dir/*"));
        let url = fixture.url_of(CONTAINER, "");
        let azuring = azuring!().trust(&fixture.ca_file());
        azuring.run(["copy", source.to_str().unwrap(), &url, "--recursive"]).expect_code(0);
        assert_eq!(fixture.content(stored), changed.as_bytes());
    }
    assert_eq!(fixture.names(), CHANGED.map(|(_, stored)| stored));
}
