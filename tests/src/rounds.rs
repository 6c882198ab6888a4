//! Rounds of a test that chance decides, each by its seed.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use azuring_bench::workload::Noise;

/// Which rounds are run.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// `AZURING_NAME_ROUNDS` says how many instead, and `AZURING_NAME_SEED` which one alone.
    pub name: &'static str,
    /// These always; chance has the others.
    pub cases: &'static [u64],
    /// How many there are with those.
    pub count: usize,
    /// How many run at a time.
    pub at_once: usize,
}

impl Rounds {
    /// Runs them and returns their seeds, and of those that failed why.
    ///
    /// # Panics
    /// When a variable is no number.
    pub fn run(self, round: impl Fn(u64) -> Result<(), String> + Sync) -> (Vec<u64>, Vec<String>) {
        let number = |what: &str| {
            let variable = format!("AZURING_{}_{what}", self.name);
            let text = std::env::var(&variable).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{variable}: {text}")))
        };
        let count = number("ROUNDS").map_or(self.count, |count| usize::try_from(count).unwrap());
        let mut fresh = Noise::new(RandomState::new().build_hasher().finish());
        let random = std::iter::repeat_with(|| fresh.next_u64());
        let seeds: Vec<u64> = match number("SEED") {
            Some(seed) => vec![seed],
            None => self.cases.iter().copied().chain(random).take(count).collect(),
        };
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..self.at_once {
                scope.spawn(|| {
                    while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if let Err(wrong) = round(*seed) {
                            failed.lock().unwrap().push(format!("seed {seed}: {wrong}"));
                        }
                    }
                });
            }
        });
        (seeds, failed.into_inner().unwrap())
    }
}
