//! What can happen to an exchange below HTTP.

use std::io;
use std::time::Duration;

/// Why an exchange did not bring an answer. Says nothing about whether the server acted on the request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The host's name has no address. Usually a typing error in the account's name, or no DNS here.
    #[error("the host name {host} cannot be resolved: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's answer.
        source: io::Error,
    },
    /// No address of the host takes connections: wrong port, service down, or a firewall in between.
    #[error("cannot connect to {peer}: {source}")]
    Connect {
        /// Host and port.
        peer: String,
        /// The last address's error.
        source: io::Error,
    },
    /// The server's certificate does not verify. Never retried with weaker checks.
    #[error("the certificate of {host} does not verify: {reason}")]
    Certificate {
        /// The name that was asked for.
        host: String,
        /// What the verifier found.
        reason: String,
    },
    /// TLS could not be agreed on for another reason.
    #[error("TLS with {host} failed: {source}")]
    Tls {
        /// The name that was asked for.
        host: String,
        /// The failure.
        source: io::Error,
    },
    /// The peer does not speak the one HTTP version that was asked for.
    #[error("{host} does not offer HTTP/2")]
    NoHttp2 {
        /// The peer.
        host: String,
    },
    /// The peer speaks none of the HTTP versions that were offered to it.
    #[error("{host} takes none of the HTTP versions offered")]
    NoCommonHttp {
        /// The peer.
        host: String,
    },
    /// The proxy is not there, its name has no address, or it does not answer as a proxy does.
    #[error("cannot go through the proxy {proxy} (from {variable}): {source}")]
    Proxy {
        /// Its URL, without user and password.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// The proxy wants a user and password in its URL, or does not take those that are there.
    #[error("the proxy {proxy} (from {variable}) {}", if *.given { "does not take the user and password in its URL" } else { "wants a user and password" })]
    ProxyLogin {
        /// Its URL, without user and password.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// Whether the proxy's URL has a user and password.
        given: bool,
    },
    /// The proxy does not connect to the server: it may not, or it gets no connection itself.
    #[error("the proxy {proxy} (from {variable}) gives no connection to {peer}: {reason}")]
    ProxyRefused {
        /// Its URL, without user and password.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// The server's host and port.
        peer: String,
        /// The proxy's status.
        reason: String,
        /// Whether people have to change something first: its rules, not the network's state.
        permanent: bool,
    },
    /// No byte moved in either direction for this long; the link was cut.
    #[error("no byte moved for {} s", .0.as_secs())]
    Stalled(Duration),
    /// So few bytes moved in the time that the other end cannot mean to come to an end; the link was cut.
    #[error("only {bytes} bytes moved in {seconds} s")]
    TooSlow {
        /// Bytes in both directions.
        bytes: u64,
        /// Seconds in which they were waited for.
        seconds: u32,
    },
    /// The connection broke: reset, closed, or an answer cut off before its end.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer was larger than the caller allowed.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl LinkError {
    /// Whether another attempt cannot end differently until a person changes something.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            LinkError::Certificate { .. }
                | LinkError::NoHttp2 { .. }
                | LinkError::TooLarge { .. }
                | LinkError::ProxyLogin { .. }
                | LinkError::ProxyRefused { permanent: true, .. }
        )
    }

    /// Whether no exchange could even begin: nothing there, or not what the URL says (https to a port without
    /// TLS, a server that is not HTTP).
    pub fn is_unreachable(&self) -> bool {
        !matches!(self, LinkError::Stalled(_) | LinkError::TooSlow { .. } | LinkError::TooLarge { .. })
    }

    /// Whether the server may have got the request: it was sent, or at least begun.
    pub fn maybe_sent(&self) -> bool {
        matches!(
            self,
            LinkError::Stalled(_)
                | LinkError::TooSlow { .. }
                | LinkError::Broken(_)
                | LinkError::TooLarge { .. }
        )
    }

    pub(crate) fn broken(error: &hyper::Error) -> Self {
        // The chain holds the reason (`connection reset by peer`); hyper's own text names the phase.
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        LinkError::Broken(text)
    }
}
