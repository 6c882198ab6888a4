//! From an endpoint to a connected, configured byte stream.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::body::FRAME_BYTES;
use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::pipe::Pipe;
use crate::proxy::Proxy;
use crate::resolve::Addresses;
use crate::settings::LinkSettings;
use crate::tls::{certificate_fault, is_no_common_protocol};
use crate::tunnel;

/// A peer that does not take a connection in this time counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A proxy connects and resolves in this time, longer than it takes from here.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(30);
/// A TLS handshake that takes longer has stalled.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections made faster than this stay in the region: there CUBIC costs 2.5 times less CPU than BBR,
/// which some distributions make the default for its gains on long paths.
const NEAR: Duration = Duration::from_millis(5);

/// Makes connections to one endpoint; remembers the addresses they go to.
pub(crate) struct Connector {
    pub(crate) endpoint: Endpoint,
    /// The proxy in between, with the TLS configuration for one that is spoken to in TLS.
    via: Option<(Arc<Proxy>, Option<Arc<ClientConfig>>)>,
    addresses: Addresses,
}

impl Connector {
    pub(crate) fn new(endpoint: Endpoint, settings: &LinkSettings) -> Self {
        let proxy = settings.proxies.as_ref().and_then(|proxies| proxies.of(&endpoint));
        let via = proxy.map(|proxy| {
            let config = settings.tls.as_ref().map(|tls| Arc::clone(&tls.http1));
            (Arc::clone(proxy), config.filter(|_| proxy.endpoint.tls))
        });
        Self { endpoint, via, addresses: Addresses::default() }
    }

    fn proxy(&self) -> Option<&Arc<Proxy>> {
        self.via.as_ref().map(|(proxy, _)| proxy)
    }

    /// The proxy that takes the requests themselves, and no connection through it: for `http://`, as clients do.
    pub(crate) fn relay(&self) -> Option<&Arc<Proxy>> {
        self.proxy().filter(|proxy| !self.endpoint.tls && !proxy.is_socks())
    }

    /// Where connections go to from here. With a proxy its host; the server's name is then the proxy's business.
    async fn addresses(&self) -> Result<Rc<[SocketAddr]>, LinkError> {
        let Endpoint { host, port, .. } = self.proxy().map_or(&self.endpoint, |proxy| &proxy.endpoint);
        self.addresses.of(host, *port).await.map_err(|source| match self.proxy() {
            Some(proxy) => {
                proxy.fault(io::Error::new(source.kind(), format!("its name cannot be resolved: {source}")))
            }
            None => LinkError::Resolve { host: host.clone(), source },
        })
    }

    async fn tcp(&self) -> Result<TcpStream, LinkError> {
        let mut last = None;
        for &address in self.addresses().await?.iter() {
            let begun = Instant::now();
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tune(&tcp, begun.elapsed());
                    return Ok(tcp);
                }
                Ok(Err(refused)) => last = Some(refused),
                Err(_) => last = Some(no_answer_within(CONNECT_TIMEOUT)),
            }
        }
        self.addresses.forget().await;
        let source = last.expect("there is at least one address");
        Err(match self.proxy() {
            Some(proxy) => proxy.fault(source),
            None => LinkError::Connect { peer: self.endpoint.to_string(), source },
        })
    }

    /// A connection to the server, or to the proxy that takes its requests.
    pub(crate) async fn plain(&self) -> Result<Pipe, LinkError> {
        let tcp = self.tcp().await?;
        let Some((proxy, config)) = &self.via else { return Ok(Pipe::Tcp(tcp)) };
        let mut pipe = match config {
            Some(config) => {
                let tls = handshake(config, &proxy.endpoint.host, tcp).await;
                Pipe::Tls(Box::new(tls.map_err(|error| match error {
                    LinkError::Tls { source, .. } => proxy.fault(source),
                    LinkError::NoCommonHttp { .. } => proxy.fault(io::Error::other("it speaks no HTTP/1.1")),
                    other => other,
                })?))
            }
            None if proxy.endpoint.tls => {
                return Err(proxy.fault(io::Error::other("there is no TLS configuration for it")));
            }
            None => Pipe::Tcp(tcp),
        };
        if self.relay().is_none() {
            let opened = tunnel::open(&mut pipe, proxy, &self.endpoint);
            tokio::time::timeout(TUNNEL_TIMEOUT, opened)
                .await
                .unwrap_or_else(|_| Err(proxy.fault(no_answer_within(TUNNEL_TIMEOUT))))?;
        }
        Ok(pipe)
    }

    pub(crate) async fn tls(&self, config: &Arc<ClientConfig>) -> Result<TlsStream<Pipe>, LinkError> {
        let pipe = self.plain().await?;
        handshake(config, &self.endpoint.host, pipe).await
    }
}

fn no_answer_within(limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs()))
}

async fn handshake<S>(config: &Arc<ClientConfig>, host: &str, stream: S) -> Result<TlsStream<S>, LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let host = host.to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|e| LinkError::Tls {
        host: host.clone(),
        source: io::Error::new(io::ErrorKind::InvalidInput, e),
    })?;
    let handshake = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let source = match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(mut tls)) => {
            // One frame becomes records in one call instead of four.
            tls.get_mut().1.set_buffer_limit(Some(FRAME_BYTES));
            return Ok(tls);
        }
        Ok(Err(source)) => source,
        Err(_) => no_answer_within(HANDSHAKE_TIMEOUT),
    };
    Err(match certificate_fault(&source) {
        Some(reason) => LinkError::Certificate { host, reason },
        None if is_no_common_protocol(&source) => LinkError::NoCommonHttp { host },
        None => LinkError::Tls { host, source },
    })
}

fn tune(tcp: &TcpStream, connect_time: Duration) {
    // Neither can fail on a fresh socket in a way that matters: both only change timing.
    let _ = tcp.set_nodelay(true);
    if connect_time < NEAR {
        let _ = socket2::SockRef::from(tcp).set_tcp_congestion(b"cubic");
    }
}
