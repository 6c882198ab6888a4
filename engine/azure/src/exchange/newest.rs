//! Requests that name the newest version of the protocol, and what a server is sent that does not know it.

use azuring_link::{Answer, Payload};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use super::error::{RequestError, ServiceError};
use super::header::X_MS_VERSION;
use crate::account::version::{COPY_VERSION, KEY_COPY_VERSION, SERVICE_VERSION};

impl BlobClient {
    /// A request without a body in [`COPY_VERSION`]; from the first refusal of that version on, in the one of all other
    /// requests.
    pub(crate) async fn exchange_newest<'a>(
        &self,
        headers: HeaderMap,
        head: impl Fn(HeaderMap) -> Head<'a>,
    ) -> Result<Answer, RequestError> {
        let usual =
            async |headers| self.exchange(head(headers), Payload::default(), ANSWER_LIMIT_BYTES).await;
        if self.knows_no_newest.get() {
            return usual(headers).await;
        }
        match self.exchange_in(COPY_VERSION, headers.clone(), &head).await {
            Err(error) if error.service().is_some_and(ServiceError::is_of_version) => {
                let answer = usual(headers).await;
                // Also if it refuses this for another reason: it was the version that it did not know.
                let refusal = answer.as_ref().err().map(RequestError::service);
                if refusal.is_none_or(|refusal| refusal.is_some_and(|refusal| !refusal.is_of_version())) {
                    self.knows_no_newest.set(true);
                }
                answer
            }
            answer => answer,
        }
    }

    /// The version of the protocol in which copies from another place are asked for, as far as that is known by now.
    pub fn copy_version(&self, with_key: bool) -> &'static str {
        match (with_key, self.knows_no_newest.get()) {
            (true, _) => KEY_COPY_VERSION,
            (false, true) => SERVICE_VERSION,
            (false, false) => COPY_VERSION,
        }
    }

    /// A request without a body in this version: no other one can do it.
    pub(crate) async fn exchange_in<'a>(
        &self,
        version: &'static str,
        mut headers: HeaderMap,
        head: impl Fn(HeaderMap) -> Head<'a>,
    ) -> Result<Answer, RequestError> {
        headers.insert(HeaderName::from_static(X_MS_VERSION), HeaderValue::from_static(version));
        self.exchange(head(headers), Payload::default(), ANSWER_LIMIT_BYTES).await
    }
}
