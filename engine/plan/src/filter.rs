//! Which objects of a source take part: AzCopy's `--include-*` and `--exclude-*`.
//!
//! Several items of one flag are separated by `;`; empty items are nothing. All kinds of `--include-*` that are given
//! must agree, of one kind one item is enough, and any `--exclude-*` wins.
//!
//! | flag | an item is | looked at |
//! |---|---|---|
//! | `pattern` | a pattern of Go's `path.Match` ([`Glob`]) | the last segment |
//! | `path` | a relative path, no wildcards | the whole relative path, at `/` boundaries: `foo` covers `foo` and `foo/x`, not `foobar` |
//! | `regex` | a Go regular expression, unanchored | the whole relative path |
//! | `after`, `before` | a time, inclusive | the time of last modification |
//! | `blob-type` | a [`BlobType`] | the object's type |
//!
//! AzCopy differs in two points, deliberately not copied: its paths are prefixes of the text (`foo` covers
//! `foobar`), and what it cannot read as a pattern or expression it ignores; here that is an error.

use std::cmp::Ordering;

use regex::bytes::Regex;

use crate::blob_type::BlobType;
use crate::go_regex;
use crate::name::escape;
use crate::source::Glob;
use crate::{PlanError, error::BadFilter};

crate::growing! {
    /// The filters of a command line, each as the user wrote it. `None` is no filter; several words are separated by
    /// `;`.
    #[derive(Debug, Clone, PartialEq, Eq, Default)]
    #[non_exhaustive]
    pub struct FilterSpec {
        /// `--include-pattern`: only files whose last segment matches.
        pub include_pattern: Option<String>,
        /// `--exclude-pattern`: no files whose last segment matches.
        pub exclude_pattern: Option<String>,
        /// `--include-path`: only these relative paths and what is below them.
        pub include_path: Option<String>,
        /// `--exclude-path`: not these relative paths, nor what is below them.
        pub exclude_path: Option<String>,
        /// `--include-regex`: only files whose relative path matches (RE2).
        pub include_regex: Option<String>,
        /// `--exclude-regex`: no files whose relative path matches (RE2).
        pub exclude_regex: Option<String>,
        /// `--include-after`: the earliest time that passes, ns since 1970.
        pub include_after_ns: Option<i128>,
        /// `--include-before`: the latest time that passes, ns since 1970.
        pub include_before_ns: Option<i128>,
        /// `--exclude-blob-type`, parsed: no blobs of these types.
        pub exclude_blob_types: Vec<BlobType>,
    }
}

impl FilterSpec {
    /// What of it can never match, or never pass, one line for a person each: it is understood, and hardly meant so.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let patterns = [("include", &self.include_pattern), ("exclude", &self.exclude_pattern)];
        for (flag, text) in patterns {
            for item in items(text.as_deref()).filter(|item| item.contains('/')) {
                let item = escape(item.as_bytes());
                doubts.push(format!(
                    "--{flag}-pattern: {item} matches nothing, since a name has no `/`: use --{flag}-path, or --{flag}-regex"
                ));
            }
        }
        for (flag, text) in [("include", &self.include_path), ("exclude", &self.exclude_path)] {
            for item in items(text.as_deref()).filter(|item| item.contains(['*', '?'])) {
                let item = escape(item.as_bytes());
                doubts.push(format!(
                    "--{flag}-path: {item} stands for itself, a path has no wildcards: use --{flag}-pattern, or --{flag}-regex"
                ));
            }
        }
        let excluded: Vec<_> = items(self.exclude_pattern.as_deref()).collect();
        for item in items(self.include_pattern.as_deref()).filter(|item| excluded.contains(item)) {
            doubts.push(format!(
                "{} is included and excluded by its pattern: nothing passes",
                escape(item.as_bytes())
            ));
        }
        if let Ok(excluded) = Paths::new("--exclude-path", self.exclude_path.as_deref())
            && let Ok(included) = Paths::new("--include-path", self.include_path.as_deref())
        {
            for path in included.all.iter().filter(|path| excluded.covers(path)) {
                doubts.push(format!(
                    "--include-path: {} is excluded by --exclude-path: nothing passes",
                    escape(path)
                ));
            }
        }
        if let (Some(after), Some(before)) = (self.include_after_ns, self.include_before_ns)
            && after > before
        {
            doubts.push("--include-after is later than --include-before: nothing passes".to_owned());
        }
        doubts
    }
}

/// A [`FilterSpec`] made ready. Paths given to it are relative to the source and `/`-separated, without a
/// leading or trailing `/`.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include_patterns: Vec<Glob>,
    exclude_patterns: Vec<Glob>,
    include_paths: Paths,
    exclude_paths: Paths,
    /// The same paths as the names of blobs, whose segments may be empty.
    include_letters: Paths,
    exclude_letters: Paths,
    include_regexes: Vec<Regex>,
    exclude_regexes: Vec<Regex>,
    after_ns: Option<i128>,
    before_ns: Option<i128>,
    exclude_blob_types: Vec<BlobType>,
}

impl Filter {
    /// Reads all items.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadFilter`] with the flag and the item: a malformed pattern or expression, a path with `..`.
    pub fn new(spec: &FilterSpec) -> Result<Self, PlanError> {
        Ok(Self {
            include_patterns: globs("--include-pattern", spec.include_pattern.as_deref())?,
            exclude_patterns: globs("--exclude-pattern", spec.exclude_pattern.as_deref())?,
            include_paths: Paths::new("--include-path", spec.include_path.as_deref())?,
            exclude_paths: Paths::new("--exclude-path", spec.exclude_path.as_deref())?,
            include_letters: Paths::to_the_letter("--include-path", spec.include_path.as_deref())?,
            exclude_letters: Paths::to_the_letter("--exclude-path", spec.exclude_path.as_deref())?,
            include_regexes: regexes("--include-regex", spec.include_regex.as_deref())?,
            exclude_regexes: regexes("--exclude-regex", spec.exclude_regex.as_deref())?,
            after_ns: spec.include_after_ns,
            before_ns: spec.include_before_ns,
            exclude_blob_types: spec.exclude_blob_types.clone(),
        })
    }

    /// The same for names of blobs, of which paths are taken to the letter: `a//b` is not `a/b` there, and `/a` not
    /// `a`. One slash at the end says that a directory is meant.
    #[must_use]
    pub fn of_blobs(mut self) -> Self {
        self.include_paths = self.include_letters.clone();
        self.exclude_paths = self.exclude_letters.clone();
        self
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passes_all_names() && !self.needs_mtime() && self.exclude_blob_types.is_empty()
    }

    /// Whether something is asked that only files have: a pattern for names of files, or a type of blob. Then
    /// directories themselves, and the stubs that stand for them, take no part: AzCopy's rule.
    #[must_use]
    pub fn is_for_files(&self) -> bool {
        !self.include_patterns.is_empty()
            || !self.exclude_patterns.is_empty()
            || !self.exclude_blob_types.is_empty()
    }

    /// Whether the time of last modification is looked at.
    #[must_use]
    pub fn needs_mtime(&self) -> bool {
        self.after_ns.is_some() || self.before_ns.is_some()
    }

    /// Whether anything but the name is looked at: the time, or the type.
    #[must_use]
    pub fn needs_facts(&self) -> bool {
        self.needs_mtime() || !self.exclude_blob_types.is_empty()
    }

    /// Whether the object at `rel` takes part. Where a time is asked for ([`Filter::needs_mtime`]), one that is not
    /// known does not pass; use [`Filter::passes_name`] before it is known.
    #[must_use]
    pub fn passes(&self, rel: &[u8], mtime_ns: Option<i128>) -> bool {
        self.passes_time(mtime_ns) && self.passes_name(rel)
    }

    /// Whether an object of this time takes part, as far as the time tells.
    #[must_use]
    pub fn passes_time(&self, mtime_ns: Option<i128>) -> bool {
        let Some(mtime_ns) = mtime_ns else { return !self.needs_mtime() };
        self.after_ns.is_none_or(|after| mtime_ns >= after)
            && self.before_ns.is_none_or(|before| mtime_ns <= before)
    }

    /// Whether an object of this type takes part, as far as the type tells.
    #[must_use]
    pub fn passes_type(&self, blob_type: BlobType) -> bool {
        !self.exclude_blob_types.contains(&blob_type)
    }

    /// Whether the object at `rel` takes part, as far as its name tells.
    #[must_use]
    pub fn passes_name(&self, rel: &[u8]) -> bool {
        if self.passes_all_names() {
            return true;
        }
        if self.exclude_paths.covers(rel)
            || !(self.include_paths.is_empty() || self.include_paths.covers(rel))
        {
            return false;
        }
        let name = rel.rsplit(|&b| b == b'/').next().unwrap_or(rel);
        let matches = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(name));
        if matches(&self.exclude_patterns)
            || !(self.include_patterns.is_empty() || matches(&self.include_patterns))
        {
            return false;
        }
        if self.include_regexes.is_empty() && self.exclude_regexes.is_empty() {
            return true;
        }
        // Go sees a byte that is not UTF-8 as U+FFFD.
        let text = String::from_utf8_lossy(rel);
        let found = |all: &[Regex]| all.iter().any(|regex| regex.is_match(text.as_bytes()));
        !found(&self.exclude_regexes) && (self.include_regexes.is_empty() || found(&self.include_regexes))
    }

    /// Whether nothing at or below the directory `dir_rel` can pass, so that it need not be opened: it is excluded by
    /// its path, or lies outside every included path. The source itself (an empty path) is never pruned.
    #[must_use]
    pub fn prunes(&self, dir_rel: &[u8]) -> bool {
        if dir_rel.is_empty() {
            return false;
        }
        let outside = !self.include_paths.is_empty()
            && !self.include_paths.covers(dir_rel)
            && !self.include_paths.has_below(dir_rel);
        outside || self.exclude_paths.covers(dir_rel)
    }

    /// The included paths, if there are any: sorted by bytes. With `recursive` none is below another; otherwise what is
    /// below a directory is not covered by it, and all are given.
    #[must_use]
    pub fn include_paths(&self, recursive: bool) -> Option<&[Vec<u8>]> {
        let paths = if recursive { &self.include_paths.outermost } else { &self.include_paths.all };
        (!paths.is_empty()).then_some(paths)
    }

    /// Whether the path itself is included, and not only one above it.
    #[must_use]
    pub fn names(&self, rel: &[u8]) -> bool {
        self.include_paths.all.binary_search_by(|known| known.as_slice().cmp(rel)).is_ok()
    }

    /// Whether an included path lies below this directory, be the directory included or not.
    #[must_use]
    pub fn names_below(&self, dir_rel: &[u8]) -> bool {
        has_below(&self.include_paths.all, dir_rel)
    }

    /// The excluded paths: sorted by bytes, none below another.
    #[must_use]
    pub fn excluded_paths(&self) -> &[Vec<u8>] {
        &self.exclude_paths.outermost
    }

    fn passes_all_names(&self) -> bool {
        self.include_patterns.is_empty()
            && self.exclude_patterns.is_empty()
            && self.include_paths.is_empty()
            && self.exclude_paths.is_empty()
            && self.include_regexes.is_empty()
            && self.exclude_regexes.is_empty()
    }
}

/// Relative paths, sorted.
#[derive(Debug, Clone, Default)]
struct Paths {
    /// As they were given.
    all: Vec<Vec<u8>>,
    /// Those that are not below another.
    outermost: Vec<Vec<u8>>,
}

impl Paths {
    fn new(flag: &'static str, text: Option<&str>) -> Result<Self, PlanError> {
        let mut paths = Vec::new();
        for item in items(text) {
            let segments: Vec<_> = item.split('/').filter(|s| !s.is_empty() && *s != ".").collect();
            if segments.contains(&"..") {
                return Err(bad(flag, item, "a path cannot contain \"..\""));
            }
            if !segments.is_empty() {
                paths.push(segments.join("/").into_bytes());
            }
        }
        Ok(Self::of(paths))
    }

    /// As [`Paths::new`], empty segments kept but the last one.
    fn to_the_letter(flag: &'static str, text: Option<&str>) -> Result<Self, PlanError> {
        let mut paths = Vec::new();
        for item in items(text) {
            // No blob has a segment of dots.
            let segments: Vec<_> = item.split('/').filter(|segment| *segment != ".").collect();
            if segments.contains(&"..") {
                return Err(bad(flag, item, "a path cannot contain \"..\""));
            }
            let path = segments.join("/");
            let path = path.strip_suffix('/').unwrap_or(&path);
            if !path.is_empty() {
                paths.push(path.to_owned().into_bytes());
            }
        }
        Ok(Self::of(paths))
    }

    fn of(mut paths: Vec<Vec<u8>>) -> Self {
        paths.sort();
        paths.dedup();
        let contains = |path: &[u8]| paths.binary_search_by(|known| known.as_slice().cmp(path)).is_ok();
        let outermost = |path: &&Vec<u8>| !ancestors(path).any(contains);
        let outermost = paths.iter().filter(outermost).cloned().collect();
        Self { all: paths, outermost }
    }

    fn is_empty(&self) -> bool {
        self.outermost.is_empty()
    }

    fn contains(&self, path: &[u8]) -> bool {
        self.outermost.binary_search_by(|known| known.as_slice().cmp(path)).is_ok()
    }

    /// Whether `rel` is one of the paths or below one.
    fn covers(&self, rel: &[u8]) -> bool {
        !self.is_empty() && (self.contains(rel) || ancestors(rel).any(|above| self.contains(above)))
    }

    fn has_below(&self, directory: &[u8]) -> bool {
        has_below(&self.outermost, directory)
    }
}

/// Whether one of these paths, which are sorted, is below `directory`.
fn has_below(paths: &[Vec<u8>], directory: &[u8]) -> bool {
    let start = paths.partition_point(|path| {
        path.iter().cmp(directory.iter().chain(std::iter::once(&b'/'))) == Ordering::Less
    });
    paths.get(start).and_then(|path| path.strip_prefix(directory)).is_some_and(|rest| rest.starts_with(b"/"))
}

/// The directories above `path`, from the outermost, the source itself left out.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(at, _)| &path[..at])
}

/// The items of a flag.
fn items(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(';').filter(|item| !item.is_empty())
}

fn bad(flag: &'static str, item: &str, reason: impl Into<String>) -> PlanError {
    PlanError::BadFilter(BadFilter { flag, item: escape(item.as_bytes()), reason: reason.into() })
}

fn globs(flag: &'static str, text: Option<&str>) -> Result<Vec<Glob>, PlanError> {
    items(text)
        .map(|item| {
            Glob::new(item.as_bytes()).map_err(|error| match error {
                PlanError::BadPattern { reason, .. } => bad(flag, item, reason),
                other => other,
            })
        })
        .collect()
}

fn regexes(flag: &'static str, text: Option<&str>) -> Result<Vec<Regex>, PlanError> {
    items(text).map(|item| go_regex::compile(item).map_err(|reason| bad(flag, item, reason))).collect()
}

#[cfg(test)]
mod tests;
