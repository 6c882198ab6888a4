//! What a local source argument means: a literal path, the contents of a directory, or a pattern.
//!
//! Names that exist win, segment by segment: with a directory `[2024]` there, `[2024]/*.txt` means the text files in it
//! and not those of `2`, though `[2024]` is a pattern too. One thing goes before that: `dir/*` is always what `dir`
//! holds, also where one of its files is called `*`, as in AzCopy.

use crate::PlanError;
use crate::name::escape;

/// A source argument, taken apart. Paths are bytes; nothing has been looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalSource {
    /// No wildcard: a file or a directory.
    Literal(Vec<u8>),
    /// `dir/*`: everything in `dir` (hidden files too). With `--recursive` all below it, otherwise its files.
    Contents {
        /// The directory; `.` for a bare `*`, `/` for `/*`.
        root: Vec<u8>,
    },
    /// Any other pattern. The walk starts at `root`; a path's first `segments.len()` components must match
    /// them one by one, and what matches the last is a source: a file, or with `--recursive` a directory.
    Glob {
        /// The path before the first segment with a wildcard; `.` or `/` where there is none.
        root: Vec<u8>,
        /// One pattern for each remaining component, at least one.
        segments: Vec<Segment>,
    },
}

/// One component of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// As it was written: a name, where the directory at hand has one like it.
    pub name: Vec<u8>,
    /// What it matches otherwise.
    pub glob: Glob,
}

impl Segment {
    fn new(text: &[u8]) -> Result<Self, PlanError> {
        Ok(Self { name: text.to_vec(), glob: Glob::new(text)? })
    }

    /// Whether it can be read in two ways, so that it matters whether there is such a name.
    #[must_use]
    pub fn may_be_name(&self) -> bool {
        self.name != b"*" && self.name.iter().any(|b| b"*?[\\".contains(b))
    }
}

impl LocalSource {
    /// Takes a source argument apart. `exists` says whether anything has a name, be it a link that leads nowhere.
    ///
    /// # Errors
    ///
    /// [`PlanError::EmptySource`]; [`PlanError::BadPattern`] for a malformed segment, for a `..` or `.` after
    /// the first wildcard (the walk does not go up), and for a pattern that ends in `/`.
    pub fn parse(argument: &[u8], exists: impl Fn(&[u8]) -> bool) -> Result<Self, PlanError> {
        if argument.is_empty() {
            return Err(PlanError::EmptySource);
        }
        let bad = |reason| PlanError::BadPattern { pattern: escape(argument), reason };
        let segments: Vec<&[u8]> = argument.split(|&b| b == b'/').collect();
        let mut end = 0;
        let is_pattern = |(at, segment): (usize, &&[u8])| {
            end += segment.len() + usize::from(at > 0);
            let is_contents = *segment == b"*" && at + 1 == segments.len();
            has_meta(segment) && (is_contents || !exists(&argument[..end]))
        };
        let Some(first) = segments.iter().enumerate().position(is_pattern) else {
            return Ok(Self::Literal(argument.to_vec()));
        };
        let (root, pattern) = segments.split_at(first);
        let root = match root {
            [] => b".".to_vec(),
            // Only slashes before the pattern.
            root if root.iter().all(|s| s.is_empty()) => b"/".to_vec(),
            root => root.join(&b'/'),
        };
        if pattern == [b"*"] {
            return Ok(Self::Contents { root });
        }
        if pattern.last() == Some(&&b""[..]) {
            return Err(bad("it ends in '/'; for what the directories hold write '/*'"));
        }
        let segments = pattern
            .iter()
            .filter(|segment| !segment.is_empty())
            .map(|&segment| match segment {
                b"." | b".." => Err(bad("'.' and '..' cannot follow a wildcard")),
                segment => Segment::new(segment),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::Glob { root, segments })
    }
}

fn has_meta(segment: &[u8]) -> bool {
    segment.iter().any(|b| b"*?[".contains(b))
}

/// One thing a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This byte, and no other.
    Byte(u8),
    /// `?`: any one character but `/`.
    Any,
    /// `*`: any number of characters but `/`.
    Star,
    /// `[...]`: one character in (or with `negated` not in) one of the inclusive ranges.
    Class { negated: bool, ranges: Vec<(u32, u32)> },
}

/// A pattern for one path segment with the semantics of Go's `path.Match`, which AzCopy uses for local
/// wildcards and for `--include-pattern`: `*`, `?`, `[abc]`, `[a-z]`, `[^a-z]`, and `\` to take the next
/// character as it is. The whole segment must match; hidden files are not special; case matters.
///
/// A character is a UTF-8 sequence; a byte that is not part of one counts as one character, and in a
/// class as U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadPattern`]: an unclosed or empty class, an incomplete range, a `\` at the end.
    pub fn new(pattern: &[u8]) -> Result<Self, PlanError> {
        let bad = |reason| PlanError::BadPattern { pattern: escape(pattern), reason };
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                // Several stars are one; keeping one keeps matching linear in them.
                b'*' if tokens.last() == Some(&Token::Star) => {}
                b'*' => tokens.push(Token::Star),
                b'?' => tokens.push(Token::Any),
                b'[' => tokens.push(class(&mut rest).map_err(bad)?),
                b'\\' => {
                    let (&escaped, after) =
                        rest.split_first().ok_or(bad("'\\' at the end escapes nothing"))?;
                    rest = after;
                    tokens.push(Token::Byte(escaped));
                }
                byte => tokens.push(Token::Byte(byte)),
            }
        }
        Ok(Self { tokens })
    }

    /// Says whether the whole of `segment` matches. Time is at most pattern length x segment length.
    #[must_use]
    pub fn matches(&self, segment: &[u8]) -> bool {
        let (mut token, mut at) = (0, 0);
        // Where to go on if the last star has to take one more character.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            if self.tokens.get(token) == Some(&Token::Star) {
                retry = Some((token + 1, at));
                token += 1;
                continue;
            }
            match self.tokens.get(token) {
                None if at == segment.len() => return true,
                Some(wanted) if at < segment.len() => {
                    if let Some(len) = wanted.matches_at(&segment[at..]) {
                        token += 1;
                        at += len;
                        continue;
                    }
                }
                _ => {}
            }
            // The star takes single bytes, as Go's does: on UTF-8 no other split can match.
            match retry {
                Some((after_star, start)) if start < segment.len() && segment[start] != b'/' => {
                    retry = Some((after_star, start + 1));
                    (token, at) = (after_star, start + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    /// Length of what this token takes from the start of `input` (not empty), if it matches.
    fn matches_at(&self, input: &[u8]) -> Option<usize> {
        match self {
            Self::Byte(byte) => (input[0] == *byte).then_some(1),
            Self::Any => (input[0] != b'/').then(|| next_char(input).1),
            Self::Class { negated, ranges } => {
                let (c, len) = next_char(input);
                let inside = ranges.iter().any(|&(low, high)| low <= c && c <= high);
                (inside != *negated).then_some(len)
            }
            Self::Star => Some(0),
        }
    }
}

/// The first character of `input` (not empty) and its length; U+FFFD and 1 for a stray byte.
fn next_char(input: &[u8]) -> (u32, usize) {
    if input[0].is_ascii() {
        return (u32::from(input[0]), 1);
    }
    let head = &input[..input.len().min(4)];
    let valid = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    valid.chars().next().map_or((0xfffd, 1), |c| (u32::from(c), c.len_utf8()))
}

/// Reads a class after its `[`, leaving `rest` behind its `]`.
fn class(rest: &mut &[u8]) -> Result<Token, &'static str> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            *rest = &rest[1..];
            return Ok(Token::Class { negated, ranges });
        }
        let low = class_char(rest)?;
        let mut high = low;
        if rest.first() == Some(&b'-') {
            *rest = &rest[1..];
            high = class_char(rest)?;
        }
        ranges.push((low, high));
    }
}

/// One character inside a class.
fn class_char(rest: &mut &[u8]) -> Result<u32, &'static str> {
    match rest.first() {
        None => return Err("'[' without ']'"),
        Some(b'-' | b']') => return Err("a class needs a character here ('-' and ']' must be escaped)"),
        Some(b'\\') => *rest = &rest[1..],
        Some(_) => {}
    }
    if rest.is_empty() {
        return Err("'\\' at the end escapes nothing");
    }
    let (c, len) = next_char(rest);
    if c == 0xfffd && len == 1 {
        return Err("a class can only hold UTF-8");
    }
    *rest = &rest[len..];
    if rest.is_empty() { Err("'[' without ']'") } else { Ok(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str) -> Glob {
        Glob::new(pattern.as_bytes()).unwrap()
    }

    #[test]
    fn matches_like_go() {
        // Cases of the documented grammar of path.Match.
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*", ".hidden", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("*", "a/b", false),
            ("a*/b", "abc/b", true),
            ("a*b*c*d*e*", "axbxcxdxexxx", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("*x", "xxx", true),
            ("**", "abc", true),
            ("a", "A", false),
            ("", "", true),
            ("", "a", false),
            ("*.t?t", "a.b.txt", true),
            ("a b%#+&'\"*", "a b%#+&'\"\n", true),
        ] {
            assert_eq!(glob(pattern).matches(name.as_bytes()), expected, "{pattern:?} {name:?}");
        }
        assert!(glob("a?b").matches(b"a\xffb"));
        assert!(!glob("a?b").matches(b"a\xff\xffb"));
        assert!(glob("*b").matches(b"\xff\xfeb"));
        assert!(glob("[^a]").matches(b"\xff"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in
            ["[", "[a", "[]", "[]a]", "[^]", "[a-", "[a-]", "[-]", "[x-]", "[-x]", "\\", "a\\", "[\\", "[^bc"]
        {
            assert!(matches!(Glob::new(pattern.as_bytes()), Err(PlanError::BadPattern { .. })), "{pattern}");
        }
    }

    #[test]
    fn many_stars_stay_fast() {
        let pattern = glob(&"a*".repeat(60));
        let name = "a".repeat(200) + "b";
        assert!(pattern.matches(name.as_bytes()));
        assert!(!glob(&("a*".repeat(60) + "c")).matches(name.as_bytes()));
    }

    #[test]
    fn arguments_come_apart() {
        let parse = |s: &str| LocalSource::parse(s.as_bytes(), |_| false);
        let contents = |root: &str| Ok(LocalSource::Contents { root: root.into() });
        for literal in ["dir", "dir/", ".", "..", "/", "/a/b c", "a\\b", "a%#+&"] {
            assert_eq!(parse(literal), Ok(LocalSource::Literal(literal.into())));
        }
        assert_eq!(parse("dir/*"), contents("dir"));
        assert_eq!(parse("/a/b/*"), contents("/a/b"));
        assert_eq!(parse("*"), contents("."));
        assert_eq!(parse("/*"), contents("/"));
        assert_eq!(parse("//*"), contents("/"));
        assert_eq!(parse("../*"), contents(".."));
        let globs = |root: &str, segments: &[&str]| {
            let segments = segments.iter().map(|s| Segment::new(s.as_bytes()).unwrap()).collect();
            Ok(LocalSource::Glob { root: root.into(), segments })
        };
        assert_eq!(parse("*.txt"), globs(".", &["*.txt"]));
        assert_eq!(parse("/x/a*/b/c?"), globs("/x", &["a*", "b", "c?"]));
        assert_eq!(parse("/a[0-9]//b*"), globs("/", &["a[0-9]", "b*"]));
        assert_eq!(parse("x/*/*"), globs("x", &["*", "*"]));
        assert_eq!(parse(""), Err(PlanError::EmptySource));
        for bad in ["a*/", "dir/*/", "a*/../b", "a*/./b", "[", "a[/]b"] {
            assert!(matches!(parse(bad), Err(PlanError::BadPattern { .. })), "{bad}");
        }
    }

    #[test]
    fn names_that_exist_win_segment_by_segment() {
        let there = ["s", "s/[2024]", "s/*", "s/a?", "s/a?/b*", "s/[bad", "album [live]"];
        let parse =
            |s: &str| LocalSource::parse(s.as_bytes(), |path| there.iter().any(|it| it.as_bytes() == path));
        let contents = |root: &str| Ok(LocalSource::Contents { root: root.into() });
        let literal = |path: &str| Ok(LocalSource::Literal(path.into()));
        let globs = |root: &str, segments: &[&str]| {
            let segments = segments.iter().map(|s| Segment::new(s.as_bytes()).unwrap()).collect();
            Ok(LocalSource::Glob { root: root.into(), segments })
        };
        assert_eq!(parse("s/[2024]/*"), contents("s/[2024]"));
        assert_eq!(parse("s/[2024]"), literal("s/[2024]"));
        assert_eq!(parse("s/[2024]/x"), literal("s/[2024]/x"));
        assert_eq!(parse("s/[2024]/x*"), globs("s/[2024]", &["x*"]));
        assert_eq!(parse("s/[2025]/*"), globs("s", &["[2025]", "*"]));
        assert_eq!(parse("album [live]/*"), contents("album [live]"));
        assert_eq!(parse("s/a?/b*"), literal("s/a?/b*"));
        assert_eq!(parse("s/a?/c*"), globs("s/a?", &["c*"]));
        assert_eq!(parse("s/[bad/*"), contents("s/[bad"));
        assert!(parse("s/[worse/*").is_err());
        // All there is, the file `*` among it; but in the middle it is a name.
        assert_eq!(parse("s/*"), contents("s"));
        assert_eq!(parse("s/*/x?"), globs("s/*", &["x?"]));
        let both = |text: &str| Segment::new(text.as_bytes()).unwrap().may_be_name();
        assert!(both("[a]") && both("a*") && both("?") && both("a\\b") && !both("*") && !both("ab"));
    }
}
