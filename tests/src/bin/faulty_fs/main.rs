//! A file system in memory that fails when it is told to: `azuring-faulty-fs DIRECTORY [OPTIONS]`.
//!
//! It speaks the kernel's FUSE protocol over `/dev/fuse`, so whatever a program does reaches it: system calls,
//! io_uring, `O_DIRECT`, page cache. It mounts itself, for which it needs a namespace of its own (`unshare --user
//! --map-root-user --mount`) or root; the kit (`azuring_tests::FaultyFs`) starts it so. `tmpfile`: files without a name
//! can be made. `writeback`: the kernel keeps what is written and hands it over later, as for a disk. `times32`: times
//! end in 2038. `noumask`: files without a name have mode 0666 whatever the umask is, as on old kernels.
//!
//! Lines on stdin tell it what fails, and each gets one line as its answer:
//!
//! | line | meaning |
//! |---|---|
//! | `fail OPERATION ERRNO ONE_IN SEED` | of the calls from now on one in `ONE_IN` fails, which ones depends on `SEED` |
//! | `heal` | nothing fails any more |
//! | `hold NAME` | what is written to this file of the root, and its times, waits for its answer, and whoever waits for that |
//! | `held` | how many requests wait so |
//! | `refuse ERRNO` | they fail, and no more are held |
//! | `counts` | calls and failures of each operation since the beginning |
//!
//! A `flush` (one for each `close(2)`) that fails takes with it what was written since the last one that succeeded: the
//! file reads as zeros, as where a server has not kept what it took. A `write` that fails stores nothing; with
//! `writeback` the program has been told long before that it succeeded.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "test code: a fault of this program ends it, and the test says so")]

mod nodes;
mod wire;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, Read as _, Write as _};
use std::process::{Command, Stdio, exit};
use std::sync::{Arc, Mutex};

use nodes::Nodes;
use wire::{Reply, Request};

/// The largest write, and what surrounds it.
const BUFFER_BYTES: usize = (128 << 10) + 4096;

#[derive(Debug)]
struct Rule {
    operation: String,
    errno: i32,
    one_in: u64,
    seed: u64,
    calls: u64,
}

/// What fails, and what has.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    counts: BTreeMap<String, (u64, u64)>,
    /// Changes of the file of this name wait; the requests that do.
    pub(crate) hold: Option<Vec<u8>>,
    pub(crate) held: Vec<u64>,
}

impl Faults {
    /// Whether this call fails, and with what.
    pub(crate) fn strike(&mut self, operation: &str) -> Option<i32> {
        let counts = self.counts.entry(operation.to_owned()).or_default();
        counts.0 += 1;
        for rule in self.rules.iter_mut().filter(|rule| rule.operation == operation) {
            rule.calls += 1;
            if mixed(rule.seed.wrapping_add(rule.calls)).is_multiple_of(rule.one_in) {
                counts.1 += 1;
                return Some(rule.errno);
            }
        }
        None
    }

    /// Does what a line says; `fuse` gets late answers.
    fn take(&mut self, line: &str, fuse: &mut File) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["fail", operation, errno, one_in, seed] => {
                let (errno, one_in, seed) =
                    (errno.parse().unwrap(), one_in.parse().unwrap(), seed.parse().unwrap());
                self.rules.push(Rule { operation: operation.to_owned(), errno, one_in, seed, calls: 0 });
                "ok".to_owned()
            }
            ["heal"] => {
                self.rules.clear();
                "ok".to_owned()
            }
            ["hold", name] => {
                self.hold = Some(name.as_bytes().to_owned());
                "ok".to_owned()
            }
            ["held"] => self.held.len().to_string(),
            ["refuse", errno] => {
                self.hold = None;
                for unique in self.held.drain(..) {
                    // Whoever asked may have gone.
                    let _ = fuse.write_all(&Reply::refusal(unique, errno.parse().unwrap()));
                }
                "ok".to_owned()
            }
            ["counts"] => {
                let shown = |(operation, (calls, failed)): (&String, &(u64, u64))| {
                    format!("{operation}={calls}/{failed}")
                };
                self.counts.iter().map(shown).collect::<Vec<_>>().join(" ")
            }
            _ => panic!("what is `{line}`?"),
        }
    }
}

/// SplitMix64.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let fuse = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
    let mounted = Command::new("mount")
        .args(["-i", "-n", "-t", "fuse", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0", "faulty"])
        .arg(&arguments[0])
        .stdin(Stdio::from(fuse.try_clone().unwrap()))
        .status();
    assert!(mounted.is_ok_and(|status| status.success()), "mounting a FUSE file system");
    let faults = Arc::new(Mutex::new(Faults::default()));
    let theirs = Arc::clone(&faults);
    let mut late = fuse.try_clone().unwrap();
    std::thread::spawn(move || {
        println!("mounted");
        for line in std::io::stdin().lock().lines() {
            let answer = theirs.lock().unwrap().take(&line.unwrap(), &mut late);
            println!("{answer}");
        }
        // Nobody needs it any more; its namespace goes with it.
        exit(0);
    });
    serve(fuse, &mut Nodes::new(faults, has));
}

fn serve(mut fuse: File, nodes: &mut Nodes) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let len = match fuse.read(&mut buffer) {
            Ok(len) => len,
            // A request was taken back; an unmounted file system ends it.
            Err(error) if matches!(error.raw_os_error(), Some(2 | 4 | 11)) => continue,
            Err(_) => return,
        };
        let request = Request::new(&buffer[..len]);
        let unique = request.unique;
        let answer = match nodes.answer(request) {
            Ok(Some(reply)) => reply.answer(unique),
            Ok(None) => continue,
            Err(errno) => Reply::refusal(unique, errno),
        };
        // Whoever asked may have gone.
        let _ = fuse.write_all(&answer);
    }
}
