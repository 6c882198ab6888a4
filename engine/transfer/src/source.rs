//! What the source argument is, and how its files are found and named.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use azuring_job::choices::Symlinks;
use azuring_job::entry::Entry;
use azuring_job::job_error::JobError;
use azuring_lane::lines::Lines;
use azuring_local::{self as local, LocalError, RelPath, SourceKind, base_name, stat_source};
use azuring_plan::PlanError;
use azuring_plan::destination::{Naming, SourceShape};
use azuring_plan::source::{LocalSource, Segment};
use azuring_ring::SourceDir;

use crate::remote::RemoteSource;
use crate::scan::LocalOptions;
use crate::scan::local::{LocalFinder, Names};

/// Gives out the objects of a job.
pub(crate) enum Finder {
    /// Those of a local source, or the one stream.
    Local(Box<LocalFinder>),
    /// Finds blobs.
    Remote(Arc<RemoteSource>),
    /// Those of a part, which somebody else has found. `lines`: names that somebody gave may be directories.
    Part { lines: bool, entries: Vec<Entry> },
    /// Those below lines of this source that are no blobs. Numbers begin at `first`.
    Below { source: Arc<RemoteSource>, lines: Vec<Entry>, first: u64 },
}

impl Finder {
    /// Whether names may turn out to be directories; `None`: nobody gave any.
    pub(crate) fn directories_among_lines(&self) -> Option<bool> {
        match self {
            Self::Remote(source) if source.list.is_some() => Some(source.expands()),
            Self::Part { lines, .. } => Some(*lines),
            Self::Below { .. } => Some(true),
            Self::Remote(_) | Self::Local(_) => None,
        }
    }

    /// Where lines that are no blobs are kept, with those that are known to be none; `None`: there are no lines.
    pub(crate) fn take_lines(&mut self) -> Option<Lines> {
        let known = if let Self::Below { lines, .. } = self { std::mem::take(lines) } else { Vec::new() };
        self.directories_among_lines().map(|directories| Lines::new(directories, known))
    }

    /// The number of the first object, where no journal has one.
    pub(crate) fn first(&self) -> u64 {
        if let Self::Below { first, .. } = self { *first } else { 0 }
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
    /// Looks up `argument`: a file, a directory, `dir/*`, or a pattern. Names that exist win over their meaning as a
    /// pattern, segment by segment.
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

/// Says which names of a directory below `root` a segment of a pattern means: the one that is written like it, or else
/// those that match.
fn matcher(root: &Path, segment: Segment) -> local::SegmentMatcher {
    if !segment.may_be_name() {
        return Arc::new(move |_, name| segment.glob.matches(name));
    }
    let root = root.to_owned();
    // Of the directory that each thread of the walk has asked about last, whether it has such a name: a thread asks
    // about all names of a directory in a row.
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

#[cfg(test)]
mod tests {
    use azuring_plan::source::Glob;

    use super::*;

    /// The disk is asked once for a directory, however the threads take turns: what was found out stays, though the
    /// name is gone by then.
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
}
