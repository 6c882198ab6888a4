//! Metadata as the user writes it (AzCopy's `StringToMetadata` and `ValidateMetadataString`).

use crate::PlanError;
use crate::name::escape;

/// What AzCopy does not let into a metadata name.
const NOT_IN_NAMES: &str = " !#$%^&*,<>{}|\\:.()+'\"?/";

/// Reads `name=value;name2=value2`, where a backslash takes the next character as it is. An empty text has no
/// metadata. (`clear`, which means "remove it", is for the caller.)
///
/// # Errors
///
/// [`PlanError::BadMetadata`]: a name without `=`, an empty name, a name with spaces or special characters, or
/// outside ASCII (a header's name has nothing else); a name that is given twice.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, PlanError> {
    let mut pairs = Vec::new();
    let (mut name, mut value, mut in_value) = (String::new(), String::new(), false);
    let mut letters = text.chars();
    loop {
        let letter = letters.next();
        match letter {
            None | Some(';') => {
                if in_value {
                    check_name(&name)?;
                    // A header's name has no capitals: one of the two values would be lost.
                    if pairs.iter().any(|(known, _): &(String, _)| known.eq_ignore_ascii_case(&name)) {
                        return Err(bad(&name, "it is given twice (capitals make no difference)"));
                    }
                    pairs.push((std::mem::take(&mut name), std::mem::take(&mut value)));
                    in_value = false;
                } else if !name.is_empty() {
                    return Err(bad(&name, "it has no `=`"));
                }
                if letter.is_none() {
                    return Ok(pairs);
                }
            }
            Some('=') if !in_value => in_value = true,
            Some(mut letter) => {
                if letter == '\\' {
                    letter = letters.next().unwrap_or('\\');
                }
                if in_value { &mut value } else { &mut name }.push(letter);
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), PlanError> {
    if name.is_empty() {
        return Err(bad("=", "a name is missing"));
    }
    let is_allowed = |c: char| c.is_ascii() && !c.is_ascii_control() && !NOT_IN_NAMES.contains(c);
    if name.chars().all(is_allowed) {
        Ok(())
    } else {
        Err(bad(name, "can't have spaces or special characters"))
    }
}

fn bad(name: &str, reason: &'static str) -> PlanError {
    PlanError::BadMetadata { name: escape(name.as_bytes()), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_taken_apart() {
        for (text, expected) in [
            ("", &[][..]),
            (";;", &[]),
            ("a=1;b=zwei", &[("a", "1"), ("b", "zwei")]),
            ("a=1\\;2\\=3=4;", &[("a", "1;2=3=4")]),
            ("a=", &[("a", "")]),
            ("a=\\\\x\\", &[("a", "\\x\\")]),
            ("_n1= spaced ü ", &[("_n1", " spaced ü ")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn names_that_no_header_can_carry_are_refused() {
        for (text, name) in [
            ("a", "a"),
            ("a=1;b", "b"),
            ("=1", "="),
            ("a b=1", "a b"),
            ("a.b=1", "a.b"),
            ("x=1;a\\=b\\;c d=1", "a=b;c d"),
            ("ü=1", "ü"),
            ("a\n=1", "a\\n"),
            ("k=v;K=w", "K"),
            ("k=v;x=1;k=v", "k"),
        ] {
            match parse(text) {
                Err(PlanError::BadMetadata { name: shown, .. }) => assert_eq!(shown, name),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
