//! Names made smaller, where that helps.

use std::fmt;

use zstd::bulk::{Compressor, Decompressor};

/// The fastest level: the others gain a byte a name and cost several times as much.
const LEVEL: i32 = 1;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain = 0,
    Zstd = 1,
}

impl Packing {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Plain, Self::Zstd].into_iter().find(|packing| *packing as u8 == byte)
    }

    /// The `len` bytes that were packed; `None` when these are not they.
    pub(crate) fn unpack(self, packed: &[u8], len: usize) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::Plain => packed.to_vec(),
            Self::Zstd => Decompressor::new().and_then(|mut zstd| zstd.decompress(packed, len)).ok()?,
        };
        (bytes.len() == len).then_some(bytes)
    }
}

/// Packs, again and again, with one set of tables.
#[derive(Default)]
pub(crate) struct Packer {
    zstd: Option<Compressor<'static>>,
    packed: Vec<u8>,
}

impl Packer {
    /// The bytes packed, or as they are where packing them saves nothing.
    pub(crate) fn pack<'a>(&'a mut self, raw: &'a [u8]) -> (Packing, &'a [u8]) {
        if self.zstd.is_none() {
            self.zstd = Compressor::new(LEVEL).ok();
        }
        // Room for just less than the whole: what does not fit saves nothing.
        self.packed.clear();
        self.packed.reserve(raw.len());
        let room = raw.len().saturating_sub(1);
        self.packed.resize(room, 0);
        let packed =
            self.zstd.as_mut().and_then(|zstd| zstd.compress_to_buffer(raw, &mut self.packed[..]).ok());
        match packed {
            Some(len) => (Packing::Zstd, &self.packed[..len]),
            None => (Packing::Plain, raw),
        }
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_a_wrong_length_does_not() {
        let mut packer = Packer::default();
        let text = b"abcabcabc".repeat(100);
        let noise: Vec<u8> = std::iter::repeat_with({
            let mut random = fastrand::Rng::with_seed(1);
            move || random.u8(..)
        })
        .take(500)
        .collect();
        for (raw, expected) in [
            (&text[..], Packing::Zstd),
            (&noise, Packing::Plain),
            (b"", Packing::Plain),
            (b"x", Packing::Plain),
        ] {
            let (packing, packed) = packer.pack(raw);
            assert_eq!(packing, expected);
            assert_eq!(packing.unpack(packed, raw.len()).as_deref(), Some(raw));
            assert_eq!(packing.unpack(packed, raw.len() + 1), None);
        }
        let (_, packed) = packer.pack(&text);
        assert_eq!(Packing::Zstd.unpack(packed, text.len() - 1), None);
        assert_eq!(Packing::Zstd.unpack(&noise, 500), None);
    }
}
