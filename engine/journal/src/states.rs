//! What is known of each transfer of a part.

use std::ops::Range;

/// How a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was found; nothing more is known.
    Pending,
    /// It is done, and is not looked at again.
    Done,
    /// It was left out, for a reason that the caller knows by this number.
    Skipped(u8),
    /// It failed, for a reason that the caller knows by this number.
    Failed(u8),
}

impl State {
    /// Two bits for what, six for why.
    pub(crate) fn to_code(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Done => 1,
            Self::Skipped(reason) => 2 | reason << 2,
            Self::Failed(reason) => 3 | reason << 2,
        }
    }

    pub(crate) fn of_code(code: u8) -> Self {
        match code & 3 {
            0 => Self::Pending,
            1 => Self::Done,
            2 => Self::Skipped(code >> 2),
            _ => Self::Failed(code >> 2),
        }
    }
}

/// The states of a part's transfers: a byte each, or one for all while they are the same.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// Empty: all have `same`.
    codes: Vec<u8>,
    same: u8,
    /// How many there are of each, by the lower two bits.
    counts: [u32; 4],
}

impl States {
    pub(crate) fn len(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// How many are pending, done, skipped, failed.
    pub(crate) fn counts(&self) -> [u32; 4] {
        self.counts
    }

    pub(crate) fn get(&self, index: u32) -> State {
        State::of_code(self.codes.get(index as usize).copied().unwrap_or(self.same))
    }

    /// Adds transfers that are pending.
    pub(crate) fn grow(&mut self, count: u32) {
        if self.codes.is_empty() && (self.same == 0 || self.len() == 0) {
            self.same = 0;
        } else {
            self.spread();
            self.codes.resize((self.len() + count) as usize, 0);
        }
        self.counts[0] += count;
    }

    pub(crate) fn set(&mut self, run: Range<u32>, state: State) {
        let code = state.to_code();
        if self.codes.is_empty() && code == self.same {
            return;
        }
        self.spread();
        for place in &mut self.codes[run.start as usize..run.end as usize] {
            self.counts[usize::from(*place & 3)] -= 1;
            *place = code;
        }
        let what = usize::from(code & 3);
        self.counts[what] += run.end - run.start;
        if self.counts[what] == self.len() && self.codes.iter().all(|other| *other == code) {
            self.codes = Vec::new();
            self.same = code;
        }
    }

    fn spread(&mut self) {
        if self.codes.is_empty() {
            self.codes = vec![self.same; self.len() as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_what_was_set_last_and_their_counts_are_exact() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..100 {
            let (mut states, mut model) = (States::default(), Vec::new());
            for _ in 0..60 {
                if model.is_empty() || random.u8(..4) == 0 {
                    let count = random.u32(1..20);
                    states.grow(count);
                    model.resize(model.len() + count as usize, State::Pending);
                } else {
                    let start = random.usize(..model.len());
                    let end = random.usize(start + 1..=model.len());
                    let run = if random.bool() { start..end } else { 0..model.len() };
                    let reason = random.u8(..64);
                    let state =
                        [State::Done, State::Skipped(reason), State::Failed(reason)][random.usize(..3)];
                    model[run.clone()].fill(state);
                    states.set(run.start as u32..run.end as u32, state);
                }
                assert_eq!(states.len() as usize, model.len());
                for (index, state) in model.iter().enumerate() {
                    assert_eq!(states.get(index as u32), *state);
                }
                let count = |code| model.iter().filter(|state| state.to_code() & 3 == code).count() as u32;
                assert_eq!(states.counts(), [count(0), count(1), count(2), count(3)]);
                assert!(states.codes.is_empty() || model.iter().any(|state| *state != model[0]));
            }
        }
    }
}
