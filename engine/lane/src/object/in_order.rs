//! Pieces that come in any order, for those who want them in the object's: an MD5, or a pipe.
//!
//! MD5 does some 0.7 GiB/s, less than everything else together, and a pipe may not be read at all, so each object that
//! wants order has a thread for it. Pieces that come early are kept in memory up to a share of the buffers; beyond it
//! they are read again from their file when their turn comes. So no piece ever waits for memory that a later one holds.
//! What cannot be read again belongs to one lane, which acquires memory in the order of the pieces: the first of them
//! always has its own.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crossbeam::channel::{Receiver, Sender, unbounded};
use md5::{Digest, Md5};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Reads a piece again.
pub(crate) type ReadAgain = Box<dyn Fn(&mut [u8], u64) -> io::Result<()> + Send>;

/// Room for what is read again.
const READ_BYTES: usize = 256 << 10;

/// Bytes that wait for their turn, all objects together.
#[derive(Debug)]
pub struct Held {
    limit: u64,
    now: AtomicU64,
}

impl Held {
    /// `limit`: a share of one lane's buffers, so that no lane is ever left without.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, now: AtomicU64::new(0) })
    }

    fn take(&self, bytes: u64) -> bool {
        let fits = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.limit;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    fn give_back(&self, bytes: u64) {
        self.now.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A piece on its way to the thread: where it begins, its length, and its bytes unless they are to be read again.
type Piece = (u64, u64, Option<Bytes>);

/// Who takes the bytes.
pub(crate) trait Consumer: Send + 'static {
    /// What is left when there are no more.
    type End: Send + 'static;

    /// Takes the next bytes.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Called once, after the last bytes.
    fn end(self) -> io::Result<Self::End>;
}

impl Consumer for Md5 {
    type End = [u8; 16];

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.update(bytes);
        Ok(())
    }

    fn end(self) -> io::Result<[u8; 16]> {
        Ok(self.finalize().into())
    }
}

/// A pipe.
impl Consumer for Box<dyn Write + Send> {
    type End = ();

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn end(mut self) -> io::Result<()> {
        self.flush()
    }
}

/// The bytes of one object on their way to a consumer.
pub(crate) struct InOrder<C: Consumer> {
    /// `None` once all pieces are there.
    pieces: Mutex<Option<Sender<Piece>>>,
    end: Mutex<Option<oneshot::Receiver<io::Result<C::End>>>>,
    held: Arc<Held>,
    can_read_again: bool,
}

impl InOrder<Md5> {
    /// The checksum of an object. `turn` is given back when its thread ends: see
    /// [`crate::lane::context::Lane::turn_to_sum`].
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn md5(
        read_again: Option<ReadAgain>,
        held: &Arc<Held>,
        turn: OwnedSemaphorePermit,
    ) -> io::Result<Self> {
        Self::start(Md5::new(), read_again, held, Some(turn))
    }
}

impl<C: Consumer> InOrder<C> {
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(
        consumer: C,
        read_again: Option<ReadAgain>,
        held: &Arc<Held>,
        turn: Option<OwnedSemaphorePermit>,
    ) -> io::Result<Self> {
        // Bounded by the pieces under way: each sends one message per buffer.
        let (pieces, inbox) = unbounded();
        let (tell, end) = oneshot::channel();
        let can_read_again = read_again.is_some();
        let theirs = Arc::clone(held);
        std::thread::Builder::new().name("in-order".to_owned()).spawn(move || {
            // Nobody listens when the object was given up.
            let _ = tell.send(consume(consumer, &inbox, read_again.as_ref(), &theirs));
            drop(turn);
        })?;
        let (pieces, end) = (Mutex::new(Some(pieces)), Mutex::new(Some(end)));
        Ok(Self { pieces, end, held: Arc::clone(held), can_read_again })
    }

    /// Takes a piece; `false`: the consumer has failed, and [`InOrder::finish`] says why.
    pub(crate) fn take(&self, at: u64, bytes: Bytes) -> bool {
        let len = bytes.len() as u64;
        // What cannot be read again is kept: its object is one lane's alone, whose pieces come nearly in order.
        let kept = if self.held.take(len) {
            Some(bytes)
        } else if self.can_read_again {
            None
        } else {
            self.held.now.fetch_add(len, Ordering::Relaxed);
            Some(bytes)
        };
        let pieces = self.pieces.lock().expect("nothing panics while the lock is held");
        pieces.as_ref().is_some_and(|pieces| pieces.send((at, len, kept)).is_ok())
    }

    /// Takes a piece that is only on disk, and can be read again.
    pub(crate) fn take_from_disk(&self, at: u64, len: u64) {
        let pieces = self.pieces.lock().expect("nothing panics while the lock is held");
        // Whether the consumer has failed is told at the end.
        let _ = pieces.as_ref().map(|pieces| pieces.send((at, len, None)));
    }

    /// Says that no more pieces will come, so that the thread ends. Of an object that was lost nobody asks for the end,
    /// and lanes that were asked for help may keep it for as long as they have other work.
    pub(crate) fn close(&self) {
        self.pieces.lock().expect("nothing panics while the lock is held").take();
    }

    /// What the consumer has made of all pieces.
    ///
    /// # Errors
    /// The consumer's, or that of a piece that could not be read again.
    pub(crate) async fn finish(&self) -> io::Result<C::End> {
        self.close();
        let end = self.end.lock().expect("nothing panics while the lock is held").take();
        let end = end.expect("the end is asked for once");
        end.await.map_err(|_| io::Error::other("the thread that takes the bytes in order has died"))?
    }
}

fn consume<C: Consumer>(
    mut consumer: C,
    inbox: &Receiver<Piece>,
    read_again: Option<&ReadAgain>,
    held: &Held,
) -> io::Result<C::End> {
    let mut waiting = Waiting { pieces: BTreeMap::new(), held };
    let mut next = 0;
    let mut buffer = Vec::new();
    for (at, len, bytes) in inbox {
        waiting.pieces.insert(at, (len, bytes));
        while let Some((len, bytes)) = waiting.take(next) {
            match bytes {
                Some(bytes) => consumer.take(&bytes)?,
                None => {
                    let read = read_again.expect("only what can be read again was let go");
                    buffer.resize(READ_BYTES, 0);
                    let mut done = 0;
                    while done < len {
                        let part = &mut buffer[..READ_BYTES.min((len - done) as usize)];
                        read(part, next + done)?;
                        consumer.take(part)?;
                        done += part.len() as u64;
                    }
                }
            }
            next += len;
        }
    }
    consumer.end()
}

/// What came early.
struct Waiting<'a> {
    pieces: BTreeMap<u64, (u64, Option<Bytes>)>,
    held: &'a Held,
}

impl Waiting<'_> {
    fn take(&mut self, at: u64) -> Option<(u64, Option<Bytes>)> {
        let piece = self.pieces.remove(&at)?;
        if piece.1.is_some() {
            self.held.give_back(piece.0);
        }
        Some(piece)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let left = self.pieces.values().filter(|(_, bytes)| bytes.is_some()).map(|(len, _)| len).sum();
        self.held.give_back(left);
    }
}

/// The MD5 of parts that are in memory.
pub(crate) fn md5_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    fn turns() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(1))
    }

    async fn turn() -> OwnedSemaphorePermit {
        turns().acquire_owned().await.unwrap()
    }

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_its_thread() {
        let turns = turns();
        for closed in [true, false] {
            let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
            let sum = InOrder::md5(None, &Held::new(100), turn).unwrap();
            assert!(sum.take(0, Bytes::from_static(b"abc")));
            assert_eq!(turns.available_permits(), 0);
            // An object that was given up is let go of, or kept by somebody.
            if closed {
                sum.close();
                assert!(!sum.take(3, Bytes::from_static(b"def")));
                drop(turns.acquire().await.unwrap());
            }
            drop(sum);
        }
        drop(turns.acquire().await.unwrap());
    }

    #[tokio::test]
    async fn pieces_in_any_order_give_the_sum_of_the_whole() {
        let whole: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
        let want = md5_of_parts([&whole[..]]);
        // With room for everything, for little, and for nothing.
        for limit in [u64::MAX / 2, 70_000, 0] {
            let held = Held::new(limit);
            let source = whole.clone();
            let read: ReadAgain = Box::new(move |out, at| {
                out.copy_from_slice(&source[at as usize..][..out.len()]);
                Ok(())
            });
            let sum = InOrder::md5(Some(read), &held, turn().await).unwrap();
            let mut pieces: Vec<_> = whole.chunks(33_333).enumerate().collect();
            fastrand::Rng::with_seed(7).shuffle(&mut pieces);
            for (n, piece) in pieces {
                assert!(sum.take(n as u64 * 33_333, Bytes::copy_from_slice(piece)));
            }
            assert_eq!(sum.finish().await.unwrap(), want);
            assert_eq!(held.now.load(Ordering::SeqCst), 0);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_again_is_told() {
        let read: ReadAgain = Box::new(|_, _| Err(io::Error::other("gone")));
        let sum = InOrder::md5(Some(read), &Held::new(0), turn().await).unwrap();
        sum.take(0, Bytes::from_static(b"abc"));
        assert_eq!(sum.finish().await.unwrap_err().to_string(), "gone");
    }
}
