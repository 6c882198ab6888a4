//! Jobs in a program that does other things as well.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod asking;
mod engine;
#[path = "../kit/mod.rs"]
mod kit;
mod running;

use azsim::{Fault, Faults, NameMatch, Operation, Rule};
use azuring_transfer::{Credential, Job, JobBuilder};
use kit::Bench;

/// `files` files of a few bytes, named by their numbers, below `tree` of the bench's directory.
fn plant_files(bench: &Bench, files: usize) {
    let tree = bench.dir.path().join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    for n in 0..files {
        std::fs::write(tree.join(format!("{n:05}")), format!("file {n}")).unwrap();
    }
}

/// Their upload to the container.
fn upload(bench: &Bench) -> JobBuilder {
    let url = bench.url("");
    let credential = Credential::find(&url, |_| None).unwrap();
    Job::upload(bench.dir.path().join("tree/*"), url, credential)
}

/// Holds every upload of a blob but the first `skip` of them, until the faults are set anew.
fn hold_uploads(bench: &Bench, skip: u64) {
    let rule = Rule {
        name: NameMatch::Contains(String::new()),
        operation: Some(Operation::PutBlob),
        fault: Fault::Hold,
        skip,
        count: u64::MAX,
    };
    bench.server.set_faults(Faults { rules: vec![rule], ..Faults::default() });
}

fn held(bench: &Bench) -> u64 {
    bench.server.stats().faults.get("hold").copied().unwrap_or_default()
}

/// Waits for what must come.
fn wait_until(mut there: impl FnMut() -> bool) {
    while !there() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
