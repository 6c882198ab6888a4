//! How far a connection comes, step by step: for people who look for what is wrong.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustls::ProtocolVersion;

use crate::connect::Connector;
use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::resolve::Addresses;
use crate::settings::LinkSettings;

/// A resolver that takes longer has no answer.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What [`probe`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Probe {
    /// The addresses of the endpoint's own name. Through a proxy nobody here needs them.
    pub addresses: Result<Vec<IpAddr>, LinkError>,
    /// How long a connection took, with a proxy's tunnel if there is one.
    pub connected: Result<Duration, LinkError>,
    /// The version of TLS, and how long connection and handshake took; `None` of an endpoint without TLS, and where
    /// there is no connection.
    pub tls: Option<Result<(&'static str, Duration), LinkError>>,
}

/// Resolves, connects and shakes hands as [`Links`](crate::Links) with these settings would. Sends no request.
pub async fn probe(endpoint: &Endpoint, settings: &LinkSettings) -> Probe {
    let addresses = Addresses::default();
    let looked = addresses.of(&endpoint.host, endpoint.port);
    let unresolved = |source| LinkError::Resolve { host: endpoint.host.clone(), source };
    let addresses = match tokio::time::timeout(RESOLVE_TIMEOUT, looked).await {
        Ok(Ok(found)) => {
            let mut found: Vec<_> = found.iter().map(|address| address.ip()).collect();
            found.dedup();
            Ok(found)
        }
        Ok(Err(error)) => Err(unresolved(error)),
        Err(_) => Err(unresolved(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 10 s"))),
    };
    let connector = Connector::new(endpoint.clone(), settings);
    let begun = Instant::now();
    let connected = connector.plain().await.map(|_| begun.elapsed());
    let tls = match (&connected, settings.tls.as_ref().filter(|_| endpoint.tls)) {
        (Ok(_), Some(tls)) => {
            let begun = Instant::now();
            let shaken = connector.tls(&tls.both).await;
            Some(shaken.map(|stream| (version(stream.get_ref().1.protocol_version()), begun.elapsed())))
        }
        _ => None,
    };
    Probe { addresses, connected, tls }
}

fn version(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS",
    }
}
