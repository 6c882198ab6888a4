//! What a local file is called in the container: AzCopy's naming rules for copies from local to blob.
//!
//! | source | destination path | blob |
//! |---|---|---|
//! | `dir` | empty (the container) | `dir/rel` |
//! | `dir` | `path` or `path/` | `path/dir/rel` |
//! | `dir`, `--as-subdir=false` | `path` | `path/rel` |
//! | `dir/*` | `path` or `path/` | `path/rel` |
//! | `d*/x*` (a pattern) | `path` or `path/` | `path/` + the path below the literal root, `d1/x1/rel` |
//! | `file` | empty | `file` |
//! | `file` | `path/` | `path/file` |
//! | `file` | `path` | `path` |
//!
//! The destination path is what follows the container in the URL, percent-decoded, without its first `/`.

use crate::name::{blob_name, check, directory_prefix};
use crate::{NameError, PlanError};

/// What the source argument turned out to be. Names are the bytes of the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceShape<'a> {
    /// The argument is one file; a link counts as the file that it leads to.
    File {
        /// Its base name.
        name: &'a [u8],
    },
    /// A directory itself, `dir`.
    Directory {
        /// Its base name, resolved by the caller where the argument is `.`, `..` or ends in one; `None` for
        /// `/`, which has no name and is copied as its contents.
        name: Option<&'a [u8]>,
    },
    /// What a directory holds, `dir/*`.
    Contents,
    /// Whatever a pattern matches. Relative paths start below the pattern's literal root.
    Matches,
}

/// The options that take part in naming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamingOptions {
    /// `--recursive`: take everything below directories.
    pub recursive: bool,
    /// `--as-subdir` (default true): a directory is recreated under the destination.
    pub as_subdir: bool,
}

impl Default for NamingOptions {
    /// AzCopy's defaults: not recursive, as a subdirectory.
    fn default() -> Self {
        Self { recursive: false, as_subdir: true }
    }
}

/// The rule of one job: from a path below the source to a blob name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// One file, one name.
    Exact(String),
    /// Each name is this prefix (empty, or ending in `/`) and the relative path.
    Under(String),
}

impl Naming {
    /// Decides the rule for a source of shape `source` copied to `destination` inside the container.
    ///
    /// # Errors
    ///
    /// [`PlanError::DirectoryNotRecursive`], and [`PlanError::Name`] where the destination (or a source name
    /// that becomes part of every blob name) cannot be in a blob name.
    pub fn new(
        source: SourceShape<'_>,
        destination: &str,
        options: NamingOptions,
    ) -> Result<Self, PlanError> {
        let is_directory = destination.is_empty() || destination.ends_with('/');
        match source {
            SourceShape::File { .. } if !is_directory => {
                check(destination)?;
                Ok(Self::Exact(destination.to_owned()))
            }
            SourceShape::File { name } => Ok(Self::Exact(blob_name(destination, name)?)),
            SourceShape::Directory { .. } if !options.recursive => Err(PlanError::DirectoryNotRecursive),
            SourceShape::Directory { name: Some(name) } if options.as_subdir => {
                let mut prefix = blob_name(&directory(destination)?, name)?;
                prefix.push('/');
                Ok(Self::Under(prefix))
            }
            SourceShape::Directory { .. } | SourceShape::Contents | SourceShape::Matches => {
                Ok(Self::Under(directory(destination)?))
            }
        }
    }

    /// The blob name of the file at `relative`, `/`-separated, below the source. A single file has one name,
    /// whatever `relative` is.
    ///
    /// # Errors
    ///
    /// [`NameError`]: this object cannot be named; the others can.
    pub fn blob_name_for(&self, relative: &[u8]) -> Result<String, NameError> {
        match self {
            Self::Exact(name) => Ok(name.clone()),
            Self::Under(prefix) => blob_name(prefix, relative),
        }
    }
}

/// The destination as a prefix: empty, or ending in exactly the slashes it was given and at least one.
fn directory(destination: &str) -> Result<String, NameError> {
    if destination.is_empty() {
        return Ok(String::new());
    }
    check(destination)?;
    Ok(directory_prefix(destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECURSIVE: NamingOptions = NamingOptions { recursive: true, as_subdir: true };

    fn name(source: SourceShape<'_>, destination: &str, options: NamingOptions, relative: &[u8]) -> String {
        Naming::new(source, destination, options).unwrap().blob_name_for(relative).unwrap()
    }

    #[test]
    fn directory_keeps_its_name() {
        let dir = SourceShape::Directory { name: Some(b"dir") };
        assert_eq!(name(dir, "", RECURSIVE, b"a/b"), "dir/a/b");
        assert_eq!(name(dir, "path", RECURSIVE, b"a/b"), "path/dir/a/b");
        assert_eq!(name(dir, "path/", RECURSIVE, b"a/b"), "path/dir/a/b");
        assert_eq!(name(dir, "path//", RECURSIVE, b"a"), "path//dir/a");
        assert_eq!(name(dir, "/", RECURSIVE, b"a"), "/dir/a");
        let flat = NamingOptions { recursive: true, as_subdir: false };
        assert_eq!(name(dir, "path", flat, b"a/b"), "path/a/b");
        assert_eq!(name(dir, "", flat, b"a/b"), "a/b");
        // `/` has no name.
        assert_eq!(name(SourceShape::Directory { name: None }, "p", RECURSIVE, b"etc/x"), "p/etc/x");
    }

    #[test]
    fn directory_needs_recursive_with_azcopys_words() {
        let dir = SourceShape::Directory { name: Some(b"dir") };
        let error = Naming::new(dir, "", NamingOptions::default()).unwrap_err();
        assert_eq!(error, PlanError::DirectoryNotRecursive);
        assert_eq!(
            error.to_string(),
            "cannot use directory as source without --recursive or a trailing wildcard (/*)"
        );
    }

    #[test]
    fn contents_and_matches_go_straight_below() {
        for source in [SourceShape::Contents, SourceShape::Matches] {
            for options in [RECURSIVE, NamingOptions::default()] {
                assert_eq!(name(source, "", options, b"a/b"), "a/b");
                assert_eq!(name(source, "p", options, b"a/b"), "p/a/b");
                assert_eq!(name(source, "p/q/", options, b"a"), "p/q/a");
            }
        }
    }

    #[test]
    fn file_to_directory_or_to_exact_name() {
        let file = SourceShape::File { name: "ä b%#?+&'\"\n.txt".as_bytes() };
        let options = NamingOptions::default();
        assert_eq!(name(file, "", options, b""), "ä b%#?+&'\"\n.txt");
        assert_eq!(name(file, "p/", options, b""), "p/ä b%#?+&'\"\n.txt");
        assert_eq!(name(file, "p", options, b"ignored"), "p");
        assert_eq!(name(file, "p/q", options, b""), "p/q");
    }

    #[test]
    fn what_cannot_be_a_name_is_found_at_once() {
        let file = SourceShape::File { name: b"\xff" };
        let not_utf8 = NameError::NotUtf8 { escaped: "p/\\xff".into() };
        assert_eq!(Naming::new(file, "p/", RECURSIVE), Err(PlanError::Name(not_utf8)));
        // The source's name is not used where the destination names the blob.
        assert!(Naming::new(file, "p", RECURSIVE).is_ok());
        for source in [SourceShape::Contents, SourceShape::Directory { name: Some(b"d") }] {
            let error = PlanError::Name(NameError::DotSegment { name: "a/../b".into() });
            assert_eq!(Naming::new(source, "a/../b", RECURSIVE), Err(error));
        }
        let naming = Naming::new(SourceShape::Contents, "p", RECURSIVE).unwrap();
        assert!(matches!(naming.blob_name_for(b"\xff"), Err(NameError::NotUtf8 { .. })));
        assert_eq!(naming.blob_name_for(b"ok").as_deref(), Ok("p/ok"));
    }
}
