//! One connection's bytes: header case on the way in, faults on the way out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A stream that stands on a TCP socket.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Where an answer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// After so many bytes.
    After(usize),
    /// So many bytes after the end of the headers.
    AfterHeaders(usize),
}

/// What the handler of requests and the stream under hyper tell each other.
#[derive(Default)]
pub(crate) struct ConnState {
    /// The socket is to be reset when it is closed.
    pub(crate) reset: AtomicBool,
    /// The next write is not to pass as it is: one load for the usual answer.
    touched: AtomicBool,
    cut: Mutex<Option<Cut>>,
    /// Metadata names of the next answer, to be spelled like this.
    spelling: Mutex<Vec<Box<str>>>,
    /// Spelling of the metadata headers of the request that is being read (HTTP/1.1; HTTP/2 has lower case only).
    metadata_names: Mutex<Vec<Box<str>>>,
    /// The next bytes read are the head of a request.
    expect_head: AtomicBool,
}

impl ConnState {
    pub(crate) fn new(http1: bool) -> Arc<ConnState> {
        let state = ConnState::default();
        state.expect_head.store(http1, Ordering::Relaxed);
        Arc::new(state)
    }

    /// Cuts off the answer that is written next.
    pub(crate) fn cut_answer(&self, cut: Cut) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
        self.touched.store(true, Ordering::Release);
    }

    /// Spells metadata names of the answer that is written next.
    pub(crate) fn spell_answer(&self, names: Vec<Box<str>>) {
        *self.spelling.lock().unwrap_or_else(PoisonError::into_inner) = names;
        self.touched.store(true, Ordering::Release);
    }

    /// The metadata names of the current request, as spelled by the client.
    pub(crate) fn take_metadata_names(&self) -> Vec<Box<str>> {
        std::mem::take(&mut self.metadata_names.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The request has been read to its end.
    pub(crate) fn request_done(&self) {
        self.expect_head.store(true, Ordering::Relaxed);
    }
}

/// The stream that hyper reads from and writes to.
pub(crate) struct Io<S: Socket> {
    stream: S,
    state: Arc<ConnState>,
    http1: bool,
    /// The head of a request that has not come to its end yet.
    partial_head: Vec<u8>,
}

impl<S: Socket> Io<S> {
    pub(crate) fn new(stream: S, state: Arc<ConnState>, http1: bool) -> Io<S> {
        Io { stream, state, http1, partial_head: Vec::new() }
    }

    /// Looks for metadata headers in the head of a request. hyper gives header names in lower case only.
    fn sniff(&mut self, bytes: &[u8]) {
        // The limit is above what hyper reads of a head; beyond it the case is given up, nothing else.
        if self.partial_head.len() + bytes.len() > 1 << 20 {
            self.partial_head = Vec::new();
            self.state.expect_head.store(false, Ordering::Relaxed);
            return;
        }
        let carried = !self.partial_head.is_empty();
        if carried {
            self.partial_head.extend_from_slice(bytes);
        }
        let head = if carried { &self.partial_head[..] } else { bytes };
        let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
            if !carried {
                self.partial_head.extend_from_slice(bytes);
            }
            return;
        };
        let names: Vec<Box<str>> = metadata_names(&head[..end]).collect();
        if !names.is_empty() {
            *self.state.metadata_names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        }
        self.partial_head.clear();
        self.state.expect_head.store(false, Ordering::Relaxed);
    }

    /// How much of a write passes before the answer is cut; `None`: all of it.
    fn allowance(&self, bytes: &[u8]) -> Option<usize> {
        let mut cut = self.state.cut.lock().unwrap_or_else(PoisonError::into_inner);
        match *cut {
            None => None,
            Some(Cut::After(n)) => Some(n),
            Some(Cut::AfterHeaders(n)) => {
                let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
                *cut = Some(Cut::After(end + n));
                Some(end + n)
            }
        }
    }

    /// A write of an answer that is cut or spelled.
    fn poll_write_touched(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = self.allowance(bytes);
        if allowed == Some(0) {
            // What was let through has to be on its way before the connection ends.
            let _ = ready!(Pin::new(&mut self.stream).poll_flush(cx));
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let bytes = &bytes[..bytes.len().min(allowed.unwrap_or(usize::MAX))];
        let names = self.state.spelling.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let written = if names.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?
        } else {
            ready!(Pin::new(&mut self.stream).poll_write(cx, &spelled(bytes, &names)))?
        };
        self.state.spelling.lock().unwrap_or_else(PoisonError::into_inner).clear();
        match allowed {
            Some(allowed) => {
                let left = Some(Cut::After(allowed - written));
                *self.state.cut.lock().unwrap_or_else(PoisonError::into_inner) = left;
            }
            None => self.state.touched.store(false, Ordering::Release),
        }
        Poll::Ready(Ok(written))
    }
}

/// The head of an answer with its metadata names spelled as they came in; the length stays the same.
fn spelled(bytes: &[u8], names: &[Box<str>]) -> Vec<u8> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    let mut out = bytes.to_vec();
    for name in names {
        let line = format!("\nx-ms-meta-{}:", name.to_ascii_lowercase());
        if let Some(at) = memchr::memmem::find(&out[..end], line.as_bytes()) {
            let from = at + line.len() - 1 - name.len();
            out[from..from + name.len()].copy_from_slice(name.as_bytes());
        }
    }
    out
}

/// The part after `x-ms-meta-` of each such header.
fn metadata_names(head: &[u8]) -> impl Iterator<Item = Box<str>> + '_ {
    const PREFIX: &[u8] = b"x-ms-meta-";
    memchr::memchr_iter(b'\n', head).filter_map(|at| {
        let line = &head[at + 1..];
        if line.len() < PREFIX.len() || !line[..PREFIX.len()].eq_ignore_ascii_case(PREFIX) {
            return None;
        }
        let rest = &line[PREFIX.len()..];
        let name = &rest[..memchr::memchr(b':', rest)?];
        std::str::from_utf8(name).ok().map(Into::into)
    })
}

impl<S: Socket> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.http1 && self.state.expect_head.load(Ordering::Relaxed) {
            self.sniff(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.state.touched.load(Ordering::Acquire) {
            return self.poll_write_touched(cx, buf);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.state.touched.load(Ordering::Acquire) {
            let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| b);
            return self.poll_write_touched(cx, first);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.reset.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Socket> Drop for Io<S> {
    fn drop(&mut self) {
        if self.state.reset.load(Ordering::Acquire) {
            // Closing with a linger of zero sends RST. Where it cannot be set the client sees a plain close.
            let _ = SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_keep_their_case() {
        let head = b"PUT /a HTTP/1.1\r\nHost: x\r\nX-Ms-Meta-FooBar: 1\r\nx-ms-meta-b:2\r\ny: x-ms-meta-c:";
        let names: Vec<Box<str>> = metadata_names(head).collect();
        assert_eq!(names, ["FooBar".into(), "b".into()] as [Box<str>; 2]);
        let answer = b"HTTP/1.1 200 OK\r\nx-ms-meta-foobar: 1\r\nx-ms-meta-b: 2\r\n\r\n\nx-ms-meta-foobar:";
        let expected = b"HTTP/1.1 200 OK\r\nx-ms-meta-FooBar: 1\r\nx-ms-meta-b: 2\r\n\r\n\nx-ms-meta-foobar:";
        assert_eq!(spelled(answer, &names), expected);
    }
}
