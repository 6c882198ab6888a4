//! The one loop that moves the pieces of large objects, whichever way they go.

use std::rc::Rc;

use azuring_job::failure::Failure;
use azuring_job::progress::add;
use azuring_ring::FileRing;
use tokio::task::JoinSet;

use crate::lane::context::Lane;
use crate::object::pieces::Pieces;

/// A large object as one lane has it before it. A copy is a handle to the same.
pub(crate) trait InPieces<R: FileRing>: Clone + 'static {
    /// Those of the object, shared by all lanes.
    fn pieces(&self) -> &Pieces;

    /// The object's name in messages.
    fn object(&self) -> String;

    /// Whether pieces have to be done one after the other, in their order. Then no other lane is asked for help.
    fn is_in_order(&self, _lane: &Lane<R>) -> bool {
        false
    }

    /// Does piece `n`.
    async fn piece(&self, lane: &Lane<R>, n: u32) -> Result<(), Box<Failure>>;
}

/// Counts what an object has before it is begun.
pub(crate) fn begin<R: FileRing>(lane: &Lane<R>, pieces: &Pieces) {
    let before: u64 = pieces.done_before().map(|(_, len)| len).sum();
    add(&lane.counters().large_begun, pieces.len - before);
    add(&lane.counters().bytes, before);
}

/// Does pieces of `large` until none is left to claim. `true`: this lane has reported the last one, so it is the one
/// that completes the object, or reports its failure.
pub(crate) async fn drive<R: FileRing, L: InPieces<R>>(lane: &Rc<Lane<R>>, large: &L) -> bool {
    let mut tasks = JoinSet::new();
    let mut last = false;
    let in_order = large.is_in_order(lane);
    loop {
        // One piece at least, so that no object waits for the others of its lane.
        while (tasks.is_empty() || (!in_order && lane.has_room_for_block()))
            && let Some(piece) = large.pieces().claim()
        {
            lane.blocks().update(|blocks| blocks + 1);
            let (lane, large) = (Rc::clone(lane), large.clone());
            tasks.spawn_local(async move {
                let pieces = large.pieces();
                if !pieces.is_lost() {
                    if lane.session().verdict.stopping() {
                        pieces.lose(Failure::interrupted(&large.object()));
                    } else {
                        pieces.done(large.piece(&lane, piece).await);
                    }
                }
                lane.blocks().update(|blocks| blocks - 1);
                add(&lane.counters().large_ended, pieces.range(piece).1);
                pieces.report()
            });
        }
        match tasks.join_next().await {
            None => return last,
            Some(Ok(was_last)) => {
                last |= was_last;
                lane.sample_window(large.pieces().size);
            }
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
