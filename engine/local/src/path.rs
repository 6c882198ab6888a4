//! A path below the root of a walk.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use azuring_plan::name::escape;

/// A path relative to the root of a walk: bytes, `/`-separated, no leading or trailing `/`; empty for the root itself,
/// which a walk never gives out.
///
/// One allocation of exactly its length (16 bytes beside it). A shared directory prefix would save the copy
/// but not be contiguous, and keep the prefix, or the whole listing, alive as long as any path of it.
///
/// `Ord` is the byte order, the order of the walk. `Display` stays on one line: control characters and bytes
/// that are not UTF-8 as `\xNN`, a backslash doubled.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// A path from its bytes, which must be as the type says.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        debug_assert!(bytes.first() != Some(&b'/') && bytes.last() != Some(&b'/'));
        Self(bytes)
    }

    pub(crate) fn join(prefix: &[u8], name: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(prefix.len() + name.len());
        bytes.extend_from_slice(prefix);
        bytes.extend_from_slice(name);
        Self(bytes.into_boxed_slice())
    }

    /// The bytes as the file system has them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as a [`Path`].
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or(&self.0)
    }

    /// The bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Box<[u8]> {
        self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({self})")
    }
}

impl AsRef<Path> for RelPath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_bytes_and_shows_one_line() {
        let path = RelPath::join(b"d \xff/", "ü\n\\%#?".as_bytes());
        assert_eq!(path.as_bytes(), b"d \xff/\xc3\xbc\n\\%#?");
        assert_eq!(path.to_string(), "d \\xff/ü\\n\\\\%#?");
        assert_eq!(path.file_name(), "ü\n\\%#?".as_bytes());
        assert_eq!(RelPath::new(&b"a"[..]).file_name(), b"a");
        assert_eq!(path.as_path().as_os_str().as_bytes(), path.as_bytes());
    }

    #[test]
    fn order_is_byte_order() {
        let mut paths: Vec<_> = ["a0", "a/x", "a.txt", "a-b", "a"].map(|p| RelPath::new(p.as_bytes())).into();
        paths.sort();
        assert_eq!(paths, ["a", "a-b", "a.txt", "a/x", "a0"].map(|p| RelPath::new(p.as_bytes())));
    }
}
