//! Which directories a directory is in, to see that following a link would go in circles.

use std::sync::Arc;

/// Device and inode.
pub(crate) type Identity = (u64, u64);

/// A directory and those above it, up to the root. Siblings share what is above them, so that a walk holds one of these
/// per level and per directory read ahead.
#[derive(Debug)]
pub(crate) struct Chain {
    identity: Identity,
    above: Option<Arc<Chain>>,
}

impl Chain {
    pub(crate) fn new(identity: Identity, above: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { identity, above })
    }

    pub(crate) fn contains(&self, identity: Identity) -> bool {
        let mut at = Some(self);
        while let Some(directory) = at {
            if directory.identity == identity {
                return true;
            }
            at = directory.above.as_deref();
        }
        false
    }
}

impl Drop for Chain {
    /// One after the other: a tree can be deeper than the stack is for a drop inside a drop.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(mut directory) = above.and_then(Arc::into_inner) {
            above = directory.above.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_all_above_and_needs_no_stack() {
        let mut chain = Chain::new((1, 0), None);
        let side = Chain::new((2, 7), Some(Arc::clone(&chain)));
        for inode in 1..1_000_000 {
            chain = Chain::new((1, inode), Some(chain));
        }
        assert!(chain.contains((1, 0)) && chain.contains((1, 999_999)) && chain.contains((1, 5)));
        assert!(!chain.contains((2, 7)) && !chain.contains((1, 1_000_000)));
        drop(chain);
        assert!(side.contains((2, 7)) && side.contains((1, 0)));
    }
}
