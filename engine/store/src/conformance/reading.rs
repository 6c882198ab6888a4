//! Reading: ranges, known states, checksums.

use bytes::Bytes;

use crate::checksum::Crc64;
use crate::error::ErrorKind;
use crate::facts::Wanted;
use crate::store::{Read, Store};
use crate::which::Which;

use super::ground::{Ground, Held, Suite, data, refused, same, same_bytes, told};

/// Bytes of the object that is read.
const LEN: u64 = 100_000;

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    let ranges = [
        ("the first byte", (0, 0)),
        ("the last byte", (LEN - 1, LEN - 1)),
        ("all bytes", (0, LEN - 1)),
        ("some in the middle", (4_095, 70_000)),
        ("some that go beyond the end", (LEN - 10, LEN + 1_000)),
        ("all and more", (0, u64::from(u32::MAX))),
    ];
    for (what, (first, last)) in ranges {
        suite
            .holds(format!("reading: {what}"), async |on| {
                let (key, bytes) = object(&on).await?;
                let range = first as usize..(last.min(LEN - 1) + 1) as usize;
                let read = Read { range: Some((first, last)), wanted: Some(Wanted::ALL), ..Read::default() };
                let got = on.read(&key, &read).await.map_err(|error| told("read", &error))?;
                same_bytes(&got.bytes, &bytes[range])?;
                let facts = got.facts.ok_or("nothing is told of the object")?;
                same("the length of the whole", &(facts.len, facts.len_is_unknown), &(LEN, false))
            })
            .await;
    }
    for (what, first) in [("at", LEN), ("far behind", LEN + 5_000)] {
        suite
            .holds(format!("reading: a range that begins {what} the end is refused"), async |on| {
                let (key, _) = object(&on).await?;
                let read = Read { range: Some((first, first + 9)), ..Read::default() };
                refused("read", on.read(&key, &read).await, ErrorKind::BehindEnd)
            })
            .await;
    }
    suite
        .holds("reading: byte by byte", async |on| {
            let (key, bytes) = object(&on).await?;
            let read = Read { range: Some((5, 1_000)), ..Read::default() };
            let got = on.read_by(&key, &read, 1).await.map_err(|error| told("read", &error))?;
            same_bytes(&got.bytes, &bytes[5..=1_000])
        })
        .await;
    suite
        .holds("reading: an empty object has no byte", async |on| {
            let key = on.key("empty");
            on.put(&key, &Bytes::new()).await?;
            on.is(&key, &Bytes::new()).await?;
            let read = Read { range: Some((0, 0)), ..Read::default() };
            refused("read of a range", on.read(&key, &read).await, ErrorKind::BehindEnd)
        })
        .await;
    suite
        .holds("reading: an object of the known length, and of no other", async |on| {
            let (key, bytes) = object(&on).await?;
            for range in [None, Some((3, 8))] {
                let read = |len| Read { range, len: Some(len), ..Read::default() };
                let got = on.read(&key, &read(LEN)).await.map_err(|error| told("read", &error))?;
                let want = range.map_or(&bytes[..], |(first, last)| &bytes[first as usize..=last as usize]);
                same_bytes(&got.bytes, want)?;
                for other in [LEN - 1, LEN + 1, 0] {
                    let result = on.read(&key, &read(other)).await;
                    let what = format!("read of {other} known bytes");
                    let Err(error) = result else {
                        return Err(format!("{what}: is done instead of refused"));
                    };
                    same(&what, &error.kind(), &ErrorKind::Changed)?;
                }
            }
            Ok(())
        })
        .await;
    suite
        .holds("reading: an object in the known state, and in no other", async |on| {
            let (key, bytes) = object(&on).await?;
            let tag = on.tag(&key).await?;
            for range in [None, Some((3, 8))] {
                let read = Read { range, tag: Some(&tag), ..Read::default() };
                on.read(&key, &read).await.map_err(|error| told("read", &error))?;
            }
            on.put(&key, &data(LEN as usize, 9)).await?;
            for range in [None, Some((3, 8))] {
                let read = Read { range, tag: Some(&tag), ..Read::default() };
                refused("read of the state before", on.read(&key, &read).await, ErrorKind::Changed)?;
            }
            let now = on.tag(&key).await?;
            same("whether another object has another tag", &(now != tag), &true)?;
            on.put(&key, &bytes).await?;
            same("whether the same bytes again have another tag", &(on.tag(&key).await? != now), &true)
        })
        .await;
    suite
        .holds("reading: what is told of an object agrees with stat", async |on| {
            let (key, _) = object(&on).await?;
            let (facts, read) = (on.stat(&key).await?, Read { wanted: Some(Wanted::ALL), ..Read::default() });
            let got = on.read(&key, &read).await.map_err(|error| told("read", &error))?;
            let told = got.facts.ok_or("nothing is told of the object")?;
            same("its length", &told.len, &facts.len)?;
            same("its tag", &told.etag, &facts.etag)?;
            same("its time", &told.last_modified, &facts.last_modified)?;
            same("its MD5", &told.content_md5, &facts.content_md5)
        })
        .await;
    for (what, range) in
        [("a byte", (7, 7)), ("a range", (1_000, 66_535)), ("what goes beyond the end", (9, LEN + 9))]
    {
        let can = suite.store().traits().checksums.crc64_out_bytes > range.1;
        suite
            .takes(format!("reading: the CRC64 of {what} is told and true"), can, async |on| {
                let (key, _) = object(&on).await?;
                checksum(&on, &key, range, can).await
            })
            .await;
    }
    suite
        .holds("reading: a range larger than any with a CRC64", async |on| {
            let key = on.key("large");
            let bytes = data((4 << 20) + 5, 3);
            on.put(&key, &bytes).await?;
            checksum(&on, &key, (0, bytes.len() as u64 - 1), false).await
        })
        .await;
    suite
        .holds("reading: a state that is not there is not found", async |on| {
            let (key, _) = object(&on).await?;
            let which = Which { snapshot: Some("2020-01-01T00:00:00.0000000Z"), version: None };
            refused("stat", on.store.stat(&key, which).await, ErrorKind::NotFound)?;
            refused("read", on.read(&key, &Read { which, ..Read::default() }).await, ErrorKind::NotFound)
        })
        .await;
    suite
        .holds("reading: what is not there is not found", async |on| {
            let (missing, there) = (on.key("missing"), on.key("missing/below"));
            on.put(&there, &data(3, 1)).await?;
            on.is_missing(&missing).await?;
            for range in [None, Some((0, 9))] {
                let read = Read { range, ..Read::default() };
                refused("read", on.read(&missing, &read).await, ErrorKind::NotFound)?;
            }
            Ok(())
        })
        .await;
}

async fn object<S: Store>(on: &Ground<'_, S>) -> Result<(String, Bytes), String> {
    let (key, bytes) = (on.key("object"), data(LEN as usize, 8));
    on.put(&key, &bytes).await?;
    Ok((key, bytes))
}

/// The checksum that is told is that of the bytes; `needed`: one is told.
async fn checksum<S: Store>(on: &Ground<'_, S>, key: &str, range: (u64, u64), needed: bool) -> Held {
    let read = Read { range: Some(range), crc64: true, ..Read::default() };
    let got = on.read(key, &read).await.map_err(|error| told("read", &error))?;
    let want = Crc64::of(&got.bytes.clone().into());
    match got.crc64 {
        Some(told) => same("the CRC64", &told, &want),
        None if needed => Err("no CRC64 is told".to_owned()),
        None => Ok(()),
    }
}
