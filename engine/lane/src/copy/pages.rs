//! A page blob becomes a page blob: what was written of the source, range after range, by all lanes together and under
//! the lease that an upload has. Each range goes the way that is open when its turn comes.

use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use azuring_azure::{BlobType, Body, PAGE_BYTES};
use azuring_job::choices::CheckLength;
use azuring_job::end_error::EndError;
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::progress::add;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;

use crate::get::large::without_etag;
use crate::lane::context::{Ended, Lane};
use crate::lane::driver::{self, InPieces, drive};
use crate::lane::verify;
use crate::object::copy::PagesCopy;
use crate::object::hold::Hold;
use crate::object::large::Large;
use crate::object::pieces::Pieces;
use crate::put::pages;
use crate::put::place::Place;
use crate::put::visible::{Visible, not_written};
use crate::put::{resume, whole};
use crate::requests::request::{Begin, request};
use crate::task::copy::Copying;

use super::content::OfObject;
use super::source::{NotCopied, body_of, goes_without_tier};
use super::{direct, large, relay};

/// More ranges than this are not told apart within one piece, so that memory is bounded: the zeros between are copied.
const MANY_RANGES: usize = 1 << 20;

/// Begins to copy a page blob, whose pages are to be shared then.
pub(super) async fn begin<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Copying,
    item: &BlobItem,
    place: Place<'_>,
) -> Result<Result<Arc<PagesCopy>, Ended>, NotCopied> {
    let (facts, object, from) = (&item.entry.facts, item.object(), encode_path(&item.entry.name));
    if facts.etag.is_none() {
        return Err(NotCopied::Failed(without_etag(&object)));
    }
    let options = &lane.session().options;
    let (size, count) = pages::shape(&options.blocks, facts.len).map_err(|(text, advice)| {
        let failure = Failure::new(FailureKind::Limit, &object, text).advise_anew(advice);
        NotCopied::Failed(Box::new(failure))
    })?;
    let hold = Hold::new(lane.shared.id, place.id, options.clock.clone());
    let (content, in_place) = (OfObject::new(item, &from), &task.in_place);
    let (kind, hold_of) = (BlobType::Page, Some(&hold));
    let visible = Visible { lane, in_place, place: &place, content: &content, kind, hold: hold_of };
    let over = match visible.over().await.map_err(|failure| content.not_copied(failure))? {
        Ok(over) => over,
        Err(kind) => return Ok(Err(Ended::Skipped(kind))),
    };
    let pieces = Pieces::new(facts.len, size, count);
    // Known before anything is lost of what is there.
    let written = written(lane, item, &from, &pieces).await?;
    let body = body_of(lane.session(), &item.entry, false);
    let own = body.tier.filter(|tier| tier.starts_with('P'));
    let mut tier = options.page_blob_tier.as_deref().or(own);
    let body = Body { content_md5: None, tier: None, ..body };
    let mut made = pages::make(&visible, &hold, &over, (facts.len, tier), body).await;
    if let Err(failure) = &made
        && tier == own
        && goes_without_tier(lane, own, failure.code.as_deref())
    {
        tier = None;
        made = pages::make(&visible, &hold, &over, (facts.len, tier), body).await;
    }
    if let Some(kind) = made.map_err(NotCopied::Failed)? {
        return Ok(Err(Ended::Skipped(kind)));
    }
    let mut is_idle = vec![true; count as usize];
    for range in &written {
        is_idle[(range.start / size) as usize..=((range.end - 1) / size) as usize].fill(false);
    }
    let pieces = pieces.skipping(is_idle.into());
    pieces.begin();
    let pages = Arc::new(PagesCopy {
        id: place.id,
        item: item.clone(),
        name: place.name,
        blob: place.blob,
        from: from.clone(),
        hold,
        pieces,
        written,
        is_unproven: AtomicBool::new(false),
        is_changed: AtomicBool::new(false),
    });
    Ok(Ok(pages))
}

/// Copies the pages, and asks the other lanes for help.
pub(super) async fn share<R: FileRing>(lane: &Rc<Lane<R>>, task: &Copying, pages: Arc<PagesCopy>) {
    driver::begin(lane, &pages.pieces);
    if pages.pieces.is_complete() {
        complete(lane, task, &pages).await;
        return;
    }
    lane.offer(&Large::Pages(Arc::clone(&pages)), pages.pieces.count);
    help(lane, task, pages).await;
}

/// What was written of the source. All of it, where the server does not tell.
async fn written<R: FileRing>(
    lane: &Lane<R>,
    item: &BlobItem,
    from: &str,
    pieces: &Pieces,
) -> Result<Vec<Range<u64>>, NotCopied> {
    let etag = item.entry.facts.etag.as_deref();
    let whole = || std::iter::once(0..pieces.len).filter(|all| !all.is_empty()).collect();
    let mut marker: Option<String> = None;
    let mut all: Vec<Range<u64>> = Vec::new();
    loop {
        let asked = request(&lane.reading(), 0, Begin::UnlessStopping, async |_| {
            let blob = lane.from().blob()?;
            Ok::<_, EndError>(blob.get_page_ranges(from, item.which(), etag, marker.as_deref()).await?)
        })
        .await;
        let page = match asked {
            Ok(page) => page,
            Err(gave_up) if gave_up.precondition_failed() => return Err(NotCopied::Changed),
            Err(gave_up) if gave_up.service().is_some_and(|refusal| refusal.is_not_implemented()) => {
                return Ok(whole());
            }
            Err(gave_up) => {
                return Err(NotCopied::Failed(gave_up.for_object(lane.session(), &item.object())));
            }
        };
        for used in &page.ranges {
            // They rise, are of whole pages and lie within the blob, or they are not to be trusted.
            let pages = used.start.is_multiple_of(PAGE_BYTES) && used.end.is_multiple_of(PAGE_BYTES);
            let end = all.last().map_or(0, |last| last.end);
            if !pages || used.start < end || used.is_empty() || used.end > pieces.len {
                return Ok(whole());
            }
            let many = all.len() >= MANY_RANGES;
            match all.last_mut() {
                Some(last) if many && (last.end - 1) / pieces.size == used.start / pieces.size => {
                    last.end = used.end;
                }
                _ => all.push(used.clone()),
            }
        }
        marker = match page.next {
            None => return Ok(all),
            // A page without anything could go on for ever.
            Some(_) if page.ranges.is_empty() => return Ok(whole()),
            next => next,
        };
    }
}

/// Copies pieces of a page blob; completes it if this lane reports the last one.
pub(crate) fn help<'a, R: FileRing>(
    lane: &'a Rc<Lane<R>>,
    task: &'a Copying,
    pages: Arc<PagesCopy>,
) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        if drive(lane, &pages).await {
            complete(lane, task, &pages).await;
        }
    })
}

impl<R: FileRing> InPieces<R> for Arc<PagesCopy> {
    fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    fn object(&self) -> String {
        self.item.object()
    }

    async fn piece(&self, lane: &Lane<R>, n: u32) -> Result<(), Box<Failure>> {
        let (offset, len) = self.pieces.range(n);
        let end = offset + len;
        let first = self.written.partition_point(|range| range.end <= offset);
        for range in self.written[first..].iter().take_while(|range| range.start < end) {
            let (from, to) = (range.start.max(offset), range.end.min(end));
            let copied = self.copy(lane, from, to - from).await;
            copied.map_err(|error| error.of_piece(&self.item, &self.is_changed))?;
        }
        add(&lane.counters().bytes, len);
        Ok(())
    }
}

impl PagesCopy {
    /// Copies pages on the way that is open.
    async fn copy<R: FileRing>(&self, lane: &Lane<R>, at: u64, len: u64) -> Result<(), NotCopied> {
        if lane.session().route.is_direct() {
            match self.by_service(lane, at, len).await {
                Err(NotCopied::Rerouted) => {}
                copied => return copied,
            }
        }
        let object = (&self.item, &*self.from);
        let (payload, crc64) = relay::range(lane, object, at, len, Begin::UnlessStopping).await?;
        let body = Body { crc64, ..Body::default() };
        let sent = pages::put(lane, (&self.hold, &self.blob), at, &payload, body).await;
        sent.map_err(|gave_up| NotCopied::Failed(not_written(gave_up, lane, &self.item.object())))
    }

    /// Has the destination write pages that it reads by itself.
    async fn by_service<R: FileRing>(&self, lane: &Lane<R>, at: u64, len: u64) -> Result<(), NotCopied> {
        let failed = |gave_up| not_written(gave_up, lane, &self.item.object());
        let proven = direct::range(lane, (&self.item, &self.from), (at, len), failed, async |source| {
            pages::write_by(lane, (&self.hold, &self.blob), 0, async |_, lease| {
                let body = Body { lease, ..Body::default() };
                let to = (at, at + len - 1);
                let copied = source
                    .read(async |client, grant| client.put_page_from_url(&self.blob, to, grant, body).await);
                copied.await.map(drop)
            })
            .await
        });
        self.is_unproven.fetch_or(!proven.await?, Ordering::SeqCst);
        Ok(())
    }
}

/// Completes a blob whose pieces are all reported, or takes back what is visible of it; reports its outcome.
async fn complete<R: FileRing>(lane: &Rc<Lane<R>>, task: &Copying, pages: &PagesCopy) {
    let place = Place::of_object(pages.id, pages.item.relative(), pages.name.clone());
    let mut result = match pages.pieces.take_failure() {
        Some(failure) => Err(Box::new(failure)),
        None => let_go(lane, pages, &place).await,
    };
    match &mut result {
        Ok(_) => resume::is_complete(&task.in_place, pages.id),
        Err(failure) => {
            let content = OfObject::new(&pages.item, &pages.from);
            let (in_place, content) = (&task.in_place, &content);
            let kind = BlobType::Page;
            let visible = Visible { lane, in_place, place: &place, content, kind, hold: None };
            pages::remove(&visible, &pages.hold, failure).await;
        }
    }
    let mut item = pages.item.clone();
    if pages.is_changed.load(Ordering::SeqCst) {
        // Whoever tries it again asks what it is now.
        item.known = Known::Before;
    }
    lane.finish(pages.id, Found::Blob(Box::new(item)), result);
}

/// Stores the MD5, has the blob compared as far as that is wanted, and lets go of it.
async fn let_go<R: FileRing>(
    lane: &Lane<R>,
    copy: &PagesCopy,
    place: &Place<'_>,
) -> Result<Ended, Box<Failure>> {
    let (facts, options) = (&copy.item.entry.facts, &lane.session().options);
    let body = Body { tier: None, ..body_of(lane.session(), &copy.item.entry, false) };
    // Its length proves nothing: it had that before the first page was written.
    let unproven = copy.is_unproven.load(Ordering::SeqCst) && options.check_length != CheckLength::Never;
    let check = async {
        whole::check_length(lane, place, facts.len).await?;
        let compares = unproven || options.verify;
        if compares && !large::is_same(lane, &copy.item, &copy.from, &place.blob, &copy.pieces).await? {
            return Err(verify::differs(&copy.item.object()));
        }
        Ok(())
    };
    pages::let_go(lane, &copy.hold, place, body, check).await?;
    Ok(Ended::Done { bytes: facts.len })
}
