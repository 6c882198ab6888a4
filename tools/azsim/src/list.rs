//! List Blobs and List Containers: pages in the order of the names.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::answer::{self, Answer, Failure};
use crate::auth::PublicAccess;
use crate::error::{INVALID_QUERY_PARAMETER_VALUE, OUT_OF_RANGE_QUERY_PARAMETER, Result};
use crate::list_xml::{document, endpoint, write_metadata};
use crate::past::{Deleted, Past};
use crate::service::Rq;
use crate::store::{Blob, Container, Shard, Staged, etag};
use crate::time;
use crate::xml;

/// Entries of a page, and the default.
const MAX_PAGE: usize = 5000;

/// What a page is cut from.
pub(crate) struct Ask<'q> {
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
    pub(crate) fn write(&self, out: &mut String) {
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
pub(crate) fn write_marker(name: &str) -> String {
    format!("2!{}", URL_SAFE_NO_PAD.encode(name))
}

fn read_marker(marker: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker.strip_prefix("2!")?).ok()?).ok()
}

/// Names taken under one hold of the locks: a page of 5,000 with a delimiter makes writers wait a twentieth as long.
const CHUNK: usize = 256;

/// One entry of a page, independent of the store: a page is written without its locks.
pub(crate) enum Entry {
    Blob(Shown),
    Uncommitted(Box<str>),
    Prefix(Box<str>),
}

/// A blob of a page.
pub(crate) struct Shown {
    pub(crate) name: Box<str>,
    pub(crate) blob: Box<Blob>,
    pub(crate) origin: Origin,
    /// When it was deleted softly, in ticks.
    pub(crate) deleted_at: Option<u64>,
}

/// Which blob of its name an entry is.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Current,
    Snapshot(u64),
    Version,
}

/// What a listing shows beside the blobs and their properties.
#[derive(Clone, Copy, Default)]
pub(crate) struct Include {
    pub(crate) metadata: bool,
    pub(crate) tags: bool,
    uncommitted: bool,
    snapshots: bool,
    pub(crate) versions: bool,
    deleted: bool,
}

impl Include {
    fn read(text: &str) -> Include {
        let has = |what: &str| text.split(',').any(|i| i.trim().eq_ignore_ascii_case(what));
        Include {
            metadata: has("metadata"),
            tags: has("tags"),
            uncommitted: has("uncommittedblobs"),
            snapshots: has("snapshots"),
            versions: has("versions"),
            deleted: has("deleted"),
        }
    }
}

impl Past {
    /// Whether there is something to show of a name without a blob.
    fn shows(&self, include: Include) -> bool {
        let deleted = &self.deleted;
        let any_deleted = deleted.blob.is_some()
            || (include.snapshots && !deleted.snapshots.is_empty())
            || (include.versions && !deleted.versions.is_empty());
        (include.versions && !self.versions.is_empty()) || (include.deleted && any_deleted)
    }

    /// Appends what is included: snapshots, versions, the deleted blob.
    fn show(&self, name: &str, include: Include, entries: &mut Vec<Entry>) {
        let shown = |blob: &Blob, origin, deleted_at| Shown {
            name: name.into(),
            blob: Box::new(blob.clone()),
            origin,
            deleted_at,
        };
        let Deleted { blob, snapshots, versions } = &self.deleted;
        // By their times, whether deleted or not.
        let mut all = BTreeMap::new();
        if include.snapshots {
            let there = self.snapshots.iter();
            all.extend(there.map(|(t, b)| (*t, shown(b, Origin::Snapshot(*t), None))));
            let deleted = snapshots.iter().filter(|_| include.deleted);
            all.extend(deleted.map(|(t, k)| (*t, shown(&k.blob, Origin::Snapshot(*t), Some(k.at)))));
        }
        entries.extend(std::mem::take(&mut all).into_values().map(Entry::Blob));
        if include.versions {
            all.extend(self.versions.iter().map(|(t, b)| (*t, shown(b, Origin::Version, None))));
            let deleted = versions.iter().filter(|_| include.deleted);
            all.extend(deleted.map(|(t, k)| (*t, shown(&k.blob, Origin::Version, Some(k.at)))));
        }
        entries.extend(all.into_values().map(Entry::Blob));
        let blob = blob.iter().filter(|_| include.deleted);
        entries.extend(blob.map(|k| Entry::Blob(shown(&k.blob, Origin::Current, Some(k.at)))));
    }
}

/// A place in one shard.
struct Cursor<'s> {
    shard: &'s Shard,
    include: Include,
    names: Names<'s>,
    next: Option<(&'s str, Option<&'s Blob>)>,
}

enum Names<'s> {
    Blobs(Range<'s, Box<str>, Box<Blob>>),
    Staged(Range<'s, Box<str>, Staged>),
    Past(Range<'s, Box<str>, Past>),
}

/// Which of a shard's maps a cursor walks.
#[derive(Clone, Copy)]
enum Map {
    Blobs,
    Staged,
    /// Names without a blob, of which something is left.
    Past,
}

fn from<'m, V>(map: &'m BTreeMap<Box<str>, V>, name: &str) -> Range<'m, Box<str>, V> {
    map.range::<str, _>((Bound::Included(name), Bound::Unbounded))
}

impl<'s> Cursor<'s> {
    fn new(shard: &'s Shard, include: Include, map: Map, name: &str) -> Cursor<'s> {
        let names = match map {
            Map::Blobs => Names::Blobs(from(&shard.blobs, name)),
            Map::Staged => Names::Staged(from(&shard.staged, name)),
            Map::Past => Names::Past(from(&shard.past, name)),
        };
        let mut cursor = Cursor { shard, include, names, next: None };
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
            Names::Past(range) => range
                .find(|(name, past)| past.shows(self.include) && !self.shard.blobs.contains_key(*name))
                .map(|(name, _)| (&**name, None)),
        };
    }

    /// Appends the entries of the name at hand: snapshots, earlier versions, the blob itself.
    fn take(&self, name: &str, entries: &mut Vec<Entry>) {
        if let Some(past) = self.shard.past.get(name).filter(|_| !matches!(self.names, Names::Staged(_))) {
            past.show(name, self.include, entries);
        }
        match (&self.names, self.next) {
            (_, Some((_, Some(blob)))) => {
                entries.push(Entry::Blob(Shown {
                    name: name.into(),
                    blob: Box::new(blob.clone()),
                    origin: Origin::Current,
                    deleted_at: None,
                }));
            }
            (Names::Staged(_), _) => entries.push(Entry::Uncommitted(name.into())),
            _ => {}
        }
    }

    fn seek(&mut self, name: &str) {
        let map = match self.names {
            Names::Blobs(_) => Map::Blobs,
            Names::Staged(_) => Map::Staged,
            Names::Past(_) => Map::Past,
        };
        *self = Cursor::new(self.shard, self.include, map, name);
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

/// Cuts a page: its entries, and the name where the next one begins. The entries of one name are not split.
async fn page(container: &Container, ask: &Ask<'_>, include: Include) -> (Vec<Entry>, Option<String>) {
    let mut entries = Vec::new();
    let mut from = ask.from.clone();
    loop {
        let max = ask.max.min(entries.len() + CHUNK);
        let next = chunk(&container.lock_all(), ask, &from, max, include, &mut entries);
        match next {
            None => return (entries, None),
            Some(next) if entries.len() >= ask.max => return (entries, Some(next)),
            Some(next) => from = next,
        }
        // The other connections of this thread, and the threads that wait for the locks, have their turn.
        tokio::task::yield_now().await;
    }
}

/// Adds entries from a name on until there are `max`, and returns the name that comes then.
fn chunk(
    shards: &[impl std::ops::Deref<Target = Shard>],
    ask: &Ask<'_>,
    from: &str,
    max: usize,
    include: Include,
    entries: &mut Vec<Entry>,
) -> Option<String> {
    let cursors = |map: Map| shards.iter().map(move |s| Cursor::new(s, include, map, from));
    let mut all: Vec<Cursor<'_>> = cursors(Map::Blobs).collect();
    if include.uncommitted {
        all.extend(cursors(Map::Staged));
    }
    if include.versions || include.deleted {
        all.extend(cursors(Map::Past));
    }
    // The names at hand, smallest first, each with its cursor.
    let mut heads: std::collections::BTreeSet<(&str, usize)> =
        all.iter().enumerate().filter_map(|(i, c)| c.next.map(|(name, _)| (name, i))).collect();
    // The group that was listed last, and the name after it.
    let mut group: Option<(&str, Option<String>)> = None;
    let mut last: Option<&str> = None;
    while let Some((name, i)) = heads.pop_first() {
        if !name.starts_with(ask.prefix) {
            break;
        }
        let cursor = &mut all[i];
        if let Some((_, after)) = group.as_ref().filter(|(group, _)| name.starts_with(group)) {
            match after {
                Some(after) => cursor.seek(after),
                None => cursor.next = None,
            }
        } else {
            if entries.len() >= max && last != Some(name) {
                return Some(name.to_owned());
            }
            last = Some(name);
            let rest = &name[ask.prefix.len()..];
            let end = if ask.delimiter.is_empty() { None } else { rest.find(ask.delimiter) };
            if let Some(end) = end {
                let prefix = &name[..ask.prefix.len() + end + ask.delimiter.len()];
                entries.push(Entry::Prefix(prefix.into()));
                let after = after_prefix(prefix);
                match &after {
                    Some(after) => cursor.seek(after),
                    None => cursor.next = None,
                }
                group = Some((prefix, after));
            } else {
                cursor.take(name, entries);
                cursor.advance();
            }
        }
        heads.extend(cursor.next.map(|(name, _)| (name, i)));
    }
    None
}

pub(crate) async fn blobs(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let ask = Ask::read(rq)?;
    let include = Include::read(rq.target.query.get("include").unwrap_or(""));
    if include.snapshots && !ask.delimiter.is_empty() {
        return Err(INVALID_QUERY_PARAMETER_VALUE.query("delimiter", ask.delimiter).into());
    }
    let container = rq.container()?;
    if rq.target.query.get("showonly").is_some_and(|s| s.eq_ignore_ascii_case("deleted")) {
        // The service keeps this for accounts with a hierarchical namespace.
        return Ok(answer::xml(document(rq, &container, &ask, &[], None, include)));
    }
    let (entries, next) = page(&container, &ask, include).await;
    Ok(answer::xml(document(rq, &container, &ask, &entries, next.as_deref(), include)))
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
        let acl = container.acl();
        xml::element(&mut out, "Last-Modified", &time::http_date(acl.modified));
        xml::element(&mut out, "Etag", &etag(acl.modified));
        out.push_str("<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>");
        match acl.access {
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
}
