//! HTTP/1.1 on one kept-open connection, hand-written: RFC 9112, the client's side.
//!
//! hyper's HTTP/1.1 client runs each connection as a task of its own and passes every request and answer through channels;
//! for bodies of 4 KiB that was a sixth of the CPU time of the whole transfer. Here the task that wants the answer writes
//! and reads the socket itself. Bodies are written from where they lie; an answer's headers are only taken apart when
//! somebody asks for more than the few that frame it.

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
use crate::stream::{Activity, Stream};

/// Largest head of an answer.
const HEAD_LIMIT_BYTES: usize = 64 << 10;
/// Most headers of an answer.
const HEADERS_LIMIT: usize = 100;
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
    Cut,
    /// The connection, or an answer that is not HTTP.
    Broken(String),
}

impl Fault {
    fn io(phase: &str, error: &io::Error) -> Self {
        Fault::Broken(format!("{phase}: {error}"))
    }

    pub(crate) fn explain(self, stall: Duration) -> LinkError {
        match self {
            Fault::Cut => LinkError::Stalled(stall),
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
    head.split(|&b| b == b'\n').skip(1).filter_map(|line| {
        let colon = line.iter().position(|&b| b == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// How the end of a body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunk { left: u64, state: Chunk },
    UntilClose,
}

/// Where in a chunked body the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size,
    Data,
    AfterData,
    Trailer,
}

/// The body of an answer under way.
#[derive(Debug)]
pub(crate) struct Incoming {
    framing: Framing,
    /// Whether the connection can be used again after this body.
    keep: bool,
    /// Taken out of a chunk and not yet handed over.
    rest: Bytes,
}

impl Incoming {
    pub(crate) fn is_empty(&self) -> bool {
        self.framing == Framing::Length(0)
    }
}

impl Connection {
    pub(crate) fn new(stream: Stream, activity: Rc<Activity>) -> Self {
        Self { stream, activity, input: BytesMut::new(), output: Vec::with_capacity(1024) }
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
        let (raw, whole) = poll_fn(|cx| {
            if self.activity.stalled.get() {
                return Poll::Ready(Err(Fault::Cut));
            }
            self.poll_send(cx, &mut sending, payload);
            match self.poll_head(cx) {
                Poll::Ready(Ok(raw)) => Poll::Ready(Ok((raw, sending.done))),
                Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
                Poll::Pending => match sending.failed.take() {
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
        let incoming = frame(&raw, &head.method, whole).map_err(|error| Failed { error, unsent: false })?;
        Ok((raw, incoming))
    }

    fn render(&mut self, head: &request::Parts, body_len: u64) {
        use std::io::Write;
        let out = &mut self.output;
        out.clear();
        out.extend_from_slice(head.method.as_str().as_bytes());
        out.push(b' ');
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

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawHead, Fault>> {
        loop {
            while let Some(raw) = self.take_head()? {
                // 1xx answers come before the real one.
                if !raw.status.is_informational() {
                    return Poll::Ready(Ok(raw));
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
                if self.activity.stalled.get() {
                    return Poll::Ready(Err(Fault::Cut));
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
                if self.activity.stalled.get() {
                    return Poll::Ready(Err(Fault::Cut));
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

/// Decides how the body ends and whether the connection can be kept.
fn frame(head: &RawHead, method: &Method, request_sent: bool) -> Result<Incoming, Fault> {
    let has = |value: &[u8], token: &[u8]| {
        value.split(|&b| b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
    };
    let mut keep = request_sent && head.bytes.starts_with(b"HTTP/1.1");
    let (mut chunked, mut length) = (false, None);
    for (name, value) in lines(&head.bytes) {
        // The lengths tell most names apart without a comparison.
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => keep &= !has(value, b"close"),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let text = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                length =
                    Some(text.ok_or_else(|| Fault::Broken("the answer's length is no number".to_owned()))?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => chunked = has(value, b"chunked"),
            _ => {}
        }
    }
    let bodyless = *method == Method::HEAD || matches!(head.status.as_u16(), 204 | 304);
    let framing = match length {
        _ if bodyless => Framing::Length(0),
        _ if chunked => Framing::Chunk { left: 0, state: Chunk::Size },
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    };
    Ok(Incoming { framing, keep: keep && framing != Framing::UntilClose, rest: Bytes::new() })
}

enum Taken {
    Piece(Bytes),
    End,
    More,
}

impl Incoming {
    /// Takes the next piece out of what was read.
    fn take(&mut self, input: &mut BytesMut) -> Result<Taken, Fault> {
        match &mut self.framing {
            Framing::Length(0) => Ok(Taken::End),
            Framing::Length(left) => Ok(take_piece(left, input)),
            Framing::UntilClose if input.is_empty() => Ok(Taken::More),
            Framing::UntilClose => Ok(Taken::Piece(input.split().freeze())),
            Framing::Chunk { left, state } => loop {
                match state {
                    Chunk::Data => {
                        if *left > 0 {
                            return Ok(take_piece(left, input));
                        }
                        *state = Chunk::AfterData;
                    }
                    Chunk::Size | Chunk::AfterData | Chunk::Trailer => {
                        let Some(line) = take_line(input)? else { return Ok(Taken::More) };
                        match state {
                            Chunk::AfterData if line.is_empty() => *state = Chunk::Size,
                            Chunk::AfterData => {
                                return Err(Fault::Broken("a chunk of the answer is too long".to_owned()));
                            }
                            Chunk::Trailer if line.is_empty() => {
                                self.framing = Framing::Length(0);
                                return Ok(Taken::End);
                            }
                            Chunk::Trailer => {}
                            Chunk::Size | Chunk::Data => {
                                *left = chunk_size(&line)?;
                                *state = if *left == 0 { Chunk::Trailer } else { Chunk::Data };
                            }
                        }
                    }
                }
            },
        }
    }
}

/// Moves what fits from the front of `rest` into `out`.
pub(crate) fn take_front(rest: &mut Bytes, out: &mut [u8]) -> usize {
    let len = rest.len().min(out.len());
    rest.split_to(len).copy_to_slice(&mut out[..len]);
    len
}

fn take_piece(left: &mut u64, input: &mut BytesMut) -> Taken {
    if input.is_empty() {
        return Taken::More;
    }
    let len = (*left).min(input.len() as u64) as usize;
    *left -= len as u64;
    Taken::Piece(input.split_to(len).freeze())
}

/// A line without its end, if there is a whole one.
fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, Fault> {
    let Some(end) = input.iter().position(|&b| b == b'\n') else {
        if input.len() > HEAD_LIMIT_BYTES {
            return Err(Fault::Broken("a line of the answer does not end".to_owned()));
        }
        return Ok(None);
    };
    let mut line = input.split_to(end);
    input.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    Ok(Some(line))
}

fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Fault::Broken("a chunk of the answer has no size".to_owned()))
}

#[cfg(test)]
mod tests;
