//! Blob index tags: the service's limits, in AzCopy's words (`azcopy/validationUtil.go`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::PlanError;
use crate::name::escape;

/// Most tags of a blob.
pub const MAX_TAGS: usize = 10;
/// Longest key, in characters; it has at least one.
pub const MAX_KEY_CHARS: usize = 128;
/// Longest value, in characters.
pub const MAX_VALUE_CHARS: usize = 256;

const LENGTHS: &str =
    "tag keys must be between 1 and 128 characters, and tag values must be between 0 and 256 characters";
/// Unreserved characters only.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Reads `key=value&key2=value2`, percent-encoded, `+` being a space. Of a key given twice the last value counts, in
/// the place of the first. An empty text has no tags. (`clear`, which means "remove them", is for the caller.)
///
/// # Errors
///
/// [`PlanError::TooManyTags`], [`PlanError::BadTag`].
pub fn parse(text: &str) -> Result<Vec<(String, String)>, PlanError> {
    let bad = |text: &str, reason| PlanError::BadTag { text: escape(text.as_bytes()), reason };
    let mut tags: Vec<(String, String)> = Vec::new();
    if text.is_empty() {
        return Ok(tags);
    }
    for pair in text.split('&') {
        let (raw_key, raw_value) =
            pair.split_once('=').ok_or_else(|| bad(pair, "a tag is written key=value"))?;
        let decode = |raw: &str| unescape(raw).ok_or_else(|| bad(raw, "invalid URL escape in tag"));
        let (key, value) = (decode(raw_key)?, decode(raw_value)?);
        if key.is_empty() || key.chars().count() > MAX_KEY_CHARS || value.chars().count() > MAX_VALUE_CHARS {
            return Err(bad(pair, LENGTHS));
        }
        if !key.chars().all(is_allowed) {
            return Err(bad(raw_key, "incorrect character set used in key"));
        }
        if !value.chars().all(is_allowed) {
            return Err(bad(raw_value, "incorrect character set used in value"));
        }
        match tags.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => tags.push((key, value)),
        }
    }
    if tags.len() > MAX_TAGS { Err(PlanError::TooManyTags) } else { Ok(tags) }
}

/// Writes tags as `x-ms-tags` has them, percent-encoded. [`parse`] gives the same pairs again.
#[must_use]
pub fn encode(tags: &[(String, String)]) -> String {
    let mut out = String::new();
    for (key, value) in tags {
        if !out.is_empty() {
            out.push('&');
        }
        out.extend(utf8_percent_encode(key, QUERY));
        out.push('=');
        out.extend(utf8_percent_encode(value, QUERY));
    }
    out
}

/// Go's `url.QueryUnescape`: a `%` needs two hexadecimal digits.
fn unescape(raw: &str) -> Option<String> {
    let is_hex = |at: usize| raw.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if raw.match_indices('%').any(|(at, _)| !(is_hex(at + 1) && is_hex(at + 2))) {
        return None;
    }
    let spaced = raw.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || " +-./:=_".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn pairs_are_decoded_and_encoded() {
        for (text, expected) in [
            ("", &[][..]),
            ("a=1&b=zwei", &[("a", "1"), ("b", "zwei")]),
            ("a=", &[("a", "")]),
            ("a+b=c%20d", &[("a b", "c d")]),
            ("k=a%3Db%2Bc/d:e._-", &[("k", "a=b+c/d:e._-")]),
            ("k=a=b", &[("k", "a=b")]),
            ("a=1&b=2&a=3", &[("a", "3"), ("b", "2")]),
            ("a=1&A=2", &[("a", "1"), ("A", "2")]),
        ] {
            assert_eq!(parse(text), Ok(pairs(expected)), "{text}");
            assert_eq!(parse(&encode(&pairs(expected))), Ok(pairs(expected)), "{text}");
        }
        assert_eq!(encode(&pairs(&[("a b", "c+d/e:f=g"), ("x", "")])), "a%20b=c%2Bd%2Fe%3Af%3Dg&x=");
    }

    #[test]
    fn limits_are_the_services() {
        let many = |n: usize| (0..n).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join("&");
        assert_eq!(parse(&many(10)).map(|tags| tags.len()), Ok(10));
        assert_eq!(parse(&many(11)), Err(PlanError::TooManyTags));
        assert_eq!(PlanError::TooManyTags.to_string(), "at-most 10 tags can be associated with a blob");
        let long = |key: usize, value: usize| parse(&format!("{}={}", "k".repeat(key), "v".repeat(value)));
        assert!(long(128, 256).is_ok());
        for (key, value) in [(0, 1), (129, 0), (1, 257)] {
            assert!(
                matches!(long(key, value), Err(PlanError::BadTag { reason: LENGTHS, .. })),
                "{key} {value}"
            );
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for (text, shown) in [
            ("a=1&b", "a tag is written key=value: b"),
            ("a=1&", "a tag is written key=value: "),
            ("a!=1", "incorrect character set used in key: a!"),
            ("%C3%BC=1", "incorrect character set used in key: %C3%BC"),
            ("a=%0A", "incorrect character set used in value: %0A"),
            ("a=b%26c", "incorrect character set used in value: b%26c"),
            ("a=%2", "invalid URL escape in tag: %2"),
            ("a=%zz", "invalid URL escape in tag: %zz"),
            ("%FF=1", "invalid URL escape in tag: %FF"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), shown);
        }
    }
}
