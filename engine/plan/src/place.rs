//! Places as people write them: a local path, a pipe, or something at a service.
//!
//! The service is told by the host ([`crate::host`]) or by the user (`--from-to`), once, when the place is read. Nobody
//! looks at a host again to find out what it might be.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use crate::host::{EMULATOR_ACCOUNT, account_of, bucket_of, is_emulator, service_of};
use crate::location::Location;

/// Where stdin or stdout stand for a file.
pub const PIPE: &str = "-";
/// Where bytes are read and verified, and nothing is kept.
pub const NULL: &str = "/dev/null";

/// A host's name in DNS has no more.
const MAX_HOST_BYTES: usize = 253;

/// One end of a transfer, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A path on this machine.
    Local(PathBuf),
    /// stdin or stdout.
    Pipe,
    /// At a service.
    Remote(Remote),
}

/// An account, a container or bucket, or something in one, at a service. It knows no secret: of the query only the
/// snapshot or version is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    service: Location,
    tls: bool,
    host: String,
    port: u16,
    style: Style,
    account: Option<String>,
    bucket: String,
    path: String,
    snapshot: Option<String>,
    version: Option<String>,
}

/// How a URL names its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH`, and custom domains of an account.
    Host,
    /// `http://127.0.0.1:PORT/ACCOUNT/CONTAINER/PATH`.
    Path,
    /// `https://BUCKET.s3.REGION.amazonaws.com/PATH`: there is no account, and the bucket stands in the host.
    Bucket,
}

/// Whose rules the names of objects follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRules {
    /// Azure's: some names are stored under another one ([`crate::name::stored_as`]).
    Azure,
    /// Every name is kept as it is.
    Exact,
}

/// Why a text is no place. No text of it contains a query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Not a URL, or not one of http(s).
    #[error("{url} is not a URL: {reason}")]
    Malformed {
        /// The URL without its query.
        url: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A snapshot or version that cannot be meant.
    #[error("a snapshot or version {reason}: leave `snapshot` and `versionid` out of the URL")]
    State {
        /// Why it cannot be.
        reason: &'static str,
    },
}

impl Location {
    /// What a source or destination argument is, as far as its shape tells.
    ///
    /// An `http://` or `https://` URL is told by its host ([`crate::host::service_of`]). A host that tells nothing is a
    /// Blob endpoint: an emulator, a gateway, a custom domain (AzCopy asks for `--from-to` there). `-` is a pipe;
    /// anything else is a local path.
    #[must_use]
    pub fn of(argument: &str) -> Self {
        match http_host(argument) {
            Some(host) => service_of(&host).unwrap_or(Self::Blob),
            None if argument == PIPE => Self::Pipe,
            None => Self::Local,
        }
    }
}

impl Place {
    /// Reads an argument. `said` is what the user says it is; without it its shape tells.
    ///
    /// # Errors
    /// [`PlaceError`] for a URL that cannot be read.
    pub fn parse(argument: &OsStr, said: Option<Location>) -> Result<Self, PlaceError> {
        let text = argument.to_string_lossy();
        match said.unwrap_or_else(|| Location::of(&text)) {
            Location::Pipe => Ok(Self::Pipe),
            service if service.is_remote() => {
                Remote::parse(&text, Some(service)).map(|(remote, _)| Self::Remote(remote))
            }
            _ => Ok(Self::Local(argument.into())),
        }
    }

    /// How it is written: with [`Self::location`] beside it, the same place is read from it.
    #[must_use]
    pub fn to_os_string(&self) -> OsString {
        match self {
            Self::Local(path) => path.as_os_str().to_owned(),
            Self::Pipe => PIPE.into(),
            Self::Remote(remote) => remote.to_string().into(),
        }
    }

    /// The kind of place, for the pair table: local, a pipe, or the service of the URL.
    #[must_use]
    pub fn location(&self) -> Location {
        match self {
            Self::Local(_) => Location::Local,
            Self::Pipe => Location::Pipe,
            Self::Remote(remote) => remote.service,
        }
    }
}

impl Remote {
    /// Reads a URL, and gives what else stands in its query: a SAS, perhaps. `service` is what the user says; without
    /// it the host tells, and Blob storage is what a host is that tells nothing.
    ///
    /// The account stands in the path when the host is known to be an emulator's, or when the first segment is the
    /// emulator's account; otherwise it is the first label of a host that has the service's name.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn parse(text: &str, service: Option<Location>) -> Result<(Self, String), PlaceError> {
        let (bare, query) = text.split_once('?').unwrap_or((text, ""));
        let fault = |reason| PlaceError::Malformed { url: bare.to_owned(), reason };
        let (scheme, rest) = bare.split_once("://").ok_or_else(|| fault("there is no https:// in front"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(fault("only https:// and http:// are known")),
        };
        let (authority, raw_path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(fault("a user name in the URL is not supported"));
        }
        let (host, port) = host_and_port(authority).map_err(fault)?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let service = service.or_else(|| service_of(&host)).unwrap_or(Location::Blob);
        let in_host = bucket_of(&host).filter(|_| service == Location::S3).map(str::to_owned);
        let (first, behind) = raw_path.split_once('/').unwrap_or((raw_path, ""));
        let is_in_path = first == EMULATOR_ACCOUNT || (is_emulator(&host) && account_of(&host).is_none());
        let (style, account, after) = match in_host {
            Some(_) => (Style::Bucket, None, raw_path),
            None if is_in_path => (Style::Path, Some(first.to_owned()), behind),
            None => (Style::Host, account_of(&host).map(str::to_owned), raw_path),
        };
        if query.is_empty() && after.contains("&sig=") {
            // Not shown: the signature is in it.
            let url = format!("{scheme}://{authority}/...");
            let reason = "a SAS stands in its path: it begins with `?`, not with `&`";
            return Err(PlaceError::Malformed { url, reason });
        }
        let (bucket, path) = match &in_host {
            Some(bucket) => (&**bucket, after),
            None => after.split_once('/').unwrap_or((after, "")),
        };
        let mut place = Self {
            service,
            tls,
            port,
            style,
            account,
            bucket: bucket.to_owned(),
            path: path.to_owned(),
            snapshot: None,
            version: None,
            host,
        };
        let rest = place.take_state(query)?;
        Ok((place, rest))
    }

    /// Takes the snapshot or version out of a query.
    fn take_state(&mut self, query: &str) -> Result<String, PlaceError> {
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name.to_ascii_lowercase().as_str() {
                "snapshot" => &mut self.snapshot,
                "versionid" => &mut self.version,
                _ => {
                    rest.push(pair);
                    continue;
                }
            };
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            if value.is_empty() || place.replace(value).is_some() {
                return Err(PlaceError::State { reason: "has one value" });
            }
        }
        if self.snapshot.is_some() && self.version.is_some() {
            return Err(PlaceError::State { reason: "is named, and both are" });
        }
        Ok(rest.join("&"))
    }

    /// Which service it is at, as the host or the user told.
    #[must_use]
    pub fn service(&self) -> Location {
        self.service
    }

    /// Whether it is reached over https.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The host in lower case, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// As written in the URL; otherwise 443 for https and 80 for http.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The account's name, where the URL tells it. A custom domain does not.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The account, where it stands in the path.
    #[must_use]
    pub fn account_in_path(&self) -> Option<&str> {
        self.account().filter(|_| self.style == Style::Path)
    }

    /// The container, share, filesystem or bucket as it was given, percent-encoded; empty for the account.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The path below it as it was given, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The snapshot that is named.
    #[must_use]
    pub fn snapshot(&self) -> Option<&str> {
        self.snapshot.as_deref()
    }

    /// The version that is named.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whose rules names follow: Azure's under every host that is not known to be an emulator or a gateway, since
    /// `http://data.contoso.com/CONTAINER` may well be the service.
    #[must_use]
    pub fn names(&self) -> NameRules {
        let is_azure = !matches!(self.service, Location::S3 | Location::Gcp);
        if is_azure && self.style == Style::Host && !is_emulator(&self.host) {
            NameRules::Azure
        } else {
            NameRules::Exact
        }
    }
}

/// The URL, from which the same place is read.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "https://" } else { "http://" })?;
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if self.port != if self.tls { 443 } else { 80 } {
            write!(f, ":{}", self.port)?;
        }
        if let Some(account) = self.account_in_path() {
            write!(f, "/{account}")?;
        }
        if self.style != Style::Bucket {
            write!(f, "/{}", self.bucket)?;
        }
        if !self.path.is_empty() {
            write!(f, "/{}", self.path)?;
        }
        for (name, value) in [("snapshot", &self.snapshot), ("versionid", &self.version)] {
            if let Some(value) = value {
                write!(f, "?{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))?;
            }
        }
        Ok(())
    }
}

/// The host in lower case and without brackets, and the port, of what stands between `//` and `/`.
fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    const HOST: &str = "its host is not valid";
    const PORT: &str = "its port is not a number from 1 to 65535";
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (address, behind) = bracketed.split_once(']').ok_or(HOST)?;
            address.parse::<Ipv6Addr>().map_err(|_| HOST)?;
            match behind {
                "" => (address, None),
                behind => (address, Some(behind.strip_prefix(':').ok_or(HOST)?)),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_bracketed = authority.starts_with('[');
    let is_legal = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if host.is_empty() {
        return Err("it has no host");
    }
    if host.len() > MAX_HOST_BYTES || (!is_bracketed && !host.bytes().all(is_legal)) {
        return Err(HOST);
    }
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|&port| port > 0).ok_or(PORT)?)
        }
        Some(_) => return Err(PORT),
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// The host of an http(s) URL in lower case, without user, port and brackets. It need not be a valid one: whoever reads
/// the place says so.
fn http_host(argument: &str) -> Option<String> {
    let (scheme, rest) = argument.split_once("://")?;
    if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
