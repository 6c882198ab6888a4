//! What all stores are told.

use std::io::Write as _;

use crate::Result;

/// Transfers, or outcomes, that the engine hands over at a time.
pub(crate) const BATCH: u64 = 64;
/// Transfers and outcomes after which all is made durable.
pub(crate) const COMMIT_EVERY: usize = 8_192;

/// How transfers are called, in byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    /// By day and number: `data/2024/07/15/part-000123/file-00004567.parquet`, 49 bytes.
    #[default]
    Numbered,
    /// At random: `table/part/0001e8477fb3c08e-91d8a3f5b6e7c21f.parquet`, 52 bytes of which 26 are noise, which nothing
    /// compresses.
    Random,
}

impl Names {
    pub(crate) const ALL: [(&str, Self); 2] = [("numbered", Self::Numbered), ("random", Self::Random)];
}

/// The name of a transfer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Name {
    names: Names,
    bytes: Vec<u8>,
}

impl Name {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, bytes: Vec::new() }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes it the `n`th.
    pub(crate) fn set(&mut self, n: u64) {
        self.bytes.clear();
        let written = match self.names {
            Names::Numbered => {
                let (part, file) = (n / 5_000, n % 5_000);
                let (year, month, day) = (2020 + part / 336, 1 + part / 28 % 12, 1 + part % 28);
                write!(self.bytes, "data/{year}/{month:02}/{day:02}/part-{part:06}/file-{file:08}.parquet")
            }
            Names::Random => {
                let (high, low) = (n << 40 | noise(n) >> 24, noise(!n));
                write!(self.bytes, "table/part/{high:016x}-{low:016x}.parquet")
            }
        };
        written.expect("a vector takes all");
    }
}

/// A number that looks like any other (SplitMix64's output function).
fn noise(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

/// What is said, one phase after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// All transfers, in the planner's order.
    Found,
    /// All but each 64th is done, in nearly that order.
    MostDone,
    /// So are these.
    RestDone,
}

/// Makes a phase's numbers and names, batch by batch. `files` is a multiple of [`BATCH`].
pub(crate) fn say(
    names: Names,
    files: u64,
    phase: Phase,
    mut take: impl FnMut(&[u64], &[Name]) -> Result<()>,
) -> Result<()> {
    let is_last = |n: u64| n % BATCH == BATCH - 1;
    let mut numbers = (0..files).filter_map(|n| match phase {
        Phase::Found => Some(n),
        // Neighbours change places.
        Phase::MostDone => Some(n ^ 5).filter(|n| !is_last(*n)),
        Phase::RestDone => Some(n).filter(|n| is_last(*n)),
    });
    let mut batch = Vec::new();
    let mut names = vec![Name::new(names); BATCH as usize];
    loop {
        batch.clear();
        batch.extend(numbers.by_ref().take(BATCH as usize));
        if batch.is_empty() {
            return Ok(());
        }
        batch.iter().zip(&mut names).for_each(|(n, name)| name.set(*n));
        take(&batch, &names[..batch.len()])?;
    }
}
