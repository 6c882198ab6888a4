//! What is wrong is told in one line: what, which object, and what to do; and the exit code tells as well.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use azsim::Tls;
use azuring_tests::{Azuring, ClosedPort, DEVSTORE_ACCOUNT, Fixture, Outcome, azuring};

/// Asserts the exit code and that one line of stderr holds all of `parts`.
#[track_caller]
fn told(outcome: &Outcome, code: i32, parts: &[&str]) {
    outcome.expect_code(code);
    let line = outcome.stderr.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    assert!(line.is_some(), "no line with {parts:?} in:\n{}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn sources_that_are_not_there() {
    let fixture = Fixture::new(azuring!());
    told(&fixture.upload("/no/such/file".as_ref(), &[]), 4, &["/no/such/file"]);
    told(&fixture.upload("".as_ref(), &[]), 2, &["SOURCE"]);
    let file = fixture.file("file", b"x");
    told(&fixture.upload(&file.join("below"), &[]), 4, &["file/below"]);
    let socket = fixture.path().join("socket");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    told(&fixture.upload(&socket, &[]), 4, &["socket"]);
    assert_eq!(fixture.server().stats().requests, 0, "nothing was sent");
}

#[test]
fn urls_that_are_wrong() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("file", b"x");
    let file = file.to_str().unwrap();
    let to = |url: &str| fixture.run(["copy", file, url]);
    told(&to("https://account.blob.core.windows.net/?sv=1"), 2, &["names no container", "CONTAINER"]);
    told(&to("http://127.0.0.1:10000/devstoreaccount1"), 2, &["names no container"]);
    told(&to("https://account.blob.core.windows.net/UPPER"), 2, &["UPPER", "not a container name"]);
    told(
        &to("https://account.blob.core.windows.net/cont?sv=2024-11-04"),
        3,
        &["SAS", "no signature", "quotes"],
    );
    told(&to("https://account.blob.core.windows.net/cont?sv=1&se=2&sig=short"), 3, &["signature (sig)"]);
    told(&to("not-a-url"), 2, &["neither source nor destination is a URL"]);
    let between = |to: &str| fixture.run(["copy", "https://a.blob.core.windows.net/cont/x", to]);
    told(
        &between("https://b.blob.core.windows.net"),
        2,
        &["to the root of a service", "container or directory"],
    );
    told(&between("https://b.file.core.windows.net/share"), 2, &["BlobFile: this version moves between"]);
}

#[test]
fn flags_that_are_wrong() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("file", b"x");
    for (flags, parts) in [
        (&["--block-size-mb=abc"][..], &["abc"][..]),
        (&["--block-size-mb=9999"], &["9999"]),
        (&["--metadata=a-b=1"], &["a-b", "metadata"]),
        (&["--metadata=a"], &["--metadata: a: it has no `=`"]),
        (&["--block-blob-tier=Warm"], &["Warm", "Hot, Cool, Cold or Archive"]),
        (&["--memory=1M"], &["at least 64 MiB"]),
        (&["--memory=64M", "--block-size-mb=100"], &["--memory"]),
        (&["--concurrency=0"], &["concurrency"]),
        (&["--max-tries=0"], &["max-tries"]),
        (&["--ca-file=/no/such.pem"], &[]),
        (&["--no-such-flag"], &["--no-such-flag"]),
        (&["--cache-control=ä"], &["cache-control", "ASCII"]),
    ] {
        let url = "https://account.blob.core.windows.net/cont";
        let mut args = vec!["copy", file.to_str().unwrap(), url];
        args.extend(flags);
        told(&fixture.run(args), 2, parts);
    }
    told(&fixture.run(["copy"]), 2, &["SOURCE"]);
}

#[test]
fn a_wrong_key_stops_the_job_and_says_what_to_check() {
    let wrong = azuring!().env("AZURE_STORAGE_KEY", "d3Jvbmcga2V5");
    let fixture = Fixture::new(wrong);
    for n in 0..500 {
        fixture.file(&format!("tree/{n}"), b"x");
    }
    let url = format!("{}/data", fixture.server().url(DEVSTORE_ACCOUNT));
    let tree = fixture.path().join("tree");
    let outcome = fixture.run(["copy", tree.to_str().unwrap(), &url, "--recursive", "--concurrency=8"]);
    told(&outcome, 3, &["the job was stopped", "AuthenticationFailed", "check the key", "clock"]);
    assert_eq!(outcome.field("Final Job Status"), Some("Failed"));
    let requests = fixture.server().stats().requests;
    assert!(requests <= 16, "{requests} requests were sent in vain");
    assert!(!outcome.stderr.contains("d3Jvbmcga2V5"));
    // The files in flight, eight or a few more, met the same answer.
    let failed: Vec<_> = outcome.stderr.lines().filter(|line| line.starts_with("failed:")).collect();
    assert_eq!(failed.len(), 4, "{failed:?}");
    assert!(failed[3].contains("… and ") && failed[3].contains(" more like it: "), "{failed:?}");

    let garbled = Fixture::new(azuring!().env("AZURE_STORAGE_KEY", "not base64!"));
    let file = garbled.file("x", b"x");
    let url = format!("{}/data", garbled.server().url(DEVSTORE_ACCOUNT));
    told(&garbled.run(["copy", file.to_str().unwrap(), &url]), 3, &["not base64"]);
}

#[test]
fn no_credential_at_all() {
    let fixture = Fixture::with(azuring!(), |server| {
        server.account(DEVSTORE_ACCOUNT, azsim::DEVSTORE_KEY).account("other", azsim::DEVSTORE_KEY)
    });
    fixture.server().create_container("other", "data");
    let file = fixture.file("x", b"x");
    let url = format!("{}/data", fixture.server().url("other"));
    told(&fixture.run(["copy", file.to_str().unwrap(), &url]), 3, &["without a credential", "SAS"]);
    // The same with the key in either variable, and in a connection string.
    let key = azsim::DEVSTORE_KEY;
    let connection = format!("DefaultEndpointsProtocol=http;AccountName=other;AccountKey={key}");
    for (name, value) in [
        ("AZURE_STORAGE_KEY", key),
        ("AZCOPY_ACCOUNT_KEY", key),
        ("AZURE_STORAGE_CONNECTION_STRING", connection.as_str()),
    ] {
        let run = azuring!().env(name, value).run(["copy", file.to_str().unwrap(), &url]);
        run.expect_code(0);
    }
    assert_eq!(fixture.server().blobs("other", "data").len(), 1);
}

#[test]
fn a_container_that_does_not_exist_stops_the_job() {
    let fixture = Fixture::new(azuring!());
    for n in 0..300 {
        fixture.file(&format!("tree/{n}"), b"x");
    }
    let tree = fixture.path().join("tree");
    let url = fixture.url_of("missing", "");
    let outcome = fixture.run(["copy", tree.to_str().unwrap(), &url, "--recursive", "--concurrency=4"]);
    told(&outcome, 1, &["the job was stopped", "ContainerNotFound", "create the container"]);
    assert!(fixture.server().stats().requests <= 8);
}

#[test]
fn hosts_and_ports_that_do_not_answer() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("x", b"x");
    let to = |url: &str, flags: &[&str]| {
        let mut args = vec!["copy", file.to_str().unwrap(), url];
        args.extend(flags);
        fixture.run(args)
    };
    let unknown = to("https://no-such-account.invalid/cont", &[]);
    told(&unknown, 5, &["no-such-account.invalid", "cannot be resolved", "DNS"]);

    let port = ClosedPort::new();
    let closed = format!("http://{}/devstoreaccount1/cont", port.address());
    told(&to(&closed, &[]), 5, &["cannot connect to 127.0.0.1", "check host and port"]);

    // Takes connections (the kernel does) and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/devstoreaccount1/cont", silent.local_addr().unwrap());
    told(&to(&url, &["--stall-seconds=1", "--max-tries=2"]), 5, &["no byte moved for 1 s", "after 2 tries"]);

    // Something that is no HTTP server.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/devstoreaccount1/cont", other.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in other.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    told(&to(&url, &["--max-tries=2"]), 5, &["the connection broke", "after 2 tries"]);
}

#[test]
fn a_certificate_that_does_not_verify() {
    let fixture = Fixture::with(azuring!(), |server| server.tls(Tls::SelfSigned));
    let file = fixture.file("x", b"x");
    let url = fixture.url();
    let stranger = azuring!().run(["copy", file.to_str().unwrap(), &url]);
    told(&stranger, 5, &["certificate of 127.0.0.1 does not verify", "--ca-file"]);
    let flagged = azuring!().run([
        "copy",
        file.to_str().unwrap(),
        &url,
        "--ca-file",
        fixture.ca_file().to_str().unwrap(),
    ]);
    flagged.expect_code(0);
    assert_eq!(fixture.names(), ["x"]);
}

/// Root may read everything, so the program runs as nobody.
#[test]
fn files_and_directories_that_may_not_be_read() {
    let program = env!("CARGO_BIN_EXE_azuring-under-test");
    let fixture = Fixture::new(Azuring::new("setpriv"));
    for name in ["a/readable", "b/secret", "closed/inside", "z/readable"] {
        fixture.file(&format!("tree/{name}"), name.as_bytes());
    }
    let open = |path: &str, mode: u32| {
        let path = fixture.path().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for path in ["", "tree", "tree/a", "tree/b", "tree/z"] {
        open(path, 0o755);
    }
    open("tree/b/secret", 0o000);
    open("tree/closed", 0o000);
    // The program may lie in a directory that nobody may enter.
    let copy = fixture.path().join("azuring");
    std::fs::copy(program, &copy).unwrap();
    let tree = fixture.path().join("tree");
    let url = fixture.url();
    let (copy, tree) = (copy.to_str().unwrap(), tree.to_str().unwrap());
    let root = rustix_is_root();
    // The home of the tests is not nobody's.
    let args = ["copy", tree, &url, "--recursive", "--no-journal"];
    let outcome = if root {
        let user = ["--reuid=65534", "--regid=65534", "--clear-groups", copy];
        fixture.run(user.into_iter().chain(args))
    } else {
        Azuring::new(copy).run(args)
    };
    open("tree/closed", 0o755);
    told(&outcome, 1, &["failed:", "b/secret", "denied"]);
    told(&outcome, 1, &["failed:", "closed", "denied"]);
    assert_eq!(fixture.names(), ["tree/a/readable", "tree/z/readable"]);
}

fn rustix_is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

#[test]
fn no_output_ever_shows_a_signature_or_a_key() {
    let fixture = Fixture::new(azuring!().env("AZURE_STORAGE_KEY", azsim::DEVSTORE_KEY));
    for n in 0..20 {
        fixture.file(&format!("tree/{n}"), b"x");
    }
    let tree = fixture.path().join("tree");
    let tree = tree.to_str().unwrap();
    let expired = fixture.server().account_sas(DEVSTORE_ACCOUNT, "r", Duration::from_secs(3600));
    let base = fixture.server().url(DEVSTORE_ACCOUNT);
    let urls = [
        fixture.url(),
        fixture.url_of("missing", ""),
        format!("{base}/data?{expired}"),
        format!("{base}/UPPER?{expired}"),
        format!("http://127.0.0.1:1/devstoreaccount1/data?{expired}"),
        format!("{base}/data"),
    ];
    let signatures: Vec<String> =
        urls.iter().filter_map(|url| Some(url.split_once("sig=")?.1.split('&').next()?.to_owned())).collect();
    assert_eq!(signatures.len(), 5);
    for url in &urls {
        let outcome = fixture.run(["copy", tree, url, "--recursive"]);
        let output = outcome.stdout + &outcome.stderr;
        assert!(!output.is_empty());
        for secret in signatures.iter().map(String::as_str).chain([azsim::DEVSTORE_KEY]) {
            let decoded = secret.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
            assert!(!output.contains(secret) && !output.contains(&decoded), "{output}");
        }
    }
}

#[test]
fn urls_in_the_wrong_place_are_not_repeated_with_their_secrets() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("file", b"x");
    let file = file.to_str().unwrap();
    let base = "https://account.blob.core.windows.net/cont";
    let query = "sv=2024-11-04&se=2099-01-01&sig=Canary%2BCanary%3D";
    let url = format!("{base}?{query}");
    let typo = format!("{base}&{query}");
    let one_slash = format!("https:/account.blob.core.windows.net/cont?{query}");
    let flag = |name: &str| format!("--{name}={url}");
    let user = "https://user:Canary@host.example/cont";
    for (args, code, parts) in [
        (&["copy", file, base, &url][..], 2, &["unexpected argument", "cont?REDACTED"][..]),
        (&["copy", "file1", "file2", base], 2, &["in quotes", "'dir/*'"]),
        (&[&url], 2, &["unrecognized subcommand", "cont?REDACTED"]),
        (
            &["copy", file, base, &flag("from-to")],
            2,
            &["not a combination of source and destination", "cont?REDACTED"],
        ),
        (&["copy", file, base, "--from-to", &typo], 2, &["not a combination", "sig=REDACTED"]),
        (&["copy", file, base, &flag("concurrency")], 2, &["invalid value", "REDACTED"]),
        (&["copy", file, base, &flag("block-size-mb")], 2, &["REDACTED"]),
        (&["copy", file, base, &flag("block-blob-tier")], 2, &["is not a tier", "REDACTED"]),
        (&["copy", file, base, &flag("ca-file")], 2, &["REDACTED"]),
        (&["copy", file, &typo], 2, &["a SAS stands in its path", "begins with `?`"]),
        (&["copy", file, user], 2, &["//REDACTED@host.example/cont", "user name"]),
        (&[user], 2, &["unrecognized subcommand", "//REDACTED@host.example/cont"]),
        (&["copy", file, base, user], 2, &["//REDACTED@host.example/cont"]),
        (&["copy", &one_slash, base], 4, &["no such file"]),
        (&["copy", &url, base], 3, &["source: the SAS in the URL is not valid"]),
        (&["demo", &url], 1, &["azuring demo", "no such file"]),
    ] {
        let outcome = fixture.run(args);
        told(&outcome, code, parts);
        let output = outcome.stdout + &outcome.stderr;
        assert!(!output.contains("Canary"), "{args:?}: {output}");
    }
}

#[test]
fn help_is_printed_as_it_is() {
    let help = azuring!().run(["copy", "--help"]);
    help.expect_code(0);
    assert!(help.stdout.contains("CONTAINER/PATH?SAS"), "{}", help.stdout);
    let bare = azuring!().run([""; 0]);
    bare.expect_code(2);
    assert!(bare.stderr.contains("Usage:"), "{}", bare.stderr);
}

#[test]
fn an_empty_concurrency_variable_counts_as_not_set() {
    for value in ["", " ", "AUTO"] {
        let fixture = Fixture::new(azuring!().env("AZCOPY_CONCURRENCY_VALUE", value));
        fixture.upload(&fixture.file("x", b"x"), &[]).expect_code(0);
        assert_eq!(fixture.names(), ["x"]);
    }
    let fixture = Fixture::new(azuring!().env("AZCOPY_CONCURRENCY_VALUE", "many"));
    told(&fixture.upload(&fixture.file("x", b"x"), &[]), 2, &["many", "AUTO"]);
}
