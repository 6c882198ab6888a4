//! Regular expressions in the syntax and with the meaning of Go's `regexp` (RE2), which AzCopy's
//! `--include-regex` and `--exclude-regex` are written for.
//!
//! The `regex` crate descends from RE2 but differs in details; [`translate`] writes a pattern so that it means there
//! what it means in Go (source: the package documentation of `regexp/syntax`):
//!
//! | in Go | in the crate |
//! |---|---|
//! | `\d \w \s \b` and their negations are ASCII | Unicode |
//! | `\Q...\E` quotes | unknown |
//! | `\<` is `<` | the start of a word |
//! | `{` that begins no repetition is itself | an error |
//! | `[`, `&&`, `--`, `~~` inside a class are themselves | nested classes and set operations |

use regex::bytes::Regex;

/// Compiles a Go pattern. It is unanchored.
///
/// # Errors
///
/// What is wrong with it, in the words of the `regex` crate's last line.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&translate(pattern)).map_err(|error| {
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    // Inside a class: how much of it has been written, so that a `]` at its start is known.
    let mut class: Option<usize> = None;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = after;
        match (c, class) {
            ('\\', _) => rest = escape(after, class.is_some(), &mut out),
            ('[', None) => {
                out.push('[');
                if let Some(negated) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = negated;
                }
                class = Some(out.len());
            }
            ('[', Some(_)) => {
                // `[:alpha:]` is the same in both.
                let posix = rest.starts_with(':').then(|| rest.find(":]")).flatten();
                match posix {
                    Some(end) => {
                        out.push('[');
                        out.push_str(&rest[..end + 2]);
                        rest = &rest[end + 2..];
                    }
                    None => out.push_str("\\["),
                }
            }
            (']', Some(start)) if out.len() > start => {
                out.push(']');
                class = None;
            }
            ('&' | '~' | ']', Some(_)) => out.extend(['\\', c]),
            ('-', Some(_)) if out.ends_with('-') => out.push_str("\\-"),
            ('{', None) if !is_repetition(rest) => out.push_str("\\{"),
            _ => out.push(c),
        }
    }
    out
}

/// Writes what `\` and the start of `rest` mean; gives what follows.
fn escape<'a>(rest: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[c.len_utf8()..];
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\f\\r ]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'b' | 'B' if !in_class => {
            out.push_str("(?-u:\\");
            out.push(c);
            out.push(')');
        }
        'Q' if !in_class => {
            let (quoted, end) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return end;
        }
        '<' | '>' => out.push(c),
        // `\p{Greek}`, `\x{10FFFF}`: these braces are no repetition.
        'p' | 'P' | 'x' if after.starts_with('{') => {
            let end = after.find('}').map_or(after.len(), |at| at + 1);
            out.extend(['\\', c]);
            out.push_str(&after[..end]);
            return &after[end..];
        }
        c => out.extend(['\\', c]),
    }
    after
}

/// Whether what follows a `{` makes it `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(rest: &str) -> bool {
    let Some((counts, _)) = rest.split_once('}') else { return false };
    let (low, high) = counts.split_once(',').unwrap_or((counts, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !low.is_empty() && digits(low) && digits(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_what_it_means_in_go() {
        for (pattern, text, expected) in [
            ("b", "abc", true),
            ("^b", "abc", false),
            (r"\d", "\u{663}", false),
            (r"\d{2}$", "a42", true),
            (r"^\D$", "\u{663}", true),
            (r"^\w+$", "grüße", false),
            (r"^[\w.-]+$", "a_b-c.d", true),
            (r"^[^\w]$", "ü", true),
            (r"\s", "\u{a0}", false),
            (r"^\S$", "\u{0b}", true),
            (r"\bcd", "ücd", true),
            (r"a\Bb", "ab", true),
            (r"\Qa.b\E.", "a.bc", true),
            (r"\Qa.b", "axb", false),
            (r"\<a\>", "<a>", true),
            (r"\.log$", "x/y.log", true),
            ("^a{,2}$", "a{,2}", true),
            ("^{x}$", "{x}", true),
            ("^a{2}$", "aa", true),
            ("^a{2,}$", "aaaa", true),
            ("^a{x$", "a{x", true),
            ("^[[a]$", "[", true),
            ("^[a&&b]+$", "a&b", true),
            ("^[a~~]+$", "~a", true),
            ("^[+--]+$", "+,-", true),
            ("^[]a]+$", "]a", true),
            ("^[^]a]+$", "b", true),
            ("^[^]a]+$", "]", false),
            ("^[[:digit:]x]+$", "1x", true),
            ("^[a-c[]+$", "b[", true),
            ("(?i)JPG$", "a.jpg", true),
            ("^.$", "ü", true),
            (r"^\p{Greek}$", "α", true),
            (r"^\pL+$", "ßa", true),
            (r"^[\p{Greek}\x{61}]+\x{62}$", "αab", true),
            ("a$", "a\n", false),
            (r"^a\]$", "a]", true),
            ("^a]$", "a]", true),
        ] {
            let regex = compile(pattern).unwrap();
            assert_eq!(regex.is_match(text.as_bytes()), expected, "{pattern} {text:?}");
        }
    }

    #[test]
    fn malformed_patterns_say_what_is_wrong() {
        for pattern in ["(", "a)", "[", "[a", "*a", "\\", r"\8", "(?<n", "[z-a]", "a{3,2}", "[]"] {
            let error = compile(pattern).map(|regex| regex.to_string());
            assert!(error.as_ref().is_err_and(|text| !text.is_empty() && !text.contains('\n')), "{pattern}");
        }
        assert_eq!(compile("(").unwrap_err(), "unclosed group");
    }

    #[test]
    fn nothing_panics() {
        let pieces = ["\\", "[", "]", "^", "-", "Q", "E", "{", "}", "1", ",", "ü", "&", ":", "d", "(", "*"];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let _ = translate(&[a, b, c, d].concat());
                    }
                }
            }
        }
    }
}
