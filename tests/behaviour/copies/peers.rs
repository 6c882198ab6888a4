//! Other people's programs make the same copies, unchanged, and Microsoft's library for Python tells what came of each:
//! type, headers, metadata, tags, tier, MD5, page ranges and bytes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use azuring_tests::{AzCopy, CONTAINER, Pypi, Stdin, azuring, run};
use serde_json::{Value, json};

use super::{Accounts, FROM, TO};

/// Asks Microsoft's library.
fn python(request: &Value) -> Value {
    let mut command = Pypi::get().python("copies.py");
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "azure-storage-blob: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Where the library finds a container.
fn place(accounts: &Accounts, account: &str, container: &str) -> Value {
    let server = accounts.fixture.server();
    let sas = server.account_sas(account, "rwdlact", Duration::from_secs(3600));
    json!({ "service": server.url(account), "sas": sas, "container": container })
}

fn state(accounts: &Accounts, account: &str, container: &str) -> Value {
    python(&json!({ "action": "state", "at": place(accounts, account, container) }))
}

/// A container of the destination's, with a SAS.
fn url(accounts: &Accounts, container: &str) -> String {
    accounts.url(TO, "").replacen(&format!("/{CONTAINER}"), &format!("/{container}"), 1)
}

fn rclone(accounts: &Accounts, to: &str) {
    let mut command = Command::new(Pypi::get().rclone());
    command.env_clear().env("HOME", accounts.fixture.path()).env("RCLONE_CONFIG", "/dev/null");
    for (remote, account) in [("A", FROM), ("B", TO)] {
        let at = place(accounts, account, "");
        let url = format!("{}?{}", at["service"].as_str().unwrap(), at["sas"].as_str().unwrap());
        command.env(format!("RCLONE_CONFIG_{remote}_TYPE"), "azureblob");
        command.env(format!("RCLONE_CONFIG_{remote}_SAS_URL"), url);
    }
    command.args([
        "copy",
        "--server-side-across-configs",
        "--metadata",
        "--azureblob-chunk-size=1M",
        "--azureblob-copy-cutoff=1M",
    ]);
    command.args([&format!("a:{CONTAINER}"), &format!("b:{to}")]);
    run(&mut command, Stdin::Closed, Duration::from_secs(120)).unwrap().expect_code(0);
}

/// What differs from the source in the copies of a tool, and of which blobs; of all, if none is named.
type Fields = &'static [(&'static str, &'static [&'static str])];

/// Blobs with tags.
const ALL: &[&str] =
    &["dir/a b+c%2F&d", "dir/\u{e4}\u{1F600}", "disk.vhd", "empty", "large.bin", "log.append", "small.txt"];
/// Block blobs with a tier of their own.
const COOL: &[&str] = &["dir/a b+c%2F&d", "dir/\u{e4}\u{1F600}", "empty", "large.bin", "small.txt"];
const PLAIN: &[&str] = &["plain"];
const DISK: &[&str] = &["disk.vhd"];

/// A tier that is the account's default becomes the blob's own, in azuring as in AzCopy; and what counts the writes of
/// a page blob (its sequence number) begins anew.
const AS_AZCOPY: Fields = &[("sequence number", DISK), ("tier", PLAIN)];

const TOOLS: [(&str, Fields); 5] = [
    ("direct", AS_AZCOPY),
    ("relay", AS_AZCOPY),
    // It copies the MiB around what was written of a page blob.
    ("azcopy", &[("page ranges", DISK), ("sequence number", DISK), ("tier", PLAIN)]),
    // It knows block blobs alone, no tags and no tiers, and keeps a time of its own with each.
    (
        "rclone",
        &[
            ("metadata", &[]),
            ("page ranges", DISK),
            ("sequence number", DISK),
            ("tags", ALL),
            ("tier", COOL),
            ("type", DISK),
        ],
    ),
    // The script names the tier that the listing tells.
    ("python", &[("tier", PLAIN)]),
];

#[test]
fn other_programs_copy_the_same() {
    let accounts = Accounts::of(azuring!());
    python(&json!({ "action": "fill", "at": place(&accounts, FROM, CONTAINER) }));
    let source = state(&accounts, FROM, CONTAINER);
    assert_eq!(source.as_object().unwrap().len(), ALL.len() + 1, "{source}");
    let (from, server) = (accounts.url(FROM, ""), accounts.fixture.server());
    let flags = ["--recursive", "--block-size-mb=1", "--put-blob-size-mb=1", "--s2s-preserve-blob-tags=true"];
    for (tool, differs) in TOOLS {
        assert!(server.create_container(TO, tool));
        let to = url(&accounts, tool);
        let before = server.service_requests().len();
        match tool {
            "azcopy" => {
                let line = [&["copy", &*from, &*to, "--from-to=BlobBlob"][..], &flags].concat();
                AzCopy::new().run(line).expect_code(0);
            }
            "rclone" => rclone(&accounts, tool),
            "python" => {
                let (from, to) = (place(&accounts, FROM, CONTAINER), place(&accounts, TO, tool));
                python(&json!({ "action": "copy", "from": from, "to": to }));
            }
            route => {
                let route = format!("--route={route}");
                accounts.fixture.run([&["copy", &*from, &*to, &*route][..], &flags].concat()).expect_code(0);
            }
        }
        // The account of the destination has read the source by itself, but for what goes through this host.
        let asked = &server.service_requests()[before..];
        assert_eq!(asked.is_empty(), tool == "relay", "{tool}: {asked:?}");
        for request in asked {
            assert_eq!((&*request.by, &*request.account, request.status / 100), (TO, FROM, 2), "{request:?}");
        }
        compare(tool, &source, &state(&accounts, TO, tool), differs);
    }
}

/// The copies are the source, but for what is said to differ: and that does.
#[track_caller]
fn compare(tool: &str, source: &Value, copies: &Value, differs: Fields) {
    let names = |state: &Value| state.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(copies), names(source), "{tool}");
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, was) in source.as_object().unwrap() {
        for (field, value) in was.as_object().unwrap() {
            let is = &copies[name][field];
            if is != value {
                println!("{tool}: {name}: {field}: {value} is {is}");
                found.entry(field).or_default().push(name);
            }
        }
    }
    let all: Vec<_> = source.as_object().unwrap().keys().map(String::as_str).collect();
    let every = |blobs: &'static [&'static str]| if blobs.is_empty() { all.clone() } else { blobs.to_vec() };
    let said: BTreeMap<&str, Vec<&str>> =
        differs.iter().map(|(field, blobs)| (*field, every(blobs))).collect();
    assert_eq!(found, said, "{tool}: found, said");
}
