//! Changing a blob that is there: tier, metadata, HTTP headers, tags.

use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;

use crate::answer::{self, Answer, Failure};
use crate::body::{Claimed, Received, crc64, md5, receive_small};
use crate::conditions::Conditions;
use crate::encryption::{Encryption, write_rare};
use crate::error::{
    ACCESS_TIER_NOT_SUPPORTED, BLOB_ARCHIVED, BLOB_BEING_REHYDRATED, INVALID_BLOB_TYPE, INVALID_HEADER_VALUE,
    MISSING_REQUIRED_HEADER, REQUEST_BODY_TOO_LARGE, Result,
};
use crate::headers::{self, nonempty};
use crate::page_blob::{self, PageTier};
use crate::past::Which;
use crate::properties::{BlobKind, Props, Source, Tier, Tiers, check_tags, metadata};
use crate::service::{Rq, write_times};
use crate::store::{Blob, Container, Md5, Shard};
use crate::xml;

/// Bytes of a Set Blob Tags body: 10 tags of the longest kind, escaped, with room for white space.
const MAX_TAGS_BYTES: usize = 64 << 10;

/// The current blob, when the request may change it.
pub(crate) fn current<'s>(
    rq: &Rq<'_>,
    shard: &'s Shard,
    conditions: &Conditions<'_>,
    encryption: &Encryption<'_>,
) -> Result<&'s Blob> {
    let blob = readable(rq, shard, conditions, encryption)?;
    shard.check_write_lease(rq, Which::Current)?;
    Ok(blob)
}

/// The current blob, when the request may make a snapshot of it: a lease in force does not forbid that.
pub(crate) fn readable<'s>(
    rq: &Rq<'_>,
    shard: &'s Shard,
    conditions: &Conditions<'_>,
    encryption: &Encryption<'_>,
) -> Result<&'s Blob> {
    let blob = shard.find(rq.target.names().1, Which::Current)?;
    conditions.check_change(blob)?;
    shard.check_read_lease(rq, Which::Current)?;
    encryption.check(blob.props.rare().key.as_ref())?;
    encryption.check_scope(rq, &blob.props.rare().scope)?;
    if blob.props.tier == Tier::Archive {
        return Err(BLOB_ARCHIVED.into());
    }
    Ok(blob)
}

/// 200 with the times of a blob that was changed.
pub(crate) fn changed(status: StatusCode, modified: u64, props: &Props) -> Answer {
    let mut answer = answer::empty(status);
    write_times(&mut answer, modified);
    write_rare(&mut answer, props.rare());
    answer.headers_mut().insert(headers::REQUEST_ENCRYPTED, HeaderValue::from_static("true"));
    answer
}

pub(crate) fn set_metadata(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    let metadata = metadata(rq.parts, rq.metadata_names)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let mut blob = current(rq, &shard, &conditions, &encryption)?.clone();
    blob.modified = rq.shared.clock.tick();
    let mut props = (*blob.props).clone();
    props.metadata = metadata;
    rq.shared.stamp(&mut props, blob.modified);
    let answer = changed(StatusCode::OK, blob.modified, &props);
    blob.props = shard.intern(props);
    let _replaced = shard.replace(name, Box::new(blob));
    shard.written(rq);
    drop(shard);
    Ok(answer)
}

/// Set Blob Properties, which resizes page blobs too.
pub(crate) fn set_properties(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    let new = Props::read(rq.parts, Source::PutBlockList, &[])?;
    // Any text is taken, and given back as it is.
    let md5 = Md5::read(rq.parts);
    let (resize, sequence) = page_blob::changes(rq)?;
    let for_pages = resize.is_some() || sequence.is_some();
    let any_header = rq.parts.headers.keys().any(|k| {
        matches!(
            k.as_str(),
            "x-ms-blob-cache-control"
                | "x-ms-blob-content-type"
                | "x-ms-blob-content-md5"
                | "x-ms-blob-content-encoding"
                | "x-ms-blob-content-language"
                | "x-ms-blob-content-disposition"
        )
    });
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let mut blob = current(rq, &shard, &conditions, &encryption)?.clone();
    let mut props = (*blob.props).clone();
    if for_pages {
        if props.rare().kind != BlobKind::Page {
            return Err(INVALID_BLOB_TYPE.into());
        }
        page_blob::apply(&mut blob, &mut props, resize, sequence)?;
    }
    // Every header that is not given is cleared, unless the request is about the pages alone.
    if any_header || !for_pages {
        props.content_type = new.content_type;
        props.content_encoding = new.content_encoding;
        props.content_language = new.content_language;
        props.content_disposition = new.content_disposition;
        props.cache_control = new.cache_control;
        blob.md5 = md5;
    }
    blob.modified = rq.shared.clock.tick();
    let mut answer = changed(StatusCode::OK, blob.modified, &props);
    if props.rare().kind == BlobKind::Page {
        answer.headers_mut().insert(headers::SEQUENCE_NUMBER, HeaderValue::from(props.rare().sequence));
    }
    blob.props = shard.intern(props);
    let _replaced = shard.blobs.insert(name, Box::new(blob));
    shard.written(rq);
    drop(shard);
    Ok(answer)
}

/// 200 when the tier has changed, 202 when the blob is on its way out of the archive.
pub(crate) fn set_tier(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let wanted = nonempty(rq.parts, "x-ms-access-tier")
        .ok_or_else(|| MISSING_REQUIRED_HEADER.detail("HeaderName", "x-ms-access-tier"))?;
    if rq.tiers() == Tiers::None {
        return Err(ACCESS_TIER_NOT_SUPPORTED.header("x-ms-access-tier", wanted).into());
    }
    let page_tier = PageTier::parse(wanted).filter(|_| rq.shared.premium_pages);
    let wanted = match Tier::parse(wanted) {
        Some(tier) => tier,
        None if page_tier.is_some() => Tier::default(),
        None => return Err(INVALID_HEADER_VALUE.header("x-ms-access-tier", wanted).into()),
    };
    let high = match nonempty(rq.parts, "x-ms-rehydrate-priority") {
        None => false,
        Some(p) if p.eq_ignore_ascii_case("standard") => false,
        Some(p) if p.eq_ignore_ascii_case("high") => true,
        Some(p) => return Err(INVALID_HEADER_VALUE.header("x-ms-rehydrate-priority", p).into()),
    };
    let which = Which::read(&rq.target.query)?;
    let conditions = Conditions::read(rq.parts)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let blob = shard.find(name, which)?;
    conditions.check_change(blob)?;
    shard.check_write_lease(rq, which)?;
    let mut props = (*blob.props).clone();
    if let Some(tier) = page_tier.filter(|_| props.rare().kind == BlobKind::Page) {
        tier.check(props.rare().page_tier, blob.len)?;
        let tick = rq.shared.clock.tick();
        props.set_rare(|rare| (rare.page_tier, rare.tier_changed) = (Some(tier), tick));
        let props = shard.intern(props);
        shard.find_mut(name, which)?.props = props;
        return Ok(answer::empty(StatusCode::OK));
    }
    if props.rare().kind != BlobKind::Block || page_tier.is_some() {
        return Err(INVALID_BLOB_TYPE.into());
    }
    let mut status = StatusCode::OK;
    if let Some((towards, was_high)) = props.rare().rehydrating {
        // Only the priority can still be raised.
        if towards != wanted {
            return Err(BLOB_BEING_REHYDRATED.into());
        }
        props.set_rare(|rare| rare.rehydrating = Some((wanted, high || was_high)));
        status = StatusCode::ACCEPTED;
    } else if props.tier == Tier::Archive && wanted != Tier::Archive {
        props.set_rare(|rare| rare.rehydrating = Some((wanted, high)));
        status = StatusCode::ACCEPTED;
    } else {
        if props.tier != wanted || props.tier_inferred {
            props.set_rare(|rare| rare.tier_changed = rq.shared.clock.tick());
        }
        (props.tier, props.tier_inferred) = (wanted, false);
    }
    let props = shard.intern(props);
    shard.find_mut(name, which)?.props = props;
    Ok(answer::empty(status))
}

/// Completes what [`set_tier`] began, for every blob of a container. Returns how many there were.
pub(crate) fn complete_rehydration(container: &Container, tick: u64) -> usize {
    let mut done = 0;
    for mut shard in container.lock_all() {
        let shard = &mut *shard;
        let past =
            shard.past.values_mut().flat_map(|p| p.snapshots.values_mut().chain(p.versions.values_mut()));
        for blob in shard.blobs.values_mut().chain(past) {
            let Some((tier, _)) = blob.props.rare().rehydrating else { continue };
            let mut props = (*blob.props).clone();
            props.tier = tier;
            props.set_rare(|rare| (rare.rehydrating, rare.tier_changed) = (None, tick));
            blob.props = props.into();
            done += 1;
        }
    }
    done
}

pub(crate) async fn set_tags(
    rq: &Rq<'_>,
    body: &mut Option<Incoming>,
) -> std::result::Result<Answer, Failure> {
    let claimed = Claimed::read(rq.parts)?;
    let conditions = Conditions::read(rq.parts)?;
    let which = Which::read(&rq.target.query)?;
    let document = receive_small(body.take().ok_or(Failure::Gone)?, MAX_TAGS_BYTES).await?;
    let document = document.ok_or(REQUEST_BODY_TOO_LARGE)?;
    rq.counters.received(document.len() as u64);
    claimed.check(&Received {
        len: document.len() as u64,
        crc64: crc64(&document),
        md5: claimed.md5.map(|_| md5(&document)),
        stored: None,
    })?;
    let tags = check_tags(xml::parse_tags(&document)?)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let mut props = {
        let blob = shard.find(name, which)?;
        conditions.check_change(blob)?;
        (*blob.props).clone()
    };
    shard.check_write_lease(rq, which)?;
    props.tags = tags;
    let props = shard.intern(props);
    // Tags are no part of the blob: its ETag and its times stay.
    shard.find_mut(name, which)?.props = props;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(crate) fn get_tags(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let which = Which::read(&rq.target.query)?;
    let conditions = Conditions::read(rq.parts)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let props = {
        let shard = container.shard(name);
        let blob = shard.find(name, which)?;
        shard.check_read_lease(rq, which)?;
        conditions.check_read(blob)?;
        blob.props.clone()
    };
    let mut out = String::from(xml::PROLOG);
    xml::write_tags(&mut out, &props.tags);
    Ok(answer::xml(out))
}

/// `rehydrate-pending-to-hot`
pub(crate) fn archive_status(props: &Props) -> Option<(String, &'static str)> {
    let (tier, high) = props.rare().rehydrating?;
    let status = format!("rehydrate-pending-to-{}", tier.name().to_ascii_lowercase());
    Some((status, if high { "High" } else { "Standard" }))
}
