//! List Blobs and List Containers: pages in the order of the names.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::answer::{self, Answer, Failure};
use crate::auth::PublicAccess;
use crate::error::{INVALID_QUERY_PARAMETER_VALUE, OUT_OF_RANGE_QUERY_PARAMETER, Result};
use crate::lease::State;
use crate::list_xml::{document, endpoint, write_lease, write_metadata};
use crate::names::{Names, Order, after_prefix};
use crate::past::{Deleted, Past};
use crate::service::Rq;
use crate::store::{Blob, Container, Shard, Staged, etag};
use crate::target::is_system;
use crate::time;
use crate::xml;

/// Entries of a page, and the default.
pub(crate) const MAX_PAGE: usize = 5000;

/// What a page is cut from.
pub(crate) struct Ask<'q> {
    prefix: &'q str,
    delimiter: &'q str,
    marker: &'q str,
    /// The first name that may be listed, if it has the prefix.
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

pub(crate) fn read_marker(marker: &str) -> Option<String> {
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
    pub(crate) lease: State,
    /// When it was deleted softly, in ticks.
    pub(crate) deleted_at: Option<u64>,
}

/// Which blob of its name an entry is.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    Current,
    Snapshot(u64),
    Version,
    /// The newest version of a name without a blob.
    VersionOfNone,
}

/// What a listing shows beside the blobs and their properties.
#[derive(Clone, Copy, Default)]
pub(crate) struct Include {
    pub(crate) metadata: bool,
    pub(crate) tags: bool,
    pub(crate) copy: bool,
    uncommitted: bool,
    snapshots: bool,
    pub(crate) versions: bool,
    deleted: bool,
    /// Names that have versions and no blob, each by its newest version.
    deleted_with_versions: bool,
}

/// Reads a list of things to include, of which all have to be known.
fn included<'q>(text: &'q str, known: &[&str]) -> Result<Vec<&'q str>> {
    let all: Vec<&str> = text.split(',').map(str::trim).filter(|i| !i.is_empty()).collect();
    match all.iter().find(|i| !known.iter().any(|k| k.eq_ignore_ascii_case(i))) {
        Some(_) => Err(INVALID_QUERY_PARAMETER_VALUE.query("include", text)),
        None => Ok(all),
    }
}

impl Include {
    fn read(text: &str) -> Result<Include> {
        let all = included(
            text,
            &[
                "copy",
                "deleted",
                "deletedwithversions",
                "immutabilitypolicy",
                "legalhold",
                "metadata",
                "permissions",
                "snapshots",
                "tags",
                "uncommittedblobs",
                "versions",
            ],
        )?;
        let has = |what: &str| all.iter().any(|i| i.eq_ignore_ascii_case(what));
        Ok(Include {
            metadata: has("metadata"),
            tags: has("tags"),
            copy: has("copy"),
            uncommitted: has("uncommittedblobs"),
            snapshots: has("snapshots"),
            versions: has("versions"),
            deleted: has("deleted"),
            deleted_with_versions: has("deletedwithversions"),
        })
    }
}

impl Past {
    /// Whether there is something to show of a name without a blob.
    fn shows(&self, include: Include) -> bool {
        let deleted = &self.deleted;
        let any_deleted = deleted.blob.is_some()
            || (include.snapshots && !deleted.snapshots.is_empty())
            || (include.versions && !deleted.versions.is_empty());
        ((include.versions || include.deleted_with_versions) && !self.versions.is_empty())
            || (include.deleted && any_deleted)
    }

    /// Appends what is included: snapshots, versions, the deleted blob. `gone`: there is no blob of the name.
    fn show(&self, name: &str, gone: bool, include: Include, entries: &mut Vec<Entry>) {
        let shown = |blob: &Blob, origin, deleted_at| Shown {
            name: name.into(),
            blob: Box::new(blob.clone()),
            origin,
            lease: State::Available,
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
        } else if include.deleted_with_versions && gone {
            let newest = self.versions.iter().next_back();
            all.extend(newest.map(|(t, b)| (*t, shown(b, Origin::VersionOfNone, None))));
        }
        entries.extend(all.into_values().map(Entry::Blob));
        let blob = blob.iter().filter(|_| include.deleted);
        entries.extend(blob.map(|k| Entry::Blob(shown(&k.blob, Origin::Current, Some(k.at)))));
    }
}

/// A place in one shard.
struct Cursor<'s> {
    shard: &'s Shard,
    view: View,
    keys: Keys<'s>,
    next: Option<(&'s [u8], Option<&'s Blob>)>,
}

/// How a listing looks at the store.
#[derive(Clone, Copy)]
struct View {
    include: Include,
    order: Order,
    /// The time by which leases are judged, in ticks.
    now: u64,
}

enum Keys<'s> {
    Blobs(Range<'s, Box<[u8]>, Box<Blob>>),
    Staged(Range<'s, Box<[u8]>, Staged>),
    Past(Range<'s, Box<[u8]>, Past>),
}

/// Which of a shard's maps a cursor walks.
#[derive(Clone, Copy)]
enum Map {
    Blobs,
    Staged,
    /// Names without a blob, of which something is left.
    Past,
}

fn from<'m, V>(names: &'m Names<V>, key: &[u8]) -> Range<'m, Box<[u8]>, V> {
    names.by_key().range::<[u8], _>((Bound::Included(key), Bound::Unbounded))
}

impl<'s> Cursor<'s> {
    fn new(shard: &'s Shard, view: View, map: Map, key: &[u8]) -> Cursor<'s> {
        let keys = match map {
            Map::Blobs => Keys::Blobs(from(&shard.blobs, key)),
            Map::Staged => Keys::Staged(from(&shard.staged, key)),
            Map::Past => Keys::Past(from(&shard.past, key)),
        };
        let mut cursor = Cursor { shard, view, keys, next: None };
        cursor.advance();
        cursor
    }

    fn advance(&mut self) {
        let committed = self.shard.blobs.by_key();
        self.next = match &mut self.keys {
            Keys::Blobs(range) => range.next().map(|(key, blob)| (&**key, Some(&**blob))),
            // A name with a committed blob is listed as that.
            Keys::Staged(range) => {
                range.find(|(key, _)| !committed.contains_key(*key)).map(|(key, _)| (&**key, None))
            }
            Keys::Past(range) => range
                .find(|(key, past)| past.shows(self.view.include) && !committed.contains_key(*key))
                .map(|(key, _)| (&**key, None)),
        };
    }

    /// Appends the entries of the name at hand: snapshots, earlier versions, the blob itself.
    fn take(&self, key: &[u8], entries: &mut Vec<Entry>) {
        let name = &*self.view.order.name(key);
        let past = self.shard.past.by_key();
        if let Some(past) = past.get(key).filter(|_| !matches!(self.keys, Keys::Staged(_))) {
            past.show(name, self.next.is_some_and(|(_, blob)| blob.is_none()), self.view.include, entries);
        }
        match (&self.keys, self.next) {
            (_, Some((_, Some(blob)))) => {
                entries.push(Entry::Blob(Shown {
                    name: name.into(),
                    blob: Box::new(blob.clone()),
                    origin: Origin::Current,
                    lease: State::of(self.shard.leases.by_key().get(key), self.view.now),
                    deleted_at: None,
                }));
            }
            (Keys::Staged(_), _) => entries.push(Entry::Uncommitted(name.into())),
            _ => {}
        }
    }

    fn seek(&mut self, key: &[u8]) {
        let map = match self.keys {
            Keys::Blobs(_) => Map::Blobs,
            Keys::Staged(_) => Map::Staged,
            Keys::Past(_) => Map::Past,
        };
        *self = Cursor::new(self.shard, self.view, map, key);
    }
}

/// Cuts a page: its entries, and the name where the next one begins. The entries of one name are not split.
async fn page(container: &Container, ask: &Ask<'_>, view: View) -> (Vec<Entry>, Option<String>) {
    let mut entries = Vec::new();
    let (prefix, delimiter) = (view.order.key(ask.prefix), view.order.key(ask.delimiter));
    let mut from = view.order.key(&ask.from).max(prefix.clone()).into_owned();
    loop {
        let max = ask.max.min(entries.len() + CHUNK);
        let next = chunk(&container.lock_all(), (&prefix, &delimiter), &from, max, view, &mut entries);
        match next {
            None => return (entries, None),
            Some(next) if entries.len() >= ask.max => return (entries, Some(view.order.name(&next))),
            Some(next) => from = next,
        }
        // The other connections of this thread, and the threads that wait for the locks, have their turn.
        tokio::task::yield_now().await;
    }
}

/// Adds entries from a key on until there are `max`, and returns the key that comes then. All in keys, prefix and
/// delimiter too.
fn chunk(
    shards: &[impl std::ops::Deref<Target = Shard>],
    (prefix, delimiter): (&[u8], &[u8]),
    from: &[u8],
    max: usize,
    view: View,
    entries: &mut Vec<Entry>,
) -> Option<Vec<u8>> {
    let include = view.include;
    let cursors = |map: Map| shards.iter().map(move |s| Cursor::new(s, view, map, from));
    let mut all: Vec<Cursor<'_>> = cursors(Map::Blobs).collect();
    if include.uncommitted {
        all.extend(cursors(Map::Staged));
    }
    if include.versions || include.deleted || include.deleted_with_versions {
        all.extend(cursors(Map::Past));
    }
    // The keys at hand, smallest first, each with its cursor.
    let mut heads: std::collections::BTreeSet<(&[u8], usize)> =
        all.iter().enumerate().filter_map(|(i, c)| c.next.map(|(key, _)| (key, i))).collect();
    // The group that was listed last, and the key after it.
    let mut group: Option<(&[u8], Option<Vec<u8>>)> = None;
    let mut last: Option<&[u8]> = None;
    while let Some((key, i)) = heads.pop_first() {
        if !key.starts_with(prefix) {
            break;
        }
        let cursor = &mut all[i];
        if let Some((_, after)) = group.as_ref().filter(|(group, _)| key.starts_with(group)) {
            match after {
                Some(after) => cursor.seek(after),
                None => cursor.next = None,
            }
        } else {
            if entries.len() >= max && last != Some(key) {
                return Some(key.to_owned());
            }
            last = Some(key);
            let rest = &key[prefix.len()..];
            let end = if delimiter.is_empty() { None } else { memchr::memmem::find(rest, delimiter) };
            if let Some(end) = end {
                let prefix = &key[..prefix.len() + end + delimiter.len()];
                entries.push(Entry::Prefix(view.order.name(prefix).into()));
                let after = after_prefix(prefix);
                match &after {
                    Some(after) => cursor.seek(after),
                    None => cursor.next = None,
                }
                group = Some((prefix, after));
            } else {
                cursor.take(key, entries);
                cursor.advance();
            }
        }
        heads.extend(cursor.next.map(|(key, _)| (key, i)));
    }
    None
}

pub(crate) async fn blobs(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let ask = Ask::read(rq)?;
    let include = Include::read(rq.target.query.get("include").unwrap_or(""))?;
    if include.snapshots && !ask.delimiter.is_empty() {
        return Err(INVALID_QUERY_PARAMETER_VALUE.query("delimiter", ask.delimiter).into());
    }
    let container = rq.container()?;
    if rq.target.query.get("showonly").is_some_and(|s| s.eq_ignore_ascii_case("deleted")) {
        // The service keeps this for accounts with a hierarchical namespace.
        return Ok(answer::xml(document(rq, &container, &ask, &[], None, include)));
    }
    let view = View { include, order: container.order(), now: rq.shared.now() };
    let (entries, next) = page(&container, &ask, view).await;
    Ok(answer::xml(document(rq, &container, &ask, &entries, next.as_deref(), include)))
}

pub(crate) fn containers(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let ask = Ask::read(rq)?;
    let include = rq.target.query.get("include").unwrap_or("");
    let include = included(include, &["deleted", "metadata", "system"])?;
    let has = |what: &str| include.iter().any(|i| i.eq_ignore_ascii_case(what));
    let with_metadata = has("metadata");
    let mut found = rq.target.account.containers_from(&ask.from);
    found.retain(|c| c.name.starts_with(ask.prefix) && (has("system") || !is_system(&c.name)));
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
        let facts = container.facts();
        xml::element(&mut out, "Last-Modified", &time::http_date(facts.modified));
        xml::element(&mut out, "Etag", &etag(facts.modified));
        write_lease(&mut out, State::of(facts.lease.as_ref(), rq.shared.now()));
        match facts.access {
            PublicAccess::None => {}
            PublicAccess::Blob => xml::element(&mut out, "PublicAccess", "blob"),
            PublicAccess::Container => xml::element(&mut out, "PublicAccess", "container"),
        }
        xml::element(&mut out, "DefaultEncryptionScope", facts.scopes.shown());
        let deny = if facts.scopes.deny_override { "true" } else { "false" };
        xml::element(&mut out, "DenyEncryptionScopeOverride", deny);
        out.push_str(
            "<HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold>",
        );
        out.push_str("<ImmutableStorageWithVersioningEnabled>false</ImmutableStorageWithVersioningEnabled>");
        out.push_str("</Properties>");
        if with_metadata {
            write_metadata(&mut out, &facts.metadata);
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
    fn markers_are_read_back() {
        let marker = write_marker("dir/ä+&b");
        assert_eq!(read_marker(&marker).as_deref(), Some("dir/ä+&b"));
        assert_eq!(read_marker("dir"), None);
    }
}
