//! The pool of links of one lane to one endpoint.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tracing::{debug, warn};

use crate::body::{Payload, PayloadBody, Progress};
use crate::connect::Connector;
use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::h1::Connection;
use crate::pipe::Pipe;
use crate::reply::{From, Head, InFlight, Reply};
use crate::settings::{HttpChoice, LinkSettings};
use crate::stream::{Activity, Seconds, Stream};
use crate::tls::TlsSetup;

/// Counts since the lane began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Connections made.
    pub opened: u64,
    /// How many of `opened` use TLS.
    pub tls: u64,
    /// Links cut because nothing moved, or too little.
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

pub(crate) struct Inner {
    connector: Connector,
    settings: LinkSettings,
    clock: Seconds,
    #[expect(
        clippy::vec_box,
        reason = "a connection moves between pool, exchange and reply for every request"
    )]
    pub(crate) idle: RefCell<Vec<Box<Connection>>>,
    shared: RefCell<Vec<Shared2>>,
    watched: RefCell<Vec<Weak<Activity>>>,
    stats: Cell<LinkStats>,
    /// Of the exchanges that the settings count together, those of this lane.
    published: Cell<u32>,
    /// What the first handshake agreed on; `None` before it. The gate lets one connection find out.
    agreed: Cell<Option<Version>>,
    gate: tokio::sync::Mutex<()>,
    /// First connections that failed, and why the last one did.
    failures: RefCell<(u32, String)>,
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
            connector: Connector::new(endpoint, &settings),
            settings,
            clock: Seconds::default(),
            idle: RefCell::default(),
            shared: RefCell::default(),
            watched: RefCell::default(),
            stats: Cell::default(),
            published: Cell::default(),
            agreed: Cell::new(agreed),
            gate: tokio::sync::Mutex::new(()),
            failures: RefCell::default(),
            only_h2: Cell::new(false),
        });
        tokio::task::spawn_local(watchdog(Rc::downgrade(&inner)));
        Self { inner }
    }

    /// What has happened so far.
    pub fn stats(&self) -> LinkStats {
        self.inner.stats.get()
    }

    /// Closes the links that nobody uses, where their descriptors are wanted for something else.
    pub fn let_go(&self) {
        let idle = std::mem::take(&mut *self.inner.idle.borrow_mut());
        drop(idle);
        self.inner.shared.borrow_mut().retain(|link| link.activity.in_flight.get() > 0);
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
        self.send_for(head, payload, 0).await
    }

    /// [`Links::send`] a request whose answer will have about `answer_len` bytes: large ones are better served by
    /// HTTP/1.1.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn send_for(
        &self,
        head: Request<()>,
        payload: Payload,
        answer_len: u64,
    ) -> Result<Reply, LinkError> {
        let begun = Instant::now();
        let stall = self.inner.settings.stall;
        let body_len = payload.len().max(answer_len);
        let (head, ()) = head.into_parts();
        loop {
            match self.take(body_len).await? {
                Taken::One(mut link, fresh) => {
                    let busy = InFlight::begin(&link.activity, &self.inner.clock);
                    match link.exchange(&head, &payload).await {
                        Ok((raw, body)) => {
                            if raw.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                                && let Some(proxy) = self.inner.connector.relay()
                            {
                                return Err(proxy.wants_login());
                            }
                            let timing = Timing { answered: begun.elapsed(), fresh_link: fresh };
                            let from = From::One { link, body, home: Rc::downgrade(&self.inner) };
                            return Ok(Reply { head: Head::Raw(raw), from, _busy: busy, timing, stall });
                        }
                        Err(failed) if failed.unsent && !fresh => debug!("an idle connection was dead"),
                        Err(failed) => return Err(failed.error.explain(stall)),
                    }
                }
                Taken::Two(mut sender, activity, fresh) => {
                    let busy = InFlight::begin(&activity, &self.inner.clock);
                    let progress = Progress::new(&self.inner.clock, &activity, stall);
                    let body = payload.clone().into_body().watched(progress.clone());
                    let mut request = Request::from_parts(head.clone(), body);
                    if payload.is_empty() && matches!(head.method, Method::PUT | Method::POST) {
                        // hyper leaves it out where there is no body; servers want to be told.
                        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                    }
                    // Other streams may keep the link busy while this one gets nothing: each is watched by itself.
                    // A future that is dropped resets its stream.
                    let sent = tokio::select! {
                        sent = sender.try_send_request(request) => sent,
                        cut = progress.stalled() => return Err(cut.explain(stall)),
                    };
                    match sent {
                        Ok(answer) => {
                            let (parts, body) = answer.into_parts();
                            let timing = Timing { answered: begun.elapsed(), fresh_link: fresh };
                            let head = Head::Parsed(parts.status, parts.headers);
                            let from = From::Two { body, progress, rest: Bytes::new() };
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
            let failures = inner.failures.borrow().0;
            let _first = inner.gate.lock().await;
            if inner.failures.borrow().0 != failures {
                // The connection this one waited for was refused; another attempt at once would be as well.
                return Err(LinkError::Broken(inner.failures.borrow().1.clone()));
            }
            if inner.agreed.get().is_none() {
                return self.connect_first().await.inspect_err(|error| {
                    *inner.failures.borrow_mut() = (failures + 1, error.to_string());
                });
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
        let pacer = inner.settings.pacer.as_ref();
        let stream = if inner.connector.endpoint.tls {
            let config = &self.tls_setup().http1;
            let tls = match inner.connector.tls(config).await {
                Err(LinkError::NoCommonHttp { .. }) if inner.agreed.get() == Some(Version::Two) => {
                    inner.only_h2.set(true);
                    return self.take_h2().await;
                }
                made => made?,
            };
            Stream::tls(tls, false, Rc::clone(&inner.clock), Rc::clone(&activity)).paced(pacer)
        } else {
            let pipe = inner.connector.plain().await?;
            Stream::plain(pipe, Rc::clone(&inner.clock), Rc::clone(&activity)).paced(pacer)
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
        let refused = match inner.connector.tls(&self.tls_setup().http2).await {
            Ok(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => return self.start_h2(tls).await,
            Ok(_) | Err(LinkError::NoCommonHttp { .. }) => inner.connector.endpoint.host.clone(),
            Err(other) => return Err(other),
        };
        if inner.settings.http == HttpChoice::Auto {
            // Another server behind the same name: find out anew.
            inner.agreed.set(None);
            return Err(LinkError::NoCommonHttp { host: refused });
        }
        Err(LinkError::NoHttp2 { host: refused })
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
            let stream = Stream::tls(tls, false, Rc::clone(&inner.clock), Rc::clone(&activity))
                .paced(inner.settings.pacer.as_ref());
            Ok(self.start_h1(stream, activity))
        }
    }

    fn start_h1(&self, stream: Stream, activity: Rc<Activity>) -> Taken {
        self.count(&activity);
        Taken::One(Box::new(Connection::new(stream, activity, self.inner.connector.relay().cloned())), true)
    }

    async fn start_h2(&self, tls: tokio_rustls::client::TlsStream<Pipe>) -> Result<Taken, LinkError> {
        let activity = Rc::new(Activity::default());
        let stream = Stream::tls(tls, true, Rc::clone(&self.inner.clock), Rc::clone(&activity))
            .paced(self.inner.settings.pacer.as_ref());
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
        let Endpoint { host, port, tls } = &self.inner.connector.endpoint;
        debug!(%host, port, tls, before = stats.opened, "connected");
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
pub(crate) fn explain(error: &hyper::Error, activity: &Activity, stall: Duration) -> LinkError {
    activity.cut_for.get().map_or_else(|| LinkError::broken(error), |cut| cut.explain(stall))
}

/// Once a second: advance the clock, cut what does not move.
async fn watchdog(inner: Weak<Inner>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        every.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        inner.tick();
    }
}

impl Inner {
    /// A second has passed. Counted, not read from a clock: when the whole process was stopped, or waited for its
    /// reader, no link is to blame.
    fn tick(&self) {
        let now = self.clock.get() + 1;
        self.clock.set(now);
        let mut watched = self.watched.borrow_mut();
        let own = watched.iter().filter_map(Weak::upgrade).map(|link| link.in_flight.get()).sum();
        let among = self.publish(own);
        watched.retain(|link| {
            let Some(link) = link.upgrade() else { return false };
            link.among.set(among);
            let Some(why) = link.tick(now, self.settings.stall) else { return true };
            link.cut(why);
            warn!(?why, exchanges = among, "an exchange is cut: it does not go on");
            let mut stats = self.stats.get();
            stats.stalled += 1;
            self.stats.set(stats);
            false
        });
    }

    /// Says how many exchanges this lane has under way; how many all have that share the least rate.
    fn publish(&self, own: u32) -> u32 {
        let more = own.wrapping_sub(self.published.replace(own));
        self.settings.under_way.fetch_add(more, Ordering::Relaxed).wrapping_add(more)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.publish(0);
    }
}

/// Runs hyper's HTTP/2 tasks on the lane's own task set.
#[derive(Clone, Copy)]
pub(crate) struct LocalExec;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExec {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

#[cfg(test)]
mod tests;
