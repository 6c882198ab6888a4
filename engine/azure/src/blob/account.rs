//! What kind of account it is.

use std::time::SystemTime;

use http::Method;

use crate::exchange::client::{BlobClient, Head};
use crate::exchange::error::{RequestError, skew_s};
use crate::exchange::header::X_MS_VERSION;
use crate::exchange::operation::Operation;

/// What the service tells of an account, and of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountFacts {
    /// For instance `Standard_LRS`.
    pub sku: Option<String>,
    /// For instance `StorageV2`.
    pub kind: Option<String>,
    /// Whether it has a hierarchical namespace.
    pub hierarchical: Option<bool>,
    /// The version of the protocol in which it answered.
    pub version: Option<String>,
    /// Whether it tells, when a copy fails, what the source answered: from version 2025-11-05 on.
    pub tells_of_sources: bool,
    /// Seconds that the service's clock is ahead of this machine's.
    pub clock_skew_s: Option<i32>,
}

impl BlobClient {
    /// Get Account Information, asked of the container, or of a blob in it (its name percent-encoded): any SAS for
    /// them may ask, whatever its letters.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn account_information(&self, name: &str) -> Result<AccountFacts, RequestError> {
        let query = vec![("restype", "account"), ("comp", "properties")];
        let (operation, method) = (Operation::GetAccountInformation, Method::GET);
        let head = |headers| Head { operation, method: method.clone(), name, query: query.clone(), headers };
        let answer = self.exchange_newest(self.target().common.clone(), head).await?;
        let text = |name: &str| {
            let value = std::str::from_utf8(answer.header(name)?).ok()?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        Ok(AccountFacts {
            sku: text("x-ms-sku-name"),
            kind: text("x-ms-account-kind"),
            hierarchical: text("x-ms-is-hns-enabled").map(|value| value.eq_ignore_ascii_case("true")),
            version: text(X_MS_VERSION),
            tells_of_sources: !self.knows_no_newest.get(),
            clock_skew_s: text("date").and_then(|date| skew_s(&date, SystemTime::now())),
        })
    }
}
