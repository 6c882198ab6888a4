//! Snapshot Blob and Delete Blob: what becomes of a name's past.

use http::{HeaderValue, StatusCode};

use crate::answer::{self, Answer, Failure};
use crate::auth;
use crate::change::{changed, readable};
use crate::conditions::Conditions;
use crate::encryption::Encryption;
use crate::error::{
    AUTHORIZATION_PERMISSION_MISMATCH, BLOB_NOT_FOUND, BLOB_SNAPSHOT_NOT_SOFT_DELETED, INVALID_HEADER_VALUE,
    INVALID_QUERY_PARAMETER_VALUE, OPERATION_NOT_ALLOWED_ON_ROOT_BLOB, Result, SNAPSHOTS_PRESENT,
};
use crate::headers::{self, nonempty};
use crate::past::Which;
use crate::properties::metadata;
use crate::service::Rq;
use crate::store::{Blob, Shard, Staged};
use crate::time;

pub(crate) fn snapshot(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let encryption = Encryption::read(rq.parts)?;
    let metadata = metadata(rq.parts, rq.metadata_names)?;
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let mut blob = readable(rq, &shard, &conditions, &encryption)?.clone();
    let tick = rq.shared.clock.tick();
    if !metadata.is_empty() {
        // A snapshot with metadata of its own is no longer the same as its blob.
        let mut props = (*blob.props).clone();
        props.metadata = metadata;
        blob.props = shard.intern(props);
        blob.modified = tick;
    }
    let mut answer = changed(StatusCode::CREATED, blob.modified, &blob.props);
    answer::set(&mut answer, headers::SNAPSHOT, &time::iso(tick));
    shard.past.or_default(name).snapshots.insert(tick, Box::new(blob));
    Ok(answer)
}

/// What Delete Blob takes away for good; dropped after the lock, because it may be gigabytes.
#[derive(Default)]
struct Dropped {
    _blobs: Vec<Blob>,
    _staged: Option<Staged>,
}

impl From<Option<Box<Blob>>> for Dropped {
    fn from(blob: Option<Box<Blob>>) -> Self {
        Dropped { _blobs: blob.into_iter().map(|blob| *blob).collect(), _staged: None }
    }
}

/// Whether the SAS allows this kind of deletion: `d` for blobs and snapshots, `x` for versions, `y` for good.
fn check_permission(rq: &Rq<'_>, which: Which, permanent: bool) -> Result<()> {
    let letter = match which {
        _ if permanent => b'y',
        Which::Version(_) => b'x',
        Which::Current | Which::Snapshot(_) => b'd',
    };
    if auth::may(&rq.grant, letter) { Ok(()) } else { Err(AUTHORIZATION_PERMISSION_MISMATCH.into()) }
}

pub(crate) fn delete(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let conditions = Conditions::read(rq.parts)?;
    let which = Which::read(&rq.target.query)?;
    let permanent = match rq.target.query.get("deletetype") {
        None => false,
        Some(kind) if kind.eq_ignore_ascii_case("permanent") => true,
        Some(kind) => return Err(INVALID_QUERY_PARAMETER_VALUE.query("deletetype", kind).into()),
    };
    check_permission(rq, which, permanent)?;
    let snapshots = nonempty(rq.parts, "x-ms-delete-snapshots");
    if let Some(what) = snapshots
        && (!matches!(what, "include" | "only") || which != Which::Current)
    {
        return Err(INVALID_HEADER_VALUE.header("x-ms-delete-snapshots", what).into());
    }
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let at = rq.shared.deletion();
    let _dropped = {
        let mut shard = container.shard(name);
        if permanent {
            purge(rq, &mut shard, name, which, &conditions)?
        } else {
            let blob = shard.find(name, which)?;
            conditions.check_change(blob)?;
            shard.check_write_lease(rq, which)?;
            match which {
                Which::Current => delete_current(&mut shard, name, snapshots, at)?,
                Which::Snapshot(tick) => {
                    let past = shard.past.get_mut(name).ok_or(BLOB_NOT_FOUND)?;
                    let snapshot = past.snapshots.remove(&tick).ok_or(BLOB_NOT_FOUND)?;
                    shard.discard(name, which, snapshot, at).into()
                }
                Which::Version(tick) => {
                    let past = shard.past.get_mut(name).ok_or(OPERATION_NOT_ALLOWED_ON_ROOT_BLOB)?;
                    let version = past.versions.remove(&tick).ok_or(OPERATION_NOT_ALLOWED_ON_ROOT_BLOB)?;
                    shard.discard(name, which, version, at).into()
                }
            }
        }
    };
    container.shard(name).tidy(name);
    let mut answer = answer::empty(StatusCode::ACCEPTED);
    let for_good = if permanent || at.is_none() { "true" } else { "false" };
    answer.headers_mut().insert(headers::DELETE_PERMANENT, HeaderValue::from_static(for_good));
    Ok(answer)
}

/// Takes away for good a snapshot or version that is deleted softly already; nothing else goes this way.
fn purge(
    rq: &Rq<'_>,
    shard: &mut Shard,
    name: &str,
    which: Which,
    conditions: &Conditions<'_>,
) -> Result<Dropped> {
    if which == Which::Current {
        return Err(BLOB_SNAPSHOT_NOT_SOFT_DELETED.into());
    }
    let Some(kept) = shard.past.get(name).and_then(|past| past.deleted.get(which)) else {
        shard.find(name, which)?;
        return Err(BLOB_SNAPSHOT_NOT_SOFT_DELETED.into());
    };
    conditions.check_change(&*kept.blob)?;
    shard.check_read_lease(rq, which)?;
    let kept = shard.past.get_mut(name).and_then(|past| past.deleted.remove(which));
    Ok(kept.map(|kept| kept.blob).into())
}

fn delete_current(
    shard: &mut Shard,
    name: &str,
    snapshots: Option<&str>,
    at: Option<u64>,
) -> Result<Dropped> {
    let mut blobs = Vec::new();
    if let Some(past) = shard.past.get_mut(name).filter(|p| !p.snapshots.is_empty()) {
        if snapshots.is_none() {
            return Err(SNAPSHOTS_PRESENT.into());
        }
        for (tick, snapshot) in std::mem::take(&mut past.snapshots) {
            blobs.extend(shard.discard(name, Which::Snapshot(tick), snapshot, at).map(|blob| *blob));
        }
    }
    if snapshots == Some("only") {
        return Ok(Dropped { _blobs: blobs, _staged: None });
    }
    shard.leases.remove(name);
    if let Some(old) = shard.blobs.remove(name)
        && let Some(old) = shard.retire(name, old)
    {
        blobs.extend(shard.discard(name, Which::Current, old, at).map(|blob| *blob));
    }
    Ok(Dropped { _blobs: blobs, _staged: shard.staged.remove(name) })
}

/// Brings back what was deleted softly of a name: the blob, where there is none, and its snapshots and versions.
/// <https://learn.microsoft.com/rest/api/storageservices/undelete-blob>
pub(crate) fn undelete(rq: &Rq<'_>) -> std::result::Result<Answer, Failure> {
    let container = rq.container()?;
    let (_, name) = rq.target.names();
    let mut shard = container.shard(name);
    let deleted = shard.past.get_mut(name).map(|past| std::mem::take(&mut past.deleted));
    let there = shard.blobs.get(name).is_some();
    let Some(deleted) = deleted.filter(|deleted| !deleted.is_empty()) else {
        // Nothing of it is deleted: that is no error, unless there is nothing at all.
        return if there { Ok(answer::empty(StatusCode::OK)) } else { Err(BLOB_NOT_FOUND.into()) };
    };
    let past = shard.past.or_default(name);
    past.snapshots.extend(deleted.snapshots.into_iter().map(|(tick, kept)| (tick, kept.blob)));
    past.versions.extend(deleted.versions.into_iter().map(|(tick, kept)| (tick, kept.blob)));
    match deleted.blob {
        Some(kept) if !there => drop(shard.blobs.insert(name, kept.blob)),
        kept => shard.past.or_default(name).deleted.blob = kept,
    }
    shard.tidy(name);
    Ok(answer::empty(StatusCode::OK))
}
