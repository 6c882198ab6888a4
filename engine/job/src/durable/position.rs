//! Where a scan stands.

use super::codec::{Reader, number, string};

/// The scan of a local source: everything up to this path was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalPosition {
    /// Lines of the list before the one that the path belongs to; 0 without a list.
    pub lines: u64,
    /// Its path below the source; of a directory itself with a final slash.
    pub path: Vec<u8>,
}

impl LocalPosition {
    /// Appends the position to `out`.
    pub fn encode(lines: u64, path: &[u8], out: &mut Vec<u8>) {
        number(lines, out);
        out.extend_from_slice(path);
    }

    /// The position that was kept so; `None` where it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        Some(Self { lines: reader.number()?, path: reader.0.to_vec() })
    }

    /// Whether what has this path, of the same line, comes after it. A directory's own path ends in a slash: the order
    /// of the walk is that of the bytes.
    pub fn is_before(&self, path: &[u8]) -> bool {
        *self.path < *path
    }

    /// Whether everything in `directory` comes before it.
    pub fn is_beyond(&self, directory: &[u8]) -> bool {
        let inside = [directory, b"/"].concat();
        !self.path.starts_with(&inside) && *self.path > *inside
    }
}

/// The scan of a remote source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemotePosition {
    /// The source is one blob.
    pub is_blob: bool,
    /// The destination was a directory when the job began.
    pub into_directory: bool,
    /// The list names nothing.
    pub is_empty: bool,
    /// Lines of the list that are done.
    pub lines: u64,
    /// Included paths that are done.
    pub included: u64,
    /// Listings under way: their prefixes, each with the marker of its next page.
    pub listings: Vec<(String, Option<String>)>,
}

impl RemotePosition {
    /// Whether nothing of the source was seen to its end.
    pub fn is_first(&self) -> bool {
        self.lines + self.included == 0 && self.listings.is_empty()
    }

    /// As the journal keeps it.
    pub fn encode(&self) -> Vec<u8> {
        let bits = [self.is_blob, self.into_directory, self.is_empty];
        let mut out = vec![bits.into_iter().rev().fold(0, |bits, bit| bits << 1 | u8::from(bit))];
        number(self.lines, &mut out);
        number(self.included, &mut out);
        for (prefix, marker) in &self.listings {
            string(prefix.as_bytes(), &mut out);
            // No marker is empty.
            string(marker.as_deref().unwrap_or_default().as_bytes(), &mut out);
        }
        out
    }

    /// The position that was kept so; `None` where it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let bits = reader.byte()?;
        let (lines, included) = (reader.number()?, reader.number()?);
        let mut listings = Vec::new();
        while !reader.0.is_empty() {
            let (prefix, marker) = (reader.text()?.to_owned(), reader.text()?.to_owned());
            listings.push((prefix, (!marker.is_empty()).then_some(marker)));
        }
        let [is_blob, into_directory, is_empty] = [1, 2, 4].map(|bit| bits & bit != 0);
        Some(Self { is_blob, into_directory, is_empty, lines, included, listings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back() {
        let mut out = Vec::new();
        LocalPosition::encode(300, b"a/b", &mut out);
        assert_eq!(LocalPosition::decode(&out), Some(LocalPosition { lines: 300, path: b"a/b".to_vec() }));
        let listings = vec![("a/".to_owned(), None), ("b/".to_owned(), Some("2!".to_owned()))];
        let position = RemotePosition { lines: 7, included: 1, listings, ..RemotePosition::default() };
        let bytes = position.encode();
        assert_eq!(RemotePosition::decode(&bytes[..bytes.len() - 1]), None);
        for bits in 0..8 {
            let [is_blob, into_directory, is_empty] = [1, 2, 4].map(|bit| bits & bit != 0);
            let position = RemotePosition { is_blob, into_directory, is_empty, ..position.clone() };
            assert_eq!(position.encode()[0], bits);
            assert_eq!(RemotePosition::decode(&position.encode()), Some(position));
        }
    }

    #[test]
    fn what_lies_before_a_position_is_known() {
        let at = LocalPosition { lines: 0, path: b"m/k/x".to_vec() };
        for (path, after) in
            [("m/k/y", true), ("m/k/x", false), ("m/k/", false), ("m/l", true), ("m.a", false), ("m0", true)]
        {
            assert_eq!(at.is_before(path.as_bytes()), after, "{path}");
        }
        for (directory, done) in [
            ("a", true),
            ("m", false),
            ("m/k", false),
            ("m/a", true),
            ("m/l", false),
            ("m/k/x", false),
            ("m-", true),
        ] {
            assert_eq!(at.is_beyond(directory.as_bytes()), done, "{directory}");
        }
    }
}
