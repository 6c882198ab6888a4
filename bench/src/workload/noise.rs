//! Bytes that do not compress, made faster than a disk takes them.

/// A wyrand stream: 8 bytes for one multiplication, several GiB/s on one core.
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
}

impl Noise {
    /// A stream that depends on `seed` alone; neighbouring seeds give unrelated streams.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut noise = Self { state: seed };
        noise.state = noise.next_u64() ^ seed.rotate_left(32);
        noise
    }

    /// The next eight bytes.
    pub fn next_u64(&mut self) -> u64 {
        // The constants are wyrand's (github.com/wangyi-fudan/wyhash, public domain).
        self.state = self.state.wrapping_add(0xa076_1d64_78bd_642f);
        let product = u128::from(self.state) * u128::from(self.state ^ 0xe703_7ed1_a0b4_28db);
        (product >> 64) as u64 ^ product as u64
    }

    /// A number in `0..end`; `end` must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// Fills `buffer` with the stream.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        let mut words = buffer.chunks_exact_mut(8);
        for word in &mut words {
            word.copy_from_slice(&self.next_u64().to_le_bytes());
        }
        let rest = words.into_remainder();
        if !rest.is_empty() {
            let last = self.next_u64().to_le_bytes();
            rest.copy_from_slice(&last[..rest.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_seeds_share_no_bytes_in_place() {
        let (mut one, mut two) = ([0; 4096], [0; 4096]);
        Noise::new(7).fill(&mut one);
        Noise::new(8).fill(&mut two);
        let same = one.iter().zip(&two).filter(|(one, two)| one == two).count();
        assert!(same < 64, "about 16 of 4,096 bytes agree by chance, {same} did");
    }

    #[test]
    fn below_stays_below() {
        let mut noise = Noise::new(1);
        assert!((0..10_000).all(|_| noise.below(7) < 7));
    }
}
