//! Tokens through Microsoft's library for applications and workloads; its requests go over our links.
//!
//! The library keeps tokens, tries again, and puts answers into its errors. None of this is wanted here: each attempt
//! makes a new credential, and what was answered is read where it comes in, so that the library sees successes only.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{Secret as LibrarySecret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body, ClientMethodOptions, ClientOptions, HttpClient, Request, RetryOptions,
    StatusCode, Transport,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use azuring_azure::Secret;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::answer::{self, TokenAnswer};
use crate::error::{IdentityError, first_sentence};
use crate::login::Login;
use crate::network::{Outgoing, Wire, authority};

/// What the library sends its requests with, for one attempt.
#[derive(Debug)]
pub(crate) struct Courier {
    wire: Wire,
    now_s: u64,
    noted: Mutex<Option<Noted>>,
}

type Noted = Result<TokenAnswer, IdentityError>;

/// What the library is shown in place of an answer that holds a token. It needs these fields; what becomes of them is
/// thrown away, and a lifetime that overflows its sums never gets there.
const SHOWN: &[u8] = br#"{"access_token":"noted","token_type":"Bearer","expires_in":3600}"#;

impl Courier {
    pub(crate) fn new(wire: Wire, now_s: u64) -> Arc<Self> {
        Arc::new(Self { wire, now_s, noted: Mutex::default() })
    }

    fn options(self: &Arc<Self>, login: &Login) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host.clone_from(&login.authority);
        ClientOptions {
            transport: Some(Transport::new(Arc::clone(self) as Arc<dyn HttpClient>)),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(cloud.into())),
            ..ClientOptions::default()
        }
    }

    async fn carry(&self, request: &Request) -> Result<(StatusCode, Headers, Bytes), IdentityError> {
        let url = request.url().clone();
        let host = authority(&url);
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers().iter() {
            let name = HeaderName::try_from(name.as_str());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value.as_str())) {
                headers.insert(name, value);
            }
        }
        let Body::Bytes(body) = request.body() else {
            return Err(IdentityError::Unsupported("a request for a token is not a stream".to_owned()));
        };
        let method = Method::from_bytes(request.method().as_ref().as_bytes()).unwrap_or_default();
        let incoming = self.wire.send(Outgoing { method, url, headers, body: body.clone() }).await?;
        let token = answer::read(&host, &incoming, false, self.now_s)?;
        self.note(Ok(token));
        let status = StatusCode::from(incoming.status.as_u16());
        Ok((status, Headers::new(), Bytes::from_static(SHOWN)))
    }

    fn note(&self, noted: Noted) {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(noted);
    }

    async fn ask(&self, made: azure_core::Result<Arc<impl TokenCredential>>, scope: &str) -> Noted {
        let told = match made {
            Ok(credential) => credential.get_token(&[scope], None).await.map(drop),
            Err(error) => Err(error),
        };
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (noted, told) {
            (Some(noted), _) => noted,
            (None, Err(error)) => Err(IdentityError::Unsupported(first_sentence(&error.to_string()))),
            (None, Ok(())) => Err(IdentityError::Unsupported("a token came from nowhere".to_owned())),
        }
    }

    pub(crate) async fn with_secret(self: &Arc<Self>, login: &Login, secret: &Secret, scope: &str) -> Noted {
        let (tenant, client) = login.application("a login as service principal")?;
        let options = ClientSecretCredentialOptions { client_options: self.options(login) };
        let secret = LibrarySecret::new(secret.expose().to_owned());
        self.ask(ClientSecretCredential::new(tenant, client.to_owned(), secret, Some(options)), scope).await
    }

    /// With a signed assertion instead of a secret.
    pub(crate) async fn with_assertion(
        self: &Arc<Self>,
        login: &Login,
        signed: Secret,
        scope: &str,
    ) -> Noted {
        let (tenant, client) = login.application("a login as service principal")?;
        let options = ClientAssertionCredentialOptions { client_options: self.options(login) };
        let made = ClientAssertionCredential::new(
            tenant.to_owned(),
            client.to_owned(),
            Signed(signed),
            Some(options),
        );
        self.ask(made, scope).await
    }

    pub(crate) async fn with_workload(
        self: &Arc<Self>,
        login: &Login,
        token_file: &std::path::Path,
        scope: &str,
    ) -> Noted {
        let (tenant, client) = login.application("a login with workload identity")?;
        // The library reads it too; its error does not say why it cannot.
        std::fs::read(token_file).map_err(|error| IdentityError::file(token_file, error))?;
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: self.options(login) },
            client_id: Some(client.to_owned()),
            tenant_id: Some(tenant.to_owned()),
            token_file_path: Some(token_file.to_owned()),
        };
        self.ask(WorkloadIdentityCredential::new(Some(options)), scope).await
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        match self.carry(request).await {
            Ok((status, headers, body)) => Ok(AsyncRawResponse::from_bytes(status, headers, body)),
            Err(error) => {
                self.note(Err(error));
                // Of this kind the library tries nothing again.
                Err(azure_core::Error::with_message(ErrorKind::Other, "noted"))
            }
        }
    }
}

/// An assertion for one attempt.
#[derive(Debug)]
struct Signed(Secret);

#[async_trait]
impl ClientAssertion for Signed {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose().to_owned())
    }
}

#[cfg(test)]
mod tests;
