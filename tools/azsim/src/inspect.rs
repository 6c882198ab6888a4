//! Looking into the store without HTTP, for tests.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::body::crc64;
use crate::store::{Blob, Container, Content, Md5};
use crate::time;

/// A committed blob, as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Name within the container.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
    /// CRC-64/NVME of the content, computed as it came in; of a page blob, of what it holds now, or 0 when that was
    /// discarded.
    pub crc64: u64,
    /// `BlockBlob`, `AppendBlob` or `PageBlob`.
    pub blob_type: String,
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Encoding`, empty when none was set.
    pub content_encoding: String,
    /// `Content-Language`, empty when none was set.
    pub content_language: String,
    /// `Content-Disposition`, empty when none was set.
    pub content_disposition: String,
    /// `Cache-Control`, empty when none was set.
    pub cache_control: String,
    /// The MD5 kept as a property, if that has 16 bytes.
    pub content_md5: Option<[u8; 16]>,
    /// The same property as it is written, whatever it is; empty when none was set.
    pub content_md5_text: String,
    /// Metadata, sorted by name.
    pub metadata: Vec<(String, String)>,
    /// Tags, in the order of the header.
    pub tags: Vec<(String, String)>,
    /// `Hot`, `Cool`, `Cold` or `Archive`.
    pub tier: String,
    /// The tier was not asked for.
    pub tier_inferred: bool,
    /// ETag with its quotes.
    pub etag: String,
    /// `pending`, `success`, `aborted` or `failed` of a blob that Copy Blob made; empty for any other.
    pub copy_status: String,
    /// Committed blocks in order; empty for a block blob made by Put Blob. Those of an append blob have no ids.
    pub blocks: Vec<BlockInfo>,
}

/// A committed block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockInfo {
    /// The id, in base64 as it was sent.
    pub id: String,
    /// Length in bytes.
    pub len: u64,
    /// CRC-64/NVME of the block.
    pub crc64: u64,
}

/// What was deleted softly of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedInfo {
    /// Name within the container.
    pub name: String,
    /// The blob itself was.
    pub blob: bool,
    /// How many snapshots were.
    pub snapshots: usize,
    /// How many versions were.
    pub versions: usize,
}

pub(crate) fn blobs(container: &Container) -> Vec<BlobInfo> {
    let own = |pairs: &[(Box<str>, Box<str>)]| {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let mut blobs = Vec::new();
    for shard in container.lock_all() {
        for (name, blob) in shard.blobs.iter() {
            let blocks = match &blob.content {
                Content::Blocks(blocks) => blocks
                    .iter()
                    .map(|b| BlockInfo { id: b.id.to_string(), len: b.len, crc64: b.crc64 })
                    .collect(),
                _ => Vec::new(),
            };
            let props = &blob.props;
            blobs.push(BlobInfo {
                name,
                len: blob.len,
                crc64: match &blob.content {
                    Content::Pages(_) => read(blob).map_or(0, |bytes| crc64(&bytes)),
                    _ => blob.crc64,
                },
                blob_type: props.rare().kind.name().to_owned(),
                content_type: props.content_type.to_string(),
                content_encoding: props.content_encoding.to_string(),
                content_language: props.content_language.to_string(),
                content_disposition: props.content_disposition.to_string(),
                cache_control: props.cache_control.to_string(),
                content_md5: blob.md5.as_deref().and_then(Md5::sum),
                content_md5_text: blob.md5.as_ref().map_or_else(String::new, |md5| md5.text().into_owned()),
                metadata: own(&props.metadata),
                tags: own(&props.tags),
                tier: props.tier.name().to_owned(),
                tier_inferred: props.tier_inferred,
                etag: blob.etag(),
                copy_status: props
                    .rare()
                    .copied
                    .as_ref()
                    .map_or_else(String::new, |c| c.status.name().to_owned()),
                blocks,
            });
        }
    }
    blobs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    blobs
}

pub(crate) fn snapshots(container: &Container) -> Vec<(String, usize)> {
    let shards = container.lock_all();
    let past = shards.iter().flat_map(|shard| shard.past.iter());
    let mut counts: Vec<(String, usize)> = past
        .filter(|(_, past)| !past.snapshots.is_empty())
        .map(|(name, past)| (name, past.snapshots.len()))
        .collect();
    counts.sort_unstable();
    counts
}

pub(crate) fn states(container: &Container, name: &str) -> [Vec<String>; 2] {
    let shards = container.lock_all();
    let mut past = shards.iter().flat_map(|shard| shard.past.iter());
    let of = |states: &BTreeMap<u64, Box<Blob>>| states.keys().map(|tick| time::iso(*tick)).collect();
    past.find(|(of, _)| of == name)
        .map_or_else(Default::default, |(_, past)| [of(&past.snapshots), of(&past.versions)])
}

pub(crate) fn deleted(container: &Container) -> Vec<DeletedInfo> {
    let shards = container.lock_all();
    let past = shards.iter().flat_map(|shard| shard.past.iter());
    let mut all: Vec<DeletedInfo> = past
        .filter(|(_, past)| !past.deleted.is_empty())
        .map(|(name, past)| DeletedInfo {
            name,
            blob: past.deleted.blob.is_some(),
            snapshots: past.deleted.snapshots.len(),
            versions: past.deleted.versions.len(),
        })
        .collect();
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    all
}

pub(crate) fn content(container: &Container, name: &str) -> Option<Bytes> {
    let blob = container.shard(name).blobs.get(name).cloned()?;
    read(&blob)
}

fn read(blob: &Blob) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(blob.len as usize);
    for (stored, mut offset, mut left) in blob.pieces(0, blob.len)? {
        while left > 0 {
            let data = stored.read(offset, left).ok().filter(|d| !d.is_empty())?;
            offset += data.len() as u64;
            left -= data.len() as u64;
            out.extend_from_slice(&data);
        }
    }
    Some(out.freeze())
}
