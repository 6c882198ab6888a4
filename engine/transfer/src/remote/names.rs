//! Which of the listed blobs can be files beside each other.
//!
//! A blob `a` may stand beside a blob `a/b`, a file not. So in the order of the listing, whatever the lanes are doing:
//!
//! - An empty blob `a` whose name and a slash begin other names is a directory. It is held back until that is known.
//! - Of any other blob `a` and a blob `a/b` the shorter name is the file, and the other one is refused.
//!
//! Between `a` and `a/b` others may be listed (`a-x`, `a.b`), but only such as begin with `a`. So what waits for its
//! fate is always a beginning of the name at hand: a stack of lengths, one comparison a blob.

use super::Listed;

/// What the names so far say of those to come.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The name at hand.
    last: String,
    /// Blobs whose names begin it, the longest last.
    above: Vec<Above>,
}

#[derive(Debug)]
struct Above {
    /// Its name is so many bytes of the last one.
    len: usize,
    /// The blob, where it is empty and held back; `None`: it is a file.
    held: Option<Listed>,
}

/// A blob that was held back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing is below it.
    File(Listed),
    /// It stands for a directory.
    Directory(Listed),
}

impl Fate {
    /// The entry, changed into that of a directory where it is one.
    pub(super) fn entry(self) -> Listed {
        match self {
            Self::File(entry) => entry,
            Self::Directory(mut entry) => {
                entry.is_directory = true;
                entry
            }
        }
    }
}

impl Names {
    /// Comes to the next name: blobs whose fate it decides go to `out`. Returns the length of the file's name below
    /// which it lies, and cannot.
    pub(super) fn next(&mut self, name: &str, out: &mut Vec<Fate>) -> Option<usize> {
        let common = self.last.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let whole = (0..=common).rev().find(|at| self.last.is_char_boundary(*at)).unwrap_or(0);
        self.last.truncate(whole);
        self.last.push_str(&name[self.last.len()..]);
        while let Some(above) = self.above.last_mut() {
            let below = if above.len <= common { name.as_bytes().get(above.len) } else { None };
            match (below, &above.held) {
                (Some(b'/'), None) => return Some(above.len),
                (Some(b'/'), Some(_)) => {
                    out.extend(above.held.take().map(Fate::Directory));
                    self.above.pop();
                }
                // Names below it may still come; of those that begin it the same was said before.
                (Some(character), _) if *character < b'/' => return None,
                _ => {
                    out.extend(above.held.take().map(Fate::File));
                    self.above.pop();
                }
            }
        }
        None
    }

    /// The blob at hand is a file.
    pub(super) fn is_file(&mut self) {
        self.above.push(Above { len: self.last.len(), held: None });
    }

    /// The blob at hand is empty: it waits.
    pub(super) fn hold(&mut self, entry: Listed) {
        self.above.push(Above { len: self.last.len(), held: Some(entry) });
    }

    /// Whether something waits.
    pub(super) fn holds(&self) -> bool {
        self.above.iter().any(|above| above.held.is_some())
    }

    /// Lets go of all that waits: the caller finds out what it is, and no name will be compared with it.
    pub(super) fn let_go(&mut self) -> Vec<Listed> {
        let mut held = Vec::new();
        self.above.retain_mut(|above| match above.held.take() {
            Some(entry) => {
                held.push(entry);
                false
            }
            None => true,
        });
        held
    }

    /// Begins another listing. Nothing waits.
    pub(super) fn begin(&mut self) {
        self.above.clear();
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_azure::{BlobEntry, BlobFacts};
    use azuring_plan::order::OrderKey;

    /// What becomes of names, those with `=` in front being files and the others empty.
    fn fates(names: &[&str], order: OrderKey) -> Vec<String> {
        let mut sorted: Vec<(&str, bool)> =
            names.iter().map(|name| (name.trim_start_matches('='), name.starts_with('='))).collect();
        sorted.sort_by(|a, b| order.compare(a.0.as_bytes(), b.0.as_bytes()));
        let (mut state, mut out, mut told) = (Names::default(), Vec::new(), Vec::new());
        let tell = |fate: Fate| match fate {
            Fate::File(entry) => entry.name,
            Fate::Directory(entry) => format!("{} is a directory", entry.name),
        };
        for (name, is_file) in sorted {
            let blocked = state.next(name, &mut out);
            told.extend(out.drain(..).map(tell));
            match blocked {
                Some(len) => told.push(format!("{name} lies below {}", &name[..len])),
                None if is_file => {
                    state.is_file();
                    told.push(name.to_owned());
                }
                None => {
                    let name = name.to_owned();
                    state.hold(Box::new(BlobEntry::new(name, BlobFacts::default())));
                }
            }
        }
        told.extend(state.let_go().into_iter().map(|entry| entry.name));
        told.sort();
        told
    }

    #[test]
    fn whatever_is_listed_between_a_name_and_what_is_below_it() {
        let names = [
            "=d/data",
            "d",
            "d-x",
            "=d.x",
            "d-x/1",
            "=f",
            "f!",
            "=f/1",
            "=f/2/3",
            "=f-1",
            "=g",
            "é",
            "=é/é",
            "\u{10000}",
            "=\u{fffd}",
            "=\u{fffd}/x",
        ];
        let expected = [
            "d is a directory",
            "d-x is a directory",
            "d-x/1",
            "d.x",
            "d/data",
            "f",
            "f!",
            "f-1",
            "f/1 lies below f",
            "f/2/3 lies below f",
            "g",
            "é is a directory",
            "é/é",
            "\u{fffd}",
            "\u{fffd}/x lies below \u{fffd}",
            "\u{10000}",
        ];
        for order in [OrderKey::Bytes, OrderKey::Utf16, OrderKey::Tree] {
            assert_eq!(fates(&names, order), expected, "{order:?}");
        }
    }

    #[test]
    fn what_was_let_go_blocks_nothing() {
        let (mut names, mut out) = (Names::default(), Vec::new());
        assert_eq!(names.next("d", &mut out), None);
        names.hold(Box::new(BlobEntry::new("d".to_owned(), BlobFacts::default())));
        assert!(names.holds());
        assert_eq!(names.let_go().len(), 1);
        assert!(!names.holds());
        assert_eq!(names.next("d/x", &mut out), None);
        names.is_file();
        assert_eq!((names.next("d/x/y", &mut out), out.len()), (Some(3), 0));
    }

    #[test]
    fn a_chain_of_beginnings_is_decided_from_its_end() {
        for order in [OrderKey::Bytes, OrderKey::Utf16, OrderKey::Tree] {
            let chain = ["a", "a-", "a--", "a--/x", "a-/y", "=a/z", "=a/z/1"];
            let expected = [
                "a is a directory",
                "a-- is a directory",
                "a--/x",
                "a- is a directory",
                "a-/y",
                "a/z",
                "a/z/1 lies below a/z",
            ];
            let mut expected = expected.map(str::to_owned).to_vec();
            expected.sort();
            assert_eq!(fates(&chain, order), expected, "{order:?}");
        }
        assert_eq!(fates(&["a", "a/"], OrderKey::Utf16), ["a is a directory", "a/"]);
        assert_eq!(fates(&["a/", "a//x"], OrderKey::Utf16), ["a/ is a directory", "a//x"]);
    }
}
