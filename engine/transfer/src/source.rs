//! What the source argument is, and how its files are found and named.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use azuring_job::choices::{ListOfFiles, Symlinks};
use azuring_job::durable::LocalPosition;
use azuring_job::entry::{Entry, Found};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::job_error::JobError;
use azuring_job::outcome::SkippedKind;
use azuring_lane::queue::BATCH_FILES;
use azuring_local::{
    self as local, LocalError, RelPath, SourceKind, SymlinkMode, Walk, base_name, stat_source,
};
use azuring_plan::PlanError;
use azuring_plan::destination::{Naming, NamingOptions, SourceShape};
use azuring_plan::filter::Filter;
use azuring_plan::name::escape;
use azuring_plan::source::{LocalSource, Segment};
use azuring_ring::SourceDir;

use crate::list_reader::ListReader;
use crate::planner::Planner;
use crate::remote::RemoteSource;

/// Gives out the objects of a job.
pub(crate) enum Finder {
    /// Those of a local source.
    Local(Box<LocalFinder>),
    /// The one stream.
    Stream,
    /// Those of a remote source.
    Remote(Arc<RemoteSource>),
    /// Those of a part, which somebody else has found. `lines`: names that somebody gave may be directories.
    Part { lines: bool, entries: Vec<Entry> },
}

impl Finder {
    /// Whether names may turn out to be directories; `None`: nobody gave any.
    pub(crate) fn directories_among_lines(&self) -> Option<bool> {
        match self {
            Self::Remote(source) if source.list.is_some() => Some(source.expands()),
            Self::Part { lines, .. } => Some(*lines),
            Self::Remote(_) | Self::Local(_) | Self::Stream => None,
        }
    }
}

/// Gives out local files.
pub(crate) struct LocalFinder {
    pub(crate) names: Names,
    filter: Filter,
    root: PathBuf,
    /// The source itself is a directory whose stub is wanted.
    root_stub: bool,
    /// See [`LocalOptions::takes_paths_alone`].
    by_path: bool,
}

/// Where the names of local files come from.
pub(crate) enum Names {
    /// One file.
    One(RelPath),
    /// A walk, whose root can be opened.
    Walk(Box<Walk>),
    /// A list.
    List(ListOfFiles, Box<LocalOptions>),
}

/// How a local source is read.
#[derive(Clone, Debug)]
pub(crate) struct LocalOptions {
    pub(crate) naming: NamingOptions,
    pub(crate) filter: Filter,
    pub(crate) symlinks: Symlinks,
    /// Give out directories, for their stubs.
    pub(crate) directories: bool,
    /// Give out special files.
    pub(crate) specials: bool,
    pub(crate) names_bytes: usize,
    /// Threads that read directories ahead, where they are not as many as usual.
    pub(crate) walk_threads: Option<usize>,
    pub(crate) list: Option<ListOfFiles>,
}

impl LocalOptions {
    /// The same for a walk that begins below the source: what it finds is filtered by its path from the source.
    fn unfiltered(&self) -> Self {
        Self { filter: Filter::default(), ..self.clone() }
    }

    /// A walk of `root` as these options want it; excluded directories are not opened.
    fn walk(&self, root: PathBuf) -> Walk {
        let by_path = self.takes_paths_alone();
        let walk = Walk::new(root)
            .recursive(self.naming.recursive || by_path)
            .names_bytes(self.names_bytes)
            .symlinks(match self.symlinks {
                Symlinks::Skip => SymlinkMode::Skip,
                Symlinks::Follow => SymlinkMode::Follow,
                Symlinks::Preserve => SymlinkMode::Preserve,
            })
            .directories(self.directories)
            .specials(self.specials);
        let walk = match self.walk_threads {
            Some(threads) => walk.threads(threads),
            None => walk,
        };
        if self.filter.excluded_paths().is_empty() && self.filter.include_paths(true).is_none() {
            return walk;
        }
        let filter = self.filter.clone();
        walk.pruning(Arc::new(move |directory: &[u8]| {
            let is_way = !by_path || filter.names_below(directory);
            !is_way || filter.prunes(directory)
        }))
    }

    /// Whether what `--include-path` names is taken alone: without recursion a directory that it names has nothing to give, and
    /// a file is taken wherever it lies.
    fn takes_paths_alone(&self) -> bool {
        !self.naming.recursive && self.filter.include_paths(false).is_some()
    }
}

/// A source that was looked up and opened.
pub(crate) struct Source {
    /// Relative paths start here.
    pub(crate) root: SourceDir,
    pub(crate) root_path: PathBuf,
    pub(crate) naming: Naming,
    pub(crate) finder: Box<LocalFinder>,
    pub(crate) is_pattern: bool,
}

impl Source {
    /// Looks up `argument`: a file, a directory, `dir/*`, or a pattern. Names that exist win over their meaning as a pattern,
    /// segment by segment.
    pub(crate) fn resolve(
        argument: &Path,
        destination: &str,
        options: &LocalOptions,
    ) -> Result<Self, JobError> {
        if argument.as_os_str().is_empty() {
            return Err(PlanError::EmptySource.into());
        }
        let exists = |path: &[u8]| std::fs::symlink_metadata(to_path(path)).is_ok();
        let (walk, shape_name, shape) = match LocalSource::parse(argument.as_os_str().as_bytes(), exists)? {
            LocalSource::Contents { root } => (options.walk(to_path(&root)), None, Shape::Contents),
            LocalSource::Glob { root, segments } => {
                let root = to_path(&root);
                let matchers = segments.into_iter().map(|segment| matcher(&root, segment)).collect();
                (options.walk(root).matching(matchers), None, Shape::Matches)
            }
            LocalSource::Literal(_) => match stat_source(argument)?.usable(argument)? {
                SourceKind::File { .. } if options.list.is_some() => {
                    let text = "a list of files needs a directory as its source";
                    return Err(JobError::Limit(text.to_owned()));
                }
                SourceKind::File { .. } => return Self::one_file(argument, destination, options),
                _ => (options.walk(argument.to_owned()), base_name(argument)?, Shape::Directory),
            },
        };
        let name = shape_name.as_deref().map(OsStr::as_bytes);
        let is_pattern = matches!(shape, Shape::Matches);
        let is_directory = matches!(shape, Shape::Directory);
        let shape = match shape {
            Shape::Directory => SourceShape::Directory { name },
            Shape::Contents => SourceShape::Contents,
            Shape::Matches => SourceShape::Matches,
        };
        // A list says itself which directories are meant.
        let mut naming = options.naming;
        naming.recursive |= options.list.is_some();
        let naming = Naming::new(shape, destination, naming)?;
        let root_path = walk.root().to_owned();
        let mut root = open_root(&root_path)?;
        if options.symlinks == Symlinks::Follow {
            root = root.following_links();
        }
        let names = match &options.list {
            Some(list) => Names::List(list.clone(), Box::new(options.clone())),
            None => {
                // Told now if it cannot be read.
                walk.clone().start()?;
                Names::Walk(Box::new(walk))
            }
        };
        // A directory that is recreated under the destination has a stub there as well.
        let root_stub =
            options.directories && options.naming.as_subdir && is_directory && options.list.is_none();
        let finder = LocalFinder {
            names,
            filter: options.filter.clone(),
            root: root_path.clone(),
            root_stub,
            by_path: options.takes_paths_alone(),
        };
        Ok(Self { root, root_path, naming, finder: Box::new(finder), is_pattern })
    }

    fn one_file(argument: &Path, destination: &str, options: &LocalOptions) -> Result<Self, JobError> {
        let name = base_name(argument)?.unwrap_or_default();
        let naming = Naming::new(SourceShape::File { name: name.as_bytes() }, destination, options.naming)?;
        // A link that the user names is followed; the file itself is opened where it lies.
        let real = std::fs::canonicalize(argument)
            .map_err(|error| LocalError::from_io(argument.to_owned(), "resolving the path", &error))?;
        let parent = real.parent().unwrap_or(Path::new("/"));
        let name = real.file_name().unwrap_or_default();
        Ok(Self {
            root: open_root(parent)?,
            root_path: parent.to_owned(),
            naming,
            finder: Box::new(LocalFinder {
                names: Names::One(RelPath::new(name.as_bytes())),
                filter: options.filter.clone(),
                root: parent.to_owned(),
                root_stub: false,
                by_path: false,
            }),
            is_pattern: false,
        })
    }
}

enum Shape {
    Directory,
    Contents,
    Matches,
}

/// Says which names of a directory below `root` a segment of a pattern means: the one that is written like it, or else those
/// that match.
fn matcher(root: &Path, segment: Segment) -> local::SegmentMatcher {
    if !segment.may_be_name() {
        return Arc::new(move |_, name| segment.glob.matches(name));
    }
    let root = root.to_owned();
    // Of the directory that each thread of the walk has asked about last, whether it has such a name: a thread asks about all
    // names of a directory in a row.
    let last: Mutex<HashMap<ThreadId, (Vec<u8>, bool)>> = Mutex::default();
    Arc::new(move |directory: &[u8], name: &[u8]| {
        let (thread, last) = (thread::current().id(), || last.lock().expect("nothing panics under the lock"));
        let known = last().get(&thread).and_then(|(of, exists)| (of == directory).then_some(*exists));
        let exists = known.unwrap_or_else(|| {
            let path = root.join(OsStr::from_bytes(directory)).join(OsStr::from_bytes(&segment.name));
            let exists = std::fs::symlink_metadata(path).is_ok();
            last().insert(thread, (directory.to_owned(), exists));
            exists
        });
        if exists { name == segment.name } else { segment.glob.matches(name) }
    })
}

fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn open_root(path: &Path) -> Result<SourceDir, JobError> {
    SourceDir::open(path).map_err(|error| LocalError::from_io(path.to_owned(), "open", &error).into())
}

impl LocalFinder {
    /// Hands everything over that the filters let pass.
    pub(crate) fn plan(self, planner: &mut Planner<'_>) {
        let Self { names, filter, root, root_stub, by_path } = self;
        let known = planner.local_position().map(Arc::new);
        let take = Take { filter: &filter, root: &root, by_path, known: known.clone() };
        if root_stub
            && !filter.is_for_files()
            && take.passes(b"")
            && known.is_none()
            && !planner.push(Found::Directory(RelPath::new(&b""[..])))
        {
            return;
        }
        match names {
            Names::One(path) => {
                take.one(planner, local::Found::File(path));
            }
            Names::Walk(walk) => {
                take.walk(planner, take.beyond(*walk, b""), b"");
            }
            Names::List(list, options) => take.list(planner, &list, &options),
        }
    }
}

/// Judges what is found.
struct Take<'a> {
    filter: &'a Filter,
    root: &'a Path,
    by_path: bool,
    /// What an earlier run has found, in the walk or in the line that is being followed.
    known: Option<Arc<LocalPosition>>,
}

impl Take<'_> {
    /// The walk without the directories that an earlier run has seen to their ends.
    fn beyond(&self, walk: Walk, below: &[u8]) -> Walk {
        let Some(known) = self.known.clone() else { return walk };
        let below = below.to_vec();
        walk.also_pruning(Arc::new(move |directory: &[u8]| match &below[..] {
            [] => known.is_beyond(directory),
            below => known.is_beyond(&[below, b"/", directory].concat()),
        }))
    }

    /// `false`: the job is stopping.
    fn walk(&self, planner: &mut Planner<'_>, walk: Walk, below: &[u8]) -> bool {
        let mut stream = match walk.start() {
            Ok(stream) => stream,
            Err(error) if below.is_empty() => {
                planner.halt(Failure::local(&error));
                return false;
            }
            Err(error) => return planner.fail(Failure::local(&error)),
        };
        stream.stop_with(planner.shared.session.verdict.stop_flag());
        let mut found = Vec::with_capacity(BATCH_FILES);
        loop {
            let more = stream.next_batch(BATCH_FILES, &mut found);
            if !found.drain(..).all(|found| self.one(planner, placed(found, below))) {
                return false;
            }
            if !more {
                return true;
            }
        }
    }

    /// Whether an earlier run has found it.
    fn is_known(&self, found: &local::Found) -> bool {
        let Some(known) = &self.known else { return false };
        match found {
            local::Found::File(path) | local::Found::Symlink(path) => !known.is_before(path.as_bytes()),
            local::Found::Skipped { path, .. } | local::Found::Special { path, .. } => {
                !known.is_before(path.as_bytes())
            }
            local::Found::Directory(path) => !known.is_before(&[path.as_bytes(), b"/"].concat()),
            // Whether it was a directory's is not known: rather twice than never.
            local::Found::Problem(error) => error.path().strip_prefix(self.root).is_ok_and(|path| {
                let path = path.as_os_str().as_bytes();
                let inside = [path, b"/"].concat();
                !path.is_empty()
                    && !known.is_before(path)
                    && !known.is_before(&inside)
                    && !known.path.starts_with(&inside)
            }),
        }
    }

    fn one(&self, planner: &mut Planner<'_>, found: local::Found) -> bool {
        if self.is_known(&found) {
            return true;
        }
        let (path, object): (_, fn(RelPath) -> Found) = match found {
            local::Found::File(path) => (path, Found::File),
            local::Found::Symlink(path) => (path, Found::Link),
            local::Found::Directory(_) if self.by_path || self.filter.is_for_files() => return true,
            local::Found::Directory(path) => (path, Found::Directory),
            local::Found::Special { path, .. } => (path, Found::Special),
            local::Found::Skipped { path, kind } => {
                if !self.filter.passes_name(path.as_bytes()) {
                    return true;
                }
                let kind = match kind {
                    local::SkippedKind::Symlink => SkippedKind::Symlink,
                    _ => SkippedKind::Special,
                };
                let transfer = planner.shared.task.transfer(&planner.shared.session, &Found::File(path));
                return planner.skip(transfer, kind);
            }
            // Nobody wants what a filter leaves out, whatever it leads to.
            local::Found::Problem(LocalError::DanglingLink { path }) if self.leaves_out(&path) => {
                return true;
            }
            local::Found::Problem(error) => return planner.fail(Failure::local(&error)),
        };
        if self.filter.is_empty() || self.passes(path.as_bytes()) {
            return planner.push(object(path));
        }
        true
    }

    /// Whether the name of a link below the source keeps it from taking part.
    fn leaves_out(&self, path: &Path) -> bool {
        let below = path.strip_prefix(self.root);
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

    fn list(self, planner: &mut Planner<'_>, list: &ListOfFiles, options: &LocalOptions) {
        let mut entries = Vec::new();
        let mut lines = match ListReader::open(list) {
            Ok(lines) => lines,
            Err(failure) => return planner.halt(*failure),
        };
        let fresh = Take { known: None, ..self };
        let done = self.known.as_ref().map(|known| known.lines);
        let mut line = 0;
        loop {
            match lines.next(&mut entries, &|| planner.shared.session.verdict.stopping()) {
                Ok(true) => {}
                Ok(false) => {
                    let stopping = planner.shared.session.verdict.stopping();
                    if !stopping && done.is_some_and(|done| line <= done) {
                        planner.halt(*Failure::other_list(line));
                    }
                    return;
                }
                Err(failure) => return planner.halt(*failure),
            }
            if lines.notice().is_some_and(|text| !planner.notice(text)) {
                return;
            }
            for entry in entries.drain(..) {
                planner.line(line);
                let take = if done == Some(line) { &self } else { &fresh };
                let goes_on = match entry {
                    _ if done.is_some_and(|done| line < done) => true,
                    Ok(path) => take.line(planner, &path, options),
                    Err(error) => {
                        planner.refuse(Failure::new(FailureKind::Name, &error.text, error.to_string()))
                    }
                };
                if !goes_on {
                    return;
                }
                line += 1;
            }
        }
    }

    fn line(&self, planner: &mut Planner<'_>, line: &[u8], options: &LocalOptions) -> bool {
        let full = self.path(line);
        let path = line.strip_suffix(b"/").unwrap_or(line);
        let looked_up = match options.symlinks {
            Symlinks::Follow => std::fs::metadata(&full),
            Symlinks::Skip | Symlinks::Preserve => std::fs::symlink_metadata(&full),
        };
        match looked_up {
            Ok(meta) if meta.is_dir() && !options.naming.recursive => {
                let text = "a directory in a list of files needs --recursive";
                planner.refuse(Failure::new(FailureKind::Usage, &escape(line), text))
            }
            Ok(meta) if meta.is_dir() => {
                let walk = self.beyond(options.unfiltered().walk(full), path);
                self.walk(planner, walk, path)
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
                self.one(planner, found)
            }
            Err(_) if full.is_symlink() && !self.filter.passes_name(path) => true,
            Err(error) => {
                let failure = Failure::local(&LocalError::from_io(full, "looking it up", &error));
                planner.refuse(Failure { object: escape(line), ..failure })
            }
        }
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
    use azuring_plan::source::Glob;

    use super::*;

    /// The disk is asked once for a directory, however the threads take turns: what was found out stays, though the name is
    /// gone by then.
    #[test]
    fn each_thread_remembers_the_directory_that_it_reads() {
        let root = tempfile::tempdir().unwrap();
        for (directory, name) in [("a", "[xy]"), ("b", "x")] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
            std::fs::write(root.path().join(directory).join(name), b"").unwrap();
        }
        let segment = Segment { name: b"[xy]".to_vec(), glob: Glob::new(b"[xy]").unwrap() };
        let matches = matcher(root.path(), segment);
        assert!(matches(b"a", b"[xy]"));
        thread::scope(|scope| {
            let other = scope.spawn(|| (matches(b"b", b"x"), matches(b"b", b"[xy]")));
            assert_eq!(other.join().unwrap(), (true, false));
        });
        std::fs::remove_file(root.path().join("a/[xy]")).unwrap();
        assert!(matches(b"a", b"[xy]") && !matches(b"a", b"x"), "it is not asked for again");
        // Another directory is another question.
        assert!(matches(b"b", b"x") && !matches(b"b", b"[xy]"));
    }

    #[test]
    fn a_problem_is_taken_for_known_only_where_it_must_have_been_met() {
        let filter = Filter::default();
        let known = |position: &str, path: &str| {
            let position = LocalPosition { lines: 0, path: position.as_bytes().to_vec() };
            let take = Take {
                filter: &filter,
                root: Path::new("/r"),
                by_path: false,
                known: Some(Arc::new(position)),
            };
            take.is_known(&local::Found::Problem(LocalError::PermissionDenied { path: path.into() }))
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
