//! Access to a blob for somebody else: the service of another account, which reads it for a copy.
//!
//! Whoever reads it has to be authorized by the request alone, also within one account. A SAS and a public container
//! stand in the URL; a token goes with it; for the account's key a SAS is made that can read one container, for some
//! hours.

use std::time::{Duration, SystemTime};

use azuring_store::{Grant, Which};
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::account::credential::Credential;
use crate::account::sas::{Sas, SasBuilder};
use crate::account::secret::Secret;
use crate::account::which::query_of;
use crate::exchange::client::BlobClient;
use crate::exchange::error::{RequestError, ServiceError};

/// How long a SAS is valid that is made for others.
const LENT: Duration = Duration::from_secs(24 * 3600);
/// It begins so much earlier: the clocks of the two services, and of this machine, differ.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// One that is valid for less than this is replaced: the service may wait before it reads.
const SPARE: Duration = Duration::from_secs(3600);

/// The SAS that was made last.
pub(crate) struct Lent {
    sas: Sas,
    /// The container it is for.
    container: String,
    renew: SystemTime,
}

/// Access to a blob, as it was authorized now.
pub struct Granted {
    url: Secret,
    authorization: Option<HeaderValue>,
    /// The key that this client reads with, and its SHA-256.
    key: Option<(HeaderValue, HeaderValue)>,
    /// The number of the token, where it is one that authorizes.
    token: Option<u64>,
}

impl Granted {
    /// Access to a range (first and last byte; `None`: all) of the blob in the state of this ETag.
    pub fn to<'a>(&'a self, tag: Option<&'a str>, range: Option<(u64, u64)>) -> Grant<'a> {
        let authorization = self.authorization.as_ref().and_then(|header| header.to_str().ok());
        let key = self.key.as_ref();
        let key = key.and_then(|(key, sha256)| Some((key.to_str().ok()?, sha256.to_str().ok()?)));
        Grant { url: self.url.expose(), authorization, tag, range, md5: None, key }
    }
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").finish_non_exhaustive()
    }
}

impl BlobClient {
    /// Grants access to a blob (its name percent-encoded) in the way that this client has access itself.
    ///
    /// # Errors
    /// [`RequestError::Token`] where there is no token.
    pub async fn grant(&self, name: &str, which: Which<'_>) -> Result<Granted, RequestError> {
        let number = self.token_ready().await?;
        let target = self.target();
        let mut url = format!("{}://{}{}/{name}", target.scheme, target.authority, target.container_path);
        let mut mark = '?';
        for (parameter, value) in query_of(which) {
            url.push(mark);
            url.push_str(parameter);
            url.push('=');
            url.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
            mark = '&';
        }
        let mut sign = |sas: &Sas| {
            url.push(mark);
            url.push_str(sas.expose());
        };
        match target.credential() {
            Credential::Anonymous | Credential::Token(_) => {}
            Credential::Sas(sas) => sign(sas),
            Credential::SharedKey(key) => {
                let now = SystemTime::now();
                let mut lent = self.lent.borrow_mut();
                let container = match target.url().container() {
                    "" => name.split('/').next().unwrap_or_default(),
                    container => container,
                };
                let container = percent_decode_str(container).decode_utf8_lossy();
                // Blobs come container after container: the last one is mostly the one.
                let fits = |lent: &Lent| lent.renew > now && lent.container == container;
                if !lent.as_ref().is_some_and(fits) {
                    let mut builder = SasBuilder::new("r").starts_at(now - SKEW).expires_at(now + LENT);
                    if !target.url().endpoint().tls {
                        builder = builder.allow_http();
                    }
                    let sas = builder.container(key, &container);
                    let sas = sas.expect("reading, and an end after its beginning");
                    let container = container.into_owned();
                    *lent = Some(Lent { sas, container, renew: now + LENT - SPARE });
                }
                sign(&lent.as_ref().expect("it was just made").sas);
            }
        }
        let authorization = number.and_then(|_| self.held_token()).and_then(|held| held.header());
        let key = target.encryption.key().map(|(key, sha256)| (key.clone(), sha256.clone()));
        Ok(Granted { url: Secret::partly(&*url), authorization, key, token: number })
    }

    /// The error of a request in which somebody else has used the access. If it was the token that the source has
    /// refused, waits for another.
    pub async fn grant_refused(&self, granted: &Granted, error: RequestError) -> RequestError {
        let told = error.service().and_then(ServiceError::at_copy_source);
        let Some(told) = told.filter(ServiceError::refuses_token) else { return error };
        match self.refused(granted.token, told, false).await {
            // What the destination said is all that there is to tell.
            RequestError::Service(_) => error,
            other => other,
        }
    }
}
