//! The service's own client: how the destination of a copy reads its source, over the network, by a request of its own.
//!
//! Each worker thread keeps its own idle connections, and a fetch is a task on the worker's runtime: a server of one
//! thread can read from itself. HTTP/1.1 alone.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::body::{Broken, Received, receive};
use crate::content::Writer;
use crate::store::Account;
use crate::target::account_of_authority;

/// Fetches at one time: each takes three descriptors when the source is in the same process.
const MAX_FETCHES: usize = 256;
/// Idle connections to one source that a worker keeps.
const MAX_IDLE: usize = 64;
/// Bytes of the answer of a source that refuses.
const MAX_ERROR: usize = 64 << 10;

type Sender = SendRequest<Empty<Bytes>>;

/// Whose source a connection is to: whether it is TLS, and the URL's host and port.
type Origin = (bool, String);

/// Idle connections of one worker.
#[derive(Default)]
struct Pool(Mutex<HashMap<Origin, Vec<Sender>>>);

impl Pool {
    fn take(&self, origin: &Origin) -> Option<Sender> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(origin)?.pop()
    }

    fn give_back(&self, origin: Origin, sender: Sender) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.entry(origin).or_default();
        if idle.len() < MAX_IDLE && !sender.is_closed() {
            idle.push(sender);
        }
    }
}

/// Why a source said nothing that could be used.
#[derive(Debug)]
pub(crate) enum Lost {
    /// No connection to it, or one that ended.
    Unreachable,
    /// Its answer broke off.
    Broken,
    /// It took too long.
    Late,
    /// This server could not keep what came.
    Store(io::Error),
}

/// What the fetches of all workers share.
pub(crate) struct Fetching {
    tls: TlsConnector,
    /// Where this server listens, once it does.
    own: OnceLock<SocketAddr>,
    /// For how long a source may be silent.
    patience: Duration,
    permits: Semaphore,
    pools: Vec<Pool>,
}

impl Fetching {
    /// Trusts the server's own certificate, if that is one to be trusted, and those that are given, all in PEM.
    ///
    /// # Errors
    /// When one that is given is none.
    pub(crate) fn new(
        own: Option<&str>,
        given: &[String],
        workers: usize,
        patience: Duration,
    ) -> io::Result<Fetching> {
        let mut roots = RootCertStore::empty();
        let own = own.map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
        roots.add_parsable_certificates(own.into_iter().flatten());
        for pem in given {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Fetching {
            tls: TlsConnector::from(Arc::new(config)),
            own: OnceLock::new(),
            patience,
            permits: Semaphore::new(MAX_FETCHES),
            pools: (0..workers).map(|_| Pool::default()).collect(),
        })
    }

    /// Says where this server listens: the hosts of its accounts are there, whatever the network says.
    pub(crate) fn listening(&self, addr: SocketAddr) {
        // Once only, by `Server::launch`.
        let _ = self.own.set(addr);
    }

    /// Whether a URL leads to this server, by the name of an account or by its address.
    pub(crate) fn is_own(&self, uri: &Uri, accounts: &[Arc<Account>]) -> bool {
        let (Some(authority), Some(own)) = (uri.authority(), self.own.get()) else { return false };
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let here = || {
            let host = authority.host().trim_start_matches('[').trim_end_matches(']');
            let ip = if host == "localhost" { Some(own.ip()) } else { host.parse::<IpAddr>().ok() };
            let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
            port == own.port() && ip.is_some_and(|ip| ip == own.ip() || ip.is_loopback())
        };
        account_of_authority(authority.as_str(), accounts).is_some() || here()
    }

    /// Sends a request for an absolute URL and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        worker: usize,
        accounts: &[Arc<Account>],
        request: Request<Empty<Bytes>>,
    ) -> Result<Fetched<'_>, Lost> {
        let permit = self.permits.acquire().await.map_err(|_| Lost::Unreachable)?;
        let exchange = self.exchange(&self.pools[worker], accounts, request);
        let (origin, sender, answer) = timeout(self.patience, exchange).await.map_err(|_| Lost::Late)??;
        let (parts, body) = answer.into_parts();
        let home = (&self.pools[worker], origin, sender);
        Ok(Fetched { parts, body, home, patience: self.patience, _permit: permit })
    }

    async fn exchange(
        &self,
        pool: &Pool,
        accounts: &[Arc<Account>],
        mut request: Request<Empty<Bytes>>,
    ) -> Result<(Origin, Sender, http::Response<Incoming>), Lost> {
        let uri = std::mem::take(request.uri_mut());
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let origin = (uri.scheme() == Some(&Scheme::HTTPS), authority.to_ascii_lowercase());
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = path.parse().map_err(|_| Lost::Unreachable)?;
        while let Some(mut sender) = pool.take(&origin) {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((origin, sender, answer)),
                // The source closed the connection while it was idle: the request was never sent.
                Err(mut e) => request = e.take_message().ok_or(Lost::Broken)?,
            }
        }
        let mut sender = self.connect(&uri, accounts).await.map_err(|_| Lost::Unreachable)?;
        let answer = sender.send_request(request).await.map_err(|_| Lost::Broken)?;
        Ok((origin, sender, answer))
    }

    async fn connect(&self, uri: &Uri, accounts: &[Arc<Account>]) -> io::Result<Sender> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let authority = uri.authority().ok_or(io::ErrorKind::InvalidInput)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let own = self.own.get().filter(|_| account_of_authority(authority.as_str(), accounts).is_some());
        let stream = match own {
            Some(own) => {
                let mut addr = *own;
                if addr.ip().is_unspecified() {
                    addr.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
                }
                TcpStream::connect(addr).await?
            }
            None => {
                let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
                TcpStream::connect((host, port)).await?
            }
        };
        stream.set_nodelay(true)?;
        if !secure {
            return handshake(stream).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        handshake(self.tls.connect(name, stream).await?).await
    }
}

/// Speaks HTTP on a connection, which is driven by a task of this worker's.
async fn handshake<S>(stream: S) -> io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // An error is told to whoever waits for the answer.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// The answer of a source, whose body is still to be read.
pub(crate) struct Fetched<'f> {
    pub(crate) parts: http::response::Parts,
    body: Incoming,
    home: (&'f Pool, Origin, Sender),
    patience: Duration,
    _permit: SemaphorePermit<'f>,
}

impl Fetched<'_> {
    /// Reads the body as one that was uploaded; the connection is used again. What comes slowly may take ten times as
    /// long as a source may be silent.
    pub(crate) async fn receive(self, writer: Writer, with_md5: bool) -> Result<Received, Lost> {
        let received = timeout(self.patience * 10, receive(self.body, writer, with_md5)).await;
        let received = received.map_err(|_| Lost::Late)?.map_err(|e| match e {
            Broken::Connection => Lost::Broken,
            Broken::Store(e) => Lost::Store(e),
        })?;
        let (pool, origin, sender) = self.home;
        pool.give_back(origin, sender);
        Ok(received)
    }

    /// Reads a small body; of one that is longer, or breaks off, the beginning.
    pub(crate) async fn small(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let read = async {
            while let Some(frame) = self.body.frame().await {
                let Some(data) = frame.ok()?.into_data().ok() else { continue };
                if out.len() + data.len() > MAX_ERROR {
                    return None;
                }
                out.extend_from_slice(&data);
            }
            Some(())
        };
        if timeout(self.patience, read).await.ok().flatten().is_some() {
            let (pool, origin, sender) = self.home;
            pool.give_back(origin, sender);
        }
        out
    }
}
