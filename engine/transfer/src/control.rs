//! How much a lane does at a time. Pure: samples in, limits out.

/// What a lane saw since the last sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// Requests answered.
    pub(crate) answered: u64,
    /// Requests the service answered with "slow down".
    pub(crate) throttled: u64,
    /// Part of the time the lane's thread was busy, 0 to 1.
    pub(crate) busy: f64,
}

/// Decides the number of requests a lane may have in flight. One per lane, asked about once a second.
pub(crate) trait ConcurrencyControl {
    /// The new limit, at least 1.
    fn limit(&mut self, sample: &Sample) -> usize;
}

/// What the user asked for, always.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed(pub(crate) usize);

impl ConcurrencyControl for Fixed {
    fn limit(&mut self, _sample: &Sample) -> usize {
        self.0
    }
}

/// How many blocks of large files a lane has under way.
///
/// Every block in flight is 8 MiB of buffer that was touched for the first time at 0.5 to 1.7 CPU s/GiB, and that
/// falls out of the CPU's caches; so a lane begins with few and adds one whenever its thread has idled, which
/// is when more requests would help: on a network with latency that is at once, on a saturated CPU never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockWindow {
    blocks: usize,
    most: usize,
}

const FIRST_BLOCKS: usize = 3;
/// Busier than this, a thread has no time for another block.
const ENOUGH_BUSY: f64 = 0.80;

impl BlockWindow {
    pub(crate) fn new(most: usize) -> Self {
        Self { blocks: FIRST_BLOCKS.min(most.max(1)), most: most.max(1) }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Called as blocks complete, with the share of time the thread was busy since the last call.
    pub(crate) fn sample(&mut self, busy: f64) {
        if busy < ENOUGH_BUSY {
            self.blocks = (self.blocks + 1).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_opens_while_the_thread_idles_and_never_beyond_the_limit() {
        let mut window = BlockWindow::new(8);
        window.sample(0.99);
        assert_eq!(window.blocks(), FIRST_BLOCKS);
        for _ in 0..20 {
            window.sample(0.1);
        }
        assert_eq!(window.blocks(), 8);
        assert_eq!(BlockWindow::new(1).blocks(), 1);
        assert_eq!(BlockWindow::new(0).blocks(), 1);
    }
}
