//! The pages of a page blob: runs of bytes that were written, with zeros between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::Stored;

/// Bytes from one Put Page, or what later ones left of them.
#[derive(Clone)]
struct Run {
    len: u64,
    /// Where the run begins in `stored`.
    offset: u64,
    /// `None` when the store discards.
    stored: Option<Arc<Stored>>,
}

/// Runs by their start; they do not overlap.
#[derive(Clone, Default)]
pub(crate) struct Pages(BTreeMap<u64, Run>);

impl Pages {
    /// Makes `[start, end)` zeros.
    pub(crate) fn clear(&mut self, start: u64, end: u64) {
        let before = self.0.range(..start).next_back().filter(|(at, run)| *at + run.len > start);
        let touched: Vec<u64> =
            before.into_iter().chain(self.0.range(start..end)).map(|(at, _)| *at).collect();
        for at in touched {
            let Some(run) = self.0.remove(&at) else { continue };
            let run_end = at + run.len;
            if run_end > end {
                let rest = Run { len: run_end - end, offset: run.offset + (end - at), ..run.clone() };
                self.0.insert(end, rest);
            }
            if at < start {
                self.0.insert(at, Run { len: start - at, ..run });
            }
        }
    }

    /// Puts `len` bytes at `start`.
    pub(crate) fn write(&mut self, start: u64, len: u64, stored: Option<Arc<Stored>>) {
        self.clear(start, start + len);
        self.0.insert(start, Run { len, offset: 0, stored });
    }

    /// What was written of `[start, end)`, neighbours joined.
    pub(crate) fn ranges(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (at, to, _) in self.within(start, end) {
            match ranges.last_mut() {
                Some(last) if last.1 == at => last.1 = to,
                _ => ranges.push((at, to)),
            }
        }
        ranges
    }

    /// The pieces of `[start, end)`, zeros included; `None` when content was not kept.
    pub(crate) fn pieces(&self, start: u64, end: u64) -> Option<Vec<(Arc<Stored>, u64, u64)>> {
        let zeros = Arc::new(Stored::Zeros);
        let mut pieces = Vec::new();
        let mut done = start;
        for (from, to, (at, run)) in self.within(start, end) {
            if done < from {
                pieces.push((Arc::clone(&zeros), 0, from - done));
            }
            pieces.push((Arc::clone(run.stored.as_ref()?), run.offset + (from - at), to - from));
            done = to;
        }
        if done < end {
            pieces.push((zeros, 0, end - done));
        }
        Some(pieces)
    }

    /// The parts of runs in `[start, end)`: from, to, and the run with its own start.
    fn within(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64, (u64, &Run))> {
        let before = self.0.range(..start).next_back();
        let inside = self.0.range(start..end.max(start));
        before.into_iter().chain(inside).filter_map(move |(at, run)| {
            let (from, to) = (start.max(*at), end.min(at + run.len));
            (from < to).then_some((from, to, (*at, run)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(byte: u8, len: usize) -> Option<Arc<Stored>> {
        Some(Arc::new(Stored::Memory(vec![vec![byte; len].into()])))
    }

    fn read(pages: &Pages, start: u64, end: u64) -> String {
        let mut out = String::new();
        for (stored, offset, len) in pages.pieces(start, end).unwrap() {
            let data = stored.read(offset, len).unwrap();
            assert_eq!(data.len() as u64, len);
            out.extend(data.iter().map(|b| if *b == 0 { '.' } else { *b as char }));
        }
        out
    }

    #[test]
    fn writes_replace_what_they_cover_and_no_more() {
        let mut pages = Pages::default();
        pages.write(2, 6, stored(b'a', 6));
        pages.write(4, 2, stored(b'b', 2));
        assert_eq!(read(&pages, 0, 10), "..aabbaa..");
        pages.write(0, 3, stored(b'c', 3));
        assert_eq!(read(&pages, 0, 10), "cccabbaa..");
        pages.clear(5, 7);
        assert_eq!(read(&pages, 0, 10), "cccab..a..");
        assert_eq!(read(&pages, 1, 8), "ccab..a");
        assert_eq!(pages.ranges(0, 10), [(0, 5), (7, 8)]);
        assert_eq!(pages.ranges(1, 4), [(1, 4)]);
        pages.clear(4, u64::MAX);
        assert_eq!(read(&pages, 0, 6), "ccca..");
        assert_eq!(pages.ranges(4, 6), []);
    }

    #[test]
    fn discarded_pages_are_not_read() {
        let mut pages = Pages::default();
        pages.write(2, 2, None);
        assert!(pages.pieces(0, 4).is_none());
        assert!(pages.pieces(0, 2).is_some());
    }
}
