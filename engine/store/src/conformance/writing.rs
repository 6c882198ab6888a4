//! Writing in one request: bytes, properties, checksums, conditions.

use azuring_link::Payload;
use bytes::Bytes;

use crate::checksum::Crc64;
use crate::error::{ErrorKind, StoreError};
use crate::facts::{ContentFacts, Facts};
use crate::store::{Condition, Put, Store, Written};

use super::ground::{Ground, Held, Suite, data, pair, refused, same, told};

/// Bytes of the object with all properties...
const LEN: usize = 65_536;
/// ...and its MD5.
const MD5: [u8; 16] =
    [0xcb, 0xe3, 0x57, 0x84, 0x97, 0xc9, 0x6d, 0x4b, 0x72, 0x16, 0x47, 0xc1, 0xe6, 0x0d, 0xd1, 0x7b];

/// Largest of the "largest objects" that are tried.
const LIMIT_TRIED: u64 = 64 << 20;

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    for len in [0, 1, 65_536, 65_537, 5 << 20] {
        suite
            .holds(format!("writing: an object of {len} bytes"), async |on| {
                let (key, bytes) = (on.key("object"), data(len, 2));
                on.put(&key, &bytes).await?;
                on.is(&key, &bytes).await
            })
            .await;
    }
    suite
        .holds("writing: an object out of several pieces of memory", async |on| {
            let (key, bytes) = (on.key("object"), data(10_000, 2));
            let parts = vec![bytes.slice(..1), bytes.slice(1..7_000), Bytes::new(), bytes.slice(7_000..)];
            let payload = Payload::from_parts(parts);
            let put = Put { crc64: Some(Crc64::of(&payload)).filter(|_| crc64_in(&on)), ..Put::default() };
            on.store.put(&key, payload, &put).await.map_err(|error| told("put", &error))?;
            on.is(&key, &bytes).await
        })
        .await;
    suite
        .holds("writing: another object takes its place", async |on| {
            let (key, bytes) = (on.key("object"), data(5, 3));
            on.put(&key, &data(70_000, 2)).await?;
            on.put(&key, &bytes).await?;
            on.is(&key, &bytes).await
        })
        .await;
    let (content, metadata) = (content(), metadata());
    let full = Put { content: Some(&content), metadata: &metadata, ..Put::default() };
    suite
        .holds("writing: content type and metadata come back", async |on| {
            let key = on.key("object");
            let written =
                on.put_with(&key, &data(LEN, 5), &full).await.map_err(|error| told("put", &error))?;
            agree(&on, &key, &written, LEN, &full).await
        })
        .await;
    let keeps_md5 = suite.store().traits().checksums.keeps_md5;
    suite
        .takes("writing: the MD5 comes back", keeps_md5, async |on| {
            let key = on.key("object");
            let put = Put { md5: Some(MD5), ..full };
            let written =
                on.put_with(&key, &data(LEN, 5), &put).await.map_err(|error| told("put", &error))?;
            agree(&on, &key, &written, LEN, &Put { md5: put.md5.filter(|_| keeps_md5), ..put }).await?;
            let facts = on.stat(&key).await?;
            same("its MD5", &facts.content_md5, &Some(MD5).filter(|_| keeps_md5))
        })
        .await;
    suite
        .holds("writing: another object keeps none of the properties", async |on| {
            let key = on.key("object");
            on.put_with(&key, &data(LEN, 5), &full).await.map_err(|error| told("put", &error))?;
            on.put(&key, &data(3, 1)).await?;
            let facts = on.stat(&key).await?;
            same("its metadata", &facts.metadata, &Vec::new())?;
            let kept = facts.content.filter(|facts| facts.content_type == content.content_type);
            same("its content type", &kept, &None)
        })
        .await;
    let can = suite.store().traits().checksums.crc64_in;
    suite
        .takes("writing: with a true CRC64", can, async |on| {
            let (key, bytes) = (on.key("object"), data(5_000, 3));
            let put = Put { crc64: Some(Crc64::of(&bytes.clone().into())), ..Put::default() };
            on.put_with(&key, &bytes, &put).await.map_err(|error| told("put", &error))?;
            on.is(&key, &bytes).await
        })
        .await;
    if can {
        suite
            .holds("writing: with a wrong CRC64 it is refused, and nothing changes", async |on| {
                let (key, old, new) = (on.key("object"), data(5_000, 3), data(5_000, 4));
                let put = Put { crc64: Some(Crc64::of(&old.clone().into())), ..Put::default() };
                refused_damage(on.put_with(&key, &new, &put).await)?;
                on.is_missing(&key).await?;
                on.put(&key, &old).await?;
                refused_damage(on.put_with(&key, &new, &put).await)?;
                on.is(&key, &old).await
            })
            .await;
    }
    conditions(suite).await;
    if suite.store().traits().whole_max <= LIMIT_TRIED {
        suite
            .holds("writing: more than the largest object is refused", async |on| {
                let (part, max) = (data(1 << 20, 1), on.store.traits().whole_max);
                let mut parts = vec![part.clone(); (max >> 20) as usize];
                parts.push(part.slice(..(max % (1 << 20)) as usize + 1));
                let key = on.key("object");
                let result = on.store.put(&key, Payload::from_parts(parts), &Put::default()).await;
                refused("put", result, ErrorKind::Limit)?;
                on.is_missing(&key).await
            })
            .await;
    }
}

fn crc64_in<S: Store>(on: &Ground<'_, S>) -> bool {
    on.store.traits().checksums.crc64_in
}

pub(super) fn content() -> ContentFacts {
    ContentFacts {
        content_type: Some("text/x-conform; charset=utf-8".to_owned()),
        encoding: Some("identity".to_owned()),
        language: Some("de-CH".to_owned()),
        disposition: Some("attachment; filename=\"a b.txt\"".to_owned()),
        cache_control: Some("no-cache, max-age=3".to_owned()),
    }
}

pub(super) fn metadata() -> Vec<(String, String)> {
    vec![pair("one", "1"), pair("with_more", "a b=c; d")]
}

/// Stat and listing say of the object what it was given.
pub(super) async fn agree<S: Store>(
    on: &Ground<'_, S>,
    key: &str,
    written: &Written,
    len: usize,
    put: &Put<'_>,
) -> Held {
    let (stat, listed) = (on.stat(key).await?, on.listed(key).await?);
    for (who, facts) in [("stat", &stat), ("the listing", &listed)] {
        let what = |what: &str| format!("{what} by {who}");
        same(&what("length"), &(facts.len, facts.len_is_unknown), &(len as u64, false))?;
        same(&what("metadata"), &sorted(facts), &put.metadata.to_vec())?;
        if put.md5.is_some() {
            same(&what("MD5"), &facts.content_md5, &put.md5)?;
        }
        if put.content.is_some() {
            same(&what("content type and its kin"), &facts.content.as_deref(), &put.content)?;
        }
    }
    same("tag by the listing", &listed.etag, &stat.etag)?;
    same("time by the listing", &listed.last_modified, &stat.last_modified)?;
    same("whether there is a time", &(stat.last_modified > 0), &true)?;
    match &written.tag {
        Some(tag) => same("tag of the answer", &Some(tag), &stat.etag.as_ref()),
        None => Ok(()),
    }
}

fn sorted(facts: &Facts) -> Vec<(String, String)> {
    let mut pairs = facts.metadata.clone();
    pairs.sort();
    pairs
}

/// Damage is something that goes away: the same is sent again.
pub(super) fn refused_damage<T>(result: Result<T, StoreError>) -> Held {
    refused("bytes that are not those of the checksum", result, ErrorKind::Integrity)
}

/// The conditions of a put.
async fn conditions<S: Store>(suite: &mut Suite<'_, S>) {
    let can = suite.store().traits().conditions;
    suite
        .takes("conditions: a new object", can.only_new, async |on| {
            let put = Put { condition: Condition::New, ..Put::default() };
            let (key, first, second) = (on.key("object"), data(9, 1), data(8, 2));
            let result = on.put_with(&key, &first, &put).await;
            if !can.only_new {
                refused("put", result, ErrorKind::Unsupported)?;
                return on.is_missing(&key).await;
            }
            result.map_err(|error| told("put", &error))?;
            refused("put again", on.put_with(&key, &second, &put).await, ErrorKind::Exists)?;
            on.is(&key, &first).await?;
            on.remove(&key).await.map_err(|error| told("remove", &error))?;
            on.put_with(&key, &second, &put).await.map_err(|error| told("put after remove", &error))?;
            on.is(&key, &second).await
        })
        .await;
    suite
        .takes("conditions: over the known state", can.only_tag, async |on| {
            let (key, first, second, third) = (on.key("object"), data(9, 1), data(8, 2), data(7, 3));
            on.put(&key, &first).await?;
            let tag = on.tag(&key).await?;
            let put = Put { condition: Condition::Tag(&tag), ..Put::default() };
            let result = on.put_with(&key, &second, &put).await;
            if !can.only_tag {
                refused("put", result, ErrorKind::Unsupported)?;
                return on.is(&key, &first).await;
            }
            result.map_err(|error| told("put", &error))?;
            on.is(&key, &second).await?;
            // The state that was known is over.
            refused("put over another state", on.put_with(&key, &third, &put).await, ErrorKind::Changed)?;
            on.is(&key, &second).await?;
            on.remove(&key).await.map_err(|error| told("remove", &error))?;
            refused("put over nothing", on.put_with(&key, &third, &put).await, ErrorKind::Changed)?;
            on.is_missing(&key).await
        })
        .await;
    suite
        .takes("conditions: never over a state that there was not", can.only_tag, async |on| {
            let (key, first) = (on.key("object"), data(9, 1));
            on.put(&key, &first).await?;
            let put = Put { condition: Condition::Tag("0x0123456789ABCDE"), ..Put::default() };
            let kind = if can.only_tag { ErrorKind::Changed } else { ErrorKind::Unsupported };
            refused("put", on.put_with(&key, &data(3, 4), &put).await, kind)?;
            on.is(&key, &first).await
        })
        .await;
    suite
        .takes("conditions: who is refused leaves the properties", can.only_new, async |on| {
            let (key, metadata) = (on.key("object"), metadata());
            let full = Put { metadata: &metadata, ..Put::default() };
            let written = on.put_with(&key, &data(9, 1), &full).await.map_err(|error| told("put", &error))?;
            let put = Put { condition: Condition::New, metadata: &[pair("other", "2")], ..Put::default() };
            let kind = if can.only_new { ErrorKind::Exists } else { ErrorKind::Unsupported };
            refused("put", on.put_with(&key, &data(3, 4), &put).await, kind)?;
            agree(&on, &key, &written, 9, &full).await
        })
        .await;
}
