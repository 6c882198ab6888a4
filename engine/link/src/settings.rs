//! What is asked of the links of a lane.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::pacer::Pacer;
use crate::proxy::Proxies;
use crate::tls::TlsSetup;

/// Which HTTP version to speak. Over plain `http://` it is always HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpChoice {
    /// What the peer takes: small requests on HTTP/2 where it offers that, large bodies on HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// How a lane's links behave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkSettings {
    /// HTTP version.
    pub http: HttpChoice,
    /// An exchange on which no byte moves for this long is cut. Whole seconds.
    pub stall: Duration,
    /// TLS configuration; needed for endpoints with TLS, and for proxies with it ([`Proxies::need_tls`]).
    pub tls: Option<TlsSetup>,
    /// A limit of bytes per second, shared with whoever else has it.
    pub pacer: Option<Arc<Pacer>>,
    /// The proxies to go through; `None` for none.
    pub proxies: Option<Arc<Proxies>>,
    /// Who shares the least rate: the exchanges of all links with this count. Each lane adds its own once a second.
    pub under_way: Arc<AtomicU32>,
}

impl Default for LinkSettings {
    /// Either version, cut after half a minute, without TLS, limit and proxies, and with a least rate of its own.
    fn default() -> Self {
        Self {
            http: HttpChoice::Auto,
            stall: Duration::from_secs(30),
            tls: None,
            pacer: None,
            proxies: None,
            under_way: Arc::default(),
        }
    }
}

/// Each field can be set by a method of its name.
impl LinkSettings {
    /// HTTP version.
    #[must_use]
    pub fn http(mut self, http: HttpChoice) -> Self {
        self.http = http;
        self
    }

    /// An exchange on which no byte moves for this long is cut. Whole seconds.
    #[must_use]
    pub fn stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// TLS configuration; needed for endpoints with TLS, and for proxies with it ([`Proxies::need_tls`]).
    #[must_use]
    pub fn tls(mut self, tls: Option<TlsSetup>) -> Self {
        self.tls = tls;
        self
    }

    /// A limit of bytes per second, shared with whoever else has it.
    #[must_use]
    pub fn pacer(mut self, pacer: Option<Arc<Pacer>>) -> Self {
        self.pacer = pacer;
        self
    }

    /// The proxies to go through; `None` for none.
    #[must_use]
    pub fn proxies(mut self, proxies: Option<Arc<Proxies>>) -> Self {
        self.proxies = proxies;
        self
    }

    /// Who shares the least rate.
    #[must_use]
    pub fn under_way(mut self, under_way: Arc<AtomicU32>) -> Self {
        self.under_way = under_way;
        self
    }
}
