//! The state of a blob that a URL or a request names.

/// Which state of a blob is meant: by default the current one. A snapshot and a version exclude each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which<'a> {
    /// A snapshot, by its time as the service writes it.
    pub snapshot: Option<&'a str>,
    /// A version, by its id.
    pub version: Option<&'a str>,
}

impl<'a> Which<'a> {
    /// The query parameters that name it.
    pub(crate) fn query(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let snapshot = self.snapshot.map(|snapshot| ("snapshot", snapshot));
        snapshot.into_iter().chain(self.version.map(|version| ("versionid", version)))
    }
}
