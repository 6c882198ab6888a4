//! Which requests go through a proxy: the variables that Go's programs read, AzCopy among them.
//!
//! Source of the rules: golang.org/x/net/http/httpproxy. What is added: `ALL_PROXY` as the last resort, and that a
//! variable that cannot be used is an error and not passed over.

mod exempt;

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::uri::Authority;
use percent_encoding::percent_decode_str;

use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::secrets;
use exempt::Exempt;

/// Why the environment's proxies cannot be used. No text of it contains the variable's value, which may hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The variable holds no proxy's URL. Correct it, or unset it.
    #[error("{variable} cannot be used: {reason}; a proxy looks like http://HOST:PORT")]
    Variable {
        /// Its name, such as `HTTPS_PROXY`.
        variable: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// The proxies of this machine, and what goes without.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    https: Option<Arc<Proxy>>,
    http: Option<Arc<Proxy>>,
    exempt: Exempt,
}

impl Proxies {
    /// Reads `HTTPS_PROXY` for https endpoints, `HTTP_PROXY` for http ones (not in a CGI program, where the variable is
    /// a header of the request), `ALL_PROXY` for both where there is none, and `NO_PROXY`; each in capitals first, then
    /// in lower case. `env` reads a variable.
    ///
    /// # Errors
    /// [`ProxyError::Variable`].
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let set = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let text = env(name).filter(|text| !text.trim().is_empty())?;
                Some((name, text))
            })
        };
        let proxy = |names| {
            set(names).map(|(variable, text)| Proxy::parse(variable, &text).map(Arc::new)).transpose()
        };
        // Desktops set it to what not every program understands: it is looked at where nothing else is set.
        let last = || proxy(["ALL_PROXY", "all_proxy"]);
        let https = match proxy(["HTTPS_PROXY", "https_proxy"])? {
            None => last()?,
            https => https,
        };
        let is_cgi = env("REQUEST_METHOD").is_some_and(|method| !method.is_empty());
        let http = match if is_cgi { None } else { proxy(["HTTP_PROXY", "http_proxy"])? } {
            // Where https has its own, what is wrong with the last resort concerns few.
            None if https.is_some() => last().unwrap_or_default(),
            None => last()?,
            http => http,
        };
        let exempt = set(["NO_PROXY", "no_proxy"]).map(|(_, text)| Exempt::parse(&text)).unwrap_or_default();
        Ok(Self { https, http, exempt })
    }

    /// The proxy that connections to `endpoint` go through, for messages: its URL without user and password, and the
    /// variable it comes from.
    pub fn describe(&self, endpoint: &Endpoint) -> Option<String> {
        self.of(endpoint).map(|proxy| format!("{proxy} (from {})", proxy.variable))
    }

    /// Whether connections to `endpoint` need TLS, be it only up to the proxy.
    pub fn need_tls(&self, endpoint: &Endpoint) -> bool {
        endpoint.tls || self.of(endpoint).is_some_and(|proxy| proxy.endpoint.tls)
    }

    pub(crate) fn of(&self, endpoint: &Endpoint) -> Option<&Arc<Proxy>> {
        let proxy = if endpoint.tls { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.exempt.covers(endpoint))
    }
}

#[derive(Debug)]
pub(crate) struct Proxy {
    socks: bool,
    /// Where it listens, and whether it is spoken to in TLS.
    pub(crate) endpoint: Endpoint,
    pub(crate) login: Option<Login>,
    variable: &'static str,
}

/// A user and password for a proxy. Cannot be printed.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("REDACTED")
    }
}

impl Login {
    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// The proxy's URL without its user and password.
impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match (self.socks, self.endpoint.tls) {
            (true, _) => "socks5",
            (false, true) => "https",
            (false, false) => "http",
        };
        write!(f, "{scheme}://{}", self.endpoint)
    }
}

impl Proxy {
    /// Reads `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT]`; what stands behind is of no meaning.
    fn parse(variable: &'static str, text: &str) -> Result<Self, ProxyError> {
        let fault = |reason: String| ProxyError::Variable { variable, reason };
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (socks, tls, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, false, 80),
            "https" => (false, true, 443),
            "socks" | "socks5" | "socks5h" => (true, false, 1080),
            _ => return Err(fault("its scheme is not http, https, socks5 or socks5h".to_owned())),
        };
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest[place.len()..].contains('@') {
            // Behind a host there is nothing to be said: what stands in front of the `@` is a login, and must not be
            // taken for a host, which messages name.
            secrets::register(rest.rsplit_once('@').map_or(rest, |(login, _)| login));
            return Err(fault(
                "its user or password has a `/`, `?` or `#`, written %2F, %3F and %23 in a URL".to_owned(),
            ));
        }
        let (login, place) = match place.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, place),
        };
        let place: Authority = place.parse().map_err(|_| fault("it names no valid host".to_owned()))?;
        let port = match place.port_u16() {
            Some(0) => None,
            Some(port) => Some(port),
            None if place.as_str().rsplit(']').next().is_some_and(|tail| tail.contains(':')) => None,
            None => Some(usual_port),
        };
        let port = port.ok_or_else(|| fault("its port is not a number from 1 to 65535".to_owned()))?;
        let host = place.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(fault("it names no host".to_owned()));
        }
        let login = login.map(|login| read_login(login, socks)).transpose().map_err(fault)?;
        Ok(Self { socks, endpoint: Endpoint { tls, host, port }, login, variable })
    }

    /// Whether it speaks SOCKS 5 (RFC 1928), and not HTTP.
    pub(crate) fn is_socks(&self) -> bool {
        self.socks
    }

    /// It is not there, or does not answer as a proxy does.
    pub(crate) fn fault(&self, source: std::io::Error) -> LinkError {
        LinkError::Proxy { proxy: self.to_string(), variable: self.variable, source }
    }

    /// It wants to know who asks, or does not know them.
    pub(crate) fn wants_login(&self) -> LinkError {
        let given = self.login.is_some();
        LinkError::ProxyLogin { proxy: self.to_string(), variable: self.variable, given }
    }

    /// It will not connect to `peer`.
    pub(crate) fn refused(&self, peer: &Endpoint, reason: String, permanent: bool) -> LinkError {
        let (proxy, peer) = (self.to_string(), peer.to_string());
        LinkError::ProxyRefused { proxy, variable: self.variable, peer, reason, permanent }
    }
}

fn read_login(text: &str, socks: bool) -> Result<Login, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decode = |part: &str| match percent_decode_str(part).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("its user or password is not UTF-8 after decoding".to_owned()),
    };
    let login = Login { user: decode(user)?, password: decode(password)? };
    secrets::register(&login.password);
    secrets::register(login.basic().trim_start_matches("Basic "));
    // RFC 1929: each has one byte for its length.
    if socks && (login.user.is_empty() || login.user.len() > 255 || login.password.len() > 255) {
        return Err("SOCKS 5 takes users of 1 to 255 bytes and passwords of at most 255".to_owned());
    }
    Ok(login)
}

#[cfg(test)]
mod tests;
