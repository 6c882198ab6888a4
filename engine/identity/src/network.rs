//! How the token services are reached: over the same kind of links as the data, on a thread of its own.

use std::path::PathBuf;
use std::time::Duration;

use azuring_link::{Endpoint, HttpChoice, LinkError, LinkSettings, Links, Payload};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use tokio::sync::{mpsc, oneshot};
use url::{Host, Url};

use crate::environment::Environment;
use crate::error::IdentityError;

/// Moves the address of the machine's metadata service, as Microsoft's other libraries let it be moved.
const IMDS_VARIABLE: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
/// Where it is otherwise.
const IMDS: &str = "http://169.254.169.254/";
/// Where the agent of Azure Arc puts the keys that prove who reads them.
const ARC_KEYS: &str = "/var/opt/azcmagent/tokens";
/// Answers of token services have a few KiB.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// An exchange that takes longer, connecting included, has failed.
const TIMEOUT: Duration = Duration::from_secs(60);
/// An exchange on which no byte moves for this long is cut.
const STALL: Duration = Duration::from_secs(30);
/// Exchanges that wait to begin. A login has one under way.
const WAITING: usize = 16;

/// How the token services are reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Network {
    /// TLS roots and proxies, as for the data. Plain `http://` addresses, which are those of the machine's own
    /// identity, are never reached through a proxy.
    pub links: LinkSettings,
    /// Where the machine says which identity it has, and where programs are found.
    pub environment: Environment,
    /// Where the agent of Azure Arc puts its keys.
    pub arc_keys: PathBuf,
}

impl Network {
    /// The network of this process.
    pub fn new(links: LinkSettings) -> Self {
        Self { links, environment: Environment::process(), arc_keys: ARC_KEYS.into() }
    }

    /// Where the machine's metadata service is.
    ///
    /// # Errors
    /// [`IdentityError::Setting`]: a token would be asked for at an address that is not the machine's own.
    pub(crate) fn imds(&self) -> Result<Url, IdentityError> {
        let Some(value) = self.environment.get(IMDS_VARIABLE) else {
            return Ok(Url::parse(IMDS).expect("the constant is a URL"));
        };
        let wrong = || {
            let reason = format!("{value} is not http:// and an address of this machine or its link");
            IdentityError::setting(IMDS_VARIABLE, reason)
        };
        let url = Url::parse(&value).map_err(|_| wrong())?;
        if url.scheme() == "http" && is_near(&url) { Ok(url) } else { Err(wrong()) }
    }
}

/// Whether the address is this machine's, or one that no router passes on.
pub(crate) fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unicast_link_local(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A request.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Outgoing {
    pub(crate) fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A form. What is in it may be secret: it is in the body, and nowhere else.
    pub(crate) fn form(url: Url, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let outgoing = Self { method: Method::POST, url, headers: HeaderMap::new(), body: body.into() };
        outgoing.with("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"))
    }

    pub(crate) fn with(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// An answer, read to its end.
pub(crate) struct Incoming {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

struct Job {
    outgoing: Outgoing,
    answer: oneshot::Sender<Result<Incoming, IdentityError>>,
}

/// Carries requests to the task that has the links, which no other thread may touch.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    jobs: mpsc::Sender<Job>,
}

impl Wire {
    /// Starts the task. It ends when the last wire to it is dropped.
    ///
    /// # Panics
    /// Outside a tokio `LocalSet`.
    pub(crate) fn start(network: &Network) -> Self {
        let (jobs, mut received) = mpsc::channel::<Job>(WAITING);
        let settings = network.links.clone().http(HttpChoice::Http1).stall(STALL).pacer(None);
        tokio::task::spawn_local(async move {
            while let Some(Job { outgoing, mut answer }) = received.recv().await {
                let settings = settings.clone();
                tokio::task::spawn_local(async move {
                    // Whoever gave up waiting ends the exchange.
                    tokio::select! {
                        done = exchange(settings, outgoing) => { let _ = answer.send(done); }
                        () = answer.closed() => {}
                    }
                });
            }
        });
        Self { jobs }
    }

    /// Sends a request and reads its answer, whatever its status. Follows no redirection.
    ///
    /// # Errors
    /// [`IdentityError::Network`].
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Incoming, IdentityError> {
        let gone = || IdentityError::Machine("the task that asks for tokens has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { outgoing, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Host and port, for people.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

async fn exchange(mut settings: LinkSettings, outgoing: Outgoing) -> Result<Incoming, IdentityError> {
    let url = &outgoing.url;
    let host = authority(url);
    let fault = |reason: String, permanent| IdentityError::Network { host: host.clone(), reason, permanent };
    let tls = url.scheme() == "https";
    if !tls {
        settings.proxies = None;
    } else if settings.tls.is_none() {
        return Err(fault("there are no root certificates to verify it with".to_owned(), true));
    }
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let mut request = Request::builder().method(outgoing.method).uri(url.as_str()).header(HOST, &host);
    if let Some(headers) = request.headers_mut() {
        headers.extend(outgoing.headers);
    }
    let request = request.body(()).map_err(|_| fault("its address cannot be used".to_owned(), true))?;
    let links = Links::new(Endpoint { tls, host: name, port }, settings);
    let exchange = async {
        let reply = links.send(request, Payload::from(outgoing.body)).await?;
        reply.collect(MAX_ANSWER_BYTES).await
    };
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(Ok(answer)) => {
            Ok(Incoming { status: answer.status(), headers: answer.headers(), body: answer.body })
        }
        Ok(Err(error)) => Err(fault(reason(&error), error.is_permanent())),
        Err(_) => Err(fault(format!("no answer within {} s", TIMEOUT.as_secs()), false)),
    }
}

/// The link's failure; the host is named by the error around it.
fn reason(error: &LinkError) -> String {
    match error {
        LinkError::Resolve { source, .. } => format!("its name cannot be resolved: {source}"),
        other => other.to_string(),
    }
}

/// Runs `work` on a thread of its own and waits for it: links live on one thread, and the caller may be inside another
/// runtime.
///
/// # Errors
/// What `work` says, and [`IdentityError::Machine`].
pub(crate) fn on_a_thread<T: Send>(
    network: &Network,
    work: impl AsyncFnOnce(Wire) -> Result<T, IdentityError> + Send,
) -> Result<T, IdentityError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("identity".to_owned());
        let run = thread.spawn_scoped(scope, || in_runtime(network, work));
        let run = run.map_err(|error| IdentityError::Machine(error.to_string()))?;
        run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs `work` in a runtime of this thread.
pub(crate) fn in_runtime<T>(
    network: &Network,
    work: impl AsyncFnOnce(Wire) -> Result<T, IdentityError>,
) -> Result<T, IdentityError> {
    let runtime = azuring_ring::room_for_a_runtime()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .map_err(|error| IdentityError::Machine(error.to_string()))?;
    let tasks = tokio::task::LocalSet::new();
    let done = tasks.block_on(&runtime, async { work(Wire::start(network)).await });
    // A host name that is being looked up holds a thread of the runtime; nobody waits for it.
    drop(tasks);
    runtime.shutdown_background();
    done
}
