//! Request bodies: a list of `Bytes` that can be sent again.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::flow::{Cut, Flow, stall_s, window_s};
use crate::stream::{Activity, Seconds};

/// The largest piece handed to the socket at once. Equal to the TLS buffer, so that a piece becomes records
/// in one go; larger pieces gain nothing on plain sockets.
pub const FRAME_BYTES: usize = 256 << 10;

/// The body of a request. Cloning it is cheap, so a retry sends the same memory.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    parts: Parts,
    len: u64,
}

#[derive(Clone, Debug, Default)]
enum Parts {
    #[default]
    Empty,
    One(Bytes),
    Many(Arc<[Bytes]>),
}

impl Payload {
    /// The parts one after the other.
    pub fn from_parts(parts: Vec<Bytes>) -> Self {
        let len = parts.iter().map(|part| part.len() as u64).sum();
        match <[Bytes; 1]>::try_from(parts) {
            Ok([one]) => Self::from(one),
            Err(parts) if parts.is_empty() => Self::default(),
            Err(parts) => Self { parts: Parts::Many(parts.into()), len },
        }
    }

    /// Bytes in the body.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces as they lie in memory.
    pub fn parts(&self) -> &[Bytes] {
        match &self.parts {
            Parts::Empty => &[],
            Parts::One(one) => std::slice::from_ref(one),
            Parts::Many(many) => many,
        }
    }

    pub(crate) fn into_body(self) -> PayloadBody {
        PayloadBody { left: self.len, payload: self, part: 0, offset: 0, progress: None }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len() as u64;
        let parts = if len == 0 { Parts::Empty } else { Parts::One(bytes) };
        Self { parts, len }
    }
}

/// A payload on its way out, in frames of at most [`FRAME_BYTES`].
#[derive(Debug)]
pub(crate) struct PayloadBody {
    payload: Payload,
    part: usize,
    offset: usize,
    left: u64,
    progress: Option<Progress>,
}

impl PayloadBody {
    /// Notes in `progress` whenever a frame is taken.
    pub(crate) fn watched(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }
}

/// When an HTTP/2 exchange last moved, and how much.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    clock: Seconds,
    /// The link the exchange is on.
    pub(crate) link: Rc<Activity>,
    stall: Duration,
    of_stream: Rc<OfStream>,
}

#[derive(Debug)]
struct OfStream {
    last_s: Cell<u32>,
    /// The second up to which the waiting was counted.
    counted_s: Cell<u32>,
    flow: Flow,
    slow: Cell<Option<Cut>>,
}

impl Progress {
    pub(crate) fn new(clock: &Seconds, link: &Rc<Activity>, stall: Duration) -> Self {
        let now = Cell::new(clock.get());
        let of_stream =
            OfStream { counted_s: now.clone(), last_s: now, flow: Flow::default(), slow: Cell::default() };
        Self { clock: Rc::clone(clock), link: Rc::clone(link), stall, of_stream: Rc::new(of_stream) }
    }

    /// Somebody waits from now on.
    pub(crate) fn waits(&self) {
        self.of_stream.last_s.set(self.clock.get());
        self.of_stream.counted_s.set(self.clock.get());
    }

    /// So many bytes have moved, which were waited for.
    pub(crate) fn moved(&self, bytes: usize) {
        self.count();
        self.of_stream.last_s.set(self.clock.get());
        self.of_stream.flow.moved(bytes);
    }

    /// Counts the seconds since the last time in which somebody waited for the network.
    fn count(&self) {
        let (now, stream) = (self.clock.get(), &*self.of_stream);
        let seconds = now.saturating_sub(stream.counted_s.replace(now));
        if seconds > 0
            && !self.link.is_paced(now)
            && let Some(cut) = stream.flow.waited(seconds, window_s(self.stall), self.link.among.get())
        {
            stream.slow.set(Some(cut));
        }
    }

    /// Returns when nothing has moved for too long, or too little, and the link was not held back by a limit of bytes
    /// per second.
    pub(crate) async fn stalled(&self) -> Cut {
        loop {
            self.count();
            if let Some(cut) = self.of_stream.slow.get() {
                return cut;
            }
            let last_s = self.of_stream.last_s.get().max(self.link.paced_s.get());
            if self.clock.get().saturating_sub(last_s) > stall_s(self.stall) {
                return Cut::Silent;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

impl Body for PayloadBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        while let Some(part) = this.payload.parts().get(this.part) {
            let end = part.len().min(this.offset + FRAME_BYTES);
            if this.offset < end {
                let frame = part.slice(this.offset..end);
                this.offset = end;
                this.left -= frame.len() as u64;
                if let Some(progress) = &this.progress {
                    progress.moved(frame.len());
                }
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            this.part += 1;
            this.offset = 0;
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn frames_carry_every_byte_once_and_in_order() {
        let parts: Vec<Bytes> = [0, 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES]
            .iter()
            .enumerate()
            .map(|(i, &len)| Bytes::from(vec![i as u8; len]))
            .collect();
        let want: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        let payload = Payload::from_parts(parts);
        assert_eq!(payload.len(), want.len() as u64);
        for _attempt in 0..2 {
            let mut body = payload.clone().into_body();
            let mut got = Vec::new();
            let mut cx = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) {
                let data = frame.into_data().unwrap();
                assert!(!data.is_empty() && data.len() <= FRAME_BYTES);
                got.extend_from_slice(&data);
                assert_eq!(body.size_hint().exact(), Some((want.len() - got.len()) as u64));
            }
            assert!(body.is_end_stream());
            assert_eq!(got, want);
        }
    }
}
