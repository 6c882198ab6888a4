//! Which blob has which local name.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
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

/// Names that a list or what is below its lines gave, as bits of a filter: one that was given is found for sure,
/// another one seldom.
#[derive(Default)]
pub(super) struct Given(Vec<u64>);

/// 1 MiB: of a million names, one in 60 that was not given seems to have been.
const GIVEN_BITS: u64 = 1 << 23;

impl Given {
    fn bits(name: &str) -> [u64; 2] {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let hash = hasher.finish();
        [hash % GIVEN_BITS, (hash >> 32) % GIVEN_BITS]
    }

    fn insert(&mut self, name: &str) {
        if self.0.is_empty() {
            self.0 = vec![0; (GIVEN_BITS / 64) as usize];
        }
        for bit in Self::bits(name) {
            self.0[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    fn may_contain(&self, name: &str) -> bool {
        let is_set =
            |bit: u64| self.0.get((bit / 64) as usize).is_some_and(|bits| bits & (1 << (bit % 64)) != 0);
        Self::bits(name).into_iter().all(is_set)
    }
}

impl Download {
    /// Notes a blob whose local name is shorter than its own, because empty segments disappear. They come before the
    /// blob that has the name by itself.
    pub fn claims(&self, item: &BlobItem) -> Claim {
        if !is_collapsed(item) {
            return Claim::Free;
        }
        let Ok(local) = self.local_name(item) else { return Claim::Free };
        self.any_collapsed.store(true, Ordering::SeqCst);
        let mut taken = self.collapsed.lock().expect("nothing panics while the lock is held");
        let owner = taken.entry(local).or_insert_with(|| item.entry.name.clone());
        if *owner == item.entry.name { Claim::Collapsed } else { Claim::Taken }
    }

    /// Notes a blob that a list or a line of it gave, in whatever order: if its empty segments do not disappear, it has
    /// its local name from now on.
    pub fn is_given(&self, item: &BlobItem) {
        if !is_collapsed(item) {
            self.given.lock().expect("nothing panics while the lock is held").insert(item.relative());
        }
    }

    /// The blob that has the local name of this one by itself, where that seems to have been given before.
    pub fn given_before(&self, item: &BlobItem) -> Option<String> {
        let plain = plain_name(item)?;
        let given = self.given.lock().expect("nothing panics while the lock is held");
        given.may_contain(&plain[item.relative_at..]).then_some(plain)
    }

    /// The other blob that has the local name of this one.
    pub fn owner(&self, item: &BlobItem) -> Option<String> {
        if !self.any_collapsed.load(Ordering::SeqCst) {
            return None;
        }
        let local = self.local_name(item).ok()?;
        let taken = self.collapsed.lock().expect("nothing panics while the lock is held");
        taken.get(&local).filter(|owner| **owner != item.entry.name).cloned()
    }

    /// Nobody has it any more.
    pub fn gives_back(&self, item: &BlobItem) {
        let Ok(local) = self.local_name(item) else { return };
        self.collapsed.lock().expect("nothing panics while the lock is held").remove(&local);
    }

    /// Another blob, which has the local name of this one by itself, came before it.
    pub fn leaves_to(&self, item: &BlobItem, owner: String) {
        let Ok(local) = self.local_name(item) else { return };
        self.any_collapsed.store(true, Ordering::SeqCst);
        self.collapsed.lock().expect("nothing panics while the lock is held").entry(local).or_insert(owner);
    }

    /// Why a blob may not have its local name, where another one has that.
    pub(crate) fn refuses(&self, item: &BlobItem) -> Option<Box<Failure>> {
        self.owner(item).map(|_| {
            let text = "another blob has the same name on this file system, where empty segments disappear";
            let failure = Failure::new(FailureKind::Name, &item.object(), text);
            Box::new(failure.advise("rename one of them"))
        })
    }

    /// Notes an empty file that is about to be made of a blob that no ordered listing told: its name and a slash may
    /// begin others, in whatever order they come.
    pub(crate) fn may_be_directory(&self, local: &LocalName) {
        let mut empty = self.empty.lock().expect("nothing panics while the lock is held");
        if empty.len() < EMPTY_MAX {
            empty.insert(local.clone());
        }
    }

    /// Puts a directory in the place of an empty file of this job that stands in the way of `path` or is that; `false`:
    /// there is none.
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
            Rule::Versions => LocalName::new(version_name(blob).as_bytes()),
        }
    }
}

/// What a version of a blob is called where it stands beside others. Colons are kept out of names, as AzCopy does it.
pub(super) fn version_name(blob: &BlobItem) -> String {
    let version = blob.entry.facts.version_id.as_deref().unwrap_or_default().replace(':', "-");
    format!("{version}-{}", blob.relative())
}

/// The blob's name without the empty segments that disappear, where it has some.
pub fn plain_name(item: &BlobItem) -> Option<String> {
    if !is_collapsed(item) {
        return None;
    }
    let (relative, mut plain) = (item.relative(), item.entry.name[..item.relative_at].to_owned());
    let segments: Vec<&str> = relative.split('/').filter(|segment| !segment.is_empty()).collect();
    plain.push_str(&segments.join("/"));
    if relative.ends_with('/') {
        plain.push('/');
    }
    Some(plain)
}

/// Whether empty segments of the name disappear.
fn is_collapsed(item: &BlobItem) -> bool {
    let name = item.relative();
    name.starts_with('/') || name.contains("//")
}
