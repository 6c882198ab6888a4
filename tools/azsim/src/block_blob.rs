//! Writing blobs: Put Blob of all types, Put Block, Put Block List, Get Block List.
//!
//! A body is hashed and stored as it streams in; the store learns of it under one lock, after all checks, so that a
//! reader sees the old blob or the new one.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;

use crate::answer::{self, Answer, Failure};
use crate::auth;
use crate::body::{Claimed, Received, crc64, crc64_combine, md5, receive, receive_small};
use crate::conditions::Conditions;
use crate::encryption::{Encryption, write_rare};
use crate::error::{
    ACCESS_TIER_NOT_SUPPORTED, AUTHORIZATION_PERMISSION_MISMATCH, BLOB_ARCHIVED, BLOB_NOT_FOUND,
    BLOB_TYPE_NOT_SUPPORTED, BLOCK_COUNT_EXCEEDS_LIMIT, INVALID_BLOB_OR_BLOCK, INVALID_BLOB_TYPE,
    INVALID_BLOCK_LIST, INVALID_HEADER_VALUE, INVALID_QUERY_PARAMETER_VALUE, MD5_MISMATCH,
    MISSING_CONTENT_LENGTH, REQUEST_BODY_TOO_LARGE, Result, UNAUTHORIZED_BLOB_OVERWRITE,
};
use crate::headers;
use crate::page_blob;
use crate::past::Which;
use crate::properties::{BlobKind, Props, Rare, Source, Tier, Tiers};
use crate::service::{Rq, write_times};
use crate::store::{Blob, Block, Content, Md5, Shard};
use crate::xml::{self, BlockSource};

const MIB: u64 = 1 << 20;
/// Uncommitted blocks of one name.
const MAX_STAGED: usize = 100_000;
/// Bytes of a block list: 50,000 of the longest ids in their elements, with room for white space.
const MAX_BLOCK_LIST_BYTES: usize = 16 << 20;
/// Bytes of a block id, decoded.
const MAX_BLOCK_ID: usize = 64;

/// The largest Put Blob and Put Block of a service version.
pub(crate) fn limits(version: &str) -> (u64, u64) {
    match version {
        v if v >= "2019-12-12" => (5000 * MIB, 4000 * MIB),
        v if v >= "2016-05-31" => (256 * MIB, 100 * MIB),
        _ => (64 * MIB, 4 * MIB),
    }
}

pub(crate) fn content_length(rq: &Rq<'_>, limit: u64) -> Result<u64> {
    let value = rq.parts.headers.get(CONTENT_LENGTH).ok_or(MISSING_CONTENT_LENGTH)?;
    let len = value.to_str().ok().and_then(|v| v.parse().ok());
    let len = len.ok_or_else(|| INVALID_HEADER_VALUE.detail("HeaderName", "Content-Length"))?;
    if len > limit {
        return Err(REQUEST_BODY_TOO_LARGE.detail("MaxLimit", limit.to_string()));
    }
    Ok(len)
}

/// Streams the body into the store and checks what the client claimed of it.
pub(crate) async fn take_body(
    rq: &Rq<'_>,
    body: &mut Option<Incoming>,
    len: u64,
    claimed: Claimed,
    with_md5: bool,
) -> std::result::Result<Received, Failure> {
    let writer = rq.shared.backend.writer(len).map_err(crate::body::Broken::Store)?;
    let body = body.take().ok_or(Failure::Gone)?;
    let received = receive(body, writer, with_md5 || claimed.md5.is_some()).await?;
    rq.counters.received(received.len);
    claimed.check(&received)?;
    Ok(received)
}

/// 201 with the checksums that the service reports.
pub(crate) fn created(claimed: Claimed, crc64: u64) -> Answer {
    let mut answer = answer::empty(StatusCode::CREATED);
    // The CRC64 always, the MD5 when the request had one.
    answer::set(&mut answer, headers::CONTENT_CRC64, &headers::write_crc64(crc64));
    if let Some(md5) = claimed.md5 {
        answer::set(&mut answer, headers::CONTENT_MD5, &headers::write_md5(&md5));
    }
    answer.headers_mut().insert(headers::REQUEST_ENCRYPTED, HeaderValue::from_static("true"));
    answer
}

/// What a write may rely on before it replaces a blob: when that was created. Without a tier of its own the new blob
/// takes over the one that was set.
fn check_write(
    rq: &Rq<'_>,
    conditions: &Conditions<'_>,
    shard: &Shard,
    name: &str,
    props: &mut Props,
) -> Result<Option<u64>> {
    let existing = shard.blobs.get(name).map(|b| &**b);
    // The lease is judged first (Azurite #2637).
    shard.check_write_lease(rq, Which::Current)?;
    let held = headers::nonempty(rq.parts, "x-ms-lease-id").is_some();
    conditions.check_write(existing, held)?;
    let Some(existing) = existing else { return Ok(None) };
    if !auth::may_overwrite(&rq.grant) {
        return Err(UNAUTHORIZED_BLOB_OVERWRITE.into());
    }
    if existing.props.rare().kind != props.rare().kind {
        return Err(INVALID_BLOB_TYPE.into());
    }
    if existing.props.tier == Tier::Archive {
        return Err(BLOB_ARCHIVED.into());
    }
    if props.tier_inferred && !existing.props.tier_inferred {
        (props.tier, props.tier_inferred) = (existing.props.tier, false);
        let changed = existing.props.rare().tier_changed;
        props.set_rare(|rare| rare.tier_changed = changed);
    }
    Ok(Some(existing.created))
}

/// Judges the destination of a copy before its source is read. It is judged again when it is replaced.
pub(crate) fn check_destination(rq: &Rq<'_>, conditions: &Conditions<'_>, props: &Props) -> Result<()> {
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let shard = container.shard(name);
    check_write(rq, conditions, &shard, name, &mut props.clone()).map(drop)
}

pub(crate) fn read_props(rq: &Rq<'_>, source: Source) -> Result<Props> {
    let props = Props::read(rq.parts, source, rq.metadata_names)?;
    if rq.tiers() == Tiers::None && headers::nonempty(rq.parts, "x-ms-access-tier").is_some() {
        return Err(ACCESS_TIER_NOT_SUPPORTED.header("x-ms-access-tier", props.tier.name()));
    }
    if !props.tags.is_empty() && !auth::may_tag(&rq.grant) {
        return Err(AUTHORIZATION_PERMISSION_MISMATCH.into());
    }
    Ok(props)
}

/// The type of blob that Put Blob makes.
fn kind(rq: &Rq<'_>) -> Result<BlobKind> {
    let kind = headers::text(rq.parts, "x-ms-blob-type").unwrap_or_default();
    [BlobKind::Block, BlobKind::Append, BlobKind::Page]
        .into_iter()
        .find(|k| k.name().eq_ignore_ascii_case(kind))
        .ok_or_else(|| INVALID_HEADER_VALUE.header("x-ms-blob-type", kind))
}

pub(crate) async fn put_blob(
    rq: &Rq<'_>,
    body: &mut Option<Incoming>,
) -> std::result::Result<Answer, Failure> {
    let len = content_length(rq, limits(rq.version).0)?;
    let claimed = Claimed::read(rq.parts)?;
    let kind = kind(rq)?;
    // That of a block blob is compared with what arrived; an append or page blob has no content yet.
    let blob_md5 = match kind {
        BlobKind::Block => headers::md5(rq.parts, "x-ms-blob-content-md5")?,
        _ => None,
    };
    let mut props = read_props(rq, Source::PutBlob)?;
    let encryption = Encryption::read(rq.parts)?;
    let pages = if kind == BlobKind::Page { Some(page_blob::create(rq)?) } else { None };
    if (rq.shared.premium_pages && kind != BlobKind::Page)
        || (rq.tiers() == Tiers::None && kind == BlobKind::Page)
    {
        return Err(BLOB_TYPE_NOT_SUPPORTED.into());
    }
    page_blob::check_tier(rq, &props, kind, pages.map_or(0, |(len, _)| len))?;
    if kind != BlobKind::Block {
        if len != 0 {
            return Err(INVALID_HEADER_VALUE.header("Content-Length", &len.to_string()).into());
        }
        if !props.tier_inferred {
            return Err(INVALID_HEADER_VALUE.header("x-ms-access-tier", props.tier.name()).into());
        }
        props.set_rare(|rare| (rare.kind, rare.sequence) = (kind, pages.map_or(0, |(_, sequence)| sequence)));
    }
    let conditions = Conditions::read(rq.parts)?;
    let always_md5 = rq.shared.always_md5 && kind == BlobKind::Block;
    let received = take_body(rq, body, len, claimed, blob_md5.is_some() || always_md5).await?;
    if let (Some(claimed), Some(computed)) = (blob_md5, received.md5)
        && claimed != computed
    {
        return Err(MD5_MISMATCH.into());
    }
    let mut answer = created(claimed, received.crc64);
    if always_md5 && let Some(md5) = received.md5 {
        answer::set(&mut answer, headers::CONTENT_MD5, &headers::write_md5(&md5));
    }
    let new = New {
        len: pages.map_or(received.len, |(len, _)| len),
        crc64: received.crc64,
        md5: match kind {
            BlobKind::Block => received.md5.map(|sum| Box::new(Md5::Sum(sum))),
            _ => Md5::read(rq.parts),
        },
        content: match kind {
            BlobKind::Block => received.stored.map_or(Content::Discarded, Content::Whole),
            BlobKind::Append => Content::Blocks(Arc::default()),
            BlobKind::Page => Content::Pages(Arc::default()),
        },
        copying: None,
    };
    replace(rq, &conditions, &encryption, props, new)?.write(&mut answer);
    Ok(answer)
}

/// What a blob is to be made of.
pub(crate) struct New {
    pub(crate) len: u64,
    pub(crate) crc64: u64,
    pub(crate) md5: Option<Box<Md5>>,
    pub(crate) content: Content,
    /// What it becomes when a pending copy is done.
    pub(crate) copying: Option<Box<Blob>>,
}

/// What an answer says of a blob that was made.
pub(crate) struct Made {
    modified: u64,
    rare: Option<Box<Rare>>,
}

impl Made {
    pub(crate) fn write(&self, answer: &mut Answer) {
        if let Some(rare) = &self.rare {
            write_rare(answer, rare);
        }
        write_times(answer, self.modified);
    }
}

/// Puts a blob that is whole in the place of what is there, if that may be replaced.
pub(crate) fn replace(
    rq: &Rq<'_>,
    conditions: &Conditions<'_>,
    encryption: &Encryption<'_>,
    mut props: Props,
    new: New,
) -> Result<Made> {
    let container = rq.container()?;
    let scopes = container.scopes();
    let encryption = encryption.for_write(rq, &scopes)?;
    encryption.store(&mut props);
    let (_, name) = rq.target.names();
    let (made, _replaced) = {
        let mut shard = container.shard(name);
        let tiered = !props.tier_inferred;
        let created = check_write(rq, conditions, &shard, name, &mut props)?;
        let modified = rq.shared.clock.tick();
        rq.shared.stamp(&mut props, modified);
        if tiered {
            props.set_rare(|rare| rare.tier_changed = modified);
        }
        let rare = props.rare.clone();
        let New { len, crc64, md5, content, copying } = new;
        let props = shard.intern(props);
        let blob = Blob { len, crc64, modified, created: created.unwrap_or(modified), props, md5, content };
        let staged = shard.staged.remove(name);
        if let Some(copying) = copying {
            shard.copying.insert(name, copying);
        }
        // What is replaced is dropped after the lock: it may be gigabytes.
        shard.written(rq);
        (Made { modified, rare }, (shard.overwrite(name, Box::new(blob), rq.shared.deletion()), staged))
    };
    Ok(made)
}

pub(crate) async fn put_block(
    rq: &Rq<'_>,
    body: &mut Option<Incoming>,
) -> std::result::Result<Answer, Failure> {
    let id = block_id(rq)?;
    let len = content_length(rq, limits(rq.version).1)?;
    if len == 0 {
        return Err(INVALID_HEADER_VALUE.header("Content-Length", "0").into());
    }
    let claimed = Claimed::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    if rq.shared.premium_pages {
        return Err(BLOB_TYPE_NOT_SUPPORTED.into());
    }
    let received = take_body(rq, body, len, claimed, false).await?;
    Ok(stage(rq, id, &encryption, claimed, received)?)
}

/// The id of the block that the request brings, in base64.
pub(crate) fn block_id<'r>(rq: &Rq<'r>) -> Result<&'r str> {
    let id = rq.target.query.require("blockid")?;
    let decoded = STANDARD.decode(id).map_err(|_| INVALID_QUERY_PARAMETER_VALUE.query("blockid", id))?;
    if decoded.is_empty() || decoded.len() > MAX_BLOCK_ID {
        return Err(INVALID_QUERY_PARAMETER_VALUE.query("blockid", id));
    }
    Ok(id)
}

/// Keeps a block that arrived whole.
pub(crate) fn stage(
    rq: &Rq<'_>,
    id: &str,
    encryption: &Encryption<'_>,
    claimed: Claimed,
    received: Received,
) -> Result<Answer> {
    let container = rq.container()?;
    let scopes = container.scopes();
    let encryption = encryption.for_write(rq, &scopes)?;
    let (_, name) = rq.target.names();
    let _replaced = {
        let mut shard = container.shard(name);
        let existing = shard.blobs.get(name);
        shard.check_write_lease(rq, Which::Current)?;
        if existing.is_some_and(|b| b.props.rare().kind != BlobKind::Block) {
            return Err(INVALID_BLOB_TYPE.into());
        }
        let staged = shard.staged.or_default(name);
        if staged.blocks.is_empty() {
            staged.key = encryption.key;
        }
        encryption.check(staged.key.as_ref())?;
        // As they are decoded: `MQ==` is shorter than `MTIz`.
        let size = |id: &str| id.trim_end_matches('=').len();
        if staged.blocks.keys().next().is_some_and(|other| size(other) != size(id)) {
            return Err(INVALID_BLOB_OR_BLOCK.into());
        }
        if staged.blocks.len() >= MAX_STAGED && !staged.blocks.contains_key(id) {
            return Err(BLOCK_COUNT_EXCEEDS_LIMIT.into());
        }
        let block =
            Block { id: id.into(), len: received.len, crc64: received.crc64, stored: received.stored };
        staged.blocks.insert(id.into(), block)
    };
    let mut answer = created(claimed, received.crc64);
    encryption.echo(&mut answer);
    Ok(answer)
}

pub(crate) async fn put_block_list(
    rq: &Rq<'_>,
    body: &mut Option<Incoming>,
) -> std::result::Result<Answer, Failure> {
    content_length(rq, u64::MAX)?;
    let claimed = Claimed::read(rq.parts)?;
    let mut props = read_props(rq, Source::PutBlockList)?;
    let encryption = Encryption::read(rq.parts)?;
    let conditions = Conditions::read(rq.parts)?;
    let list = receive_small(body.take().ok_or(Failure::Gone)?, MAX_BLOCK_LIST_BYTES).await?;
    let list = list.ok_or(REQUEST_BODY_TOO_LARGE)?;
    rq.counters.received(list.len() as u64);
    let checksums = Received {
        len: list.len() as u64,
        crc64: crc64(&list),
        md5: claimed.md5.map(|_| md5(&list)),
        stored: None,
    };
    claimed.check(&checksums)?;
    let wanted = xml::parse_block_list(&list)?;
    let container = rq.container()?;
    let scopes = container.scopes();
    let encryption = encryption.for_write(rq, &scopes)?;
    encryption.store(&mut props);
    let (_, name) = rq.target.names();
    let (modified, rare, _replaced) = {
        let mut shard = container.shard(name);
        let tiered = !props.tier_inferred;
        let created = check_write(rq, &conditions, &shard, name, &mut props)?;
        if let Some(staged) = shard.staged.get(name).filter(|s| !s.blocks.is_empty()) {
            encryption.check(staged.key.as_ref())?;
        }
        let blocks = pick_blocks(&shard, name, &wanted)?;
        let modified = rq.shared.clock.tick();
        rq.shared.stamp(&mut props, modified);
        if tiered {
            props.set_rare(|rare| rare.tier_changed = modified);
        }
        let rare = props.rare.clone();
        let blob = Blob {
            len: blocks.iter().map(|b| b.len).sum(),
            crc64: blocks.iter().fold(0, |crc, b| crc64_combine(crc, b.crc64, b.len)),
            modified,
            created: created.unwrap_or(modified),
            props: shard.intern(props),
            md5: Md5::read(rq.parts),
            content: Content::Blocks(Arc::new(blocks)),
        };
        let staged = shard.staged.remove(name);
        shard.written(rq);
        (modified, rare, (shard.overwrite(name, Box::new(blob), rq.shared.deletion()), staged))
    };
    let mut answer = created(claimed, checksums.crc64);
    if let Some(rare) = rare {
        write_rare(&mut answer, &rare);
    }
    write_times(&mut answer, modified);
    Ok(answer)
}

/// Finds the blocks of a list among those staged and those committed.
fn pick_blocks(shard: &Shard, name: &str, wanted: &[(BlockSource, String)]) -> Result<Vec<Block>> {
    let staged = shard.staged.get(name);
    let committed: HashMap<&str, &Block> = match shard.blobs.get(name).map(|b| &b.content) {
        Some(Content::Blocks(blocks)) => blocks.iter().map(|b| (&*b.id, b)).collect(),
        _ => HashMap::new(),
    };
    let find = |source: &BlockSource, id: &str| {
        let new = || staged.and_then(|s| s.blocks.get(id));
        let old = || committed.get(id).copied();
        match source {
            BlockSource::Latest => new().or_else(old),
            BlockSource::Uncommitted => new(),
            BlockSource::Committed => old(),
        }
    };
    wanted
        .iter()
        .map(|(source, id)| find(source, id).cloned().ok_or_else(|| INVALID_BLOCK_LIST.into()))
        .collect()
}

pub(crate) fn get_block_list(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let kind = rq.target.query.get("blocklisttype").unwrap_or("committed");
    let (with_committed, with_staged) = match kind.to_ascii_lowercase().as_str() {
        "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        _ => return Err(INVALID_QUERY_PARAMETER_VALUE.query("blocklisttype", kind).into()),
    };
    let conditions = Conditions::read(rq.parts)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let which = Which::read(&rq.target.query)?;
    let shard = container.shard(name);
    let (blob, staged) = (shard.find(name, which).ok().cloned(), shard.staged.get(name));
    let staged = staged.filter(|_| which == Which::Current);
    if blob.as_ref().is_some_and(|b| b.props.rare().kind != BlobKind::Block) {
        return Err(INVALID_BLOB_TYPE.into());
    }
    if blob.is_none() && staged.is_none() {
        return Err(BLOB_NOT_FOUND.into());
    }
    if let Some(blob) = &blob {
        conditions.check_read(blob)?;
    }
    shard.check_read_lease(rq, which)?;
    let mut out = String::from(xml::PROLOG);
    out.push_str("<BlockList>");
    if with_committed {
        let committed = match blob.as_ref().map(|b| &b.content) {
            Some(Content::Blocks(blocks)) => &blocks[..],
            _ => &[],
        };
        write_blocks(&mut out, "CommittedBlocks", committed.iter());
    }
    if with_staged {
        write_blocks(&mut out, "UncommittedBlocks", staged.iter().flat_map(|s| s.blocks.values()));
    }
    drop(shard);
    out.push_str("</BlockList>");
    let mut answer = answer::xml(out);
    if let Some(blob) = blob {
        write_times(&mut answer, blob.modified);
        answer.headers_mut().insert(headers::BLOB_CONTENT_LENGTH, HeaderValue::from(blob.len));
    }
    Ok(answer)
}

fn write_blocks<'b>(out: &mut String, element: &str, blocks: impl Iterator<Item = &'b Block>) {
    let begin = out.len();
    out.push('<');
    out.push_str(element);
    out.push('>');
    let empty = out.len();
    for block in blocks {
        out.push_str("<Block>");
        xml::element(out, "Name", &block.id);
        xml::element(out, "Size", &block.len.to_string());
        out.push_str("</Block>");
    }
    if out.len() == empty {
        out.truncate(begin);
        return xml::element(out, element, "");
    }
    out.push_str("</");
    out.push_str(element);
    out.push('>');
}
