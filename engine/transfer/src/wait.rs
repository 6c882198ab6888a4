//! Waiting for a future on a thread, whatever runs that thread.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the calling thread until `future` is ready. Unlike a runtime's own `block_on` this may be called by a thread
/// of somebody else's runtime, which it blocks. `future` must need no runtime.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    // Within somebody's task tokio counts what one poll does, and would never let this one go on.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
