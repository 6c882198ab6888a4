//! What the container holds before the client begins: made the same way by the sink, which plants it without a
//! request, and by the measurement, which compares.

use azsim::Seed;
use azuring_bench::workload::{Noise, TreeSpec};
use bytes::Bytes;
use clap::Args;
use crc_fast::{CrcAlgorithm, Digest};

use crate::workload::Manifest;

/// Bytes that all contents are cut out of.
const NOISE_BYTES: usize = 64 << 20;

/// Longest piece of a content; each begins somewhere else in the noise.
const PIECE_BYTES: u64 = 32 << 20;

/// Distance between the beginnings of pieces: odd, so that they come round to the same one late.
const STEP_BYTES: u64 = 4_099;

/// Equal blobs in a tree, or one alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Planted {
    /// Blobs the container holds
    #[arg(long = "plant-files", default_value_t = 0)]
    pub(crate) files: usize,
    /// Directories they lie in
    #[arg(long = "plant-dirs", default_value_t = 0)]
    pub(crate) dirs: usize,
    /// Length of each
    #[arg(long = "plant-bytes", default_value_t = 0)]
    pub(crate) file_bytes: u64,
    /// Keep content, and what is uploaded too
    #[arg(long = "plant-readable")]
    pub(crate) readable: bool,
}

/// The directory that planted trees lie in.
pub(crate) const TREE: &str = "small";

/// The name of a blob that is alone.
pub(crate) const ALONE: &str = "large.bin";

impl Planted {
    /// The blobs with their contents.
    pub(crate) fn seeds(self) -> impl Iterator<Item = Seed> {
        let mut noise = vec![0; NOISE_BYTES];
        Noise::new(7).fill(&mut noise);
        let noise = Bytes::from(noise);
        (0..self.files).map(move |index| Seed {
            name: self.name(index),
            content: self.content(index, &noise),
            ..Seed::default()
        })
    }

    /// Names, lengths and checksums.
    pub(crate) fn manifest(self) -> Manifest {
        let entries = self.seeds().map(|seed| {
            let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
            seed.content.iter().for_each(|piece| digest.update(piece));
            (seed.name, self.file_bytes, digest.finalize())
        });
        Manifest::of(entries.collect())
    }

    fn name(self, index: usize) -> String {
        let tree = TreeSpec { files: self.files, dirs: self.dirs, file_bytes: 0, seed: 0 };
        if self.files == 1 { ALONE.to_owned() } else { format!("{TREE}/{}", tree.name(index)) }
    }

    fn content(self, index: usize, noise: &Bytes) -> Vec<Bytes> {
        let pieces = self.file_bytes.div_ceil(PIECE_BYTES);
        let piece = |number: u64| {
            let begin = (index as u64 * pieces + number) * STEP_BYTES % (NOISE_BYTES as u64 - PIECE_BYTES);
            let len = PIECE_BYTES.min(self.file_bytes - number * PIECE_BYTES);
            noise.slice(begin as usize..(begin + len) as usize)
        };
        (0..pieces).map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_as_long_as_they_should_be_and_differ() {
        let tree = Planted { files: 100, dirs: 7, file_bytes: 4096, readable: true };
        let seeds: Vec<Seed> = tree.seeds().collect();
        assert_eq!((seeds[8].name.as_str(), seeds.len()), ("small/d0001/f0000008.bin", 100));
        assert!(
            seeds.windows(2).all(|two| two[0].content[0].len() == 4096 && two[0].content != two[1].content)
        );
        let alone = Planted { files: 1, dirs: 0, file_bytes: 2 * PIECE_BYTES + 5, readable: true };
        let large: Vec<Seed> = alone.seeds().collect();
        let lens: Vec<usize> = large[0].content.iter().map(Bytes::len).collect();
        assert_eq!(lens, [PIECE_BYTES as usize, PIECE_BYTES as usize, 5]);
        assert_ne!(large[0].content[0], large[0].content[1]);
        assert_eq!(large[0].name, ALONE);
    }
}
