//! A store in memory: the smallest that does all a store has to do. For tests, and to begin one's own from.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use azuring_link::Payload;
use azuring_plan::order::OrderKey;
use bytes::{Bytes, BytesMut};

use crate::checksum::{Crc64, Crc64Digest};
use crate::error::{ErrorKind, StoreError};
use crate::facts::Facts;
use crate::listing::{Entry, Item, List, MAX_PAGE_ENTRIES, Page};
use crate::store::{
    At, Begin, Body, Change, Condition, Grant, Put, Read, Reading, Receipt, Removal, Store, There, Token,
    Written,
};
use crate::traits::{
    Changes, Checksums, Conditions, Directories, ListOrder, PieceTraits, Sequence, Traits, Visible,
};
use crate::which::Which;

/// Bytes of the largest object in one request.
const WHOLE_MAX: u64 = 64 << 20;

/// Objects in memory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Memory {
    traits: Traits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Object>,
    /// Pieces that wait to be committed, by key and token.
    begun: BTreeMap<(String, Token), BTreeMap<u32, Bytes>>,
    made: bool,
    /// Tags given so far.
    tags: u64,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    facts: Facts,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store, which is there already.
    pub fn new() -> Self {
        let mut traits = Traits::new("memory", WHOLE_MAX);
        traits.pieces = Some(PieceTraits {
            min_bytes: 1,
            max_bytes: WHOLE_MAX,
            max_count: 50_000,
            align: 1,
            sequence: Sequence::Any,
        });
        traits.visible = Visible::OnCommit;
        traits.order = ListOrder::By(OrderKey::Bytes);
        traits.directories = Directories::Marks;
        traits.remove_batch = 256;
        traits.checksums = Checksums { crc64_in: true, crc64_out_bytes: u64::MAX, keeps_md5: true };
        traits.conditions = Conditions { only_new: true, only_tag: true };
        traits.changes = Changes { metadata: true, ..Changes::default() };
        let state = State { made: true, ..State::default() };
        Self { traits, state: Arc::new(Mutex::new(state)) }
    }

    /// An empty store that takes pieces one after the other alone ([`Sequence::Appended`]).
    pub fn in_order() -> Self {
        let mut store = Self::new();
        if let Some(pieces) = &mut store.traits.pieces {
            pieces.sequence = Sequence::Appended;
        }
        store
    }

    /// A store that has still to be made.
    pub fn missing() -> Self {
        let store = Self::new();
        store.state().made = false;
        store
    }

    /// The bytes of an object.
    pub fn content(&self, key: &str) -> Option<Bytes> {
        Some(self.state().objects.get(key)?.bytes.clone())
    }

    /// All keys, in their order.
    pub fn keys(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Bytes of pieces that nobody has committed.
    pub fn uncommitted_bytes(&self) -> u64 {
        self.state().begun.values().flat_map(BTreeMap::values).map(|piece| piece.len() as u64).sum()
    }

    /// Forgets all pieces that nobody has committed, as stores do with those that are old.
    pub fn forget_uncommitted(&self) {
        self.state().begun.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while the lock is held")
    }

    fn there(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.made { Ok(state) } else { Err(StoreError::new(ErrorKind::NoBucket, "it was not made yet")) }
    }
}

fn not_found(key: &str) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no `{}`", key.escape_debug()))
}

fn named(key: &str) -> Result<(), StoreError> {
    if key.is_empty() { Err(StoreError::new(ErrorKind::Name, "a name is empty")) } else { Ok(()) }
}

fn changed() -> StoreError {
    StoreError::new(ErrorKind::Changed, "the object is in another state")
}

/// Refuses a state that this store does not keep.
fn current(which: Which<'_>) -> Result<(), StoreError> {
    if which == Which::default() {
        return Ok(());
    }
    Err(StoreError::new(ErrorKind::NotFound, "there are no snapshots and versions here"))
}

impl State {
    fn get(&self, key: &str, tag: Option<&str>) -> Result<&Object, StoreError> {
        named(key)?;
        let object = self.objects.get(key).ok_or_else(|| not_found(key))?;
        match tag {
            Some(tag) if object.facts.etag.as_deref() != Some(tag) => Err(changed()),
            _ => Ok(object),
        }
    }

    fn write(&mut self, key: &str, bytes: Bytes, put: &Put<'_>) -> Result<Written, StoreError> {
        named(key)?;
        let there = self.objects.get(key);
        match put.condition {
            Condition::Always => {}
            Condition::New if there.is_some() => {
                return Err(StoreError::new(ErrorKind::Exists, "there is an object of this name"));
            }
            Condition::New => {}
            Condition::Tag(tag) => {
                self.get(key, Some(tag)).map_err(|_| changed())?;
            }
        }
        self.tags += 1;
        let tag: Box<str> = self.tags.to_string().into();
        let facts = Facts {
            len: bytes.len() as u64,
            last_modified: now(),
            etag: Some(tag.clone()),
            content_md5: put.md5,
            content: put.content.cloned().map(Box::new),
            metadata: put.metadata.to_vec(),
            ..Facts::default()
        };
        self.objects.insert(key.to_owned(), Object { bytes, facts });
        Ok(Written { tag: Some(tag) })
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

/// One piece of memory, whose checksum is the one that was sent with it.
fn received(payload: &Payload, crc64: Option<Crc64>) -> Result<Bytes, StoreError> {
    if crc64.is_some_and(|sent| sent != Crc64::of(payload)) {
        return Err(StoreError::new(ErrorKind::Integrity, "the bytes are not those of the checksum"));
    }
    Ok(match payload.parts() {
        [only] => only.clone(),
        parts => {
            let mut all = BytesMut::with_capacity(payload.len() as usize);
            parts.iter().for_each(|part| all.extend_from_slice(part));
            all.freeze()
        }
    })
}

/// Bytes that are there already.
#[derive(Debug)]
pub struct MemoryBody(Bytes);

impl Body for MemoryBody {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, StoreError> {
        let len = out.len().min(self.0.len());
        out[..len].copy_from_slice(&self.0.split_to(len));
        Ok(len)
    }
}

impl Store for Memory {
    type Body = MemoryBody;

    fn traits(&self) -> &Traits {
        &self.traits
    }

    async fn list(&self, list: &List<'_>) -> Result<Page, StoreError> {
        let state = self.there()?;
        let max = list.max_results.unwrap_or(MAX_PAGE_ENTRIES).clamp(1, MAX_PAGE_ENTRIES) as usize;
        let mut page = Page::default();
        // A marker is the last key that was told, or what all below a directory begin with.
        let from = match list.marker {
            Some(marker) => Bound::Excluded(marker),
            None => Bound::Included(list.prefix),
        };
        let mut told: Option<String> = None;
        for (key, object) in state.objects.range::<str, _>((from, Bound::Unbounded)) {
            if !key.starts_with(list.prefix) {
                break;
            }
            // What lies below a directory that was told, on this page or the one before. An object may be called as
            // what is listed: below that is what was asked for.
            let below = |directory: &str| {
                directory.len() > list.prefix.len() && directory.ends_with('/') && key.starts_with(directory)
            };
            if list.delimiter && (told.as_deref().is_some_and(below) || list.marker.is_some_and(below)) {
                continue;
            }
            if page.items.len() == max {
                page.next = told;
                break;
            }
            let rest = &key[list.prefix.len()..];
            let item = match rest.find('/').filter(|_| list.delimiter) {
                Some(slash) => Item::Prefix(key[..=list.prefix.len() + slash].to_owned()),
                None => {
                    let mut facts = object.facts.clone();
                    if !list.include.metadata {
                        facts.metadata.clear();
                    }
                    let name = key.clone();
                    Item::Entry(Box::new(Entry { name, is_current_version: true, facts, ..Entry::default() }))
                }
            };
            told = Some(item.name().to_owned());
            page.items.push(item);
        }
        Ok(page)
    }

    async fn stat(&self, key: &str, which: Which<'_>) -> Result<Facts, StoreError> {
        current(which)?;
        Ok(self.there()?.get(key, None)?.facts.clone())
    }

    async fn read(&self, key: &str, read: &Read<'_>) -> Result<Reading<MemoryBody>, StoreError> {
        current(read.which)?;
        let state = self.there()?;
        let object = state.get(key, read.tag)?;
        let len = object.bytes.len() as u64;
        if read.len.is_some_and(|known| known != len) {
            return Err(changed());
        }
        let bytes = match read.range {
            None => object.bytes.clone(),
            Some((first, _)) if first >= len => {
                return Err(StoreError::new(ErrorKind::BehindEnd, "the range begins behind the end"));
            }
            Some((first, last)) => {
                object.bytes.slice(first as usize..len.min(last.saturating_add(1)) as usize)
            }
        };
        let crc64 = read.crc64.then(|| {
            let mut digest = Crc64Digest::new();
            digest.update(&bytes);
            digest.finish()
        });
        Ok(Reading { facts: read.wanted.map(|_| object.facts.clone()), crc64, body: MemoryBody(bytes) })
    }

    async fn put(&self, key: &str, payload: Payload, put: &Put<'_>) -> Result<Written, StoreError> {
        if payload.len() > WHOLE_MAX {
            return Err(StoreError::new(
                ErrorKind::Limit,
                format!("an object has {WHOLE_MAX} bytes at most"),
            ));
        }
        let bytes = received(&payload, put.crc64)?;
        self.there()?.write(key, bytes, put)
    }

    async fn begin(&self, key: &str, begin: &Begin<'_>) -> Result<Token, StoreError> {
        let token = begin.content.to_vec();
        self.there()?.begun.entry((key.to_owned(), token.clone())).or_default();
        Ok(token)
    }

    async fn piece(
        &self,
        key: &str,
        token: &[u8],
        at: At,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<Receipt, StoreError> {
        let bytes = received(&payload, crc64)?;
        let in_order = self.traits.pieces.is_some_and(|pieces| pieces.sequence == Sequence::Appended);
        let mut state = self.there()?;
        let begun = state.begun.get_mut(&(key.to_owned(), token.to_vec())).ok_or_else(|| not_found(key))?;
        let next = begun.len() as u32;
        if in_order && at.piece > next {
            let text = format!("piece {} came where piece {next} was to come", at.piece);
            return Err(StoreError::new(ErrorKind::Conflict, text));
        }
        begun.insert(at.piece, bytes);
        Ok(Receipt::new())
    }

    async fn pieces(&self, key: &str, token: &[u8]) -> Result<Vec<There>, StoreError> {
        let state = self.there()?;
        let begun = state.begun.get(&(key.to_owned(), token.to_vec())).into_iter().flatten();
        let there = |(piece, bytes): (&u32, &Bytes)| There {
            piece: *piece,
            len: bytes.len() as u64,
            receipt: Receipt::new(),
        };
        Ok(begun.map(there).collect())
    }

    async fn commit(
        &self,
        key: &str,
        token: &[u8],
        receipts: &[Receipt],
        put: &Put<'_>,
    ) -> Result<Written, StoreError> {
        let mut state = self.there()?;
        let id = (key.to_owned(), token.to_vec());
        let begun = state.begun.get(&id).ok_or_else(|| not_found(key))?;
        let mut all = BytesMut::new();
        for piece in 0..receipts.len() as u32 {
            let missing = || StoreError::new(ErrorKind::Conflict, format!("piece {piece} is not there"));
            all.extend_from_slice(begun.get(&piece).ok_or_else(missing)?);
        }
        let written = state.write(key, all.freeze(), put)?;
        state.begun.remove(&id);
        Ok(written)
    }

    async fn abort(&self, key: &str, token: &[u8]) -> Result<(), StoreError> {
        self.there()?.begun.remove(&(key.to_owned(), token.to_vec()));
        Ok(())
    }

    async fn copy_from(&self, _: &str, _: &Grant<'_>, _: &Put<'_>) -> Result<Written, StoreError> {
        Err(StoreError::new(ErrorKind::Unsupported, "memory copies from nowhere"))
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        if removals.len() > self.traits.remove_batch {
            let max = self.traits.remove_batch;
            return Err(StoreError::new(ErrorKind::Limit, format!("{max} objects are removed at most")));
        }
        let mut state = self.there()?;
        let mut one = |removal: &Removal<'_>| {
            current(removal.which)?;
            state.get(removal.key, removal.tag)?;
            state.objects.remove(removal.key);
            Ok(())
        };
        Ok(removals.iter().map(&mut one).collect())
    }

    async fn change(&self, key: &str, which: Which<'_>, change: &Change<'_>) -> Result<(), StoreError> {
        current(which)?;
        if change.tier.is_some() || change.tags.is_some() {
            return Err(StoreError::new(ErrorKind::Unsupported, "memory has no tiers and tags"));
        }
        let mut state = self.there()?;
        let object = state.objects.get_mut(key).ok_or_else(|| not_found(key))?;
        if let Some(metadata) = change.metadata {
            object.facts.metadata = metadata.to_vec();
        }
        Ok(())
    }

    async fn make(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if std::mem::replace(&mut state.made, true) {
            return Err(StoreError::new(ErrorKind::Exists, "it is there"));
        }
        Ok(())
    }
}
