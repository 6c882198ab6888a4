//! `--list-of-files`: one relative path per line, as it is called (not percent-encoded), a file or a directory.
//!
//! Lines end in LF or CRLF; a byte order mark at the start and empty lines are nothing; `./` at the start, as `find`
//! writes it, is dropped. No comments, and spaces belong to the name. A path may end in `/`: it is a directory's.

use crate::PlanError;
use crate::name::escape;

/// Longest line in bytes, its end left out: 32 KiB, eight times what a path may have.
pub const MAX_LINE_BYTES: usize = 32 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line that names nothing that can be transferred. It fails alone, as an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the list of files, {text}: {reason}")]
pub struct EntryError {
    /// The line, from 1.
    pub line: u64,
    /// The line, escaped for display; of a long one the first 64 bytes.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// One line of the list: a path, not empty, that stays below the source.
pub type ListEntry = Result<Vec<u8>, EntryError>;

/// Takes a list apart as it is read, in pieces of any length. Holds at most one line.
#[derive(Debug, Default)]
pub struct ListOfFiles {
    /// The start of a line whose end has not come yet, at most [`MAX_LINE_BYTES`] and its CR.
    partial: Vec<u8>,
    /// The line under way is longer than that.
    too_long: bool,
    /// Lines that have ended.
    lines: u64,
    /// The first line was `{`: the second tells whether this is JSON.
    opened_brace: bool,
}

impl ListOfFiles {
    /// A list of which nothing has been read.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and appends the entries of all lines that end in them.
    ///
    /// # Errors
    ///
    /// [`PlanError::ListOfFilesIsJson`]: AzCopy's old format, `{"Files":[...]}`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<ListEntry>) -> Result<(), PlanError> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            self.keep(&rest[..end]);
            self.end_line(out)?;
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        Ok(())
    }

    /// The list has ended: the last line need not end in LF.
    ///
    /// # Errors
    ///
    /// As [`ListOfFiles::feed`].
    pub fn finish(mut self, out: &mut Vec<ListEntry>) -> Result<(), PlanError> {
        self.end_line(out)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_BYTES + 1 - self.partial.len().min(MAX_LINE_BYTES + 1);
        self.too_long |= bytes.len() > room;
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, out: &mut Vec<ListEntry>) -> Result<(), PlanError> {
        self.lines += 1;
        let mut line = self.partial.as_slice();
        if self.lines == 1 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        line = line.strip_suffix(b"\r").unwrap_or(line);
        // The test of AzCopy's validateListOfFilesFormat: the first two lines, blanks and a final `[` left out.
        if self.lines <= 2 {
            let mut words: Vec<u8> = line.iter().copied().filter(|b| !b" \t".contains(b)).collect();
            if words.last() == Some(&b'[') {
                words.pop();
            }
            if words.starts_with(b"{\"Files\":") || (self.opened_brace && words.starts_with(b"\"Files\":")) {
                return Err(PlanError::ListOfFilesIsJson);
            }
            self.opened_brace = words == b"{";
        }
        let too_long = std::mem::take(&mut self.too_long) || line.len() > MAX_LINE_BYTES;
        if !line.is_empty() {
            let entry = if too_long { Err("it is longer than 32 KiB") } else { check(line) };
            out.push(entry.map(<[u8]>::to_vec).map_err(|reason| EntryError {
                line: self.lines,
                text: escape(&line[..line.len().min(64)]),
                reason,
            }));
        }
        self.partial.clear();
        Ok(())
    }
}

fn check(line: &[u8]) -> Result<&[u8], &'static str> {
    let mut path = line;
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    if path.is_empty() || path == b"." {
        return Err("it names the source itself");
    }
    if path.starts_with(b"/") {
        return Err("a path is relative to the source, without a \"/\" at its start");
    }
    if path.contains(&0) {
        return Err("a name cannot contain a zero byte");
    }
    if path.split(|&b| b == b'/').any(|segment| segment == b"." || segment == b"..") {
        return Err("a path cannot contain \".\" or \"..\"");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path, or line and text of a bad one.
    type Shown = Result<String, (u64, String)>;

    /// The entries of `text`, fed in pieces of `piece` bytes.
    fn entries(text: &[u8], piece: usize) -> Result<Vec<Shown>, PlanError> {
        let (mut list, mut out) = (ListOfFiles::new(), Vec::new());
        for bytes in text.chunks(piece) {
            list.feed(bytes, &mut out)?;
        }
        list.finish(&mut out)?;
        let shown =
            |entry: ListEntry| entry.map(|path| escape(&path)).map_err(|error| (error.line, error.text));
        Ok(out.into_iter().map(shown).collect())
    }

    fn ok(paths: &[&str]) -> Result<Vec<Shown>, PlanError> {
        Ok(paths.iter().map(|path| Ok((*path).to_owned())).collect())
    }

    #[test]
    fn lines_however_they_are_cut() {
        let text = b"\xef\xbb\xbfa/b.txt\r\n\n\r\n  spaced \ndir/\n#no comment\n\xff\n./x\n././y/z\na%20b\n{\na\rb\nlast";
        let expected = [
            "a/b.txt",
            "  spaced ",
            "dir/",
            "#no comment",
            "\\xff",
            "x",
            "y/z",
            "a%20b",
            "{",
            "a\\rb",
            "last",
        ];
        for piece in 1..=text.len() {
            assert_eq!(entries(text, piece), ok(&expected), "{piece}");
        }
        assert_eq!(entries(b"a\n", 1), ok(&["a"]));
        assert_eq!(entries(b"", 1), ok(&[]));
        assert_eq!(entries(b"\xef\xbb\xbf", 1), ok(&[]));
        assert_eq!(entries(b"a\n\xef\xbb\xbfb", 9), ok(&["a", "\u{feff}b"]));
    }

    #[test]
    fn bad_lines_fail_alone() {
        let text = b"ok\n/abs\n\na/../b\n..\n./..\n.\n./\na/./b\n./ok\na\0b\n..a/b..";
        let errors = |line, text: &str| Err((line, text.to_owned()));
        let expected = vec![
            Ok("ok".to_owned()),
            errors(2, "/abs"),
            errors(4, "a/../b"),
            errors(5, ".."),
            errors(6, "./.."),
            errors(7, "."),
            errors(8, "./"),
            errors(9, "a/./b"),
            Ok("ok".to_owned()),
            errors(11, "a\\x00b"),
            Ok("..a/b..".to_owned()),
        ];
        for piece in [1, 7, 100] {
            assert_eq!(entries(text, piece), Ok(expected.clone()));
        }
    }

    #[test]
    fn a_line_is_bounded() {
        for end in ["\n", "\r\n"] {
            for (len, fits) in
                [(MAX_LINE_BYTES, true), (MAX_LINE_BYTES + 1, false), (3 * MAX_LINE_BYTES, false)]
            {
                let text = format!("a{end}{}{end}b", "x".repeat(len));
                for piece in [1_000, text.len()] {
                    let found = entries(text.as_bytes(), piece).unwrap();
                    assert_eq!(found[1].is_ok(), fits, "{len}");
                    assert_eq!((found.len(), &found[2]), (3, &Ok("b".to_owned())));
                }
            }
        }
        let mut list = ListOfFiles::new();
        for _ in 0..100 {
            list.feed(&[b'x'; 4_096], &mut Vec::new()).unwrap();
        }
        assert!(list.partial.len() <= MAX_LINE_BYTES + 1);
        let mut out = Vec::new();
        list.finish(&mut out).unwrap();
        let reason = "it is longer than 32 KiB";
        assert_eq!(out, [Err(EntryError { line: 1, text: "x".repeat(64), reason })]);
    }

    #[test]
    fn the_old_json_is_told() {
        for text in [
            "{\"Files\":[\n\"a\"\n]}",
            "{\"Files\": [\"a\",\"b\"]}",
            "\u{feff}{\n  \"Files\" : [\n",
            " { \"Files\":\n[",
            "{\r\n\t\"Files\":[\"a\"]}",
        ] {
            for piece in [1, 100] {
                assert_eq!(entries(text.as_bytes(), piece), Err(PlanError::ListOfFilesIsJson), "{text}");
            }
        }
        assert_eq!(entries(b"a\n{\"Files\n\"Files\":\n", 100), ok(&["a", "{\"Files", "\"Files\":"]));
    }
}
