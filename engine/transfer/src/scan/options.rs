//! How a local source is read.

use std::path::PathBuf;
use std::sync::Arc;

use azuring_job::choices::{ListOfFiles, Symlinks};
use azuring_local::{SymlinkMode, Walk};
use azuring_plan::destination::NamingOptions;
use azuring_plan::filter::Filter;

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
    pub(super) fn unfiltered(&self) -> Self {
        Self { filter: Filter::default(), ..self.clone() }
    }

    /// A walk of `root` as these options want it; excluded directories are not opened.
    pub(crate) fn walk(&self, root: PathBuf) -> Walk {
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

    /// Whether what `--include-path` names is taken alone: without recursion a directory that it names has nothing to
    /// give, and a file is taken wherever it lies.
    pub(crate) fn takes_paths_alone(&self) -> bool {
        !self.naming.recursive && self.filter.include_paths(false).is_some()
    }
}
