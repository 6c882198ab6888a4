//! An authority that issues tokens as Entra ID does, for tests of clients that ask for them.
//!
//! # Picture
//! ```text
//!   https  /TENANT/oauth2/v2.0/token        token     secrets, assertions, device codes, refresh tokens
//!          /TENANT/oauth2/v2.0/devicecode   device
//!   http   /metadata/identity/oauth2/token  managed   IMDS
//!          /msi/token                                 App Service
//!          /arc/metadata/identity/oauth2/token        Azure Arc
//!        listen   connections, and which endpoint a path is      params   queries and forms, read strictly
//!        issuer   the key, the clock and the roles, shared with the storage server    jwt   tokens and assertions
//! ```
//!
//! # Invariants
//! - A request that breaks the documented protocol is answered 400 and remembered, before anything else is looked at.
//! - Roles are judged when a token is used, as the real service does, not when it is issued.
//! - Tokens live by the authority's clock. Assertions of clients are judged by the wall clock, which is theirs.

mod answer;
mod device;
mod issuer;
mod jwt;
mod listen;
mod managed;
mod model;
mod params;
mod random;
mod state;
mod token;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::{Alpn, Tls, cert};
pub(crate) use issuer::{Caller, Issuer, Trusted};
use listen::Door;
pub use model::{Application, Behaviour, Endpoint, ManagedIdentity, Role, SignIn, TokenRequest, Trouble};
use state::Shared;

/// The tenant of an authority, unless the test names another.
const TENANT: &str = "5a4b1f1e-7d0c-4a52-9f5e-0c2b8d1f6a37";

/// What an authority will be; see [`Authority::builder`].
#[derive(Debug, Clone)]
pub struct AuthorityBuilder {
    listen: SocketAddr,
    listen_machine: SocketAddr,
    tls: Tls,
    tenant: String,
    speed: u32,
    arc_keys: Option<PathBuf>,
}

/// A running authority. It stops when it is dropped; storage servers that know it go on verifying its tokens.
///
/// # Example
/// ```
/// use azsim::{Application, Authority, Role, Server, Tls};
///
/// let authority = Authority::builder().start()?;
/// authority.register(Application::new("11111111-2222-3333-4444-555555555555").secret("s").role(Role::Owner));
/// let server = Server::builder().threads(1).tls(Tls::SelfSigned).authority(&authority).start()?;
/// // ... a client gets its token from authority.url() and shows it to server.url("devstoreaccount1") ...
/// assert_eq!(authority.deviations(), Vec::<String>::new());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Authority {
    shared: Arc<Shared>,
    addr: SocketAddr,
    machine_addr: SocketAddr,
    ca_pem: Option<String>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Default for AuthorityBuilder {
    fn default() -> AuthorityBuilder {
        AuthorityBuilder {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            listen_machine: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Tls::SelfSigned,
            tenant: TENANT.to_owned(),
            speed: 1,
            arc_keys: None,
        }
    }
}

impl AuthorityBuilder {
    /// Where the token endpoint listens. Default: `127.0.0.1:0`, a free port. The certificate that is made on the spot
    /// is for this address too.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Where IMDS, App Service and Arc listen, over http. Default: `127.0.0.1:0`, a free port.
    pub fn listen_machine(mut self, addr: SocketAddr) -> Self {
        self.listen_machine = addr;
        self
    }

    /// The certificate of the token endpoint. Default: made on the spot.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// The tenant of the storage accounts, of managed identities and of applications without another.
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.tenant = tenant.to_owned();
        self
    }

    /// How many seconds of tokens pass in one real second: 1 by default; with 0 time stands still, but for
    /// [`Authority::advance`]. The times in tokens, what clients are told of them, and the judgement of a storage
    /// server all count these seconds.
    pub fn speed(mut self, speed: u32) -> Self {
        self.speed = speed;
        self
    }

    /// The directory in which the agent of Azure Arc leaves its keys. Without it there is no Arc.
    pub fn arc_keys(mut self, directory: impl Into<PathBuf>) -> Self {
        self.arc_keys = Some(directory.into());
        self
    }

    /// Starts the authority; it answers when this returns.
    ///
    /// # Errors
    /// A certificate that cannot be read, an address that is taken.
    pub fn start(self) -> io::Result<Authority> {
        let identity = cert::identity(&self.tls, Alpn::Http11, &[self.listen.ip()])?;
        let bind = |addr: SocketAddr| -> io::Result<(std::net::TcpListener, SocketAddr)> {
            let listener = std::net::TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            Ok((listener, addr))
        };
        let (login, addr) = bind(self.listen)?;
        let (machine, machine_addr) = bind(self.listen_machine)?;
        let scheme = if identity.is_some() { "https" } else { "http" };
        let issuer = Issuer::new(&self.tenant, &format!("{scheme}://{addr}"), self.speed);
        let shared = Arc::new(Shared::new(issuer, scheme, random::secret(), self.arc_keys));
        let acceptor = identity.as_ref().map(|i| TlsAcceptor::from(Arc::clone(&i.config)));
        let (stop, stopped) = watch::channel(false);
        let doors = [(login, Door::Login(acceptor)), (machine, Door::Machine)];
        let thread = std::thread::Builder::new().name("azsim-authority".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || listen::run(doors, &shared, stopped)
        })?;
        let ca_pem = identity.map(|i| i.ca_pem);
        Ok(Authority { shared, addr, machine_addr, ca_pem, stop, thread: Some(thread) })
    }
}

impl Authority {
    /// An authority to be set up.
    pub fn builder() -> AuthorityBuilder {
        AuthorityBuilder::default()
    }

    /// Where the token endpoint listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `https://127.0.0.1:PORT`, what clients know as `AZURE_AUTHORITY_HOST`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.shared.scheme, self.addr)
    }

    /// The certificate in PEM that a client must trust; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The tenant of the authority itself.
    pub fn tenant(&self) -> &str {
        &self.shared.issuer.tenant
    }

    /// `http://127.0.0.1:PORT`, what clients know as `AZURE_POD_IDENTITY_AUTHORITY_HOST`. The path is
    /// `/metadata/identity/oauth2/token`.
    pub fn imds_url(&self) -> String {
        format!("http://{}", self.machine_addr)
    }

    /// The whole endpoint of App Service, what clients know as `IDENTITY_ENDPOINT`.
    pub fn app_service_endpoint(&self) -> String {
        format!("http://{}{}", self.machine_addr, listen::APP_SERVICE)
    }

    /// The secret of App Service, what clients know as `IDENTITY_HEADER`.
    pub fn app_service_secret(&self) -> &str {
        &self.shared.app_service_secret
    }

    /// The whole endpoint of Azure Arc, what clients know as `IDENTITY_ENDPOINT`.
    pub fn arc_endpoint(&self) -> String {
        format!("http://{}{}", self.machine_addr, listen::ARC)
    }

    /// Adds an application, or replaces the one with its client id in its tenant.
    pub fn register(&self, application: Application) {
        self.shared.issuer.assign(&application.object_id, &application.roles);
        let mut state = self.shared.state();
        state.applications.retain(|a| a.client_id != application.client_id || a.tenant != application.tenant);
        state.applications.push(Arc::new(application));
    }

    /// Adds an identity of the machine, or replaces the one with its client id.
    pub fn register_identity(&self, identity: ManagedIdentity) {
        self.shared.issuer.assign(&identity.object_id, &identity.roles);
        let mut state = self.shared.state();
        state.identities.retain(|i| i.client_id != identity.client_id);
        state.identities.push(Arc::new(identity));
    }

    /// Replaces the roles of a principal, also for tokens that it has already.
    pub fn assign(&self, object_id: &str, roles: &[Role]) {
        self.shared.issuer.assign(object_id, roles);
    }

    /// Replaces the behaviour, with what is left of the troubles.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.set_behaviour(behaviour);
    }

    /// The user codes of the devices that wait, in the order they came.
    pub fn user_codes(&self) -> Vec<String> {
        self.shared.state().devices.iter().map(|d| d.user_code.clone()).collect()
    }

    /// Signs a user in. `false`: nobody waits with this code.
    pub fn approve_device(&self, user_code: &str) -> bool {
        self.answer_device(user_code, true)
    }

    /// Declines a sign-in. `false`: nobody waits with this code.
    pub fn decline_device(&self, user_code: &str) -> bool {
        self.answer_device(user_code, false)
    }

    fn answer_device(&self, user_code: &str, answer: bool) -> bool {
        let mut state = self.shared.state();
        let device = state.devices.iter_mut().find(|d| d.user_code == user_code);
        device.map(|d| d.answer = Some(answer)).is_some()
    }

    /// Makes all refresh tokens void, as a change of password does.
    pub fn revoke_refresh_tokens(&self) {
        self.shared.state().refresh_tokens.clear();
    }

    /// A token for storage without a request, with these roles for its principal from now on.
    pub fn token(&self, object_id: &str, roles: &[Role], lifetime_s: u32) -> String {
        self.assign(object_id, roles);
        let issuer = &self.shared.issuer;
        let who = issuer::Principal { tenant: &issuer.tenant, object_id, client_id: object_id };
        issuer.issue(&who, "https://storage.azure.com", lifetime_s, false).token
    }

    /// Signs claims that the test made up.
    ///
    /// # Panics
    /// When the text is no JSON.
    pub fn sign(&self, claims: &str) -> String {
        let claims = serde_json::from_str(claims).expect("the test writes JSON");
        self.shared.issuer.sign(&claims)
    }

    /// The authority's time, in seconds since 1970.
    pub fn now_s(&self) -> u64 {
        self.shared.issuer.clock.now_s()
    }

    /// Lets time pass at once, for tokens and device codes.
    pub fn advance(&self, by: Duration) {
        self.shared.issuer.clock.advance(by);
    }

    /// How requests have broken the protocol, in the order they came. Without secrets.
    pub fn deviations(&self) -> Vec<String> {
        self.shared.state().deviations.clone()
    }

    /// The requests answered so far, in the order of their answers.
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.shared.state().requests.clone()
    }

    /// What a storage server needs to verify tokens.
    pub(crate) fn issuer(&self) -> Arc<Issuer> {
        Arc::clone(&self.shared.issuer)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on stderr already.
            let _ = thread.join();
        }
    }
}
