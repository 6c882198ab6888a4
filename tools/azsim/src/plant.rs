//! Putting blobs into the store without HTTP: what a test or a benchmark finds there when it begins.

use std::sync::Arc;

use bytes::Bytes;

use crate::body::{crc64, crc64_combine};
use crate::content::Stored;
use crate::properties::{Props, Tier};
use crate::service::Shared;
use crate::store::{Blob, Container, Content, Md5};
use crate::time::{SECOND, UNIX_EPOCH_TICKS};

/// A block blob to be planted; `..Seed::default()` stands for what a Put Blob without headers leaves.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// Name within the container.
    pub name: String,
    /// The content, in pieces that may be shared with other blobs: they are kept in memory whatever the store, except
    /// by [`Store::Discard`](crate::Store::Discard), which forgets them.
    pub content: Vec<Bytes>,
    /// Last-Modified and creation time, in seconds since 1970; `None`: now.
    pub modified_s: Option<u64>,
    /// `Content-Type`; empty: `application/octet-stream`.
    pub content_type: String,
    /// `Content-Encoding`; empty: none.
    pub content_encoding: String,
    /// `Content-Language`; empty: none.
    pub content_language: String,
    /// `Content-Disposition`; empty: none.
    pub content_disposition: String,
    /// `Cache-Control`; empty: none.
    pub cache_control: String,
    /// The MD5 kept as a property; nobody compares it with the content.
    pub content_md5: Option<[u8; 16]>,
    /// What stands in its place when it is no MD5 at all, as it is written; empty: `content_md5` counts.
    pub content_md5_text: String,
    /// Metadata.
    pub metadata: Vec<(String, String)>,
    /// Index tags.
    pub tags: Vec<(String, String)>,
    /// `Hot`, `Cool`, `Cold` or `Archive`; empty: the account's default.
    pub tier: String,
}

/// Plants blobs and returns how many; one replaces an earlier one of its name.
///
/// # Panics
/// When a tier is none.
pub(crate) fn plant(shared: &Shared, container: &Container, seeds: impl Iterator<Item = Seed>) -> usize {
    // The content of the last seed, whose checksum the next one has as well if it shares it.
    let mut last: Option<(Bytes, u64)> = None;
    let mut planted = 0;
    for seed in seeds {
        let modified = tick(shared, seed.modified_s);
        let (len, crc64) = match &seed.content[..] {
            [one] => {
                let known = last.as_ref().filter(|(bytes, _)| same(bytes, one)).map(|(_, crc64)| *crc64);
                let crc64 = known.unwrap_or_else(|| crc64(one));
                last = Some((one.clone(), crc64));
                (one.len() as u64, crc64)
            }
            pieces => pieces.iter().fold((0, 0), |(len, sum), piece| {
                let added = piece.len() as u64;
                (len + added, crc64_combine(sum, crc64(piece), added))
            }),
        };
        let Seed { name, content, .. } = &seed;
        let md5 = match &*seed.content_md5_text {
            "" => seed.content_md5.map(Md5::Sum),
            text => Some(Md5::from(text)),
        };
        let content = match shared.backend.keeps() {
            true => Content::Whole(Arc::new(Stored::Memory(content.clone()))),
            false => Content::Discarded,
        };
        let mut props = props(&seed);
        shared.stamp(&mut props, modified);
        let mut shard = container.shard(name);
        let props = shard.intern(props);
        let blob = Blob { len, crc64, modified, created: modified, props, md5: md5.map(Box::new), content };
        shard.staged.remove(name);
        shard.copying.remove(name);
        shard.overwrite(name, Box::new(blob), shared.deletion());
        planted += 1;
    }
    planted
}

/// The same memory, not only the same bytes.
fn same(a: &Bytes, b: &Bytes) -> bool {
    a.as_ptr() == b.as_ptr() && a.len() == b.len()
}

/// A tick within the second that is asked for, behind those of it before: versions of a blob keep their order. ETags
/// stay unique unless ten million blobs are planted in one second.
fn tick(shared: &Shared, second: Option<u64>) -> u64 {
    let clock = &shared.clock;
    second.map_or_else(|| clock.tick(), |second| UNIX_EPOCH_TICKS + second * SECOND + clock.place())
}

fn props(seed: &Seed) -> Props {
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()
    };
    let content_type =
        if seed.content_type.is_empty() { "application/octet-stream" } else { &seed.content_type };
    let tier = match seed.tier.as_str() {
        "" => None,
        name => Some(Tier::parse(name).unwrap_or_else(|| panic!("no tier is called {name}"))),
    };
    let mut metadata: Vec<_> = pairs(&seed.metadata);
    metadata.sort();
    Props {
        content_type: content_type.into(),
        content_encoding: seed.content_encoding.as_str().into(),
        content_language: seed.content_language.as_str().into(),
        content_disposition: seed.content_disposition.as_str().into(),
        cache_control: seed.cache_control.as_str().into(),
        metadata,
        tags: pairs(&seed.tags),
        tier: tier.unwrap_or_default(),
        tier_inferred: tier.is_none(),
        rare: None,
    }
}

/// Takes a snapshot; `false` when there is no such blob.
pub(crate) fn snapshot(shared: &Shared, container: &Container, name: &str) -> bool {
    let tick = shared.clock.tick();
    let mut shard = container.shard(name);
    let Some(blob) = shard.blobs.get(name).cloned() else { return false };
    shard.past.or_default(name).snapshots.insert(tick, blob);
    true
}
