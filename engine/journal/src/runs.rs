//! A set of numbers that mostly follow one another.

use std::ops::Range;

use crate::bytes::{Reader, put_number};

/// A set of numbers, kept as runs: its size depends on the gaps, not on the numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// In order, not empty, not touching.
    runs: Vec<Range<u64>>,
}

impl Runs {
    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let at = self.runs.partition_point(|run| run.end <= number);
        self.runs.get(at).is_some_and(|run| run.start <= number)
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.start).sum()
    }

    /// The runs, in order, with gaps between them.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.runs.iter().cloned()
    }

    /// Adds a run of numbers.
    pub(crate) fn insert(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        // All that overlap it or touch it become one with it.
        let first = self.runs.partition_point(|other| other.end < run.start);
        let last = self.runs.partition_point(|other| other.start <= run.end);
        let merged = match self.runs.get(first..last) {
            Some([head, .., tail]) => head.start.min(run.start)..tail.end.max(run.end),
            Some([only]) => only.start.min(run.start)..only.end.max(run.end),
            _ => run,
        };
        self.runs.splice(first..last, [merged]);
    }

    /// How often a run follows, then for each run the gap before it and its length less one.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.runs.len() as u64);
        let mut end = 0;
        for run in &self.runs {
            put_number(out, run.start - end);
            put_number(out, run.end - run.start - 1);
            end = run.end;
        }
    }

    /// Reads what [`Runs::encode`] wrote.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.number()?;
        let mut set = Self::default();
        let mut end = 0_u64;
        for _ in 0..count {
            let start = end.checked_add(reader.number()?)?;
            end = start.checked_add(reader.number()?)?.checked_add(1)?;
            if start == set.runs.last().map_or(u64::MAX, |run| run.end) {
                return None;
            }
            set.runs.push(start..end);
        }
        Some(set)
    }
}

impl FromIterator<u64> for Runs {
    /// Cheapest when the numbers come in order.
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut set = Self::default();
        for number in numbers {
            match set.runs.last_mut() {
                Some(last) if last.end == number => last.end += 1,
                _ => set.insert(number..number + 1),
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_set_of_runs_is_a_set() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let (mut set, mut model) = (Runs::default(), BTreeSet::new());
            for _ in 0..random.usize(..40) {
                let start = random.u64(..100);
                let run = start..start + random.u64(..8);
                set.insert(run.clone());
                model.extend(run);
            }
            assert_eq!(set.count(), model.len() as u64);
            assert!((0..120).all(|n| set.contains(n) == model.contains(&n)));
            assert!(set.runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            let mut shuffled: Vec<u64> = model.into_iter().collect();
            random.shuffle(&mut shuffled);
            assert_eq!(shuffled.into_iter().collect::<Runs>(), set);
            let mut bytes = Vec::new();
            set.encode(&mut bytes);
            assert_eq!(Runs::decode(&mut Reader(&bytes)), Some(set));
        }
    }

    #[test]
    fn runs_that_cannot_be_are_refused() {
        // Two runs that touch; a run beyond the last number; fewer runs than announced.
        assert_eq!(Runs::decode(&mut Reader(&[2, 0, 0, 0, 0])), None);
        let mut beyond = vec![1];
        put_number(&mut beyond, u64::MAX);
        beyond.push(0);
        assert_eq!(Runs::decode(&mut Reader(&beyond)), None);
        assert_eq!(Runs::decode(&mut Reader(&[3, 0, 0])), None);
    }
}
