//! The authority's connections, and which endpoint a path is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::answer::{EntraError, Failure, Reply};
use super::model::{Endpoint, TokenRequest};
use super::state::{Seen, Shared};
use super::{device, managed, token};
use crate::body::receive_small;

/// Path of the instance metadata service.
const IMDS: &str = "/metadata/identity/oauth2/token";
/// Path of App Service's endpoint.
pub(super) const APP_SERVICE: &str = "/msi/token";
/// Path of Azure Arc's endpoint.
pub(super) const ARC: &str = "/arc/metadata/identity/oauth2/token";
/// Bytes of a request's body: far more than any form with a certificate chain in it.
const MAX_BODY: usize = 64 << 10;

/// A listener's purpose.
#[derive(Clone)]
pub(super) enum Door {
    /// The token endpoint.
    Login(Option<TlsAcceptor>),
    /// What a machine offers to its programs.
    Machine,
}

/// Serves until it is stopped.
pub(super) fn run(
    doors: [(std::net::TcpListener, Door); 2],
    shared: &Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the kernel gives an epoll descriptor");
    runtime.block_on(async {
        for (listener, door) in doors {
            let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
            tokio::spawn(accept(listener, door, Arc::clone(shared)));
        }
        // Connections and listeners end with the runtime. An error says that the authority is gone.
        let _ = stopped.wait_for(|stop| *stop).await;
    });
}

async fn accept(listener: TcpListener, door: Door, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it answers wait for acknowledgements; where it fails the connection is gone anyway.
                let _ = stream.set_nodelay(true);
                let (door, shared) = (door.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    match &door {
                        Door::Login(Some(acceptor)) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            serve(stream, &door, &shared).await;
                        }
                        Door::Login(None) | Door::Machine => serve(stream, &door, &shared).await,
                    }
                });
            }
            // Out of descriptors or the like: wait until some are given back.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, door: &Door, shared: &Shared) {
    let service = service_fn(|request| answer(request, door, shared));
    // A connection ends with an error when the client goes away.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    door: &Door,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    // A client that goes away in the middle has sent nothing.
    let body = receive_small(body, MAX_BODY).await.ok().flatten().unwrap_or_default();
    let mut log = TokenRequest {
        endpoint: Endpoint::Unknown,
        grant: String::new(),
        client: String::new(),
        status: 0,
        at: Instant::now(),
    };
    let reply = match judge(&Seen { parts: &parts, body: &body }, door, shared, &mut log) {
        Ok(reply) | Err(Failure::Refused(reply)) => reply,
        Err(Failure::Deviation(why)) => {
            let (method, path) = (&parts.method, parts.uri.path());
            shared.state().deviations.push(format!("{method} {path}: {why}"));
            match door {
                Door::Login(_) => EntraError::bad("invalid_request", 9_002_313, why).reply(),
                Door::Machine => Reply::plain(400, "invalid_request", &why),
            }
        }
    };
    log.status = reply.status;
    let delay = shared.delay();
    shared.state().requests.push(log);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(reply.into_response())
}

/// Finds the endpoint and asks it.
fn judge(request: &Seen<'_>, door: &Door, shared: &Shared, log: &mut TokenRequest) -> Result<Reply, Failure> {
    let path = request.parts.uri.path();
    if let Door::Machine = door {
        let (endpoint, ask): (_, fn(&Shared, &Seen<'_>, &mut TokenRequest) -> _) = match path {
            IMDS => (Endpoint::Imds, managed::imds),
            APP_SERVICE => (Endpoint::AppService, managed::app_service),
            ARC => (Endpoint::Arc, managed::arc),
            _ => return Err(Failure::Deviation("there is nothing at this path".to_owned())),
        };
        log.endpoint = endpoint;
        return ask(shared, request, log);
    }
    let (tenant, rest) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    match rest {
        "oauth2/v2.0/token" => {
            log.endpoint = Endpoint::Token;
            token::token(shared, request, tenant, log)
        }
        "oauth2/v2.0/devicecode" => {
            log.endpoint = Endpoint::DeviceCode;
            device::code(shared, request, tenant, log)
        }
        _ => Err(Failure::Deviation("there is nothing at this path".to_owned())),
    }
}
