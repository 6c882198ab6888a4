//! Blob names: from local bytes to a name, and from a name to a URL path, without changing a character.
//!
//! # What is sent exactly, and what is not
//!
//! Azure's rules ("Naming and referencing containers, blobs, and metadata"): 1 to 1,024 characters, at most
//! 254 path segments, any Unicode, case-sensitive, reserved characters escaped in the URL.
//!
//! | in the name | what happens |
//! |---|---|
//! | space, `%`, `#`, `?`, `+`, `&`, quotes, `:` ... | percent-encoded, arrive exactly |
//! | `\` | an ordinary character on Linux: sent as `%5C`. The service all the same stores `/`: see [`stored_as`] |
//! | leading `/`, `//` | legal empty segments; kept (a local tree cannot hold them, a destination path can) |
//! | `.` and `..` segments | refused ([`NameError::DotSegment`]): URL normalisers resolve them, `%2E` included |
//! | a segment that ends in `.` | sent as it is; the service drops the dots: see [`stored_as`] |
//! | control characters | sent percent-encoded (`%0A`). The service "might not" accept them (RFC 2616, RFC 3987): then it answers 400 and that object alone fails. XML 1.0 has no way to write most of them, so listings may not show them faithfully |
//! | U+FFFE, U+FFFF | sent; listings give such names percent-encoded with `Encoded="true"` (service version 2021-02-12) |
//! | bytes that are not UTF-8 | refused ([`NameError::NotUtf8`]) |

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::NameError;

/// Most characters (Unicode scalar values) in a blob name.
pub const MAX_NAME_CHARS: usize = 1_024;
/// Most `/`-separated segments in a blob name (63 where the account has a hierarchical namespace: the
/// service says so itself, the client cannot know).
pub const MAX_SEGMENTS: usize = 254;

/// Everything but RFC 3986's unreserved characters and the separator. Encoding more than a server needs is
/// harmless; encoding less is where `+`, `;` and `=` get lost.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Appends `name` as a URL path: `A-Z a-z 0-9 - . _ ~ /` as they are, every other byte as `%XX`.
/// Percent-decoding gives `name` again.
pub fn encode_path_into(name: &str, out: &mut String) {
    out.extend(utf8_percent_encode(name, PATH));
}

/// What Go's `url.PathEscape` leaves as it is, and the separator.
const PATH_FOR_PEOPLE: &AsciiSet =
    &PATH.remove(b'$').remove(b'&').remove(b'+').remove(b'=').remove(b':').remove(b'@');

/// Appends `name` as AzCopy shows it in URLs: fewer characters are encoded than in what is sent.
pub fn encode_path_for_people(name: &str, out: &mut String) {
    out.extend(utf8_percent_encode(name, PATH_FOR_PEOPLE));
}

/// [`encode_path_into`] a new string.
#[must_use]
pub fn encode_path(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 16);
    encode_path_into(name, &mut out);
    out
}

/// The blob name `prefix` + `relative`, put together as they are (a prefix that is a directory ends in `/`).
///
/// `relative` is a local path below the source, `/`-separated.
///
/// # Errors
///
/// What is not UTF-8, too long, too deep, empty, or has a `.` or `..` segment: see the module's table.
pub fn blob_name(prefix: &str, relative: &[u8]) -> Result<String, NameError> {
    let Ok(relative) = std::str::from_utf8(relative) else {
        let mut escaped = escape(prefix.as_bytes());
        escaped.push_str(&escape(relative));
        return Err(NameError::NotUtf8 { escaped });
    };
    let mut name = String::with_capacity(prefix.len() + relative.len());
    name.push_str(prefix);
    name.push_str(relative);
    check(&name)?;
    Ok(name)
}

/// What the names below the directory `name` begin with: itself, and a `/` only where there is none. Two slashes at its
/// end are two: `dir/in` is not below `dir//`.
#[must_use]
pub fn directory_prefix(name: &str) -> String {
    let mut prefix = String::with_capacity(name.len() + 1);
    prefix.push_str(name);
    if !name.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

/// Says whether `name` can be a blob name that is sent and read back unchanged.
///
/// # Errors
///
/// As [`blob_name`].
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    // Characters are never more than bytes: the count is needed for long names only.
    if name.len() > MAX_NAME_CHARS {
        let chars = name.chars().count();
        if chars > MAX_NAME_CHARS {
            let end = name.char_indices().nth(64).map_or(name.len(), |(at, _)| at);
            return Err(NameError::TooLong { chars, start: escape(&name.as_bytes()[..end]) });
        }
    }
    let mut segments = 0;
    for segment in name.split('/') {
        segments += 1;
        if segment == "." || segment == ".." {
            return Err(NameError::DotSegment { name: escape(name.as_bytes()) });
        }
    }
    if segments > MAX_SEGMENTS {
        return Err(NameError::TooManySegments { segments });
    }
    Ok(())
}

/// The name under which the service is known to store what is sent as `name`; borrowed if it is `name` itself.
///
/// By public reports (not tried on an account), two legal names are changed without an error: a `\` becomes `/` (the
/// service rebuilds the path that way also from `%5C`, as the Azure SDKs for JavaScript and Python note where they sign
/// names), and dots at the end are dropped (reported for several SDKs and confirmed by signatures that the service
/// expects without them). Both are what .NET's `Uri` does to paths of http (`CanonicalizeAsFilePath`), and that drops
/// the dots of every segment; the documentation agrees ("No path segments should end with a dot"). Such a file can
/// silently take the place of another, `a\b` that of `a/b`. [`check`] accepts them, since gateways and test servers
/// keep some of them as they are; whoever sends to the service itself should refuse, or at least say, when this is not
/// `name`.
#[must_use]
pub fn stored_as(name: &str) -> Cow<'_, str> {
    if is_kept(name.as_bytes()) {
        return Cow::Borrowed(name);
    }
    let stored = name.replace('\\', "/");
    let without_dots = |segment| {
        let kept = str::trim_end_matches(segment, '.');
        // A segment of dots alone: nothing is known.
        if kept.is_empty() { segment } else { kept }
    };
    Cow::Owned(stored.split('/').map(without_dots).collect::<Vec<_>>().join("/"))
}

/// [`stored_as`] of a name that is percent-encoded; `None`: the service keeps it. Every request asks, so what most
/// names are is told in one pass, without decoding them.
#[must_use]
pub fn encoded_stored_as(encoded: &str) -> Option<String> {
    let bytes = encoded.as_bytes();
    // Of all escapes only those of `\`, `.` and `/` could hide what counts.
    let tells = |escape: &[u8]| matches!(escape, b"%5C" | b"%5c" | b"%2E" | b"%2e" | b"%2F" | b"%2f");
    let hides = bytes.contains(&b'%') && bytes.windows(3).any(tells);
    if !hides && is_kept(bytes) {
        return None;
    }
    let name = percent_decode_str(encoded).decode_utf8_lossy();
    match stored_as(&name) {
        stored if stored == name => None,
        stored => Some(stored.into_owned()),
    }
}

/// Whether there is no `\` in a name, and no dot at the end of a segment.
fn is_kept(name: &[u8]) -> bool {
    // By SIMD: each request asks, and byte by byte this was the most of its cost.
    let mut rest = name;
    while let Some(at) = memchr::memchr2(b'\\', b'.', rest) {
        match (rest[at], rest.get(at + 1)) {
            (b'\\', _) | (_, None | Some(b'/')) => return false,
            _ => rest = &rest[at + 1..],
        }
    }
    true
}

/// A name for a person to read on one line: control characters and bytes that are not UTF-8 as `\xNN`
/// (`\n`, `\t`, `\r` for those), a backslash as `\\`, all else as it is.
#[must_use]
pub fn escape(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        escape_byte(byte, &mut out);
                    }
                }
                c => out.push(c),
            }
        }
        for &byte in chunk.invalid() {
            escape_byte(byte, &mut out);
        }
    }
    out
}

/// Whether a character does something to a terminal instead of being shown: control characters (C0, DEL, C1),
/// separators of lines, and those that turn the direction of other text round. Marks of direction that only concern
/// themselves, which names in Hebrew or Arabic may have, do not count.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text for a terminal, of one line: what is unprintable is escaped as [`escape`] does it, but for tabs.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    printable(text, &['\t'])
}

/// The same of several lines.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    printable(text, &['\t', '\n'])
}

fn printable<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let spoils = |c: char| is_unprintable(c) && !kept.contains(&c);
    if !text.contains(spoils) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !spoils(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape_byte(byte, &mut out)),
        }
    }
    out.into()
}

fn escape_byte(byte: u8, out: &mut String) {
    write!(out, "\\x{byte:02x}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_reversible_and_leaves_only_unreserved() {
        for name in [
            "plain/a-b_c.d~e",
            "with space/100%/a#b/c?d/e+f/g&h",
            "quotes\"'`/semi;colon:at@eq=,!$*()[]{}|^<>",
            "back\\slash",
            "grüße/日本語/😀",
            "line\nfeed\ttab",
            "/leading//double/",
            "%41%2F",
            "trailing.",
            "...",
            "nbsp\u{a0}\u{fffe}\u{ffff}",
        ] {
            let path = encode_path(name);
            assert!(
                path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b)),
                "{name:?} -> {path}"
            );
            assert_eq!(percent_decode_str(&path).decode_utf8().unwrap(), name);
            assert_eq!(blob_name("", name.as_bytes()).as_deref(), Ok(name));
        }
        assert_eq!(encode_path("a b%#?+&\\\n/ü"), "a%20b%25%23%3F%2B%26%5C%0A/%C3%BC");
        let every: String = (0_u8..128).map(char::from).collect();
        assert_eq!(percent_decode_str(&encode_path(&every)).decode_utf8().unwrap(), every);
    }

    #[test]
    fn people_see_urls_as_azcopy_writes_them() {
        let mut url = String::new();
        encode_path_for_people("a b%20+&.txt/x=1:2@3$#?;,ü", &mut url);
        assert_eq!(url, "a%20b%2520+&.txt/x=1:2@3$%23%3F%3B%2C%C3%BC");
    }

    #[test]
    fn a_slash_is_added_only_where_there_is_none() {
        for (name, prefix) in [("d", "d/"), ("d/", "d/"), ("d//", "d//"), ("/", "/"), ("/d/", "/d/")] {
            assert_eq!(directory_prefix(name), prefix);
        }
    }

    #[test]
    fn not_utf8_shows_the_bytes() {
        let error = blob_name("dest/", b"a\xffb\n\\").unwrap_err();
        assert_eq!(error, NameError::NotUtf8 { escaped: "dest/a\\xffb\\n\\\\".into() });
        assert!(error.to_string().contains("dest/a\\xffb\\n"));
    }

    #[test]
    fn limits_are_in_characters_and_segments() {
        let longest = "ü".repeat(MAX_NAME_CHARS);
        assert_eq!(blob_name("", longest.as_bytes()).as_deref(), Ok(longest.as_str()));
        assert_eq!(
            blob_name("x", longest.as_bytes()),
            Err(NameError::TooLong { chars: 1025, start: format!("x{}", "ü".repeat(63)) })
        );
        let deepest = vec!["a"; MAX_SEGMENTS].join("/");
        assert!(blob_name("", deepest.as_bytes()).is_ok());
        assert_eq!(
            blob_name("b/", deepest.as_bytes()),
            Err(NameError::TooManySegments { segments: MAX_SEGMENTS + 1 })
        );
        assert_eq!(blob_name("", b""), Err(NameError::Empty));
    }

    #[test]
    fn dot_segments_are_refused_dotted_names_are_not() {
        for name in [".", "..", "a/./b", "../a", "a/.."] {
            assert_eq!(check(name), Err(NameError::DotSegment { name: name.into() }));
        }
        for name in ["...", ".a", "a.", "..a", "a/.b/c.", "a/.../b"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_the_service_changes_are_known() {
        for (name, stored) in [
            ("a\\b", "a/b"),
            ("a.", "a"),
            ("d/a...", "d/a"),
            ("a\\.b.", "a/.b"),
            ("a.\\b", "a/b"),
            ("a.b/c", "a.b/c"),
            ("a./b", "a/b"),
            ("a/b.../c./d", "a/b/c/d"),
            ("a./", "a/"),
            ("...", "..."),
            ("a/...", "a/..."),
            ("", ""),
            ("ü %#?+&'", "ü %#?+&'"),
        ] {
            assert_eq!(stored_as(name), stored, "{name}");
        }
        assert!(matches!(stored_as("plain/name.txt"), Cow::Borrowed("plain/name.txt")));
    }

    #[test]
    fn encoded_names_are_told_as_decoded_ones() {
        const PARTS: [&str; 12] =
            ["a", ".", "..", "/", "\\", "%5C", "%5c", "%2E", "%2f", "%20", "%25", "%C3%BC"];
        let mut changed = 0;
        for seed in 0..12_usize.pow(4) {
            let mut rest = seed;
            let mut name = String::new();
            for _ in 0..4 {
                name.push_str(PARTS[rest % 12]);
                rest /= 12;
            }
            let decoded = percent_decode_str(&name).decode_utf8().unwrap();
            let stored = stored_as(&decoded);
            let want = (stored != decoded).then(|| stored.into_owned());
            changed += usize::from(want.is_some());
            assert_eq!(encoded_stored_as(&name), want, "{name}");
        }
        assert!(changed > 5_000, "{changed}");
    }

    #[test]
    fn nothing_reaches_a_terminal_but_text() {
        for (text, line) in [
            ("größe\t\u{200f}שלום.txt", "größe\t\u{200f}שלום.txt"),
            ("a\u{1b}[2Jb\r\n", "a\\x1b[2Jb\\r\\n"),
            ("\u{9b}31m\u{7f}\0", "\\xc2\\x9b31m\\x7f\\x00"),
            ("exe.\u{202e}txt\u{2066}\u{2028}", "exe.\\xe2\\x80\\xaetxt\\xe2\\x81\\xa6\\xe2\\x80\\xa8"),
        ] {
            assert_eq!(one_line(text), line);
            assert_eq!(lines(text), line.replace("\\n", "\n"));
        }
    }

    #[test]
    fn escape_keeps_one_line() {
        assert_eq!(escape("ü a\u{1}\u{7f}\u{85}".as_bytes()), "ü a\\x01\\x7f\\xc2\\x85");
        assert_eq!(escape(b"\xe2\x82\r"), "\\xe2\\x82\\r");
    }
}
