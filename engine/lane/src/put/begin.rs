//! A large file before its first part is sent: what is there already, and what an earlier run has done.

use std::rc::Rc;
use std::sync::OnceLock;

use azuring_azure::{BlobType as Kind, Body, PAGE_BYTES};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::TransferId;
use azuring_ring::{FileRing, OpenFile};

use crate::lane::context::{Ended, Lane};
use crate::lane::{read, verify};
use crate::object::file::{LargeFile, Parts};
use crate::object::hold::Hold;
use crate::object::pieces::Pieces;
use crate::task::upload::Upload;

use super::place::{Place, content_type, metadata_of};
use super::state::State;
use super::visible::{OfFile, Visible};
use super::whole::{self, Verdict};
use super::{assembly, large, pages, sums};

/// Sends a file as blocks.
pub(super) async fn blocks<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    place: Place<'_>,
    file: OpenFile,
    block_size: u64,
    count: u32,
) -> Result<Ended, Box<Failure>> {
    let len = file.meta.len;
    let is_same =
        async || verify::open_file(lane, &lane.look(&place.blob), &file, &place.object()).await.is_ok();
    let only_new = match whole::verdict(lane, &place, file.meta.mtime_ns, len).await? {
        Verdict::Write { only_new } => only_new,
        Verdict::Keep { kind, there } => {
            // It may be the blob of an earlier run that could not record it.
            let state = State::of_file(lane.shared.id, &file.meta, block_size);
            let usual = assembly::usual(lane, state.content);
            let is_ours = lane.shared.may_be_made(id)
                && there.len == len
                && assembly::is_there(lane, &usual, &place, count, is_same).await;
            if !is_ours {
                return Ok(Ended::Skipped(kind));
            }
            whole::check_length(lane, &place, len).await?;
            if lane.session().options.verify {
                verify::open_file(lane, &lane.look(&place.blob), &file, &place.object()).await?;
            }
            return Ok(Ended::Done { bytes: len });
        }
    };
    let pieces = Pieces::new(len, block_size, count);
    let mut body = Body { if_none_match_any: only_new, ..Body::default() };
    let first;
    if lane.to().own().is_some() {
        // Other stores may want to know it at the beginning.
        first = read::first_bytes(lane, &file).await.map_err(|error| place.not_read(&error))?;
        body.content_type = content_type(&lane.session().options.content_type, place.path, &first);
    }
    let state = State::of_file(lane.shared.id, &file.meta, block_size);
    let (pieces, assembly) = assembly::begin(lane, &place, state, pieces, body).await?;
    let parts = Parts::Unseen { assembly, only_new };
    let large = new(lane, task, id, &place, &file, parts, pieces).await?;
    if large.pieces.is_done_before(0) {
        let first = read::first_bytes(lane, &file).await.map_err(|error| place.not_read(&error))?;
        let found = content_type(&lane.session().options.content_type, place.path, &first);
        large.content_type.get_or_init(|| found.map(str::to_owned));
    }
    if let Some(md5) = &large.md5 {
        large.pieces.done_before().for_each(|(at, len)| md5.take_from_disk(at, len));
    }
    if large.pieces.is_complete() {
        return large::complete(lane, &large, &file).await;
    }
    Ok(large::share(lane, large, file).await)
}

/// Sends a file as pages.
pub(super) async fn pages<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Upload,
    id: TransferId,
    place: Place<'_>,
    file: OpenFile,
) -> Result<Ended, Box<Failure>> {
    let len = file.meta.len;
    let limit = |text: String| Failure::new(FailureKind::Limit, &place.object(), text);
    if !len.is_multiple_of(PAGE_BYTES) {
        let text =
            format!("a page blob's length is a multiple of {PAGE_BYTES}, and the file has {len} bytes");
        return Err(Box::new(limit(text).advise_anew("use --blob-type=BlockBlob")));
    }
    let options = &lane.session().options;
    let (size, count) = pages::shape(&options.blocks, len)
        .map_err(|(text, advice)| Box::new(limit(text).advise_anew(advice)))?;
    let hold = Hold::new(lane.shared.id, id, options.clock.clone());
    let (in_place, content) = (&task.in_place, OfFile(&place, &file));
    let visible = Visible { lane, in_place, place: &place, content, kind: Kind::Page, hold: Some(&hold) };
    let over = match visible.over().await? {
        Ok(over) => over,
        Err(kind) => return Ok(Ended::Skipped(kind)),
    };
    let first = read::first_bytes(lane, &file).await.map_err(|error| place.not_read(&error))?;
    let found = content_type(&options.content_type, place.path, &first).map(str::to_owned);
    drop(first);
    let pieces = Pieces::new(len, size, count);
    let mut large = new(lane, task, id, &place, &file, Parts::Pages, pieces).await?;
    large.content_type.get_or_init(|| found);
    let tier = options.page_blob_tier.as_deref();
    let body = large.body(false);
    if let Some(kind) = pages::make(&visible, &hold, &over, (len, tier), body).await? {
        return Ok(Ended::Skipped(kind));
    }
    large.hold = Some(hold);
    large.pieces.begin();
    if count > 0 {
        return Ok(large::share(lane, large, file).await);
    }
    large::complete(lane, &large, &file).await
}

/// What the lanes are to share about a file.
async fn new<R: FileRing>(
    lane: &Lane<R>,
    task: &Upload,
    id: TransferId,
    place: &Place<'_>,
    file: &OpenFile,
    parts: Parts,
    pieces: Pieces,
) -> Result<LargeFile, Box<Failure>> {
    let metadata = metadata_of(lane, place, file)?;
    let md5 = sums::start(lane, task, file).await.map_err(|error| place.not_read(&error))?;
    Ok(LargeFile {
        id,
        path: place.c_path.clone(),
        name: place.name.clone(),
        blob: place.blob.clone(),
        parts,
        hold: None,
        meta: file.meta,
        pieces,
        content_type: OnceLock::new(),
        metadata,
        md5,
    })
}
