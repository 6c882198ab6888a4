//! The pool of links of one lane to one endpoint.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;

use crate::body::{Payload, PayloadBody};
use crate::connect::{Connector, Endpoint};
use crate::error::LinkError;
use crate::h1::{self, Connection, RawHead};
use crate::stream::{Activity, Seconds, Stream};
use crate::tls::TlsSetup;

/// Which HTTP version to speak. Over plain `http://` it is always HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpChoice {
    /// What the peer takes: small requests on HTTP/2 where it offers that, large bodies on HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// How a lane's links behave.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// HTTP version.
    pub http: HttpChoice,
    /// An exchange on which no byte moves for this long is cut. Whole seconds.
    pub stall: Duration,
    /// TLS configuration; needed for endpoints with TLS.
    pub tls: Option<TlsSetup>,
}

/// Counts since the lane began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Connections made.
    pub opened: u64,
    /// Of these, with TLS.
    pub tls: u64,
    /// Links cut because nothing moved.
    pub stalled: u64,
}

/// How long an exchange took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From handing the request over to the answer's head, connecting included.
    pub answered: Duration,
    /// Whether a new link had to be made for it.
    pub fresh_link: bool,
}

/// Bodies up to this size are multiplexed on HTTP/2; larger ones cost three times as much there when the
/// peer allows only the default frame of 16 KiB.
const H2_SMALL_BYTES: u64 = 64 << 10;
/// With frames of this size HTTP/2 costs what HTTP/1.1 costs, and all bodies go over it.
const H2_LARGE_FRAME: u32 = 256 << 10;
/// Streams on an HTTP/2 link before another link is opened; servers commonly allow 100.
const H2_STREAMS: u32 = 64;
/// HTTP/2 links per lane; above it streams queue on the links there are.
const H2_LINKS: usize = 8;

type H2 = http2::SendRequest<PayloadBody>;

struct Shared2 {
    sender: H2,
    activity: Rc<Activity>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

struct Inner {
    connector: Connector,
    settings: LinkSettings,
    clock: Seconds,
    idle: RefCell<Vec<Box<Connection>>>,
    shared: RefCell<Vec<Shared2>>,
    watched: RefCell<Vec<Weak<Activity>>>,
    stats: Cell<LinkStats>,
    /// What the first handshake agreed on; `None` before it. The gate lets one connection find out.
    agreed: Cell<Option<Version>>,
    gate: tokio::sync::Mutex<()>,
    /// The peer refused a handshake that offered HTTP/1.1 alone.
    only_h2: Cell<bool>,
}

/// The links of one lane to one endpoint. Clones share them.
#[derive(Clone)]
pub struct Links {
    inner: Rc<Inner>,
}

enum Taken {
    One(Box<Connection>, bool),
    Two(H2, Rc<Activity>, bool),
}

impl Links {
    /// Makes an empty pool and starts its watchdog. Connects to nothing yet.
    ///
    /// # Panics
    /// Outside a tokio `LocalSet`.
    pub fn new(endpoint: Endpoint, settings: LinkSettings) -> Self {
        let agreed = match (endpoint.tls, settings.http) {
            (false, _) | (true, HttpChoice::Http1) => Some(Version::One),
            (true, HttpChoice::Http2) => Some(Version::Two),
            (true, HttpChoice::Auto) => None,
        };
        let inner = Rc::new(Inner {
            connector: Connector::new(endpoint),
            settings,
            clock: Seconds::default(),
            idle: RefCell::default(),
            shared: RefCell::default(),
            watched: RefCell::default(),
            stats: Cell::default(),
            agreed: Cell::new(agreed),
            gate: tokio::sync::Mutex::new(()),
            only_h2: Cell::new(false),
        });
        tokio::task::spawn_local(watchdog(Rc::downgrade(&inner)));
        Self { inner }
    }

    /// What has happened so far.
    pub fn stats(&self) -> LinkStats {
        self.inner.stats.get()
    }

    /// Where the links lead.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.connector.endpoint
    }

    /// Sends one request and waits for the head of its answer. The request's URI is absolute; HTTP/1.1 sends
    /// its path and query, HTTP/2 its parts. The `host` header is the caller's.
    ///
    /// A request that a dying idle link never sent goes out again on another link; whatever the server may have
    /// seen is an error.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn send(&self, head: Request<()>, payload: Payload) -> Result<Reply, LinkError> {
        let begun = Instant::now();
        let stall = self.inner.settings.stall;
        let body_len = payload.len();
        let (head, ()) = head.into_parts();
        loop {
            match self.take(body_len).await? {
                Taken::One(mut link, fresh) => {
                    let busy = InFlight::begin(&link.activity, &self.inner.clock);
                    match link.exchange(&head, &payload).await {
                        Ok((raw, body)) => {
                            let timing = Timing { answered: begun.elapsed(), fresh_link: fresh };
                            let from = From::One { link, body, home: Rc::downgrade(&self.inner) };
                            return Ok(Reply { head: Head::Raw(raw), from, _busy: busy, timing, stall });
                        }
                        Err(failed) if failed.unsent && !fresh => {}
                        Err(failed) => return Err(failed.error.explain(stall)),
                    }
                }
                Taken::Two(mut sender, activity, fresh) => {
                    let busy = InFlight::begin(&activity, &self.inner.clock);
                    let mut request = Request::from_parts(head.clone(), payload.clone().into_body());
                    if payload.is_empty() && matches!(head.method, Method::PUT | Method::POST) {
                        // hyper leaves it out where there is no body; servers want to be told.
                        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                    }
                    match sender.try_send_request(request).await {
                        Ok(answer) => {
                            let (parts, body) = answer.into_parts();
                            let timing = Timing { answered: begun.elapsed(), fresh_link: fresh };
                            let head = Head::Parsed(parts.status, parts.headers);
                            let from = From::Two { body, activity };
                            return Ok(Reply { head, from, _busy: busy, timing, stall });
                        }
                        Err(mut failed) => {
                            if fresh || failed.take_message().is_none() {
                                return Err(explain(failed.error(), &activity, stall));
                            }
                        }
                    }
                }
            }
        }
    }

    async fn take(&self, body_len: u64) -> Result<Taken, LinkError> {
        let inner = &self.inner;
        if inner.agreed.get().is_none() {
            let _first = inner.gate.lock().await;
            if inner.agreed.get().is_none() {
                return self.connect_first().await;
            }
        }
        if inner.agreed.get() == Some(Version::Two) && self.fits_h2(body_len) {
            self.take_h2().await
        } else {
            self.take_h1().await
        }
    }

    fn fits_h2(&self, body_len: u64) -> bool {
        let inner = &self.inner;
        inner.settings.http == HttpChoice::Http2
            || inner.only_h2.get()
            || body_len <= H2_SMALL_BYTES
            || inner.shared.borrow().first().is_some_and(|link| {
                link.activity.peer_max_frame.get().is_some_and(|max| max >= H2_LARGE_FRAME)
            })
    }

    async fn take_h1(&self) -> Result<Taken, LinkError> {
        loop {
            // The most recently used link: its socket buffers and TLS state are warm.
            let Some(mut idle) = self.inner.idle.borrow_mut().pop() else { break };
            if !idle.is_dead() {
                return Ok(Taken::One(idle, false));
            }
        }
        let inner = &self.inner;
        let activity = Rc::new(Activity::default());
        let stream = if inner.connector.endpoint.tls {
            let config = &self.tls_setup().http1;
            let tls = match inner.connector.tls(config).await {
                Err(LinkError::Tls { .. }) if inner.agreed.get() == Some(Version::Two) => {
                    inner.only_h2.set(true);
                    return self.take_h2().await;
                }
                made => made?,
            };
            Stream::tls(tls, false, Rc::clone(&inner.clock), Rc::clone(&activity))
        } else {
            let tcp = inner.connector.tcp().await?;
            Stream::plain(tcp, Rc::clone(&inner.clock), Rc::clone(&activity))
        };
        Ok(self.start_h1(stream, activity))
    }

    async fn take_h2(&self) -> Result<Taken, LinkError> {
        let inner = &self.inner;
        if let Some(taken) = self.shared_h2() {
            return Ok(taken);
        }
        // One connection at a time: those who wait usually find room on the new one.
        let _one = inner.gate.lock().await;
        if let Some(taken) = self.shared_h2() {
            return Ok(taken);
        }
        let tls = inner.connector.tls(&self.tls_setup().http2).await.map_err(|error| match error {
            LinkError::Tls { host, source } if source.to_string().contains("NoApplicationProtocol") => {
                LinkError::NoHttp2 { host }
            }
            other => other,
        })?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(LinkError::NoHttp2 { host: inner.connector.endpoint.host.clone() });
        }
        self.start_h2(tls).await
    }

    /// The link with the fewest streams, unless a new one should be made.
    fn shared_h2(&self) -> Option<Taken> {
        let mut shared = self.inner.shared.borrow_mut();
        shared.retain(|link| !link.sender.is_closed());
        let least = shared.iter().min_by_key(|link| link.activity.in_flight.get())?;
        if least.activity.in_flight.get() >= H2_STREAMS && shared.len() < H2_LINKS {
            return None;
        }
        Some(Taken::Two(least.sender.clone(), Rc::clone(&least.activity), false))
    }

    async fn connect_first(&self) -> Result<Taken, LinkError> {
        let inner = &self.inner;
        let tls = inner.connector.tls(&self.tls_setup().both).await?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            inner.agreed.set(Some(Version::Two));
            self.start_h2(tls).await
        } else {
            inner.agreed.set(Some(Version::One));
            let activity = Rc::new(Activity::default());
            let stream = Stream::tls(tls, false, Rc::clone(&inner.clock), Rc::clone(&activity));
            Ok(self.start_h1(stream, activity))
        }
    }

    fn start_h1(&self, stream: Stream, activity: Rc<Activity>) -> Taken {
        self.count(&activity);
        Taken::One(Box::new(Connection::new(stream, activity)), true)
    }

    async fn start_h2(
        &self,
        tls: tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    ) -> Result<Taken, LinkError> {
        let activity = Rc::new(Activity::default());
        let stream = Stream::tls(tls, true, Rc::clone(&self.inner.clock), Rc::clone(&activity));
        let (sender, connection) = http2::Builder::new(LocalExec)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .max_frame_size(1 << 20)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| LinkError::broken(&e))?;
        self.adopt(Rc::clone(&activity), connection);
        let shared = Shared2 { sender: sender.clone(), activity: Rc::clone(&activity) };
        self.inner.shared.borrow_mut().push(shared);
        Ok(Taken::Two(sender, activity, true))
    }

    /// Counts a new connection and puts it under the watchdog's eyes.
    fn count(&self, activity: &Rc<Activity>) {
        let mut stats = self.inner.stats.get();
        stats.opened += 1;
        stats.tls += u64::from(self.inner.connector.endpoint.tls);
        self.inner.stats.set(stats);
        activity.last_s.set(self.inner.clock.get());
        self.inner.watched.borrow_mut().push(Rc::downgrade(activity));
    }

    /// Drives a new HTTP/2 connection in a task of its own until it ends or is cut.
    fn adopt<F>(&self, activity: Rc<Activity>, connection: F)
    where
        F: Future<Output = hyper::Result<()>> + 'static,
    {
        self.count(&activity);
        tokio::task::spawn_local(async move {
            // The exchanges that the connection carried report its error; here it has no reader.
            tokio::select! {
                _ended = connection => {}
                () = activity.ended.notified() => {}
            }
        });
    }

    fn tls_setup(&self) -> &TlsSetup {
        self.inner.settings.tls.as_ref().expect("settings for a TLS endpoint hold its configuration")
    }
}

/// What a failed exchange means: the watchdog's cut looks like a closed connection to hyper.
fn explain(error: &hyper::Error, activity: &Activity, stall: Duration) -> LinkError {
    if activity.stalled.get() { LinkError::Stalled(stall) } else { LinkError::broken(error) }
}

/// Once a second: advance the clock, cut what does not move.
async fn watchdog(inner: Weak<Inner>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let begun = Instant::now();
    loop {
        every.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let now = begun.elapsed().as_secs() as u32;
        inner.clock.set(now);
        let limit = inner.settings.stall.as_secs().max(1) as u32;
        inner.watched.borrow_mut().retain(|link| {
            let Some(link) = link.upgrade() else { return false };
            if link.in_flight.get() > 0 && now.saturating_sub(link.last_s.get()) > limit {
                link.cut();
                let mut stats = inner.stats.get();
                stats.stalled += 1;
                inner.stats.set(stats);
                return false;
            }
            true
        });
    }
}

/// Counts an exchange on its link from `begin` until it is dropped.
struct InFlight {
    activity: Rc<Activity>,
}

impl InFlight {
    fn begin(activity: &Rc<Activity>, clock: &Seconds) -> Self {
        activity.in_flight.set(activity.in_flight.get() + 1);
        activity.last_s.set(clock.get());
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
enum Head {
    Raw(RawHead),
    Parsed(StatusCode, HeaderMap),
}

impl Head {
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
}

/// Where the body of an answer comes from.
enum From {
    One { link: Box<Connection>, body: h1::Incoming, home: Weak<Inner> },
    Two { body: Incoming, activity: Rc<Activity> },
    Read,
}

/// An answer whose body has not been read yet. Dropping it unread closes an HTTP/1.1 link.
pub struct Reply {
    head: Head,
    from: From,
    _busy: InFlight,
    timing: Timing,
    stall: Duration,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    head: Head,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
    }

    /// All headers.
    pub fn headers(&self) -> HeaderMap {
        match &self.head {
            Head::Raw(raw) => raw.to_map(),
            Head::Parsed(_, headers) => headers.clone(),
        }
    }
}

impl Reply {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The first header of this name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.header(name)
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
            From::Two { body, activity } => loop {
                match body.frame().await {
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data()
                            && !data.is_empty()
                        {
                            return Ok(Some(data));
                        }
                    }
                    Some(Err(error)) => return Err(explain(&error, activity, self.stall)),
                    None => {
                        self.from = From::Read;
                        return Ok(None);
                    }
                }
            },
        }
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

/// Runs hyper's HTTP/2 tasks on the lane's own task set.
#[derive(Clone, Copy)]
struct LocalExec;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExec {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}
