//! What is answered, and how it is sent.

use std::fmt;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::wire::{Received, Response, forward};

/// Lets bytes of an answer, or the whole of it, through when the test says so.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<(Mutex<Passed>, Condvar)>,
}

#[derive(Debug, Default)]
struct Passed {
    allowed: usize,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets so many bytes more pass; of an answer that is held as a whole, so many answers.
    pub fn pass(&self, n: usize) {
        let mut state = self.inner.0.lock().unwrap();
        state.allowed = state.allowed.saturating_add(n);
        self.inner.1.notify_all();
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.pass(usize::MAX);
    }

    /// Waits until somebody waits at the gate.
    ///
    /// # Panics
    /// When nobody comes in three minutes.
    #[track_caller]
    pub fn wait_for_somebody(&self) {
        let state = self.inner.0.lock().unwrap();
        let waited = self.inner.1.wait_timeout_while(state, super::PATIENCE, |state| state.waiting == 0);
        assert!(!waited.unwrap().1.timed_out(), "nobody has come to the gate");
    }

    /// Whether somebody waits at the gate.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.inner.0.lock().unwrap().waiting > 0
    }

    fn take(&self) {
        let mut state = self.inner.0.lock().unwrap();
        state.waiting += 1;
        self.inner.1.notify_all();
        let mut state = self.inner.1.wait_while(state, |state| state.allowed == 0).unwrap();
        state.waiting -= 1;
        if state.allowed < usize::MAX {
            state.allowed -= 1;
        }
    }
}

/// How the length of the body is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    /// As it is.
    #[default]
    True,
    /// Another one.
    Told(u64),
    /// Not at all: the body ends with the connection.
    UntilClose,
    /// `transfer-encoding: chunked`.
    Chunked,
    /// Neither a length nor an end: the connection stays open behind the body.
    Untold,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The next request on the same connection.
    #[default]
    Keep,
    /// The connection is closed.
    Close,
    /// The connection is reset: the client's reads fail.
    Reset,
    /// Nothing, for as long as the client waits.
    Silence,
}

#[derive(Clone, Debug)]
enum Pace {
    /// A byte each time.
    Every(Duration),
    /// A byte for each that the test lets pass.
    Gate(Gate),
}

type Change = Arc<dyn Fn(&Received, &mut Response) + Send + Sync>;
type Look = Arc<dyn Fn(&Received) + Send + Sync>;

/// An answer. It begins as [`Answer::passed`] or [`Answer::status`], and each method alters it.
#[derive(Clone, Default)]
pub struct Answer {
    /// Asks the server behind.
    passes: bool,
    /// Its own, or in the place of the other's.
    own: Option<Response>,
    changes: Vec<Change>,
    before: Option<Look>,
    held: Option<Gate>,
    length: Length,
    early: bool,
    raw: Option<Vec<u8>>,
    flood: u64,
    /// Only so many bytes of head and body are sent, then comes `end`.
    cut: Option<usize>,
    /// Head and body, or the body alone.
    pace: Option<(Pace, bool)>,
    /// So many bytes of the body are sent at once, and `pace` begins behind them.
    ahead: usize,
    end: End,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("passes", &self.passes).field("own", &self.own).finish_non_exhaustive()
    }
}

impl Answer {
    /// What the server behind answers, which is asked for it.
    #[must_use]
    pub fn passed() -> Self {
        Self { passes: true, ..Self::default() }
    }

    /// An answer of its own, without headers and body. The server behind does not see the request.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            own: Some(Response { status, reason: "Hostile".to_owned(), ..Response::default() }),
            ..Self::default()
        }
    }

    /// An answer of its own as the service would give it: with `x-ms-request-id` and `x-ms-version`.
    #[must_use]
    pub fn of_service(status: u16) -> Self {
        Self::status(status).header("x-ms-request-id", "hostile-1").header("x-ms-version", "2025-07-05")
    }

    /// An error of the service, with its code.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Hostile.</Message></Error>");
        Self::of_service(status).header("x-ms-error-code", code).body(body)
    }

    /// Nothing is answered, ever.
    #[must_use]
    pub fn silence() -> Self {
        Self::status(200).cut_after(0).end(End::Silence)
    }

    /// These bytes, whatever they are, in the place of head and body; then `end`.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>, end: End) -> Self {
        Self { raw: Some(bytes.into()), ..Self::status(200).end(end) }
    }

    /// The request is served by the server behind, and `self` is answered in the place of what it says.
    #[must_use]
    pub fn after_it_was_done(mut self) -> Self {
        self.passes = true;
        self
    }

    /// Alters the answer. All the methods below that name a part of it are short for this.
    #[must_use]
    pub fn change(mut self, change: impl Fn(&Received, &mut Response) + Send + Sync + 'static) -> Self {
        self.changes.push(Arc::new(change));
        self
    }

    /// Another status, and nothing else.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        self.change(move |_, answer| answer.status = status)
    }

    /// A header in the place of those of its name.
    #[must_use]
    pub fn set(self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.change(move |_, answer| answer.set(&name, &value))
    }

    /// One more header, though there is one of its name.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let pair = (name.to_owned(), value.to_owned());
        self.change(move |_, answer| answer.headers.push(pair.clone()))
    }

    /// Without the headers of this name.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        let name = name.to_owned();
        self.change(move |_, answer| answer.remove(&name))
    }

    /// Another body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.change(move |_, answer| {
            answer.body.clone_from(&body);
            answer.told_len = None;
        })
    }

    /// The body with `from` replaced by `to` everywhere.
    #[must_use]
    pub fn replace(self, from: &str, to: &str) -> Self {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(move |_, answer| {
            answer.body = String::from_utf8_lossy(&answer.body).replace(&from, &to).into_bytes();
            answer.told_len = None;
        })
    }

    /// So many bytes behind the body, which are part of it.
    #[must_use]
    pub fn flood(mut self, bytes: u64) -> Self {
        self.flood = bytes;
        self
    }

    /// `content-length` says this, whatever the body has.
    #[must_use]
    pub fn told_len(mut self, len: u64) -> Self {
        self.length = Length::Told(len);
        self
    }

    /// No length: the body ends with the connection.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        (self.length, self.end) = (Length::UntilClose, End::Close);
        self
    }

    /// No length, and the connection stays open: whoever expects a body waits for it.
    #[must_use]
    pub fn without_length(mut self) -> Self {
        self.length = Length::Untold;
        self
    }

    /// In chunks.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.length = Length::Chunked;
        self
    }

    /// Before the body of the request was read; the connection is closed behind it.
    #[must_use]
    pub fn early(mut self) -> Self {
        (self.early, self.end) = (true, End::Close);
        self
    }

    /// Only the first `bytes` of head and body, then the end, by default a close.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        if self.end == End::Keep {
            self.end = End::Close;
        }
        self
    }

    /// What comes behind the answer.
    #[must_use]
    pub fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// A byte of the body each `every`; `head`: of the head as well.
    #[must_use]
    pub fn drip(mut self, every: Duration, head: bool) -> Self {
        self.pace = Some((Pace::Every(every), head));
        self
    }

    /// A byte of the body whenever the gate lets one pass; `head`: of the head as well.
    #[must_use]
    pub fn gated(mut self, gate: &Gate, head: bool) -> Self {
        self.pace = Some((Pace::Gate(gate.clone()), head));
        self
    }

    /// The first `bytes` of the body come at once: only what is behind them drips, or waits at the gate.
    #[must_use]
    pub fn ahead(mut self, bytes: usize) -> Self {
        self.ahead = bytes;
        self
    }

    /// When the request has come, and before anything is done with it. Here a test changes what is behind.
    #[must_use]
    pub fn meanwhile(mut self, look: impl Fn(&Received) + Send + Sync + 'static) -> Self {
        self.before = Some(Arc::new(look));
        self
    }

    /// The answer, complete, waits until the gate lets one pass. What the server behind has to do is done then.
    #[must_use]
    pub fn held(mut self, gate: &Gate) -> Self {
        self.held = Some(gate.clone());
        self
    }

    pub(super) fn is_early(&self) -> bool {
        self.early
    }

    /// Sends it; whether the connection goes on.
    pub(super) fn send(
        &self,
        client: &mut TcpStream,
        request: &Received,
        upstream: Option<SocketAddr>,
    ) -> io::Result<bool> {
        if let Some(look) = &self.before {
            look(request);
        }
        let of_upstream = match upstream {
            Some(server) if self.passes => Some(forward(request, server)?),
            _ => None,
        };
        let mut response = match (&self.own, of_upstream) {
            (Some(own), _) => own.clone(),
            (None, passed) => passed.expect("only a server in front of another one lets something pass"),
        };
        for change in &self.changes {
            change(request, &mut response);
        }
        if let Some(gate) = &self.held {
            gate.take();
        }
        let (head, body) = match &self.raw {
            Some(raw) => (raw.clone(), Vec::new()),
            None => self.render(request, response),
        };
        let cut = self.cut.unwrap_or(usize::MAX);
        let (of_head, of_body) = (head.len().min(cut), body.len().min(cut.saturating_sub(head.len())));
        let paced_head = matches!(&self.pace, Some((_, true)));
        self.write(client, &head[..of_head], paced_head)?;
        let (ahead, rest) = body[..of_body].split_at(of_body.min(self.ahead));
        self.write(client, ahead, false)?;
        self.write(client, rest, true)?;
        if self.cut.is_none() {
            self.write_flood(client)?;
        }
        self.finish(client)
    }

    fn render(&self, request: &Received, response: Response) -> (Vec<u8>, Vec<u8>) {
        let is_head = request.method == "HEAD";
        let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, response.reason);
        for (name, value) in &response.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let len = response.body.len() as u64 + self.flood;
        match self.length {
            Length::True => {
                let told = response.told_len.filter(|_| is_head).unwrap_or(len);
                head.push_str(&format!("content-length: {told}\r\n"));
            }
            Length::Told(told) => head.push_str(&format!("content-length: {told}\r\n")),
            Length::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Length::UntilClose | Length::Untold => {}
        }
        if self.end == End::Close {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");
        let mut body = if is_head { Vec::new() } else { response.body };
        if self.length == Length::Chunked && !is_head {
            let mut chunks = Vec::new();
            for piece in body.chunks(7_000) {
                chunks.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                chunks.extend_from_slice(piece);
                chunks.extend_from_slice(b"\r\n");
            }
            chunks.extend_from_slice(b"0\r\n\r\n");
            body = chunks;
        }
        (head.into_bytes(), body)
    }

    fn write(&self, client: &mut TcpStream, bytes: &[u8], paced: bool) -> io::Result<()> {
        match &self.pace {
            Some((pace, _)) if paced => {
                for byte in bytes {
                    match pace {
                        Pace::Every(time) => thread::sleep(*time),
                        Pace::Gate(gate) => gate.take(),
                    }
                    client.write_all(std::slice::from_ref(byte))?;
                }
                Ok(())
            }
            _ => client.write_all(bytes),
        }
    }

    fn write_flood(&self, client: &mut TcpStream) -> io::Result<()> {
        let (piece, mut left) = ([b'x'; 16 << 10], self.flood);
        while left > 0 {
            let len = left.min(piece.len() as u64);
            client.write_all(&piece[..len as usize])?;
            left -= len;
        }
        Ok(())
    }

    fn finish(&self, client: &mut TcpStream) -> io::Result<bool> {
        match self.end {
            End::Keep => return Ok(true),
            End::Close => client.shutdown(Shutdown::Write)?,
            // With no time to linger, a close is a reset.
            End::Reset => socket2::SockRef::from(&*client).set_linger(Some(Duration::ZERO))?,
            End::Silence => {}
        }
        if self.end != End::Reset {
            // Until the client goes. What it still sends is read and dropped: no reset may eat the answer.
            io::copy(client, &mut io::sink())?;
        }
        Ok(false)
    }
}
