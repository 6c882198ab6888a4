//! What a store answers when it says no.
//!
//! An error has two halves. [`ErrorKind`] is what *any* store can answer: movers decide by it and by nothing else.
//! [`Said`] is what *this* store said, in its own words: people read it, and who knows the store may look at its code.
//!
//! A new kind is added only when a mover does something else for it. Otherwise the words are enough.

use std::time::Duration;

/// What a failed request means for the work it was part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again after a pause.
    Retry,
    /// Try again after a pause, and do less at a time: the service is at its limit.
    Throttle,
    /// This object cannot be transferred; others can.
    Skip,
    /// The same would happen to every object of the job, unless some have already succeeded.
    Fatal,
}

/// What any store can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such object, or not this state of it.
    NotFound,
    /// There is no such container, share or bucket.
    NoBucket,
    /// The object was to be new, and is there.
    Exists,
    /// The object is not in the state that the request named.
    Changed,
    /// A range begins behind the object's end.
    BehindEnd,
    /// Somebody else holds the object, or its state does not allow this.
    Conflict,
    /// The credential was refused.
    Unauthenticated,
    /// The credential may not do this.
    Denied,
    /// The store is at its limit: less at a time.
    Throttled,
    /// The store fails for the moment.
    Unavailable,
    /// There is no host of this name.
    NoHost,
    /// It was not reached.
    Unreachable,
    /// The connection broke, or no usable answer came.
    Broken,
    /// Nothing came for too long.
    Stalled,
    /// Bytes arrived other than they were sent.
    Integrity,
    /// It does not take this name.
    Name,
    /// It does not take this much, or this many.
    Limit,
    /// It cannot do this at all.
    Unsupported,
    /// Who answered is not the store.
    NotTheStore,
    /// Something else, of this object alone.
    Other,
}

impl ErrorKind {
    /// What it means for the work, unless the store knows better ([`StoreError::of_class`]).
    pub fn class(self) -> Class {
        match self {
            Self::Throttled => Class::Throttle,
            Self::Unavailable
            | Self::NoHost
            | Self::Unreachable
            | Self::Broken
            | Self::Stalled
            | Self::Integrity => Class::Retry,
            Self::NoBucket | Self::Unauthenticated | Self::NotTheStore => Class::Fatal,
            Self::NotFound
            | Self::Exists
            | Self::Changed
            | Self::BehindEnd
            | Self::Conflict
            | Self::Denied
            | Self::Name
            | Self::Limit
            | Self::Unsupported
            | Self::Other => Class::Skip,
        }
    }

    /// Whether a request that failed so may have been carried out all the same: its answer was lost, or nothing is
    /// known of it.
    fn leaves_open(self) -> bool {
        matches!(self, Self::Unavailable | Self::Broken | Self::Stalled | Self::NotTheStore)
    }
}

azuring_plan::growing! {
    /// What this store said.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct Said {
        /// The status of an HTTP answer.
        pub status: Option<u16>,
        /// The store's error code, such as `ServerBusy`; empty if there was none.
        pub code: String,
        /// The first line of its message.
        pub message: Option<String>,
        /// Whether it was the store that answered, and not something in between or in its place.
        pub of_store: bool,
        /// The id of the request on the server; a support case needs it.
        pub request_id: Option<String>,
    }
}

/// Why a request to a store was not carried out. `Display` is its reason: one line, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StoreError {
    kind: ErrorKind,
    class: Class,
    maybe_done: bool,
    reason: String,
    advice: Option<String>,
    said: Option<Box<Said>>,
    retry_after: Option<Duration>,
}

impl StoreError {
    /// An error of this kind. `reason` is read by people: what happened, in one line.
    pub fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            class: kind.class(),
            maybe_done: kind.leaves_open(),
            reason: reason.into(),
            advice: None,
            said: None,
            retry_after: None,
        }
    }

    /// What a person can do about it.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds the store's own words: status, code, message, request id.
    pub fn said(mut self, said: Said) -> Self {
        self.said = Some(Box::new(said));
        self
    }

    /// Replaces the class that follows from the kind.
    pub fn of_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Another kind, what it means for the work staying as it is.
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// Whether the request may have been carried out all the same.
    pub fn leaving_open(mut self, maybe_done: bool) -> Self {
        self.maybe_done = maybe_done;
        self
    }

    /// The store asks to wait this long.
    pub fn after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    /// What any store could have answered.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What it means for the work.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Whether the request may have been carried out all the same.
    pub fn maybe_done(&self) -> bool {
        self.maybe_done
    }

    /// What a person can do about it.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// What this store said, if it was the store that refused.
    pub fn words(&self) -> Option<&Said> {
        self.said.as_deref()
    }

    /// How long the store asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_decides_unless_the_store_knows_better() {
        let busy = StoreError::new(ErrorKind::Throttled, "busy").after(Some(Duration::from_secs(3)));
        assert_eq!((busy.class(), busy.maybe_done()), (Class::Throttle, false));
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(3)));
        let lost = StoreError::new(ErrorKind::Broken, "reset");
        assert_eq!((lost.class(), lost.maybe_done()), (Class::Retry, true));
        let never =
            StoreError::new(ErrorKind::Unavailable, "gone").of_class(Class::Fatal).leaving_open(false);
        assert_eq!((never.class(), never.maybe_done()), (Class::Fatal, false));
        let said = Said { status: Some(404), code: "NoSuchKey".to_owned(), ..Said::default() };
        let missing = StoreError::new(ErrorKind::NotFound, "no such key").said(said.clone()).advise("look");
        assert_eq!((missing.words(), missing.advice()), (Some(&said), Some("look")));
        assert_eq!(missing.to_string(), "no such key");
    }
}
