//! The name of a job.

use std::fmt;
use std::str::FromStr;

use crate::error::JournalError;

/// Sixteen bytes that no other job has. Written as a UUID: `01234567-89ab-cdef-0123-456789abcdef`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 16]);

impl JobId {
    /// The id of these bytes, which the caller has drawn at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the UUID.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether the id begins so. Hyphens and the case of letters do not matter; nothing begins with nothing.
    #[must_use]
    pub fn begins_with(&self, prefix: &str) -> bool {
        let digits: String = prefix.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        !digits.is_empty() && self.digits().starts_with(&digits)
    }

    fn digits(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
        write!(f, "{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for JobId {
    type Err = JournalError;

    /// Only the form that `Display` writes, in either case.
    fn from_str(text: &str) -> Result<Self, JournalError> {
        let none = || JournalError::NoSuchJob(text.to_owned());
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let id = u128::from_str_radix(&digits, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| none())?;
        // What is not exactly so written (a sign, a missing digit or hyphen) is no id.
        if id.to_string().eq_ignore_ascii_case(text) { Ok(id) } else { Err(none()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_in_no_other_form() {
        let text = "01234567-89ab-cdef-0123-456789abcdef";
        let id: JobId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(text.to_uppercase().parse::<JobId>().unwrap(), id);
        for bad in
            ["", "01234567", "0123456789abcdef0123456789abcdef", "+1234567-89ab-cdef-0123-456789abcdef"]
        {
            assert_eq!(bad.parse::<JobId>(), Err(JournalError::NoSuchJob(bad.to_owned())));
        }
    }

    #[test]
    fn an_id_begins_with_its_first_digits() {
        let id: JobId = "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap();
        assert!(id.begins_with("0"));
        assert!(id.begins_with("01234567-89"));
        assert!(id.begins_with("0123456789AB"));
        assert!(id.begins_with("01234567-89ab-cdef-0123-456789abcdef"));
        for other in ["", "-", "1", "01234567-8a", "01234567-89ab-cdef-0123-456789abcdef0"] {
            assert!(!id.begins_with(other), "{other}");
        }
    }
}
