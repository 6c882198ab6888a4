//! Snapshots, earlier versions, and what was deleted softly: which of them a request names, and where they are kept.

use std::collections::BTreeMap;

use crate::error::{BLOB_NOT_FOUND, INVALID_QUERY_PARAMETER_VALUE, Result};
use crate::store::{Blob, Shard};
use crate::target::Query;
use crate::time;

/// What is kept of one name beside the blob itself.
#[derive(Default)]
pub(crate) struct Past {
    /// By the time of the snapshot.
    pub(crate) snapshots: BTreeMap<u64, Box<Blob>>,
    /// By version id; the current version is not among them.
    pub(crate) versions: BTreeMap<u64, Box<Blob>>,
    pub(crate) deleted: Deleted,
}

/// What was deleted and is kept for the retention period: listed when that is asked for, and never read.
#[derive(Default)]
pub(crate) struct Deleted {
    /// The blob itself; where versions are kept it becomes one of them instead.
    pub(crate) blob: Option<Kept>,
    pub(crate) snapshots: BTreeMap<u64, Kept>,
    pub(crate) versions: BTreeMap<u64, Kept>,
}

/// A blob, snapshot or version that was deleted softly.
pub(crate) struct Kept {
    pub(crate) blob: Box<Blob>,
    /// When it was deleted, in ticks.
    pub(crate) at: u64,
}

impl Past {
    fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.versions.is_empty() && self.deleted.is_empty()
    }
}

impl Deleted {
    pub(crate) fn is_empty(&self) -> bool {
        self.blob.is_none() && self.snapshots.is_empty() && self.versions.is_empty()
    }

    /// The snapshot or version that is meant.
    pub(crate) fn get(&self, which: Which) -> Option<&Kept> {
        match which {
            Which::Current => self.blob.as_ref(),
            Which::Snapshot(tick) => self.snapshots.get(&tick),
            Which::Version(tick) => self.versions.get(&tick),
        }
    }

    pub(crate) fn remove(&mut self, which: Which) -> Option<Kept> {
        match which {
            Which::Current => self.blob.take(),
            Which::Snapshot(tick) => self.snapshots.remove(&tick),
            Which::Version(tick) => self.versions.remove(&tick),
        }
    }

    fn insert(&mut self, which: Which, kept: Kept) {
        match which {
            Which::Current => self.blob = Some(kept),
            Which::Snapshot(tick) => drop(self.snapshots.insert(tick, kept)),
            Which::Version(tick) => drop(self.versions.insert(tick, kept)),
        }
    }
}

/// Which blob of a name is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The blob itself, which is the current version.
    Current,
    Snapshot(u64),
    Version(u64),
}

impl Which {
    /// Reads `snapshot` and `versionid`, of which a request may have one.
    pub(crate) fn read(query: &Query<'_>) -> Result<Which> {
        let (snapshot, version) = (query.get("snapshot"), query.get("versionid"));
        let (name, text) = match (snapshot, version) {
            (None, None) => return Ok(Which::Current),
            (Some(text), None) => ("snapshot", text),
            (_, Some(text)) => ("versionid", text),
        };
        match (time::parse_iso(text), snapshot.is_some(), version.is_some()) {
            (Some(tick), true, false) => Ok(Which::Snapshot(tick)),
            (Some(tick), false, true) => Ok(Which::Version(tick)),
            _ => Err(INVALID_QUERY_PARAMETER_VALUE.query(name, text)),
        }
    }
}

impl Shard {
    /// The blob that is meant.
    pub(crate) fn find(&self, name: &str, which: Which) -> Result<&Blob> {
        let current = self.blobs.get(name);
        let past = || self.past.get(name);
        let found = match which {
            Which::Current => current,
            Which::Snapshot(tick) => past().and_then(|p| p.snapshots.get(&tick)),
            Which::Version(tick) => {
                let current = current.filter(|b| b.props.rare().version == tick);
                current.or_else(|| past().and_then(|p| p.versions.get(&tick)))
            }
        };
        found.map(|b| &**b).ok_or_else(|| BLOB_NOT_FOUND.into())
    }

    /// The blob that is meant, to be changed in place.
    pub(crate) fn find_mut(&mut self, name: &str, which: Which) -> Result<&mut Blob> {
        let current = self.blobs.get_mut(name);
        let past = self.past.get_mut(name);
        let found = match which {
            Which::Current => current,
            Which::Snapshot(tick) => past.and_then(|p| p.snapshots.get_mut(&tick)),
            Which::Version(tick) => {
                let current = current.filter(|b| b.props.rare().version == tick);
                current.or_else(|| past.and_then(|p| p.versions.get_mut(&tick)))
            }
        };
        found.map(|b| &mut **b).ok_or_else(|| BLOB_NOT_FOUND.into())
    }

    /// Puts a blob in the place of the current one, which becomes an earlier version when it has an id. Otherwise it
    /// is returned, to be dropped after the lock: it may be gigabytes.
    pub(crate) fn replace(&mut self, name: &str, blob: Box<Blob>) -> Option<Box<Blob>> {
        let old = self.blobs.insert(name, blob)?;
        self.retire(name, old)
    }

    /// As [`replace`](Self::replace) for new content: with soft delete, from `at` on, a deleted snapshot keeps the blob
    /// as it was. So it does for a deleted blob of the same type.
    /// <https://learn.microsoft.com/azure/storage/blobs/soft-delete-blob-overview>
    pub(crate) fn overwrite(&mut self, name: &str, blob: Box<Blob>, at: Option<u64>) -> Option<Box<Blob>> {
        let kind = blob.props.rare().kind;
        let old = self.replace(name, blob);
        let deleted = self.past.get_mut(name).and_then(|past| past.deleted.blob.take());
        let same = deleted.map(|kept| kept.blob).filter(|blob| blob.props.rare().kind == kind);
        match (old.or(same), at) {
            (Some(old), Some(at)) => self.discard(name, Which::Snapshot(at), old, Some(at)),
            (old, _) => old,
        }
    }

    /// Keeps as deleted since `at` what was taken out of its place. Without a time it is returned, to be dropped after
    /// the lock.
    pub(crate) fn discard(
        &mut self,
        name: &str,
        which: Which,
        blob: Box<Blob>,
        at: Option<u64>,
    ) -> Option<Box<Blob>> {
        let Some(at) = at else { return Some(blob) };
        self.past.or_default(name).deleted.insert(which, Kept { blob, at });
        None
    }

    /// Makes what was the current version an earlier one, when it has an id.
    pub(crate) fn retire(&mut self, name: &str, old: Box<Blob>) -> Option<Box<Blob>> {
        match old.props.rare().version {
            0 => Some(old),
            version => self.past.or_default(name).versions.insert(version, old),
        }
    }

    /// Forgets a name that has no past left.
    pub(crate) fn tidy(&mut self, name: &str) {
        if self.past.get(name).is_some_and(Past::is_empty) {
            self.past.remove(name);
        }
    }
}
