//! Append blobs: Append Block and Append Block Seal. They are made by Put Blob.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;

use crate::answer::{Answer, Failure};
use crate::block_blob::{content_length, created, take_body};
use crate::body::{Claimed, Received, crc64_combine};
use crate::change::{changed, current};
use crate::conditions::Conditions;
use crate::encryption::{Encryption, write_rare};
use crate::error::{
    APPEND_POSITION_CONDITION_NOT_MET, BLOB_IS_SEALED, BLOCK_COUNT_EXCEEDS_LIMIT, INVALID_BLOB_TYPE,
    INVALID_HEADER_VALUE, MAX_BLOB_SIZE_CONDITION_NOT_MET, Result,
};
use crate::headers;
use crate::properties::BlobKind;
use crate::service::{Rq, write_times};
use crate::store::{Blob, Block, Content};
use crate::xml::MAX_BLOCKS;

/// The largest block: 100 MiB since version 2022-11-02, 4 MiB before.
pub(crate) fn limit(version: &str) -> u64 {
    if version >= "2022-11-02" { 100 << 20 } else { 4 << 20 }
}

/// Blocks appended so far.
pub(crate) fn block_count(blob: &Blob) -> usize {
    match &blob.content {
        Content::Blocks(blocks) => blocks.len(),
        _ => 0,
    }
}

/// The conditions that append blobs have of their own.
pub(crate) struct Place {
    position: Option<u64>,
    max_size: Option<u64>,
}

impl Place {
    pub(crate) fn read(rq: &Rq<'_>) -> Result<Place> {
        Ok(Place {
            position: headers::number(rq.parts, "x-ms-blob-condition-appendpos")?,
            max_size: headers::number(rq.parts, "x-ms-blob-condition-maxsize")?,
        })
    }

    fn check(&self, blob: &Blob, more: u64) -> Result<()> {
        if blob.props.rare().kind != BlobKind::Append {
            return Err(INVALID_BLOB_TYPE.into());
        }
        if self.position.is_some_and(|position| position != blob.len) {
            return Err(APPEND_POSITION_CONDITION_NOT_MET.into());
        }
        if self.max_size.is_some_and(|max| blob.len + more > max) {
            return Err(MAX_BLOB_SIZE_CONDITION_NOT_MET.into());
        }
        Ok(())
    }
}

pub(crate) async fn append_block(
    rq: &Rq<'_>,
    body: &mut Option<Incoming>,
) -> std::result::Result<Answer, Failure> {
    let len = content_length(rq, limit(rq.version))?;
    if len == 0 {
        return Err(INVALID_HEADER_VALUE.header("Content-Length", "0").into());
    }
    let claimed = Claimed::read(rq.parts)?;
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    let place = Place::read(rq)?;
    let received = take_body(rq, body, len, claimed, false).await?;
    Ok(append(rq, &conditions, &encryption, &place, claimed, received)?)
}

/// Appends a block that arrived whole.
pub(crate) fn append(
    rq: &Rq<'_>,
    conditions: &Conditions<'_>,
    encryption: &Encryption<'_>,
    place: &Place,
    claimed: Claimed,
    received: Received,
) -> Result<Answer> {
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let blob = current(rq, &shard, conditions, encryption)?;
    place.check(blob, received.len)?;
    if blob.props.rare().sealed {
        return Err(BLOB_IS_SEALED.into());
    }
    if block_count(blob) >= MAX_BLOCKS {
        return Err(BLOCK_COUNT_EXCEEDS_LIMIT.into());
    }
    let blob = shard.find_mut(name, crate::past::Which::Current)?;
    let Content::Blocks(blocks) = &mut blob.content else { return Err(INVALID_BLOB_TYPE.into()) };
    let block = Block { id: "".into(), len: received.len, crc64: received.crc64, stored: received.stored };
    // Copied only when a snapshot or a reader holds the list.
    let blocks = Arc::make_mut(blocks);
    blocks.push(block);
    let count = blocks.len();
    let offset = blob.len;
    blob.crc64 = crc64_combine(blob.crc64, received.crc64, received.len);
    blob.len += received.len;
    blob.modified = rq.shared.clock.tick();
    let mut answer = created(claimed, received.crc64);
    write_times(&mut answer, blob.modified);
    write_rare(&mut answer, blob.props.rare());
    shard.written(rq);
    drop(shard);
    answer.headers_mut().insert(headers::APPEND_OFFSET, HeaderValue::from(offset));
    answer.headers_mut().insert(headers::COMMITTED_BLOCK_COUNT, HeaderValue::from(count));
    Ok(answer)
}

pub(crate) fn seal(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let place = Place::read(rq)?;
    let encryption = Encryption::read(rq.parts)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let blob = current(rq, &shard, &conditions, &encryption)?;
    place.check(blob, 0)?;
    let mut props = (*blob.props).clone();
    props.set_rare(|rare| rare.sealed = true);
    let modified = rq.shared.clock.tick();
    let mut answer = changed(StatusCode::OK, modified, &props);
    answer.headers_mut().insert(headers::BLOB_SEALED, HeaderValue::from_static("true"));
    let props = shard.intern(props);
    let blob = shard.find_mut(name, crate::past::Which::Current)?;
    (blob.props, blob.modified) = (props, modified);
    shard.written(rq);
    Ok(answer)
}
