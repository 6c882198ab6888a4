//! Values of a spec that JSON has no form for.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SpecError;

/// Bytes that most of the time are text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Word {
    Text(String),
    Bytes { hex: String },
}

impl Word {
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { hex: hex(bytes) },
        }
    }

    pub(super) fn of_path(path: &Path) -> Self {
        Self::of_bytes(OsStr::as_bytes(path.as_os_str()))
    }

    pub(super) fn bytes(&self) -> Result<Vec<u8>, SpecError> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Bytes { hex } => {
                unhex(hex).ok_or_else(|| SpecError::Value { what: "a name", value: hex.clone() })
            }
        }
    }

    pub(super) fn path(&self) -> Result<PathBuf, SpecError> {
        self.bytes().map(|bytes| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

pub(super) fn word<T: PartialEq>(words: &[(T, &'static str)], value: &T) -> String {
    let found = words.iter().find(|(known, _)| known == value);
    found.expect("every value has a word").1.to_owned()
}

pub(super) fn value<T: Copy>(
    words: &[(T, &'static str)],
    what: &'static str,
    word: &str,
) -> Result<T, SpecError> {
    let found = words.iter().find(|(_, known)| *known == word);
    found.map(|(value, _)| *value).ok_or_else(|| SpecError::Value { what, value: word.to_owned() })
}

/// The same of what need not be there.
pub(super) fn optional<T: Copy>(
    words: &[(T, &'static str)],
    what: &'static str,
    word: Option<&String>,
) -> Result<Option<T>, SpecError> {
    word.map(|word| value(words, what, word)).transpose()
}
