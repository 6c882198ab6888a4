//! Takes secrets out of texts that repeat what the user typed: those that are known by their values ([`secrets`]), and
//! what stands where secrets stand.

use azuring_azure::secrets;

const REDACTED: &str = "REDACTED";

/// Parameters whose value is a secret, in a URL's query, in a query that lost its `?`, and in a connection string.
const SECRETS: [&str; 4] = ["sig", "sktoken", "accountkey", "sharedaccesskey"];

/// What the texts of this program put for a query; it is no secret.
const PLACEHOLDER: &str = "SAS";

/// `text` without secrets. In every word (words end at white space, quotes and control characters):
///
/// - what follows `?` in anything like a URL or a query,
/// - the value of `sig=`, `sktoken=` and `AccountKey=`, wherever it stands and whether or not it is percent-encoded,
/// - user name and password in front of a host.
///
/// Rather too much is taken away than too little: it is meant for error messages.
pub(crate) fn redact(text: &str) -> String {
    let text = &*secrets::conceal(text);
    let ends = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\'' | '"' | '`');
    text.split_inclusive(ends)
        .map(|piece| {
            let word = piece.trim_end_matches(ends);
            redact_word(word) + &piece[word.len()..]
        })
        .collect()
}

/// The same for a text that is one word, with blanks and quotes in it or without.
pub(crate) fn redact_word(word: &str) -> String {
    without_values(&without_query(&without_user(&secrets::conceal(word))))
}

/// Whether a word holds what is certainly a secret: a key, a signature, a password.
pub(crate) fn holds_secret(word: &str) -> bool {
    secrets::are_in(word) || without_values(&without_user(word)) != word
}

/// `//user:password@host` becomes `//REDACTED@host`.
fn without_user(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    // `:/` as well: a slash is easily lost.
    while let Some(at) = [rest.find("//"), rest.find(":/")].into_iter().flatten().min() {
        let host = at + 1 + rest[at + 1..].len() - rest[at + 1..].trim_start_matches('/').len();
        out += &rest[..host];
        rest = &rest[host..];
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let end = match authority.rfind('@') {
            Some(end) => Some(end),
            // The password holds a character that ends a host: what looks like a port is its beginning.
            None if has_odd_port(authority) => rest.rfind('@'),
            None => None,
        };
        if let Some(end) = end {
            out += REDACTED;
            rest = &rest[end..];
        }
    }
    out + rest
}

fn has_odd_port(authority: &str) -> bool {
    !authority.starts_with('[')
        && authority.split_once(':').is_some_and(|(_, port)| port.bytes().any(|b| !b.is_ascii_digit()))
}

/// `https://host/path?query` and `path?name=value` become `...?REDACTED`.
fn without_query(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let mark = ["?", "%3f"].into_iter().filter_map(|mark| Some(lower.find(mark)? + mark.len())).min();
    let Some(mark) = mark else { return word.to_owned() };
    let (before, query) = word.split_at(mark);
    let is_query = before.contains("//") || query.contains('=') || lower[mark..].contains("%3d");
    if query.is_empty() || query == PLACEHOLDER || !is_query {
        return word.to_owned();
    }
    format!("{before}{REDACTED}")
}

/// `sig=value` becomes `sig=REDACTED`.
fn without_values(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let mut out = String::with_capacity(word.len());
    let mut at = 0;
    while at < word.len() {
        let value = SECRETS.iter().find_map(|name| {
            let after = lower[at..].strip_prefix(name)?;
            let value = after.strip_prefix('=').or_else(|| after.strip_prefix("%3d"))?;
            Some(word.len() - value.len())
        });
        if let Some(value) = value {
            let ends = ["&", ";", "%26", "%3b"].into_iter().filter_map(|end| lower[value..].find(end)).min();
            let end = value + ends.unwrap_or(word.len() - value);
            out += &word[at..value];
            out += if value < end { REDACTED } else { "" };
            at = end;
        } else {
            let next = word[at..].chars().next().map_or(1, char::len_utf8);
            out += &word[at..at + next];
            at += next;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out() {
        for (text, want) in [
            ("'https://a.net/c?sv=1&sig=S3%3D' found", "'https://a.net/c?REDACTED' found"),
            ("https://a.net/c?S3\nnext line", "https://a.net/c?REDACTED\nnext line"),
            ("https:/a.net/c?sv=1&sig=S3", "https:/a.net/c?REDACTED"),
            ("`cont&sv=1&sig=S3&se=2` is no name", "`cont&sv=1&sig=REDACTED&se=2` is no name"),
            ("https://a.net/c%3Fsv%3D1%26sig%3DS3", "https://a.net/c%3FREDACTED"),
            ("c%26sig%3DS3%26se%3D2", "c%26sig%3DREDACTED%26se%3D2"),
            ("?sv=1&SIG=S3", "?REDACTED"),
            ("Sig=S3 and skToken=S3", "Sig=REDACTED and skToken=REDACTED"),
            ("x;AccountKey=S3==;EndpointSuffix=y", "x;AccountKey=REDACTED;EndpointSuffix=y"),
            ("https://user:S3@host/c", "https://REDACTED@host/c"),
            ("https://S3@host/c@d", "https://REDACTED@host/c@d"),
            ("https://user:S3/S3@host/c", "https://REDACTED@host/c"),
            ("https://user:S3?S3@host/c", "https://REDACTED@host/c"),
            ("https:/user:S3@host/c", "https:/REDACTED@host/c"),
            ("--from-to=https://user:S3@host/c?S3", "--from-to=https://REDACTED@host/c?REDACTED"),
            ("ä&sig=S3ö", "ä&sig=REDACTED"),
        ] {
            assert_eq!(redact(text), want, "{text}");
            assert_eq!(redact(want), want, "a second time");
        }
    }

    #[test]
    fn a_secret_with_blanks_is_taken_out_as_a_whole() {
        assert_eq!(redact_word("https://a.net/c d?sv=1&sig=S3 S3'S3"), "https://a.net/c d?REDACTED");
        assert_eq!(redact_word("c&sig=S3 S3&se=2"), "c&sig=REDACTED&se=2");
        assert_eq!(redact_word("/data/a b"), "/data/a b");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "what? nothing",
            "files/v?.txt and a?b",
            "https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS",
            "http://127.0.0.1:10000/devstoreaccount1/cont/a@b",
            "http://[::1]:10000/devstoreaccount1/cont/a@b",
            "design=1 sig= sigh",
            "größe: 5 µs  ",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
