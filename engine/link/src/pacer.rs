//! A limit on bytes per second that many links of many lanes share.
//!
//! One point in time is shared: that at which everything handed out so far will have passed at the agreed rate. A link
//! that wants to move a piece puts its bytes behind it and waits until that time has come. So links are served in turn,
//! piece by piece, none is favoured, and what was not used is not saved up.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A piece takes this long at the agreed rate: short enough to be smooth, long enough to be worth a system call.
const PIECE: Duration = Duration::from_millis(20);
/// Pieces are of at least and at most so many bytes.
const PIECE_BYTES: (f64, f64) = (1024.0, 65_536.0);
/// A link that waits says so at least this often to whoever watches it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// The shared limit.
#[derive(Debug)]
pub struct Pacer {
    bytes_per_second: f64,
    piece: usize,
    /// When everything handed out so far has passed.
    free: Mutex<Option<Instant>>,
    /// A limit that counts as well.
    above: Option<Arc<Pacer>>,
}

impl Pacer {
    /// A limit of so many bytes per second, more than 0, sent and received together. Bytes of TLS itself are not
    /// counted.
    pub fn new(bytes_per_second: f64) -> Arc<Self> {
        Arc::new(Self::with(bytes_per_second, None))
    }

    /// The same within a limit that others share.
    pub fn below(bytes_per_second: f64, above: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self::with(bytes_per_second, Some(Arc::clone(above))))
    }

    fn with(bytes_per_second: f64, above: Option<Arc<Self>>) -> Self {
        let piece = (bytes_per_second * PIECE.as_secs_f64()).clamp(PIECE_BYTES.0, PIECE_BYTES.1) as usize;
        Self { bytes_per_second, piece, free: Mutex::new(None), above }
    }

    /// Waits until `bytes` have passed, for who moves them by other means than links.
    pub async fn pass(&self, bytes: u64) {
        let (_, passed) = self.hand_out(usize::try_from(bytes).unwrap_or(usize::MAX), Instant::now());
        tokio::time::sleep_until(passed).await;
    }

    /// Hands out `bytes`: when those handed out before have passed, and when these will have.
    fn hand_out(&self, bytes: usize, now: Instant) -> (Instant, Instant) {
        let takes =
            Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second).unwrap_or(Duration::MAX);
        let mut free = self.free.lock().expect("nothing panics while the lock is held");
        let begin = free.map_or(now, |free| free.max(now));
        // A rate so low that it reaches past the end of time.
        let end = begin.checked_add(takes).unwrap_or(begin);
        *free = Some(end);
        drop(free);
        let Some(above) = &self.above else { return (begin, end) };
        let (later, last) = above.hand_out(bytes, now);
        (begin.max(later), end.max(last))
    }
}

/// One direction of one link under a limit.
#[derive(Debug)]
pub(crate) struct Paced {
    pacer: Arc<Pacer>,
    /// Bytes that were handed out and have not been moved.
    credit: usize,
    /// When they may be moved.
    due: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    pub(crate) fn new(pacer: &Arc<Pacer>) -> Self {
        Self { pacer: Arc::clone(pacer), credit: 0, due: None, sleep: None }
    }

    /// Before `wanted` bytes are sent: how many of them may go now, at least one.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        if self.credit == 0 {
            self.credit = wanted.clamp(1, self.pacer.piece);
            self.due = Some(self.pacer.hand_out(self.credit, Instant::now()).0);
        }
        self.poll_due(cx).map(|()| self.credit)
    }

    /// After `bytes` were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_sub(bytes);
    }

    /// Before something is read: how much at most. Nobody knows how much will come, so it is paid for afterwards.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        self.poll_due(cx).map(|()| self.pacer.piece)
    }

    /// After `bytes` were read.
    pub(crate) fn received(&mut self, bytes: usize) {
        if bytes > 0 {
            self.due = Some(self.pacer.hand_out(bytes, Instant::now()).1);
        }
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(due) = self.due {
            let now = Instant::now();
            if due <= now {
                self.due = None;
                break;
            }
            let until = due.min(now + SIGN_OF_LIFE);
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            sleep.as_mut().reset(until);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn pieces_are_a_fiftieth_of_a_second_within_bounds() {
        for (rate, piece) in [(1.0, 1024), (1e6, 20_000), (1e9, 65_536)] {
            assert_eq!(Pacer::new(rate).piece, piece);
        }
    }

    #[test]
    fn bytes_stand_in_line_and_idle_time_is_not_saved_up() {
        let pacer = Pacer::new(1000.0);
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(pacer.hand_out(100, begin), (begin, at(100)));
        assert_eq!(pacer.hand_out(50, begin), (at(100), at(150)));
        assert_eq!(pacer.hand_out(1000, at(5000)), (at(5000), at(6000)));
        // Nothing overflows.
        Pacer::new(f64::MIN_POSITIVE).hand_out(usize::MAX, begin);
    }

    #[test]
    fn a_limit_within_a_limit_keeps_both() {
        let shared = Pacer::new(1000.0);
        let (slow, fast) = (Pacer::below(100.0, &shared), Pacer::below(10_000.0, &shared));
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(slow.hand_out(50, begin), (begin, at(500)));
        // Its own would have passed after 10 ms, and what all share after 50 and 100 more.
        assert_eq!(fast.hand_out(100, begin), (at(50), at(150)));
        assert_eq!(slow.hand_out(10, begin), (at(500), at(600)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_by_other_means_has_the_same_rate() {
        let (pacer, begin) = (Pacer::new(1000.0), Instant::now());
        tokio::join!(pacer.pass(500), pacer.pass(250));
        pacer.pass(250).await;
        assert_eq!(begin.elapsed().as_millis(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn links_share_the_rate_evenly_however_many_they_are() {
        let pacer = Pacer::new(100_000.0);
        let begin = Instant::now();
        let link = |amount: usize| {
            let mut paced = Paced::new(&pacer);
            async move {
                let mut left = amount;
                while left > 0 {
                    let n = poll_fn(|cx| paced.poll_send(cx, left)).await;
                    assert!((1..=2000).contains(&n));
                    paced.sent(n);
                    left -= n;
                }
                begin.elapsed()
            }
        };
        let reader = {
            let mut paced = Paced::new(&pacer);
            async move {
                for _ in 0..25 {
                    assert_eq!(poll_fn(|cx| paced.poll_receive(cx)).await, 2000);
                    paced.received(2000);
                }
                poll_fn(|cx| paced.poll_receive(cx)).await;
                begin.elapsed()
            }
        };
        let (a, b, c) = tokio::join!(link(50_000), link(50_000), reader);
        // 150,000 bytes at 100,000 a second, and nobody is done long before the others.
        let ended = [a, b, c].map(|ended| ended.as_secs_f64());
        assert!(ended.iter().all(|&ended| (1.2..1.52).contains(&ended)), "{ended:?}");
        assert!(ended.iter().any(|&ended| ended > 1.45), "{ended:?}");
    }
}
