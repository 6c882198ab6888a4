//! The fuzz targets without a fuzzer: the kept inputs, and what is made of them at random.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod mutate;
mod targets;

use std::path::{Path, PathBuf};
use std::sync::Once;

use fastrand::Rng;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Does with an input what it is for, and panics where a promise is broken.
type Target = fn(&[u8]);

/// All targets, and where below `tests/corpus` their inputs are kept.
const TARGETS: [(Target, &[&str]); 2] = [(targets::read, &["", "read"]), (targets::torn, &["torn"])];

/// Inputs that are tried at random for each target.
const CASES: u64 = 10_000;

/// Whatever an input says, the process gets no more memory than this, allocator's arenas and stacks included.
const MEMORY_MAX: u64 = 1 << 30;

fn limit_memory() {
    static LIMIT: Once = Once::new();
    LIMIT.call_once(|| {
        setrlimit(Resource::As, Rlimit { current: Some(MEMORY_MAX), maximum: None }).unwrap();
    });
}

fn kept(below: &[&str]) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = |below: &&str| std::fs::read_dir(corpus.join(below)).unwrap();
    let mut paths: Vec<PathBuf> = below.iter().flat_map(files).map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Tells which input it was, should the test end there.
struct Case {
    seed: u64,
    bytes: Vec<u8>,
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("FUZZ_SEED={} FUZZ_CASES=1, which is {:?}", self.seed, self.bytes);
        }
    }
}

#[test]
fn the_kept_inputs_are_met_with_words() {
    limit_memory();
    for (target, below) in TARGETS {
        let kept = kept(below);
        assert!(kept.len() > 10, "{below:?}: {}", kept.len());
        for bytes in kept {
            let case = Case { seed: 0, bytes };
            target(&case.bytes);
        }
    }
}

/// `FUZZ_CASES` and `FUZZ_SEED` try more, and others.
#[test]
fn so_is_what_is_made_of_them_at_random() {
    limit_memory();
    let given = |name: &str| std::env::var(name).ok().map(|number| number.parse::<u64>().unwrap());
    let (cases, first) = (given("FUZZ_CASES").unwrap_or(CASES), given("FUZZ_SEED").unwrap_or(1));
    println!("FUZZ_SEED={first} FUZZ_CASES={cases}");
    for (target, below) in TARGETS {
        let kept = kept(below);
        for seed in first..first + cases {
            let bytes = mutate::input(&kept, &mut Rng::with_seed(seed));
            let case = Case { seed, bytes };
            target(&case.bytes);
        }
    }
}
