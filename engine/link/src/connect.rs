//! From an endpoint to a connected, configured byte stream.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::body::FRAME_BYTES;
use crate::error::LinkError;
use crate::tls::{certificate_fault, is_no_common_protocol};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether to speak TLS.
    pub tls: bool,
    /// A DNS name, an IPv4 address or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// An address is looked up again after this long: services move, and a job may run for days.
const RESOLVE_AGAIN: Duration = Duration::from_secs(60);
/// A peer that does not take a connection in this time counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A TLS handshake that takes longer has stalled.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections made faster than this stay in the region: there CUBIC costs 2.5 times less CPU than BBR,
/// which some distributions make the default for its gains on long paths.
const NEAR: Duration = Duration::from_millis(5);

/// Makes connections to one endpoint; remembers its addresses.
pub(crate) struct Connector {
    pub(crate) endpoint: Endpoint,
    resolved: RefCell<Option<(Instant, Rc<[SocketAddr]>)>>,
}

impl Connector {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, resolved: RefCell::new(None) }
    }

    async fn addresses(&self) -> Result<Rc<[SocketAddr]>, LinkError> {
        if let Some((at, known)) = &*self.resolved.borrow()
            && at.elapsed() < RESOLVE_AGAIN
        {
            return Ok(Rc::clone(known));
        }
        let host = &self.endpoint.host;
        let fault = |source| LinkError::Resolve { host: host.clone(), source };
        let found: Rc<[SocketAddr]> =
            tokio::net::lookup_host((host.as_str(), self.endpoint.port)).await.map_err(fault)?.collect();
        if found.is_empty() {
            return Err(fault(io::Error::new(io::ErrorKind::NotFound, "no address")));
        }
        *self.resolved.borrow_mut() = Some((Instant::now(), Rc::clone(&found)));
        Ok(found)
    }

    pub(crate) async fn tcp(&self) -> Result<TcpStream, LinkError> {
        let mut last = None;
        for &address in self.addresses().await?.iter() {
            let begun = Instant::now();
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tune(&tcp, begun.elapsed());
                    return Ok(tcp);
                }
                Ok(Err(refused)) => last = Some(refused),
                Err(_) => last = Some(io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 s")),
            }
        }
        // The addresses may be stale.
        *self.resolved.borrow_mut() = None;
        Err(LinkError::Connect {
            peer: self.endpoint.to_string(),
            source: last.expect("there is at least one address"),
        })
    }

    pub(crate) async fn tls(&self, config: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, LinkError> {
        let tcp = self.tcp().await?;
        let host = self.endpoint.host.clone();
        let name = ServerName::try_from(host.clone()).map_err(|e| LinkError::Tls {
            host: host.clone(),
            source: io::Error::new(io::ErrorKind::InvalidInput, e),
        })?;
        let handshake = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
        let source = match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(Ok(mut tls)) => {
                // One frame becomes records in one call instead of four.
                tls.get_mut().1.set_buffer_limit(Some(FRAME_BYTES));
                return Ok(tls);
            }
            Ok(Err(source)) => source,
            Err(_) => {
                let waited = format!("no answer within {} s", HANDSHAKE_TIMEOUT.as_secs());
                io::Error::new(io::ErrorKind::TimedOut, waited)
            }
        };
        Err(match certificate_fault(&source) {
            Some(reason) => LinkError::Certificate { host, reason },
            None if is_no_common_protocol(&source) => LinkError::NoCommonHttp { host },
            None => LinkError::Tls { host, source },
        })
    }
}

fn tune(tcp: &TcpStream, connect_time: Duration) {
    // Neither can fail on a fresh socket in a way that matters: both only change timing.
    let _ = tcp.set_nodelay(true);
    if connect_time < NEAR {
        let _ = socket2::SockRef::from(tcp).set_tcp_congestion(b"cubic");
    }
}
