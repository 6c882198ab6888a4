//! An answer on its way: its head, its body piece by piece, and the link's way back to the pool.

use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::body::Progress;
use crate::error::LinkError;
use crate::h1::{self, Connection, RawHead};
use crate::links::{Inner, Timing, explain};
use crate::stream::{Activity, Seconds};

/// Counts an exchange on its link from `begin` until it is dropped.
pub(crate) struct InFlight {
    activity: Rc<Activity>,
}

impl InFlight {
    pub(crate) fn begin(activity: &Rc<Activity>, clock: &Seconds) -> Self {
        activity.in_flight.set(activity.in_flight.get() + 1);
        activity.last_s.set(clock.get());
        activity.flow.begin();
        Self { activity: Rc::clone(activity) }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.in_flight.set(self.activity.in_flight.get() - 1);
    }
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    Raw(RawHead),
    Parsed(StatusCode, HeaderMap),
}

impl Head {
    fn to_map(&self) -> HeaderMap {
        match self {
            Head::Raw(raw) => raw.to_map(),
            Head::Parsed(_, headers) => headers.clone(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Head::Raw(raw) => raw.status,
            Head::Parsed(status, _) => *status,
        }
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        match self {
            Head::Raw(raw) => raw.get(name),
            Head::Parsed(_, headers) => headers.get(name).map(HeaderValue::as_bytes),
        }
    }

    fn has_all<const N: usize>(&self, names: [&str; N]) -> bool {
        match self {
            Head::Raw(raw) => raw.has_all(names),
            Head::Parsed(_, headers) => names.iter().all(|name| headers.contains_key(*name)),
        }
    }
}

/// Where the body of an answer comes from.
pub(crate) enum From {
    One { link: Box<Connection>, body: h1::Incoming, home: Weak<Inner> },
    Two { body: Incoming, progress: Progress, rest: Bytes },
    Read,
}

/// An answer whose body has not been read yet. Dropping it unread closes an HTTP/1.1 link.
pub struct Reply {
    pub(crate) head: Head,
    pub(crate) from: From,
    pub(crate) _busy: InFlight,
    pub(crate) timing: Timing,
    pub(crate) stall: Duration,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    head: Head,
    /// All bytes of the body; empty if there was none.
    pub body: Bytes,
}

impl Answer {
    /// The HTTP status, whatever it is: an error status is an answer too.
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
    }

    /// A copy of all headers. For one header use [`header`](Self::header), which copies nothing.
    pub fn headers(&self) -> HeaderMap {
        self.head.to_map()
    }
}

impl Reply {
    /// The HTTP status, whatever it is: an error status is an answer too.
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
    }

    /// A copy of all headers. For one header use [`header`](Self::header), which copies nothing.
    pub fn headers(&self) -> HeaderMap {
        self.head.to_map()
    }

    /// Whether there is a header of each of these names, which are given in lower case. Looks through the head once.
    pub fn has_all<const N: usize>(&self, names: [&str; N]) -> bool {
        self.head.has_all(names)
    }

    /// Whether the end of the body is told, by a length or by chunks; otherwise it ends with the connection, and nobody
    /// knows whether all of it came (RFC 9112 section 8).
    pub fn tells_its_end(&self) -> bool {
        !matches!(&self.from, From::One { body, .. } if body.ends_with_the_connection())
    }

    /// How long the exchange took.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// The next piece of the body; `None` at its end, when the link goes back to the pool.
    ///
    /// # Errors
    /// [`LinkError`]: broken, cut off before its end, or stalled.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LinkError> {
        match &mut self.from {
            From::Read => Ok(None),
            From::One { link, body, .. } => match link.next(body).await {
                Ok(Some(piece)) => Ok(Some(piece)),
                Ok(None) => {
                    self.go_home();
                    Ok(None)
                }
                Err(fault) => Err(fault.explain(self.stall)),
            },
            From::Two { rest, .. } if !rest.is_empty() => Ok(Some(std::mem::take(rest))),
            From::Two { body, progress, .. } => loop {
                progress.waits();
                let frame = tokio::select! {
                    biased;
                    frame = body.frame() => frame,
                    cut = progress.stalled() => return Err(cut.explain(self.stall)),
                };
                match frame {
                    Some(Ok(frame)) => {
                        let data = frame.into_data().unwrap_or_default();
                        progress.moved(data.len());
                        if !data.is_empty() {
                            return Ok(Some(data));
                        }
                    }
                    Some(Err(error)) => return Err(explain(&error, &progress.link, self.stall)),
                    None => {
                        self.from = From::Read;
                        return Ok(None);
                    }
                }
            },
        }
    }

    /// The next bytes of the body into `out`, at least one; 0 at its end, when the link goes back to the pool. From an
    /// HTTP/1.1 link they come without a copy in between.
    ///
    /// # Errors
    /// As [`Reply::next`].
    pub async fn read(&mut self, out: &mut [u8]) -> Result<usize, LinkError> {
        if let From::One { link, body, .. } = &mut self.from {
            let got = link.read(body, out).await.map_err(|fault| fault.explain(self.stall))?;
            if got == 0 || body.is_empty() {
                self.go_home();
            }
            return Ok(got);
        }
        let Some(mut piece) = self.next().await? else { return Ok(0) };
        let got = h1::take_front(&mut piece, out);
        if let From::Two { rest, .. } = &mut self.from {
            *rest = piece;
        }
        Ok(got)
    }

    /// The whole body, which may have at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Reply::next`], and [`LinkError::TooLarge`].
    pub async fn collect(mut self, limit: usize) -> Result<Answer, LinkError> {
        if matches!(&self.from, From::One { body, .. } if body.is_empty()) {
            self.go_home();
            return Ok(Answer { head: self.head, body: Bytes::new() });
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > limit {
                return Err(LinkError::TooLarge { limit });
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Answer { head: self.head, body: whole.freeze() })
    }

    /// The body as far as it comes and up to `limit` bytes; the rest, and the link, are given up.
    pub async fn collect_up_to(mut self, limit: usize) -> Answer {
        let mut whole = BytesMut::new();
        while whole.len() < limit
            && let Ok(Some(piece)) = self.next().await
        {
            whole.extend_from_slice(&piece[..piece.len().min(limit - whole.len())]);
        }
        Answer { head: self.head, body: whole.freeze() }
    }

    /// The body was read to its end: the link may serve another exchange.
    fn go_home(&mut self) {
        if let From::One { link, body, home } = std::mem::replace(&mut self.from, From::Read)
            && let Some(pool) = home.upgrade()
            && link.is_reusable(&body)
        {
            pool.idle.borrow_mut().push(link);
        }
    }
}

#[cfg(test)]
mod tests;
