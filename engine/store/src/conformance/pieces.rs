//! Objects that are sent in pieces: order, resume, commit, abort.

use azuring_link::Payload;
use bytes::Bytes;

use crate::checksum::Crc64;
use crate::error::{ErrorKind, StoreError};
use crate::store::{At, Begin, Condition, Put, Receipt, Store, There, Token, Written};
use crate::traits::{Sequence, Visible};

use super::ground::{Ground, Held, Suite, data, pair, refused, refused_as, same, told};
use super::writing::{agree, content, metadata, refused_damage};

/// Bytes of a piece where the store has no wish.
const PIECE_BYTES: u64 = 64 << 10;
/// Pieces of an object; the last one is smaller.
const COUNT: u32 = 4;

pub(super) async fn run<S: Store>(suite: &mut Suite<'_, S>) {
    let Some(traits) = suite.store().traits().pieces else {
        suite
            .takes("pieces: there are none", false, async |on| {
                let large = Large::of(&on, "object", 1);
                refused(
                    "begin",
                    on.store.begin(&large.key, &large.begin(&Put::default())).await,
                    ErrorKind::Unsupported,
                )?;
                on.is_missing(&large.key).await
            })
            .await;
        return;
    };
    let any = traits.sequence == Sequence::Any;
    suite.holds("pieces: one after the other", async |on| whole(&on, &[0, 1, 2, 3]).await).await;
    for order in [[3, 2, 1, 0], [2, 0, 3, 1]] {
        suite
            .takes(format!("pieces: in the order {order:?}"), any, async |on| {
                if any {
                    return whole(&on, &order).await;
                }
                let large = Large::of(&on, "object", 1);
                let token = large.begun(&on).await?;
                refused_as(
                    "a piece before its time",
                    large.send(&on, &token, order[0], None).await,
                    ANY_REFUSAL,
                )?;
                Ok(())
            })
            .await;
    }
    suite
        .holds("pieces: one sent twice is one", async |on| {
            whole(&on, if any { &[1, 0, 1, 3, 2, 3] } else { &[0, 0, 1, 2, 1, 3] }).await
        })
        .await;
    suite
        .holds("pieces: an object of one", async |on| {
            let mut large = Large::of(&on, "object", 1);
            large.bytes = large.bytes.slice(..7);
            let token = large.begun(&on).await?;
            let receipt = large.sent(&on, &token, 0).await?;
            large.committed(&on, &token, &[receipt]).await?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    suite
        .holds("pieces: an object whose length nobody knows when it is begun", async |on| {
            let large = Large::of(&on, "object", 1);
            let put = Put::default();
            let begin = Begin { len: None, ..large.begin(&put) };
            let token = on.store.begin(&large.key, &begin).await.map_err(|error| told("begin", &error))?;
            let mut receipts = Vec::new();
            for piece in 0..4 {
                receipts.push(large.sent(&on, &token, piece).await?);
            }
            large.committed(&on, &token, &receipts).await?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    suite
        .holds("pieces: tokens and receipts are short", async |on| {
            let large = Large::of(&on, "object", 1);
            let token = large.begun(&on).await?;
            same("whether the token has 1 KiB at most", &(token.len() <= 1_024), &true)?;
            let receipt = large.sent(&on, &token, 0).await?;
            same("whether the receipt has 64 bytes at most", &(receipt.len() <= 64), &true)
        })
        .await;
    suite
        .holds("pieces: another object takes their place, and takes the place of one", async |on| {
            let (large, small) = (Large::of(&on, "object", 1), data(3, 9));
            on.put(&large.key, &small).await?;
            large.all(&on, &Put::default()).await.map_err(|error| told("an object of pieces", &error))?;
            on.is(&large.key, &large.bytes).await?;
            on.put(&large.key, &small).await?;
            on.is(&large.key, &small).await
        })
        .await;
    resume(suite).await;
    visibility(suite).await;
    checksums(suite).await;
    properties(suite).await;
    conditions(suite).await;
}

/// Kinds of a call that makes no sense to the store: none that would be tried again.
const ANY_REFUSAL: &[ErrorKind] = &[
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::Changed,
    ErrorKind::Unsupported,
    ErrorKind::Limit,
    ErrorKind::Other,
];

async fn resume<S: Store>(suite: &mut Suite<'_, S>) {
    suite
        .holds("resume: nothing is there of what was only begun", async |on| {
            let large = Large::of(&on, "object", 1);
            let token = large.begun(&on).await?;
            same("pieces", &large.there(&on, &token).await?, &Vec::new())
        })
        .await;
    suite
        .holds("resume: pieces are found by their token, and the object is finished with them", async |on| {
            let large = Large::of(&on, "object", 1);
            let token = large.begun(&on).await?;
            let mut sent = Vec::new();
            for piece in [0, 1] {
                sent.push((piece, large.piece_len(piece), large.sent(&on, &token, piece).await?));
            }
            let mut there = large.there(&on, &token).await?;
            there.sort_by_key(|there| there.piece);
            let found: Vec<_> =
                there.into_iter().map(|there| (there.piece, there.len, there.receipt)).collect();
            same("pieces", &found, &sent)?;
            // The rest in another run, which knows what the store has told.
            let mut receipts: Vec<Receipt> = found.into_iter().map(|(_, _, receipt)| receipt).collect();
            for piece in [2, 3] {
                receipts.push(large.sent(&on, &token, piece).await?);
            }
            large.committed(&on, &token, &receipts).await?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    suite
        .holds("resume: who begins the same again is given its pieces, or none", async |on| {
            let large = Large::of(&on, "object", 1);
            let first = large.begun(&on).await?;
            large.sent(&on, &first, 0).await?;
            let again = large.begun(&on).await?;
            let there = large.there(&on, &again).await?;
            let pieces: Vec<u32> = there.iter().map(|there| there.piece).collect();
            let want = if again == first { vec![0] } else { Vec::new() };
            same("pieces", &pieces, &want)?;
            // Whichever it is, the object is finished.
            let mut receipts: Vec<Receipt> = there.into_iter().map(|there| there.receipt).collect();
            for piece in receipts.len() as u32..COUNT {
                receipts.push(large.sent(&on, &again, piece).await?);
            }
            large.committed(&on, &again, &receipts).await?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    suite
        .holds("resume: other content finds none of them, and is never mixed with them", async |on| {
            let (old, new) = (Large::of(&on, "object", 1), Large::of(&on, "object", 2));
            let token = old.begun(&on).await?;
            for piece in [0, 1] {
                old.sent(&on, &token, piece).await?;
            }
            let token = new.begun(&on).await?;
            same("pieces of other content", &new.there(&on, &token).await?, &Vec::new())?;
            let mut receipts = Vec::new();
            for piece in 0..COUNT {
                receipts.push(new.sent(&on, &token, piece).await?);
            }
            new.committed(&on, &token, &receipts).await?;
            on.is(&new.key, &new.bytes).await
        })
        .await;
    suite
        .holds("resume: pieces of one name are none of another", async |on| {
            let (one, other) = (Large::of(&on, "object", 1), Large::of(&on, "object2", 1));
            let token = one.begun(&on).await?;
            one.sent(&on, &token, 0).await?;
            let token = other.begun(&on).await?;
            same("pieces of another name", &other.there(&on, &token).await?, &Vec::new())
        })
        .await;
    suite
        .holds("resume: a commit whose answer was lost is made again, or the object is whole", async |on| {
            let large = Large::of(&on, "object", 1);
            let token = large.begun(&on).await?;
            let mut receipts = Vec::new();
            for piece in 0..COUNT {
                receipts.push(large.sent(&on, &token, piece).await?);
            }
            large.committed(&on, &token, &receipts).await?;
            let again = on.store.commit(&large.key, &token, &receipts, &Put::default()).await;
            if again.is_err() {
                refused_as("the second commit", again, ANY_REFUSAL)?;
            }
            on.is(&large.key, &large.bytes).await
        })
        .await;
}

async fn visibility<S: Store>(suite: &mut Suite<'_, S>) {
    let on_commit = suite.store().traits().visible == Visible::OnCommit;
    suite
        .takes("visible: a new object is seen when it is committed", on_commit, async |on| {
            let large = Large::of(&on, "object", 1);
            let token = large.begun(&on).await?;
            let mut receipts = Vec::new();
            for piece in 0..COUNT {
                receipts.push(large.sent(&on, &token, piece).await?);
                if on_commit {
                    on.is_missing(&large.key).await?;
                } else {
                    on.stat(&large.key).await?;
                }
            }
            large.committed(&on, &token, &receipts).await?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    if !on_commit {
        return;
    }
    suite
        .holds("visible: what was there stays until the commit", async |on| {
            let (large, old) = (Large::of(&on, "object", 1), data(99, 7));
            on.put(&large.key, &old).await?;
            let token = large.begun(&on).await?;
            let mut receipts = Vec::new();
            for piece in 0..COUNT {
                receipts.push(large.sent(&on, &token, piece).await?);
                on.is(&large.key, &old).await?;
            }
            large.committed(&on, &token, &receipts).await?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    suite
        .holds("commit: with a missing piece it fails, and what was there stays", async |on| {
            let (large, old) = (Large::of(&on, "object", 1), data(99, 7));
            on.put(&large.key, &old).await?;
            without_a_piece(&on, &large).await?;
            on.is(&large.key, &old).await
        })
        .await;
    suite
        .holds("commit: with a missing piece it makes nothing", async |on| {
            let large = Large::of(&on, "object", 1);
            without_a_piece(&on, &large).await?;
            on.is_missing(&large.key).await
        })
        .await;
    for old in [None, Some(data(99, 7))] {
        let what = if old.is_some() { "leaves what was there" } else { "leaves nothing" };
        suite
            .holds(format!("abort: {what}"), async |on| {
                let large = Large::of(&on, "object", 1);
                if let Some(old) = &old {
                    on.put(&large.key, old).await?;
                }
                let token = large.begun(&on).await?;
                for piece in [0, 1] {
                    large.sent(&on, &token, piece).await?;
                }
                let aborted = on.store.abort(&large.key, &token).await;
                aborted.map_err(|error| told("abort", &error))?;
                match &old {
                    Some(old) => on.is(&large.key, old).await?,
                    None => on.is_missing(&large.key).await?,
                }
                // It can be begun again.
                large.all(&on, &Put::default()).await.map_err(|error| told("an object of pieces", &error))?;
                on.is(&large.key, &large.bytes).await
            })
            .await;
    }
    suite
        .holds("pieces: a token of somebody else is refused", async |on| {
            let large = Large::of(&on, "object", 1);
            let token = b"a token of nobody".to_vec();
            refused_as("a piece", large.send(&on, &token, 0, None).await, ANY_REFUSAL)?;
            let commit = on.store.commit(&large.key, &token, &[Receipt::new()], &Put::default()).await;
            refused_as("a commit", commit, ANY_REFUSAL)?;
            on.is_missing(&large.key).await
        })
        .await;
}

/// Commits an object of which the piece in the middle was never sent.
async fn without_a_piece<S: Store>(on: &Ground<'_, S>, large: &Large) -> Held {
    let token = large.begun(on).await?;
    let mut receipts = vec![Receipt::new(); COUNT as usize];
    // One between others, where they may come in any order; otherwise the last one.
    let any = on.store.traits().pieces.is_some_and(|pieces| pieces.sequence == Sequence::Any);
    for piece in if any { [0, 1, 3] } else { [0, 1, 2] } {
        receipts[piece as usize] = large.sent(on, &token, piece).await?;
    }
    let commit = on.store.commit(&large.key, &token, &receipts, &Put::default()).await;
    refused("a commit without a piece", commit, ErrorKind::Conflict)
}

async fn checksums<S: Store>(suite: &mut Suite<'_, S>) {
    let can = suite.store().traits().checksums.crc64_in;
    suite
        .takes("pieces: with a true CRC64", can, async |on| {
            let large = Large::of(&on, "object", 1);
            let token = large.begun(&on).await?;
            let mut receipts = Vec::new();
            for piece in 0..COUNT {
                let crc64 = Crc64::of(&large.piece(piece).into());
                let sent = large.send(&on, &token, piece, Some(crc64)).await;
                receipts.push(sent.map_err(|error| told("piece", &error))?);
            }
            large.committed(&on, &token, &receipts).await?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    if !can {
        return;
    }
    suite
        .holds("pieces: with a wrong CRC64 one is refused, and is not there", async |on| {
            let large = Large::of(&on, "object", 1);
            let token = large.begun(&on).await?;
            let other = Crc64::of(&large.piece(1).into());
            refused_damage(large.send(&on, &token, 0, Some(other)).await)?;
            same("pieces", &large.there(&on, &token).await?, &Vec::new())?;
            // What was sent well before stays.
            large.sent(&on, &token, 0).await?;
            refused_damage(large.send(&on, &token, 0, Some(other)).await)?;
            let lens: Vec<u64> = large.there(&on, &token).await?.iter().map(|there| there.len).collect();
            same("lengths of pieces", &lens, &vec![large.piece_len(0)])
        })
        .await;
}

async fn properties<S: Store>(suite: &mut Suite<'_, S>) {
    let (content, metadata) = (content(), metadata());
    let full = Put { content: Some(&content), metadata: &metadata, ..Put::default() };
    suite
        .holds("pieces: content type and metadata come back", async |on| {
            let large = Large::of(&on, "object", 1);
            let written = large.all(&on, &full).await.map_err(|error| told("an object of pieces", &error))?;
            agree(&on, &large.key, &written, large.bytes.len(), &full).await
        })
        .await;
    let keeps_md5 = suite.store().traits().checksums.keeps_md5;
    suite
        .takes("pieces: the MD5 comes back", keeps_md5, async |on| {
            let large = Large::of(&on, "object", 6);
            // Of the bytes where nothing makes the pieces larger; no store reads it all again to compare it.
            let md5 = [
                0x6e, 0xa9, 0x43, 0xd1, 0xed, 0xee, 0x13, 0x2e, 0xf3, 0x8f, 0xf6, 0x03, 0xdf, 0xfd, 0xa8,
                0x9e,
            ];
            let put = Put { md5: Some(md5), ..full };
            let written = large.all(&on, &put).await.map_err(|error| told("an object of pieces", &error))?;
            let kept = Put { md5: put.md5.filter(|_| keeps_md5), ..put };
            agree(&on, &large.key, &written, large.bytes.len(), &kept).await
        })
        .await;
}

async fn conditions<S: Store>(suite: &mut Suite<'_, S>) {
    let can = suite.store().traits().conditions;
    suite
        .takes("pieces: only a new object", can.only_new, async |on| {
            let (large, old) = (Large::of(&on, "object", 1), data(99, 7));
            let new = Put { condition: Condition::New, ..Put::default() };
            on.put(&large.key, &old).await?;
            let kind = if can.only_new { ErrorKind::Exists } else { ErrorKind::Unsupported };
            refused("an object of pieces", large.all(&on, &new).await, kind)?;
            on.is(&large.key, &old).await?;
            let other = Large::of(&on, "other", 1);
            if !can.only_new {
                return Ok(());
            }
            other.all(&on, &new).await.map_err(|error| told("an object of pieces", &error))?;
            on.is(&other.key, &other.bytes).await
        })
        .await;
    suite
        .takes("pieces: only over the known state", can.only_tag, async |on| {
            let (large, old) = (Large::of(&on, "object", 1), data(99, 7));
            on.put(&large.key, &data(3, 1)).await?;
            let before = on.tag(&large.key).await?;
            on.put(&large.key, &old).await?;
            let of = |tag| Put { condition: Condition::Tag(tag), ..Put::default() };
            let kind = if can.only_tag { ErrorKind::Changed } else { ErrorKind::Unsupported };
            refused("over another state", large.all(&on, &of(&before)).await, kind)?;
            on.is(&large.key, &old).await?;
            if !can.only_tag {
                return Ok(());
            }
            let now = on.tag(&large.key).await?;
            large.all(&on, &of(&now)).await.map_err(|error| told("an object of pieces", &error))?;
            on.is(&large.key, &large.bytes).await
        })
        .await;
    suite
        .takes("pieces: who is refused leaves the properties", can.only_new, async |on| {
            let (large, metadata) = (Large::of(&on, "object", 1), metadata());
            let full = Put { metadata: &metadata, ..Put::default() };
            let written =
                on.put_with(&large.key, &data(9, 1), &full).await.map_err(|error| told("put", &error))?;
            let put = Put { condition: Condition::New, metadata: &[pair("other", "2")], ..Put::default() };
            let kind = if can.only_new { ErrorKind::Exists } else { ErrorKind::Unsupported };
            refused("an object of pieces", large.all(&on, &put).await, kind)?;
            agree(&on, &large.key, &written, 9, &full).await
        })
        .await;
}

/// Pieces in this order make the object.
async fn whole<S: Store>(on: &Ground<'_, S>, order: &[u32]) -> Held {
    let large = Large::of(on, "object", 1);
    let token = large.begun(on).await?;
    let mut receipts = vec![Receipt::new(); COUNT as usize];
    for &piece in order {
        receipts[piece as usize] = large.sent(on, &token, piece).await?;
    }
    let written = large.committed(on, &token, &receipts).await?;
    on.is(&large.key, &large.bytes).await?;
    agree(on, &large.key, &written, large.bytes.len(), &Put::default()).await
}

/// An object in pieces.
struct Large {
    key: String,
    bytes: Bytes,
    piece_bytes: u64,
    content: [u8; 16],
}

impl Large {
    fn of<S: Store>(on: &Ground<'_, S>, name: &str, content: u8) -> Self {
        let pieces = on.store.traits().pieces;
        let wish = pieces
            .map_or(PIECE_BYTES, |pieces| PIECE_BYTES.max(pieces.min_bytes).next_multiple_of(pieces.align));
        let len = wish * u64::from(COUNT - 1) + 1_000;
        Self {
            key: on.key(name),
            bytes: data(len as usize, u32::from(content)),
            piece_bytes: wish,
            content: [content; 16],
        }
    }

    fn begin<'a>(&self, put: &Put<'a>) -> Begin<'a> {
        let Self { piece_bytes, content, .. } = *self;
        Begin { len: Some(self.bytes.len() as u64), piece_bytes, content, put: *put }
    }

    async fn begun<S: Store>(&self, on: &Ground<'_, S>) -> Result<Token, String> {
        let begun = on.store.begin(&self.key, &self.begin(&Put::default())).await;
        begun.map_err(|error| told("begin", &error))
    }

    fn at(&self, piece: u32) -> u64 {
        u64::from(piece) * self.piece_bytes
    }

    fn piece_len(&self, piece: u32) -> u64 {
        self.piece_bytes.min(self.bytes.len() as u64 - self.at(piece))
    }

    fn piece(&self, piece: u32) -> Bytes {
        let first = self.at(piece);
        self.bytes.slice(first as usize..(first + self.piece_len(piece)) as usize)
    }

    async fn send<S: Store>(
        &self,
        on: &Ground<'_, S>,
        token: &[u8],
        piece: u32,
        crc64: Option<Crc64>,
    ) -> Result<Receipt, StoreError> {
        let at = At { piece, offset: self.at(piece) };
        on.store.piece(&self.key, token, at, Payload::from(self.piece(piece)), crc64).await
    }

    async fn sent<S: Store>(&self, on: &Ground<'_, S>, token: &[u8], piece: u32) -> Result<Receipt, String> {
        self.send(on, token, piece, None).await.map_err(|error| told("piece", &error))
    }

    async fn there<S: Store>(&self, on: &Ground<'_, S>, token: &[u8]) -> Result<Vec<There>, String> {
        on.store.pieces(&self.key, token).await.map_err(|error| told("pieces", &error))
    }

    async fn committed<S: Store>(
        &self,
        on: &Ground<'_, S>,
        token: &[u8],
        receipts: &[Receipt],
    ) -> Result<Written, String> {
        let commit = on.store.commit(&self.key, token, receipts, &Put::default()).await;
        commit.map_err(|error| told("commit", &error))
    }

    /// All of it. Whichever call is the one that refuses it.
    async fn all<S: Store>(&self, on: &Ground<'_, S>, put: &Put<'_>) -> Result<Written, StoreError> {
        let token = on.store.begin(&self.key, &self.begin(put)).await?;
        let mut receipts = Vec::new();
        for piece in 0..COUNT {
            receipts.push(self.send(on, &token, piece, None).await?);
        }
        on.store.commit(&self.key, &token, &receipts, put).await
    }
}
