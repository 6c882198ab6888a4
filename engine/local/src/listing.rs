//! The names of one directory, compact and sorted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::chain::Chain;
use crate::error::LocalError;
use crate::spill::Merge;

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Socket,
    Fifo,
    BlockDevice,
    CharDevice,
    /// A symbolic link that is to be followed and leads nowhere.
    Dangling,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::File,
        Self::Directory,
        Self::Symlink,
        Self::Socket,
        Self::Fifo,
        Self::BlockDevice,
        Self::CharDevice,
        Self::Dangling,
    ];

    pub(crate) fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.get(usize::from(value)).copied()
    }
}

/// One name: where it stands in the arena. 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Eight bytes of the name behind the prefix that all names share, big-endian, zero-padded: decides
    /// nearly every comparison of the sort without a look into the arena.
    key: u64,
    start: u32,
    len: u16,
    kind: Kind,
}

/// Names in an arena. A directory's name ends in `/`, so that byte order is the order of the walk.
#[derive(Debug, Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Names {
    /// Adds a name (at most 255 bytes on Linux; longer than 65,534 cannot occur).
    pub(crate) fn push(&mut self, name: &[u8], kind: Kind) {
        let start = u32::try_from(self.bytes.len()).expect("a run is far smaller than 4 GiB");
        self.bytes.extend_from_slice(name);
        if kind == Kind::Directory && name.last() != Some(&b'/') {
            self.bytes.push(b'/');
        }
        let len = u16::try_from(self.bytes.len() - start as usize)
            .expect("a directory entry is smaller than 64 KiB");
        self.entries.push(Entry { key: 0, start, len, kind });
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Name (a directory's with its `/`) and kind of entry `index`.
    pub(crate) fn get(&self, index: usize) -> Option<(&[u8], Kind)> {
        self.entries.get(index).map(|entry| (self.name(entry), entry.kind))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.entries.iter().map(|entry| (self.name(entry), entry.kind))
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.start as usize..][..usize::from(entry.len)]
    }

    /// Memory in use, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    /// Returns what growing has reserved in excess.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    pub(crate) fn sort(&mut self) {
        let shared = self.shared_prefix();
        let bytes = &self.bytes;
        let tail = |entry: &Entry| &bytes[entry.start as usize + shared..][..usize::from(entry.len) - shared];
        for entry in &mut self.entries {
            let tail = tail(entry);
            let mut key = [0; 8];
            let len = tail.len().min(8);
            key[..len].copy_from_slice(&tail[..len]);
            entry.key = u64::from_be_bytes(key);
        }
        // Names differ and contain no zero byte: equal keys mean that both have at least eight bytes there.
        self.entries.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| tail(a).cmp(tail(b))));
    }

    /// Length of the prefix that all names have in common.
    fn shared_prefix(&self) -> usize {
        let Some((first, rest)) = self.entries.split_first() else { return 0 };
        let first = self.name(first);
        rest.iter().fold(first.len(), |shared, entry| {
            let name = self.name(entry);
            if name.get(..shared) == Some(&first[..shared]) {
                return shared;
            }
            first.iter().zip(name).take(shared).take_while(|(a, b)| a == b).count()
        })
    }
}

/// Memory for names, shared by all listings of a walk.
#[derive(Debug)]
pub(crate) struct Budget {
    held: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), limit })
    }

    /// Says whether half of the budget is free: reading ahead is for free memory only.
    pub(crate) fn is_relaxed(&self) -> bool {
        self.held.load(Ordering::Relaxed) <= self.limit / 2
    }
}

/// Bytes taken from a [`Budget`]; given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Sets the charge to `bytes`, and says whether the budget still holds.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let held = if bytes >= self.bytes {
            let more = bytes - self.bytes;
            self.budget.held.fetch_add(more, Ordering::Relaxed) + more
        } else {
            let less = self.bytes - bytes;
            self.budget.held.fetch_sub(less, Ordering::Relaxed) - less
        };
        self.bytes = bytes;
        held <= self.budget.limit
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A directory that has been read.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Its first names, sorted.
    pub(crate) names: Names,
    /// The rest, where it did not fit in memory.
    pub(crate) tail: Option<Merge>,
    /// What went wrong while it was read.
    pub(crate) problems: Vec<LocalError>,
    /// Whether it had no entry at all (before any matcher).
    pub(crate) is_empty: bool,
    /// It is one of the directories above it, and was not read.
    pub(crate) is_loop: bool,
    /// Directories in it that nobody wants.
    pub(crate) pruned: u64,
    /// It and the directories above it, where links are followed.
    pub(crate) chain: Option<Arc<Chain>>,
    pub(crate) charge: Charge,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[(&str, Kind)]) -> Vec<String> {
        let mut all = Names::default();
        for (name, kind) in names {
            all.push(name.as_bytes(), *kind);
        }
        all.sort();
        all.iter().map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect()
    }

    #[test]
    fn directories_sort_with_their_slash() {
        use Kind::{Directory, File};
        assert_eq!(
            sorted(&[("a0", File), ("a", Directory), ("a.txt", File), ("a-b", File), ("a!", Directory)]),
            ["a!/", "a-b", "a.txt", "a/", "a0"]
        );
        assert_eq!(sorted(&[]), Vec::<String>::new());
        assert_eq!(sorted(&[("x", File)]), ["x"]);
    }

    #[test]
    fn any_names_sort_by_bytes() {
        // Shared prefixes longer than the key, keys that end early, bytes above 0x7f.
        let mut names: Vec<String> = Vec::new();
        for prefix in ["", "a", "common_prefix_", "common_prefix_01234567", "ü", "~"] {
            for n in 0..50 {
                names.push(format!("{prefix}{}", "x".repeat(n)));
                names.push(format!("{prefix}{n:09}"));
            }
        }
        names.retain(|name| !name.is_empty());
        for skip in [0, 1, 100, 200, 450] {
            let mut expected: Vec<_> = names[skip..].to_vec();
            expected.sort();
            expected.dedup();
            let mut shuffled = expected.clone();
            shuffled.sort_by_key(|name| name.bytes().rev().collect::<Vec<_>>());
            let shuffled: Vec<_> = shuffled.iter().map(|name| (name.as_str(), Kind::File)).collect();
            assert_eq!(sorted(&shuffled), expected);
        }
    }

    #[test]
    fn budget_is_given_back() {
        let budget = Budget::new(100);
        let mut one = Charge::new(&budget);
        assert!(one.set(60));
        assert!(!budget.is_relaxed());
        let mut two = Charge::new(&budget);
        assert!(!two.set(50));
        assert!(two.set(40));
        drop(one);
        assert!(budget.is_relaxed());
        drop(two);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
