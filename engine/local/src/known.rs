//! Open directories by path, a bounded number of them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Directories that are held open, shared by all lanes. A hit takes a read lock, so hits do not wait for each other;
/// which directory goes when another comes is decided by second chance (CLOCK): one that was not asked for since the
/// hand passed.
#[derive(Debug)]
pub(crate) struct Known {
    capacity: usize,
    shelf: RwLock<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    slots: Vec<Slot>,
    by_path: HashMap<Arc<[u8]>, usize>,
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    path: Arc<[u8]>,
    directory: Arc<OwnedFd>,
    used: AtomicBool,
}

impl Known {
    /// Room for `capacity` directories, at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), shelf: RwLock::default() }
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<Arc<OwnedFd>> {
        // Nothing panics while it holds the lock, and if it did, the shelf would be whole.
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let slot = shelf.slots.get(*shelf.by_path.get(path)?)?;
        slot.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(&slot.directory))
    }

    /// Keeps a directory; where another lane was first, that one's.
    pub(crate) fn put(&self, path: &[u8], directory: Arc<OwnedFd>) -> Arc<OwnedFd> {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = shelf.by_path.get(path).and_then(|&at| shelf.slots.get(at)) {
            return Arc::clone(&slot.directory);
        }
        let path: Arc<[u8]> = path.into();
        let slot =
            Slot { path: Arc::clone(&path), directory: Arc::clone(&directory), used: AtomicBool::new(false) };
        let at = if shelf.slots.len() < self.capacity {
            shelf.slots.push(slot);
            shelf.slots.len() - 1
        } else {
            let at = shelf.victim();
            let old = std::mem::replace(&mut shelf.slots[at], slot);
            shelf.by_path.remove(&old.path);
            at
        };
        shelf.by_path.insert(path, at);
        directory
    }
}

impl Shelf {
    /// The next slot that nobody has asked for since the last round.
    fn victim(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !std::mem::take(self.slots[at].used.get_mut()) {
                return at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Arc<OwnedFd> {
        Arc::new(std::fs::File::open("/").unwrap().into())
    }

    #[test]
    fn holds_no_more_than_its_capacity_and_what_is_used() {
        let known = Known::new(3);
        let weak: Vec<_> = (0..100_u8)
            .map(|n| {
                let directory = open();
                known.put(&[n], Arc::clone(&directory));
                // The first is asked for again and again.
                assert!(known.get(&[0]).is_some(), "{n}");
                Arc::downgrade(&directory)
            })
            .collect();
        assert_eq!(weak.iter().filter(|directory| directory.upgrade().is_some()).count(), 3);
        assert!(known.get(&[99]).is_some() && known.get(&[50]).is_none());
        assert_eq!(known.shelf.read().unwrap().by_path.len(), 3);
    }

    #[test]
    fn the_first_of_two_stays() {
        let known = Known::new(0);
        let (one, two) = (open(), open());
        assert!(Arc::ptr_eq(&known.put(b"a", Arc::clone(&one)), &one));
        assert!(Arc::ptr_eq(&known.put(b"a", two), &one));
        assert!(Arc::ptr_eq(&known.get(b"a").unwrap(), &one));
    }
}
