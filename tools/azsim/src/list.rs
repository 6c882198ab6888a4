//! List Blobs and List Containers: pages in the order of the names.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::fmt::Write as _;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::HOST;

use crate::answer::{self, Answer, Failure};
use crate::auth::PublicAccess;
use crate::error::{INVALID_QUERY_PARAMETER_VALUE, OUT_OF_RANGE_QUERY_PARAMETER, Result};
use crate::headers;
use crate::service::Rq;
use crate::store::{Blob, Container, Shard, Staged, etag};
use crate::time;
use crate::xml;

/// Entries of a page, and the default.
const MAX_PAGE: usize = 5000;

/// What a page is cut from.
struct Ask<'q> {
    prefix: &'q str,
    delimiter: &'q str,
    marker: &'q str,
    /// The first name that may be listed.
    from: String,
    max: usize,
    max_text: Option<&'q str>,
}

impl<'q> Ask<'q> {
    fn read(rq: &'q Rq<'_>) -> Result<Ask<'q>> {
        let query = &rq.target.query;
        let max_text = query.get("maxresults");
        let max = match max_text {
            None => MAX_PAGE,
            Some(text) => match text.parse::<i64>() {
                Ok(1..) => text.parse::<usize>().unwrap_or(MAX_PAGE).min(MAX_PAGE),
                Ok(_) => return Err(OUT_OF_RANGE_QUERY_PARAMETER.query("maxresults", text)),
                Err(_) => return Err(INVALID_QUERY_PARAMETER_VALUE.query("maxresults", text)),
            },
        };
        let (prefix, marker) = (query.get("prefix").unwrap_or(""), query.get("marker").unwrap_or(""));
        let from = if marker.is_empty() {
            query.get("startFrom").unwrap_or("").to_owned()
        } else {
            read_marker(marker).ok_or_else(|| INVALID_QUERY_PARAMETER_VALUE.query("marker", marker))?
        };
        let from = if from.as_str() < prefix { prefix.to_owned() } else { from };
        Ok(Ask { prefix, delimiter: query.get("delimiter").unwrap_or(""), marker, from, max, max_text })
    }

    /// The head of the document.
    fn write(&self, out: &mut String) {
        for (name, value) in [("Prefix", self.prefix), ("Marker", self.marker)] {
            if !value.is_empty() {
                xml::element(out, name, value);
            }
        }
        if let Some(max) = self.max_text {
            xml::element(out, "MaxResults", max);
        }
        if !self.delimiter.is_empty() {
            xml::element(out, "Delimiter", self.delimiter);
        }
    }
}

/// A marker is opaque to clients: the name where the next page begins.
fn write_marker(name: &str) -> String {
    format!("2!{}", URL_SAFE_NO_PAD.encode(name))
}

fn read_marker(marker: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker.strip_prefix("2!")?).ok()?).ok()
}

/// One entry of a page.
enum Entry<'s> {
    Blob(&'s str, &'s Blob),
    Uncommitted(&'s str),
    Prefix(&'s str),
}

/// A place in one shard.
struct Cursor<'s> {
    shard: &'s Shard,
    names: Names<'s>,
    next: Option<(&'s str, Option<&'s Blob>)>,
}

enum Names<'s> {
    Blobs(Range<'s, Box<str>, Box<Blob>>),
    Staged(Range<'s, Box<str>, Staged>),
}

fn from<'m, V>(map: &'m BTreeMap<Box<str>, V>, name: &str) -> Range<'m, Box<str>, V> {
    map.range::<str, _>((Bound::Included(name), Bound::Unbounded))
}

impl<'s> Cursor<'s> {
    fn new(shard: &'s Shard, staged: bool, name: &str) -> Cursor<'s> {
        let names = if staged {
            Names::Staged(from(&shard.staged, name))
        } else {
            Names::Blobs(from(&shard.blobs, name))
        };
        let mut cursor = Cursor { shard, names, next: None };
        cursor.advance();
        cursor
    }

    fn advance(&mut self) {
        self.next = match &mut self.names {
            Names::Blobs(range) => range.next().map(|(name, blob)| (&**name, Some(&**blob))),
            // A name with a committed blob is listed as that.
            Names::Staged(range) => {
                range.find(|(name, _)| !self.shard.blobs.contains_key(*name)).map(|(name, _)| (&**name, None))
            }
        };
    }

    fn seek(&mut self, name: &str) {
        *self = Cursor::new(self.shard, matches!(self.names, Names::Staged(_)), name);
    }
}

/// The smallest text that is greater than every text with this prefix; `None` when there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// Cuts a page: its entries, and the name where the next one begins.
fn page<'s>(
    shards: &'s [impl std::ops::Deref<Target = Shard>],
    ask: &Ask<'_>,
    uncommitted: bool,
) -> (Vec<Entry<'s>>, Option<&'s str>) {
    let mut cursors: Vec<Cursor<'s>> = shards.iter().map(|s| Cursor::new(s, false, &ask.from)).collect();
    if uncommitted {
        cursors.extend(shards.iter().map(|s| Cursor::new(s, true, &ask.from)));
    }
    // The names at hand, smallest first, each with its cursor.
    let mut heads: std::collections::BTreeSet<(&'s str, usize)> =
        cursors.iter().enumerate().filter_map(|(i, c)| c.next.map(|(name, _)| (name, i))).collect();
    let mut entries = Vec::new();
    // The group that was listed last, and the name after it.
    let mut group: Option<(&'s str, Option<String>)> = None;
    while let Some((name, i)) = heads.pop_first() {
        if !name.starts_with(ask.prefix) {
            break;
        }
        let cursor = &mut cursors[i];
        if let Some((_, after)) = group.as_ref().filter(|(group, _)| name.starts_with(group)) {
            match after {
                Some(after) => cursor.seek(after),
                None => cursor.next = None,
            }
        } else {
            if entries.len() == ask.max {
                return (entries, Some(name));
            }
            let rest = &name[ask.prefix.len()..];
            let end = if ask.delimiter.is_empty() { None } else { rest.find(ask.delimiter) };
            if let Some(end) = end {
                let prefix = &name[..ask.prefix.len() + end + ask.delimiter.len()];
                entries.push(Entry::Prefix(prefix));
                let after = after_prefix(prefix);
                match &after {
                    Some(after) => cursor.seek(after),
                    None => cursor.next = None,
                }
                group = Some((prefix, after));
            } else {
                entries.push(match cursor.next {
                    Some((_, Some(blob))) => Entry::Blob(name, blob),
                    _ => Entry::Uncommitted(name),
                });
                cursor.advance();
            }
        }
        heads.extend(cursor.next.map(|(name, _)| (name, i)));
    }
    (entries, None)
}

/// `http://host/account/`
fn endpoint(rq: &Rq<'_>) -> String {
    let host = rq.parts.headers.get(HOST).and_then(|h| h.to_str().ok());
    let host =
        host.or_else(|| rq.parts.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let scheme = if rq.tls { "https" } else { "http" };
    let account = &rq.target.account.name;
    let in_path = rq.target.raw_path.strip_prefix('/').and_then(|p| p.strip_prefix(account.as_str()));
    if in_path.is_some() { format!("{scheme}://{host}/{account}/") } else { format!("{scheme}://{host}/") }
}

pub(crate) fn blobs(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let ask = Ask::read(rq)?;
    let include: Vec<&str> = rq.target.query.get("include").unwrap_or("").split(',').map(str::trim).collect();
    let container = rq.container()?;
    let with_metadata = include.contains(&"metadata");
    let with_tags = include.contains(&"tags");
    if rq.target.query.get("showonly").is_some_and(|s| s.eq_ignore_ascii_case("deleted")) {
        // Nothing is kept of what was deleted.
        return Ok(answer::xml(document(rq, &container, &ask, &[], None, false, false)));
    }
    let shards = container.lock_all();
    let (entries, next) = page(&shards, &ask, include.contains(&"uncommittedblobs"));
    let out = document(rq, &container, &ask, &entries, next, with_metadata, with_tags);
    drop(entries);
    drop(shards);
    Ok(answer::xml(out))
}

fn document(
    rq: &Rq<'_>,
    container: &Container,
    ask: &Ask<'_>,
    entries: &[Entry<'_>],
    next: Option<&str>,
    with_metadata: bool,
    with_tags: bool,
) -> String {
    let mut out = String::with_capacity(512 + entries.len() * 720);
    out.push_str(xml::PROLOG);
    out.push_str("<EnumerationResults ServiceEndpoint=\"");
    xml::escape(&mut out, &endpoint(rq));
    out.push_str("\" ContainerName=\"");
    xml::escape(&mut out, &container.name);
    out.push_str("\">");
    ask.write(&mut out);
    out.push_str("<Blobs>");
    for entry in entries {
        match entry {
            Entry::Prefix(name) => {
                out.push_str("<BlobPrefix>");
                write_name(&mut out, name);
                out.push_str("</BlobPrefix>");
            }
            Entry::Uncommitted(name) => {
                out.push_str("<Blob>");
                write_name(&mut out, name);
                out.push_str(concat!(
                    "<Properties><Content-Length>0</Content-Length><Content-Type>application/octet-stream",
                    "</Content-Type><BlobType>BlockBlob</BlobType><LeaseStatus>unlocked</LeaseStatus>",
                    "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties></Blob>"
                ));
            }
            Entry::Blob(name, blob) => write_blob(&mut out, name, blob, with_metadata, with_tags),
        }
    }
    out.push_str("</Blobs>");
    xml::element(&mut out, "NextMarker", &next.map(write_marker).unwrap_or_default());
    out.push_str("</EnumerationResults>");
    out
}

/// Names that XML cannot carry are percent-encoded and marked so.
fn write_name(out: &mut String, name: &str) {
    if xml::is_representable(name) {
        xml::element(out, "Name", name);
        return;
    }
    out.push_str("<Name Encoded=\"true\">");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out.push_str("</Name>");
}

fn write_blob(out: &mut String, name: &str, blob: &Blob, with_metadata: bool, with_tags: bool) {
    let props = &blob.props;
    out.push_str("<Blob>");
    write_name(out, name);
    out.push_str("<Properties>");
    xml::element(out, "Creation-Time", &time::http_date(blob.created));
    xml::element(out, "Last-Modified", &time::http_date(blob.modified));
    xml::element(out, "Etag", etag(blob.modified).trim_matches('"'));
    let _ = write!(out, "<Content-Length>{}</Content-Length>", blob.len);
    xml::element(out, "Content-Type", &props.content_type);
    xml::element(out, "Content-Encoding", &props.content_encoding);
    xml::element(out, "Content-Language", &props.content_language);
    out.push_str("<Content-CRC64 />");
    xml::element(out, "Content-MD5", &blob.md5.as_ref().map(|m| headers::write_md5(m)).unwrap_or_default());
    xml::element(out, "Cache-Control", &props.cache_control);
    xml::element(out, "Content-Disposition", &props.content_disposition);
    out.push_str("<BlobType>BlockBlob</BlobType>");
    xml::element(out, "AccessTier", props.tier.name());
    if props.tier_inferred {
        out.push_str("<AccessTierInferred>true</AccessTierInferred>");
    }
    out.push_str("<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>");
    out.push_str("<ServerEncrypted>true</ServerEncrypted>");
    if !props.tags.is_empty() {
        let _ = write!(out, "<TagCount>{}</TagCount>", props.tags.len());
    }
    out.push_str("</Properties>");
    if with_metadata {
        write_metadata(out, &props.metadata);
    }
    if with_tags && !props.tags.is_empty() {
        out.push_str("<Tags><TagSet>");
        for (key, value) in &props.tags {
            out.push_str("<Tag>");
            xml::element(out, "Key", key);
            xml::element(out, "Value", value);
            out.push_str("</Tag>");
        }
        out.push_str("</TagSet></Tags>");
    }
    out.push_str("<OrMetadata /></Blob>");
}

fn write_metadata(out: &mut String, metadata: &[(Box<str>, Box<str>)]) {
    if metadata.is_empty() {
        return out.push_str("<Metadata />");
    }
    out.push_str("<Metadata>");
    for (name, value) in metadata {
        xml::element(out, name, value);
    }
    out.push_str("</Metadata>");
}

pub(crate) fn containers(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let ask = Ask::read(rq)?;
    let include = rq.target.query.get("include").unwrap_or("");
    let with_metadata = include.split(',').any(|i| i.trim() == "metadata");
    let mut found = rq.target.account.containers_from(&ask.from);
    found.retain(|c| c.name.starts_with(ask.prefix));
    let next = found.get(ask.max).map(|c| write_marker(&c.name)).unwrap_or_default();
    found.truncate(ask.max);
    let mut out = String::from(xml::PROLOG);
    out.push_str("<EnumerationResults ServiceEndpoint=\"");
    xml::escape(&mut out, &endpoint(rq));
    out.push_str("\">");
    ask.write(&mut out);
    out.push_str("<Containers>");
    for container in found {
        out.push_str("<Container>");
        xml::element(&mut out, "Name", &container.name);
        out.push_str("<Properties>");
        xml::element(&mut out, "Last-Modified", &time::http_date(container.modified));
        xml::element(&mut out, "Etag", &etag(container.modified));
        out.push_str("<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>");
        match container.access {
            PublicAccess::None => {}
            PublicAccess::Blob => xml::element(&mut out, "PublicAccess", "blob"),
            PublicAccess::Container => xml::element(&mut out, "PublicAccess", "container"),
        }
        out.push_str("<DefaultEncryptionScope>$account-encryption-key</DefaultEncryptionScope>");
        out.push_str("<DenyEncryptionScopeOverride>false</DenyEncryptionScopeOverride>");
        out.push_str(
            "<HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold>",
        );
        out.push_str("</Properties>");
        if with_metadata {
            write_metadata(&mut out, &container.metadata);
        }
        out.push_str("</Container>");
    }
    out.push_str("</Containers>");
    xml::element(&mut out, "NextMarker", &next);
    out.push_str("</EnumerationResults>");
    Ok(answer::xml(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_after_a_prefix_is_found() {
        assert_eq!(after_prefix("a/").as_deref(), Some("a0"));
        assert_eq!(after_prefix("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
    }

    #[test]
    fn markers_are_read_back() {
        let marker = write_marker("dir/ä+&b");
        assert_eq!(read_marker(&marker).as_deref(), Some("dir/ä+&b"));
        assert_eq!(read_marker("dir"), None);
    }

    #[test]
    fn names_that_xml_cannot_carry_are_encoded() {
        let mut out = String::new();
        write_name(&mut out, "a/\u{1}b c");
        assert_eq!(out, "<Name Encoded=\"true\">a/%01b%20c</Name>");
    }
}
