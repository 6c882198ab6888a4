//! What is shown of the copy that made a blob.

use http::{HeaderName, HeaderValue};

use crate::answer::Answer;
use crate::{time, xml};

/// How far a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Success,
    Aborted,
    /// With the reason.
    Failed(Box<str>),
}

impl Status {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Success => "success",
            Status::Aborted => "aborted",
            Status::Failed(_) => "failed",
        }
    }
}

/// What is shown of the copy that made a blob, until somebody else writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) id: Box<str>,
    /// The URL of the source without its credential.
    pub(crate) source: Box<str>,
    pub(crate) status: Status,
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// When it ended, in ticks; 0: it has not.
    pub(crate) ended: u64,
}

impl Copied {
    pub(crate) fn end(&mut self, status: Status, tick: u64) {
        (self.status, self.ended) = (status, tick);
    }

    /// What it is called in headers and in listings, and what it is.
    fn facts(&self) -> impl Iterator<Item = (&'static str, &'static str, String)> {
        let ended = (self.ended != 0).then(|| time::http_date(self.ended));
        let why = if let Status::Failed(why) = &self.status { Some(why.to_string()) } else { None };
        let progress = format!("{}/{}", self.done, self.total);
        [
            ("x-ms-copy-id", "CopyId", Some(self.id.to_string())),
            ("x-ms-copy-source", "CopySource", Some(self.source.to_string())),
            ("x-ms-copy-status", "CopyStatus", Some(self.status.name().to_owned())),
            ("x-ms-copy-progress", "CopyProgress", Some(progress)),
            ("x-ms-copy-completion-time", "CopyCompletionTime", ended),
            ("x-ms-copy-status-description", "CopyStatusDescription", why),
        ]
        .into_iter()
        .filter_map(|(header, element, value)| Some((header, element, value?)))
    }

    /// The headers of a read.
    pub(crate) fn write(&self, answer: &mut Answer) {
        for (name, _, value) in self.facts() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
    }

    /// The elements of a listing.
    pub(crate) fn list(&self, out: &mut String) {
        for (_, name, value) in self.facts() {
            xml::element(out, name, &value);
        }
    }
}
