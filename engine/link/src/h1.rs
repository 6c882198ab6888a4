//! HTTP/1.1 on one kept-open connection, hand-written: RFC 9112, the client's side.
//!
//! hyper's HTTP/1.1 client runs each connection as a task of its own and passes every request and answer through
//! channels; for bodies of 4 KiB that was a sixth of the CPU time of the whole transfer. Here the task that wants the
//! answer writes and reads the socket itself. Bodies are written from where they lie; an answer's headers are only
//! taken apart when somebody asks for more than the few that frame it.

mod framing;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::request;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::body::Payload;
use crate::error::LinkError;
use crate::flow::Cut;
use crate::proxy::Proxy;
use crate::stream::{Activity, Stream};

use framing::{Framing, Taken};
pub(crate) use framing::{Incoming, take_front};

/// Largest head of an answer.
pub(crate) const HEAD_LIMIT_BYTES: usize = 64 << 10;
/// Most headers of an answer, and most trailers.
pub(crate) const HEADERS_LIMIT: usize = 100;
/// Most answers of status 1xx before the real one: a server that sends nothing else would hold the exchange for ever.
pub(crate) const INTERIM_LIMIT: usize = 16;
/// Room for a read: an answer to an upload is a few hundred bytes.
const READ_BYTES: usize = 8 << 10;
/// Pieces handed to the kernel in one call.
const SLICES: usize = 16;

/// How names of headers are to be written on HTTP/1.1, where their case is not to be lost (HTTP/2 has lower case only).
/// An extension of the request.
#[derive(Clone, Debug, Default)]
pub struct Spelling(Arc<[(HeaderName, Box<str>)]>);

impl Spelling {
    /// Each name in the case it is to have; `None` when all are in lower case anyway.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let spelled: Vec<_> = names
            .into_iter()
            .filter(|name| name.bytes().any(|byte| byte.is_ascii_uppercase()))
            .filter_map(|name| Some((HeaderName::from_bytes(name.as_bytes()).ok()?, name.into())))
            .collect();
        (!spelled.is_empty()).then(|| Self(spelled.into()))
    }

    fn of(&self, name: &HeaderName) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, spelled)| &**spelled)
    }
}

/// A connection between two exchanges, or in one.
pub(crate) struct Connection {
    stream: Stream,
    pub(crate) activity: Rc<Activity>,
    /// Read and not yet used.
    input: BytesMut,
    /// The head of the request being sent; kept for its capacity.
    output: Vec<u8>,
    /// The proxy at the other end, which sends requests on and has to be told where to.
    relay: Option<Arc<Proxy>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Fault,
    /// Not one byte of the request was written: another connection may send it.
    pub(crate) unsent: bool,
}

/// What ended an exchange.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The watchdog.
    Cut(Cut),
    /// The connection, or an answer that is not HTTP.
    Broken(String),
}

impl Fault {
    fn io(phase: &str, error: &io::Error) -> Self {
        Fault::Broken(format!("{phase}: {error}"))
    }

    pub(crate) fn explain(self, stall: Duration) -> LinkError {
        match self {
            Fault::Cut(cut) => cut.explain(stall),
            Fault::Broken(text) => LinkError::Broken(text),
        }
    }
}

/// The head of an answer: kept as it came.
#[derive(Clone, Debug)]
pub(crate) struct RawHead {
    pub(crate) status: StatusCode,
    bytes: Bytes,
}

impl RawHead {
    /// The value of the first header of this name (lower case).
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let name = name.as_bytes();
        lines(&self.bytes).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether there is a header of each of these names (lower case).
    pub(crate) fn has_all<const N: usize>(&self, names: [&str; N]) -> bool {
        let mut missing = names.map(Some);
        for (key, _) in lines(&self.bytes) {
            for name in &mut missing {
                if name.is_some_and(|name| key.eq_ignore_ascii_case(name.as_bytes())) {
                    *name = None;
                    if missing.iter().all(Option::is_none) {
                        return true;
                    }
                    break;
                }
            }
        }
        N == 0
    }

    /// All headers; those that are malformed are left out.
    pub(crate) fn to_map(&self) -> HeaderMap {
        lines(&self.bytes)
            .filter_map(|(name, value)| {
                Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
            })
            .collect()
    }
}

/// The header lines of a head that was parsed before.
fn lines(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    // The ends of lines by SIMD: looking byte by byte cost 3,000 instructions each time, and a small file looks twice.
    let ends = memchr::memchr_iter(b'\n', head).chain(std::iter::once(head.len()));
    let mut start = 0;
    let lines = ends.map(move |end| &head[std::mem::replace(&mut start, end + 1)..end]);
    lines.skip(1).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

impl Connection {
    pub(crate) fn new(stream: Stream, activity: Rc<Activity>, relay: Option<Arc<Proxy>>) -> Self {
        Self { stream, activity, input: BytesMut::new(), output: Vec::with_capacity(1024), relay }
    }

    /// Whether the peer has closed an idle connection, or sent what nobody asked for. Costs no system call while
    /// nothing has arrived.
    pub(crate) fn is_dead(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        !self.input.is_empty() || self.poll_fill(&mut cx).is_ready()
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < READ_BYTES / 8 {
            self.input.reserve(READ_BYTES);
        }
        // `read_buf` keeps no state between polls.
        pin!(self.stream.read_buf(&mut self.input)).poll(cx)
    }

    /// Sends a request and reads the head of its answer. An answer that comes before the whole request was sent counts,
    /// and ends the connection afterwards.
    pub(crate) async fn exchange(
        &mut self,
        head: &request::Parts,
        payload: &Payload,
    ) -> Result<(RawHead, Incoming), Failed> {
        self.render(head, payload.len());
        let mut sending = Sending { head: 0, part: 0, offset: 0, done: false, failed: None };
        let mut interim = 0;
        let (raw, whole) = poll_fn(|cx| {
            if let Some(cut) = self.activity.cut_for.get() {
                return Poll::Ready(Err(Fault::Cut(cut)));
            }
            self.poll_send(cx, &mut sending, payload);
            match self.poll_head(cx, &mut interim) {
                Poll::Ready(Ok(raw)) => Poll::Ready(Ok((raw, sending.done))),
                Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
                Poll::Pending => match sending.failed.take_if(|error| !tells_of_a_close(error)) {
                    Some(error) => Poll::Ready(Err(Fault::io("sending the request", &error))),
                    None => {
                        self.activity.watch(cx.waker());
                        Poll::Pending
                    }
                },
            }
        })
        .await
        .map_err(|error| Failed { error, unsent: sending.head == 0 })?;
        if raw.status.is_success() && !whole {
            // Half a body cannot have been stored.
            let error = Fault::Broken("success was answered before the whole request was sent".to_owned());
            return Err(Failed { error, unsent: false });
        }
        let incoming =
            framing::frame(&raw, &head.method, whole).map_err(|error| Failed { error, unsent: false })?;
        Ok((raw, incoming))
    }

    fn render(&mut self, head: &request::Parts, body_len: u64) {
        use std::io::Write;
        let out = &mut self.output;
        out.clear();
        out.extend_from_slice(head.method.as_str().as_bytes());
        out.push(b' ');
        if let (Some(_), Some(authority)) = (&self.relay, head.uri.authority()) {
            write!(out, "http://{authority}").expect("writing to memory works");
        }
        out.extend_from_slice(head.uri.path_and_query().map_or("/", |path| path.as_str()).as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let spelling = head.extensions.get::<Spelling>();
        for (name, value) in &head.headers {
            let name = spelling.and_then(|spelling| spelling.of(name)).unwrap_or(name.as_str());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(login) = self.relay.as_ref().and_then(|proxy| proxy.login.as_ref()) {
            write!(out, "proxy-authorization: {}\r\n", login.basic()).expect("writing to memory works");
        }
        // Servers want to be told that there is nothing (RFC 9110 section 8.6).
        if body_len > 0 || matches!(head.method, Method::PUT | Method::POST) {
            write!(out, "content-length: {body_len}\r\n").expect("writing to memory works");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Writes as much as the socket takes. An error waits in `sending`: the answer may tell more.
    fn poll_send(&mut self, cx: &mut Context<'_>, sending: &mut Sending, payload: &Payload) {
        while !sending.done && sending.failed.is_none() {
            let polled = {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let used = sending.slices(&self.output, payload, &mut slices);
                match used {
                    0 => Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| None),
                    used => Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..used]).map_ok(Some),
                }
            };
            match polled {
                Poll::Pending => return,
                Poll::Ready(Ok(None)) => sending.done = true,
                Poll::Ready(Ok(Some(0))) => sending.failed = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(Some(n))) => sending.advance(n, self.output.len(), payload),
                Poll::Ready(Err(error)) => sending.failed = Some(error),
            }
        }
    }

    /// The head of the real answer; `interim` counts those of status 1xx that come before it.
    fn poll_head(&mut self, cx: &mut Context<'_>, interim: &mut usize) -> Poll<Result<RawHead, Fault>> {
        loop {
            while let Some(raw) = self.take_head()? {
                if !raw.status.is_informational() {
                    return Poll::Ready(Ok(raw));
                }
                *interim += 1;
                if *interim > INTERIM_LIMIT {
                    let text = format!("more than {INTERIM_LIMIT} answers of status 1xx and no other");
                    return Poll::Ready(Err(Fault::Broken(text)));
                }
            }
            match self.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    let what = if self.input.is_empty() {
                        "closed before it answered"
                    } else {
                        "closed in the middle of the answer's head"
                    };
                    return Poll::Ready(Err(Fault::Broken(what.to_owned())));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Fault::io("reading the answer", &error)));
                }
            }
        }
    }

    /// A whole head, if the input holds one.
    fn take_head(&mut self) -> Result<Option<RawHead>, Fault> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
        let mut parsed = httparse::Response::new(&mut headers);
        match parsed.parse(&self.input) {
            Ok(httparse::Status::Complete(len)) => {
                let code = parsed.code.expect("a complete head has a status");
                let status = StatusCode::from_u16(code)
                    .map_err(|_| Fault::Broken(format!("the answer's status is {code}")))?;
                Ok(Some(RawHead { status, bytes: self.input.split_to(len).freeze() }))
            }
            Ok(httparse::Status::Partial) if self.input.len() < HEAD_LIMIT_BYTES => Ok(None),
            Ok(httparse::Status::Partial) => Err(Fault::Broken("the answer's head does not end".to_owned())),
            Err(error) => Err(Fault::Broken(format!("the answer is not HTTP: {error}"))),
        }
    }

    /// The next piece of a body; `None` at its end.
    pub(crate) async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
        loop {
            match body.take(&mut self.input)? {
                Taken::Piece(piece) => return Ok(Some(piece)),
                Taken::End => return Ok(None),
                Taken::More => {}
            }
            let filled = poll_fn(|cx| {
                if let Some(cut) = self.activity.cut_for.get() {
                    return Poll::Ready(Err(Fault::Cut(cut)));
                }
                let polled = self.poll_fill(cx);
                if polled.is_pending() {
                    self.activity.watch(cx.waker());
                }
                polled.map_err(|error| Fault::io("reading the answer", &error))
            })
            .await?;
            if filled == 0 {
                if body.framing == Framing::UntilClose {
                    return Ok(None);
                }
                return Err(Fault::Broken("closed in the middle of the answer".to_owned()));
            }
        }
    }

    /// The next bytes of a body, straight into `out` where they have not been read yet; 0 at the body's end. Only for
    /// bodies whose length the head tells.
    async fn read_plain(&mut self, left: &mut u64, out: &mut [u8]) -> Result<usize, Fault> {
        let most = (*left).min(out.len() as u64) as usize;
        if most == 0 {
            return Ok(0);
        }
        let out = &mut out[..most];
        let got = if self.input.is_empty() {
            let mut buffer = ReadBuf::new(out);
            poll_fn(|cx| {
                if let Some(cut) = self.activity.cut_for.get() {
                    return Poll::Ready(Err(Fault::Cut(cut)));
                }
                let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
                if polled.is_pending() {
                    self.activity.watch(cx.waker());
                }
                polled.map_err(|error| Fault::io("reading the answer", &error))
            })
            .await?;
            buffer.filled().len()
        } else {
            let got = most.min(self.input.len());
            self.input.split_to(got).copy_to_slice(&mut out[..got]);
            got
        };
        if got == 0 {
            return Err(Fault::Broken("closed in the middle of the answer".to_owned()));
        }
        *left -= got as u64;
        Ok(got)
    }

    /// The next bytes of a body into `out`, at least one unless it has ended.
    pub(crate) async fn read(&mut self, body: &mut Incoming, out: &mut [u8]) -> Result<usize, Fault> {
        if let Framing::Length(left) = &mut body.framing {
            return self.read_plain(left, out).await;
        }
        if body.rest.is_empty() {
            match self.next(body).await? {
                Some(piece) => body.rest = piece,
                None => return Ok(0),
            }
        }
        Ok(take_front(&mut body.rest, out))
    }

    /// Whether the connection is good for another exchange, after `body` was read to its end.
    pub(crate) fn is_reusable(&self, body: &Incoming) -> bool {
        body.keep && self.input.is_empty()
    }
}

/// Whether sending failed because the peer has closed. It may have answered before; that the answer can be read, the
/// runtime hears a moment later than the sender hears of the end. Reading comes to that end too, whatever it is.
fn tells_of_a_close(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// What has been sent.
struct Sending {
    head: usize,
    part: usize,
    offset: usize,
    /// All of it, flushed.
    done: bool,
    failed: Option<io::Error>,
}

impl Sending {
    /// What is left, as far as it fits; returns the number of slices.
    fn slices<'a>(&self, head: &'a [u8], payload: &'a Payload, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut used = 0;
        if self.head < head.len() {
            slices[0] = IoSlice::new(&head[self.head..]);
            used = 1;
        }
        let mut offset = self.offset;
        for part in payload.parts().iter().skip(self.part) {
            if used == SLICES {
                break;
            }
            if offset < part.len() {
                slices[used] = IoSlice::new(&part[offset..]);
                used += 1;
            }
            offset = 0;
        }
        used
    }

    fn advance(&mut self, mut written: usize, head_len: usize, payload: &Payload) {
        let of_head = written.min(head_len - self.head);
        self.head += of_head;
        written -= of_head;
        while written > 0 {
            let left = payload.parts()[self.part].len() - self.offset;
            if written < left {
                self.offset += written;
                return;
            }
            written -= left;
            self.part += 1;
            self.offset = 0;
        }
    }
}

#[cfg(test)]
mod tests;
