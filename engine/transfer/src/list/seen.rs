//! What the first page of a listing has told, so that it is not told again.

use azuring_azure::ListItem;

/// The names of a page.
#[derive(Debug)]
pub(super) struct Seen {
    /// What was told: in order, each once, all of the page but the last.
    names: Vec<Box<str>>,
    /// The last one, of which more may be on the next page.
    last: Box<str>,
}

impl Seen {
    /// Takes what belongs to the last name off a page, and notes the others. `None`, and the page as it was, when that
    /// is no ground to cut on: it is empty, or does not come as far as what was `told` (in order) of it before.
    pub(super) fn of(items: &mut Vec<ListItem>, told: &[Box<str>]) -> Option<(Self, Vec<ListItem>)> {
        let last: Box<str> = name(items.last()?).into();
        let kept = items.iter().rposition(|item| name(item) != &*last).map_or(0, |at| at + 1);
        let mut names: Vec<Box<str>> = items[..kept].iter().map(|item| name(item).into()).collect();
        names.sort_unstable();
        names.dedup();
        let seen = Self { names, last };
        if told.iter().any(|name| !seen.has(name)) {
            return None;
        }
        let kept_back = items.split_off(kept);
        Some((seen, kept_back))
    }

    /// Whether this name was told.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.binary_search_by(|told| (**told).cmp(name)).is_ok()
    }

    /// The names told that begin with this.
    pub(super) fn below(&self, prefix: &str) -> &[Box<str>] {
        let from = self.names.partition_point(|name| **name < *prefix);
        let count = self.names[from..].partition_point(|name| name.starts_with(prefix));
        &self.names[from..from + count]
    }

    /// Whether there may be more below this prefix than was told: names below a directory follow each other, so all but
    /// the last one's is complete.
    pub(super) fn is_open(&self, prefix: &str) -> bool {
        self.last.starts_with(prefix) || self.below(prefix).is_empty()
    }
}

fn name(item: &ListItem) -> &str {
    match item {
        ListItem::Entry(entry) => &entry.name,
        ListItem::Prefix(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_azure::{BlobEntry, BlobFacts};

    fn page(names: &[&str]) -> Vec<ListItem> {
        let entry = |name: &&str| BlobEntry::new((*name).to_owned(), BlobFacts::default());
        names.iter().map(|name| ListItem::Entry(Box::new(entry(name)))).collect()
    }

    #[test]
    fn the_last_name_is_kept_back_with_all_its_versions() {
        let mut items = page(&["a/1", "a/1", "a-", "b/x", "b/y", "b/y", "b/y"]);
        let (seen, kept_back) = Seen::of(&mut items, &[]).unwrap();
        assert_eq!((items.len(), kept_back.len()), (4, 3));
        assert!(seen.has("a/1") && seen.has("a-") && seen.has("b/x"));
        assert!(!seen.has("b/y") && !seen.has("b"));
        assert_eq!(seen.below("b/"), ["b/x".into()]);
        assert_eq!(seen.below("a"), ["a-".into(), "a/1".into()]);
    }

    #[test]
    fn only_the_last_directory_and_those_not_met_are_open() {
        let (seen, _) = Seen::of(&mut page(&["a/1", "b/c/1", "b/d/1", "b/d/2"]), &[]).unwrap();
        let open = ["a/", "b/", "b/c/", "b/d/", "b/e/", "c/"].map(|prefix| seen.is_open(prefix));
        assert_eq!(open, [false, true, false, true, true, true]);
        // The last name alone: its directory is open though nothing of it was told.
        let (seen, kept_back) = Seen::of(&mut page(&["a/1", "a/1"]), &[]).unwrap();
        assert!(seen.is_open("a/") && !seen.has("a/1"));
        assert_eq!(kept_back.len(), 2);
    }

    #[test]
    fn no_cut_is_made_short_of_what_was_told_before() {
        let told = |names: &[&str]| names.iter().map(|name| (*name).into()).collect::<Vec<Box<str>>>();
        let mut items = page(&["a", "b", "c"]);
        for beyond in [told(&["a", "c"]), told(&["d"])] {
            assert!(Seen::of(&mut items, &beyond).is_none());
            assert_eq!(items.len(), 3);
        }
        assert!(Seen::of(&mut items, &told(&["a", "b"])).is_some());
        assert!(Seen::of(&mut Vec::new(), &[]).is_none());
    }
}
