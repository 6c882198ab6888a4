//! The MD5 of a large object whose pieces come in any order.
//!
//! MD5 knows one order only and does some 0.7 GiB/s, less than everything else together, so each object that wants it has
//! a thread for it. Pieces that come early are kept in memory up to a share of the buffers; beyond it they are read again
//! from their file when their turn comes. So no piece ever waits for memory that a later one holds.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use crossbeam::channel::{Receiver, Sender, unbounded};
use md5::{Digest, Md5};
use tokio::sync::oneshot;

/// Reads a piece again.
pub(crate) type ReadAgain = Box<dyn Fn(&mut [u8], u64) -> io::Result<()> + Send>;

/// Room for what is read again.
const READ_BYTES: usize = 256 << 10;

/// Bytes that wait for their turn, all objects together.
#[derive(Debug)]
pub(crate) struct Held {
    limit: u64,
    now: AtomicU64,
}

impl Held {
    /// `limit`: a share of one lane's buffers, so that no lane is ever left without.
    pub(crate) fn new(limit: u64) -> Arc<Self> {
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

/// The checksum of one object.
pub(crate) struct Md5InOrder {
    /// `None` once all pieces are there.
    pieces: Mutex<Option<Sender<Piece>>>,
    sum: Mutex<Option<oneshot::Receiver<io::Result<[u8; 16]>>>>,
    held: Arc<Held>,
    can_read_again: bool,
}

impl Md5InOrder {
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(read_again: Option<ReadAgain>, held: &Arc<Held>) -> io::Result<Self> {
        // Bounded by the pieces under way: each sends one message per buffer.
        let (pieces, inbox) = unbounded();
        let (tell, sum) = oneshot::channel();
        let can_read_again = read_again.is_some();
        let theirs = Arc::clone(held);
        std::thread::Builder::new().name("md5".to_owned()).spawn(move || {
            // Nobody listens when the object was given up.
            let _ = tell.send(sum_up(&inbox, read_again.as_ref(), &theirs));
        })?;
        let (pieces, sum) = (Mutex::new(Some(pieces)), Mutex::new(Some(sum)));
        Ok(Self { pieces, sum, held: Arc::clone(held), can_read_again })
    }

    /// Takes the next piece that is there.
    pub(crate) fn take(&self, at: u64, bytes: Bytes) {
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
        if let Some(pieces) = &*self.pieces.lock().expect("nothing panics while the lock is held") {
            let _ = pieces.send((at, len, kept));
        }
    }

    /// The checksum, after the last piece.
    ///
    /// # Errors
    /// When a piece could not be read again.
    pub(crate) async fn finish(&self) -> io::Result<[u8; 16]> {
        self.pieces.lock().expect("nothing panics while the lock is held").take();
        let sum = self.sum.lock().expect("nothing panics while the lock is held").take();
        let sum = sum.expect("the checksum is asked for once");
        sum.await.map_err(|_| io::Error::other("the thread that computes the MD5 has died"))?
    }
}

fn sum_up(inbox: &Receiver<Piece>, read_again: Option<&ReadAgain>, held: &Held) -> io::Result<[u8; 16]> {
    let mut waiting = Waiting { pieces: BTreeMap::new(), held };
    let mut md5 = Md5::new();
    let mut next = 0;
    let mut buffer = Vec::new();
    for (at, len, bytes) in inbox {
        waiting.pieces.insert(at, (len, bytes));
        while let Some((len, bytes)) = waiting.take(next) {
            match bytes {
                Some(bytes) => md5.update(&bytes),
                None => {
                    let read = read_again.expect("only what can be read again was let go");
                    buffer.resize(READ_BYTES, 0);
                    let mut done = 0;
                    while done < len {
                        let part = &mut buffer[..READ_BYTES.min((len - done) as usize)];
                        read(part, next + done)?;
                        md5.update(&*part);
                        done += part.len() as u64;
                    }
                }
            }
            next += len;
        }
    }
    Ok(md5.finalize().into())
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
pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part);
    }
    md5.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_in_any_order_give_the_sum_of_the_whole() {
        let whole: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
        let want = of_parts([&whole[..]]);
        // With room for everything, for little, and for nothing.
        for limit in [u64::MAX / 2, 70_000, 0] {
            let held = Held::new(limit);
            let source = whole.clone();
            let read: ReadAgain = Box::new(move |out, at| {
                out.copy_from_slice(&source[at as usize..][..out.len()]);
                Ok(())
            });
            let sum = Md5InOrder::start(Some(read), &held).unwrap();
            let mut pieces: Vec<_> = whole.chunks(33_333).enumerate().collect();
            fastrand::Rng::with_seed(7).shuffle(&mut pieces);
            for (n, piece) in pieces {
                sum.take(n as u64 * 33_333, Bytes::copy_from_slice(piece));
            }
            assert_eq!(sum.finish().await.unwrap(), want);
            assert_eq!(held.now.load(Ordering::SeqCst), 0);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_again_is_told() {
        let read: ReadAgain = Box::new(|_, _| Err(io::Error::other("gone")));
        let sum = Md5InOrder::start(Some(read), &Held::new(0)).unwrap();
        sum.take(0, Bytes::from_static(b"abc"));
        assert_eq!(sum.finish().await.unwrap_err().to_string(), "gone");
    }
}
