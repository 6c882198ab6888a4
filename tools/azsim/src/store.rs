//! What the server knows: accounts, containers, blobs, uncommitted blocks.
//!
//! A container is cut into shards by a hash of the blob name, each an ordered map behind its own lock, so that
//! writers on different threads seldom meet and a listing is a merge. One committed blob costs about 125 bytes
//! beside its content (names of 14 characters): properties that many blobs share are stored once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;

use crate::auth::PublicAccess;
use crate::content::Stored;
use crate::encryption::ScopePolicy;
use crate::error::{CONTAINER_ALREADY_EXISTS, CONTAINER_BEING_DELETED, CONTAINER_NOT_FOUND, Result};
use crate::firewall::Network;
use crate::headers;
use crate::lease::Lease;
use crate::names::{Names, Order};
use crate::page_map::Pages;
use crate::past::Past;
use crate::properties::Props;
use crate::time;

/// Shards of a container: twice the threads that one would give a test server.
const SHARDS: usize = 32;

/// A storage account with its key and containers.
pub(crate) struct Account {
    pub(crate) name: String,
    /// The key, ready to verify signatures. Never printed: it has no `Debug`.
    pub(crate) hmac: hmac::Key,
    containers: RwLock<BTreeMap<String, Arc<Container>>>,
    /// A premium account for block blobs, which have no tiers there.
    pub(crate) premium_blocks: bool,
    /// Its tenant, if that is not the authority's.
    pub(crate) tenant: Option<String>,
    network: RwLock<Network>,
    /// Until when a container that was deleted cannot be made again, in ticks.
    deleting: Mutex<BTreeMap<String, u64>>,
}

impl Account {
    pub(crate) fn new(name: &str, key: &[u8]) -> Account {
        Account {
            name: name.to_owned(),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, key),
            containers: RwLock::default(),
            premium_blocks: false,
            tenant: None,
            network: RwLock::default(),
            deleting: Mutex::default(),
        }
    }

    /// Who reaches it.
    pub(crate) fn network(&self) -> RwLockReadGuard<'_, Network> {
        self.network.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_network(&self, network: Network) {
        *self.network.write().unwrap_or_else(PoisonError::into_inner) = network;
    }

    pub(crate) fn container(&self, name: &str) -> Result<Arc<Container>> {
        let containers = self.containers.read().unwrap_or_else(PoisonError::into_inner);
        containers.get(name).cloned().ok_or_else(|| CONTAINER_NOT_FOUND.into())
    }

    pub(crate) fn create(&self, container: Container, now: u64) -> Result<Arc<Container>> {
        let mut containers = self.containers.write().unwrap_or_else(PoisonError::into_inner);
        let mut deleting = self.deleting.lock().unwrap_or_else(PoisonError::into_inner);
        deleting.retain(|_, until| now < *until);
        if deleting.contains_key(&container.name) {
            return Err(CONTAINER_BEING_DELETED.into());
        }
        if containers.contains_key(&container.name) {
            return Err(CONTAINER_ALREADY_EXISTS.into());
        }
        let container = Arc::new(container);
        containers.insert(container.name.clone(), Arc::clone(&container));
        Ok(container)
    }

    /// Takes a container away; none of its name can be made until then.
    pub(crate) fn remove(&self, name: &str, until: u64) -> Result<()> {
        let mut containers = self.containers.write().unwrap_or_else(PoisonError::into_inner);
        containers.remove(name).ok_or(CONTAINER_NOT_FOUND)?;
        self.deleting.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), until);
        Ok(())
    }

    /// Containers in the order of their names, from a name on.
    pub(crate) fn containers_from(&self, from: &str) -> Vec<Arc<Container>> {
        let containers = self.containers.read().unwrap_or_else(PoisonError::into_inner);
        containers
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .map(|(_, c)| Arc::clone(c))
            .collect()
    }
}

/// A container and its blobs.
pub(crate) struct Container {
    pub(crate) name: String,
    order: Order,
    facts: RwLock<Facts>,
    shards: Box<[Mutex<Shard>]>,
}

/// What is said about a container apart from its blobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// Creation, or the last Set Container ACL or Metadata.
    pub(crate) modified: u64,
    /// What it offers without credentials.
    pub(crate) access: PublicAccess,
    /// Stored access policies, in the order they were given.
    pub(crate) policies: Vec<Policy>,
    pub(crate) metadata: Vec<(Box<str>, Box<str>)>,
    pub(crate) lease: Option<Lease>,
    pub(crate) scopes: ScopePolicy,
}

/// A stored access policy: fields that a service SAS takes from here. Times as the service writes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) start: Option<String>,
    pub(crate) expiry: Option<String>,
    pub(crate) permissions: Option<String>,
}

/// A part of a container.
pub(crate) struct Shard {
    /// Boxed, because a tree that grows in order is half empty: its slots should be small.
    pub(crate) blobs: Names<Box<Blob>>,
    pub(crate) staged: Names<Staged>,
    /// Snapshots and earlier versions, of the few names that have some.
    pub(crate) past: Names<Past>,
    /// Leases in force, and those that are over but could still be renewed or broken.
    pub(crate) leases: Names<Lease>,
    /// What blobs become when the copies that make them are done.
    pub(crate) copying: Names<Box<Blob>>,
    /// Properties seen last, to be shared by the next blob that has the same.
    recent: [Option<Arc<Props>>; 4],
    next_recent: usize,
}

/// A committed blob.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) len: u64,
    pub(crate) crc64: u64,
    /// Unique within the server; the ETag is this number.
    pub(crate) modified: u64,
    pub(crate) created: u64,
    pub(crate) props: Arc<Props>,
    pub(crate) md5: Option<Box<Md5>>,
    pub(crate) content: Content,
}

/// `Content-MD5` of a blob: a property like the others, which nobody compares with the content unless it came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Md5 {
    /// Of 16 bytes.
    Sum([u8; 16]),
    /// Anything else that was set, as it was written.
    Text(Box<str>),
}

impl Md5 {
    /// Reads `x-ms-blob-content-md5` where the service takes it as it is.
    pub(crate) fn read(parts: &Parts) -> Option<Box<Md5>> {
        headers::nonempty(parts, "x-ms-blob-content-md5").map(|text| Box::new(Md5::from(text)))
    }

    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Md5::Sum(sum) => Cow::Owned(headers::write_md5(sum)),
            Md5::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The 16 bytes, if it has so many.
    pub(crate) fn sum(&self) -> Option<[u8; 16]> {
        if let Md5::Sum(sum) = self { Some(*sum) } else { None }
    }
}

impl From<&str> for Md5 {
    fn from(text: &str) -> Md5 {
        let sum = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        sum.map_or_else(|| Md5::Text(text.into()), Md5::Sum)
    }
}

/// The bytes of a committed blob.
#[derive(Clone)]
pub(crate) enum Content {
    /// Not kept.
    Discarded,
    /// From one Put Blob.
    Whole(Arc<Stored>),
    /// From Put Block List, in order.
    Blocks(Arc<Vec<Block>>),
    /// From Put Page.
    Pages(Arc<Pages>),
}

/// One block, staged or committed.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) id: Box<str>,
    pub(crate) len: u64,
    pub(crate) crc64: u64,
    pub(crate) stored: Option<Arc<Stored>>,
}

/// The uncommitted blocks of one name.
#[derive(Default)]
pub(crate) struct Staged {
    pub(crate) blocks: BTreeMap<Box<str>, Block>,
    /// SHA-256 of the customer's key that all of them came with.
    pub(crate) key: Option<[u8; 32]>,
}

impl Container {
    pub(crate) fn new(name: &str, order: Order, facts: Facts) -> Container {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new(order))).collect();
        Container { name: name.to_owned(), order, facts: RwLock::new(facts), shards }
    }

    /// The order of its names.
    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// What is in force now.
    pub(crate) fn facts(&self) -> Facts {
        self.facts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it says of the encryption of its blobs.
    pub(crate) fn scopes(&self) -> ScopePolicy {
        self.facts.read().unwrap_or_else(PoisonError::into_inner).scopes.clone()
    }

    /// Judges and changes what is in force under one lock. A change that fails must not have begun.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Facts) -> Result<T>) -> Result<T> {
        change(&mut self.facts.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The shard that holds a name, locked. Locks are held for map work only, never across an await.
    pub(crate) fn shard(&self, name: &str) -> MutexGuard<'_, Shard> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let shard = &self.shards[hasher.finish() as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All shards, locked in order: one consistent view for a listing.
    pub(crate) fn lock_all(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}

impl Shard {
    fn new(order: Order) -> Shard {
        Shard {
            blobs: Names::new(order),
            staged: Names::new(order),
            past: Names::new(order),
            leases: Names::new(order),
            copying: Names::new(order),
            recent: Default::default(),
            next_recent: 0,
        }
    }

    /// The same properties, shared with an earlier blob when there is one.
    pub(crate) fn intern(&mut self, props: Props) -> Arc<Props> {
        if props.rare().version != 0 {
            // Nobody else can have the same.
            return Arc::new(props);
        }
        if let Some(known) = self.recent.iter().flatten().find(|p| ***p == props) {
            return Arc::clone(known);
        }
        let props = Arc::new(props);
        self.recent[self.next_recent % self.recent.len()] = Some(Arc::clone(&props));
        self.next_recent = self.next_recent.wrapping_add(1);
        props
    }
}

impl Blob {
    pub(crate) fn etag(&self) -> String {
        etag(self.modified)
    }

    /// The pieces of `[start, end)`: content, offset in it, length. `None` when the content was not kept.
    pub(crate) fn pieces(&self, start: u64, end: u64) -> Option<Vec<(Arc<Stored>, u64, u64)>> {
        let blocks = match &self.content {
            Content::Discarded => return if start == end { Some(Vec::new()) } else { None },
            Content::Whole(stored) => return Some(vec![(Arc::clone(stored), start, end - start)]),
            Content::Pages(pages) => return pages.pieces(start, end),
            Content::Blocks(blocks) => blocks,
        };
        let mut at = 0;
        let mut pieces = Vec::new();
        for block in blocks.iter() {
            let (from, to) = (start.max(at), end.min(at + block.len));
            if from < to {
                pieces.push((Arc::clone(block.stored.as_ref()?), from - at, to - from));
            }
            at += block.len;
        }
        Some(pieces)
    }
}

/// `"0x8DE3A5F2B1C4D70"`: the modification time in hexadecimal, as the service does.
pub(crate) fn etag(ticks: u64) -> String {
    format!("\"0x{ticks:X}\"")
}

/// A clock that never gives the same tick twice, so that ETags are unique.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: AtomicU64,
    /// The last place in a second, and one; 0: there was none.
    placed: AtomicU64,
}

impl Clock {
    pub(crate) fn tick(&self) -> u64 {
        let now = time::now();
        let last = self.last.fetch_max(now, Ordering::Relaxed);
        if last < now { now } else { self.last.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// A place within a second that somebody else has chosen. Each lies behind those before it, also when a second of
    /// the real clock ends between them, for the first five million.
    pub(crate) fn place(&self) -> u64 {
        self.place_from(time::now())
    }

    /// The first comes from the clock, so that two servers do not give the same.
    fn place_from(&self, now: u64) -> u64 {
        let first = now % (time::SECOND / 2);
        let next = |placed: u64| Some(if placed == 0 { first + 1 } else { placed + 1 });
        let before = self.placed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let before = before.expect("there is always a next one");
        (if before == 0 { first } else { before }) % time::SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_record_is_small() {
        // 10 million blobs in the store `discard`: record, name of 40 bytes, tree overhead stay below 2 GB.
        assert!(size_of::<Blob>() <= 72, "{}", size_of::<Blob>());
    }

    #[test]
    fn ticks_are_unique_and_grow() {
        let clock = Clock::default();
        let ticks: Vec<u64> = (0..1000).map(|_| clock.tick()).collect();
        assert!(ticks.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn places_grow_while_a_second_ends() {
        let clock = Clock::default();
        let nows = [3 * time::SECOND - 2, 3 * time::SECOND - 1, 3 * time::SECOND, 3 * time::SECOND + 1];
        let places = nows.map(|now| clock.place_from(now));
        assert!(places.windows(2).all(|w| w[0] < w[1]), "{places:?}");
        assert!(places.iter().all(|place| *place < time::SECOND), "{places:?}");
    }

    #[test]
    fn properties_are_shared() {
        let mut shard = Shard::new(Order::Utf16);
        let first = shard.intern(Props::default());
        assert!(Arc::ptr_eq(&first, &shard.intern(Props::default())));
    }
}
