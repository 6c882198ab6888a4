//! Which blob has which local name.

use std::sync::atomic::Ordering;

use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::NameError;
use azuring_plan::download::LocalName;

use super::download::{Download, Rule};

/// Empty files that are remembered, some 8 MB of names. Those beyond stand in the way of what is below them.
const EMPTY_MAX: usize = 65_536;

/// Whether a blob may have its local name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is like its own.
    Free,
    /// It is shorter, and this blob's.
    Collapsed,
    /// It is shorter, and another blob's.
    Taken,
}

impl Download {
    /// Notes a blob whose local name is shorter than its own, because empty segments disappear. They come before the blob that
    /// has the name by itself.
    pub fn claims(&self, item: &BlobItem) -> Claim {
        if !is_collapsed(item) {
            return Claim::Free;
        }
        let Ok(local) = self.local_name(item) else { return Claim::Free };
        self.any_collapsed.store(true, Ordering::SeqCst);
        let mut taken = self.collapsed.lock().expect("nothing panics while the lock is held");
        if taken.insert(local) { Claim::Collapsed } else { Claim::Taken }
    }

    /// Why a blob may not have its local name, where another one has that.
    pub(crate) fn refuses(&self, item: &BlobItem) -> Option<Box<Failure>> {
        let local = self.local_name(item).ok()?;
        self.is_taken(item, &local).then(|| {
            let text = "another blob has the same name on this file system, where empty segments disappear";
            let failure = Failure::new(FailureKind::Name, &item.object(), text);
            Box::new(failure.advise("rename one of them"))
        })
    }

    /// Whether the local name belongs to a blob whose empty segments have disappeared.
    fn is_taken(&self, item: &BlobItem, local: &LocalName) -> bool {
        self.any_collapsed.load(Ordering::SeqCst)
            && !is_collapsed(item)
            && self.collapsed.lock().expect("nothing panics while the lock is held").contains(local)
    }

    /// Notes an empty file that is about to be made of a blob that no ordered listing told: its name and a slash may begin
    /// others, in whatever order they come.
    pub(crate) fn may_be_directory(&self, local: &LocalName) {
        let mut empty = self.empty.lock().expect("nothing panics while the lock is held");
        if empty.len() < EMPTY_MAX {
            empty.insert(local.clone());
        }
    }

    /// Puts a directory in the place of an empty file of this job that stands in the way of `path` or is that; `false`: there
    /// is none.
    pub(crate) fn gives_way(&self, path: &[u8]) -> bool {
        let empty = self.empty.lock().expect("nothing panics while the lock is held");
        let tree = self.tree().ok().flatten().filter(|_| !empty.is_empty());
        let Some(tree) = tree else { return false };
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let above = ends.chain([path.len()]).filter_map(|end| LocalName::new(&path[..end]).ok());
        above.fold(false, |any, name| {
            any | (empty.contains(&name) && tree.make_dir_of_empty_file(&name).is_ok())
        })
    }

    pub(crate) fn local_name(&self, blob: &BlobItem) -> Result<LocalName, NameError> {
        match &self.begun().naming {
            Rule::Names(naming) => naming.local_name_for(&blob.entry.name),
            Rule::Versions => {
                // Colons are kept out of names, as AzCopy does it.
                let version = blob.entry.facts.version_id.as_deref().unwrap_or_default().replace(':', "-");
                LocalName::new(format!("{version}-{}", blob.relative()).as_bytes())
            }
        }
    }
}

/// Whether empty segments of the name disappear.
fn is_collapsed(item: &BlobItem) -> bool {
    let name = item.relative();
    name.starts_with('/') || name.contains("//")
}
