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
pub(crate) struct Fixed(pub usize);

impl ConcurrencyControl for Fixed {
    fn limit(&mut self, _sample: &Sample) -> usize {
        self.0
    }
}

/// How many blocks of large files a lane has under way.
///
/// Every block in flight is 8 MiB of buffer, whose first touch costs 0.5 to 1.7 CPU s/GiB, and which falls out of the
/// CPU's caches: with 2 blocks in flight a lane needs a fifth less CPU per byte than with 8. So a lane begins with
/// two and climbs only while that brings bytes: one more, then twice as many as long as each step brings half of what
/// it could, then a quarter more now and then. On a network with latency each step pays, and the window opens within a
/// dozen round trips; on a saturated CPU or link none does, and the window stays at the smallest that gave the rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockWindow {
    blocks: usize,
    most: usize,
    /// The smallest window that gave the best rate, and that rate in bytes/s.
    best: (usize, f64),
    /// Whether every step so far has paid.
    doubling: bool,
    /// Samples to wait before the next step up. The first sample of a job holds connecting and the first touch of
    /// buffers, and would make any step look good.
    hold: u32,
}

const FIRST_BLOCKS: usize = 2;
/// Busier than this, a thread has no time for another block.
const ENOUGH_BUSY: f64 = 0.85;
/// The part of a step that must come back as rate: a window twice as large must bring half as much again.
const WORTH: f64 = 0.5;
/// Samples between attempts, once one has failed: about 3 s.
const HOLD: u32 = 30;

impl BlockWindow {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        let blocks = FIRST_BLOCKS.min(most);
        Self { blocks, most, best: (blocks, 0.0), doubling: true, hold: 2 }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Takes a sample: the share of time the thread was busy, and the rate of completed blocks in bytes/s.
    pub(crate) fn sample(&mut self, busy: f64, rate: f64) {
        if self.blocks > self.best.0 {
            // The answer to a step.
            let step = self.blocks as f64 / self.best.0 as f64;
            if rate > self.best.1 * (1.0 + (step - 1.0) * WORTH) {
                self.best = (self.blocks, rate);
            } else {
                self.blocks = self.best.0;
                self.doubling = false;
                self.hold = HOLD;
                return;
            }
        } else {
            // Follows the path as it changes.
            self.best.1 = if self.doubling { rate } else { self.best.1 * 0.9 + rate * 0.1 };
            self.hold = self.hold.saturating_sub(1);
        }
        if self.hold == 0 && busy < ENOUGH_BUSY {
            // The first step is small: where it does not pay, little memory was touched for it.
            let climbing = self.doubling && self.blocks > FIRST_BLOCKS;
            let step = if climbing { self.blocks } else { (self.blocks / 4).max(1) };
            self.blocks = (self.blocks + step).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    /// A path that carries `per_block` bytes/s for each block in flight, up to `wall` in all.
    fn run(window: &mut BlockWindow, samples: usize, per_block: f64, wall: f64) {
        for _ in 0..samples {
            let rate = (window.blocks() as f64 * per_block).min(wall);
            window.sample(0.3, rate);
        }
    }

    #[test]
    fn with_latency_the_window_opens_until_the_link_is_full() {
        let mut window = BlockWindow::new(64);
        run(&mut window, 10, 60.0 * MIB, 1800.0 * MIB);
        assert!((24..=64).contains(&window.blocks()), "30 blocks fill the link, got {}", window.blocks());
        run(&mut window, 510, 60.0 * MIB, 1800.0 * MIB);
        assert!((24..=40).contains(&window.blocks()), "and stays there, got {}", window.blocks());
    }

    #[test]
    fn where_more_brings_nothing_it_stays_small() {
        let mut window = BlockWindow::new(64);
        let mut most = 0;
        for _ in 0..500 {
            window.sample(0.5, 1000.0 * MIB);
            most = most.max(window.blocks());
        }
        assert!(most <= 2 * FIRST_BLOCKS, "got {most}");
    }

    #[test]
    fn a_busy_thread_is_given_no_more_and_the_limit_holds() {
        let mut window = BlockWindow::new(8);
        for n in 1..100 {
            window.sample(0.99, f64::from(n) * MIB * 1000.0);
        }
        assert_eq!(window.blocks(), FIRST_BLOCKS);
        run(&mut window, 100, 1e6 * MIB, f64::MAX);
        assert_eq!(window.blocks(), 8);
        assert_eq!(BlockWindow::new(1).blocks(), 1);
        assert_eq!(BlockWindow::new(0).blocks(), 1);
    }
}
