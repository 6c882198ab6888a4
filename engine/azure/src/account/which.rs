//! How a request names a state of a blob.

use azuring_store::Which;

/// The query parameters that name it.
pub(crate) fn query_of(which: Which<'_>) -> impl Iterator<Item = (&'static str, &str)> {
    let snapshot = which.snapshot.map(|snapshot| ("snapshot", snapshot));
    snapshot.into_iter().chain(which.version.map(|version| ("versionid", version)))
}
