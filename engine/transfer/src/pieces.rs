//! The pieces of one large object, done by all lanes together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use azuring_plan::blocks::block_range;

use crate::failure::Failure;

/// Each lane claims the next piece, does it, and reports it; whoever reports the last one completes the object, or reports
/// its failure. A failed piece makes the others pass quickly: they are claimed and reported without being done.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Bytes of the object.
    pub(crate) len: u64,
    /// Bytes of each piece but the last.
    pub(crate) size: u64,
    /// How many there are.
    pub(crate) count: u32,
    next: AtomicU32,
    reported: AtomicU32,
    failed: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

impl Pieces {
    pub(crate) fn new(len: u64, size: u64, count: u32) -> Self {
        Self {
            len,
            size,
            count,
            next: AtomicU32::new(0),
            reported: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// The next piece nobody has claimed.
    pub(crate) fn claim(&self) -> Option<u32> {
        // Checked first so that the counter cannot run away however often lanes ask.
        if self.next.load(Ordering::Relaxed) >= self.count {
            return None;
        }
        let piece = self.next.fetch_add(1, Ordering::Relaxed);
        (piece < self.count).then_some(piece)
    }

    /// Offset and length of a piece.
    pub(crate) fn range(&self, piece: u32) -> (u64, u64) {
        block_range(self.len, self.size, piece).expect("a claimed piece lies inside the object")
    }

    /// Whether the remaining pieces need not be done.
    pub(crate) fn is_lost(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Records why the object cannot be completed; the first reason stays.
    pub(crate) fn lose(&self, failure: Failure) {
        let mut slot = self.failure.lock().expect("nothing panics while the lock is held");
        slot.get_or_insert(failure);
        self.failed.store(true, Ordering::SeqCst);
    }

    /// Reports a claimed piece. `true` for exactly one caller: the one with the last piece.
    pub(crate) fn report(&self) -> bool {
        self.reported.fetch_add(1, Ordering::SeqCst) + 1 == self.count
    }

    /// Why the object was lost, if it was.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.failure.lock().expect("nothing panics while the lock is held").take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_claim_each_piece_once_and_one_of_them_finishes() {
        let pieces = Pieces::new(1000, 7, 143);
        let claimed = Mutex::new(Vec::new());
        let finishers = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(piece) = pieces.claim() {
                        claimed.lock().unwrap().push(piece);
                        if pieces.report() {
                            finishers.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        let mut claimed = claimed.into_inner().unwrap();
        claimed.sort_unstable();
        assert_eq!(claimed, (0..143).collect::<Vec<_>>());
        assert_eq!(finishers.into_inner(), 1);
        assert_eq!(pieces.range(142), (994, 6));
    }

    #[test]
    fn the_first_reason_stays() {
        use crate::failure::FailureKind;
        let pieces = Pieces::new(10, 5, 2);
        pieces.lose(Failure::new(FailureKind::Network, "x", "first"));
        pieces.lose(Failure::new(FailureKind::Network, "x", "second"));
        assert!(pieces.is_lost());
        assert_eq!(pieces.take_failure().unwrap().reason, "first");
    }
}
