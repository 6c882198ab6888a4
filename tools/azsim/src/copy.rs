//! Copy Blob, Copy Blob From URL, and Abort Copy Blob.
//!
//! Inside one account Copy Blob needs no bytes: the new blob shares them with its source. From another account they are
//! read over the network before the answer. Where copies are to be pending, only what is shown waits: the destination
//! is empty until [`advance`] has counted all bytes, and then it is the copy.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, response};

use crate::answer::{self, Answer, Failure};
use crate::auth::{self, Grant, PublicAccess};
use crate::block_blob::{self, Made, New, read_props};
use crate::body::Received;
use crate::conditions::Conditions;
use crate::copied::{Copied, Status};
use crate::copy_source::{CopySource, copies_tags, inherit, judged, metadata_of};
use crate::encryption::Encryption;
use crate::error::{
    ApiError, BLOB_ARCHIVED, BLOB_TYPE_NOT_SUPPORTED, CONTAINER_NOT_FOUND, COPY_ID_MISMATCH,
    INVALID_HEADER_VALUE, INVALID_SOURCE_BLOB_TYPE, MISSING_REQUIRED_HEADER, NO_PENDING_COPY_OPERATION,
    RESOURCE_NOT_FOUND, Result,
};
use crate::headers::{self, nonempty};
use crate::page_map::Pages;
use crate::past::Which;
use crate::properties::{BlobKind, Props, Source, Tier, Tiers};
use crate::route::Operation;
use crate::service::{Rq, Shared};
use crate::store::{Blob, Block, Container, Content, Md5, Shard};
use crate::target::Target;
use crate::{page_blob, time};

/// The largest source of Copy Blob From URL.
const MAX_SYNC: u64 = 256 << 20;

/// A source that may be copied: what the new blob takes from it.
struct Found {
    props: Props,
    len: u64,
    crc64: u64,
    md5: Option<Box<Md5>>,
    content: Content,
}

impl From<Blob> for Found {
    fn from(blob: Blob) -> Found {
        let Blob { len, crc64, md5, content, .. } = blob;
        Found { props: Props::clone(&blob.props), len, crc64, md5, content }
    }
}

impl Found {
    /// A source that was read over the network.
    fn read(received: Received, from: &response::Parts) -> Found {
        let text = |name: &str| from.headers.get(name).and_then(|v| v.to_str().ok());
        let kinds = [BlobKind::Append, BlobKind::Page];
        let kind =
            kinds.into_iter().find(|kind| text("x-ms-blob-type") == Some(kind.name())).unwrap_or_default();
        let Received { len, crc64, stored, .. } = received;
        let mut props = Props { metadata: metadata_of(&from.headers), ..Props::default() };
        inherit(None, &mut props, &from.headers);
        let sequence = text("x-ms-blob-sequence-number").and_then(|n| n.parse().ok()).unwrap_or(0);
        props.set_rare(|rare| (rare.kind, rare.sequence) = (kind, sequence));
        let content = match kind {
            BlobKind::Block => stored.map_or(Content::Discarded, Content::Whole),
            BlobKind::Append if len == 0 => Content::Blocks(Arc::default()),
            BlobKind::Append => Content::Blocks(Arc::new(vec![Block { id: "".into(), len, crc64, stored }])),
            BlobKind::Page => {
                let mut pages = Pages::default();
                if len > 0 {
                    pages.write(0, len, stored);
                }
                Content::Pages(Arc::new(pages))
            }
        };
        let md5 = text("content-md5").map(|md5| Box::new(Md5::from(md5)));
        Found { props, len, crc64, md5, content }
    }
}

/// Nothing yet, in the form of this type of blob.
fn nothing(kind: BlobKind) -> Content {
    match kind {
        BlobKind::Page => Content::Pages(Arc::default()),
        BlobKind::Block | BlobKind::Append => Content::Blocks(Arc::default()),
    }
}

/// The request for the source, if that is a blob of the destination's own account.
fn own_account(rq: &Rq<'_>, source: &CopySource) -> Option<Parts> {
    if !rq.shared.fetching.is_own(&source.uri, &rq.shared.accounts) {
        return None;
    }
    let mut request = Request::get(source.uri.clone()).body(()).ok()?.into_parts().0;
    request.headers = source.headers.clone();
    let target = Target::parse(&request, &rq.shared.accounts, rq.shared.names).ok()?;
    (target.account.name == rq.target.account.name).then_some(request)
}

/// Reads what the destination's account has itself: with the credential of the source's URL, or with the request's.
fn find_own(rq: &Rq<'_>, request: &Parts) -> Result<Blob> {
    let target = Target::parse(request, &rq.shared.accounts, rq.shared.names)?;
    let (container, name) = target.names();
    let own = request.headers.contains_key(AUTHORIZATION) || target.query.get("sig").is_some();
    let grant = match &rq.grant {
        _ if own => auth::authenticate(
            request,
            &target,
            rq.peer,
            Some(rq.version),
            rq.shared.issuer(&target.account),
        )?,
        // One for a container, or for a blob in it, says nothing of others.
        Grant::ServiceSas { .. } | Grant::DelegationSas { .. } if container != rq.target.names().0 => {
            Grant::Anonymous
        }
        granted => granted.clone(),
    };
    let found = target.account.container(container);
    let access = found.as_ref().map_or(PublicAccess::None, |c| c.facts().access);
    if access == PublicAccess::None {
        match grant {
            // What is private is not there for who has no credential.
            Grant::Anonymous => return Err(RESOURCE_NOT_FOUND.into()),
            _ => auth::authorize(&grant, Operation::GetBlob)?,
        }
    }
    let conditions = Conditions::read(request)?;
    let container = found.map_err(|_| CONTAINER_NOT_FOUND)?;
    let blob = container.shard(name).find(name, Which::read(&target.query)?)?.clone();
    conditions.check_read(&blob)?;
    // The copy would have none.
    Encryption::default().check(blob.props.rare().key.as_ref())?;
    Ok(blob)
}

/// Copy Blob.
pub(crate) async fn copy(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let source = CopySource::read(rq, "")?;
    let wanted = read_props(rq, Source::PutBlockList)?;
    let high = match nonempty(rq.parts, "x-ms-rehydrate-priority") {
        None => false,
        Some(p) if p.eq_ignore_ascii_case("standard") => false,
        Some(p) if p.eq_ignore_ascii_case("high") => true,
        Some(p) => return Err(INVALID_HEADER_VALUE.header("x-ms-rehydrate-priority", p).into()),
    };
    let conditions = Conditions::read(rq.parts)?;
    rq.container()?;
    let Found { props: from, len, crc64, md5, content } = match own_account(rq, &source) {
        Some(request) => find_own(rq, &request).map_err(|e| judged(rq, &e))?.into(),
        None => {
            let (received, from) = source.fetch(rq, u64::MAX, false).await.map_err(hide)?;
            Found::read(received, &from)
        }
    };
    let kind = from.rare().kind;
    if (rq.shared.premium_pages && kind != BlobKind::Page)
        || (rq.tiers() == Tiers::None && kind == BlobKind::Page)
    {
        return Err(BLOB_TYPE_NOT_SUPPORTED.into());
    }
    page_blob::check_tier(rq, &wanted, kind, len)?;
    if kind != BlobKind::Block && !wanted.tier_inferred {
        return Err(INVALID_HEADER_VALUE.header("x-ms-access-tier", wanted.tier.name()).into());
    }
    let mut props =
        Props { tags: wanted.tags, tier: wanted.tier, tier_inferred: wanted.tier_inferred, ..from.clone() };
    if !wanted.metadata.is_empty() {
        props.metadata = wanted.metadata;
    }
    props.rare = None;
    props.set_rare(|rare| {
        (rare.kind, rare.sequence) = (kind, from.rare().sequence);
        rare.page_tier = wanted.rare.as_ref().and_then(|rare| rare.page_tier);
    });
    if from.tier == Tier::Archive {
        if props.tier_inferred || props.tier == Tier::Archive {
            return Err(BLOB_ARCHIVED.into());
        }
        let tier = std::mem::replace(&mut props.tier, Tier::Archive);
        props.set_rare(|rare| rare.rehydrating = Some((tier, high)));
    }
    let new = New { len, crc64, md5, content, copying: None };
    let pending = rq.shared.pending_copies.load(Ordering::Relaxed);
    let (made, copied) = place(rq, &source, &conditions, &Encryption::default(), props, new, pending)?;
    Ok(accepted(&made, &copied))
}

/// Without a credential a private source is not there, as far as Copy Blob says.
fn hide(failure: Failure) -> Failure {
    match failure {
        Failure::Api(e) if e.status == 401 => Failure::Api(ApiError { status: 404, ..e }),
        other => other,
    }
}

/// Copy Blob From URL: the source is whole before the answer, and opened by a credential of its own.
pub(crate) async fn copy_from_url(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let source = CopySource::read(rq, "2018-03-28")?;
    let mut props = read_props(rq, Source::PutBlockList)?;
    let with_tags = copies_tags(rq)?;
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    if rq.shared.premium_pages {
        return Err(BLOB_TYPE_NOT_SUPPORTED.into());
    }
    block_blob::check_destination(rq, &conditions, &props)?;
    let (received, from) = source.fetch(rq, MAX_SYNC, true).await?;
    if from.headers.get(headers::BLOB_TYPE).is_none_or(|kind| kind != BlobKind::Block.name()) {
        return Err(INVALID_SOURCE_BLOB_TYPE.into());
    }
    let (md5, crc64) = (received.md5, received.crc64);
    if with_tags {
        props.tags = source.tags(rq).await?;
    }
    let found = Found::read(received, &from);
    inherit(None, &mut props, &from.headers);
    if props.metadata.is_empty() {
        props.metadata = found.props.metadata;
    }
    let new = New { len: found.len, crc64, md5: found.md5, content: found.content, copying: None };
    let (made, copied) = place(rq, &source, &conditions, &encryption, props, new, false)?;
    let mut answer = accepted(&made, &copied);
    if let Some(md5) = md5 {
        answer::set(&mut answer, headers::CONTENT_MD5, &headers::write_md5(&md5));
    }
    answer::set(&mut answer, headers::CONTENT_CRC64, &headers::write_crc64(crc64));
    Ok(answer)
}

/// Puts the copy in its place, or nothing yet.
fn place(
    rq: &Rq<'_>,
    source: &CopySource,
    conditions: &Conditions<'_>,
    encryption: &Encryption<'_>,
    mut props: Props,
    new: New,
    pending: bool,
) -> Result<(Made, Copied)> {
    let total = new.len;
    let mut copied = Copied {
        id: rq.shared.request_ids.next().as_str().into(),
        source: source.shown().into(),
        status: Status::Pending,
        done: 0,
        total,
        ended: 0,
    };
    if !pending {
        copied.done = total;
        copied.end(Status::Success, time::now());
    }
    props.set_rare(|rare| rare.copied = Some(Box::new(copied.clone())));
    let new = match pending {
        false => new,
        true => New {
            len: 0,
            crc64: 0,
            md5: None,
            content: nothing(props.rare().kind),
            copying: Some(Box::new(Blob {
                len: total,
                crc64: new.crc64,
                md5: new.md5,
                content: new.content,
                // These are the destination's when it is done.
                modified: 0,
                created: 0,
                props: Arc::default(),
            })),
        },
    };
    Ok((block_blob::replace(rq, conditions, encryption, props, new)?, copied))
}

fn accepted(made: &Made, copied: &Copied) -> Answer {
    let mut answer = answer::empty(StatusCode::ACCEPTED);
    made.write(&mut answer);
    answer::set(&mut answer, headers::COPY_ID, &copied.id);
    answer.headers_mut().insert(headers::COPY_STATUS, HeaderValue::from_static(copied.status.name()));
    answer
}

/// Abort Copy Blob: what is there stays empty.
pub(crate) fn abort(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    const ACTION: &str = "x-ms-copy-action";
    match nonempty(rq.parts, ACTION) {
        None => return Err(MISSING_REQUIRED_HEADER.detail("HeaderName", ACTION).into()),
        Some(action) if action.eq_ignore_ascii_case("abort") => {}
        Some(action) => return Err(INVALID_HEADER_VALUE.header(ACTION, action).into()),
    }
    let id = rq.target.query.require("copyid")?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    shard.check_lease(rq, Which::Current)?;
    let blob = shard.find(name, Which::Current)?;
    let copied = blob.props.rare().copied.as_deref().filter(|copied| copied.status == Status::Pending);
    let copied = copied.ok_or(NO_PENDING_COPY_OPERATION)?;
    if !copied.id.eq_ignore_ascii_case(id) {
        return Err(COPY_ID_MISMATCH.into());
    }
    end(&mut shard, name, Status::Aborted, time::now());
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Ends a pending copy that does not succeed.
fn end(shard: &mut Shard, name: &str, status: Status, tick: u64) {
    shard.copying.remove(name);
    change(shard, name, |copied| copied.end(status, tick));
}

/// Changes what is shown of the copy that made a blob.
fn change(shard: &mut Shard, name: &str, change: impl FnOnce(&mut Copied)) {
    let Ok(blob) = shard.find_mut(name, Which::Current) else { return };
    let mut props = (*blob.props).clone();
    props.set_rare(|rare| {
        if let Some(copied) = &mut rare.copied {
            change(copied);
        }
    });
    blob.props = Arc::new(props);
}

/// Names of pending copies, by shard.
fn pending(shard: &Shard) -> Vec<String> {
    shard.copying.iter().map(|(name, _)| name).collect()
}

/// Moves every pending copy of a container on by so many bytes; those that have all are done. Returns how many are not.
pub(crate) fn advance(shared: &Shared, container: &Container, bytes: u64) -> usize {
    let mut left = 0;
    for mut shard in container.lock_all() {
        for name in pending(&shard) {
            let mut done = false;
            change(&mut shard, &name, |copied| {
                copied.done = copied.total.min(copied.done.saturating_add(bytes));
                done = copied.done == copied.total;
            });
            if !done {
                left += 1;
                continue;
            }
            let tick = shared.clock.tick();
            change(&mut shard, &name, |copied| copied.end(Status::Success, tick));
            let whole = shard.copying.remove(&name);
            if let (Ok(blob), Some(whole)) = (shard.find_mut(&name, Which::Current), whole) {
                let Blob { len, crc64, md5, content, .. } = *whole;
                (blob.len, blob.crc64, blob.md5, blob.content) = (len, crc64, md5, content);
                blob.modified = tick;
            }
        }
    }
    left
}

/// Lets every pending copy of a container fail. Returns how many there were.
pub(crate) fn fail(shared: &Shared, container: &Container, why: &str) -> usize {
    let mut failed = 0;
    for mut shard in container.lock_all() {
        for name in pending(&shard) {
            end(&mut shard, &name, Status::Failed(why.into()), shared.clock.tick());
            failed += 1;
        }
    }
    failed
}
