//! Conditional headers, judged against a blob or its absence.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations>

use http::request::Parts;

use crate::error::{
    BLOB_ALREADY_EXISTS, CONDITION_HEADERS_NOT_SUPPORTED, CONDITION_NOT_MET, INVALID_HEADER_VALUE,
    MULTIPLE_CONDITION_HEADERS, NOT_MODIFIED, Result,
};
use crate::headers::nonempty;
use crate::route::Operation;
use crate::store::{Blob, etag};
use crate::tags::{self, Expression, Tags};
use crate::time::{self, SECOND};

const IF_TAGS: &str = "x-ms-if-tags";
const TIER_SINCE: &str = "x-ms-access-tier-if-modified-since";
const TIER_NOT_SINCE: &str = "x-ms-access-tier-if-unmodified-since";

/// The conditions of a request; dates are whole seconds, in ticks.
#[derive(Debug, Default)]
pub(crate) struct Conditions<'p> {
    if_match: Option<&'p str>,
    if_none_match: Option<&'p str>,
    if_modified_since: Option<u64>,
    if_unmodified_since: Option<u64>,
    if_tags: Option<Expression>,
    tier_modified_since: Option<u64>,
    tier_unmodified_since: Option<u64>,
}

/// What conditions are judged by.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'b> {
    /// The last modification, in ticks.
    modified: u64,
    /// The last change of the tier: since the blob is there, if it was never changed.
    tier_changed: u64,
    tags: &'b Tags,
}

impl From<u64> for Subject<'_> {
    /// What has no tags and no tier: a container.
    fn from(modified: u64) -> Self {
        Subject { modified, tier_changed: modified, tags: &[] }
    }
}

impl<'b> From<&'b Blob> for Subject<'b> {
    fn from(blob: &'b Blob) -> Self {
        let tier_changed = match blob.props.rare().tier_changed {
            0 => blob.created,
            changed => changed,
        };
        Subject { modified: blob.modified, tier_changed, tags: &blob.props.tags }
    }
}

/// Refuses conditions by headers of HTTP where an operation knows none, rather than ignoring them.
pub(crate) fn allowed(parts: &Parts, operation: Operation) -> Result<()> {
    use Operation as O;
    let has = |name: &str| parts.headers.contains_key(name);
    // Documented as operations without conditional headers.
    if matches!(operation, O::PutBlock | O::PutBlockFromUrl | O::ListBlobs | O::ListContainers)
        && ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"].into_iter().any(has)
    {
        return Err(CONDITION_HEADERS_NOT_SUPPORTED.into());
    }
    Ok(())
}

impl<'p> Conditions<'p> {
    pub(crate) fn read(parts: &'p Parts) -> Result<Conditions<'p>> {
        let date = |name: &str| match nonempty(parts, name) {
            None => Ok(None),
            Some(text) => {
                time::parse_http_date(text).map(Some).ok_or_else(|| INVALID_HEADER_VALUE.header(name, text))
            }
        };
        let (tier_modified_since, tier_unmodified_since) = (date(TIER_SINCE)?, date(TIER_NOT_SINCE)?);
        if tier_modified_since.is_some() && tier_unmodified_since.is_some() {
            return Err(MULTIPLE_CONDITION_HEADERS.into());
        }
        let if_tags = match nonempty(parts, IF_TAGS) {
            None => None,
            Some(text) => {
                let expression = Expression::condition(text);
                Some(expression.ok_or_else(|| INVALID_HEADER_VALUE.header(IF_TAGS, text))?)
            }
        };
        Ok(Conditions {
            if_tags,
            tier_modified_since,
            tier_unmodified_since,
            if_match: nonempty(parts, "if-match"),
            if_none_match: nonempty(parts, "if-none-match"),
            if_modified_since: date("if-modified-since")?,
            if_unmodified_since: date("if-unmodified-since")?,
        })
    }

    /// Judges a read of what exists.
    pub(crate) fn check_read<'b>(&self, subject: impl Into<Subject<'b>>) -> Result<()> {
        let subject = subject.into();
        self.check_positive(Some(subject))?;
        let modified = subject.modified;
        let unchanged = self.if_none_match.is_some_and(|tags| matches(tags, modified));
        let not_since = self.if_modified_since.is_some_and(|since| whole_seconds(modified) <= since);
        // An ETag decides over a date.
        if unchanged || (self.if_none_match.is_none() && not_since) {
            return Err(NOT_MODIFIED.into());
        }
        Ok(())
    }

    /// Judges a write over the blob that is there, if one is. Who holds its lease may write, whatever `If-None-Match:
    /// *` says: so the service does, and Microsoft's Python client relies on it (azure-storage-net #38).
    pub(crate) fn check_write<'b>(&self, existing: Option<impl Into<Subject<'b>>>, held: bool) -> Result<()> {
        let none = self.if_none_match == Some("*");
        match existing {
            None => self.check_positive(None),
            Some(_) if none && !held => Err(BLOB_ALREADY_EXISTS.into()),
            Some(existing) => self.check_changed(existing.into(), self.if_none_match.filter(|_| !none)),
        }
    }

    /// Judges a change of something that exists (Delete).
    pub(crate) fn check_change<'b>(&self, subject: impl Into<Subject<'b>>) -> Result<()> {
        self.check_changed(subject.into(), self.if_none_match)
    }

    /// The same with another `If-None-Match`.
    fn check_changed(&self, subject: Subject<'_>, if_none_match: Option<&str>) -> Result<()> {
        self.check_positive(Some(subject))?;
        let Subject { modified, tier_changed, .. } = subject;
        let tier = whole_seconds(tier_changed);
        if self.tier_modified_since.is_some_and(|since| tier <= since)
            || self.tier_unmodified_since.is_some_and(|since| tier > since)
        {
            return Err(CONDITION_NOT_MET.into());
        }
        if if_none_match.is_some_and(|tags| matches(tags, modified))
            || self.if_modified_since.is_some_and(|since| whole_seconds(modified) <= since)
        {
            return Err(CONDITION_NOT_MET.into());
        }
        Ok(())
    }

    /// The conditions that fail with 412 for every kind of request.
    fn check_positive(&self, subject: Option<Subject<'_>>) -> Result<()> {
        tags::check(self.if_tags.as_ref(), subject.map_or(&[], |s| s.tags))?;
        let modified = subject.map(|s| s.modified);
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
            status(c.check_write(modified, false)),
            modified.map_or(404, |m| status(c.check_change(m))),
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

    #[test]
    fn conditions_that_an_operation_does_not_know_are_refused() {
        let code = |name: &str, operation| {
            let parts = http::Request::builder().header(name, "x").body(()).unwrap().into_parts().0;
            allowed(&parts, operation).map_or_else(|e| e.code.to_string(), |()| String::new())
        };
        assert_eq!(code("if-match", Operation::PutBlock), "ConditionHeadersNotSupported");
        assert_eq!(code("if-match", Operation::PutBlockList), "");
    }
}
