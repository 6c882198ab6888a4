//! Scans of what is on this machine: a walk, a list of names, one file, a stream.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azuring_job::choices::{ListOfFiles, Symlinks};
use azuring_job::durable::LocalPosition;
use azuring_job::entry::Found;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::SkippedKind;
use azuring_job::verdict::Verdict;
use azuring_local::{self as local, LocalError, RelPath, Walk, WalkStream};
use azuring_plan::filter::Filter;
use azuring_plan::list_of_files::ListEntry;
use azuring_plan::name::escape;
use azuring_plan::order::OrderKey;

use crate::list_reader::ListReader;

use super::{Halt, LocalOptions, Met, Scan};

/// What a local source is, before it is read.
pub(crate) struct LocalFinder {
    pub(crate) names: Names,
    pub(crate) filter: Filter,
    pub(crate) root: PathBuf,
    /// The source itself is a directory whose stub is wanted.
    pub(crate) root_stub: bool,
    /// See [`LocalOptions::takes_paths_alone`].
    pub(crate) by_path: bool,
}

/// Where the names of local files come from.
pub(crate) enum Names {
    /// One file.
    One(RelPath),
    /// A walk, whose root can be opened.
    Walk(Box<Walk>),
    /// A list.
    List(ListOfFiles, Box<LocalOptions>),
    /// A stream, which is no file.
    Stream,
}

impl LocalFinder {
    /// The one stream of a job.
    pub(crate) fn stream() -> Self {
        let (filter, root) = (Filter::default(), PathBuf::new());
        Self { names: Names::Stream, filter, root, root_stub: false, by_path: false }
    }
}

/// Reads a local source. It blocks, and never waits.
pub(crate) struct LocalScan<'a> {
    take: Take,
    /// What an earlier run has found, in the walk or in the line that is being followed.
    known: Option<Arc<LocalPosition>>,
    verdict: &'a Verdict,
    order: Option<OrderKey>,
    /// What has not begun.
    names: Option<Names>,
    root_stub: bool,
    list: Option<Lines>,
    walking: Option<Walking>,
    /// What a walk gave, for a moment.
    found: Vec<local::Found>,
    /// Lines before that of the last object, and its place.
    lines: u64,
    last: Option<Vec<u8>>,
}

/// A walk: of the source, or of a directory that a line names.
struct Walking {
    stream: WalkStream,
    /// Where it begins, from the source.
    below: Vec<u8>,
    /// An earlier run has begun it.
    is_known: bool,
}

/// A list that is being read.
struct Lines {
    reader: ListReader,
    options: Box<LocalOptions>,
    entries: std::vec::IntoIter<ListEntry>,
    /// Lines that were taken.
    line: u64,
}

impl<'a> LocalScan<'a> {
    /// Goes on from `known`, where an earlier run stood.
    pub(crate) fn new(finder: LocalFinder, known: Option<LocalPosition>, verdict: &'a Verdict) -> Self {
        let LocalFinder { names, filter, root, root_stub, by_path } = finder;
        Self {
            order: (!matches!(names, Names::List(..))).then_some(OrderKey::Bytes),
            root_stub: root_stub && known.is_none(),
            known: known.map(Arc::new),
            take: Take { filter, root, by_path },
            verdict,
            names: Some(names),
            list: None,
            walking: None,
            found: Vec::new(),
            lines: 0,
            last: None,
        }
    }

    pub(crate) fn next_now(&mut self, room: usize, out: &mut Vec<Met>) -> Result<bool, Halt> {
        let from = out.len();
        let told = self.fill(from + room, out);
        let last = out[from..].iter().rev().find_map(|met| match met {
            Met::Object(found) => Some(found.place()),
            _ => None,
        });
        if let Some(place) = last {
            // One copy a batch, into the same memory.
            let last = self.last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(&place);
        }
        told
    }

    /// Fills `out` to this length.
    fn fill(&mut self, full: usize, out: &mut Vec<Met>) -> Result<bool, Halt> {
        if let Some(names) = self.names.take() {
            self.begin(names, out)?;
        }
        while out.len() < full {
            let before = out.len();
            if let Some(walking) = &mut self.walking {
                let more = walking.stream.next_batch(full - before, &mut self.found);
                let known = self.known.as_deref().filter(|_| walking.is_known);
                for found in self.found.drain(..) {
                    self.take.one(known, placed(found, &walking.below), out);
                }
                if !more {
                    self.walking = None;
                }
            } else if self.list.is_some() {
                self.next_line(out)?;
            } else {
                return Ok(false);
            }
            if let Some(list) = &self.list
                && out[before..].iter().any(|met| matches!(met, Met::Object(_)))
            {
                self.lines = list.line - 1;
            }
            if let Some(Met::Refused(_)) = out.last() {
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn begin(&mut self, names: Names, out: &mut Vec<Met>) -> Result<(), Halt> {
        if self.root_stub && !self.take.filter.is_for_files() && self.take.passes(b"") {
            out.push(Met::Object(Found::Directory(RelPath::new(&b""[..]))));
        }
        match names {
            Names::Stream => out.push(Met::Object(Found::Stream)),
            Names::One(path) => self.take.one(self.known.as_deref(), local::Found::File(path), out),
            Names::Walk(walk) => {
                let walk = self.beyond(*walk, b"");
                let stream = walk.start().map_err(|error| Box::new(Failure::local(&error)))?;
                self.walk(stream, Vec::new(), true);
            }
            Names::List(list, options) => {
                let (reader, entries) = (ListReader::open(&list)?, Vec::new().into_iter());
                self.list = Some(Lines { reader, options, entries, line: 0 });
            }
        }
        Ok(())
    }

    fn walk(&mut self, mut stream: WalkStream, below: Vec<u8>, is_known: bool) {
        stream.stop_with(self.verdict.stop_flag());
        self.walking = Some(Walking { stream, below, is_known });
    }

    /// The walk without the directories that an earlier run has seen to their ends.
    fn beyond(&self, walk: Walk, below: &[u8]) -> Walk {
        let Some(known) = self.known.clone() else { return walk };
        let below = below.to_vec();
        walk.also_pruning(Arc::new(move |directory: &[u8]| match &below[..] {
            [] => known.is_beyond(directory),
            below => known.is_beyond(&[below, b"/", directory].concat()),
        }))
    }

    /// Takes the next line of the list, or reads more of it.
    fn next_line(&mut self, out: &mut Vec<Met>) -> Result<(), Halt> {
        let Some(list) = &mut self.list else { return Ok(()) };
        let done = self.known.as_ref().map(|known| known.lines);
        let Some(entry) = list.entries.next() else {
            let mut entries = Vec::new();
            if list.reader.next(&mut entries, &|| self.verdict.stopping())? {
                out.extend(list.reader.notice().map(Met::Notice));
                list.entries = entries.into_iter();
                return Ok(());
            }
            let line = list.line;
            self.list = None;
            if !self.verdict.stopping() && done.is_some_and(|done| line <= done) {
                return Err(Failure::other_list(line).into());
            }
            return Ok(());
        };
        let line = list.line;
        list.line += 1;
        if done.is_some_and(|done| line < done) {
            return Ok(());
        }
        let is_known = done == Some(line);
        match entry {
            Ok(path) => self.line(&path, is_known, out),
            Err(error) => {
                let failure = Failure::new(FailureKind::Name, &error.text, error.to_string());
                out.push(Met::Refused(Box::new(failure)));
            }
        }
        Ok(())
    }

    /// What a line names; a directory is walked from the next look on.
    fn line(&mut self, line: &[u8], is_known: bool, out: &mut Vec<Met>) {
        let Some(Lines { options, .. }) = &self.list else { return };
        let full = self.take.path(line);
        let path = line.strip_suffix(b"/").unwrap_or(line);
        let looked_up = match options.symlinks {
            Symlinks::Follow => std::fs::metadata(&full),
            Symlinks::Skip | Symlinks::Preserve => std::fs::symlink_metadata(&full),
        };
        match looked_up {
            Ok(meta) if meta.is_dir() && !options.naming.recursive => {
                let text = "a directory in a list of files needs --recursive";
                out.push(Met::Refused(Box::new(Failure::new(FailureKind::Usage, &escape(line), text))));
            }
            Ok(meta) if meta.is_dir() => {
                let walk = options.unfiltered().walk(full);
                let walk = if is_known { self.beyond(walk, path) } else { walk };
                match walk.start() {
                    Ok(stream) => self.walk(stream, path.to_vec(), is_known),
                    Err(error) => out.push(Met::Problem(Box::new(Failure::local(&error)))),
                }
            }
            Ok(meta) => {
                let path = RelPath::new(path);
                let found = match kind_of(meta.file_type()) {
                    None => local::Found::File(path),
                    Some(local::SkippedKind::Symlink) if options.symlinks == Symlinks::Preserve => {
                        local::Found::Symlink(path)
                    }
                    Some(kind) if kind != local::SkippedKind::Symlink && options.specials => {
                        local::Found::Special { path, kind }
                    }
                    Some(kind) => local::Found::Skipped { path, kind },
                };
                self.take.one(self.known.as_deref().filter(|_| is_known), found, out);
            }
            Err(_) if full.is_symlink() && !self.take.filter.passes_name(path) => {}
            Err(error) => {
                let failure = Failure::local(&LocalError::from_io(full, "looking it up", &error));
                out.push(Met::Refused(Box::new(failure.object(escape(line)))));
            }
        }
    }
}

impl Scan for LocalScan<'_> {
    const STANDS_EVERYWHERE: bool = true;

    async fn next(&mut self, room: usize, out: &mut Vec<Met>) -> Result<bool, Halt> {
        self.next_now(room, out)
    }

    fn position(&self) -> Option<Vec<u8>> {
        let mut position = Vec::new();
        LocalPosition::encode(self.lines, self.last.as_deref()?, &mut position);
        Some(position)
    }

    fn order(&self) -> Option<OrderKey> {
        self.order
    }
}

/// Judges what is found.
struct Take {
    filter: Filter,
    root: PathBuf,
    by_path: bool,
}

impl Take {
    /// Whether an earlier run that stood at `known` has found it.
    fn is_known(&self, known: Option<&LocalPosition>, found: &local::Found) -> bool {
        let Some(known) = known else { return false };
        match found {
            local::Found::File(path) | local::Found::Symlink(path) => !known.is_before(path.as_bytes()),
            local::Found::Skipped { path, .. } | local::Found::Special { path, .. } => {
                !known.is_before(path.as_bytes())
            }
            local::Found::Directory(path) => !known.is_before(&[path.as_bytes(), b"/"].concat()),
            // Whether it was a directory's is not known: rather twice than never.
            local::Found::Problem(error) => error.path().strip_prefix(&self.root).is_ok_and(|path| {
                let path = path.as_os_str().as_bytes();
                let inside = [path, b"/"].concat();
                !path.is_empty()
                    && !known.is_before(path)
                    && !known.is_before(&inside)
                    && !known.path.starts_with(&inside)
            }),
        }
    }

    fn one(&self, known: Option<&LocalPosition>, found: local::Found, out: &mut Vec<Met>) {
        if self.is_known(known, &found) {
            return;
        }
        let (path, object): (_, fn(RelPath) -> Found) = match found {
            local::Found::File(path) => (path, Found::File),
            local::Found::Symlink(path) => (path, Found::Link),
            local::Found::Directory(_) if self.by_path || self.filter.is_for_files() => return,
            local::Found::Directory(path) => (path, Found::Directory),
            local::Found::Special { path, .. } => (path, Found::Special),
            local::Found::Skipped { path, kind } => {
                if self.filter.passes_name(path.as_bytes()) {
                    let kind = match kind {
                        local::SkippedKind::Symlink => SkippedKind::Symlink,
                        _ => SkippedKind::Special,
                    };
                    out.push(Met::Skipped(Found::File(path), kind));
                }
                return;
            }
            // Nobody wants what a filter leaves out, whatever it leads to.
            local::Found::Problem(LocalError::DanglingLink { path }) if self.leaves_out(&path) => return,
            local::Found::Problem(error) => {
                return out.push(Met::Problem(Box::new(Failure::local(&error))));
            }
        };
        if self.filter.is_empty() || self.passes(path.as_bytes()) {
            out.push(Met::Object(object(path)));
        }
    }

    /// Whether the name of a link below the source keeps it from taking part.
    fn leaves_out(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.root);
        below.is_ok_and(|below| !self.filter.passes_name(below.as_os_str().as_bytes()))
    }

    fn passes(&self, path: &[u8]) -> bool {
        self.filter.passes_name(path)
            && (!self.by_path || self.filter.names(path))
            && (!self.filter.needs_mtime() || self.filter.passes_time(mtime_ns(&self.path(path))))
    }

    fn path(&self, relative: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(relative))
    }
}

/// What something is that has no content to transfer; `None` of a file.
fn kind_of(file_type: std::fs::FileType) -> Option<local::SkippedKind> {
    use local::SkippedKind;
    [
        (file_type.is_symlink(), SkippedKind::Symlink),
        (file_type.is_socket(), SkippedKind::Socket),
        (file_type.is_fifo(), SkippedKind::Fifo),
        (file_type.is_block_device(), SkippedKind::BlockDevice),
        (file_type.is_char_device(), SkippedKind::CharDevice),
    ]
    .into_iter()
    .find_map(|(is_this, kind)| is_this.then_some(kind))
}

/// What a walk below `below` found, as seen from the source.
fn placed(found: local::Found, below: &[u8]) -> local::Found {
    if below.is_empty() {
        return found;
    }
    let join = |path: RelPath| RelPath::new([below, b"/", path.as_bytes()].concat());
    match found {
        local::Found::File(path) => local::Found::File(join(path)),
        local::Found::Symlink(path) => local::Found::Symlink(join(path)),
        local::Found::Directory(path) => local::Found::Directory(join(path)),
        local::Found::Skipped { path, kind } => local::Found::Skipped { path: join(path), kind },
        local::Found::Special { path, kind } => local::Found::Special { path: join(path), kind },
        problem @ local::Found::Problem(_) => problem,
    }
}

/// The time of the last change of a file's content; `None` when it cannot be asked.
fn mtime_ns(path: &Path) -> Option<i128> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some(i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_taken_for_known_only_where_it_must_have_been_met() {
        let known = |position: &str, path: &str| {
            let position = LocalPosition { lines: 0, path: position.as_bytes().to_vec() };
            let take = Take { filter: Filter::default(), root: "/r".into(), by_path: false };
            let problem = local::Found::Problem(LocalError::PermissionDenied { path: path.into() });
            take.is_known(Some(&position), &problem)
        };
        assert!(known("b/x", "/r/a") && known("b/x", "/r/b/w"));
        assert!(!known("b/x", "/r/c") && !known("b/x", "/r/b/y"));
        // A directory comes after the names that go on with a dot or a hyphen.
        assert!(!known("b.txt", "/r/b") && !known("b-x", "/r/b"));
        // What is above the position may have failed after it.
        assert!(!known("b/x", "/r/b") && !known("b/x", "/r"));
        assert!(!known("b/x", "/elsewhere"));
    }
}
