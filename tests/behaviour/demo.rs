//! The demo proves itself and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;

use azuring_bench::workload::awkward_tree;
use azuring_tests::{azuring, wait_until};

#[test]
fn a_generated_tree_is_uploaded_and_compared() {
    let scratch = tempfile::tempdir().unwrap();
    let outcome = azuring!().env("TMPDIR", scratch.path()).run(["demo", "--files=2000", "--large-mib=24"]);
    outcome.expect_code(0);
    for part in
        ["files/s", "MiB/s", "us of CPU time per file", "of memory at most", "2,001 blobs equal", "0 differ"]
    {
        assert!(outcome.stdout.contains(part), "{part} in:\n{}", outcome.stdout);
    }
    assert!(
        outcome
            .stdout
            .contains("azuring copy 'DIR' 'https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS' --recursive")
    );
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_given_directory_is_used_and_not_changed() {
    let scratch = tempfile::tempdir().unwrap();
    let source = tempfile::tempdir().unwrap();
    let tree = awkward_tree(&source.path().join("tree")).unwrap();
    let outcome = azuring!().env("TMPDIR", scratch.path()).run(["demo", tree.root.to_str().unwrap()]);
    outcome.expect_code(0);
    assert!(outcome.stdout.contains("2,000 blobs equal"), "{}", outcome.stdout);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(std::fs::read_dir(source.path()).unwrap().count(), 1);
}

/// The ids of the servers that were started by `parent`. One that has not become a server yet must not be stopped: it
/// holds what it has of its parent open.
fn servers_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let is_server = command.split(|byte| *byte == 0).any(|argument| argument == b"demo-server");
        is_server
            && status.lines().any(|line| {
                line.strip_prefix("PPid:").is_some_and(|parent_id| parent_id.trim() == parent.to_string())
            })
    };
    ids.filter(is_child).collect()
}

/// Sends SIGSTOP.
fn stop(id: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
}

#[test]
fn two_interrupts_leave_nothing_behind() {
    let source = tempfile::tempdir().unwrap();
    let tree = awkward_tree(&source.path().join("tree")).unwrap();
    let empty = |dir: &Path| std::fs::read_dir(dir).unwrap().next().is_none();
    for (args, serving) in [
        // While the tree is made, which takes half a minute; while it is uploaded; while it is uploaded to disk.
        (["--files=2000000", "--large-mib=1"], false),
        (["--files=20000", "--large-mib=16"], true),
        (["--files=1", tree.root.to_str().unwrap()], true),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let running = azuring!().env("TMPDIR", scratch.path()).start(["demo"].into_iter().chain(args));
        wait_until("the demo begins", || !empty(scratch.path()));
        if serving {
            wait_until("a server is started", || !servers_of(running.id()).is_empty());
        }
        // A server that stands still holds the demo where it is.
        let servers = servers_of(running.id());
        servers.iter().for_each(|id| stop(*id));
        running.interrupt_and_see();
        running.interrupt();
        let outcome = running.wait().unwrap();
        outcome.expect_code(6);
        assert!(empty(scratch.path()), "{args:?} leaves something behind");
        wait_until("the server ends", || {
            servers.iter().all(|id| !Path::new(&format!("/proc/{id}")).exists())
        });
    }
}
