//! Lines that are alike: the first ones of each cause are written, the rest are counted.

use std::collections::BTreeMap;

use azuring_transfer::{Failure, SkippedKind};

use crate::view::ndjson;

/// Lines of one cause that are written: as many as anybody reads.
const WRITTEN: u64 = 1000;
/// Causes that are told apart. A server can invent codes without end; what has another counts together.
const CAUSES: usize = 200;
/// Why something was skipped or failed that has none of these.
const OTHERS: &str = "other reasons";

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It is written.
    Written,
    /// It is the last one of its cause that is written: say so.
    Last,
    /// It is counted.
    Counted,
}

/// Counts lines by cause.
#[derive(Debug, Default)]
pub(super) struct Alike(BTreeMap<String, u64>);

impl Alike {
    /// Another line of this cause.
    pub(super) fn another(&mut self, cause: String) -> Line {
        let cause =
            if self.0.len() < CAUSES || self.0.contains_key(&cause) { cause } else { OTHERS.to_owned() };
        let seen = self.0.entry(cause).or_default();
        *seen += 1;
        match *seen {
            WRITTEN => Line::Last,
            ..WRITTEN => Line::Written,
            _ => Line::Counted,
        }
    }

    /// Causes with the number of their lines that were not written.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().filter(|(_, seen)| **seen > WRITTEN).map(|(cause, seen)| (&**cause, seen - WRITTEN))
    }
}

/// What a skipped object has in common with others.
pub(super) fn of_skipped(kind: SkippedKind) -> String {
    ndjson::reason(kind).to_owned()
}

/// What a failure has in common with others. Its text is its own: it may name the file.
pub(super) fn of_failed(failure: &Failure) -> String {
    let code = failure.code.as_deref().unwrap_or_default();
    let blank = if code.is_empty() { "" } else { " " };
    format!("{:?}{blank}{code}", failure.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_cause_are_written_and_the_rest_counted() {
        let mut alike = Alike::default();
        let mut tell =
            |cause: &str, n: u64| (0..n).map(|_| alike.another(cause.to_owned())).collect::<Vec<_>>();
        let lines = tell("exists", WRITTEN + 3);
        assert!(lines[..WRITTEN as usize - 1].iter().all(|line| *line == Line::Written));
        assert_eq!(lines[WRITTEN as usize - 1..], [Line::Last, Line::Counted, Line::Counted, Line::Counted]);
        // A cause that comes late is not hidden by one that came often.
        assert_eq!(tell("Integrity", 1), [Line::Written]);
        tell("exact", WRITTEN);
        assert_eq!(alike.counted().collect::<Vec<_>>(), [("exists", 3)]);
    }

    #[test]
    fn causes_without_number_are_counted_together() {
        let mut alike = Alike::default();
        for n in 0..CAUSES as u64 + WRITTEN + 5 {
            alike.another(format!("code {n}"));
        }
        assert_eq!(alike.0.len(), CAUSES + 1);
        assert_eq!(alike.counted().collect::<Vec<_>>(), [(OTHERS, 5)]);
    }
}
