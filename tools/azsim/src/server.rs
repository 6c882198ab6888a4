//! The server: its threads, listeners and connections, and the handle that tests hold.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::auth::{Peer, sas};
use crate::builder::ServerBuilder;
use crate::cert;
use crate::change;
use crate::conn::{ConnState, Io, Socket};
use crate::copy;
use crate::faults::Faults;
use crate::firewall::Network;
use crate::inspect::{self, BlobInfo, DeletedInfo};
use crate::plant::{self, Seed};
use crate::service::{Link, Shared};
use crate::service_log::ServiceRequest;
use crate::stats::Stats;
use crate::store::{Account, Container, Facts};
use crate::target::check_container_name;
use crate::time::SECOND;

/// Connections waiting to be accepted, per thread.
const BACKLOG: i32 = 4096;
/// HTTP/2 windows: bodies of 8 MiB on many streams must not wait for the server.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
/// Streams in progress on one HTTP/2 connection.
const MAX_STREAMS: u32 = 1024;
/// Plain bytes that rustls may hold before they are sent.
const TLS_BUFFER: usize = 256 << 10;

/// A running server. Its threads stop when it is dropped.
pub struct Server {
    pub(crate) shared: Arc<Shared>,
    addr: SocketAddr,
    scheme: &'static str,
    ca_pem: Option<String>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addr", &self.addr).field("threads", &self.threads.len()).finish()
    }
}

/// One listener for each thread, all on one port: the kernel spreads the connections.
fn listeners(addr: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let open = |addr: SocketAddr, shared: bool| -> io::Result<std::net::TcpListener> {
        let socket = RawSocket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(shared)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    if addr.port() != 0 {
        // A shared port would silently join another server of the same user: see first that it is free.
        drop(open(addr, false)?);
    }
    let first = open(addr, true)?;
    let addr = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(open(addr, true)?);
    }
    Ok(all)
}

impl Server {
    /// Starts the threads, as many as there are counters.
    pub(crate) fn launch(
        shared: &Arc<Shared>,
        listen: SocketAddr,
        also: &[IpAddr],
        identity: Option<cert::Identity>,
        h2_max_frame: u32,
    ) -> io::Result<Server> {
        let main = listeners(listen, shared.counters.len())?;
        let addr = main.first().ok_or(io::ErrorKind::InvalidInput)?.local_addr()?;
        let mut of_workers: Vec<Vec<_>> = main.into_iter().map(|listener| vec![listener]).collect();
        for ip in also {
            let more = listeners(SocketAddr::new(*ip, addr.port()), of_workers.len())?;
            for (all, listener) in of_workers.iter_mut().zip(more) {
                all.push(listener);
            }
        }
        shared.fetching.listening(addr);
        let (stop, stopped) = watch::channel(false);
        let acceptor = identity.as_ref().map(|i| TlsAcceptor::from(Arc::clone(&i.config)));
        let mut server = Server {
            shared: Arc::clone(shared),
            addr,
            scheme: if identity.is_some() { "https" } else { "http" },
            ca_pem: identity.map(|i| i.ca_pem),
            stop,
            threads: Vec::with_capacity(of_workers.len()),
        };
        for (number, listeners) in of_workers.into_iter().enumerate() {
            let worker = Worker {
                shared: Arc::clone(shared),
                number,
                acceptor: acceptor.clone(),
                h2_max_frame,
                stopped: stopped.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("azsim-{number}"));
            server.threads.push(thread.spawn(move || worker.run(listeners))?);
        }
        Ok(server)
    }

    /// A server to be set up.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Names of the accounts, in the order given.
    pub fn accounts(&self) -> Vec<String> {
        self.shared.accounts.iter().map(|a| a.name.clone()).collect()
    }

    /// `http://127.0.0.1:PORT/ACCOUNT`, or `https://`.
    pub fn url(&self, account: &str) -> String {
        format!("{}://{}/{account}", self.scheme, self.addr)
    }

    /// The same at another address of the server's.
    pub fn url_at(&self, address: IpAddr, account: &str) -> String {
        format!("{}://{}/{account}", self.scheme, SocketAddr::new(address, self.addr.port()))
    }

    /// The certificate in PEM that a client must trust; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.shared.accounts.iter().find(|a| a.name == name)
    }

    pub(crate) fn container(&self, account: &str, container: &str) -> Option<Arc<Container>> {
        self.account(account)?.container(container).ok()
    }

    /// Creates a private container directly. `false` when it exists already or the name breaks the service's rules.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn create_container(&self, account: &str, container: &str) -> bool {
        let account = self.account(account).expect("the account was given to the builder");
        if check_container_name(container).is_err() {
            return false;
        }
        let tick = self.shared.clock.tick();
        let facts = Facts { modified: tick, ..Facts::default() };
        account.create(Container::new(container, self.shared.order, facts), self.shared.now()).is_ok()
    }

    /// Replaces the faults; requests already judged keep theirs.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.switch.set(faults);
    }

    /// Lets leases, and containers that were deleted, age as if this much time had passed.
    pub fn advance(&self, time: Duration) {
        self.shared.advanced.fetch_add(time.as_secs() * SECOND, Ordering::Relaxed);
    }

    /// What has happened so far.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            in_flight: self.shared.in_flight.now(),
            in_flight_max: self.shared.in_flight.max(),
            faults: self.shared.switch.injected(),
            ..Stats::default()
        };
        for counters in &self.shared.counters {
            counters.add_to(&mut stats);
        }
        stats
    }

    /// Puts block blobs into a container without a request each, and returns how many.
    ///
    /// # Panics
    /// When there is no such account or container, or a tier of that name.
    pub fn plant(&self, account: &str, container: &str, seeds: impl IntoIterator<Item = Seed>) -> usize {
        let container = self.container(account, container).expect("the container was created before");
        plant::plant(&self.shared, &container, seeds.into_iter())
    }

    /// Takes a snapshot of a blob; `false` when there is none of this name.
    pub fn snapshot(&self, account: &str, container: &str, name: &str) -> bool {
        self.container(account, container).is_some_and(|c| plant::snapshot(&self.shared, &c, name))
    }

    /// How many snapshots each name has that has some, sorted by name; also names whose blob is gone.
    pub fn snapshots(&self, account: &str, container: &str) -> Vec<(String, usize)> {
        self.container(account, container).map(|c| inspect::snapshots(&c)).unwrap_or_default()
    }

    /// The times of a blob's snapshots and the ids of its earlier versions, oldest first, as listings tell them.
    pub fn states(&self, account: &str, container: &str, name: &str) -> [Vec<String>; 2] {
        self.container(account, container).map(|c| inspect::states(&c, name)).unwrap_or_default()
    }

    /// What was deleted softly and is still kept, sorted by name.
    pub fn deleted(&self, account: &str, container: &str) -> Vec<DeletedInfo> {
        self.container(account, container).map(|c| inspect::deleted(&c)).unwrap_or_default()
    }

    /// The names of an account's containers, sorted.
    pub fn containers(&self, account: &str) -> Vec<String> {
        let found = self.account(account).map(|account| account.containers_from("")).unwrap_or_default();
        found.into_iter().map(|container| container.name.clone()).collect()
    }

    /// The committed blobs of a container, sorted by name. Empty for a container that does not exist.
    pub fn blobs(&self, account: &str, container: &str) -> Vec<BlobInfo> {
        self.container(account, container).map(|c| inspect::blobs(&c)).unwrap_or_default()
    }

    /// The content of a blob; `None` when there is no such blob or its content was discarded.
    pub fn content(&self, account: &str, container: &str, name: &str) -> Option<Bytes> {
        inspect::content(&*self.container(account, container)?, name)
    }

    /// Completes every rehydration that Set Blob Tier began in a container, as the service does after hours. Returns
    /// how many blobs, snapshots and versions left the archive.
    pub fn complete_rehydration(&self, account: &str, container: &str) -> usize {
        let tick = self.shared.clock.tick();
        self.container(account, container).map_or(0, |c| change::complete_rehydration(&c, tick))
    }

    /// Changes who reaches an account, from the next request on.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn set_network(&self, account: &str, network: Network) {
        self.account(account).expect("the account was given to the builder").set_network(network);
    }

    /// The latest 10,000 requests that services made here, as destinations of copies whose sources are here, in the
    /// order of their answers.
    pub fn service_requests(&self) -> Vec<ServiceRequest> {
        self.shared.service_log.all()
    }

    /// From now on every Copy Blob stays pending, or none does; see
    /// [`pending_copies`](crate::ServerBuilder::pending_copies).
    pub fn set_pending_copies(&self, on: bool) {
        self.shared.pending_copies.store(on, Ordering::Relaxed);
    }

    /// Moves every pending Copy Blob of a container on by so many bytes; `u64::MAX` completes them. Returns how many
    /// are still pending.
    pub fn advance_copies(&self, account: &str, container: &str, bytes: u64) -> usize {
        self.container(account, container).map_or(0, |c| copy::advance(&self.shared, &c, bytes))
    }

    /// Lets every pending Copy Blob of a container fail for this reason. Returns how many there were.
    pub fn fail_copies(&self, account: &str, container: &str, why: &str) -> usize {
        self.container(account, container).map_or(0, |c| copy::fail(&self.shared, &c, why))
    }

    /// A SAS for the blob service, over all resource types, valid from five minutes ago: `sv=...&sig=...`.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn account_sas(&self, account: &str, permissions: &str, lifetime: Duration) -> String {
        let account = self.account(account).expect("the account was given to the builder");
        sas::make_account_sas(account, permissions, lifetime)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so on stderr already.
            let _ = thread.join();
        }
    }
}

/// One thread of the server.
struct Worker {
    pub(crate) shared: Arc<Shared>,
    number: usize,
    acceptor: Option<TlsAcceptor>,
    h2_max_frame: u32,
    stopped: watch::Receiver<bool>,
}

impl Worker {
    fn run(self, listeners: Vec<std::net::TcpListener>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the kernel gives an epoll descriptor");
        runtime.block_on(async {
            let mut stopped = self.stopped.clone();
            let worker = Arc::new(self);
            for listener in listeners {
                let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
                tokio::spawn(Arc::clone(&worker).accept(listener));
            }
            // Connections and listeners end with the runtime. An error says that the server is gone.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    self.shared.counters[self.number].connection();
                    // Without it answers wait for acknowledgements; where it fails the connection is gone anyway.
                    let _ = stream.set_nodelay(true);
                    // Where it cannot be told any more the connection is gone.
                    let at = stream.local_addr().map_or(peer.ip(), |at| at.ip().to_canonical());
                    let conn = Connection {
                        at,
                        shared: Arc::clone(&self.shared),
                        worker: self.number,
                        h2_max_frame: self.h2_max_frame,
                        acceptor: self.acceptor.clone(),
                        peer,
                    };
                    tokio::spawn(conn.run(stream));
                }
                // Out of descriptors or the like: wait until some are given back.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

/// A connection before its protocol is known.
struct Connection {
    pub(crate) shared: Arc<Shared>,
    worker: usize,
    h2_max_frame: u32,
    acceptor: Option<TlsAcceptor>,
    peer: SocketAddr,
    /// The address of the server's that was reached.
    at: IpAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        match &self.acceptor {
            Some(acceptor) => {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                self.shared.counters[self.worker].handshake();
                let session = stream.get_mut().1;
                session.set_buffer_limit(Some(TLS_BUFFER));
                let h2 = session.alpn_protocol() == Some(b"h2");
                self.serve(stream, h2).await;
            }
            None => {
                let Ok(h2) = speaks_h2(&stream).await else { return };
                self.serve(stream, h2).await;
            }
        }
    }

    async fn serve<S: Socket + Send + 'static>(self, stream: S, h2: bool) {
        let conn = ConnState::new(!h2);
        let io = TokioIo::new(Io::new(stream, Arc::clone(&conn), !h2));
        let peer = Peer { ip: self.peer.ip().to_canonical(), at: self.at, tls: self.acceptor.is_some() };
        let link = Link { shared: self.shared, worker: self.worker, conn, peer, http1: !h2 };
        let service = service_fn(move |request| link.clone().serve(request));
        // A connection ends with an error when the client goes away, or when a fault says so.
        if h2 {
            let _ = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_frame_size(self.h2_max_frame)
                .max_concurrent_streams(MAX_STREAMS)
                .serve_connection(io, service)
                .await;
        } else {
            let _ = http1::Builder::new().serve_connection(io, service).await;
        }
    }
}

/// Whether a plain connection begins with HTTP/2's preface (prior knowledge).
async fn speaks_h2(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; 4];
    loop {
        let read = stream.peek(&mut start).await?;
        if read == start.len() || start[..read] != b"PRI "[..read] {
            return Ok(&start == b"PRI ");
        }
        if read == 0 {
            return Ok(false);
        }
        // The start of a word came alone; it stays readable, so there is nothing to wait on but time.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
