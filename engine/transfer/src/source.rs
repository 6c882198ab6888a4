//! What the source argument is, and how its files are found and named.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azuring_local::{LocalError, RelPath, SourceKind, Walk, WalkStream, base_name, stat_source};
use azuring_plan::PlanError;
use azuring_plan::destination::{Naming, NamingOptions, SourceShape};
use azuring_plan::source::LocalSource;
use azuring_ring::SourceDir;

use crate::job::JobError;

/// Gives out the files of a job.
pub(crate) enum Finder {
    /// One file.
    One(RelPath),
    /// A walk.
    Walk(Box<WalkStream>),
}

/// A source that was looked up and opened.
pub(crate) struct Source {
    /// Relative paths start here.
    pub(crate) root: SourceDir,
    pub(crate) root_path: PathBuf,
    pub(crate) naming: Naming,
    pub(crate) finder: Finder,
    pub(crate) is_pattern: bool,
}

impl Source {
    /// Looks up `argument`: a file, a directory, `dir/*`, or a pattern. A name that exists as it stands wins over
    /// its meaning as a pattern.
    pub(crate) fn resolve(
        argument: &Path,
        destination: &str,
        options: NamingOptions,
        names_bytes: usize,
    ) -> Result<Self, JobError> {
        if argument.as_os_str().is_empty() {
            return Err(PlanError::EmptySource.into());
        }
        let (walk, shape_name, shape) = match stat_source(argument)? {
            SourceKind::Missing => match LocalSource::parse(argument.as_os_str().as_bytes())? {
                LocalSource::Literal(_) => {
                    return Err(LocalError::Missing { path: argument.to_owned() }.into());
                }
                LocalSource::Contents { root } => (Walk::new(to_path(&root)), None, Shape::Contents),
                LocalSource::Glob { root, segments } => {
                    let matchers = segments
                        .into_iter()
                        .map(|glob| Arc::new(move |segment: &[u8]| glob.matches(segment)) as _)
                        .collect();
                    (Walk::new(to_path(&root)).matching(matchers), None, Shape::Matches)
                }
            },
            kind => match kind.usable(argument)? {
                SourceKind::File { .. } => return Self::one_file(argument, destination, options),
                _ => (Walk::new(argument.to_owned()), base_name(argument)?, Shape::Directory),
            },
        };
        let name = shape_name.as_deref().map(OsStr::as_bytes);
        let is_pattern = matches!(shape, Shape::Matches);
        let shape = match shape {
            Shape::Directory => SourceShape::Directory { name },
            Shape::Contents => SourceShape::Contents,
            Shape::Matches => SourceShape::Matches,
        };
        let naming = Naming::new(shape, destination, options)?;
        let root_path = walk.root().to_owned();
        let stream = walk.recursive(options.recursive).names_bytes(names_bytes).start()?;
        Ok(Self {
            root: open_root(&root_path)?,
            root_path,
            naming,
            finder: Finder::Walk(Box::new(stream)),
            is_pattern,
        })
    }

    fn one_file(argument: &Path, destination: &str, options: NamingOptions) -> Result<Self, JobError> {
        let name = base_name(argument)?.unwrap_or_default();
        let naming = Naming::new(SourceShape::File { name: name.as_bytes() }, destination, options)?;
        // A link that the user names is followed; the file itself is opened where it lies.
        let real = std::fs::canonicalize(argument)
            .map_err(|error| LocalError::from_io(argument.to_owned(), "resolving the path", &error))?;
        let parent = real.parent().unwrap_or(Path::new("/"));
        let name = real.file_name().unwrap_or_default();
        Ok(Self {
            root: open_root(parent)?,
            root_path: parent.to_owned(),
            naming,
            finder: Finder::One(RelPath::new(name.as_bytes())),
            is_pattern: false,
        })
    }
}

enum Shape {
    Directory,
    Contents,
    Matches,
}

fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

fn open_root(path: &Path) -> Result<SourceDir, JobError> {
    SourceDir::open(path).map_err(|error| LocalError::from_io(path.to_owned(), "open", &error).into())
}
