//! Causes of failures: of half a million failures there are a few.

use std::collections::HashMap;

use crate::format::{CAUSES_BYTES_MAX, CAUSES_MAX};

/// The causes a journal has, by their text. Their numbers begin with 1.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    numbers: HashMap<Box<[u8]>, u32>,
    bytes: usize,
}

impl Causes {
    /// Those that were read from a journal, in their order.
    pub(crate) fn of(causes: &[Box<[u8]>]) -> Self {
        let mut all = Self::default();
        for (cause, number) in causes.iter().zip(1..) {
            all.bytes += cause.len();
            all.numbers.insert(cause.clone(), number);
        }
        all
    }

    /// The number of a cause, and whether it is a new one; `None` where there is no room for it.
    pub(crate) fn number(&mut self, cause: &[u8]) -> Option<(u32, bool)> {
        if let Some(number) = self.numbers.get(cause) {
            return Some((*number, false));
        }
        fits(self.numbers.len(), self.bytes, cause).then(|| {
            let number = self.numbers.len() as u32 + 1;
            self.bytes += cause.len();
            self.numbers.insert(cause.into(), number);
            (number, true)
        })
    }
}

/// Whether a journal that has so many causes of so many bytes may have another one.
pub(crate) fn fits(causes: usize, bytes: usize, cause: &[u8]) -> bool {
    causes < CAUSES_MAX && bytes + cause.len() <= CAUSES_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_one_number_and_there_is_an_end_of_them() {
        let mut causes = Causes::default();
        for n in 0..CAUSES_MAX as u32 + 10 {
            let wanted = (n < CAUSES_MAX as u32).then_some((n + 1, true));
            assert_eq!(causes.number(&n.to_le_bytes()), wanted);
        }
        assert_eq!(causes.number(&7u32.to_le_bytes()), Some((8, false)));
        let mut causes = Causes::of(&[b"one"[..].into(), b"two"[..].into()]);
        assert_eq!(causes.number(b"two"), Some((2, false)));
        assert_eq!(causes.number(&vec![0; CAUSES_BYTES_MAX - 6]), Some((3, true)));
        assert_eq!(causes.number(b"x"), None);
    }
}
