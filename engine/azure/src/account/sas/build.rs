//! Making a SAS.
//!
//! Source: "Create an account SAS", "Create a service SAS" and "Create a user delegation SAS", strings to sign of
//! version 2025-07-05; where they leave a question, what `@azure/storage-blob` makes of it.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::delegation::UserDelegationKey;
use super::{Sas, date};
use crate::account::shared_key::AccountKey;
use crate::account::version::SERVICE_VERSION;

/// What stays as it is in a value, as in `encodeURIComponent`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The letters of each kind, in the order they have to have.
const ACCOUNT: &str = "rwdxftlacupiy";
const CONTAINER: &str = "racwdxltmeiyf";
const BLOB: &str = "racwdxtmeiy";

/// A user delegation SAS is valid for at most as long as its key can be.
const MAX_DELEGATED: Duration = Duration::from_secs(7 * 86_400);

/// Why a SAS cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SasBuildError {
    /// A letter that a SAS of this kind does not have.
    #[error("`{letter}` is no letter of {field} here; there are {known}")]
    Letter {
        /// The first letter that the SAS may not have.
        letter: char,
        /// `sp`, `ss` or `srt`.
        field: &'static str,
        /// All letters that are allowed there.
        known: &'static str,
    },
    /// Permissions or expiry are not given, and no stored policy says them; or services or resource types are empty.
    #[error("a SAS needs {0}")]
    Missing(&'static str),
    /// It would end before it begins.
    #[error("the SAS would end at {}, which is not after its beginning at {}", date::write(*.expiry), date::write(*.start))]
    Order {
        /// Its beginning.
        start: SystemTime,
        /// Its end.
        expiry: SystemTime,
    },
    /// A user delegation SAS of more than 7 days.
    #[error("a user delegation SAS is valid for 7 days at most: it would end at {}", date::write(*.0))]
    TooLong(SystemTime),
    /// A user delegation SAS outside of the time its key is valid in.
    #[error("the SAS is not valid longer than its user delegation key, which is from {start} to {expiry}")]
    BeyondKey {
        /// The key's beginning.
        start: String,
        /// The key's end.
        expiry: String,
    },
    /// Only a service SAS can have a stored policy.
    #[error(
        "only a SAS of a container or blob that is signed with the account's key can have a stored policy"
    )]
    Policy,
    /// Not an address.
    #[error("`{0}` is neither an IPv4 address nor a range of them (10.0.0.1-10.0.0.9)")]
    Ip(String),
}

azuring_plan::growing! {
    /// Headers of the answer to a read that a SAS can set in the place of the blob's own.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    #[non_exhaustive]
    pub struct SasOverrides {
        /// `Cache-Control` (`rscc`).
        pub cache_control: Option<String>,
        /// `Content-Disposition` (`rscd`).
        pub content_disposition: Option<String>,
        /// `Content-Encoding` (`rsce`).
        pub content_encoding: Option<String>,
        /// `Content-Language` (`rscl`).
        pub content_language: Option<String>,
        /// `Content-Type` (`rsct`).
        pub content_type: Option<String>,
    }
}

impl SasOverrides {
    /// Names and values, in the order of the string to sign and of the query.
    fn fields(&self) -> [(&'static str, &str); 5] {
        [
            ("rscc", text(&self.cache_control)),
            ("rscd", text(&self.content_disposition)),
            ("rsce", text(&self.content_encoding)),
            ("rscl", text(&self.content_language)),
            ("rsct", text(&self.content_type)),
        ]
    }
}

/// What a SAS is to say. For https only, unless [`SasBuilder::allow_http`].
#[derive(Clone, Debug, Default)]
pub struct SasBuilder {
    permissions: String,
    start: Option<SystemTime>,
    expiry: Option<SystemTime>,
    ip: Option<String>,
    allow_http: bool,
    policy: Option<String>,
    encryption_scope: Option<String>,
    overrides: SasOverrides,
}

impl SasBuilder {
    /// A SAS with these letters in `sp`, in whatever order; none where a stored policy says them.
    pub fn new(permissions: &str) -> Self {
        Self { permissions: permissions.to_owned(), ..Self::default() }
    }

    /// Not valid before this time; otherwise at once. To the second.
    pub fn starts_at(mut self, start: SystemTime) -> Self {
        self.start = Some(start);
        self
    }

    /// Not valid from this time on. To the second.
    pub fn expires_at(mut self, expiry: SystemTime) -> Self {
        self.expiry = Some(expiry);
        self
    }

    /// Only from this IPv4 address or range of them (`10.0.0.1-10.0.0.9`).
    pub fn ip(mut self, ip: &str) -> Self {
        self.ip = Some(ip.to_owned());
        self
    }

    /// Without TLS too.
    pub fn allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// With what the container's stored access policy of this id says. What the policy says must not be said here too.
    pub fn policy(mut self, id: &str) -> Self {
        self.policy = Some(id.to_owned());
        self
    }

    /// Blobs are written under this encryption scope.
    pub fn encryption_scope(mut self, scope: &str) -> Self {
        self.encryption_scope = Some(scope.to_owned());
        self
    }

    /// With these headers in answers; not for an account SAS, which has none.
    pub fn overrides(mut self, overrides: SasOverrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// An account SAS: for `services` of `bfqt` and `resource_types` of `sco`.
    ///
    /// # Errors
    /// [`SasBuildError`].
    pub fn account(
        &self,
        key: &AccountKey,
        services: &str,
        resource_types: &str,
    ) -> Result<Sas, SasBuildError> {
        if self.policy.is_some() {
            return Err(SasBuildError::Policy);
        }
        let mut fields = self.common(ACCOUNT)?;
        fields.services = in_order(services, "btqf", "ss")?;
        fields.resource_types = in_order(resource_types, "sco", "srt")?;
        for (given, what) in
            [(&fields.services, "services (ss)"), (&fields.resource_types, "resource types (srt)")]
        {
            if given.is_empty() {
                return Err(SasBuildError::Missing(what));
            }
        }
        let f = &fields;
        let to_sign = [
            key.account(),
            &f.permissions,
            &f.services,
            &f.resource_types,
            &f.start,
            &f.expiry,
            &f.ip,
            f.protocol,
            SERVICE_VERSION,
            text(&self.encryption_scope),
            "",
        ];
        let signature = key.signature(&to_sign.join("\n"));
        let query = [
            ("sv", SERVICE_VERSION),
            ("ss", &f.services),
            ("srt", &f.resource_types),
            ("spr", f.protocol),
            ("st", &f.start),
            ("se", &f.expiry),
            ("sip", &f.ip),
            ("ses", text(&self.encryption_scope)),
            ("sp", &f.permissions),
            ("sig", &signature),
        ];
        Ok(write(&query))
    }

    /// A service SAS for a container and its blobs.
    ///
    /// # Errors
    /// [`SasBuildError`].
    pub fn container(&self, key: &AccountKey, container: &str) -> Result<Sas, SasBuildError> {
        self.service(key, container, None)
    }

    /// A service SAS for one blob; its name is not percent-encoded.
    ///
    /// # Errors
    /// [`SasBuildError`].
    pub fn blob(&self, key: &AccountKey, container: &str, name: &str) -> Result<Sas, SasBuildError> {
        self.service(key, container, Some(name))
    }

    fn service(&self, key: &AccountKey, container: &str, blob: Option<&str>) -> Result<Sas, SasBuildError> {
        let of = resource(key.account(), container, blob);
        self.signed(&of, letters_of(blob), &[text(&self.policy)], &[], |text| key.signature(text))
    }

    /// A user delegation SAS for a container, or for one blob in it, of `account`; valid for 7 days at most, and no
    /// longer than the key. Its name is not percent-encoded.
    ///
    /// # Errors
    /// [`SasBuildError`].
    pub fn delegated(
        &self,
        account: &str,
        key: &UserDelegationKey,
        container: &str,
        blob: Option<&str>,
    ) -> Result<Sas, SasBuildError> {
        if self.policy.is_some() {
            return Err(SasBuildError::Policy);
        }
        let letters = letters_of(blob);
        self.common(letters)?;
        self.within(key)?;
        // The empty ones: saoid, suoid, scid, skdutid, sduoid.
        let mut to_sign =
            vec![key.object_id.as_str(), &key.tenant_id, &key.start, &key.expiry, &key.service, &key.version];
        to_sign.extend([""; 5]);
        let names = ["skoid", "sktid", "skt", "ske", "sks", "skv"];
        let query: Vec<_> = names.into_iter().zip(to_sign.iter().copied()).collect();
        let of = resource(account, container, blob);
        self.signed(&of, letters, &to_sign, &query, |text| key.signature(text))
    }

    /// A SAS for a container or a blob: what is signed, and the query. `to_sign` and `query` are what this kind of SAS
    /// has between the rest.
    fn signed(
        &self,
        (resource, of): &(&'static str, String),
        letters: &'static str,
        to_sign: &[&str],
        query: &[(&'static str, &str)],
        sign: impl FnOnce(&str) -> String,
    ) -> Result<Sas, SasBuildError> {
        let f = self.common(letters)?;
        let overrides = self.overrides.fields();
        let scope = text(&self.encryption_scope);
        let mut all = vec![f.permissions.as_str(), &f.start, &f.expiry, of];
        all.extend(to_sign);
        // Behind the resource stands the time of a snapshot.
        all.extend([&*f.ip, f.protocol, SERVICE_VERSION, resource, "", scope]);
        all.extend(overrides.map(|(_, value)| value));
        let signature = sign(&all.join("\n"));
        let mut pairs = vec![
            ("sv", SERVICE_VERSION),
            ("spr", f.protocol),
            ("st", &*f.start),
            ("se", &*f.expiry),
            ("sip", &*f.ip),
            ("si", text(&self.policy)),
            ("ses", scope),
        ];
        pairs.extend_from_slice(query);
        pairs.extend([("sr", *resource), ("sp", &*f.permissions)]);
        pairs.extend(overrides);
        pairs.push(("sig", &signature));
        Ok(write(&pairs))
    }

    /// Whether the time of the SAS lies within the key's.
    fn within(&self, key: &UserDelegationKey) -> Result<(), SasBuildError> {
        let expiry = self.expiry.ok_or(SasBuildError::Missing("an expiry (se)"))?;
        let (key_start, key_expiry) = (date::read(&key.start), date::read(&key.expiry));
        let start = self.start.max(key_start);
        if let Some(start) = start
            // Times are written in whole seconds.
            && expiry.duration_since(start).is_ok_and(|length| length.as_secs() > MAX_DELEGATED.as_secs())
        {
            return Err(SasBuildError::TooLong(expiry));
        }
        if key_expiry.is_some_and(|end| date::write(expiry) > date::write(end)) {
            return Err(SasBuildError::BeyondKey { start: key.start.clone(), expiry: key.expiry.clone() });
        }
        Ok(())
    }

    /// What every kind has, checked and written.
    fn common(&self, letters: &'static str) -> Result<Fields, SasBuildError> {
        let permissions = in_order(&self.permissions, letters, "sp")?;
        if self.policy.is_none() {
            if permissions.is_empty() {
                return Err(SasBuildError::Missing("permissions (sp)"));
            }
            if self.expiry.is_none() {
                return Err(SasBuildError::Missing("an expiry (se)"));
            }
        }
        let (start, expiry) = (self.start.map(date::write), self.expiry.map(date::write));
        if let (Some(start), Some(expiry)) = (self.start, self.expiry)
            && date::write(start) >= date::write(expiry)
        {
            return Err(SasBuildError::Order { start, expiry });
        }
        Ok(Fields {
            permissions,
            start: start.unwrap_or_default(),
            expiry: expiry.unwrap_or_default(),
            ip: self.ip.as_deref().map(addresses).transpose()?.unwrap_or_default(),
            protocol: if self.allow_http { "https,http" } else { "https" },
            ..Fields::default()
        })
    }
}

/// What is signed; empty where there is nothing.
#[derive(Default)]
struct Fields {
    permissions: String,
    services: String,
    resource_types: String,
    start: String,
    expiry: String,
    ip: String,
    protocol: &'static str,
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

fn letters_of(blob: Option<&str>) -> &'static str {
    if blob.is_some() { BLOB } else { CONTAINER }
}

/// `sr`, and what it is in the string to sign.
fn resource(account: &str, container: &str, blob: Option<&str>) -> (&'static str, String) {
    match blob {
        Some(name) => ("b", format!("/blob/{account}/{container}/{name}")),
        None => ("c", format!("/blob/{account}/{container}")),
    }
}

/// Each of the letters once, in the order they have to have.
fn in_order(given: &str, known: &'static str, field: &'static str) -> Result<String, SasBuildError> {
    match given.chars().find(|&letter| !known.contains(letter)) {
        Some(letter) => Err(SasBuildError::Letter { letter, field, known }),
        None => Ok(known.chars().filter(|&letter| given.contains(letter)).collect()),
    }
}

fn addresses(text: &str) -> Result<String, SasBuildError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse::<Ipv4Addr>(), last.trim().parse::<Ipv4Addr>()) {
        (Ok(first), Ok(last)) if first == last && !text.contains('-') => Ok(first.to_string()),
        (Ok(first), Ok(last)) if first <= last => Ok(format!("{first}-{last}")),
        _ => Err(SasBuildError::Ip(text.to_owned())),
    }
}

/// The query; what is empty is left out.
fn write(fields: &[(&str, &str)]) -> Sas {
    let mut query = String::with_capacity(512);
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.extend(utf8_percent_encode(value, VALUE));
    }
    Sas::parse(&query).expect("it has a version, a signature, and an end or a policy")
}

#[cfg(test)]
mod tests;
