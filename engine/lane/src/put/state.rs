//! What makes pieces that an earlier run has sent valid later: the state of the source that they were read from.

use azuring_job::durable::{Reader, number, string};
use azuring_job::entry::BlobItem;
use azuring_ring::FileMeta;
use md5::{Digest, Md5};

use crate::object::file::content_key;

/// First byte of the facts of a file.
const FILE: u8 = b'B';
/// The same of an object of another store.
const OBJECT: u8 = b'A';
/// Bytes of a time.
const TIME: usize = 16;

/// The state of a source, and how it is cut.
pub(crate) struct State {
    /// As the journal keeps it. What the destination calls the object follows it there.
    pub(crate) facts: Vec<u8>,
    /// Stands for the job and this state: pieces of this name hold nothing else, whichever run has sent them.
    pub(crate) content: [u8; 16],
}

impl State {
    /// Of a file.
    pub(crate) fn of_file(job: [u8; 16], meta: &FileMeta, piece_bytes: u64) -> Self {
        let mut facts = vec![FILE];
        for part in [meta.len, meta.identity.1, piece_bytes] {
            number(part, &mut facts);
        }
        for time in [meta.mtime_ns, meta.ctime_ns] {
            facts.extend_from_slice(&time.to_le_bytes());
        }
        Self { facts, content: content_key(job, meta, piece_bytes) }
    }

    /// Of an object of another store, in the state of this ETag.
    pub(crate) fn of_object(job: [u8; 16], item: &BlobItem, etag: &str, piece_bytes: u64) -> Self {
        let mut facts = vec![OBJECT];
        number(item.entry.facts.len, &mut facts);
        number(piece_bytes, &mut facts);
        string(etag.as_bytes(), &mut facts);
        let mut content = Md5::new();
        content.update(job);
        content.update(&facts);
        content.update(item.entry.name.as_bytes());
        Self { facts, content: content.finalize().into() }
    }

    /// What the destination called the object, in the facts of an earlier run, whatever state they are of.
    pub(crate) fn token_in(facts: &[u8]) -> Option<&[u8]> {
        let mut reader = Reader(facts);
        match reader.byte()? {
            FILE => {
                (0..3).try_for_each(|_| reader.number().map(drop))?;
                reader.take(2 * TIME)?;
            }
            OBJECT => {
                (0..2).try_for_each(|_| reader.number().map(drop))?;
                reader.string()?;
            }
            _ => return None,
        }
        Some(reader.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_job::entry::Known;
    use azuring_store::Entry;

    fn item(name: &str, len: u64) -> BlobItem {
        let mut entry = Entry::default();
        entry.name = name.to_owned();
        entry.facts.len = len;
        BlobItem { entry: Box::new(entry), relative_at: 0, known: Known::Listed }
    }

    #[test]
    fn pieces_are_of_one_state_of_one_object() {
        let content = |job, name: &str, len, etag: &str, piece| {
            State::of_object([job; 16], &item(name, len), etag, piece).content
        };
        let one = content(1, "a", 10, "e", 4);
        assert_eq!(one, content(1, "a", 10, "e", 4));
        let others = [
            content(2, "a", 10, "e", 4),
            content(1, "b", 10, "e", 4),
            content(1, "a", 11, "e", 4),
            content(1, "a", 10, "f", 4),
            content(1, "a", 10, "e", 5),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn the_token_is_found_behind_any_state() {
        let meta = FileMeta { len: 300, mtime_ns: -5, ctime_ns: 7, identity: (1, 1 << 40), regular: true };
        for state in
            [State::of_file([1; 16], &meta, 8), State::of_object([1; 16], &item("a", 300), "etag", 8)]
        {
            for token in [&b""[..], b"t", &[0; 1024]] {
                let mut facts = state.facts.clone();
                facts.extend_from_slice(token);
                assert_eq!(State::token_in(&facts), Some(token));
            }
            for cut in 0..state.facts.len() {
                assert_eq!(State::token_in(&state.facts[..cut]), None, "{cut}");
            }
        }
        assert_eq!(State::token_in(b"Vx"), None);
    }
}
