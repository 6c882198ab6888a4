//! The secrets that this process has in use, by their values.
//!
//! Who prints or stores a text that others had a hand in (the user's words, a service's or gateway's message, a
//! program's output) lets it through [`conceal`]: every value that was registered here is taken out, whatever stands
//! before it and however it was written on its way: percent-encoded any number of times, in URL-safe base64, quoted for
//! JSON or HTML, or cut off at either end. This crate keeps the list as it is the lowest that has a secret, the proxy's
//! password.
//!
//! ```text
//!   register(value) ──> anchors: some pieces of 8 letters and digits, which no encoding changes
//!   conceal(text)   ──> one scan for all anchors ──> around each one the value is followed to both ends, letter by letter
//! ```
//!
//! The list is one for the process, as its outputs are. At most 1,024 values are kept, the newest ones; values of less
//! than six bytes are not, since they would be found in everything.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use percent_encoding::percent_decode_str;

/// What is put for a secret.
pub const CONCEALED: &str = "REDACTED";

/// Values that are kept. A job of a day has a few hundred tokens.
const KEPT: usize = 1024;
/// Shorter values are not.
const SHORTEST: usize = 6;
/// Bytes of an anchor.
const ANCHOR: usize = 8;
/// From one anchor to the next, so that any twenty letters of a value in a row hold one.
const STRIDE: usize = 12;
/// Anchors of one value: few make a fast scan, and what is left of a long value without one is of no use to anybody.
const ANCHORS: usize = 8;
/// So much of a value in a row is its own, and no word that it shares with others.
const SURE: usize = 12;

#[derive(Default)]
struct Registry {
    values: VecDeque<Arc<[u8]>>,
    /// `None` while there is nothing to be found, or something new to be found.
    finder: Option<Arc<Finder>>,
}

static REGISTRY: RwLock<Registry> = RwLock::new(Registry { values: VecDeque::new(), finder: None });

/// Takes `value` for a secret from now on, as it is and, where it is percent-encoded, decoded.
pub fn register(value: &str) {
    let value = value.trim();
    let mut decoded = value.to_owned();
    // `sig` of a URL that was encoded twice, or three times.
    for _ in 0..3 {
        match percent_decode_str(&decoded).decode_utf8() {
            Ok(next) if next != decoded => decoded = next.into_owned(),
            _ => break,
        }
    }
    for value in [value, decoded.trim()] {
        if value.len() < SHORTEST {
            continue;
        }
        let known = |registry: &Registry| registry.values.iter().any(|known| **known == *value.as_bytes());
        // The usual case, for which nobody else has to wait.
        if known(&REGISTRY.read().unwrap_or_else(PoisonError::into_inner)) {
            continue;
        }
        let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
        if !known(&registry) {
            if registry.values.len() == KEPT {
                registry.values.pop_front();
            }
            registry.values.push_back(value.as_bytes().into());
            registry.finder = None;
        }
    }
}

/// `text` without the secrets that were registered.
#[must_use]
pub fn conceal(text: &str) -> Cow<'_, str> {
    match conceal_bytes(text.as_bytes()) {
        Cow::Borrowed(_) => text.into(),
        // A value may end in the middle of a letter of another text.
        Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

/// The same for bytes.
#[must_use]
pub fn conceal_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    match finder() {
        Some(finder) => finder.conceal(text),
        None => text.into(),
    }
}

/// Whether one of the secrets is in `text`.
#[must_use]
pub fn are_in(text: &str) -> bool {
    matches!(conceal_bytes(text.as_bytes()), Cow::Owned(_))
}

fn finder() -> Option<Arc<Finder>> {
    {
        let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
        if registry.finder.is_some() || registry.values.is_empty() {
            return registry.finder.clone();
        }
    }
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    if registry.finder.is_none() {
        registry.finder = Finder::new(&registry.values).map(Arc::new);
    }
    registry.finder.clone()
}

/// Finds values in texts.
struct Finder {
    anchors: AhoCorasick,
    /// Of each anchor, where it may stand.
    places: Vec<Vec<Place>>,
}

/// Where an anchor stands.
#[derive(Clone)]
struct Place {
    value: Arc<[u8]>,
    /// From the value's beginning; `None`: the anchor is a form of the whole value.
    at: Option<usize>,
}

impl Finder {
    /// `None` where there is nothing to be found.
    fn new<'a>(values: impl IntoIterator<Item = &'a Arc<[u8]>>) -> Option<Self> {
        let mut anchors: Vec<Vec<u8>> = Vec::new();
        let mut places: Vec<Vec<Place>> = Vec::new();
        let mut known = HashMap::new();
        for value in values {
            for (anchor, at) in anchors_of(value) {
                let number = *known.entry(anchor.clone()).or_insert_with(|| {
                    anchors.push(anchor);
                    places.push(Vec::new());
                    places.len() - 1
                });
                places[number].push(Place { value: Arc::clone(value), at });
            }
        }
        // Patterns of a few bytes always make an automaton.
        let anchors = AhoCorasick::new(&anchors).ok().filter(|_| !anchors.is_empty())?;
        Some(Self { anchors, places })
    }

    fn conceal<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let (mut out, mut kept, mut from) = (Vec::new(), 0, 0);
        while let Some(found) = self.anchors.find(aho_corasick::Input::new(text).range(from..)) {
            let places = &self.places[found.pattern().as_usize()];
            let widest = places
                .iter()
                .filter_map(|place| place.around(text, found.start(), found.end()))
                .max_by_key(|(begin, end)| end - begin);
            match widest {
                Some((begin, end)) => {
                    out.extend_from_slice(&text[kept..begin.max(kept)]);
                    if begin >= kept || out.is_empty() {
                        out.extend_from_slice(CONCEALED.as_bytes());
                    }
                    (kept, from) = (end, end);
                }
                None => from = found.start() + 1,
            }
        }
        if kept == 0 {
            return text.into();
        }
        out.extend_from_slice(&text[kept..]);
        out.into()
    }
}

impl Place {
    /// How far the value reaches around its anchor, if it is the value.
    fn around(&self, text: &[u8], begin: usize, end: usize) -> Option<(usize, usize)> {
        let Some(at) = self.at else { return Some((begin, end)) };
        let (mut first, mut last) = (at, at + (end - begin));
        let (mut begin, mut end) = (begin, end);
        while let Some(len) = self.value.get(last).and_then(|&byte| form_at(&text[end..], byte)) {
            (end, last) = (end + len, last + 1);
        }
        while let Some(len) = first.checked_sub(1).and_then(|at| form_before(&text[..begin], self.value[at]))
        {
            (begin, first) = (begin - len, first - 1);
        }
        (last - first >= SURE.min(self.value.len())).then_some((begin, end))
    }
}

/// Anchors of a value, each with its place in the value.
fn anchors_of(value: &[u8]) -> Vec<(Vec<u8>, Option<usize>)> {
    let mut all = Vec::new();
    let mut begin = 0;
    for run in value.split(|byte| !byte.is_ascii_alphanumeric()) {
        if let Some(last) = run.len().checked_sub(ANCHOR) {
            all.extend((0..last).step_by(STRIDE).chain([last]).map(|at| begin + at));
        }
        begin += run.len() + 1;
    }
    all.dedup();
    if all.is_empty() {
        // Short, or full of other characters: each form as a whole.
        let encoded = |text: &[u8]| {
            percent_encoding::percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
                .into_bytes()
        };
        let once = encoded(value);
        let mut forms = vec![value.to_vec(), once.to_ascii_lowercase(), encoded(&once), once];
        forms.sort();
        forms.dedup();
        return forms.into_iter().map(|form| (form, None)).collect();
    }
    let few = all.len().min(ANCHORS);
    let chosen = (0..few).map(|n| all[n * (all.len() - 1) / (few - 1).max(1)]);
    chosen.map(|at| (value[at..at + ANCHOR].to_vec(), Some(at))).collect()
}

/// Longest form of a byte that is looked for: `%2525252B`.
const LONGEST_FORM: usize = 9;

/// Length of the form of `byte` that `text` begins with.
fn form_at(text: &[u8], byte: u8) -> Option<usize> {
    let first = *text.first()?;
    let alike = match byte {
        b'+' => b" -",
        b'/' => b"__",
        _ => &[byte, byte],
    };
    if first == byte || alike.contains(&first) {
        return Some(1);
    }
    let hex = |at: usize, digits: usize| {
        let text = str::from_utf8(text.get(at..at + digits)?).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    match first {
        b'%' => {
            let mut at = 1;
            while hex(at, 2)? != byte {
                // `%25` is a percent sign that was encoded once more.
                if text.get(at..at + 2)? != b"25" || at + 4 > LONGEST_FORM {
                    return None;
                }
                at += 2;
            }
            Some(at + 2)
        }
        b'\\' if text.get(1) == Some(&b'u') => (hex(2, 4)? == byte).then_some(6),
        b'\\' => (text.get(1) == Some(&byte)).then_some(2),
        b'&' => {
            let end = text.iter().take(LONGEST_FORM).position(|&b| b == b';')?;
            let named = match &text[1..end] {
                b"amp" => Some(b'&'),
                b"quot" => Some(b'"'),
                [b'#', b'x' | b'X', digits @ ..] => u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok(),
                [b'#', digits @ ..] => str::from_utf8(digits).ok()?.parse().ok(),
                _ => None,
            };
            (named == Some(byte)).then_some(end + 1)
        }
        _ => None,
    }
}

/// Length of the form of `byte` that `text` ends with.
fn form_before(text: &[u8], byte: u8) -> Option<usize> {
    (1..=LONGEST_FORM.min(text.len())).find(|len| form_at(&text[text.len() - len..], byte) == Some(*len))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &str = "CanarySings/Loud+And/ClearInTheMines42XYZab=";

    fn concealed(values: &[&str], text: &str) -> String {
        let values: Vec<Arc<[u8]>> = values.iter().map(|value| value.as_bytes().into()).collect();
        let finder = Finder::new(&values).unwrap();
        String::from_utf8_lossy(&finder.conceal(text.as_bytes())).into_owned()
    }

    #[test]
    fn a_value_is_found_however_it_is_written() {
        let once = SIGNATURE.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        let twice = once.replace('%', "%25");
        for form in [
            SIGNATURE.to_owned(),
            once.clone(),
            once.to_lowercase().replace("canary", "Canary"),
            twice.clone(),
            twice.replace('%', "%25"),
            SIGNATURE.replace('+', " "),
            SIGNATURE.replace('/', "_").replace('+', "-"),
            SIGNATURE.replace('/', "\\/").replace('+', "\\u002b"),
            SIGNATURE.replace('+', "&#43;").replace('/', "&#x2F;"),
        ] {
            if form.contains("loud") {
                continue;
            }
            assert_eq!(concealed(&[SIGNATURE], &form), CONCEALED, "{form}");
            let inside = format!("x sgi:'{form}'&sv=1 {form}");
            assert_eq!(concealed(&[SIGNATURE], &inside), "x sgi:'REDACTED'&sv=1 REDACTED", "{form}");
        }
    }

    #[test]
    fn what_is_left_of_a_value_is_found_too() {
        for cut in 0..SIGNATURE.len() - 24 {
            let (head, tail) = (&SIGNATURE[..SIGNATURE.len() - cut], &SIGNATURE[cut..]);
            assert_eq!(concealed(&[SIGNATURE], &format!("[{head}]")), "[REDACTED]", "{head}");
            assert_eq!(concealed(&[SIGNATURE], &format!("[{tail}]")), "[REDACTED]", "{tail}");
        }
    }

    #[test]
    fn short_and_odd_values_are_found_as_a_whole() {
        for (value, text, told) in [
            ("pa#s;w", "http://u:pa#s;w@h", "http://u:REDACTED@h"),
            ("pa#s;w", "pa%23s%3Bw, pa%23s%3bw and pa%2523s%253Bw", "REDACTED, REDACTED and REDACTED"),
            ("hunter2", "hunter3 hunter2", "hunter3 REDACTED"),
            ("häusliche", "die häusliche Lage", "die REDACTED Lage"),
        ] {
            assert_eq!(concealed(&[value], text), told);
        }
    }

    #[test]
    fn what_only_looks_alike_stays() {
        let text = "CanarySi ClearInT and nothing else ClearInThe";
        assert_eq!(concealed(&[SIGNATURE], text), text);
        let two = ["eyJhbGciOiJSUzI1NiJ9.first_payload_of_it", "eyJhbGciOiJSUzI1NiJ9.second_payload_of_it"];
        assert_eq!(concealed(&two, "t eyJhbGciOiJSUzI1NiJ9.second_payload_of_it."), "t REDACTED.");
        // Next to each other, and one in the other.
        assert_eq!(concealed(&[SIGNATURE, &SIGNATURE[8..40]], &SIGNATURE.repeat(2)), "REDACTEDREDACTED");
    }

    #[test]
    fn the_list_of_the_process_is_asked() {
        let text = "sig=OfThisTestAlone%252Band%252Fno+other";
        assert!(!are_in(text) && matches!(conceal(text), Cow::Borrowed(_)));
        register("OfThisTestAlone%2Band%2Fno");
        assert!(are_in(text));
        assert_eq!(conceal(text), "sig=REDACTED+other");
        register("short");
        assert!(!are_in("short"));
    }
}
