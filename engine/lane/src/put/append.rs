//! A file, or a stream, that becomes an append blob: block after block, by one lane. Each block goes to the blob as the
//! one before has left it (`If-Match`), so that whoever else writes to it, or makes it anew, is never mixed in.

use std::rc::Rc;

use azuring_azure::{BlobType as Kind, Body, Crc64, Delete, MAX_APPEND_BYTES};
use azuring_job::end_error::EndError;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::TransferId;
use azuring_job::progress::add;
use azuring_link::Payload;
use azuring_plan::blocks::{BlockRules, DEFAULT_BLOCK_SIZE, MAX_BLOCKS};
use azuring_ring::{FileRing, OpenFile};

use crate::lane::context::{Ended, Lane};
use crate::lane::{read, verify};
use crate::requests::look::{Agree, Left, Look};
use crate::requests::request::{Begin, GaveUp, request};
use crate::task::upload::Upload;

use super::place::{Place, content_type, metadata_of};
use super::visible::{Made, OfFile, Over, Visible, not_written};
use super::{resume, sums, whole};

/// An append blob that this job has made, as far as it is known.
pub(crate) struct Appended {
    /// Its ETag after the last block that the service has confirmed.
    etag: Option<Box<str>>,
    /// Its length then.
    pub(crate) len: u64,
    /// A block that may have been appended after that.
    open: Option<Payload>,
}

impl Appended {
    pub(crate) fn new(etag: Option<Box<str>>) -> Self {
        Self::of(etag, 0)
    }

    /// One that has `len` bytes already.
    pub(crate) fn of(etag: Option<Box<str>>, len: u64) -> Self {
        Self { etag, len, open: None }
    }

    /// The ETag as far as it is known.
    pub(crate) fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// Appends a block, once, whatever becomes of the answers.
    pub(crate) async fn append(
        &mut self,
        look: &Look<'_>,
        payload: Payload,
        crc64: Option<Crc64>,
    ) -> Result<(), GaveUp> {
        let bytes = (payload.len(), payload.len());
        let send = async |with_crc64, position, body: Body<'_>| {
            let body = Body { crc64: crc64.filter(|_| with_crc64), ..body };
            let blob = look.client.blob()?;
            Ok(blob.append_block(look.blob, payload.clone(), position, body).await?.etag)
        };
        self.append_by(look, bytes, send, async || Some(payload.clone())).await
    }

    /// Appends a block of so many bytes, of which so many are sent, by `send`, which is told whether to send checksums,
    /// where the block begins and what the blob has to be, and tells its ETag. `read` tells what the block holds if
    /// the answer was lost.
    pub(crate) async fn append_by(
        &mut self,
        look: &Look<'_>,
        (len, sent): (u64, u64),
        mut send: impl AsyncFnMut(bool, u64, Body<'_>) -> Result<Option<Box<str>>, EndError>,
        read: impl AsyncFnOnce() -> Option<Payload>,
    ) -> Result<(), GaveUp> {
        let sent = request(&look.sender, sent, Begin::UnlessStopping, async |with_crc64| {
            let body = Body { if_match: self.etag.as_deref(), ..Body::default() };
            send(with_crc64, self.len, body).await
        })
        .await;
        match sent {
            Ok(etag) => {
                (self.etag, self.len, self.open) = (etag, self.len + len, None);
                Ok(())
            }
            Err(gave_up) => {
                if gave_up.maybe_done() {
                    self.open = read().await;
                }
                // An earlier attempt has done it, or somebody else has written.
                match gave_up.is_of_another() && self.settle(look).await {
                    true => Ok(()),
                    false => Err(gave_up),
                }
            }
        }
    }

    /// Looks whether the block whose answer was lost is the last thing that was appended; if so it is known from now
    /// on.
    async fn settle(&mut self, look: &Look<'_>) -> bool {
        let Some(open) = &self.open else { return false };
        let Ok(there) = look.facts().await else { return false };
        let end = self.len + open.len();
        if there.blob_type != Kind::Append || there.len != end {
            return false;
        }
        if !look.has(self.len, open, there.etag.as_deref(), Agree::Whole).await.unwrap_or_default() {
            return false;
        }
        (self.etag, self.len, self.open) = (there.etag, end, None);
        true
    }

    /// Stores the MD5 that `body` names, if it names one, with all else of it.
    pub(crate) async fn sum_up<R: FileRing>(
        &mut self,
        lane: &Lane<R>,
        place: &Place<'_>,
        body: Body<'_>,
    ) -> Result<(), GaveUp> {
        if body.content_md5.is_none() {
            return Ok(());
        }
        let set = Body { if_match: self.etag(), if_none_match_any: false, ..body };
        let Err(gave_up) = sums::set(lane, &place.blob, set).await else { return Ok(()) };
        if !(gave_up.maybe_done() && gave_up.is_of_another()) {
            return Err(gave_up);
        }
        // An earlier attempt may have done it, its answer having been lost: then the sum is that of this content.
        match lane.look(&place.blob).facts().await {
            Ok(there)
                if there.blob_type == Kind::Append
                    && there.len == self.len
                    && there.content_md5 == body.content_md5 =>
            {
                self.etag = there.etag;
                Ok(())
            }
            _ => Err(gave_up),
        }
    }

    /// Removes the blob if it is still as this job has left it.
    pub(crate) async fn take_back(&mut self, look: &Look<'_>) -> Result<(), Left> {
        let known = Delete { if_match: self.etag(), ..Delete::default() };
        let removed = look.remove(&known).await;
        if removed == Err(Left::Another) && self.settle(look).await {
            return look.remove(&Delete { if_match: self.etag(), ..Delete::default() }).await;
        }
        removed
    }
}

pub(super) async fn file<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    place: &Place<'_>,
    file: OpenFile,
) -> Result<Ended, Box<Failure>> {
    let len = file.meta.len;
    let size = block_size(&lane.session().options.blocks, len).map_err(|(text, advice)| {
        Failure::new(FailureKind::Limit, &place.object(), text).advise_anew(advice)
    })?;
    let (in_place, content) = (&task.in_place, OfFile(place, &file));
    let visible = Visible { lane, in_place, place, content, kind: Kind::Append, hold: None };
    let over = match visible.over().await? {
        Ok(over) => over,
        Err(kind) => return Ok(Ended::Skipped(kind)),
    };
    let metadata = metadata_of(lane, place, &file)?;
    let first = read::first_bytes(lane, &file).await.map_err(|error| place.not_read(&error))?;
    let content_type = content_type(&lane.session().options.content_type, place.path, &first);
    drop(first);
    let md5 = sums::start(lane, task, &file).await.map_err(|error| place.not_read(&error))?;
    let body = Body { content_type, metadata: &metadata, ..Body::default() };
    let create = async |body: Body<'_>| Ok(lane.to().blob()?.create_append_blob(&place.blob, body).await?);
    let mut appended = match over {
        // It is a beginning of the file, byte for byte: what is missing is appended. An empty one may have been made
        // for anything, and costs nothing to make anew.
        Over::This { etag, len } if len > 0 => Appended::of(etag, len),
        over => match visible.make(&over, body, create).await? {
            Made::There(etag) => Appended::new(etag),
            Made::Skipped(kind) => return Ok(Ended::Skipped(kind)),
        },
    };
    if let Some(md5) = md5.as_ref().filter(|_| appended.len > 0) {
        md5.take_from_disk(0, appended.len);
    }
    let counters = lane.counters();
    add(&counters.large_begun, len - appended.len);
    add(&counters.bytes, appended.len);
    let mut ended = appended.len;
    let next = async |at| {
        add(&counters.large_ended, at - ended);
        ended = at;
        if at == len {
            return Ok(None);
        }
        let read = read::read_range(lane, &file, at, size.min(len - at)).await;
        let (payload, crc64) = read.map_err(|error| place.not_read(&error))?;
        sums::take(md5.as_ref(), at, payload.parts());
        Ok(Some((payload, crc64)))
    };
    let end = async || {
        let sum = match file.check_unchanged() {
            Ok(()) => match &md5 {
                Some(md5) => md5.finish().await.map(Some),
                None => Ok(None),
            },
            Err(error) => Err(error),
        };
        sum.map_err(|error| place.not_read(&error))
    };
    let result = append_all(lane, place, body, &mut appended, next, end).await;
    add(&counters.large_ended, len - ended);
    let Err(mut failure) = result else {
        resume::is_complete(in_place, id);
        whole::check_length(lane, place, len).await?;
        if lane.session().options.verify {
            verify::open_file(lane, &visible.look(), &file, &place.object()).await?;
        }
        return Ok(Ended::Done { bytes: len });
    };
    // What is visible of it was begun, and is not there any more.
    if failure.kind == FailureKind::Interrupted {
        failure.tries = failure.tries.max(1);
    }
    Err(failure)
}

/// A block that was read, and its checksum.
type Block = (Payload, Option<Crc64>);

/// Appends what `next` gives for each length that is reached, until it gives nothing, and stores the MD5 that `end`
/// tells. A blob that will not be complete is removed again, as far as it is this job's.
pub(super) async fn append_all<R: FileRing>(
    lane: &Lane<R>,
    place: &Place<'_>,
    body: Body<'_>,
    appended: &mut Appended,
    mut next: impl AsyncFnMut(u64) -> Result<Option<Block>, Box<Failure>>,
    end: impl AsyncFnOnce() -> Result<Option<[u8; 16]>, Box<Failure>>,
) -> Result<(), Box<Failure>> {
    let failed = |gave_up| not_written(gave_up, lane, &place.object());
    let all = async {
        while let Some((payload, crc64)) = next(appended.len).await? {
            let len = payload.len();
            appended.append(&lane.look(&place.blob), payload, crc64).await.map_err(failed)?;
            add(&lane.counters().bytes, len);
        }
        let content_md5 = end().await?;
        appended.sum_up(lane, place, Body { content_md5, ..body }).await.map_err(failed)
    };
    let mut result: Result<(), Box<Failure>> = all.await;
    if let Err(failure) = &mut result
        && let Err(left) = appended.take_back(&lane.look(&place.blob)).await
    {
        left.tell(failure);
    }
    result
}

/// Bytes of each block but the last: what was asked for, or 8 MiB, doubled as long as 50,000 of them would not do.
///
/// # Errors
/// What is wrong with the size, and what to do about it.
pub(crate) fn block_size(rules: &BlockRules, len: u64) -> Result<u64, (String, String)> {
    let mut size = rules.block_size.unwrap_or(DEFAULT_BLOCK_SIZE);
    if size > MAX_APPEND_BYTES {
        let text = format!("the blocks of append blobs have at most {} MiB", MAX_APPEND_BYTES >> 20);
        return Err((text, "lower --block-size-mb".to_owned()));
    }
    if rules.block_size.is_none() {
        while len > MAX_BLOCKS * size && size < MAX_APPEND_BYTES {
            size = MAX_APPEND_BYTES.min(size * 2);
        }
    }
    if len <= MAX_BLOCKS * size {
        return Ok(size);
    }
    let text =
        format!("{len} bytes are more than {MAX_BLOCKS} blocks of {size}, the most that an append blob has");
    let needed = len.div_ceil(MAX_BLOCKS).div_ceil(1 << 20);
    let advice = if needed <= MAX_APPEND_BYTES >> 20 {
        format!("use at least --block-size-mb={needed}")
    } else {
        "use a block blob".to_owned()
    };
    Err((text, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_large_enough_for_the_file_and_small_enough_for_the_service() {
        const MIB: u64 = 1 << 20;
        let size = |given, len| block_size(&BlockRules::default().block_size(given), len);
        assert_eq!(size(None, 0), Ok(8 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 8 * MIB), Ok(8 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 8 * MIB + 1), Ok(16 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 100 * MIB), Ok(100 * MIB));
        assert_eq!(size(None, MAX_BLOCKS * 100 * MIB + 1).unwrap_err().1, "use a block blob");
        assert_eq!(size(Some(MIB), MAX_BLOCKS * MIB), Ok(MIB));
        assert_eq!(size(Some(MIB), MAX_BLOCKS * MIB + 1).unwrap_err().1, "use at least --block-size-mb=2");
        assert_eq!(size(Some(101 * MIB), 1).unwrap_err().1, "lower --block-size-mb");
    }
}
