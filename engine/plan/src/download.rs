//! What a blob is called on the local file system: AzCopy's naming rules for copies from blob to local, the reverse
//! of [`crate::destination`].
//!
//! | source in the container | local destination | file |
//! |---|---|---|
//! | empty (the container `cont`) | `dst` | `dst/cont/rel` |
//! | `dir` | `dst` | `dst/dir/rel` |
//! | either, `--as-subdir=false` | `dst` | `dst/rel` |
//! | `*`, `dir/*` | `dst` | `dst/rel` |
//! | the blob `a/b.txt` | `dst/`, or a directory `dst` | `dst/b.txt` |
//! | the blob `a/b.txt` | `dst`, not a directory | `dst` |
//!
//! # What can be a local name
//!
//! Blob names are anybody's text, so a [`LocalName`] is made of segments that cannot lead anywhere else: joined to any
//! directory it stays below it. Names that the local file system cannot hold are refused, not changed, with one
//! exception that is AzCopy's: empty segments disappear (`/a//b` becomes `a/b`), since no file system has them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::destination::NamingOptions;
use crate::name::{directory_prefix, escape};
use crate::{NameError, PlanError};

/// Longest segment in bytes (`NAME_MAX` of Linux file systems).
pub const MAX_SEGMENT_BYTES: usize = 255;
/// Longest local name in bytes, below the target's root (`PATH_MAX` without its zero byte).
pub const MAX_PATH_BYTES: usize = 4_095;

/// The path of a source URL after the container, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemotePath {
    /// No path: the container itself.
    Container,
    /// `*` or `dir/*`: what is below the prefix (empty, or ending in `/`).
    Contents {
        /// Names of the blobs meant begin with this.
        prefix: String,
    },
    /// Anything else: a blob, or a directory; the service knows. One that ends in `/` can only be a directory.
    Object {
        /// The name, or the directory's with the slashes that were given.
        name: String,
    },
}

impl RemotePath {
    /// Takes the percent-encoded path after the container and its `/` apart. `*` is a wildcard, `%2A` a character.
    ///
    /// # Errors
    ///
    /// [`PlanError::WildcardInUrl`]; [`PlanError::Name`] for what is not UTF-8 after decoding.
    pub fn parse(raw_path: &str) -> Result<Self, PlanError> {
        let contents = match raw_path.strip_suffix('*') {
            // The slash stays in the prefix; before `//*` so do both, as in AzCopy.
            Some(prefix) if prefix.is_empty() || prefix.ends_with('/') => Some(prefix),
            _ => None,
        };
        let literal = contents.unwrap_or(raw_path);
        if literal.contains('*') {
            return Err(PlanError::WildcardInUrl);
        }
        let name = match percent_decode_str(literal).decode_utf8() {
            Ok(name) => name.into_owned(),
            Err(_) => {
                let bytes: Cow<'_, [u8]> = percent_decode_str(literal).into();
                return Err(NameError::NotUtf8 { escaped: escape(&bytes) }.into());
            }
        };
        Ok(match contents {
            Some(_) => Self::Contents { prefix: name },
            None if name.is_empty() => Self::Container,
            None => Self::Object { name },
        })
    }
}

/// What the source turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteShape<'a> {
    /// The URL names one blob.
    Blob {
        /// Its whole name in the container, decoded.
        name: &'a str,
    },
    /// A directory itself: the blobs whose names begin with its [`directory_prefix`].
    Directory {
        /// Its name, with the slashes that were given.
        prefix: &'a str,
    },
    /// What a directory or a container holds.
    Contents {
        /// Empty, or ending in `/`.
        prefix: &'a str,
    },
    /// A container itself.
    Container {
        /// Name of the container.
        name: &'a str,
    },
}

/// What the local destination is, as far as names depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalDestination<'a> {
    /// A directory that exists, or a path that ends in `/`.
    Directory,
    /// Any other path: for one blob the file itself; for more it becomes a directory.
    Path {
        /// Its last segment.
        file_name: &'a [u8],
    },
}

/// Where the names of a job start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRoot {
    /// In the destination itself, which is a directory.
    Destination,
    /// In the directory that holds the destination, which is a file.
    Parent,
}

/// The rule of one job: from a blob name to a local one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadNaming {
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// One blob, one name.
    Exact { name: LocalName, root: TargetRoot },
    /// Each name without `strip` (empty, or ending in `/`), below `below` (the same).
    Under { strip: String, below: String },
}

/// A rule of names in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadRule {
    /// One blob, one name.
    Exact {
        /// The name, without a slash at its end.
        name: Vec<u8>,
        /// The blob is a stub, and becomes a directory.
        is_directory: bool,
        /// Where it starts.
        root: TargetRoot,
    },
    /// Each name without `strip` (empty, or ending in `/`), below `below` (the same).
    Under {
        /// What is left out of each name.
        strip: String,
        /// What is put before it.
        below: String,
    },
}

impl DownloadNaming {
    /// Decides the rule for a source of shape `source` copied to `destination`.
    ///
    /// # Errors
    ///
    /// [`PlanError::DirectoryNotRecursive`]; [`PlanError::Name`] where the one blob, or the directory that would hold
    /// everything, has no local name.
    pub fn new(
        source: RemoteShape<'_>,
        destination: LocalDestination<'_>,
        options: NamingOptions,
    ) -> Result<Self, PlanError> {
        let rule = match source {
            RemoteShape::Blob { name } => match destination {
                LocalDestination::Path { file_name } => {
                    Rule::Exact { name: LocalName::new(file_name)?, root: TargetRoot::Parent }
                }
                LocalDestination::Directory => Rule::Exact {
                    name: LocalName::new(base(name).as_bytes())?,
                    root: TargetRoot::Destination,
                },
            },
            RemoteShape::Contents { prefix } => {
                Rule::Under { strip: prefix.to_owned(), below: String::new() }
            }
            RemoteShape::Directory { .. } | RemoteShape::Container { .. } if !options.recursive => {
                return Err(PlanError::DirectoryNotRecursive);
            }
            RemoteShape::Directory { prefix } => {
                let below = if options.as_subdir { holder(base(prefix))? } else { String::new() };
                Rule::Under { strip: directory_prefix(prefix), below }
            }
            RemoteShape::Container { name } => {
                let below = if options.as_subdir { holder(name)? } else { String::new() };
                Rule::Under { strip: String::new(), below }
            }
        };
        Ok(Self { rule })
    }

    /// The rule in words that can be kept; [`DownloadNaming::of_rule`] takes them.
    #[must_use]
    pub fn rule(&self) -> DownloadRule {
        match &self.rule {
            Rule::Exact { name, root } => DownloadRule::Exact {
                name: name.as_bytes().to_vec(),
                is_directory: name.is_directory(),
                root: *root,
            },
            Rule::Under { strip, below } => {
                DownloadRule::Under { strip: strip.clone(), below: below.clone() }
            }
        }
    }

    /// The rule of these words.
    ///
    /// # Errors
    ///
    /// [`NameError`]: the one name leads out of the target, or is none.
    pub fn of_rule(rule: DownloadRule) -> Result<Self, NameError> {
        let rule = match rule {
            DownloadRule::Exact { mut name, is_directory, root } => {
                if is_directory {
                    name.push(b'/');
                }
                Rule::Exact { name: LocalName::new(&name)?, root }
            }
            // Each name that is made of it is looked at by itself.
            DownloadRule::Under { strip, below } => Rule::Under { strip, below },
        };
        Ok(Self { rule })
    }

    /// Where the names that [`DownloadNaming::local_name_for`] gives start.
    #[must_use]
    pub fn root(&self) -> TargetRoot {
        match self.rule {
            Rule::Exact { root, .. } => root,
            Rule::Under { .. } => TargetRoot::Destination,
        }
    }

    /// The local name of a blob. A single blob has one name, whatever `blob_name` is.
    ///
    /// A stub of the directory that is copied itself (a blob called `dir` beside `dir/x`) is the directory that holds
    /// everything, or with `--as-subdir=false` [`NameError::Empty`].
    ///
    /// # Errors
    ///
    /// [`NameError`]: this object cannot be named; the others can.
    pub fn local_name_for(&self, blob_name: &str) -> Result<LocalName, NameError> {
        match &self.rule {
            Rule::Exact { name, .. } => Ok(name.clone()),
            Rule::Under { strip, below } => {
                let relative = if Some(blob_name) == strip.strip_suffix('/') {
                    ""
                } else {
                    blob_name.strip_prefix(strip.as_str()).ok_or_else(|| NameError::NotBelow {
                        name: escape(blob_name.as_bytes()),
                        prefix: escape(strip.as_bytes()),
                    })?
                };
                LocalName::new([below.as_bytes(), relative.as_bytes()].concat().as_slice())
            }
        }
    }
}

/// The last segment of a name, slashes at its end left out.
fn base(name: &str) -> &str {
    name.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// `name/`, or nothing for a name without a segment.
fn holder(name: &str) -> Result<String, NameError> {
    match LocalName::new(name.as_bytes()) {
        Ok(_) => Ok(format!("{name}/")),
        Err(NameError::Empty) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// A path below the root of a target that cannot leave it: `/`-separated segments, none of them empty, `.` or `..`,
/// without zero bytes, of at most [`MAX_SEGMENT_BYTES`] each and [`MAX_PATH_BYTES`] together. At least one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalName {
    bytes: Box<[u8]>,
    directory: bool,
}

impl LocalName {
    /// Makes a local name; empty segments disappear, and a `/` at the end says that it is a directory's.
    ///
    /// # Errors
    ///
    /// [`NameError::NotLocal`], and [`NameError::Empty`] where no segment is left.
    pub fn new(name: &[u8]) -> Result<Self, NameError> {
        let mut bytes = Vec::with_capacity(name.len());
        for segment in name.split(|&b| b == b'/').filter(|segment| !segment.is_empty()) {
            let refused = match segment {
                b"." | b".." => Some("it has a segment \".\" or \"..\""),
                segment if segment.contains(&0) => Some("it contains a zero byte"),
                segment if segment.len() > MAX_SEGMENT_BYTES => Some("a segment is longer than 255 bytes"),
                _ => None,
            };
            if let Some(reason) = refused {
                return Err(not_local(name, reason));
            }
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(segment);
        }
        if bytes.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > MAX_PATH_BYTES {
            return Err(not_local(name, "it is longer than 4095 bytes"));
        }
        Ok(Self { bytes: bytes.into_boxed_slice(), directory: name.last() == Some(&b'/') })
    }

    /// The bytes, without a `/` at either end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the name ended in `/`: there is a directory to be made, not a file.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.directory
    }

    /// The last segment.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.bytes.rsplit(|&b| b == b'/').next().unwrap_or(&self.bytes)
    }

    /// The path of the directory that holds it, without a `/` at either end; empty for the root.
    #[must_use]
    pub fn parent(&self) -> &[u8] {
        let end = self.bytes.iter().rposition(|&b| b == b'/').unwrap_or(0);
        &self.bytes[..end]
    }
}

fn not_local(name: &[u8], reason: &'static str) -> NameError {
    NameError::NotLocal { name: escape(&name[..name.len().min(64)]), reason }
}

#[cfg(test)]
mod tests;
