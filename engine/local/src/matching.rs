//! Which directories and names a walk takes.

use std::sync::Arc;

/// Says whether a path segment (the second argument: a name, without `/`) matches, in a directory (its path from the
/// root, without a final `/`; empty for the root).
pub type SegmentMatcher = Arc<dyn Fn(&[u8], &[u8]) -> bool + Send + Sync>;

/// Says whether nothing at or below a directory (its path from the root, without a final `/`) is wanted.
pub type DirectoryPruner = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// One matcher per path segment, from the root.
#[derive(Clone, Default)]
pub(crate) struct Matchers(pub(crate) Vec<SegmentMatcher>);

impl std::fmt::Debug for Matchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matchers({})", self.0.len())
    }
}

impl Matchers {
    pub(crate) fn takes(&self, depth: usize, directory: &[u8], name: &[u8]) -> bool {
        self.0.get(depth).is_none_or(|matches| matches(directory, name))
    }

    /// Whether a path that ends at `depth` is too short to match.
    pub(crate) fn is_above_last(&self, depth: usize) -> bool {
        depth + 1 < self.0.len()
    }
}

/// Says which directories are left out.
#[derive(Clone, Default)]
pub(crate) struct Pruner(pub(crate) Option<DirectoryPruner>);

impl std::fmt::Debug for Pruner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pruner({})", self.0.is_some())
    }
}
