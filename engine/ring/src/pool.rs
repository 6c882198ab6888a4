//! The buffer pool of a lane.
//!
//! Memory comes in chunks of 2 MiB that are mapped as the job needs them, never beyond the limit, and
//! kept until the pool goes away: the first touch of memory costs 0.5 to 1.7 CPU s/GiB on virtual machines, so
//! nothing is mapped per file, and a job of small files never touches more than it uses. A chunk is cut into
//! 32 small slots or 8 block slots; a chunk whose slots are all free belongs to neither and can be cut anew, so no
//! memory is stranded in a class that a job has stopped using.
//!
//! `acquire` is all or nothing and first come, first served: a block that needs 32 slots gets them at once or
//! waits, and nobody overtakes it. Two half-served blocks can therefore never wait for each other.

use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::memory::Chunk;

/// Bytes in a chunk: one huge page on x86-64 and aarch64.
pub const CHUNK_BYTES: usize = 2 << 20;
/// Bytes in a small slot; files up to this size take one.
pub const SMALL_SLOT_BYTES: usize = 64 << 10;
/// Bytes in a block slot; a block of 8 MiB takes 32. Small enough that what was read is still in the CPU's cache when
/// it is checksummed, large enough that a read from a disk is worth its cost.
pub const BLOCK_SLOT_BYTES: usize = 256 << 10;

/// The two sizes of slot a chunk can be cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotClass {
    /// [`SMALL_SLOT_BYTES`].
    Small,
    /// [`BLOCK_SLOT_BYTES`].
    Block,
}

impl SlotClass {
    /// 64 KiB or 256 KiB.
    pub const fn slot_bytes(self) -> usize {
        match self {
            SlotClass::Small => SMALL_SLOT_BYTES,
            SlotClass::Block => BLOCK_SLOT_BYTES,
        }
    }

    const fn per_chunk(self) -> usize {
        CHUNK_BYTES / self.slot_bytes()
    }

    const fn all_free(self) -> u32 {
        match self {
            SlotClass::Small => u32::MAX,
            SlotClass::Block => 0xff,
        }
    }
}

struct ChunkState {
    memory: Chunk<CHUNK_BYTES>,
    /// `None`: every byte is free and the chunk can be cut either way.
    class: Option<SlotClass>,
    /// A set bit is a free slot.
    free: u32,
    /// Whether the chunk's id stands in `available[class]`.
    listed: [bool; 2],
}

struct Waiter {
    class: SlotClass,
    slots: usize,
    grant: oneshot::Sender<io::Result<Vec<Lease>>>,
}

struct State {
    chunks: Vec<ChunkState>,
    /// Chunks of no class, most recently used last.
    uncut: Vec<u32>,
    /// Chunks that may have a free slot, by class, most recently used last. May hold stale ids.
    available: [Vec<u32>; 2],
    free_slots: [usize; 2],
    limit_chunks: usize,
    waiters: VecDeque<Waiter>,
}

struct Shared {
    state: Mutex<State>,
}

/// A bounded pool of slots. Cloning it gives another handle on the same pool.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool that maps at most `limit_bytes`, rounded down to whole chunks and never less than one. Maps
    /// nothing yet.
    pub fn new(limit_bytes: usize) -> Self {
        let limit_chunks = (limit_bytes / CHUNK_BYTES).max(1);
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    chunks: Vec::new(),
                    uncut: Vec::new(),
                    available: [Vec::new(), Vec::new()],
                    free_slots: [0; 2],
                    limit_chunks,
                    waiters: VecDeque::new(),
                }),
            }),
        }
    }

    /// The most slots of `class` that one [`Pool::acquire`] can ever be granted.
    pub fn capacity(&self, class: SlotClass) -> usize {
        self.shared.lock().limit_chunks * class.per_chunk()
    }

    /// Bytes mapped so far. Chunks are kept, so this is the peak as well.
    pub fn mapped_bytes(&self) -> usize {
        self.shared.lock().chunks.len() * CHUNK_BYTES
    }

    /// Waits for `slots` slots of `class`, all together, behind everyone who asked before.
    ///
    /// # Errors
    /// `OutOfMemory` when `slots` is more than [`Pool::capacity`], or when the kernel refuses the very first
    /// chunk. (When it refuses a later one the pool goes on with what it has.)
    pub async fn acquire(&self, class: SlotClass, slots: usize) -> io::Result<Vec<Lease>> {
        let wait = {
            let mut state = self.shared.lock();
            if slots > state.limit_chunks * class.per_chunk() {
                return Err(io::Error::from(io::ErrorKind::OutOfMemory));
            }
            // When the kernel refuses a chunk the limit shrinks to what is mapped, so this ends.
            while state.waiters.is_empty() && state.has(class, slots) {
                match Shared::take(&self.shared, &mut state, class, slots) {
                    Err(_) if slots <= state.limit_chunks * class.per_chunk() && !state.chunks.is_empty() => {
                    }
                    taken => return taken,
                }
            }
            let (grant, wait) = oneshot::channel();
            // Bounded by the number of file and block tasks of the lane, which is a constant of the job.
            state.waiters.push_back(Waiter { class, slots, grant });
            wait
        };
        wait.await.expect("a waiter is answered before it is dropped: the pool outlives its handles")
    }

    /// Waits for one slot of `class`; see [`Pool::acquire`].
    ///
    /// # Errors
    /// As [`Pool::acquire`].
    pub async fn acquire_one(&self, class: SlotClass) -> io::Result<Lease> {
        {
            let mut state = self.shared.lock();
            if state.waiters.is_empty()
                && state.has(class, 1)
                && let Ok(lease) = Shared::take_one(&self.shared, &mut state, class)
            {
                return Ok(lease);
            }
        }
        let mut leases = self.acquire(class, 1).await?;
        Ok(leases.pop().expect("one slot was asked for"))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic happens while the pool is locked")
    }

    fn take(this: &Arc<Self>, state: &mut State, class: SlotClass, slots: usize) -> io::Result<Vec<Lease>> {
        let mut leases: Vec<Lease> = Vec::with_capacity(slots);
        for _ in 0..slots {
            match Self::take_one(this, state, class) {
                Ok(lease) => leases.push(lease),
                Err(refused) => {
                    // The lock is held: give the slots back by hand instead of through `Drop`.
                    for lease in leases {
                        let (chunk, slot) = (lease.chunk, lease.slot);
                        std::mem::forget(lease);
                        state.put_back(chunk, slot, class);
                        // SAFETY: the forgotten lease held one strong count of `this`, released here.
                        unsafe { Arc::decrement_strong_count(Arc::as_ptr(this)) };
                    }
                    return Err(refused);
                }
            }
        }
        Ok(leases)
    }

    fn take_one(this: &Arc<Self>, state: &mut State, class: SlotClass) -> io::Result<Lease> {
        let (chunk, slot) = state.take_slot(class)?;
        let start = state.chunks[chunk as usize].memory.at(slot as usize * class.slot_bytes());
        Ok(Lease { pool: Arc::clone(this), start, len: 0, chunk, slot, class })
    }

    fn release(this: &Arc<Self>, chunk: u32, slot: u32, class: SlotClass) {
        let mut grants = Vec::new();
        {
            let mut state = this.lock();
            state.put_back(chunk, slot, class);
            while let Some(next) = state.waiters.front() {
                let (want, slots) = (next.class, next.slots);
                let possible = slots <= state.limit_chunks * want.per_chunk();
                if possible && !state.has(want, slots) {
                    break;
                }
                let taken = if possible {
                    Self::take(this, &mut state, want, slots)
                } else {
                    // The kernel has refused memory since it was queued.
                    Err(io::Error::from(io::ErrorKind::OutOfMemory))
                };
                if taken.is_err() && possible {
                    // The kernel refuses now: the limit has shrunk, so look again.
                    continue;
                }
                let waiter = state.waiters.pop_front().expect("the front was just seen");
                grants.push((waiter.grant, taken));
            }
        }
        // Outside the lock: a waiter that has gone away drops its leases, which comes back here.
        for (grant, leases) in grants {
            drop(grant.send(leases));
        }
    }
}

impl State {
    fn has(&self, class: SlotClass, slots: usize) -> bool {
        let whole = self.uncut.len() + (self.limit_chunks - self.chunks.len());
        self.free_slots[class as usize] + whole * class.per_chunk() >= slots
    }

    fn take_slot(&mut self, class: SlotClass) -> io::Result<(u32, u32)> {
        let side = class as usize;
        loop {
            if let Some(&id) = self.available[side].last() {
                let chunk = &mut self.chunks[id as usize];
                if chunk.class == Some(class) && chunk.free != 0 {
                    let slot = chunk.free.trailing_zeros();
                    chunk.free &= chunk.free - 1;
                    if chunk.free == 0 {
                        chunk.listed[side] = false;
                        self.available[side].pop();
                    }
                    self.free_slots[side] -= 1;
                    return Ok((id, slot));
                }
                chunk.listed[side] = false;
                self.available[side].pop();
                continue;
            }
            let id = match self.uncut.pop() {
                Some(id) => id,
                None => self.grow()?,
            };
            let chunk = &mut self.chunks[id as usize];
            chunk.class = Some(class);
            chunk.free = class.all_free();
            self.free_slots[side] += class.per_chunk();
            if !chunk.listed[side] {
                chunk.listed[side] = true;
                self.available[side].push(id);
            }
        }
    }

    fn grow(&mut self) -> io::Result<u32> {
        match Chunk::map() {
            Ok(memory) => {
                self.chunks.push(ChunkState { memory, class: None, free: 0, listed: [false; 2] });
                Ok((self.chunks.len() - 1) as u32)
            }
            Err(refused) => {
                // Live on what is there; only a pool without any memory has nothing to wait for.
                self.limit_chunks = self.chunks.len().max(1);
                Err(refused)
            }
        }
    }

    fn put_back(&mut self, id: u32, slot: u32, class: SlotClass) {
        let side = class as usize;
        let chunk = &mut self.chunks[id as usize];
        assert!(chunk.free & (1 << slot) == 0, "a slot is released once");
        chunk.free |= 1 << slot;
        self.free_slots[side] += 1;
        if chunk.free == class.all_free() {
            chunk.class = None;
            self.free_slots[side] -= class.per_chunk();
            self.uncut.push(id);
        } else if !chunk.listed[side] {
            chunk.listed[side] = true;
            self.available[side].push(id);
        }
    }
}

/// One slot, owned. Becomes the body of a request with [`Lease::freeze`]; returns to its pool when dropped.
pub struct Lease {
    pool: Arc<Shared>,
    start: NonNull<u8>,
    len: usize,
    chunk: u32,
    slot: u32,
    class: SlotClass,
}

// SAFETY: a lease is the only owner of its slot; the pool behind it is locked for every change.
unsafe impl Send for Lease {}
// SAFETY: a shared lease only gives out `&[u8]`.
unsafe impl Sync for Lease {}

impl Lease {
    /// Bytes the slot can hold.
    pub fn capacity(&self) -> usize {
        self.class.slot_bytes()
    }

    /// Says how many bytes from the beginning hold data.
    ///
    /// # Panics
    /// When `len` is more than [`Lease::capacity`].
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "a slot's length stays inside the slot");
        self.len = len;
    }

    /// The whole slot, to be filled.
    pub fn space_mut(&mut self) -> &mut [u8] {
        // SAFETY: the slot is initialised memory of this length, owned by this lease alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.capacity()) }
    }

    /// The address for the kernel to write to.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The filled bytes as a reference-counted body; the slot goes back to the pool with its last clone.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("class", &self.class).field("len", &self.len).finish()
    }
}

impl Deref for Lease {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` is within the slot and the slot is initialised memory owned by this lease.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        Shared::release(&self.pool, self.chunk, self.slot, self.class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    fn now<T>(future: impl Future<Output = io::Result<T>>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome.unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn maps_nothing_before_it_is_needed_and_never_more_than_the_limit() {
        let pool = Pool::new(3 * CHUNK_BYTES + 17);
        assert_eq!(pool.mapped_bytes(), 0);
        let all = now(pool.acquire(SlotClass::Small, 96)).unwrap();
        assert_eq!(pool.mapped_bytes(), 3 * CHUNK_BYTES);
        assert!(now(pool.acquire_one(SlotClass::Small)).is_none());
        drop(all);
        assert_eq!(pool.mapped_bytes(), 3 * CHUNK_BYTES);
    }

    #[test]
    fn slots_do_not_overlap_and_keep_what_was_written() {
        let pool = Pool::new(2 * CHUNK_BYTES);
        let mut leases = now(pool.acquire(SlotClass::Small, 40)).unwrap();
        for (i, lease) in leases.iter_mut().enumerate() {
            lease.space_mut().fill(i as u8);
            lease.set_len(SMALL_SLOT_BYTES);
        }
        for (i, lease) in leases.into_iter().enumerate() {
            let body = lease.freeze();
            assert_eq!(body.len(), SMALL_SLOT_BYTES);
            assert!(body.iter().all(|&b| b == i as u8));
        }
    }

    #[test]
    fn a_chunk_that_is_all_free_can_be_cut_the_other_way() {
        let pool = Pool::new(CHUNK_BYTES);
        for _ in 0..3 {
            let small = now(pool.acquire(SlotClass::Small, 32)).unwrap();
            assert!(now(pool.acquire_one(SlotClass::Block)).is_none());
            drop(small);
            let block = now(pool.acquire(SlotClass::Block, 8)).unwrap();
            assert!(now(pool.acquire_one(SlotClass::Small)).is_none());
            drop(block);
        }
        assert_eq!(pool.mapped_bytes(), CHUNK_BYTES);
    }

    #[test]
    fn more_than_the_pool_can_ever_hold_is_refused_at_once() {
        let pool = Pool::new(CHUNK_BYTES);
        let mut ask = std::pin::pin!(pool.acquire(SlotClass::Block, 9));
        match ask.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(refused)) => assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory),
            _ => panic!("an impossible request must not wait"),
        }
    }

    #[tokio::test]
    async fn waiters_are_served_in_order_and_a_large_one_is_not_overtaken() {
        let pool = Pool::new(CHUNK_BYTES);
        let held = pool.acquire(SlotClass::Block, 1).await.unwrap();
        let mut large = Box::pin(pool.acquire(SlotClass::Block, 8));
        assert!(now(large.as_mut()).is_none());
        // Seven block slots are free, but the large request stands in front.
        let mut small = Box::pin(pool.acquire(SlotClass::Block, 1));
        assert!(now(small.as_mut()).is_none());
        drop(held);
        let granted = large.await.unwrap();
        assert_eq!(granted.len(), 8);
        assert!(now(small.as_mut()).is_none());
        drop(granted);
        assert_eq!(small.await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_passes_its_turn_on() {
        let pool = Pool::new(CHUNK_BYTES);
        let held = pool.acquire(SlotClass::Block, 8).await.unwrap();
        let mut gone = Box::pin(pool.acquire(SlotClass::Block, 8));
        assert!(now(gone.as_mut()).is_none());
        let mut next = Box::pin(pool.acquire(SlotClass::Block, 8));
        assert!(now(next.as_mut()).is_none());
        drop(gone);
        drop(held);
        assert_eq!(next.await.unwrap().len(), 8);
    }
}
