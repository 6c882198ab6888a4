//! The byte stream of a link, plain or TLS, and the watch on whether bytes still move.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio_rustls::client::TlsStream;

use crate::flow::{Cut, Flow, stall_s, window_s};
use crate::pacer::{Paced, Pacer};
use crate::pipe::Pipe;

/// What the watchdog looks at. One per link.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// The lane's second at which a byte last moved or an exchange began.
    pub(crate) last_s: Cell<u32>,
    /// Exchanges under way.
    pub(crate) in_flight: Cell<u32>,
    /// The lane's second at which the link last waited for its turn under a limit of bytes per second.
    pub(crate) paced_s: Cell<u32>,
    /// What the exchange on an HTTP/1.1 link has moved. (Those of an HTTP/2 link have one each.)
    pub(crate) flow: Flow,
    /// Whether somebody waits for an HTTP/1.1 link to move.
    pub(crate) waits: Cell<bool>,
    /// Exchanges under way on all links that share the least rate, as the watchdog last counted them.
    pub(crate) among: Cell<u32>,
    /// Set when the watchdog cut the link.
    pub(crate) cut_for: Cell<Option<Cut>>,
    /// The task that waits for the link, when it is an HTTP/1.1 one.
    waiting: RefCell<Option<Waker>>,
    /// Ends the task that drives the link, when it is an HTTP/2 one.
    pub(crate) ended: Notify,
    /// The peer's SETTINGS_MAX_FRAME_SIZE, once its first SETTINGS frame was seen (HTTP/2 only).
    pub(crate) peer_max_frame: Cell<Option<u32>>,
}

impl Activity {
    /// Whether a limit of bytes per second holds the link back: it says so at least every second.
    pub(crate) fn is_paced(&self, now_s: u32) -> bool {
        self.paced_s.get() > 0 && now_s.saturating_sub(self.paced_s.get()) <= 1
    }

    /// Another second has passed on the lane's clock: why an HTTP/1.1 link is to be cut, or an HTTP/2 link with all its
    /// streams.
    pub(crate) fn tick(&self, now_s: u32, stall: Duration) -> Option<Cut> {
        if self.in_flight.get() == 0 {
            return None;
        }
        if now_s.saturating_sub(self.last_s.get()) > stall_s(stall) {
            return Some(Cut::Silent);
        }
        if !self.waits.get() || self.is_paced(now_s) {
            return None;
        }
        self.flow.waited(1, window_s(stall), self.among.get())
    }

    /// Remembers whom to wake when the link is cut.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.waits.set(true);
        let mut waiting = self.waiting.borrow_mut();
        match &mut *waiting {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Cuts the link: whoever waits for it gets an error.
    pub(crate) fn cut(&self, why: Cut) {
        self.cut_for.set(Some(why));
        self.ended.notify_one();
        if let Some(waiting) = self.waiting.borrow_mut().take() {
            waiting.wake();
        }
    }
}

/// The lane's coarse clock in seconds; the watchdog advances it.
pub(crate) type Seconds = Rc<Cell<u32>>;

enum Transport {
    Plain(Pipe),
    Tls(Box<TlsStream<Pipe>>),
}

pub(crate) struct Stream {
    transport: Transport,
    clock: Seconds,
    activity: Rc<Activity>,
    /// First bytes of an HTTP/2 peer, kept until its SETTINGS frame is complete.
    preface: Option<Vec<u8>>,
    paced: Option<Box<Pace>>,
}

/// The limit of bytes per second, where there is one.
struct Pace {
    send: Paced,
    receive: Paced,
}

impl Stream {
    pub(crate) fn plain(pipe: Pipe, clock: Seconds, activity: Rc<Activity>) -> Self {
        Self { transport: Transport::Plain(pipe), clock, activity, preface: None, paced: None }
    }

    pub(crate) fn tls(tls: TlsStream<Pipe>, http2: bool, clock: Seconds, activity: Rc<Activity>) -> Self {
        let preface = http2.then(Vec::new);
        Self { transport: Transport::Tls(Box::new(tls)), clock, activity, preface, paced: None }
    }

    /// The same under a limit.
    pub(crate) fn paced(mut self, pacer: Option<&Arc<Pacer>>) -> Self {
        self.paced =
            pacer.map(|pacer| Box::new(Pace { send: Paced::new(pacer), receive: Paced::new(pacer) }));
        self
    }

    /// How many of `wanted` bytes may be sent now.
    fn poll_send(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        let Some(pace) = &mut self.paced else { return Poll::Ready(wanted) };
        let polled = pace.send.poll_send(cx, wanted).map(|most| most.min(wanted));
        self.waited(polled)
    }

    /// How much may be read now; `None` for as much as there is.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let Some(pace) = &mut self.paced else { return Poll::Ready(None) };
        let polled = pace.receive.poll_receive(cx).map(Some);
        self.waited(polled)
    }

    /// Whoever waits for its turn has not stalled.
    fn waited<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() {
            self.activity.last_s.set(self.clock.get());
            self.activity.paced_s.set(self.clock.get());
        }
        polled
    }

    fn sent(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.moved(&polled);
        if let (Some(pace), Poll::Ready(Ok(n))) = (&mut self.paced, &polled) {
            pace.send.sent(*n);
        }
        polled
    }

    fn moved(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(n)) = result
            && *n > 0
        {
            self.activity.last_s.set(self.clock.get());
            self.activity.flow.moved(*n);
            self.activity.waits.set(false);
        }
    }

    fn sniff(&mut self, fresh: &[u8]) {
        if let Some(seen) = &mut self.preface {
            seen.extend_from_slice(fresh);
            match max_frame_size(seen) {
                Sniffed::Incomplete => {}
                Sniffed::Size(size) => {
                    self.activity.peer_max_frame.set(Some(size));
                    self.preface = None;
                }
            }
        }
    }
}

impl Transport {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(pipe) => Pin::new(pipe).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

enum Sniffed {
    Incomplete,
    Size(u32),
}

/// Reads SETTINGS_MAX_FRAME_SIZE (0x5) from a server's first frame, RFC 9113 sections 3.4, 4.1 and 6.5.
/// 16,384 is the protocol's default.
fn max_frame_size(bytes: &[u8]) -> Sniffed {
    const DEFAULT: u32 = 16_384;
    let Some(head) = bytes.get(..9) else { return Sniffed::Incomplete };
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    if head[3] != 0x4 || len > 16_384 {
        return Sniffed::Size(DEFAULT);
    }
    let Some(settings) = bytes.get(9..9 + len) else { return Sniffed::Incomplete };
    let size = settings
        .chunks_exact(6)
        .find(|s| s[..2] == [0, 5])
        .map_or(DEFAULT, |s| u32::from_be_bytes([s[2], s[3], s[4], s[5]]));
    Sniffed::Size(size)
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = match ready!(this.poll_receive(cx)) {
            None => this.transport.poll_read(cx, buf),
            Some(most) => {
                let mut part = ReadBuf::new(buf.initialize_unfilled_to(buf.remaining().min(most)));
                let polled = this.transport.poll_read(cx, &mut part);
                let got = part.filled().len();
                buf.advance(got);
                if let Some(pace) = &mut this.paced {
                    pace.receive.received(got);
                }
                polled
            }
        };
        let polled = polled.map_ok(|()| buf.filled().len() - before);
        this.moved(&polled);
        if this.preface.is_some() {
            this.sniff(&buf.filled()[before..]);
        }
        polled.map_ok(drop)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let most = ready!(self.poll_send(cx, buf.len()));
        let polled = match &mut self.transport {
            Transport::Plain(pipe) => Pin::new(pipe).poll_write(cx, &buf[..most]),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, &buf[..most]),
        };
        self.sent(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.paced.is_some() {
            // Piece by piece: what does not fit into one goes with the next call.
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return self.poll_write(cx, first.map_or(&[][..], |buf| buf));
        }
        let polled = match &mut self.transport {
            Transport::Plain(pipe) => Pin::new(pipe).poll_write_vectored(cx, bufs),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, bufs),
        };
        self.sent(polled)
    }

    // Without this hyper copies every body into one buffer first.
    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(pipe) => pipe.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(pipe) => Pin::new(pipe).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(pipe) => Pin::new(pipe).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_frame_size_is_read_from_its_first_frame() {
        // SETTINGS, two entries: MAX_CONCURRENT_STREAMS 100, MAX_FRAME_SIZE 1 MiB.
        let mut frame = vec![0, 0, 12, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100, 0, 5, 0, 16, 0, 0];
        assert!(matches!(max_frame_size(&frame), Sniffed::Size(0x10_0000)));
        assert!(matches!(max_frame_size(&frame[..20]), Sniffed::Incomplete));
        frame[16] = 1;
        assert!(matches!(max_frame_size(&frame), Sniffed::Size(16_384)));
    }
}
