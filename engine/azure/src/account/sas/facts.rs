//! What a SAS says of itself.

use std::time::SystemTime;

use percent_encoding::percent_decode_str;

use super::date;

/// What a service SAS or a user delegation SAS is for (`sr`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SasResource {
    /// A container with all its blobs (`c`).
    Container,
    /// One blob (`b`).
    Blob,
    /// A directory with what is below it (`d`), in accounts with a hierarchical namespace.
    Directory,
    /// A snapshot of a blob (`bs`).
    Snapshot,
    /// A version of a blob (`bv`).
    Version,
    /// Something else, for instance a file share (`s`).
    Other(String),
}

impl SasResource {
    fn read(text: &str) -> Self {
        match text {
            "c" => SasResource::Container,
            "b" => SasResource::Blob,
            "d" => SasResource::Directory,
            "bs" => SasResource::Snapshot,
            "bv" => SasResource::Version,
            other => SasResource::Other(other.to_owned()),
        }
    }

    /// The value of `sr`.
    pub(super) fn as_str(&self) -> &str {
        match self {
            SasResource::Container => "c",
            SasResource::Blob => "b",
            SasResource::Directory => "d",
            SasResource::Snapshot => "bs",
            SasResource::Version => "bv",
            SasResource::Other(other) => other,
        }
    }
}

/// Who signed a SAS, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SasKind {
    /// With the account's key, for whole services.
    Account {
        /// `ss`: `b` blobs, `f` files, `q` queues, `t` tables.
        services: String,
        /// `srt`: `s` the service, `c` containers, `o` objects.
        resource_types: String,
    },
    /// With the account's key, for one resource.
    Service(SasResource),
    /// With a key that an identity of Microsoft Entra ID got from the service, for one resource. Its permissions are
    /// those of the identity at most.
    UserDelegation {
        /// The container, directory, blob, snapshot or version that it gives access to.
        resource: SasResource,
        /// The identity's object id (`skoid`).
        object_id: String,
    },
}

/// What a SAS says of itself, but for its signature. `None` is what it does not say: a stored policy may, or there is
/// no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SasFacts {
    /// Who signed it, for what.
    pub kind: SasKind,
    /// The stored access policy of the container that says the rest (`si`).
    pub policy: Option<String>,
    /// The version of the service it is for (`sv`).
    pub version: String,
    /// When it begins to be valid.
    pub start: Option<SystemTime>,
    /// When it ends to be valid; for a user delegation SAS not later than its key.
    pub expiry: Option<SystemTime>,
    /// The letters of `sp`.
    pub permissions: Option<String>,
    /// Whether it may be used without TLS (`spr`).
    pub allows_http: bool,
    /// The addresses it may be used from (`sip`).
    pub ip: Option<String>,
}

impl SasFacts {
    /// Reads the query of a SAS that was parsed before.
    pub(super) fn read(query: &str) -> Self {
        let value = |wanted: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
            Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
        };
        let time = |name: &str| value(name).and_then(|text| date::read(&text));
        let resource = || SasResource::read(&value("sr").unwrap_or_default());
        let kind = match (value("ss"), value("srt"), value("skoid")) {
            (None, None, None) => SasKind::Service(resource()),
            (None, None, Some(object_id)) => SasKind::UserDelegation { resource: resource(), object_id },
            (services, types, _) => SasKind::Account {
                services: services.unwrap_or_default(),
                resource_types: types.unwrap_or_default(),
            },
        };
        let key_expiry = time("ske");
        let expiry = time("se").map(|end| key_expiry.map_or(end, |of_key| of_key.min(end)));
        Self {
            kind,
            policy: value("si").filter(|id| !id.is_empty()),
            version: value("sv").unwrap_or_default(),
            start: time("st").max(time("skt")),
            expiry: expiry.or(key_expiry),
            permissions: value("sp").filter(|letters| !letters.is_empty()),
            allows_http: value("spr").is_none_or(|protocols| protocols.split(',').any(|p| p == "http")),
            ip: value("sip").filter(|ip| !ip.is_empty()),
        }
    }
}
