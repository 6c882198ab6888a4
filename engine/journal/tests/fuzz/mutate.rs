//! Inputs made out of others.

use fastrand::Rng;

/// Bytes of an input at most.
const INPUT_MAX: usize = 8 << 10;
/// Where numbers end, begin, or change their length.
const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];

/// One of `kept`, changed in a few places.
pub(crate) fn input(kept: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut bytes = kept[random.usize(..kept.len())].clone();
    for _ in 0..=random.usize(..6) {
        change(&mut bytes, kept, random);
        bytes.truncate(INPUT_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, kept: &[Vec<u8>], random: &mut Rng) {
    let at = random.usize(..=bytes.len());
    let end = (at + random.usize(..64)).min(bytes.len());
    match random.u8(..8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
        1 if at < bytes.len() => bytes[at] = EDGES[random.usize(..EDGES.len())],
        2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(random.u8(..9)).wrapping_sub(4),
        3 => {
            let new: Vec<u8> = (0..random.usize(1..9)).map(|_| random.u8(..)).collect();
            bytes.splice(at..at, new);
        }
        4 => {
            bytes.drain(at..end);
        }
        5 => {
            let again = bytes[at..end].to_vec();
            let to = random.usize(..=bytes.len());
            bytes.splice(to..to, again);
        }
        6 => {
            // On with another.
            let other = &kept[random.usize(..kept.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[at.min(other.len())..]);
        }
        _ => bytes.truncate(at.max(bytes.len() / 2)),
    }
}
