//! Requests that name the newest version of the protocol, and what a server is sent that does not know it.

use azuring_link::{Answer, Payload};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use super::error::RequestError;
use super::header::X_MS_VERSION;
use crate::account::version::COPY_VERSION;

impl BlobClient {
    /// A request without a body in [`COPY_VERSION`]; from the first refusal of that version on, in the one of all other
    /// requests.
    pub(crate) async fn exchange_newest<'a>(
        &self,
        headers: HeaderMap,
        head: impl Fn(HeaderMap) -> Head<'a>,
    ) -> Result<Answer, RequestError> {
        let send = async |headers| self.exchange(head(headers), Payload::default(), ANSWER_LIMIT_BYTES).await;
        if self.knows_no_newest.get() {
            return send(headers).await;
        }
        let mut newest = headers.clone();
        newest.insert(HeaderName::from_static(X_MS_VERSION), HeaderValue::from_static(COPY_VERSION));
        match send(newest).await {
            Err(error) if knows_no_such_version(&error) => {
                let answer = send(headers).await?;
                self.knows_no_newest.set(true);
                Ok(answer)
            }
            answer => answer,
        }
    }
}

/// Whether a request was refused for the version of the protocol that it names.
fn knows_no_such_version(error: &RequestError) -> bool {
    error.service().is_some_and(|refusal| {
        let text = refusal.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        refusal.status == 400
            && !refusal.is_of_copy_source()
            && (refusal.code == "InvalidHeaderValue" || text.contains("version"))
    })
}
