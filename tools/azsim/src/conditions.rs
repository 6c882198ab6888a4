//! Conditional headers, judged against a blob or its absence.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations>

use http::request::Parts;

use crate::error::{BLOB_ALREADY_EXISTS, CONDITION_NOT_MET, INVALID_HEADER_VALUE, NOT_MODIFIED, Result};
use crate::headers::nonempty;
use crate::store::etag;
use crate::time::{self, SECOND};

/// The four conditions of a request; dates are whole seconds, in ticks.
#[derive(Debug, Default)]
pub(crate) struct Conditions<'p> {
    if_match: Option<&'p str>,
    if_none_match: Option<&'p str>,
    if_modified_since: Option<u64>,
    if_unmodified_since: Option<u64>,
}

impl<'p> Conditions<'p> {
    pub(crate) fn read(parts: &'p Parts) -> Result<Conditions<'p>> {
        let date = |name: &str| match nonempty(parts, name) {
            None => Ok(None),
            Some(text) => {
                time::parse_http_date(text).map(Some).ok_or_else(|| INVALID_HEADER_VALUE.header(name, text))
            }
        };
        Ok(Conditions {
            if_match: nonempty(parts, "if-match"),
            if_none_match: nonempty(parts, "if-none-match"),
            if_modified_since: date("if-modified-since")?,
            if_unmodified_since: date("if-unmodified-since")?,
        })
    }

    /// Judges a read of an existing blob, by the ticks of its last modification.
    pub(crate) fn check_read(&self, modified: u64) -> Result<()> {
        self.check_positive(Some(modified))?;
        let unchanged = self.if_none_match.is_some_and(|tags| matches(tags, modified));
        let not_since = self.if_modified_since.is_some_and(|since| whole_seconds(modified) <= since);
        // An ETag decides over a date.
        if unchanged || (self.if_none_match.is_none() && not_since) {
            return Err(NOT_MODIFIED.into());
        }
        Ok(())
    }

    /// Judges a write over the blob that is there, if one is.
    pub(crate) fn check_write(&self, modified: Option<u64>) -> Result<()> {
        if self.if_none_match == Some("*") && modified.is_some() {
            return Err(BLOB_ALREADY_EXISTS.into());
        }
        self.check_change(modified)
    }

    /// Judges a change of something that exists (Delete).
    pub(crate) fn check_change(&self, modified: Option<u64>) -> Result<()> {
        self.check_positive(modified)?;
        let Some(modified) = modified else { return Ok(()) };
        if self.if_none_match.is_some_and(|tags| matches(tags, modified))
            || self.if_modified_since.is_some_and(|since| whole_seconds(modified) <= since)
        {
            return Err(CONDITION_NOT_MET.into());
        }
        Ok(())
    }

    /// The conditions that fail with 412 for every kind of request.
    fn check_positive(&self, modified: Option<u64>) -> Result<()> {
        let matched = self.if_match.is_none_or(|tags| modified.is_some_and(|m| matches(tags, m)));
        let unmodified =
            self.if_unmodified_since.is_none_or(|since| modified.is_none_or(|m| whole_seconds(m) <= since));
        if matched && unmodified { Ok(()) } else { Err(CONDITION_NOT_MET.into()) }
    }
}

fn whole_seconds(ticks: u64) -> u64 {
    ticks / SECOND * SECOND
}

/// Whether a list of ETags names this one; quotes are optional, as with the service.
fn matches(tags: &str, modified: u64) -> bool {
    if tags == "*" {
        return true;
    }
    let own = etag(modified);
    let bare = own.trim_matches('"');
    tags.split(',').any(|tag| tag.trim().trim_matches('"') == bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(headers: &[(&str, &str)], modified: Option<u64>) -> (u16, u16, u16) {
        let mut builder = http::Request::builder();
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let parts = builder.body(()).unwrap().into_parts().0;
        let c = Conditions::read(&parts).unwrap();
        let status = |r: Result<()>| r.map_or_else(|e| e.status, |()| 200);
        (
            modified.map_or(404, |m| status(c.check_read(m))),
            status(c.check_write(modified)),
            status(c.check_change(modified)),
        )
    }

    #[test]
    fn conditions_are_judged_for_read_write_and_delete() {
        let t = time::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap() + 5;
        let tag = etag(t);
        let (before, same, after) = (
            "Sun, 06 Nov 1994 08:49:36 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:38 GMT",
        );
        for (header, value, expected) in [
            ("if-match", &*tag, (200, 200, 200)),
            ("if-match", "\"0x1\"", (412, 412, 412)),
            ("if-match", "*", (200, 200, 200)),
            ("if-none-match", &tag, (304, 412, 412)),
            ("if-none-match", "\"0x1\"", (200, 200, 200)),
            ("if-none-match", "*", (304, 409, 412)),
            ("if-modified-since", before, (200, 200, 200)),
            ("if-modified-since", same, (304, 412, 412)),
            ("if-unmodified-since", before, (412, 412, 412)),
            ("if-unmodified-since", same, (200, 200, 200)),
            ("if-unmodified-since", after, (200, 200, 200)),
        ] {
            assert_eq!(judge(&[(header, value)], Some(t)), expected, "{header}: {value}");
        }
        assert_eq!(judge(&[("if-match", "*")], None).1, 412);
        assert_eq!(judge(&[("if-none-match", "*")], None).1, 200);
    }

    #[test]
    fn a_date_that_is_none_is_refused() {
        let parts =
            http::Request::builder().header("if-modified-since", "soon").body(()).unwrap().into_parts().0;
        assert_eq!(Conditions::read(&parts).unwrap_err().code, "InvalidHeaderValue");
    }
}
