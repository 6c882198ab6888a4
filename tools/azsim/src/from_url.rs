//! Put Blob, Put Block, Append Block and Put Page From URL: as those that bring their bytes, with a source in their
//! place.

use http::{HeaderValue, StatusCode};

use crate::answer::{self, Answer, Failure};
use crate::append_blob::{self, Place};
use crate::block_blob::{self, New, block_id, limits, read_props};
use crate::conditions::Conditions;
use crate::copy_source::{CopySource, SOURCE_RANGE, copies_tags, inherit, metadata_of};
use crate::encryption::Encryption;
use crate::error::{
    BLOB_TYPE_NOT_SUPPORTED, INVALID_HEADER_VALUE, INVALID_RANGE, MISSING_REQUIRED_HEADER,
    REQUEST_BODY_TOO_LARGE, Result,
};
use crate::headers::{self, nonempty};
use crate::page_blob;
use crate::properties::Source;
use crate::service::Rq;
use crate::store::{Content, Md5};

/// Whether a header says `true`, in any case; it may be absent.
fn flag(rq: &Rq<'_>, name: &str, default: bool) -> Result<bool> {
    match nonempty(rq.parts, name) {
        None => Ok(default),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(INVALID_HEADER_VALUE.header(name, text)),
    }
}

pub(crate) async fn put_blob(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let source = CopySource::read(rq, "2020-04-08")?;
    let kind = headers::text(rq.parts, "x-ms-blob-type").unwrap_or_default();
    if !kind.eq_ignore_ascii_case("BlockBlob") {
        return Err(INVALID_HEADER_VALUE.header("x-ms-blob-type", kind).into());
    }
    if rq.shared.premium_pages {
        return Err(BLOB_TYPE_NOT_SUPPORTED.into());
    }
    let mut props = read_props(rq, Source::PutBlockList)?;
    page_blob::check_tier(rq, &props, props.rare().kind, 0)?;
    let with_properties = flag(rq, "x-ms-copy-source-blob-properties", true)?;
    let with_tags = copies_tags(rq)?;
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    block_blob::check_destination(rq, &conditions, &props)?;
    let (received, from) = source.fetch(rq, limits(rq.version).0, true).await?;
    if with_tags {
        props.tags = source.tags(rq).await?;
    }
    if with_properties {
        inherit(Some(rq), &mut props, &from.headers);
    }
    if props.metadata.is_empty() {
        props.metadata = metadata_of(&from.headers);
    }
    let theirs = from.headers.get(headers::CONTENT_MD5).filter(|_| with_properties);
    let theirs = theirs.and_then(|md5| md5.to_str().ok()).map(|md5| Box::new(Md5::from(md5)));
    let computed = received.md5;
    let own = computed.filter(|_| rq.shared.always_md5).map(|sum| Box::new(Md5::Sum(sum)));
    let new = New {
        len: received.len,
        crc64: received.crc64,
        md5: Md5::read(rq.parts).or(theirs).or(own),
        content: received.stored.map_or(Content::Discarded, Content::Whole),
        copying: None,
    };
    let mut answer = answer::empty(StatusCode::CREATED);
    if let Some(md5) = computed {
        answer::set(&mut answer, headers::CONTENT_MD5, &headers::write_md5(&md5));
    }
    answer.headers_mut().insert(headers::REQUEST_ENCRYPTED, HeaderValue::from_static("true"));
    block_blob::replace(rq, &conditions, &encryption, props, new)?.write(&mut answer);
    Ok(answer)
}

pub(crate) async fn put_block(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let source = CopySource::read(rq, "2018-03-28")?;
    let id = block_id(rq)?;
    let encryption = Encryption::read(rq.parts)?;
    if rq.shared.premium_pages {
        return Err(BLOB_TYPE_NOT_SUPPORTED.into());
    }
    rq.container()?;
    let (received, _) = source.fetch(rq, limits(rq.version).1, false).await?;
    if received.len == 0 {
        return Err(INVALID_RANGE.into());
    }
    Ok(block_blob::stage(rq, id, &encryption, source.claimed, received)?)
}

pub(crate) async fn append_block(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let source = CopySource::read(rq, "2018-11-09")?;
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    let place = Place::read(rq)?;
    rq.container()?;
    let (received, _) = source.fetch(rq, append_blob::limit(rq.version), false).await?;
    if received.len == 0 {
        return Err(INVALID_RANGE.into());
    }
    Ok(append_blob::append(rq, &conditions, &encryption, &place, source.claimed, received)?)
}

pub(crate) async fn put_page(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    const WRITE: &str = "x-ms-page-write";
    let source = CopySource::read(rq, "2018-11-09")?;
    let missing = |name: &str| MISSING_REQUIRED_HEADER.detail("HeaderName", name);
    let what = nonempty(rq.parts, WRITE).ok_or_else(|| missing(WRITE))?;
    if !what.eq_ignore_ascii_case("update") {
        return Err(INVALID_HEADER_VALUE.header(WRITE, what).into());
    }
    let (start, end) = page_blob::page_range(rq)?.ok_or_else(|| missing("x-ms-range"))?;
    if end - start > page_blob::MAX_UPDATE {
        return Err(REQUEST_BODY_TOO_LARGE.detail("MaxLimit", page_blob::MAX_UPDATE.to_string()).into());
    }
    let Some((first, Some(behind))) = source.range else { return Err(missing(SOURCE_RANGE).into()) };
    if behind - first != end - start {
        let text = nonempty(rq.parts, SOURCE_RANGE).unwrap_or_default();
        return Err(INVALID_HEADER_VALUE.header(SOURCE_RANGE, text).into());
    }
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    rq.container()?;
    let (received, _) = source.fetch(rq, page_blob::MAX_UPDATE, false).await?;
    Ok(page_blob::write(rq, &conditions, &encryption, source.claimed, (start, end), Some(received))?)
}
