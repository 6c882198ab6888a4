//! Threads that read directories before they are wanted.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::LocalError;
use crate::chain::Chain;
use crate::listing::Listing;
use crate::read::{Place, Reader, Shared};

/// Most directories that are requested or waiting read at a time: [`PER_LEVEL`] on each of the last 16 levels.
pub const LOOK_AHEAD: usize = PER_LEVEL * LEVELS;

/// Most directories of one level that are read ahead: enough for [`MAX_THREADS`](crate::walk::MAX_THREADS) on a slow
/// file system, where every read waits.
pub const PER_LEVEL: usize = 64;

/// Levels above the current one, itself included, that are read ahead in; deeper trees are rarely wide as well.
pub(crate) const LEVELS: usize = 16;

/// A directory to be read.
#[derive(Debug)]
struct Request {
    ticket: u64,
    relative: Vec<u8>,
    depth: usize,
    above: Option<Arc<Chain>>,
}

/// `None`: the reader panicked (a caller's matcher can). The consumer then reads the directory itself, and meets
/// the panic where it can be seen.
type Reply = (u64, Option<Result<Listing, LocalError>>);

/// The threads that read ahead. Both channels hold [`LOOK_AHEAD`], and no more than that is ever asked for
/// without being taken: no send blocks.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    wanted: usize,
    requests: Option<Sender<Request>>,
    replies: Option<Receiver<Reply>>,
    threads: Vec<JoinHandle<()>>,
    /// Came before they were wanted.
    ready: HashMap<u64, Option<Result<Listing, LocalError>>>,
    next_ticket: u64,
    outstanding: usize,
}

impl Pool {
    pub(crate) fn new(shared: Arc<Shared>, wanted: usize) -> Self {
        Self {
            shared,
            wanted,
            requests: None,
            replies: None,
            threads: Vec::new(),
            ready: HashMap::new(),
            next_ticket: 0,
            outstanding: 0,
        }
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.wanted > 0 && self.outstanding < LOOK_AHEAD
    }

    /// Starts the threads. Where the system gives none, the consumer reads everything itself.
    fn start(&mut self) {
        let (requests, incoming) = bounded::<Request>(LOOK_AHEAD);
        let (outgoing, replies) = bounded::<Reply>(LOOK_AHEAD);
        for n in 0..self.wanted {
            let (shared, incoming, outgoing) = (Arc::clone(&self.shared), incoming.clone(), outgoing.clone());
            let work = move || {
                let mut reader = Reader::new();
                for Request { ticket, relative, depth, above } in incoming {
                    if shared.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let place = Place { relative: &relative, depth, above };
                    let read = AssertUnwindSafe(|| reader.read(&shared, place));
                    let listing = catch_unwind(read).ok();
                    if outgoing.send((ticket, listing)).is_err() {
                        return;
                    }
                }
            };
            match std::thread::Builder::new().name(format!("walk-{n}")).spawn(work) {
                Ok(thread) => self.threads.push(thread),
                Err(_) => break,
            }
        }
        self.wanted = self.threads.len();
        self.requests = Some(requests);
        self.replies = Some(replies);
    }

    /// Asks for a directory; `None` if there is nobody or too much to do.
    pub(crate) fn ask(&mut self, relative: Vec<u8>, depth: usize, above: Option<Arc<Chain>>) -> Option<u64> {
        if self.requests.is_none() {
            self.start();
        }
        if !self.is_usable() {
            return None;
        }
        let ticket = self.next_ticket;
        self.requests.as_ref()?.try_send(Request { ticket, relative, depth, above }).ok()?;
        self.next_ticket += 1;
        self.outstanding += 1;
        Some(ticket)
    }

    /// Waits for a directory that was asked for; `None` if no thread could read it.
    pub(crate) fn take(&mut self, ticket: u64) -> Option<Result<Listing, LocalError>> {
        self.outstanding -= 1;
        loop {
            if let Some(listing) = self.ready.remove(&ticket) {
                return listing;
            }
            let (came, listing) = self.replies.as_ref()?.recv().ok()?;
            if came == ticket {
                return listing;
            }
            self.ready.insert(came, listing);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.requests = None;
        self.replies = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on its own.
            let _ = thread.join();
        }
    }
}
