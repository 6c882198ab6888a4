//! The pieces of one large object, done by all lanes together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::blocks::block_range;

/// Each lane claims the next piece, does it, and reports it; whoever reports the last one completes the object, or
/// reports its failure. A failed piece makes the others pass quickly: they are claimed and reported without being done.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Bytes of the object.
    pub(crate) len: u64,
    /// Bytes of each piece but the last.
    pub(crate) size: u64,
    pub(crate) count: u32,
    /// Those that an earlier run of the job has done; empty when it has done none.
    before: Box<[bool]>,
    next: AtomicU32,
    reported: AtomicU32,
    begun: AtomicBool,
    failed: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

impl Pieces {
    pub(crate) fn new(len: u64, size: u64, count: u32) -> Self {
        Self {
            len,
            size,
            count,
            before: Box::default(),
            next: AtomicU32::new(0),
            reported: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// The same, some of them having been done by an earlier run of the job: `done` says which.
    pub(crate) fn going_on(self, mut done: Box<[bool]>) -> Self {
        for (done, before) in done.iter_mut().zip(self.before.iter()) {
            *done |= before;
        }
        let pieces = done.iter().filter(|done| **done).count() as u32;
        Self { before: done, reported: AtomicU32::new(pieces), begun: AtomicBool::new(pieces > 0), ..self }
    }

    /// The same, some of them being nothing that has to be moved: `idle` says which.
    pub(crate) fn skipping(self, idle: Box<[bool]>) -> Self {
        let begun = self.is_begun();
        Self { begun: AtomicBool::new(begun), ..self.going_on(idle) }
    }

    /// Those that an earlier run has done, with their places.
    pub(crate) fn done_before(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..self.count).filter(|piece| self.is_done_before(*piece)).map(|piece| self.range(piece))
    }

    pub(crate) fn is_done_before(&self, piece: u32) -> bool {
        self.before.get(piece as usize).copied().unwrap_or_default()
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_complete(&self) -> bool {
        self.reported.load(Ordering::SeqCst) == self.count
    }

    /// The next piece nobody has claimed.
    pub(crate) fn claim(&self) -> Option<u32> {
        loop {
            // Checked first so that the counter cannot run away however often lanes ask.
            if self.next.load(Ordering::Relaxed) >= self.count {
                return None;
            }
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= self.count {
                return None;
            }
            if !self.is_done_before(piece) {
                return Some(piece);
            }
        }
    }

    /// Offset and length of a piece.
    pub(crate) fn range(&self, piece: u32) -> (u64, u64) {
        block_range(self.len, self.size, piece).expect("a claimed piece lies inside the object")
    }

    /// Says that a part of the object was moved: if it is interrupted now, it has failed.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
    }

    /// Whether a part of the object was moved.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
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

    /// Takes what a piece came to.
    pub(crate) fn done(&self, result: Result<(), Box<Failure>>) {
        match result {
            Ok(()) => self.begin(),
            Err(failure) => {
                if failure.tries > 0 {
                    self.begin();
                }
                self.lose(*failure);
            }
        }
    }

    /// Reports a claimed piece. `true` for exactly one caller: the one with the last piece.
    pub(crate) fn report(&self) -> bool {
        self.reported.fetch_add(1, Ordering::SeqCst) + 1 == self.count
    }

    /// Why the object was lost, if it was. Asked for when all pieces are reported.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        let mut failure = self.failure.lock().expect("nothing panics while the lock is held").take()?;
        if failure.kind == FailureKind::Interrupted && self.begun.load(Ordering::SeqCst) {
            failure.tries = failure.tries.max(1);
        }
        Some(failure)
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
    fn what_was_done_before_is_not_claimed_and_the_last_one_still_finishes() {
        let done = [true, false, true, false];
        let pieces = Pieces::new(100, 30, 4).going_on(done.into());
        assert_eq!(pieces.done_before().collect::<Vec<_>>(), [(0, 30), (60, 30)]);
        assert_eq!(pieces.claim(), Some(1));
        assert!(!pieces.report() && !pieces.is_complete());
        assert_eq!((pieces.claim(), pieces.claim()), (Some(3), None));
        assert!(pieces.report() && pieces.is_complete());
        assert!(Pieces::new(100, 50, 2).going_on([true; 2].into()).is_complete());
    }

    #[test]
    fn what_has_not_to_be_moved_begins_nothing() {
        let pieces = || Pieces::new(100, 30, 4).skipping([true, false, false, true].into());
        assert_eq!((pieces().claim(), pieces().is_begun()), (Some(1), false));
        let interrupted = pieces();
        interrupted.done(Err(Box::new(Failure::interrupted("x"))));
        assert_eq!(interrupted.take_failure().unwrap().tries, 0);
        let gone_on = Pieces::new(100, 30, 4).going_on([false, true, false, false].into());
        assert!(gone_on.skipping([true, false, false, true].into()).is_begun());
    }

    #[test]
    fn what_is_interrupted_has_failed_if_it_was_begun() {
        let interrupted = || Box::new(Failure::interrupted("x"));
        let tries = |done: Vec<Result<(), Box<Failure>>>| {
            let pieces = Pieces::new(10, 5, 2);
            done.into_iter().for_each(|result| pieces.done(result));
            pieces.take_failure().map(|failure| failure.tries)
        };
        assert_eq!(tries(vec![Ok(()), Ok(())]), None);
        assert_eq!(tries(vec![Err(interrupted()), Err(interrupted())]), Some(0));
        assert_eq!(tries(vec![Ok(()), Err(interrupted())]), Some(1));
        assert_eq!(tries(vec![Err(interrupted()), Ok(())]), Some(1));
        let sent = Box::new(interrupted().tries(3));
        assert_eq!(tries(vec![Err(interrupted()), Err(sent)]), Some(1));
    }

    #[test]
    fn the_first_reason_stays() {
        let pieces = Pieces::new(10, 5, 2);
        pieces.lose(Failure::new(FailureKind::Network, "x", "first"));
        pieces.lose(Failure::new(FailureKind::Network, "x", "second"));
        assert!(pieces.is_lost());
        assert_eq!(pieces.take_failure().unwrap().reason, "first");
    }
}
