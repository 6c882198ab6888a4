//! What a server will be: accounts, store, protocols, and how it differs from a standard account.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::answer::RequestIds;
use crate::auth::VERSIONS;
use crate::cert;
use crate::content::Backend;
use crate::entra::Issuer;
use crate::faults::{Faults, Switch};
use crate::fetch::Fetching;
use crate::firewall::Network;
use crate::names::Order;
use crate::server::Server;
use crate::service::Shared;
use crate::service_log::ServiceLog;
use crate::stats::{Counters, InFlight};
use crate::store::{Account, Clock};
use crate::target::NameRules;
use crate::time::SECOND;
use crate::{Alpn, Authority, DEVSTORE_KEY, Store, Tls};

/// What a server will be; see [`Server::builder`].
#[derive(Clone)]
pub struct ServerBuilder {
    accounts: Vec<(String, String)>,
    store: Store,
    tls: Tls,
    alpn: Alpn,
    faults: Faults,
    threads: usize,
    listen: SocketAddr,
    h2_max_frame: u32,
    always_md5: bool,
    versioning: bool,
    soft_delete: Option<u32>,
    order: Order,
    container_deletion: Duration,
    names: NameRules,
    premium_pages: bool,
    premium_blocks: Vec<String>,
    tenants: Vec<(String, String)>,
    scopes: Vec<String>,
    issuer: Option<Arc<Issuer>>,
    networks: Vec<(String, Network)>,
    also_listen: Vec<IpAddr>,
    pending_copies: bool,
    newest: String,
    trusted: Vec<String>,
    patience: Duration,
}

impl std::fmt::Debug for ServerBuilder {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl Default for ServerBuilder {
    fn default() -> ServerBuilder {
        ServerBuilder {
            accounts: Vec::new(),
            store: Store::Memory,
            tls: Tls::Off,
            alpn: Alpn::default(),
            faults: Faults::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            h2_max_frame: 16 << 10,
            always_md5: false,
            versioning: false,
            soft_delete: None,
            order: Order::Utf16,
            container_deletion: Duration::ZERO,
            names: NameRules::Exact,
            premium_pages: false,
            premium_blocks: Vec::new(),
            tenants: Vec::new(),
            scopes: Vec::new(),
            issuer: None,
            networks: Vec::new(),
            also_listen: Vec::new(),
            pending_copies: false,
            newest: VERSIONS.1.to_owned(),
            trusted: Vec::new(),
            patience: Duration::from_secs(60),
        }
    }
}

impl ServerBuilder {
    /// Adds an account; the key is base64. Without any there is `devstoreaccount1` with [`DEVSTORE_KEY`].
    pub fn account(mut self, name: &str, key: &str) -> Self {
        self.accounts.push((name.to_owned(), key.to_owned()));
        self
    }

    /// Where content is kept. Default: memory.
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Whether and with which certificate to speak TLS. Default: not.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// What TLS clients may negotiate. Default: `h2,http/1.1`.
    pub fn alpn(mut self, alpn: Alpn) -> Self {
        self.alpn = alpn;
        self
    }

    /// Faults from the start.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Worker threads, at least 1. Default: one for each core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Address and port. Default: `127.0.0.1:0`, a free port.
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Listens at one more address, at the same port: where a private endpoint of an account is, for one. The
    /// certificate that is made on the spot is for it, too.
    pub fn also_listen(mut self, address: IpAddr) -> Self {
        self.also_listen.push(address);
        self
    }

    /// Who reaches an account. Default: everybody; see [`Server::set_network`].
    pub fn network(mut self, account: &str, network: Network) -> Self {
        self.networks.push((account.to_owned(), network));
        self
    }

    /// The largest HTTP/2 frame that clients may send, 16 KiB (the default) to 16 MiB - 1.
    pub fn h2_max_frame(mut self, bytes: u32) -> Self {
        self.h2_max_frame = bytes.clamp(1 << 14, (1 << 24) - 1);
        self
    }

    /// Compute and store the MD5 of every Put Blob, as the real service does. Default: only when a request brings
    /// one, because MD5 would cost more than everything else together.
    pub fn always_md5(mut self, on: bool) -> Self {
        self.always_md5 = on;
        self
    }

    /// Keep what Put Blob, Put Block List, Set Blob Metadata and Delete Blob replace as earlier versions, as an account
    /// with versioning does. Default: not.
    pub fn versioning(mut self, on: bool) -> Self {
        self.versioning = on;
        self
    }

    /// Keep what Delete Blob deletes and Put Blob or Put Block List replaces for this many days (1 to 365), as an
    /// account with soft delete does: listed as deleted, and removed for good with `deletetype=permanent` alone.
    /// Nothing is dropped when the days are over. Default: not.
    pub fn soft_delete(mut self, days: u32) -> Self {
        self.soft_delete = Some(days.clamp(1, 365));
        self
    }

    /// Change names as the service does before they name something: `\` becomes `/`, `.` and `..` are resolved, and
    /// dots at the end of a segment are dropped. A prefix of a listing stays as it is. Default: names are taken
    /// exactly.
    pub fn service_names(mut self, on: bool) -> Self {
        self.names = if on { NameRules::Service } else { NameRules::Exact };
        self
    }

    /// A premium account for page blobs: block and append blobs are refused, and page blobs have performance tiers (P4
    /// to P60). Default: a standard account.
    pub fn premium_page_blobs(mut self, on: bool) -> Self {
        self.premium_pages = on;
        self
    }

    /// Makes this account a premium one for block blobs, which have no tiers there: a request that names one is
    /// refused. Default: standard accounts.
    pub fn premium_block_blobs(mut self, account: &str) -> Self {
        self.premium_blocks.push(account.to_owned());
        self
    }

    /// Puts this account into a tenant: it takes the tokens that the authority issues there, and no others. Default:
    /// the authority's own tenant.
    pub fn account_tenant(mut self, account: &str, tenant: &str) -> Self {
        self.tenants.push((account.to_owned(), tenant.to_owned()));
        self
    }

    /// Adds an encryption scope; from then on any other one is refused. Default: every name is taken for a scope.
    pub fn encryption_scope(mut self, name: &str) -> Self {
        self.scopes.push(name.to_owned());
        self
    }

    /// For how long a container that was deleted cannot be made again: at least 30 seconds with the service. Default:
    /// not.
    pub fn container_deletion(mut self, time: Duration) -> Self {
        self.container_deletion = time;
        self
    }

    /// List names in the order of accounts with a hierarchical namespace, where `/` sorts below every other character,
    /// and say so in the account's information. Default: by UTF-16 code units, as accounts with a flat namespace do.
    /// Nothing else of a hierarchical namespace is here.
    pub fn hierarchical_namespace(mut self, on: bool) -> Self {
        self.order = if on { Order::Tree } else { Order::Utf16 };
        self
    }

    /// Accepts the tokens of an authority, which is that of its accounts' tenant. Default: there is none, and tokens
    /// are refused.
    pub fn authority(mut self, authority: &Authority) -> Self {
        self.issuer = Some(authority.issuer());
        self
    }

    /// Trusts a certificate, in PEM, when this server reads the source of a copy over https: that of another server. It
    /// trusts its own in any case, and no other.
    pub fn trust(mut self, pem: &str) -> Self {
        self.trusted.push(pem.to_owned());
        self
    }

    /// Every Copy Blob stays pending, and moves on when [`Server::advance_copies`] says so. Default: it is done when it
    /// is answered.
    pub fn pending_copies(mut self, on: bool) -> Self {
        self.pending_copies = on;
        self
    }

    /// The newest `x-ms-version` that requests may name, in the form `2025-07-05`: a gateway, or the service of that
    /// time. Newer ones get 400 `InvalidHeaderValue`. A SAS may be newer. Default: the newest that is known here.
    pub fn newest_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.newest);
        self
    }

    /// For how long the source of a copy may be silent before the copy fails. Default: a minute.
    pub fn source_patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Starts the threads; the server answers when this returns.
    ///
    /// # Errors
    /// A key that is not base64, a certificate to be trusted that is none, a certificate that cannot be read, a
    /// directory that cannot be made, an address that is taken, or a setting of an account that there is not.
    pub fn start(self) -> io::Result<Server> {
        let mut accounts = self.accounts;
        if accounts.is_empty() {
            accounts.push(("devstoreaccount1".to_owned(), DEVSTORE_KEY.to_owned()));
        }
        let accounts: io::Result<Vec<Arc<Account>>> = accounts
            .iter()
            .map(|(name, key)| {
                let bad = |_| io::Error::other(format!("the key of the account {name} is not base64"));
                let mut account = Account::new(name, &STANDARD.decode(key).map_err(bad)?);
                account.premium_blocks = self.premium_blocks.contains(name);
                let tenant = self.tenants.iter().rev().find(|(of, _)| of == name);
                account.tenant = tenant.map(|(_, tenant)| tenant.clone());
                Ok(Arc::new(account))
            })
            .collect();
        let accounts = accounts?;
        let find = |name: &str| {
            let account = accounts.iter().find(|account| account.name == name);
            account.ok_or_else(|| io::Error::other(format!("there is no account {name}")))
        };
        for (name, network) in self.networks {
            find(&name)?.set_network(network);
        }
        for name in self.premium_blocks.iter().chain(self.tenants.iter().map(|(name, _)| name)) {
            find(name)?;
        }
        let identity = cert::identity(&self.tls, self.alpn, &self.also_listen)?;
        let own = identity.as_ref().map(|identity| identity.ca_pem.as_str());
        let fetching = Fetching::new(own, &self.trusted, self.threads, self.patience)?;
        let shared = Arc::new(Shared {
            accounts,
            backend: Backend::new(self.store)?,
            switch: Switch::new(self.faults),
            clock: Clock::default(),
            request_ids: RequestIds::new(),
            in_flight: InFlight::default(),
            counters: (0..self.threads).map(|_| Counters::default()).collect(),
            always_md5: self.always_md5,
            versioning: self.versioning,
            soft_delete: self.soft_delete,
            order: self.order,
            names: self.names,
            premium_pages: self.premium_pages,
            scopes: self.scopes,
            container_deletion: self.container_deletion.as_secs() * SECOND,
            advanced: AtomicU64::new(0),
            issuer: self.issuer,
            service_log: ServiceLog::default(),
            newest: self.newest,
            pending_copies: AtomicBool::new(self.pending_copies),
            fetching,
        });
        Server::launch(&shared, self.listen, &self.also_listen, identity, self.h2_max_frame)
    }
}
