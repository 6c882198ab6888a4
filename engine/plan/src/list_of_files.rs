//! `--list-of-files`: one relative path per line, as it is called (not percent-encoded), a file or a directory.
//!
//! Lines end in LF or CRLF; a byte order mark at the start and empty lines are nothing; `./` at the start, as `find`
//! writes it, is dropped. No comments, and spaces and quotes belong to the name. A path may end in `/`: it is a
//! directory's.
//!
//! A list whose first line ends in a zero byte (`find -print0`) has all its lines end so; they may hold line feeds.
//! UTF-16 is read where a byte order mark says so, as Windows writes it; without one it is told.

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
    /// What lines end in, once the first one has ended.
    end: Option<u8>,
    encoding: Encoding,
    /// The first line that stands in quotes.
    quoted: Option<u64>,
    /// The paths are those of blobs, whose first segment may be empty.
    of_blobs: bool,
}

/// How the bytes of a list stand for text.
#[derive(Debug)]
enum Encoding {
    /// These first bytes do not tell yet.
    Unknown(Vec<u8>),
    /// No byte order mark: the bytes of a line are its name.
    Bytes,
    Utf16 {
        little: bool,
        /// The first byte of a unit.
        half: Option<u8>,
        /// The first unit of a pair.
        high: Option<u16>,
    },
}

impl Default for Encoding {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

/// So many bytes tell UTF-16 from names of one letter that end in zero bytes.
const HEAD_BYTES: usize = 16;

impl Encoding {
    fn of(head: &[u8]) -> Result<Self, PlanError> {
        let utf16 = |little| Ok(Self::Utf16 { little, half: None, high: None });
        let zeros_at = |odd: usize| head.iter().enumerate().all(|(at, &byte)| (byte == 0) == (at % 2 == odd));
        match head {
            [0xff, 0xfe, ..] => utf16(true),
            [0xfe, 0xff, ..] => utf16(false),
            _ if head.len() >= HEAD_BYTES && (zeros_at(0) || zeros_at(1)) => {
                Err(PlanError::ListOfFilesEncoding { reason: "looks like UTF-16 without a byte order mark" })
            }
            _ => Ok(Self::Bytes),
        }
    }

    /// The text of these bytes in UTF-8; `None`: as they are.
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, PlanError> {
        let Self::Utf16 { little, half, high } = self else { return Ok(None) };
        let mut text = String::with_capacity(bytes.len());
        for &byte in bytes {
            let Some(first) = half.take() else {
                *half = Some(byte);
                continue;
            };
            let unit =
                if *little { u16::from_le_bytes([first, byte]) } else { u16::from_be_bytes([first, byte]) };
            let broken =
                || PlanError::ListOfFilesEncoding { reason: "is UTF-16 with half a character in it" };
            match (high.take(), unit) {
                (None, 0xd800..=0xdbff) => *high = Some(unit),
                (None, unit) => text.push(char::from_u32(unit.into()).ok_or_else(broken)?),
                (Some(high), low) => {
                    let mut pair = char::decode_utf16([high, low]);
                    text.push(pair.next().and_then(Result::ok).ok_or_else(broken)?);
                }
            }
        }
        Ok(Some(text.into_bytes()))
    }
}

impl ListOfFiles {
    /// A list of which nothing has been read.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same of names of blobs, which are taken to the letter: a `/` at the start is part of the name.
    #[must_use]
    pub fn of_blobs() -> Self {
        Self { of_blobs: true, ..Self::default() }
    }

    /// Takes the next bytes and appends the entries of all lines that end in them.
    ///
    /// # Errors
    ///
    /// [`PlanError::ListOfFilesIsJson`]: AzCopy's old format, `{"Files":[...]}`. [`PlanError::ListOfFilesEncoding`].
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<ListEntry>) -> Result<(), PlanError> {
        if let Encoding::Unknown(head) = &mut self.encoding {
            head.extend_from_slice(bytes);
            // Whoever waits for what becomes of a line before the next one gets it.
            let needed = if head.iter().take(2).any(|&byte| byte == 0) { HEAD_BYTES } else { 2 };
            if head.len() < needed {
                return Ok(());
            }
            let head = std::mem::take(head);
            return self.begin(&head, out);
        }
        match self.encoding.decode(bytes)? {
            Some(text) => self.lines(&text, out),
            None => self.lines(bytes, out),
        }
    }

    /// The first bytes have come.
    fn begin(&mut self, head: &[u8], out: &mut Vec<ListEntry>) -> Result<(), PlanError> {
        self.encoding = Encoding::of(head)?;
        self.feed(head, out)
    }

    fn lines(&mut self, bytes: &[u8], out: &mut Vec<ListEntry>) -> Result<(), PlanError> {
        let mut rest = bytes;
        loop {
            let ends = |&byte: &u8| self.end.map_or(byte == b'\n' || byte == 0, |end| byte == end);
            let Some(at) = rest.iter().position(ends) else { break };
            self.end = Some(rest[at]);
            self.keep(&rest[..at]);
            self.end_line(out)?;
            rest = &rest[at + 1..];
        }
        self.keep(rest);
        Ok(())
    }

    /// The first line so far that begins and ends with a quote, which is a part of the name here, and may not be meant
    /// so.
    #[must_use]
    pub fn quoted_line(&self) -> Option<u64> {
        self.quoted
    }

    /// The list has ended: the last line need not end in LF.
    ///
    /// # Errors
    ///
    /// As [`ListOfFiles::feed`].
    pub fn finish(mut self, out: &mut Vec<ListEntry>) -> Result<(), PlanError> {
        if let Encoding::Unknown(head) = &mut self.encoding {
            let head = std::mem::take(head);
            self.begin(&head, out)?;
        }
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
        if self.end != Some(0) {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        if let [first @ (b'"' | b'\''), .., last] = line
            && first == last
        {
            self.quoted.get_or_insert(self.lines);
        }
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
            let entry = if too_long { Err("it is longer than 32 KiB") } else { check(line, self.of_blobs) };
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

fn check(line: &[u8], of_blobs: bool) -> Result<&[u8], &'static str> {
    let mut path = line;
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    if path.is_empty() || path == b"." {
        return Err("it names the source itself");
    }
    if path.starts_with(b"/") && !of_blobs {
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
    fn lists_of_find_end_in_zero_bytes() {
        let text = b"./c \r\0a\nb\0\0dir/\0a\0";
        for piece in [1, 3, 100] {
            assert_eq!(entries(text, piece), ok(&["c \\r", "a\\nb", "dir/", "a"]), "{piece}");
        }
        assert_eq!(entries(b"a\0b\0c\0", 100), ok(&["a", "b", "c"]));
        let (mut list, mut out) = (ListOfFiles::new(), Vec::new());
        list.feed(b"a\n", &mut out).unwrap();
        assert_eq!(out, [Ok(b"a".to_vec())], "nothing is waited for");
        // The first line has ended otherwise: no name has a zero byte.
        assert_eq!(entries(b"x\na\0b", 100).unwrap()[1], Err((2, "a\\x00b".to_owned())));
    }

    #[test]
    fn utf_16_is_read_or_told() {
        let text = "größe/日本 😀.txt\r\n./b\n";
        for little in [true, false] {
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            let bytes: Vec<u8> = units
                .flat_map(|unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect();
            for piece in 1..bytes.len() {
                assert_eq!(entries(&bytes, piece), ok(&["größe/日本 😀.txt", "b"]), "{piece}");
            }
            let told = |bytes: &[u8], piece| match entries(bytes, piece) {
                Err(PlanError::ListOfFilesEncoding { reason }) => reason,
                other => panic!("{other:?}"),
            };
            let ascii = "a/file.txt\nb\n".encode_utf16();
            let ascii: Vec<u8> = ascii
                .flat_map(|unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect();
            assert!(told(&ascii, 5).contains("without a byte order mark"));
            let mut half = bytes[..2].to_vec();
            half.extend([0xd8, 0xd8, 0x61, 0x61, 0, 0]);
            assert!(told(&half, 100).contains("half a character"));
        }
    }

    #[test]
    fn quotes_are_noticed_and_kept() {
        for (text, line) in [("a\n\"b c\"\n\"d\"", Some(2)), ("'a'", Some(1)), ("\"\n\"a\nb'", None)] {
            let (mut list, mut out) = (ListOfFiles::new(), Vec::new());
            list.feed(format!("{text}\n{}\n", "x".repeat(16)).as_bytes(), &mut out).unwrap();
            assert_eq!(list.quoted_line(), line, "{text:?}");
        }
        assert_eq!(entries(b"\"a b\"\n", 100), ok(&["\"a b\""]));
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
