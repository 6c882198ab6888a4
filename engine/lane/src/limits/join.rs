//! Several things at once, in one task.

use std::pin::Pin;
use std::task::Poll;

/// Polls all futures together, each to its end (a file operation must not be dropped in flight), and returns their
/// results in order.
pub async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<Option<Pin<Box<F>>>> =
        futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut results: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (slot, result) in waiting.iter_mut().zip(&mut results) {
            if let Some(future) = slot {
                match future.as_mut().poll(cx) {
                    Poll::Ready(ready) => {
                        *result = Some(ready);
                        *slot = None;
                    }
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    results.into_iter().map(|result| result.expect("all futures are done")).collect()
}
