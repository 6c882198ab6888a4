//! The state of an object that a URL or a request names.

/// Which state of a blob is meant: by default the current one. A snapshot and a version exclude each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which<'a> {
    /// A snapshot, by its time as the service writes it.
    pub snapshot: Option<&'a str>,
    /// A version, by its id.
    pub version: Option<&'a str>,
}
