//! Whether a listing goes on: page after page of other names, each below what was asked for.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use azuring_plan::order::{OrderKey, Rising};

use crate::listing::{Item, List, Page};

/// Pages without an entry that may follow each other. The service sends some where much was deleted, has expired, or
/// lies on another of its servers ("may return zero results and a continuation token"); nothing documents how many, and
/// its own clients follow them for ever. Of 5,000 names each, these would be 500 million in a row of which none is
/// there any more: whoever has removed 50 million blobs with soft delete still sees what comes behind them.
pub const MAX_EMPTY_PAGES: u32 = 100_000;

/// The way of one listing through its pages. What stands still, goes in circles or leaves its prefix is an error; what
/// keeps no known order is told ([`Course::disorder`]). 16 bytes a page.
///
/// ```text
///   marker ── seen before? ────────────> error        the next page was read already
///   page ──── seen before? ────────────> error        the same entries under another marker
///        ──── empty, 100,000 in a row? ──> error
///        ──── a prefix that is not longer than the one listed? ──> error
///        ──── not below the prefix ────> left out     nobody asked for it
///        ──── the entry before again ──> left out     a change between two pages
///        ──── smaller than that ───────> told once    the service's order is none that is known
/// ```
#[derive(Debug, Default)]
pub struct Course {
    /// Digests of the markers that were sent or told.
    markers: HashSet<u64>,
    /// Digests of the pages with entries.
    pages: HashSet<u64>,
    /// Pages without entries since the last one with some.
    empty: u32,
    /// Some servers list the blobs of a page before its prefixes: each kind has an order of its own.
    blobs: Kind,
    prefixes: Kind,
    disorder: Option<Disorder>,
}

#[derive(Debug, Default)]
struct Kind {
    rising: Rising,
    /// The last entry.
    last: Option<Last>,
}

#[derive(Debug, PartialEq, Eq)]
struct Last {
    name: String,
    /// Snapshot and version.
    state: (Option<Box<str>>, Option<Box<str>>),
}

/// Names that rise in no order that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disorder {
    /// A name.
    pub first: String,
    /// The one that was listed after it, and should not have been.
    pub second: String,
}

impl Course {
    /// Names that were out of order, the first time that there are some.
    pub fn disorder(&self) -> Option<&Disorder> {
        self.disorder.as_ref()
    }

    /// The order of the blobs, so far as those that came tell.
    pub fn order(&self) -> Option<OrderKey> {
        if self.disorder.is_some() { None } else { self.blobs.rising.order() }
    }

    /// Looks at the next page, and takes out of it what is not to be there.
    ///
    /// # Errors
    /// The listing does not go on. Then nothing has changed: the page may be asked for again.
    pub fn take(&mut self, list: &List<'_>, page: &mut Page) -> Result<(), String> {
        let standing = |item: &&Item| {
            matches!(item, Item::Prefix(name)
                if !name.starts_with(list.prefix) || name.len() <= list.prefix.len())
        };
        if let Some(item) = page.items.iter().find(standing) {
            return Err(format!("it lists `{}` below its own prefix", item.name().escape_debug()));
        }
        let next = page.next.as_deref().map(digest);
        if let (Some(next), Some(marker)) = (next, &page.next)
            && (self.markers.contains(&next) || list.marker == Some(marker))
        {
            return Err("its next page is one that was read before, so that there would be no end".to_owned());
        }
        page.items.retain(|item| item.name().starts_with(list.prefix));
        let this = match (page.items.first(), page.items.last()) {
            (Some(first), Some(last)) => Some(digest(&(identity(first), identity(last), page.items.len()))),
            _ => None,
        };
        if let Some(this) = &this
            && self.pages.contains(this)
        {
            return Err("it is a page that was read before under another marker".to_owned());
        }
        if this.is_none() && next.is_some() && self.empty >= MAX_EMPTY_PAGES {
            return Err(format!("it is empty, and so were the {MAX_EMPTY_PAGES} pages before it"));
        }
        self.empty = if this.is_none() { self.empty + 1 } else { 0 };
        self.markers.extend(next);
        self.pages.extend(this);
        self.look(page);
        Ok(())
    }

    /// Leaves out what is the same as the entry before it, and looks at the order.
    fn look(&mut self, page: &mut Page) {
        let mut disorder = None;
        let (mut blob, mut prefix): (Option<usize>, Option<usize>) = (None, None);
        let mut kept = 0;
        for at in 0..page.items.len() {
            let item = &page.items[at];
            let (kind, before) = match item {
                Item::Entry(_) => (&mut self.blobs, &mut blob),
                Item::Prefix(_) => (&mut self.prefixes, &mut prefix),
            };
            let last = match before {
                Some(before) => Some((page.items[*before].name(), is_same(&page.items[*before], item))),
                None => kind.last.as_ref().map(|last| (last.name.as_str(), last.is(item))),
            };
            match last {
                Some((_, true)) => continue,
                // Another version or snapshot of it.
                Some((last, false)) if last == item.name() => {}
                Some((last, false)) => {
                    let was = kind.rising.is_known();
                    if !kind.rising.next(last.as_bytes(), item.name().as_bytes()) && was {
                        let (first, second) = (last.to_owned(), item.name().to_owned());
                        disorder.get_or_insert(Disorder { first, second });
                    }
                }
                None => {}
            }
            *before = Some(kept);
            page.items.swap(kept, at);
            kept += 1;
        }
        for (kind, at) in [(&mut self.blobs, blob), (&mut self.prefixes, prefix)] {
            if let Some(at) = at {
                kind.last = Some(Last::of(&page.items[at]));
            }
        }
        page.items.truncate(kept);
        if self.disorder.is_none() {
            self.disorder = disorder;
        }
    }
}

impl Last {
    fn of(item: &Item) -> Self {
        let (snapshot, version) = state(item);
        Self { name: item.name().to_owned(), state: (snapshot.map(Into::into), version.map(Into::into)) }
    }

    fn is(&self, item: &Item) -> bool {
        self.name == item.name() && (self.state.0.as_deref(), self.state.1.as_deref()) == state(item)
    }
}

fn is_same(a: &Item, b: &Item) -> bool {
    a.name() == b.name() && state(a) == state(b)
}

/// Which state of a blob an entry is.
fn state(item: &Item) -> (Option<&str>, Option<&str>) {
    match item {
        Item::Entry(entry) => (entry.snapshot.as_deref(), entry.facts.version_id.as_deref()),
        Item::Prefix(_) => (None, None),
    }
}

fn identity(item: &Item) -> (bool, &str, (Option<&str>, Option<&str>)) {
    (matches!(item, Item::Entry(_)), item.name(), state(item))
}

/// Of a few thousand of these two are the same once in 10^12 listings.
fn digest<T: Hash + ?Sized>(what: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::Entry;

    fn blob(name: &str) -> Item {
        Item::Entry(Box::new(Entry { name: name.to_owned(), ..Entry::default() }))
    }

    fn version(name: &str, id: &str) -> Item {
        let mut entry = Entry { name: name.to_owned(), ..Entry::default() };
        entry.facts.version_id = Some(id.into());
        Item::Entry(Box::new(entry))
    }

    fn page(items: impl IntoIterator<Item = Item>, next: &str) -> Page {
        let next = (!next.is_empty()).then(|| next.to_owned());
        Page { items: items.into_iter().collect(), next }
    }

    fn list<'a>(prefix: &'a str, marker: &'a str) -> List<'a> {
        List { prefix, marker: (!marker.is_empty()).then_some(marker), ..List::default() }
    }

    fn names(page: &Page) -> Vec<&str> {
        page.items.iter().map(Item::name).collect()
    }

    #[test]
    fn markers_that_lead_back_end_the_listing() {
        let mut course = Course::default();
        let mut take = |marker, name, next| course.take(&list("", marker), &mut page([blob(name)], next));
        assert_eq!(take("", "a", "A"), Ok(()));
        assert!(take("A", "b", "A").unwrap_err().contains("read before"));
        // After an error the same page may come again, and go on.
        assert_eq!(take("A", "b", "B"), Ok(()));
        for next in ["A", "B"] {
            assert!(take("B", "c", next).unwrap_err().contains("read before"), "{next}");
        }
        assert_eq!(take("B", "c", ""), Ok(()));
    }

    #[test]
    fn the_same_entries_under_new_markers_end_the_listing() {
        let mut course = Course::default();
        let all = || ["a", "b"].map(blob);
        assert_eq!(course.take(&list("", ""), &mut page(all(), "A")), Ok(()));
        assert!(course.take(&list("", "A"), &mut page(all(), "B")).unwrap_err().contains("another marker"));
        // Many versions of one name are many pages of it.
        let mut course = Course::default();
        for n in 0..3 {
            let items = [version("a", &format!("{n}1")), version("a", &format!("{n}2"))];
            assert_eq!(course.take(&list("", ""), &mut page(items, &n.to_string())), Ok(()));
        }
        assert_eq!(course.disorder(), None);
    }

    #[test]
    fn empty_pages_are_followed_and_not_for_ever() {
        let mut course = Course::default();
        let mut take = |n: u32, items: Option<Item>| {
            course.take(&list("", &n.to_string()), &mut page(items, &(n + 1).to_string()))
        };
        for n in 0..MAX_EMPTY_PAGES {
            assert_eq!(take(n, None), Ok(()), "{n}");
        }
        assert_eq!(take(MAX_EMPTY_PAGES, Some(blob("a"))), Ok(()));
        for n in 1..=MAX_EMPTY_PAGES {
            assert_eq!(take(MAX_EMPTY_PAGES + n, None), Ok(()), "{n}");
        }
        assert!(take(2 * MAX_EMPTY_PAGES + 1, None).unwrap_err().contains("100000 pages"));
    }

    #[test]
    fn nothing_leaves_its_prefix() {
        let mut course = Course::default();
        for prefix in ["d/", "d", "", "x/", "dir/"] {
            let told = course.take(&list("d/", ""), &mut page([Item::Prefix(prefix.to_owned())], ""));
            assert!(told.unwrap_err().contains("below its own prefix"), "{prefix}");
        }
        assert!(course.take(&list("", ""), &mut page([Item::Prefix(String::new())], "")).is_err());
        let mut mixed = page([blob("c"), blob("d"), blob("d/"), blob("d/a"), blob("da")], "");
        assert_eq!(course.take(&list("d/", ""), &mut mixed), Ok(()));
        assert_eq!(names(&mixed), ["d/", "d/a"]);
        // What nobody asked for is no progress either.
        let mut foreign = page([blob("x")], "M");
        course.empty = MAX_EMPTY_PAGES;
        assert!(course.take(&list("d/", ""), &mut foreign).is_err());
    }

    #[test]
    fn entries_that_come_twice_in_a_row_count_once() {
        let mut course = Course::default();
        let mut first = page([blob("a"), blob("b"), blob("b"), version("b", "1"), version("b", "1")], "A");
        course.take(&list("", ""), &mut first).unwrap();
        assert_eq!(names(&first), ["a", "b", "b"]);
        let mut second = page([version("b", "1"), version("b", "2"), blob("c")], "");
        course.take(&list("", "A"), &mut second).unwrap();
        assert_eq!((names(&second), course.disorder()), (vec!["b", "c"], None));
    }

    #[test]
    fn each_known_order_passes_and_others_are_told() {
        let take = |pages: &[&[&str]]| {
            let mut course = Course::default();
            for (n, names) in pages.iter().enumerate() {
                let mut page = page(names.iter().map(|name| blob(name)), &n.to_string());
                course.take(&list("", ""), &mut page).unwrap();
                assert_eq!(page.items.len(), names.len());
            }
            course.disorder().map(|told| (told.first.clone(), told.second.clone()))
        };
        assert_eq!(take(&[&["a", "a-"], &["a/x", "\u{10000}"], &["\u{fffd}"]]), None);
        assert_eq!(take(&[&["a", "a/x"], &["a-", "\u{10000}"], &["\u{fffd}"]]), None);
        assert_eq!(take(&[&["a", "a-"], &["a/x", "\u{fffd}"], &["\u{10000}"]]), None);
        let told = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(take(&[&["a", "c"], &["b", "d"]]), told("c", "b"));
        assert_eq!(take(&[&["a/x", "a-"], &["\u{fffd}", "\u{10000}"]]), told("\u{fffd}", "\u{10000}"));
        // Blobs before prefixes, as Azurite has them.
        let mut course = Course::default();
        let prefix = |name: &str| Item::Prefix(name.to_owned());
        let mut mixed = page([blob("b"), blob("d"), prefix("a/"), prefix("c/")], "");
        course.take(&list("", ""), &mut mixed).unwrap();
        assert_eq!((mixed.items.len(), course.disorder()), (4, None));
    }
}
